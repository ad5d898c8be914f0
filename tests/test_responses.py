"""The Responses API: requests and whole answers, both ways. The vendor's SDK asks the questions and reads the answers."""

import copy
import json
from typing import Any

import httpx2
import msgspec
import pytest
from pydantic import BaseModel

from interlingua.errors import InvalidRequest
from interlingua.ir import (
    Cache,
    Citation,
    Function,
    Json,
    Media,
    Message,
    Opaque,
    Output,
    Reasoning,
    Request,
    ServerTool,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from interlingua.losses import Losses
from interlingua.mock.rules import responses as rules
from interlingua.mock.shape import violation
from interlingua.mock.wire import Options
from interlingua.protocols import anthropic, gemini, openai, responses, target
from tests.responses_cases import (
    CLOSED,
    CODEX,
    REQUEST,
    RESPONSE,
    SEALED,
    WEATHER,
    answer,
    as_sent,
    asked,
    client,
    formatted,
    parse,
    paths,
    sent,
    through,
    told,
)

# The same protocol on both sides


@pytest.mark.parametrize("body", [REQUEST, CODEX, {"model": "m", "input": "Hi"}], ids=["everything", "codex", "string"])
def test_a_request_of_its_own_comes_out_as_it_went_in(body: Json):
    out, losses = formatted(parse(body), body["model"])
    assert out == body
    assert losses == []


@pytest.mark.parametrize(
    "fields",
    [
        {"input": []},
        {"input": "Hi", "instructions": ""},
        {"input": "Hi", "tools": []},
        {"input": "Hi", "text": {}},
        {"input": "Hi", "text": {"format": {"type": "text"}}},
        {"input": "Hi", "text": {"format": {"type": "json_object"}}},
        {"input": "Hi", "text": {"format": {"type": "born_later", "x": 1}}},
        {"input": "Hi", "reasoning": {}},
        {"input": "Hi", "reasoning": {"effort": "none"}},
        {"input": "Hi", "reasoning": {"effort": "unheard", "mode": "pro"}},
        {"input": "Hi", "reasoning": {"summary": None}},
        {"input": "Hi", "reasoning": {"generate_summary": "concise"}},
        {"input": "Hi", "tool_choice": "required", "tools": [WEATHER]},
        {"input": "Hi", "tool_choice": {"type": "function", "name": "weather"}, "tools": [WEATHER]},
        {"input": "Hi", "tool_choice": {"type": "custom", "name": "x"}, "tools": [{"type": "custom", "name": "x"}]},
        {"input": "Hi", "tool_choice": {"type": "file_search"}, "tools": [{"type": "file_search", "vector_store_ids": ["v"]}]},
        {"input": "Hi", "tool_choice": {"type": "mcp", "server_label": "s"}, "tools": [WEATHER]},
        {"input": "Hi", "include": []},
        {"input": "Hi", "truncation": "disabled", "background": True, "store": True},
        {"prompt": {"id": "pmpt_1"}},
        {"previous_response_id": "resp_1", "conversation": "conv_1"},
        {"input": [{"type": "message", "role": "assistant", "content": []}]},
        {"input": [{"type": "message", "role": "user", "content": []}]},
        {"input": [{"id": "msg_1"}]},
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x", "born": 1}]}]},
        {"input": [{"type": "reasoning", "encrypted_content": SEALED}]},
        {
            "input": [
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "s"}],
                    "content": [{"type": "reasoning_text", "text": "c"}],
                }
            ]
        },
        {"input": [{"type": "function_call_output", "output": "by name", "name": "f"}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "x", "caller": {"type": "direct"}}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "", "name": "f", "namespace": "n"}]},
        {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "caller": {"type": "direct"}}]},
        {"input": [{"role": "assistant", "content": "x", "phase": "final_answer"}]},
        {"input": [{"role": "user", "content": [{"type": "output_text", "text": "odd", "annotations": []}]}]},
    ],
)
def test_every_spelling_is_kept(fields: Json):
    body = {"model": "gpt-5.5", **fields}
    out, losses = formatted(parse(body))
    assert out == body
    assert losses == []


