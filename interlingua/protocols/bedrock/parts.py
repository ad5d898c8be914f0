"""Content blocks, both directions: shared by requests, answers and streams. A block is an object with one key, its kind.

A cachePoint is no part of its own: it marks the part before it. The carrier: what a client must bring back unread is sealed
into a reasoning block's `signature`, or, for what has no words, into `redactedContent`. A seal is a whole part that stands
where its block stood, or a bare signature, which belongs to the part that follows.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from interlingua.carry import LIMIT, MARK, seal, unseal
from interlingua.errors import InvalidRequest
from interlingua.ir import (
    AnyPart,
    Cache,
    Citation,
    Function,
    Json,
    Media,
    Node,
    Opaque,
    Place,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Unit,
)
from interlingua.protocols import Lose
from interlingua.protocols.bedrock.formats import format_of, mime_of
from interlingua.protocols.bedrock.names import CARRIED, NAME
from interlingua.protocols.bedrock.toolnames import own_name
from interlingua.protocols.media import Kind, take_citable, take_citing
from interlingua.protocols.wire import (
    array,
    as_array,
    as_count,
    as_obj,
    base64_of,
    decode_json,
    encode_json,
    foreign,
    is_json_object,
    keep,
    keep_in,
    need,
    note,
    note_down,
    obj,
    text,
)

INVALID: Final = "INVALID_JSON"  # Anthropic's documented key for arguments that are no JSON object
Reader = Callable[[Any, str], AnyPart | Signature | None]

# Reading


def parse_content(value: Any, path: str, backend: bool = False) -> list[AnyPart]:
    """A turn's `content`. `backend`: it is an answer's, whose tool names may be respelled by us."""
    parts: list[AnyPart] = []
    pending: Signature | None = None
    for i, item in enumerate(array(value, path)):
        d = obj(item, f"{path}[{i}]")
        if "cachePoint" in d and parts and take_mark(d, parts[-1], f"{path}[{i}].cachePoint"):
            continue
        part = parse_block(d, f"{path}[{i}]")
        if isinstance(part, Signature):
            pending = part
            continue
        if pending is not None:
            part.signature, pending = part.signature or pending, None
            note_down(part, NAME, CARRIED)
        if backend and isinstance(part, ToolCall):
            part.name = own_name(part.name)
        elif isinstance(part, Media) and "reasoningContent" in d:
            note_down(part, NAME, "~sealed")
        parts.append(part)
    if pending is not None:
        parts.append(Text(signature=pending))
    return parts


def parse_block(d: Json, path: str) -> AnyPart | Signature:
    """One block. Raises InvalidRequest where a known kind is malformed."""
    if len(d) == 1 and type(words := d.get("text")) is str:
        return Text(text=words)
    return _parse_block(d, path, READERS)


def _parse_block(d: Json, path: str, readers: dict[str, Reader]) -> AnyPart | Signature:
    kind = next((key for key in readers if d.get(key) is not None), None)
    part = readers[kind](d[kind], f"{path}.{kind}") if kind is not None else None
    if part is None:
        return Opaque(origin=NAME, data=d)
    if len(d) > 1 and not isinstance(part, Signature):
        keep(part, NAME, {key: value for key, value in d.items() if key != kind})
    return part


def take_mark(d: Json, node: AnyPart | Function, path: str) -> bool:
    """Whether a cachePoint could be put on what stands before it; else it is kept as it is."""
    mark = d["cachePoint"]
    if len(d) > 1 or type(mark) is not dict or node.cache is not None:
        return False
    rest = dict(cast(Json, mark))
    if rest.pop("type", None) != "default":
        return False  # a kind of mark born after this file
    ttl = rest.pop("ttl", None)
    node.cache = Cache(None if ttl is None else text(ttl, f"{path}.ttl"))
    if rest:
        note_down(node, NAME, "~cachePoint", rest)
    return True


def _text(value: Any, path: str) -> AnyPart:
    return Text(text=text(value, path))


def _guarded(value: Any, path: str) -> AnyPart | None:
    """Words that a guardrail is to judge; another backend is told the words."""
    d = dict(obj(value, path))
    inner = dict(as_obj(d.get("text")))
    if len(d) > 1 or type(inner.get("text")) is not str:
        return None
    part = Text(text=inner.pop("text"))
    part.extras = {NAME: {"guardContent": inner}}
    return part


def _media_reader(kind: Kind) -> Reader:
    return lambda value, path: _media(kind, value, path)


def _media(kind: Kind, value: Any, path: str) -> AnyPart | None:
    """None where its source is of a kind that we do not know."""
    d = dict(obj(value, path))
    source = obj(d.pop("source", None), f"{path}.source")
    part = Media(kind=kind)
    if len(source) != 1 or not _take_source(part, source, f"{path}.source"):
        return None
    said = d.pop("format", None)
    format_ = None if said is None else text(said, f"{path}.format")
    part.mime = mime_of(kind, format_) if format_ else "text/plain" if part.text is not None else None
    if format_of(kind, part.mime) != format_ and (format_ or part.text is None or part.mime != "text/plain"):
        note_down(part, NAME, "~format", format_ or "")
    elif format_ is None:
        note_down(part, NAME, "~format", "")
    if (name := d.pop("name", None)) is not None:
        part.name = text(name, f"{path}.name")
    if d and kind == "document":
        take_citing(part, d)
    keep_in(part, NAME, kind, d)
    return part


def _take_source(part: Media, source: Json, path: str) -> bool:
    match source:
        case {"bytes": data}:
            part.data = text(data, f"{path}.bytes")
        case {"s3Location": location}:
            part.file = text(need(dict(obj(location, f"{path}.s3Location")), "uri", f"{path}.s3Location.uri"), f"{path}.uri")
            note_down(part, NAME, "~source", source)
        case {"text": words} if part.kind == "document":
            part.text = text(words, f"{path}.text")
            note_down(part, NAME, "~source", "text")
        case {"content": content} if part.kind == "document" and (words := _words(content)) is not None:
            part.text, part.chunks = words, [block["text"] for block in content]
            note_down(part, NAME, "~source", source)
        case _:
            return False
    return True


def _found(value: Any, path: str) -> AnyPart | None:
    """What a search found; None where its content is of a kind that we do not know."""
    d = dict(obj(value, path))
    blocks = array(d.pop("content", None), f"{path}.content")
    if (words := _words(blocks)) is None:
        return None
    part = Media(kind="document", text=words, chunks=[block["text"] for block in blocks])
    part.source = text(need(d, "source", f"{path}.source"), f"{path}.source")
    part.name = text(need(d, "title", f"{path}.title"), f"{path}.title")
    take_citable(part, d)
    keep_in(part, NAME, "searchResult", d)
    return part


def _words(content: Any) -> str | None:
    """Content that is words only, as one text."""
    blocks = [as_obj(item) for item in as_array(content)]
    if not blocks or any(block.keys() != {"text"} or type(block["text"]) is not str for block in blocks):
        return None
    return "\n".join(block["text"] for block in blocks)


def _thinking(value: Any, path: str) -> AnyPart | Signature | None:
    d = obj(value, path)
    if type(inner := d.get("reasoningText")) is dict and len(d) == 1:
        return _reasoning_text(dict(cast(Json, inner)), f"{path}.reasoningText")
    if type(data := d.get("redactedContent")) is str and len(d) == 1:
        return redacted(data)
    return None


def _reasoning_text(d: Json, path: str) -> AnyPart | Signature:
    words = text(d.pop("text", None) or "", f"{path}.text")
    signature = d.pop("signature", None)
    part = reasoned(words, None if signature is None else text(signature, f"{path}.signature"))
    if d and isinstance(part, Thinking):
        keep_in(part, NAME, "reasoningContent", {f"reasoningText.{key}": inner for key, inner in d.items()})
    return part


def reasoned(words: str, signature: str | None) -> AnyPart | Signature:
    """The part that a reasoning block tells. A seal of ours, if damaged, is nobody's signature."""
    if signature is not None and signature.startswith(MARK):
        return unseal(signature) or Thinking(text=words)
    part = Thinking(text=words)
    if signature:
        part.signature = Signature(NAME, signature)
    else:
        note_down(part, NAME, "~unsigned", "absent" if signature is None else "empty")
    return part


