"""Content parts, tool calls and the slots that carry what Chat Completions cannot say. Shared by requests and answers.

The carrier: `message.extra_content.interlingua` maps a part's place in the turn to its seal; a tool call's signature
rides in `tool_calls[].extra_content.google.thought_signature`, the slot that Google's own endpoint taught clients.
"""

from typing import Any, Final, TypeVar

from msgspec.structs import replace

from interlingua.carry import seal, unseal
from interlingua.errors import InvalidRequest
from interlingua.ir import AnyPart, Cache, Function, Json, Media, Opaque, Request, Signature, Text, Thinking, ToolCall
from interlingua.protocols import Lose, Target, wire
from interlingua.protocols.media import audio_format, data_url, file_name, found_words, lose_citing, split_data_url, type_of
from interlingua.protocols.media import kind_of as media_kind
from interlingua.protocols.openai.names import CALL, NAME
from interlingua.protocols.openai_common import CUSTOM, FILE, free_text, in_arguments, told_custom
from interlingua.protocols.wire import array, as_obj, as_text, foreign, keep, keep_in, merge, need, note, note_down, obj, text

_TTLS: Final = ("30m", "12h")
_AUDIO_MIME: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def parse_content(value: Any, path: str) -> list[Any]:
    """A message's `content`: a string, a list of parts, or null."""
    if type(value) is str:
        return [Text(text=value)] if value else []
    if value is None:
        return []
    return [parse_part(obj(item, f"{path}[{i}]"), f"{path}[{i}]") for i, item in enumerate(array(value, path))]


def parse_part(d: Json, path: str) -> AnyPart:
    d = dict(d)
    kind = text(need(d, "type", f"{path}.type"), f"{path}.type")
    reader = _READERS.get(kind)
    if reader is None:
        return Opaque(origin=NAME, data={"type": kind, **d})
    part = reader(d, path)
    mark = d.pop("prompt_cache_breakpoint", None)
    if mark is not None:
        mark = dict(obj(mark, f"{path}.prompt_cache_breakpoint"))
        mark.pop("mode", None)
        part.cache = Cache(mark.pop("ttl", None))
        keep_in(part, NAME, "prompt_cache_breakpoint", mark)
    if d:
        keep(part, NAME, d)
    return part


def _text(d: Json, path: str) -> AnyPart:
    return Text(text=text(need(d, "text", f"{path}.text"), f"{path}.text"))


def _refusal(d: Json, path: str) -> AnyPart:
    return Text(text=text(need(d, "refusal", f"{path}.refusal"), f"{path}.refusal"), refusal=True)


def _image(d: Json, path: str) -> AnyPart:
    image = dict(obj(need(d, "image_url", f"{path}.image_url"), f"{path}.image_url"))
    url = text(need(image, "url", f"{path}.image_url.url"), f"{path}.image_url.url")
    split = split_data_url(url)
    part = Media(kind="image", mime=split[0], data=split[1]) if split else Media(kind="image", url=url)
    keep_in(part, NAME, "image_url", image)
    return part


def _audio(d: Json, path: str) -> AnyPart:
    audio = dict(obj(need(d, "input_audio", f"{path}.input_audio"), f"{path}.input_audio"))
    data = text(need(audio, "data", f"{path}.input_audio.data"), f"{path}.input_audio.data")
    form = text(need(audio, "format", f"{path}.input_audio.format"), f"{path}.input_audio.format")
    part = Media(kind="audio", data=data, mime=_AUDIO_MIME.get(form, f"audio/{form}"))
    keep_in(part, NAME, "input_audio", audio)
    return part


def _file(d: Json, path: str) -> AnyPart:
    file = dict(obj(need(d, "file", f"{path}.file"), f"{path}.file"))
    name, id_, data = (
        None if (said := file.pop(key, None)) is None else text(said, f"{path}.file.{key}")
        for key in ("filename", "file_id", "file_data")
    )
    if id_ is None and data is None:
        raise InvalidRequest(f"{path}.file needs file_data or file_id", param=f"{path}.file")
    split = split_data_url(data) if data is not None else None
    mime, raw = split or (None, data)
    part = Media(kind=media_kind(mime), mime=mime, data=raw, name=name, file=id_)
    note_down(part, NAME, "~file")
    if id_ is not None:
        note_down(part, NAME, FILE)
    keep_in(part, NAME, "file", file)
    return part


_READERS: Final = {"text": _text, "refusal": _refusal, "image_url": _image, "input_audio": _audio, "file": _file}


