"""Tools and the choice among them, both ways. Source: types.responses tool_param, function_tool_param, custom_tool_param,
namespace_tool_param and the tool_choice_*_param.

What no other protocol has is brought to what all have: a tool of a namespace is a function named `namespace__tool`, and
a custom tool, whose input is free text, is a function of one string, `input`. Notes tell how they were spelled, so that
calls of them come back as the client knows them; what Chat Completions has too is kept under `VENDOR`, in its words. All
other kinds are ServerTools.
"""

from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from interlingua.ir import Function, Json, Request, ServerTool, ToolCall, ToolChoice
from interlingua.protocols import Lose, Target, wire
from interlingua.protocols.openai_common import CUSTOM, FORMAT, INPUT, free_text, in_arguments, told_custom
from interlingua.protocols.responses.names import NAME, VENDOR
from interlingua.protocols.wire import (
    array,
    as_array,
    as_obj,
    boolean,
    foreign,
    keep,
    need,
    note,
    note_down,
    obj,
    text,
)

_BETWEEN: Final = "__"
_GRAMMAR: Final = ("syntax", "definition")


class Spelling(NamedTuple):
    """How a client knows a function: its namespace, its name there, and whether its input is free text."""

    namespace: str | None
    name: str
    custom: bool


# Reading


def parse_tools(value: Any) -> list[Function | ServerTool]:
    tools: list[Function | ServerTool] = []
    for i, item in enumerate(array(value, "tools")):
        d = as_obj(item) or obj(item, f"tools[{i}]")
        inner = as_array(d.get("tools"))
        if d.get("type") == "namespace" and inner and all(as_obj(t).get("type") in _KINDS for t in inner):
            tools += _parse_namespace(d, inner, f"tools[{i}]")
        else:
            tools.append(_parse_tool(d, i, None))
    return tools


def _parse_namespace(d: Json, inner: list[Any], path: str) -> list[Function | ServerTool]:
    head = {key: value for key, value in d.items() if key != "tools"}
    name = text(need(dict(d), "name", f"{path}.name"), f"{path}.name")
    tools = [_parse_tool(item, k, path) for k, item in enumerate(inner)]
    for tool in tools:
        if isinstance(tool, Function):
            mine = {**tool.extras.get(NAME, {}), "~namespace": head, "~name": tool.name}
            tool.extras = {**tool.extras, NAME: mine}
            tool.name = joined(name, tool.name)
    if head.get("description"):
        tools[0].extras[NAME]["namespace_description"] = head["description"]
    return tools


def joined(namespace: str, name: str) -> str:
    """The name of a namespace's tool where there are no namespaces."""
    return f"{namespace}{_BETWEEN}{name}"


def _parse_tool(d: Json, i: int, inside: str | None) -> Function | ServerTool:
    kind = d.get("type")
    if kind not in _KINDS:
        path = f"tools[{i}]"
        return ServerTool(origin=NAME, kind=text(need(dict(d), "type", f"{path}.type"), f"{path}.type"), config=d)
    bare = [key for key in ("parameters", "strict") if key not in d]
    d = dict(d)
    del d["type"]
    name, description, schema, strict = (
        d.pop("name", None),
        d.pop("description", None),
        d.pop("parameters", None),
        d.pop("strict", None),
    )
    if name.__class__ is not str or not _typed(description, schema, strict):
        _refuse(name, description, schema, strict, f"{inside}.tools[{i}]" if inside else f"tools[{i}]")
    if kind == "custom":
        return _custom(name, description, d)
    tool = Function(name=name, description=description, schema=schema, strict=strict or None)
    if strict is False:
        d["~loose"] = True  # what every other protocol takes a tool for that says nothing
    if bare:
        d["~bare"] = bare
    if d:
        keep(tool, NAME, d)
    return tool


def _typed(description: Any, schema: Any, strict: Any) -> bool:
    return (
        (description is None or description.__class__ is str)
        and (schema is None or schema.__class__ is dict)
        and (strict is None or strict.__class__ is bool)
    )


def _refuse(name: Any, description: Any, schema: Any, strict: Any, path: str) -> None:
    """Raises InvalidRequest for the first that has a wrong type."""
    text(need({"name": name}, "name", f"{path}.name"), f"{path}.name")
    if description is not None:
        text(description, f"{path}.description")
    if schema is not None:
        obj(schema, f"{path}.parameters")
    if strict is not None:
        boolean(strict, f"{path}.strict")


