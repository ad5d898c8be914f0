"""Anthropic Messages: same-protocol fidelity, conversions against exact JSON, the pitfalls, and the vendor's SDK as judge."""

import copy
import json
from typing import Any

import anthropic as sdk
import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.carry import seal, unseal
from interlingua.errors import InvalidRequest, UpstreamGarbage
from interlingua.fold import fold, unfold
from interlingua.framing import Frame, Out
from interlingua.ir import (
    AnyEvent,
    Cache,
    Choice,
    ChoiceEnd,
    Citation,
    End,
    Failure,
    Finish,
    Function,
    Media,
    Message,
    Opaque,
    OpaqueEvent,
    Output,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Request,
    Response,
    ServerTool,
    Signature,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
    UsageSoFar,
)
from interlingua.losses import Losses
from interlingua.protocols import anthropic, openai, target
from interlingua.protocols.anthropic.claude import claude
from interlingua.protocols.anthropic.names import api_version
from interlingua.protocols.anthropic.schema import dialect
from tests.anthropic_cases import CHAR_LOCATION, REQUEST, RESPONSE, STREAM, WEB_LOCATION

Json = dict[str, Any]
OPUS, SONNET = "claude-opus-5", "claude-sonnet-4-5"
ASKED = Request(model="m", messages=[])
SIGNED = Signature("anthropic", "EqQB")
GOOGLE = Signature("gemini", "CpcB")


def wire(value: Any) -> Any:
    """What the value is once it has travelled."""
    return msgspec.json.decode(msgspec.json.encode(value))


def nonnull(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: nonnull(inner) for key, inner in value.items() if inner is not None}
    return [nonnull(inner) for inner in value] if isinstance(value, list) else value


def sent(request: Request, model: str = OPUS) -> tuple[Json, Losses]:
    losses = Losses()
    return wire(anthropic.format_request(request, target(model), losses)), losses


def said(*parts: Any, role: Any = "user", model: str = OPUS) -> tuple[Json, list[str]]:
    """The last message that a turn of these parts becomes, and the paths of what was lost."""
    before = [] if role == "user" else [Message(role="user", parts=[Text(text="hi")])]
    body, losses = sent(Request(model="m", messages=[*before, Message(role=role, parts=list(parts))]), model)
    return (body["messages"][-1] if body["messages"] else {}), paths(losses)


def paths(losses: Losses) -> list[str]:
    return [f"{loss.path};{loss.how}" for loss in losses]


def asked(**fields: Any) -> Request:
    return Request(model="m", messages=[Message(role="user", parts=[Text(text="hi")])], **fields)


def answered(response: Response) -> tuple[Json, Losses]:
    losses = Losses()
    return wire(anthropic.format_response(response, ASKED, losses)), losses


def answer(*parts: Any, **finish: Any) -> Response:
    return Response(id="r1", model="m", choices=[Choice(parts=list(parts), finish=Finish(**finish) if finish else None)])


def from_openai(body: Json, model: str = OPUS) -> tuple[Json, Losses]:
    return sent(openai.parse_request(copy.deepcopy(body)), model)


def to_openai(body: Json, model: str = "gpt-4o") -> tuple[Json, Losses]:
    losses = Losses()
    return wire(openai.format_request(anthropic.parse_request(copy.deepcopy(body)), target(model), losses)), losses


def parse(*events: Json, close: bool = False) -> list[AnyEvent]:
    parser = anthropic.Parser()
    found = [e for d in events for e in parser.feed(Frame(d.get("type"), json.dumps(d).encode()))]
    return found + (parser.close() if close else [])


def formatted(*events: AnyEvent) -> tuple[list[Json], Losses]:
    losses = Losses()
    formatter = anthropic.Formatter(ASKED, losses)
    outs = [out for event in events for out in formatter.feed([event])]
    found = [msgspec.json.decode(out.data) if isinstance(out.data, bytes) else wire(out.data) for out in outs]
    assert [d["type"] for d in found] == [out.event for out in outs]
    return found, losses


def sse(outs: list[Out]) -> bytes:
    frames = ((out.event, out.data if isinstance(out.data, bytes) else msgspec.json.encode(out.data)) for out in outs)
    return b"".join(b"event: %b\ndata: %b\n\n" % (str(event).encode(), data) for event, data in frames)


