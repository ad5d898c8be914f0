"""Five protocols as bytes: how a text is asked for, what a provider is asked, and what an answer is: whole, an error, neither.

One grammar for both ends, since a provider is asked in the same words as the gateway is.
"""

import json
import re
import struct
from collections.abc import Iterator
from typing import Any, Final, Literal
from urllib.parse import quote, unquote

from msgspec import Struct

Json = dict[str, Any]
Verdict = Literal["answer", "error", "silent"]
PROTOCOLS: Final = ("openai", "responses", "anthropic", "gemini", "bedrock")
WORDS: Final = "Grüße an alle, 1 2 3 4 5 6 7 8 9"
SAID: Final = f"You said: {WORDS}"  # as the mock providers answer it

# What says that an answer is whole; a whole body says it by its length, and a Gemini stream has no other mark
MARKS: Final = {
    "openai": b"data: [DONE]",
    "responses": b"event: response.completed",
    "anthropic": b"event: message_stop",
    "gemini": b"0\r\n\r\n",
    "bedrock": b"metadata",
}
_CREDENTIALS: Final = {
    "openai": "authorization: Bearer any",
    "responses": "authorization: Bearer any",
    "anthropic": "x-api-key: any\r\nanthropic-version: 2023-06-01",
    "gemini": "x-goog-api-key: any",
    "bedrock": "authorization: Bearer any",
}
_PATHS: Final = {"/v1/chat/completions": "openai", "/v1/responses": "responses", "/v1/messages": "anthropic"}


class Asked(Struct, frozen=True):
    """What a provider is asked. `model` names the fault: it is the one thing that survives every translation."""

    protocol: str
    model: str
    stream: bool


class Reply(Struct):
    """An HTTP answer. `whole`: its body ended as its head said it would."""

    status: int
    heads: dict[str, str]
    body: bytes
    whole: bool = True


def request(protocol: str, model: str, stream: bool) -> bytes:
    """A client's question, head and body."""
    path, body = _question(protocol, model, stream)
    data = json.dumps(body, ensure_ascii=False).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: chaos\r\ncontent-type: application/json\r\n{_CREDENTIALS[protocol]}\r\n"
    return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data


def _question(protocol: str, model: str, stream: bool) -> tuple[str, Json]:
    turns = [{"role": "user", "content": WORDS}]
    named: Json = {"model": model, "stream": stream}
    match protocol:
        case "openai":
            return "/v1/chat/completions", {**named, "messages": turns}
        case "responses":
            return "/v1/responses", {**named, "input": WORDS}
        case "anthropic":
            return "/v1/messages", {**named, "messages": turns, "max_tokens": 4096}
        case "gemini":
            verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": WORDS}]}]}
        case _:
            verb = "converse-stream" if stream else "converse"
            return f"/model/{quote(model, safe='')}/{verb}", {"messages": [{"role": "user", "content": [{"text": WORDS}]}]}


def asked(head: bytes, body: bytes) -> Asked:
    """Reads what the gateway asks a provider."""
    path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
    if found := re.fullmatch(r"/v1beta/models/(.+):(generateContent|streamGenerateContent)", path):
        return Asked("gemini", unquote(found[1]), found[2] != "generateContent")
    if found := re.fullmatch(r"/model/(.+)/(converse|converse-stream)", path):
        return Asked("bedrock", unquote(found[1]), found[2] != "converse")
    said = json.loads(body)
    return Asked(_PATHS[path], said["model"], bool(said.get("stream")))


def judge(protocol: str, stream: bool, reply: Reply) -> Verdict:
    """What a client of the protocol is told by an answer: all of it, an error in its own shape, or neither."""
    try:
        if reply.status != 200:
            return "error" if reply.whole and _is_error(protocol, json.loads(reply.body), reply) else "silent"
        if not stream:
            return "answer" if reply.whole and _text(protocol, json.loads(reply.body)) == SAID else "silent"
        if not reply.whole:
            return "silent"
        return _judge_frames(protocol, list(_messages(reply.body) if protocol == "bedrock" else _events(reply.body)))
    except (ValueError, KeyError, IndexError, TypeError, struct.error):
        return "silent"


def _is_error(protocol: str, body: Any, reply: Reply) -> bool:
    if protocol == "bedrock":
        return bool(body["message"]) and "x-amzn-errortype" in reply.heads
    told = bool(body["error"]["message"])
    return told and (protocol != "anthropic" or body["type"] == "error")


def _judge_frames(protocol: str, frames: list[tuple[str, Any]]) -> Verdict:
    """`frames`: each event's name, and its data."""
    said = "".join(_piece(protocol, name, data) for name, data in frames)
    name, last = frames[-1]
    broke = {
        "openai": lambda: isinstance(last, dict) and "error" in last,
        "responses": lambda: name in ("error", "response.failed", "response.incomplete"),
        "anthropic": lambda: name == "error",
        "gemini": lambda: "error" in last,
        "bedrock": lambda: name.endswith("Exception"),
    }[protocol]()
    if broke:
        return "error"
    ended = {
        "openai": lambda: last == "[DONE]",
        "responses": lambda: name == "response.completed",
        "anthropic": lambda: name == "message_stop",
        "gemini": lambda: "finishReason" in last["candidates"][0],
        "bedrock": lambda: name == "metadata",
    }[protocol]()
    return "answer" if ended and said == SAID else "silent"


def _events(body: bytes) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in body.replace(b"\r\n", b"\n").split(b"\n"):
        field, _, value = line.decode().partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, value if value == "[DONE]" else json.loads(value)


def _messages(body: bytes) -> Iterator[tuple[str, Any]]:
    """AWS event-stream messages: total length, headers' length, checksum, headers, payload, checksum."""
    at = 0
    while at < len(body):
        total, size = struct.unpack_from(">II", body, at)
        if total < 16 or at + total > len(body):
            raise ValueError("cut in the middle of a message")
        heads = _heads(body[at + 12 : at + 12 + size])
        payload = body[at + 12 + size : at + total - 4]
        yield heads.get(":exception-type") or heads[":event-type"], json.loads(payload)
        at += total


def _heads(data: bytes) -> dict[str, str]:
    """The headers of a message; all are strings."""
    heads: dict[str, str] = {}
    while data:
        name, data = data[1 : 1 + data[0]].decode(), data[1 + data[0] :]
        (size,) = struct.unpack_from(">H", data, 1)
        heads[name], data = data[3 : 3 + size].decode(), data[3 + size :]
    return heads


def _piece(protocol: str, name: str, data: Any) -> str:
    """The text of one event of a stream."""
    match protocol:
        case "openai":
            return "".join(choice["delta"].get("content") or "" for choice in data.get("choices", [])) if data != "[DONE]" else ""
        case "responses":
            return data["delta"] if name == "response.output_text.delta" else ""
        case "anthropic":
            return data["delta"].get("text", "") if name == "content_block_delta" else ""
        case "gemini":
            return _text("gemini", data) if "candidates" in data else ""
        case _:
            return data["delta"].get("text", "") if name == "contentBlockDelta" else ""


def _text(protocol: str, body: Any) -> str:
    """The text of a whole answer."""
    match protocol:
        case "openai":
            return body["choices"][0]["message"]["content"]
        case "responses":
            return "".join(part["text"] for item in body["output"] for part in item.get("content", []))
        case "anthropic":
            return "".join(block["text"] for block in body["content"])
        case "gemini":
            return "".join(part.get("text", "") for part in body["candidates"][0].get("content", {}).get("parts", []))
        case _:
            return "".join(block["text"] for block in body["output"]["message"]["content"])
