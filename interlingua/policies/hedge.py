"""A second request when the first is slow: the first good token wins, an error never does, the loser ends at once.

The first attempt runs in the request's own task, so that a request that is answered in time costs no task; one timer looks
after all that are waited for. A second that wins stops the first the way asyncio.timeout stops a block: it cancels the task
and takes the cancellation back.
"""

import asyncio
import logging
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from interlingua.config.values import duration
from interlingua.errors import GatewayError, RateLimited, UpstreamError
from interlingua.health import Board, cause_of
from interlingua.metrics import HEDGES, Metrics
from interlingua.pipeline import Answer, Call, Handler
from interlingua.policies.strategies import Candidate

FAILED: Final = (UpstreamError, RateLimited)  # what another attempt may mend
_FINEST: Final = 0.005  # seconds between two looks, at least
_COARSEST: Final = 0.1  # and at most, where delays are not known beforehand
_log: Final = logging.getLogger("interlingua")

Timer = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


class Asking(Protocol):
    """Whoever makes the attempts."""

    async def once(self, call: Call, next: Handler, candidate: Candidate) -> Answer: ...

    def second(self, call: Call, first: Candidate) -> Candidate | None: ...


class Hedge:
    """`setting`: "p95", or a duration. `later` is for tests; None: the loop's own. Who makes the attempts puts those that begin
    into `waiting`, sees to it that somebody looks after them (`wake`), and takes them out once they have an answer."""

    def __init__(self, setting: str, board: Board, metrics: Metrics, later: Timer | None = None) -> None:
        self._fixed = None if setting == "p95" else duration(setting)
        self._pause = _COARSEST if self._fixed is None else self._fixed  # seconds until somebody who begins now may be late
        self.clock = board.clock
        self.metrics = metrics
        self._later = later
        self._through: tuple[Asking, Handler] | None = None  # who makes all the attempts, and through what
        self.waiting: dict[Call, Candidate] = {}  # those that are in time, and whom they ask
        self._races: dict[Call, _Race] = {}
        self.asleep = True  # no timer is set

    def wake(self, call: Call, asking: Asking, next: Handler) -> None:
        """Looks after those that wait: this one, and who comes while it does."""
        self._through = asking, next
        self._set(min(self._pause, self._delay(self.waiting[call], call.asked.stream)))

    async def instead(self, call: Call, error: BaseException) -> Answer:
        """The second's answer, where the first has ended with an error. Raises that error where there is none."""
        self.waiting.pop(call, None)
        race = self._races.pop(call, None)
        if race is None:
            raise error
        return await race.without_first(error)

    async def stop(self, call: Call) -> None:
        """The first has its answer, and was late: the second ends at once, where there is one."""
        race = self._races.pop(call, None)
        if race is not None:
            await race.stop()

    def _set(self, seconds: float) -> None:
        self.asleep = False
        later = self._later or asyncio.get_running_loop().call_later
        later(max(seconds, _FINEST), self._ring)

    def _delay(self, candidate: Candidate, stream: bool) -> float:
        """Seconds after which one is late; inf: too few have been seen to tell."""
        if self._fixed is not None:
            return self._fixed
        p95 = candidate.health.pace(stream).p95
        return inf if p95 is None else p95

    def _ring(self) -> None:
        """Seconds are asked for those that are late; the timer is set for the next, and for who may come before them."""
        self.asleep = True  # whatever happens here, the next that begins is looked after
        now, next_, shortest = self.clock(), inf, inf
        for call, first in tuple(self.waiting.items()):
            delay = self._delay(first, call.asked.stream)
            left = call.began + delay - now
            shortest = min(shortest, delay)
            if left > 0.0:
                next_ = min(next_, left)
                continue
            del self.waiting[call]
            assert self._through is not None
            race = _Race(self, *self._through, call, first)
            if race.start():
                self._races[call] = race
        if self._fixed is None:
            self._pause = max(min(shortest, 2 * self._pause, _COARSEST), _FINEST)
        if self.waiting:
            self._set(min(next_, self._pause))


class _Race:
    """A first attempt that is late, and the second."""

    def __init__(self, hedge: Hedge, asking: Asking, next: Handler, call: Call, first: Candidate) -> None:
        self._hedge, self._asking, self._next = hedge, asking, next
        self._call, self._first, self._began = call, first, call.began
        main = call.task
        assert main is not None
        self._main, self._cancelling = main, main.cancelling()
        self._over = self._waiting = False
        self._answer: Answer | None = None  # of the second, once it has won
        self._second: Candidate | None = None
        self._other: Call | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> bool:
        """Asks the second, where there is one, and a retry left for it."""
        now = self._hedge.clock()
        second = self._second = self._asking.second(self._call, self._first)
        if second is None or not second.health.station.can_spend(now):
            return False
        second.health.station.spend()
        other = self._other = self._call.attempt(second.decision)
        other.request = self._call.asked
        self._call.attempts += 1
        self._task = asyncio.get_running_loop().create_task(self._run(other, second))
        return True

    async def _run(self, other: Call, second: Candidate) -> None:
        try:
            answer = await self._asking.once(other, self._next, second)
        except GatewayError as error:
            self._tell(second, "failed", cause_of(error.failure) or str(error.failure.status))
            return
        except Exception as error:
            _log.error("%s failed in its second attempt: %s", other.id, type(error).__name__, exc_info=error)
            return
        if self._over:
            other.end()
            return await answer.close()
        self._answer = answer
        if not self._waiting:
            self._main.cancel()

    async def without_first(self, error: BaseException) -> Answer:
        """What follows when the first has ended with an error: the second's answer, or else that error."""
        if isinstance(error, asyncio.CancelledError):
            if self._has_won():
                return self._adopted("slower")
        elif isinstance(error, FAILED) and await self._has_outcome():
            return self._adopted(cause_of(error.failure) or str(error.failure.status))
        await self.stop()
        raise error

    def _has_won(self) -> bool:
        """Whether it was the second that cancelled the first, and nobody else besides."""
        return self._answer is not None and self._main.uncancel() <= self._cancelling

    async def _has_outcome(self) -> bool:
        """Waits for the second, once the first has failed. Returns whether it has an answer."""
        assert self._task is not None
        self._waiting = True
        try:
            await asyncio.wait((self._task,))
        except asyncio.CancelledError:
            await self.stop()
            raise
        return self._answer is not None

    def _adopted(self, why: str) -> Answer:
        """The second's answer, as the call's."""
        call, other, answer, second = self._call, self._other, self._answer, self._second
        assert other is not None and answer is not None and second is not None
        self._over = True
        if why == "slower":  # how slow it would have been we shall not know: so slow at least
            now = self._hedge.clock()
            self._first.health.pace(self._call.asked.stream).add(now - self._began, now)
        decision = self._first.decision
        call.tried.append(f"{decision.backend}/{decision.model};{why}")
        call.decision, call.losses, call.request, call.serving = other.decision, other.losses, other.request, other.serving
        self._tell(second, "won")
        return answer

    async def stop(self) -> None:
        """The second is not wanted any more."""
        self._over = True
        if self._answer is not None and self._other is not None:
            self._other.end()
            await self._answer.close()
        elif self._task is not None and self._second is not None and not self._task.done():
            self._task.cancel()
            self._tell(self._second, "lost", "slower")

    def _tell(self, second: Candidate, outcome: str, why: str = "") -> None:
        decision = second.decision
        self._hedge.metrics.count(HEDGES, (decision.backend, decision.model, outcome))
        if why:
            self._call.tried.append(f"{decision.backend}/{decision.model};{why}")
