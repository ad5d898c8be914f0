"""Content parts and the annotations of text, both ways. Shared by requests and answers.

Source: types.responses response_input_text_param, -image_param, -file_param, -audio_param, response_output_text(_param),
response_output_refusal(_param).
"""

from typing import Any, Final

from msgspec import Struct

from interlingua.errors import InvalidRequest
from interlingua.ir import AnyPart, Cache, Citation, Json, Media, Opaque, Text, TokenLogprob
from interlingua.protocols import Lose, wire
from interlingua.protocols.media import data_url, file_name, found_words, lose_citing, split_data_url, type_of
from interlingua.protocols.media import kind_of as media_kind
from interlingua.protocols.openai_common import FILE
from interlingua.protocols.responses.names import NAME, VENDOR
from interlingua.protocols.wire import array, as_array, as_count, as_obj, foreign, keep, merge, need, note, obj, text

_TTLS: Final = ("30m", "12h")
_AUDIO_MIME: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_DETAIL: Final = "image_url.detail"  # among VENDOR's extras: the older API's own name of it


class Spot(Struct):
    """Where in the IR the writer is. A path is spelled out only when something is lost there."""

    report: Lose
    i: int = -1  # the message; -1: the answer
    j: int = -1
    k: int = -1  # a part of a tool's result

    def path(self) -> str:
        holder = f"messages[{self.i}]" if self.i >= 0 else "response.choices[0]"
        part = f".parts[{self.j}]" if self.j >= 0 else ""
        return holder + part + (f".parts[{self.k}]" if self.k >= 0 else "")

    def drop(self, why: str, field: str = "") -> None:
        self.report(self.path() + field, "dropped", why)

    def change(self, why: str, field: str = "") -> None:
        self.report(self.path() + field, "changed", why)

    def foreign(self, node: Any) -> None:
        """Reports another protocol's extras. Call only where node.extras is not empty."""
        if len(node.extras) > 1 or NAME not in node.extras:
            foreign(node, NAME, self.path(), self.report)


# Reading


def parse_content(value: Any, path: str, usual: str) -> list[Any]:
    """A list of content parts, or a string that stands for one; `usual`: the type its text has."""
    if type(value) is str:
        return [Text(text=value)]
    return [_parse_part(item, path, k, usual) for k, item in enumerate(array(value, path))]


def _parse_part(value: Any, path: str, k: int, usual: str) -> AnyPart:
    d = as_obj(value) or obj(value, f"{path}[{k}]")
    kind, words = d.get("type"), d.get("text")
    if kind == usual and type(words) is str and len(d) == (2 if usual == "input_text" else 3):
        if usual == "input_text" or d.get("annotations") == []:
            return Text(text=words)
    path = f"{path}[{k}]"
    d = dict(d)
    kind = text(need(d, "type", f"{path}.type"), f"{path}.type")
    if (reader := _READERS.get(kind)) is None:
        return Opaque(origin=NAME, data={"type": kind, **d}, extras={NAME: {"~part": True}})
    mine: Json = {}
    part = reader(d, path, mine)
    if kind != usual and kind in ("input_text", "output_text"):
        mine["~type"] = kind
    if (mark := d.pop("prompt_cache_breakpoint", None)) is not None:
        mark = dict(obj(mark, f"{path}.prompt_cache_breakpoint"))
        mark.pop("mode", None)
        part.cache = Cache(mark.pop("ttl", None))
        mine |= {f"prompt_cache_breakpoint.{key}": inner for key, inner in mark.items()}
    keep(part, NAME, mine | d)
    return part


def _text(d: Json, path: str, mine: Json) -> Text:
    return Text(text=text(need(d, "text", f"{path}.text"), f"{path}.text"))


def _output_text(d: Json, path: str, mine: Json) -> Text:
    part = _text(d, path, mine)
    if (annotations := d.pop("annotations", None)) is None:
        mine["~bare"] = True
    elif annotations:
        where = f"{path}.annotations"
        part.citations = [parse_annotation(obj(a, where), where) for a in array(annotations, where)]
    if (logprobs := d.pop("logprobs", None)) is not None:
        mine["~logprobs"] = logprobs  # of a turn that is over: no model reads them
    return part


def _refusal(d: Json, path: str, mine: Json) -> Text:
    return Text(text=text(need(d, "refusal", f"{path}.refusal"), f"{path}.refusal"), refusal=True)