def judged(events: list[AnyEvent]) -> Any:
    """The final message as the vendor's SDK accumulates it from our stream."""
    formatter = anthropic.Formatter(ASKED, Losses())
    body = sse([out for event in events for out in formatter.feed([event])])

    def serve(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with (
        httpx2.Client(transport=httpx2.MockTransport(serve)) as http,
        sdk.Anthropic(api_key="k", http_client=http, max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream,
    ):
        for _ in stream:
            pass
        return stream.get_final_message()


def start(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **said: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": said}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def message_start(**more: Any) -> Json:
    return {"type": "message_start", "message": {"id": "m1", "model": "c", "content": [], "usage": {}, **more}}


def message_delta(reason: str | None = "end_turn", **usage: Any) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


STOP: Json = {"type": "message_stop"}


# Same protocol, nothing lost


def test_a_request_with_everything_comes_back_as_it_was():
    request = anthropic.parse_request(copy.deepcopy(REQUEST))
    body, losses = sent(request, "claude-opus-4-8")
    assert body == nonnull(REQUEST)
    assert losses == []


def test_reading_what_was_written_gives_the_same_bytes():
    once = msgspec.json.encode(
        anthropic.format_request(anthropic.parse_request(copy.deepcopy(REQUEST)), target("claude-opus-4-8"), Losses())
    )
    twice = anthropic.format_request(anthropic.parse_request(msgspec.json.decode(once)), target("claude-opus-4-8"), Losses())
    assert msgspec.json.encode(twice) == once


def test_formatting_leaves_the_request_as_it_was_for_the_next_backend():
    request = anthropic.parse_request(copy.deepcopy(REQUEST))
    before = msgspec.json.encode(request)
    for model in (OPUS, SONNET, "claude-3-5-haiku", "kimi"):
        anthropic.format_request(request, target(model), Losses())
    assert msgspec.json.encode(request) == before


def test_an_answer_with_everything_comes_back_as_it_was():
    body, losses = answered(anthropic.parse_response(copy.deepcopy(RESPONSE)))
    assert nonnull(body) == nonnull(RESPONSE)
    assert losses == []


def test_a_stream_folds_to_the_answer_that_is_not_streamed():
    assert fold(parse(*STREAM)) == anthropic.parse_response(copy.deepcopy(RESPONSE))


def test_a_stream_with_everything_is_the_same_message_to_the_sdk():
    message = judged(parse(*STREAM)).to_dict(mode="json", warnings=False)
    assert message["content"][-1].pop("type") == "born_later"
    told = {key: value for key, value in RESPONSE.items() if key != "context_management"}  # its beta's accumulator alone has it
    assert nonnull(message) == nonnull({**told, "content": [*RESPONSE["content"][:-1], {"payload": [1]}]})


def test_events_and_deltas_born_later_pass_through():
    later = [
        {"type": "weather_report", "sun": True},
        delta(7, type="born_later_delta", x=[1]),
        {**delta(7, type="text_delta", text="a", score=1), "seq": 5},
    ]
    events = parse(message_start(), {**start(7, type="text", text=""), "seq": 4}, *later, stop(7), message_delta(), STOP)
    found, losses = formatted(*events)
    assert losses == []
    assert {"type": "weather_report", "sun": True} in found
    assert delta(0, type="text_delta", text="a", score=1) | {"seq": 5} in found
    assert start(0, type="text", text="") | {"seq": 4} in found


def test_an_unknown_delta_of_an_open_block_keeps_its_place():
    events = parse(message_start(), start(9, type="tool_use", id="t", name="n", input={}), delta(9, type="later_delta", x=1))
    found, losses = formatted(*events)
    assert found[-1] == delta(0, type="later_delta", x=1)
    assert losses == []


def test_a_compaction_block_is_told_whole():
    events = parse(
        message_start(),
        start(0, type="compaction", content=None),
        delta(0, type="compaction_delta", content="so far", encrypted_content="e"),
        stop(0),
        message_delta("compaction"),
        STOP,
    )
    response = fold(events)
    assert response.choices[0].parts == [
        Opaque(origin="anthropic", data={"type": "compaction", "content": "so far", "encrypted_content": "e"})
    ]
    assert answered(response)[0]["stop_reason"] == "compaction"


names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=9)
scalars = st.booleans() | st.integers(-99, 99) | words
later = st.dictionaries(names.map("x_{}".format), scalars | st.lists(scalars, max_size=2), max_size=2)


def block(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    marks = st.fixed_dictionaries({"type": st.just("ephemeral")}, optional={"ttl": st.sampled_from(("5m", "1h"))})
    whole = st.fixed_dictionaries({"type": st.just(kind), **fields}, optional={"cache_control": marks})
    return st.builds(lambda d, more: {**d, **more}, whole, later)


user_blocks = st.one_of(
    block("text", text=words),
    block("image", source=st.fixed_dictionaries({"type": st.just("url"), "url": st.just("https://e.com/i")})),
    block("document", source=st.fixed_dictionaries({"type": st.just("file"), "file_id": names}), title=words),
    block("x_later", value=scalars),
)
results = block("tool_result", tool_use_id=names, content=words | st.lists(user_blocks, max_size=2), is_error=st.booleans())
assistant_blocks = st.one_of(
    block("text", text=words, citations=st.lists(st.just(CHAR_LOCATION), max_size=1)),
    block("thinking", thinking=words, signature=names),
    block("redacted_thinking", data=names),
    block("tool_use", id=names, name=names, input=st.dictionaries(names, scalars, max_size=2)),
    block("server_tool_use", id=names, name=names, input=st.dictionaries(names, scalars, max_size=2)),
)
messages = st.one_of(
    st.fixed_dictionaries({"role": st.just("user"), "content": words | st.lists(user_blocks | results, max_size=3)}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": words | st.lists(assistant_blocks, max_size=3)}),
    st.fixed_dictionaries({"role": st.just("system"), "content": words | st.lists(block("text", text=words), max_size=2)}),
)
bodies = st.builds(
    lambda known, more: {**known, **more},
    st.fixed_dictionaries(
        {"model": st.just(OPUS), "messages": st.lists(messages, max_size=4)},
        optional={
            "max_tokens": st.integers(1, 10**6),
            "system": words | st.lists(block("text", text=words), max_size=2),
            "stop_sequences": st.lists(words, max_size=2),
            "stream": st.booleans(),
            "metadata": later | st.fixed_dictionaries({"user_id": names}),
            "tool_choice": st.sampled_from(
                ({"type": "auto"}, {"type": "any", "x": 1}, {"type": "tool", "name": "t"}, {"type": "none"}, {"type": "later"})
            ),
            "thinking": st.sampled_from(
                (
                    {"type": "disabled"},
                    {"type": "adaptive"},
                    {"type": "adaptive", "display": "updates"},
                    {"type": "later", "n": 1},
                )
            ),
            "output_config": later
            | st.sampled_from(
                ({"effort": "low"}, {"effort": "later"}, {"format": {"type": "json_schema", "schema": {}, "y": 2}})
            ),
            "tools": st.lists(
                block("custom", name=names, input_schema=st.just({"type": "object"}), strict=st.booleans())
                | block("x_tool_20270101", name=names),
                max_size=2,
            ),
        },
    ),
    later,
)


@settings(max_examples=60, deadline=None)
@given(bodies)
def test_any_legal_request_comes_back_as_it_was(body: Json):
    request = anthropic.parse_request(copy.deepcopy(body))
    found, losses = sent(request)
    assert found == body
    assert losses == []


# A client's request, read


def test_system_comes_first_and_turns_stay_in_place():
    request = anthropic.parse_request(
        {
            "model": "m",
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "system", "content": [{"type": "text", "text": "b"}]},
                {"role": "assistant", "content": "c"},
            ],
        }
    )
    assert [m.role for m in request.messages] == ["system", "user", "system", "assistant"]
    assert request.messages[0].parts == [Text(text="Be brief.")]


def test_parts_are_read_with_their_meaning():
    turns: list[Any] = anthropic.parse_request(copy.deepcopy(REQUEST)).messages[1:4]
    user, assistant, results = turns
    assert [type(part).__name__ for part in user.parts[:10]] == ["Text"] + ["Media"] * 9
    assert (user.parts[4].name, user.parts[4].mime) == ("A", "application/pdf")
    assert user.parts[9].text == "a\nb"
    assert [part.data["type"] for part in user.parts[10:]] == ["document", "search_result", "container_upload"]
    assert user.parts[3].cache == Cache()
    assert assistant.parts[0].signature == Signature("anthropic", "EqQBsig==")
    assert assistant.parts[1] == Thinking(redacted=True, signature=Signature("anthropic", "Emw=="))
    assert assistant.parts[2].citations[0].quote == "The sky is blue."
    assert assistant.parts[2].citations[0].title == "Sky"
    assert assistant.parts[5].arguments == '{"city":"Köln","days":[1,2.5]}'
    assert [part.id for part in results.parts] == ["toolu_2", "toolu_1", "toolu_3", "toolu_4"]
    assert results.parts[1].error and results.parts[1].parts == [Text(text="no such city")]


def test_parameters_are_read_with_their_meaning():
    request = anthropic.parse_request(copy.deepcopy(REQUEST))
    assert request.reasoning and (request.reasoning.enabled, request.reasoning.effort, request.reasoning.visible) == (
        True,
        "xhigh",
        True,
    )
    assert request.output and request.output.schema == {"type": "object", "properties": {"a": {"minLength": 1}}}
    assert request.tool_choice == ToolChoice(mode="auto", parallel=False)
    assert (request.user, request.stop, request.stream, request.max_tokens) == ("u-1", ["END", "\n"], True, 20000)
    assert isinstance(request.tools[0], Function) and request.tools[0].strict
    assert isinstance(request.tools[2], ServerTool) and request.tools[2].kind == "web_search_20260318"
    assert request.extras["anthropic"]["container"] == {"id": "c1", "skills": []}


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 2048}, Reasoning(enabled=True, budget=2048)),
        ({"type": "adaptive", "display": "omitted"}, Reasoning(enabled=True, visible=False)),
        ({"type": "disabled"}, Reasoning(enabled=False)),
        ({"type": "between_tools"}, Reasoning(enabled=False)),
    ],
)
def test_every_type_of_thinking_is_read(thinking: Json, expected: Reasoning):
    request = anthropic.parse_request({"model": "m", "messages": [], "thinking": thinking})
    assert request.reasoning
    request.reasoning.extras = {}
    assert request.reasoning == expected


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": {}}, "messages"),
        ({"model": "m", "messages": [3]}, "messages[0]"),
        ({"model": "m", "messages": [{"role": "user"}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"content": "a"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages[0].content[0].type"),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
            "messages[0].content[0].source.url",
        ),
        (
            {"model": "m", "messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b"}]}]},
            "messages[0].content[0].input",
        ),
        ({"model": "m", "messages": [], "system": 1}, "system"),
        ({"model": "m", "messages": [], "max_tokens": "9"}, "max_tokens"),
        ({"model": "m", "messages": [], "tool_choice": "auto"}, "tool_choice"),
        ({"model": "m", "messages": [], "tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"model": "m", "messages": [], "thinking": {"budget_tokens": 3}}, "thinking.type"),
        ({"model": "m", "messages": [], "metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
)
def test_a_malformed_request_names_its_field(body: Json, param: str):
    with pytest.raises(InvalidRequest) as caught:
        anthropic.parse_request(body)
    assert caught.value.failure.param == param


def test_the_path_gives_model_and_stream_where_a_host_puts_them_there():
    request = anthropic.parse_request({"messages": [], "anthropic_version": "vertex-2023-10-16"}, "claude-opus-5", True)
    assert (request.model, request.stream) == ("claude-opus-5", True)


# OpenAI's client, Anthropic's backend

CHAT: Json = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{ "a": 1.0 }'}},
                {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": False},
        },
        {"type": "function", "function": {"name": "g"}},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "max_completion_tokens": 5000,
    "stop": "END",
    "user": "u-1",
    "stream": True,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "strict": True, "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
    },
    "reasoning_effort": "low",
}


def test_a_chat_request_in_anthropics_words():
    body, losses = from_openai(CHAT)
    assert body == {
        "model": OPUS,
        "max_tokens": 5000,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                        "title": "a.pdf",
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1.0}},
                    {"type": "tool_use", "id": "call_2", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "two"},
                ],
            },
            {"role": "user", "content": "Go on."},
        ],
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": False},
            {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "thinking": {"type": "adaptive"},
        "output_config": {
            "effort": "low",
            "format": {
                "type": "json_schema",
                "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
            },
        },
        "stream": True,
    }
    assert paths(losses) == ["output.name;dropped", "output.strict;dropped"]


def test_arguments_keep_their_bytes():
    raw = msgspec.json.encode(anthropic.format_request(openai.parse_request(copy.deepcopy(CHAT)), target(OPUS), Losses()))
    assert b'"input":{ "a": 1.0 }' in raw


def test_a_chat_answer_from_anthropic():
    losses = Losses()
    response = anthropic.parse_response(copy.deepcopy(RESPONSE))
    body = wire(openai.format_response(response, ASKED, losses))
    message = body["choices"][0]["message"]
    assert message["content"] == "It rains."
    assert message["reasoning_content"] == "Let me see."
    assert [call["function"] for call in message["tool_calls"]] == [
        {"name": "get_weather", "arguments": '{"city":"Köln"}'},
        {"name": "now", "arguments": "{}"},
    ]
    assert message["annotations"][0]["url_citation"]["url"] == "https://example.com/rain"
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert body["usage"] == {
        "prompt_tokens": 2310,
        "completion_tokens": 77,
        "total_tokens": 2387,
        "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 300},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }


def test_what_a_chat_client_brings_back_is_what_claude_said():
    """Thinking, signatures and server tools survive the trip through a protocol that has no words for them (32, 34)."""
    response = anthropic.parse_response(copy.deepcopy(RESPONSE))
    message = wire(openai.format_response(response, ASKED, Losses()))["choices"][0]["message"]
    asks = {"role": "user", "content": "hi"}
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"}
    body, losses = from_openai({"model": "m", "messages": [asks, message, result]})
    expected = [dict(block) for block in copy.deepcopy(RESPONSE["content"])]
    expected[4].pop("citations")
    expected[5].pop("caller")
    assert body["messages"][1]["content"] == expected
    assert paths(losses) == ["messages[1].annotations;dropped"]


def test_a_chat_stream_from_anthropic():
    losses = Losses()
    formatter = openai.Formatter(openai.parse_request({"model": "m", "messages": [], "stream": True}), losses)
    outs = [out for event in parse(*STREAM) for out in formatter.feed([event])]
    chunks = [msgspec.json.decode(o.data) if isinstance(o.data, bytes) else wire(o.data) for o in outs if o.data != b"[DONE]"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(d.get("content") or "" for d in deltas) == "It rains."
    assert "".join(d.get("reasoning_content") or "" for d in deltas) == "Let me see."
    arguments: dict[int, str] = {}
    for d in deltas:
        for call in d.get("tool_calls", ()):
            arguments[call["index"]] = arguments.get(call["index"], "") + call["function"]["arguments"]
    assert arguments == {0: '{"city":"Köln"}', 1: "{}"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


# Anthropic's client, OpenAI's backend


def test_a_messages_request_in_openais_words():
    body, losses = to_openai(
        {
            "model": "claude",
            "max_tokens": 99,
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "Let me look."},
                        {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {"c": "Köln"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Here:"},
                        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"},
                    ],
                },
            ],
            "tools": [{"name": "w", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "stop_sequences": ["X"],
            "metadata": {"user_id": "u"},
        }
    )
    assert body == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "w", "arguments": '{"c":"Köln"}'}}],
            },
            {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"},
            {"role": "user", "content": "Here:"},
        ],
        "tools": [{"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": "X",
        "user": "u",
        "max_tokens": 99,
    }
    assert losses == []


def test_what_openai_cannot_be_told_is_reported():
    """S13: each of these once vanished under a 200."""
    _, losses = to_openai(REQUEST)
    found = {loss.path for loss in losses}
    assert {
        "messages[1].parts[4].citations",
        "messages[2].parts[0]",
        "messages[2].parts[1]",
        "messages[3].parts[1].error",
        "metadata.team",
        "tools[0].defer_loading",
        "container",
        "tools[2]",
    } <= found


def test_a_chat_answer_for_an_anthropic_client():
    response = openai.parse_response(
        {
            "id": "chatcmpl-1",
            "model": "gpt-4o",
            "created": 1,
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "Look:",
                        "reasoning_content": "Hm.",
                        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 60},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
        }
    )
    body, losses = answered(response)
    thinking = body["content"].pop(0)
    assert (thinking["type"], thinking["thinking"]) == ("thinking", "Hm.")
    carried = unseal(thinking["signature"])
    assert isinstance(carried, Thinking) and carried.text == "Hm."
    assert body == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-4o",
        "content": [
            {"type": "text", "text": "Look:"},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 40,
            "cache_read_input_tokens": 60,
            "output_tokens": 20,
            "output_tokens_details": {"thinking_tokens": 5},
        },
    }
    assert losses == []
    sdk.types.Message.model_validate(body | {"content": [*body["content"], thinking]})


