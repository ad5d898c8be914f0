"""What OpenAI's Responses API refuses beyond structure: from the SDK's notes on each parameter, and errors seen in the wild.

Facts about models are those of the Chat Completions rules.
"""

import re
from typing import Any, Final

from interlingua.mock import seal
from interlingua.mock.rules import openai as chat
from interlingua.mock.wire import Json, Options, Refusal, a_list, an_object, bad, encode

ORIGIN: Final = "responses"
_ID_LIMIT: Final = 64
_PREFIXES: Final = {"reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc", "web_search_call": "ws"}
_OUTPUTS: Final = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
_SEALED: Final = "reasoning.encrypted_content"
_RANGES: Final = (("temperature", 0, 2), ("top_p", 0, 1), ("top_logprobs", 0, 20), ("max_output_tokens", 16, 10_000_000))
_ID: Final = re.compile(r"^[A-Za-z0-9_-]+$")

structure = chat.structure


def check(body: Json, history: list[Json], kept: set[str], options: Options) -> None:
    """Every rule but `whole`. `history`: the items of earlier responses; `kept`: the ids of items that are still known."""
    said = items(body)
    chat.model_known(body.get("model") or "mock", options)
    tools: list[Json] = body.get("tools") or []
    conversation(said, history)
    for index, item in enumerate(said):
        one_item(item, f"input[{index}]", said[index + 1 :], kept)
    tool_list(tools)
    tool_choice(body, tools)
    form(body, said)
    ranges(body)
    model_rules(body)


def items(body: Json) -> list[Json]:
    """The input, a string as the item it stands for."""
    said = body.get("input")
    return [{"role": "user", "content": said}] if isinstance(said, str) else a_list(said)


