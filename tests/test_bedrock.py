"""Converse as a wire: nothing of its own is lost, everyone else's is said in its words, and what it refuses is never sent."""

import copy
import json
from base64 import b64encode
from typing import Any

import bedrock_cases as cases
import msgspec
import pytest
from bedrock_cases import (
    CITED,
    CITY,
    CLAUDE,
    LLAMA,
    MARK,
    MISTRAL,
    NEWEST,
    NOVA,
    NOVA_2,
    OLD,
    PDF,
    PIXEL,
    PROFILE,
    WEATHER,
    answer,
    assistant,
    document,
    image,
    result,
    thought,
    use,
    user,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlingua.errors import InvalidRequest, UpstreamGarbage
from interlingua.ir import (
    AnyPart,
    Cache,
    Choice,
    Citation,
    Finish,
    Function,
    Media,
    Message,
    Opaque,
    Output,
    Reasoning,
    Request,
    Response,
    ServerTool,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from interlingua.losses import Losses
from interlingua.mock.rules import bedrock as rules
from interlingua.mock.shape import violation
from interlingua.mock.wire import Options, Refusal
from interlingua.protocols import Protocol, anthropic, bedrock, gemini, openai, target
from interlingua.protocols.bedrock.family import family
from interlingua.protocols.bedrock.toolnames import own_name, wire_name
from tests import strategies as ir

Json = dict[str, Any]
JSON_TYPES: dict[str, Any] = {"system": [], "messages": []}


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def told(losses: Losses) -> list[str]:
    return [f"{loss.path};{loss.how}" for loss in losses]


def read(body: Json) -> Request:
    return bedrock.parse_request(copy.deepcopy(body), "m", False)


def write(request: Request, model: str = "some-model") -> tuple[Json, list[str]]:
    losses = Losses()
    return plain(bedrock.format_request(request, target(model), losses)), told(losses)


def asks(*turns: Message, **more: Any) -> Request:
    return Request(model="m", messages=list(turns), **more)


def says(role: Any, *parts: AnyPart | str) -> Message:
    return Message(role=role, parts=[Text(text=part) if isinstance(part, str) else part for part in parts])


HI = says("user", "Hi")


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


ASKED = read({"messages": [], "additionalModelResponseFieldPaths": ["/stop_sequence"]})


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


def converted(source: Protocol, goal: Protocol, body: Json, model: str) -> tuple[Json, list[str]]:
    losses = Losses()
    request = source.parse_request(copy.deepcopy(body), "m", False)
    out = plain(goal.format_request(request, target(model), losses))
    return out, [f"{source.field_path(loss.path, request)};{loss.how}" for loss in losses]


OPENAI: Json = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                {"type": "file", "file": {"filename": "my_report.v2.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
            ],
        },
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}},
                {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": "{bad"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "mild"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": "and?"},
    ],
    "max_completion_tokens": 4000,
    "temperature": 1.5,
    "stop": ["A", " "],
    "tools": [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": CITY, "strict": True}}],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "parallel_tool_calls": False,
    "user": "u",
    "seed": 3,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": CITY, "strict": True}},
}
CLOSED = {**CITY, "additionalProperties": False}


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
        "response_format.json_schema.strict;dropped",
        "seed;dropped",
        "stop;changed",
        "temperature;changed",
        "user;dropped",
    ]


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


# Section d of the pitfalls: what Bedrock refuses


def test_21_tools_are_defined_when_the_history_uses_them() -> None:
    history = [HI, says("assistant", ToolCall(id="a", name="old.tool", arguments="{}")), says("tool", ToolResult(id="a"))]
    out, losses = write(asks(*history), CLAUDE)
    empty = {"json": {"type": "object", "properties": {}}}
    assert out["toolConfig"] == {"tools": [{"toolSpec": {"name": "il-old-dtool", "inputSchema": empty}}]}
    assert losses == ["tools;added"]
    orphan, _ = write(asks(HI, says("tool", ToolResult(id="a", name="named"), ToolResult(id="b"))), CLAUDE)
    assert [tool["toolSpec"]["name"] for tool in orphan["toolConfig"]["tools"]] == ["named", "tool"]


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u2003"])
def test_22_blank_text_is_left_out(blank: str) -> None:
    out, losses = write(
        asks(
            says("system", blank),
            says("user", blank, "Hi"),
            says("assistant", blank),
            says("user", "again"),
            says("assistant", blank, ToolCall(id="a", name="f", arguments="{}")),
            says("tool", ToolResult(id="a", parts=[Text(text=blank)])),
        ),
        CLAUDE,
    )
    assert out["messages"] == [user("Hi", "again"), assistant(use("a", "f")), user(result("a"))]
    assert "system" not in out
    assert ("messages[1].parts[0];dropped" in losses) == bool(blank)
    assert "messages[2];dropped" in losses