def test_a_stored_file_is_known_to_both_of_openais_apis():
    """The two read one store, another vendor does not."""
    chat = {"type": "file", "file": {"file_id": "file-1"}}
    newer = {"type": "input_file", "file_id": "file-1"}
    one = openai.parse_request({"model": "m", "messages": [{"role": "user", "content": [dict(chat)]}]})
    other = responses.parse_request({"model": "m", "input": [{"role": "user", "content": [dict(newer)]}]})
    for request, losses in ((one, Losses()), (other, Losses())):
        assert responses.format_request(request, target("gpt-5"), losses)["input"][0]["content"] == [newer]
        assert openai.format_request(request, target("gpt-5"), losses)["messages"][0]["content"] == [chat]
        assert not list(losses)
        anthropic.format_request(request, target("claude-sonnet-5"), losses)
        assert "messages[0].parts[0]" in [loss.path for loss in losses]


def test_one_turn_is_one_message_and_results_are_one_turn():
    roles = [(message.role, len(message.parts)) for message in parse(CODEX).messages]
    assert roles == [("system", 1), ("user", 1), ("assistant", 3), ("tool", 2)]
    many = [(message.role, len(message.parts)) for message in parse(REQUEST).messages]
    assert many[5:7] == [("user", 9), ("assistant", 8)]


def test_formatting_again_for_another_backend_finds_the_request_untouched():
    request = parse(REQUEST)
    before = msgspec.json.encode(request)
    for protocol, model in ((openai, "gpt-4o"), (anthropic, "claude-opus-5"), (gemini, "gemini-3-pro")):
        through(request, protocol, model)
    assert formatted(request)[0] == REQUEST
    assert msgspec.json.encode(request) == before


def test_an_answer_of_its_own_comes_out_as_it_went_in():
    out, losses = told(responses.parse_response(copy.deepcopy(RESPONSE)))
    assert out == RESPONSE
    assert losses == []


# Other clients, this backend


CHAT: Json = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.0}'}},
                {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_2", "content": "two"},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": CLOSED}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": CLOSED, "strict": True}},
    "reasoning_effort": "low",
    "max_completion_tokens": 5,
    "user": "u",
    "verbosity": "low",
    "service_tier": "flex",
    "metadata": {"k": "v"},
    "logprobs": True,
    "top_logprobs": 2,
    "stop": ["END"],
    "seed": 7,
}


def test_a_chat_request_in_its_words():
    body, losses = formatted(openai.parse_request(copy.deepcopy(CHAT), None, None))
    assert body == {
        "model": "gpt-5.5",
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
                ],
            },
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a": 1.0}'},
            {"type": "function_call", "call_id": "call_2", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "one"},
            {"type": "function_call_output", "call_id": "call_2", "output": "two"},
            {"role": "user", "content": "Go on."},
        ],
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": CLOSED, "strict": False}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "text": {"format": {"type": "json_schema", "name": "x", "schema": CLOSED, "strict": True}, "verbosity": "low"},
        "reasoning": {"effort": "low"},
        "max_output_tokens": 16,
        "user": "u",
        "service_tier": "flex",
        "metadata": {"k": "v"},
        "store": False,
        "top_logprobs": 2,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    }
    assert paths(losses) == ["max_tokens;changed", "seed;dropped", "stop;dropped"]  # 37: stop is not lost in silence


MESSAGES: Json = {
    "model": "m",
    "max_tokens": 4096,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "x"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "broken"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                    ],
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": CLOSED}],
    "tool_choice": {"type": "tool", "name": "f"},
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "metadata": {"user_id": "u"},
}