def whole(body: Json) -> None:
    """What a request must have, and what may not stand together."""
    said = items(body)
    if "model" not in body and not body.get("prompt"):
        raise bad("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    if not said and not (body.get("prompt") or body.get("previous_response_id") or body.get("conversation")):
        text = "One of 'input', 'previous_response_id', 'prompt' or 'conversation' must be provided."
        raise bad(f"Missing required parameter: 'input'. {text}", "input", "missing_required_parameter")
    if body.get("previous_response_id") and body.get("conversation"):
        raise bad("'previous_response_id' and 'conversation' cannot be used together.", "conversation")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    metadata = an_object(body.get("metadata"))
    if len(metadata) > 16 or any(len(key) > 64 or len(value) > 512 for key, value in metadata.items()):
        raise bad("Invalid 'metadata': at most 16 pairs, of 64 and 512 characters.", "metadata", "invalid_value")


# Items


def conversation(said: list[Json], history: list[Json]) -> None:
    """Every call has its output, and every output its call before it."""
    calls: dict[tuple[str, str], bool] = {}
    for index, item in enumerate([*history, *said]):
        kind = item.get("type", "message")
        if kind in _OUTPUTS.values():
            calls[kind, item["call_id"]] = False
        elif kind in _OUTPUTS:
            key = _OUTPUTS[kind], item.get("call_id") or ""
            if key not in calls:
                text = f"No tool call found for {kind.replace('_', ' ')} with call_id {key[1]}."
                raise bad(text, f"input[{index - len(history)}]" if index >= len(history) else "input")
            calls[key] = True
    waiting = [name for (_, name), answered in calls.items() if not answered]
    if waiting:
        raise bad(f"No tool output found for function call {', '.join(waiting)}.", "input")


def one_item(item: Json, where: str, later: list[Json], kept: set[str]) -> None:
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    prefix = _PREFIXES.get(kind) or ("msg" if kind == "message" else "")
    if isinstance(id_ := item.get("id"), str) and prefix and not (id_.startswith(prefix) and _ID.match(id_)):
        raise bad(f"Invalid '{where}.id': '{id_}'. Expected an ID that begins with '{prefix}'.", f"{where}.id", "invalid_value")
    if len(item.get("call_id") or "") > _ID_LIMIT:
        text = f"Expected a string with maximum length {_ID_LIMIT}, but got one of {len(item['call_id'])}."
        raise bad(f"Invalid '{where}.call_id': string too long. {text}", f"{where}.call_id", "string_above_max_length")
    match kind:
        case "message":
            message(item, where)
        case "reasoning":
            reasoning_item(item, where, later, kept)
        case "item_reference":
            known(item["id"], where, kept)
        case "function_call" | "custom_tool_call":
            chat.named(item["name"], f"{where}.name")
        case "function_call_output" | "custom_tool_call_output":
            for number, part in enumerate(a_list(item["output"])):
                media(part, f"{where}.output[{number}]")
        case _:
            pass


def known(id_: str, where: str, kept: set[str]) -> None:
    if id_ not in kept:
        raise Refusal("model", f"Item with id '{id_}' not found.", param="input", code="")


def message(item: Json, where: str) -> None:
    content = item.get("content")
    if content is None or "role" not in item:
        path = f"{where}.{'role' if content is not None else 'content'}"
        raise bad(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")
    said = ("output_text", "refusal") if item["role"] == "assistant" else ("input_text", "input_image", "input_file")
    for number, part in enumerate(a_list(content)):
        path = f"{where}.content[{number}]"
        if part["type"] not in said:
            allowed = ", ".join(f"'{kind}'" for kind in said)
            raise bad(f"Invalid value: '{part['type']}'. Supported values are: {allowed}.", f"{path}.type", "invalid_value")
        media(part, path)


def reasoning_item(item: Json, where: str, later: list[Json], kept: set[str]) -> None:
    sealed = item.get("encrypted_content")
    if sealed is None:
        known(item["id"], where, kept)
    elif not seal.is_token(ORIGIN, sealed):
        text = f"The encrypted content {sealed[:8]}... could not be verified."
        raise bad(f"{text} Reason: Encrypted content could not be decrypted or parsed.", code="invalid_encrypted_content")
    follows = later[0] if later else {}
    own = follows.get("type", "message") not in (*_OUTPUTS, "item_reference") and follows.get("role", "assistant") == "assistant"
    if not later or not own:
        text = f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
        raise bad(text, "input")


def media(part: Json, where: str) -> None:
    match part["type"]:
        case "input_image":
            if (part.get("image_url") is None) == (part.get("file_id") is None):
                raise bad(f"Invalid '{where}': exactly one of 'image_url' and 'file_id' is needed.", where, "invalid_value")
            if part.get("image_url") is not None:
                chat.image_url(part["image_url"], f"{where}.image_url")
        case "input_file":
            given = [field for field in ("file_data", "file_id", "file_url") if part.get(field) is not None]
            if len(given) != 1:
                text = "exactly one of 'file_data', 'file_id' and 'file_url' is needed."
                raise bad(f"Invalid '{where}': {text}", where, "invalid_value")
            if given == ["file_data"]:
                chat.file_part({key: part[key] for key in ("file_data", "filename") if part.get(key) is not None}, where)
        case _:
            pass


# Tools


def functions(tools: list[Json]) -> list[tuple[str, str | None, Json]]:
    """Every function and custom tool: its path, its namespace, itself."""
    found: list[tuple[str, str | None, Json]] = []
    for index, tool in enumerate(tools):
        if tool["type"] in ("function", "custom"):
            found.append((f"tools[{index}]", None, tool))
        elif tool["type"] == "namespace":
            found += [(f"tools[{index}].tools[{n}]", tool["name"], inner) for n, inner in enumerate(tool["tools"])]
    return found


def tool_list(tools: list[Json]) -> None:
    seen: set[tuple[str | None, str]] = set()
    for where, space, tool in functions(tools):
        chat.named(tool["name"], f"{where}.name")
        if (space, tool["name"]) in seen:
            raise bad(f"Invalid '{where}.name': the name '{tool['name']}' is used twice.", f"{where}.name", "invalid_value")
        seen.add((space, tool["name"]))
        parameters: Json = tool.get("parameters") or {}
        if parameters and parameters.get("type") != "object":
            text = f"Invalid schema for function '{tool['name']}': the type must be \"object\"."
            raise bad(text, f"{where}.parameters", "invalid_function_parameters")
        if tool.get("strict"):
            chat.strict(parameters, f"{where}.parameters", "invalid_function_parameters")


def tool_choice(body: Json, tools: list[Json]) -> None:
    choice: Any = body.get("tool_choice")
    if choice in (None, "auto", "none"):
        return
    if not tools:
        raise bad("Tool choice must be 'none' or 'auto' where there are no tools.", "tool_choice")
    row = an_object(choice)
    wanted = [row] if row.get("type") in ("function", "custom") else a_list(row.get("tools"))
    names = {(tool["type"], tool["name"]) for _, _, tool in functions(tools)}
    for tool in wanted:
        if tool.get("type") in ("function", "custom") and (tool["type"], tool.get("name")) not in names:
            raise bad(f"Tool choice '{tool.get('name')}' not found in 'tools' parameter.", "tool_choice")


# Parameters


def form(body: Json, said: list[Json]) -> None:
    wanted = an_object(an_object(body.get("text")).get("format"))
    if wanted.get("type") == "json_object" and b"json" not in encode([said, body.get("instructions")]).lower():
        text = "Response input messages must contain the word 'json' in some form, to use 'text.format' of type 'json_object'."
        raise bad(text, "input")
    if wanted.get("type") != "json_schema":
        return
    chat.named(wanted["name"], "text.format.name")
    if wanted.get("strict"):
        if wanted["schema"].get("type") != "object":
            raise bad(
                "Invalid schema in 'text.format': the type must be \"object\".", "text.format.schema", "invalid_json_schema"
            )
        chat.strict(wanted["schema"], "text.format.schema", "invalid_json_schema")


def ranges(body: Json) -> None:
    for field, low, high in _RANGES:
        value = body.get(field)
        if value is not None and value < low:
            raise bad(f"Invalid '{field}': expected a value >= {low}, but got {value}.", field, "integer_below_min_value")
        if value is not None and value > high:
            raise bad(f"Invalid '{field}': expected a value <= {high}, but got {value}.", field, "integer_above_max_value")


def model_rules(body: Json) -> None:
    model, effort = body.get("model", ""), an_object(body.get("reasoning")).get("effort")
    free = (5, 1) <= chat.generation(model) <= (5, 4) and effort == "none"
    if chat.is_reasoning(model):
        for field in ("temperature", "top_p"):
            if not free and body.get(field) not in (None, 1):
                raise chat.unsupported(field)
        return
    asked = an_object(body.get("reasoning"))
    if any(asked.get(field) is not None for field in ("effort", "summary", "generate_summary")) and "mock" not in model:
        raise chat.unsupported("reasoning.effort" if effort is not None else "reasoning.summary")
    if _SEALED in a_list(body.get("include")) and "mock" not in model:
        raise bad("Encrypted content is not supported with this model.", "include")
