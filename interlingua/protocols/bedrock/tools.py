"""toolConfig: the tools, their choice, and the tools that Bedrock wants defined because the history uses them."""

from functools import partial
from typing import Any, Final, cast

from msgspec import Raw

from interlingua.ir import Function, Json, Request, ServerTool, ToolChoice
from interlingua.protocols import Lose, Target
from interlingua.protocols.bedrock.family import Family
from interlingua.protocols.bedrock.names import NAME
from interlingua.protocols.bedrock.parts import give_back, take_mark
from interlingua.protocols.bedrock.toolnames import wire_name
from interlingua.protocols.bedrock.turns import Marks, Turns
from interlingua.protocols.claude import claude
from interlingua.protocols.shared import marked, written
from interlingua.protocols.strict_schema import dialect
from interlingua.protocols.wire import (
    array,
    boolean,
    foreign,
    keep,
    keep_in,
    need,
    note,
    obj,
    text,
)

_MODES: Final = {"auto": "auto", "any": "required", "tool": "named"}
_WORDS: Final = {"auto": "auto", "required": "any", "named": "tool"}
_EMPTY: Final[Json] = {"type": "object", "properties": {}}
_ROOT: Final = ("type", "properties", "required")

# Reading


def parse_tool_config(request: Request, value: Any) -> None:
    d = dict(obj(value, "toolConfig"))
    for i, item in enumerate(array(d.pop("tools", None) or [], "toolConfig.tools")):
        path = f"toolConfig.tools[{i}]"
        tool = obj(item, path)
        last = request.tools[-1] if request.tools else None
        if "cachePoint" in tool and isinstance(last, Function) and take_mark(tool, last, f"{path}.cachePoint"):
            continue
        request.tools.append(_parse_tool(tool, path))
    if (choice := d.pop("toolChoice", None)) is not None:
        _parse_choice(request, obj(choice, "toolConfig.toolChoice"))
    keep_in(request, NAME, "toolConfig", d)


def _parse_tool(d: Json, path: str) -> Function | ServerTool:
    if d.get("toolSpec") is None:
        return ServerTool(origin=NAME, kind=next(iter(d), "tool"), config=d)
    spec, path = dict(obj(d["toolSpec"], f"{path}.toolSpec")), f"{path}.toolSpec"
    schema = dict(obj(need(spec, "inputSchema", f"{path}.inputSchema"), f"{path}.inputSchema"))
    tool = Function(name=text(need(spec, "name", f"{path}.name"), f"{path}.name"))
    if schema.keys() == {"json"} and type(schema["json"]) is dict:
        tool.schema = schema["json"]
    else:
        spec["inputSchema"] = schema
    if (description := spec.pop("description", None)) is not None:
        tool.description = text(description, f"{path}.description")
    if (strict := spec.pop("strict", None)) is not None:
        tool.strict = boolean(strict, f"{path}.strict")
    keep_in(tool, NAME, "toolSpec", spec)
    keep(tool, NAME, {key: inner for key, inner in d.items() if key != "toolSpec"})
    return tool


def _parse_choice(request: Request, d: Json) -> None:
    word = next((word for word in _MODES if d.keys() == {word} and type(d[word]) is dict), None)
    inner = dict(cast(Json, d[word])) if word else {}
    names = (
        [text(need(inner, "name", "toolConfig.toolChoice.tool.name"), "toolConfig.toolChoice.tool.name")]
        if word == "tool"
        else []
    )
    if word is None or inner:  # a choice, or a field of one, born after this file
        keep(request, NAME, {"toolConfig.toolChoice": d})
        return
    request.tool_choice = ToolChoice(mode=cast(Any, _MODES[word]), names=names)


# Writing


def format_tool_config(request: Request, target: Target, turns: Turns, marks: Marks, out: Json, lose: Lose) -> None:
    own, kin, choice = marks.own, marks.kin, request.tool_choice
    if request.tools and choice is not None and choice.mode == "none" and not turns.used:
        lose("tools", "dropped", "none may be called, and Bedrock has no such choice")
        if choice.parallel is not None:
            lose("tool_choice.parallel", "dropped", "there are no tools to call")
        return
    tools = _format_tools(request, target, marks, lose)
    if not tools and turns.used and not own:
        tools = [{"toolSpec": {"name": wire_name(name), "inputSchema": {"json": _EMPTY}}} for name in turns.used]
        lose("tools", "added", "Bedrock wants the tools defined that the history tells of")
        if choice is not None and (choice.mode in ("required", "named") or choice.names or choice.parallel is not None):
            lose("tool_choice", "dropped", "there are no tools to choose from")
        choice = None
    if not tools:
        if choice is not None and (choice.mode != "none" or choice.parallel is not None):
            lose("tool_choice", "dropped", "there are no tools to choose from")
        return
    config: Json = {"tools": tools}
    if choice is not None and (said := _format_choice(choice, target, kin, own, lose)) is not None:
        config["toolChoice"] = said
    out["toolConfig"] = config


