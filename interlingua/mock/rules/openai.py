"""What OpenAI's Chat Completions refuses beyond structure: from the SDK's notes on each parameter, and errors seen in the wild.

Facts about models are the mock's own, so that they cannot share a mistake with the gateway.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

from interlingua.mock.scenarios import known_model
from interlingua.mock.shape import Violation
from interlingua.mock.wire import Json, Options, Refusal, a_list, an_object, bad, encode

_MODEL: Final = re.compile(r"^(ft:)?(gpt-|chatgpt-|o\d|codex-|computer-use-)")
_REASONING: Final = re.compile(r"^(ft:)?(o\d|gpt-([5-9]|\d\d)|codex-)")
_CHATTY: Final = re.compile(r"^(ft:)?gpt-5(\.\d+)?-chat")
_GENERATION: Final = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
_NAME: Final = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_SPEAKER: Final = re.compile(r"^[^\s<|\\/>]{1,64}$")
_ID_LIMIT: Final = 64
_TOOL_LIMIT: Final = 128
_SAMPLING: Final = ("top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias", "stop")
_RANGES: Final[tuple[tuple[str, float, float], ...]] = (
    ("temperature", 0, 2),
    ("top_p", 0, 1),
    ("presence_penalty", -2, 2),
    ("frequency_penalty", -2, 2),
    ("n", 1, 128),
    ("top_logprobs", 0, 20),
    ("max_tokens", 1, 10_000_000),
    ("max_completion_tokens", 1, 10_000_000),
)


def is_reasoning(model: str) -> bool:
    return bool(_REASONING.match(model)) and not _CHATTY.match(model)


def generation(model: str) -> tuple[int, int]:
    """(5, 4) of gpt-5.4-mini; (0, 0) of what is no gpt."""
    found = _GENERATION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def structure(fault: Violation) -> Refusal:
    """A violation of the schema in OpenAI's words."""
    where = fault.indexed
    match fault.kind:
        case "unknown":
            return bad(f"Unknown parameter: '{where}'.", where, "unknown_parameter")
        case "missing":
            return bad(f"Missing required parameter: '{where}'.", where, "missing_required_parameter")
        case "type":
            wanted = " or ".join(fault.wanted)
            return bad(f"Invalid type for '{where}': expected {wanted}.", where, "invalid_type")
        case "value":
            allowed = ", ".join(f"'{value}'" for value in fault.wanted)
            return bad(f"Invalid value for '{where}'. Supported values are: {allowed}.", where, "invalid_value")


def check(body: Json, options: Options) -> None:
    """Every rule, in the order a request is read."""
    model_known(body["model"], options)
    messages: list[Json] = body["messages"]
    tools: list[Json] = body.get("tools") or []
    conversation(messages)
    for index, message in enumerate(messages):
        message_content(message, f"messages[{index}]")
    tool_list(body, tools)
    tool_choice(body, tools)
    response_format(body, messages)
    ranges(body)
    sampling(body)
    reasoning(body, tools, options)
    pairs(body)


def model_known(model: str, options: Options) -> None:
    if not (_MODEL.match(model) or known_model(model) or options.any_model):
        raise Refusal("model", f"The model '{model}' does not exist or you do not have access to it.")


# Messages


def conversation(messages: list[Json]) -> None:
    """Tool messages answer the calls just before them, each call once, and none is left open."""
    if not messages:
        raise bad("Invalid 'messages': empty array. Expected an array with minimum length 1.", "messages", "empty_array")
    waiting: dict[str, None] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message["role"] == "tool":
            if not waiting and not any_calls_before(messages, index):
                text = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                raise bad(f"Invalid parameter: {text}", f"{where}.role")
            if message["tool_call_id"] not in waiting:
                text = f"'tool_call_id' of '{message['tool_call_id']}' answers no open tool call."
                raise bad(f"Invalid parameter: {text}", f"{where}.tool_call_id")
            del waiting[message["tool_call_id"]]
            continue
        answered(waiting, where)
        waiting = dict.fromkeys(call_ids(message, where))
    answered(waiting, "messages")


