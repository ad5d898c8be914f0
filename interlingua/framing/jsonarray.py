"""One JSON array told element by element: Gemini's streamGenerateContent without `alt=sse`. Bytes in, frames out.

The decoder finds where elements begin and end, no more: whether one is JSON is for its reader to say.
"""

import re
from enum import Enum, auto
from typing import Final

import msgspec

from interlingua.errors import FramingError
from interlingua.framing import Frame, Out

BLANK: Final = b"\n"  # a heartbeat: white space is legal before, between and after elements
_LIMIT: Final = 16 * 1024 * 1024  # an element may carry a whole image

_encode_json = msgspec.json.Encoder().encode
_MARK: Final = re.compile(rb'["\[\]{},]')  # what matters outside strings
_STRING_MARK: Final = re.compile(rb'["\\]')  # and inside
_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_OPENING: Final = (b"{", b"[")
_CLOSING: Final = (b"}", b"]")


class Encoder:
    """One array. `BLANK` may be sent between any two calls."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def encode(self, out: Out) -> bytes:
        """One element, with the bracket or comma before it."""
        mark = b",\r\n" if self._begun else b"["
        self._begun = True
        return mark + (out.data if isinstance(out.data, bytes) else _encode_json(out.data))

    def encode_all(self, outs: list[Out]) -> bytes:
        """Every element, as one piece of bytes."""
        return b"".join([self.encode(out) for out in outs])

    def close(self) -> bytes:
        """The end of the array, which is a whole one even without elements."""
        return b"]" if self._begun else b"[]"


class _At(Enum):
    START = auto()  # the opening bracket is to come
    FIRST = auto()  # an element or the end
    ELEMENT = auto()  # an element, after a comma
    WITHIN = auto()  # inside an element
    AFTER = auto()  # a comma or the end
    END = auto()  # nothing but white space


class Decoder:
    """One array. The frames are the same however the bytes are cut; each comes with the last byte of its element.

    `limit`: bytes of one element. What is no array raises FramingError: frames before it are given first, so the
    error may come one call later; after it every call raises.
    """

    __slots__ = ("_at", "_buffer", "_depth", "_error", "_limit", "_position", "_start", "_string")

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._position: int = 0  # what is before it has been looked at
        self._start = 0  # of the element under way
        self._depth = 0
        self._string = False
        self._at = _At.START
        self._error: FramingError | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        """The elements these bytes complete, `event` None."""
        if self._error is not None:
            raise self._error
        self._buffer += chunk
        frames: list[Frame] = []
        try:
            while self._step(frames):
                pass
            if self._at is _At.WITHIN:
                self._measure(len(self._buffer))
        except FramingError as error:
            self._error = error
            if not frames:
                raise
        self._forget()
        return frames

    def close(self) -> list[Frame]:
        """The bytes ended. Raises FramingError where the array did not."""
        if self._error is not None:
            raise self._error
        if self._at is not _At.END:
            raise FramingError("the JSON array ended before its closing bracket")
        return []

    def _forget(self) -> None:
        done = self._start if self._at is _At.WITHIN else self._position
        del self._buffer[:done]
        self._position -= done
        self._start = 0

    def _step(self, frames: list[Frame]) -> bool:
        """One mark further; False where more bytes are needed."""
        if self._at is _At.WITHIN:
            return self._string_step(frames) if self._string else self._value_step(frames)
        space = _SPACE.match(self._buffer, self._position)
        self._position = space.end() if space else self._position
        if self._position == len(self._buffer):
            return False
        self._between(bytes(self._buffer[self._position : self._position + 1]))
        return True

    def _between(self, byte: bytes) -> None:
        if self._at is _At.START and byte == b"[":
            self._at = _At.FIRST
        elif self._at is _At.AFTER and byte == b",":
            self._at = _At.ELEMENT
        elif self._at in (_At.FIRST, _At.AFTER) and byte == b"]":
            self._at = _At.END
        elif self._at in (_At.FIRST, _At.ELEMENT) and byte not in (b",", b"]", b"}"):
            self._at = _At.WITHIN
            self._start = self._position
            return
        else:
            raise FramingError("the bytes are no JSON array")
        self._position += 1

    def _string_step(self, frames: list[Frame]) -> bool:
        mark = _STRING_MARK.search(self._buffer, self._position)
        if mark is None:
            self._position = len(self._buffer)
            return False
        if mark.group() == b"\\":
            if mark.end() == len(self._buffer):  # what it escapes is to come
                self._position = mark.start()
                return False
            self._position = mark.end() + 1
            return True
        self._position = mark.end()
        self._string = False
        if self._depth == 0:
            self._emit(frames)
        return True

    def _value_step(self, frames: list[Frame]) -> bool:
        mark = _MARK.search(self._buffer, self._position)
        if mark is None:
            self._position = len(self._buffer)
            return False
        byte = bytes(mark.group())
        if self._depth == 0 and byte in (b",", b"]"):  # ends a number, true, false or null
            self._position = mark.start()
            self._emit(frames)
            return True
        self._position = mark.end()
        if byte == b'"':
            self._string = True
        elif byte in _OPENING:
            self._depth += 1
        elif byte in _CLOSING:
            self._depth -= 1
            if self._depth < 0:
                self._measure(self._position)
                raise FramingError("a bracket closes what was never opened")
            if self._depth == 0:
                self._emit(frames)
        return True

    def _measure(self, end: int) -> None:
        if end - self._start > self._limit:
            raise FramingError(f"an element is larger than {self._limit} bytes")

    def _emit(self, frames: list[Frame]) -> None:
        self._measure(self._position)
        element = bytes(self._buffer[self._start : self._position])
        frames.append(Frame(None, element.rstrip(b" \t\r\n")))
        self._at = _At.AFTER
