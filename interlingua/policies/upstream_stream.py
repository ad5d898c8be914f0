"""A client that waits for a whole answer, before a provider that streams it: no idle limit on the way cuts a long answer, and
one that is ended early (early_stop.py) costs no more than was sent.

The client's request is never changed: a copy of it goes upstream. What comes back is folded here, next to the provider, so
that an answer that breaks in the middle has told the client nothing yet, and can be asked for again.
"""

from collections.abc import Awaitable
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from interlingua.errors import UpstreamGarbage
from interlingua.flow import Flow
from interlingua.fold import Fold
from interlingua.ir import PartDelta, Request, Response
from interlingua.pipeline import Answer, Call, Handler
from interlingua.policies.early_stop import HEADER, EarlyStop, Tags

MOST: Final = 256 << 20  # characters of one answer


class UpstreamStream:
    """`always`: every whole answer (`routing.stream_upstream`); else those that `early` may end."""

    def __init__(self, always: bool, early: EarlyStop) -> None:
        self._always = always
        self._early = early

    def __call__(self, call: Call, next: Handler) -> Awaitable[Answer]:
        early = self._early
        tags = early.tags(call) if early.any or HEADER in call.headers else None
        if tags is None and (call.request.stream or not self._always) or type(call.request) is not Request:
            return next(call)  # vectors have no stream
        return self._streamed(call, next, tags)

    async def _streamed(self, call: Call, next: Handler, tags: Tags | None) -> Answer:
        """Raises what the stream tells of: ProviderFailure at its Failure, UpstreamBroken where it has no end."""
        asked = call.request
        if not asked.stream:
            call.request = replace(asked, stream=True)
        try:
            answer = await next(call)
        finally:
            call.request = asked
        if tags is not None:
            answer.through(self._early.watch(call, tags))
        if asked.stream:
            return answer
        assert answer.events is not None
        return Answer(await _whole(answer.events))


async def _whole(events: Flow) -> Response:
    folding, size = Fold(), 0
    async with aclosing(events):
        async for batch in events:
            size += sum(len(event.text) for event in batch if isinstance(event, PartDelta))
            if size > MOST:
                raise UpstreamGarbage(f"The provider's answer is longer than {MOST} characters.")
            folding.feed(batch)
    return folding.result()