def any_calls_before(messages: list[Json], index: int) -> bool:
    before = next((message for message in reversed(messages[:index]) if message["role"] != "tool"), None)
    return before is not None and bool(before.get("tool_calls"))


def answered(waiting: dict[str, None], where: str) -> None:
    if waiting:
        text = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
        raise bad(f"{text} These have no response: {', '.join(waiting)}", where)


def call_ids(message: Json, where: str) -> Iterator[str]:
    if message["role"] != "assistant":
        return
    seen: set[str] = set()
    if message.get("tool_calls") == []:
        path = f"{where}.tool_calls"
        raise bad(f"Invalid '{path}': empty array. Expected an array with minimum length 1.", path, "empty_array")
    for number, call in enumerate(a_list(message.get("tool_calls"))):
        path = f"{where}.tool_calls[{number}]"
        if len(call["id"]) > _ID_LIMIT:
            text = f"Expected a string with maximum length {_ID_LIMIT}, but got one of {len(call['id'])}."
            raise bad(f"Invalid '{path}.id': string too long. {text}", f"{path}.id", "string_above_max_length")
        if call["id"] in seen:
            raise bad(f"Invalid '{path}.id': '{call['id']}' is used twice.", f"{path}.id", "duplicate_id")
        named(an_object(call.get("function") or call.get("custom")).get("name", ""), f"{path}.{call['type']}.name")
        seen.add(call["id"])
        yield call["id"]


def message_content(message: Json, where: str) -> None:
    content = message.get("content")
    if message["role"] == "assistant" and not content:
        told = any(message.get(field) for field in ("tool_calls", "function_call", "refusal", "audio"))
        if content is None and not told:
            path = f"{where}.content"
            raise bad(f"Invalid value for '{path}': expected a string, got null.", path, "invalid_type")
    if content == []:
        path = f"{where}.content"
        raise bad(f"Invalid '{path}': empty array. Expected an array with minimum length 1.", path, "empty_array")
    if "name" in message and message["role"] != "function" and not _SPEAKER.match(message["name"]):
        raise bad(f"Invalid '{where}.name': string does not match the pattern of a name.", f"{where}.name", "invalid_value")
    for number, part in enumerate(a_list(content)):
        media(part, f"{where}.content[{number}]")


def media(part: Json, where: str) -> None:
    match part["type"]:
        case "image_url":
            image_url(part["image_url"]["url"], f"{where}.image_url.url")
        case "input_audio":
            path = f"{where}.input_audio.data"
            if not is_base64(part["input_audio"]["data"]):
                raise bad(f"Invalid '{path}': not valid base64.", path, "invalid_base64")
        case "file":
            file_part(part["file"], f"{where}.file")
        case _:
            pass


def image_url(url: str, where: str) -> None:
    if url.startswith("data:"):
        head, _, data = url.partition(",")
        if not re.match(r"^data:image/(png|jpeg|jpg|gif|webp);base64$", head):
            raise bad(f"Invalid '{where}': you uploaded an unsupported image.", where, "invalid_image_format")
        if not data or not is_base64(data):
            raise bad(f"Invalid '{where}': the image is not valid base64.", where, "invalid_base64")
    elif not re.match(r"^https?://[^\s/]+", url):
        raise bad(f"Invalid '{where}': expected a base64 data URL or an http(s) URL.", where, "invalid_image_url")


def file_part(file: Json, where: str) -> None:
    if ("file_id" in file) == ("file_data" in file):
        raise bad(f"Invalid '{where}': exactly one of 'file_id' and 'file_data' is needed.", where, "invalid_value")
    if "file_data" in file:
        head, _, data = file["file_data"].partition(";base64,")
        if not head.startswith("data:") or not is_base64(data):
            raise bad(f"Invalid '{where}.file_data': expected a base64 data URL.", f"{where}.file_data", "invalid_value")
        if "filename" not in file:
            raise bad(f"Missing required parameter: '{where}.filename'.", f"{where}.filename", "missing_required_parameter")


