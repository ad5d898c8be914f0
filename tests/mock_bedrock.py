"""Requests that Bedrock's Converse takes, and those that it refuses with the words of the refusal."""

from typing import Any

from bedrock_cases import (
    CITY,
    CLAUDE,
    LLAMA,
    MARK,
    MISTRAL,
    NEWEST,
    NOVA,
    NOVA_2,
    OLD,
    SEARCHED,
    WEATHER,
    assistant,
    document,
    image,
    result,
    use,
    user,
)

from interlingua.mock import seal

Json = dict[str, Any]

TOOLS: Json = {"tools": [WEATHER]}
EMPTY: Json = {"type": "object", "properties": {}, "additionalProperties": False}


def body(*messages: Json, **fields: Any) -> Json:
    return {"messages": list(messages) or [user("Hello")], **fields}


def thought(words: str = "Hm.", signature: str | None = None) -> Json:
    sealed = seal.over("anthropic", words) if signature is None else signature
    return {"reasoningContent": {"reasoningText": {"text": words, "signature": sealed}}}


def thinks(**said: Any) -> Json:
    return {"additionalModelRequestFields": {"thinking": said}}


def form(schema: str) -> Json:
    return {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema}}}}}


def tool(**spec: Any) -> Json:
    return {"toolSpec": {"name": "f", "inputSchema": {"json": CITY}, **spec}}


SEEN: Json = SEARCHED["searchResult"]
CITES: Json = {"location": {"searchResultLocation": {"searchResultIndex": 0, "start": 0, "end": 1}}}
CALLED = (user("q"), assistant(use()))

# name -> model, body
GOOD: dict[str, tuple[str, Json]] = {
    "plain": (CLAUDE, body()),
    "all blocks": (
        CLAUDE,
        body(
            user("Look", image(), document(), MARK),
            assistant(thought(), "I call", use("a"), use("b")),
            user(result("b", {"json": {}}, status="error"), result("a", {"text": ""}, image(), document("in")), MARK, "and?"),
            system=[{"text": "Be kind."}, MARK],
            toolConfig={"tools": [WEATHER, MARK], "toolChoice": {"any": {}}},
        ),
    ),
    "search results": (CLAUDE, body(user(SEARCHED, "q"), assistant(use()), user(result("t1", SEARCHED)), toolConfig=TOOLS)),
    "redacted": (
        CLAUDE,
        body(user("q"), assistant({"reasoningContent": {"redactedContent": seal.token_bytes("anthropic", "x")}}, "r"), user("s")),
    ),
    "thinking": (CLAUDE, body(**thinks(type="enabled", budget_tokens=2048))),
    "adaptive": (NEWEST, body(**thinks(type="adaptive"), outputConfig={"effort": "max"})),
    "an output format": (CLAUDE, body(**form('{"type":"object","properties":{},"additionalProperties":false}'))),
    "a strict tool": (CLAUDE, body(toolConfig={"tools": [tool(strict=True, inputSchema={"json": EMPTY})]})),
    "Nova": (NOVA, body(user("q", MARK), additionalModelRequestFields={"inferenceConfig": {"topK": 4}})),
    "Nova 2": (NOVA_2, body(additionalModelRequestFields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}})),
    "Llama": (LLAMA, body(*CALLED, user(result("t1", {"text": "mild"})), toolConfig=TOOLS)),
    "Mistral": (MISTRAL, body(additionalModelRequestFields={"top_k": 4}, toolConfig={**TOOLS, "toolChoice": {"any": {}}})),
    "a prompt of the account's": ("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc", body()),
}

