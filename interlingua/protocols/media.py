"""Data URLs and media types. Base64 is carried as it came, never decoded."""

from typing import Final, Literal

from interlingua.protocols.wire import standard_base64

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
