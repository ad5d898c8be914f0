"""Converse bodies as boto3 sends them (bytes in base64), answers and streams as Bedrock gives them, and short ways to ask."""

import copy
from typing import Any

import msgspec

from interlingua.ir import AnyPart, Cache, Message, Request, Text
from interlingua.losses import Losses
from interlingua.protocols import bedrock, target

Json = dict[str, Any]

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWEST = "anthropic.claude-opus-4-8"
OLD = "anthropic.claude-3-5-haiku-20241022-v1:0"
NOVA, NOVA_2 = "amazon.nova-pro-v1:0", "us.amazon.nova-2-lite-v1:0"
LLAMA, MISTRAL = "meta.llama3-3-70b-instruct-v1:0", "mistral.mistral-large-2407-v1:0"
PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQK"
CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Json = {"toolSpec": {"name": "weather", "description": "Tells it.", "inputSchema": {"json": CITY}}}
MARK: Json = {"cachePoint": {"type": "default"}}


def user(*blocks: Any) -> Json:
    return {"role": "user", "content": [{"text": block} if isinstance(block, str) else block for block in blocks]}


def assistant(*blocks: Any) -> Json:
    return {**user(*blocks), "role": "assistant"}


def use(id_: str = "t1", name: str = "weather", **given: Any) -> Json:
    return {"toolUse": {"toolUseId": id_, "name": name, "input": given}}


def result(id_: str = "t1", *content: Any, **more: Any) -> Json:
    return {"toolResult": {"toolUseId": id_, "content": list(content), **more}}


def thought(words: str = "Hm.", **more: Any) -> Json:
    return {"reasoningContent": {"reasoningText": {"text": words, **more}}}


def image(**source: Any) -> Json:
    return {"image": {"format": "png", "source": source or {"bytes": PIXEL}}}


def document(name: str = "report", **more: Any) -> Json:
    return {"document": {"format": "pdf", "name": name, "source": {"bytes": PDF}, **more}}


S3: Json = {"s3Location": {"uri": "s3://bucket/key.mp4", "bucketOwner": "123456789012"}}
CITED: Json = {
    "citationsContent": {
        "content": [{"text": "It is "}, {"text": "mild."}],
        "citations": [
            {
                "title": "Report",
                "sourceContent": [{"text": "mild weather"}],
                "location": {"documentChar": {"documentIndex": 0, "start": 3, "end": 9}},
            },
            {"location": {"web": {"url": "https://example.com/w", "domain": "example.com"}}, "source": "search"},
        ],
    }
}
CITED_AT: Json = {
    "citationsContent": {
        "content": [{"text": "It is."}],
        "citations": [
            {
                "title": "R",
                "sourceContent": [{"text": "q"}],
                "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
            }
        ],
    }
}
SEARCHED: Json = {
    "searchResult": {"source": "https://e.com", "title": "T", "content": [{"text": "w"}], "citations": {"enabled": True}}
}