def test_an_anthropic_request_in_its_words():
    out, losses = formatted(anthropic.parse_request(copy.deepcopy(MESSAGES), None, None))
    assert out == {
        "model": "gpt-5.5",
        "input": [
            {
                "role": "system",
                "content": [{"type": "input_text", "text": "Be brief.", "prompt_cache_breakpoint": {"mode": "explicit"}}],
            },
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Let me look."},
            {"type": "function_call", "call_id": "toolu_1", "name": "f", "arguments": '{"a":"x"}'},
            {
                "type": "function_call_output",
                "call_id": "toolu_1",
                "output": [
                    {"type": "input_text", "text": "broken"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"},
                ],
            },
            {"role": "user", "content": "And?"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": CLOSED, "strict": False}],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low"},
        "max_output_tokens": 4096,
        "user": "u",
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert paths(losses) == [
        "messages[2].parts[0];dropped",
        "messages[3].parts[0].error;dropped",
        "reasoning.budget;changed",
    ]


def test_a_gemini_request_in_its_words():
    body: Json = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}]},
            {
                "role": "model",
                "parts": [
                    {"text": "hm", "thought": True},
                    {"functionCall": {"id": "c1", "name": "f", "args": {"a": "x"}}, "thoughtSignature": "AAAA"},
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"output": "ok"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": CLOSED}]}],
        "generationConfig": {
            "maxOutputTokens": 100,
            "topK": 4,
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "low"},
        },
    }
    out, losses = formatted(gemini.parse_request(body, "g", False))
    assert out == {
        "model": "gpt-5.5",
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Hi"},
                    {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0=", "filename": "document.pdf"},
                ],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":"x"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": CLOSED, "strict": False}],
        "reasoning": {"effort": "low", "summary": "auto"},
        "max_output_tokens": 100,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert paths(losses) == ["messages[2].parts[0];dropped", "messages[2].parts[1].signature;dropped", "top_k;dropped"]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.5"])
def test_what_other_clients_ask_is_nothing_that_the_vendor_refuses(model: str):
    for protocol, body in ((openai, CHAT), (openai, {**CHAT, "reasoning_effort": "none", "messages": CHAT["messages"][:1]})):
        out = as_sent(formatted(protocol.parse_request(copy.deepcopy(body), None, None), model)[0])
        assert violation("responses", out) is None
        rules.whole(out)
        rules.check(out, [], set(), Options())


def test_a_stateless_client_leaves_nothing_behind_unless_it_asks():
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    assert formatted(openai.parse_request(copy.deepcopy(body), None, None), "gpt-4o")[0] == {
        "model": "gpt-4o",
        "input": [{"role": "user", "content": "Hi"}],
        "store": False,
    }
    assert formatted(openai.parse_request({**body, "store": True}, None, None), "gpt-4o")[0]["store"] is True


def test_long_call_ids_are_shortened_alike():
    long = "call_" + "x" * 90
    history = [
        {"type": "function_call", "call_id": long, "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": long, "output": "ok"},
    ]
    call, result = formatted(parse({"model": "m", "input": history}))[0]["input"]
    assert call["call_id"] == result["call_id"] and len(call["call_id"]) <= 64


def test_a_model_that_does_not_sign_gets_its_words_back():
    request = Request(model="m", messages=[*parse({"model": "m", "input": "Hi"}).messages])
    request.messages.append(
        msgspec.structs.replace(request.messages[0], role="assistant", parts=[Thinking(text="hm"), Text(text="x")])
    )
    item = formatted(request, "deepseek-r2")[0]["input"][1]
    assert item == {"type": "reasoning", "id": item["id"], "summary": [{"type": "summary_text", "text": "hm"}]}
    assert paths(formatted(request, "gpt-5.5")[1]) == ["messages[1].parts[0];dropped"]


# This client, other backends


def test_codex_can_work_with_chat():
    out, losses = through(parse(CODEX), openai, "gpt-4o")
    free: Json = {**CLOSED, "properties": {"input": {"type": "string"}}, "required": ["input"]}
    assert out == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "You are Codex."},
            {"role": "user", "content": "Fix it."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "shell", "arguments": '{"command":["ls"]}'}},
                    {
                        "id": "call_2",
                        "type": "function",
                        "function": {"name": "apply_patch", "arguments": '{"input":"*** Begin\\n"}'},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "a.txt"},
            {"role": "tool", "tool_call_id": "call_2", "content": "Done"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "shell", "description": "Runs.", "parameters": CLOSED}},
            {"type": "function", "function": {"name": "apply_patch", "description": "Edits.", "parameters": free}},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "stream": True,
        "stream_options": {"include_usage": True},
        "prompt_cache_key": "k",
    }
    assert losses == ["input[1];dropped", "reasoning;dropped", "reasoning.summary;dropped"]