# Turns


def test_results_of_one_turn_stand_in_one_message_and_first():
    body, losses = sent(
        Request(
            model="m",
            messages=[
                Message(role="user", parts=[Text(text="a")]),
                Message(
                    role="assistant", parts=[ToolCall(id="1", name="f"), ToolCall(id="2", name="f"), ToolCall(id="3", name="f")]
                ),
                Message(role="tool", parts=[ToolResult(id="1", parts=[Text(text="x")])]),
                Message(role="tool", parts=[ToolResult(id="2", parts=[Text(text="y")])]),
                Message(role="user", parts=[Text(text="b"), ToolResult(id="3", parts=[Text(text="z")])]),
            ],
        )
    )
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "1", "content": "x"},
        {"type": "tool_result", "tool_use_id": "2", "content": "y"},
        {"type": "tool_result", "tool_use_id": "3", "content": "z"},
        {"type": "text", "text": "b"},
    ]
    assert len(body["messages"]) == 3
    assert paths(losses) == ["messages[4].parts[1];changed"]


def test_tool_history_without_tools_invents_none():
    """S12; Anthropic takes calls and results without definitions."""
    body, losses = from_openai({"model": "m", "messages": CHAT["messages"]})
    assert "tools" not in body and losses == []


def test_images_and_documents_in_results_are_kept():
    """9: images silently dropped."""
    call = Message(role="assistant", parts=[ToolCall(id="1", name="f")])
    result = ToolResult(
        id="1",
        parts=[Text(text="see"), Media(kind="image", data="iVBORw0KGgo=", mime="image/png"), Media(kind="document", text="w")],
    )
    body, losses = sent(Request(model="m", messages=[call, Message(role="tool", parts=[result])]))
    assert body["messages"][1]["content"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "w"}},
    ]
    assert losses == []


def test_a_results_name_is_lost_only_where_its_call_does_not_say_it():
    messages = [
        Message(role="assistant", parts=[ToolCall(id="1", name="f")]),
        Message(role="tool", parts=[ToolResult(id="1", name="f"), ToolResult(id="2", name="g", error=True)]),
    ]
    body, losses = sent(Request(model="m", messages=messages))
    assert body["messages"][1]["content"] == [
        {"type": "tool_result", "tool_use_id": "1"},
        {"type": "tool_result", "tool_use_id": "2", "is_error": True},
    ]
    assert paths(losses) == ["messages[1].parts[1].name;dropped"]


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_an_empty_turn_is_told_and_no_sentence_is_invented(role: Any):
    """S11."""
    messages = [Message(role="user", parts=[Text(text="a")]), Message(role=role), Message(role="user", parts=[Text(text="b")])]
    body, losses = sent(Request(model="m", messages=messages))
    assert body["messages"] == [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert paths(losses) == ["messages[1];dropped"]


def test_blank_text_is_dropped_and_reported_where_it_said_something():
    message, lost = said(Text(text="a"), Text(text=""), Text(text=" \n"))
    assert message == {"role": "user", "content": "a"}
    assert lost == ["messages[0].parts[2];dropped"]


def test_an_anthropic_clients_blank_text_is_its_own():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": ""}, {"role": "user", "content": [{"type": "text", "text": " "}]}],
    }
    assert sent(anthropic.parse_request(copy.deepcopy(body)))[0]["messages"] == body["messages"]


def test_system_alone_becomes_the_turn_to_answer():
    body, losses = from_openai(
        {"model": "m", "messages": [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}]}
    )
    assert body["system"] == "a"
    assert body["messages"] == [{"role": "user", "content": "b"}]
    assert paths(losses) == ["messages[1];changed"]


MID = [
    {"role": "system", "content": "one"},
    {"role": "user", "content": "a"},
    {"role": "developer", "content": "two"},
    {"role": "system", "content": "three"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "c"},
]


def test_a_system_message_in_between_stays_where_the_model_takes_it():
    body, losses = from_openai({"model": "m", "messages": MID}, "claude-opus-4-8")
    assert body["system"] == "one"
    assert body["messages"][1] == {
        "role": "system",
        "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}],
    }
    assert [m["role"] for m in body["messages"]] == ["user", "system", "assistant", "user"]
    assert losses == []


def test_a_system_message_in_between_goes_to_the_start_where_the_model_does_not():
    body, losses = from_openai({"model": "m", "messages": MID}, SONNET)
    assert body["system"] == [{"type": "text", "text": text} for text in ("one", "two", "three")]
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert paths(losses) == ["messages[2];changed", "messages[3];changed"]


def test_a_system_message_that_no_answer_follows_goes_to_the_start():
    turns = [{"role": "user", "content": "a"}, {"role": "system", "content": "s"}, {"role": "user", "content": "b"}]
    body, losses = from_openai({"model": "m", "messages": turns}, "claude-opus-4-8")
    assert body["system"] == "s" and len(body["messages"]) == 2
    assert paths(losses) == ["messages[1];changed"]


def test_a_system_message_holds_words_only():
    parts: list[Any] = [Text(text="a"), Media(kind="image", url="https://e.com/i")]
    body, losses = sent(Request(model="m", messages=[Message(role="system", parts=parts), *asked().messages]))
    assert body["system"] == "a"
    assert paths(losses) == ["messages[0].parts[1];dropped"]


def test_parts_in_turns_that_cannot_hold_them_are_reported():
    assert said(ToolCall(id="1", name="f"), Text(text="a"))[1] == ["messages[0].parts[0];dropped"]
    assert said(Thinking(text="t", signature=SIGNED), Text(text="a"))[1] == ["messages[0].parts[0];dropped"]
    lost = said(ToolResult(id="1"), Media(kind="image", url="https://e.com/i"), Text(text="a"), role="assistant")[1]
    assert lost == ["messages[1].parts[0];dropped", "messages[1].parts[1];dropped"]


# Parts


def test_malformed_arguments_travel_under_the_documented_key():
    message, lost = said(ToolCall(id="1", name="f", arguments='{"a": '), role="assistant")
    assert message["content"][0]["input"] == {"INVALID_JSON": '{"a": '}
    assert lost == ["messages[1].parts[0].arguments;changed"]


def test_a_foreign_id_is_put_in_anthropics_alphabet_on_both_sides():
    id_ = "functions.get:0"
    messages = [
        Message(role="assistant", parts=[ToolCall(id=id_, name="f")]),
        Message(role="tool", parts=[ToolResult(id=id_, parts=[Text(text="x")])]),
    ]
    body, losses = sent(Request(model="m", messages=messages))
    made = body["messages"][0]["content"][0]["id"]
    assert made.startswith("functions_get_0_") and made.replace("_", "").isalnum()
    assert body["messages"][1]["content"][0]["tool_use_id"] == made
    assert losses == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        (Media(kind="image", data="iVBORw0KGgoAAA", mime=None), {"type": "base64", "media_type": "image/png"}),
        (
            Media(kind="image", data="_9j_4AAQ", mime="image/jpeg"),
            {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"},
        ),
        (Media(kind="image", url="https://e.com/i"), {"type": "url", "url": "https://e.com/i"}),
        (Media(kind="document", url="https://e.com/a.pdf"), {"type": "url", "url": "https://e.com/a.pdf"}),
        (Media(kind="document", data="YWJj", mime="text/plain"), {"type": "text", "media_type": "text/plain", "data": "abc"}),
    ],
)
def test_media_that_anthropic_takes(part: Media, source: Json):
    message, lost = said(part)
    assert message["content"][0]["source"].items() >= source.items()
    assert lost == []


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="audio", data="AAAA", mime="audio/wav"),
        Media(kind="video", url="https://e.com/v.mp4"),
        Media(kind="image", data="AAAA", mime="image/tiff"),
        Media(kind="image", url="gs://bucket/i.png"),
        Media(kind="image", file="file-1"),
        Media(kind="image", text="no"),
        Media(kind="document", data="AAAA", mime="application/msword"),
        Media(kind="document", data="/w==", mime="text/plain"),
        Media(kind="document", url="https://e.com/a.txt", mime="text/plain"),
        Opaque(origin="openai", data={"type": "x"}),
    ],
)
def test_media_that_anthropic_lacks_is_reported(part: Any):
    """S7, 9."""
    message, lost = said(part, Text(text="a"))
    assert message == {"role": "user", "content": "a"}
    assert lost == ["messages[0].parts[0];dropped"]


def test_a_text_document_of_another_type_is_sent_as_plain_text():
    message, lost = said(Media(kind="document", text="# a", mime="text/markdown", name="n"))
    assert message["content"] == [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# a"}, "title": "n"}
    ]
    assert lost == ["messages[0].parts[0].mime;changed"]


def test_names_and_types_that_cannot_be_said_are_reported():
    assert said(Media(kind="image", url="https://e.com/i", mime="image/png", name="n"))[1] == [
        "messages[0].parts[0].mime;dropped",
        "messages[0].parts[0].name;dropped",
    ]


def test_only_its_own_signatures_go_back_to_anthropic():
    """35: a foreign signature replayed."""
    parts = [
        Thinking(text="a", signature=SIGNED),
        Thinking(text="b", signature=GOOGLE),
        Thinking(text="c"),
        Thinking(redacted=True, signature=SIGNED),
        Text(text="d", signature=GOOGLE),
        ToolCall(id="1", name="f", signature=GOOGLE),
    ]
    message, lost = said(*parts, role="assistant")
    assert message["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "EqQB"},
        {"type": "text", "text": "d"},
        {"type": "tool_use", "id": "1", "name": "f", "input": {}},
    ]
    assert lost == [
        "messages[1].parts[1];dropped",
        "messages[1].parts[2];dropped",
        "messages[1].parts[4].signature;dropped",
        "messages[1].parts[5].signature;dropped",
    ]


