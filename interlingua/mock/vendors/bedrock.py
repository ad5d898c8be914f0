"""Amazon Bedrock: Converse, and InvokeModel for Claude, whose own checks and answers it has within AWS's.

Shapes: botocore's ConverseResponse, ConverseStreamOutput and ResponseStream; errors by x-amzn-errortype.

A signature's form is checked, not its truth: any key will do.
"""

import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, Final
from zlib import crc32

import msgspec
from msgspec.structs import replace

from interlingua.mock import embeddings, seal
from interlingua.mock.rules import bedrock as rules
from interlingua.mock.scenarios import play
from interlingua.mock.shape import violation
from interlingua.mock.talk import Answer, Ask, Part, Picture, Result, Text, Thought, Tool, Use, digest, prompt_tokens
from interlingua.mock.vendors import Vendor, anthropic
from interlingua.mock.wire import (
    JSON,
    Call,
    Chunk,
    Headers,
    Json,
    Options,
    Refusal,
    Reply,
    Stream,
    a_list,
    an_object,
    bad,
    decode,
    encode,
)

EVENTS: Final = "application/vnd.amazon.eventstream"
LATENCY: Final = 421  # milliseconds, always

# kind -> status, exception
ERRORS: Final[dict[str, tuple[int, str]]] = {
    "invalid": (400, "ValidationException"),
    "json": (400, "SerializationException"),
    "context": (400, "ValidationException"),
    "blocked": (400, "ValidationException"),
    "missing_token": (403, "MissingAuthenticationTokenException"),
    "signature": (400, "IncompleteSignatureException"),
    "authentication": (403, "UnrecognizedClientException"),
    "billing": (403, "AccessDeniedException"),
    "permission": (403, "AccessDeniedException"),
    "model": (404, "ResourceNotFoundException"),
    "path": (404, "UnknownOperationException"),
    "method": (405, "UnknownOperationException"),
    "too_large": (413, "RequestEntityTooLargeException"),
    "rate_limit": (429, "ThrottlingException"),
    "quota": (400, "ServiceQuotaExceededException"),
    "server": (500, "InternalServerException"),
    "unavailable": (503, "ServiceUnavailableException"),
    "overloaded": (503, "ServiceUnavailableException"),
}
STOP: Final = {
    "stop": "end_turn",
    "sequence": "stop_sequence",
    "length": "max_tokens",
    "tool": "tool_use",
    "filter": "content_filtered",
    "refusal": "content_filtered",
    "missing": None,
}
_PATH: Final = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream)", re.S)
_VERSIONS: Final = {"bedrock-2023-05-31": "2023-06-01", "2026-10-21": "2026-10-21"}  # AWS's name, and that of the SDK
_EMBEDS: Final = re.compile(r"titan-embed-text|cohere\.embed")
JSON_TYPE: Final = re.compile(r"^(application/json|\*/\*)$")
_SIGNED: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/,\s]+/\d{8}/[a-z0-9-]+/bedrock/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=[0-9a-f]{64}"
)


def claims(call: Call) -> bool:
    return call.path.startswith("/model/")


def serve(call: Call, options: Options) -> Reply | Stream:
    keyed(call)
    found = _PATH.fullmatch(call.path)
    if found is None:
        raise Refusal("path", "The requested operation is not recognized by the service.")
    if call.method != "POST":
        raise Refusal("method", "The requested operation is not recognized by the service.")
    if found[2] == "invoke" and _EMBEDS.search(found[1]):
        return embed(call, decode(call), found[1], options)
    if found[2].startswith("invoke"):
        return invoke(call, found[1], found[2] != "invoke", options)
    streamed = found[2] == "converse-stream"
    body = decode(call)
    if fault := violation("bedrock", body, "ConverseStreamRequest" if streamed else "ConverseRequest"):
        raise rules.structure(fault)
    rules.check(body, found[1], options)
    ask = read(body, found[1], call, streamed)
    answer = play(ask)
    writer = Writer(body, ask, answer)
    if not streamed:
        return Reply(encode(writer.whole()), headers=standing(call), fault=answer.fault)
    failed = event("serviceUnavailableException", {"message": "Overloaded"}, failed=True)
    return Stream(writer.chunks(), failed, standing(call), EVENTS, fault=answer.fault)


