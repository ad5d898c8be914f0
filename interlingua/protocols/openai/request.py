"""A Chat Completions request: read from a client, written for a backend. Source: CompletionCreateParamsBase."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Final, assert_never, cast

from interlingua.errors import InvalidRequest
from interlingua.ir import (
    AnyPart,
    Function,
    Json,
    Media,
    Message,
    Opaque,
    Output,
    Reasoning,
    Request,
    Role,
    ServerTool,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from interlingua.protocols import Lose, Target, wire
from interlingua.protocols.openai import dialect
from interlingua.protocols.openai.names import NAME, is_call
from interlingua.protocols.openai.parts import (
    as_function,
    cache_mark,
    custom_names,
    format_call,
    format_part,
    parse_call,
    parse_carried,
    parse_content,
    plain_call,
    restore,
    signature_slot,
)
from interlingua.protocols.openai_common import CUSTOM, INPUT, effort_of, told_custom
from interlingua.protocols.shared import Reader, written
from interlingua.protocols.wire import (
    array,
    as_obj,
    as_text,
    boolean,
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
    plain,
    text,
)

EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
_MODES: Final = ("none", "auto", "required")
_MAX_STOP: Final = 4
_MAX_ID: Final = 64
# What a reasoning model refuses (the SDK's notes on these parameters), but for the values that say nothing.
_SAMPLING: Final = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "logprobs": False}
_NO_EFFORT_WITH_TOOLS: Final = re.compile(r"(^|/)gpt-(5\.[4-9]|[6-9]|\d\d)")  # in Chat Completions: "Use /v1/responses"

# Reading


def parse_request(body: Json, model: str | None = None, stream: bool | None = None) -> Request:
    name, messages = body.pop("model", None), body.pop("messages", None)
    if not model:
        model = name if type(name) is str else text(need({"model": name}, "model", "model"), "model")
    if messages.__class__ is not list:
        array(need({"messages": messages}, "messages", "messages"), "messages")
    request = Request(model=model, messages=_parse_messages(messages))
    rest: Json = {}
    for key, value in body.items():
        if value is None:
            continue
        if (scalar := _SCALARS.get(key)) is not None:
            usual, reader = scalar
            setattr(request, key, value if type(value) is usual else reader(value, key))
        elif (field := _FIELDS.get(key)) is not None:
            field(request, value)
        else:
            rest[key] = value
    if rest:
        keep(request, NAME, rest)
    return request


_SCALARS: Final[dict[str, tuple[type, Callable[[Any, str], Any]]]] = {  # the usual type, which is taken as it is
    "temperature": (float, number),
    "top_p": (float, number),
    "frequency_penalty": (float, number),
    "presence_penalty": (float, number),
    "seed": (int, integer),
    "n": (int, integer),
    "logprobs": (bool, boolean),
    "top_logprobs": (int, integer),
    "user": (str, text),
    "stream": (bool, boolean),
    "max_tokens": (int, integer),
}


def _max_completion_tokens(request: Request, value: Any) -> None:
    request.max_tokens = integer(value, "max_completion_tokens")
    note_down(request, NAME, "~max_completion_tokens")


def _top_k(request: Request, value: Any) -> None:
    request.top_k = integer(value, "top_k")  # not OpenAI's own, but many servers of its dialect have it
    note_down(request, NAME, "~top_k")


def _stop(request: Request, value: Any) -> None:
    request.stop = [value] if type(value) is str else wire.texts(value, "stop")


def _stream_options(request: Request, value: Any) -> None:
    note_down(request, NAME, "~stream_options", obj(value, "stream_options"))


def _parallel(request: Request, value: Any) -> None:
    choice = request.tool_choice or ToolChoice()
    choice.parallel = boolean(value, "parallel_tool_calls")
    request.tool_choice = choice


def _tool_choice(request: Request, value: Any) -> None:
    before = request.tool_choice
    parallel = None if before is None else before.parallel
    if type(value) is str:
        mode: Any = value if value in _MODES else wire.choice(value, "tool_choice", _MODES)
        request.tool_choice = ToolChoice(mode=mode, parallel=parallel)
        return
    d = obj(value, "tool_choice")
    match d.get("type"):
        case "function":
            name = text(
                need(dict(obj(d.get("function"), "tool_choice.function")), "name", "tool_choice.function.name"), "tool_choice"
            )
            request.tool_choice = ToolChoice(mode="named", names=[name], parallel=parallel)
        case "custom":
            name = text(as_obj(d.get("custom")).get("name"), "tool_choice.custom.name")
            request.tool_choice = ToolChoice(mode="named", names=[name], parallel=parallel)
        case "allowed_tools" if names := _allowed(d):
            mode = wire.choice(d["allowed_tools"].get("mode"), "tool_choice.allowed_tools.mode", ("auto", "required"))
            request.tool_choice = ToolChoice(mode=mode, names=names, parallel=parallel)
        case _:
            keep(request, NAME, {"tool_choice": d})


def _allowed(d: Json) -> list[str] | None:
    """The names of an allowed_tools choice, or None where it names more than functions and custom tools."""
    allowed = obj(d.get("allowed_tools"), "tool_choice.allowed_tools")
    tools = array(allowed.get("tools"), "tool_choice.allowed_tools.tools")
    names = [as_text(as_obj(as_obj(tool).get("function") or as_obj(tool).get("custom")).get("name")) for tool in tools]
    return [name for name in names if name] if all(names) else None


def _response_format(request: Request, value: Any) -> None:
    d = dict(obj(value, "response_format"))
    kind = text(need(d, "type", "response_format.type"), "response_format.type")
    if kind not in ("text", "json_object", "json_schema"):
        keep(request, NAME, {"response_format": value})
        return
    output = Output(mode="text" if kind == "text" else "json")
    if kind == "json_schema":
        path = "response_format.json_schema"
        schema = dict(obj(need(d, "json_schema", path), path))
        body, strict = schema.pop("schema", None), schema.pop("strict", None)
        output = Output(
            mode="schema",
            name=text(need(schema, "name", f"{path}.name"), f"{path}.name"),
            description=schema.pop("description", None),
            schema=None if body is None else obj(body, f"{path}.schema"),
            strict=None if strict is None else boolean(strict, f"{path}.strict"),
        )
        keep_in(output, NAME, "json_schema", schema)
    keep(output, NAME, d)
    request.output = output


def _reasoning_effort(request: Request, value: Any) -> None:
    effort = text(value, "reasoning_effort")
    if effort == "none":
        request.reasoning = Reasoning(enabled=False)
    elif effort in EFFORTS:
        request.reasoning = Reasoning(effort=effort)
    else:
        keep(request, NAME, {"reasoning_effort": effort})


def _tools(request: Request, value: Any) -> None:
    request.tools = _read_tools(value)


def _parse_tools(value: Any) -> list[Function | ServerTool]:
    return [_parse_tool(item, f"tools[{i}]") for i, item in enumerate(array(value, "tools"))]


_read_tools: Final = Reader(_parse_tools)


def _parse_tool(value: Any, path: str) -> Function | ServerTool:
    d = dict(obj(value, path))
    kind = text(need(d, "type", f"{path}.type"), f"{path}.type")
    if kind == "custom":
        return _custom(d, path)
    if kind != "function":
        return ServerTool(origin=NAME, kind=kind, config={"type": kind, **d})
    f = dict(obj(need(d, "function", f"{path}.function"), f"{path}.function"))
    name, description, schema, strict = (
        f.pop("name", None),
        f.pop("description", None),
        f.pop("parameters", None),
        f.pop("strict", None),
    )
    if name.__class__ is not str:
        text(need({"name": name}, "name", f"{path}.function.name"), f"{path}.function.name")
    if description is not None and description.__class__ is not str:
        text(description, f"{path}.function.description")
    if schema is not None and schema.__class__ is not dict:
        obj(schema, f"{path}.function.parameters")
    if strict is not None and strict.__class__ is not bool:
        boolean(strict, f"{path}.function.strict")
    tool = Function(name=name, description=description, schema=schema, strict=strict)
    if f:
        keep_in(tool, NAME, "function", f)
    if d:
        keep(tool, NAME, d)
    return tool


def _custom(d: Json, path: str) -> Function:
    path = f"{path}.custom"
    custom = dict(obj(need(d, "custom", path), path))
    tool = Function(name=text(need(custom, "name", f"{path}.name"), f"{path}.name"), schema=INPUT)
    if (description := custom.pop("description", None)) is not None:
        tool.description = text(description, f"{path}.description")
    if as_obj(form := custom.get("format")) == {"type": "text"}:
        d["~format"] = form  # the default
        del custom["format"]
    keep_in(tool, NAME, "custom", custom)
    keep(tool, NAME, {**d, CUSTOM: NAME})
    return tool


_FIELDS: Final[dict[str, Callable[[Request, Any], None]]] = {
    "max_completion_tokens": _max_completion_tokens,
    "top_k": _top_k,
    "stop": _stop,
    "stream_options": _stream_options,
    "parallel_tool_calls": _parallel,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
    "reasoning_effort": _reasoning_effort,
    "tools": _tools,
}
_PLAIN_ROLES: Final = ("user", "assistant", "system", "developer")
_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")


def _parse_messages(values: list[Any]) -> list[Message]:
    unknown: list[str | None] = []
    messages: list[Message] = []
    for i, d in enumerate(values):
        try:
            role, words = d["role"], d["content"]
        except (KeyError, TypeError):
            role = words = None
        if type(words) is str and words and len(d) == 2 and role in _PLAIN_ROLES:  # the turn that nearly all are
            message = Message(role=role, parts=[Text(text=words)])
        else:
            message = (role and len(d) == 3 and _common_message(d, role, words, i, unknown)) or _parse_message(d, i, unknown)
        messages.append(message)
    if unknown:
        return [_of_unknown(message, value, unknown) for message, value in zip(messages, values, strict=True)]
    return messages


def _common_message(d: Json, role: Any, content: Any, i: int, unknown: list[str | None]) -> Message | None:
    """The other common ones, of three fields, at a third of the cost: calls of functions, and a function's answer."""
    parts: list[Any] = [Text(text=content)] if type(content) is str and content else []
    if role == "tool" and parts and type(id_ := d.get("tool_call_id")) is str:
        return Message(role=role, parts=[ToolResult(id=id_, parts=parts)])
    calls: Any = d.get("tool_calls")
    if role == "assistant" and (parts or content is None) and calls.__class__ is list:
        _take_calls(calls, i, parts, unknown)
        return Message(role=role, parts=parts)
    return None


