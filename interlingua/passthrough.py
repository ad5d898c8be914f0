"""A provider's own API behind the gateway: credentials added, nothing translated. Files, batches, images, audio: all of it.

`/providers/{backend}/v1/files` becomes `/v1/files` at that backend's origin. Answers stream through as they come.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Final
from urllib.parse import quote

from interlingua.client import Reply
from interlingua.core import Core
from interlingua.errors import NotFound
from interlingua.provider import Provider

PREFIX: Final = "/providers/"
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


def answer_headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    return [(k.encode("latin-1"), v.encode("latin-1")) for k, v in reply.headers.items() if k not in _THEIRS]


async def body_of(reply: Reply) -> AsyncGenerator[bytes]:
    """The answer's bytes as they come; closing this closes the connection."""
    try:
        while (chunk := await reply.next()) is not None:
            yield chunk
    finally:
        reply.close()
