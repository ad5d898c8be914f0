"""The load: wrk for a given time, or our own clients for a given number of requests, reading every text of every stream."""

import asyncio
import json
import os
import re
import subprocess
import time
from pathlib import Path
from statistics import quantiles
from typing import Final, cast

import httptools
import uvloop
from msgspec import Struct

from bench.process import LOAD_CORE, pin

_MARK: Final = re.compile(rb"tok@(\d+):(\d+);")
_POST_LUA: Final = Path(__file__).with_name("post.lua")


class Load(Struct):
    """What one run of load saw. `errors`: requests that were not answered with 200 and the whole of the answer."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int


class Streams(Struct):
    """What every stream of a run told. `texts` came in their turn, `wrong` are missing, doubled or out of order.

    Milliseconds; `late` of each text over the time the upstream wrote it."""

    first_ms: list[float] = []
    late_ms: list[float] = []
    texts: int = 0
    wrong: int = 0


def percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else sum(values)


def wrk(port: int, path: str, body: Path, seconds: int, connections: int) -> Load:
    """As many requests as fit in `seconds` whole seconds, over keep-alive connections."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(_POST_LUA)]
    done = subprocess.run(
        [*argv, f"http://127.0.0.1:{port}{path}"],
        env=os.environ | {"BENCH_BODY": str(body)},
        capture_output=True,
        check=True,
        timeout=seconds + 40,
        preexec_fn=pin(LOAD_CORE),
    )
    return Load(**json.loads(done.stdout.splitlines()[-1]))


class _Client(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    def __init__(self, expected: int, streams: Streams) -> None:
        self._expected = expected  # texts in each answer
        self._streams = streams
        self._next = 0
        self._wrong = 0
        self._line = b""
        self._sent = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(whole=False)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        if not self._expected:
            return
        now = time.monotonic_ns()
        lines = (self._line + data).split(b"\n")
        self._line = lines.pop()
        for line in lines:
            marks = _MARK.findall(line)
            if len(marks) == 1:  # more are no text of the stream, but all of them told again at its end
                self._text(int(marks[0][0]), int(marks[0][1]), now)

    def _text(self, index: int, written: int, now: int) -> None:
        if index == 0:
            self._streams.first_ms.append((time.perf_counter() - self._sent) * 1e3)
        if index == self._next:
            self._streams.texts += 1
        else:
            self._wrong += 1
        self._next = index + 1
        if written:
            self._streams.late_ms.append((now - written) / 1e6)

    def on_message_complete(self) -> None:
        self._wrong += abs(self._expected - self._next)
        self._streams.wrong += self._wrong
        self._finish(whole=self._parser.get_status_code() == 200 and not self._wrong)

    def _finish(self, whole: bool) -> None:
        if self._done and not self._done.done():
            self._done.set_result(whole)

    async def ask(self, request: bytes) -> tuple[float, bool]:
        """Sends `request`; returns the milliseconds until its answer was whole, and whether it was right."""
        self._next, self._wrong, self._line = 0, 0, b""
        self._parser = httptools.HttpResponseParser(self)
        self._done = asyncio.get_running_loop().create_future()
        self._sent = time.perf_counter()
        if self._transport is None or self._transport.is_closing():
            return 0.0, False
        self._transport.write(request)
        whole = await self._done
        return (time.perf_counter() - self._sent) * 1e3, whole

    def close(self) -> None:
        if self._transport:
            self._transport.close()


def _wire(port: int, path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Authorization: Bearer bench-key\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _connection(
    port: int, request: bytes, share: int, delay: float, expected: int, streams: Streams
) -> list[tuple[float, bool]]:
    await asyncio.sleep(delay)
    try:
        _, client = await asyncio.get_running_loop().create_connection(lambda: _Client(expected, streams), "127.0.0.1", port)
    except OSError:
        return [(0.0, False)] * share
    try:
        return [await client.ask(request) for _ in range(share)]
    finally:
        client.close()


async def _all(port: int, path: str, body: bytes, share: int, connections: int, texts: int, ramp: float) -> tuple[Load, Streams]:
    streams, request = Streams(), _wire(port, path, body)
    born = time.perf_counter()
    async with asyncio.timeout(120):
        runs = await asyncio.gather(
            *(_connection(port, request, share, ramp * i / connections, texts, streams) for i in range(connections))
        )
    seconds = time.perf_counter() - born
    answers = [answer for run in runs for answer in run]
    times = [ms for ms, whole in answers if whole]
    errors = len(answers) - len(times)
    return Load(len(answers), seconds, percentile(times, 50), percentile(times, 99), errors), streams


def clients(
    port: int, path: str, body: bytes, share: int, connections: int, texts: int = 0, ramp: float = 0.0
) -> tuple[Load, Streams]:
    """`connections` clients at once, `share` requests each, the clients starting evenly over `ramp` seconds.

    texts: how many each answer has to bring, in order; 0: it is no stream."""
    return uvloop.run(_all(port, path, body, share, connections, texts, ramp))
