"""OpenAI Chat Completions. Shapes: openai.types.chat.ChatCompletion, ChatCompletionChunk, Model; errors {"error": {...}}."""

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

from interlingua.mock import embeddings
from interlingua.mock.rules import openai as rules
from interlingua.mock.scenarios import CONTEXT, play
from interlingua.mock.shape import violation
from interlingua.mock.talk import Answer, Ask, Result, Text, Thought, Tool, Use, digest, prompt_tokens
from interlingua.mock.vendors import Vendor
from interlingua.mock.vendors.openai_files import files, pictures, speech
from interlingua.mock.wire import Call, Chunk, Headers, Json, Options, Refusal, Reply, Stream, a_list, an_object, decode, encode

CREATED: Final = 1_790_000_000
DONE: Final = b"data: [DONE]\n\n"
MODELS: Final = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5.4", "gpt-5.5", "gpt-5.6-sol", "gpt-6-sol", "o3", "o4-mini", "mock")

# kind -> status, type, code
ERRORS: Final[dict[str, tuple[int, str, str | None]]] = {
    "invalid": (400, "invalid_request_error", None),
    "json": (400, "invalid_request_error", None),
    "context": (400, "invalid_request_error", "context_length_exceeded"),
    "blocked": (400, "invalid_request_error", "invalid_prompt"),
    "authentication": (401, "invalid_request_error", "invalid_api_key"),
    "permission": (403, "insufficient_permissions", None),
    "model": (404, "invalid_request_error", "model_not_found"),
    "path": (404, "invalid_request_error", "unknown_url"),
    "method": (405, "invalid_request_error", "method_not_supported"),
    "too_large": (413, "invalid_request_error", "request_too_large"),
    "rate_limit": (429, "requests", "rate_limit_exceeded"),
    "billing": (429, "insufficient_quota", "insufficient_quota"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "server": (500, "server_error", None),
    "unavailable": (503, "server_error", "service_unavailable"),
    "overloaded": (503, "server_error", "overloaded"),
}
FINISH: Final = {
    "stop": "stop",
    "sequence": "stop",
    "refusal": "stop",
    "length": "length",
    "tool": "tool_calls",
    "filter": "content_filter",
    "missing": None,
}
_MODEL_PATH: Final = re.compile(r"^/v1/models/(.+)$")
_OTHERS: Final = {"/v1/files": files, "/v1/audio/speech": speech, "/v1/images/generations": pictures}


def serve(call: Call, options: Options) -> Reply | Stream:
    keyed(call)
    if call.path == "/v1/chat/completions":
        return chat(posted(call), options)
    if call.path == "/v1/embeddings":
        return embedded(posted(call), options)
    if call.path == "/v1/models":
        wanted(call, "GET")
        return reply({"object": "list", "data": [model(name) for name in MODELS]}, call)
    if call.path in _OTHERS:
        return _OTHERS[call.path](posted(call))
    if found := _MODEL_PATH.match(call.path):
        wanted(call, "GET")
        rules.model_known(found[1], options)
        return reply(model(found[1]), call)
    raise Refusal("path", f"Unknown request URL: {call.method} {call.path}.")


def keyed(call: Call) -> None:
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Refusal("authentication", "You didn't provide an API key, as a Bearer token in the Authorization header.", code="")


def wanted(call: Call, method: str) -> None:
    if call.method != method:
        raise Refusal("method", f"Not allowed to {call.method} on {call.path}; use {method}.")


def posted(call: Call) -> Call:
    wanted(call, "POST")
    return call


def refuse(call: Call, refusal: Refusal) -> Reply:
    status, _, _ = ERRORS[refusal.kind]
    headers = standing(call)
    if refusal.retry_after is not None and refusal.reset:
        minutes, seconds = divmod(refusal.retry_after, 60)
        spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{minutes}m{seconds}s"}
        headers = list((dict(headers) | spent).items())
    elif refusal.retry_after is not None:
        headers.append(("retry-after", str(refusal.retry_after)))
    return Reply(encode(error(refusal)), status, headers)


def error(refusal: Refusal) -> Json:
    _, kind, code = ERRORS[refusal.kind]
    message = refusal.message
    if refusal.kind == "context":
        message = f"This model's maximum context length is 1000000 tokens, and the messages came to {CONTEXT} tokens."
    code = (refusal.code or None) if refusal.code is not None else code
    return {"error": {"message": message, "type": kind, "param": refusal.param, "code": code}}


def standing(call: Call) -> Headers:
    """The headers of every answer."""
    return [
        ("x-request-id", f"req_{digest(call.path, call.body)[:32]}"),
        ("openai-version", "2020-10-01"),
        ("openai-organization", "mock"),
        ("openai-processing-ms", "1"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
    ]


def reply(body: Json, call: Call) -> Reply:
    return Reply(encode(body), headers=standing(call))


def model(name: str) -> Json:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "system"}


# Chat Completions


def chat(call: Call, options: Options) -> Reply | Stream:
    body = decode(call)
    fault = violation("openai", body)
    if fault and not (options.unknown_fields and fault.kind == "unknown"):
        raise rules.structure(fault)
    rules.check(body, options)
    ask = read(body, call)
    answer = play(ask)
    writer = Writer(body, ask, answer)
    if not ask.stream:
        return Reply(encode(writer.completion()), headers=standing(call), fault=answer.fault)
    failed = Refusal("server", "The server had an error while processing your request.")
    return Stream(writer.chunks(), sse(error(failed)), standing(call), fault=answer.fault)


def embedded(call: Call, options: Options) -> Reply:
    done = embeddings.openai(decode(call), rules.structure, options)
    return Reply(encode(done.body), headers=standing(call), fault=done.fault)


def sse(value: Any) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


def read(body: Json, call: Call) -> Ask:
    messages: list[Json] = body["messages"]
    names = {use["id"]: an_object(use.get("function") or use.get("custom"))["name"] for use in calls_in(messages)}
    last = last_turn(messages)
    form: Json = body.get("response_format") or {}
    tools: list[Json] = body.get("tools") or []
    media = [text for message in messages for text in media_in(message)]
    effort = body.get("reasoning_effort") not in (None, "none")
    stops = body.get("stop")
    return Ask(
        model=body["model"],
        seed=digest(call.body),
        text="\n".join(text_of(message["content"]) for message in last if message["role"] == "user"),
        media=media,
        tools=allowed(body, [tool_of(tool) for tool in tools]),
        hosted=int(body.get("web_search_options") is not None),
        force=forced(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        results=[result(message, names) for message in last if message["role"] == "tool"],
        schema=an_object(form.get("json_schema")).get("schema"),
        json_mode=form.get("type") == "json_object",
        stops=[stops] if isinstance(stops, str) else a_list(stops),
        think=effort,
        stream=bool(body.get("stream")),
        choices=body.get("n") or 1,
        prompt_tokens=counted(messages, tools, len(media)),
    )


def calls_in(messages: list[Json]) -> Iterator[Json]:
    for message in messages:
        yield from a_list(message.get("tool_calls"))


def last_turn(messages: list[Json]) -> list[Json]:
    """What came after the last assistant message."""
    turn: list[Json] = []
    for message in reversed(messages):
        if message["role"] == "assistant":
            break
        turn.insert(0, message)
    return turn


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(
        part.get("text") or part.get("refusal") or "" for part in a_list(content) if part["type"] in ("text", "refusal")
    )


def result(message: Json, names: dict[str, str]) -> Result:
    return Result(names[message["tool_call_id"]], text_of(message["content"]))


def tool_of(tool: Json) -> Tool:
    if tool["type"] == "custom":
        return Tool(tool["custom"]["name"])
    return Tool(tool["function"]["name"], tool["function"].get("parameters") or {"type": "object"})


def allowed(body: Json, tools: list[Tool]) -> list[Tool]:
    choice = an_object(body.get("tool_choice"))
    if body.get("tool_choice") == "none":
        return []
    if choice.get("type") != "allowed_tools":
        return tools
    names = {an_object(row.get(row.get("type", "function"))).get("name") for row in choice["allowed_tools"]["tools"]}
    return [tool for tool in tools if tool.name in names]


def forced(choice: Any) -> str | None:
    if isinstance(choice, str):
        return "any" if choice == "required" else None
    row = an_object(choice)
    if row.get("type") == "allowed_tools":
        return "any" if row["allowed_tools"]["mode"] == "required" else None
    return an_object(row.get(row.get("type", ""))).get("name")


def media_in(message: Json) -> Iterator[str]:
    for part in a_list(message.get("content")):
        match part["type"]:
            case "image_url":
                yield f"image {linked(part['image_url']['url'])}"
            case "input_audio":
                yield f"audio audio/{part['input_audio']['format']} {weight(part['input_audio']['data'])} bytes"
            case "file":
                file: Json = part["file"]
                yield f"document {linked(file['file_data']) if 'file_data' in file else file['file_id']}"
            case _:
                pass


def linked(url: str) -> str:
    """A link as it is; a data URL as its type and size."""
    if not url.startswith("data:"):
        return url
    head, _, data = url[5:].partition(",")
    return f"{head.partition(';')[0]} {weight(data)} bytes"


def weight(data: str) -> int:
    """The bytes that a base64 text stands for."""
    return len(data.rstrip("=")) * 3 // 4


def counted(messages: list[Json], tools: list[Json], media: int) -> int:
    texts = [text_of(message.get("content")) for message in messages]
    calls = [encode(call).decode() for call in calls_in(messages)]
    return prompt_tokens(*texts, *calls, encode(tools).decode() if tools else "", messages=len(messages), media=media)


class Writer:
    """One answer as a completion, or as its chunks."""

    def __init__(self, body: Json, ask: Ask, answer: Answer) -> None:
        self.ask = ask
        self.answer = answer
        self.options = an_object(body.get("stream_options"))
        self.tops: int | None = (body.get("top_logprobs") or 0) if body.get("logprobs") else None
        if "logprobs" in answer.flags:
            self.tops = self.tops or 2
        self.uses = [part for part in answer.parts if isinstance(part, Use)]
        self.texts = [part for part in answer.parts if isinstance(part, Text)]
        self.thoughts = [part for part in answer.parts if isinstance(part, Thought)] if "reasoning" in answer.flags else []
        self.head = {"id": f"chatcmpl-{digest(ask.seed)[:29]}", "created": CREATED, "model": ask.model}
        self.tail = {"service_tier": "default", "system_fingerprint": "fp_mock"}

    def completion(self) -> Json:
        choices = [self.choice(index) for index in range(self.ask.choices)]
        return {**self.head, "object": "chat.completion", "choices": choices, "usage": self.usage(), **self.tail}

    def choice(self, index: int) -> Json:
        logprobs = None if self.tops is None else {"content": self.logprobs(self.said(index)), "refusal": None}
        finish = FINISH[self.answer.finish]
        return {"index": index, "message": self.message(index), "logprobs": logprobs, "finish_reason": finish}

    def said(self, index: int) -> list[str]:
        """The pieces of the text of choice `index`."""
        pieces = [piece for part in self.texts for piece in part.pieces]
        return [*pieces, f" (choice {index})"] if index and pieces else pieces

    def message(self, index: int) -> Json:
        text = "".join(self.said(index))
        refused = self.answer.finish == "refusal"
        content = None if refused or (self.uses and not text) else text
        out: Json = {
            "role": "assistant",
            "content": content,
            "refusal": text if refused else None,
            "annotations": self.annotations(),
        }
        if self.thoughts:
            out["reasoning_content"] = "".join(part.whole for part in self.thoughts)
        if self.uses:
            out["tool_calls"] = [self.tool_call(use, number, index) for number, use in enumerate(self.uses)]
        return out

    def annotations(self) -> list[Json]:
        if not any(part.cited for part in self.texts):
            return []
        end = len(next(part for part in self.texts if part.cited).whole)
        link = {"start_index": 0, "end_index": end, "title": "Mock source", "url": "https://example.com/source"}
        return [{"type": "url_citation", "url_citation": link}]

    def tool_call(self, use: Use, number: int, index: int) -> Json:
        kind, field = ("custom", "input") if use.free else ("function", "arguments")
        return {"id": call_id(use, index), "type": kind, kind: {"name": use.name, field: use.arguments}}

    def logprobs(self, pieces: list[str]) -> list[Json]:
        def row(token: str, logprob: float) -> Json:
            return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

        tops = self.tops or 0
        return [{**row(piece, -0.1), "top_logprobs": [row(piece, -0.1 - rank) for rank in range(tops)]} for piece in pieces]

    def usage(self) -> Json:
        used = self.answer.usage
        output = used.output * self.ask.choices
        prompt = {"cached_tokens": used.cached, "audio_tokens": used.audio, "cache_write_tokens": used.written}
        completion = {
            "reasoning_tokens": used.thinking * self.ask.choices,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        }
        return {
            "prompt_tokens": used.prompt,
            "completion_tokens": output,
            "total_tokens": used.prompt + output,
            "prompt_tokens_details": prompt,
            "completion_tokens_details": completion,
        }

    # Chunks

    def chunks(self) -> Iterator[Chunk]:
        for index in range(self.ask.choices):
            yield self.chunk(self.first(index), False)
            for delta, logprobs in self.deltas(index):
                yield self.chunk({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None})
            if self.answer.finish != "missing":
                last: Json = {"index": index, "delta": {}, "logprobs": None, "finish_reason": FINISH[self.answer.finish]}
                yield self.chunk(last, False)
        if self.answer.finish == "missing":
            return
        if self.options.get("include_usage"):
            yield Chunk(sse({**self.frame(), "choices": [], "usage": self.usage()}), False)
        yield Chunk(DONE, False)

    def frame(self) -> Json:
        return {**self.head, "object": "chat.completion.chunk", **self.tail}

    def chunk(self, choice: Json, content: bool = True) -> Chunk:
        body = {**self.frame(), "choices": [choice]}
        if self.options.get("include_usage"):
            body["usage"] = None
        if self.options.get("include_obfuscation"):
            body["obfuscation"] = digest(encode(choice))[: len(self.ask.model)]
        return Chunk(sse(body), content)

    def first(self, index: int) -> Json:
        delta: Json = {"role": "assistant", "content": None if self.uses and not self.texts else "", "refusal": None}
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def deltas(self, index: int) -> Iterator[tuple[Json, Json | None]]:
        for part in self.thoughts:
            yield from (({"reasoning_content": piece}, None) for piece in part.pieces)
        field = "refusal" if self.answer.finish == "refusal" else "content"
        empty: Json = {"tool_calls": []} if "empty_tool_calls" in self.answer.flags else {}
        for piece in self.said(index):
            logprobs = None if self.tops is None else {"content": self.logprobs([piece]), "refusal": None}
            yield {field: piece, **empty}, logprobs
        if annotations := self.annotations():
            yield {"annotations": annotations}, None
        for call in self.calls(index):
            yield {"tool_calls": [call]}, None

    def calls(self, index: int) -> Iterator[Json]:
        """Each call is opened, then its arguments follow; `interleaved` opens all and lets the pieces take turns."""
        whole = "whole_args" in self.answer.flags
        rows = [
            [self.opened(use, number, index, whole), *self.argued(use, number, whole)] for number, use in enumerate(self.uses)
        ]
        if "interleaved" in self.answer.flags:
            for turn in zip_longest(*rows):
                yield from (row for row in turn if row is not None)
        else:
            for row in rows:
                yield from row

    def opened(self, use: Use, number: int, index: int, whole: bool) -> Json:
        kind, field = ("custom", "input") if use.free else ("function", "arguments")
        told = {"name": use.name, field: use.arguments if whole else ""}
        return {"index": number, "id": call_id(use, index), "type": kind, kind: told}

    def argued(self, use: Use, number: int, whole: bool) -> list[Json]:
        kind, field = ("custom", "input") if use.free else ("function", "arguments")
        return [] if whole else [{"index": number, kind: {field: piece}} for piece in use.pieces(whole)]


def call_id(use: Use, index: int) -> str:
    return f"call_{use.id if index == 0 else digest(use.id, index)[:24]}"


VENDOR: Final = Vendor("openai", lambda call: True, serve, refuse)
