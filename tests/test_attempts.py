"""Attempts: who is asked, who next, what the client is told, and that nothing of an attempt reaches the next one."""

import weakref
from typing import Any

import msgspec
import pytest
from pools import BODY, BROKEN, BUSY, FILTERED, FULL, LATE, LIMIT, WRONG, Pool, Resting, decision, events_of, failure, said

from interlingua.config import Breaker
from interlingua.errors import (
    InvalidRequest,
    Overloaded,
    ProviderFailure,
    RateLimited,
    Unsupported,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from interlingua.health import cause_of
from interlingua.ir import Choice, ChoiceEnd, End, Failure, Finish, PartDelta, Response, Start, Text, Usage, UsageSoFar
from interlingua.metrics import FALLBACKS, RETRIES
from interlingua.pipeline import Answer, Call


@pytest.mark.parametrize(
    ("failed", "cause"),
    [
        (LIMIT, "429"),
        (failure(429, "billing"), "429"),
        (BROKEN, "5xx"),
        (BUSY, "5xx"),
        (failure(424, "server_error"), "5xx"),
        (failure(502, "bad_gateway", code="broken", extras={"openai": {}}), "5xx"),  # a provider may say so of itself
        (LATE, "timeout"),
        (failure(408, "timeout"), "timeout"),
        (FULL, "context_window"),
        (FILTERED, "content_filter"),
        (UpstreamUnreachable("x").failure, "connect"),
        (UpstreamBroken("x").failure, "connect"),
        (UpstreamGarbage("x").failure, "5xx"),
        (UpstreamTimeout("x").failure, "timeout"),
        (WRONG, None),
        (failure(401, "authentication"), None),
        (failure(404, "not_found"), None),
        (failure(413, "too_large"), None),
    ],
)
def test_a_failure_has_one_cause(failed: Failure, cause: str | None):
    assert cause_of(failed) == cause


@pytest.mark.parametrize("failed", [LIMIT, BROKEN, BUSY, LATE, UpstreamUnreachable("x"), UpstreamBroken("x")], ids=str)
@pytest.mark.parametrize("stream", [False, True])
async def test_another_is_asked_at_once(failed: Any, stream: bool):
    pool = Pool("a b")
    pool.acts["a"] = [failed]
    call, answer = await pool.ask(pool.call(stream))
    assert (pool.asked, pool.slept, call.attempts) == (["a", "b"], [], 2)
    assert call.decision == decision("b")
    cause = cause_of(failed.failure if isinstance(failed, UpstreamError) else failed)
    assert call.tried == [f"a/m;{cause}"]
    assert pool.counted(RETRIES, "a", "m", str(cause)) == 1
    if stream:
        assert [type(event).__name__ for event in await events_of(answer)][-1] == "End"


@pytest.mark.parametrize("failed", [WRONG, failure(401, "authentication"), FULL, FILTERED], ids=str)
async def test_what_is_not_named_is_told_at_once(failed: Failure):
    pool = Pool("a b")
    pool.acts["a"] = [failed]
    with pytest.raises(ProviderFailure) as caught:
        await pool.ask()
    assert caught.value.failure is failed
    assert pool.asked == ["a"]


async def test_one_who_cannot_carry_the_request_is_passed_over_for_nothing():
    pool = Pool("a b", attempts=1)

    def refuse(call: Call) -> None:
        raise Unsupported("cannot carry it", param="logprobs")

    pool.acts["a"] = [refuse]
    call, answer = await pool.ask()
    assert answer.response is not None and pool.asked == ["a", "b"]
    assert (call.attempts, call.tried) == (1, ["a/m;400"])
    assert pool.board.of(decision("a")).last is None
    pool.acts["b"] = [refuse]
    with pytest.raises(ProviderFailure) as caught:
        await pool.ask()
    assert (caught.value.failure.status, caught.value.failure.param) == (400, "logprobs")


@pytest.mark.parametrize("error", [InvalidRequest("no"), RuntimeError("a bug")])
async def test_our_own_refusals_are_no_failures_of_a_backend(error: Exception):
    pool = Pool("a b")

    def refuse(call: Call) -> None:
        raise error

    pool.acts["a"] = [refuse]
    with pytest.raises(type(error)):
        await pool.ask()
    health = pool.board.of(decision("a"))
    assert (pool.asked, health.in_flight, health.last) == (["a"], 0, None)


async def test_the_same_one_again_only_where_there_is_no_other_and_later():
    pool = Pool("a b", attempts=5)
    pool.acts = {"a": [BROKEN], "b": [BROKEN, said()]}
    call, _ = await pool.ask()
    assert (pool.asked, pool.slept, call.attempts) == (["a", "b", "a", "b"], [0.25], 4)


async def test_back_off_grows_and_is_jittered():
    pool = Pool("a", attempts=5, draws=[1.0, 0.0, 1.0, 0.0])
    pool.acts["a"] = [LIMIT, LIMIT, LIMIT, LIMIT, said()]
    await pool.ask()
    assert pool.slept == [0.25, 0.25, 1.0, 1.0]  # 0.25, half of 0.5, 1, half of 2


async def test_back_off_begins_as_it_is_configured():
    pool = Pool("a", attempts=5, backoff=3.0)
    pool.acts["a"] = [LIMIT, LIMIT, LIMIT, said()]
    await pool.ask()
    assert pool.slept == [3.0, 6.0, 8.0]
    pool = Pool("a", attempts=5, backoff=10.0)
    pool.acts["a"] = [LIMIT, LIMIT, said()]
    await pool.ask()
    assert pool.slept == [10.0, 10.0]


async def test_it_waits_as_long_as_it_was_asked_to():
    pool = Pool("a")
    pool.acts["a"] = [failure(429, "rate_limit", retry_after=7.0), said()]
    await pool.ask()
    assert pool.slept == [7.0]


@pytest.mark.parametrize(("asked", "deadline"), [(31.0, 600.0), (5.0, 4.0)])
async def test_a_wait_that_is_too_long_is_told_instead(asked: float, deadline: float):
    pool = Pool("a")
    pool.acts["a"] = [failure(429, "rate_limit", retry_after=asked)]
    call = pool.call()
    call.deadline = pool.now + deadline
    with pytest.raises(ProviderFailure) as caught:
        await pool.ask(call)
    assert (pool.slept, caught.value.failure.retry_after, caught.value.failure.status) == ([], asked, 429)


async def test_attempts_are_counted_over_all():
    pool = Pool("a b", "c d", attempts=3)
    pool.acts = dict.fromkeys("abcd", [BROKEN])
    with pytest.raises(ProviderFailure):
        await pool.ask()
    assert pool.asked == ["a", "b", "c"]


async def test_one_attempt_is_one():
    pool = Pool("a b", attempts=1)
    pool.acts["a"] = [BROKEN]
    with pytest.raises(ProviderFailure) as caught:
        await pool.ask()
    assert caught.value.failure is BROKEN


async def test_a_fallback_answers_when_the_pool_gives_out():
    pool = Pool("a b", "c/other")
    pool.acts |= {"a": [BROKEN], "b": [LIMIT]}
    call, _ = await pool.ask()
    assert pool.asked == ["a", "b", "c"]
    assert call.decision is not None and (call.decision.route, call.decision.model) == ("fallback", "other")
    assert call.tried == ["a/m;5xx", "b/m;429"]
    assert pool.counted(FALLBACKS, "c", "other") == 1


async def test_a_healthy_pool_has_no_fallback():
    pool = Pool("a", "b")
    call, _ = await pool.ask()
    assert call.decision is pool.plan.first and pool.asked == ["a"]


async def test_a_wider_window_is_looked_for_under_another_name():
    pool = Pool("a b", "c d/wide", retry_on=("context_window",))
    pool.acts["a"] = [FULL]
    call, _ = await pool.ask()
    assert pool.asked == ["a", "d"]
    assert call.tried == ["a/m;context_window"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_filtered_answer_goes_elsewhere_if_asked_for(stream: bool):
    filtered = Response(choices=[Choice(parts=[], finish=Finish(reason="filter"))])
    events = [[Start()], [ChoiceEnd(finish=Finish(reason="filter")), End()]]
    for retry_on, asked in ((("429",), ["a"]), (("content_filter",), ["a", "b"])):
        pool = Pool("a b", retry_on=retry_on)
        pool.acts["a"] = [events if stream else filtered]
        call, _ = await pool.ask(pool.call(stream))
        assert pool.asked == asked
        assert call.tried == (["a/m;content_filter"] if len(asked) > 1 else [])
        assert pool.closed == (["a"] if stream and len(asked) > 1 else [])


async def test_a_filter_after_words_is_an_answer():
    pool = Pool("a b", retry_on=("content_filter",))
    pool.acts["a"] = [Response(choices=[Choice(parts=[Text(text="I was")], finish=Finish(reason="filter"))])]
    await pool.ask()
    assert pool.asked == ["a"]


# Streams


@pytest.mark.parametrize(
    "before", [[], [[Start()]], [[Start()], [UsageSoFar(usage=Usage(input=1))]], [BODY[:2]]], ids=["0", "1", "2", "3"]
)
async def test_a_stream_that_fails_before_its_first_content_is_tried_again(before: list[Any]):
    """A rate limit told within a stream (pitfall 53), and an error frame that is no first token (54)."""
    pool = Pool("a b")
    pool.acts["a"] = [[*before, [LIMIT]]]
    call, answer = await pool.ask(pool.call(stream=True))
    assert pool.asked == ["a", "b"]
    events = await events_of(answer)
    assert sum(isinstance(event, Start) for event in events) == 1 and isinstance(events[-1], End)
    assert pool.closed == ["a", "b"]
    assert pool.board.of(decision("a")).streamed.seconds is None
    assert call.tried == ["a/m;429"]


async def test_a_stream_that_fails_later_is_told_whole():
    pool = Pool("a b")
    pool.acts["a"] = [[[Start()], BODY[1:3], [PartDelta(index=0, text="!")], [BROKEN]]]
    call, answer = await pool.ask(pool.call(stream=True))
    assert await events_of(answer) == [*BODY[:3], PartDelta(index=0, text="!"), BROKEN]
    assert pool.asked == ["a"]
    health = pool.board.of(decision("a"))
    assert (health.in_flight, health.last) == (1, None)
    call.end(BROKEN)
    assert health.in_flight == 0 and health.last is not None and health.last[1] is BROKEN
    call.end(BROKEN)  # once and for all
    assert health.in_flight == 0


async def test_a_failure_that_comes_with_content_is_told_however_the_bytes_were_cut():
    pool = Pool("a b")
    pool.acts["a"] = [[[*BODY[:3], BROKEN]]]
    _, answer = await pool.ask(pool.call(stream=True))
    assert await events_of(answer) == [*BODY[:3], BROKEN]


async def test_a_stream_without_anything_is_a_broken_one():
    pool = Pool("a b")
    pool.acts["a"] = [[]]
    call, _ = await pool.ask(pool.call(stream=True))
    assert call.tried == ["a/m;connect"]


async def test_a_stream_that_is_given_up_closes_its_upstream():
    pool = Pool("a")
    pool.acts["a"] = [[[Start()], BODY[1:], [End()]]]
    _, answer = await pool.ask(pool.call(stream=True))
    assert pool.closed == []
    await answer.close()
    assert pool.closed == ["a"]


async def test_a_policy_outside_sees_what_was_looked_at():
    pool = Pool("a")
    pool.acts["a"] = [[[Start()], BODY[1:3], [End()]]]
    _, answer = await pool.ask(pool.call(stream=True))
    whole: list[Response] = []
    await events_of(answer.tap(whole.append))
    assert [part.text for part in whole[0].choices[0].parts if isinstance(part, Text)] == ["hi"]


async def test_a_deadline_says_nothing_of_a_backend():
    """A client may set its own, however short."""
    pool = Pool("a", breaker=Breaker(failures=1))
    call = pool.call()

    def too_late(call: Call) -> Failure:
        pool.now = call.deadline
        return LATE

    pool.acts["a"] = [too_late]
    with pytest.raises(ProviderFailure):
        await pool.ask(call)
    health = pool.board.of(decision("a"))
    assert (health.state, health.last, health.in_flight) == ("closed", None, 0)
    call = pool.call(stream=True)
    pool.acts["a"] = [said()]
    await pool.ask(call)
    call.deadline = 0.0
    call.end(LATE)
    assert (health.state, health.last, health.in_flight) == ("closed", None, 0)


# What the client is told


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (LIMIT, BROKEN, 429),
        (BROKEN, LIMIT, 429),
        (BROKEN, LATE, 500),
        (UpstreamUnreachable("x").failure, LATE, 504),
        (BROKEN, BUSY, 529),  # of like ones the last
    ],
)
async def test_of_all_failures_the_most_telling_is_told(first: Failure, second: Failure, told: int):
    pool = Pool("a b", attempts=2)
    pool.acts = {"a": [first], "b": [second]}
    with pytest.raises(ProviderFailure) as caught:
        await pool.ask()
    failed = caught.value.failure
    assert failed.status == told
    assert failed.message.endswith(f"(tried 2 times: a {cause_of(first)}, b {cause_of(second)})")
    assert first.message.find("tried") == second.message.find("tried") == -1