def _format_tools(request: Request, target: Target, marks: Marks, lose: Lose) -> Raw | list[Json]:
    """What a model is sent of tools is remembered, but for those with marks, which depend on how many the whole request has."""
    write = partial(_write_tools, request.tools, target, marks)
    if marked(request.tools):
        return write(lose)
    return written(request.tools, (NAME, target.model, marks.own), write, lose)


def _write_tools(tools: list[Function | ServerTool], target: Target, marks: Marks, lose: Lose) -> list[Json]:
    out: list[Json] = []
    for i, tool in enumerate(tools):
        path = f"tools[{i}]"
        if isinstance(tool, ServerTool):
            if tool.origin == NAME:
                out.append(tool.config)
            else:
                lose(path, "dropped", f"{tool.kind} runs only on {tool.origin}")
            continue
        out.append(_format_tool(tool, path, target, marks.kin, marks.own, lose))
        if tool.cache is not None:
            marks.put(out, tool.cache, note(tool, NAME, "~cachePoint"), path, "tools")
    return out


def _format_tool(tool: Function, path: str, target: Target, kin: Family, own: bool, lose: Lose) -> Json:
    spec: Json = {"name": wire_name(tool.name)}
    if spec["name"] != tool.name:
        lose(f"{path}.name", "changed", "Bedrock takes 64 letters, digits, _ and -; answers bear the whole name again")
    if tool.description or (tool.description is not None and own):
        spec["description"] = tool.description
    strict = kin.schemas and claude(target.model).schemas
    schema = tool.schema
    if not own:
        schema = _schema(tool, path, kin, strict, lose)
    if schema is not None:
        spec["inputSchema"] = {"json": schema}
    if tool.strict is not None and (strict or own):
        spec["strict"] = tool.strict
    elif tool.strict:  # false asks for nothing
        lose(f"{path}.strict", "dropped", "the model has no strict tools")
    out: Json = {"toolSpec": spec}
    if tool.extras:
        foreign(tool, NAME, path, lose)
        give_back(out, tool)
    return out


def _schema(tool: Function, path: str, kin: Family, strict: bool, lose: Lose) -> Json:
    schema = tool.schema or _EMPTY
    if tool.strict and strict:
        schema = dialect(schema, f"{path}.schema", lose)
    if "type" not in schema:
        schema = {"type": "object", **schema}
    if kin.bare and schema.keys() - set(_ROOT):
        for key in schema.keys() - set(_ROOT) - {"$schema"}:
            lose(f"{path}.schema.{key}", "dropped", "the model takes no more at a schema's root than its properties")
        schema = {key: value for key, value in schema.items() if key in _ROOT}
    return schema


def _format_choice(choice: ToolChoice, target: Target, kin: Family, own: bool, lose: Lose) -> Json | None:
    if choice.parallel is not None:
        lose("tool_choice.parallel", "dropped", "Bedrock has no such switch")
    if choice.mode is None:
        return None
    mode, names = choice.mode, choice.names
    if mode == "none":
        lose("tool_choice.mode", "dropped", "the history wants its tools defined, and Bedrock has no choice of none")
        return None
    if mode == "required" and len(names) == 1:
        mode = "named"
    word = _WORDS[mode]
    if word != "auto" and not claude(target.model).forced_tools:
        word = "auto"
    if word not in kin.choices and not own:
        word = "any" if word == "tool" and "any" in kin.choices else "auto"
    if word != _WORDS[mode]:
        lose("tool_choice.mode", "changed", f"{target.model} takes no such choice: {word}")
    if word == "tool" and names:
        return {"tool": {"name": wire_name(names[0])}}
    if names:
        lose("tool_choice.names", "dropped", "Bedrock names one tool, or all")
    return {"any" if word == "tool" else word: {}}
