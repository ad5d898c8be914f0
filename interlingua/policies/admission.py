"""A bound on requests under way, a bounded queue behind it, and an honest 503 past both."""

import asyncio
from collections import deque

from interlingua.errors import Overloaded


class Admission:
    """`limit` requests at once, `queue` waiting. Enter, and leave exactly once for every enter that returned."""

    def __init__(self, limit: int, queue: int) -> None:
        self._limit = limit
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.inside = 0

    def admit(self) -> bool:
        """Enters at once where there is room."""
        if self.inside >= self._limit:
            return False
        self.inside += 1
        return True

    async def enter(self) -> None:
        """Raises Overloaded where the queue is full."""
        if self.admit():
            return
        if len(self._waiting) >= self._queue:
            raise Overloaded("The gateway is at its limit of requests. Try again shortly.", retry_after=1, code="overloaded")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn  # the place is handed over: `inside` stays as it is
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.inside -= 1
