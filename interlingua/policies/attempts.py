"""Whom a request goes to, and whom next when that fails: the plan's candidates, one attempt at a time.

A candidate is asked while it is well: its breaker closed, a key of its own free. Within a tier the strategy chooses; a tier
comes when those before it have nobody left. An attempt that fails for one of `routing.retry_on` is followed by another
candidate at once; by the same one only when there is no other, after a wait that grows, within its retry budget and no
sooner than it asked for. One who cannot carry the request is passed over. A failure of any other kind is the client's to know,
at once.

Nothing of an attempt may have been told to the client: a stream is looked at up to its first content, and once that has gone
out it is never tried again. Each attempt gets the request as it came; whoever is inside of this policy may change its copy.
"""

import asyncio
import random
from asyncio import current_task
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from msgspec.structs import replace

from interlingua.config import PATIENCE, Routing
from interlingua.errors import GatewayError, InvalidRequest, Overloaded, ProviderFailure, RateLimited, Unsupported, UpstreamError
from interlingua.health import Board, Cause, Health, cause_of
from interlingua.ir import AnyEvent, ChoiceEnd, Failure, Finish, Response
from interlingua.metrics import FALLBACKS, RETRIES, Metrics
from interlingua.pipeline import Answer, Call, Handler, is_content
from interlingua.policies.hedge import FAILED, Hedge
from interlingua.policies.sticky import CACHED, Conversations, Name
from interlingua.policies.strategies import Candidate, Cost, Strategy, settled, strategy_of
from interlingua.routing import Decision, Plan

_LONGEST: Final = 8.0  # seconds that waits grow to, where the first is not longer itself
_ONCE: Final = frozenset(("context_window", "content_filter"))  # would be the same again
_TOLD: Final = 8  # attempts told of to a client
_PLANS: Final = 4096  # whose candidates are remembered

# Of several failures the most telling is told: what a client can mend, then what is over soon
_TELLING: Final[dict[Cause | None, int]] = {
    "context_window": 5,
    "content_filter": 4,
    "429": 3,
    "5xx": 2,
    "timeout": 1,
    "connect": 0,
    None: -1,
}


class Field:
    """A plan's candidates. `ranks`: those that the strategy chooses among, the foremost first: a tier, or where not the order
    itself is the strategy, those of a tier with one `priority`; the weak come after all others of their tier. `shared`:
    whether the pool has more than one. `foremost`: the first rank, of which `choose` chooses; None: its `first` is the one."""

    __slots__ = ("_plan", "at", "choose", "first", "foremost", "ranks", "shared")

    def __init__(self, plan: Plan, board: Board, in_order: bool, strategy: Strategy) -> None:
        self._plan = plan  # lives as long as we do, so that its id stays its own
        self.ranks: list[list[Candidate]] = []
        for number, tier in enumerate(plan.tiers):
            told = tier if not number else [replace(one, route="fallback") for one in tier]
            candidates = [Candidate(decision, board.of(decision), number) for decision in told]
            ranked = [(0, 0) if in_order else (one.decision.weak, one.health.station.priority) for one in candidates]
            for rank in sorted(set(ranked)):
                self.ranks.append([one for one, its in zip(candidates, ranked, strict=True) if its == rank])
        self.at = {_at(one.decision): one for rank in reversed(self.ranks) for one in rank}
        self.shared = len(plan.tiers[0]) > 1
        self.foremost = self.ranks[0]
        self.first = self.foremost[0]
        self.choose = None if in_order or len(self.foremost) == 1 else settled(strategy, self.foremost)