async def test_a_fallbacks_own_refusal_does_not_hide_why_it_was_asked():
    pool = Pool("a", "b")
    pool.acts = {"a": [LIMIT], "b": [failure(404, "not_found")]}
    with pytest.raises(ProviderFailure) as caught:
        await pool.ask()
    assert caught.value.failure.status == 429 and pool.asked == ["a", "b"]


async def test_a_refusal_by_another_of_the_pool_is_the_answer():
    pool = Pool("a b")
    pool.acts = {"a": [LIMIT], "b": [WRONG]}
    with pytest.raises(ProviderFailure) as caught:
        await pool.ask()
    assert caught.value.failure is WRONG


async def test_nobody_left_is_told_at_once():
    pool = Pool("a b", breaker=Breaker(failures=1))
    pool.acts = {"a": [BROKEN], "b": [LATE]}
    with pytest.raises(ProviderFailure):
        await pool.ask()
    with pytest.raises(Overloaded) as caught:
        await pool.ask()
    assert pool.asked == ["a", "b"] and pool.slept == []
    failed = caught.value.failure
    assert (failed.status, failed.retry_after, failed.code) == (503, 1.0, "no_backend_available")
    assert "a: failing with 500, b: failing with 504" in failed.message


# The request stays as it came


async def test_each_attempt_gets_the_request_as_it_came():
    pool = Pool("a b", "c")
    seen: list[bytes] = []

    def spoil(call: Call) -> Failure:
        seen.append(msgspec.json.encode(call.request))
        call.request = msgspec.structs.replace(call.request, model="spoilt", messages=[])
        call.losses("x", "dropped", "spoilt")
        return BROKEN

    pool.acts |= {"a": [spoil], "b": [spoil], "c": [lambda call: seen.append(msgspec.json.encode(call.request)) or said()]}
    call = pool.call()
    before = msgspec.json.encode(call.request)
    await pool.ask(call)
    assert seen == [before] * 3


