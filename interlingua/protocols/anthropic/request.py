"""A Messages request: read from a client, written for a backend. Source: types.message_create_params."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from msgspec import Raw

from interlingua.errors import InvalidRequest
from interlingua.ir import (
    Effort,
    Function,
    Json,
    Message,
    Output,
    Reasoning,
    Request,
    Role,
    ServerTool,
    ToolChoice,
)
from interlingua.protocols import Lose, Target, wire
from interlingua.protocols.anthropic.names import NAME
from interlingua.protocols.anthropic.parts import parse_content, take_cache
from interlingua.protocols.anthropic.turns import Marks, Turns, content_of
from interlingua.protocols.claude import Claude, claude
from interlingua.protocols.claude_thinking import tell_claude
from interlingua.protocols.shared import Reader, marked, written
from interlingua.protocols.strict_schema import dialect
from interlingua.protocols.wire import (
    array,
    as_obj,
    boolean,
    choice,
    foreign,
    integer,
    keep,
    keep_in,
    merge,
    need,
    note,
    note_down,
    number,
    obj,
    text,
)

_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_MODES: Final = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}
_CHOICES: Final = {mode: word for word, mode in _MODES.items()}
_INSIDE: Final = ("metadata", "output_config", "thinking", "tool_choice")  # objects whose unknown keys are extras
_IDLE: Final = ("stop_sequences", "tools", "stream")  # where empty or false says nothing, and is given back all the same
_DEFAULT_MAX: Final = 8_192  # tokens, for a model whose limit is not known; Anthropic wants a number

# Reading


def parse_request(body: Json, model: str | None = None, stream: bool | None = None) -> Request:
    name = body.pop("model", None)
    request = Request(model=model or text(name if name is not None else need({}, "model", "model"), "model"), messages=[])
    request.extras = {NAME: {"~own": True}}
    system = body.pop("system", None)
    if system is not None:
        request.messages.append(_parse_system(system))
    messages = array(need(body, "messages", "messages"), "messages")
    request.messages += [_parse_message(item, f"messages[{i}]") for i, item in enumerate(messages)]
    rest: Json = {}
    idle: Json = {}
    for key, value in body.items():
        if value is None:
            continue
        if not value and key in _IDLE:
            idle[key] = value
        elif (scalar := _SCALARS.get(key)) is not None:
            setattr(request, key, scalar(value, key))
        elif (reader := _FIELDS.get(key)) is not None:
            reader(request, value)
        else:
            rest[key] = value
    if rest or idle:
        keep(request, NAME, {**rest, "~idle": idle or None})
    if stream is not None:
        request.stream = stream
    return request


def _parse_system(value: Any) -> Message:
    spelling = "string" if type(value) is str else "blocks"
    return Message(role="system", parts=parse_content(value, "system"), extras={NAME: {"~system": spelling}})


def _parse_message(value: Any, path: str) -> Message:
    d = dict(obj(value, path))
    role, content = d.pop("role", None), d.pop("content", None)
    role = choice(need({"role": role}, "role", f"{path}.role"), f"{path}.role", ("user", "assistant", "system"))
    message = Message(role=cast(Role, role))
    if content is None:
        raise InvalidRequest(f"{path}.content is required", param=f"{path}.content")
    message.parts = parse_content(content, f"{path}.content", sealed=role == "assistant")
    if type(content) is list:
        note_down(message, NAME, "~content", "list")
    if role == "system":
        note_down(message, NAME, "~turn")
    if d:
        keep(message, NAME, d)
    return message


_SCALARS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "max_tokens": integer,
    "temperature": number,
    "top_p": number,
    "top_k": integer,
    "stream": boolean,
}


def _stop(request: Request, value: Any) -> None:
    request.stop = wire.texts(value, "stop_sequences")


def _metadata(request: Request, value: Any) -> None:
    d = dict(obj(value, "metadata"))
    if (user := d.pop("user_id", None)) is not None:
        request.user = text(user, "metadata.user_id")
    _rest(request, "metadata", d, value)


def _rest(request: Request, field: str, rest: Json, whole: Any) -> None:
    """Keeps what is left of an object; an empty one as it is, for it is given back."""
    if not whole:
        keep(request, NAME, {field: whole})
    keep_in(request, NAME, field, rest)


def _tools(request: Request, value: Any) -> None:
    request.tools = _read_tools(value)


def _parse_tools(value: Any) -> list[Function | ServerTool]:
    return [_parse_tool(item, f"tools[{i}]") for i, item in enumerate(array(value, "tools"))]


_read_tools: Final = Reader(_parse_tools)


def _parse_tool(value: Any, path: str) -> Function | ServerTool:
    d = dict(obj(value, path))
    kind = d.get("type")
    if kind is not None and kind != "custom":
        return ServerTool(origin=NAME, kind=text(kind, f"{path}.type"), config=cast(Json, value))
    d.pop("type", None)
    schema, strict = d.pop("input_schema", None), d.pop("strict", None)
    tool = Function(
        name=text(need(d, "name", f"{path}.name"), f"{path}.name"),
        schema=None if schema is None else obj(schema, f"{path}.input_schema"),
        strict=None if strict is None else boolean(strict, f"{path}.strict"),
    )
    if (description := d.pop("description", None)) is not None:
        tool.description = text(description, f"{path}.description")
    if kind is not None:
        note_down(tool, NAME, "~custom")
    if d:
        take_cache(tool, d, path)
        keep(tool, NAME, d)
    return tool


def _tool_choice(request: Request, value: Any) -> None:
    d = dict(obj(value, "tool_choice"))
    word, single = d.pop("type", None), d.pop("disable_parallel_tool_use", None)
    if text(word, "tool_choice.type") not in _MODES:
        keep(request, NAME, {"tool_choice": value})
        return
    choice = ToolChoice(mode=cast(Any, _MODES[word]))
    if choice.mode == "named":
        choice.names = [text(need(d, "name", "tool_choice.name"), "tool_choice.name")]
    if single is not None:
        choice.parallel = not boolean(single, "tool_choice.disable_parallel_tool_use")
    request.tool_choice = choice
    keep_in(request, NAME, "tool_choice", d)


def _thinking(request: Request, value: Any) -> None:
    d = dict(obj(value, "thinking"))
    kind = text(d.pop("type", None), "thinking.type")
    if kind not in ("enabled", "adaptive", "disabled", "between_tools"):
        keep(request, NAME, {"thinking": value})
        return
    reasoning = _reasoning(request)
    reasoning.enabled = kind in ("enabled", "adaptive")
    note_down(reasoning, NAME, "~type", kind)
    if (budget := d.pop("budget_tokens", None)) is not None:
        reasoning.budget = integer(budget, "thinking.budget_tokens")
    if d.get("display") in ("summarized", "omitted"):
        reasoning.visible = d.pop("display") == "summarized"
    keep_in(request, NAME, "thinking", d)


def _reasoning(request: Request) -> Reasoning:
    """The request's own; thinking and effort both write to it."""
    if request.reasoning is None:
        request.reasoning = Reasoning(extras={NAME: {"~type": ""}})
    return request.reasoning