def format_part(part: AnyPart, path: str, lose: Lose) -> Json | None:
    """One content part of a prompt; None where Chat Completions has no such thing (reported)."""
    match part:
        case Text(refusal=True):
            out: Json = {"type": "refusal", "refusal": part.text}
        case Text():
            out = {"type": "text", "text": part.text}
            if part.citations:
                lose(f"{path}.citations", "dropped", "a prompt's text has no citations")
        case Media() if part.source is not None:
            return format_part(found_words(part, path, lose), path, lose)
        case Media():
            media = format_media(part, path, lose)
            if media is None:
                return None
            out = media
        case Opaque(origin="openai"):
            out = dict(part.data)
        case _:
            lose(path, "dropped", "Chat Completions has no such content")
            return None
    if part.cache is not None:
        out["prompt_cache_breakpoint"] = cache_mark(part.cache, path, lose)
    if part.signature is not None:
        lose(f"{path}.signature", "dropped", f"only {part.signature.origin} can read it")
    if part.extras:
        foreign(part, NAME, path, lose)
        merge(out, part, NAME)
    return out


def cache_mark(cache: Cache, path: str, lose: Lose) -> Json:
    mark: Json = {"mode": "explicit"}
    if cache.ttl in _TTLS:
        mark["ttl"] = cache.ttl
    elif cache.ttl is not None:
        lose(f"{path}.cache.ttl", "dropped", "OpenAI keeps a cache for 30m or 12h")
    return mark


def format_media(part: Media, path: str, lose: Lose) -> Json | None:
    if part.kind == "image" and part.file is None and not note(part, NAME, "~file") and (part.url or part.data is not None):
        _lose_name(part, path, lose)
        if part.url is not None and part.mime is not None:
            lose(f"{path}.mime", "dropped", "an image URL has no media type")
        url = part.url if part.data is None else data_url(type_of(part.mime, part.data), part.data)
        return {"type": "image_url", "image_url": {"url": url}}
    form = audio_format(part.mime)
    if part.kind == "audio" and part.data is not None and form is None and part.mime and NAME in part.extras:
        form = part.mime.removeprefix("audio/")  # the client's own word for a format we do not know
    if part.kind == "audio" and part.data is not None and form is not None and not note(part, NAME, "~file"):
        _lose_name(part, path, lose)
        return {"type": "input_audio", "input_audio": {"data": wire.standard_base64(part.data), "format": form}}
    return _format_file(part, path, lose)


def _format_file(part: Media, path: str, lose: Lose) -> Json | None:
    mine = note(part, NAME, "~file")  # came as a `file`: its id is ours, and its data may be a bare string
    file: Json = {}
    if part.file is not None and (mine or note(part, NAME, FILE)):
        file["file_id"] = part.file
    elif part.data is not None and (mine or part.kind == "document"):
        bare = mine and part.mime is None
        file["file_data"] = part.data if bare else data_url(type_of(part.mime, part.data), part.data)
    elif part.text is not None:
        file["file_data"] = data_url(part.mime or "text/plain", wire.base64_of(part.text))
    else:
        lose(path, "dropped", f"Chat Completions takes no {part.kind} of this kind")
        return None
    lose_citing(part, path, lose)
    name = part.name if mine or "file_data" not in file else part.name or file_name(part.mime)
    if name is not None:
        file["filename"] = name
    return {"type": "file", "file": file}


def _lose_name(part: Media, path: str, lose: Lose) -> None:
    if part.name is not None:
        lose(f"{path}.name", "dropped", f"an {part.kind} has no name")


# Tool calls


def plain_call(d: Any) -> ToolCall | None:
    """The call that nearly all are: of a function, with an id, and nothing beside."""
    try:
        id_, kind, said = d["id"], d["type"], d["function"]
        name, arguments = said["name"], said["arguments"]
    except (KeyError, TypeError):
        return None
    if kind == "function" and len(d) == 3 and len(said) == 2 and type(id_) is type(name) is type(arguments) is str:
        return ToolCall(id=id_, name=name, arguments=arguments)
    return None


def parse_call(d: Json, path: str, require_id: bool = True) -> AnyPart:
    if (plain := plain_call(d)) is not None:
        return plain
    d = dict(d)
    kind = d.get("type")
    if kind == "custom" or kind is None and "custom" in d and "function" not in d:
        return _custom_call(d, path, require_id)
    if "function" not in d:
        if kind in (None, "function"):
            raise InvalidRequest(f"{path}.function is required", param=f"{path}.function")
        return Opaque(origin=NAME, data=d, extras={NAME: {CALL: True}})
    d.pop("type", None)
    d.pop("index", None)  # left by the SDK's stream helper in the calls it gathers
    function = dict(obj(d.pop("function"), f"{path}.function"))
    id_ = text(need(d, "id", f"{path}.id"), f"{path}.id") if require_id else d.pop("id", None) or ""
    arguments = function.pop("arguments", None)
    call = ToolCall(
        id=id_,
        name=text(need(function, "name", f"{path}.function.name"), f"{path}.function.name"),
        arguments="" if arguments is None else text(arguments, f"{path}.function.arguments"),
    )
    call.signature = take_signature(d, call)
    keep_in(call, NAME, "function", function)
    keep(call, NAME, d)
    return call


