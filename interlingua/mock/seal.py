"""Signatures, as vendors put them on reasoning: opaque to a client, and recognised again by the mock that issued them.

Each names its origin, so one vendor's is worthless to another. Nothing is secret here: it is a mock.
"""

import base64
import binascii
from typing import Final

from interlingua.mock.talk import digest

_SEED: Final = 16
SKIP: Final = "skip_thought_signature_validator"  # Google's documented stand-in


def over(origin: str, text: str) -> str:
    """A signature over a text: `mock-sig-ORIGIN-` and the digest of the text."""
    return f"mock-sig-{origin}-{digest(origin, text)}"


def holds(origin: str, text: str, signature: str) -> bool:
    return signature == over(origin, text)


def token(origin: str, seed: str) -> str:
    """A token that proves only itself: `mock-token-ORIGIN-` and a seed with its digest."""
    start = digest(seed)[:_SEED]
    return f"mock-token-{origin}-{start}{digest(origin, start)}"


def is_token(origin: str, text: str) -> bool:
    prefix = f"mock-token-{origin}-"
    start = text.removeprefix(prefix)[:_SEED]
    return text == f"{prefix}{start}{digest(origin, start)}"


def token_bytes(origin: str, seed: str) -> str:
    """The same as base64, for vendors whose signatures are bytes."""
    return base64.b64encode(token(origin, seed).encode()).decode()


def is_token_bytes(origin: str, text: str) -> bool:
    """Standard and URL-safe base64, padded or not."""
    return is_token(origin, plain(text))


def plain(text: str) -> str:
    """What base64 says, or an empty string where it says nothing printable."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
