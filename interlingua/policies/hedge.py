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
from interlingua.health import Board, Health, cause_of
from interlingua.metrics import HEDGES, Metrics
from interlingua.pipeline import Answer, Call, Handler
from interlingua.policies.strategies import Candidate

FAILED: Final = (UpstreamError, RateLimited)  # what another attempt may mend
_FINEST: Final = 0.005  # seconds between two looks
_log: Final = logging.getLogger("interlingua")

Timer = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


class Asking(Protocol):
    """Whoever makes the attempts."""

    async def once(self, call: Call, next: Handler, candidate: Candidate) -> Answer: ...

    def second(self, call: Call, first: Candidate) -> Candidate | None: ...


class Hedge:
    """`setting`: "p95", or a duration. `later` is for tests; None: the loop's own."""

    def __init__(self, setting: str, board: Board, metrics: Metrics, later: Timer | None = None) -> None:
        self._fixed = None if setting == "p95" else duration(setting)
        self.clock = board.clock
        self.metrics = metrics
        self._later = later
        self._waiting: dict[_Race, float] = {}  # when each is late
        self._rings = inf  # when the timer does; inf: there is none
        self._timer: asyncio.TimerHandle | None = None

    def delay(self, health: Health, stream: bool) -> float | None:
        """Seconds after which an answer is late; None before enough have been seen to tell."""
        return self._fixed if self._fixed is not None else (health.streamed if stream else health.whole).p95()

    async def race(self, call: Call, next: Handler, first: Candidate, delay: float, asking: Asking) -> Answer:
        """The faster answer; the call is told whose it was. Raises the first's error where neither has one."""
        race = _Race(self, call, next, first, asking)
        self._waiting[race] = late = race.began + delay
        if late < self._rings:
            self._set(delay)
        try:
            answer = await asking.once(call, next, first)
        except asyncio.CancelledError:
            if not race.has_won():
                await race.stop()
                raise
            return race.adopted("slower")
        except FAILED as error:
            self._waiting.pop(race, None)
            if race.task is None or not await race.outcome():
                raise
            return race.adopted(cause_of(error.failure) or str(error.failure.status))
        except BaseException:
            await race.stop()
            raise
        finally:
            self._waiting.pop(race, None)
        if race.task is not None:
            await race.stop()
        return answer

    def _set(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = self.clock() + seconds
        later = self._later or asyncio.get_running_loop().call_later
        self._timer = later(seconds, self._ring)

    def _ring(self) -> None:
        """Seconds are asked for those that are late; the timer is set for the next."""
        now, soonest = self.clock(), inf
        self._timer, self._rings = None, inf
        for race, late in tuple(self._waiting.items()):
            if late <= now:
                del self._waiting[race]
                race.start()
            elif late < soonest:
                soonest = late
        if soonest < inf:
            self._set(max(soonest - now, _FINEST))


class _Race:
    """Nearly every one ends before its second begins: what only a second needs is the class's own until then."""

    _over = _waiting = False
    _cancelling = 0
    _answer: Answer | None = None  # of the second, once it has won
    _second: Candidate | None = None
    _other: Call | None = None
    task: asyncio.Task[None] | None = None

    def __init__(self, hedge: Hedge, call: Call, next: Handler, first: Candidate, asking: Asking) -> None:
        self._hedge, self._call, self._next, self._first, self._asking = hedge, call, next, first, asking
        self._asked = call.request
        self.began = hedge.clock()
        self._main = asyncio.current_task()

    def start(self) -> None:
        """The first is late."""
        now = self._hedge.clock()
        second = self._second = self._asking.second(self._call, self._first)
        if self._over or second is None or not second.health.station.can_spend(now):
            return
        second.health.station.spend()
        self._cancelling = self._main.cancelling() if self._main is not None else 0
        other = self._other = self._call.attempt(second.decision)
        other.request = self._asked
        self._call.attempts += 1
        self.task = asyncio.get_running_loop().create_task(self._run(other, second))

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
        if not self._waiting and self._main is not None:
            self._main.cancel()

    def has_won(self) -> bool:
        """Whether it was the second that cancelled the first, and nobody else besides."""
        return self._answer is not None and self._main is not None and self._main.uncancel() <= self._cancelling

    async def outcome(self) -> bool:
        """Waits for the second, once the first has failed. Returns whether it has an answer."""
        assert self.task is not None
        self._waiting = True
        try:
            await asyncio.wait((self.task,))
        except asyncio.CancelledError:
            await self.stop()
            raise
        return self._answer is not None

    def adopted(self, why: str) -> Answer:
        """The second's answer, as the call's."""
        call, other, answer, second = self._call, self._other, self._answer, self._second
        assert other is not None and answer is not None and second is not None
        self._over = True
        if why == "slower":  # how slow it would have been we shall not know: so slow at least
            now = self._hedge.clock()
            self._first.health.pace(self._asked.stream).add(now - self.began, now)
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
        elif self.task is not None and self._second is not None and not self.task.done():
            self.task.cancel()
            self._tell(self._second, "lost", "slower")

    def _tell(self, second: Candidate, outcome: str, why: str = "") -> None:
        decision = second.decision
        self._hedge.metrics.count(HEDGES, (decision.backend, decision.model, outcome))
        if why:
            self._call.tried.append(f"{decision.backend}/{decision.model};{why}")