def test_codex_can_work_with_claude():
    out, losses = through(parse(CODEX), anthropic, "claude-opus-5")
    assert out["messages"] == [
        {"role": "user", "content": "Fix it."},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "shell", "input": {"command": ["ls"]}},
                {"type": "tool_use", "id": "call_2", "name": "apply_patch", "input": {"input": "*** Begin\n"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "a.txt"},
                {"type": "tool_result", "tool_use_id": "call_2", "content": "Done"},
            ],
        },
    ]
    assert out["system"] == "You are Codex."
    assert out["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert losses == ["input[1];dropped", "prompt_cache_key;dropped"]


def test_codex_can_work_with_gemini():
    out, losses = through(parse(CODEX), gemini, "gemini-3-pro")
    assert [part["functionCall"]["name"] for part in out["contents"][1]["parts"]] == ["shell", "apply_patch"]
    assert [part["functionResponse"]["response"] for part in out["contents"][2]["parts"]] == [
        {"output": "a.txt"},
        {"output": "Done"},
    ]
    assert out["systemInstruction"] == {"parts": [{"text": "You are Codex."}]}
    assert "input[1];dropped" in losses


@pytest.mark.parametrize(("protocol", "model"), [(openai, "gpt-4o"), (anthropic, "claude-opus-4-8"), (gemini, "gemini-2.5-pro")])
def test_structured_output_is_asked_for_everywhere(protocol: Any, model: str):
    """37, 38."""
    out, losses = through(
        asked(text={"format": {"type": "json_schema", "name": "x", "schema": CLOSED, "strict": True}}), protocol, model
    )
    assert CLOSED["properties"] in [node.get("properties") for node in objects(out)]
    assert not [loss for loss in losses if loss.startswith("text.format;")]


def objects(value: Any) -> list[Json]:
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in objects(inner))]
    return [found for inner in value for found in objects(inner)] if isinstance(value, list) else []


def test_tools_of_a_namespace_are_flat_elsewhere_and_come_back_as_they_were_known():
    """40."""
    request = parse(REQUEST)
    names = [tool.name for tool in request.tools if isinstance(tool, Function)]
    assert names == ["weather", "loose", "crm__get", "crm__sql", "patch", "free"]
    made = answer(
        ToolCall(id="c1", name="crm__get", arguments='{"a":"x"}'),
        ToolCall(id="c2", name="crm__sql", arguments='{"input":"select"}'),
    )
    first, second = told(made, request)[0]["output"]
    assert {key: first[key] for key in ("type", "namespace", "name", "arguments", "call_id")} == {
        "type": "function_call",
        "namespace": "crm",
        "name": "get",
        "arguments": '{"a":"x"}',
        "call_id": "c1",
    }
    assert (second["type"], second["namespace"], second["name"], second["input"]) == ("custom_tool_call", "crm", "sql", "select")
    again = parse({"model": "m", "input": [first, second]}).messages[0].parts
    assert [(part.name, part.arguments) for part in again if isinstance(part, ToolCall)] == [
        ("crm__get", '{"a":"x"}'),
        ("crm__sql", '{"input":"select"}'),
    ]


@pytest.mark.parametrize("arguments", ["no JSON", '{"other": 1}', "[1]", ""])
def test_whatever_a_custom_tool_is_called_with_reaches_it(arguments: str):
    request = asked(tools=[{"type": "custom", "name": "patch"}])
    item = told(answer(ToolCall(id="c", name="patch", arguments=arguments)), request)[0]["output"][0]
    assert (item["type"], item["input"]) == ("custom_tool_call", arguments)


@pytest.mark.parametrize("field", ["background", "previous_response_id", "conversation"])
def test_what_changes_the_meaning_is_reported_by_every_other_backend(field: str):
    request = asked(**{field: True if field == "background" else "id_1"})
    for protocol, model in ((openai, "gpt-4o"), (anthropic, "claude-opus-5"), (gemini, "gemini-3-pro")):
        assert f"{field};dropped" in through(request, protocol, model)[1]