async def test_a_broken_answer_is_let_go_of_before_another_is_asked():
    """Of many that wait for their next attempt each would hold its own: in the frames of the error, or in what it came of."""

    class Body:
        pass

    held = list[weakref.ref[Body]]()

    async def garbage(call: Call) -> Answer:
        body = Body()
        held.append(weakref.ref(body))
        try:
            raise ValueError(body)
        except ValueError:
            raise UpstreamGarbage("no JSON") from None

    def left(call: Call) -> Any:
        assert [ref() for ref in held] == [None] * 3
        return said()

    pool = Pool("a", attempts=4)
    pool.acts["a"] = [garbage, garbage, garbage, left]
    call, answer = await pool.ask()
    assert answer.response == said() and call.attempts == 4 and len(pool.slept) == 3


async def test_an_attempt_made_by_another_policy_is_formatted_for_its_own_backend():
    """History, inside, sees the decision of each attempt."""
    pool = Pool("a b")
    decided: list[str] = []

    async def inner(call: Call) -> Answer:
        assert call.decision is not None
        decided.append(call.decision.backend)
        return await pool.handle(call)

    pool.acts["a"] = [BROKEN]
    await pool.ask(handle=inner)
    assert decided == ["a", "b"]


# Budget


async def test_a_dying_backend_is_not_hammered():
    pool = Pool("a", breaker=Breaker(failures=1 << 30, error_rate=1), attempts=3)
    pool.acts["a"] = [BROKEN]
    for _ in range(200):
        with pytest.raises(ProviderFailure):
            await pool.ask()
    floor = 10 + sum(pool.slept)  # there at first, and one for each second waited
    assert 200 < len(pool.asked) <= 200 + 0.2 * len(pool.asked) + floor