def _image(d: Json, path: str, mine: Json) -> Media:
    url, file = d.pop("image_url", None), d.pop("file_id", None)
    if (url is None) == (file is None):
        raise InvalidRequest(f"{path} needs image_url or file_id", param=path)
    media = Media(kind="image", file=None if file is None else text(file, f"{path}.file_id"))
    if url is not None:
        split = split_data_url(text(url, f"{path}.image_url"))
        media.mime, media.data = split or (None, None)
        media.url = None if split else url
    detail = d.pop("detail", None)
    if detail is None or detail == "auto":
        mine["~detail"] = detail or ""
    else:
        media.extras = {VENDOR: {_DETAIL: detail}}
    if file is not None:
        mine["~file"] = True
    return media


def _file(d: Json, path: str, mine: Json) -> Media:
    data, file, url = d.pop("file_data", None), d.pop("file_id", None), d.pop("file_url", None)
    if data is file is url is None:
        raise InvalidRequest(f"{path} needs file_data, file_id or file_url", param=path)
    split = split_data_url(text(data, f"{path}.file_data")) if data is not None else None
    mime, raw = split or (None, data)
    name = d.pop("filename", None)
    mine["~file"] = True
    media = Media(
        kind=media_kind(mime),
        mime=mime,
        data=raw,
        name=None if name is None else text(name, f"{path}.filename"),
        file=None if file is None else text(file, f"{path}.file_id"),
        url=None if url is None else text(url, f"{path}.file_url"),
    )
    if file is not None:
        media.extras = {VENDOR: {FILE: True}}
    return media


def _audio(d: Json, path: str, mine: Json) -> Media:
    audio = dict(obj(need(d, "input_audio", f"{path}.input_audio"), f"{path}.input_audio"))
    data = text(need(audio, "data", f"{path}.input_audio.data"), f"{path}.input_audio.data")
    form = text(need(audio, "format", f"{path}.input_audio.format"), f"{path}.input_audio.format")
    mine["~audio"] = form
    mine |= {f"input_audio.{key}": value for key, value in audio.items()}
    return Media(kind="audio", data=data, mime=_AUDIO_MIME.get(form, f"audio/{form}"))


_READERS: Final[dict[str, Any]] = {
    "input_text": _text,
    "output_text": _output_text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}


def parse_annotation(d: Json, path: str) -> Citation:
    if d.get("type") != "url_citation":
        return Citation(extras={NAME: d})
    d = dict(d)
    del d["type"]
    title = d.pop("title", None)
    citation = Citation(
        url=text(d.pop("url", None), f"{path}.url"),
        title=None if title is None else text(title, f"{path}.title"),
        start=as_count(d.pop("start_index", None)),
        end=as_count(d.pop("end_index", None)),
    )
    keep(citation, NAME, d)
    return citation


# Writing


def format_part(part: Text | Media | Opaque, usual: str, spot: Spot) -> Json | None:
    """One content part; None where the Responses API has no such thing (reported)."""
    match part:
        case Text():
            out = _format_text(part, usual, spot)
        case Media() if part.source is not None and usual != "output_text":
            return format_part(found_words(part, spot.path(), spot.report), usual, spot)
        case Media():
            media = _format_media(part, usual, spot)
            if media is None:
                return None
            out = media
        case Opaque(origin="responses"):
            out = dict(part.data)
        case Opaque():
            spot.drop(f"only {part.origin} knows this block")
            return None
    if part.cache is not None:
        if usual == "output_text":
            spot.drop("an assistant's text has no cache mark", ".cache")
        else:
            out["prompt_cache_breakpoint"] = cache_mark(part.cache, spot)
    if part.signature is not None:
        spot.drop(f"only {part.signature.origin} can read it", ".signature")
    if part.extras:
        _format_extras(part, out, spot)
    return out


def _format_extras(part: AnyPart, out: Json, spot: Spot) -> None:
    if VENDOR in part.extras and isinstance(part, Media) and _DETAIL in part.extras[VENDOR]:
        rest = {key: value for key, value in part.extras[VENDOR].items() if key != _DETAIL}
        others = {origin: values for origin, values in part.extras.items() if origin not in (NAME, VENDOR)}
        foreign(Text(extras={**others, VENDOR: rest}), NAME, spot.path(), spot.report)
    else:
        spot.foreign(part)
    for key, value in part.extras.get(NAME, {}).items():
        if key.startswith("item."):
            continue  # its item's, not its own
        merge(out, Text(extras={NAME: {key: value}}), NAME)


def _format_text(part: Text, usual: str, spot: Spot) -> Json:
    if part.refusal and (usual == "output_text" or NAME in part.extras):
        return {"type": "refusal", "refusal": part.text}
    if part.refusal:
        spot.change("only an assistant refuses", ".refusal")
    kind = note(part, NAME, "~type") or usual
    out: Json = {"type": kind, "text": part.text}
    if kind == "output_text":
        if part.citations or not note(part, NAME, "~bare"):
            out["annotations"] = format_annotations(part, spot)
        if (logprobs := note(part, NAME, "~logprobs")) is not None:
            out["logprobs"] = logprobs
    elif part.citations:
        spot.drop("a prompt's text has no citations", ".citations")
    return out