# Whole bodies, each of which must come back as it went in.
BODIES: dict[str, Json] = {
    "plain": {"messages": [user("Hello")]},
    "nothing but a prompt's variables": {"promptVariables": {"topic": {"text": "rain"}}},
    "empties": {
        "messages": [],
        "system": [],
        "inferenceConfig": {},
        "additionalModelRequestFields": {},
        "outputConfig": {},
    },
    "every block": {
        "system": [{"text": "Be kind."}, MARK, {"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}}],
        "messages": [
            user(
                "Look:",
                image(),
                image(**S3),
                document(context="c", citations={"enabled": True}),
                {"document": {"format": "txt", "name": "a", "source": {"bytes": "aGk="}}},
                {"document": {"name": "b", "source": {"text": "plain words"}}},
                {"document": {"format": "md", "name": "c", "source": {"content": [{"text": "one"}, {"text": "two"}]}}},
                {"document": {"format": "newest", "name": "d", "source": {"bytes": "aGk="}}},
                {"video": {"format": "mp4", "source": S3}},
                {"video": {"format": "mpg", "source": {"bytes": "aGk="}}},
                {"audio": {"format": "mp3", "source": {"bytes": "aGk="}}},
                {"audio": {"format": "mpga", "source": {"bytes": "aGk="}}},
                {"guardContent": {"text": {"text": "judge this", "qualifiers": ["guard_content"]}}},
                {"guardContent": {"image": {"format": "png", "source": {"bytes": PIXEL}}}},
                SEARCHED,
                {"cachePoint": {"type": "default", "ttl": "1h"}},
            ),
            assistant(
                thought(signature="c2ln"),
                thought("unsigned"),
                {"reasoningContent": {"redactedContent": "aGlkZGVu"}},
                CITED,
                "I will call.",
                use("t1", city="Bern"),
                {"toolUse": {"toolUseId": "t2", "name": "free", "input": "not an object"}},
                {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
                {"toolResult": {"toolUseId": "s1", "content": [{"json": {"a": 1}}], "type": "nova_grounding_result"}},
            ),
            user(
                result("t1", {"json": {"mild": [1, 2.5, None]}}, {"text": ""}, status="success"),
                result(
                    "t2",
                    {"text": "no"},
                    image(),
                    document("in"),
                    {"video": {"format": "mov", "source": S3}},
                    SEARCHED,
                    status="error",
                ),
                MARK,
                " ",
            ),
            {"role": "system", "content": [{"toolAddition": {"tool": {"type": "tool", "name": "weather"}}}]},
        ],
        "toolConfig": {
            "tools": [
                WEATHER,
                MARK,
                {"systemTool": {"name": "nova_grounding"}},
                MARK,
                {"toolSpec": {**WEATHER["toolSpec"], "strict": False}},
            ],
            "toolChoice": {"tool": {"name": "weather"}},
        },
    },
    "every parameter": {
        "messages": [user("Hi")],
        "inferenceConfig": {"maxTokens": 512, "temperature": 0.25, "topP": 0.5, "stopSequences": ["END", " "], "newest": 1},
        "toolConfig": {"tools": [WEATHER], "toolChoice": {"auto": {}}, "newest": {"a": 1}},
        "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "DRAFT", "streamProcessingMode": "async"},
        "additionalModelRequestFields": {
            "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted", "newest": True},
            "top_k": 40,
            "anthropic_beta": ["interleaved-thinking-2025-05-14"],
        },
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "requestMetadata": {"team": "a"},
        "performanceConfig": {"latency": "optimized"},
        "serviceTier": {"type": "flex"},
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type": "object",  "properties": {}}', "name": "n", "description": "d"}},
            },
            "effort": "high",
        },
    },
    "no stop sequences": {"messages": [user("Hi")], "inferenceConfig": {"stopSequences": []}},
    "a choice of any": {"messages": [user("Hi")], "toolConfig": {"tools": [WEATHER], "toolChoice": {"any": {}}}},
    "a choice born later": {
        "messages": [user("Hi")],
        "toolConfig": {"tools": [WEATHER], "toolChoice": {"some": {"of": ["weather"]}}},
    },
    "a schema born later": {
        "messages": [user("Hi")],
        "toolConfig": {"tools": [{"toolSpec": {"name": "a", "inputSchema": {"xsd": "x"}}}]},
    },
    "an output format born later": {"messages": [user("Hi")], "outputConfig": {"textFormat": {"type": "grammar"}, "tone": "dry"}},
    "an output schema that is no JSON": {
        "messages": [user("Hi")],
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}},
    },
    "Nova's words": {
        "messages": [user("Hi")],
        "additionalModelRequestFields": {
            "inferenceConfig": {"topK": 20, "newest": 1},
            "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"},
        },
    },
    "an effort": {"messages": [user("Hi")], "additionalModelRequestFields": {"reasoning_effort": "low", "k": 3}},
    "thinking born later": {
        "messages": [user("Hi")],
        "additionalModelRequestFields": {"thinking": {"type": "dreaming", "depth": 3}},
    },
    "blocks born later": {
        "messages": [
            user(
                {"hologram": {"format": "holo"}},
                {"text": "x", "extra": 1},
                {"image": {"format": "png", "source": {"ipfs": "Qm"}}},
            )
        ],
        "newest": {"field": True},
    },
    "fields born later in every block": {
        "messages": [
            {
                **assistant(
                    {"reasoningContent": {"reasoningText": {"text": "T", "signature": "s", "newest": 1}}},
                    {"reasoningContent": {"reasoningText": {"text": "T", "signature": ""}}},
                    {"reasoningContent": {"newest": 1}},
                    {"reasoningContent": {"redactedContent": "not base64!"}},
                    {"toolUse": {"toolUseId": "a", "name": "f", "input": {}, "newest": 1}},
                    {"citationsContent": {"content": [{"image": {}}], "citations": []}},
                    {"citationsContent": {"content": [], "citations": [{"sourceContent": [{"text": "a"}, {"text": "b"}]}]}},
                    {"citationsContent": {"content": [{"text": "a"}]}},
                    {"document": {"format": "pdf", "name": "n", "source": {"content": [{"image": {}}]}}},
                    {"cachePoint": {"type": "newest"}},
                ),
                "newest": 1,
            },
            user({"toolResult": {"toolUseId": "a", "content": [{"hologram": 1}], "newest": 1, "status": "newest"}}, "b"),
        ],
        "odd.key": 1,
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "[]"}}}},
        "additionalModelRequestFields": {"reasoningConfig": {"type": "newest"}, "thinking": {"type": "disabled"}},
    },
    "marks where nothing stands before": {
        "messages": [user(MARK, "a", MARK, MARK, {"cachePoint": {"type": "default", "scope": "x"}})]
    },
}