def test_a_server_of_this_dialect_that_does_not_sign_gets_its_reasoning_back():
    """8: Kimi and GLM want theirs."""
    message, lost = said(Thinking(text="b"), Text(text="c"), role="assistant", model="kimi-k3")
    assert message["content"][0] == {"type": "thinking", "thinking": "b", "signature": ""}
    assert lost == []
    body = {"model": "m", "messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "b"}]}]}
    assert sent(anthropic.parse_request(copy.deepcopy(body)), "kimi-k3")[0]["messages"] == body["messages"]
    assert paths(sent(anthropic.parse_request(body))[1]) == ["messages[0].parts[0];dropped"]


def test_citations_of_others_are_reported():
    own = Citation(
        quote="Rain",
        title="Rain",
        url=WEB_LOCATION["url"],
        extras={"anthropic": {"type": WEB_LOCATION["type"], "encrypted_index": "Eo8="}},
    )
    message, lost = said(Text(text="a", citations=[own, Citation(url="https://e.com")]), role="assistant")
    assert message["content"] == [{"type": "text", "text": "a", "citations": [WEB_LOCATION]}]
    assert lost == ["messages[1].parts[0].citations[1];dropped"]


def test_cache_marks_are_five_minutes_or_an_hour_and_four_at_most():
    """43."""
    parts: list[Any] = [Text(text=str(i), cache=Cache(ttl)) for i, ttl in enumerate((None, None, "5m", "1h", "30m"))]
    body, losses = sent(
        Request(model="m", messages=[Message(role="user", parts=parts)], tools=[Function(name="f", cache=Cache())])
    )
    assert "cache_control" not in body["tools"][0]
    assert [block.get("cache_control") for block in body["messages"][0]["content"]] == [
        None,
        {"type": "ephemeral"},
        {"type": "ephemeral", "ttl": "5m"},
        {"type": "ephemeral", "ttl": "1h"},
        {"type": "ephemeral", "ttl": "1h"},
    ]
    assert paths(losses) == [
        "messages[0].parts[4].cache.ttl;changed",
        "tools[0].cache;dropped",
        "messages[0].parts[0].cache;dropped",
    ]


def test_marks_taken_off_results_leave_no_trace():
    marked = [Text(text=str(i), cache=Cache()) for i in range(5)]
    results: list[Any] = [ToolResult(id=part.text, parts=[part]) for part in marked]
    body, losses = sent(Request(model="m", messages=[Message(role="tool", parts=results)]))
    assert body["messages"][0]["content"][0] == {"type": "tool_result", "tool_use_id": "0", "content": "0"}
    assert paths(losses) == ["messages[0].parts[0].parts[0].cache;dropped"]


def test_marks_and_sources_born_later_are_kept():
    content = [
        {"type": "text", "text": "a", "cache_control": {"type": "persistent", "n": 1}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": {}}]}},
    ]
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    request = anthropic.parse_request(copy.deepcopy(body))
    assert request.messages[0].parts[0].cache is None and isinstance(request.messages[0].parts[1], Opaque)
    assert sent(request)[0]["messages"] == body["messages"]


def test_odds_and_ends_are_reported():
    redacted = Thinking(redacted=True, text="a", signature=SIGNED)
    assert said(redacted, role="assistant")[1] == ["messages[1].parts[0].text;dropped"]
    assert said(Thinking(signature=GOOGLE), Text(text="a"), role="assistant")[1] == ["messages[1].parts[0];dropped"]
    assert said(Thinking(), Text(text="a"), role="assistant", model="kimi")[1] == ["messages[1].parts[0];dropped"]
    cited = Citation(start=1, extras={"anthropic": CHAR_LOCATION, "gemini": {"x": 1}})
    assert said(Text(text="a", citations=[cited]), role="assistant")[1] == [
        "messages[1].parts[0].citations[0].start;dropped",
        "messages[1].parts[0].citations[0].x;dropped",
    ]
    message, lost = said(ToolResult(id="1", parts=[Media(kind="video", url="https://e.com/v")]))
    assert message["content"] == [{"type": "tool_result", "tool_use_id": "1"}]
    assert lost == ["messages[0].parts[0].parts[0];dropped"]
    body, losses = sent(Request(model="m", messages=[*asked().messages, Message(role="system", parts=[Text(text="")])]))
    assert "system" not in body and losses == []
    body, losses = sent(asked(reasoning=Reasoning()))
    assert "thinking" not in body and losses == []


# Parameters


def test_max_tokens_is_the_models_where_the_client_says_none():
    assert sent(asked())[0]["max_tokens"] == 128_000
    assert sent(asked(), "some-model")[0]["max_tokens"] == 8192
    body, losses = sent(asked(max_tokens=200_000))
    assert body["max_tokens"] == 128_000 and paths(losses) == ["max_tokens;changed"]
    counting = anthropic.parse_request({"model": "m", "messages": [{"role": "user", "content": "a"}]})
    assert "max_tokens" not in sent(counting)[0]


@pytest.mark.parametrize(
    ("model", "fields", "expected", "lost"),
    [
        ("claude-3-5-sonnet", {"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}, []),
        (SONNET, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p;dropped"]),
        (SONNET, {"temperature": 1, "top_p": 0.9}, {"top_p": 0.9}, ["temperature;dropped"]),
        (SONNET, {"temperature": 1.7}, {"temperature": 1}, ["temperature;changed"]),
        (OPUS, {"temperature": 0.5, "top_k": 3}, {}, ["temperature;dropped", "top_k;dropped"]),
        (SONNET, {"temperature": 0.5, "reasoning": Reasoning(effort="low")}, {}, ["temperature;dropped"]),
    ],
)
def test_sampling_as_each_model_takes_it(model: str, fields: Json, expected: Json, lost: list[str]):
    """S14, 41."""
    body, losses = sent(asked(**fields), model)
    assert {key: body[key] for key in ("temperature", "top_p", "top_k") if key in body} == expected
    assert paths(losses) == lost
    assert api_version(body) == ("2023-06-01" if expected else "2026-10-21")


def test_what_anthropic_has_no_word_for_is_reported():
    request = asked(seed=1, n=2, frequency_penalty=0.5, presence_penalty=0.5, logprobs=True, top_logprobs=3, stop=["a", " "])
    body, losses = sent(request)
    assert body["stop_sequences"] == ["a"]
    assert set(paths(losses)) == {
        *(f"{key};dropped" for key in ("seed", "n", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs")),
        "stop;changed",
    }
    assert sent(asked(n=1, frequency_penalty=0, presence_penalty=0))[1] == []


@pytest.mark.parametrize(
    ("model", "reasoning", "expected", "lost"),
    [
        (SONNET, Reasoning(effort="minimal"), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, []),
        (SONNET, Reasoning(effort="high"), {"thinking": {"type": "enabled", "budget_tokens": 16384}}, []),
        (SONNET, Reasoning(effort="max"), {"thinking": {"type": "enabled", "budget_tokens": 48000}}, []),
        (SONNET, Reasoning(enabled=True), {"thinking": {"type": "enabled", "budget_tokens": 8192}}, []),
        (SONNET, Reasoning(budget=500), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, ["reasoning.budget;changed"]),
        (
            SONNET,
            Reasoning(budget=99_000),
            {"thinking": {"type": "enabled", "budget_tokens": 48000}},
            ["reasoning.budget;changed"],
        ),
        (
            SONNET,
            Reasoning(budget=2000, effort="low", visible=True),
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"}},
            ["reasoning.effort;dropped"],
        ),
        (SONNET, Reasoning(enabled=False), {"thinking": {"type": "disabled"}}, []),
        (SONNET, Reasoning(visible=True), {}, ["reasoning.visible;dropped"]),
        ("claude-opus-4-6", Reasoning(budget=2048), {"thinking": {"type": "enabled", "budget_tokens": 2048}}, []),
        (
            "claude-opus-4-6",
            Reasoning(effort="xhigh"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            ["reasoning.effort;changed"],
        ),
        (OPUS, Reasoning(effort="max"), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, []),
        (
            OPUS,
            Reasoning(effort="minimal", visible=False),
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}},
            ["reasoning.effort;changed"],
        ),
        (
            OPUS,
            Reasoning(budget=9000),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            ["reasoning.budget;changed"],
        ),
        (
            OPUS,
            Reasoning(budget=9000, effort="low"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            ["reasoning.budget;dropped"],
        ),
        (OPUS, Reasoning(enabled=True), {"thinking": {"type": "adaptive"}}, []),
        ("claude-sonnet-5-5", Reasoning(enabled=False), {"thinking": {"type": "between_tools"}}, []),
        ("claude-opus-5-5", Reasoning(enabled=False), {"output_config": {"effort": "low"}}, ["reasoning.enabled;changed"]),
        (OPUS, Reasoning(enabled=False, effort="low"), {"thinking": {"type": "disabled"}}, ["reasoning.effort;dropped"]),
        ("claude-3-5-haiku", Reasoning(enabled=False), {}, []),
        ("claude-3-5-haiku", Reasoning(effort="low"), {}, ["reasoning;dropped"]),
    ],
)
def test_reasoning_as_each_model_takes_it(model: str, reasoning: Reasoning, expected: Json, lost: list[str]):
    body, losses = sent(asked(reasoning=reasoning), model)
    assert {key: body[key] for key in ("thinking", "output_config") if key in body} == expected
    assert paths(losses) == lost


def test_thinking_leaves_room_for_the_answer():
    body, losses = sent(asked(reasoning=Reasoning(effort="high"), max_tokens=4000), SONNET)
    assert body["thinking"]["budget_tokens"] == 3000 and body["max_tokens"] == 4000
    assert paths(losses) == ["reasoning.effort;changed"]
    body, losses = sent(asked(reasoning=Reasoning(effort="low"), max_tokens=1000), SONNET)
    assert "thinking" not in body and paths(losses) == ["reasoning;dropped"]


def test_a_forced_tool_choice_wins_over_thinking():
    request = asked(reasoning=Reasoning(effort="low"), tools=[Function(name="f")], tool_choice=ToolChoice(mode="required"))
    body, losses = sent(request, SONNET)
    assert body["tool_choice"] == {"type": "any"} and "thinking" not in body
    assert paths(losses) == ["reasoning;dropped"]


def test_a_forced_tool_choice_is_loosened_where_the_model_refuses_it():
    request = asked(tools=[Function(name="f")], tool_choice=ToolChoice(mode="named", names=["f"]))
    body, losses = sent(request, "claude-sonnet-5-5")
    assert body["tool_choice"] == {"type": "auto"}
    assert paths(losses) == ["tool_choice.mode;changed", "tool_choice.names;dropped"]


def test_thinking_is_off_where_the_calling_turn_has_lost_its_own():
    """34: a final assistant message must start with a thinking block."""
    call = ToolCall(id="1", name="f")
    turns = [
        Message(role="user", parts=[Text(text="a")]),
        Message(role="assistant", parts=[Thinking(text="t", signature=GOOGLE), call]),
        Message(role="tool", parts=[ToolResult(id="1", parts=[Text(text="x")])]),
    ]
    request = Request(model="m", messages=turns, reasoning=Reasoning(budget=2000))
    body, losses = sent(request, SONNET)
    assert "thinking" not in body
    assert paths(losses) == ["messages[1].parts[0];dropped", "reasoning;dropped"]
    turns[1].parts[0] = Thinking(text="t", signature=SIGNED)
    assert "thinking" in sent(request, SONNET)[0]
    turns[1].parts[0] = Text(text="t")
    assert "thinking" in sent(request, OPUS)[0]  # adaptive thinking has no such rule


def test_an_anthropic_clients_own_thinking_is_left_alone_where_the_model_takes_it():
    """33: defaults are semantics."""
    for thinking in ({"type": "adaptive"}, {"type": "disabled"}):
        body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}], "thinking": thinking}
        assert sent(anthropic.parse_request(copy.deepcopy(body)))[0]["thinking"] == thinking
    small = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "a"}]}
    enabled = {**small, "thinking": {"type": "enabled", "budget_tokens": 5000}}
    assert sent(anthropic.parse_request(copy.deepcopy(enabled)), SONNET)[0]["thinking"]["budget_tokens"] == 5000
    body, losses = sent(anthropic.parse_request(copy.deepcopy(enabled)))
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "medium"})
    assert paths(losses) == ["reasoning.budget;changed"]
    effort = {**small, "output_config": {"effort": "xhigh"}}
    body, losses = sent(anthropic.parse_request(copy.deepcopy(effort)), "claude-opus-4-6")
    assert body["output_config"] == {"effort": "high"} and "thinking" not in body
    body, losses = sent(anthropic.parse_request(copy.deepcopy(effort)), SONNET)
    assert "output_config" not in body and paths(losses) == ["reasoning.effort;dropped"]
    off = {**effort, "thinking": {"type": "between_tools"}}
    body, losses = sent(anthropic.parse_request(off))
    assert (body["thinking"], body["output_config"]) == ({"type": "disabled"}, {"effort": "xhigh"}) and losses == []