@pytest.mark.parametrize(
    "fields",
    [
        {"store": True},
        {"store": False},
        {"background": False, "truncation": "disabled"},
        {"include": ["reasoning.encrypted_content"]},
        {"stream": True, "stream_options": {"include_obfuscation": False}},
        {"tools": [{**WEATHER, "strict": None}], "tool_choice": "auto"},
    ],
)
def test_what_others_do_anyway_is_no_loss(fields: Json):
    assert through(asked(**fields), openai, "gpt-4o")[1] == []


def test_losses_have_the_clients_own_names():
    request = parse(REQUEST)
    losses = through(request, anthropic, "claude-opus-5")[1]
    for expected in (
        "tools[2].tools[0].defer_loading;dropped",
        "tools[3].format;dropped",
        "tools[5];dropped",
        "input[4].content[0].prompt_cache_breakpoint.ttl;changed",
        "input[4].content[1].detail;dropped",
        "input[4].content[7];dropped",
        "input[5];dropped",
        "input[6].phase;dropped",
        "input[11];dropped",
        "include;dropped",
        "text.verbosity;dropped",
        "text.born;dropped",
        "reasoning.context;dropped",
        "previous_response_id;dropped",
    ):
        assert expected in losses, losses
    assert responses.field_path("messages[0].parts[0].x", request) == "instructions"
    assert responses.field_path("messages[99]", request) == "input[99]"
    assert responses.field_path("tools[1].schema.x", request) == "tools[1].parameters.x"
    assert responses.field_path("max_tokens", request) == "max_output_tokens"
    assert responses.field_path("messages[7].parts[1].parts[1]", request) == "input[13].output[1]"
    assert responses.field_path("messages[0].parts[0].cache", asked()) == "input"


# The SDK asks


class Answer(BaseModel):
    city: str


def test_the_sdks_own_requests_are_read():
    body = sent(
        lambda c: c.responses.parse(
            model="gpt-5.5",
            instructions="Be brief.",
            input=[{"role": "user", "content": "Where?"}],
            text_format=Answer,
            reasoning={"effort": "low"},
            max_output_tokens=99,
            metadata={"k": "v"},
        ),
        text='{"city":"Oslo"}',
    )
    request = parse(body)
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.output is not None and request.output.strict and request.output.schema is not None
    assert request.output.schema["properties"]["city"]["type"] == "string"
    assert (request.max_tokens, request.reasoning and request.reasoning.effort) == (99, "low")
    assert formatted(request)[0] == body