LONG = "mcp__a_server_with_a_long_name__" + "a_tool_with_a_longer_one." * 4


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("weather", "weather"),
        ("get.weather", "il-get-dweather"),
        ("a:b/c d-e", "il-a-cb-sc-wd--e"),
        ("wetter_für", "il-wetter_f-xfc-r"),
        ("il-native", "il-il--native"),
        ("ilh-native", "il-ilh--native"),
    ],
)
def test_23_names_out_of_the_alphabet_are_respelled_and_read_back(name: str, wire: str) -> None:
    request = asks(
        HI,
        says("assistant", ToolCall(id="a", name=name, arguments="{}")),
        says("tool", ToolResult(id="a")),
        tools=[Function(name=name)],
        tool_choice=ToolChoice(mode="named", names=[name]),
    )
    out, losses = write(request, CLAUDE)
    assert out["toolConfig"]["tools"][0]["toolSpec"]["name"] == out["toolConfig"]["toolChoice"]["tool"]["name"] == wire
    assert out["messages"][1]["content"][0]["toolUse"]["name"] == wire
    assert losses == (["tools[0].name;changed"] if name != wire else [])
    (choice,) = bedrock.parse_response(answer(use("x", wire))).choices
    assert isinstance(part := choice.parts[0], ToolCall) and part.name == name


def test_23_names_too_long_are_cut_and_remembered() -> None:
    out, _ = write(asks(HI, tools=[Function(name=LONG)]), CLAUDE)
    cut = out["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert len(cut) == 64 and cut.endswith("_a_tool_with_a_longer_one_") and cut.startswith("ilh-")
    assert own_name(cut) == LONG and wire_name(LONG) == cut
    assert own_name("ilh-0123456789abcdef-unheard_of") == "ilh-0123456789abcdef-unheard_of"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"il-[a-z-]{0,20}", fullmatch=True))
def test_23_every_name_has_a_spelling_and_comes_back(name: str) -> None:
    wire = wire_name(name)
    assert 1 <= len(wire) <= 64 and all(char.isascii() and (char.isalnum() or char in "_-") for char in wire)
    assert own_name(wire) == name
    assert isinstance(own_name(name), str)


def test_24_documents_have_legal_names_and_no_two_the_same() -> None:
    names = ["John's  report.pdf", "John-s report.pdf", None, "資料", "(a) [b]", "x" * 300, "x" * 300]
    parts = [Media(kind="document", data=PDF, mime="application/pdf", name=name) for name in names]
    inside = ToolResult(id="a", parts=[Media(kind="document", text="t", name="document")])
    request = asks(
        says("user", "Look", *parts), says("assistant", ToolCall(id="a", name="f", arguments="{}")), says("tool", inside)
    )
    out, losses = write(request, CLAUDE)
    found = [block["document"]["name"] for block in out["messages"][0]["content"][1:]]
    assert found == ["John-s report", "John-s report (2)", "document", "document (2)", "(a) [b]", "x" * 200, "x" * 192 + " (2)"]
    assert out["messages"][2]["content"][0]["toolResult"]["content"][0]["document"] == {
        "format": "txt",
        "name": "document (3)",
        "source": {"bytes": b64encode(b"t").decode()},
    }
    assert len([loss for loss in losses if loss.endswith(".name;changed")]) == 6
    for name in found:
        rules.document_name(name, set())


def test_24_a_document_never_stands_without_words() -> None:
    out, losses = write(asks(says("user", Media(kind="document", data=PDF, mime="application/pdf", name="a.pdf"))), CLAUDE)
    assert out["messages"] == [user(document("a"), "[a]")]
    assert losses == ["messages[0].parts[0].name;changed", "messages[0];added"]


