"""Anthropic Messages. Shapes: anthropic.types.Message, RawMessageStreamEvent, ModelInfo; errors {"type": "error", ...}."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from interlingua.mock import seal
from interlingua.mock.rules import anthropic as rules
from interlingua.mock.scenarios import play
from interlingua.mock.shape import violation
from interlingua.mock.talk import Answer, Ask, Part, Picture, Result, Text, Thought, Tool, Use, digest, prompt_tokens
from interlingua.mock.vendors import Vendor
from interlingua.mock.wire import Call, Chunk, Headers, Json, Options, Refusal, Reply, Stream, a_list, an_object, decode, encode

RELEASED: Final = "2026-01-01T00:00:00Z"
MODELS: Final = (
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-4-8",
    "claude-sonnet-4-6",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "mock",
)

# kind -> status, type
ERRORS: Final[dict[str, tuple[int, str]]] = {
    "invalid": (400, "invalid_request_error"),
    "json": (400, "invalid_request_error"),
    "context": (400, "invalid_request_error"),
    "blocked": (400, "invalid_request_error"),
    "authentication": (401, "authentication_error"),
    "billing": (402, "billing_error"),
    "permission": (403, "permission_error"),
    "model": (404, "not_found_error"),
    "path": (404, "not_found_error"),
    "method": (405, "invalid_request_error"),
    "too_large": (413, "request_too_large"),
    "rate_limit": (429, "rate_limit_error"),
    "quota": (429, "rate_limit_error"),
    "server": (500, "api_error"),
    "unavailable": (503, "api_error"),
    "overloaded": (529, "overloaded_error"),
}
STOP: Final = {
    "stop": "end_turn",
    "sequence": "stop_sequence",
    "length": "max_tokens",
    "tool": "tool_use",
    "filter": "refusal",
    "refusal": "refusal",
    "missing": None,
}
_MODEL_PATH: Final = re.compile(r"^/v1/models/(.+)$")


def claims(call: Call) -> bool:
    """Its own path; or one that it shares, when its version header says so."""
    return call.path.startswith("/v1/messages") or ("anthropic-version" in call.headers and "chat/completions" not in call.path)


def serve(call: Call, options: Options) -> Reply | Stream:
    keyed(call)
    version = versioned(call)
    match call.path:
        case "/v1/messages":
            wanted(call, "POST")
            return messages(call, version, options)
        case "/v1/messages/count_tokens":
            wanted(call, "POST")
            return count(call, version, options)
        case "/v1/models":
            wanted(call, "GET")
            return reply(listed(call), call)
        case _:
            pass
    if found := _MODEL_PATH.match(call.path):
        wanted(call, "GET")
        rules.model_known(found[1], options)
        return reply(model(found[1]), call)
    raise Refusal("path", "Not found")


def keyed(call: Call) -> None:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if not call.headers.get("x-api-key", "").strip() and not (scheme.lower() == "bearer" and token.strip()):
        raise Refusal("authentication", "x-api-key header is required")


def versioned(call: Call) -> str:
    version = call.headers.get("anthropic-version")
    if version is None:
        raise Refusal("invalid", "anthropic-version: header is required")
    if version not in rules.VERSIONS:
        raise Refusal("invalid", f'anthropic-version: "{version}" is not a valid version')
    return version


def wanted(call: Call, method: str) -> None:
    if call.method != method:
        raise Refusal("method", "Method Not Allowed")


def refuse(call: Call, refusal: Refusal) -> Reply:
    status, _ = ERRORS[refusal.kind]
    headers = standing(call)
    if refusal.retry_after is not None and refusal.reset:
        until = datetime.now(UTC) + timedelta(seconds=refusal.retry_after)
        spent = {"remaining": "0", "reset": until.isoformat(timespec="seconds").replace("+00:00", "Z")}
        headers = list((dict(headers) | {f"anthropic-ratelimit-requests-{word}": said for word, said in spent.items()}).items())
    elif refusal.retry_after is not None:
        headers.append(("retry-after", str(refusal.retry_after)))
    return Reply(encode(error(refusal, call)), status, headers)


def error(refusal: Refusal, call: Call) -> Json:
    _, kind = ERRORS[refusal.kind]
    return {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": request_id(call)}


def request_id(call: Call) -> str:
    return f"req_{digest(call.path, call.body)[:24]}"


def standing(call: Call) -> Headers:
    """The headers of every answer."""
    return [
        ("request-id", request_id(call)),
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", RELEASED),
    ]


def reply(body: Json, call: Call) -> Reply:
    return Reply(encode(body), headers=standing(call))


# Models


def listed(call: Call) -> Json:
    """A page of models: `limit`, `after_id`, `before_id`."""
    size = number(call.query.get("limit", "20"))
    names = list(MODELS)
    if after := call.query.get("after_id"):
        names = names[names.index(after) + 1 :] if after in names else []
    if before := call.query.get("before_id"):
        names = names[: names.index(before)] if before in names else []
    page = names[:size]
    edges = {"first_id": page[0] if page else None, "last_id": page[-1] if page else None}
    return {"data": [model(name) for name in page], "has_more": len(names) > size, **edges}


def number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 1000:
        raise Refusal("invalid", "limit: Input should be between 1 and 1000")
    return int(text)


def model(name: str) -> Json:
    told = rules.claude(name)
    can, cannot = {"supported": True}, {"supported": False}
    old, new = not told.since(4, 7), not told.known or told.since(4, 6)
    kinds = {"adaptive": new, "between_tools": told.since(4, 7), "disabled": True, "enabled": old}
    capabilities = {
        "batch": can,
        "citations": can,
        "code_execution": can,
        "context_management": {"supported": True},
        "effort": {"supported": new, **dict.fromkeys(("low", "medium", "high", "max"), can if new else cannot)},
        "image_input": can,
        "pdf_input": can,
        "server_tools": {"supported": True, "code_execution": can, "web_search": can},
        "structured_outputs": can,
        "thinking": {"supported": True, "types": {kind: can if on else cannot for kind, on in kinds.items()}},
    }
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": RELEASED,
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": told.family or None,
        "max_input_tokens": 1_000_000,
        "max_tokens": told.max_output,
        "capabilities": capabilities,
    }


# Messages


def count(call: Call, version: str, options: Options) -> Reply:
    body = rules.sampling(decode(call), version)
    if fault := violation("anthropic_count", body):
        raise rules.structure(fault)
    rules.counted(body, version, options)
    return reply({"input_tokens": tokens(body)}, call)


def messages(call: Call, version: str, options: Options) -> Reply | Stream:
    betas = [beta.strip() for beta in call.headers.get("anthropic-beta", "").split(",") if beta.strip()]
    body = rules.sampling(decode(call), version)
    if fault := violation("anthropic_beta" if betas else "anthropic", body):
        raise rules.structure(fault)
    rules.check(body, version, betas, options)
    ask = read(body, call)
    answer = play(ask)
    writer = Writer(body, ask, answer)
    if not ask.stream:
        return Reply(encode(writer.message()), headers=standing(call), fault=answer.fault)
    failed = sse("error", error(Refusal("overloaded", "Overloaded"), call))
    return Stream(writer.chunks(), failed, standing(call), fault=answer.fault)


def sse(event: str, value: Any) -> bytes:
    return b"event: " + event.encode() + b"\ndata: " + encode(value) + b"\n\n"


def read(body: Json, call: Call) -> Ask:
    turn = last_turn(body["messages"])
    names = {block["id"]: block["name"] for block in blocks(body["messages"]) if block["type"] == "tool_use"}
    tools: list[Json] = body.get("tools") or []
    choice = an_object(body.get("tool_choice"))
    config = an_object(an_object(body.get("output_config")).get("format"))
    own = [Tool(tool["name"], tool["input_schema"]) for tool in tools if tool.get("type") in (None, "custom")]
    results = [
        Result(names[block["tool_use_id"]], text_of(block.get("content"))) for block in turn if block["type"] == "tool_result"
    ]
    return Ask(
        model=body["model"],
        seed=digest(call.body),
        text="\n".join(block["text"] for block in turn if block["type"] == "text"),
        media=[text for block in blocks(body["messages"]) for text in media(block)],
        tools=[] if choice.get("type") == "none" else own,
        hosted=len(tools) - len(own),
        force={"any": "any", "tool": choice.get("name")}.get(choice.get("type", "")),
        parallel=not choice.get("disable_parallel_tool_use"),
        results=results,
        schema=config.get("schema"),
        stops=list(body.get("stop_sequences") or []),
        think=thinks(body, bool(results)),
        stream=bool(body.get("stream")),
        prompt_tokens=tokens(body),
        cites=cites(body["messages"]),
    )


def cites(messages: list[Json]) -> Json | None:
    """A citation of the first document, or search result, that is shown; None where it is not to be cited."""
    told = [inner for block in blocks(messages) for inner in (block, *a_list(block.get("content")))]
    shown = next((block for block in told if block["type"] in ("document", "search_result")), None)
    if shown is None or not rules.to_cite(shown):
        return None
    if shown["type"] == "document":
        place = {"document_index": 0, "start_char_index": 0, "end_char_index": 16, "file_id": None}
        return {"type": "char_location", "cited_text": "The sky is blue.", "document_title": shown.get("title"), **place}
    found = {"source": shown["source"], "title": shown["title"], "cited_text": shown["content"][0]["text"]}
    return {"type": "search_result_location", **found, "search_result_index": 0, "start_block_index": 0, "end_block_index": 1}


def thinks(body: Json, amid_tools: bool) -> bool:
    kind = an_object(body.get("thinking")).get("type")
    return kind in ("enabled", "adaptive") or (kind == "between_tools" and amid_tools)


def blocks(rows: list[Json]) -> Iterator[Json]:
    for message in rows:
        if isinstance(message["content"], str):
            yield {"type": "text", "text": message["content"]}
        else:
            yield from a_list(message["content"])


def last_turn(rows: list[Json]) -> list[Json]:
    """The blocks of the user messages after the last assistant message."""
    after = max((index for index, row in enumerate(rows) if row["role"] == "assistant"), default=-1)
    return list(blocks([row for row in rows[after + 1 :] if row["role"] == "user"]))


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] if block["type"] == "text" else f"({block['type']})" for block in a_list(content))


def media(block: Json) -> Iterator[str]:
    if block["type"] in ("image", "document"):
        source: Json = block["source"]
        match source["type"]:
            case "base64":
                size = len(source["data"].rstrip("=")) * 3 // 4
                yield f"{block['type']} {source['media_type']} {size} bytes"
            case "text":
                yield f"{block['type']} text/plain {len(source['data'].encode())} bytes"
            case "content":
                yield f"{block['type']} content"
            case _:
                yield f"{block['type']} {source.get('url') or source.get('file_id')}"
    if block["type"] == "tool_result":
        for inner in a_list(block.get("content")):
            yield from media(inner)


def tokens(body: Json) -> int:
    told = list(blocks(body["messages"]))
    texts = [block["text"] if block["type"] == "text" else encode(without_files(block)).decode() for block in told]
    system = body.get("system")
    texts.append(text_of(system) if system else "")
    tools: list[Json] = body.get("tools") or []
    texts += [encode(tool).decode() for tool in tools]
    files = sum(1 for block in told for _ in media(block))
    return prompt_tokens(*texts, messages=len(body["messages"]), media=files)


def without_files(block: Json) -> Json:
    """Files weigh the same however large they are."""
    return {"type": block["type"]} if any(media(block)) else block


class Writer:
    """One answer as a message, or as its events."""

    def __init__(self, body: Json, ask: Ask, answer: Answer) -> None:
        self.ask = ask
        self.answer = answer
        self.parts = [part for part in answer.parts if not isinstance(part, Picture)]
        config = an_object(body.get("thinking"))
        usual = "omitted" if config and rules.claude(ask.model).since(4, 7) else "summarized"
        self.shown = (config.get("display") or usual) == "summarized"

    def message(self) -> Json:
        content = [self.block(index, part) for index, part in enumerate(self.parts)]
        return {**self.head(), "content": content, **self.ending(), "usage": self.usage(self.answer.usage.output)}

    def head(self) -> Json:
        return {"id": f"msg_{digest(self.ask.seed)[:24]}", "type": "message", "role": "assistant", "model": self.ask.model}

    def ending(self) -> Json:
        reason = STOP[self.answer.finish]
        details = (
            {"type": "refusal", "category": None, "explanation": "The mock was asked to refuse."} if reason == "refusal" else None
        )
        return {"stop_reason": reason, "stop_sequence": self.answer.sequence, "stop_details": details}

    def usage(self, output: int) -> Json:
        used = self.answer.usage
        return {
            "input_tokens": used.prompt - used.cached - used.written,
            "cache_creation_input_tokens": used.written,
            "cache_read_input_tokens": used.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": used.written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": used.thinking},
            "service_tier": "standard",
            "inference_geo": "global",
            "server_tool_use": None,
        }

    def block(self, index: int, part: Part) -> Json:
        match part:
            case Text():
                return {"type": "text", "text": part.whole, "citations": [self.citation()] if part.cited else None}
            case Thought(hidden=True):
                return {"type": "redacted_thinking", "data": self.sealed(index)}
            case Thought():
                text = part.whole if self.shown else ""
                return {"type": "thinking", "thinking": text, "signature": seal.over(rules.ORIGIN, text)}
            case Use():
                return {**self.use(part), "input": msgspec.json.decode(part.arguments)}
            case Picture():
                raise AssertionError("pictures were left out")

    def sealed(self, index: int) -> str:
        return seal.token(rules.ORIGIN, f"{self.ask.seed}{index}")

    def use(self, part: Use) -> Json:
        return {"type": "tool_use", "id": f"toolu_{part.id}", "name": part.name}

    def citation(self) -> Json:
        if self.ask.cites is not None:
            return self.ask.cites
        found = {"type": "web_search_result_location", "url": "https://example.com/source", "title": "Mock source"}
        return {**found, "cited_text": "The sky is blue.", "encrypted_index": "bW9jaw=="}

    # Events

    def chunks(self) -> Iterator[Chunk]:
        start: Json = {**self.head(), "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
        yield event({"type": "message_start", "message": {**start, "usage": self.usage(1)}})
        for index, part in enumerate(self.parts):
            yield event({"type": "content_block_start", "index": index, "content_block": self.opened(index, part)})
            if index == 0:
                yield event({"type": "ping"})
            for delta in self.deltas(part):
                yield event({"type": "content_block_delta", "index": index, "delta": delta}, True)
            yield event({"type": "content_block_stop", "index": index})
        if self.answer.finish == "missing":
            return
        used = self.usage(self.answer.usage.output)
        kept = (
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "output_tokens",
            "output_tokens_details",
        )
        usage = {name: used[name] for name in kept}
        yield event({"type": "message_delta", "delta": self.ending(), "usage": usage})
        yield event({"type": "message_stop"})

    def opened(self, index: int, part: Part) -> Json:
        match part:
            case Text():
                return {"type": "text", "text": ""} | ({"citations": []} if part.cited else {})
            case Thought(hidden=False):
                return {"type": "thinking", "thinking": "", "signature": ""}
            case Use():
                return {**self.use(part), "input": {}}
            case _:
                return self.block(index, part)

    def deltas(self, part: Part) -> Iterator[Json]:
        match part:
            case Text():
                yield from ({"type": "text_delta", "text": piece} for piece in part.pieces)
                if part.cited:
                    yield {"type": "citations_delta", "citation": self.citation()}
            case Thought(hidden=False):
                shown = part.pieces if self.shown else ()
                yield from ({"type": "thinking_delta", "thinking": piece} for piece in shown)
                yield {"type": "signature_delta", "signature": seal.over(rules.ORIGIN, "".join(shown))}
            case Use():
                pieces = part.pieces("whole_args" in self.answer.flags)
                yield from ({"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces])
            case _:
                pass


def event(value: Json, content: bool = False) -> Chunk:
    return Chunk(sse(value["type"], value), content)


VENDOR: Final = Vendor("anthropic", claims, serve, refuse)
