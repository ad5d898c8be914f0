"""Google's Gemini API. Shapes: google.genai.types.GenerateContentResponse as the Gemini API sends it; errors {"error": {...}}."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from interlingua.mock import embeddings, seal
from interlingua.mock.rules import gemini as rules
from interlingua.mock.scenarios import CONTEXT, play
from interlingua.mock.shape import normal, violation
from interlingua.mock.talk import Answer, Ask, Part, Picture, Result, Text, Thought, Tool, Use, digest, prompt_tokens
from interlingua.mock.vendors import Vendor
from interlingua.mock.wire import (
    JSON,
    Call,
    Chunk,
    Fault,
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

MODELS: Final = (
    "gemini-3-pro",
    "gemini-3-flash",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-2.5-flash-image",
    "gemini-2.0-flash",
    "mock",
)
HEADERS: Final[Headers] = [("server-timing", "gfet4t7; dur=1"), ("x-content-type-options", "nosniff"), ("vary", "Origin")]
TYPES: Final = "type.googleapis.com/google.rpc"

# kind -> HTTP status, Google's status
ERRORS: Final[dict[str, tuple[int, str]]] = {
    "invalid": (400, "INVALID_ARGUMENT"),
    "json": (400, "INVALID_ARGUMENT"),
    "context": (400, "INVALID_ARGUMENT"),
    "authentication": (401, "UNAUTHENTICATED"),
    "billing": (403, "PERMISSION_DENIED"),
    "permission": (403, "PERMISSION_DENIED"),
    "model": (404, "NOT_FOUND"),
    "path": (404, "NOT_FOUND"),
    "method": (405, "UNIMPLEMENTED"),
    "too_large": (413, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "quota": (429, "RESOURCE_EXHAUSTED"),
    "server": (500, "INTERNAL"),
    "unavailable": (503, "UNAVAILABLE"),
    "overloaded": (503, "UNAVAILABLE"),
}
FINISH: Final = {
    "stop": "STOP",
    "sequence": "STOP",
    "tool": "STOP",
    "refusal": "STOP",
    "length": "MAX_TOKENS",
    "filter": "SAFETY",
    "missing": None,
}
HARMS: Final = (
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)
VERBS: Final = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
_PATH: Final = re.compile(r"^/(?:v1|v1beta)/models/([^/:]+)(?::(\w+))?$")
_LIST: Final = re.compile(r"^/(?:v1|v1beta)/models/?$")


def claims(call: Call) -> bool:
    """Everything under /v1beta, its verbs under /v1, and the models of /v1 for one who holds its key."""
    keyed_so = "x-goog-api-key" in call.headers or "key" in call.query
    found = _PATH.match(call.path)
    return call.path.startswith("/v1beta/") or bool(found and found[2]) or (keyed_so and call.path.startswith("/v1/models"))


def serve(call: Call, options: Options) -> Reply | Stream:
    keyed(call)
    if _LIST.match(call.path):
        wanted(call, "GET")
        return Reply(encode(listed(call)), headers=HEADERS)
    found = _PATH.match(call.path)
    verb = found[2] if found else None
    if found is None or verb not in (None, *VERBS):
        raise Refusal("path", f"The requested URL {call.path} was not found on this server.")
    name = found[1]
    if verb is None:
        wanted(call, "GET")
        rules.model_known(name, options)
        return Reply(encode(model(name)), headers=HEADERS)
    wanted(call, "POST")
    if verb == "countTokens":
        return count(call, name, options)
    if verb in ("embedContent", "batchEmbedContents"):
        return embedded(call, name, verb, vertex=False)
    return generate(call, name, options, streamed=verb == "streamGenerateContent")


def embedded(call: Call, name: str, verb: str, *, vertex: bool) -> Reply:
    batch = verb == "batchEmbedContents"
    done = embeddings.gemini(decode(call), name, rules.structure, batch=batch, vertex=vertex)
    return Reply(encode(done.body), headers=HEADERS, fault=done.fault)


def keyed(call: Call) -> None:
    if not (call.headers.get("x-goog-api-key", "").strip() or call.query.get("key", "").strip()):
        text = "Method doesn't allow unregistered callers (callers without established identity). Please use an API key."
        raise Refusal("permission", text)


def wanted(call: Call, method: str) -> None:
    if call.method != method:
        raise Refusal("method", f"{call.method} is not supported here; use {method}.")


def refuse(call: Call, refusal: Refusal) -> Reply:
    status, _ = ERRORS[refusal.kind]
    body = error(refusal)
    in_array = call.path.endswith(":streamGenerateContent") and call.query.get("alt") != "sse"
    return Reply(encode([body] if in_array else body), status, list(HEADERS))


def error(refusal: Refusal) -> Json:
    status, name = ERRORS[refusal.kind]
    message = refusal.message
    if refusal.kind == "context":
        message = f"The input token count ({CONTEXT}) exceeds the maximum number of tokens allowed (1000000)."
    out: Json = {"code": status, "message": message, "status": name}
    details: list[Json] = []
    if refusal.kind == "invalid" and refusal.param is not None:
        violations = [{"field": refusal.param, "description": message}]
        details.append({"@type": f"{TYPES}.BadRequest", "fieldViolations": violations})
    if refusal.kind == "rate_limit":
        details.append({"@type": f"{TYPES}.QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerMinute"}]})
        details.append({"@type": f"{TYPES}.RetryInfo", "retryDelay": f"{refusal.retry_after or 1}s"})
    return {"error": out | ({"details": details} if details else {})}


# Models


def listed(call: Call) -> Json:
    """A page of models: `pageSize`, `pageToken`."""
    size, start = call.query.get("pageSize", "50"), call.query.get("pageToken", "0")
    if not (size.isdecimal() and start.isdecimal() and int(size[:6]) > 0):
        raise bad("Invalid page size or token.", "page_size")
    first, end = int(start[:6]), int(start[:6]) + int(size[:6])
    more = {"nextPageToken": str(end)} if end < len(MODELS) else {}
    return {"models": [model(name) for name in MODELS[first:end]], **more}


def model(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "A mock.",
        "inputTokenLimit": 1_000_000,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": rules.generation(name) >= (2, 5),
    }


# Content


def count(call: Call, name: str, options: Options) -> Reply:
    schema: Json = {"$ref": "#/$defs/CountTokensRequest"}
    body: Json = normal("gemini", decode(call), schema)
    if fault := violation("gemini", body, "CountTokensRequest"):
        raise rules.structure(fault)
    if ("contents" in body) == ("generateContentRequest" in body):
        raise bad("Exactly one of contents and generate_content_request is needed.", "contents")
    request: Json = body.get("generateContentRequest") or {"contents": body["contents"]}
    if "generateContentRequest" in body and not request.get("model"):
        raise bad(
            "* CountTokensRequest.generate_content_request.model: unexpected model name format", "generate_content_request.model"
        )
    rules.check(request, name, options)
    total = tokens(request)
    return Reply(
        encode({"totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}]}), headers=HEADERS
    )


def generate(call: Call, name: str, options: Options, streamed: bool) -> Reply | Stream:
    body: Json = normal("gemini", decode(call))
    if fault := violation("gemini", body):
        raise rules.structure(fault)
    rules.check(body, name, options)
    ask = read(body, name, call, streamed)
    try:
        answer = play(ask)
    except Refusal as refusal:
        if refusal.kind != "blocked":
            raise
        return delivered(iter([Chunk(encode(blocked(ask)), False)]), call, streamed, Fault())
    writer = Writer(body, ask, answer)
    if not streamed:
        return Reply(encode(writer.whole()), headers=HEADERS, fault=answer.fault)
    return delivered(writer.chunks(), call, streamed, answer.fault)


def delivered(rows: Iterator[Chunk], call: Call, streamed: bool, fault: Fault) -> Reply | Stream:
    """JSON texts as events, as an array in pieces, or the only one as it is."""
    failed = encode(error(Refusal("unavailable", "The service is currently unavailable.")))
    if not streamed:
        return Reply(next(rows).data, headers=HEADERS)
    if call.query.get("alt") == "sse":
        events = (Chunk(b"data: " + row.data + b"\r\n\r\n", row.content) for row in rows)
        return Stream(events, b"data: " + failed + b"\r\n\r\n", HEADERS, "text/event-stream", fault=fault)
    return Stream(array(rows), b",\r\n" + failed + b"\n]", HEADERS, f"{JSON}; charset=UTF-8", fault=fault)


def array(rows: Iterator[Chunk]) -> Iterator[Chunk]:
    before = b"["
    for row in rows:
        yield Chunk(before + row.data, row.content)
        before = b"\n,\r\n"
    yield Chunk(b"\n]" if before != b"[" else b"[]", False)


def blocked(ask: Ask) -> Json:
    used = {"promptTokenCount": ask.prompt_tokens, "totalTokenCount": ask.prompt_tokens}
    return {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": ratings(True)}, "usageMetadata": used, **identity(ask)}


def identity(ask: Ask) -> Json:
    return {"modelVersion": ask.model, "responseId": digest("response", ask.seed)[:22]}


def ratings(blocked_by: bool) -> list[Json]:
    rows: list[Json] = [{"category": harm, "probability": "NEGLIGIBLE"} for harm in HARMS]
    if blocked_by:
        rows[-1] = {"category": HARMS[-1], "probability": "HIGH", "blocked": True}
    return rows


def read(body: Json, name: str, call: Call, streamed: bool) -> Ask:
    contents: list[Json] = body["contents"]
    turn = last_turn(contents)
    config: Json = body.get("generationConfig") or {}
    calling = an_object(an_object(body.get("toolConfig")).get("functionCallingConfig"))
    mode = str(calling.get("mode", "AUTO")).upper()
    hosted = sum(1 for tool in a_list(body.get("tools")) for field in tool if field != "functionDeclarations")
    thinks = an_object(config.get("thinkingConfig"))
    return Ask(
        model=name,
        seed=digest(call.body),
        text="\n".join(part["text"] for part in turn if "text" in part),
        media=[text for content in contents for part in content["parts"] for text in media(part)],
        tools=[] if mode == "NONE" else offered(body, a_list(calling.get("allowedFunctionNames"))),
        hosted=hosted,
        force="any" if mode == "ANY" else None,
        results=[result(part["functionResponse"]) for part in turn if "functionResponse" in part],
        schema=config.get("responseSchema") or config.get("responseJsonSchema"),
        json_mode=config.get("responseMimeType") == JSON,
        stops=list(config.get("stopSequences") or []),
        think=bool(thinks) and thinks.get("thinkingBudget") != 0,
        stream=streamed,
        choices=config.get("candidateCount") or 1,
        prompt_tokens=tokens(body),
    )


def last_turn(contents: list[Json]) -> list[Json]:
    """The parts of all that came after the last content of the model."""
    parts: list[Json] = []
    for content in reversed(contents):
        if content.get("role") == "model":
            break
        parts = [*content["parts"], *parts]
    return parts


def offered(body: Json, names: list[Any]) -> list[Tool]:
    rows = [row for row in rules.declarations(body) if not names or row["name"] in names]
    return [Tool(row["name"], row.get("parameters") or row.get("parametersJsonSchema") or {"type": "object"}) for row in rows]


def result(told: Json) -> Result:
    response: Json = told["response"]
    value = response.get("output", response.get("result", response))
    return Result(told["name"], value if isinstance(value, str) else encode(value).decode())


def media(part: Json) -> Iterator[str]:
    for row in (part, *a_list(an_object(part.get("functionResponse")).get("parts"))):
        if "inlineData" in row:
            blob: Json = row["inlineData"]
            yield f"{sort(blob['mimeType'])} {blob['mimeType']} {len(blob['data'].rstrip('=')) * 3 // 4} bytes"
        if "fileData" in row:
            yield f"{sort(row['fileData'].get('mimeType', ''))} {row['fileData']['fileUri']}"


def sort(mime: str) -> str:
    kind = mime.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "document"


def tokens(body: Json) -> int:
    contents: list[Json] = body["contents"]
    parts: list[Json] = [part for content in contents for part in content["parts"]]
    texts = [part["text"] if "text" in part else "" if any(media(part)) else encode(part).decode() for part in parts]
    texts += ["".join(part.get("text", "") for part in an_object(body.get("systemInstruction")).get("parts", []))]
    texts += [encode(tool).decode() for tool in a_list(body.get("tools"))]
    return prompt_tokens(*texts, messages=len(contents), media=sum(1 for part in parts for _ in media(part)))


class Writer:
    """One answer as a response, or as the responses of a stream."""

    def __init__(self, body: Json, ask: Ask, answer: Answer) -> None:
        self.ask = ask
        self.answer = answer
        config: Json = body.get("generationConfig") or {}
        shown = an_object(config.get("thinkingConfig")).get("includeThoughts") or not ask.think
        self.parts = [part for part in answer.parts if shown or not isinstance(part, Thought)]
        self.newest = rules.generation(ask.model) >= (3, 0)
        self.signs = self.newest or any(isinstance(part, Thought) for part in answer.parts)
        self.logprobs = bool(config.get("responseLogprobs")) or "logprobs" in answer.flags
        self.tops: int = config.get("logprobs") or 0

    def whole(self) -> Json:
        rows = [(part, index) for index, part in enumerate(self.parts)]
        told = [self.part(part, index, "".join(pieces(part))) for part, index in rows if not self.hides(part)]
        if self.signs and told and "text" in told[-1] and not self.calls():
            told[-1]["thoughtSignature"] = self.signature("text")
        choices = [self.candidate(number, told, last=True) for number in range(self.ask.choices)]
        return {"candidates": choices, "usageMetadata": self.usage(self.output()), **identity(self.ask)}

    def hides(self, part: Part) -> bool:
        return isinstance(part, Thought) and part.hidden

    def calls(self) -> list[Use]:
        return [part for part in self.parts if isinstance(part, Use)]

    def part(self, part: Part, index: int, text: str) -> Json:
        match part:
            case Text():
                return {"text": text}
            case Thought():
                return {"text": text, "thought": True}
            case Picture():
                return {"inlineData": {"mimeType": part.mime, "data": part.data}}
            case Use():
                named = {"name": part.name, "args": msgspec.json.decode(part.arguments)}
                out: Json = {"functionCall": {"id": part.id[:8], **named} if self.newest else named}
                if self.signs and part is self.calls()[0]:
                    out["thoughtSignature"] = self.signature(index)
                return out

    def signature(self, where: Any) -> str:
        return seal.token_bytes(rules.ORIGIN, f"{self.ask.seed}{where}")

    def candidate(self, number: int, parts: list[Json], *, last: bool) -> Json:
        if number:
            parts = [self.varied(part, number) for part in parts]
        out: Json = {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}, "index": number}
        finish = FINISH[self.answer.finish]
        if last and finish:
            out["finishReason"] = finish
        if last and self.answer.finish == "filter":
            out["safetyRatings"] = ratings(True)
        if last:
            out |= self.sources()
            out |= self.likelihood() if self.logprobs else {}
        return out

    @staticmethod
    def varied(part: Json, number: int) -> Json:
        """What choice `number` says instead: the same, and that it is a choice."""
        return {**part, "text": f"{part['text']} (choice {number})"} if part.get("text") and not part.get("thought") else part

    def sources(self) -> Json:
        cited = next((part for part in self.parts if isinstance(part, Text) and part.cited), None)
        if cited is None:
            return {}
        uri, title = "https://example.com/source", "Mock source"
        segment = {"startIndex": 0, "endIndex": len(cited.whole.encode()), "text": cited.whole}
        grounding = {
            "webSearchQueries": ["mock"],
            "groundingChunks": [{"web": {"uri": uri, "title": title}}],
            "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
        }
        sources = [{"startIndex": 0, "endIndex": segment["endIndex"], "uri": uri}]
        return {"groundingMetadata": grounding, "citationMetadata": {"citationSources": sources}}

    def likelihood(self) -> Json:
        said = [piece for part in self.parts if isinstance(part, Text) for piece in part.pieces]
        chosen = [{"token": piece, "tokenId": index, "logProbability": -0.1} for index, piece in enumerate(said)]
        tops = [{"candidates": [{**row, "logProbability": -0.1 - rank} for rank in range(self.tops)]} for row in chosen]
        return {"avgLogprobs": -0.1, "logprobsResult": {"chosenCandidates": chosen, "topCandidates": tops}}

    def output(self) -> int:
        return self.answer.usage.output - self.answer.usage.thinking

    def usage(self, output: int) -> Json:
        used = self.answer.usage
        output *= self.ask.choices
        rows = [("TEXT", used.prompt - used.audio), ("AUDIO", used.audio)]
        out: Json = {
            "promptTokenCount": used.prompt,
            "candidatesTokenCount": output,
            "totalTokenCount": used.prompt + output + used.thinking,
            "promptTokensDetails": [{"modality": name, "tokenCount": size} for name, size in rows if size],
        }
        if used.thinking:
            out["thoughtsTokenCount"] = used.thinking
        if used.cached:
            out["cachedContentTokenCount"] = used.cached
            out["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": used.cached}]
        return out

    # The stream

    def chunks(self) -> Iterator[Chunk]:
        said = 0
        for index, part in enumerate(self.parts):
            if self.hides(part):
                continue
            for piece in pieces(part):
                said += 1
                told = self.part(part, index, piece)
                choices = [self.candidate(number, [told], last=False) for number in range(self.ask.choices)]
                yield self.response(choices, min(said, self.output()), True)
        if self.answer.finish == "missing":
            return
        closing: Json = {"text": ""}
        if self.signs and not self.calls():
            closing["thoughtSignature"] = self.signature("text")
        choices = [self.candidate(number, [closing], last=True) for number in range(self.ask.choices)]
        yield self.response(choices, self.output(), False)

    def response(self, choices: list[Json], output: int, content: bool) -> Chunk:
        return Chunk(encode({"candidates": choices, "usageMetadata": self.usage(output), **identity(self.ask)}), content)


def pieces(part: Part) -> tuple[str, ...]:
    """The texts of a part; one, empty, for a part without text."""
    return part.pieces if isinstance(part, Text | Thought) else ("",)


VENDOR: Final = Vendor("gemini", claims, serve, refuse)
