"""Converse as a wire: nothing of its own is lost, and what others say is said in its words."""

import copy
import json
from typing import Any

import bedrock_cases as cases
import pytest
from bedrock_cases import (
    ASKED,
    CITED,
    CITY,
    CLAUDE,
    CLOSED,
    MARK,
    NOVA_2,
    OPENAI,
    PIXEL,
    PROFILE,
    WEATHER,
    answer,
    assistant,
    converted,
    document,
    image,
    plain,
    read,
    result,
    thought,
    told,
    use,
    user,
    write,
)

from interlingua.errors import InvalidRequest, UpstreamGarbage
from interlingua.ir import (
    AnyPart,
    Choice,
    Media,
    Opaque,
    Response,
    Signature,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from interlingua.losses import Losses
from interlingua.protocols import anthropic, bedrock, gemini, openai, target

Json = dict[str, Any]


# Its own


@pytest.mark.parametrize("name", cases.BODIES)
def test_a_clients_own_body_comes_back_as_it_was(name: str) -> None:
    body = cases.BODIES[name]
    out, losses = write(read(body))
    assert (out, losses) == (body, [])
    assert write(read(out)) == (out, [])


@pytest.mark.parametrize("name", cases.BODIES)
def test_a_clients_own_body_can_be_told_to_anyone(name: str) -> None:
    for other in (openai, anthropic, gemini):
        request, losses = read(cases.BODIES[name]), Losses()
        other.format_request(request, target("some-model"), losses)
        for loss in losses:
            path = bedrock.field_path(loss.path, request)
            assert path and "parts[" not in path


@pytest.mark.parametrize("name", cases.ANSWERS)
def test_an_answer_of_its_own_comes_back_as_it_was(name: str) -> None:
    losses = Losses()
    response = bedrock.parse_response(copy.deepcopy(cases.ANSWERS[name]))
    assert plain(bedrock.format_response(response, ASKED, losses)) == cases.ANSWERS[name]
    assert told(losses) == []


def test_the_model_and_whether_to_stream_stand_in_the_path() -> None:
    request = bedrock.parse_request({"messages": [user("Hi")]}, PROFILE, True)
    assert (request.model, request.stream) == (PROFILE, True)
    assert "stream" not in bedrock.format_request(request, target(CLAUDE), Losses())
    assert bedrock.parse_request({"modelId": "a", "messages": []}).model == "a"
    assert bedrock.request_headers({}, {b"x": b"y"}) == b""


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [user({"text": 3})]}, "messages[0].content[0].text"),
        ({"messages": [user({"image": {"format": "png"}})]}, "messages[0].content[0].image.source"),
        (
            {"messages": [user(use()["toolUse"] and {"toolUse": {"name": "a", "input": {}}})]},
            "messages[0].content[0].toolUse.toolUseId",
        ),
        ({"messages": [user({"toolResult": {"toolUseId": "a"}})]}, "messages[0].content[0].toolResult.content"),
        ({"messages": [], "system": {"text": "a"}}, "system"),
        ({"messages": [], "inferenceConfig": {"maxTokens": "1"}}, "inferenceConfig.maxTokens"),
        ({"messages": [], "toolConfig": {"tools": [{"toolSpec": {"name": "a"}}]}}, "toolConfig.tools[0].toolSpec.inputSchema"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(body: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert caught.value.failure.param == param


def test_without_a_model_it_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="modelId is required"):
        bedrock.parse_request({"messages": []})


def test_a_client_is_told_losses_in_its_own_paths() -> None:
    body = {
        "system": [{"text": "S"}, MARK, {"text": "T"}],
        "messages": [
            user("a", MARK, document(), image(), MARK),
            assistant(thought(signature="s"), "b", MARK, use()),
            user(result("t1", {"text": "c"}, image())),
        ],
        "toolConfig": {"tools": [WEATHER, MARK, WEATHER]},
    }
    request = read(body)
    paths = {
        "messages[0].parts[1].text": "system[2].text",
        "messages[1].parts[0].cache": "messages[0].content[1].cachePoint",
        "messages[1].parts[1].name": "messages[0].content[2].document.name",
        "messages[1].parts[2].cache.ttl": "messages[0].content[4].cachePoint.ttl",
        "messages[1].parts[2].mime": "messages[0].content[3].image.format",
        "messages[2].parts[0].signature": "messages[1].content[0].reasoningContent.reasoningText.signature",
        "messages[2].parts[2].arguments": "messages[1].content[3].toolUse.input",
        "messages[3].parts[0].error": "messages[2].content[0].toolResult.status",
        "messages[3].parts[0].parts[1].data": "messages[2].content[0].toolResult.content[1].image.source.bytes",
        "messages[9]": "messages[9]",
        "tools[0].cache": "toolConfig.tools[1].cachePoint",
        "tools[1].schema.title": "toolConfig.tools[2].toolSpec.inputSchema.json.title",
        "tools[1]": "toolConfig.tools[2].toolSpec",
        "stop[1]": "inferenceConfig.stopSequences[1]",
        "max_tokens": "inferenceConfig.maxTokens",
        "reasoning.budget": "additionalModelRequestFields.thinking.budget_tokens",
        "tool_choice.names": "toolConfig.toolChoice.tool.name",
        "guardrailConfig": "guardrailConfig",
    }
    assert {path: bedrock.field_path(path, request) for path in paths} == paths


# Between protocols: the whole JSON


def test_a_chat_completion_becomes_converse() -> None:
    out, losses = converted(openai, bedrock, OPENAI, CLAUDE)
    assert out == {
        "system": [{"text": "Be kind."}],
        "messages": [
            user("Look", image(), document("my-report-v2")),
            assistant("Let me see.", use("c1", city="Bern"), use("c2", INVALID_JSON="{bad")),
            user(result("c1", {"text": "mild"}), result("c2"), "and?"),
        ],
        "inferenceConfig": {"maxTokens": 4000, "temperature": 1, "stopSequences": ["A"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "weather", "description": "d", "inputSchema": {"json": CLOSED}, "strict": True}}],
            "toolChoice": {"tool": {"name": "weather"}},
        },
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": json.dumps(CLOSED, separators=(",", ":")), "name": "n"}},
            }
        },
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    assert sorted(losses) == [
        "messages[1].content[2].name;changed",
        "messages[2].tool_calls[1].function.arguments;changed",
        "parallel_tool_calls;dropped",
        "seed;dropped",
        "stop;changed",
        "temperature;changed",
        "user;dropped",
    ]