def _take_calls(value: list[Any], i: int, parts: list[AnyPart], unknown: list[str | None]) -> None:
    """`unknown` takes the ids of those of a kind that we do not know."""
    for k, item in enumerate(value):
        call: AnyPart | None = plain_call(item)
        if call is None:
            path = f"messages[{i}].tool_calls[{k}]"
            call = parse_call(obj(item, path), path)
            if type(call) is Opaque:
                unknown.append(as_text(call.data.get("id")))
        parts.append(call)


def _of_unknown(message: Message, whole: Any, unknown: list[str | None]) -> Message:
    """The result of a call that only OpenAI knows is for it alone: elsewhere no call would come before it."""
    if message.role != "tool" or not any(isinstance(part, ToolResult) and part.id in unknown for part in message.parts):
        return message
    return _whole(whole)


def _whole(d: Json) -> Message:
    message = Message(role="tool", parts=[Opaque(origin=NAME, data=d)])
    note_down(message, NAME, "~whole")
    return message


def _parse_message(value: Any, i: int, unknown: list[str | None]) -> Message:
    path = f"messages[{i}]"
    d = dict(obj(value, path))
    role = wire.choice(need(d, "role", f"{path}.role"), f"{path}.role", _ROLES)
    if role == "function":  # the deprecated form of tool results: only its own protocol can still read it
        return _whole({"role": role, **d})
    content = d.pop("content", None)
    message = Message(role=cast(Role, role))
    if role == "assistant":
        message.parts = _assistant(d, content, i, unknown)
    elif role == "tool":
        id_ = text(need(d, "tool_call_id", f"{path}.tool_call_id"), f"{path}.tool_call_id")
        message.parts = [ToolResult(id=id_, parts=parse_content(content, f"{path}.content"))]
    elif content is None:
        raise InvalidRequest(f"{path}.content is required", param=f"{path}.content")
    else:
        message.parts = parse_content(content, f"{path}.content")
    if type(content) is list:
        note_down(message, NAME, "~content")
    if d:
        keep(message, NAME, d)
    return message


