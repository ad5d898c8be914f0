"""Batches pulled and pushed: the same ones, in order, each through every step, none twice and none lost."""

from collections.abc import AsyncGenerator, Callable

import pytest

from interlingua.flow import Batch, Flow, Take, Told
from interlingua.ir import End, Failure, PartDelta, Start

FIRST: Batch = [Start()]
END: Batch = [End()]


def text(word: str) -> Batch:
    return [PartDelta(choice=0, index=0, text=word)]


def said(batches: list[Batch]) -> list[str]:
    return [event.text if isinstance(event, PartDelta) else type(event).__name__ for batch in batches for event in batch]


class Scripted:
    """A source that pushes all it has as soon as it may."""

    def __init__(self, *batches: Batch) -> None:
        self.left = list(batches)
        self.closed = 0

    async def pull(self) -> Batch | None:
        return self.left.pop(0) if self.left else None

    async def push(self, take: Take) -> None:
        while self.left and take(self.left.pop(0)):
            pass

    async def close(self) -> None:
        self.closed += 1


def up_to(most: int, into: list[Batch]) -> Take:
    """Refuses what comes after `most` batches, and what ends a stream."""

    def take(batch: Batch) -> bool:
        if len(into) >= most or isinstance(batch[-1], End | Failure):
            return False
        into.append(batch)
        return True

    return take


async def rest(flow: Flow) -> list[Batch]:
    return [batch async for batch in flow]


@pytest.mark.parametrize("most", range(5))
async def test_what_is_refused_is_the_next(most: int):
    source, pushed = Scripted(FIRST, text("a"), text("b"), text("c"), END), list[Batch]()
    flow = Flow(source)
    pulled = [await flow.next() or []]
    await flow.push(up_to(most, pushed))
    assert said(pushed) == ["a", "b", "c"][:most]
    assert said(pulled + pushed + await rest(flow)) == ["Start", "a", "b", "c", "End"]
    assert source.closed


async def test_what_was_put_back_is_pulled_first():
    flow, pushed = Flow(Scripted(text("b"), END)), list[Batch]()
    flow.put_back(text("a"))
    await flow.push(up_to(9, pushed))
    assert pushed == []
    assert said(await rest(flow)) == ["a", "b", "End"]


def marked(mark: str) -> Callable[[Batch], Batch]:
    def step(batch: Batch) -> Batch:
        for event in batch:
            if isinstance(event, PartDelta):
                event.text += mark
        return batch

    return step


async def test_a_step_that_comes_late_sees_what_was_put_back_and_earlier_ones_do_not_again():
    flow, pushed = Flow(Scripted(text("a"), text("b"), text("c"), END)), list[Batch]()
    flow.through(marked("1"))
    flow.put_back(await flow.next() or [])
    flow.through(marked("2"))
    pulled = [await flow.next() or []]
    await flow.push(up_to(1, pushed))
    assert said(pulled + pushed + await rest(flow)) == ["a12", "b12", "c12", "End"]


@pytest.mark.parametrize("pushing", [False, True])
async def test_a_step_holds_back_and_ends(pushing: bool):
    source, pushed = Scripted(text("a"), text("hold"), text("stop"), text("never"), END), list[Batch]()

    def step(batch: Batch) -> Batch:
        match batch:
            case [PartDelta(text="hold")]:
                return []
            case [PartDelta(text="stop")]:
                return [*batch, End()]
            case _:
                return batch

    flow = Flow(source)
    flow.through(step)
    if pushing:
        await flow.push(up_to(9, pushed))
    assert said(pushed + await rest(flow)) == ["a", "stop", "End"]
    assert source.closed and said(source.left) == ["never", "End"]


async def test_after_the_last_nothing_is_asked_of_the_source():
    source = Scripted(END, text("never"))
    flow = Flow(source)
    assert said(await rest(flow)) == ["End"]
    await flow.push(up_to(9, []))
    assert await flow.next() is None and said(source.left) == ["never"]


async def test_a_generator_and_a_whole_answer_can_only_be_pulled():
    async def told() -> AsyncGenerator[Batch, None]:
        yield text("a")
        yield END

    pushed = list[Batch]()
    for flow in (Flow(told()), Flow(Told([*text("a"), *END]))):
        await flow.push(up_to(9, pushed))
        assert pushed == [] and said(await rest(flow)) == ["a", "End"]