def _output_config(request: Request, value: Any) -> None:
    d = dict(obj(value, "output_config"))
    if d.get("effort") in _EFFORTS:
        _reasoning(request).effort = cast(Effort, d.pop("effort"))
    said = as_obj(d.get("format"))
    if said.get("type") == "json_schema" and type(said.get("schema")) is dict:
        del d["format"]
        request.output = Output(mode="schema", schema=said["schema"])
        keep(request.output, NAME, {key: inner for key, inner in said.items() if key not in ("type", "schema")})
    _rest(request, "output_config", d, value)


_FIELDS: Final[dict[str, Callable[[Request, Any], None]]] = {
    "stop_sequences": _stop,
    "metadata": _metadata,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "thinking": _thinking,
    "output_config": _output_config,
}

# Writing


def format_request(request: Request, target: Target, lose: Lose) -> Json:
    own, knows = bool(request.extras and note(request, NAME, "~own")), claude(target.model)
    marks = Marks()
    tools = _tools_written(request, target, knows, own, marks, lose) if request.tools else None
    turns = Turns(request, target, own, marks, lose)
    turns.write()
    out: Json = {"model": target.model, "messages": turns.messages}
    if turns.system or turns.listed:
        out["system"] = content_of(turns.system, turns.listed)
    if tools:
        out["tools"] = tools
    if request.tool_choice is not None:
        _format_tool_choice(request.tool_choice, out, knows, own, lose)
    _format_limits(request, target, out, own, lose)
    thinks = request.reasoning is not None and _format_reasoning(request.reasoning, target, out, own, lose)
    _format_sampling(request, target, knows, out, own, thinks, lose)
    if request.output is not None:
        _format_output(request.output, out, knows, own, lose)
    if request.stream:
        out["stream"] = True
    _lose_rest(request, lose)
    if request.extras:
        foreign(request, NAME, "", lose)
        _give_back(request, out, lose)
    return out