def redacted(data: str) -> AnyPart | Signature:
    """The part that redactedContent tells: a seal of ours, or what only its origin can read."""
    return unsealed(data) or Thinking(redacted=True, signature=Signature(NAME, data))


def unsealed(data: str) -> AnyPart | Signature | None:
    """What of ours redactedContent holds."""
    try:
        return unseal(b64decode(data, validate=True).decode("ascii"))
    except (Error, ValueError):
        return None


def _call(value: Any, path: str) -> AnyPart | None:
    d = dict(obj(value, path))
    if d.get("type") is not None:
        return None  # one that Bedrock runs itself
    id_, name = need(d, "toolUseId", f"{path}.toolUseId"), need(d, "name", f"{path}.name")
    given = need(d, "input", f"{path}.input")
    try:
        arguments = encode_json(given).decode()
    except RecursionError:
        raise InvalidRequest(f"{path}.input is nested too deep", param=f"{path}.input") from None
    part = ToolCall(id=text(id_, f"{path}.toolUseId"), name=text(name, f"{path}.name"), arguments=arguments)
    if type(given) is not dict:  # any JSON is legal
        note_down(part, NAME, "~input")
    if d:
        keep_in(part, NAME, "toolUse", d)
    return part


def _result(value: Any, path: str) -> AnyPart | None:
    d = dict(obj(value, path))
    if d.get("type") is not None:
        return None
    part = ToolResult(id=text(need(d, "toolUseId", f"{path}.toolUseId"), f"{path}.toolUseId"))
    for i, item in enumerate(array(d.pop("content", None), f"{path}.content")):
        where = f"{path}.content[{i}]"
        part.parts.append(cast(Any, _parse_block(obj(item, where), where, _IN_RESULTS)))
    if (status := d.pop("status", None)) is not None:
        part.error = status == "error"
        if not part.error:
            note_down(part, NAME, "~status", status)
    if d:
        keep_in(part, NAME, "toolResult", d)
    return part