def test_an_answer_is_sent_back_by_the_sdk_as_it_came():
    bodies: list[Json] = []

    def serve(http: httpx2.Request) -> httpx2.Response:
        bodies.append(json.loads(http.content))
        return httpx2.Response(200, json=RESPONSE)

    with client(serve) as openai_client:
        first = openai_client.responses.create(model="gpt-5.5", input="Hi")
        history: Any = [{"role": "user", "content": "Hi"}, *first.output]
        openai_client.responses.create(model="gpt-5.5", input=history)
    request = parse(bodies[1])
    assert [type(part).__name__ for part in request.messages[1].parts] == [
        "Thinking",
        "Opaque",
        "Text",
        "Text",
        "ToolCall",
        "ToolCall",
    ]
    out, losses = formatted(request)
    assert out == bodies[1] and losses == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "m"}, "input"),
        ({"input": "x"}, "model"),
        ({"model": "m", "input": 5}, "input"),
        ({"model": "m", "input": [5]}, "input[0]"),
        ({"model": "m", "input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"model": "m", "input": [{"role": "user"}]}, "input[0].content"),
        ({"model": "m", "input": [{"type": 5, "id": "x"}]}, "input[0].type"),
        ({"model": "m", "input": [{"x": 1}]}, "input[0].type"),
        ({"model": "m", "input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"model": "m", "input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"model": "m", "input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"model": "m", "input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"model": "m", "input": [{"type": "reasoning", "summary": "x"}]}, "input[0].summary"),
        ({"model": "m", "input": "x", "instructions": []}, "instructions"),
        ({"model": "m", "input": "x", "temperature": "hot"}, "temperature"),
        ({"model": "m", "input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"model": "m", "input": "x", "tools": [{"type": "function", "name": "f", "strict": 1}]}, "tools[0].strict"),
        ({"model": "m", "input": "x", "tools": [{"type": "function", "name": "f", "parameters": 1}]}, "tools[0].parameters"),
        ({"model": "m", "input": "x", "tools": [{"type": "function", "name": "f", "description": 1}]}, "tools[0].description"),
        ({"model": "m", "input": "x", "tools": [{"name": "f"}]}, "tools[0].type"),
        (
            {"model": "m", "input": "x", "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]},
            "tools[0].tools[0].name",
        ),
        ({"model": "m", "input": "x", "tool_choice": "perhaps"}, "tool_choice"),
        ({"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"model": "m", "input": "x", "include": "all"}, "include"),
        ({"model": "m", "input": "x", "store": "no"}, "store"),
    ],
)
def test_a_wrong_field_is_named(body: Json, param: str):
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    assert caught.value.failure.param == param


def ir_request(*messages: Message, **fields: Any) -> Request:
    return Request(model="m", messages=list(messages), **fields)


GOOGLE = Signature("gemini", "AAAA")
CACHE = Cache("1h")
MARK: Json = {"mode": "explicit", "ttl": "30m"}


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message(role="user", parts=[Thinking(text="x"), ToolCall(id="c", name="f")]), [], ["", ".parts[0]", ".parts[1]"]),
        (Message(role="assistant", parts=[Opaque(origin="openai", data={"a": 1})]), [], ["", ".parts[0]"]),
        (Message(role="assistant", parts=[ToolResult(id="c")]), [], ["", ".parts[0]"]),
        (Message(role="assistant", parts=[Media(kind="image", url="https://e.x/i")]), [], ["", ".parts[0]"]),
        (Message(role="assistant"), [{"role": "assistant", "content": ""}], []),
        (Message(role="user"), [{"role": "user", "content": ""}], []),
        (
            Message(role="assistant", parts=[Text(text="a", cache=CACHE), ToolCall(id="c", name="f", cache=CACHE)]),
            [{"role": "assistant", "content": "a"}, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}],
            [".parts[0].cache", ".parts[1].cache"],
        ),
        (
            Message(
                role="tool",
                parts=[ToolResult(id="c", cache=CACHE, signature=GOOGLE, extras={"gemini": {"x": 1}}), Text(text="t")],
            ),
            [{"type": "function_call_output", "call_id": "c", "output": ""}, {"role": "user", "content": "t"}],
            [".parts[0].cache", ".parts[0].signature", ".parts[0].x"],
        ),
        (
            Message(role="tool", parts=[ToolResult(id="c", cache=Cache("30m"), parts=[Text(text="a")])]),
            [
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [
                        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}
                    ],
                }
            ],
            [],
        ),
        (
            Message(role="user", parts=[Opaque(origin="responses", data={"type": "x"}, cache=CACHE, signature=GOOGLE)]),
            [{"type": "x"}],
            [".parts[0].cache", ".parts[0].signature"],
        ),
        (
            Message(role="assistant", parts=[Thinking(redacted=True, signature=Signature("responses", "S"), cache=CACHE)]),
            [{"type": "reasoning", "id": "rs_2060efc3", "summary": [], "encrypted_content": "S"}],
            [".parts[0].cache", ".parts[0].redacted"],
        ),
        (
            Message(
                role="user",
                parts=[
                    Text(text="no", refusal=True, citations=[Citation(url="u")]),
                    Media(kind="image", url="https://e.x/i", mime="image/png", name="n"),
                    Media(kind="document", url="https://e.x/d", mime="application/pdf"),
                    Media(kind="document", text="words"),
                    Media(kind="image", file="file-of-another"),
                ],
            ),
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "no"},
                        {"type": "input_image", "image_url": "https://e.x/i", "detail": "auto"},
                        {"type": "input_file", "file_url": "https://e.x/d"},
                        {"type": "input_file", "file_data": "data:text/plain;base64,d29yZHM=", "filename": "document.txt"},
                    ],
                }
            ],
            [".parts[0].citations", ".parts[0].refusal", ".parts[1].mime", ".parts[1].name", ".parts[2].mime", ".parts[4]"],
        ),
    ],
)
def test_what_cannot_be_said_is_reported(message: Message, written: list[Json], lost: list[str]):
    body, losses = formatted(ir_request(Message(role="user", parts=[Text(text="Hi")]), message))
    assert body["input"][1:] == written
    assert sorted(loss.path for loss in losses) == sorted(f"messages[1]{path}" for path in lost)


