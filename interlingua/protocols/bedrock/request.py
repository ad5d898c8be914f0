"""A Converse request: read from a client, written for a backend. Source: shapes ConverseRequest and ConverseStreamRequest."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec

from interlingua.ir import Json, Message, Output, Request, Role
from interlingua.protocols import Lose, Target, wire
from interlingua.protocols.bedrock.family import Family, family
from interlingua.protocols.bedrock.names import NAME, STOP_TOLD
from interlingua.protocols.bedrock.parts import give_back, parse_content
from interlingua.protocols.bedrock.reasoning import EFFORTS, MORE, format_reasoning, format_top_k, parse_effort, parse_more
from interlingua.protocols.bedrock.tools import format_tool_config, parse_tool_config
from interlingua.protocols.bedrock.turns import Marks, Turns
from interlingua.protocols.claude import claude
from interlingua.protocols.strict_schema import dialect
from interlingua.protocols.wire import (
    array,
    as_array,
    as_obj,
    decode_json,
    encode_json,
    foreign,
    integer,
    keep,
    keep_in,
    need,
    note,
    note_down,
    number,
    obj,
    text,
)

_ROLES: Final = ("user", "assistant", "system")
_ROOTS: Final = ("inferenceConfig", "toolConfig", "outputConfig", MORE)  # objects whose unknown keys are extras
_IDLE: Final = ("messages", "system", *_ROOTS)  # where empty says nothing, and is given back all the same
_PATHS: Final = "additionalModelResponseFieldPaths"
_STOP: Final = ["/stop_sequence"]  # where Claude's answer tells which stop sequence matched; every answer of ours can

# Reading


def parse_request(body: Json, model: str | None = None, stream: bool | None = None) -> Request:
    name = body.pop("modelId", None)
    request = Request(model=model or text(name if name is not None else need({}, "modelId", "modelId"), "modelId"), messages=[])
    request.extras = {NAME: {"~own": True}}
    if body.get("system"):
        parts = parse_content(body.pop("system"), "system")
        request.messages.append(Message(role="system", parts=parts, extras={NAME: {"~system": True}}))
    if body.get("messages"):
        messages = array(body.pop("messages"), "messages")
        request.messages += [_parse_message(item, f"messages[{i}]") for i, item in enumerate(messages)]
    rest: Json = {}
    idle: Json = {}
    for key, value in body.items():
        if value is None:
            continue
        if not value and key in _IDLE:
            idle[key] = value
        elif (reader := _FIELDS.get(key)) is not None:
            reader(request, value)
        else:
            rest[STOP_TOLD if key == _PATHS and value == _STOP else key] = value
    keep(request, NAME, {**rest, "~idle": idle or None})
    request.stream = bool(stream)
    return request


def _parse_message(value: Any, path: str) -> Message:
    d = obj(value, path)
    role, content = d.get("role"), d.get("content")
    if role not in _ROLES:
        wire.choice(need(dict(d), "role", f"{path}.role"), f"{path}.role", _ROLES)
    message = Message(role=cast(Role, role), parts=parse_content(content, f"{path}.content"))
    if role == "system":
        note_down(message, NAME, "~turn")
    if len(d) > 2:
        keep(message, NAME, {key: inner for key, inner in d.items() if key not in ("role", "content")})
    return message


def _inference(request: Request, value: Any) -> None:
    d = dict(obj(value, "inferenceConfig"))
    for key, name, reader in _INFERENCE:
        if (said := d.pop(key, None)) is not None:
            setattr(request, name, reader(said, f"inferenceConfig.{key}"))
    stop = d.pop("stopSequences", None)
    if stop is not None:
        request.stop = wire.texts(stop, "inferenceConfig.stopSequences")
        if not stop:
            note_down(request, NAME, "~stop")
    keep_in(request, NAME, "inferenceConfig", d)


_INFERENCE: Final[tuple[tuple[str, str, Callable[[Any, str], Any]], ...]] = (
    ("maxTokens", "max_tokens", integer),
    ("temperature", "temperature", number),
    ("topP", "top_p", number),
)


def _output_config(request: Request, value: Any) -> None:
    d = dict(obj(value, "outputConfig"))
    if d.get("effort") in EFFORTS:
        parse_effort(request, d.pop("effort"))
    if (output := _text_format(as_obj(d.get("textFormat")))) is not None:
        request.output = output
        del d["textFormat"]
    keep_in(request, NAME, "outputConfig", d)


def _text_format(said: Json) -> Output | None:
    """An output format; None for one that we do not know. Its schema is JSON in a string."""
    if (
        said.keys() != {"type", "structure"}
        or said["type"] != "json_schema"
        or as_obj(said["structure"]).keys() != {"jsonSchema"}
    ):
        return None
    d = dict(as_obj(said["structure"]["jsonSchema"]))
    try:
        raw = d.pop("schema", None)
        schema = decode_json(raw) if type(raw) is str else None
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    if type(schema) is not dict:
        return None
    output = Output(mode="schema", schema=cast(Json, schema), extras={NAME: {"~schema": raw}})
    for key in ("name", "description"):
        if type(d.get(key)) is str:
            setattr(output, key, d.pop(key))
    keep_in(output, NAME, "structure", {f"jsonSchema.{key}": inner for key, inner in d.items()})
    return output


_FIELDS: Final[dict[str, Callable[[Request, Any], None]]] = {
    "inferenceConfig": _inference,
    "toolConfig": parse_tool_config,
    "outputConfig": _output_config,
    MORE: parse_more,
}

# Writing


def format_request(request: Request, target: Target, lose: Lose) -> Json:
    mine = request.extras.get(NAME, {}) if request.extras else request.extras
    own, kin, idle = "~own" in mine, family(target.model), mine.get("~idle") or {}
    marks = Marks(own, kin, lose)
    turns = Turns(request, target, marks, lose)
    turns.write()
    out: Json = {}
    if (messages := turns.messages()) or not own or "messages" in idle:
        out["messages"] = messages
    if turns.system:
        out["system"] = turns.system
    if inference := _format_inference(request, target, own, lose):
        out["inferenceConfig"] = inference
    if request.tools or request.tool_choice is not None or turns.used:
        format_tool_config(request, target, turns, marks, out, lose)
    thinks = request.reasoning is not None and format_reasoning(request.reasoning, request, target, kin, turns, out, lose)
    _format_sampling(request, target, out, own, thinks, lose)
    if request.output is not None:
        _format_output(request.output, target, kin, out, own, lose)
    format_top_k(request, target, kin, own, thinks, out, lose)
    _lose_rest(request, lose)
    if marks.too_many:
        marks.trim(as_array(as_obj(out.get("toolConfig")).get("tools")), turns.system, *turns.contents())
    if (kin.thinks == "claude" and request.stop and not own) or STOP_TOLD in mine:
        out[_PATHS] = _STOP
    if request.extras:
        foreign(request, NAME, "", lose)
        give_back(out, request, _ROOTS)
        for key, value in idle.items():
            out.setdefault(key, value)
    return out


def request_headers(body: Json, own: Mapping[bytes, bytes]) -> bytes:
    """None: what Bedrock wants to know stands in the body; the host signs it."""
    return b""


def _format_inference(request: Request, target: Target, own: bool, lose: Lose) -> Json:
    out: Json = {}
    limit = target.facts.max_output
    if request.max_tokens is not None:
        out["maxTokens"] = request.max_tokens
        if limit is not None and request.max_tokens > limit and not own:
            out["maxTokens"] = limit
            lose("max_tokens", "changed", f"{target.model} writes {limit} at most")
    stop = request.stop if own else [word for word in request.stop if word and not word.isspace()]
    if len(stop) < len(request.stop):
        lose("stop", "changed", "Bedrock refuses a blank stop sequence")
    if stop or (own and note(request, NAME, "~stop")):
        out["stopSequences"] = stop
    return out


def _format_sampling(request: Request, target: Target, out: Json, own: bool, thinks: bool, lose: Lose) -> None:
    said: Json = {}
    if request.temperature is not None:
        said["temperature"] = request.temperature
    if request.top_p is not None:
        said["top_p"] = request.top_p
    if not said:
        return
    if not target.facts.sampling or (thinks and not own):
        why = f"{target.model} takes none" + (" while it thinks" if target.facts.sampling else "")
        for key in said:
            lose(key, "dropped", why)
        return
    if not own and said.get("temperature", 0) > 1:
        said["temperature"] = 1
        lose("temperature", "changed", "Bedrock's goes to 1")
    if not own and not claude(target.model).sampling_pair and len(said) == 2:
        dropped = "temperature" if request.temperature == 1 else "top_p"  # 1 is what it does anyway
        del said[dropped]
        lose(dropped, "dropped", f"{target.model} takes temperature or top_p, not both")
    spot = out.setdefault("inferenceConfig", {})
    for key, value in said.items():
        spot["topP" if key == "top_p" else key] = value


def _format_output(output: Output, target: Target, kin: Family, out: Json, own: bool, lose: Lose) -> None:
    if output.mode == "text":
        return
    if output.mode == "json" or output.schema is None:
        lose("output", "dropped", "Bedrock's JSON output needs a schema")
        return
    if not own and not (kin.schemas and claude(target.model).schemas):
        lose("output", "dropped", f"{target.model} has no structured outputs")
        return
    schema = output.schema if own else dialect(output.schema, "output.schema", lose)
    raw = note(output, NAME, "~schema")
    inner: Json = {"schema": raw if own and raw else encode_json(schema).decode()}
    for key in ("name", "description"):
        if getattr(output, key) is not None:
            inner[key] = getattr(output, key)
    if output.strict is False:
        lose("output.strict", "dropped", "Bedrock's output format is always strict")
    said: Json = {"type": "json_schema", "structure": {"jsonSchema": inner}}
    if output.extras:
        foreign(output, NAME, "output", lose)
        give_back(said, output)
    out.setdefault("outputConfig", {})["textFormat"] = said


def _lose_rest(request: Request, lose: Lose) -> None:
    """What Converse has no field for; a value that asks for nothing is no loss."""
    if request.seed is not None:
        _lose_parameter("seed", lose)
    if request.n is not None and request.n != 1:
        _lose_parameter("n", lose)
    if request.frequency_penalty:
        _lose_parameter("frequency_penalty", lose)
    if request.presence_penalty:
        _lose_parameter("presence_penalty", lose)
    if request.logprobs is not None:
        _lose_parameter("logprobs", lose)
    if request.user is not None:
        _lose_parameter("user", lose)
    if request.top_logprobs:
        _lose_parameter("top_logprobs", lose)


def _lose_parameter(name: str, lose: Lose) -> None:
    lose(name, "dropped", "Bedrock has no such parameter")
