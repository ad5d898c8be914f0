"""Seal what a wire cannot say into a text slot that its clients replay untouched, and unseal it when it comes back.

A sealed value is "il1." + URL-safe base64 of the MessagePack of one IR part (or of a bare signature, for a part that
the wire does say). What comes back is the client's word: bounded, typed, and None when it is native or damaged.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec
from msgspec import Struct

from interlingua.ir import AnyPart, Signature

MARK: Final = "il1."
LIMIT: Final = 1 << 20  # characters; a larger one is no seal of ours


class _Bearer(Struct, tag="bearer", tag_field="type"):
    signature: Signature


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyPart | _Bearer).decode


def seal(value: AnyPart | Signature) -> str:
    packed = _encode(_Bearer(value) if isinstance(value, Signature) else value)
    return MARK + urlsafe_b64encode(packed).decode().rstrip("=")


def unseal(text: str) -> AnyPart | Signature | None:
    if not text.startswith(MARK) or len(text) > LIMIT:
        return None
    body = text[len(MARK) :]
    try:
        value = _decode(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
        return None
    return value.signature if isinstance(value, _Bearer) else value