@pytest.mark.parametrize(
    ("choice", "expected", "lost"),
    [
        (ToolChoice(mode="required"), {"type": "any"}, []),
        (ToolChoice(mode="named", names=["f"]), {"type": "tool", "name": "f"}, []),
        (
            ToolChoice(mode="required", names=["f"], parallel=True),
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
            [],
        ),
        (ToolChoice(mode="auto", names=["f"]), {"type": "auto"}, ["tool_choice.names;dropped"]),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}, []),
        (ToolChoice(mode="none", parallel=False), {"type": "none"}, ["tool_choice.parallel;dropped"]),
        (ToolChoice(), None, []),
    ],
)
def test_tool_choices(choice: ToolChoice, expected: Json | None, lost: list[str]):
    """S5."""
    body, losses = sent(asked(tools=[Function(name="f")], tool_choice=choice))
    assert body.get("tool_choice") == expected
    assert paths(losses) == lost
    body, losses = sent(asked(tool_choice=choice))
    assert "tool_choice" not in body
    assert bool(losses) == (choice.mode in ("required", "named") or choice.parallel is not None or bool(choice.names))


def test_tools_keep_what_they_say():
    """S4, 36: strict."""
    schema = {"type": "object", "properties": {"a": {"const": "x"}, "b": {"type": "integer", "minimum": 1}}}
    strict = Function(name="f", schema=schema, strict=True)
    loose = Function(name="g", schema={"properties": {}}, description="d", strict=False, extras={"openai": {"x": 1}})
    foreign = ServerTool(origin="openai", kind="web_search", config={})
    body, losses = sent(asked(tools=[strict, loose, foreign]))
    assert body["tools"] == [
        {
            "name": "f",
            "input_schema": {
                "type": "object",
                "properties": {"a": {"const": "x"}, "b": {"type": "integer"}},
                "additionalProperties": False,
            },
            "strict": True,
        },
        {"name": "g", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": False},
    ]
    assert paths(losses) == ["tools[0].schema.properties.b.minimum;dropped", "tools[1].x;dropped", "tools[2];dropped"]
    body, losses = sent(asked(tools=[strict]), "claude-3-5-sonnet")
    assert body["tools"] == [{"name": "f", "input_schema": schema}] and paths(losses) == ["tools[0].strict;dropped"]


def test_outputs():
    """S6, 38: never in silence."""
    for output in (Output(mode="json"), Output(mode="schema")):
        body, losses = sent(asked(output=output))
        assert "output_config" not in body and paths(losses) == ["output;dropped"]
    assert sent(asked(output=Output(mode="text")))[1] == []
    full = Output(mode="schema", schema={"type": "object"}, name="n", description="d", extras={"openai": {"z": 1}})
    body, losses = sent(asked(output=full))
    assert body["output_config"]["format"]["schema"] == {"type": "object", "properties": {}, "additionalProperties": False}
    assert paths(losses) == ["output.name;dropped", "output.description;dropped", "output.z;dropped"]
    assert paths(sent(asked(output=Output(mode="schema", schema={})), "claude-3-5-sonnet")[1]) == ["output;dropped"]


def test_extras_of_others_are_reported_and_extras_of_an_object_that_is_not_sent():
    assert paths(sent(asked(extras={"openai": {"logit_bias": {}, "~note": 1}}))[1]) == ["logit_bias;dropped"]
    body = {
        "model": "m",
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "a"}],
        "thinking": {"type": "enabled", "x": 1},
    }
    found, losses = sent(anthropic.parse_request(body), "claude-3-5-haiku")
    assert "thinking" not in found
    assert paths(losses) == ["reasoning;dropped", "thinking.x;dropped"]


# The schema dialect

DIALECT: list[tuple[Json, Json, list[str]]] = [
    (
        {
            "$schema": "s",
            "type": "object",
            "properties": {"a": {"type": "string", "minLength": 1, "format": "date"}},
            "required": ["a"],
        },
        {
            "type": "object",
            "properties": {"a": {"type": "string", "format": "date"}},
            "required": ["a"],
            "additionalProperties": False,
        },
        ["s.properties.a.minLength;dropped"],
    ),
    (
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {}, "additionalProperties": False},
        ["s.additionalProperties;changed"],
    ),
    (
        {"oneOf": [{"type": "string", "format": "color"}, {"type": "null"}]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ["s.oneOf;changed", "s.oneOf[0].format;dropped"],
    ),
    ({"anyOf": [True], "oneOf": []}, {"anyOf": [True]}, ["s.oneOf;dropped"]),
    (
        {"type": "array", "items": {"type": "integer", "maximum": 3}, "minItems": 1, "maxItems": 4},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        ["s.items.maximum;dropped", "s.maxItems;dropped"],
    ),
    ({"type": "array", "minItems": 2}, {"type": "array"}, ["s.minItems;dropped"]),
    ({"$ref": "#/$defs/A", "description": "d"}, {"$ref": "#/$defs/A"}, ["s.description;dropped"]),
    (
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {}, "additionalProperties": False}}},
        [],
    ),
    ({"type": ["object", "null"]}, {"type": ["object", "null"], "properties": {}, "additionalProperties": False}, []),
    ({"enum": ["a", None], "const": 1}, {"enum": ["a", None], "const": 1}, []),
    ({"enum": [{}], "const": []}, {}, ["s.enum;dropped", "s.const;dropped"]),
]


@pytest.mark.parametrize(("schema", "expected", "lost"), DIALECT)
def test_the_dialect_of_structured_outputs(schema: Json, expected: Json, lost: list[str]):
    """18: and the caller's schema is never changed."""
    before, losses = copy.deepcopy(schema), Losses()
    assert dialect(schema, "s", losses) == expected
    assert paths(losses) == lost
    assert schema == before


def test_a_schema_without_a_bottom_is_cut_and_reported():
    schema: Json = {}
    for _ in range(300):
        schema = {"items": schema}
    losses = Losses()
    dialect(schema, "s", losses)
    assert [loss.why for loss in losses] == ["nested too deep"]


@pytest.mark.parametrize(
    ("name", "mid_system", "forced"),
    [
        ("claude-opus-4-8", True, True),
        ("eu.anthropic.claude-opus-4-7-v1:0", False, True),
        ("claude-sonnet-4-20250514", False, True),
        ("claude-opus-5-5", True, False),
        ("anthropic/claude-sonnet-5.5", True, False),
        ("claude-sonnet-5", False, True),
        ("claude-fable-5", True, True),
        ("claude-mythos-5-2", True, False),
        ("gpt-4o", False, True),
    ],
)
def test_what_is_known_of_a_model(name: str, mid_system: bool, forced: bool):
    assert (claude(name).mid_system, claude(name).forced_tools) == (mid_system, forced)


def test_old_models_are_told_apart():
    for name in (
        "claude-3-5-sonnet-20241022",
        "claude-2.1",
        "claude-instant-1",
        "claude-opus-4-20250514",
        "claude-sonnet-4@20250514",
    ):
        assert not claude(name).schemas, name
    assert claude("claude-opus-4-1").schemas and not claude("claude-opus-4-1").efforts


# Answers


@pytest.mark.parametrize(
    ("finish", "word", "lost"),
    [
        (Finish(reason="stop"), "end_turn", 0),
        (Finish(reason="stop", stop="X"), "stop_sequence", 0),
        (Finish(reason="length"), "max_tokens", 0),
        (Finish(reason="tool_calls"), "tool_use", 0),
        (Finish(reason="filter"), "refusal", 0),
        (Finish(reason="pause"), "pause_turn", 0),
        (Finish(reason="context"), "model_context_window_exceeded", 0),
        (Finish(reason="error"), "end_turn", 1),
        (Finish(reason="other", raw="weird", origin="gemini"), "end_turn", 1),
        (Finish(reason="other", raw="born_later", origin="anthropic"), "born_later", 0),
        (None, "end_turn", 0),
    ],
)
def test_why_an_answer_ended(finish: Finish | None, word: str, lost: int):
    body, losses = answered(Response(choices=[Choice(parts=[Text(text="a")], finish=finish)]))
    assert body["stop_reason"] == word
    assert body["stop_sequence"] == (finish.stop if finish else None)
    assert len(losses) == lost