def _give_back(request: Request, out: Json, lose: Lose) -> None:
    """The extras of our own, each in its object."""
    mine = request.extras.get(NAME, {})
    for key, value in mine.items():
        field, dot, inner = key.partition(".")
        if dot and field in _INSIDE:
            if field in out or field in ("metadata", "output_config"):
                out.setdefault(field, {})[inner] = value
            else:
                lose(key, "dropped", f"no {field} is sent")
        elif key[:1] != "~":
            out[key] = value
    for key, value in mine.get("~idle", {}).items():
        out.setdefault(key, value)


def _format_limits(request: Request, target: Target, out: Json, own: bool, lose: Lose) -> None:
    limit, asked = target.facts.max_output, request.max_tokens
    if asked is None:
        if not own:  # without it an Anthropic client counts tokens, or is told what is missing
            out["max_tokens"] = limit or _DEFAULT_MAX
    elif limit is not None and asked > limit and not own:
        out["max_tokens"] = limit
        lose("max_tokens", "changed", f"{target.model} writes {limit} at most")
    else:
        out["max_tokens"] = asked
    if request.stop:
        stop = request.stop
        if not own and ("" in stop or any(map(str.isspace, stop))):
            stop = [word for word in stop if word and not word.isspace()]
            lose("stop", "changed", "Anthropic refuses a blank stop sequence")
        if stop:
            out["stop_sequences"] = stop
    if request.user is not None:
        out["metadata"] = {"user_id": request.user}


def _format_reasoning(reasoning: Reasoning, target: Target, out: Json, own: bool, lose: Lose) -> bool:
    if reasoning.extras:
        foreign(reasoning, NAME, "reasoning", lose)
    return tell_claude(reasoning, note(reasoning, NAME, "~type"), target, out, own, lose)


def _format_sampling(request: Request, target: Target, knows: Claude, out: Json, own: bool, thinks: bool, lose: Lose) -> None:
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    if temperature is top_p is top_k is None:
        return
    if not target.facts.sampling or (thinks and not own):
        why = f"{target.model} takes none" + (" while it thinks" if target.facts.sampling else "")
        for key in ("temperature", "top_p", "top_k"):
            if getattr(request, key) is not None:
                lose(key, "dropped", why)
        return
    if temperature is not None and not own:
        if temperature > 1:
            temperature = 1
            lose("temperature", "changed", "Anthropic's goes to 1")
        if top_p is not None and not knows.sampling_pair:
            if request.temperature == 1:  # what it does anyway
                dropped, temperature = "temperature", None
            else:
                dropped, top_p = "top_p", None
            lose(dropped, "dropped", f"{target.model} takes temperature or top_p, not both")
    if temperature is not None:
        out["temperature"] = temperature
    if top_p is not None:
        out["top_p"] = top_p
    if top_k is not None:
        out["top_k"] = top_k


def _lose_rest(request: Request, lose: Lose) -> None:
    """What no Anthropic model has; a value that asks for nothing is no loss."""
    penalties = request.frequency_penalty is request.presence_penalty is None
    if penalties and request.seed is request.n is request.logprobs is None and not request.top_logprobs:
        return  # nearly always
    for key, idle in (("seed", None), ("n", 1), ("frequency_penalty", 0), ("presence_penalty", 0), ("logprobs", None)):
        value = getattr(request, key)
        if value is not None and value != idle:
            lose(key, "dropped", "Anthropic has no such parameter")
    if request.top_logprobs:
        lose("top_logprobs", "dropped", "Anthropic has no such parameter")


