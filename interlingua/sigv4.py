"""AWS Signature Version 4: clients' signatures verified, upstream requests signed. One canonical form serves both.

Verifying is pure: bytes and a clock in, the access key's id out, or AWS's own refusal. Secrets are compared in constant time
and stand in no message. Sources: IAM user guide, "Create a signed API request" and "Troubleshoot Signature Version 4";
Bedrock API reference, "Common errors". botocore.auth.SigV4Auth signs the same, which a test holds.
"""

import asyncio
import hmac
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from interlingua.errors import GatewayError, UpstreamUnreachable

SKEW: Final = 300.0  # seconds a client's clock may be wrong
SERVICE: Final = "bedrock"

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_END: Final = "aws4_request"
_STAMP: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_FIELD: Final = re.compile(r"\s*(Credential|SignedHeaders|Signature)=([^,\s]+)\s*")
_BLOCK: Final = 64  # bytes, of SHA-256
_IPAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OPAD: Final = bytes(byte ^ 0x5C for byte in range(256))
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)


class SignatureRefused(GatewayError):
    """A request that AWS would refuse to believe. `code` is the name of AWS's own exception."""

    kind = "authentication"

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message, code=code)
        self.failure.status = status


# Verifying


def verify(
    method: str,
    raw_path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    keys: Mapping[str, str],
    now: float,
    *,
    region: str | None = None,
    service: str = SERVICE,
) -> str:
    """The id of the key that signed this request. Raises SignatureRefused.

    `raw_path` and `query` as they stood in the request line, still percent-encoded; `headers` by lower-case name; `keys`
    maps ids to secrets; `now` is Unix seconds; `region` None: any.
    """
    claim = _claim(headers)
    stamp = _stamp(headers, claim.signed)
    _check_time(stamp, claim.date, now)
    _check_scope(claim, region, service)
    _check_signed(headers, claim.signed)
    secret = keys.get(claim.key)
    if secret is None or b"x-amz-security-token" in headers:  # these keys have no sessions
        raise SignatureRefused("UnrecognizedClientException", "The security token included in the request is invalid.")
    digest = _payload(headers, body)
    key = _signing_key(secret, claim.date, claim.region, claim.service)
    lines = [(name, headers.get(name.encode(), b"")) for name in claim.signed]
    for path in _paths(raw_path):
        canonical = _canonical(method, path, query, lines, digest)
        if hmac.compare_digest(_signature(key, stamp, claim.scope, canonical), claim.signature):
            return claim.key
    raise SignatureRefused("InvalidSignatureException", _MISMATCH)


class _Claim:
    """What an Authorization header says."""

    __slots__ = ("date", "key", "region", "scope", "service", "signature", "signed")

    def __init__(self, credential: str, signed: str, signature: str) -> None:
        self.key, self.date, self.region, self.service, end = credential.rsplit("/", 4)
        if end != _END:
            raise ValueError
        self.scope = f"{self.date}/{self.region}/{self.service}/{_END}"
        self.signed = signed.split(";")
        self.signature = signature


