"""Content blocks, both directions: shared by requests, answers and streams.

The carrier: what a client of this protocol must bring back unread is sealed into a thinking block's `signature` or a
redacted_thinking block's `data`. A seal is a whole part that stands where its block stood, or a bare signature, which
belongs to the part that follows.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from msgspec import Raw

from interlingua.carry import MARK, unseal
from interlingua.errors import InvalidRequest
from interlingua.ir import (
    AnyPart,
    Cache,
    Citation,
    Function,
    Json,
    Media,
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
from interlingua.protocols.anthropic.names import NAME
from interlingua.protocols.media import take_citable, take_citing
from interlingua.protocols.wire import (
    array,
    as_array,
    as_count,
    as_obj,
    as_text,
    boolean,
    encode_json,
    foreign,
    is_json_object,
    keep,
    keep_in,
    note,
    note_down,
    obj,
    said,
    text,
)

INVALID: Final = "INVALID_JSON"  # Anthropic's documented key for arguments that are no JSON (fine-grained tool streaming)
# A citation's type by the unit of its place, and the names of its index, title, start and end.
_PLACES: Final[dict[Unit, tuple[str, str, str, str, str]]] = {
    "char": ("char_location", "document_index", "document_title", "start_char_index", "end_char_index"),
    "page": ("page_location", "document_index", "document_title", "start_page_number", "end_page_number"),
    "chunk": ("content_block_location", "document_index", "document_title", "start_block_index", "end_block_index"),
    "result": ("search_result_location", "search_result_index", "title", "start_block_index", "end_block_index"),
}
_UNITS: Final[dict[str, Unit]] = {row[0]: unit for unit, row in _PLACES.items()}
_WEB: Final = "web_search_result_location"
_SEALED: Final = "encrypted_index"  # what such a citation cannot be without

# Reading


def parse_content(value: Any, path: str, sealed: bool = False) -> list[AnyPart]:
    """A turn's `content`: a string or blocks. `sealed`: an assistant's, which may hold seals of ours."""
    if type(value) is str:
        return [Text(text=value)]
    parts: list[AnyPart] = []
    pending: Signature | None = None
    for i, item in enumerate(value if value.__class__ is list else array(value, path)):
        if item.__class__ is dict and len(item) == 2 and item.get("type") == "text" and type(words := item.get("text")) is str:
            part = Text(text=words)  # the block that nearly all are
        else:
            part = parse_block(obj(item, f"{path}[{i}]"), f"{path}[{i}]", sealed)
            if isinstance(part, Signature):
                pending = part
                continue
        if pending is not None:
            part.signature, pending = part.signature or pending, None
        parts.append(part)
    if pending is not None:
        parts.append(Text(signature=pending))
    return parts


def parse_block(d: Json, path: str, sealed: bool = False, inside_result: bool = False) -> AnyPart | Signature:
    """One block; consumes it. Raises InvalidRequest where a known kind is malformed."""
    kind = d.get("type")
    if type(kind) is not str:
        raise InvalidRequest(f"{path}.type must be a string, not {said(kind)}", param=f"{path}.type")
    if sealed and kind in ("thinking", "redacted_thinking"):
        slot = as_text(d.get("signature" if kind == "thinking" else "data")) or ""
        if slot.startswith(MARK):  # ours, and if damaged then nobody's: never Anthropic's
            return unseal(slot) or Thinking(text=as_text(d.get("thinking")) or "", redacted=kind != "thinking")
    reader = None if inside_result and kind not in _IN_RESULTS else _READERS.get(kind)
    part = reader(d, path) if reader is not None else None
    if part is None:
        return Opaque(origin=NAME, data=d)
    del d["type"]
    if d:
        take_cache(part, d, path)
        keep(part, NAME, d)
    return part


def _str(d: Json, key: str, path: str) -> str:
    """Pops a string that must be there."""
    value = d.pop(key, None)
    return value if type(value) is str else text(value, f"{path}.{key}")


def take_cache(node: AnyPart | Function, d: Json, path: str) -> None:
    """Pops a block's cache mark."""
    if d.get("cache_control") is None:
        return
    path = f"{path}.cache_control"
    mark = dict(obj(d["cache_control"], path))
    if mark.pop("type", None) != "ephemeral":
        return  # a kind of mark born after this file: kept as it is
    del d["cache_control"]
    ttl = mark.pop("ttl", None)
    node.cache = Cache(None if ttl is None else text(ttl, f"{path}.ttl"))
    keep_in(node, NAME, "cache_control", mark)