def _custom(name: str, description: str | None, d: Json) -> Function:
    tool = Function(name=name, description=description, schema=INPUT, extras={VENDOR: {CUSTOM: NAME}})
    form = as_obj(d.get("format"))
    if form == {"type": "text"}:
        note_down(tool, VENDOR, "~format", d.pop("format"))  # the default
    elif form.keys() == {"type", *_GRAMMAR} and form["type"] == "grammar":
        del d["format"]
        note_down(tool, VENDOR, FORMAT, {"type": "grammar", "grammar": {key: form[key] for key in _GRAMMAR}})
    keep(tool, NAME, d)
    return tool


_KINDS: Final = ("function", "custom")


def parse_tool_choice(request: Request, value: Any) -> Json | None:
    """Sets the request's choice; gives a choice back that only this protocol can make."""
    parallel = request.tool_choice.parallel if request.tool_choice else None
    if type(value) is str:
        mode: Any = wire.choice(value, "tool_choice", ("none", "auto", "required"))
        request.tool_choice = ToolChoice(mode=mode, parallel=parallel)
        return None
    d = obj(value, "tool_choice")
    match d.get("type"):
        case "function" | "custom" if len(d) == 2:
            name = text(d.get("name"), "tool_choice.name")
            request.tool_choice = ToolChoice(mode="named", names=[name], parallel=parallel)
        case "allowed_tools" if names := _allowed(d):
            mode: Any = wire.choice(d.get("mode"), "tool_choice.mode", ("auto", "required"))
            request.tool_choice = ToolChoice(mode=mode, names=names, parallel=parallel)
        case _:
            return d
    return None


def _allowed(d: Json) -> list[str] | None:
    """The names of an allowed_tools choice, or None where it names more than functions."""
    tools = [as_obj(tool) for tool in array(d.get("tools"), "tool_choice.tools")]
    names = [tool["name"] for tool in tools if tool.get("type") in _KINDS and type(tool.get("name")) is str and len(tool) == 2]
    return names if names and len(names) == len(tools) else None


# Writing


def format_tools(request: Request, target: Target | None, lose: Lose) -> list[Json]:
    """`target` None: as the client itself is told them again."""
    out: list[Json] = []
    loose = None if note(request, NAME, "~input") is not None else False  # unsaid, the Responses API takes a tool as strict
    space: Any = None
    for i, tool in enumerate(request.tools):
        if isinstance(tool, ServerTool):
            space = None
            if tool.origin == NAME:
                out.append(tool.config)
            else:
                lose(f"tools[{i}]", "dropped", f"{tool.kind} runs only on {tool.origin}")
            continue
        said = _format_tool(tool, i, loose, target, lose)
        if tool.extras and (head := note(tool, NAME, "~namespace")) is not None:
            if head != space:
                out.append({**head, "tools": []})
            out[-1]["tools"].append(said)
            space = head
        else:
            out.append(said)
            space = None
    return out


