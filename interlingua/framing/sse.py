"""Server-sent events, as the WHATWG HTML standard (9.2) reads them. Bytes in, frames out; text is never split as text.

Line ends are first made one (CRLF and CR become LF), so that one reader serves every dialect and a blank line is
always two LFs. Ours, beyond the standard: an event has a size limit, and the end of a body ends its last line and
event, for many servers of models leave the last blank line out.
"""

from functools import lru_cache
from sys import intern
from typing import Final

import msgspec

from interlingua.errors import FramingError
from interlingua.framing import Frame, Out

MIB: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_LF, _CR = b"\n\r"  # as numbers: a byte is found in bytes at a tenth of what b"\n" costs

_encode_json = msgspec.json.Encoder().encode


class Decoder:
    """One stream of events. The frames are the same however the bytes are cut.

    `limit`: bytes from one blank line to the next. An event over it raises FramingError: frames before it are given
    first, so the error may come one call later; after it every call raises.
    """

    __slots__ = ("_carriage_return", "_error", "_event", "_limit", "_opening", "_pending", "_started")

    def __init__(self, limit: int = MIB) -> None:
        self._limit = limit
        self._pending = bytearray()  # the event under way, line ends made one
        self._started = False  # the byte order mark is dealt with
        self._carriage_return = False  # the last byte was CR: an LF to come belongs to it
        self._error: FramingError | None = None
        self._event: str | None = None  # of the frame before
        self._opening = _opening(None)  # what goes before its data

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames these bytes complete."""
        if self._error is not None:
            raise self._error
        if not self._started:
            chunk = self._strip_bom(chunk)
            if not self._started:
                return []
        if self._carriage_return or _CR in chunk:
            chunk = self._one_line_end(chunk)
        pending = self._pending
        if pending:
            ends = b"\n\n" in chunk or (chunk[:1] == b"\n" and pending.endswith(b"\n"))
            pending += chunk
            if not ends:
                self._check_pending([])
                return []
            chunk = bytes(pending)
            self._pending = bytearray()
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        frames = self._frames(blocks) if len(chunk) <= self._limit else self._bounded(blocks)
        if rest and self._error is None:
            self._pending += rest
            self._check_pending(frames)
        return frames

    def close(self) -> list[Frame]:
        """The bytes ended. Gives the last event if it has a data line, be its line end or its blank line missing."""
        return self.feed(b"\n\n")

    def _strip_bom(self, chunk: bytes) -> bytes:
        chunk = bytes(self._pending) + chunk
        self._pending.clear()
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):  # too few bytes to tell
            self._pending += chunk
            return b""
        self._started = True
        return chunk.removeprefix(_BOM)

    def _one_line_end(self, chunk: bytes) -> bytes:
        if self._carriage_return and chunk[:1] == b"\n":
            chunk = chunk[1:]
            self._carriage_return = False
        if chunk:
            self._carriage_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _check_pending(self, frames: list[Frame]) -> None:
        # A last LF may turn out to be half of the blank line, which does not count.
        size = len(self._pending)
        if size > self._limit and size - self._pending.endswith(b"\n") > self._limit:
            self._refuse(frames)

    def _bounded(self, blocks: list[bytes]) -> list[Frame]:
        for index, block in enumerate(blocks):
            if len(block) > self._limit:
                frames = self._frames(blocks[:index])
                self._refuse(frames)
                return frames
        return self._frames(blocks)

    def _frames(self, blocks: list[bytes]) -> list[Frame]:
        """Here nearly all the time is spent. Most events begin as the one before, and all of their rest is one line's data."""
        frames: list[Frame] = []
        event, opening = self._event, self._opening
        for block in blocks:
            data = block.removeprefix(opening)
            if len(data) != len(block) and _LF not in data:
                frames.append(Frame(event, data))
            elif (frame := _frame(block)) is not None:
                frames.append(frame)
                event = self._event = frame.event
                opening = self._opening = _opening(event)
        return frames

    def _refuse(self, frames: list[Frame]) -> None:
        """Raises, or lets frames that came before go first."""
        self._pending.clear()
        self._error = FramingError(f"an event is larger than {self._limit} bytes")
        if not frames:
            raise self._error


def _frame(block: bytes) -> Frame | None:
    """One event's lines; None where they hold no data line."""
    event = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            event = value.removeprefix(b" ")
    return Frame(_name(event), b"\n".join(data)) if data else None


def _name(event: bytes) -> str | None:
    return _short_name(event) if len(event) < 64 else event.decode("utf-8", "replace")


@lru_cache(maxsize=256)
def _short_name(event: bytes) -> str | None:
    return intern(event.decode("utf-8", "replace")) or None


@lru_cache(maxsize=256)
def _opening(event: str | None) -> bytes:
    """What goes before an event's data. A line end in a name would forge a field, and is left out."""
    if event is None:
        return b"data: "
    name = event.replace("\r", "").replace("\n", "")
    return b"event: " + name.encode("utf-8", "replace") + b"\ndata: "


def _payload(data: bytes) -> bytes:
    """Several lines become several data lines, for else the rest would be lost."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")


def encode(out: Out) -> bytes:
    """`event: x`, `data: {json}` and the blank line."""
    return encode_all([out])


def encode_all(outs: list[Out]) -> bytes:
    """Every event, as one piece of bytes."""
    pieces: list[bytes] = []
    for out in outs:
        data = out.data
        if data.__class__ is not bytes:
            data = _encode_json(data)
        elif _LF in data or _CR in data:
            data = _payload(data)
        pieces += (b"data: " if out.event is None else _opening(out.event), data, b"\n\n")
    return b"".join(pieces)


def comment(text: str) -> bytes:
    """A heartbeat that every reader of SSE skips."""
    return b": %b\n\n" % text.replace("\r", " ").replace("\n", " ").encode()
