"""One request under way, its answer, and the policies around it. Policies see the IR: never a protocol, never HTTP.

A policy is `async def policy(call, next) -> Answer`. It may change the call before `await next(call)`, answer in its
stead, try again, or watch what comes back with `Answer.tap`. A stream is a series of batches: the events that one read
brought, so that a burst costs one pass.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import partial, reduce

from interlingua.errors import ProviderFailure
from interlingua.fold import Fold
from interlingua.ir import AnyEvent, Request, Response
from interlingua.losses import Losses
from interlingua.routing import Decision

Events = AsyncGenerator[list[AnyEvent], None]


class Call:
    """What a client asked, and what has been decided of it so far."""

    __slots__ = ("client", "deadline", "decision", "headers", "id", "losses", "request", "strict", "tenant")

    def __init__(self, request: Request, client: str, id: str, headers: Mapping[bytes, bytes], deadline: float) -> None:
        self.request = request
        self.client = client  # the client's protocol
        self.id = id
        self.headers = headers
        self.deadline = deadline  # loop.time() at which the whole request is over
        self.strict = headers.get(b"x-interlingua-strict") == b"true"
        self.losses = Losses()
        self.decision: Decision | None = None
        self.tenant = ""  # the name of the client's key, where keys are asked for


class Answer:
    """Whole (`response`) or under way (`events`), never both."""

    __slots__ = ("events", "response")

    def __init__(self, response: Response | None = None, events: Events | None = None) -> None:
        self.response = response
        self.events = events

    def tap(self, see: Callable[[Response], None]) -> "Answer":
        """Shows the whole answer to `see` once it is complete, streamed or not."""
        if self.response is not None:
            see(self.response)
        elif self.events is not None:
            self.events = _tapped(self.events, see)
        return self


async def _tapped(events: Events, see: Callable[[Response], None]) -> Events:
    folding = Fold()
    try:
        async for batch in events:
            try:
                folding.feed(batch)
            except ProviderFailure:
                pass
            if folding.ended:
                see(folding.so_far())
            yield batch
    finally:
        await events.aclose()


Handler = Callable[[Call], Awaitable[Answer]]
Policy = Callable[[Call, Handler], Awaitable[Answer]]


def compose(policies: Sequence[Policy], handler: Handler) -> Handler:
    """The first policy is outermost."""

    def around(inner: Handler, policy: Policy) -> Handler:
        return partial(_enter, policy, inner)

    return reduce(around, reversed(policies), handler)


def _enter(policy: Policy, inner: Handler, call: Call) -> Awaitable[Answer]:
    return policy(call, inner)
