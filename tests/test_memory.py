"""The policy that gives a model its reasoning back, on IR alone: a handler of three lines plays the provider."""

from collections.abc import AsyncGenerator
from copy import deepcopy

import pytest

from interlingua.fold import unfold
from interlingua.ir import (
    AnyEvent,
    AnyPart,
    Choice,
    Failure,
    Function,
    Message,
    Reasoning,
    Request,
    Response,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from interlingua.pipeline import Answer, Call
from interlingua.policies.memory import Memory
from interlingua.routing import Decision

STEP = Thinking(text="Step by step.", signature=Signature("anthropic", "sig-1"))
HIDDEN = Thinking(redacted=True, signature=Signature("anthropic", "sig-2"))
OSLO = ToolCall(id="call_1", name="weather", arguments='{"city":"Oslo","days":2}')
BERGEN = ToolCall(id="call_2", name="weather", arguments='{"city":"Bergen"}')
SIGNED = ToolCall(id="call_1", name="weather", arguments='{"city":"Oslo"}', signature=Signature("gemini", "sig-3"))
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def asked(*turns: Message, think: bool = True, tools: bool = True) -> Call:
    request = Request(model="m", messages=[Message(role="user", parts=[Text(text="Oslo?")]), *turns])
    request.tools = [Function(name="weather")] if tools else []
    request.reasoning = Reasoning(enabled=True) if think else None
    call = Call(request, "openai", "req_1", {}, 0.0)
    call.decision = Decision("b", "gpt-4o", "explicit", "")
    return call


def assistant(*parts: AnyPart) -> Message:
    return Message(role="assistant", parts=list(parts))


def bare(*parts: AnyPart) -> list[Message]:
    """The turn as a client rebuilds it from ids, names and arguments, and its results."""
    calls = [ToolCall(id=part.id, name=part.name, arguments=part.arguments) for part in parts if isinstance(part, ToolCall)]
    return [assistant(*calls), Message(role="tool", parts=[ToolResult(id=call.id, parts=[]) for call in calls])]


async def told(events: list[AnyEvent]) -> AsyncGenerator[list[AnyEvent], None]:
    for event in events:
        yield [event]


async def answered(memory: Memory, call: Call, *parts: AnyPart, stream: bool = False) -> Call:
    """The provider answers these parts, and the client hears all of them."""
    response = Response(id="r", choices=[Choice(parts=deepcopy(list(parts)))])

    async def provider(call: Call) -> Answer:
        return Answer(events=told(unfold(response))) if stream else Answer(response)

    answer = await memory(call, provider)
    if answer.events is not None:
        assert [event async for batch in answer.events for event in batch] == unfold(response)
    else:
        assert answer.response is response
    return call


async def sent(memory: Memory, *turns: Message) -> list[AnyPart]:
    """The parts of the first assistant's turn as the provider is sent them."""
    call = await answered(memory, asked(*deepcopy(list(turns))), Text(text="ok"))
    return next(message.parts for message in call.request.messages if message.role == "assistant")


@streamed
async def test_reasoning_comes_back_before_the_words_and_the_calls_it_led_to(stream: bool):
    memory, said = Memory(), Text(text="I will look.")
    await answered(memory, asked(), STEP, HIDDEN, said, OSLO, BERGEN, stream=stream)
    turn, results = bare(OSLO, BERGEN)
    turn.parts.insert(0, said)
    assert await sent(memory, turn, results) == [STEP, HIDDEN, said, OSLO, BERGEN]


@streamed
async def test_reasoning_between_calls_stays_between_them(stream: bool):
    memory = Memory()
    await answered(memory, asked(), STEP, OSLO, HIDDEN, BERGEN, stream=stream)
    assert await sent(memory, *bare(OSLO, BERGEN)) == [STEP, OSLO, HIDDEN, BERGEN]


@streamed
async def test_a_calls_own_signature_comes_back(stream: bool):
    memory = Memory()
    await answered(memory, asked(), SIGNED, BERGEN, stream=stream)
    assert await sent(memory, *bare(SIGNED, BERGEN)) == [SIGNED, BERGEN]


async def test_words_that_a_client_kept_give_way_to_the_signed_ones():
    memory = Memory()
    await answered(memory, asked(), STEP, OSLO)
    turn, results = bare(OSLO)
    turn.parts.insert(0, Thinking(text="Step by"))
    assert await sent(memory, turn, results) == [STEP, OSLO]


async def test_words_stay_where_only_the_call_was_signed():
    memory, words = Memory(), Thinking(text="Oslo, then.")
    await answered(memory, asked(), words, SIGNED)
    turn, results = bare(SIGNED)
    turn.parts.insert(0, words)
    assert await sent(memory, turn, results) == [words, SIGNED]


@pytest.mark.parametrize("own", [STEP, HIDDEN, SIGNED], ids=["thinking", "redacted", "call"])
async def test_a_client_that_sends_any_signature_is_trusted(own: AnyPart):
    memory = Memory()
    await answered(memory, asked(), STEP, HIDDEN, OSLO)
    turn, results = bare(OSLO)
    turn.parts = [own] if isinstance(own, ToolCall) else [own, *turn.parts]
    assert await sent(memory, turn, results) == turn.parts


async def test_arguments_may_be_spelled_anew():
    memory = Memory()
    await answered(memory, asked(), STEP, OSLO)
    turn, results = bare(OSLO)
    turn.parts = [ToolCall(id="call_1", name="weather", arguments='{ "days": 2.0, "city": "Oslo" }')]
    assert await sent(memory, turn, results) == [STEP, *turn.parts]


async def test_half_of_a_turn_gets_what_is_its_own():
    memory = Memory()
    await answered(memory, asked(), STEP, OSLO, HIDDEN, BERGEN)
    assert await sent(memory, *bare(OSLO)) == [STEP, OSLO]


async def test_two_conversations_never_mix():
    memory = Memory()
    other = Thinking(text="Another's.", signature=Signature("anthropic", "sig-9"))
    elsewhere = ToolCall(id="call_9", name="weather", arguments="{}")
    await answered(memory, asked(), STEP, OSLO)
    await answered(memory, asked(), other, elsewhere)
    assert await sent(memory, *bare(OSLO)) == [STEP, OSLO]
    assert await sent(memory, *bare(elsewhere)) == [other, elsewhere]
    stranger = ToolCall(id="call_7", name="weather", arguments="{}")
    assert await sent(memory, *bare(stranger)) == [stranger]


@pytest.mark.parametrize(
    "namesake",
    [
        ToolCall(id="call_1", name="weather", arguments='{"city":"Rome"}'),
        ToolCall(id="call_1", name="time", arguments=OSLO.arguments),
        ToolCall(id="call_1", name="weather", arguments='{"city":"Os'),
        ToolCall(id="call_1", name="weather"),
    ],
    ids=["arguments", "name", "broken", "none"],
)
async def test_the_same_id_in_another_conversation_is_another_call(namesake: ToolCall):
    """Some servers count their ids from 0 in every conversation."""
    memory = Memory()
    await answered(memory, asked(), STEP, OSLO)
    assert await sent(memory, *bare(namesake)) == [namesake]
    await answered(memory, asked(), HIDDEN, namesake)
    assert await sent(memory, *bare(namesake)) == [HIDDEN, namesake]
    assert await sent(memory, *bare(OSLO)) == [OSLO], "the later one has taken its place"


async def test_what_is_held_is_bounded_and_the_oldest_goes_first():
    size = 3_000
    thoughts = [Thinking(text=str(i) * size, signature=Signature("anthropic", f"sig-{i}")) for i in range(9)]
    calls = [ToolCall(id=f"call_{i}", name="weather", arguments="{}") for i in range(9)]
    memory = Memory(limit=4 * size)
    for thought, call in zip(thoughts, calls, strict=True):
        await answered(memory, asked(), thought, call)
    found = [(await sent(memory, *bare(call)))[0] for call in calls]
    assert found[-3:] == thoughts[-3:]
    assert found[:6] == calls[:6]


async def test_one_turn_said_again_is_held_once():
    memory = Memory(limit=1_000)
    for _ in range(5):
        await answered(memory, asked(), HIDDEN, BERGEN)
    await answered(memory, asked(), STEP, OSLO)
    assert await sent(memory, *bare(BERGEN)) == [HIDDEN, BERGEN]


async def test_a_turn_larger_than_reason_is_not_kept():
    memory = Memory()
    huge = Thinking(text="x" * (1 << 20), signature=Signature("anthropic", "sig"))
    await answered(memory, asked(), STEP, OSLO)
    await answered(memory, asked(), huge, BERGEN)
    assert await sent(memory, *bare(BERGEN)) == [BERGEN]
    assert await sent(memory, *bare(OSLO)) == [STEP, OSLO]


async def test_unsigned_reasoning_is_not_the_memorys_business():
    memory = Memory()
    await answered(memory, asked(), Thinking(text="Plain."), OSLO)
    assert await sent(memory, *bare(OSLO)) == [OSLO]


@pytest.mark.parametrize(
    "model, think, tools, kept",
    [
        ("gpt-4o", False, True, False),
        ("gpt-4o", True, True, True),
        ("gpt-4o", True, False, False),
        ("gemini-3-pro", False, True, True),
        ("claude-opus-4-8", False, True, True),
    ],
)
async def test_only_models_that_may_sign_are_listened_to(model: str, think: bool, tools: bool, kept: bool):
    memory = Memory()
    call = asked(think=think, tools=tools)
    call.decision = Decision("b", model, "explicit", "")
    await answered(memory, call, STEP, OSLO)
    assert await sent(memory, *bare(OSLO)) == ([STEP, OSLO] if kept else [OSLO])


async def test_a_stream_that_fails_or_is_left_leaves_nothing():
    memory = Memory()
    events = unfold(Response(id="r", choices=[Choice(parts=[STEP, OSLO])]))
    closed: list[bool] = []

    async def broken(fails: bool) -> AsyncGenerator[list[AnyEvent], None]:
        try:
            yield events[:-1]
            if fails:
                yield [Failure(status=502, kind="bad_gateway", message="cut")]
            else:
                yield events[-1:]
        finally:
            closed.append(True)

    for fails in (True, False):

        async def provider(call: Call, fails: bool = fails) -> Answer:
            return Answer(events=broken(fails))

        answer = await memory(asked(), provider)
        assert answer.events is not None
        async for _ in answer.events:
            if not fails:
                break
        await answer.events.aclose()
    assert closed == [True, True]
    assert await sent(memory, *bare(OSLO)) == [OSLO]


async def test_what_is_restored_is_the_requests_alone():
    """A request that is changed on its way must not change what is remembered."""
    memory = Memory()
    await answered(memory, asked(), STEP, OSLO)
    turn, results = bare(OSLO)
    before = deepcopy(turn)
    call = await answered(memory, asked(turn, results), Text(text="ok"))
    call.request.messages[1].parts.clear()
    assert turn == before, "the client's own message is left as it was"
    assert await sent(memory, *bare(OSLO)) == [STEP, OSLO]
