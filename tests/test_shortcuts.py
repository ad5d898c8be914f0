"""What nearly all traffic is takes a shorter way, and is told no other than on the long one."""

import copy
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.errors import InvalidRequest, UpstreamGarbage
from interlingua.framing import Frame
from interlingua.ir import AnyEvent, Choice, Response, Text
from interlingua.losses import Losses
from interlingua.protocols import bedrock, responses
from interlingua.protocols.bedrock import stream
from interlingua.protocols.responses import items
from interlingua.protocols.shared import decode_request
from interlingua.protocols.wire import decode_json, encode_json

calm = settings(max_examples=150, deadline=None)
words = st.sampled_from(["", " ", "Hi", "Grüße\u2028", '{"a":1}'])
odd: st.SearchStrategy[Any] = st.sampled_from([None, 1, 2.5, True, [], {}, "x"])
places = st.sampled_from([0, 0, 0, 1, 1.0]) | odd


def some(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


# Bedrock's deltas

said = some({"text": words | odd}, x=odd) | st.sampled_from(
    [{"toolUse": {"input": "1"}}, {"reasoningContent": {"text": "Hm"}}, {"citation": {"title": "t"}}, {"new": 1}, None, "x"]
)
plain = some({"contentBlockIndex": st.integers(0, 1), "delta": st.fixed_dictionaries({"text": words})}, p=words)
rare = some({"contentBlockIndex": places, "delta": said}, p=odd, x=odd)
deltas = st.tuples(st.just("contentBlockDelta"), plain | plain | plain | rare)
others = st.sampled_from(
    [
        ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "a", "name": "b"}}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 1}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {"inputTokens": 1}}),
        ("exception:throttlingException", {"message": "slow down"}),
    ]
)


def heard(rows: list[tuple[str, Any]]) -> list[AnyEvent | str]:
    parser, events = bedrock.Parser(), list[AnyEvent | str]()
    for kind, body in rows:
        try:
            events += parser.feed(Frame(kind, json.dumps(body).encode()))
        except UpstreamGarbage as error:
            return [*events, str(error)]
    return events + parser.close()


@calm
@given(st.lists(deltas | deltas | others, max_size=12))
def test_deltas_of_bedrocks_are_read_alike(rows: list[tuple[str, Any]]) -> None:
    short = heard(rows)
    with patch.object(stream, "_decode_common", side_effect=msgspec.DecodeError):
        assert short == heard(rows)


# Items of a Responses input

messages = some({"role": st.sampled_from(["user", "system", "developer", "assistant"]), "content": words})
calls = some({"type": st.just("function_call"), "call_id": words, "name": words, "arguments": words}, id=words, x=odd)
results = some({"type": st.just("function_call_output"), "call_id": words, "output": words}, status=words, x=odd)
typed = some({"type": st.just("message"), "content": words, "role": st.sampled_from(["user", "assistant"])})
sealed = some({"type": st.just("reasoning"), "summary": st.just([])}, encrypted_content=words)
good = messages | calls | results | typed | sealed
fields = st.sampled_from(["type", "role", "content", "call_id", "name", "arguments", "output"])
wrong = st.builds(lambda item, field, value: {**item, field: value}, good, fields, odd)


def at_length(value: list[dict[str, Any]]) -> Any:
    reader = vars(items)["_Input"]()
    for i, item in enumerate(value):
        reader.read(item, item.get("role"), i)
    reader.end_turn()
    return reader.messages


def read(reader: Callable[[Any], Any], value: list[dict[str, Any]]) -> Any:
    try:
        return reader(copy.deepcopy(value))
    except InvalidRequest as error:
        return str(error)


@calm
@given(st.lists(good, max_size=6), st.lists(wrong, max_size=1))
def test_items_are_read_alike(value: list[dict[str, Any]], last: list[dict[str, Any]]) -> None:
    value += last
    short = read(items.parse_input, value)
    with patch.object(items.Turn, "_common", return_value=None), patch.object(items, "_common_result", return_value=None):
        assert short == read(at_length, value)


# The echo of tools that were seen before


def test_an_answer_tells_tools_again_as_if_for_the_first_time() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": "where" * 20}}}
    tools = [
        {"type": "function", "name": "look", "parameters": schema},
        {"type": "function", "name": "find", "parameters": schema, "strict": False, "x": 1},
        {"type": "custom", "name": "say", "format": {"type": "text"}},
        {"type": "web_search", "filters": None},
    ]
    raw = json.dumps({"model": "m", "input": "Hi", "metadata": {"pad": "p" * 8192}, "tools": tools}).encode()
    answer = Response(id="resp_1", choices=[Choice(parts=[Text(text="Hello")])])
    whole = responses.format_response(answer, responses.parse_request(json.loads(raw)), Losses())
    assert whole["tools"] == tools
    for _ in range(2):
        asked = responses.parse_request(decode_request(raw))
        losses = Losses()
        assert decode_json(encode_json(responses.format_response(answer, asked, losses))) == whole
        assert losses == []
