"""Requests that OpenAI's Chat Completions refuses: what is changed in a good one, and the field and words of the refusal."""

from typing import Any

Json = dict[str, Any]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
USER: Json = {"role": "user", "content": "Hello"}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def body(**fields: Any) -> Json:
    return {"model": "gpt-4o", "messages": [USER], **fields}


def called(*ids: str) -> Json:
    calls = [{"id": name, "type": "function", "function": {"name": "weather", "arguments": "{}"}} for name in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def told(name: str) -> Json:
    return {"role": "tool", "tool_call_id": name, "content": "mild"}


def user(*parts: Json) -> Json:
    return body(messages=[{"role": "user", "content": list(parts)}])


def image(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def tool(**function: Any) -> Json:
    return {"type": "function", "function": {"name": "weather", **function}}


def schema_format(schema: Json, **more: Any) -> Json:
    return body(
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True, **more}}
    )


CLOSED: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
REASONING = {"model": "gpt-5.5"}

GOOD: dict[str, Json] = {
    "plain": body(),
    "all roles": body(
        messages=[
            {"role": "developer", "content": "Be kind."},
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}], "name": "boss"},
            {"role": "user", "content": "Hi", "name": "ada"},
            called("c1", "c2"),
            told("c2"),
            told("c1"),
            {"role": "assistant", "content": "Mild.", "refusal": None, "annotations": [], "audio": None},
            USER,
        ],
        tools=[WEATHER],
    ),
    "media": user(
        {"type": "text", "text": "See"},
        image("https://example.com/a.png"),
        image(f"data:image/png;base64,{PIXEL}"),
        {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PIXEL}"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ),
    "strict tool": body(
        tools=[tool(strict=True, parameters=CLOSED)], tool_choice={"type": "function", "function": {"name": "weather"}}
    ),
    "custom tool": body(tools=[{"type": "custom", "custom": {"name": "shell"}}]),
    "allowed tools": body(
        tools=[WEATHER, tool(name="time")],
        tool_choice={
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "time"}}]},
        },
    ),
    "choice none without tools": body(tool_choice="none"),
    "json object": body(messages=[{"role": "user", "content": "JSON please"}], response_format={"type": "json_object"}),
    "json schema": schema_format(CLOSED),
    "sampling": body(temperature=0.5, top_p=0.9, stop=["a", "b", "c", "d"], n=2, logprobs=True, top_logprobs=3, seed=1),
    "reasoning": body(**REASONING, max_completion_tokens=10, reasoning_effort="high", verbosity="low", temperature=1),
    "gpt-5.1 without reasoning": body(model="gpt-5.1", reasoning_effort="none", temperature=0.2),
    "tools without effort": body(**REASONING, tools=[WEATHER], reasoning_effort="none"),
    "streamed": body(stream=True, stream_options={"include_usage": True}),
    "cache breakpoint": user({"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}),
    "a mock's model": body(model="mock-text"),
}

# name -> body, param, words of the message, status
BAD: dict[str, tuple[Json, str | None, str, int]] = {
    "unknown field": (body(top_k=4), "top_k", "Unknown parameter", 400),
    "unknown field of a message": (body(messages=[{**USER, "cache_control": {}}]), "messages[0].cache_control", "Unknown", 400),
    "extra content": (
        body(messages=[USER, {"role": "assistant", "content": "x", "extra_content": {}}, USER]),
        "messages[1].extra_content",
        "Unknown parameter",
        400,
    ),
    "no messages field": ({"model": "gpt-4o"}, "messages", "Missing required parameter", 400),
    "no messages": (body(messages=[]), "messages", "empty array", 400),
    "messages of a wrong type": (body(messages="hi"), "messages", "Invalid type", 400),
    "no model": ({"messages": [USER]}, "model", "Missing required parameter", 400),
    "unknown model": (body(model="claude-opus-5"), None, "does not exist", 404),
    "unknown role": (body(messages=[{"role": "robot", "content": "x"}]), "messages[0].role", "Supported values", 400),
    "no content": (body(messages=[{"role": "user"}]), "messages[0].content", "Missing", 400),
    "empty content": (body(messages=[{"role": "user", "content": []}]), "messages[0].content", "empty array", 400),
    "empty assistant": (body(messages=[{"role": "assistant", "content": None}, USER]), "messages[0].content", "null", 400),
    "unknown part": (user({"type": "video_url", "video_url": {"url": "x"}}), "messages[0].content[0].type", "Invalid value", 400),
    "speaker's name": (body(messages=[{**USER, "name": "Ada Lovelace"}]), "messages[0].name", "pattern", 400),
    "tool message alone": (body(messages=[USER, told("c1")]), "messages[1].role", "preceding message", 400),
    "tool message for another call": (body(messages=[USER, called("c1"), told("c9")]), "messages[2].tool_call_id", "c9", 400),
    "tool message twice": (body(messages=[USER, called("c1"), told("c1"), told("c1")]), "messages[3].tool_call_id", "c1", 400),
    "call unanswered at the end": (body(messages=[USER, called("c1")]), "messages", "c1", 400),
    "call unanswered before the next turn": (
        body(messages=[USER, called("c1", "c2"), told("c1"), USER]),
        "messages[3]",
        "c2",
        400,
    ),
    "call id too long": (body(messages=[USER, called("c" * 65)]), "messages[1].tool_calls[0].id", "maximum length 64", 400),
    "call id twice": (body(messages=[USER, called("c1", "c1")]), "messages[1].tool_calls[1].id", "twice", 400),
    "empty tool calls": (
        body(messages=[{"role": "assistant", "content": "x", "tool_calls": []}, USER]),
        "messages[0].tool_calls",
        "empty array",
        400,
    ),
    "image scheme": (user(image("ftp://a/b.png")), "messages[0].content[0].image_url.url", "data URL", 400),
    "image type": (user(image("data:image/tiff;base64,AAAA")), "messages[0].content[0].image_url.url", "unsupported image", 400),
    "image bytes": (user(image("data:image/png;base64,???")), "messages[0].content[0].image_url.url", "base64", 400),
    "audio bytes": (
        user({"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}),
        "messages[0].content[0].input_audio.data",
        "base64",
        400,
    ),
    "file without a name": (
        user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}),
        "messages[0].content[0].file.filename",
        "Missing",
        400,
    ),
    "file of nothing": (user({"type": "file", "file": {}}), "messages[0].content[0].file", "exactly one", 400),
    "file that is no data URL": (
        user({"type": "file", "file": {"file_data": "AAAA", "filename": "a"}}),
        "messages[0].content[0].file.file_data",
        "data URL",
        400,
    ),
    "empty tools": (body(tools=[]), "tools", "empty array", 400),
    "too many tools": (body(tools=[tool(name=f"t{i}") for i in range(129)]), "tools", "at most 128", 400),
    "tool name": (body(tools=[tool(name="a b")]), "tools[0].function.name", "pattern", 400),
    "long tool name": (body(tools=[tool(name="a" * 65)]), "tools[0].function.name", "pattern", 400),
    "tool name twice": (body(tools=[WEATHER, WEATHER]), "tools[1].function.name", "twice", 400),
    "tool schema": (body(tools=[tool(parameters={"type": "string"})]), "tools[0].function.parameters", "object", 400),
    "strict tool left open": (
        body(tools=[tool(strict=True, parameters={"type": "object", "properties": {}})]),
        "tools[0].function.parameters",
        "additionalProperties",
        400,
    ),
    "strict tool with an optional": (
        body(tools=[tool(strict=True, parameters={**CLOSED, "required": []})]),
        "tools[0].function.parameters",
        "required",
        400,
    ),
    "choice without tools": (body(tool_choice="auto"), "tool_choice", "only allowed", 400),
    "parallel without tools": (body(parallel_tool_calls=True), "parallel_tool_calls", "only allowed", 400),
    "choice of a stranger": (
        body(tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "x"}}),
        "tool_choice",
        "'x'",
        400,
    ),
    "json object unasked": (body(response_format={"type": "json_object"}), "messages", "'json'", 400),
    "schema name": (schema_format(CLOSED, name="a b"), "response_format.json_schema.name", "pattern", 400),
    "no schema": (
        body(response_format={"type": "json_schema", "json_schema": {"name": "a"}}),
        "response_format.json_schema.schema",
        "Missing",
        400,
    ),
    "strict schema left open": (schema_format({"type": "object"}), "response_format.json_schema", "additionalProperties", 400),
    "strict schema open inside": (
        schema_format({**CLOSED, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}),
        "response_format.json_schema",
        "/properties/a/items",
        400,
    ),
    "strict schema open in a choice": (
        schema_format({**CLOSED, "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "object"}]}}}),
        "response_format.json_schema",
        "/properties/a/anyOf/1",
        400,
    ),
    "strict schema that is no object": (schema_format({"type": "array"}), "response_format.json_schema", "object", 400),
    "temperature": (body(temperature=2.1), "temperature", "<= 2", 400),
    "top_p": (body(top_p=-1), "top_p", ">= 0", 400),
    "n": (body(n=0), "n", ">= 1", 400),
    "five stops": (body(stop=list("abcde")), "stop", "at most 4", 400),
    "metadata": (body(metadata={"k" * 65: "v"}), "metadata", "at most 16", 400),
    "max_tokens of a reasoning model": (body(**REASONING, max_tokens=9), "max_tokens", "max_completion_tokens", 400),
    "max_tokens of an o model": (body(model="o3", max_tokens=9), "max_tokens", "Unsupported", 400),
    "temperature of a reasoning model": (body(**REASONING, temperature=0.2), "temperature", "Unsupported value", 400),
    "top_p of a reasoning model": (body(**REASONING, top_p=0.2), "top_p", "Unsupported parameter", 400),
    "stop of a reasoning model": (body(model="o4-mini", stop="a"), "stop", "Unsupported parameter", 400),
    "logprobs of a reasoning model": (body(**REASONING, logprobs=True), "logprobs", "Unsupported parameter", 400),
    "effort of a plain model": (body(reasoning_effort="low"), "reasoning_effort", "Unrecognized", 400),
    "verbosity of a plain model": (body(verbosity="low"), "verbosity", "medium", 400),
    "tools with effort": (body(**REASONING, tools=[WEATHER], reasoning_effort="low"), "reasoning_effort", "/v1/responses", 400),
    "both limits": (body(max_tokens=1, max_completion_tokens=1), "max_tokens", "same time", 400),
    "top_logprobs alone": (body(top_logprobs=1), "top_logprobs", "logprobs", 400),
    "stream options alone": (body(stream_options={"include_usage": True}), "stream_options", "stream", 400),
    "audio without a voice": (body(modalities=["text", "audio"]), "audio", "Missing", 400),
    "functions and tools": (body(tools=[WEATHER], functions=[{"name": "f"}]), "functions", "together", 400),
}
