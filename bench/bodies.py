"""What is sent and what is answered: fixed bytes, the same for every system.

The model's name says what the upstream is to do, since it is the one thing that survives every translation:
`gpt-4o` one answer, `gpt-4o-tls` the same over TLS, and for streams `-burst`, `-paced`, `-first`, `-slow` (paced.py).
Every text of a stream is `tok@INDEX:NANOSECONDS; `, so that the reader can tell that none is lost, swapped or late.
"""

import json
from collections.abc import Callable
from typing import Any, Final, Literal

from interlingua.framing import Out, eventstream

Json = dict[str, Any]
Dialect = Literal["openai", "anthropic", "bedrock"]

CHUNKS: Final = 60
ANSWER: Final = (
    "The invoice of 14 March is the one in question: it was issued twice, and the second copy carries the old address. "
    "I have marked the first as void, so only one of them is due. Would you like me to send the corrected copy to your "
    "accountant as well? It will reach them within a few minutes."
)
_SENTENCES: Final = (
    "Please look at the order again and tell me which of the three parcels was the late one.",
    "The customer wrote on Tuesday that the second delivery had arrived without its papers.",
    "Our terms say that a return is free within thirty days, but not for goods made to measure.",
    "If the bank has not confirmed the transfer by noon, hold the shipment and write to the warehouse.",
    "She asked for a short summary with dates, amounts and the name of the person who signed.",
    "Compare the two offers line by line and say where they differ by more than five per cent.",
)


