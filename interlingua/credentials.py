"""How a request to a backend is authenticated: one small class a way, all with the same face. Secrets are never shown.

A Credential whose `lines` are not None is asked no further: those header lines go with any request. Else it is asked
for each request by itself, and may wait: for a token, or to sign what is sent.
"""

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any, Final, NamedTuple
from typing import Protocol as Interface

from interlingua.config import Backend, Secret
from interlingua.errors import UpstreamUnreachable
from interlingua.sigv4 import Signer


class Credential(Interface):
    @property
    def lines(self) -> bytes | None:
        """`name: value\\r\\n` lines that authenticate any request as it stands, or None: `headers` must be asked."""
        ...

    def at_once(self, method: str, host: str, target: str, body: bytes) -> bytes | None:
        """As `headers`, where there is nothing to wait for; else None."""
        ...

    async def headers(self, method: str, host: str, target: str, body: bytes) -> bytes:
        """The lines for this one request. `host` as in its host header, `target` as in its request line. Raises
        UpstreamUnreachable where none can be had."""
        ...


def credential_of(backend: Backend) -> Credential:
    """What a backend's configuration says."""
    form = backend.host.credential
    if form == "aws":
        bearer = backend.keys[0].reveal() if backend.keys else None
        return Signed(Signer(backend.settings.aws_region or "us-east-1", bearer=bearer))
    if backend.access_token is not None:
        return Static("authorization", "Bearer ", backend.access_token)
    if backend.keys:
        return static(form, backend.keys[0])
    return GoogleToken() if form == "google" else Static()


def static(form: str, key: Secret) -> "Static":
    """A key in the header that this form of credential has."""
    if form in ("bearer", "aws"):
        return Static("authorization", "Bearer ", key)
    return Static("x-goog-api-key" if form == "google" else form, "", key)


class Signed:
    """AWS: every request is signed for itself, or bears AWS's own bearer key."""

    def __init__(self, signer: Signer) -> None:
        self.lines = signer.lines
        self.at_once = signer.at_once
        self._signer = signer

    def __repr__(self) -> str:
        return "Signed(hidden)"

    async def headers(self, method: str, host: str, target: str, body: bytes) -> bytes:
        return await self._signer.headers(method, host, target, body)


class Static:
    """A key or token that stays as it is; without one, nothing."""

    __slots__ = ("lines",)

    def __init__(self, header: str = "", scheme: str = "", key: Secret | None = None) -> None:
        self.lines: bytes | None = b"" if key is None else f"{header}: {scheme}{key.reveal()}\r\n".encode("ascii")

    def __repr__(self) -> str:
        return "Static(hidden)"

    def at_once(self, method: str, host: str, target: str, body: bytes) -> bytes | None:
        return self.lines

    async def headers(self, method: str, host: str, target: str, body: bytes) -> bytes:
        return self.lines or b""


class _Token(NamedTuple):
    lines: bytes
    ends: float  # on the monotonic clock


class GoogleToken:
    """A token of Google's standard chain (service-account file, workload identity, gcloud's login, metadata server), found
    and renewed by google-auth in a thread, one renewal at a time.

    It is renewed some minutes ahead of its end, while requests still go out with it; only when there is none that is good
    does a request wait. After a failure it is not tried again for a moment.
    """

    _SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
    _AHEAD: Final = 225.0  # seconds; google-auth's own: a metadata server has no new token before
    _SPARE: Final = 15.0  # the same, in which a token may still be sent
    _PAUSE: Final = 5.0  # after a failure

    def __init__(self, find: Callable[[], Any] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`find` gives google-auth's credentials object, whose methods may block."""
        self._find = find or partial(_from_google_auth, self._SCOPES)
        self._clock = clock
        self._source: Any = None
        self._token: _Token | None = None
        self._due = 0.0  # when to renew
        self._failure: str | None = None
        self._renewal: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return "GoogleToken(hidden)"

    @property
    def lines(self) -> bytes | None:
        return self._token.lines if self._token is not None and self._good() and self._clock() < self._due else None

    def at_once(self, method: str, host: str, target: str, body: bytes) -> bytes | None:
        return self.lines

    async def headers(self, method: str, host: str, target: str, body: bytes) -> bytes:
        """Raises UpstreamUnreachable."""
        if self._renewal is None and self._clock() >= self._due:
            self._renewal = asyncio.create_task(self._renew())
        if not self._good() and self._renewal is not None:
            await asyncio.shield(self._renewal)
        if self._token is None or not self._good():
            raise UpstreamUnreachable(self._failure or "Google's access token ended as soon as it came.")
        return self._token.lines

    def _good(self) -> bool:
        return self._token is not None and self._clock() < self._token.ends - self._SPARE

    async def _renew(self) -> None:
        try:
            self._token = await asyncio.to_thread(self._fetch)
            self._due = max(self._token.ends - self._AHEAD, self._clock() + self._PAUSE)
            self._failure = None
        except UpstreamUnreachable as error:
            self._failure = str(error)
            self._due = self._clock() + self._PAUSE
        finally:
            self._renewal = None

    def _fetch(self) -> _Token:
        """Blocks: files, processes, and the network."""
        try:
            if self._source is None:
                self._source = self._find()
            _refresh(self._source)
            lines = dict[str, str]()
            self._source.apply(lines)
            block = "".join(f"{name.lower()}: {value}\r\n" for name, value in lines.items()).encode("ascii")
            return _Token(block, self._clock() + _remaining(self._source.expiry))
        except Exception as error:  # whatever google-auth and its helpers raise; its words may hold secrets
            raise UpstreamUnreachable(_told(error)) from None


def _from_google_auth(scopes: tuple[str, ...]) -> Any:
    """Scopes are added afterwards: with them, google-auth would ask another API for the name of the project."""
    source = import_module("google.auth").default()[0]
    return import_module("google.auth.credentials").with_scopes_if_required(source, scopes)


def _refresh(source: Any) -> None:
    """Over google-auth's own way to the network, which honours proxies; a quarter of a minute for each step."""
    with import_module("requests").Session() as session:
        source.refresh(partial(import_module("google.auth.transport.requests").Request(session), timeout=15))


def _remaining(expiry: datetime | None) -> float:
    """Seconds until a naive UTC time, as google-auth tells it; None is never."""
    if expiry is None:
        return 1e9
    return (expiry - datetime.now(UTC).replace(tzinfo=None)).total_seconds()


_OAUTH: Final = re.compile(r"([a-z_]{3,40})\b")  # the code of RFC 6749, section 5.2, which stands first


def _told(error: Exception) -> str:
    """What went wrong, without what may be secret in it."""
    if type(error).__name__ == "DefaultCredentialsError":
        return (
            "No usable Google credentials were found: set access_token_env, GOOGLE_APPLICATION_CREDENTIALS, or a service "
            "account of this machine."
        )
    code = _OAUTH.match(str(error.args[0])) if type(error).__name__ == "RefreshError" and error.args else None
    return f"No Google access token could be had ({code[1] if code else type(error).__name__})."