# name -> model, body, words
BAD: dict[str, tuple[str, Json, str]] = {
    "an unknown field": (CLAUDE, body(temperature=1), "'temperature' is not a member"),
    "a block of two kinds": (CLAUDE, body(user({"text": "a", **image()})), "failed to satisfy constraint: 1"),
    "a missing field": (CLAUDE, body(user({"toolUse": {"name": "f", "input": {}}})), "messages.0.content.0.toolUse.toolUseId"),
    "a wrong type": (CLAUDE, body(inferenceConfig={"maxTokens": "1"}), "can not be read as integer"),
    "a value out of range": (CLAUDE, body(inferenceConfig={"temperature": 1.5}), "inferenceConfig.temperature"),
    "a name out of the alphabet": (CLAUDE, body(toolConfig={"tools": [tool(name="a.b")]}), "toolSpec.name"),
    "a cache of a day": (CLAUDE, body(user("a", {"cachePoint": {"type": "default", "ttl": "1d"}})), "cachePoint.ttl"),
    "bytes that are none": (CLAUDE, body(user("a", image(bytes="_-"))), "source.bytes"),
    "an unknown model": ("gpt-4o", body(), "model identifier is invalid"),
    "no messages": (CLAUDE, {"messages": []}, "must not be empty"),
    "an assistant first": (CLAUDE, body(assistant("a")), "must start with a user message"),
    "two users": (CLAUDE, body(user("a"), user("b")), "must alternate"),
    "a system message": (
        CLAUDE,
        body(user("a"), {"role": "system", "content": [{"text": "b"}]}),
        "system message is not supported",
    ),
    "an empty turn": (CLAUDE, body(user()), "is empty"),
    "blank text": (CLAUDE, body(user(" ")), "messages.0.content.0 is blank"),
    "a blank system": (CLAUDE, body(system=[{"text": " "}]), "system.0 is blank"),
    "a video to Claude": (
        CLAUDE,
        body(user("a", {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}})),
        "video content block",
    ),
    "a false signature": (CLAUDE, body(user("a"), assistant(thought(signature="x"), "b"), user("c")), "Invalid `signature`"),
    "a false redaction": (
        CLAUDE,
        body(user("a"), assistant({"reasoningContent": {"redactedContent": "AAAA"}}, "b"), user("c")),
        "Invalid `data`",
    ),
    "an input that is no object": (
        CLAUDE,
        body(user("a"), assistant({"toolUse": {"toolUseId": "t1", "name": "f", "input": "x"}}), user(result()), toolConfig=TOOLS),
        "Provide a json object",
    ),
    "a status to Llama": (LLAMA, body(*CALLED, user(result(status="error")), toolConfig=TOOLS), "support the status"),
    "an assistant's image": (CLAUDE, body(user("a"), assistant("b", image()), user("c")), "only be in messages of the user role"),
    "a user's call": (CLAUDE, body(user(use()), toolConfig=TOOLS), "assistant role"),
    "an assistant's result": (CLAUDE, body(user("a"), assistant(result()), toolConfig=TOOLS), "user role"),
    "words beside results": (NOVA, body(*CALLED, user(result(), "b"), toolConfig=TOOLS), "tool result blocks cannot be provided"),
    "words beside calls": (
        LLAMA,
        body(user("a"), assistant("b", use()), user(result()), toolConfig=TOOLS),
        "tool use blocks cannot",
    ),
    "a result too many": (CLAUDE, body(*CALLED, user(result(), result("t2")), toolConfig=TOOLS), "exceeds the number of toolUse"),
    "a result too few": (CLAUDE, body(*CALLED, user("b"), toolConfig=TOOLS), "for the following Ids: t1"),
    "calls unanswered": (CLAUDE, body(*CALLED, toolConfig=TOOLS), "messages.2.content for the following Ids: t1"),
    "a result after words": (CLAUDE, body(*CALLED, user("b", result()), toolConfig=TOOLS), "must come first"),
    "one id twice": (
        CLAUDE,
        body(user("a"), assistant(use(), use()), user(result(), result()), toolConfig=TOOLS),
        "must be unique",
    ),
    "a document alone": (CLAUDE, body(user(document())), "A text block must be included"),
    "a document's name": (CLAUDE, body(user("a", document("a_b.pdf"))), "can only contain alphanumeric"),
    "two spaces": (CLAUDE, body(user("a", document("a  b"))), "one consecutive whitespace"),
    "one name twice": (CLAUDE, body(user("a", document(), document())), "must be unique"),
    "citations in a result": (
        CLAUDE,
        body(*CALLED, user(result("t1", document(citations={"enabled": True}))), toolConfig=TOOLS),
        "not supported in tool result documents",
    ),
    "citations of Nova's": (NOVA, body(user("a", document(citations={"enabled": True}))), "doesn't support citations"),
    "citations of a page": (
        CLAUDE,
        body(user("a", document(format="html", citations={"enabled": True}))),
        "Only txt and pdf formats",
    ),
    "citations of a text in bytes": (
        CLAUDE,
        body(user("a", document(format="txt", citations={"enabled": True}))),
        "The PDF specified was not valid",
    ),
    "a text as such that is not cited": (
        CLAUDE,
        body(user("a", document(format="txt", source={"text": "t"}))),
        "when citations are enabled",
    ),
    "a search result to Nova": (NOVA, body(user("a", SEARCHED)), "support the searchResult"),
    "a search result in a result to Llama": (
        LLAMA,
        body(*CALLED, user(result("t1", SEARCHED)), toolConfig=TOOLS),
        "support the searchResult",
    ),
    "a search result of nothing": (CLAUDE, body(user({"searchResult": {**SEEN, "content": []}})), "at least one text block"),
    "a blank search result": (CLAUDE, body(user({"searchResult": {**SEEN, "content": [{"text": " "}]}})), "none blank"),
    "a search result without a source": (
        CLAUDE,
        body(user({"searchResult": {key: value for key, value in SEEN.items() if key != "source"}})),
        "searchResult.source",
    ),
    "one search result cited of two": (
        CLAUDE,
        body(user(SEARCHED, {"searchResult": {**SEEN, "citations": {"enabled": False}}})),
        "for all search results or for none",
    ),
    "a search result cited in the history": (
        CLAUDE,
        body(user("a"), assistant({"citationsContent": {"content": [{"text": "w"}], "citations": [CITES]}}), user("b")),
        "type: Field required",
    ),
    "six documents": (CLAUDE, body(user("a", *(document(f"d{i}") for i in range(6)))), "5 documents"),
    "tools undefined": (CLAUDE, body(*CALLED, user(result())), "toolConfig field must be defined"),
    "two tools of one name": (CLAUDE, body(toolConfig={"tools": [WEATHER, WEATHER]}), "Tool names must be unique"),
    "a schema of no object": (
        CLAUDE,
        body(toolConfig={"tools": [tool(inputSchema={"json": {}})]}),
        "must be one of the following: object",
    ),
    "a strict tool to Nova": (NOVA, body(toolConfig={"tools": [tool(strict=True)]}), "strict tools"),
    "a strict tool left open": (CLAUDE, body(toolConfig={"tools": [tool(strict=True)]}), "'additionalProperties' must be"),
    "a choice of an unknown": (CLAUDE, body(toolConfig={**TOOLS, "toolChoice": {"tool": {"name": "g"}}}), "is not defined"),
    "a choice that Llama has not": (LLAMA, body(toolConfig={**TOOLS, "toolChoice": {"any": {}}}), "toolChoice.any field"),
    "a cache that Llama has not": (LLAMA, body(user("a", MARK)), "did not allow prompt caching"),
    "a cache of tools for Nova": (NOVA, body(toolConfig={"tools": [WEATHER, MARK]}), "did not allow prompt caching"),
    "a mark after reasoning": (CLAUDE, body(user("a"), assistant("b", thought(), MARK), user("c")), "after reasoning block"),
    "a mark after a text document": (
        CLAUDE,
        body(user("a", {"document": {"format": "txt", "name": "n", "source": {"bytes": "AAAA"}}}, MARK)),
        "type: Field required",
    ),
    "five marks": (CLAUDE, body(user(*(block for _ in range(5) for block in ("a", MARK)))), "maximum of 4 cache points"),
    "both samplers": (CLAUDE, body(inferenceConfig={"temperature": 0.5, "topP": 0.5}), "cannot both be specified"),
    "a sampler": (NEWEST, body(inferenceConfig={"temperature": 0.5}), "not supported for this model"),
    "too many tokens": (CLAUDE, body(inferenceConfig={"maxTokens": 64_001}), "exceeds the model limit of 64000"),
    "a blank stop": (CLAUDE, body(inferenceConfig={"stopSequences": [" "]}), "is blank"),
    "another model's field": (NOVA, body(additionalModelRequestFields={"top_k": 4}), "extraneous key [top_k]"),
    "top_k": (NEWEST, body(additionalModelRequestFields={"top_k": 4}), "`top_k` is not supported"),
    "a budget to an adaptive model": (NEWEST, body(**thinks(type="enabled", budget_tokens=2048)), "thinking.type.enabled"),
    "a budget too small": (CLAUDE, body(**thinks(type="enabled", budget_tokens=5)), "budget_tokens"),
    "adaptive thinking too early": (OLD, body(**thinks(type="adaptive")), "not supported on this model"),
    "thinking and a forced tool": (
        CLAUDE,
        body(**thinks(type="enabled", budget_tokens=2048), toolConfig={**TOOLS, "toolChoice": {"any": {}}}),
        "tool_choice forces tool use",
    ),
    "tools without their thoughts": (
        CLAUDE,
        body(*CALLED, user(result()), **thinks(type="enabled", budget_tokens=2048), toolConfig=TOOLS),
        "Expected `thinking`",
    ),
    "an effort born later": (CLAUDE, body(outputConfig={"effort": "utmost"}), "must be one of"),
    "an effort too early": (OLD, body(outputConfig={"effort": "low"}), "outputConfig.effort"),
    "a format that Nova has not": (NOVA, body(**form("{}")), "outputConfig.textFormat"),
    "a schema that is no JSON": (CLAUDE, body(**form("{")), "is not a valid JSON schema"),
    "a schema left open": (CLAUDE, body(**form('{"type":"object"}')), "'additionalProperties' must be"),
}