def embed(call: Call, body: Json, model: str, options: Options) -> Reply:
    rules.known(model, options)
    if not JSON_TYPE.match(call.headers.get("accept", "*/*")) or not JSON_TYPE.match(call.headers.get("content-type", "")):
        raise bad("The requested content type is not supported by this model.")
    maker = embeddings.titan if "titan" in model else embeddings.cohere
    done = maker(body, model, rules.structure)
    counted = [("x-amzn-bedrock-input-token-count", str(done.tokens)), ("x-amzn-bedrock-invocation-latency", str(LATENCY))]
    return Reply(encode(done.body), headers=[*standing(call), *counted], fault=done.fault)


def invoke(call: Call, model: str, streamed: bool, options: Options) -> Reply | Stream:
    """A model's own body; here only Claude has one that is a chat."""
    rules.known(model, options)
    accept = call.headers.get("x-amzn-bedrock-accept" if streamed else "accept", JSON)
    if call.headers.get("content-type", JSON) != JSON or accept not in (JSON, "*/*"):
        raise bad("The content type and the accept type must be application/json.")
    body = decode(call)
    version = _VERSIONS.get(body.pop("anthropic_version", None))
    if version is None:
        raise bad("anthropic_version: Field required")
    for name in ("model", "stream"):
        if name in body:
            raise bad(f"{name}: Extra inputs are not permitted")
    betas = ",".join(a_list(body.pop("anthropic_beta", [])))
    own = {"model": model, **body, **({"stream": True} if streamed else {})}
    asked = replace(call, headers={"anthropic-beta": betas}, body=encode(own))
    out = anthropic.messages(asked, version, replace(options, any_model=True))
    out.headers = standing(call)
    if isinstance(out, Stream):
        out.chunks = (in_chunk(chunk) for chunk in out.chunks)
        out.headers.append(("x-amzn-bedrock-content-type", JSON))
        out.error = event("throttlingException", {"message": "Overloaded"}, failed=True)
        out.content_type = EVENTS
    return out


def in_chunk(chunk: Chunk) -> Chunk:
    """One of Anthropic's events as AWS sends it; the last with AWS's metrics."""
    told = chunk.data.partition(b"data: ")[2].strip()
    if told == b'{"type":"message_stop"}':
        metrics = {"inputTokenCount": 9, "outputTokenCount": 4, "invocationLatency": LATENCY, "firstByteLatency": LATENCY}
        told = encode({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})
    return Chunk(event("chunk", {"bytes": b64encode(told).decode()}), chunk.content)