def test_an_answer_that_calls_has_stopped_to_call():
    """19, both ways that a server may forget to say so."""
    call = ToolCall(id="1", name="f")
    assert answered(answer(call))[0]["stop_reason"] == "tool_use"
    assert answered(answer(call, reason="stop", raw="stop", origin="openai"))[0]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("word", "reason"),
    [("end_turn", "stop"), ("refusal", "filter"), ("model_context_window_exceeded", "context"), ("later", "other")],
)
def test_why_claude_ended(word: str, reason: str):
    details = {"type": "refusal", "category": "cyber", "explanation": "x"}
    response = anthropic.parse_response({"content": [], "stop_reason": word, "stop_details": details, "stop_sequence": "X"})
    finish = response.choices[0].finish
    assert finish and (finish.reason, finish.raw, finish.stop) == (reason, word, "X")
    assert answered(response)[0]["stop_details"] == details


def test_usage_counts_the_cached_and_is_told_as_anthropic_counts():
    """11, 55."""
    response = anthropic.parse_response(copy.deepcopy(RESPONSE))
    assert response.usage
    assert (response.usage.input, response.usage.cache_read, response.usage.cache_write) == (2310, 2000, 300)
    assert response.usage.reasoning == 40
    body, losses = answered(Response(usage=Usage(input=5, cache_read=9, output=1, audio_output=1)))
    assert body["usage"] == {"input_tokens": 0, "cache_read_input_tokens": 9, "output_tokens": 1}
    assert paths(losses) == ["response.usage.audio_output;dropped"]
    assert answered(Response())[0]["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_what_an_anthropic_client_cannot_be_told_is_reported():
    choice = Choice(
        parts=[Text(text="no", refusal=True), Text(text="a", citations=[Citation(url="https://e.com")])],
        logprobs=[TokenLogprob("a", -1.0)],
        extras={"openai": {"x": 1}},
    )
    body, losses = answered(Response(choices=[choice, Choice()], extras={"openai": {"system_fingerprint": "f"}}))
    assert [block["text"] for block in body["content"]] == ["no", "a"]
    assert paths(losses) == [
        "response.choices[1];dropped",
        "response.choices[0].parts[0].refusal;changed",
        "response.choices[0].parts[1].citations[0];dropped",
        "response.choices[0].logprobs;dropped",
        "response.choices[0].x;dropped",
        "response.system_fingerprint;dropped",
    ]


FOREIGN = [
    Text(text="first", signature=GOOGLE),
    Thinking(text="aloud", signature=GOOGLE),
    Thinking(text="unsigned"),
    Thinking(redacted=True, signature=GOOGLE),
    ToolCall(id="1", name="f", arguments='{"a":1}', signature=GOOGLE),
    Media(kind="image", data="iVBORw0KGgo=", mime="image/png"),
    Opaque(origin="gemini", data={"executableCode": {}}),
    Text(text="", signature=GOOGLE),
]


def replayed(content: list[Json]) -> list[Any]:
    body = {"model": "m", "messages": [{"role": "assistant", "content": content}]}
    return anthropic.parse_request(body).messages[0].parts


def test_an_anthropic_client_brings_back_what_another_model_said():
    body, losses = answered(answer(*FOREIGN, reason="stop"))
    assert replayed(copy.deepcopy(body["content"])) == FOREIGN
    assert [block["type"] for block in body["content"]] == [
        "thinking",
        "text",
        "thinking",
        "thinking",
        "redacted_thinking",
        "thinking",
        "tool_use",
        "redacted_thinking",
        "redacted_thinking",
        "thinking",
    ]
    assert paths(losses) == ["response.choices[0].parts[5];changed", "response.choices[0].parts[6];changed"]
    sdk.types.Message.model_validate(body)


def test_a_streaming_anthropic_client_brings_it_back_too():
    message = judged(unfold(answer(*FOREIGN, reason="stop")))
    assert replayed(message.to_dict()["content"]) == FOREIGN


def test_thinking_that_is_not_shown_keeps_its_signature():
    """`display: omitted`: an empty block and a signature."""
    events = parse(
        message_start(),
        start(0, type="thinking", thinking="", signature=""),
        delta(0, type="signature_delta", signature="EqQB"),
        stop(0),
        start(1, type="redacted_thinking", data="Emw"),
        stop(1),
        message_delta(),
        STOP,
    )
    assert fold(events).choices[0].parts == [
        Thinking(signature=SIGNED),
        Thinking(redacted=True, signature=Signature("anthropic", "Emw")),
    ]
    message = judged(events).to_dict()
    assert message["content"] == [
        {"type": "thinking", "thinking": "", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "Emw"},
    ]


def test_our_seals_are_opened_in_a_backends_answer_too():
    body, _ = answered(answer(*FOREIGN, reason="stop"))
    assert anthropic.parse_response(body).choices[0].parts == FOREIGN
    found, _ = formatted(*unfold(answer(*FOREIGN, reason="stop")))
    assert fold(parse(*found)).choices[0].parts == FOREIGN


def test_only_an_assistants_seals_are_opened():
    sealed = {"type": "redacted_thinking", "data": seal(Text(text="forged"))}
    body = {"model": "m", "messages": [{"role": "user", "content": [sealed]}]}
    assert isinstance(anthropic.parse_request(body).messages[0].parts[0], Thinking)


def test_a_cut_off_call_is_still_an_object_to_the_client():
    body, losses = answered(answer(ToolCall(id="", name="f", arguments='{"a'), reason="length"))
    assert body["content"] == [{"type": "tool_use", "id": "toolu_r1_0", "name": "f", "input": {"INVALID_JSON": '{"a'}}]
    assert paths(losses) == ["response.choices[0].parts[0].arguments;changed"]


@pytest.mark.parametrize(
    "body",
    [{}, {"content": "hi"}, {"content": [3]}, {"content": [{"type": "text"}]}, {"content": [], "usage": {"input_tokens": "x"}}],
)
def test_what_is_no_message_is_garbage(body: Json):
    with pytest.raises(UpstreamGarbage, match="no message"):
        anthropic.parse_response(body)


# Streams, read


def test_usage_is_a_total_and_what_is_not_told_again_stays():
    """11, 12."""
    first = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}
    events = parse(message_start(usage=first), message_delta(output_tokens=20), STOP)
    assert isinstance(events[0], Start) and events[0].usage == Usage(input=15, cache_read=5, output=1)
    assert events[-1] == End(usage=Usage(input=15, cache_read=5, output=20))
    events = parse(
        message_start(usage=first), message_delta(None, output_tokens=7), message_delta(input_tokens=12, output_tokens=20), STOP
    )
    assert events[1] == UsageSoFar(usage=Usage(input=15, cache_read=5, output=7))
    assert events[-1] == End(usage=Usage(input=17, cache_read=5, output=20))


def test_a_stream_of_odd_indices_is_read():
    """5, 6: gaps, one index twice, a stop that never came, a block that never began, a second message_start."""
    events = parse(
        message_start(),
        message_start(id="again"),
        start(4, type="text", text="a"),
        delta(4, type="text_delta", text="b"),
        start(4, type="text", text=""),
        delta(4, type="text_delta", text="c"),
        delta(9, type="text_delta", text="d"),
        delta(8, type="thinking_delta", thinking="e"),
        stop(77),
        message_delta(),
        STOP,
    )
    response = fold(events)
    assert response.id == "m1"
    assert response.choices[0].parts == [Text(text="ab"), Text(text="c"), Text(text="d"), Thinking(text="e")]
    assert sum(isinstance(event, PartStart) for event in events) == sum(isinstance(event, PartEnd) for event in events) == 4
    assert [event.index for event in events if isinstance(event, PartStart)] == [0, 1, 2, 3]


def test_a_delta_of_another_kind_begins_a_part_of_its_own():
    """3: thinking inside a text block."""
    events = parse(
        message_start(),
        start(0, type="text", text=""),
        delta(0, type="text_delta", text="a"),
        delta(0, type="thinking_delta", thinking="b"),
        delta(0, type="text_delta", text="c"),
        message_delta(),
        STOP,
    )
    assert fold(events).choices[0].parts == [Text(text="a"), Thinking(text="b"), Text(text="c")]


@pytest.mark.parametrize("deltas", [[], ['{"a":', "1}"]])
def test_arguments_told_with_the_start_are_told_once(deltas: list[str]):
    """1: whole input in the start block, with or without the deltas that say it again."""
    block = start(0, type="tool_use", id="t", name="f", input={"a": 1})
    pieces = [delta(0, type="input_json_delta", partial_json=piece) for piece in deltas]
    events = parse(message_start(), block, *pieces, stop(0), message_delta("tool_use"), STOP)
    assert fold(events).choices[0].parts == [ToolCall(id="t", name="f", arguments='{"a":1}')]


def test_a_seal_that_ends_a_turn_stands_alone():
    assert replayed([{"type": "thinking", "thinking": "", "signature": seal(GOOGLE)}]) == [Text(signature=GOOGLE)]


def test_a_delta_born_later_of_a_block_held_back():
    later = delta(0, type="later_delta", x=1)
    blocks = ({"type": "compaction", "content": None}, {"type": "thinking", "thinking": ""}, {"type": "x_later"})
    for block in blocks:
        events = parse(message_start(), start(0, **block), later, message_delta(), STOP)
        found, losses = formatted(*events)
        assert later in found and losses == []


def test_words_and_a_seal_in_one_block():
    """A thinking block's words are shown before its seal comes; the seal's signature is what the words are worth."""
    for sealed, signature in ((Thinking(text="a", signature=GOOGLE), GOOGLE), (GOOGLE, GOOGLE), (Thinking(text="a"), None)):
        events = parse(
            message_start(),
            start(0, type="thinking", thinking="", signature=""),
            delta(0, type="thinking_delta", thinking="a"),
            delta(0, type="signature_delta", signature=seal(sealed)),
            message_delta(),
            STOP,
        )
        assert fold(events).choices[0].parts == [Thinking(text="a", signature=signature)]


def test_a_server_tools_input_is_gathered():
    events = parse(
        message_start(),
        start(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json="{bad"),
        message_delta(),
        STOP,
    )
    part = fold(events).choices[0].parts[0]
    assert isinstance(part, Opaque) and part.data["input"] == {"INVALID_JSON": "{bad"}


