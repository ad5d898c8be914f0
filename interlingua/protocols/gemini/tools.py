"""Tools and the choice among them. Source: the SDK's FunctionDeclaration, Tool, ToolConfig, FunctionCallingConfigMode.

Gemini checks calls against their schemas in the modes VALIDATED and ANY, for all functions at once: so a strict
function in mode auto makes it VALIDATED, and in ANY asks for nothing more.
"""

from functools import partial
from typing import Any, Final, Literal

from msgspec import Raw

from interlingua.ir import Function, Json, Request, ServerTool, ToolChoice
from interlingua.protocols import Lose, Target
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.gemini.spelling import CALLING, DECLARATION, TOOL, TOOL_CONFIG, spell
from interlingua.protocols.schema import from_openapi, to_openapi
from interlingua.protocols.shared import Reader, written
from interlingua.protocols.wire import array, foreign, keep, keep_in, merge, need, note, note_down, obj, text, texts

_MODES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "AUTO": "auto",
    "ANY": "required",
    "NONE": "none",
    "VALIDATED": "auto",
}

# Reading


def _read_tools(value: Any) -> list[Function | ServerTool]:
    tools: list[Function | ServerTool] = []
    for t, item in enumerate([value] if type(value) is dict else array(value, "tools")):
        path = f"tools[{t}]"
        for key, entry in spell(obj(item, path), TOOL).items():
            if key == "functionDeclarations":
                for k, declaration in enumerate(array(entry, f"{path}.{key}")):
                    tools.append(_read_function(declaration, f"{path}.{key}[{k}]"))
                    note_down(tools[-1], NAME, "~tool", t)
            else:
                tool = ServerTool(origin=NAME, kind=key, config={key: entry})
                note_down(tool, NAME, "~tool", t)
                tools.append(tool)
    return tools


read_tools: Final = Reader(_read_tools)


def _read_function(value: Any, path: str) -> Function:
    d = spell(obj(value, path), DECLARATION)
    description, schema = d.pop("description", None), d.pop("parametersJsonSchema", None)
    tool = Function(
        name=text(need(d, "name", f"{path}.name"), f"{path}.name"),
        description=None if description is None else text(description, f"{path}.description"),
    )
    if schema is not None:
        tool.schema = obj(schema, f"{path}.parametersJsonSchema")
    elif (old := d.pop("parameters", None)) is not None:
        tool.schema = from_openapi(obj(old, f"{path}.parameters"))
        note_down(tool, NAME, "~parameters", old)
    if d:
        keep(tool, NAME, d)
    return tool


def read_tool_config(request: Request, value: Any) -> None:
    d = spell(obj(value, "toolConfig"), TOOL_CONFIG)
    path = "toolConfig.functionCallingConfig"
    if (calling := d.get("functionCallingConfig")) is not None:
        calling = spell(obj(calling, path), CALLING)
        mode = calling.get("mode")
        if mode is not None and text(mode, f"{path}.mode").upper() in _MODES:
            del d["functionCallingConfig"], calling["mode"]
            names = texts(calling.pop("allowedFunctionNames", []), f"{path}.allowedFunctionNames")
            request.tool_choice = ToolChoice(mode=_MODES[mode.upper()], names=names)
            if len(names) == 1 and request.tool_choice.mode == "required":
                request.tool_choice.mode = "named"
            if mode.upper() == "VALIDATED":
                calling["mode"] = mode
            note_down(request, NAME, "~mode", mode)
            keep_in(request, NAME, path, calling)
    keep_in(request, NAME, "toolConfig", d)


# Writing


def format_tools(request: Request, target: Target, lose: Lose) -> Raw | list[Json]:
    return written(request.tools, (NAME, target.quirks), partial(_format_tools, request.tools, target), lose)


def _format_tools(given: list[Function | ServerTool], target: Target, lose: Lose) -> list[Json]:
    """One Tool object holds all functions, but for a request of Gemini's own, whose objects are kept apart as they were."""
    tools: dict[int, Json] = {}
    for k, tool in enumerate(given):
        path = f"tools[{k}]"
        place = note(tool, NAME, "~tool")
        if isinstance(tool, Function):
            entry = tools.setdefault(-1 if place is None else place, {})
            entry.setdefault("functionDeclarations", []).append(_format_function(tool, path, target, lose))
        elif tool.origin == NAME:
            tools.setdefault(len(given) + k if place is None else place, {}).update(tool.config)
        else:
            lose(path, "dropped", f"{tool.kind} runs only on {tool.origin}")
            continue
        if tool.extras:
            foreign(tool, NAME, path, lose)
    return list(tools.values())


def _format_function(tool: Function, path: str, target: Target, lose: Lose) -> Json:
    out: Json = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    old = note(tool, NAME, "~parameters")
    if tool.schema is not None and old is not None:
        out["parameters"] = old
    elif tool.schema is not None and "openapi_schema" in target.quirks:
        if tool.schema.get("properties") or tool.schema.get("type") != "object":  # an empty OBJECT is refused
            out["parameters"] = to_openapi(tool.schema, f"{path}.schema", lose)
    elif tool.schema is not None:
        out["parametersJsonSchema"] = tool.schema
    if tool.cache is not None:
        lose(f"{path}.cache", "dropped", "Gemini caches by itself")
    return merge(out, tool, NAME) if tool.extras else out


def format_tool_config(request: Request, lose: Lose) -> Json | None:
    choice = request.tool_choice or ToolChoice()
    functions = any(isinstance(tool, Function) for tool in request.tools)
    own = note(request, NAME, "~mode")
    if choice.parallel is not None:
        why = "may always call several" if choice.parallel else "cannot be kept from calling several"
        lose("tool_choice.parallel", "dropped", f"Gemini {why} at once")
    if not functions and not own:
        if choice.mode is not None:
            lose("tool_choice", "dropped", "there are no functions to choose from")
        return None
    mode = _mode(choice, request, lose)
    if own or mode is None:
        mode = own
    if mode is None:
        return None
    calling: Json = {"mode": mode}
    if choice.names and choice.mode != "none":
        calling["allowedFunctionNames"] = choice.names[:1] if choice.mode == "named" else choice.names
    return {"functionCallingConfig": calling}


def _mode(choice: ToolChoice, request: Request, lose: Lose) -> str | None:
    """auto with names is VALIDATED: of the modes that leave the choice to the model, the one that takes names."""
    said = [(k, tool.strict) for k, tool in enumerate(request.tools) if isinstance(tool, Function)]
    modes = {"required": "ANY", "named": "ANY", "none": "NONE", "auto": "VALIDATED" if choice.names else "AUTO", None: None}
    mode = modes[choice.mode]
    if mode in (None, "AUTO") and said and all(strict for _, strict in said):
        return "VALIDATED"
    if mode in (None, "AUTO"):  # the others hold every call to its schema, or let none be made
        for k, strict in said:
            if strict:  # false asks for nothing
                lose(f"tools[{k}].strict", "dropped", "Gemini is strict with all or none")
    return mode
