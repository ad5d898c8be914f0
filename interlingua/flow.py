"""A streamed answer under way: batches of events, pulled by whoever waits for them or pushed as their bytes arrive.

A batch is what one read brought, so that a burst costs one pass; what is done to a batch is a plain function (`Step`), so that
it can be done wherever the bytes arrive. Pushed, a chunk wakes no task: it is read, changed and written in the one call in
which the event loop brings it. Whatever has to wait is put back, and pulled.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Final, Protocol

from interlingua.ir import AnyEvent, End, Failure

Batch = list[AnyEvent]
Events = AsyncGenerator[Batch, None]
Step = Callable[[Batch], Batch]
Take = Callable[[Batch], bool]
ENDS: Final = frozenset((End, Failure))


class Source(Protocol):
    """Where batches come from. None of them is empty; the last ends with End or Failure."""

    async def pull(self) -> Batch | None:
        """The next one, None after the last."""
        ...

    async def push(self, take: Take) -> None:
        """Calls `take` with each one that arrives, until it returns False or no more can be pushed."""
        ...

    async def close(self) -> None:
        """Gives up what has not come yet."""
        ...


class Flow:
    """The batches of one source, each through every step."""

    __slots__ = ("_again", "_over", "_source", "_stepped", "_steps")

    def __init__(self, source: "Source | Events") -> None:
        self._source: Source = _Generated(source) if isinstance(source, AsyncGenerator) else source
        self._steps: list[Step] = []
        self._again: Batch = []  # put back
        self._stepped = 0  # the steps that it has been through
        self._over = False

    def through(self, step: Step) -> None:
        """From now on, what was put back included. An empty result is held back; one that ends with End or Failure ends all."""
        self._steps.append(step)

    async def next(self) -> Batch | None:
        """None after the last."""
        while True:
            if self._again:
                batch, self._again = self._again, []
                out = self._step(batch, self._stepped)
            elif self._over or (batch := await self._source.pull()) is None:
                await self.aclose()
                return None
            else:
                out = self._step(batch)
            if out:
                return out

    def put_back(self, batch: Batch) -> None:
        """It is the next one again."""
        self._again, self._stepped = batch, len(self._steps)

    async def push(self, take: Take) -> None:
        """Calls `take` with each batch where its bytes arrive, until it returns False: that batch is put back. Returns, too,
        when there is nothing that could be pushed: `next` has what follows."""

        def arrived(batch: Batch) -> bool:
            out = self._step(batch) if self._steps else batch
            if not out or take(out):
                return not self._over
            self.put_back(out)
            return False

        if not (self._again or self._over):
            await self._source.push(arrived)

    async def aclose(self) -> None:
        self._over = True
        await self._source.close()

    def __aiter__(self) -> "Flow":
        return self

    async def __anext__(self) -> Batch:
        batch = await self.next()
        if batch is None:
            raise StopAsyncIteration
        return batch

    def _step(self, batch: Batch, first: int = 0) -> Batch:
        for step in self._steps[first:] if first else self._steps:
            batch = step(batch)
            if not batch:
                return batch
        if type(batch[-1]) in ENDS:
            self._over = True
        return batch


class Told:
    """The source of a single batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch: Batch | None = batch

    async def pull(self) -> Batch | None:
        batch, self._batch = self._batch, None
        return batch

    async def push(self, take: Take) -> None:
        pass

    async def close(self) -> None:
        pass


class _Generated:
    """A source that is a generator, which can only be pulled."""

    def __init__(self, batches: Events) -> None:
        self._batches = batches

    async def pull(self) -> Batch | None:
        return await anext(self._batches, None)

    async def push(self, take: Take) -> None:
        pass

    async def close(self) -> None:
        await self._batches.aclose()