def test_a_word_of_the_users_stands_before_the_assistants_first() -> None:
    turns = [{"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Hi."}]
    out, losses = converted(openai, bedrock, {"model": "m", "messages": turns}, CLAUDE)
    assert out["messages"] == [user("."), assistant("Hello!"), user("Hi.")]
    assert losses == ["messages;added"]
    own = {"messages": [assistant("Hello!"), user("Hi.")]}  # AWS itself tells its own client
    assert converted(bedrock, bedrock, own, CLAUDE)[0]["messages"] == own["messages"]


def test_a_message_of_anthropics_becomes_converse() -> None:
    mark = {"type": "ephemeral"}
    body = {
        "model": "m",
        "max_tokens": 4096,
        "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "q", "cache_control": mark}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "T", "signature": "sig"},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Bern"}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "bad"}]},
        ],
        "tools": [{"name": "weather", "input_schema": CITY, "cache_control": mark}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    }
    out, losses = converted(anthropic, bedrock, body, CLAUDE)
    assert out == {
        "system": [{"text": "S"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [
            user("q", MARK),
            assistant(thought("T", signature="sig"), use(city="Bern")),
            user(result("t1", {"text": "bad"}, status="error")),
        ],
        "inferenceConfig": {"maxTokens": 4096},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": CITY}}}, MARK],
            "toolChoice": {"auto": {}},
        },
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    }
    assert losses == ["tool_choice.disable_parallel_tool_use;dropped"]


def test_geminis_contents_become_converse() -> None:
    body = {
        "systemInstruction": {"parts": [{"text": "S"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"id": "f1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "AAAA"}],
            },
            {"role": "user", "parts": [{"functionResponse": {"id": "f1", "name": "f", "response": {"b": 2}}}]},
        ],
        "generationConfig": {"topK": 5, "thinkingConfig": {"thinkingBudget": 2048}},
    }
    out, losses = converted(gemini, bedrock, body, NOVA_2)
    assert out == {
        "system": [{"text": "S"}],
        "messages": [
            user("hi", {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}),
            assistant(use("f1", "f", a=1)),
            user(result("f1", {"text": '{"b":2}'})),
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]},
        "additionalModelRequestFields": {
            "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"},
            "inferenceConfig": {"topK": 5},
        },
    }
    assert losses == [
        "contents[1].parts[0].thoughtSignature;dropped",
        "tools;added",
        "generationConfig.thinkingConfig.thinkingBudget;changed",
    ]