def _claim(headers: Mapping[bytes, bytes]) -> _Claim:
    value = headers.get(b"authorization", b"").decode("latin-1").strip()
    if not value:
        raise SignatureRefused("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = value.partition(" ")
    if algorithm != _ALGORITHM:
        raise _incomplete("The Authorization header must begin with AWS4-HMAC-SHA256, or with Bearer.")
    found = {match[1]: match[2] for item in rest.split(",") if (match := _FIELD.fullmatch(item))}
    for field in ("Credential", "Signature", "SignedHeaders"):
        if field not in found:
            raise _incomplete(f"Authorization header requires '{field}' parameter.")
    if not _HEX.fullmatch(found["Signature"]):
        raise SignatureRefused("InvalidSignatureException", _MISMATCH)
    try:
        return _Claim(found["Credential"], found["SignedHeaders"], found["Signature"])
    except ValueError:
        raise _incomplete("Credential must have exactly 5 slash-delimited elements, the last of them aws4_request.") from None


def _incomplete(message: str) -> SignatureRefused:
    return SignatureRefused("IncompleteSignatureException", message, 400)


def _stamp(headers: Mapping[bytes, bytes], signed: list[str]) -> str:
    """When it was signed, as YYYYMMDDTHHMMSSZ: from x-amz-date, else from a signed Date."""
    if (value := headers.get(b"x-amz-date")) is not None:
        stamp = value.decode("latin-1").strip()
    elif (value := headers.get(b"date")) is not None and "date" in signed:
        try:
            stamp = parsedate_to_datetime(value.decode("latin-1")).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        except ValueError:
            stamp = ""
    else:
        raise _incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    return stamp


def _seconds(stamp: str) -> float | None:
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _check_time(stamp: str, date: str, now: float) -> None:
    at = _seconds(stamp)
    if at is None:
        raise _incomplete("Date must be in ISO-8601 'basic format'.")
    if stamp[:8] != date:
        raise SignatureRefused(
            "InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version."
        )
    if at < now - SKEW:
        raise SignatureRefused("InvalidSignatureException", f"Signature expired: {stamp} is now earlier than {_told(now - SKEW)}")
    if at > now + SKEW:
        raise SignatureRefused(
            "InvalidSignatureException", f"Signature not yet current: {stamp} is still later than {_told(now + SKEW)}"
        )


def _check_scope(claim: _Claim, region: str | None, service: str) -> None:
    if region is not None and claim.region != region:
        raise SignatureRefused("InvalidSignatureException", f"Credential should be scoped to a valid region: {region}.")
    if claim.service != service:
        raise SignatureRefused("InvalidSignatureException", f"Credential should be scoped to correct service: '{service}'.")


def _check_signed(headers: Mapping[bytes, bytes], signed: list[str]) -> None:
    """`host` and every x-amz- header must be signed, for AWS acts upon them."""
    must = ["host", *(name.decode("latin-1") for name in headers if name.startswith(b"x-amz-"))]
    for name in must:
        if name not in signed:
            raise SignatureRefused("InvalidSignatureException", f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def _payload(headers: Mapping[bytes, bytes], body: bytes) -> str:
    """The body's hash. One that the client declares must be it: neither an unsigned body nor one signed in chunks is taken."""
    digest = sha256(body).hexdigest()
    said = headers.get(b"x-amz-content-sha256")
    if said is not None and not hmac.compare_digest(said.strip(), digest.encode()):
        raise SignatureRefused(
            "InvalidSignatureException", "The value passed in for x-amz-content-SHA256 does not match the computed payload hash."
        )
    return digest


def _paths(raw: bytes) -> Iterator[str]:
    """The path as it came; and, for a proxy may have decoded it on its way, as AWS's SDKs write it."""
    path = raw.decode("latin-1")
    yield path
    encoded = quote(unquote_to_bytes(path), safe="/~")
    if encoded != path:
        yield encoded


# Signing


class Credentials:
    """An access key. Never shown."""

    __slots__ = ("id", "secret", "token")

    def __init__(self, id: str, secret: str, token: str | None = None) -> None:
        self.id, self.secret, self.token = id, secret, token

    def __repr__(self) -> str:
        return "Credentials(hidden)"


def sign(
    method: str,
    host: str,
    target: str,
    body: bytes,
    credentials: Credentials,
    region: str,
    now: float,
    *,
    service: str = SERVICE,
    content_type: str = "application/json",
) -> bytes:
    """The header lines (`name: value\\r\\n`) that sign a request; it must bear this host, content type and these very bytes.

    `target` as it will stand in the request line, path and query; `host` with its port where that is not the scheme's own.
    """
    said = _said(method, host, target, content_type, credentials, region, service, int(now))
    return said.signed(sha256(body).hexdigest())


class _Said:
    """All that a signature says but of a body: of requests in one second to one place. Hashed as far as it goes, so that what
    is left to each of them is its end. HMAC is RFC 2104's, of two hashes that have read the key."""

    __slots__ = ("_canonical", "_inner", "_lines", "_outer")

    def __init__(self, canonical: bytes, key: bytes, to_sign: bytes, lines: bytes) -> None:
        """Each of them up to where the body's hash, or what comes of it, stands."""
        padded = key.ljust(_BLOCK, b"\0")
        self._canonical = sha256(canonical)
        self._inner = sha256(padded.translate(_IPAD) + to_sign)
        self._outer = sha256(padded.translate(_OPAD))
        self._lines = lines

    def signed(self, digest: str) -> bytes:
        canonical, inner, outer = self._canonical.copy(), self._inner.copy(), self._outer.copy()
        canonical.update(digest.encode())
        inner.update(canonical.hexdigest().encode())
        outer.update(inner.digest())
        return b"%b%b\r\n" % (self._lines, outer.hexdigest().encode())


@lru_cache(maxsize=512)
def _said(
    method: str, host: str, target: str, content_type: str, credentials: Credentials, region: str, service: str, now: int
) -> _Said:
    path, _, query = target.partition("?")
    stamp = _told(now)
    scope = f"{stamp[:8]}/{region}/{service}/{_END}"
    lines = [("content-type", content_type.encode()), ("host", host.encode()), ("x-amz-date", stamp.encode())]
    if credentials.token is not None:
        lines.append(("x-amz-security-token", credentials.token.encode()))
    signed = ";".join(name for name, _ in lines)
    told = f"authorization: {_ALGORITHM} Credential={credentials.id}/{scope}, SignedHeaders={signed}, Signature="
    token = "" if credentials.token is None else f"x-amz-security-token: {credentials.token}\r\n"
    return _Said(
        _canonical(method, path, query.encode(), lines, ""),
        _signing_key(credentials.secret, stamp[:8], region, service),
        _to_sign(stamp, scope, ""),
        f"x-amz-date: {stamp}\r\n{token}{told}".encode(),
    )


def _told(now: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


# The form that both sides agree on


def _canonical(method: str, path: str, query: bytes, lines: list[tuple[str, bytes]], digest: str) -> bytes:
    """The canonical request; the lines of headers stand in the order in which they are signed."""
    told = b"".join(b"%b:%b\n" % (name.encode("latin-1"), b" ".join(value.split())) for name, value in lines)
    names = ";".join(name for name, _ in lines)
    head = f"{method.upper()}\n{_canonical_path(path)}\n".encode()
    return b"%b%b\n%b\n%b" % (head, _canonical_query(query), told, f"{names}\n{digest}".encode("latin-1"))


def _canonical_path(path: str) -> str:
    """The path, which is percent-encoded already, encoded once more: so AWS does, for all services but S3."""
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step and step != ".":
            steps.append(step)
    slash = "/" if steps and path.endswith("/") else ""
    return quote("/" + "/".join(steps) + slash, safe="/~", encoding="latin-1")


def _canonical_query(query: bytes) -> bytes:
    if not query:
        return b""
    pairs = sorted(pair.partition(b"=")[::2] for pair in query.split(b"&"))
    return b"&".join(b"%b=%b" % pair for pair in pairs)


@lru_cache(maxsize=1024)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The day's key; it stays the same all day."""
    key = b"AWS4" + secret.encode()
    for step in (date, region, service, _END):
        key = hmac.digest(key, step.encode("latin-1"), "sha256")
    return key


def _signature(key: bytes, stamp: str, scope: str, canonical: bytes) -> str:
    return hmac.digest(key, _to_sign(stamp, scope, sha256(canonical).hexdigest()), "sha256").hex()


def _to_sign(stamp: str, scope: str, digest: str) -> bytes:
    return f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}".encode("latin-1")


# Where upstream credentials come from


class Chain:
    """AWS's standard chain (environment, profile, web identity, container, instance), as botocore walks it, in a thread.

    What it found is kept; temporary credentials are renewed in the background a quarter of an hour before they end, and only
    when ten minutes are left does a request wait for that.
    """

    _SOON: Final = 900  # seconds, botocore's own
    _NOW: Final = 600

    def __init__(self, profile: str | None = None, find: Callable[[], Any] | None = None, look: float = 5.0) -> None:
        """`find` gives botocore's credentials object, or None where there are none; default: its session's. `look`: seconds
        between two looks at when they end."""
        self._look = look
        self._find = find or (lambda: _from_botocore(profile))
        self._source: Any = None
        self._current: Credentials | None = None
        self._checked = 0.0
        self._renewal: asyncio.Task[Credentials] | None = None

    def at_hand(self) -> Credentials | None:
        """Those that were looked at a moment ago."""
        return self._current if asyncio.get_running_loop().time() < self._checked + self._look else None

    async def credentials(self) -> Credentials:
        """Raises UpstreamUnreachable where there are none to be had."""
        if (current := self.at_hand()) is not None:
            return current
        current, self._checked = self._current, asyncio.get_running_loop().time()
        if current is not None and not self._ends_within(self._SOON):
            return current
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(asyncio.to_thread(self._renew))
            self._renewal.add_done_callback(self._keep)
        if current is not None and not self._ends_within(self._NOW):
            return current
        self._checked = 0.0
        return await asyncio.shield(self._renewal)

    def _ends_within(self, seconds: float) -> bool:
        needed: Callable[[float], bool] | None = getattr(self._source, "refresh_needed", None)
        return needed is not None and needed(seconds)

    def _renew(self) -> Credentials:
        """Blocks: files, processes, and the network."""
        try:
            source = self._source or self._find()
            if source is None:
                raise UpstreamUnreachable(
                    "No AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, "
                    "a role of this machine, or AWS_BEARER_TOKEN_BEDROCK."
                )
            found = source.get_frozen_credentials()
        except UpstreamUnreachable:
            raise
        except Exception as error:  # whatever botocore and its helpers raise; its words may hold secrets
            raise UpstreamUnreachable(f"AWS credentials could not be had ({type(error).__name__}).") from None
        self._source = source
        return Credentials(found.access_key, found.secret_key, found.token)

    def _keep(self, renewal: asyncio.Task[Credentials]) -> None:
        if not renewal.cancelled() and renewal.exception() is None:
            self._current = renewal.result()


def _from_botocore(profile: str | None) -> Any:
    session = import_module("botocore.session").Session(profile=profile)
    return session.get_credentials()


class Signer:
    """Signs the requests of one backend: with a bearer key where there is one, as AWS's SDKs do, else by SigV4."""

    def __init__(
        self,
        region: str,
        *,
        profile: str | None = None,
        bearer: str | None = None,
        service: str = SERVICE,
        chain: Chain | None = None,
    ) -> None:
        """`bearer` None: AWS_BEARER_TOKEN_BEDROCK, if it is set."""
        self._region, self._service = region, service
        bearer = bearer or os.environ.get("AWS_BEARER_TOKEN_BEDROCK")
        self.lines: bytes | None = f"authorization: Bearer {bearer}\r\n".encode() if bearer else None  # of every request
        self._chain = chain or Chain(profile)

    def at_once(self, method: str, host: str, target: str, body: bytes) -> bytes | None:
        """Header lines for one request; `target` is the request line's, path and query. None: credentials must be waited for."""
        if self.lines is not None:
            return self.lines
        credentials = self._chain.at_hand()
        return None if credentials is None else self._sign(method, host, target, body, credentials)

    async def headers(self, method: str, host: str, target: str, body: bytes) -> bytes:
        """The same, however long it takes."""
        lines = self.at_once(method, host, target, body)
        return lines or self._sign(method, host, target, body, await self._chain.credentials())

    def _sign(self, method: str, host: str, target: str, body: bytes, credentials: Credentials) -> bytes:
        return sign(method, host, target, body, credentials, self._region, time.time(), service=self._service)
