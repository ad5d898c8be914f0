"""One part of a Content, read and written; shared by requests and answers.

`thoughtSignature` is the carrier: bytes on the wire, so base64. Google's own is kept as it came. Ours is the base64 of
a seal, in which a foreign signature or a whole part travels through clients that replay the field untouched.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from mimetypes import guess_type
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import structs

from interlingua.carry import LIMIT, MARK, seal, unseal
from interlingua.ir import AnyPart, Json, Media, Opaque, Signature, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols import Lose
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.gemini.spelling import BLOB, CALL, PART, spell
from interlingua.protocols.media import audio_of, kind_of, lose_citing, type_of
from interlingua.protocols.wire import (
    array,
    as_obj,
    base64_of,
    decode_json,
    encode_json,
    foreign,
    keep,
    keep_in,
    merge,
    need,
    note,
    note_down,
    obj,
    standard_base64,
    text,
)

# Google's documented stand-in for a signature that there never was, as its SDK puts these bytes on the wire.
# ai.google.dev/gemini-api/docs/thought-signatures
DUMMY_SIGNATURE: Final = base64_of("skip_thought_signature_validator")

_SEALED: Final = base64_of(MARK)[:5]  # how the base64 of any seal begins
_DATA: Final[frozenset[str]] = frozenset(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall toolResponse".split()
)
_TEXT: Final = frozenset({"text"})
_STORED: Final = re.compile(r"gs://|https://[\w.-]*generativelanguage\.googleapis\.com/.*files/|files/", re.S)
_FETCHED: Final = re.compile(r"https?://((www|m)\.)?(youtube\.com|youtu\.be)/", re.S)
_COMMON: Final = {"image": "image/jpeg", "audio": "audio/mpeg", "video": "video/mp4", "document": "application/pdf"}

# Reading


def parse_part(value: Json, path: str, id_: str) -> AnyPart:
    """`id_` is what a call or result is named by that bears no id of its own."""
    d = spell(value, PART)
    signature = d.pop("thoughtSignature", None)
    kinds: frozenset[str] = _DATA & d.keys()
    part: AnyPart
    if kinds == _TEXT:
        words = text(d.pop("text"), f"{path}.text")
        thought = d.pop("thought", None)
        part = Thinking(text=words) if thought is True else Text(text=words)
        if thought is not None and thought is not True:
            note_down(part, NAME, "~thought", thought)
    elif len(kinds) == 1 and (kind := next(iter(kinds))) in _READERS:
        read, table = _READERS[kind]
        part = read(spell(obj(d.pop(kind), f"{path}.{kind}"), table), f"{path}.{kind}", id_)
    elif not kinds and type(signature) is str and (found := unsealed(signature)) is not None:
        return Text(signature=found) if isinstance(found, Signature) else found
    else:
        return Opaque(origin=NAME, data=value)
    if signature is not None:
        part = _bear(part, text(signature, f"{path}.thoughtSignature"))
    if d:
        keep(part, NAME, d)
    return part


def _inline(d: Json, path: str, id_: str) -> AnyPart:
    mime, name = d.pop("mimeType", None), d.pop("displayName", None)
    mime = None if mime is None else text(mime, f"{path}.mimeType")
    data = text(need(d, "data", f"{path}.data"), f"{path}.data")
    part = Media(kind=kind_of(mime), data=data, mime=mime, name=None if name is None else text(name, f"{path}.displayName"))
    if mime is None:
        note_down(part, NAME, "~mime", "absent")
    keep_in(part, NAME, "inlineData", d)
    return part


def _file(d: Json, path: str, id_: str) -> AnyPart:
    mime, name = d.pop("mimeType", None), d.pop("displayName", None)
    mime = None if mime is None else text(mime, f"{path}.mimeType")
    uri = text(need(d, "fileUri", f"{path}.fileUri"), f"{path}.fileUri")
    part = Media(kind=kind_of(mime), mime=mime, name=None if name is None else text(name, f"{path}.displayName"))
    if _STORED.match(uri) or "://" not in uri:
        part.file = uri
    else:
        part.url = uri
        part.kind = "video" if mime is None and _FETCHED.match(uri) else part.kind
    note_down(part, NAME, "~uri")
    keep_in(part, NAME, "fileData", d)
    return part


def _call(d: Json, path: str, id_: str) -> AnyPart:
    args, own = d.pop("args", None), d.pop("id", None)
    call = ToolCall(
        id=id_ if own is None else text(own, f"{path}.id"),
        name=text(need(d, "name", f"{path}.name"), f"{path}.name"),
        arguments="" if args is None else encode_json(obj(args, f"{path}.args")).decode(),
    )
    if own is None:
        note_down(call, NAME, "~id")
    keep_in(call, NAME, "functionCall", d)
    return call


def _result(d: Json, path: str, id_: str) -> AnyPart:
    own, response = d.pop("id", None), d.pop("response", None)
    result = ToolResult(
        id=id_ if own is None else text(own, f"{path}.id"), name=text(need(d, "name", f"{path}.name"), f"{path}.name")
    )
    if own is None:
        note_down(result, NAME, "~id")
    _take_response(result, response, path)
    for k, item in enumerate(array(d.pop("parts", []), f"{path}.parts")):
        part = parse_part(obj(item, f"{path}.parts[{k}]"), f"{path}.parts[{k}]", "")
        result.parts.append(part if isinstance(part, Media) else Opaque(origin=NAME, data=item))
    keep_in(result, NAME, "functionResponse", d)
    return result


def _take_response(result: ToolResult, response: object, path: str) -> None:
    """{"output": words} and its like are the words; any other object is told as its JSON and goes back as it came."""
    result.parts = []
    if response is None:
        note_down(result, NAME, "~response", "absent")
        return
    said = obj(response, f"{path}.response")
    key = next(iter(said)) if len(said) == 1 else ""
    result.error = key == "error"
    if key in ("output", "result", "error") and type(said[key]) is str:
        result.parts.append(Text(text=said[key]))
        if key == "result":
            note_down(result, NAME, "~response", key)
        return
    result.parts.append(Text(text=encode_json(said).decode()))
    note_down(result, NAME, "~response", "whole")


_READERS: Final = {
    "inlineData": (_inline, BLOB),
    "fileData": (_file, BLOB),
    "functionCall": (_call, CALL),
    "functionResponse": (_result, CALL),
}


def unsealed(value: str) -> AnyPart | Signature | None:
    """What we sealed into a thoughtSignature, as base64 or bare; None where it is Google's own."""
    if value.startswith(MARK):
        return unseal(value)
    if not value.startswith(_SEALED) or len(value) > 2 * LIMIT:
        return None
    try:
        raw = standard_base64(value).translate(_URL_SAFE)
        return unseal(urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode("ascii"))
    except (binascii.Error, ValueError):
        return None