def _text(d: Json, path: str) -> AnyPart:
    part = Text(text=_str(d, "text", path))
    if (citations := d.pop("citations", None)) is not None:
        path = f"{path}.citations"
        part.citations = [parse_citation(item, f"{path}[{i}]") for i, item in enumerate(array(citations, path))]
        if not citations:
            note_down(part, NAME, "~citations")
    return part


def parse_citation(value: Any, path: str) -> Citation:
    """Anthropic cites whole blocks of an answer; where in its sources they are from is the citation's place."""
    d = dict(obj(value, path))
    kind = as_text(d.get("type")) or ""
    citation = Citation()
    if kind == _WEB and type(d.get("url")) is type(d.get(_SEALED)) is str:
        del d["type"]
        citation.quote, citation.title, citation.url = _take(d, "cited_text"), _take(d, "title"), _take(d, "url")
    elif (unit := _UNITS.get(kind)) is not None and (place := _place(d, unit)) is not None:
        citation.place = place
        citation.quote, citation.title = _take(d, "cited_text"), _take(d, _PLACES[unit][2])
    keep(citation, NAME, d)
    return citation


def _place(d: Json, unit: Unit) -> Place | None:
    """Pops a citation's place and its type; None, and nothing popped, where a number is missing."""
    _, which, _, first, last = _PLACES[unit]
    index, start, end = as_count(d.get(which)), as_count(d.get(first)), as_count(d.get(last))
    if index is None or start is None or end is None:
        return None
    for key in ("type", which, first, last):
        del d[key]
    return Place(unit, index, start, end, _take(d, "source") if unit == "result" else None)


def _take(d: Json, key: str) -> str | None:
    value = as_text(d.get(key))
    if value is not None:
        del d[key]
    return value


def _media(d: Json, path: str) -> AnyPart | None:
    """An image or a document; None where its source is of a kind we do not know."""
    image = d["type"] == "image"
    whole = obj(d.get("source"), f"{path}.source")
    source = dict(whole)
    part = Media(kind="image" if image else "document")
    path = f"{path}.source"
    match source.pop("type", None):
        case "base64":
            part.data, part.mime = _str(source, "data", path), _str(source, "media_type", path)
        case "url":
            part.url = _str(source, "url", path)
        case "file":
            part.file = _str(source, "file_id", path)
            note_down(part, NAME, "~file")
        case "text" if not image:
            part.text = _str(source, "data", path)
            part.mime = text(source.pop("media_type", None) or "text/plain", f"{path}.media_type")
        case "content" if not image and (words := _words(source.pop("content", None))) is not None:
            part.text, part.mime = words, "text/plain"
            blocks = as_array(whole["content"])
            part.chunks = [block["text"] for block in blocks]
            note_down(part, NAME, "~source", whole)
            _keep_of_blocks(part, "source.content", blocks)
            source = {}
        case _:
            return None
    del d["source"]
    if (name := _take(d, "title")) is not None:
        part.name = name
    if not image and d:
        take_citing(part, d)
    keep_in(part, NAME, "source", source)
    return part


def _found(d: Json, path: str) -> AnyPart | None:
    """What a search found; None where that is not words, all of them told in blocks."""
    blocks = array(d.get("content"), f"{path}.content")
    if (words := _words(blocks)) is None:
        return None
    part = Media(kind="document", text=words, chunks=[block["text"] for block in blocks])
    part.source, part.name = _str(d, "source", path), _str(d, "title", path)
    del d["content"]
    _keep_of_blocks(part, "content", blocks)
    take_citable(part, d)
    return part


def _keep_of_blocks(part: Media, field: str, blocks: list[Json]) -> None:
    """What is told of a text block besides its words."""
    for i, block in enumerate(blocks):
        if len(block) > 2:
            keep_in(part, NAME, f"{field}[{i}]", {key: block[key] for key in block if key not in ("type", "text")})


def _words(content: Any) -> str | None:
    """A content source that is words only, as one text."""
    if type(content) is str:
        return content
    blocks = [as_obj(item) for item in as_array(content)]
    if not blocks or any(block.get("type") != "text" or type(block.get("text")) is not str for block in blocks):
        return None
    return "\n".join(block["text"] for block in blocks)


