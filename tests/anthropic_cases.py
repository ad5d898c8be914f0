"""Bodies as Anthropic's API takes and gives them, every kind of block and things yet unknown in them; and short ways to ask."""

import copy
import json
from typing import Any

import anthropic as sdk
import httpx2
import msgspec

from interlingua.framing import Frame, Out
from interlingua.ir import (
    AnyEvent,
    Choice,
    Finish,
    Message,
    Request,
    Response,
    Signature,
    Text,
)
from interlingua.losses import Losses
from interlingua.protocols import anthropic, openai, target

Json = dict[str, Any]

CHAR_LOCATION: Json = {
    "type": "char_location",
    "cited_text": "The sky is blue.",
    "document_index": 0,
    "document_title": "Sky",
    "start_char_index": 0,
    "end_char_index": 16,
}
WEB_LOCATION: Json = {
    "type": "web_search_result_location",
    "cited_text": "Rain",
    "url": "https://example.com/rain",
    "title": "Rain",
    "encrypted_index": "Eo8=",
}
WEB_RESULT: Json = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "url": "https://example.com", "title": "E", "encrypted_content": "abc="}],
}

REQUEST: Json = {
    "model": "claude-opus-4-8",
    "max_tokens": 20000,
    "system": [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "org"}},
        {"type": "text", "text": "And kind."},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look at these."},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                    "transformations": {"oversized": "resize"},
                },
                {"type": "image", "source": {"type": "url", "url": "https://example.com/i.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}, "cache_control": {"type": "ephemeral"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                    "title": "A",
                    "context": "from the archive",
                    "citations": {"enabled": True},
                },
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain words"}},
                {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf", "region": "eu"}},
                {"type": "document", "source": {"type": "file", "file_id": "file_2"}},
                {"type": "document", "source": {"type": "content", "content": "one string"}},
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                },
                {"type": "document", "source": {"type": "born_later", "ref": 7}},
                {
                    "type": "search_result",
                    "source": "https://example.com",
                    "title": "S",
                    "content": [
                        {"type": "text", "text": "found", "cache_control": {"type": "ephemeral"}},
                        {"type": "text", "text": "more"},
                        {"type": "text", "text": "last", "citations": [CHAR_LOCATION], "born_later": 1},
                    ],
                    "citations": {"enabled": True},
                    "cache_control": {"type": "ephemeral"},
                    "born_later": {"a": 1},
                },
                {"type": "search_result", "source": "s", "title": "", "content": [{"type": "born_later"}]},
                {"type": "search_result", "source": "s", "title": "", "content": []},
                {"type": "container_upload", "file_id": "file_3"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "EqQBsig=="},
                {"type": "redacted_thinking", "data": "Emw=="},
                {"type": "text", "text": "The sky is blue.", "citations": [CHAR_LOCATION, {"type": "born_later", "x": 1}]},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}},
                WEB_RESULT,
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Köln", "days": [1, 2.5]}},
                {
                    "type": "tool_use",
                    "id": "toolu_2",
                    "name": "get_weather",
                    "input": {},
                    "caller": {"type": "direct"},
                    "cache_control": {"type": "ephemeral", "ttl": "5m"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "is_error": False,
                    "content": [
                        {"type": "text", "text": "rain", "citations": []},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "UklGRg=="}},
                        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "more"}},
                        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "w"}]},
                        {"type": "tool_reference", "tool_name": "get_weather"},
                    ],
                },
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such city", "is_error": True},
                {"type": "tool_result", "tool_use_id": "toolu_3", "toolset_name": "browser"},
                {"type": "tool_result", "tool_use_id": "toolu_4", "content": []},
            ],
        },
        {"role": "system", "content": "From here on, rhyme."},
        {"role": "assistant", "content": "Sure, " + "\u2028" + "I will."},
        {"role": "user", "content": "Go on.", "born_later": {"a": 1}},
    ],
    "tools": [
        {
            "name": "get_weather",
            "description": "Weather of a city",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string", "minLength": 1}}},
            "strict": True,
            "defer_loading": True,
            "input_examples": [{"city": "Bonn"}],
            "allowed_callers": ["direct"],
            "eager_input_streaming": True,
        },
        {
            "type": "custom",
            "name": "now",
            "input_schema": {"type": "object"},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "web_search_20260318", "name": "web_search", "max_uses": 3, "cache_control": {"type": "ephemeral"}},
        {"type": "bash_20250124", "name": "bash"},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True, "born_later": 1},
    "thinking": {"type": "adaptive", "display": "summarized", "block_binding": "strict"},
    "output_config": {
        "effort": "xhigh",
        "format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"minLength": 1}}}, "hint": "h"},
        "task_budget": {"type": "tokens", "total": 9},
    },
    "metadata": {"user_id": "u-1", "team": "t"},
    "stop_sequences": ["END", "\n"],
    "stream": True,
    "container": {"id": "c1", "skills": []},
    "service_tier": "auto",
    "speed": "fast",
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "mcp_servers": [],
    "inference_geo": "eu",
    "diagnostics": {"previous_message_id": "msg_0"},
    "cache_control": {"type": "ephemeral"},
    "some.dotted": {"field": 1},
}