_URL_SAFE: Final = str.maketrans("+/", "-_")


def _bear(part: AnyPart, value: str) -> AnyPart:
    found = unsealed(value)
    if found is None:
        part.signature = Signature(NAME, value)
    elif isinstance(found, Signature):
        part.signature = found
    elif isinstance(part, Thinking) or (isinstance(part, Text) and not part.text):
        return found
    else:
        part.signature = found.signature
        part.extras = {**found.extras, **part.extras}
    return part


# Writing


def slot(value: AnyPart | Signature) -> str:
    """A thoughtSignature that carries what this wire cannot say."""
    return base64_of(seal(value))


def with_extras(out: Json, part: AnyPart, path: str, lose: Lose) -> Json:
    if part.extras:
        foreign(part, NAME, path, lose)
        merge(out, part, NAME)
    return out


def format_call(call: ToolCall, path: str, lose: Lose, ids: bool) -> Json:
    inner: Json = {"name": call.name}
    if ids and not note(call, NAME, "~id"):
        inner["id"] = call.id
    if call.arguments:
        inner["args"] = arguments_of(call, path, lose)
    return {"functionCall": inner}


def arguments_of(call: ToolCall, path: str, lose: Lose) -> Json:
    """A call's arguments as the object they must be. What is no object is carried in one, and reported."""
    try:
        value = decode_json(call.arguments)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        value = None
    if type(value) is dict:
        return as_obj(value)
    lose(f"{path}.arguments", "changed", "they are no JSON object")
    return {"INVALID_JSON": call.arguments}


def format_media(part: Media, path: str, lose: Lose, fetches: bool = False) -> Json | None:
    """inlineData or fileData; None where Gemini cannot get at the bytes (reported). `fetches`: takes any https URL."""
    if not can_say(part, fetches):
        lose(path, "dropped", "Gemini fetches no such file" if part.url else f"Gemini has no such {part.kind} in store")
        return None
    if part.data is not None or part.text is not None:
        data = part.data if part.data is not None else base64_of(part.text or "")
        kind, inner = "inlineData", {"data": data}
        if not note(part, NAME, "~mime"):
            inner["mimeType"] = part.mime or _mime(part, path, lose)
    else:
        kind, inner = "fileData", {"fileUri": part.file or part.url}
        if part.mime is not None or fetches:
            inner["mimeType"] = part.mime or _guessed(part, path, lose)
    if part.name is not None:
        inner["displayName"] = part.name
    lose_citing(part, path, lose)
    return {kind: inner}


def can_say(part: Media, fetches: bool) -> bool:
    where = part.file or part.url or ""
    if part.data is not None or part.text is not None or note(part, NAME, "~uri") or _STORED.match(where):
        return True
    return part.url is not None and (_FETCHED.match(where) is not None or (fetches and where.startswith("https://")))


def _mime(part: Media, path: str, lose: Lose) -> str:
    """Gemini wants a media type: where none is said, the one that the data shows."""
    if part.data is None:
        return "text/plain"
    guess = type_of(None, part.data) if part.kind != "audio" else audio_of(part.data)
    lose(f"{path}.mime", "added", f"Gemini wants a media type; taken for {guess}")
    return guess


def _guessed(part: Media, path: str, lose: Lose) -> str:
    """For a host that wants a media type of what it fetches: what the file's name shows, else the commonest."""
    guess = guess_type(urlsplit(part.url or "").path)[0] or _COMMON[part.kind]
    lose(f"{path}.mime", "added", f"the host wants a media type; taken for {guess}")
    return guess


def must_carry(part: AnyPart) -> bool:
    """Whether a thought or a call of an answer holds more than words and a signature that a model elsewhere wants back."""
    if not isinstance(part, Thinking | ToolCall):
        return False
    told = any(key[:1] != "~" for origin, extra in part.extras.items() if origin != NAME for key in extra)
    return told or (isinstance(part, Thinking) and part.redacted)


def carried(part: AnyPart) -> str | None:
    """The thoughtSignature of a part of an answer: Google's own, or a seal of what the part cannot say otherwise."""
    if must_carry(part) and isinstance(part, ToolCall):
        return slot(structs.replace(part, arguments=""))
    if must_carry(part):
        return slot(part)
    if part.signature is None:
        return None
    return part.signature.data if part.signature.origin == NAME else slot(part.signature)
