"""AWS binary event streams (application/vnd.amazon.eventstream). Bytes in, frames out; no byte is believed unchecked.

A message is `total length, headers length, CRC of these eight bytes, headers, payload, CRC of all before it`, numbers
big-endian. Its `:message-type` says what it is: an `event` gives Frame(event type, payload), an `exception` gives
Frame("exception:" + its type, payload), and an `error`, which has no payload, Frame("error:" + its code, a JSON object with
its message). A stream's messages differ mostly in their payload alone: what a prelude or headers say is remembered by their
bytes. Source: the format's page in the Amazon Transcribe developer guide; botocore.eventstream reads the same.
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct as Layout
from struct import error as StructError
from typing import Final
from zlib import crc32

import msgspec

from interlingua.errors import FramingError
from interlingua.framing import Frame, Out

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
EXCEPTION: Final = "exception:"  # before the type of what went wrong, in Frame.event and Out.event
ERROR: Final = "error:"
MIB: Final = 1024 * 1024

_PRELUDE: Final = 12  # bytes: two lengths and their CRC
_THREE: Final = Layout(">III")
_U32: Final = Layout(">I")
_U16: Final = Layout(">H")
_LEAST: Final = 16  # bytes of a message with neither headers nor payload
_MAX_HEADERS: Final = 128 * 1024
# A header value's type -> its size: fixed, or None where two bytes of length stand before it.
_SIZES: Final[dict[int, int | None]] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: None, 7: None, 8: 8, 9: 16}
_TEXT: Final = 7
_KIND, _EVENT, _EXCEPTION, _CODE, _MESSAGE = ":message-type", ":event-type", ":exception-type", ":error-code", ":error-message"

# (length, the prelude's own CRC, from which that of the whole goes on, what cuts headers, payload and CRC out of the bytes).
Shape = tuple[int, int, Callable[[bytes, int], tuple[bytes, bytes, int]]]
Meaning = tuple[str, bytes | None]  # (event, payload where the headers themselves are it)

_encode_json = msgspec.json.Encoder().encode


class Decoder:
    """One stream of messages. The frames are the same however the bytes are cut.

    `limit`: bytes of one message. What is too large, damaged or malformed raises FramingError: frames before it are given
    first, so the error may come one call later; after it every call raises.
    """

    __slots__ = ("_error", "_limit", "_need", "_pending")

    def __init__(self, limit: int = 16 * MIB) -> None:
        self._limit = limit
        self._pending = bytearray()  # the message under way
        self._need = 0  # bytes of it, before which there is nothing to look at
        self._error: FramingError | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames these bytes complete."""
        if self._error is not None:
            raise self._error
        data = chunk
        if pending := self._pending:
            pending += chunk
            if len(pending) < self._need:
                return []
            data = bytes(pending)
        frames: list[Frame] = []
        start, end, need = 0, len(data), _PRELUDE
        prelude, (size, checked, cut), headers, (event, told) = _NOTHING  # of the message before: most are like it
        try:
            while end - start >= _PRELUDE:
                if (begins := data[start : start + _PRELUDE]) != prelude:
                    prelude, (size, checked, cut) = begins, _shape(begins)
                if (need := size) > self._limit:
                    raise FramingError(f"a message is larger than {self._limit} bytes")
                if end - start < need:
                    break
                said, payload, crc = cut(data, start)
                if crc32(payload, crc32(said, checked)) != crc:
                    raise FramingError("a message is damaged")
                if said != headers:
                    headers, (event, told) = said, _meaning(said)
                frames.append(Frame(event, payload if told is None else told))
                start, need = start + need, _PRELUDE
        except FramingError as error:
            self._error = error
            pending.clear()
            if not frames:
                raise
            return frames
        self._pending, self._need = bytearray(data[start:]), need
        return frames

    def close(self) -> list[Frame]:
        """The bytes ended. Raises FramingError where a message had begun."""
        if self._error is None and self._pending:
            self._error = FramingError("the stream ended within a message")
        if self._error is not None:
            raise self._error
        return []


