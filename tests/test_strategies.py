"""How a backend of a pool is chosen, and how a conversation stays with the one that knows it."""

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from pools import BROKEN, Pool, Resting, decision, said

from interlingua.ir import Cache, Function, Message, Request, Text
from interlingua.policies.sticky import CACHED, WARM

LONG = "x" * CACHED


async def test_priority_is_the_order_of_the_plan():
    assert await Pool("a b c").backends(5) == ["a"] * 5


async def test_weighted_is_by_chance_and_weight():
    draws = [(number + 0.5) / 100 for number in range(100)]
    pool = Pool("a b c", strategy="weighted", draws=draws)
    pool.stations["a"].weight, pool.stations["b"].weight = 6, 3
    assert Counter(await pool.backends(100)) == {"a": 60, "b": 30, "c": 10}


async def test_a_weight_of_nothing_is_the_last_to_be_asked():
    pool = Pool("a b", strategy="weighted", draws=[0.0, 0.5, 0.999, 0.5, 0.5])
    pool.stations["a"].weight = 0
    assert await pool.backends(3) == ["b"] * 3
    pool.stations["b"].keys = Resting(lambda: 9.0)
    assert await pool.backends(1) == ["a"]
    pool.stations["b"].weight, pool.stations["b"].keys = 0, Resting(lambda: 0.0)
    assert await pool.backends(1) == ["a"]


async def test_the_least_busy_is_asked_and_idle_ones_take_turns():
    pool = Pool("a b c", strategy="least_busy")
    assert await pool.backends(6) == ["a", "b", "c"] * 2
    calls = [pool.call(stream=True) for _ in range(4)]
    for call in calls:
        await pool.ask(call)
        pool.now += 1
    assert [call.decision.backend for call in calls if call.decision] == ["a", "b", "c", "a"]
    calls[1].end()
    assert await pool.backends(1) == ["b"]


async def test_busy_is_by_weight():
    pool = Pool("a b", strategy="least_busy")
    pool.stations["a"].weight = 2
    for _ in range(30):
        await pool.ask(pool.call(stream=True))
        pool.now += 1
    assert (pool.board.of(decision("a")).in_flight, pool.board.of(decision("b")).in_flight) == (20, 10)


async def test_the_fastest_is_asked_and_a_slow_one_again_in_time():
    pool = Pool("a b", strategy="latency")

    def after(seconds: float) -> Any:
        def act(call: Any) -> Any:
            pool.now += seconds
            return pool.acts["fast"][0]

        return act

    pool.acts["fast"] = [pool.acts["a"][0]]
    pool.acts |= {"a": [after(4.0)], "b": [after(1.0)]}
    first = await pool.backends(40)
    assert first[:2] == ["a", "b"]  # each unknown one once
    assert 0 < first[2:].count("a") < first[2:].count("b")


async def test_streams_and_whole_answers_have_a_latency_each():
    pool = Pool("a b", strategy="latency")
    now = pool.now
    pool.board.of(decision("a")).whole.add(9.0, now)
    pool.board.of(decision("a")).streamed.add(0.1, now)
    pool.board.of(decision("b")).whole.add(1.0, now)
    pool.board.of(decision("b")).streamed.add(0.5, now)
    assert await pool.backends(1) == ["b"]
    assert await pool.backends(1, stream=True) == ["a"]


async def test_the_cheapest_is_asked_and_one_without_a_price_last():
    pool = Pool("a b c", strategy="cheapest", prices={"b": 3.0, "c": 2.0})
    assert await pool.backends(2) == ["c", "c"]
    pool.stations["c"].keys = Resting(lambda: 9.0)
    assert await pool.backends(1) == ["b"]
    pool.stations["b"].keys = Resting(lambda: 9.0)
    assert await pool.backends(1) == ["a"]


@pytest.mark.parametrize("strategy", ["weighted", "least_busy", "latency", "cheapest"])
async def test_who_would_leave_out_a_wish_comes_last_whatever_the_strategy(strategy: str):
    pool = Pool("a b c", strategy=strategy, prices={"a": 0.1, "b": 1.0, "c": 2.0}, draws=[0.0] * 20)
    (tier,) = pool.plan.tiers
    pool.plan = replace(pool.plan, tiers=((replace(tier[0], weak=True), *tier[1:]),))
    pool.stations["c"].priority = 20
    pool.stations["b"].weight = 0
    pool.acts["b"] = [said(), BROKEN]
    pool.acts["c"] = [said(), BROKEN]
    for _ in range(3):
        await pool.ask()
    assert pool.asked == ["b", "b", "c", "b", "c", "a"]


