"""What Gemini's generateContent refuses beyond structure: from the discovery document's notes, Google's guides and errors seen.

Bodies are in normal form (`shape.normal`): camelCase, no nulls. Paths are told as the vendor does: contents[0].parts[1].
"""

import json
import re
from typing import Any, Final

from interlingua.mock import seal
from interlingua.mock.rules.gemini_schema import openapi
from interlingua.mock.scenarios import known_model
from interlingua.mock.shape import Violation, indexed, snake
from interlingua.mock.wire import Json, Options, Refusal, a_list, an_object, bad

ORIGIN: Final = "gemini"
STAND_INS: Final = (seal.SKIP, "context_engineering_is_the_way_to_go")

_MODEL: Final = re.compile(r"^(gemini|gemma|learnlm|nano-banana|veo|imagen)-")
_GENERATION: Final = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_NAME: Final = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$")
_FILE: Final = re.compile(
    r"^(gs://.+"
    r"|https://generativelanguage\.googleapis\.com/v1(beta)?/files/[a-z0-9-]+"
    r"|https://(www\.)?youtube\.com/watch\?v=.+|https://youtu\.be/.+)$"
)
_MEDIA: Final = re.compile(r"^(image|audio|video|text)/[\w.+-]+|^application/(pdf|json|x-javascript|x-python|rtf)")
_DATA: Final = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "audioTranscription",
)
_RANGES: Final[tuple[tuple[str, float, float], ...]] = (
    ("temperature", 0, 2),
    ("topP", 0, 1),
    ("topK", 1, 1000),
    ("candidateCount", 1, 8),
    ("maxOutputTokens", 1, 65_536),
    ("presencePenalty", -2, 2),
    ("frequencyPenalty", -2, 2),
    ("logprobs", 0, 20),
    ("seed", -(2**31), 2**31 - 1),
)
_CONFIG: Final = "generation_config"


def generation(model: str) -> tuple[int, int]:
    """(2, 5) of gemini-2.5-flash; (0, 0) of what is no gemini."""
    found = _GENERATION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def path_of(fault: Violation) -> str:
    """contents[0].parts[0].inline_data"""
    return indexed(tuple(snake(step) if isinstance(step, str) else step for step in fault.path))


def structure(fault: Violation) -> Refusal:
    """A violation of the schema in Google's words; the field violation is drawn from it by the vendor's error."""
    where = path_of(fault)
    match fault.kind:
        case "unknown":
            above = indexed(tuple(snake(step) if isinstance(step, str) else step for step in fault.path[:-1]))
            at = f" at '{above}'" if above else ""
            return bad(f'Invalid JSON payload received. Unknown name "{fault.name}"{at}: Cannot find field.', above)
        case "missing":
            return bad(f"* {where}: field is required.", where)
        case "type" | "value":
            shown = json.dumps(fault.got)[:100]
            return bad(f"Invalid value at '{where}' ({' or '.join(fault.wanted)[:200]}), {shown}", where)


def check(body: Json, model: str, options: Options) -> None:
    """Every rule of a generateContent request whose structure is right."""
    model_known(model, options)
    contents: list[Json] = body.get("contents") or []
    if not contents:
        raise bad("* GenerateContentRequest.contents: contents is not specified", "contents")
    for index, content in enumerate(contents):
        one_content(content, f"contents[{index}]", options)
    if "systemInstruction" in body:  # its role is not looked at
        one_content({**body["systemInstruction"], "role": "user"}, "system_instruction", options)
    exchange(contents)
    signatures(contents, model)
    tools(body, model)
    tool_config(body)
    config: Json = body.get("generationConfig") or {}
    ranges(config)
    structured(config, body, model)
    thinking(an_object(config.get("thinkingConfig")), model)
    modalities(config, model)
    cached(body)


def model_known(model: str, options: Options) -> None:
    if not (_MODEL.match(model) or known_model(model) or options.any_model):
        text = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
        raise Refusal("model", text)


# Contents


