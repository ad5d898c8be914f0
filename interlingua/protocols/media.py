"""Data URLs, media types, and what is said of documents. Base64 is carried as it came; only words are ever decoded."""

from binascii import Error, a2b_base64
from typing import Final, Literal

from interlingua.ir import Json, Media, Text
from interlingua.protocols import Lose
from interlingua.protocols.wire import as_obj, standard_base64

Kind = Literal["image", "audio", "video", "document"]

_AUDIO: Final = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def file_name(mime: str | None) -> str:
    """What a document is called where it must be called something."""
    return "document." + {"application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md"}.get(mime or "", "bin")


def split_data_url(url: str) -> tuple[str, str] | None:
    """(mime, base64 data) of a base64 data URL, or None where it is another kind of URL."""
    if not url.startswith("data:"):
        return None
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        return None
    return head[:-7], data


def data_url(mime: str, data: str) -> str:
    return f"data:{mime};base64,{standard_base64(data)}"


_MAGIC: Final = {
    "iVBORw": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi": "application/pdf",
}


def type_of(mime: str | None, data: str) -> str:
    """The media type said, else the one that the data itself shows."""
    if mime is not None:
        return mime
    return next((kind for start, kind in _MAGIC.items() if data.startswith(start)), "application/octet-stream")


def words_of(part: Media) -> str | None:
    """The words of a document that is text, however it is told; None where it is none."""
    if part.data is None:
        return part.text
    try:
        return a2b_base64(standard_base64(part.data)).decode()
    except (Error, ValueError):
        return None


_SOUND: Final = {"UklGR": "audio/wav", "T2dnUw": "audio/ogg", "ZkxhQ": "audio/flac"}


def audio_of(data: str) -> str:
    """The media type that sound shows itself to be; MP3, which may begin in many ways, where it shows none."""
    return next((kind for start, kind in _SOUND.items() if data.startswith(start)), "audio/mpeg")


def kind_of(mime: str | None) -> Kind:
    """Which kind of media a type is; whatever is neither seen nor heard is a document."""
    top = (mime or "").partition("/")[0]
    return top if top in ("image", "audio", "video") else "document"


def audio_format(mime: str | None) -> str | None:
    """OpenAI's name of an audio type ("wav", "mp3"), or None where it has none."""
    return _AUDIO.get((mime or "").partition(";")[0])


# Documents that are cited: what Anthropic and Converse say of them in the same words


def take_citing(part: Media, d: Json) -> None:
    """Pops a document's `context` and `citations: {"enabled"}`; in any other form they stay."""
    if type(context := d.get("context")) is str:
        part.context = context
        del d["context"]
    take_citable(part, d)


def take_citable(part: Media, d: Json) -> None:
    """Pops `citations: {"enabled"}`; in any other form it stays."""
    said = as_obj(d.get("citations"))
    if said.keys() == {"enabled"} and type(said["enabled"]) is bool:
        part.citable = said["enabled"]
        del d["citations"]


def lose_citing(part: Media, path: str, lose: Lose, why: str = "its documents are not cited") -> None:
    """Reports what is said of a document for citing it alone, to a model that does not."""
    if part.context is not None:
        lose(f"{path}.context", "dropped", why)
    if part.citable:
        lose(f"{path}.citable", "dropped", why)


def found_words(part: Media, path: str, lose: Lose) -> Text:
    """A search's result for a model that has no such thing, in words (reported): its title, its source, and what was found."""
    lose(path, "changed", "the model is not shown what a search found as such: told in words")
    lose_citing(part, path, lose, "words are not cited")
    return Text(text=told_found(part), cache=part.cache, signature=part.signature, extras=part.extras)


def told_found(part: Media) -> str:
    """The words of `found_words`."""
    head = [line for line in (part.name, part.source) if line]
    return "\n".join([*head, "", part.text or ""] if head else [part.text or ""])
