"""One request under way, its answer, and the policies around it. Policies see the IR: never a protocol, never HTTP.

A policy is `async def policy(call, next) -> Answer`. It may change the call before `await next(call)`, answer in its
stead, try again, watch what comes back with `Answer.tap`, or change a stream with
`Answer.through`, as flow.py says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from functools import reduce
from inspect import isfunction, ismethod
from typing import Any, Final

from interlingua.errors import ProviderFailure, UpstreamBroken
from interlingua.flow import Batch, Events, Flow, Step
from interlingua.fold import Fold
from interlingua.health import Health
from interlingua.ir import AnyEvent, Failure, PartEnd, PartStart, Request, Response, Start, Text, Thinking, UsageSoFar
from interlingua.losses import Losses
from interlingua.routing import Decision, Plan

_UNKNOWN: Final = 1 << 62
_NONE: Final = Losses()  # of a call that nobody has formatted yet


def is_content(event: AnyEvent) -> bool:
    """Whether a stream has more to show than that it has begun: a part that is still empty is no content, an end is."""
    if isinstance(event, PartStart):
        part = event.part
        return not (isinstance(part, Text | Thinking) and not part.text and part.signature is None)
    return not isinstance(event, Start | UsageSoFar | PartEnd)


class Call:
    """What a client asked, and what has been decided of it so far. `client` is its protocol, `deadline` the loop.time() at
    which the whole request is over."""

    __slots__ = (
        "asked",
        "attempts",
        "began",
        "client",
        "deadline",
        "decision",
        "finished",
        "headers",
        "id",
        "losses",
        "plan",
        "request",
        "serving",
        "size",
        "task",
        "tenant",
        "tried",
    )

    def __init__(
        self,
        request: Request,
        client: str,
        id: str,
        headers: Mapping[bytes, bytes],
        deadline: float,
        tenant: str = "",
        size: int = _UNKNOWN,
        task: "asyncio.Task[Any] | None" = None,
    ) -> None:
        self.asked = self.request = request  # as each attempt begins with it, and as it goes out
        self.client, self.id, self.headers, self.deadline = client, id, headers, deadline
        self.losses = _NONE
        self.plan: Plan | None = None
        self.decision: Decision | None = None  # whom this attempt asks; the last one is told to the client
        self.finished: Callable[[int, float], None] | None = None  # told the status and the seconds when all is over
        self.size = size  # bytes of the body that it came in, at most
        self.tenant = tenant  # the name of the client's key, where keys are asked for
        self.task = task  # that answers it; None: the current one
        self.attempts = 0
        self.began = 0.0  # time.monotonic() at which this attempt did
        self.tried: list[str] = []  # those of them that did not answer, and why: "openai/gpt-4o;429"
        self.serving: Health | None = None  # whose stream is under way: to be told of its end

    @property
    def strict(self) -> bool:
        return self.headers.get(b"x-interlingua-strict") == b"true"

    def attempt(self, decision: Decision) -> "Call":
        """The same call for a second attempt at the same time."""
        other = copy(self)
        other.decision = decision
        return other

    def end(self, failure: Failure | None = None) -> None:
        """The client's answer is over. `failure`: what its stream broke with."""
        if self.serving is not None:
            if failure is not None and asyncio.get_running_loop().time() >= self.deadline:
                failure = None  # it may be the client's own deadline: that says nothing of the backend
            self.serving.end(failure)
            self.serving = None


class Answer:
    """Whole (`response`) or under way (`events`), never both."""

    __slots__ = ("events", "response")

    def __init__(self, response: Response | None = None, events: Flow | Events | None = None) -> None:
        self.response = response
        self.events = events if events is None or isinstance(events, Flow) else Flow(events)

    async def open(self) -> Batch:
        """Waits until a stream shows its first content, or that it has none, and returns all up to there. It is put back:
        who reads the stream misses nothing. Until then nothing of it has been told to a client."""
        assert self.events is not None
        begun = Batch()
        while (batch := await self.events.next()) is not None:
            begun += batch
            if any(map(is_content, batch)):
                self.events.put_back(begun)
                return begun
        raise UpstreamBroken("The provider's stream ended before its answer did.")

    async def close(self) -> None:
        """Gives up a stream, and the upstream with it."""
        if self.events is not None:
            await self.events.aclose()

    def tap(self, see: Callable[[Response], None]) -> "Answer":
        """Shows the whole answer to `see` once it is complete, streamed or not."""
        if self.response is not None:
            see(self.response)
            return self
        return self.through(_Tap(see).feed)

    def through(self, step: Step) -> "Answer":
        """Sends each batch of a stream through `step`. An empty result is held back; one that ends with End or Failure ends
        the stream, and the upstream with it. A whole answer stays as it is."""
        if self.events is not None:
            self.events.through(step)
        return self


class _Tap:
    def __init__(self, see: Callable[[Response], None]) -> None:
        self._see = see
        self._folding = Fold()

    def feed(self, batch: Batch) -> Batch:
        try:
            self._folding.feed(batch)
        except ProviderFailure:
            return batch
        if self._folding.ended:
            self._see(self._folding.so_far())
        return batch


Handler = Callable[[Call], Awaitable[Answer]]
Policy = Callable[[Call, Handler], Awaitable[Answer]]


def compose(policies: Sequence[Policy], handler: Handler) -> Handler:
    """The first policy is outermost."""

    def around(inner: Handler, policy: Policy) -> Handler:
        run = policy if isfunction(policy) or ismethod(policy) else policy.__call__  # else looked up for each request

        def entered(call: Call) -> Awaitable[Answer]:
            return run(call, inner)

        return entered

    return reduce(around, reversed(policies), handler)
