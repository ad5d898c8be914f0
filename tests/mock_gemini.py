"""Requests that the Gemini API refuses: what is changed in a good one, and the field and words of the refusal."""

from typing import Any

from interlingua.mock import seal

Json = dict[str, Any]
FLASH, PRO3 = "gemini-2.5-flash", "gemini-3-pro"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SIGNED = seal.token_bytes("gemini", "a test")
CITY: Json = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}


def user(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts) or [{"text": "Hello"}]}


def model(*parts: Json) -> Json:
    return {"role": "model", "parts": list(parts)}


def body(*contents: Json, **fields: Any) -> Json:
    return {"contents": list(contents) or [user()], **fields}


def call(name: str = "weather", *, sign: str | None = None, **fields: Any) -> Json:
    return {"functionCall": {"name": name, "args": {}, **fields}} | ({"thoughtSignature": sign} if sign else {})


def answer(name: str = "weather", **fields: Any) -> Json:
    return {"functionResponse": {"name": name, "response": {"output": "mild"}, **fields}}


def config(**fields: Any) -> Json:
    return body(generationConfig=fields)


def tools(*declarations: Json, **fields: Any) -> Json:
    return body(tools=[{"functionDeclarations": list(declarations)}], **fields)


def declared(**fields: Any) -> Json:
    return {"name": "weather", "description": "d", **fields}


def schema(**fields: Any) -> Json:
    return tools(declared(parameters={"type": "OBJECT", "properties": {"a": fields}}))


def calling(**fields: Any) -> Json:
    return tools(declared(), toolConfig={"functionCallingConfig": fields})


# name -> model, body
GOOD: dict[str, tuple[str, Json]] = {
    "plain": (FLASH, body()),
    "no role": (FLASH, body({"parts": [{"text": "x"}]})),
    "snake case": (
        FLASH,
        {
            "contents": [{"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": PIXEL}}, {"text": "x"}]}],
            "system_instruction": {"parts": [{"text": "Be kind."}]},
            "generation_config": {"top_k": 4, "max_output_tokens": "10", "temperature": None},
            "tools": [
                {
                    "function_declarations": [
                        {"name": "f", "parameters": {"type": "object", "properties": {"a_b": {"type": "string"}}}}
                    ]
                }
            ],
            "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        },
    ),
    "role of the system instruction": (FLASH, body(systemInstruction={"role": "system", "parts": [{"text": "x"}]})),
    "URL-safe base64": (FLASH, body(user({"inlineData": {"mimeType": "image/png", "data": "_-8="}}))),
    "base64 without padding": (FLASH, body(user({"inlineData": {"mimeType": "image/png", "data": "_-8"}}))),
    "files": (
        FLASH,
        body(
            user(
                {"fileData": {"fileUri": "gs://b/a.pdf", "mimeType": "application/pdf"}},
                {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc-1"}},
                {"fileData": {"fileUri": "https://www.youtube.com/watch?v=abc"}},
            )
        ),
    ),
    "calls": (FLASH, body(user(), model(call(), call("other")), user(answer("other"), answer()), model({"text": "x"}), user())),
    "ids in another order": (FLASH, body(user(), model(call(id="1"), call(id="2")), user(answer(id="2"), answer(id="1")))),
    "signed": (PRO3, body(user(), model(call(sign=SIGNED), call("other")), user(answer(), answer("other")))),
    "signed, two steps": (PRO3, body(user(), model(call(sign=SIGNED)), user(answer()), model(call(sign=SIGNED)), user(answer()))),
    "stand-in": (PRO3, body(user(), model(call(sign=seal.SKIP)), user(answer()))),
    "stand-in as base64": (PRO3, body(user(), model(call(sign="c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=")), user(answer()))),
    "unsigned in an earlier turn": (PRO3, body(user(), model(call()), user(answer()), model({"text": "x"}), user())),
    "function with parts": (
        PRO3,
        body(
            user(),
            model(call(sign=SIGNED)),
            user(answer(parts=[{"inlineData": {"mimeType": "image/png", "data": PIXEL}}])),
        ),
    ),
    "JSON Schema": (FLASH, tools(declared(parametersJsonSchema={"type": "object", "$defs": {}, "additionalProperties": False}))),
    "OpenAPI": (FLASH, tools(declared(parameters=CITY))),
    "structured": (FLASH, config(responseMimeType="application/json", responseSchema=CITY)),
    "structured by JSON Schema": (FLASH, config(responseMimeType="application/json", responseJsonSchema={"type": "object"})),
    "thinking budget": (FLASH, config(thinkingConfig={"thinkingBudget": -1, "includeThoughts": True})),
    "thinking level": (PRO3, config(thinkingConfig={"thinkingLevel": "low"})),
    "hosted tools": (
        FLASH,
        body(tools=[{"googleSearch": {}}, {"urlContext": {}}, {"fileSearch": {"fileSearchStoreNames": ["a"]}}]),
    ),
    "server-side tools": (
        PRO3,
        body(
            user(),
            model(
                {"toolCall": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}},
                {"toolResponse": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}},
                {"text": "x"},
            ),
            user(),
            toolConfig={"includeServerSideToolInvocations": True},
            serviceTier="flex",
            store=False,
        ),
    ),
    "images out": ("gemini-2.5-flash-image", config(responseModalities=["TEXT", "IMAGE"])),
    "a mock's model": ("mock-text", body()),
}