def test_25_a_tools_answer_is_a_result_and_no_text() -> None:
    out, _ = converted(openai, bedrock, OPENAI, CLAUDE)
    assert [list(block) for block in out["messages"][2]["content"]] == [["toolResult"], ["toolResult"], ["text"]]


def test_26_turns_alternate_and_results_stand_first_and_together() -> None:
    calls = [ToolCall(id=id_, name="f", arguments="{}") for id_ in "ab"]
    request = asks(
        says("user", "one"),
        says("user", "two"),
        says("assistant", "I"),
        says("assistant", *calls),
        says("user", "meanwhile"),
        says("tool", ToolResult(id="a")),
        says("tool", "late", ToolResult(id="b")),
    )
    out, losses = write(request, CLAUDE)
    assert out["messages"] == [
        user("one", "two"),
        assistant("I", use("a", "f"), use("b", "f")),
        user(result("a"), result("b"), "meanwhile", "late"),
    ]
    assert losses == [
        "messages[6].parts[1];changed",
        "messages[5];changed",
        "messages[6];changed",
        "tools;added",
    ] or sorted(losses) == sorted(["messages[6].parts[1];changed", "messages[5];changed", "messages[6];changed", "tools;added"])
    rules.check(out, CLAUDE, Options())


@pytest.mark.parametrize("model", [LLAMA, MISTRAL, NOVA])
def test_26_models_that_take_no_words_beside_results_are_told_them_inside(model: str) -> None:
    request = asks(
        HI,
        says("assistant", ToolCall(id="a", name="f", arguments="{}")),
        says("user", ToolResult(id="a", parts=[Text(text="mild")]), "and tomorrow?"),
    )
    out, losses = write(request, model)
    assert out["messages"][2] == user(result("a", {"text": "mild"}, {"text": "and tomorrow?"}))
    assert "messages[2];changed" in losses
    rules.check(out, model, Options())


def test_26_models_that_take_no_words_beside_calls_lose_them() -> None:
    out, losses = write(
        asks(HI, says("assistant", "So:", ToolCall(id="a", name="f", arguments="{}")), says("tool", ToolResult(id="a"))), LLAMA
    )
    assert out["messages"][1] == assistant(use("a", "f")) and "messages[1].parts[0];dropped" in losses


def cached(part: AnyPart, ttl: str | None = None) -> AnyPart:
    part.cache = Cache(ttl)
    return part


def test_27_a_mark_becomes_a_cache_point_after_what_it_marks() -> None:
    request = asks(
        says("system", cached(Text(text="S"), "1h")),
        says("user", cached(Text(text="a"), "30m"), "b"),
        tools=[Function(name="f", cache=Cache())],
    )
    out, losses = write(request, CLAUDE)
    long = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert out["system"] == [{"text": "S"}, long]
    assert out["messages"] == [user("a", long, "b")]
    assert out["toolConfig"]["tools"][1] == MARK
    assert losses == ["messages[1].parts[0].cache.ttl;changed"]


def test_27_a_mark_moves_before_what_it_may_not_follow() -> None:
    signed = Thinking(text="T", signature=Signature("bedrock", "c2ln"))
    words = Media(kind="document", text="t", name="n")
    request = asks(
        says("user", "a", cached(words)),
        says("assistant", "b", cached(signed)),
        says("user", cached(Media(kind="document", text="u")), "c"),
        says("assistant", "d"),
        says("user", "look", cached(Media(kind="document", data=PDF, mime="application/pdf"))),
    )
    out, losses = write(request, CLAUDE)
    assert [list(block)[0] for block in out["messages"][0]["content"]] == ["text", "cachePoint", "document"]
    assert [list(block)[0] for block in out["messages"][1]["content"]] == ["text", "cachePoint", "reasoningContent"]
    assert [list(block)[0] for block in out["messages"][2]["content"]] == ["document", "text"]
    assert [list(block)[0] for block in out["messages"][4]["content"]] == ["text", "document", "cachePoint"]
    assert losses == [
        "messages[0].parts[1].cache;changed",
        "messages[1].parts[1].cache;changed",
        "messages[2].parts[0].cache;dropped",
    ]
    rules.cache_points(out, rules.kin(CLAUDE))