def test_reasoning_is_asked_of_those_who_reason():
    def asked_of(model: str, **fields: Any) -> tuple[Any, list[str]]:
        body, losses = formatted(ir_request(Message(role="user", parts=[Text(text="Hi")]), reasoning=Reasoning(**fields)), model)
        return body.get("reasoning"), paths(losses)

    assert asked_of("gpt-5.5", enabled=False, effort="low") == ({"effort": "none"}, ["reasoning.effort;dropped"])
    assert asked_of("gpt-5.5", visible=True) == ({"summary": "auto"}, [])
    assert asked_of("gpt-5.5", visible=False) == ({"summary": None}, [])
    assert asked_of("gpt-5.5", budget=90_000) == ({"effort": "high"}, ["reasoning.budget;changed"])
    assert asked_of("gpt-4o", effort="low") == (None, ["reasoning;dropped"])
    assert asked_of("gpt-4o", enabled=False) == (None, ["reasoning;dropped"])


def test_tools_of_others_and_choices_without_tools_are_reported():
    user = Message(role="user", parts=[Text(text="Hi")])
    search = ServerTool(origin="anthropic", kind="web_search", config={"type": "web_search"})
    lone = ir_request(user, tools=[search], tool_choice=ToolChoice(mode="required", parallel=True))
    body, losses = formatted(lone)
    assert "tools" not in body and "tool_choice" not in body
    assert paths(losses) == ["tools[0];dropped", "tool_choice;dropped", "tool_choice.parallel;dropped"]
    marked = ir_request(user, tools=[Function(name="f", cache=CACHE, extras={"gemini": {"x": 1}})], logprobs=False)
    assert paths(formatted(marked)[1]) == ["tools[0].cache;dropped", "tools[0].x;dropped", "logprobs;dropped"]


def test_what_a_policy_changes_is_what_is_said():
    request = parse({"model": "m", "input": "Hi", "include": ["message.output_text.logprobs"], "top_logprobs": None})
    request.logprobs = None
    assert formatted(request)[0]["include"] == []
    request.messages.append(Message(role="user", parts=[Text(text="More.")]))
    assert formatted(request)[0]["input"] == [{"role": "user", "content": "Hi"}, {"role": "user", "content": "More."}]
    thought = parse({"model": "m", "input": [{"type": "reasoning", "id": "rs_1", "summary": [], "content": []}]})
    thought.messages[0].parts = [Thinking(text="new", extras=thought.messages[0].parts[0].extras)]
    assert formatted(thought)[0]["input"][0]["summary"] == [{"type": "summary_text", "text": "new"}]


def test_fields_of_others_are_named_when_they_are_lost():
    inner: list[Text | Media | Opaque] = [Opaque(origin="gemini", data={"a": 1}), Media(kind="video", data="AA==")]
    request = ir_request(
        Message(role="system", parts=[Text(text="Be brief.", signature=GOOGLE)], extras={"gemini": {"x": 1}}),
        Message(role="user", parts=[Opaque(origin="responses", data={"type": "x"}, extras={"gemini": {"y": 1}})]),
        Message(
            role="tool",
            parts=[ToolResult(id="c", parts=inner)],
        ),
        top_p=0.5,
        output=Output(mode="schema", schema=CLOSED, extras={"gemini": {"z": 1}}),
    )
    body, losses = formatted(request)
    assert body["instructions"] == "Be brief."
    assert paths(losses) == [
        "messages[0].parts[0].signature;dropped",
        "messages[0].x;dropped",
        "messages[1].parts[0].y;dropped",
        "messages[2].parts[0].parts[0];dropped",
        "messages[2].parts[0].parts[1];dropped",
        "top_p;dropped",
        "output.z;dropped",
    ]