async def test_others_are_asked_without_a_budget():
    pool = Pool("a b", breaker=Breaker(failures=1 << 30, error_rate=1))
    pool.acts["a"] = [BROKEN]
    assert await pool.backends(300) == ["b"] * 300


# Keys that rest


async def test_one_whose_keys_rest_is_passed_over():
    pool = Pool("a b", "c")
    pool.stations["a"].keys = Resting(lambda: 9.0)
    assert await pool.backends(2) == ["b", "b"]
    pool.stations["b"].keys = Resting(lambda: 5.0)
    assert await pool.backends(1) == ["c"]


async def test_where_all_keys_rest_the_first_to_be_free_is_waited_for():
    pool = Pool("a b")
    begun = pool.now
    pool.stations["a"].keys = Resting(lambda: max(0.0, begun + 9 - pool.now))
    pool.stations["b"].keys = Resting(lambda: max(0.0, begun + 5 - pool.now))
    assert await pool.backends(1) == ["b"]
    assert pool.slept == [5.0]


async def test_keys_that_came_to_rest_just_now_are_passed_over():
    """Another request took the last one: nothing was sent, and nothing speaks against the backend."""
    pool = Pool("a b")
    pool.acts["a"] = [RateLimited("All keys rest.", retry_after=9)]
    assert await pool.backends(3) == ["b", "b", "b"]
    assert pool.board.of(decision("a")).last is None


async def test_keys_that_rest_too_long_are_a_429_that_says_how_long():
    pool = Pool("a")
    pool.stations["a"].keys = Resting(lambda: 3600.0)
    with pytest.raises(RateLimited, match="its keys rest") as caught:
        await pool.ask()
    assert caught.value.failure.retry_after == 3600.0 and pool.asked == pool.slept == []


async def test_who_answers_429_is_passed_over_while_it_wants_to_rest_and_another_is_well():
    pool = Pool("a b")
    pool.acts["a"] = [failure(429, "rate_limit", retry_after=3.0), said()]
    assert await pool.backends(5) == ["b", "b", "b", "a", "a"]
    assert pool.asked == ["a", "b", "b", "b", "a", "a"]


async def test_who_answers_429_is_still_asked_where_there_is_no_other():
    pool = Pool("a", attempts=1)
    pool.acts["a"] = [failure(429, "rate_limit", retry_after=3.0)]
    for _ in range(3):
        with pytest.raises(ProviderFailure):
            await pool.ask()
    assert pool.asked == ["a"] * 3 and pool.slept == []
