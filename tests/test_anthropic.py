"""Anthropic Messages, read and given back: nothing is lost between two of one protocol; errors, names, and any JSON whatever."""

import copy
import json
from typing import Any

import anthropic as sdk
import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.errors import InvalidRequest, UpstreamGarbage
from interlingua.fold import fold
from interlingua.framing import Frame
from interlingua.ir import (
    Cache,
    Failure,
    Function,
    Opaque,
    Reasoning,
    ServerTool,
    Signature,
    Text,
    Thinking,
    ToolChoice,
)
from interlingua.losses import Losses
from interlingua.protocols import anthropic, openai, target
from interlingua.protocols.anthropic.names import api_version
from tests.anthropic_cases import (
    ASKED,
    CHAR_LOCATION,
    OPUS,
    REQUEST,
    RESPONSE,
    SONNET,
    STOP,
    STREAM,
    Json,
    answered,
    delta,
    formatted,
    judged,
    message_delta,
    message_start,
    nonnull,
    parse,
    sent,
    start,
    stop,
)

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
    assert (user.parts[11].source, user.parts[11].name, user.parts[11].citable) == ("https://example.com", "S", True)
    assert (user.parts[11].chunks, user.parts[11].text) == (["found", "more", "last"], "found\nmore\nlast")
    unread = ["document", "search_result", "search_result", "container_upload"]
    assert [part.data["type"] for part in user.parts[10:] if isinstance(part, Opaque)] == unread
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


def test_words_born_later_are_kept():
    later = {"tool_choice": {"type": "later", "n": 1}, "thinking": {"type": "later"}, "output_config": {"effort": "later"}}
    body = {"model": OPUS, "messages": [], **later}
    request = anthropic.parse_request(copy.deepcopy(body))
    assert request.tool_choice is None and request.reasoning is None
    assert sent(request) == (body, [])


def test_the_path_gives_model_and_stream_where_a_host_puts_them_there():
    request = anthropic.parse_request({"messages": [], "anthropic_version": "vertex-2023-10-16"}, "claude-opus-5", True)
    assert (request.model, request.stream) == ("claude-opus-5", True)


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
        ("messages[1].parts[4].citable", "messages[0].content[4].citations"),
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