def test_an_answer_told_at_once_in_its_start():
    blocks = [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}]
    events = parse(message_start(content=blocks), message_delta("tool_use"), STOP)
    assert fold(events).choices[0].parts == [Text(text="a"), ToolCall(id="t", name="f", arguments='{"x":1}')]


def test_deltas_without_a_home_are_kept():
    events = parse(
        message_start(), delta(3, type="input_json_delta", partial_json="{}"), delta(2, type="signature_delta", signature="s")
    )
    assert [type(event) for event in events] == [Start, OpaqueEvent, OpaqueEvent]
    found, losses = formatted(*events)
    assert len(found) == 1 and len(losses) == 2


@pytest.mark.parametrize(
    ("kind", "status", "failed"),
    [
        ("overloaded_error", 529, "overloaded"),
        ("rate_limit_error", 429, "rate_limit"),
        ("api_error", 500, "server_error"),
        ("invalid_request_error", 400, "invalid_request"),
        ("born_later_error", 500, "server_error"),
    ],
)
def test_an_error_in_a_stream_has_its_status(kind: str, status: int, failed: str):
    body = {"type": "error", "error": {"type": kind, "message": "Oh."}}
    parser = anthropic.Parser()
    (failure,) = parser.feed(Frame("error", json.dumps(body).encode()))
    assert isinstance(failure, Failure)
    assert (failure.status, failure.kind, failure.message) == (status, failed, "Oh.")
    assert parser.feed(Frame("message_stop", b'{"type":"message_stop"}')) == parser.close() == []


def test_a_stream_that_breaks_off_has_failed():
    events = parse(message_start(), start(0, type="text", text="a"), message_delta(), close=True)
    assert isinstance(events[-1], Failure) and events[-1].kind == "bad_gateway"
    assert not isinstance(parse(message_start(), STOP, close=True)[-1], Failure)


def test_a_stream_without_a_reason_still_ends():
    events = parse(message_start(), start(0, type="thinking", thinking="", signature=seal(GOOGLE)), STOP)
    assert fold(events).choices == [Choice(parts=[Text(signature=GOOGLE)])]


@pytest.mark.parametrize("data", [b"", b"no", b"[]", b"3", b'{"a":1}', b'{"type":3}', b'{"type":"content_block_delta"}', b"\xff"])
def test_a_frame_that_is_no_event_is_garbage(data: bytes):
    with pytest.raises(UpstreamGarbage):
        anthropic.Parser().feed(Frame(None, data))


def test_the_kind_may_stand_in_the_frame_alone():
    assert anthropic.Parser().feed(Frame("ping", b"{}")) == []


# Streams, written


def test_interleaved_calls_are_shown_one_after_the_other():
    """S1: one block closed empty, the other with both calls' arguments."""
    found, _ = formatted(
        Start(id="m"),
        PartStart(index=0, part=ToolCall(id="a", name="f")),
        PartStart(index=1, part=ToolCall(id="b", name="f")),
        PartDelta(index=0, text='{"a":1}'),
        PartDelta(index=1, text='{"a":2}'),
        PartEnd(index=0),
        PartEnd(index=1),
        ChoiceEnd(finish=Finish(reason="tool_calls")),
        End(),
    )
    assert found[1:-2] == [
        start(0, type="tool_use", id="a", name="f", input={}),
        delta(0, type="input_json_delta", partial_json='{"a":1}'),
        stop(0),
        start(1, type="tool_use", id="b", name="f", input={}),
        delta(1, type="input_json_delta", partial_json='{"a":2}'),
        stop(1),
    ]


def test_a_chat_stream_of_interleaved_calls_reaches_the_sdk_whole():
    """S1, 1, 2, 3, 4, 7 in one: reasoning, words, empty tool_calls, two calls interleaved, usage at the very end."""

    def chunk(**said: Any) -> Json:
        return {"id": "c1", "model": "m", "created": 1, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}

    def call(index: int, **said: Any) -> Json:
        return chunk(tool_calls=[{"index": index, **said}])

    chunks = [
        chunk(role="assistant", content=""),
        chunk(reasoning_content="Hm."),
        chunk(content="First", tool_calls=[]),
        chunk(content=" word", tool_calls=[]),
        call(0, id="a", type="function", function={"name": "f", "arguments": ""}),
        call(1, id="b", type="function", function={"name": "g", "arguments": ""}),
        call(0, function={"arguments": '{"a"'}),
        call(1, function={"arguments": '{"b"'}),
        call(0, function={"arguments": ":1}"}),
        call(1, function={"arguments": ":2}"}),
        {"id": "c1", "model": "m", "created": 1, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {
            "id": "c1",
            "choices": [],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}},
        },
    ]
    parser = openai.Parser()
    events = [e for c in chunks for e in parser.feed(Frame(None, json.dumps(c).encode()))] + parser.feed(Frame(None, b"[DONE]"))
    found, losses = formatted(*events)
    indices = [d["index"] for d in found if d["type"] == "content_block_start"]
    assert indices == list(range(4)) and losses == []
    assert not [d for d in found if d.get("delta", {}).get("partial_json") == ""]
    message = judged(events).to_dict()
    assert [b["type"] for b in message["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert message["content"][1]["text"] == "First word"
    assert [(b["id"], b["input"]) for b in message["content"][2:]] == [("a", {"a": 1}), ("b", {"b": 2})]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {"input_tokens": 6, "cache_read_input_tokens": 3, "output_tokens": 4}


def test_one_message_start_even_if_told_twice_and_one_even_if_never():
    found, _ = formatted(Start(id="a"), Start(id="b"), End())
    assert [d["type"] for d in found] == ["message_start", "message_delta", "message_stop"]
    assert found[0]["message"]["id"] == "a"
    assert found[0]["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}
    found, _ = formatted(PartStart(index=0, part=Text(text="a")), End())
    assert [d["type"] for d in found][0] == "message_start"
    assert [d["type"] for d in formatted(End())[0]] == ["message_start", "message_delta", "message_stop"]


def test_the_reason_waits_for_the_usage():
    events = [Start(), PartStart(index=0, part=Text(text="a")), ChoiceEnd(finish=Finish(reason="length"))]
    found, _ = formatted(*events, UsageSoFar(usage=Usage(input=3, output=2)), End())
    assert found[-3:] == [
        stop(0),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {"input_tokens": 3, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]
    found, _ = formatted(*events, End(usage=Usage(output=2)))
    assert found[-2]["usage"] == {"output_tokens": 2}


def test_parts_that_wait_keep_their_deltas_and_their_order():
    later = OpaqueEvent(origin="anthropic", data=delta(1, type="later_delta"))
    found, losses = formatted(
        Start(),
        PartStart(index=0, part=Text()),
        PartDelta(index=0, text="a"),
        PartStart(index=1, part=ToolCall(id="x", name="f", arguments='{"q"')),
        PartDelta(index=1, text=":1}"),
        later,
        PartStart(index=2, part=Text(text="z")),
        PartDelta(index=0, text="b"),
        ChoiceEnd(finish=None),
        End(),
    )
    assert [d for d in found if d["type"] == "content_block_delta"] == [
        delta(0, type="text_delta", text="a"),
        delta(0, type="text_delta", text="b"),
        delta(1, type="input_json_delta", partial_json='{"q"'),
        delta(1, type="input_json_delta", partial_json=":1}"),
        delta(1, type="later_delta"),
        delta(2, type="text_delta", text="z"),
    ]
    assert found[-2]["delta"]["stop_reason"] == "tool_use" and losses == []


def test_an_empty_text_is_never_shown():
    """An Anthropic client would bring it back, and Anthropic refuse it."""
    found, _ = formatted(
        Start(), PartStart(index=0, part=Text()), PartEnd(index=0), PartStart(index=1, part=Text(text="a")), End()
    )
    assert found[1:-2] == [start(0, type="text", text=""), delta(0, type="text_delta", text="a"), stop(0)]
    assert answered(answer(Text(), Text(text="a"), reason="stop"))[0]["content"] == [{"type": "text", "text": "a"}]


def test_parts_that_waited_and_ended_are_shown_whole():
    own = Citation(quote="q", extras={"anthropic": CHAR_LOCATION})
    found, losses = formatted(
        Start(),
        PartStart(index=0, part=Text(text="a")),
        PartStart(index=1, part=Text(citations=[own])),
        PartDelta(index=1, text="b"),
        PartEnd(index=1),
        PartStart(index=2, part=Thinking(redacted=True, text="c", signature=GOOGLE)),
        PartEnd(index=0),
        PartEnd(index=2),
        ChoiceEnd(),
        End(),
    )
    assert [d["content_block"]["type"] for d in found if d["type"] == "content_block_start"] == [
        "text",
        "text",
        "redacted_thinking",
    ]
    assert found[5]["delta"]["citation"]["cited_text"] == "q" and losses == []
    sealed = unseal(found[-4]["content_block"]["data"])
    assert sealed == Thinking(redacted=True, text="c", signature=GOOGLE)


def test_signatures_that_come_late():
    signed = PartDelta(index=0, signature=GOOGLE)
    events = [Start(), PartStart(index=0, part=Text()), PartDelta(index=0, text="a"), signed, PartEnd(index=0)]
    found, losses = formatted(*events, ChoiceEnd(), End())
    assert losses == []
    response = fold(parse(*found))
    assert response.choices[0].parts == [Text(text="a"), Text(signature=GOOGLE)]
    calling = [Start(), PartStart(index=0, part=ToolCall(id="1", name="f")), PartEnd(index=0), signed]
    found, _ = formatted(*calling, End())
    assert [d["type"] for d in found].count("content_block_start") == 2
    busy = [Start(), PartStart(index=0, part=Text(text="a")), PartEnd(index=0), PartStart(index=1, part=Text(text="b"))]
    _, losses = formatted(*busy, signed, PartDelta(index=0, text="late"), End())
    assert paths(losses) == ["response.choices[0].parts[0].signature;dropped", "response.choices[0].parts[0];dropped"]


def test_only_the_first_choice_is_told():
    found, losses = formatted(
        Start(),
        PartStart(index=0, part=Text(text="a")),
        PartStart(choice=1, index=0, part=Text(text="b")),
        PartDelta(choice=1, index=0, text="c"),
        ChoiceEnd(choice=1),
        End(),
    )
    assert [d["delta"]["text"] for d in found if d["type"] == "content_block_delta"] == ["a"]
    assert paths(losses) == ["response.choices[1];dropped"]


def test_what_a_stream_cannot_say_is_reported():
    probable = PartDelta(index=0, text="a", logprobs=[TokenLogprob("a", -1.0)], citation=Citation(url="https://e.com"))
    _, losses = formatted(
        Start(extras={"openai": {"system_fingerprint": "f"}}),
        PartStart(index=0, part=Text(refusal=True, extras={"openai": {"x": 1}})),
        probable,
        probable,
        PartEnd(index=0),
        OpaqueEvent(origin="openai", data={}),
        ChoiceEnd(extras={"openai": {"y": 1}}, finish=Finish(reason="other")),
        End(),
    )
    assert paths(losses) == [
        "response.system_fingerprint;dropped",
        "response.choices[0].parts[0].refusal;changed",
        "response.choices[0].parts[0].citation;dropped",
        "response.choices[0].logprobs;dropped",
        "response.choices[0].parts[0].citation;dropped",
        "response.choices[0].parts[0].x;dropped",
        "response.stream;dropped",
        "response.choices[0].finish.reason;changed",
        "response.choices[0].y;dropped",
    ]


@pytest.mark.parametrize("before", [[], [Start(id="a"), PartStart(index=0, part=Text(text="a"))]])
def test_a_failure_raises_the_sdks_own_exception(before: list[AnyEvent]):
    failure = Failure(status=529, kind="overloaded", message="Too much.")
    found, _ = formatted(*before, failure)
    assert found[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "Too much."}}
    with pytest.raises(sdk.APIStatusError) as caught:
        judged([*before, failure])
    assert caught.value.type == "overloaded_error"


def test_media_in_pieces_are_sealed_whole():
    image = Media(kind="image", data="iVBO", mime="image/png")
    message = judged(
        [Start(), PartStart(index=0, part=image), PartDelta(index=0, text="Rw0K"), PartEnd(index=0), ChoiceEnd(), End()]
    )
    assert replayed(message.to_dict()["content"]) == [Media(kind="image", data="iVBORw0K", mime="image/png")]


# Errors


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"type": "invalid_request_error", "message": "max_tokens: Field required"}, "invalid_request"),
        (
            400,
            {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
            "context_window",
        ),
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low"}, "billing"),
        (400, {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}, "content_filter"),
        (401, {"type": "authentication_error", "message": "bad key"}, "authentication"),
        (413, {"type": "request_too_large", "message": "big"}, "too_large"),
        (429, {"type": "rate_limit_error", "message": "slow"}, "rate_limit"),
        (504, {"type": "timeout_error", "message": "late"}, "timeout"),
        (529, {"type": "overloaded_error", "message": "busy"}, "overloaded"),
        (418, {"type": "born_later_error", "message": "tea"}, "invalid_request"),
    ],
)
def test_an_error_is_understood_and_given_back_word_for_word(status: int, error: Json, kind: str):
    body = {"type": "error", "error": {**error, "details": {"error_code": "c"}}, "request_id": "req_1"}
    failure = anthropic.parse_error(status, json.dumps(body).encode())
    assert (failure.status, failure.kind, failure.message, failure.code) == (status, kind, error["message"], "c")
    assert anthropic.format_error(failure) == (status, body)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error":"plain"}', b'{"message":"plain"}', b'{"error":{"message":3}}', b"\xff"]
)
def test_any_error_body_is_a_failure(body: bytes):
    failure = anthropic.parse_error(503, body)
    assert failure.kind == "unavailable" and failure.status == 503
    assert failure.message == ("plain" if b"plain" in body else "The provider answered with status 503 and no message.")