def _assistant(d: Json, content: Any, i: int, unknown: list[str | None]) -> list[AnyPart]:
    path, parts = f"messages[{i}]", list[AnyPart]()
    for field in ("reasoning_content", "reasoning"):
        if type(words := d.get(field)) is str and words:
            parts.append(Thinking(text=d.pop(field), extras={NAME: {"~field": field}}))
            break
    parts += parse_content(content, f"{path}.content")
    if (refusal := d.pop("refusal", None)) is not None:
        parts.append(Text(text=text(refusal, f"{path}.refusal"), refusal=True))
        note_down(parts[-1], NAME, "~field")
    if (calls := d.pop("tool_calls", None)) is not None:
        _take_calls(array(calls, f"{path}.tool_calls"), i, parts, unknown)
    return restore(parts, parse_carried(d))


# Writing


def format_request(request: Request, target: Target, lose: Lose) -> Json:
    if target.quirks:
        request = dialect.narrowed(request, target, lose)
    messages: list[Json] = []
    for i, message in enumerate(request.messages):
        _format_message(message, i, target, messages, lose)
    out: Json = {"model": target.model, "messages": messages}
    for key in ("seed", "n", "user"):
        if (value := getattr(request, key)) is not None:
            out[key] = value
    _format_sampling(request, target, out, lose)
    if request.tools:
        key = (NAME, target.model, target.quirks)
        if tools := written(request.tools, key, partial(_format_tools, request.tools, target), lose):
            out["tools"] = tools
    if request.tool_choice is not None:
        _format_tool_choice(request.tool_choice, request, target, out, lose)
    if request.output is not None:
        out["response_format"] = _format_output(request.output, lose)
    if request.reasoning is not None:
        _format_reasoning(request.reasoning, request.tools, target, out, lose)
    if request.stream:
        out["stream"] = True
        out["stream_options"] = {**(note(request, NAME, "~stream_options") or {}), "include_usage": True}
    if request.extras:
        foreign(request, NAME, "", lose)
        merge(out, request, NAME)
    if target.quirks:
        dialect.put(out, target, lose)
    return out