CONVERSE: Json = {
    "system": [{"text": "Be kind."}, MARK],
    "messages": [
        user("Look", image()),
        assistant(thought(signature="c2ln"), use(city="Bern")),
        user(result("t1", {"json": {"mild": True}}, status="error"), "and?"),
    ],
    "inferenceConfig": {"maxTokens": 512, "temperature": 0.5, "stopSequences": ["A"]},
    "toolConfig": {"tools": [WEATHER], "toolChoice": {"any": {}}},
    "requestMetadata": {"team": "a"},
}


def test_converse_becomes_a_chat_completion() -> None:
    out, losses = converted(bedrock, openai, CONVERSE, "gpt-4o")
    assert out == {
        "model": "gpt-4o",
        "messages": [
            {
                "role": "system",
                "content": [{"type": "text", "text": "Be kind.", "prompt_cache_breakpoint": {"mode": "explicit"}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}],
            },
            {"role": "tool", "tool_call_id": "t1", "content": '{"mild":true}'},
            {"role": "user", "content": "and?"},
        ],
        "max_tokens": 512,
        "temperature": 0.5,
        "stop": "A",
        "tools": [{"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": CITY}}],
        "tool_choice": "required",
    }
    assert sorted(losses) == [
        "messages[1].content[0].reasoningContent;dropped",
        "messages[2].content[0].toolResult.status;dropped",
        "requestMetadata;dropped",
    ]


def test_converse_becomes_a_message_of_anthropics() -> None:
    out, losses = converted(bedrock, anthropic, CONVERSE, "claude-sonnet-4-5")
    assert out["system"] == [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    assert out["messages"][2]["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": '{"mild":true}',
        "is_error": True,
    }
    assert out["tool_choice"] == {"type": "any"} and out["stop_sequences"] == ["A"] and out["max_tokens"] == 512
    assert losses == ["messages[1].content[0].reasoningContent;dropped", "requestMetadata;dropped"]


def test_an_answer_becomes_everyones() -> None:
    body = answer(thought(signature="c2ln"), "So:", CITED, use(city="Bern"), stop="tool_use")
    response = bedrock.parse_response(copy.deepcopy(body))
    asked = openai.parse_request({"model": "m", "messages": []})
    out = plain(openai.format_response(response, asked, Losses()))
    assert out["choices"][0]["finish_reason"] == "tool_calls"
    assert out["choices"][0]["message"]["content"] == "So:It is mild."
    assert out["choices"][0]["message"]["reasoning_content"] == "Hm."
    assert out["choices"][0]["message"]["annotations"][0]["url_citation"]["url"] == "https://example.com/w"
    assert out["usage"]["prompt_tokens"] == 110 and out["usage"]["total_tokens"] == 115
    assert out["usage"]["prompt_tokens_details"] == {"cached_tokens": 80, "cache_write_tokens": 20}
    message = plain(anthropic.format_response(response, asked, Losses()))
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "text", "tool_use"]
    assert message["usage"]["input_tokens"] == 10 and message["usage"]["cache_read_input_tokens"] == 80
    # what was sealed for Anthropic's client comes back to Bedrock as Bedrock signed it
    history = anthropic.parse_request(
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": message["content"]}],
        }
    )
    back, _ = write(history, CLAUDE)
    assert back["messages"][1]["content"][0] == thought(signature="c2ln")