def _json(value: Any, path: str) -> AnyPart:
    try:
        return Text(text=encode_json(value).decode(), extras={NAME: {"~json": True}})
    except RecursionError:
        raise InvalidRequest(f"{path} is nested too deep", param=path) from None


def _cited(value: Any, path: str) -> AnyPart | None:
    d = obj(value, path)
    pieces = [as_obj(item) for item in array(d.get("content", []), f"{path}.content")]
    if any(piece.keys() != {"text"} or type(piece["text"]) is not str for piece in pieces) or d.keys() - {"content", "citations"}:
        return None
    part = Text(text="".join(piece["text"] for piece in pieces))
    cited = array(d.get("citations", []), f"{path}.citations")
    part.citations = [parse_citation(item, f"{path}.citations[{i}]") for i, item in enumerate(cited)]
    lengths = _lengths(pieces)
    note_down(part, NAME, "~cited", True if lengths is None else lengths)
    if "citations" not in d:
        note_down(part, NAME, "~uncited")
    return part


def parse_citation(value: Any, path: str) -> Citation:
    """Bedrock cites whole blocks of an answer; where in its sources they are from is the citation's place."""
    d = dict(obj(value, path))
    citation = Citation()
    if type(title := d.get("title")) is str:
        citation.title = title
        del d["title"]
    quoted = [as_obj(piece) for piece in as_array(d.get("sourceContent"))]
    if quoted and all(piece.keys() == {"text"} and type(piece["text"]) is str for piece in quoted):
        citation.quote = "".join(piece["text"] for piece in quoted)
        if lengths := _lengths(quoted):
            note_down(citation, NAME, "~quoted", lengths)
        del d["sourceContent"]
    location = as_obj(d.get("location"))
    if location.keys() == {"web"} and type(url := as_obj(location["web"]).get("url")) is str:
        citation.url = url
        note_down(citation, NAME, "~web", {key: inner for key, inner in location["web"].items() if key != "url"})
        del d["location"]
    elif (place := _place(location, d)) is not None:
        citation.place = place
        del d["location"]
    keep(citation, NAME, d)
    return citation


def _place(location: Json, d: Json) -> Place | None:
    """A citation's place, where all of its numbers are told; pops the source of a search result."""
    kind = next(iter(location), "")
    unit, inner = _UNITS.get(kind), as_obj(location.get(kind))
    if unit is None or len(location) > 1 or len(inner) != 3:
        return None
    index, start, end = as_count(inner.get(_PLACES[unit][1])), as_count(inner.get("start")), as_count(inner.get("end"))
    if index is None or start is None or end is None:
        return None
    found = unit == "result" and type(d.get("source")) is str
    return Place(unit, index, start, end, d.pop("source") if found else None)


# A citation's location by the unit of its place, and the name of its index.
_PLACES: Final[dict[Unit, tuple[str, str]]] = {
    "char": ("documentChar", "documentIndex"),
    "page": ("documentPage", "documentIndex"),
    "chunk": ("documentChunk", "documentIndex"),
    "result": ("searchResultLocation", "searchResultIndex"),
}
_UNITS: Final[dict[str, Unit]] = {row[0]: unit for unit, row in _PLACES.items()}


def _lengths(pieces: list[Json]) -> list[int] | None:
    """Of the texts that are joined to one, where they are not one."""
    return [len(piece["text"]) for piece in pieces] if len(pieces) != 1 else None


READERS: Final[dict[str, Reader]] = {
    "text": _text,
    "toolUse": _call,
    "toolResult": _result,
    "reasoningContent": _thinking,
    "image": _media_reader("image"),
    "document": _media_reader("document"),
    "video": _media_reader("video"),
    "audio": _media_reader("audio"),
    "citationsContent": _cited,
    "guardContent": _guarded,
    "searchResult": _found,
}
_IN_RESULTS: Final[dict[str, Reader]] = {
    "text": _text,
    "json": _json,
    "image": _media_reader("image"),
    "document": _media_reader("document"),
    "video": _media_reader("video"),
    "searchResult": _found,
}

