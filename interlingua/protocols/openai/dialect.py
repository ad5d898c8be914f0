"""What servers of OpenAI's dialect call otherwise or refuse: their hosts' quirks, before and after a request is written.

no_developer    developer turns go as system turns      no_names        messages have no name
no_cache_marks  no prompt_cache_breakpoint              cache_control   it is called so, as Anthropic's
max_tokens      knows no max_completion_tokens          random_seed     seed is called so
short_ids       ids of calls are nine letters or digits one_choice      n is 1
no_json_schema  JSON mode without a schema              no_<field>      the request has no such field
top_k           takes it (request.py)            no_custom_tools  a custom tool is told as a function (request.py)
"""

import re
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from interlingua.ir import AnyPart, Json, Message, Request, ToolResult
from interlingua.protocols import Lose, Target
from interlingua.protocols.openai.names import NAME
from interlingua.protocols.wire import as_array, as_obj, as_text

_SHORT: Final = re.compile(r"[A-Za-z0-9]{9}")
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_IDLE: Final = {"logprobs": False, "stream_options": {"include_usage": True}}  # says nothing, or is ours


def narrowed(request: Request, target: Target, lose: Lose) -> Request:
    """The request without what its messages cannot say there; the one given stays as it is."""
    messages = [_message(message, f"messages[{i}]", target.quirks, lose) for i, message in enumerate(request.messages)]
    return replace(request, messages=messages)


def _message(message: Message, path: str, quirks: frozenset[str], lose: Lose) -> Message:
    changes: dict[str, Any] = {}
    if message.role == "developer" and "no_developer" in quirks:
        changes["role"] = "system"
    own = message.extras.get(NAME, {})
    if "name" in own and "no_names" in quirks:
        changes["extras"] = {**message.extras, NAME: {key: value for key, value in own.items() if key != "name"}}
        lose(f"{path}.name", "dropped", "this host's messages have no name")
    if "no_cache_marks" in quirks:
        changes["parts"] = [_unmarked(part, f"{path}.parts[{j}]", lose) for j, part in enumerate(message.parts)]
    return replace(message, **changes) if changes else message


def _unmarked(part: AnyPart, path: str, lose: Lose) -> AnyPart:
    if isinstance(part, ToolResult):
        inner = [_unmarked(one, f"{path}.parts[{k}]", lose) for k, one in enumerate(part.parts)]
        part = replace(part, parts=inner)
    if part.cache is None:
        return part
    lose(f"{path}.cache", "dropped", "this host has no cache marks")
    return replace(part, cache=None)


def put(out: Json, target: Target, lose: Lose) -> None:
    """Changes a written request into the host's own words."""
    quirks = target.quirks
    if "max_tokens" in quirks and "max_completion_tokens" in out:
        out["max_tokens"] = out.pop("max_completion_tokens")
    if "random_seed" in quirks and "seed" in out:
        out["random_seed"] = out.pop("seed")
    if "one_choice" in quirks and out.pop("n", 1) != 1:
        lose("n", "dropped", "this host gives one choice")
    if "no_json_schema" in quirks and as_obj(out.get("response_format")).get("type") == "json_schema":
        _without_schema(out, lose)
    for field in [field for field in out if f"no_{field}" in quirks]:
        value = out.pop(field)
        if value != _IDLE.get(field):
            lose(field, "dropped", "this host has no such parameter")
    if "short_ids" in quirks:
        out["messages"] = [_short_ids(message) for message in out["messages"]]
    if "cache_control" in quirks:
        out["messages"] = [_marked(message) for message in out["messages"]]


def _without_schema(out: Json, lose: Lose) -> None:
    """JSON mode in its stead; but that wants the word in the prompt, and where it is not, there is no format at all."""
    if b"json" in msgspec.json.encode(out["messages"]).lower():
        out["response_format"] = {"type": "json_object"}
        lose("output.schema", "dropped", "this host has JSON mode alone")
    else:
        del out["response_format"]
        lose("output", "dropped", "this host has JSON mode alone, and only for a prompt that speaks of JSON")


def _short_ids(message: Json) -> Json:
    if "tool_call_id" in message:
        return {**message, "tool_call_id": short(message["tool_call_id"])}
    if calls := as_array(message.get("tool_calls")):
        return {**message, "tool_calls": [{**call, "id": short(as_text(call.get("id")) or "")} for call in calls]}
    return message


def _marked(message: Json) -> Json:
    """Its cache marks in Anthropic's form."""
    parts = as_array(message.get("content"))
    if not any("prompt_cache_breakpoint" in part for part in parts):
        return message
    content: list[Json] = []
    for part in parts:
        rest = {key: value for key, value in part.items() if key != "prompt_cache_breakpoint"}
        content.append(rest if len(rest) == len(part) else {**rest, "cache_control": {"type": "ephemeral"}})
    return {**message, "content": content}


def short(id_: str) -> str:
    """An id of nine letters or digits. It only ties a result to its call, so both are changed alike and nothing is lost."""
    if _SHORT.fullmatch(id_):
        return id_
    number = int.from_bytes(sha256(id_.encode(errors="surrogatepass")).digest()[:8], "big")
    return "".join(_LETTERS[number // 62**place % 62] for place in range(9))