@pytest.mark.parametrize("strategy", ["weighted", "least_busy", "latency", "cheapest"])
async def test_a_higher_priority_is_a_reserve(strategy: str):
    pool = Pool("a b c", strategy=strategy, prices={"c": 0.1}, draws=[0.999] * 20)
    pool.stations["c"].priority = 20
    assert "c" not in await pool.backends(10)
    for name in "ab":
        pool.stations[name].keys = Resting(lambda: 9.0)
    assert await pool.backends(1) == ["c"]


# Conversations


async def turned(pool: Pool, first: str, **more: Any) -> list[str]:
    """Who answers two turns of a conversation, with enough draws for each to go elsewhere."""
    return [*await pool.backends(1, words=first, **more), *await pool.backends(1, words=first, **more)]


async def test_a_conversation_stays_where_its_prompt_is_cached():
    pool = Pool("a b", strategy="weighted", draws=[0.9, 0.1, 0.1])
    assert await turned(pool, LONG) == ["b", "b"]
    assert await pool.backends(1, words="other" + LONG) == ["a"]


async def test_a_short_prompt_does_not():
    pool = Pool("a b", strategy="weighted", draws=[0.9, 0.1])
    assert await turned(pool, LONG[1:]) == ["b", "a"]


async def test_a_cache_grows_cold():
    pool = Pool("a b", strategy="weighted", draws=[0.9, 0.1, 0.1])
    assert await pool.backends(1, words=LONG) == ["b"]
    pool.now += WARM - 2
    assert await pool.backends(1, words=LONG) == ["b"]  # and is warm again
    pool.now += WARM - 2
    assert await pool.backends(1, words=LONG) == ["b"]
    pool.now += WARM
    assert await pool.backends(1, words=LONG) == ["a"]


async def test_a_sick_backend_is_left_whatever_it_has_cached():
    pool = Pool("a b", strategy="weighted", draws=[0.9, 0.1])
    assert await pool.backends(1, words=LONG) == ["b"]
    pool.stations["b"].down = "no answer"
    assert await pool.backends(2, words=LONG) == ["a", "a"]


async def test_a_conversation_that_failed_over_stays_there_for_a_while():
    pool = Pool("a b")
    pool.acts["a"] = [BROKEN, pool.acts["a"][0]]
    assert await pool.backends(2, words=LONG) == ["b", "b"]
    assert await pool.backends(1) == ["a"]
    pool.now += WARM
    assert await pool.backends(2, words=LONG) == ["a", "a"]


async def test_an_ordered_pool_that_is_well_remembers_nothing():
    pool = Pool("a b")
    await pool.backends(3, words=LONG)
    assert len(pool.conversations) == 0


@pytest.mark.parametrize("named", [{"user": "u1"}, {"extras": {"openai": {"prompt_cache_key": "k1"}}}])
async def test_a_conversation_may_have_a_name(named: Any):
    pool = Pool("a b", strategy="weighted", draws=[0.9, 0.1, 0.1])
    assert await pool.backends(1, words=LONG, **named) == ["b"]
    assert await pool.backends(1, words="other" + LONG, **named) == ["b"]
    assert await pool.backends(1, words=LONG) == ["a"]


async def test_tenants_share_no_conversation():
    pool = Pool("a b", strategy="weighted", draws=[0.9, 0.1])
    for tenant, backend in (("t1", "b"), ("t2", "a"), ("t1", "b")):
        call = pool.call(words=LONG)
        call.tenant = tenant
        await pool.ask(call)
        assert call.decision is not None and call.decision.backend == backend


async def test_anthropic_caches_what_is_marked():
    marked = [Function(name="f", cache=Cache())]
    for tools, second in (([], "a"), (marked, "b")):
        pool = Pool("a b", strategy="weighted", draws=[0.9, 0.1])
        pool.conversations.__init__({"a": "anthropic", "b": "anthropic"})
        assert await turned(pool, LONG, tools=tools) == ["b", second]


async def test_conversations_are_bounded():
    pool = Pool("a b", strategy="weighted", draws=[0.9] * 30)
    pool.conversations.__init__({}, limit=10)
    for number in range(30):
        await pool.backends(1, words=f"{number}" + LONG)
    assert len(pool.conversations) == 10


async def test_a_system_prompt_and_the_first_turn_name_a_conversation():
    pool = Pool("a b")

    def name(*turns: tuple[Any, str]) -> Any:
        call = pool.call()
        call.request = Request(model="m", messages=[Message(role=role, parts=[Text(text=words)]) for role, words in turns])
        return pool.conversations.name(call)

    begin = ("system", LONG), ("user", "one")
    assert name(*begin) == name(*begin, ("assistant", "yes"), ("user", "two"))
    assert name(*begin) != name(("system", LONG), ("user", "another"))
    assert name(("user", "short")) is None