def test_everyones_answer_becomes_an_answer_of_converse() -> None:
    chat = {
        "id": "x",
        "model": "gpt",
        "created": 1,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": "length",
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "reasoning_content": "Hm",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {"url": "https://e.com", "title": "E", "start_index": 0, "end_index": 2},
                        }
                    ],
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
                },
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 7,
            "total_tokens": 107,
            "prompt_tokens_details": {"cached_tokens": 40},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    }
    losses = Losses()
    out = plain(bedrock.format_response(openai.parse_response(chat), read({"messages": []}), losses))
    reasoning = out["output"]["message"]["content"].pop(0)["reasoningContent"]["reasoningText"]
    assert reasoning["text"] == "Hm" and reasoning["signature"].startswith("il1.")
    assert out == {
        "output": {
            "message": assistant(
                {
                    "citationsContent": {
                        "content": [{"text": "Hi"}],
                        "citations": [{"title": "E", "location": {"web": {"url": "https://e.com"}}}],
                    }
                },
                use("c1", "f", a=1),
            )
        },
        "stopReason": "max_tokens",
        "usage": {"inputTokens": 60, "outputTokens": 7, "totalTokens": 107, "cacheReadInputTokens": 40},
        "metrics": {"latencyMs": 0},
    }
    assert told(losses) == ["response.choices[0].parts[1].citations[0].start;dropped", "response.usage.reasoning;dropped"]


# Answers


def test_a_part_that_bedrock_has_no_block_for_comes_back() -> None:
    signed = Signature("gemini", "c2ln")
    parts: list[AnyPart] = [
        Thinking(text="T", signature=signed),
        Thinking(redacted=True, signature=Signature("anthropic", "x")),
        Text(text="t", signature=signed),
        ToolCall(id="a", name="f", arguments="{}", signature=signed),
        Opaque(origin="anthropic", data={"type": "server_tool_use"}),
        Media(kind="audio", data="AAAA"),
        Text(signature=signed),
    ]
    losses = Losses()
    out = plain(bedrock.format_response(Response(choices=[Choice(parts=parts)]), ASKED, losses))
    content = out["output"]["message"]["content"]
    assert [next(iter(block)) for block in content] == [
        "reasoningContent",
        "reasoningContent",
        "reasoningContent",
        "text",
        "reasoningContent",
        "toolUse",
        "reasoningContent",
        "reasoningContent",
        "reasoningContent",
    ]
    assert content[0]["reasoningContent"]["reasoningText"]["text"] == "T"
    assert told(losses) == ["response.choices[0].parts[4];changed", "response.choices[0].parts[5];changed"]
    back = read({"messages": [user("q"), {"role": "assistant", "content": content}]}).messages[1].parts
    assert [list(part.extras.get("bedrock", {})) for part in back] == [[], [], ["~carried"], ["~carried"], [], ["~sealed"], []]
    for part in back:
        part.extras = {}
    assert back == parts
    # and to a model of Bedrock's nothing of it can be told but the words
    history, _ = write(read({"messages": [user("q"), {"role": "assistant", "content": content}]}), CLAUDE)
    assert history["messages"][1] == assistant("t", use("a", "f"))