@pytest.mark.parametrize(
    ("failure", "word", "exception"),
    [
        (Failure(status=400, kind="context_window", message="m"), "invalid_request_error", sdk.BadRequestError),
        (Failure(status=401, kind="authentication", message="m"), "authentication_error", sdk.AuthenticationError),
        (Failure(status=404, kind="not_found", message="m"), "not_found_error", sdk.NotFoundError),
        (Failure(status=413, kind="too_large", message="m"), "request_too_large", sdk.APIStatusError),
        (Failure(status=429, kind="rate_limit", message="m"), "rate_limit_error", sdk.RateLimitError),
        (Failure(status=502, kind="bad_gateway", message="m"), "api_error", sdk.InternalServerError),
        (Failure(status=529, kind="overloaded", message="m"), "overloaded_error", sdk.InternalServerError),
    ],
)
def test_the_sdk_raises_its_own_exception(failure: Failure, word: str, exception: type[Exception]):
    status, body = anthropic.format_error(failure)
    assert body == {"type": "error", "error": {"type": word, "message": "m"}}

    def serve(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, json=body)

    with (
        httpx2.Client(transport=httpx2.MockTransport(serve)) as http,
        sdk.Anthropic(api_key="k", http_client=http, max_retries=0) as client,
        pytest.raises(exception),
    ):
        client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])


# Names and versions


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("max_tokens", "max_tokens"),
        ("stop", "stop_sequences"),
        ("user", "metadata.user_id"),
        ("output.schema.properties.a", "output_config.format.schema.properties.a"),
        ("reasoning", "thinking"),
        ("reasoning.effort", "output_config.effort"),
        ("reasoning.budget", "thinking.budget_tokens"),
        ("tool_choice.parallel", "tool_choice.disable_parallel_tool_use"),
        ("tools[1].schema.properties", "tools[1].input_schema.properties"),
        ("tools[1].cache", "tools[1].cache_control"),
        ("tools[0].strict", "tools[0].strict"),
        ("container", "container"),
        ("messages[0]", "system"),
        ("messages[0].parts[1].cache.ttl", "system[1].cache_control.ttl"),
        ("messages[1].parts[4].name", "messages[0].content[4].title"),
        ("messages[1].parts[4].citations", "messages[0].content[4].citations"),
        ("messages[2].parts[5].arguments", "messages[1].content[5].input"),
        ("messages[2].parts[5].name", "messages[1].content[5].name"),
        ("messages[3].parts[0].parts[1].mime", "messages[2].content[0].content[1].source.media_type"),
        ("messages[3].parts[1].error", "messages[2].content[1].is_error"),
        ("messages[5].parts[0]", "messages[4].content"),
        ("messages[99].x", "messages[99].x"),
        ("messages[1].parts[99]", "messages[0].content[99]"),
    ],
)
def test_a_loss_in_the_clients_own_words(path: str, expected: str):
    assert anthropic.field_path(path, anthropic.parse_request(copy.deepcopy(REQUEST))) == expected


@pytest.mark.parametrize(
    ("messages", "version"),
    [
        ([{"role": "user", "content": "a"}], "2026-10-21"),
        ([{"role": "user", "content": [{"type": "document"}]}], "2026-10-21"),
        ([{"role": "assistant", "content": [{"type": "document"}]}], "2023-06-01"),
        ([{"role": "user", "content": [{"type": "text", "text": "a", "citations": [{}]}]}], "2023-06-01"),
        ([{"role": "user", "content": [{"type": "text", "text": "a", "citations": []}]}], "2026-10-21"),
        ([{"role": "assistant", "content": [{"type": "text", "text": "a", "citations": [{}]}]}], "2026-10-21"),
        ([3, {"role": "user", "content": [3]}], "2026-10-21"),
    ],
)
def test_the_version_that_takes_the_body(messages: list[Any], version: str):
    assert api_version({"messages": messages}) == version


def test_the_version_goes_along_as_a_header_and_the_clients_own_goes_before():
    body: Json = {"messages": [], "temperature": 1}
    assert anthropic.request_headers(body, {}) == b"anthropic-version: 2023-06-01\r\n"
    own = {b"anthropic-version": b"2026-10-21", b"anthropic-beta": b"a,b"}
    assert anthropic.request_headers(body, own) == b"anthropic-version: 2026-10-21\r\nanthropic-beta: a,b\r\n"


# Any JSON

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KINDS = ("text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result", "server_tool_use", "compaction")
FIELDS = (
    "text",
    "source",
    "thinking",
    "signature",
    "data",
    "id",
    "name",
    "input",
    "tool_use_id",
    "content",
    "citations",
    "cache_control",
)
wild_blocks = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), anything, max_size=4),
)
wild_events = st.one_of(
    st.builds(
        lambda i, b: {"type": "content_block_start", "index": i, "content_block": b}, st.integers(0, 2) | anything, wild_blocks
    ),
    st.builds(
        lambda i, kind, d: {"type": "content_block_delta", "index": i, "delta": {"type": kind, **d}},
        st.integers(0, 2),
        st.sampled_from(
            ("text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta", "compaction_delta")
        ),
        st.dictionaries(st.sampled_from(("text", "thinking", "signature", "partial_json", "citation")), anything, max_size=2),
    ),
    st.builds(lambda i: {"type": "content_block_stop", "index": i}, st.integers(0, 2)),
    st.builds(lambda d, u: {"type": "message_delta", "delta": d, "usage": u}, anything, anything),
    st.builds(lambda m: {"type": "message_start", "message": m}, anything),
    anything,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*REQUEST]), anything), st.lists(wild_blocks, max_size=3))
def test_any_json_is_a_request_or_an_invalid_one(body: Json, blocks: list[Json]):
    for role in ("user", "assistant", "system"):
        wild = {"messages": [{"role": role, "content": copy.deepcopy(blocks)}], **copy.deepcopy(body)}
        try:
            request = anthropic.parse_request(wild, "m", False)
        except InvalidRequest as error:
            assert error.failure.param is not None
            continue
        for model in (OPUS, SONNET):
            msgspec.json.encode(anthropic.format_request(request, target(model), Losses()))
        openai.format_request(request, target("gpt-4o"), Losses())


@settings(max_examples=150, deadline=None)
@given(st.lists(wild_events, max_size=8))
def test_any_frames_are_events_or_garbage(frames: list[Any]):
    parser, formatter = anthropic.Parser(), anthropic.Formatter(ASKED, Losses())
    try:
        for frame in frames:
            for out in formatter.feed(parser.feed(Frame(None, json.dumps(frame).encode()))):
                assert isinstance(out.data, bytes) or msgspec.json.encode(out.data)
    except UpstreamGarbage:
        pass


@settings(max_examples=100, deadline=None)
@given(st.integers(400, 599), st.binary(max_size=20) | anything.map(lambda v: json.dumps(v).encode()))
def test_any_error_gives_a_failure(status: int, body: bytes):
    failure = anthropic.parse_error(status, body)
    assert failure.message and failure.status == status
    assert anthropic.format_error(failure)[0] == status
