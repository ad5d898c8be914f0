"""Requests that Anthropic's Messages refuses: what is changed in a good one, and the words of the refusal."""

from typing import Any

from interlingua.mock import seal

Json = dict[str, Any]
OLD, NEW = "2023-06-01", "2026-10-21"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
USER: Json = {"role": "user", "content": "Hello"}
HAIKU_45, SONNET_46, OPUS_48, OPUS_55 = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-8", "claude-opus-5-5"
WEATHER: Json = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOSED: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def body(**fields: Any) -> Json:
    return {"model": HAIKU_45, "max_tokens": 4000, "messages": [USER], **fields}


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str = "Hi", **fields: Any) -> Json:
    return {"type": "text", "text": words, **fields}


def use(name: str = "t1", tool: str = "weather") -> Json:
    return {"type": "tool_use", "id": name, "name": tool, "input": {}}


def result(name: str = "t1", **fields: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": name, "content": "mild", **fields}


def thought(words: str = "Hm.", signature: str | None = None) -> Json:
    sealed = seal.over("anthropic", words) if signature is None else signature
    return {"type": "thinking", "thinking": words, "signature": sealed}


def image(**source: Any) -> Json:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL, **source}}


DOCUMENT: Json = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}
FOUND: Json = {"type": "search_result", "source": "https://sea.test/", "title": "The sea", "content": [text("Salt.")]}
CITABLE: Json = {"citations": {"enabled": True}}
MARK: Json = {"type": "ephemeral"}
THINK: Json = {"type": "enabled", "budget_tokens": 1024}
CITED: Json = text(
    citations=[
        {
            "type": "char_location",
            "cited_text": "w",
            "document_index": 0,
            "document_title": None,
            "start_char_index": 0,
            "end_char_index": 1,
        }
    ]
)


def form(schema: Json) -> Json:
    return {"format": {"type": "json_schema", "schema": schema}}


