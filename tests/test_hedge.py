"""Hedging: the first good token wins, an error never does, the loser ends at once, and nobody is asked twice in vain."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from pools import BODY, BROKEN, LIMIT, WRONG, Pool, Resting, decision, events_of, said

from interlingua.errors import ProviderFailure
from interlingua.metrics import HEDGES
from interlingua.pipeline import Answer, Call


class Gate:
    """An act that waits to be let through, and tells of its end."""

    def __init__(self, then: Any) -> None:
        self.open = asyncio.Event()
        self.asked = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.then = then

    async def __call__(self, call: Call) -> Any:
        self.asked.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.then


class Race:
    """A pool of two, the first of which has been asked; the timer has not fired."""

    def __init__(self, first: Any = None, second: Any = None, tiers: str = "a b", stream: bool = False, **more: Any) -> None:
        self.pool = Pool(tiers, hedge="800ms", **more)
        self.first, self.second = Gate(first or said("first")), Gate(second or said("second"))
        self.pool.acts["a"] = [act_of(self.first)]
        if "b" in self.pool.acts:
            self.pool.acts["b"] = [act_of(self.second)]
        self.call = self.pool.call(stream)
        self.task = asyncio.create_task(self.pool.policy(self.call, self.pool.handle))

    async def late(self) -> None:
        """The first is late: the second is asked."""
        await self.first.asked.wait()
        (delay, fire), *_ = self.pool.timers
        assert delay == 0.8
        self.pool.now += 1
        fire()

    def idle(self) -> bool:
        return all(self.pool.board.of(one).in_flight == 0 for one in self.pool.plan.tiers[0])

    def outcomes(self, backend: str = "b") -> dict[str, float]:
        return {o: n for o in ("won", "lost", "failed") if (n := self.pool.counted(HEDGES, backend, "m", o))}


def act_of(gate: Gate) -> Any:
    return lambda call: gate(call)


def words_of(answer: Answer) -> str:
    assert answer.response is not None
    return getattr(answer.response.choices[0].parts[0], "text", "")


async def test_an_answer_in_time_asks_nobody_else():
    race = Race()
    race.first.open.set()
    answer = await race.task
    assert words_of(answer) == "first" and race.pool.asked == ["a"] and race.idle()
    assert (race.call.attempts, race.call.tried, race.outcomes()) == (1, [], {})


async def test_the_second_wins_and_the_first_ends_at_once():
    race = Race()
    await race.late()
    race.second.open.set()
    answer = await race.task
    assert words_of(answer) == "second" and race.first.cancelled.is_set() and race.idle()
    assert race.call.decision == decision("b")
    assert (race.call.attempts, race.call.tried, race.outcomes()) == (2, ["a/m;slower"], {"won": 1})
    assert race.task.cancelling() == 0
    assert race.pool.board.of(decision("a")).whole.seconds == 1.0  # so slow at least


async def test_the_second_is_asked_what_the_first_was():
    """Which a policy before them may have made of what came; and not what one behind them made of it for the first."""
    race, heard = Race(), list[str | None]()

    async def handle(call: Call) -> Answer:
        heard.append(call.request.user)
        call.request = replace(call.request, user="the first alone")
        return await race.pool.handle(call)

    race.task.cancel()
    race.call.request = replace(race.call.request, user="both")
    race.task = asyncio.create_task(race.pool.policy(race.call, handle))
    await race.late()
    race.second.open.set()
    await race.task
    assert heard == ["both", "both"]


async def test_the_first_wins_and_the_second_ends_at_once():
    race = Race()
    await race.late()
    await race.second.asked.wait()
    race.first.open.set()
    answer = await race.task
    await race.second.cancelled.wait()
    await asyncio.sleep(0)
    assert words_of(answer) == "first" and race.idle()
    assert race.call.decision == decision("a")
    assert (race.call.attempts, race.call.tried, race.outcomes()) == (2, ["b/m;slower"], {"lost": 1})


@pytest.mark.parametrize("error", [BROKEN, LIMIT, WRONG])
async def test_an_error_never_wins(error: Any):
    race = Race(second=error)
    await race.late()
    race.second.open.set()
    await race.second.asked.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not race.task.done()
    race.first.open.set()
    assert words_of(await race.task) == "first"
    assert race.outcomes() == {"failed": 1} and race.idle()


async def test_a_first_that_fails_late_waits_for_the_second():
    race = Race(first=BROKEN)
    await race.late()
    await race.second.asked.wait()
    race.first.open.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not race.task.done()
    race.second.open.set()
    assert words_of(await race.task) == "second"
    assert (race.call.tried, race.outcomes(), race.idle()) == (["a/m;5xx"], {"won": 1}, True)


async def test_two_that_fail_are_a_failure_like_any_other():
    race = Race(first=BROKEN, second=LIMIT, attempts=2)
    await race.late()
    race.second.open.set()
    await race.second.asked.wait()
    race.first.open.set()
    with pytest.raises(ProviderFailure):
        await race.task
    assert race.call.tried == ["b/m;429", "a/m;5xx"] and race.idle()


async def test_a_stream_wins_by_its_first_content():
    race = Race(first=[BODY[:1], BODY[1:]], second=[BODY[:1], BODY[1:]], stream=True)
    await race.late()
    race.second.open.set()
    answer = await race.task
    assert await events_of(answer) == BODY
    assert race.call.decision == decision("b") and race.first.cancelled.is_set()
    assert race.pool.board.of(decision("b")).in_flight == 1
    race.call.end()
    assert race.idle()


async def test_both_at_the_same_moment_give_one_answer():
    for stream in (False, True):
        race = Race(first=[BODY], second=[BODY], stream=True) if stream else Race()
        await race.late()
        await race.second.asked.wait()
        race.first.open.set()
        race.second.open.set()
        answer = await race.task
        assert answer.events is None or await events_of(answer) == BODY
        winner = race.call.decision
        assert winner is not None and (race.pool.closed.count(winner.backend) == 1) is stream
        race.call.end()
        for _ in range(5):
            await asyncio.sleep(0)
        assert race.idle() and race.task.cancelling() == 0


async def test_a_client_that_leaves_ends_both():
    race = Race()
    await race.late()
    await race.second.asked.wait()
    race.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race.task
    await race.second.cancelled.wait()
    await asyncio.sleep(0)
    assert race.first.cancelled.is_set() and race.idle()


async def test_a_client_that_leaves_while_the_second_is_waited_for_ends_it():
    race = Race(first=BROKEN)
    await race.late()
    await race.second.asked.wait()
    race.first.open.set()
    for _ in range(5):
        await asyncio.sleep(0)
    race.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race.task
    await race.second.cancelled.wait()
    await asyncio.sleep(0)
    assert race.idle()


async def test_alone_it_is_asked_itself_a_second_time():
    race = Race(tiers="a")
    race.pool.acts["a"] = [act_of(race.first), act_of(race.second)]
    await race.late()
    race.second.open.set()
    assert words_of(await race.task) == "second"
    assert race.pool.asked == ["a", "a"] and race.outcomes("a") == {"won": 1} and race.idle()


async def test_nobody_is_asked_who_is_not_well():
    race = Race()
    race.pool.stations["b"].keys = Resting(lambda: 9.0)
    race.pool.stations["a"].down = "no answer"
    await race.late()
    race.first.open.set()
    await race.task
    assert race.pool.asked == ["a"]


async def test_hedges_have_a_budget():
    race = Race()
    await race.first.asked.wait()
    while race.pool.stations["b"].can_spend(race.pool.now):
        race.pool.stations["b"].spend()
    race.pool.timers[0][1]()
    race.first.open.set()
    await race.task
    assert race.pool.asked == ["a"]


async def test_one_attempt_leaves_no_room_for_a_second():
    pool = Pool("a b", hedge="800ms", attempts=1)
    await pool.ask()
    assert pool.timers == []


async def late_after(pool: Pool, stream: bool) -> float | None:
    """Seconds after which the second is asked, where the first does not answer; None: three pass, and nobody is."""
    gate = Gate(said("first"))
    pool.acts["a"], pool.asked = [act_of(gate)], []
    task = asyncio.create_task(pool.policy(pool.call(stream), pool.handle))
    await gate.asked.wait()
    began = pool.now
    while pool.asked == ["a"] and pool.now < began + 3:
        delay, ring = pool.timers.pop()
        pool.now += delay
        ring()
        await asyncio.sleep(0)
    late = pool.now - began
    gate.open.set()
    await task
    return late if pool.asked == ["a", "b"] else None


async def test_the_delay_is_the_p95_of_what_was_seen():
    pool = Pool("a b", hedge="p95")
    for _ in range(19):
        await pool.ask()
    assert await late_after(pool, stream=False) is None, "not enough seen"
    health = pool.board.of(decision("a"))
    for number in range(128):
        health.whole.add(number / 100, pool.now)
    late = await late_after(pool, stream=False)
    assert late is not None and 1.2 < late < 1.32
    assert await late_after(pool, stream=True) is None, "streams have a delay of their own"
    for _ in range(128):
        health.whole.add(0.02, pool.now)
        health.streamed.add(2.0, pool.now)
    assert 1.99 < (await late_after(pool, stream=True) or 0) < 2.11
    assert 0.01 < (await late_after(pool, stream=False) or 0) < 0.03


async def test_nobody_looks_where_nobody_waits():
    pool = Pool("a b", hedge="800ms")
    await pool.ask()
    (delay, ring), *_ = pool.timers
    assert delay == 0.8 and len(pool.timers) == 1
    pool.now += delay
    ring()
    assert len(pool.timers) == 1
    await pool.ask()
    assert len(pool.timers) == 2


async def test_the_second_gets_the_request_as_it_came():
    seen: list[str] = []

    def spoil(call: Call) -> Any:
        seen.append(call.request.model)
        call.request = type(call.request)(model="spoilt", messages=[])
        return race.first(call)

    def see(call: Call) -> Any:
        seen.append(call.request.model)
        return race.second(call)

    race = Race()
    race.pool.acts = {"a": [spoil], "b": [see]}
    await race.late()
    race.second.open.set()
    await race.task
    assert seen == ["m", "m"]