def _format_tool(tool: Function, i: int, loose: bool | None, target: Target | None, lose: Lose) -> Json:
    mine = tool.extras.get(NAME, {}) if tool.extras else {}
    custom = VENDOR in tool.extras and told_custom(tool, NAME, target)
    out: Json = {"type": "custom" if custom else "function", "name": mine.get("~name") or tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if custom:
        tool = _formatted(tool, out)
    else:
        bare = mine.get("~bare", ())
        if tool.schema is not None or "parameters" not in bare:
            out["parameters"] = tool.schema
        if tool.strict is not None or "strict" not in bare:
            out["strict"] = tool.strict or (False if "~loose" in mine else loose)
    if tool.cache is not None:
        lose(f"tools[{i}].cache", "dropped", "a tool of OpenAI's has no cache mark")
    if tool.extras:
        foreign(tool, NAME, f"tools[{i}]", lose)
        for key, value in mine.items():
            if key[:1] != "~" and key != "namespace_description":
                out[key] = value
    return out


def _formatted(tool: Function, out: Json) -> Function:
    """Writes a custom tool's format; gives back the tool without what that told."""
    shared = dict(tool.extras[VENDOR])
    form = shared.get(FORMAT)
    grammar = as_obj(as_obj(form).get("grammar"))
    if "~format" in shared:
        out["format"] = shared["~format"]
    elif form == {"type": "grammar", "grammar": grammar} and grammar.keys() == set(_GRAMMAR):
        out["format"] = {"type": "grammar", **grammar}
        del shared[FORMAT]
    return replace(tool, extras={**tool.extras, VENDOR: shared})


def format_tool_choice(choice: ToolChoice, request: Request, target: Target, out: Json, lose: Lose) -> None:
    if not out.get("tools") and note(request, NAME, "~input") is None:
        if choice.mode is not None and choice.mode != "none":
            lose("tool_choice", "dropped", "there are no tools to choose from")
        if choice.parallel is not None:
            lose("tool_choice.parallel", "dropped", "there are no tools to call")
        return
    if choice.mode is not None:
        out["tool_choice"] = spelled_choice(choice, request, target)
    if choice.parallel is not None:
        out["parallel_tool_calls"] = choice.parallel


def spelled_choice(choice: ToolChoice, request: Request, target: Target | None) -> str | Json:
    if not choice.names or choice.mode == "none" or choice.mode is None:
        return choice.mode or "auto"
    known = spellings(request, target)
    rows = [{"type": "custom" if (s := known.get(n)) is not None and s.custom else "function", "name": n} for n in choice.names]
    if choice.mode == "named":
        return rows[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": rows}


# Calls


def spellings(request: Request, target: Target | None = None) -> dict[str, Spelling]:
    """The functions whose calls the client, or a target, knows in other words than the IR's."""
    found: dict[str, Spelling] = {}
    for tool in request.tools:
        if isinstance(tool, Function) and tool.extras:
            mine = as_obj(tool.extras.get(NAME))
            space = as_obj(mine.get("~namespace")).get("name")
            custom = VENDOR in tool.extras and told_custom(tool, NAME, target)
            if space is not None or custom:
                found[tool.name] = Spelling(space, mine.get("~name") or tool.name, custom)
    return found


def call_spelling(call: ToolCall, known: dict[str, Spelling], target: Target | None = None) -> Spelling | None:
    """How to spell a call: as it was itself spelled, else as its tool was."""
    if call.extras and (mine := note(call, NAME, "~call")) is not None:
        return Spelling(*mine)
    if (found := known.get(call.name)) is None and call.extras and told_custom(call, NAME, target):
        return Spelling(None, call.name, True)
    return found


def plain_call(d: Json) -> ToolCall | None:
    """The call that nearly all `function_call` items are: an id, a name and arguments, and nothing else."""
    id_, name, arguments = d.get("call_id"), d.get("name"), d.get("arguments")
    if len(d) != 4 or type(id_) is not str or type(name) is not str or type(arguments) is not str:
        return None
    return ToolCall(id=id_, name=name, arguments=arguments)


def take_call(d: Json, path: str) -> ToolCall:
    """Pops a call from a `function_call` or `custom_tool_call` item."""
    custom = d.pop("type", None) == "custom_tool_call"
    id_ = text(need(d, "call_id", f"{path}.call_id"), f"{path}.call_id")
    name = text(need(d, "name", f"{path}.name"), f"{path}.name")
    space = d.pop("namespace", None)
    words = d.pop("input" if custom else "arguments", None)
    said = "" if words is None else text(words, f"{path}.{'input' if custom else 'arguments'}")
    call = ToolCall(id=id_, name=name, arguments=in_arguments(said) if custom else said)
    if space is not None or custom:
        call.extras = {NAME: {"~call": [space, name, custom]}, **({VENDOR: {CUSTOM: NAME}} if custom else {})}
        if space is not None:
            call.name = joined(text(space, f"{path}.namespace"), name)
    return call


def call_item(call: ToolCall, spelling: Spelling | None, id_: str) -> Json:
    """The item of a call, without the id and status of its own that an answer's has."""
    if spelling is None:
        return {"type": "function_call", "call_id": id_, "name": call.name, "arguments": call.arguments or "{}"}
    out: Json = {"type": "custom_tool_call" if spelling.custom else "function_call", "call_id": id_, "name": spelling.name}
    if spelling.namespace is not None:
        out["namespace"] = spelling.namespace
    if spelling.custom:
        out["input"] = free_text(call.arguments)
    else:
        out["arguments"] = call.arguments or "{}"
    return out