def request_headers(body: Json, own: Mapping[bytes, bytes]) -> bytes:
    """None: all that OpenAI wants to know stands in the body."""
    return b""


def _format_sampling(request: Request, target: Target, out: Json, lose: Lose) -> None:
    refuses = not target.facts.sampling and not (request.reasoning and request.reasoning.enabled is False)
    for key in (*_SAMPLING, "top_logprobs"):
        value = getattr(request, key)
        if value is not None and refuses and value != _SAMPLING.get(key):
            lose(key, "dropped", f"{target.model} takes no {key}")
        elif value is not None:
            out[key] = value
    if request.stop and refuses:
        lose("stop", "dropped", f"{target.model} takes no stop")
    elif request.stop:
        out["stop"] = request.stop[:_MAX_STOP] if len(request.stop) > 1 else request.stop[0]
        if len(request.stop) > _MAX_STOP:
            lose("stop", "changed", f"OpenAI takes {_MAX_STOP} at most")
    if request.top_k is not None:
        if note(request, NAME, "~top_k") or "top_k" in target.quirks:
            out["top_k"] = request.top_k
        else:
            lose("top_k", "dropped", "OpenAI has no such parameter")
    if request.max_tokens is not None:
        new = target.facts.family == "openai_reasoning" or note(request, NAME, "~max_completion_tokens")
        out["max_completion_tokens" if new else "max_tokens"] = request.max_tokens


def _format_tools(tools: list[Function | ServerTool], target: Target, lose: Lose) -> list[Json]:
    return [said for i, tool in enumerate(tools) if (said := _format_tool(tool, f"tools[{i}]", target, lose)) is not None]