# Writing: what requests and answers say alike


def cited_block(part: Text, citations: list[Json]) -> Json:
    """A text with citations, in the pieces it came in."""
    spelled = note(part, NAME, "~cited")
    inner: Json = {"content": _pieces(part.text, None if spelled is True else spelled)}
    if not note(part, NAME, "~uncited"):
        inner["citations"] = citations
    return {"citationsContent": inner}


def _pieces(words: str, lengths: list[int] | None) -> list[Json]:
    """One text as the texts it was joined of."""
    if lengths is None or sum(lengths) != len(words):
        return [{"text": words}]
    return [{"text": words[end - length : end]} for end, length in zip(accumulate(lengths), lengths, strict=True)]


def format_citation(citation: Citation, path: str, lose: Lose) -> Json:
    out: Json = {}
    if citation.title is not None:
        out["title"] = citation.title
    if citation.quote is not None:
        out["sourceContent"] = _pieces(citation.quote, note(citation, NAME, "~quoted"))
    if (place := citation.place) is not None:
        kind, which = _PLACES[place.unit]
        out["location"] = {kind: {which: place.index, "start": place.start, "end": place.end}}
        if place.source is not None:
            out["source"] = place.source
    if citation.url is not None:
        out["location"] = {"web": {"url": citation.url, **(note(citation, NAME, "~web") or {})}}
    if citation.start is not None or citation.end is not None:
        lose(f"{path}.start", "dropped", "Bedrock cites whole blocks of an answer")
    if citation.extras:
        foreign(citation, NAME, path, lose)
        out.update({key: value for key, value in citation.extras.get(NAME, {}).items() if key[:1] != "~"})
    return out


def reasoning_block(words: str, signature: str | None) -> Json:
    inner: Json = {"text": words}
    if signature is not None:
        inner["signature"] = signature
    return {"reasoningContent": {"reasoningText": inner}}


def native_thinking(part: Thinking) -> Json | None:
    """A thinking part in Bedrock's own words; None where Bedrock did not say it."""
    if part.signature is None:
        spelled = note(part, NAME, "~unsigned")
        return None if spelled is None else reasoning_block(part.text, "" if spelled == "empty" else None)
    if part.signature.origin != NAME:
        return None
    if part.redacted:
        return {"reasoningContent": {"redactedContent": part.signature.data}}
    return reasoning_block(part.text, part.signature.data)


def carrier(value: Signature | AnyPart) -> Json:
    """An empty reasoning block that bears a signature for the block after it, or a whole part."""
    return reasoning_block("", seal(value))


def sealed_block(value: AnyPart) -> Json | None:
    """A part without words that are to be read; None where it is too large."""
    data = seal(value)
    return {"reasoningContent": {"redactedContent": base64_of(data)}} if len(data) <= LIMIT else None


def call_block(call: ToolCall, name: str, path: str, lose: Lose) -> Json:
    return {"toolUse": {"toolUseId": call.id, "name": name, "input": arguments_of(call, path, lose)}}


def arguments_of(call: ToolCall, path: str, lose: Lose) -> Raw | Json:
    """A call's arguments byte for byte; what is no object travels under the key that Anthropic documents for it."""
    if not call.arguments:
        return {}
    if is_json_object(call.arguments):
        return Raw(call.arguments)
    if call.extras.get(NAME, {}).get("~input"):
        return Raw(call.arguments)
    lose(f"{path}.arguments", "changed", f"no JSON object: sent as {INVALID}")
    return {INVALID: call.arguments}


def image_block(part: Media) -> Json | None:
    """An answer's image, where Bedrock has its format."""
    format_ = note(part, NAME, "~format") or format_of("image", part.mime)
    if part.kind != "image" or part.data is None or format_ is None:
        return None
    return {"image": {"format": format_, "source": {"bytes": part.data}}}


def words_of_json(part: Text) -> Json | None:
    """A result's text that came as JSON, as JSON again."""
    if not note(part, NAME, "~json"):
        return None
    try:
        return {"json": decode_json(part.text)}
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def give_back(out: Json, node: Node, roots: tuple[str, ...] = ()) -> Json:
    """Writes the node's own extras back, "a.b" into the object `a`, which is made where it is one of `roots`."""
    for key, value in node.extras.get(NAME, {}).items():
        if key[:1] == "~" or key == "guardContent":
            continue
        *way, last = key.split(".")
        spot = out
        for step in way:
            inner = spot.setdefault(step, {}) if spot is out and step in roots else spot.get(step)
            if type(inner) is not dict:
                spot, last = out, key
                break
            spot = cast(Json, inner)
        before = spot.get(last)
        spot[last] = {**as_obj(value), **cast(Json, before)} if type(before) is dict and type(value) is dict else value
    return out
