"""Frames: one event of a stream, whatever the bytes it travels in. Bytes in, frames out; no I/O."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec import Struct


class Frame(NamedTuple):
    """One event received. `data` is its undecoded payload."""

    event: str | None
    data: bytes


# Half the cost of Frame(...).
new_frame: Final[Callable[[tuple[str | None, bytes]], Frame]] = partial(tuple[str | None, bytes].__new__, Frame)


class Out(Struct, frozen=True, gc=False):
    """One event to send. `data` is encoded as JSON, but for bytes, which are sent as they are."""

    data: Any
    event: str | None = None