COUNT = "number of function response parts is equal"

# name -> model, body, field, words, status
BAD: dict[str, tuple[str, Json, str | None, str, int]] = {
    "unknown field": (FLASH, body(stream=True), "", 'Unknown name "stream": Cannot find field.', 400),
    "unknown field of a part": (
        FLASH,
        body(user({"text": "x", "cacheControl": {}})),
        "contents[0].parts[0]",
        "Unknown name \"cacheControl\" at 'contents[0].parts[0]': Cannot find field.",
        400,
    ),
    "a field of Vertex AI": (FLASH, config(routingConfig={}), "generation_config", "Cannot find field", 400),
    "unknown model": ("gpt-4o", body(), None, "models/gpt-4o is not found", 404),
    "no contents": (FLASH, {"contents": []}, "contents", "contents is not specified", 400),
    "contents left out": (FLASH, {}, "contents", "contents is not specified", 400),
    "role": (FLASH, body({"role": "assistant", "parts": [{"text": "x"}]}), "contents[0].role", "valid role: user, model", 400),
    "system role": (FLASH, body({"role": "system", "parts": [{"text": "x"}]}, user()), "contents[0].role", "valid role", 400),
    "no parts": (FLASH, body({"role": "user", "parts": []}), "contents[0].parts", "must not be empty", 400),
    "empty part": (FLASH, body(user({})), "contents[0].parts[0].data", "one initialized field", 400),
    "two kinds of data": (FLASH, body(user({"text": "x", "inlineData": {}})), "contents[0].parts[0]", "oneof", 400),
    "no system parts": (FLASH, body(systemInstruction={"parts": []}), "system_instruction.parts", "must not be empty", 400),
    "type": (FLASH, config(temperature="hot"), "generation_config.temperature", "Invalid value at", 400),
    "base64": (
        FLASH,
        body(user({"inlineData": {"mimeType": "image/png", "data": "??"}})),
        "contents[0].parts[0].inline_data.data",
        "??",
        400,
    ),
    "MIME type": (
        FLASH,
        body(user({"inlineData": {"mimeType": "application/zip", "data": "AAAA"}})),
        "contents[0].parts[0].inline_data.mime_type",
        "Unsupported MIME type",
        400,
    ),
    "file of the web": (
        FLASH,
        body(user({"fileData": {"fileUri": "https://example.com/a.png"}})),
        "contents[0].parts[0].file_data.file_uri",
        "file uri",
        400,
    ),
    "call unanswered": (FLASH, body(user(), model(call())), "contents", COUNT, 400),
    "call answered late": (FLASH, body(user(), model(call()), user(), user(answer())), "contents[2]", COUNT, 400),
    "one of two answered": (FLASH, body(user(), model(call(), call("b")), user(answer())), "contents[2]", COUNT, 400),
    "answers in two contents": (
        FLASH,
        body(user(), model(call(), call("b")), user(answer()), user(answer("b"))),
        "contents[2]",
        COUNT,
        400,
    ),
    "answer to nothing": (FLASH, body(user(answer())), "contents[0]", "immediately after a function call turn", 400),
    "call first": (FLASH, body(model(call()), user(answer())), "contents[0]", "immediately after a user turn", 400),
    "call by the user": (FLASH, body(user(), user(call()), user(answer())), "contents[1]", "from the model", 400),
    "answer of a stranger": (FLASH, body(user(), model(call()), user(answer("x"))), "contents[2]", "`x`", 400),
    "answer with another id": (FLASH, body(user(), model(call(id="1")), user(answer(id="2"))), "contents[2]", "id", 400),
    "answer without a name": (
        FLASH,
        body(user(), model(call()), user(answer(""))),
        "contents[2].parts[0].function_response.name",
        "cannot be empty",
        400,
    ),
    "answer without a response": (
        FLASH,
        body(user(), model(call()), user({"functionResponse": {"name": "weather"}})),
        "contents[2].parts[0].function_response.response",
        "required",
        400,
    ),
    "unsigned": (PRO3, body(user(), model(call()), user(answer())), "contents[1]", "missing a thought_signature", 400),
    "second step unsigned": (
        PRO3,
        body(user(), model(call(sign=SIGNED)), user(answer()), model(call()), user(answer())),
        "contents[3]",
        "missing a thought_signature",
        400,
    ),
    "signed on the second call": (
        PRO3,
        body(user(), model(call(), call("b", sign=SIGNED)), user(answer(), answer("b"))),
        "contents[1]",
        "missing a thought_signature",
        400,
    ),
    "foreign signature": (
        PRO3,
        body(user(), model(call(sign="Zm9yZWlnbg==")), user(answer())),
        "contents[1]",
        "Corrupted thought",
        400,
    ),
    "signature that is no text": (PRO3, body(user(), model(call(sign="/w==")), user(answer())), "contents[1]", "Corrupted", 400),
    "signature of Vertex AI": (
        PRO3,
        body(user(), model(call(sign=seal.token_bytes("vertex", "x"))), user(answer())),
        "contents[1]",
        "Corrupted thought signature",
        400,
    ),
    "function name": (FLASH, tools(declared(name="1a")), "tools[0].function_declarations[0].name", "Invalid function name", 400),
    "function twice": (FLASH, tools(declared(), declared()), "tools[0]", "Duplicate function declaration", 400),
    "both schemas": (
        FLASH,
        tools(declared(parameters=CITY, parametersJsonSchema={"type": "object"})),
        "tools[0].function_declarations[0]",
        "only one of",
        400,
    ),
    "$schema": (
        FLASH,
        tools(declared(parameters={**CITY, "$schema": "x"})),
        "tools[0].function_declarations[0].parameters",
        'Unknown name "$schema" at',
        400,
    ),
    **{
        name: (
            FLASH,
            schema(type="STRING", **{name: 1}),
            "tools[0].function_declarations[0].parameters.properties.a",
            f'Unknown name "{name}"',
            400,
        )
        for name in (
            "additionalProperties",
            "const",
            "$ref",
            "exclusiveMinimum",
            "propertyNames",
            "oneOf",
            "allOf",
            "$defs",
            "strict",
        )
    },
    "parameters of another type": (
        FLASH,
        tools(declared(parameters={"type": "STRING"})),
        "tools[0].function_declarations[0].parameters.type",
        "OBJECT",
        400,
    ),
    "empty object": (
        FLASH,
        tools(declared(parameters={"type": "OBJECT", "properties": {}})),
        "tools[0].function_declarations[0].parameters.properties",
        "should be non-empty",
        400,
    ),
    "array of nothing": (
        FLASH,
        schema(type="ARRAY"),
        "tools[0].function_declarations[0].parameters.properties[a].items",
        "missing field",
        400,
    ),
    "enum of numbers": (
        FLASH,
        schema(type="INTEGER", enum=["1"]),
        "tools[0].function_declarations[0].parameters.properties[a].enum",
        "STRING",
        400,
    ),
    "format": (
        FLASH,
        schema(type="STRING", format="uri"),
        "tools[0].function_declarations[0].parameters.properties[a].format",
        "'enum' and 'date-time'",
        400,
    ),
    "empty enum value": (
        FLASH,
        schema(type="STRING", enum=[""]),
        "tools[0].function_declarations[0].parameters.properties[a].enum",
        "cannot be empty",
        400,
    ),
    "format of an item": (
        FLASH,
        schema(type="ARRAY", items={"type": "INTEGER", "format": "uint"}),
        "tools[0].function_declarations[0].parameters.properties[a].items.format",
        "INTEGER",
        400,
    ),
    "format of a choice": (
        FLASH,
        schema(anyOf=[{"type": "NUMBER", "format": "int32"}]),
        "tools[0].function_declarations[0].parameters.properties[a].any_of[0].format",
        "NUMBER",
        400,
    ),
    "response schema": (
        FLASH,
        tools(declared(response={"type": "ARRAY"})),
        "tools[0].function_declarations[0].response.items",
        "missing field",
        400,
    ),
    "empty blob": (
        FLASH,
        body(user({"inlineData": {"mimeType": "image/png", "data": ""}})),
        "contents[0].parts[0].inline_data.data",
        "empty",
        400,
    ),
    "half a byte": (
        FLASH,
        body(user({"inlineData": {"mimeType": "image/png", "data": "AAAAA"}})),
        "contents[0].parts[0].inline_data.data",
        "Base64 decoding failed",
        400,
    ),
    "called name": (
        FLASH,
        body(user(), model(call("a b")), user(answer())),
        "contents[1].parts[0].function_call.name",
        "Invalid",
        400,
    ),
    "file in an answer": (
        FLASH,
        body(user(), model(call()), user(answer(parts=[{"fileData": {"fileUri": "x"}}]))),
        "contents[2].parts[0].function_response.parts[0].file_data.file_uri",
        "file uri",
        400,
    ),
    "response schema of a wrong type": (
        FLASH,
        config(responseMimeType="application/json", responseJsonSchema=[]),
        "generation_config.response_json_schema",
        "expected a schema",
        400,
    ),
    "required stranger": (
        FLASH,
        tools(declared(parameters={**CITY, "required": ["x"]})),
        "tools[0].function_declarations[0].parameters.required[0]",
        "not defined",
        400,
    ),
    "list of types": (
        FLASH,
        schema(type=["string", "null"]),
        "tools[0].function_declarations[0].parameters.properties.a.type",
        "Invalid value",
        400,
    ),
    "search beside functions": (
        FLASH,
        body(tools=[{"functionDeclarations": [declared()]}, {"googleSearch": {}}]),
        "tools",
        "cannot be combined",
        400,
    ),
    "a tool of Vertex AI": (FLASH, body(tools=[{"enterpriseWebSearch": {}}]), "tools[0]", "Cannot find field", 400),
    "mode without functions": (
        FLASH,
        body(toolConfig={"functionCallingConfig": {"mode": "ANY"}}),
        "tool_config.function_calling_config",
        "without function_declarations",
        400,
    ),
    "allowed without ANY": (
        FLASH,
        calling(mode="AUTO", allowedFunctionNames=["weather"]),
        "tool_config.function_calling_config.allowed_function_names",
        "mode is ANY",
        400,
    ),
    "allowed stranger": (
        FLASH,
        calling(mode="ANY", allowedFunctionNames=["x"]),
        "tool_config.function_calling_config.allowed_function_names",
        "`x`",
        400,
    ),
    "candidates": (FLASH, config(candidateCount=9), "generation_config.candidate_count", "[1, 8]", 400),
    "topK": (FLASH, config(topK=1.5), "generation_config.top_k", "Invalid value", 400),
    "temperature": (FLASH, config(temperature=2.5), "generation_config.temperature", "[0, 2]", 400),
    "stops": (FLASH, config(stopSequences=list("abcdef")), "generation_config.stop_sequences", "at most 5", 400),
    "logprobs alone": (FLASH, config(logprobs=2), "generation_config.logprobs", "response_logprobs", 400),
    "schema without its type": (
        FLASH,
        config(responseSchema=CITY),
        "generation_config.response_mime_type",
        "application/json",
        400,
    ),
    "both response schemas": (
        FLASH,
        config(responseMimeType="application/json", responseSchema=CITY, responseJsonSchema={}),
        "generation_config.response_json_schema",
        "Only one",
        400,
    ),
    "response type": (
        FLASH,
        config(responseMimeType="text/html"),
        "generation_config.response_mime_type",
        "allowed mimetypes",
        400,
    ),
    "JSON beside functions": (
        FLASH,
        tools(declared(), generationConfig={"responseMimeType": "application/json"}),
        "generation_config.response_mime_type",
        "unsupported",
        400,
    ),
    "level of 2.5": (
        FLASH,
        config(thinkingConfig={"thinkingLevel": "LOW"}),
        "generation_config.thinking_config.thinking_level",
        "not supported",
        400,
    ),
    "level and budget": (
        PRO3,
        config(thinkingConfig={"thinkingLevel": "LOW", "thinkingBudget": 1}),
        "generation_config.thinking_config",
        "Only one",
        400,
    ),
    "thinking of 2.0": (
        "gemini-2.0-flash",
        config(thinkingConfig={"thinkingBudget": 1}),
        "generation_config.thinking_config",
        "not supported",
        400,
    ),
    "budget of Pro": (
        "gemini-2.5-pro",
        config(thinkingConfig={"thinkingBudget": 0}),
        "generation_config.thinking_config.thinking_budget",
        "Budget 0 is invalid",
        400,
    ),
    "budget of Flash": (
        FLASH,
        config(thinkingConfig={"thinkingBudget": 30_000}),
        "generation_config.thinking_config.thinking_budget",
        "between 0 and 24576",
        400,
    ),
    "thoughts of none": (
        FLASH,
        config(thinkingConfig={"thinkingBudget": 0, "includeThoughts": True}),
        "generation_config.thinking_config.include_thoughts",
        "enabled",
        400,
    ),
    "images of a text model": (FLASH, config(responseModalities=["IMAGE"]), "generation_config", "modalities", 400),
    "cache": (FLASH, body(cachedContent="x"), "cached_content", "cachedContents/", 400),
    "cache beside tools": (FLASH, tools(declared(), cachedContent="cachedContents/x"), "cached_content", "can not be used", 400),
}
