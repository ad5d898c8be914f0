"""A bound on requests under way, a bounded queue behind it, and an honest 503 past both."""

import asyncio
from collections import deque

from interlingua.errors import DeadlinePassed, Overloaded
from interlingua.metrics import Metrics


class Admission:
    """`limit` requests at once, `queue` waiting. Enter, and leave exactly once for every enter that returned. `metrics` has a
    gauge of how many are inside."""

    def __init__(self, limit: int, queue: int, metrics: Metrics | None = None) -> None:
        self._limit = limit
        self._queue = queue
        self._slots, self._gauge = ([0.0], 0) if metrics is None else (metrics.slots, metrics.under_way)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.inside = 0

    def resize(self, limit: int, queue: int) -> None:
        """Other limits from now on: whoever waits and finds room enters, and nobody is sent away."""
        self._limit, self._queue = limit, queue
        while self._waiting and self.inside < limit:
            self.inside += 1
            self._slots[self._gauge] += 1.0
            self.leave()

    def admit(self) -> bool:
        """Enters at once where there is room."""
        if self.inside >= self._limit:
            return False
        self.inside += 1
        self._slots[self._gauge] += 1.0
        return True

    async def enter(self, deadline: float) -> None:
        """Raises Overloaded where the queue is full, DeadlinePassed where the turn has not come by `deadline` (loop.time())."""
        if self.admit():
            return
        if len(self._waiting) >= self._queue:
            raise Overloaded("The gateway is at its limit of requests. Try again shortly.", retry_after=1, code="overloaded")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn  # the place is handed over: `inside` stays as it is
        except (asyncio.CancelledError, TimeoutError) as left:
            if turn.done() and not turn.cancelled():
                self.leave()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(left, TimeoutError):
                raise DeadlinePassed("The request's deadline passed while it waited for its turn.") from None
            raise

    def leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.inside -= 1
        self._slots[self._gauge] -= 1.0