# tools


def _tools_written(request: Request, target: Target, knows: Claude, own: bool, marks: Marks, lose: Lose) -> Raw | list[Json]:
    tools = request.tools
    write = partial(_format_tools, tools, knows, own, marks)
    if not own and marked(tools):
        return write(lose)  # its marks may have to go again
    return written(tools, (NAME, target.model, own), write, lose)


def _format_tools(tools: list[Function | ServerTool], knows: Claude, own: bool, marks: Marks, lose: Lose) -> list[Json]:
    out: list[Json] = []
    for i, tool in enumerate(tools):
        if isinstance(tool, Function):
            out.append(_format_tool(tool, i, knows, own, marks, lose))
        elif tool.origin == NAME:
            out.append(tool.config)
        else:
            lose(f"tools[{i}]", "dropped", f"{tool.kind} runs only on {tool.origin}")
    return out


def _format_tool(tool: Function, i: int, knows: Claude, own: bool, marks: Marks, lose: Lose) -> Json:
    out: Json = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    schema = tool.schema
    if not own:
        schema = schema or {"type": "object", "properties": {}}
        if tool.strict and knows.schemas:
            schema = dialect(schema, f"tools[{i}].schema", lose)
        if "type" not in schema:
            schema = {"type": "object", **schema}
    if schema is not None:
        out["input_schema"] = schema
    if tool.strict is not None and (knows.schemas or own):
        out["strict"] = tool.strict
    elif tool.strict:
        lose(f"tools[{i}].strict", "dropped", "the model has no strict tools")
    if tool.cache is not None:
        marks.put(out, tool.cache, f"tools[{i}]", own, lose)
    if tool.extras:
        foreign(tool, NAME, f"tools[{i}]", lose)
        if note(tool, NAME, "~custom"):
            out["type"] = "custom"
        merge(out, tool, NAME)
    return out


def _format_tool_choice(choice: ToolChoice, out: Json, knows: Claude, own: bool, lose: Lose) -> None:
    if not own and "tools" not in out:
        if choice.mode in ("required", "named") or choice.names or choice.parallel is not None:
            lose("tool_choice", "dropped", "there are no tools to choose from")
        return
    mode, names, parallel = choice.mode or "auto", choice.names, choice.parallel
    if choice.mode is None and parallel is None:
        return
    if mode == "required" and len(names) == 1:
        mode = "named"
    if not knows.forced_tools and mode in ("required", "named"):
        lose("tool_choice.mode", "changed", "the model takes no forced tool choice")
        mode = "auto"
    said: Json = {"type": _CHOICES[mode]}
    if mode == "named" and names:
        said["name"] = names[0]
    elif names:
        lose("tool_choice.names", "dropped", "Anthropic cannot name several tools, nor leave one it names unused")
    if parallel is not None:
        if mode == "none":
            lose("tool_choice.parallel", "dropped", "no tool is called")
        else:
            said["disable_parallel_tool_use"] = not parallel
    out["tool_choice"] = said


# output


def _format_output(output: Output, out: Json, knows: Claude, own: bool, lose: Lose) -> None:
    """Its name is a label only, and Anthropic is always strict."""
    if output.mode == "text":
        return
    if output.description is not None:
        lose("output.description", "dropped", "a schema of Anthropic's is told without a word about it")
    if output.mode == "json" or output.schema is None:
        lose("output", "dropped", "Anthropic's JSON output needs a schema that names every property")
    elif not knows.schemas:
        lose("output", "dropped", f"{out['model']} has no structured outputs")
    else:
        schema = output.schema if own else dialect(output.schema, "output.schema", lose)
        said = merge({"type": "json_schema", "schema": schema}, output, NAME)
        out["output_config"] = {**out.get("output_config", {}), "format": said}
    if output.extras:
        foreign(output, NAME, "output", lose)
