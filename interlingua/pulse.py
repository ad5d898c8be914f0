"""Signs of life for clients that wait: in a quiet stream, and ahead of a whole answer. One timer for all of them.

What is sent must be nothing to the client's SDK. A stream's is its protocol's (server.py); a whole answer is JSON, which may
begin with blanks: RFC 8259, 2. The first one sends the head, so what goes wrong afterwards can be told in the body alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol


class Beating(Protocol):
    """Somebody who waits. `quiet`: seconds since the last byte, as the pulse counts them."""

    quiet: float

    def beat(self) -> None:
        """Called once it has been quiet for as long as it was added with."""
        ...


class Pulse:
    """`stream`, `whole`: seconds without a byte, then a heartbeat, for either kind. 0: off."""

    def __init__(self, stream: float, whole: float) -> None:
        self.stream, self.whole = stream, whole
        self._tick = min((1.0, *(interval / 4 for interval in (stream, whole) if interval)))
        self._waiting: dict[Beating, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, waiting: Beating, interval: float) -> None:
        self._waiting[waiting] = interval
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep)

    def discard(self, waiting: Beating) -> None:
        self._waiting.pop(waiting, None)

    def _sweep(self) -> None:
        for waiting, interval in self._waiting.items():
            waiting.quiet += self._tick
            if waiting.quiet >= interval:
                waiting.beat()
        self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep) if self._waiting else None


class Waiting:
    """A client that waits for a whole answer. `send` writes a piece of it, the first with the head."""

    def __init__(self, pulse: Pulse, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._pulse = pulse
        self._send = send
        self._beating: asyncio.Task[None] | None = None
        self.quiet = 0.0
        pulse.add(self, pulse.whole)

    def beat(self) -> None:
        self.quiet = 0.0
        if self._beating is None:
            self._beating = asyncio.get_running_loop().create_task(self._beat_once())

    async def _beat_once(self) -> None:
        try:
            await self._send(b" ")
        finally:
            self._beating = None

    async def hush(self) -> None:
        """No heartbeat from here on."""
        self._pulse.discard(self)
        if self._beating is not None:
            await self._beating