def one_content(content: Json, where: str, options: Options) -> None:
    if content.get("role", "user") not in ("user", "model"):
        raise bad("Please use a valid role: user, model.", f"{where}.role")
    parts: list[Json] = content.get("parts") or []
    if not parts:
        raise bad(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.", f"{where}.parts")
    for number, part in enumerate(parts):
        one_part(part, f"{where}.parts[{number}]", options)


def one_part(part: Json, where: str, options: Options) -> None:
    data = [field for field in _DATA if field in part]
    if not data:
        text = "required oneof field 'data' must have one initialized field"
        raise bad(f"* GenerateContentRequest.{where}.data: {text}", f"{where}.data")
    if len(data) > 1:
        text = f"oneof field 'data' is already set. Cannot set '{data[1]}'"
        raise bad(f"Invalid value at '{where}' (oneof), {text}", where)
    match data[0]:
        case "inlineData":
            blob(part["inlineData"], f"{where}.inline_data")
        case "fileData":
            file(part["fileData"], f"{where}.file_data", options)
        case "functionCall":
            if not _NAME.match(part["functionCall"].get("name", "")):
                raise bad(
                    f"* GenerateContentRequest.{where}.function_call.name: Invalid function name.", f"{where}.function_call.name"
                )
        case "functionResponse":
            response(part["functionResponse"], f"{where}.function_response", options)
        case _:
            pass


def blob(told: Json, where: str) -> None:
    if not told.get("data"):
        raise bad(f"* GenerateContentRequest.{where}.data: the data is empty.", f"{where}.data")
    if len(told["data"].rstrip("=")) % 4 == 1:
        raise bad(f"Invalid value at '{where}.data' (TYPE_BYTES), Base64 decoding failed.", f"{where}.data")
    if not _MEDIA.match(told.get("mimeType", "")):
        raise bad(f"Unsupported MIME type: {told.get('mimeType', '')}", f"{where}.mime_type")


def file(told: Json, where: str, options: Options) -> None:
    uri: str = told.get("fileUri", "")
    public = options.public_file_urls and uri.startswith("https://")
    if not public and not _FILE.match(uri):
        raise bad("Invalid or unsupported file uri: expected one of the Files API.", f"{where}.file_uri")


def response(told: Json, where: str, options: Options) -> None:
    if not told.get("name"):
        raise bad(f"* GenerateContentRequest.{where}.name: Name cannot be empty.", f"{where}.name")
    if "response" not in told:
        raise bad(f"* GenerateContentRequest.{where}.response: field is required.", f"{where}.response")
    for number, part in enumerate(told.get("parts") or []):
        if "inlineData" in part:
            blob(part["inlineData"], f"{where}.parts[{number}].inline_data")
        if "fileData" in part:
            file(part["fileData"], f"{where}.parts[{number}].file_data", options)


def held(content: Json, field: str) -> list[Json]:
    return [part[field] for part in content["parts"] if field in part]


def exchange(contents: list[Json]) -> None:
    """Function calls are answered by the very next content, all of them, and nothing else is."""
    calls: list[Json] = []
    for index, content in enumerate(contents):
        where = f"contents[{index}]"
        responses, model = held(content, "functionResponse"), content.get("role") == "model"
        if responses and (model or not calls):
            raise bad("Please ensure that function response turn comes immediately after a function call turn.", where)
        if len(responses) != len(calls):
            text = "Please ensure that the number of function response parts is equal to the number of function call parts"
            raise bad(f"{text} of the function call turn.", where)
        answers(calls, responses, where)
        calls = held(content, "functionCall")
        if calls and not model:
            raise bad("Please ensure that function call turn comes immediately after a user turn, from the model.", where)
        if calls and index == 0:
            raise bad(
                "Please ensure that function call turn comes immediately after a user turn or a function response turn.", where
            )
    if calls:
        text = "Please ensure that the number of function response parts is equal to the number of function call parts"
        raise bad(f"{text} of the function call turn.", "contents")


def answers(calls: list[Json], responses: list[Json], where: str) -> None:
    ids = [call["id"] for call in calls if call.get("id")]
    given = [row["id"] for row in responses if row.get("id")]
    if len(set(given)) < len(given) or (ids and any(name not in ids for name in given)):
        raise bad("The id of a function response matches no function call of the turn before.", where)
    names = {call["name"] for call in calls}
    stranger = next((row["name"] for row in responses if row["name"] not in names), None)
    if stranger is not None:
        raise bad(f"The function response `{stranger}` answers no function call of the turn before.", where)


def signatures(contents: list[Json], model: str) -> None:
    """Every signature is one of ours; from Gemini 3 on each step of the current turn has one on its first call."""
    for index, content in enumerate(contents):
        for part in content["parts"]:
            signature = part.get("thoughtSignature")
            if signature is not None and not issued(signature):
                raise bad("Corrupted thought signature.", f"contents[{index}]")
    if generation(model) < (3, 0):
        return
    for index in range(turn_start(contents), len(contents)):
        first = next((part for part in contents[index]["parts"] if "functionCall" in part), None)
        if contents[index].get("role") == "model" and first is not None and not first.get("thoughtSignature"):
            text = "Function call is missing a thought_signature in functionCall parts."
            more = f"Additional data, function call `default_api:{first['functionCall']['name']}`, position {index + 1}."
            raise bad(f"{text} {more}", f"contents[{index}]")


def issued(signature: str) -> bool:
    return signature in STAND_INS or seal.plain(signature) in STAND_INS or seal.is_token_bytes(ORIGIN, signature)


def turn_start(contents: list[Json]) -> int:
    """The last content of a user that is more than function responses."""
    for index in range(len(contents) - 1, -1, -1):
        if contents[index].get("role") != "model" and any("functionResponse" not in part for part in contents[index]["parts"]):
            return index
    return 0


# Tools


def declarations(body: Json) -> list[Json]:
    return [row for tool in a_list(body.get("tools")) for row in a_list(tool.get("functionDeclarations"))]


def tools(body: Json, model: str) -> None:
    seen: set[str] = set()
    for index, tool in enumerate(a_list(body.get("tools"))):
        for number, declaration in enumerate(a_list(tool.get("functionDeclarations"))):
            declared(declaration, f"tools[{index}].function_declarations[{number}]")
            if declaration["name"] in seen:
                raise bad(f"Duplicate function declaration found: {declaration['name']}", f"tools[{index}]")
            seen.add(declaration["name"])
    hosted = [name for tool in a_list(body.get("tools")) for name in tool if name != "functionDeclarations"]
    if seen and hosted and (0, 0) < generation(model) < (3, 0):
        raise bad(f"Built-in tools ({hosted[0]}) and Function Calling cannot be combined in the same request.", "tools")


def declared(declaration: Json, where: str) -> None:
    told = f"* GenerateContentRequest.{where}"
    if not _NAME.match(declaration.get("name", "")):
        text = (
            "Invalid function name. Must start with a letter or an underscore, and be alphanumeric, underscores, dots or dashes"
        )
        raise bad(f"{told}.name: {text}, with a maximum length of 128.", f"{where}.name")
    for plain, free in (("parameters", "parametersJsonSchema"), ("response", "responseJsonSchema")):
        if plain in declaration and free in declaration:
            raise bad(f"{told}: only one of {snake(plain)} and {snake(free)} can be set.", where)
    if "parameters" in declaration:
        if str(declaration["parameters"].get("type", "")).upper() != "OBJECT":
            raise bad(f"{told}.parameters.type: the schema of parameters must be of type OBJECT.", f"{where}.parameters.type")
        openapi(declaration["parameters"], f"{where}.parameters")
    if "response" in declaration:
        openapi(declaration["response"], f"{where}.response")


def tool_config(body: Json) -> None:
    config = an_object(an_object(body.get("toolConfig")).get("functionCallingConfig"))
    mode = str(config.get("mode", "AUTO")).upper()
    names = [row["name"] for row in declarations(body)]
    where = "tool_config.function_calling_config"
    if mode in ("ANY", "VALIDATED") and not names:
        raise bad("Function calling config is set without function_declarations.", where)
    wanted = a_list(config.get("allowedFunctionNames"))
    if wanted and mode not in ("ANY", "VALIDATED"):
        raise bad(
            "Allowed function names should only be set when function calling mode is ANY.", f"{where}.allowed_function_names"
        )
    stranger = next((name for name in wanted if name not in names), None)
    if stranger is not None:
        raise bad(f"The allowed function name `{stranger}` is not among the declarations.", f"{where}.allowed_function_names")


# Generation


def ranges(config: Json) -> None:
    for field, low, high in _RANGES:
        value = config.get(field)
        if value is not None and not low <= value <= high:
            where = f"{_CONFIG}.{snake(field)}"
            raise bad(f"* GenerateContentRequest.{where}: must be in the range [{low}, {high}], but got {value}.", where)
    if len(a_list(config.get("stopSequences"))) > 5:
        raise bad(f"* GenerateContentRequest.{_CONFIG}.stop_sequences: at most 5.", f"{_CONFIG}.stop_sequences")
    if config.get("logprobs") is not None and not config.get("responseLogprobs"):
        raise bad("logprobs is only allowed when response_logprobs is true.", f"{_CONFIG}.logprobs")


def structured(config: Json, body: Json, model: str) -> None:
    mime = config.get("responseMimeType", "text/plain")
    if mime not in ("text/plain", "application/json", "text/x.enum"):
        text = "allowed mimetypes are `text/plain`, `application/json` and `text/x.enum`"
        raise bad(f"* GenerateContentRequest.{_CONFIG}.response_mime_type: {text}.", f"{_CONFIG}.response_mime_type")
    given = [field for field in ("responseSchema", "responseJsonSchema") if field in config]
    if len(given) > 1:
        raise bad("Only one of response_schema and response_json_schema can be set.", f"{_CONFIG}.response_json_schema")
    if given and mime == "text/plain":
        raise bad("To use a response schema, response_mime_type must be application/json.", f"{_CONFIG}.response_mime_type")
    if "responseSchema" in config:
        openapi(config["responseSchema"], f"{_CONFIG}.response_schema")
    if "responseJsonSchema" in config and not isinstance(config["responseJsonSchema"], dict):
        raise bad(f"Invalid value at '{_CONFIG}.response_json_schema': expected a schema.", f"{_CONFIG}.response_json_schema")
    if mime == "application/json" and declarations(body) and (0, 0) < generation(model) < (3, 0):
        raise bad(
            "Function calling with a response mime type: 'application/json' is unsupported", f"{_CONFIG}.response_mime_type"
        )


def thinking(config: Json, model: str) -> None:
    where = f"{_CONFIG}.thinking_config"
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level is not None and budget is not None:
        raise bad("Only one of thinking_budget and thinking_level can be set.", where)
    if not config or generation(model) == (0, 0):
        return
    if generation(model) < (2, 5):
        raise bad("Thinking is not supported by this model.", where)
    if level is not None and generation(model) < (3, 0):
        raise bad("Thinking level is not supported for this model.", f"{where}.thinking_level")
    if budget is not None and generation(model) < (3, 0):
        allowed_budget(budget, model, f"{where}.thinking_budget")
    if config.get("includeThoughts") and budget == 0:
        raise bad("include_thoughts is only enabled when thinking is enabled.", f"{where}.include_thoughts")


def allowed_budget(budget: int, model: str, where: str) -> None:
    if "pro" in model and budget == 0:
        raise bad("Budget 0 is invalid. This model only works in thinking mode.", where)
    least, most = (128, 32_768) if "pro" in model else (0, 24_576)
    if budget != -1 and not least <= budget <= most:
        raise bad(f"The thinking budget {budget} is invalid. Please choose a value between {least} and {most}.", where)


def modalities(config: Json, model: str) -> None:
    able = {"TEXT", "MODALITY_UNSPECIFIED"}
    if "image" in model or known_model(model):
        able.add("IMAGE")
    if "tts" in model or "audio" in model or known_model(model):
        able.add("AUDIO")
    wanted: list[Any] = a_list(config.get("responseModalities"))
    if any(str(name).upper() not in able for name in wanted):
        raise bad(f"The requested combination of response modalities is not supported by the model. models/{model}", _CONFIG)


def cached(body: Json) -> None:
    if "cachedContent" not in body:
        return
    if not body["cachedContent"].startswith("cachedContents/"):
        raise bad("* GenerateContentRequest.cached_content: expected the form cachedContents/{id}.", "cached_content")
    if any(field in body for field in ("systemInstruction", "tools", "toolConfig")):
        text = "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config."
        raise bad(text, "cached_content")