def test_27_no_more_than_four_cache_points_and_only_where_the_model_has_them() -> None:
    turns = [says("user", *(cached(Text(text=word)) for word in "abcd"))]
    out, losses = write(asks(says("system", cached(Text(text="S"))), *turns, tools=[Function(name="f", cache=Cache())]), CLAUDE)
    assert str(out).count("cachePoint") == 4 and "cachePoint" not in str(out["toolConfig"]) + str(out["system"])
    assert losses == ["tools[0].cache;dropped", "messages[0].parts[0].cache;dropped"]
    nova, losses = write(asks(*turns, tools=[Function(name="f", cache=Cache())]), NOVA)
    assert str(nova).count("cachePoint") == 4 and losses == ["tools[0].cache;dropped"]
    llama, losses = write(asks(*turns), LLAMA)
    assert "cachePoint" not in str(llama) and len(losses) == 4
    hidden, losses = write(asks(*turns), PROFILE)
    assert str(hidden).count("cachePoint") == 4 and losses == []


def test_27_a_mark_inside_a_result_stands_after_it() -> None:
    call = says("assistant", ToolCall(id="a", name="f", arguments="{}"))
    inner: Any = [cached(Text(text="x")), cached(Text(text="y"), "1h")]
    out, losses = write(asks(HI, call, says("tool", ToolResult(id="a", parts=inner))), CLAUDE)
    assert out["messages"][2] == user(result("a", {"text": "x"}, {"text": "y"}), {"cachePoint": {"type": "default", "ttl": "1h"}})
    assert losses[:2] == ["messages[2].parts[0].parts[0].cache;dropped", "messages[2].parts[0].parts[1].cache;changed"]


def test_28_no_choice_of_none_means_no_tools() -> None:
    request = asks(HI, tools=[Function(name="f", cache=Cache())], tool_choice=ToolChoice(mode="none"))
    out, losses = write(request, CLAUDE)
    assert "toolConfig" not in out and losses == ["tools;dropped"]
    history = [HI, says("assistant", ToolCall(id="a", name="f", arguments="{}")), says("tool", ToolResult(id="a"))]
    out, losses = write(asks(*history, tools=[Function(name="f")], tool_choice=ToolChoice(mode="none")), CLAUDE)
    assert list(out["toolConfig"]) == ["tools"] and losses == ["tool_choice.mode;dropped"]


@pytest.mark.parametrize(
    ("model", "choice", "said", "losses"),
    [
        (CLAUDE, ToolChoice(mode="auto"), {"auto": {}}, []),
        (CLAUDE, ToolChoice(mode="required"), {"any": {}}, []),
        (CLAUDE, ToolChoice(mode="required", names=["f"]), {"tool": {"name": "f"}}, []),
        (CLAUDE, ToolChoice(mode="auto", names=["f", "g"]), {"auto": {}}, ["tool_choice.names;dropped"]),
        (CLAUDE, ToolChoice(mode="auto", parallel=False), {"auto": {}}, ["tool_choice.parallel;dropped"]),
        (CLAUDE, ToolChoice(parallel=True), None, ["tool_choice.parallel;dropped"]),
        ("anthropic.claude-opus-5-5-v1:0", ToolChoice(mode="required"), {"auto": {}}, ["tool_choice.mode;changed"]),
        (MISTRAL, ToolChoice(mode="named", names=["f"]), {"any": {}}, ["tool_choice.mode;changed", "tool_choice.names;dropped"]),
        (LLAMA, ToolChoice(mode="required"), {"auto": {}}, ["tool_choice.mode;changed"]),
    ],
)
def test_28_choices_are_those_the_model_takes(model: str, choice: ToolChoice, said: Json | None, losses: list[str]) -> None:
    out, found = write(asks(HI, tools=[Function(name="f"), Function(name="g")], tool_choice=choice), model)
    assert (out["toolConfig"].get("toolChoice"), found) == (said, losses)


def test_30_every_reason_to_stop_has_its_meaning() -> None:
    rows = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "tool_use": "tool_calls",
        "content_filtered": "filter",
        "guardrail_intervened": "filter",
        "malformed_model_output": "error",
        "malformed_tool_use": "error",
        "model_context_window_exceeded": "context",
        "born_later": "other",
    }
    for word, reason in rows.items():
        finish = bedrock.parse_response(answer("Hi", stop=word)).choices[0].finish
        assert finish is not None and (finish.reason, finish.raw) == (reason, word)