# name -> version, body
GOOD: dict[str, tuple[str, Json]] = {
    "plain": (NEW, body()),
    "all blocks": (
        NEW,
        body(
            system=[text("Be kind.", cache_control=MARK)],
            messages=[
                user(text(), image(), DOCUMENT),
                assistant(text(), use("t1"), use("t2")),
                user(result("t2"), result("t1", content=[text(), image()], is_error=True), text("and?")),
                assistant(text("Mild.", citations=None)),
                USER,
            ],
            tools=[{**WEATHER, "cache_control": MARK}, {"type": "web_search_20260318", "name": "web_search"}],
        ),
    ),
    "search results": (
        NEW,
        body(
            messages=[
                user({**FOUND, **CITABLE, "cache_control": MARK}, text()),
                assistant(use()),
                user(result(content=[{**FOUND, **CITABLE, "content": [text(cache_control=MARK), text()]}])),
            ]
        ),
    ),
    "results in two user messages": (
        NEW,
        body(messages=[USER, assistant(use("t1"), use("t2")), user(result("t1")), user(result("t2"))]),
    ),
    "sampling of the old version": (OLD, body(temperature=0.5, top_k=4)),
    "both samplers before 4.5": (OLD, body(model="claude-sonnet-4-20250514", temperature=0.5, top_p=0.9)),
    "thinking": (NEW, body(thinking=THINK, messages=[USER, assistant(thought(), use()), user(result())], tools=[WEATHER])),
    "redacted thinking": (
        NEW,
        body(messages=[USER, assistant({"type": "redacted_thinking", "data": seal.token("anthropic", "x")}, text()), USER]),
    ),
    "adaptive": (NEW, body(model=OPUS_48, thinking={"type": "adaptive"}, output_config={"effort": "max"})),
    "adaptive, tools without thoughts": (
        NEW,
        body(model=OPUS_48, thinking={"type": "adaptive"}, messages=[USER, assistant(use()), user(result())], tools=[WEATHER]),
    ),
    "between tools": (NEW, body(model=OPUS_55, thinking={"type": "between_tools"})),
    "output form": (NEW, body(output_config=form(CLOSED))),
    "prefill": (NEW, body(messages=[USER, {"role": "assistant", "content": "The answer is"}])),
    "system in the middle": (NEW, body(model=OPUS_55, messages=[USER, {"role": "system", "content": "Now in French."}])),
    "documents of the old version": (OLD, body(messages=[USER, assistant(text(), DOCUMENT), USER])),
    "citations of the old version": (OLD, body(messages=[user(CITED)])),
    "media of every source": (
        NEW,
        body(
            messages=[
                user(
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                    {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
                    {"type": "document", "source": {"type": "content", "content": "words"}},
                )
            ]
        ),
    ),
    "old model": (OLD, body(model="claude-3-5-sonnet-20241022")),
    "preview": (NEW, body(model="claude-mythos-preview")),
    "budget with interleaved thinking": (NEW, body(thinking={"type": "enabled", "budget_tokens": 9000}) | {"betas": True}),
    "a mock's model": (NEW, body(model="mock")),
}

# name -> version, body, words, status
BAD: dict[str, tuple[str, Json, str, int]] = {
    "unknown field": (NEW, body(seed=1), "seed: Extra inputs are not permitted", 400),
    "unknown field of a block": (NEW, body(messages=[user(text(name="x"))]), "messages.0.content.0.name: Extra inputs", 400),
    "no max_tokens": (NEW, {"model": HAIKU_45, "messages": [USER]}, "max_tokens: Field required", 400),
    "max_tokens of the model": (NEW, body(max_tokens=64_001), "max_tokens: 64001 > 64000", 400),
    "max_tokens of Opus 4.1": (NEW, body(model="claude-opus-4-1", max_tokens=32_001), "32001 > 32000", 400),
    "no tokens": (NEW, body(max_tokens=0), "max_tokens", 400),
    "unknown model": (NEW, body(model="gpt-4o"), "model: gpt-4o", 404),
    "unknown role": (NEW, body(messages=[{"role": "tool", "content": "x"}]), "messages.0.role: Input should be", 400),
    "no messages": (NEW, body(messages=[]), "messages: at least one", 400),
    "first message": (NEW, body(messages=[assistant(text()), USER]), "first message must use", 400),
    "empty string": (NEW, body(messages=[{"role": "user", "content": ""}]), "non-empty content", 400),
    "blank string": (NEW, body(messages=[{"role": "user", "content": " \n"}]), "non-empty content", 400),
    "no blocks": (NEW, body(messages=[USER, assistant(), USER]), "messages.1: all messages must have non-empty", 400),
    "empty text": (NEW, body(messages=[user(text(""))]), "text content blocks must be non-empty", 400),
    "blank text": (NEW, body(messages=[user(text(" "))]), "non-whitespace text", 400),
    "empty text in a result": (
        NEW,
        body(messages=[USER, assistant(use()), user(result(content=[text("")]))]),
        "messages.2.content.0.content.0: text content blocks must be non-empty",
        400,
    ),
    "search result of nothing": (NEW, body(messages=[user({**FOUND, "content": []})]), "0.content.0.content: search", 400),
    "empty text in a search result": (
        NEW,
        body(messages=[user({**FOUND, "content": [text("")]})]),
        "content.0.content.0: te",
        400,
    ),
    "empty text in a result's search result": (
        NEW,
        body(messages=[USER, assistant(use()), user(result(content=[{**FOUND, "content": [text(""), text()]}]))]),
        "messages.2.content.0.content.0.content.0: text content blocks must be non-empty",
        400,
    ),
    "search result without a title": (
        NEW,
        body(messages=[user({key: value for key, value in FOUND.items() if key != "title"})]),
        "title: Field required",
        400,
    ),
    "one search result cited of two": (
        NEW,
        body(messages=[user({**FOUND, **CITABLE}), assistant(use()), user(result(content=[FOUND]))]),
        "for all search results or for none",
        400,
    ),
    "five breakpoints, one in a search result": (
        NEW,
        body(messages=[user(*[text(cache_control=MARK) for _ in range(4)], {**FOUND, "content": [text(cache_control=MARK)]})]),
        "Found 5",
        400,
    ),
    "citations of the user's in a search result": (
        NEW,
        body(messages=[user({**FOUND, "content": [CITED]})]),
        "messages.0.content.0.citations",
        400,
    ),
    "form beside search results that are cited": (
        NEW,
        body(messages=[USER, assistant(use()), user(result(content=[{**FOUND, **CITABLE}]))], output_config=form(CLOSED)),
        "citations and an output format",
        400,
    ),
    "empty system": (NEW, body(system=[text("")]), "system.0: text content blocks must be non-empty", 400),
    "system in the middle of an old model": (
        NEW,
        body(messages=[USER, {"role": "system", "content": "x"}]),
        "'system' is not",
        400,
    ),
    "system after the assistant": (
        NEW,
        body(model=OPUS_55, messages=[USER, assistant(text()), {"role": "system", "content": "x"}, USER]),
        "messages.2: a system message must follow",
        400,
    ),
    "image type": (NEW, body(messages=[user(image(media_type="image/tiff"))]), "media_type: Input should be", 400),
    "image bytes": (NEW, body(messages=[user(image(data="???"))]), "invalid base64", 400),
    "image without TLS": (
        NEW,
        body(messages=[user({"type": "image", "source": {"type": "url", "url": "http://a/b.png"}})]),
        "Only HTTPS",
        400,
    ),
    "use unanswered": (NEW, body(messages=[USER, assistant(use())]), "without `tool_result` blocks immediately after: t1", 400),
    "use unanswered before a text": (NEW, body(messages=[USER, assistant(use()), USER]), "immediately after: t1", 400),
    "one of two unanswered": (NEW, body(messages=[USER, assistant(use("t1"), use("t2")), user(result("t1"))]), "after: t2", 400),
    "result of a stranger": (NEW, body(messages=[USER, assistant(use()), user(result("t9"))]), "unexpected `tool_use_id`", 400),
    "result too late": (
        NEW,
        body(messages=[USER, assistant(use()), user(result()), assistant(text()), user(result())]),
        "unexpected `tool_use_id`",
        400,
    ),
    "result twice": (NEW, body(messages=[USER, assistant(use()), user(result(), result())]), "single result", 400),
    "result after a text": (NEW, body(messages=[USER, assistant(use()), user(text(), result())]), "must come first", 400),
    "use id twice": (
        NEW,
        body(messages=[USER, assistant(use()), user(result()), assistant(use()), user(result())]),
        "must be unique",
        400,
    ),
    "use by the user": (NEW, body(messages=[user(use())]), "assistant messages", 400),
    "tool name in the history": (NEW, body(messages=[USER, assistant(use(tool="a b")), user(result())]), "name: String", 400),
    "foreign signature": (
        NEW,
        body(messages=[USER, assistant(thought(signature="abc"), text()), USER]),
        "Invalid `signature`",
        400,
    ),
    "signature of other words": (
        NEW,
        body(messages=[USER, assistant(thought("Hm!", seal.over("anthropic", "Hm."))), USER]),
        "Invalid `signature` in `thinking` block",
        400,
    ),
    "foreign redaction": (
        NEW,
        body(messages=[USER, assistant({"type": "redacted_thinking", "data": "x"}, text()), USER]),
        "redacted_thinking",
        400,
    ),
    "small budget": (NEW, body(thinking={"type": "enabled", "budget_tokens": 1023}), "1024", 400),
    "budget over the limit": (NEW, body(thinking={"type": "enabled", "budget_tokens": 4000}), "greater than", 400),
    "budget of an adaptive model": (NEW, body(model=OPUS_48, thinking=THINK), "'enabled' is not supported", 400),
    "adaptive on an old model": (NEW, body(thinking={"type": "adaptive"}), "'adaptive' is not supported", 400),
    "thinking cannot be disabled": (NEW, body(model=OPUS_55, thinking={"type": "disabled"}), "'disabled' is not", 400),
    "tools without a thought": (
        NEW,
        body(thinking=THINK, messages=[USER, assistant(text(), use()), user(result())], tools=[WEATHER]),
        "Expected `thinking` or `redacted_thinking`, but found `text`",
        400,
    ),
    "thinking and a forced tool": (NEW, body(thinking=THINK, tools=[WEATHER], tool_choice={"type": "any"}), "forces", 400),
    "forced tool of Opus 5.5": (NEW, body(model=OPUS_55, tools=[WEATHER], tool_choice={"type": "any"}), "'any' is not", 400),
    "tool name": (NEW, body(tools=[{**WEATHER, "name": "a b"}]), "tools.0.custom.name", 400),
    "tool schema": (NEW, body(tools=[{**WEATHER, "input_schema": {"type": "string"}}]), "input_schema.type", 400),
    "tool name twice": (NEW, body(tools=[WEATHER, WEATHER]), "must be unique", 400),
    "strict tool left open": (NEW, body(tools=[{**WEATHER, "strict": True}]), "additionalProperties", 400),
    "choice without tools": (NEW, body(tool_choice={"type": "auto"}), "while providing tools", 400),
    "choice of a stranger": (NEW, body(tools=[WEATHER], tool_choice={"type": "tool", "name": "x"}), "'x' not found", 400),
    "five breakpoints": (NEW, body(messages=[user(*[text(cache_control=MARK) for _ in range(5)])]), "Found 5", 400),
    "temperature of the new version": (NEW, body(temperature=1), "temperature: Extra inputs are not permitted", 400),
    "top_k of the new version": (NEW, body(top_k=4), "top_k: Extra inputs are not permitted", 400),
    "temperature range": (OLD, body(temperature=1.5), "less than or equal to 1", 400),
    "temperature type": (OLD, body(temperature="hot"), "valid number", 400),
    "both samplers": (OLD, body(temperature=0.5, top_p=0.5), "cannot both be specified", 400),
    "sampling of a new model": (OLD, body(model=OPUS_48, temperature=1), "temperature", 400),
    "document of the assistant": (
        NEW,
        body(messages=[USER, assistant(text(), DOCUMENT), USER]),
        "messages.1.content.1: document",
        400,
    ),
    "citations of the user": (NEW, body(messages=[user(CITED)]), "messages.0.content.0.citations", 400),
    "prefill ends in a space": (NEW, body(messages=[USER, {"role": "assistant", "content": "The "}]), "trailing whitespace", 400),
    "prefill from 4.6 on": (NEW, body(model=SONNET_46, messages=[USER, assistant(text())]), "prefill", 400),
    "prefill with thinking": (NEW, body(thinking=THINK, messages=[USER, assistant(thought(), text())]), "Prefill", 400),
    "open form": (NEW, body(output_config=form({"type": "object"})), "additionalProperties", 400),
    "form with bounds": (
        NEW,
        body(output_config=form({**CLOSED, "properties": {"a": {"type": "integer", "minimum": 1}}})),
        "output_config.format.schema.properties.a: For 'integer' type, properties minimum are not supported",
        400,
    ),
    **{
        f"form with {name}": (
            NEW,
            body(output_config=form({**CLOSED, "properties": {"a": part}})),
            f"output_config.format.schema.properties.a{where}: For '{kind}' type",
            400,
        )
        for name, part, where, kind in [
            ("an open item", {"type": "array", "items": {"type": "object"}}, ".items", "object"),
            ("an open choice", {"anyOf": [{"type": "null"}, {"type": "object"}]}, ".anyOf.1", "object"),
            ("two items at least", {"type": "array", "minItems": 2}, "", "array"),
            ("a length", {"type": ["null", "string"], "maxLength": 2}, "", "string"),
        ]
    },
    "form beside citations": (
        NEW,
        body(messages=[user({**DOCUMENT, "citations": {"enabled": True}})], output_config=form(CLOSED)),
        "citations and an output format",
        400,
    ),
    "result by the assistant": (NEW, body(messages=[USER, assistant(result())]), "can only be in user messages", 400),
    "empty image": (NEW, body(messages=[user(image(data=""))]), "the file is empty", 400),
    "negative top_k": (OLD, body(top_k=-1), "greater than or equal to 0", 400),
    "form of an old model": (NEW, body(model="claude-sonnet-4-20250514", output_config=form(CLOSED)), "does not support", 400),
    "effort of an old model": (NEW, body(output_config={"effort": "low"}), "effort parameter", 400),
    "effort too high": (NEW, body(model=SONNET_46, output_config={"effort": "xhigh"}), "'xhigh'", 400),
    "blank stop": (NEW, body(stop_sequences=["\n"]), "stop_sequences.0", 400),
    "user id": (NEW, body(metadata={"user_id": "x" * 257}), "metadata.user_id", 400),
}
