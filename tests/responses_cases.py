"""Bodies as the Responses API takes and gives them, every kind of item and things yet unknown in them; and short ways to ask."""

import copy
import json
from typing import Any

import httpx2
import msgspec
import openai as sdk

from interlingua.fold import unfold
from interlingua.framing import Frame, Out, sse
from interlingua.ir import AnyEvent, Choice, Finish, Request, Response, Text
from interlingua.losses import Losses
from interlingua.protocols import responses, target

Json = dict[str, Any]

SEALED = "gAAAAABo-opaque-bytes"
CLOSED: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
WEATHER: Json = {"type": "function", "name": "weather", "description": "d", "parameters": CLOSED, "strict": True}
URL: Json = {"type": "url_citation", "start_index": 0, "end_index": 4, "url": "https://e.example", "title": "E"}
FILE: Json = {"type": "file_citation", "file_id": "file-1", "filename": "a.txt", "index": 3}

ITEMS: list[Json] = [
    {"role": "developer", "content": "Be kind."},
    {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "And brief."}]},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
    {
        "id": "msg_u1",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [
            {"type": "input_text", "text": "See", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            {"type": "input_image", "image_url": "https://example.com/i.png", "detail": "high"},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"},
            {"type": "input_image", "file_id": "file-2"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
            {"type": "input_file", "file_id": "file-3", "detail": "low"},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "input_smell", "smell": "rose"},
        ],
    },
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Second."}],
        "encrypted_content": SEALED,
        "status": "completed",
    },
    {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "phase": "commentary",
        "content": [
            {"type": "output_text", "text": "Look", "annotations": [URL, FILE], "logprobs": []},
            {"type": "refusal", "refusal": "No."},
        ],
    },
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "bare"}]},
    {
        "type": "function_call",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"a": 1.0}',
        "id": "fc_1",
        "status": "completed",
    },
    {"type": "function_call", "call_id": "call_2", "name": "get", "namespace": "crm", "arguments": "{}"},
    {"type": "custom_tool_call", "call_id": "call_3", "name": "patch", "input": '*** Begin "x"\n', "id": "ctc_1"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "function_call_output", "call_id": "call_1", "output": "mild"},
    {
        "type": "function_call_output",
        "call_id": "call_2",
        "id": "fco_1",
        "status": "completed",
        "output": [{"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": "https://example.com/o.png"}],
    },
    {"type": "custom_tool_call_output", "call_id": "call_3", "output": "Done!"},
    {"id": "rs_2", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "open words"}]},
    {"role": "assistant", "content": "One."},
    {"role": "assistant", "content": "Two."},
    {"type": "item_reference", "id": "msg_9"},
    {"type": "computer_call_output", "call_id": "c9", "output": {"type": "computer_screenshot", "file_id": "file-9"}},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    {"type": "born_later", "what": [1, 2]},
    {"role": "user", "content": [{"type": "input_text", "text": "Go on."}]},
]

REQUEST: Json = {
    "model": "gpt-5.5",
    "instructions": "Be brief.",
    "input": ITEMS,
    "tools": [
        WEATHER,
        {"type": "function", "name": "loose"},
        {
            "type": "namespace",
            "name": "crm",
            "description": "Customers.",
            "tools": [
                {"type": "function", "name": "get", "parameters": CLOSED, "defer_loading": True},
                {"type": "custom", "name": "sql"},
            ],
        },
        {
            "type": "custom",
            "name": "patch",
            "description": "d",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"},
        },
        {"type": "custom", "name": "free", "format": {"type": "text"}},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "mcp", "server_label": "s", "server_url": "https://mcp.example"},
        {"type": "born_later_tool", "x": 1},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
    "parallel_tool_calls": False,
    "text": {
        "format": {"type": "json_schema", "name": "answer", "schema": CLOSED, "strict": True, "description": "d"},
        "verbosity": "low",
        "born": 1,
    },
    "reasoning": {"effort": "high", "summary": "detailed", "context": "auto"},
    "max_output_tokens": 500,
    "temperature": 1,
    "top_logprobs": 2,
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs", "web_search_call.action.sources"],
    "store": False,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "previous_response_id": "resp_before",
    "background": False,
    "truncation": "auto",
    "metadata": {"k": "v"},
    "service_tier": "flex",
    "prompt_cache_key": "key",
    "prompt_cache_options": {"mode": "explicit"},
    "safety_identifier": "who",
    "user": "u-1",
    "max_tool_calls": 3,
    "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    "born_later": {"deep": [1]},
}

