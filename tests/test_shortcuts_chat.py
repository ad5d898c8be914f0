"""What is common goes a shorter way, and comes out as it would have the long way."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.errors import GatewayError, UpstreamGarbage
from interlingua.framing import Frame
from interlingua.ir import ChoiceEnd, End, PartDelta, PartEnd, PartStart, Request, Start, Text
from interlingua.losses import Losses
from interlingua.protocols import anthropic, openai, target
from tests import strategies as ir
from tests.vector_cases import cases

Json = dict[str, Any]
CLAUDE = target("claude-sonnet-4-5")


def outcome(read: Any, *args: Any) -> Any:
    """What is read, in plain data, or what is wrong with it. Without nulls: a block kept whole keeps those too."""
    try:
        return sparse(msgspec.to_builtins(read(*args)))
    except (GatewayError, UpstreamGarbage) as error:
        return str(error)


def sparse(value: Any) -> Any:
    if isinstance(value, list):
        return [sparse(item) for item in value]
    return {key: sparse(item) for key, item in value.items() if item is not None} if isinstance(value, dict) else value


# Turns of a chat. One field more that says nothing (null) is enough for the long way.

words = st.sampled_from(["", " ", "hi", "\u2028"])
calls = st.lists(
    st.fixed_dictionaries(
        {"id": st.just("call_1"), "type": st.sampled_from(["function", "custom", "new"])},
        optional={
            "function": st.fixed_dictionaries({"name": words, "arguments": words}, optional={"x": st.just(1)}),
            "custom": st.fixed_dictionaries({"name": words, "input": words}),
            "index": st.just(0),
        },
    )
    | st.sampled_from([None, 1, {}, {"id": 1, "type": "function", "function": {"name": 2, "arguments": "{}"}}]),
    max_size=2,
)
turns = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "other", None, 1])},
    optional={
        "content": words | st.none() | st.just(1) | st.lists(words.map(lambda text: {"type": "text", "text": text}), max_size=2),
        "tool_calls": calls | st.none() | st.just("x"),
        "tool_call_id": st.sampled_from(["call_1", "", 1, None]),
        "name": st.sampled_from(["Ann", None]),
    },
) | st.sampled_from([None, 1, "x", [], {}])


@given(st.lists(turns, max_size=3))
def test_a_turn_is_read_as_if_it_had_a_field_that_says_nothing(messages: list[Any]) -> None:
    longer = [{**turn, "nothing": None, "none": None} if isinstance(turn, dict) else turn for turn in messages]
    read = [outcome(openai.parse_request, {"model": "m-1", "messages": told}) for told in (messages, longer)]
    assert read[0] == read[1]


def test_a_field_beside_calls_is_not_lost_where_there_are_no_words() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turn: Json = {"role": "assistant", "tool_calls": [call], "name": "Ann"}
    request = openai.parse_request({"model": "m-1", "messages": [{"role": "user", "content": "hi"}, turn]}, None, None)
    assert request.messages[1].extras == {"openai": {"name": "Ann"}}
    losses = Losses()
    anthropic.format_request(request, CLAUDE, losses)
    assert [loss.path for loss in losses] == ["messages[1].name"]


# Whole answers

blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "new", None])},
    optional={"text": words | st.none(), "thinking": words, "signature": words, "citations": st.just([])},
)
counts = st.sampled_from([None, 0, 7, 7.0, "7", True])
usages = st.dictionaries(
    st.sampled_from(["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "service_tier"]),
    counts,
)


@given(
    st.fixed_dictionaries(
        {"content": st.lists(blocks, max_size=2)},
        optional={"usage": usages, "stop_reason": st.sampled_from(["end_turn", "new", None, 1]), "stop_sequence": words},
    )
)
def test_an_answer_is_read_as_if_it_had_fields_that_say_nothing(answer: Json) -> None:
    longer = json.loads(json.dumps(answer))
    for block in longer["content"]:
        block["nothing"] = None
    if "usage" in longer:
        longer["usage"]["nothing"] = None
    longer["nothing"] = longer["container"] = None
    assert outcome(anthropic.parse_response, answer) == outcome(anthropic.parse_response, longer)


# Streams

deltas = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "thinking_delta", "input_json_delta", "signature_delta", "new"])},
    optional={"text": words, "thinking": words, "partial_json": words, "signature": words, "x": st.just(1)},
)
starts = st.sampled_from(
    [
        {"type": "text", "text": ""},
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "tool_use", "id": "a", "name": "look", "input": {}},
        {"type": "tool_use", "id": "a", "name": "look", "input": {"a": 1}},
        {"type": "server_tool_use", "id": "a", "name": "look", "input": {}},
    ]
)
places = st.integers(0, 1)
told = st.lists(
    st.builds(lambda index, block: {"type": "content_block_start", "index": index, "content_block": block}, places, starts)
    | st.builds(lambda index, delta: {"type": "content_block_delta", "index": index, "delta": delta}, places, deltas)
    | st.builds(lambda index: {"type": "content_block_stop", "index": index}, places)
    | st.sampled_from([{"type": "message_stop"}, {"type": "error", "error": {"type": "api_error", "message": "oh"}}]),
    max_size=12,
)


def events_of(frames: list[Frame]) -> list[Any]:
    parser = anthropic.Parser()
    return [outcome(parser.feed, frame) for frame in frames]


@given(told)
def test_a_delta_is_read_alike_whether_the_frame_names_it_or_not(events: list[Json]) -> None:
    data = [json.dumps(event).encode() for event in events]
    named = [Frame(event["type"], line) for event, line in zip(events, data, strict=True)]
    assert events_of(named) == events_of([Frame(None, line) for line in data])


@pytest.mark.parametrize("name", [name for name, case in cases("streams").items() if case.file_of("anthropic")])
def test_a_golden_stream_is_read_alike_whether_its_frames_are_named_or_not(name: str) -> None:
    case = cases("streams")[name]
    file = case.file_of("anthropic")
    assert file is not None
    data = [(event, json.dumps(value).encode()) for event, value in case.read(file)]
    assert events_of([Frame(event, line) for event, line in data]) == events_of([Frame(None, line) for _, line in data])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=3), ir.words, ir.words)
def test_a_chunk_of_words_is_told_as_one_with_extras(said: list[str], id_: str, model: str) -> None:
    """A delta with extras, which Chat Completions has no place for, goes the long way."""

    def chunks(extras: Json) -> list[Any]:
        formatter = openai.Formatter(Request(model="m-1", messages=[]), Losses())
        events = [
            Start(id=id_, model=model),
            PartStart(index=0, part=Text()),
            *[PartDelta(index=0, text=text, extras=extras) for text in said],
            PartEnd(index=0),
            ChoiceEnd(),
            End(),
        ]
        outs = formatter.feed(events)
        return [out.data if out.data == b"[DONE]" else msgspec.json.decode(encoded(out.data)) for out in outs]

    assert chunks({}) == chunks({"openai": {"x": 1}})


def encoded(data: Any) -> bytes:
    return data if isinstance(data, bytes) else msgspec.json.encode(data)