@pytest.mark.parametrize("slot", ["il1.", "il1.AAAA", "il1." + "x" * 99])
def test_a_damaged_seal_is_nobodys_signature(slot: str) -> None:
    request = read({"messages": [user("q"), assistant(thought("T", signature=slot), "r")]})
    assert request.messages[1].parts[0] == Thinking(text="T")
    out, losses = write(request)
    assert out["messages"][1] == assistant("r") and losses == ["messages[1].parts[0];dropped"]


def test_what_is_too_large_to_be_sealed_is_reported() -> None:
    losses = Losses()
    huge = Media(kind="audio", data="A" * (1 << 20))
    out = bedrock.format_response(Response(choices=[Choice(parts=[huge])]), ASKED, losses)
    assert out["output"]["message"]["content"] == [] and told(losses) == ["response.choices[0].parts[0];dropped"]


def test_an_answer_without_usage_or_ids_has_what_the_shape_wants() -> None:
    parts: list[AnyPart] = [Text(text=""), ToolCall(id="", name="f"), Thinking(text="T")]
    losses = Losses()
    out = plain(bedrock.format_response(Response(choices=[Choice(parts=parts), Choice()]), ASKED, losses))
    assert out == {
        "output": {"message": assistant({"toolUse": {"toolUseId": "bedrock_1", "name": "f", "input": {}}}, thought("T"))},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
        "metrics": {"latencyMs": 0},
    }
    assert told(losses) == ["response.choices[1];dropped"]


def test_tokens_count_what_was_cached_once() -> None:
    usage = bedrock.parse_response(answer("Hi")).usage
    assert usage is not None and (usage.input, usage.cache_read, usage.cache_write, usage.output) == (110, 80, 20, 5)
    out = bedrock.format_response(Response(usage=Usage(input=10, output=2, cache_read=30)), ASKED, Losses())
    assert out["usage"] == {"inputTokens": 0, "outputTokens": 2, "totalTokens": 12, "cacheReadInputTokens": 30}


@pytest.mark.parametrize("body", [{}, {"output": {}}, {"output": {"message": []}}, {"output": {"message": {"content": "x"}}}])
def test_what_is_no_answer_is_garbage(body: Json) -> None:
    with pytest.raises(UpstreamGarbage, match="no answer of Converse"):
        bedrock.parse_response(body)


# Errors


@pytest.mark.parametrize(
    ("status", "body", "kind", "name"),
    [
        (400, {"message": "no"}, "invalid_request", "ValidationException"),
        (400, {"message": "Input is too long for requested model."}, "context_window", "ValidationException"),
        (400, {"__type": "com.amazon#ThrottlingException", "message": "slow"}, "rate_limit", "ThrottlingException"),
        (403, {"message": "You don't have access to the model"}, "permission", "AccessDeniedException"),
        (
            403,
            {"Message": "The security token included in the request is expired"},
            "authentication",
            "UnrecognizedClientException",
        ),
        (404, {"message": "no"}, "not_found", "ResourceNotFoundException"),
        (408, {"message": "no"}, "timeout", "ModelTimeoutException"),
        (424, {"message": "no", "originalStatusCode": 500}, "server_error", "InternalServerException"),
        (429, {"message": "slow"}, "rate_limit", "ThrottlingException"),
        (500, {}, "server_error", "InternalServerException"),
        (503, {"message": "no"}, "unavailable", "ServiceUnavailableException"),
    ],
)
def test_errors_of_its_own(status: int, body: Json, kind: str, name: str) -> None:
    failure = bedrock.parse_error(status, json.dumps(body).encode())
    assert (failure.status, failure.kind) == (status, kind)
    back, said = bedrock.format_error(failure)
    rest = {key: value for key, value in body.items() if key not in ("__type", "Message", "message")}
    assert (back, said) == (status, {"__type": name, "message": failure.message, **rest})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b'"x"', b"null"])
def test_any_error_body_is_a_failure(body: bytes) -> None:
    failure = bedrock.parse_error(502, body)
    assert failure.kind == "bad_gateway" and "502" in failure.message