@pytest.mark.parametrize(
    ("finish", "parts", "word"),
    [
        (None, ["Hi"], "end_turn"),
        (None, [ToolCall(id="a", name="f")], "tool_use"),
        (Finish(reason="stop"), [ToolCall(id="a", name="f")], "tool_use"),
        (Finish(reason="stop", stop="END"), ["Hi"], "stop_sequence"),
        (Finish(reason="length"), ["Hi"], "max_tokens"),
        (Finish(reason="filter", raw="SAFETY", origin="gemini"), ["Hi"], "content_filtered"),
        (Finish(reason="context"), ["Hi"], "model_context_window_exceeded"),
        (Finish(reason="pause", raw="pause_turn", origin="anthropic"), ["Hi"], "end_turn"),
        (Finish(reason="error"), ["Hi"], "malformed_model_output"),
    ],
)
def test_30_every_reason_has_a_word(finish: Finish | None, parts: list[Any], word: str) -> None:
    choice = Choice(parts=says("assistant", *parts).parts, finish=finish)
    out = bedrock.format_response(Response(choices=[choice]), ASKED, Losses())
    assert out["stopReason"] == word
    assert out.get("additionalModelResponseFields") == ({"stop_sequence": "END"} if word == "stop_sequence" else None)


def test_31_a_message_clients_tools_are_carried() -> None:
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "q"}],
        "tools": [{"name": "f", "input_schema": CITY}],
    }
    out, losses = converted(anthropic, bedrock, body, CLAUDE)
    assert out["toolConfig"] == {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": CITY}}}]} and losses == []


# Parts


@pytest.mark.parametrize(
    ("part", "model", "block", "losses"),
    [
        (Media(kind="image", url="https://e.com/a.png"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Media(kind="image", url="s3://b/k.png", mime="image/png"), CLAUDE, image(s3Location={"uri": "s3://b/k.png"}), []),
        (Media(kind="image", data=PIXEL), CLAUDE, image(), []),
        (Media(kind="image", data="_-8=", mime="image/png"), CLAUDE, image(bytes="/+8="), []),
        (Media(kind="image", data=PIXEL, name="n"), CLAUDE, image(), ["messages[0].parts[1].name;dropped"]),
        (Media(kind="image", data="AAAA", mime="image/tiff"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Media(kind="image", file="file-1"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Media(kind="video", data="AAAA", mime="video/mp4"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (
            Media(kind="video", data="AAAA", mime="video/quicktime"),
            NOVA,
            {"video": {"format": "mov", "source": {"bytes": "AAAA"}}},
            [],
        ),
        (
            Media(kind="audio", data="AAAA", mime="audio/x-wav"),
            PROFILE,
            {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}},
            [],
        ),
        (Thinking(text="T"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (ToolCall(id="a", name="f"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Opaque(origin="openai", data={"type": "x"}), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Opaque(origin="bedrock", data=cases.SEARCHED), CLAUDE, cases.SEARCHED, []),
        (Text(text="t", signature=Signature("gemini", "s")), CLAUDE, {"text": "t"}, ["messages[0].parts[1].signature;dropped"]),
        (Text(text="t", refusal=True), CLAUDE, {"text": "t"}, ["messages[0].parts[1].refusal;changed"]),
        (Text(text="t", citations=[Citation(url="u")]), CLAUDE, {"text": "t"}, ["messages[0].parts[1].citations;dropped"]),
        (Text(text="t", extras={"gemini": {"x": 1}}), CLAUDE, {"text": "t"}, ["messages[0].parts[1].x;dropped"]),
    ],
)
def test_a_users_parts(part: AnyPart, model: str, block: Json | None, losses: list[str]) -> None:
    out, found = write(asks(says("user", "Look", part)), model)
    assert out["messages"] == [user("Look", *([] if block is None else [block]))]
    assert found == losses


@pytest.mark.parametrize(
    ("part", "model", "block"),
    [
        (Thinking(text="T", signature=Signature("bedrock", "s")), CLAUDE, thought("T", signature="s")),
        (Thinking(text="T", signature=Signature("anthropic", "s")), CLAUDE, thought("T", signature="s")),
        (Thinking(text="T", signature=Signature("anthropic", "s")), NOVA, None),
        (Thinking(text="T", signature=Signature("gemini", "s")), CLAUDE, None),
        (Thinking(text="T"), CLAUDE, None),
        (Thinking(text="T"), "deepseek.v3-v1:0", None),
        (Thinking(text="T", extras={"bedrock": {"~unsigned": "absent"}}), "deepseek.v3-v1:0", thought("T")),
        (
            Thinking(redacted=True, signature=Signature("bedrock", "c2ln")),
            CLAUDE,
            {"reasoningContent": {"redactedContent": "c2ln"}},
        ),
        (Thinking(redacted=True, signature=Signature("anthropic", "c2ln")), CLAUDE, None),
        (Media(kind="image", data=PIXEL), CLAUDE, None),
        (ToolResult(id="a"), CLAUDE, None),
    ],
)
def test_an_assistants_parts(part: AnyPart, model: str, block: Json | None) -> None:
    out, losses = write(asks(HI, says("assistant", part, "so")), model)
    assert out["messages"][1] == assistant(*([] if block is None else [block]), "so")
    assert losses == ([] if block is not None else ["messages[1].parts[0];dropped"])


def test_ids_are_put_into_the_alphabet_alike() -> None:
    for id_ in ("a|b", "x" * 90, ""):
        out, losses = write(asks(HI, says("assistant", ToolCall(id=id_, name="f")), says("tool", ToolResult(id=id_))), CLAUDE)
        call, answer_ = out["messages"][1]["content"][0]["toolUse"], out["messages"][2]["content"][0]["toolResult"]
        assert call["toolUseId"] == answer_["toolUseId"] and 1 <= len(call["toolUseId"]) <= 64
        assert losses == ["tools;added"]
        assert violation("bedrock", out) is None


def test_results_tell_what_they_can() -> None:
    audio = Media(kind="audio", data="AAAA", mime="audio/wav")
    parts: Any = [Text(text="a"), audio, Opaque(origin="gemini", data={})]
    history = [
        HI,
        says("assistant", ToolCall(id="a", name="f")),
        says("tool", ToolResult(id="a", name="g", parts=parts, error=True)),
    ]
    out, losses = write(asks(*history), PROFILE)
    assert out["messages"][2] == user(result("a", {"text": "a"}, status="error"))
    assert losses == [
        "messages[2].parts[0].parts[1];dropped",
        "messages[2].parts[0].parts[2];dropped",
        "messages[2].parts[0].name;dropped",
        "tools;added",
    ]
    out, losses = write(asks(*history), MISTRAL)
    assert "status" not in out["messages"][2]["content"][0]["toolResult"] and "messages[2].parts[0].error;dropped" in losses


# System messages


def test_system_messages_stand_first_unless_the_model_takes_them_in_between() -> None:
    turns = [
        says("system", "A"),
        says("user", "q"),
        says("developer", "B"),
        says("assistant", "r"),
        says("system", "C"),
        says("user", "s"),
    ]
    out, losses = write(asks(*turns), CLAUDE)
    assert out["system"] == [{"text": "A"}, {"text": "B"}, {"text": "C"}]
    assert [message["role"] for message in out["messages"]] == ["user", "assistant", "user"]
    assert losses == ["messages[2];changed", "messages[4];changed"]
    out, losses = write(asks(*turns), NEWEST)
    assert [message["role"] for message in out["messages"]] == (
        ["user", "system", "assistant", "user"] if "messages[2];changed" not in losses else ["user", "assistant", "user"]
    )
    assert "messages[4];changed" in losses


def test_a_system_message_alone_is_asked_by_the_user() -> None:
    out, losses = write(asks(says("system", "A"), says("system", "B", Media(kind="image", data=PIXEL))), CLAUDE)
    assert out["system"] == [{"text": "A"}] and out["messages"] == [user("B")]
    assert losses == ["messages[1].parts[1];dropped", "messages[1];changed"]


# Parameters


@pytest.mark.parametrize(
    ("reasoning", "model", "more", "config", "losses"),
    [
        (Reasoning(enabled=True, budget=2048), CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, {}, []),
        (Reasoning(enabled=False), CLAUDE, {"thinking": {"type": "disabled"}}, {}, []),
        (Reasoning(effort="high"), NEWEST, {"thinking": {"type": "adaptive"}}, {"effort": "high"}, []),
        (Reasoning(effort="low"), OLD, {}, {}, ["reasoning;dropped"]),
        (
            Reasoning(effort="high"),
            NOVA_2,
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
            {},
            ["reasoning.effort;changed"],
        ),
        (Reasoning(enabled=False), NOVA_2, {"reasoningConfig": {"type": "disabled"}}, {}, []),
        (Reasoning(enabled=True), NOVA_2, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, {}, []),
        (
            Reasoning(effort="xhigh", visible=True),
            "openai.gpt-oss-120b-1:0",
            {"reasoning_effort": "high"},
            {},
            ["reasoning.visible;dropped", "reasoning.effort;changed"],
        ),
        (Reasoning(enabled=False), "openai.gpt-oss-120b-1:0", {"reasoning_effort": "low"}, {}, ["reasoning.enabled;changed"]),
        (Reasoning(budget=9000), "openai.gpt-oss-20b-1:0", {"reasoning_effort": "medium"}, {}, ["reasoning.budget;changed"]),
        (Reasoning(effort="low"), LLAMA, {}, {}, ["reasoning;dropped"]),
    ],
)
def test_reasoning_is_asked_for_in_each_familys_words(
    reasoning: Reasoning, model: str, more: Json, config: Json, losses: list[str]
) -> None:
    out, found = write(asks(HI, reasoning=reasoning, max_tokens=4096), model)
    assert out.get("additionalModelRequestFields", {}) == more
    assert out.get("outputConfig", {}) == config
    assert found == losses


def test_claude_does_not_think_where_it_would_be_refused() -> None:
    think = Reasoning(enabled=True, budget=2048)
    forced = asks(HI, reasoning=think, tools=[Function(name="f")], tool_choice=ToolChoice(mode="required"))
    out, losses = write(forced, CLAUDE)
    assert "additionalModelRequestFields" not in out and losses == ["reasoning;dropped"]
    history = [HI, says("assistant", ToolCall(id="a", name="f")), says("tool", ToolResult(id="a"))]
    out, losses = write(asks(*history, reasoning=think, tools=[Function(name="f")]), CLAUDE)
    assert "additionalModelRequestFields" not in out and losses == ["reasoning;dropped"]
    out, losses = write(asks(HI, reasoning=think, temperature=0.5, top_k=4), CLAUDE)
    assert "temperature" not in str(out) and "top_k" not in str(out)
    assert losses == ["temperature;dropped", "top_k;dropped"]


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (CLAUDE, {"top_k": 7}),
        (NOVA, {"inferenceConfig": {"topK": 7}}),
        ("cohere.command-r-v1:0", {"k": 7}),
        (LLAMA, None),
        (PROFILE, None),
    ],
)
def test_top_k_stands_where_the_model_looks_for_it(model: str, more: Json | None) -> None:
    out, losses = write(asks(HI, top_k=7), model)
    assert out.get("additionalModelRequestFields") == more
    assert losses == ([] if more else ["top_k;dropped"])


def test_a_clients_own_words_for_one_model_are_put_in_anothers() -> None:
    """The gateway may send a Bedrock client's request to another model than it had in mind."""
    request = read(
        {
            "messages": [user("Hi")],
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}, "top_k": 9},
        }
    )
    out, losses = write(request, NOVA_2)
    assert out["additionalModelRequestFields"] == {
        "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"},
        "inferenceConfig": {"topK": 9},
    }
    assert losses == ["reasoning.budget;changed"]
    out, _ = write(request, NEWEST)
    assert out["additionalModelRequestFields"]["thinking"] == {"type": "adaptive"}
    out, losses = write(request, "some-model")
    assert (
        out["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2048}, "top_k": 9}
        and losses == []
    )


@pytest.mark.parametrize(
    ("model", "said", "config", "losses"),
    [
        (CLAUDE, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p;dropped"]),
        (CLAUDE, {"temperature": 1.0, "top_p": 0.9}, {"topP": 0.9}, ["temperature;dropped"]),
        (NEWEST, {"temperature": 0.5, "top_k": 3}, {}, ["temperature;dropped", "top_k;dropped"]),
        (LLAMA, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "topP": 0.9}, []),
        (CLAUDE, {"max_tokens": 100_000}, {"maxTokens": 64_000}, ["max_tokens;changed"]),
        (LLAMA, {"max_tokens": 100_000}, {"maxTokens": 100_000}, []),
    ],
)
def test_parameters_are_those_the_model_takes(model: str, said: Json, config: Json, losses: list[str]) -> None:
    out, found = write(asks(HI, **said), model)
    assert (out.get("inferenceConfig", {}), found) == (config, losses)


def test_what_converse_has_no_field_for_is_reported() -> None:
    request = asks(HI, seed=1, n=2, frequency_penalty=0.5, presence_penalty=0.5, logprobs=True, top_logprobs=3, user="u")
    out, losses = write(request, CLAUDE)
    assert out == {"messages": [user("Hi")]}
    names = ("seed", "n", "frequency_penalty", "presence_penalty", "logprobs", "user", "top_logprobs")
    assert losses == [f"{name};dropped" for name in names]
    _, losses = write(asks(HI, n=1, frequency_penalty=0.0), CLAUDE)
    assert losses == []


def test_tools_are_told_as_the_model_takes_them() -> None:
    tools: Any = [
        Function(name="f", schema={"properties": {}, "$schema": "s", "title": "T"}, strict=True),
        ServerTool(origin="anthropic", kind="web_search"),
        Function(name="g", description=""),
    ]
    out, losses = write(asks(HI, tools=tools), NOVA)
    assert [tool["toolSpec"] for tool in out["toolConfig"]["tools"]] == [
        {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}},
        {"name": "g", "inputSchema": {"json": {"type": "object", "properties": {}}}},
    ]
    assert losses == ["tools[0].schema.title;dropped", "tools[0].strict;dropped", "tools[1];dropped"]
    _, losses = write(asks(HI, tools=tools[1:2], tool_choice=ToolChoice(mode="required")), CLAUDE)
    assert losses == ["tools[0];dropped", "tool_choice;dropped"]


@pytest.mark.parametrize("model", [NOVA, OLD])
def test_an_output_format_is_lost_where_the_model_has_none(model: str) -> None:
    out, losses = write(asks(HI, output=Output(mode="schema", schema=CITY)), model)
    assert "outputConfig" not in out and losses == ["output;dropped"]
    _, losses = write(asks(HI, output=Output(mode="json")), CLAUDE)
    assert losses == ["output;dropped"]
    _, losses = write(asks(HI, output=Output(mode="text")), CLAUDE)
    assert losses == []


def test_families_are_told_by_the_name() -> None:
    assert family(CLAUDE).thinks == "claude" and family(NOVA).thinks is None and family(NOVA_2).thinks == "nova"
    assert family("arn:aws:bedrock:us-east-1:1:inference-profile/us.meta.llama4-maverick-17b-instruct-v1:0").choices == ("auto",)
    assert family(PROFILE) == family("anything")


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
    sealed = back[5]
    assert sealed.extras == {"bedrock": {"~sealed": True}}
    sealed.extras = {}
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


# Whatever is asked, nothing is sent that Bedrock is known to refuse

MODELS = (CLAUDE, NEWEST, OLD, "anthropic.claude-opus-5-5-v1:0", NOVA, NOVA_2, LLAMA, MISTRAL, "openai.gpt-oss-120b-1:0", PROFILE)
# What no gateway can mend: nothing is left to ask, or to begin with; more files than there may be; a signature that is none.
BEYOND = ("must not be empty", "must start with a user message", "5 documents", "Invalid `signature`")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(ir.requests(), st.sampled_from(MODELS))
def test_nothing_is_sent_that_would_be_refused(request: Request, model: str) -> None:
    out, _ = write(request, model)
    fault = violation("bedrock", out, "ConverseStreamRequest" if request.stream else "ConverseRequest")
    assert fault is None, fault
    try:
        rules.check(out, model, Options())
    except Refusal as refusal:
        if not any(words in refusal.message for words in BEYOND):
            raise
