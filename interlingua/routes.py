"""Which path means what. One table for the exact paths, one pattern for Google's; pure."""

import re
from typing import Final, Literal
from urllib.parse import unquote

from msgspec import Struct

Action = Literal["generate", "count", "models", "model", "kept", "items", "health", "ready", "metrics", "status"]


class Door(Struct, frozen=True):
    """What a request is for. `model` (of a kept response: its id) and `stream` are said by the path where they are not
    None; `sse` False: a JSON array."""

    action: Action
    protocol: str = "openai"
    method: str = "POST"
    model: str | None = None
    stream: bool | None = None
    sse: bool = True


_EXACT: Final[dict[str, Door]] = {
    "/v1/chat/completions": Door("generate", "openai"),
    "/v1/responses": Door("generate", "responses"),
    "/v1/messages": Door("generate", "anthropic"),
    "/v1/messages/count_tokens": Door("count", "anthropic"),
    "/v1/models": Door("models", "openai", "GET"),
    "/v1beta/models": Door("models", "gemini", "GET"),
    "/health": Door("health", method="GET"),
    "/ready": Door("ready", method="GET"),
    "/metrics": Door("metrics", method="GET"),
    "/api/system/status": Door("status", method="GET"),
}
_KEPT: Final = re.compile(r"/v1/responses/([^/]+)(/input_items)?")
_GOOGLE: Final = re.compile(r"/(v1beta|v1)/((?:models|tunedModels)/[^:]+?)(?::(\w+))?", re.S)


def find(path: str, query: bytes) -> Door | None:
    """The door of an undecoded path, or None where there is none."""
    if (door := _EXACT.get(path)) is not None:
        return door
    if (match := _KEPT.fullmatch(path)) is not None:
        return Door("items" if match[2] else "kept", "responses", "GET", model=unquote(match[1]))
    match = _GOOGLE.fullmatch(path)
    if match is None:
        return None
    version, name, verb = match.groups()
    model = unquote(name.removeprefix("models/"))
    match verb:
        case "generateContent":
            return Door("generate", "gemini", model=model, stream=False)
        case "streamGenerateContent":
            return Door("generate", "gemini", model=model, stream=True, sse=b"alt=sse" in query)
        case "countTokens":
            return Door("count", "gemini", model=model)
        case None:
            return Door("model", "openai" if version == "v1" else "gemini", "GET", model=model)
        case _:
            return None


def protocol_of(path: str, headers: dict[bytes, bytes]) -> str:
    """Whose client it is that came to a path by mistake, or to one that two protocols share."""
    if b"anthropic-version" in headers or path.startswith("/v1/messages"):
        return "anthropic"
    if path.startswith("/v1/responses"):
        return "responses"
    if path.startswith("/v1beta") or _GOOGLE.fullmatch(path) and ":" in path or b"x-goog-api-key" in headers:
        return "gemini"
    return "openai"