def keyed(call: Call) -> None:
    """SigV4 in form, host and date signed; or a bearer key."""
    told = call.headers.get("authorization", "").strip()
    if not told:
        raise Refusal("missing_token", "Missing Authentication Token")
    scheme, _, token = told.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return
    found = _SIGNED.fullmatch(told)
    if found is None:
        raise Refusal("signature", "The request signature does not conform to AWS standards.")
    signed = found[1].split(";")
    must = ["host", "x-amz-date", *(name for name in call.headers if name.startswith("x-amz-"))]
    if missing := [name for name in must if name not in signed or name not in call.headers]:
        raise Refusal("signature", f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization.")


def refuse(call: Call, refusal: Refusal) -> Reply:
    status, name = ERRORS[refusal.kind]
    headers = standing(call)
    headers.append(("x-amzn-errortype", f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"))
    if refusal.retry_after is not None:
        headers.append(("retry-after", str(refusal.retry_after)))
    return Reply(encode({"message": refusal.message}), status, headers)


def standing(call: Call) -> Headers:
    """The headers of every answer."""
    named = digest("request", call.path, call.body)
    return [("x-amzn-requestid", f"{named[:8]}-{named[8:12]}-4{named[13:16]}-8{named[17:20]}-{named[20:32]}")]


# Reading


def read(body: Json, model: str, call: Call, streamed: bool) -> Ask:
    messages: list[Json] = body["messages"]
    turn = last_turn(messages)
    config = an_object(body.get("toolConfig"))
    rows: list[Json] = config.get("tools", [])
    choice = an_object(config.get("toolChoice"))
    names = {block["toolUse"]["toolUseId"]: block["toolUse"]["name"] for block in blocks(messages) if "toolUse" in block}
    form = an_object(an_object(body.get("outputConfig")).get("textFormat"))
    results = [block["toolResult"] for block in turn if "toolResult" in block]
    return Ask(
        model=model,
        seed=digest(call.body, model),
        text="\n".join(text_of(block) for block in turn if "text" in block or "guardContent" in block),
        media=[text for block in blocks(messages) for text in media(block)],
        tools=[Tool(row["toolSpec"]["name"], row["toolSpec"]["inputSchema"]["json"]) for row in rows if "toolSpec" in row],
        hosted=sum("systemTool" in row for row in rows),
        force="any" if "any" in choice else an_object(choice.get("tool")).get("name"),
        results=[Result(names[row["toolUseId"]], "\n".join(text_of(inner) for inner in row["content"])) for row in results],
        schema=rules.schema_of(form) if form else None,
        stops=a_list(an_object(body.get("inferenceConfig")).get("stopSequences")),
        think=thinks(an_object(body.get("additionalModelRequestFields"))),
        stream=streamed,
        prompt_tokens=tokens(body),
        cites=cites(messages),
    )


def cites(messages: list[Json]) -> Json | None:
    """A citation of the first document, or search result, that is shown; None where it is not to be cited."""
    told = [inner for block in blocks(messages) for inner in (block, *rules.inside(block))]
    shown = next((block for block in told if "document" in block or "searchResult" in block), None)
    if shown is None:
        return None
    if document := an_object(shown.get("document")):
        place = {"documentChar": {"documentIndex": 0, "start": 0, "end": 16}}
        cited = {"title": document["name"], "sourceContent": [{"text": "The sky is blue."}], "location": place}
        return cited if rules.to_cite(document) else None
    found: Json = shown["searchResult"]
    place = {"searchResultLocation": {"searchResultIndex": 0, "start": 0, "end": 1}}
    cited = {"title": found["title"], "source": found["source"], "sourceContent": found["content"][:1], "location": place}
    return cited if rules.to_cite(found) else None


def thinks(fields: Json) -> bool:
    kinds = (an_object(fields.get("thinking")).get("type"), an_object(fields.get("reasoningConfig")).get("type"))
    return any(kind in ("enabled", "adaptive") for kind in kinds) or "reasoning_effort" in fields


def blocks(messages: list[Json]) -> Iterator[Json]:
    for message in messages:
        yield from message["content"]


def last_turn(messages: list[Json]) -> list[Json]:
    """The blocks of the user messages after the last assistant message."""
    after = max((index for index, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    return list(blocks([message for message in messages[after + 1 :] if message["role"] == "user"]))


def text_of(block: Json) -> str:
    if "text" in block:
        return block["text"]
    if "json" in block:
        return encode(block["json"]).decode()
    guarded = an_object(an_object(block.get("guardContent")).get("text"))
    return str(guarded.get("text", f"({next(iter(block))})"))


def media(block: Json) -> Iterator[str]:
    for kind in ("image", "document", "video", "audio"):
        if told := an_object(block.get(kind)):
            source = told["source"]
            size = f"{len(b64decode(source['bytes']))} bytes" if "bytes" in source else next(iter(source))
            yield f"{kind} {told.get('format', 'txt')} {size}"
    for inner in a_list(an_object(block.get("toolResult")).get("content")):
        yield from media(inner)


def tokens(body: Json) -> int:
    told = list(blocks(body["messages"]))
    texts = [encode(block).decode() for block in told if not any(media(block))]
    texts += [
        encode(row).decode() for row in (*a_list(body.get("system")), *a_list(an_object(body.get("toolConfig")).get("tools")))
    ]
    return prompt_tokens(*texts, messages=len(body["messages"]), media=sum(1 for block in told for _ in media(block)))


# Writing


class Writer:
    """One answer as a whole, or as its events."""

    def __init__(self, body: Json, ask: Ask, answer: Answer) -> None:
        self.ask = ask
        self.answer = answer
        self.signs = "claude" in ask.model or "." not in ask.model
        self.paths = a_list(body.get("additionalModelResponseFieldPaths"))

    def whole(self) -> Json:
        content = [self.block(index, part) for index, part in enumerate(self.answer.parts)]
        ending = {key: value for key, value in self.ending().items() if value is not None}
        message = {"role": "assistant", "content": content}
        return {"output": {"message": message}, **ending, "usage": self.usage(), "metrics": {"latencyMs": LATENCY}}

    def ending(self) -> Json:
        told: Json = {"stopReason": STOP[self.answer.finish]}
        if "/stop_sequence" in self.paths:
            told["additionalModelResponseFields"] = {"stop_sequence": self.answer.sequence}
        return told

    def usage(self) -> Json:
        used = self.answer.usage
        return {
            "inputTokens": used.prompt - used.cached - used.written,
            "outputTokens": used.output,
            "totalTokens": used.prompt + used.output,
            "cacheReadInputTokens": used.cached,
            "cacheWriteInputTokens": used.written,
        }

    def block(self, index: int, part: Part) -> Json:
        match part:
            case Text(cited=True):
                return {"citationsContent": {"content": [{"text": part.whole}], "citations": [citation(self.ask)]}}
            case Text():
                return {"text": part.whole}
            case Thought(hidden=True):
                return {"reasoningContent": {"redactedContent": self.sealed(index)}}
            case Thought():
                signed = {"signature": seal.over(rules.ORIGIN, part.whole)} if self.signs else {}
                return {"reasoningContent": {"reasoningText": {"text": part.whole, **signed}}}
            case Use():
                return {"toolUse": {**self.use(part), "input": msgspec.json.decode(part.arguments)}}
            case Picture():
                return {"image": {"format": part.mime.partition("/")[2], "source": {"bytes": part.data}}}

    def sealed(self, index: int) -> str:
        return seal.token_bytes(rules.ORIGIN, f"{self.ask.seed}{index}")

    def use(self, part: Use) -> Json:
        return {"toolUseId": f"tooluse_{part.id}", "name": part.name}

    def chunks(self) -> Iterator[Chunk]:
        yield Chunk(event("messageStart", {"role": "assistant"}), False)
        for index, part in enumerate(self.answer.parts):
            if start := self.start(part):
                yield Chunk(event("contentBlockStart", {"contentBlockIndex": index, "start": start}), False)
            for delta in self.deltas(index, part):
                yield Chunk(event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}))
            yield Chunk(event("contentBlockStop", {"contentBlockIndex": index}), False)
        if self.answer.finish != "missing":
            yield Chunk(event("messageStop", self.ending()), False)
            yield Chunk(event("metadata", {"usage": self.usage(), "metrics": {"latencyMs": LATENCY}}), False)

    def start(self, part: Part) -> Json | None:
        match part:
            case Use():
                return {"toolUse": self.use(part)}
            case Picture():
                return {"image": {"format": part.mime.partition("/")[2]}}
            case _:
                return None

    def deltas(self, index: int, part: Part) -> Iterator[Json]:
        match part:
            case Text():
                yield from ({"text": piece} for piece in part.pieces)
                if part.cited:
                    yield {"citation": citation(self.ask)}
            case Thought(hidden=True):
                yield {"reasoningContent": {"redactedContent": self.sealed(index)}}
            case Thought():
                yield from ({"reasoningContent": {"text": piece}} for piece in part.pieces)
                if self.signs:
                    yield {"reasoningContent": {"signature": seal.over(rules.ORIGIN, part.whole)}}
            case Use():
                yield from ({"toolUse": {"input": piece}} for piece in part.pieces("whole_args" in self.answer.flags))
            case Picture():
                yield {"image": {"source": {"bytes": part.data}}}


def citation(ask: Ask) -> Json:
    if ask.cites is not None:
        return ask.cites
    web = {"url": "https://example.com/source", "domain": "example.com"}
    return {"title": "Mock source", "sourceContent": [{"text": "The sky is blue."}], "location": {"web": web}}


def event(name: str, value: Any, *, failed: bool = False) -> bytes:
    """One message of the binary stream; a payload bears padding, as AWS's do."""
    kind = "exception" if failed else "event"
    rows = ((f":{kind}-type", name), (":content-type", "application/json"), (":message-type", kind))
    headers = b"".join(
        struct.pack(">B", len(key)) + key.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode() for key, text in rows
    )
    payload = encode(value if failed else {**value, "p": "abcdefghijklmnop"[: len(name)]})
    start = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = start + struct.pack(">I", crc32(start)) + headers + payload
    return body + struct.pack(">I", crc32(body))


VENDOR: Final = Vendor("bedrock", claims, serve, refuse)