def _thinking(d: Json, path: str) -> AnyPart:
    part = Thinking(text=text(d.pop("thinking", None) or "", f"{path}.thinking"))
    signature = d.pop("signature", None)
    if signature:
        part.signature = Signature(NAME, text(signature, f"{path}.signature"))
    else:
        note_down(part, NAME, "~unsigned", "absent" if signature is None else "empty")
    return part


def _redacted(d: Json, path: str) -> AnyPart:
    return Thinking(redacted=True, signature=Signature(NAME, _str(d, "data", path)))


def _call(d: Json, path: str) -> AnyPart:
    given = obj(d.pop("input", None), f"{path}.input")
    try:
        arguments = encode_json(given).decode()
    except RecursionError:
        raise InvalidRequest(f"{path}.input is nested too deep", param=f"{path}.input") from None
    return ToolCall(id=_str(d, "id", path), name=_str(d, "name", path), arguments=arguments)


def _result(d: Json, path: str) -> AnyPart:
    part = ToolResult(id=_str(d, "tool_use_id", path))
    content, error = d.pop("content", None), d.pop("is_error", None)
    if type(content) is str:
        part.parts = [Text(text=content)]
    elif content is not None:
        note_down(part, NAME, "~content")
        for i, item in enumerate(array(content, f"{path}.content")):
            where = f"{path}.content[{i}]"
            part.parts.append(cast(Any, parse_block(obj(item, where), where, inside_result=True)))
    if error is not None:
        part.error = boolean(error, f"{path}.is_error")
        if not part.error:
            note_down(part, NAME, "~error")
    return part


_READERS: Final[dict[str, Callable[[Json, str], AnyPart | None]]] = {
    "text": _text,
    "image": _media,
    "document": _media,
    "search_result": _found,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _call,
    "tool_result": _result,
}
_IN_RESULTS: Final = ("text", "image", "document", "search_result")

# Writing: what requests and answers say alike


PLAIN_REFUSAL: Final = "Anthropic says a refusal in plain words"


def text_block(part: Text, path: str, lose: Lose) -> Json:
    out: Json = {"type": "text", "text": part.text}
    if part.citations:
        found = [c for k, cited in enumerate(part.citations) if (c := format_citation(cited, f"{path}.citations[{k}]", lose))]
        if found:
            out["citations"] = found
    elif NAME in part.extras and "~citations" in part.extras[NAME]:
        out["citations"] = []
    return out


def format_citation(citation: Citation, path: str, lose: Lose) -> Json | None:
    """Anthropic cites what it was shown, by its place there, and what it found itself: of others' finds it cannot be told."""
    mine, place = citation.extras.get(NAME), citation.place
    if place is not None:
        kind, which, title, first, last = _PLACES[place.unit]
        out: Json = {"type": kind, "cited_text": citation.quote or "", which: place.index, title: citation.title}
        out |= {first: place.start, last: place.end}
        if place.unit == "result":
            out["source"] = place.source or ""
        out |= mine or {}
    elif mine is not None and citation.url is not None and _SEALED in mine:
        out = {"type": _WEB, "cited_text": citation.quote or "", "url": citation.url, "title": citation.title, **mine}
    elif mine is not None and type(mine.get("type")) is str:
        out = dict(mine)  # of a kind born after this file
    else:
        lose(path, "dropped", "Anthropic cites documents and searches of its own only")
        return None
    if citation.start is not None or citation.end is not None:
        lose(f"{path}.start", "dropped", "Anthropic cites whole blocks of an answer")
    if citation.extras:
        foreign(citation, NAME, path, lose)
    return out


def thinking_block(part: Thinking) -> Json | None:
    """A thinking part in Anthropic's own words; None where Anthropic did not sign it."""
    if part.signature is None:
        spelled = note(part, NAME, "~unsigned")  # a server of this dialect that does not sign
        unsigned: Json = {"type": "thinking", "thinking": part.text}
        return None if spelled is None else unsigned if spelled == "absent" else {**unsigned, "signature": ""}
    if part.signature.origin != NAME:
        return None
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.signature.data}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature.data}


def call_block(call: ToolCall, id_: str, path: str, lose: Lose) -> Json:
    """A call, its arguments byte for byte; what is no object travels under the key that Anthropic documents for it."""
    arguments = call.arguments
    said: Raw | Json = {}
    if arguments and is_json_object(arguments):
        said = Raw(arguments)
    elif arguments:
        said = {INVALID: arguments}
        lose(f"{path}.arguments", "changed", f"no JSON object: sent as {INVALID}")
    return {"type": "tool_use", "id": id_, "name": call.name, "input": said}