def _prose(seed: int, length: int) -> str:
    """About `length` characters of plain English, different for each seed."""
    words = " ".join(_SENTENCES[(seed + i * 5 + i // 3) % len(_SENTENCES)] for i in range(length // 80 + 1))
    return words[:length].rsplit(" ", 1)[0] + "."


def _tool(name: str, description: str, properties: Json) -> Json:
    schema = {"type": "object", "properties": properties, "required": list(properties)[:1], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def _large_tool(number: int) -> Json:
    properties: Json = {
        f"field_{i}": {"type": "string", "description": _prose(number + i, 90)} if i % 3 else {"type": "integer", "minimum": 0}
        for i in range(6)
    }
    properties["state"] = {"type": "string", "enum": ["open", "paid", "void", "overdue"], "description": _prose(number, 60)}
    properties["lines"] = {
        "type": "array",
        "items": {"type": "object", "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}}, "required": ["sku"]},
    }
    return _tool(f"look_up_{number}", _prose(number, 180), properties)


def small_request(model: str) -> Json:
    """An OpenAI chat request of about 1.5 KB: a system prompt, a few turns, parameters, one small tool."""
    city = {"invoice": {"type": "string", "description": "Number of the invoice"}, "year": {"type": "integer"}}
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": "You help the clerks of a wholesaler. Be brief and exact. " + _prose(0, 240)},
            {"role": "user", "content": _prose(1, 160)},
            {"role": "assistant", "content": _prose(2, 220)},
            {"role": "user", "content": _prose(3, 250)},
        ],
        "tools": [_tool("find_invoice", "Finds an invoice by its number.", city)],
        "tool_choice": "auto",
        "max_tokens": 512,
        "temperature": 0.7,
        "stop": ["\n\nUser:"],
        "user": "clerk-17",
    }


def large_request(model: str) -> Json:
    """An OpenAI chat request of about 40 KB: 30 messages, with tool calls and their results, and 15 tools."""
    messages: list[Json] = [{"role": "system", "content": _prose(0, 3000)}]
    for turn in range(7):
        function = {"name": f"look_up_{turn}", "arguments": json.dumps({"field_0": turn, "state": "open"})}
        call = {"id": f"call_{turn:04}", "type": "function", "function": function}
        messages += [
            {"role": "user", "content": _prose(turn, 600)},
            {"role": "assistant", "content": _prose(turn + 1, 200), "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{turn:04}", "content": _prose(turn + 2, 900)},
            {"role": "assistant", "content": _prose(turn + 3, 900)},
        ]
    messages.append({"role": "user", "content": _prose(5, 600)})
    return {
        "model": model,
        "messages": messages,
        "tools": [_large_tool(number) for number in range(15)],
        "max_tokens": 1024,
        "temperature": 0.2,
        "user": "clerk-17",
    }


def encoded(request: Json) -> bytes:
    return json.dumps(request, separators=(",", ":")).encode()


def as_responses(body: bytes) -> bytes:
    """The same request as a client of the Responses API says it, whose answer is not kept (`store: false`)."""
    request: Json = json.loads(body)
    items: list[Json] = []
    for message in request.pop("messages"):
        if message["role"] == "tool":
            items.append({"type": "function_call_output", "call_id": message["tool_call_id"], "output": message["content"]})
            continue
        items.append({"role": message["role"], "content": message["content"]})
        for call in message.get("tool_calls", ()):
            items.append({"type": "function_call", "call_id": call["id"], **call["function"]})
    request.pop("stop", None)  # Responses has none
    limit = request.pop("max_tokens")
    tools = [{"type": "function", **tool["function"]} for tool in request.pop("tools")]
    return encoded({**request, "input": items, "max_output_tokens": limit, "tools": tools, "store": False})


def text_of(answer: Json) -> str:
    """What the model said, in an answer of Chat Completions or Responses."""
    if "output" in answer:
        return answer["output"][0]["content"][0]["text"]
    return answer["choices"][0]["message"]["content"]


def stream_request(mode: str) -> bytes:
    """The small request, streamed. `mode` is one of burst, paced, first, slow."""
    return encoded(small_request(f"gpt-4o-{mode}") | {"stream": True})


def answer(dialect: Dialect) -> bytes:
    """The whole answer to a request that is not a stream."""
    if dialect == "anthropic":
        return encoded(
            {
                "id": "msg_01BenchBenchBench",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": ANSWER}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 412, "output_tokens": 71, "cache_read_input_tokens": 0},
            }
        )
    if dialect == "bedrock":
        return encoded(
            {
                "output": {"message": {"role": "assistant", "content": [{"text": ANSWER}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 412, "outputTokens": 71, "totalTokens": 483},
                "metrics": {"latencyMs": 480},
            }
        )
    message = {"role": "assistant", "content": ANSWER, "refusal": None}
    return encoded(
        {
            "id": "chatcmpl-BenchBenchBench",
            "object": "chat.completion",
            "created": 1790000000,
            "model": "gpt-4o-2024-11-20",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": {"prompt_tokens": 412, "completion_tokens": 71, "total_tokens": 483},
        }
    )


def _sse(data: Json, event: str | None = None) -> bytes:
    return (b"event: " + event.encode() + b"\n" if event else b"") + b"data: " + encoded(data) + b"\n\n"


def _anthropic_event(kind: str, **fields: Any) -> bytes:
    return _sse({"type": kind} | fields, kind)


def _anthropic_delta(text: str) -> bytes:
    return _anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def _openai_chunk(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head: Json = {"id": "chatcmpl-BenchBenchBench", "object": "chat.completion.chunk", "created": 1790000000}
    return _sse(head | {"model": "gpt-4o-2024-11-20", "choices": [choice]})


def _bedrock_event(kind: str, **fields: Any) -> bytes:
    return eventstream.encode(Out(fields, kind))


def _bedrock_delta(text: str) -> bytes:
    return _bedrock_event("contentBlockDelta", contentBlockIndex=0, delta={"text": text})


def stream_head(dialect: Dialect) -> list[bytes]:
    """The events before the first text."""
    if dialect == "openai":
        return [_openai_chunk({"role": "assistant", "content": "", "refusal": None})]
    if dialect == "bedrock":
        return [_bedrock_event("messageStart", role="assistant")]
    message = json.loads(answer("anthropic")) | {"content": [], "stop_reason": None}
    start = _anthropic_event("message_start", message=message)
    return [start, _anthropic_event("content_block_start", index=0, content_block={"type": "text", "text": ""})]


def stream_tail(dialect: Dialect) -> list[bytes]:
    """The events after the last text."""
    if dialect == "openai":
        return [_openai_chunk({}, "stop"), b"data: [DONE]\n\n"]
    if dialect == "bedrock":
        usage = {"inputTokens": 412, "outputTokens": 71, "totalTokens": 483}
        return [
            _bedrock_event("contentBlockStop", contentBlockIndex=0),
            _bedrock_event("messageStop", stopReason="end_turn"),
            _bedrock_event("metadata", usage=usage, metrics={"latencyMs": 480}),
        ]
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        _anthropic_event("content_block_stop", index=0),
        _anthropic_event("message_delta", delta=delta, usage={"output_tokens": 71}),
        _anthropic_event("message_stop"),
    ]


def text_event(dialect: Dialect) -> Callable[[int, int], bytes]:
    """(index, nanoseconds) -> the event with that text."""
    if dialect == "bedrock":
        return lambda index, now: _bedrock_delta(f"tok@{index}:{now}; ")  # each has its checksum
    mark = "tok@{}:{}; "
    whole = _anthropic_delta(mark) if dialect == "anthropic" else _openai_chunk({"content": mark})
    before, _, after = whole.partition(mark.encode())
    return lambda index, now: b"%stok@%d:%d; %s" % (before, index, now, after)