@lru_cache(maxsize=1024)
def _shape(prelude: bytes) -> Shape:
    """The shape of a message that begins so. They repeat, so it is kept."""
    total, headers, crc = _THREE.unpack(prelude)
    if crc32(prelude[:8]) != crc:
        raise FramingError("a message's prelude is damaged")
    if total < _LEAST or headers > total - _LEAST or headers > _MAX_HEADERS:
        raise FramingError("a message's lengths contradict each other")
    return total, crc32(prelude), Layout(f">{_PRELUDE}x{headers}s{total - headers - _LEAST}sI").unpack_from


@lru_cache(maxsize=256)
def _meaning(raw: bytes) -> Meaning:
    """What a message with these headers is. They repeat, so it is kept."""
    headers = _headers(raw)
    match headers.get(_KIND):
        case "event" if _EVENT in headers:
            return headers[_EVENT], None
        case "exception" if _EXCEPTION in headers:
            return EXCEPTION + headers[_EXCEPTION], None
        case "error" if _CODE in headers:
            return ERROR + headers[_CODE], _encode_json({"message": headers.get(_MESSAGE, "")})
        case _:
            raise FramingError("a message does not say what it is")


def _headers(raw: bytes) -> dict[str, str]:
    """The headers whose values are strings."""
    out: dict[str, str] = {}
    place = 0
    try:
        while place < len(raw):
            name, place = _slice(raw, place + 1, raw[place])
            kind = raw[place]
            size = _SIZES[kind]
            place += 1
            if size is None:
                size = _U16.unpack_from(raw, place)[0]
                place += 2
            value, place = _slice(raw, place, size)
            if kind == _TEXT:
                out[name.decode()] = value.decode()
    except (IndexError, KeyError, StructError, UnicodeDecodeError):
        raise FramingError("a message's headers are malformed") from None
    return out


def _slice(raw: bytes, start: int, size: int) -> tuple[bytes, int]:
    end = start + size
    if end > len(raw):
        raise IndexError
    return raw[start:end], end


def encode(out: Out) -> bytes:
    """One message. An `event` that begins with "exception:" becomes an exception, any other an event of that type."""
    data = out.data
    payload: bytes = data if isinstance(data, bytes) else _encode_json(data)
    headers = _head(out.event or "")
    start = _U32.pack(_LEAST + len(headers) + len(payload)) + _U32.pack(len(headers))
    body = b"%b%b%b%b" % (start, _U32.pack(crc32(start)), headers, payload)
    return body + _U32.pack(crc32(body))


def encode_all(outs: list[Out]) -> bytes:
    """Every message, as one piece of bytes."""
    return b"".join([encode(out) for out in outs])


@lru_cache(maxsize=256)
def _head(event: str) -> bytes:
    failed = event.startswith(EXCEPTION)
    kind = (_EXCEPTION, event.removeprefix(EXCEPTION)) if failed else (_EVENT, event)
    rows = (kind, (":content-type", "application/json"), (_KIND, "exception" if failed else "event"))
    return b"".join(_header(name, value) for name, value in rows)


def _header(name: str, value: str) -> bytes:
    name_, value_ = name.encode(), value.encode("utf-8", "replace")[:0x7FFF]
    return b"%c%b%c%b%b" % (len(name_), name_, _TEXT, _U16.pack(len(value_)), value_)


_EMPTY: Final = _U32.pack(_LEAST) + _U32.pack(0) + _U32.pack(crc32(_U32.pack(_LEAST) + _U32.pack(0)))
_NOTHING: Final[tuple[bytes, Shape, bytes | None, Meaning]] = _EMPTY, _shape(_EMPTY), None, ("", None)  # before the first

# AWS has no such event, and its SDKs leave out events they do not know.
HEARTBEAT: Final = encode(Out({}, "heartbeat"))
