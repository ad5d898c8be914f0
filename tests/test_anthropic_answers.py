"""Conversions to and from OpenAI against exact JSON, and answers with the seals that their clients bring back."""

import copy
from typing import Any

import anthropic as sdk
import msgspec
import pytest

from interlingua.carry import seal, unseal
from interlingua.errors import InvalidRequest, UpstreamGarbage
from interlingua.fold import fold, unfold
from interlingua.ir import (
    Choice,
    Citation,
    Finish,
    Media,
    Opaque,
    Request,
    Response,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    Usage,
)
from interlingua.losses import Losses
from interlingua.protocols import anthropic, openai, target
from tests.anthropic_cases import (
    ASKED,
    CHAT,
    GOOGLE,
    OPUS,
    REQUEST,
    RESPONSE,
    SIGNED,
    STOP,
    STREAM,
    Json,
    answer,
    answered,
    delta,
    formatted,
    from_openai,
    judged,
    message_delta,
    message_start,
    parse,
    paths,
    replayed,
    sent,
    start,
    stop,
    to_openai,
    wire,
)

# OpenAI's client, Anthropic's backend


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
    assert paths(losses) == []


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
        "messages[1].parts[4].citable",
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
        "response.choices[0].parts[1].citations[0];dropped",
        "response.choices[0].logprobs;dropped",
        "response.choices[0].x;dropped",
        "response.system_fingerprint;dropped",
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reason, word", [("stop", "refusal"), ("filter", "refusal"), ("length", "max_tokens")])
def test_a_refusal_is_told_by_why_it_ended(reason: Any, word: str, stream: bool):
    """OpenAI's refusal is a part of the answer, Anthropic's a stop_reason; where another stands there, it is words alone."""
    response = answer(Text(text="No.", refusal=True), reason=reason)
    losses = Losses()
    if stream:
        outs = anthropic.Formatter(Request(model="m", messages=[]), losses).feed(unfold(response))
        told = next(out.data["delta"]["stop_reason"] for out in outs if out.event == "message_delta")
    else:
        told = anthropic.format_response(response, Request(model="m", messages=[]), losses)["stop_reason"]
    assert told == word
    assert paths(losses) == ([] if word == "refusal" else ["response.choices[0].parts[0].refusal;changed"])


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


def test_a_damaged_seal_is_nobodys_signature():
    blocks = [
        {"type": "thinking", "thinking": "a", "signature": "il1.damaged"},
        {"type": "redacted_thinking", "data": "il1.damaged"},
        {"type": "text", "text": "b"},
    ]
    assert replayed(copy.deepcopy(blocks)) == [Thinking(text="a"), Thinking(redacted=True), Text(text="b")]
    body = {"model": "m", "messages": [{"role": "assistant", "content": copy.deepcopy(blocks)}]}
    found, losses = sent(anthropic.parse_request(body))
    assert found["messages"][0]["content"] == blocks[2:]
    assert paths(losses) == ["messages[0].parts[0];dropped", "messages[0].parts[1];dropped"]


def test_what_is_too_large_to_be_sealed_is_dropped():
    large = Media(kind="image", data="A" * (1 << 20), mime="image/png")
    body, losses = answered(answer(large, Text(text="a"), reason="stop"))
    assert body["content"] == [{"type": "text", "text": "a"}]
    assert paths(losses) == ["response.choices[0].parts[0];dropped"]
    found, losses = formatted(*unfold(answer(large, reason="stop")))
    assert [d["type"] for d in found] == ["message_start", "message_delta", "message_stop"]
    assert paths(losses) == ["response.choices[0].parts[0];dropped"]


def test_an_input_without_a_bottom_is_refused():
    deep: Json = {}
    for _ in range(3000):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest) as caught:
        replayed([{"type": "tool_use", "id": "1", "name": "f", "input": deep}])
    assert caught.value.failure.param == "messages[0].content[0].input"


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
