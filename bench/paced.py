"""The upstream of all streams: `python -m bench.paced PORT EVENTS GAP`. A process of its own, one worker, on uvloop.

The model's last name (bodies.py) says how an answer is sent, each event as an HTTP chunk of its own:
`burst` 60 texts in one write; `paced` 60 texts 5 ms apart; `first` one text, and 5 ms later the rest; `slow` EVENTS texts
GAP seconds apart. The texts of `paced`, `first` and `slow` tell when they were written (CLOCK_MONOTONIC).
Takes bodies with a Content-Length only.
"""

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from typing import Final, cast

import uvloop

from bench.bodies import CHUNKS, Dialect, stream_head, stream_tail, text_event

_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
_TYPES: Final[dict[Dialect, bytes]] = {
    "openai": b"text/event-stream",
    "anthropic": b"text/event-stream",
    "bedrock": b"application/vnd.amazon.eventstream",
}
_PATHS: Final[dict[bytes, Dialect]] = {b"/messages": "anthropic", b"/converse-stream": "bedrock", b"/chat/completions": "openai"}
_MODE: Final = re.compile(rb'-(paced|slow|first|burst)(?=["/])')
_READY: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_END: Final = b"0\r\n\r\n"


def _chunked(*events: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)


class _Script:
    """What one dialect sends."""

    def __init__(self, dialect: Dialect, slow_events: int, slow_gap: float) -> None:
        self._slow = (slow_events, slow_gap)
        self._head = _HEAD % _TYPES[dialect] + _chunked(*stream_head(dialect))
        self._text = text_event(dialect)
        self._tail = _chunked(*stream_tail(dialect)) + _END
        self._burst = self._head + _chunked(*(self._text(index, 0) for index in range(CHUNKS))) + self._tail

    def _now(self, index: int) -> bytes:
        return _chunked(self._text(index, time.monotonic_ns()))

    def _spaced(self, events: int, gap: float) -> Iterator[tuple[bytes, float | None]]:
        yield self._head + self._now(0), gap
        for index in range(1, events - 1):
            yield self._now(index), gap
        yield self._now(events - 1) + self._tail, None

    def _first(self) -> Iterator[tuple[bytes, float | None]]:
        yield self._head + self._now(0), 0.005
        yield b"".join(self._now(index) for index in range(1, CHUNKS)) + self._tail, None

    def play(self, mode: bytes) -> Iterator[tuple[bytes, float | None]]:
        """What to write, and the seconds to wait after it; None: that was all."""
        match mode:
            case b"paced":
                return self._spaced(CHUNKS, 0.005)
            case b"slow":
                return self._spaced(*self._slow)
            case b"first":
                return self._first()
            case _:
                return iter([(self._burst, None)])


class _Connection(asyncio.Protocol):
    def __init__(self, scripts: dict[Dialect, _Script], loop: asyncio.AbstractEventLoop) -> None:
        self._scripts = scripts
        self._loop = loop
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or self._transport is None:
            return
        _, named, length = head.lower().partition(b"content-length:")
        size = int(length.partition(b"\r\n")[0]) if named else 0
        if len(rest) < size:
            return
        self._buffer = rest[size:]
        if head.startswith(b"GET "):
            self._transport.write(_READY)
        else:
            line = head.partition(b"\r\n")[0]
            dialect: Dialect = next(dialect for path, dialect in _PATHS.items() if path in line)
            mode = _MODE.search(line if dialect == "bedrock" else rest)  # there the path has the model
            self._send(self._scripts[dialect].play(mode[1] if mode else b"burst"))

    def _send(self, script: Iterator[tuple[bytes, float | None]]) -> None:
        if self._transport is None:
            return
        data, gap = next(script)
        self._transport.write(data)
        if gap is not None:
            self._timer = self._loop.call_later(gap, self._send, script)


async def _serve(port: int, events: int, gap: float) -> None:
    loop = asyncio.get_running_loop()
    dialects: tuple[Dialect, ...] = ("openai", "anthropic", "bedrock")
    scripts: dict[Dialect, _Script] = {dialect: _Script(dialect, events, gap) for dialect in dialects}
    server = await loop.create_server(lambda: _Connection(scripts, loop), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