def is_base64(data: str) -> bool:
    try:
        return bool(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return False


# Tools


def named(name: str, where: str) -> None:
    if not _NAME.match(name):
        text = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$', of at most 64."
        raise bad(f"Invalid '{where}': {text}", where, "invalid_value")


def tool_list(body: Json, tools: list[Json]) -> None:
    if body.get("tools") == []:
        raise bad("Invalid 'tools': empty array. Expected an array with minimum length 1.", "tools", "empty_array")
    if len(tools) > _TOOL_LIMIT:
        raise bad(f"Invalid 'tools': array too long. Expected at most {_TOOL_LIMIT}.", "tools", "array_above_max_length")
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        kind: str = tool["type"]
        where = f"tools[{index}].{kind}"
        named(tool[kind]["name"], f"{where}.name")
        if tool[kind]["name"] in seen:
            raise bad(f"Invalid '{where}.name': the name '{tool[kind]['name']}' is used twice.", f"{where}.name", "invalid_value")
        seen.add(tool[kind]["name"])
        parameters: Json = tool[kind].get("parameters") or {}
        if parameters and parameters.get("type") != "object":
            text = f"Invalid schema for function '{tool[kind]['name']}': the type must be \"object\"."
            raise bad(text, f"{where}.parameters", "invalid_function_parameters")
        if tool[kind].get("strict"):
            strict(parameters, f"{where}.parameters", "invalid_function_parameters")


def strict(schema: Any, where: str, code: str, inner: str = "") -> None:
    """Strict mode: every object is closed and requires all it has."""
    node = an_object(schema)
    if node.get("type") == "object" or "properties" in node:
        properties = an_object(node.get("properties"))
        if node.get("additionalProperties") is not False:
            raise bad(f"Invalid schema in '{where}': at '{inner}' 'additionalProperties' must be false.", where, code)
        missing = [name for name in properties if name not in a_list(node.get("required"))]
        if missing:
            raise bad(
                f"Invalid schema in '{where}': at '{inner}' 'required' must name every property; lacks {missing}.", where, code
            )
    for keyword in ("properties", "$defs", "definitions"):
        for name, child in an_object(node.get(keyword)).items():
            strict(child, where, code, f"{inner}/{keyword}/{name}")
    for keyword in ("anyOf", "allOf", "oneOf", "prefixItems"):
        for number, child in enumerate(a_list(node.get(keyword))):
            strict(child, where, code, f"{inner}/{keyword}/{number}")
    if "items" in node:
        strict(node["items"], where, code, f"{inner}/items")


def tool_choice(body: Json, tools: list[Json]) -> None:
    for field in ("tool_choice", "parallel_tool_calls"):
        if field in body and not tools and body[field] != "none":
            raise bad(f"Invalid value for '{field}': it is only allowed when 'tools' are specified.", field)
    choice = an_object(body.get("tool_choice"))
    names = {tool[tool["type"]]["name"] for tool in tools}
    kind = choice.get("type")
    if kind in ("function", "custom") and choice[kind]["name"] not in names:
        raise bad(f"Invalid value for 'tool_choice': no tool is named '{choice[kind]['name']}'.", "tool_choice")


# Parameters


def response_format(body: Json, messages: list[Json]) -> None:
    form: Json = body.get("response_format") or {}
    if form.get("type") == "json_object" and b"json" not in encode(messages).lower():
        raise bad(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.", "messages"
        )
    if form.get("type") != "json_schema":
        return
    where = "response_format.json_schema"
    named(form["json_schema"]["name"], f"{where}.name")
    schema = form["json_schema"].get("schema")
    if schema is None:
        raise bad(f"Missing required parameter: '{where}.schema'.", f"{where}.schema", "missing_required_parameter")
    if form["json_schema"].get("strict"):
        if schema.get("type") != "object":
            raise bad(f"Invalid schema in '{where}': the type must be \"object\".", where, "invalid_json_schema")
        strict(schema, where, "invalid_json_schema")


def ranges(body: Json) -> None:
    for field, low, high in _RANGES:
        value = body.get(field)
        if value is not None and value < low:
            raise bad(f"Invalid '{field}': expected a value >= {low}, but got {value}.", field, "decimal_below_min_value")
        if value is not None and value > high:
            raise bad(f"Invalid '{field}': expected a value <= {high}, but got {value}.", field, "decimal_above_max_value")
    stops = a_list(body.get("stop"))
    if len(stops) > 4:
        raise bad(f"Invalid 'stop': array too long. Expected at most 4, but got {len(stops)}.", "stop", "array_above_max_length")
    metadata = an_object(body.get("metadata"))
    if len(metadata) > 16 or any(len(key) > 64 or len(value) > 512 for key, value in metadata.items()):
        raise bad("Invalid 'metadata': at most 16 pairs, of 64 and 512 characters.", "metadata", "invalid_value")


def sampling(body: Json) -> None:
    """Models that reason choose for themselves. From gpt-5.1 to 5.4 they do not while effort is `none`."""
    if not is_reasoning(body["model"]):
        return
    if body.get("max_tokens") is not None:
        raise unsupported("max_tokens", "Use 'max_completion_tokens' instead.")
    if (5, 1) <= generation(body["model"]) <= (5, 4) and body.get("reasoning_effort") == "none":
        return
    if body.get("temperature") not in (None, 1):
        text = "Unsupported value: 'temperature' does not support any but the default (1) with this model."
        raise bad(text, "temperature", "unsupported_value")
    for field in _SAMPLING:
        value = body.get(field)
        harmless = (field == "top_p" and value == 1) or (field.endswith("penalty") and value == 0) or value in (None, False)
        if not harmless:
            raise unsupported(field)


def unsupported(field: str, advice: str = "") -> Refusal:
    text = f"Unsupported parameter: '{field}' is not supported with this model. {advice}".strip()
    return bad(text, field, "unsupported_parameter")


def reasoning(body: Json, tools: list[Json], options: Options) -> None:
    effort = body.get("reasoning_effort")
    plain = not is_reasoning(body["model"]) and not known_model(body["model"])
    if effort is not None and plain and not _CHATTY.match(body["model"]):
        raise bad("Unrecognized request argument supplied: reasoning_effort", "reasoning_effort", "unknown_parameter")
    if body.get("verbosity") not in (None, "medium") and plain:
        text = "Unsupported value: 'verbosity' does not support any but 'medium' with this model."
        raise bad(text, "verbosity", "unsupported_value")
    functions = any(tool["type"] == "function" for tool in tools)
    barred = generation(body["model"]) >= (5, 4) and not options.chat_tools_with_effort
    if functions and barred and effort not in (None, "none"):
        text = f"Function tools with reasoning_effort are not supported for {body['model']} in /v1/chat/completions."
        raise bad(f"{text} Use /v1/responses, or set reasoning_effort to 'none'.", "reasoning_effort")


def pairs(body: Json) -> None:
    """Parameters that need, or exclude, one another."""
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise bad("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise bad("'top_logprobs' is only allowed when 'logprobs' is enabled.", "top_logprobs")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    spoken = "audio" in a_list(body.get("modalities"))
    if spoken and body.get("audio") is None:
        raise bad("Missing required parameter: 'audio'.", "audio", "missing_required_parameter")
    if "functions" in body and "tools" in body:
        raise bad("'functions' and 'tools' cannot be used together.", "functions")