class Trail:
    """What one request has been through."""

    __slots__ = ("again", "failures", "waited")

    def __init__(self) -> None:
        self.failures: list[tuple[Candidate, Failure, Cause | None]] = []
        self.again: dict[tuple[str, str], float] = {}  # when each that failed may be asked again; inf: never
        self.waited = 0.0

    def verdict(self) -> UpstreamError:
        """The failure the client is told: the most telling, of several like it the last."""
        _, failure, _ = max(reversed(self.failures), key=lambda failed: _TELLING[failed[2]])
        if len(self.failures) == 1:
            return ProviderFailure(failure)
        tried = ", ".join(f"{one.decision.backend} {cause or failed.status}" for one, failed, cause in self.failures[:_TOLD])
        return ProviderFailure(replace(failure, message=f"{failure.message} (tried {len(self.failures)} times: {tried})"))


class Attempts:
    """`hedge` None: one attempt at a time. `sleep` and `draw`, which gives numbers from 0 to 1, are for tests."""

    def __init__(
        self,
        routing: Routing,
        board: Board,
        metrics: Metrics,
        conversations: Conversations,
        hedge: Hedge | None = None,
        cost: Cost = lambda decision: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._most, self._first_wait = routing.attempts, routing.backoff
        self._retried = frozenset(routing.retry_on)
        self._filters = "content_filter" in self._retried
        self._in_order = routing.strategy == "priority"
        self._strategy = strategy_of(routing.strategy, cost, draw)
        self._board, self._clock = board, board.clock
        self._metrics = metrics
        self._conversations = conversations
        self._hedge = hedge if self._most > 1 else None
        self._sleep, self._draw = sleep, draw
        self._fields: dict[int, Field] = {}

    async def __call__(self, call: Call, next: Handler) -> Answer:
        """Raises what the attempt that failed raised; Overloaded where nobody can be asked."""
        assert call.plan is not None
        clock = self._clock
        asked = call.asked = call.request
        now, name, candidate = clock(), None, None
        field = self._fields.get(id(call.plan)) or self._field(call.plan)
        if call.size >= CACHED and field.shared and (not self._in_order or self._conversations):
            name = self._conversations.name(call)
            candidate = self._known(field, name, now)
        if candidate is None:
            choose = field.choose
            candidate = field.first if choose is None else choose(field.foremost, now, asked.stream)
            if not candidate.health.ready(now):  # nearly always it is
                candidate = await self._chosen(call, field, Trail())
        try:
            answer = await self.once(call, next, candidate, self._hedge)
        except (*FAILED, Unsupported) as error:
            candidate, answer = await self._more(call, next, candidate, error, Trail())
            if field.shared and call.size >= CACHED:
                name = self._conversations.name(call)
        if name is not None and not candidate.tier:
            self._conversations.served(name, candidate.decision, asked, clock())
        return answer

    def _field(self, plan: Plan) -> Field:
        """Plans are shared by all requests like the first: so is what is known of their candidates."""
        field = self._fields.get(id(plan))
        if field is None:
            if len(self._fields) >= _PLANS:
                self._fields.clear()
            field = self._fields[id(plan)] = Field(plan, self._board, self._in_order, self._strategy)
        return field

    async def _more(
        self, call: Call, next: Handler, candidate: Candidate, error: GatewayError, trail: Trail
    ) -> tuple[Candidate, Answer]:
        """What follows a failure. The request is as it came whenever a candidate is chosen."""
        assert call.plan is not None
        field = self._field(call.plan)
        while True:
            cause = self._note(call, candidate, error.failure, trail)
            if isinstance(error, Unsupported):
                call.attempts -= 1  # nothing was sent
            if call.attempts >= self._most or not (cause in self._retried or isinstance(error, InvalidRequest)):
                raise self._final(trail, error) from None
            failed = candidate.decision
            call.request = call.asked
            candidate = await self._chosen(call, field, trail)
            self._metrics.count(RETRIES, (failed.backend, failed.model, cause or error.failure.kind))
            try:
                answer = await self.once(call, next, candidate, self._hedge if call.attempts + 1 < self._most else None)
            except (*FAILED, InvalidRequest) as another:  # one who cannot carry the request hides no other's failure
                error = another
                continue
            return candidate, answer

    # One attempt

    async def once(self, call: Call, next: Handler, candidate: Candidate, hedge: Hedge | None = None) -> Answer:
        """Asks, and waits for the first content. Raises UpstreamError also for a failure that came as an event."""
        decision, health, clock = candidate.decision, candidate.health, self._clock
        call.decision = decision
        call.began = began = clock()
        probe = health.begin(began)
        if hedge is not None:
            if call.task is None:
                call.task = current_task()
            hedge.waiting[call] = candidate
            if hedge.asleep:
                hedge.wake(call, self, next)
        call.attempts += 1
        answer = None
        try:
            answer = await next(call)
            if answer.response is None:
                self._see(await answer.open())
            elif self._filters and (choices := answer.response.choices) and not choices[0].parts:
                _refuse_filtered(answer.response)
        except BaseException as error:
            self._failed(call, health, probe, error)
            if answer is not None:
                await answer.close()
            if hedge is None:
                raise
            return await hedge.instead(call, error)
        if hedge is not None:
            try:
                del hedge.waiting[call]
            except KeyError:  # it was late
                await hedge.stop(call)
        if answer.response is None:
            health.answered(probe, began, clock(), health.streamed)
            call.serving = health
        else:
            health.answered(probe, began, clock(), health.whole)
            health.in_flight -= 1
        if candidate.tier:
            self._metrics.count(FALLBACKS, (decision.backend, decision.model))
        return answer

    def _failed(self, call: Call, health: Health, probe: bool, error: BaseException) -> None:
        if isinstance(error, UpstreamError) and self._clock() < call.deadline:
            health.failed(probe, error.failure)
        else:  # a deadline may be the client's own: it says nothing of the backend
            health.dropped(probe)
        health.end()
        if isinstance(error, GatewayError):  # while others are asked: what it came through may hold a whole answer
            error.__traceback__ = error.__cause__ = error.__context__ = None

    def second(self, call: Call, first: Candidate) -> Candidate | None:
        """Who is asked besides when the first is slow: another of its tier, else itself where it may be."""
        assert call.plan is not None
        now = self._clock()
        for rank in self._field(call.plan).ranks:
            well = [one for one in rank if one.tier == first.tier and one is not first and one.health.ready(now)]
            if well:
                return self._strategy(well, now, call.request.stream)
        return first if first.health.ready(now) else None

    def _see(self, begun: list[AnyEvent]) -> None:
        """Raises what a stream begins with, where that is no answer."""
        content = next(filter(is_content, begun), None)
        if isinstance(content, Failure):
            raise ProviderFailure(content)
        if isinstance(content, ChoiceEnd) and self._filters:
            _refuse_filtered(content.finish)

    def _note(self, call: Call, candidate: Candidate, failure: Failure, trail: Trail) -> Cause | None:
        cause = cause_of(failure)
        trail.failures.append((candidate, failure, cause))
        decision = candidate.decision
        call.tried.append(f"{decision.backend}/{decision.model};{cause or failure.status}")
        trail.again[_at(decision)] = self._clock() + self._pause(candidate, failure, cause, trail)
        return cause

    def _pause(self, candidate: Candidate, failure: Failure, cause: Cause | None, trail: Trail) -> float:
        """Seconds after which one that failed may be asked again; inf: never."""
        if cause is None or cause in _ONCE:
            return inf
        if cause == "429" and not candidate.health.station.one_key:
            return 0.0  # one of its keys rests, and another may be free
        grown = self._first_wait * 2 ** sum(one.health is candidate.health for one, _, _ in trail.failures[:-1])
        jittered = min(grown, max(_LONGEST, self._first_wait)) * (0.5 + 0.5 * self._draw())
        return max(jittered, failure.retry_after or 0.0)

    def _final(self, trail: Trail, error: GatewayError) -> GatewayError:
        """What the client is told. A failure that no other attempt would mend is told as it is, but for a fallback's own."""
        candidate, _, cause = trail.failures[-1]
        if len(trail.failures) == 1 or not (cause in self._retried or candidate.tier or isinstance(error, InvalidRequest)):
            return error
        return trail.verdict()

    # Whom to ask

    def _known(self, field: Field, name: Name | None, now: float) -> Candidate | None:
        """Who knows the conversation, where they are well."""
        at = None if name is None else self._conversations.of(name, now)
        known = None if at is None else field.at.get(at)
        return known if known is not None and not known.tier and known.health.ready(now) else None

    async def _chosen(self, call: Call, field: Field, trail: Trail) -> Candidate:
        """Waits where somebody can be asked soon. Raises the most telling failure, or Overloaded, where nobody can."""
        while True:
            candidate, wait = self._choose(call, field, trail)
            if candidate is not None:
                return candidate
            if trail.waited + wait > PATIENCE or self._clock() + wait >= call.deadline:
                if trail.failures:
                    raise trail.verdict()
                raise self._overloaded(call, field)
            trail.waited += wait
            await self._sleep(wait)

    def _choose(self, call: Call, field: Field, trail: Trail) -> tuple[Candidate | None, float]:
        """Whom to ask, or the seconds after which to look again; inf: never."""
        now = self._clock()
        ranks = [[one for one in rank if not _is_hopeless(one, trail)] for rank in field.ranks]
        for rank in ranks:
            well = [one for one in rank if _at(one.decision) not in trail.again and one.health.ready(now)]
            if well:
                return self._strategy(well, now, call.request.stream), 0.0
        resting = inf
        for one in (one for rank in ranks for one in rank):
            wait = self._wait(one, trail, now)
            if wait <= 0.0:
                if _at(one.decision) in trail.again:
                    one.health.station.spend()
                return one, 0.0
            resting = min(resting, wait)
        return None, resting

    def _wait(self, one: Candidate, trail: Trail, now: float) -> float:
        """Seconds until somebody may be asked whom we would rather not: one that failed before, or whose breaker is open."""
        health = one.health
        if health.in_need(now):
            return inf  # nobody stands in line for a probe
        wait = health.free()
        again = trail.again.get(_at(one.decision))
        if again is None:
            return wait
        return max(wait, again - now) if health.station.can_spend(now) else inf

    def _overloaded(self, call: Call, field: Field) -> Overloaded | RateLimited:
        healths = [one.health for rank in field.ranks for one in rank]
        now = self._clock()
        soonest = min(max(health.in_need(now), health.free()) for health in healths)
        last = [f"{health.station.name}: {_why(health)}" for health in healths[:_TOLD]]
        message = f"Nobody who serves `{call.request.model[:80]}` can be asked now ({', '.join(last)}). Try again shortly."
        if all(health.free() for health in healths):  # nobody is ill: we are the ones who ask too much
            return RateLimited(message, retry_after=max(1.0, soonest), code="keys_resting")
        return Overloaded(message, retry_after=max(1.0, soonest), code="no_backend_available")


def _at(decision: Decision) -> tuple[str, str]:
    return decision.backend, decision.model


def _is_hopeless(candidate: Candidate, trail: Trail) -> bool:
    """The same model has no wider window elsewhere; and a fallback is for failures, not for what its pool cannot carry."""
    model = candidate.decision.model
    if any(cause == "context_window" and one.decision.model == model for one, _, cause in trail.failures):
        return True
    return bool(candidate.tier and trail.failures) and all(failed.kind == "unsupported" for _, failed, _ in trail.failures)


def _why(health: Health) -> str:
    if health.free():
        return "its keys rest"
    return f"failing with {health.last[1].status}" if health.last is not None else "its check fails"


def _refuse_filtered(answer: Response | Finish | None) -> None:
    """Raises where a content filter ended an answer before its first word."""
    if isinstance(answer, Response):
        choices = answer.choices
        if not choices or choices[0].parts or any(choice.parts for choice in choices):
            return
        answer = choices[0].finish
    if answer is not None and answer.reason == "filter":
        message = "The provider's content filter ended the answer before its first word."
        raise ProviderFailure(Failure(status=400, kind="content_filter", message=message))
