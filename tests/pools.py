"""A pool for the policies' tests: backends that do as they are told, a clock that is set by hand, and no waiting."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from interlingua.config import Breaker, Routing
from interlingua.errors import GatewayError, ProviderFailure
from interlingua.fold import unfold
from interlingua.health import Board, Station
from interlingua.ir import (
    AnyEvent,
    Choice,
    End,
    Failure,
    Finish,
    Message,
    PartDelta,
    PartStart,
    Request,
    Response,
    Start,
    Text,
)
from interlingua.metrics import Metrics, Spec
from interlingua.pipeline import Answer, Call, Handler
from interlingua.policies.attempts import Attempts
from interlingua.policies.hedge import Hedge
from interlingua.policies.sticky import Conversations
from interlingua.routing import Decision, Plan

Act = Callable[[Call], Any]


def failure(status: int, kind: str, **more: Any) -> Failure:
    return Failure(status=status, kind=kind, message=f"It said {status}.", **more)


LIMIT = failure(429, "rate_limit")
BROKEN = failure(500, "server_error")
BUSY = failure(529, "overloaded")
LATE = failure(504, "timeout")
WRONG = failure(400, "invalid_request")
FULL = failure(400, "context_window")
FILTERED = failure(400, "content_filter")
BODY = [Start(), PartStart(index=0, part=Text()), PartDelta(index=0, text="hi"), End()]


def decision(name: str) -> Decision:
    """ "a" or "a/model", at the backend a."""
    backend, _, model = name.partition("/")
    return Decision(backend, model or "m", "model_mapping", "test")


def said(text: str = "hi") -> Response:
    return Response(choices=[Choice(parts=[Text(text=text)], finish=Finish(reason="stop"))])


class Resting:
    """Keys of which none may be used for so many seconds."""

    tight = True

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds

    def wait(self, model: str) -> float:
        return self._seconds()


class Pool:
    """`tiers`: names of backends. Each plays its list of acts in turn, the last one for ever: a Failure or an error is raised,
    a Response answered (told as a stream to who wants one), a list of batches streamed, a function called with the call."""

    def __init__(self, *tiers: str, hedge: str = "off", breaker: Breaker | None = None, **routing: Any) -> None:
        self.now = float(int(asyncio.get_running_loop().time()))  # whole seconds: sums of waits stay exact
        self.slept: list[float] = []
        self.asked: list[str] = []
        self.closed: list[str] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.plan = Plan(tuple(tuple(decision(name) for name in tier.split()) for tier in tiers))
        names = {one.backend for tier in self.plan.tiers for one in tier}
        self.acts: dict[str, list[Any]] = {name: [said()] for name in names}
        self.stations = {name: Station(name) for name in names}
        self.metrics = Metrics()
        self.board = Board(breaker or Breaker(), self.stations, lambda: self.now)
        self.conversations = Conversations(dict.fromkeys(names, "openai"))
        prices: dict[str, float] = routing.pop("prices", {})
        self.draws: list[float] = routing.pop("draws", [])
        hedging = None if hedge == "off" else Hedge(hedge, self.board, self.metrics, self._later)
        self.policy = Attempts(
            Routing(**routing),
            self.board,
            self.metrics,
            self.conversations,
            hedging,
            cost=lambda one: prices.get(one.backend),
            sleep=self._sleep,
            draw=lambda: self.draws.pop(0) if self.draws else 1.0,
        )

    def _later(self, delay: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        self.timers.append((delay, call))
        return asyncio.get_running_loop().call_later(3600, call)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def call(self, stream: bool = False, words: str = "hello", **more: Any) -> Call:
        request = Request(model="m", messages=[Message(role="user", parts=[Text(text=words)])], stream=stream, **more)
        call = Call(request, "openai", "id", {}, self.now + 600)
        call.plan = self.plan
        return call

    async def handle(self, call: Call) -> Answer:
        assert call.decision is not None
        name = call.decision.backend
        self.asked.append(name)
        acts = self.acts[name]
        act: Any = acts.pop(0) if len(acts) > 1 else acts[0]
        if callable(act):
            act = act(call)
            if asyncio.iscoroutine(act):
                act = await act
        if isinstance(act, Failure):
            raise ProviderFailure(act)
        if isinstance(act, GatewayError):
            raise act
        if call.request.stream:
            return Answer(events=self._told(name, [unfold(act)] if isinstance(act, Response) else act))
        return Answer(act)

    async def _told(self, name: str, batches: list[list[AnyEvent]]) -> AsyncGenerator[list[AnyEvent], None]:
        try:
            for batch in batches:
                yield batch
        finally:
            self.closed.append(name)

    async def ask(self, call: Call | None = None, handle: Handler | None = None) -> tuple[Call, Answer]:
        call = call or self.call()
        return call, await self.policy(call, handle or self.handle)

    async def backends(self, times: int, **more: Any) -> list[str]:
        """Who answers so many requests, one after the other; each takes a second."""
        out: list[str] = []
        for _ in range(times):
            call, _ = await self.ask(self.call(**more))
            assert call.decision is not None
            out.append(call.decision.backend)
            call.end()
            self.now += 1
        return out

    def counted(self, spec: Spec, *labels: str) -> float:
        return self.metrics.slots[self.metrics.slot(spec, labels)]


async def events_of(answer: Answer) -> list[AnyEvent]:
    assert answer.events is not None
    return [event for batch in [batch async for batch in answer.events] for event in batch]