def _custom_call(d: Json, path: str, require_id: bool) -> ToolCall:
    """A call of a custom tool."""
    d.pop("type", None)
    d.pop("index", None)
    custom = dict(obj(need(d, "custom", f"{path}.custom"), f"{path}.custom"))
    call = ToolCall(
        id=text(need(d, "id", f"{path}.id"), f"{path}.id") if require_id else d.pop("id", None) or "",
        name=text(need(custom, "name", f"{path}.custom.name"), f"{path}.custom.name"),
        arguments=in_arguments(text(custom.pop("input", None) or "", f"{path}.custom.input")),
    )
    call.signature = take_signature(d, call)
    keep_in(call, NAME, "custom", custom)
    keep(call, NAME, {**d, CUSTOM: NAME})
    return call


def custom_names(request: Request, target: Target | None = None) -> frozenset[str]:
    """The functions that are told as custom tools: to the client, or to a target."""
    return frozenset(
        tool.name for tool in request.tools if tool.extras and isinstance(tool, Function) and told_custom(tool, NAME, target)
    )


def take_signature(d: Json, call: ToolCall) -> Signature | None:
    """Pops the thought signature of a tool call: sealed by us, or Google's own, which is noted as such."""
    value = as_text(as_obj(as_obj(d.get("extra_content")).get("google")).get("thought_signature"))
    if value is None:
        return None
    del d["extra_content"]
    unsealed = unseal(value)
    if isinstance(unsealed, Signature):
        return unsealed
    note_down(call, NAME, "~google")
    return Signature("gemini", value)


def format_call(call: ToolCall, custom: bool) -> Json:
    """`custom`: as a custom tool's."""
    if custom:
        out: Json = {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": free_text(call.arguments)}}
    else:
        out = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
    return merge(out, call, NAME) if call.extras else out


_Spoken = TypeVar("_Spoken", Function, ToolCall)


def as_function(node: _Spoken, path: str, lose: Lose) -> _Spoken:
    """A custom tool, or a call of one, that is to be told as a function: without what only custom tools have (reported)."""
    mine = node.extras.get(NAME, {})
    for key in mine:
        if key.startswith("custom."):
            lose(f"{path}.{key}", "dropped", "it is told as a function")
    return replace(node, extras={**node.extras, NAME: {key: mine[key] for key in mine if not key.startswith("custom.")}})


def signature_slot(signature: Signature, native: bool) -> Json:
    return {"google": {"thought_signature": signature.data if native else seal(signature)}}


# The carrier


def parse_carried(d: Json) -> dict[int, AnyPart | Signature]:
    """Pops our seals from a message's `extra_content`: the parts by their place in the turn."""
    extra = as_obj(d.get("extra_content"))
    ours = as_obj(extra.get("interlingua"))
    if not ours:
        return {}
    rest = {key: value for key, value in extra.items() if key != "interlingua"}
    d["extra_content"] = rest or None
    found: dict[int, AnyPart | Signature] = {}
    for place, sealed in list(ours.items())[:256]:
        value = unseal(sealed) if type(sealed) is str else None
        if value is not None and place.isascii() and place.isdigit():
            found[int(place[:6])] = value
    return found


def restore(parts: list[AnyPart], carried: dict[int, AnyPart | Signature]) -> list[AnyPart]:
    """Puts carried parts back in their places; words told twice (reasoning_content) are told once."""
    if not carried:
        return parts
    if any(isinstance(value, Thinking) for value in carried.values()):
        parts = [part for part in parts if not isinstance(part, Thinking)]
    for place in sorted(carried):
        value = carried[place]
        if not isinstance(value, Signature):
            parts.insert(min(place, len(parts)), value)
        elif texts := [part for part in parts if isinstance(part, Text) and not part.refusal]:
            bearer = parts[place] if place < len(parts) else texts[-1]  # texts may have been joined on the way
            bearer.signature = value
    return parts


def carried_slot(place: int, value: AnyPart | Signature) -> Json:
    return {"interlingua": {str(place): seal(value)}}
