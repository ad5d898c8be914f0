"""A provider's own API behind the gateway: credentials added, nothing translated. Files, batches, images, audio: all of it.

`/providers/{backend}/v1/files` becomes `/v1/files` at that backend's origin. Bodies stream through as they come, both ways.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from interlingua import invoke
from interlingua.client import Reply, Upload
from interlingua.core import Core
from interlingua.errors import FramingError, GatewayError, NotFound, TooLarge
from interlingua.framing import eventstream, sse
from interlingua.inbound import Inbound
from interlingua.ir import AnyEvent, End, Start, Usage, UsageSoFar
from interlingua.protocols import Protocol
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import as_array, as_obj, decode_json
from interlingua.provider import Provider
from interlingua.routes import Door, find

PREFIX: Final = "/providers/"
_SMALL: Final = 64 * 1024  # bytes of a body that is read whole before it goes on
_SEEN: Final = 4 << 20  # bytes of an answer looked into
# Said of a connection, by a client of ours for us, or by the client below for itself.
_OURS: Final = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade host content-length expect accept-encoding "
    b"authorization x-api-key x-goog-api-key api-key proxy-authorization cookie origin user-agent x-interlingua-strict".split()
)
_THEIRS: Final = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "set-cookie", "server", "date"))


def target_of(core: Core, path: str) -> tuple[Provider, str]:
    """The provider and the path at its origin. Raises NotFound."""
    name, slash, rest = path.removeprefix(PREFIX).partition("/")
    provider = core.providers.get(name)
    if provider is None or not slash or not rest:
        known = ", ".join(core.providers)
        raise NotFound(f"There is no backend {name!r} here; configured: {known}.", code="unknown_backend")
    if any(segment in (".", "..") for segment in rest.split("/")):
        raise NotFound("A path must not climb.", code="unknown_url")
    return provider, "/" + quote(rest, safe="/%:@!$&'()*+,;=~-._")


def request_headers(headers: Mapping[bytes, bytes]) -> bytes:
    """The client's headers that go on, as a block."""
    return b"".join(b"%b: %b\r\n" % (name, value) for name, value in headers.items() if name not in _OURS)


def query_of(query: bytes) -> str:
    """The client's query without the key it showed us."""
    pairs = [pair for pair in query.decode("latin-1").split("&") if pair and not pair.startswith("key=")]
    return "?" + "&".join(pairs) if pairs else ""


def answer_headers(reply: Reply) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items() if name not in _THEIRS).encode("latin-1")


# The request's body


async def whole(asked: Inbound, most: int) -> bytes:
    """All of it. Raises TooLarge."""
    body = _Body(asked, most)
    await body.gather(most)
    return b"".join(body.ahead)


async def incoming(asked: Inbound, most: int) -> bytes | Upload:
    """The request's body: whole where it is small or here already, else as it comes. Raises TooLarge, and InvalidRequest
    where it stops coming; an Upload does, too."""
    if asked.body is not None:
        return asked.body
    length = asked.headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > most:
        raise TooLarge(f"The request's body is larger than {most} bytes.")
    body = _Body(asked, most)
    await body.gather(_SMALL)
    if not body.more:
        return b"".join(body.ahead)
    return Upload(body, int(length) if length.isdigit() else None)


class _Body:
    """The pieces of a request's body, as the server gives them."""

    def __init__(self, asked: Inbound, most: int) -> None:
        self._asked, self._most = asked, most
        self._size = 0
        self.ahead: list[bytes] = []  # gathered, and not yet given
        self.more = True

    async def gather(self, enough: int) -> None:
        """Reads ahead, until it has more than `enough` bytes or all there is."""
        while self.more and self._size <= enough:
            self.ahead.append(await self._read())

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.ahead:
            return self.ahead.pop(0)
        if not self.more:
            raise StopAsyncIteration
        return await self._read()

    async def _read(self) -> bytes:
        body, self.more = await self._asked.receive()
        self._size += len(body)
        if self._size > self._most:
            raise TooLarge(f"The request's body is larger than {self._most} bytes.")
        return body


# The answer


class Watch:
    """Sees an answer pass, and reads what it cost where that can be read: in the JSON or the stream of an API that the
    gateway knows. It holds `_SEEN` bytes at most; what is larger, or otherwise than it should be, is not counted."""

    def __init__(self, provider: Provider, path: str) -> None:
        self._door = _door(provider, path)
        self.model = (self._door.model if self._door is not None else None) or ""
        self._usage: Usage | None = None
        self._protocol: Protocol | None = None
        self._held = bytearray()

    def begin(self, reply: Reply) -> None:
        """The answer that will pass."""
        door = self._door
        if door is None or reply.status != 200:
            return
        self._protocol = _BODIES.get(door.action, PROTOCOLS[door.protocol])
        self._decoder: sse.Decoder | eventstream.Decoder | invoke.Decoder | None = None
        kind = reply.headers.get("content-type", "")
        if "json" not in kind:
            self._decode(self._protocol, kind, invoked=door.action == "invoke")

    def _decode(self, protocol: Protocol, kind: str, invoked: bool) -> None:
        if kind.startswith("text/event-stream"):
            self._decoder = sse.Decoder(_SEEN)
        elif kind.startswith(eventstream.CONTENT_TYPE):
            self._decoder = (invoke.Decoder if invoked else eventstream.Decoder)(_SEEN)
        else:
            self._protocol = None  # a picture, or sound
        self._parser = protocol.Parser()

    def see(self, chunk: bytes) -> None:
        if self._protocol is None:
            return
        try:
            if self._decoder is not None:
                for frame in self._decoder.feed(chunk):
                    self._take(self._parser.feed(frame))
            elif len(self._held) + len(chunk) <= _SEEN:
                self._held += chunk
            else:
                self._forget()
        except (FramingError, GatewayError):
            self._forget()

    def usage(self) -> Usage | None:
        """What the answer cost, as far as it has come."""
        if self._protocol is not None and self._held:
            try:
                told: Any = decode_json(bytes(self._held))
                response = self._protocol.parse_response(as_obj(as_array(told)[-1] if type(told) is list else told))
                self.model = self.model or response.model
                self._usage = response.usage
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, GatewayError, LookupError):
                self._forget()
        return self._usage

    def _take(self, events: list[AnyEvent]) -> None:
        for event in events:
            if isinstance(event, Start):
                self.model = self.model or event.model
            if isinstance(event, Start | UsageSoFar | End):
                self._usage = event.usage or self._usage

    def _forget(self) -> None:
        self._protocol = None
        self._held.clear()


_BODIES: Final = {"invoke": PROTOCOLS["anthropic"]}


def _door(provider: Provider, path: str) -> Door | None:
    """What a path at a provider would be with us, if it asks a model; under the provider's own version path as well."""
    path, _, query = path.partition("?")
    prefix = provider.backend.prefix
    found = find(path, query.encode("latin-1", "replace"))
    if found is None and prefix and path.startswith(prefix):
        found = find("/v1" + path.removeprefix(prefix), b"")
    return found if found is not None and found.action in ("generate", "invoke") else None
