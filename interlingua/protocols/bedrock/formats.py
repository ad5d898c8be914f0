"""Bedrock's names of media formats, and the media types they stand for. Source: shapes ImageFormat, DocumentFormat and so on."""

from typing import Final

from interlingua.protocols.media import Kind

_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
# kind -> format -> media type; of two formats with one type the first is the one written.
_TYPES: Final[dict[Kind, dict[str, str]]] = {
    "image": {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": _OFFICE + "wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": _OFFICE + "spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mp4": "video/mp4",
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpeg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "mp4": "audio/mp4",
        "ogg": "audio/ogg",
        "mkv": "audio/x-matroska",
        "mka": "audio/x-matroska",
        "x-aac": "audio/x-aac",
        "m4a": "audio/mp4",
        "mpeg": "audio/mpeg",
        "mpga": "audio/mpeg",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "text/x-markdown": "text/markdown",
    "video/mov": "video/quicktime",
    "video/avi": "video/x-msvideo",
}
_FORMATS: Final[dict[Kind, dict[str, str]]] = {
    kind: {mime: name for name, mime in reversed(rows.items())} for kind, rows in _TYPES.items()
}


def mime_of(kind: Kind, name: str) -> str:
    """The media type of a format; one made of its name, for a format born after this file."""
    return _TYPES[kind].get(name) or f"{kind if kind != 'document' else 'application'}/{name}"


def format_of(kind: Kind, mime: str | None) -> str | None:
    """The format of a media type, or None where Bedrock has none. Plain text of any sort is a txt document."""
    plain = (mime or "").partition(";")[0].strip().lower()
    plain = _ALIASES.get(plain, plain)
    found = _FORMATS[kind].get(plain)
    return found or ("txt" if kind == "document" and plain.startswith("text/") else None)
