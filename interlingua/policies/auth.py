"""Who may ask: static client keys, in any header form that an SDK uses.

A key is looked up by its SHA-256, so that the time it takes tells nothing of how much of a guess was right.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import parse_qs

from interlingua.config import ClientKey
from interlingua.errors import Unauthenticated

# openai and azure SDKs, anthropic 2.x: authorization; anthropic 1.x: x-api-key; google-genai: x-goog-api-key; azure: api-key
_HEADERS = (b"x-api-key", b"x-goog-api-key", b"api-key")


class Keys:
    """The keys of a configuration's `[[auth.keys]]`."""

    def __init__(self, keys: Iterable[ClientKey]) -> None:
        self._names = {sha256(key.secret.reveal().encode()).digest(): key.name for key in keys}

    def admit(self, headers: Mapping[bytes, bytes], query: bytes) -> str:
        """The name of the key shown. Raises Unauthenticated where none is, or none of ours."""
        shown = _shown(headers, query)
        if not shown:
            raise Unauthenticated("This gateway asks for a key: send it as the SDK's API key.", code="invalid_api_key")
        name = self._names.get(sha256(shown).digest())
        if name is None:
            raise Unauthenticated("The key that was sent is not known here.", code="invalid_api_key")
        return name


def _shown(headers: Mapping[bytes, bytes], query: bytes) -> bytes:
    """The key of a request, however it was sent; empty: none."""
    scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and value.strip():
        return value.strip()
    for name in _HEADERS:
        if headers.get(name):
            return headers[name]
    found = parse_qs(query.decode("latin-1")).get("key") if b"key=" in query else None
    return found[0].encode("latin-1") if found else b""
