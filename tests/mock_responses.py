"""Requests that OpenAI's Responses API refuses: what is changed in a good one, and the field and words of the refusal."""

from typing import Any

Json = dict[str, Any]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CLOSED: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
WEATHER: Json = {"type": "function", "name": "weather", "parameters": CLOSED, "strict": True}
REASONING = {"model": "gpt-5.5"}


def body(**fields: Any) -> Json:
    return {"model": "gpt-4o", "input": "Hello", **fields}


def items(*said: Json) -> Json:
    return body(input=list(said))


def user(*parts: Json) -> Json:
    return {"role": "user", "content": list(parts)}


def called(call_id: str = "c1", **more: Any) -> Json:
    return {"type": "function_call", "call_id": call_id, "name": "weather", "arguments": "{}", **more}


def result(call_id: str = "c1") -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": "mild"}


def tool(**fields: Any) -> Json:
    return {"type": "function", "name": "weather", "parameters": CLOSED, "strict": False, **fields}


def form(**fields: Any) -> Json:
    return body(text={"format": {"type": "json_schema", "name": "x", "schema": CLOSED, "strict": True, **fields}})


HELLO = user({"type": "input_text", "text": "Hello"})
SAID: Json = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
}

GOOD: dict[str, Json] = {
    "plain": body(),
    "all roles": items({"role": "developer", "content": "Be kind."}, {"role": "system", "content": "x"}, HELLO, SAID, HELLO),
    "calls": items(HELLO, called(), called("c2"), result("c2"), result()),
    "custom call": items(
        HELLO,
        {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
    ),
    "media": items(
        user(
            {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PIXEL}"},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        )
    ),
    "tools": body(
        tools=[
            WEATHER,
            {"type": "custom", "name": "patch"},
            {"type": "web_search"},
            {"type": "namespace", "name": "crm", "description": "d", "tools": [{"type": "function", "name": "weather"}]},
        ],
        tool_choice={"type": "function", "name": "weather"},
    ),
    "allowed tools": body(
        tools=[WEATHER, tool(name="time")],
        tool_choice={"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "time"}]},
    ),
    "json object": body(input="JSON please", text={"format": {"type": "json_object"}}),
    "json schema": form(),
    "sampling": body(temperature=0.5, top_p=0.9, top_logprobs=3, include=["message.output_text.logprobs"]),
    "reasoning": body(**REASONING, reasoning={"effort": "high", "summary": "auto"}, include=["reasoning.encrypted_content"]),
    "streamed": body(stream=True, stream_options={"include_obfuscation": False}),
    "prompt": {"model": "gpt-4o", "prompt": {"id": "pmpt_1"}},
    "a mock's model": body(model="mock-text"),
}

# name -> body, param, words of the message, status
BAD: dict[str, tuple[Json, str | None, str, int]] = {
    "unknown field": (body(stop="x"), "stop", "Unknown parameter", 400),
    "chat's words": ({"model": "gpt-4o", "messages": []}, "messages", "Unknown parameter", 400),
    "no input": ({"model": "gpt-4o"}, "input", "Missing required parameter", 400),
    "empty input": (body(input=[]), "input", "Missing required parameter", 400),
    "no model": ({"input": "x"}, "model", "Missing required parameter", 400),
    "unknown model": (body(model="claude-opus-5"), None, "does not exist", 404),
    "unknown item": (items({"type": "born_later"}), "input[0].type", "Supported values", 400),
    "unknown part": (items(user({"type": "input_audio", "input_audio": {}})), "input[0].content[0].type", "Invalid", 400),
    "a user's output": (
        items({"type": "message", **user({"type": "output_text", "text": "x", "annotations": []})}),
        "input[0].content[0].type",
        "input_text",
        400,
    ),
    "an assistant's input": (
        items({"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "x"}]}),
        "input[0].content[0].type",
        "output_text",
        400,
    ),
    "message without a role": (items({"type": "message", "content": "x"}), "input[0].role", "Missing", 400),
    "message without content": (items({"role": "user"}), "input[0].content", "Missing", 400),
    "wrong id": (items(HELLO, {**SAID, "id": "chatcmpl-1"}, HELLO), "input[1].id", "begins with 'msg'", 400),
    "wrong call's id": (items(HELLO, called(id="toolu_1"), result()), "input[1].id", "begins with 'fc'", 400),
    "call without output": (items(HELLO, called()), "input", "No tool output found", 400),
    "output without call": (items(HELLO, result("c9")), "input[1]", "No tool call found", 400),
    "call id too long": (items(HELLO, called("c" * 65), result("c" * 65)), "input[1].call_id", "maximum length 64", 400),
    "name of a call": (items(HELLO, called(name="a b"), result()), "input[1].name", "pattern", 400),
    "foreign seal": (
        items(HELLO, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "il1.x"}, SAID),
        None,
        "could not be verified",
        400,
    ),
    "forgotten reasoning": (items(HELLO, {"type": "reasoning", "id": "rs_1", "summary": []}, SAID), "input", "not found", 404),
    "forgotten item": (items(HELLO, {"type": "item_reference", "id": "msg_9"}), "input", "not found", 404),
    "unknown response": (body(previous_response_id="resp_9"), "previous_response_id", "not found", 404),
    "two histories": (body(conversation="conv_1", previous_response_id="resp_9"), "conversation", "used together", 400),
    "image twice": (
        items(user({"type": "input_image", "detail": "auto", "image_url": "https://e.x/a", "file_id": "f"})),
        "input[0].content[0]",
        "exactly one",
        400,
    ),
    "image without detail": (items(user({"type": "input_image", "file_id": "f"})), "input[0].content[0].detail", "Missing", 400),
    "image of no kind": (
        items(user({"type": "input_image", "detail": "auto", "image_url": "data:image/tiff;base64,AAAA"})),
        "input[0].content[0].image_url",
        "unsupported image",
        400,
    ),
    "file without a name": (
        items(user({"type": "input_file", "file_data": f"data:application/pdf;base64,{PIXEL}"})),
        "input[0].content[0].filename",
        "Missing",
        400,
    ),
    "file of nothing": (items(user({"type": "input_file"})), "input[0].content[0]", "exactly one", 400),
    "tool of chat's form": (body(tools=[{"type": "function", "function": {"name": "f"}}]), "tools[0].function", "Unknown", 400),
    "tool without strict": (body(tools=[{"type": "function", "name": "f", "parameters": {}}]), "tools[0].strict", "Missing", 400),
    "tool's name": (body(tools=[tool(name="a.b")]), "tools[0].name", "pattern", 400),
    "tool twice": (body(tools=[tool(), tool()]), "tools[1].name", "twice", 400),
    "tool's schema": (body(tools=[tool(parameters={"type": "array"})]), "tools[0].parameters", "object", 400),
    "strict tool left open": (
        body(tools=[tool(strict=True, parameters={"type": "object"})]),
        "tools[0].parameters",
        "additionalProperties",
        400,
    ),
    "choice without tools": (body(tool_choice="required"), "tool_choice", "no tools", 400),
    "choice of another": (body(tools=[WEATHER], tool_choice={"type": "function", "name": "x"}), "tool_choice", "not found", 400),
    "json unsaid": (body(text={"format": {"type": "json_object"}}), "input", "json", 400),
    "format's name": (form(name="a b"), "text.format.name", "pattern", 400),
    "format left open": (form(schema={"type": "object"}), "text.format.schema", "additionalProperties", 400),
    "format of no object": (form(schema={"type": "array"}), "text.format.schema", "object", 400),
    "few tokens": (body(max_output_tokens=15), "max_output_tokens", ">= 16", 400),
    "hot": (body(temperature=2.5), "temperature", "<= 2", 400),
    "sampling of a reasoning model": (body(**REASONING, temperature=0.5), "temperature", "Unsupported parameter", 400),
    "reasoning of a plain model": (body(reasoning={"effort": "low"}), "reasoning.effort", "Unsupported", 400),
    "summary of a plain model": (body(reasoning={"summary": "auto"}), "reasoning.summary", "Unsupported", 400),
    "seals of a plain model": (body(include=["reasoning.encrypted_content"]), "include", "not supported", 400),
    "unknown include": (body(include=["all"]), "include[0]", "Supported values", 400),
    "stream options alone": (body(stream_options={}), "stream_options", "stream", 400),
    "metadata": (body(metadata={"k" * 65: "v"}), "metadata", "at most 16", 400),
}