def format_annotations(part: Text, spot: Spot) -> list[Json]:
    length = len(part.text)
    return [
        said
        for n, citation in enumerate(part.citations)
        if (said := format_annotation(citation, length, f".citations[{n}]", spot)) is not None
    ]


def format_annotation(citation: Citation, length: int, field: str, spot: Spot) -> Json | None:
    """`length`: of the text that it is about, all of it where nothing else was told."""
    mine = citation.extras.get(NAME)
    if citation.url is None:
        if mine is None:
            spot.drop("OpenAI cites URLs only", field)
        return mine
    if citation.quote is not None:
        spot.drop("OpenAI does not tell the words cited", f"{field}.quote")
    if citation.extras:
        foreign(citation, NAME, spot.path() + field, spot.report)
    out: Json = {
        "type": "url_citation",
        "start_index": citation.start or 0,
        "end_index": length if citation.end is None else citation.end,
        "url": citation.url,
        "title": citation.title or "",
    }
    return merge(out, citation, NAME)


def cache_mark(cache: Cache, spot: Spot) -> Json:
    mark: Json = {"mode": "explicit"}
    if cache.ttl in _TTLS:
        mark["ttl"] = cache.ttl
    elif cache.ttl is not None:
        spot.drop("OpenAI keeps a cache for 30m or 12h", ".cache.ttl")
    return mark


def _format_media(part: Media, usual: str, spot: Spot) -> Json | None:
    if usual == "output_text":
        spot.drop("an assistant's turn holds words only")
        return None
    form: str | None = note(part, NAME, "~audio")
    if form is not None:
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}
    mine = bool(note(part, NAME, "~file"))
    if part.kind == "image" and (part.url is not None or part.data is not None or part.file is not None and mine):
        return _format_image(part, mine, spot)
    return _format_file(part, mine, spot)


def _format_image(part: Media, mine: bool, spot: Spot) -> Json:
    out: Json = {"type": "input_image"}
    if part.file is not None and mine:
        out["file_id"] = part.file
    else:
        out["image_url"] = part.url if part.data is None else data_url(type_of(part.mime, part.data), part.data)
        if part.data is None and part.mime is not None:
            spot.drop("an image URL has no media type", ".mime")
    detail = part.extras.get(VENDOR, {}).get(_DETAIL)
    if detail is not None or "~detail" not in part.extras.get(NAME, {}):
        out["detail"] = detail or "auto"
    elif said := note(part, NAME, "~detail"):
        out["detail"] = said
    if part.name is not None:
        spot.drop("an image has no name", ".name")
    return out


def _format_file(part: Media, mine: bool, spot: Spot) -> Json | None:
    out: Json = {"type": "input_file"}
    if part.file is not None and (mine or note(part, VENDOR, FILE)):
        out["file_id"] = part.file
    elif part.url is not None and (mine or part.kind == "document"):
        out["file_url"] = part.url
        if part.mime is not None:
            spot.drop("a file's URL has no media type", ".mime")
    elif part.data is not None and (mine or part.kind == "document"):
        bare = mine and part.mime is None
        out["file_data"] = part.data if bare else data_url(type_of(part.mime, part.data), part.data)
    elif part.text is not None:
        out["file_data"] = data_url(part.mime or "text/plain", wire.base64_of(part.text))
    else:
        spot.drop(f"the Responses API takes no {part.kind} of this kind")
        return None
    if part.context is not None or part.citable:
        lose_citing(part, spot.path(), spot.report)
    name = part.name if mine or "file_data" not in out else part.name or _named(part)
    if name is not None:
        out["filename"] = name
    return out


def _named(part: Media) -> str:
    return file_name(part.mime or ("text/plain" if part.text is not None else None))


# Tokens


def parse_logprobs(value: Any, path: str) -> list[TokenLogprob]:
    return [_parse_logprob(obj(item, path), path) for item in as_array(value)]


def _parse_logprob(d: Json, path: str) -> TokenLogprob:
    return TokenLogprob(
        token=text(d.get("token"), f"{path}.token"),
        logprob=wire.number(d.get("logprob"), f"{path}.logprob"),
        bytes=[byte for byte in as_array(d["bytes"]) if type(byte) is int] if d.get("bytes") is not None else None,
        top=[_parse_logprob(obj(item, path), path) for item in as_array(d.get("top_logprobs"))],
    )


def format_logprob(token: TokenLogprob) -> Json:
    top = [{"token": t.token, "bytes": t.bytes or [], "logprob": t.logprob} for t in token.top]
    return {"token": token.token, "bytes": token.bytes or [], "logprob": token.logprob, "top_logprobs": top}
