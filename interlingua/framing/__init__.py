"""Frames: one event of a stream, whatever the bytes it travels in. Bytes in, frames out; no I/O."""

from typing import Any

from msgspec import Struct


class Frame(Struct, frozen=True, gc=False):
    """One event received. `data` is its undecoded payload."""

    event: str | None
    data: bytes


class Out(Struct, frozen=True, gc=False):
    """One event to send. `data` is encoded as JSON, but for bytes, which are sent as they are."""

    data: Any
    event: str | None = None