OUTPUT: list[Json] = [
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": SEALED},
    {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
    {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "phase": "final_answer",
        "content": [
            {"type": "output_text", "text": "Sky is blue.", "annotations": [URL], "logprobs": []},
            {"type": "refusal", "refusal": "No more."},
        ],
    },
    {
        "id": "fc_1",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"a":"x"}',
    },
    {
        "id": "ctc_1",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_2",
        "name": "patch",
        "input": 'say "hi"\n',
    },
]
USAGE: Json = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 130,
}
ECHO: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {"k": "v"},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": "high", "summary": "auto"},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [WEATHER],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
RESPONSE: Json = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1790000000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-5.5-2026-10-01",
    "output": OUTPUT,
    "usage": USAGE,
    "service_tier": "default",
    "prompt_cache_diagnostics": {"type": "cache_hit"},
    "completed_at": 1790000001,
    **ECHO,
}

CODEX: Json = {
    "model": "gpt-5-codex",
    "instructions": "You are Codex.",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix it."}]},
        {"type": "reasoning", "summary": [], "encrypted_content": SEALED},
        {"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}', "call_id": "call_1"},
        {"type": "custom_tool_call", "status": "completed", "call_id": "call_2", "name": "apply_patch", "input": "*** Begin\n"},
        {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done"},
    ],
    "tools": [
        {"type": "function", "name": "shell", "description": "Runs.", "strict": False, "parameters": CLOSED},
        {"type": "custom", "name": "apply_patch", "description": "Edits.", "format": {"type": "text"}},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
}


def parse(body: Json) -> Request:
    return responses.parse_request(copy.deepcopy(body), None, None)


def formatted(request: Request, model: str = "gpt-5.5") -> tuple[Json, Losses]:
    losses = Losses()
    return responses.format_request(request, target(model), losses), losses


def paths(losses: Losses) -> list[str]:
    return [f"{loss.path};{loss.how}" for loss in losses]


def asked(**fields: Any) -> Request:
    return parse({"model": "m", "input": "hi", **fields})


def answer(*parts: Any, finish: Finish | None = None, **fields: Any) -> Response:
    finish = finish or Finish(reason="stop")
    return Response(id="resp_1", model="m", created=5, choices=[Choice(parts=list(parts), finish=finish)], **fields)


def told(response: Response, request: Request | None = None) -> tuple[Json, Losses]:
    """An answer as its client is told it, encoded and decoded."""
    losses = Losses()
    out = responses.format_response(response, request or asked(), losses)
    return msgspec.json.decode(msgspec.json.encode(out)), losses


def streamed(events: list[AnyEvent], request: Request | None = None, cut: int = 1) -> tuple[list[Out], Losses]:
    losses = Losses()
    formatter = responses.Formatter(request or asked(stream=True), losses)
    return [out for i in range(0, len(events), cut) for out in formatter.feed(events[i : i + cut])], losses


def bodies(outs: list[Out]) -> list[Json]:
    """The events as their client reads them; each has its type for a name."""
    events = [json.loads(sse.encode(out).partition(b"data: ")[2]) for out in outs]
    assert [out.event for out in outs] == [event["type"] for event in events]
    return events


def shown(response: Response, request: Request | None = None) -> list[Json]:
    return bodies(streamed(unfold(response), request)[0])


def read(events: list[Json], close: bool = True) -> list[AnyEvent]:
    """A backend's events, parsed."""
    parser = responses.Parser()
    found = [e for event in events for e in parser.feed(Frame(event.get("type"), msgspec.json.encode(event)))]
    return found + parser.close() if close else found


def client(handler: Any) -> sdk.OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(handler))
    return sdk.OpenAI(api_key="k", base_url="http://gateway.test/v1", max_retries=0, http_client=http)


def judged(outs: list[Out]) -> Any:
    """What the vendor's own accumulator makes of a stream."""
    body = sse.encode_all(outs)

    def serve(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with client(serve) as openai, openai.responses.stream(model="m", input="hi") as stream:
        return stream.get_final_response()


def sent(call: Any, text: str = "{}") -> Json:
    """The body of the request that an SDK call makes, which is answered with a text."""
    seen: list[Json] = []

    def serve(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, json=told(answer(Text(text=text)))[0])

    with client(serve) as openai:
        call(openai)
    return seen[0]


def as_sent(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def through(request: Request, protocol: Any, model: str) -> tuple[Json, list[str]]:
    """A request as a backend of another protocol gets it, and its losses in the client's words."""
    losses = Losses()
    out = as_sent(protocol.format_request(request, target(model), losses))
    return out, [f"{responses.field_path(loss.path, request)};{loss.how}" for loss in losses]