USAGE: Json = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 2000,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 77,
    "output_tokens_details": {"thinking_tokens": 40, "born_later": 1},
    "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    "service_tier": "standard",
    "inference_geo": "eu",
}

RESPONSE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-8",
    "content": [
        {"type": "thinking", "thinking": "Let me see.", "signature": "EqQBsig=="},
        {"type": "redacted_thinking", "data": "Emw=="},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}},
        WEB_RESULT,
        {"type": "text", "text": "It rains.", "citations": [WEB_LOCATION]},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Köln"}, "caller": {"type": "direct"}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        {"type": "born_later", "payload": [1]},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "container": {"id": "c1", "expires_at": "2026-11-22T00:00:00Z"},
    "context_management": {"applied_edits": []},
    "diagnostics": {"cache_miss_reason": None},
    "usage": USAGE,
}

# RESPONSE as the API streams it.
STREAM: list[Json] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-8",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "diagnostics": {"cache_miss_reason": None},
            "usage": {
                **{k: v for k, v in USAGE.items() if k not in ("output_tokens_details", "server_tool_use")},
                "output_tokens": 3,
            },
        },
    },
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "see."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQBsig=="}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "Emw=="}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"query":'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ' "rain"}'}},
    {"type": "content_block_stop", "index": 2},
    {"type": "content_block_start", "index": 3, "content_block": WEB_RESULT},
    {"type": "content_block_stop", "index": 3},
    {"type": "content_block_start", "index": 4, "content_block": {"type": "text", "text": "", "citations": []}},
    {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "It "}},
    {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "rains."}},
    {"type": "content_block_delta", "index": 4, "delta": {"type": "citations_delta", "citation": WEB_LOCATION}},
    {"type": "content_block_stop", "index": 4},
    {
        "type": "content_block_start",
        "index": 5,
        "content_block": {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "get_weather",
            "input": {},
            "caller": {"type": "direct"},
        },
    },
    {"type": "content_block_delta", "index": 5, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 5, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
    {"type": "content_block_delta", "index": 5, "delta": {"type": "input_json_delta", "partial_json": '"Köln"}'}},
    {"type": "content_block_stop", "index": 5},
    {
        "type": "content_block_start",
        "index": 6,
        "content_block": {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    },
    {"type": "content_block_stop", "index": 6},
    {"type": "content_block_start", "index": 7, "content_block": {"type": "born_later", "payload": [1]}},
    {"type": "content_block_stop", "index": 7},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None, "container": RESPONSE["container"]},
        "context_management": {"applied_edits": []},
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 2000,
            "output_tokens": 77,
            "output_tokens_details": {"thinking_tokens": 40, "born_later": 1},
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        },
    },
    {"type": "message_stop"},
]

# As OpenAI's client asks
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


# Short ways to ask

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


def replayed(content: list[Json]) -> list[Any]:
    body = {"model": "m", "messages": [{"role": "assistant", "content": content}]}
    return anthropic.parse_request(body).messages[0].parts
