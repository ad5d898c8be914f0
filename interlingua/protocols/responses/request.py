"""A Responses request: read from a client, written for a backend. Source: ResponseCreateParamsBase.

`background`, `conversation` and `previous_response_id` change what a request means: they are kept as extras, so that
every other protocol reports them, and whoever routes the request may refuse or resolve them first (`interlingua/store.py`).
`store`, `stream_options` and what repeats a default say nothing that another backend would do otherwise: they are notes.
A request that comes from another protocol is run without leaving anything at the provider (`store: false`), with its
reasoning sealed into the answer, since its client will bring the whole conversation again.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, get_args

from msgspec import Struct

from interlingua.ir import Effort, Json, Message, Output, Reasoning, Request, Text, ToolChoice
from interlingua.losses import How
from interlingua.protocols import Lose, Target, wire
from interlingua.protocols.openai_common import effort_of
from interlingua.protocols.responses.items import parse_input
from interlingua.protocols.responses.names import NAME, SHARED, VENDOR
from interlingua.protocols.responses.tools import format_tool_choice, format_tools, parse_tool_choice, parse_tools
from interlingua.protocols.responses.turns import Items
from interlingua.protocols.shared import Reader, written
from interlingua.protocols.wire import boolean, foreign, integer, keep, merge, need, note, number, obj, text

EFFORTS: Final[tuple[str, ...]] = get_args(Effort)
_LEAST: Final = 16  # output tokens; OpenAI refuses fewer
_SEALED: Final = "reasoning.encrypted_content"
_LOGPROBS: Final = "message.output_text.logprobs"
_DEFAULTS: Final[Json] = {"background": False, "truncation": "disabled"}
_HAS_HISTORY: Final = ("previous_response_id", "conversation", "prompt")

# Reading


class _Rest(Struct):
    """What a request says beside the IR: this protocol's own, and what is the vendor's."""

    mine: Json = {}
    shared: Json = {}


def parse_request(body: Json, model: str | None = None, stream: bool | None = None) -> Request:
    name = body.pop("model", None)
    request = Request(model=model or text(name if name is not None else need({}, "model", "model"), "model"), messages=[])
    rest = _Rest()
    said, instructions = body.pop("input", None), body.pop("instructions", None)
    if said is None and not any(body.get(key) is not None for key in _HAS_HISTORY):
        need({}, "input", "input")
    if type(said) is str:
        request.messages = [Message(role="user", parts=[Text(text=said)])]
        rest.mine["~input"] = "string"
    else:
        request.messages = [] if said is None else parse_input(said)
        rest.mine["~input"] = "none" if said is None else "list"
    if instructions is not None:
        _instructions(request, instructions, rest)
    for key, value in body.items():
        if value is None:
            continue
        if (scalar := _SCALARS.get(key)) is not None:
            setattr(request, scalar[0], scalar[1](value, key))
        elif (reader := _FIELDS.get(key)) is not None:
            reader(request, value, rest)
        elif key in SHARED:
            rest.shared[key] = value
        elif key in _DEFAULTS and value == _DEFAULTS[key]:
            rest.mine.setdefault("~defaults", {})[key] = value
        else:
            rest.mine[key] = value
    request.extras = {NAME: rest.mine, VENDOR: rest.shared} if rest.shared else {NAME: rest.mine}
    return request


_SCALARS: Final[dict[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "max_output_tokens": ("max_tokens", integer),
    "temperature": ("temperature", number),
    "top_p": ("top_p", number),
    "top_logprobs": ("top_logprobs", integer),
    "user": ("user", text),
    "stream": ("stream", boolean),
}


def _instructions(request: Request, value: Any, rest: _Rest) -> None:
    if not text(value, "instructions"):
        rest.mine["~instructions"] = value
        return
    message = Message(role="system", parts=[Text(text=value)], extras={NAME: {"~instructions": True}})
    request.messages.insert(0, message)


def _store(request: Request, value: Any, rest: _Rest) -> None:
    rest.mine["~store"] = boolean(value, "store")


def _stream_options(request: Request, value: Any, rest: _Rest) -> None:
    rest.mine["~stream_options"] = obj(value, "stream_options")


def _parallel(request: Request, value: Any, rest: _Rest) -> None:
    choice = request.tool_choice or ToolChoice()
    choice.parallel = boolean(value, "parallel_tool_calls")
    request.tool_choice = choice


def _tool_choice(request: Request, value: Any, rest: _Rest) -> None:
    if (own := parse_tool_choice(request, value)) is not None:
        rest.mine["tool_choice"] = own


def _tools(request: Request, value: Any, rest: _Rest) -> None:
    request.tools = _read_tools(value)
    if not request.tools:
        rest.mine["~tools"] = True


_read_tools: Final = Reader(parse_tools)


def _include(request: Request, value: Any, rest: _Rest) -> None:
    asked = wire.texts(value, "include")
    rest.mine["~include"] = asked
    if _LOGPROBS in asked:
        request.logprobs = True
    if others := [word for word in asked if word not in (_LOGPROBS, _SEALED)]:
        rest.mine["include"] = others


def _text(request: Request, value: Any, rest: _Rest) -> None:
    d = dict(obj(value, "text"))
    rest.mine["~text"] = True
    if (form := d.pop("format", None)) is not None:
        _format(request, form, d)
    if (verbosity := d.pop("verbosity", None)) is not None:
        rest.shared["verbosity"] = verbosity
    rest.mine |= {f"text.{key}": inner for key, inner in d.items() if inner is not None}


def _format(request: Request, value: Any, rest: Json) -> None:
    d = dict(obj(value, "text.format"))
    kind = text(need(d, "type", "text.format.type"), "text.format.type")
    if kind not in ("text", "json_object", "json_schema"):
        rest["format"] = value
        return
    output = Output(mode="text" if kind == "text" else "json")
    if kind == "json_schema":
        schema, strict, description = d.pop("schema", None), d.pop("strict", None), d.pop("description", None)
        output = Output(
            mode="schema",
            name=text(need(d, "name", "text.format.name"), "text.format.name"),
            description=None if description is None else text(description, "text.format.description"),
            schema=None if schema is None else obj(schema, "text.format.schema"),
            strict=None if strict is None else boolean(strict, "text.format.strict"),
        )
    keep(output, NAME, d)
    request.output = output


def _reasoning(request: Request, value: Any, rest: _Rest) -> None:
    d = dict(obj(value, "reasoning"))
    effort = d.pop("effort", None)
    reasoning = request.reasoning = Reasoning()
    mine: Json = {"~said": True}
    if effort == "none":
        reasoning.enabled = False
    elif effort in EFFORTS:
        reasoning.effort = effort
    elif effort is not None:
        mine["effort"] = text(effort, "reasoning.effort")
    for field in ("summary", "generate_summary"):
        if field in d:
            summary = d.pop(field)
            reasoning.visible = summary is not None
            if summary is not None:
                mine[f"~{field}"] = text(summary, f"reasoning.{field}")
    keep(reasoning, NAME, mine | d)


_FIELDS: Final[dict[str, Callable[[Request, Any, _Rest], None]]] = {
    "store": _store,
    "stream_options": _stream_options,
    "parallel_tool_calls": _parallel,
    "tool_choice": _tool_choice,
    "tools": _tools,
    "include": _include,
    "text": _text,
    "reasoning": _reasoning,
}


# Writing


def format_request(request: Request, target: Target, lose: Lose) -> Json:
    mine = request.extras.get(NAME, {})
    said: str | None = mine.get("~input")
    items = Items(request, target, lose)
    items.write()
    out: Json = {"model": target.model}
    if items.instructions is not None:
        out["instructions"] = items.instructions
    elif "~instructions" in mine:
        out["instructions"] = mine["~instructions"]
    if said == "string" and len(items.out) == 1 and type(items.out[0].get("content")) is str:
        out["input"] = items.out[0]["content"]
    elif items.out or said != "none":
        out["input"] = items.out
    _format_limits(request, target, said is not None, out, lose)
    if request.tools:
        key = (NAME, said is not None, target.model, target.quirks)
        if tools := written(request.tools, key, partial(format_tools, request, target), lose):
            out["tools"] = tools
    elif "~tools" in mine:
        out["tools"] = []
    if request.tool_choice is not None:
        format_tool_choice(request.tool_choice, request, target, out, lose)
    if (words := text_of(request, lose)) or "~text" in mine:
        out["text"] = words
    if request.reasoning is not None:
        _format_reasoning(request.reasoning, target, out, lose)
    if request.stream:
        out["stream"] = True
        if "~stream_options" in mine:
            out["stream_options"] = mine["~stream_options"]
    _format_extras(request, said is not None, out, lose)
    _format_include(request, target, said is not None, out, lose)
    return out


def request_headers(body: Json, own: Mapping[bytes, bytes]) -> bytes:
    """None: all that OpenAI wants to know stands in the body."""
    return b""


def _format_limits(request: Request, target: Target, own: bool, out: Json, lose: Lose) -> None:
    if request.max_tokens is not None:
        out["max_output_tokens"] = request.max_tokens if own else max(request.max_tokens, _LEAST)
        if out["max_output_tokens"] != request.max_tokens:
            lose("max_tokens", "changed", f"OpenAI's least is {_LEAST}")
    refuses = not target.facts.sampling and not (request.reasoning and request.reasoning.enabled is False)
    for key in ("temperature", "top_p"):
        value = getattr(request, key)
        if value is not None and refuses and value != 1:
            lose(key, "dropped", f"{target.model} takes no {key}")
        elif value is not None:
            out[key] = value
    if request.top_logprobs is not None:
        out["top_logprobs"] = request.top_logprobs
    if request.user is not None:
        out["user"] = request.user
    for key in ("top_k", "frequency_penalty", "presence_penalty", "seed", "n"):
        if getattr(request, key) is not None:
            lose(key, "dropped", "the Responses API has no such parameter")
    if request.stop:
        lose("stop", "dropped", "the Responses API has no stop sequences")


def text_of(request: Request, lose: Lose) -> Json:
    """What `text` says."""
    said: Json = {}
    if request.output is not None:
        said["format"] = _format_output(request.output, lose)
    if (verbosity := request.extras.get(VENDOR, {}).get("verbosity")) is not None:
        said["verbosity"] = verbosity
    return said


def _format_output(output: Output, lose: Lose) -> Json:
    out: Json = {"type": {"text": "text", "json": "json_object", "schema": "json_schema"}[output.mode]}
    if output.mode == "schema":
        out["name"] = output.name or "response"
        if output.description is not None:
            out["description"] = output.description
        if output.schema is not None:
            out["schema"] = output.schema
        if output.strict is not None:
            out["strict"] = output.strict
    if output.extras:
        foreign(output, NAME, "output", lose)
        merge(out, output, NAME)
    return out


def _format_reasoning(reasoning: Reasoning, target: Target, out: Json, lose: Lose) -> None:
    effort: str | None = "none" if reasoning.enabled is False else reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = effort_of(reasoning.budget)
    if reasoning.extras:
        foreign(reasoning, NAME, "reasoning", lose)
    said: Json = {}
    if target.facts.family == "openai" and (effort is not None or reasoning.enabled or reasoning.visible):
        lose("reasoning", "dropped", f"{target.model} does not reason")
        return
    if reasoning.budget is not None:
        lose("reasoning.budget", "changed" if effort else "dropped", "OpenAI takes an effort, not a budget")
    if effort is not None:
        said["effort"] = effort
        if reasoning.enabled is False and reasoning.effort is not None:
            lose("reasoning.effort", "dropped", "reasoning is off")
    elif reasoning.enabled:
        lose("reasoning.enabled", "dropped", "the model decides by itself")
    summarised = False
    for field in ("summary", "generate_summary"):
        if (word := note(reasoning, NAME, f"~{field}")) is not None and reasoning.visible:
            said[field] = word
            summarised = True
    if reasoning.visible is not None and not summarised:
        said["summary"] = "auto" if reasoning.visible else None
    merge(said, reasoning, NAME)
    if said or note(reasoning, NAME, "~said"):
        out["reasoning"] = said


def _format_extras(request: Request, own: bool, out: Json, lose: Lose) -> None:
    for origin, values in request.extras.items():
        if origin == NAME:
            continue
        for key, value in values.items():
            if origin == VENDOR and key in SHARED:
                out[key] = value
            elif key[:1] != "~" and not (origin == VENDOR and key in ("verbosity", "store")):
                lose(key, "dropped", f"only {origin} has it")
    mine = request.extras.get(NAME, {})
    if not own:
        out["store"] = request.extras.get(VENDOR, {}).get("store", False)
    elif "~store" in mine:
        out["store"] = mine["~store"]
    for key, value in mine.items():
        if key == "~defaults":
            out.update(value)
        elif key.startswith("text."):
            out["text"][key.removeprefix("text.")] = value
        elif key[:1] != "~" and key != "include":
            out[key] = value


def _format_include(request: Request, target: Target, own: bool, out: Json, lose: Lose) -> None:
    include: list[str] = list(note(request, NAME, "~include") or [])
    if not own and target.facts.family == "openai_reasoning":
        include.append(_SEALED)
    if request.logprobs and _LOGPROBS not in include:
        include.append(_LOGPROBS)
    elif not request.logprobs and _LOGPROBS in include:
        include.remove(_LOGPROBS)
    if request.logprobs is False:
        lose("logprobs", "dropped", "they are told only where they are asked for")
    if include or note(request, NAME, "~include") is not None:
        out["include"] = include


def input_items(request: Request) -> list[Json]:
    """What a request brought, as `GET /v1/responses/{id}/input_items` lists it: whole items, each with an id and status."""
    items = Items(request, None, _unreported)
    items.write()
    return [_listed(item, place) for place, item in enumerate(items.out)]


def _listed(item: Json, place: int) -> Json:
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    out: Json = {"id": f"{_PREFIXES.get(kind, 'item')}_{place}", "type": kind, "status": "completed", **item}
    if kind == "message" and type(content := item.get("content")) is str:
        form = "output_text" if item.get("role") == "assistant" else "input_text"
        said: Json = {"type": form, "text": content}
        out["content"] = [{**said, "annotations": []} if form == "output_text" else said]
    return out


_PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}


def _unreported(path: str, how: How, why: str = "") -> None:
    """For what is told again: its losses were reported when it was first told."""