def _format_tool(tool: Function | ServerTool, path: str, target: Target, lose: Lose) -> Json | None:
    if isinstance(tool, ServerTool):
        if tool.origin == NAME:
            return tool.config
        lose(path, "dropped", f"{tool.kind} runs only on {tool.origin}")
        return None
    kind = "function"
    if tool.extras and note(tool, NAME, CUSTOM):
        if told_custom(tool, NAME, target):
            kind = "custom"
        else:
            tool = as_function(tool, path, lose)
    said: Json = {"name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    if kind == "custom":
        if (form := note(tool, NAME, "~format")) is not None:
            said["format"] = form
    else:
        if tool.schema is not None:
            said["parameters"] = tool.schema
        if tool.strict is not None:
            said["strict"] = tool.strict
    out: Json = {"type": kind, kind: said}
    if tool.cache is not None:
        lose(f"{path}.cache", "dropped", "a tool of OpenAI's has no cache mark")
    if tool.extras:
        foreign(tool, NAME, path, lose)
        merge(out, tool, NAME)
    return out


def _format_tool_choice(choice: ToolChoice, request: Request, target: Target, out: Json, lose: Lose) -> None:
    if not out.get("tools"):
        if choice.mode is not None and choice.mode != "none":
            lose("tool_choice", "dropped", "there are no tools to choose from")
        if choice.parallel is not None:
            lose("tool_choice.parallel", "dropped", "there are no tools to call")
        return
    custom = custom_names(request, target) if choice.names else frozenset[str]()
    tools = [{"type": kind, kind: {"name": n}} for n in choice.names for kind in ("custom" if n in custom else "function",)]
    match choice.mode:
        case "named" if tools:
            out["tool_choice"] = tools[0]
        case "auto" | "required" if tools:
            out["tool_choice"] = {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
        case None:
            pass
        case mode:
            out["tool_choice"] = mode
    if choice.parallel is not None:
        out["parallel_tool_calls"] = choice.parallel


def _format_output(output: Output, lose: Lose) -> Json:
    out: Json = {"type": {"text": "text", "json": "json_object", "schema": "json_schema"}[output.mode]}
    if output.mode == "schema":
        schema: Json = {"name": output.name or "response"}
        if output.description is not None:
            schema["description"] = output.description
        if output.schema is not None:
            schema["schema"] = output.schema
        if output.strict is not None:
            schema["strict"] = output.strict
        out["json_schema"] = schema
    if output.extras:
        foreign(output, NAME, "output", lose)
        merge(out, output, NAME)
    return out


def _format_reasoning(reasoning: Reasoning, tools: list[Function | ServerTool], target: Target, out: Json, lose: Lose) -> None:
    effort: str | None = "none" if reasoning.enabled is False else reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = effort_of(reasoning.budget)
    if reasoning.budget is not None:
        lose("reasoning.budget", "changed" if effort else "dropped", "OpenAI takes an effort, not a budget")
    if effort is None:
        if reasoning.enabled:
            lose("reasoning.enabled", "dropped", "the model decides by itself")
    elif target.facts.family == "openai":
        lose("reasoning", "dropped", f"{target.model} does not reason")
    elif effort != "none" and _NO_EFFORT_WITH_TOOLS.search(target.model) and _function_in(tools):
        lose("reasoning", "dropped", f"{target.model} takes no effort beside tools")
    else:
        out["reasoning_effort"] = effort
        if reasoning.enabled is False and reasoning.effort is not None:
            lose("reasoning.effort", "dropped", "reasoning is off")
    if reasoning.visible is not None:
        lose("reasoning.visible", "dropped", "Chat Completions has no such switch")
    if reasoning.extras:
        foreign(reasoning, NAME, "reasoning", lose)


def _function_in(tools: list[Function | ServerTool]) -> bool:
    return any(isinstance(tool, Function) for tool in tools)


def _format_message(message: Message, i: int, target: Target, out: list[Json], lose: Lose) -> None:
    """Appends what one turn becomes: tool results are messages of their own, before the rest of their turn."""
    parts = message.parts
    if len(parts) == 1 and not message.extras and message.role != "tool" and plain(parts[0]):
        out.append({"role": message.role, "content": parts[0].text})
        return
    if note(message, NAME, "~whole"):
        out.append(cast(Opaque, parts[0]).data)
        return
    path, first, listed = f"messages[{i}]", len(out), bool(note(message, NAME, "~content"))
    media: list[Json] = []
    rest: list[tuple[str, AnyPart]] = []
    for j, part in enumerate(parts):
        if isinstance(part, ToolResult):
            out.append(_format_result(part, f"{path}.parts[{j}]", listed, media, lose))
        else:
            rest.append((f"{path}.parts[{j}]", part))
    if message.role == "assistant":
        out.append(_format_assistant(rest, listed, target, lose))
    elif rest or media or len(out) == first:
        content = media + [said for where, part in rest if (said := _format_said(part, where, lose)) is not None]
        if content or not rest:
            role = "user" if message.role == "tool" else message.role
            out.append({"role": role, "content": _content(content, listed)})
    if len(out) == first:
        lose(path, "dropped", "nothing of it can be said")
    elif message.extras:
        foreign(message, NAME, path, lose)
        merge(out[-1], message, NAME)


def _content(parts: list[Json], listed: bool) -> str | list[Json]:
    if not parts and not listed:
        return ""
    if len(parts) == 1 and not listed and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return parts


def _format_said(part: AnyPart, path: str, lose: Lose) -> Json | None:
    match part:
        case Text() | Media() | Opaque():
            return format_part(part, path, lose)
        case Thinking() | ToolCall():
            lose(path, "dropped", "only an assistant's turn has these")
            return None
        case ToolResult():
            return None
        case _:
            assert_never(part)


def _format_result(result: ToolResult, path: str, listed: bool, media: list[Json], lose: Lose) -> Json:
    """A tool message. It holds words only: what is seen goes to the user turn that follows (`media`)."""
    content: list[Json] = []
    for k, part in enumerate(result.parts):
        said = format_part(part, f"{path}.parts[{k}]", lose)
        if said is None:
            continue
        if isinstance(part, Media) and part.source is None:
            media.append(said)
            lose(f"{path}.parts[{k}]", "changed", "shown in the turn after, since a tool's answer is words only")
        else:
            content.append(said)
    if result.cache is not None:
        if content:
            content[-1]["prompt_cache_breakpoint"] = cache_mark(result.cache, path, lose)
        else:
            lose(f"{path}.cache", "dropped", "there is no text to mark")
    if result.error:
        lose(f"{path}.error", "dropped", "a tool message cannot say that it failed")
    if result.signature is not None:
        lose(f"{path}.signature", "dropped", f"only {result.signature.origin} can read it")
    if result.extras:
        foreign(result, NAME, path, lose)
    return {"role": "tool", "tool_call_id": _id(result.id), "content": _content(content, listed)}


def _format_assistant(parts: list[tuple[str, AnyPart]], listed: bool, target: Target, lose: Lose) -> Json:
    out: Json = {"role": "assistant"}
    content: list[Json] = []
    calls: list[Json] = []
    for path, part in parts:
        match part:
            case Thinking():
                _format_thinking(part, path, target, out, lose)
            case ToolCall():
                calls.append(_format_history_call(part, path, target, lose))
            case Opaque() if is_call(part):
                calls.append(part.data)
            case Text(refusal=True) if note(part, NAME, "~field"):
                out["refusal"] = part.text
            case Media():
                lose(path, "dropped", "an assistant's turn holds words only")
            case _:
                if calls:
                    lose(path, "changed", "words come before tool calls")
                if (said := _format_said(part, path, lose)) is not None:
                    content.append(said)
    out["content"] = _content(content, listed) if content or listed or not (calls or "refusal" in out) else None
    if calls:
        out["tool_calls"] = calls
    return out


def _format_thinking(part: Thinking, path: str, target: Target, out: Json, lose: Lose) -> None:
    field = note(part, NAME, "~field") or ("reasoning_content" if target.facts.replays else None)
    refuses = target.facts.family in ("openai", "openai_reasoning") and "gpt-oss" not in target.model
    if field is None or not part.text or refuses:
        lose(path, "dropped", "Chat Completions keeps its reasoning to itself")
        return
    out[field] = out.get(field, "") + part.text
    if part.signature is not None:
        lose(f"{path}.signature", "dropped", f"only {part.signature.origin} can read it")
    if part.extras:
        foreign(part, NAME, path, lose)


def _format_history_call(call: ToolCall, path: str, target: Target, lose: Lose) -> Json:
    custom = False
    if call.extras and note(call, NAME, CUSTOM):
        custom = told_custom(call, NAME, target)
        call = call if custom else as_function(call, path, lose)
    out = format_call(call, custom)
    out["id"] = _id(call.id)
    if call.signature is not None:
        if note(call, NAME, "~google"):
            out["extra_content"] = signature_slot(call.signature, native=True)
        else:
            lose(f"{path}.signature", "dropped", f"only {call.signature.origin} can read it")
    if call.cache is not None:
        lose(f"{path}.cache", "dropped", "a tool call has no cache mark")
    if call.extras:
        foreign(call, NAME, path, lose)
    return out


def _id(id_: str) -> str:
    """An id of a length that OpenAI takes. It only ties a result to its call, so both are cut alike and nothing is lost."""
    return id_ if len(id_) <= _MAX_ID else f"{id_[:31]}_{sha256(id_.encode(errors='surrogatepass')).hexdigest()[:32]}"