USAGE: Json = {
    "inputTokens": 10,
    "outputTokens": 5,
    "totalTokens": 115,
    "cacheReadInputTokens": 80,
    "cacheWriteInputTokens": 20,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 20}],
}


def answer(*blocks: Any, stop: str = "end_turn", **more: Any) -> Json:
    message = assistant(*blocks)
    return {"output": {"message": message}, "stopReason": stop, "usage": USAGE, "metrics": {"latencyMs": 321}, **more}


ANSWERS: dict[str, Json] = {
    "plain": answer("Hello"),
    "every block": answer(
        thought(signature="c2ln"),
        {"reasoningContent": {"redactedContent": "aGlkZGVu"}},
        "So:",
        CITED,
        image(),
        use(city="Bern"),
        {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "input": {"q": 1}, "type": "server_tool_use"}},
        {"hologram": {"a": 1}},
        stop="tool_use",
    ),
    "all beside the message": answer(
        "Hi",
        stop="stop_sequence",
        trace={"guardrail": {"actionReason": "r"}},
        performanceConfig={"latency": "standard"},
        serviceTier={"type": "default"},
        additionalModelResponseFields={"stop_sequence": "END", "other": 1},
    ),
    "no stop sequence matched": answer("Hi", additionalModelResponseFields={"stop_sequence": None}),
    **{
        f"stopped: {word}": answer("Hi", stop=word)
        for word in (
            "max_tokens",
            "guardrail_intervened",
            "content_filtered",
            "malformed_model_output",
            "malformed_tool_use",
            "model_context_window_exceeded",
            "born_later",
        )
    },
    "a total of its own": {**answer("Hi"), "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 9}},
}


def delta(place: int, **said: Any) -> tuple[str, Json]:
    return "contentBlockDelta", {"contentBlockIndex": place, "delta": said}


def stopped(place: int) -> tuple[str, Json]:
    return "contentBlockStop", {"contentBlockIndex": place}


BEGUN = ("messageStart", {"role": "assistant"})


def ended(stop: str = "end_turn", **more: Any) -> list[tuple[str, Json]]:
    return [("messageStop", {"stopReason": stop, **more}), ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 321}})]


def started(place: int, **start: Any) -> tuple[str, Json]:
    return "contentBlockStart", {"contentBlockIndex": place, "start": start}


# Streams, each of which must come back as it went in.
STREAMS: dict[str, list[tuple[str, Json]]] = {
    "plain": [BEGUN, delta(0, text="Hel"), delta(0, text="lo"), stopped(0), *ended()],
    "every block": [
        BEGUN,
        delta(0, reasoningContent={"text": "Hm"}),
        delta(0, reasoningContent={"text": "."}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        stopped(0),
        delta(1, reasoningContent={"redactedContent": "aGlkZGVu"}),
        stopped(1),
        delta(2, text="So: "),
        delta(2, citation=CITED["citationsContent"]["citations"][0]),
        stopped(2),
        started(3, toolUse={"toolUseId": "t1", "name": "weather"}),
        delta(3, toolUse={"input": '{"city":'}),
        delta(3, toolUse={"input": '"Bern"}'}),
        stopped(3),
        started(4, toolUse={"toolUseId": "t2", "name": "weather"}),
        delta(4, toolUse={"input": "{}"}),
        stopped(4),
        started(5, image={"format": "png"}),
        delta(5, image={"source": {"bytes": PIXEL}}),
        stopped(5),
        started(6, toolUse={"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use"}),
        delta(6, toolUse={"input": '{"q":1}'}),
        stopped(6),
        started(7, toolResult={"toolUseId": "s1", "type": "nova_grounding_result", "status": "success"}),
        delta(7, toolResult=[{"json": {"a": 1}}, {"text": "b"}]),
        stopped(7),
        *ended("tool_use"),
    ],
    "all beside the message": [
        BEGUN,
        delta(0, text="Hi"),
        stopped(0),
        ("messageStop", {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END", "other": 1}}),
        (
            "metadata",
            {
                "usage": USAGE,
                "metrics": {"latencyMs": 7},
                "trace": {"guardrail": {"actionReason": "r"}},
                "performanceConfig": {"latency": "standard"},
                "serviceTier": {"type": "default"},
            },
        ),
    ],
    "events born later": [
        BEGUN,
        ("weather", {"sunny": True}),
        delta(0, text="Hi"),
        delta(0, hologram={"a": 1}),
        stopped(0),
        *ended(),
    ],
}


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


ASKED = read({"messages": [], "additionalModelResponseFieldPaths": ["/stop_sequence"]})


def cached(part: AnyPart, ttl: str | None = None) -> AnyPart:
    part.cache = Cache(ttl)
    return part


def converted(source: Any, goal: Any, body: Json, model: str) -> tuple[Json, list[str]]:
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
