"""Which path means what. One table for the exact paths, a pattern for each that holds a name; pure.

Azure's paths are those of openai.lib.azure, Vertex's those of the discovery document aiplatform.v1 and of google-genai.
"""

import re
from typing import Final, Literal
from urllib.parse import unquote

from msgspec import Struct

Action = Literal[
    "generate",
    "prompt",
    "embed",
    "predict",
    "invoke",
    "count",
    "models",
    "model",
    "kept",
    "items",
    "delegate",
    "agents",
    "task",
    "health",
    "ready",
    "metrics",
    "status",
]


class Door(Struct, frozen=True):
    """What a request is for. `model` (of a kept response or a task: its id) and `stream` are said by the path where they are not
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
    "/v1/embeddings": Door("embed", "openai"),
    "/v1/messages": Door("generate", "anthropic"),
    "/v1/messages/count_tokens": Door("count", "anthropic"),
    "/v1/models": Door("models", "openai", "GET"),
    "/v1beta/models": Door("models", "gemini", "GET"),
    "/health": Door("health", method="GET"),
    "/ready": Door("ready", method="GET"),
    "/metrics": Door("metrics", method="GET"),
    "/api/system/status": Door("status", "simple", "GET"),
    "/api/gemini/generate": Door("prompt", "simple"),
    "/api/agents/delegate": Door("delegate", "simple"),
    "/api/agents/status": Door("agents", "simple", "GET"),
}
_BEDROCK: Final = re.compile(
    r"(?:/bedrock|/providers/bedrock)?/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream)", re.S
)
_AZURE: Final = re.compile(r"/openai/deployments/([^/]+)/(chat/completions|embeddings)")
_VERTEX: Final = re.compile(
    r"/(?:v1|v1beta1)(?:/projects/[^/]+/locations/[^/]+)?/publishers/([^/]+)/models/(.+):([A-Za-z]+)", re.S
)
_KEPT: Final = re.compile(r"/v1/responses/([^/]+)(/input_items)?")
_TASK: Final = re.compile(r"/api/agents/status/([^/]+)")
_GOOGLE: Final = re.compile(r"/(v1beta|v1)/((?:models|tunedModels)/.+?)(?::([A-Za-z]+))?", re.S)


def find(path: str, query: bytes) -> Door | None:
    """The door of an undecoded path, or None where there is none."""
    if (door := _EXACT.get(path)) is not None:
        return door
    if (match := _KEPT.fullmatch(path)) is not None:
        return Door("items" if match[2] else "kept", "responses", "GET", model=unquote(match[1]))
    if (match := _BEDROCK.fullmatch(path)) is not None:
        action = "generate" if match[2].startswith("converse") else "invoke"
        return Door(action, "bedrock", model=_once(match[1]), stream=match[2].endswith("-stream"))
    if path.startswith("/openai/"):
        return _azure(path, query)
    if (match := _VERTEX.fullmatch(path)) is not None:
        publisher, name = unquote(match[1]), unquote(match[2])
        return _google(name if publisher == "google" else f"{publisher}/{name}", match[3], query)
    match = _GOOGLE.fullmatch(path)
    if match is None:
        match = _TASK.fullmatch(path)
        return None if match is None else Door("task", "simple", "GET", model=unquote(match[1]))
    version, name, verb = match.groups()
    model = unquote(name.removeprefix("models/"))
    if verb is None:
        return Door("model", "openai" if version == "v1" else "gemini", "GET", model=model)
    found = _google(model, verb, query)
    if found is None and version == "v1" and verb.isdecimal():  # a version of Bedrock's: nova-lite-v1:0
        return Door("model", "openai", "GET", model=f"{model}:{verb}")
    return found


def streamed(path: str) -> bool:
    """Whether what comes there is passed through, so that its body need not be whole."""
    path = path.partition("?")[0]
    return path.startswith("/providers/") and _BEDROCK.fullmatch(path) is None


def _once(model: str) -> str:
    """A model id that came percent-encoded, or encoded twice, as some proxies leave it."""
    plain = unquote(model)
    return unquote(plain) if "%" in plain else plain


def _azure(path: str, query: bytes) -> Door | None:
    """The deployment in the path is the model, whatever the body says: so it is at Azure."""
    if (match := _AZURE.fullmatch(path)) is not None:
        return Door("embed" if match[2] == "embeddings" else "generate", "openai", model=unquote(match[1]))
    door = find(path.removeprefix("/openai"), query) if path.startswith("/openai/v1/") else None
    return door if door is not None and door.protocol in ("openai", "responses") else None


def _google(model: str, verb: str, query: bytes) -> Door | None:
    """google-genai writes `name/model` as `publishers/name/models/model`."""
    match verb:
        case "generateContent":
            return Door("generate", "gemini", model=model, stream=False)
        case "streamGenerateContent":
            return Door("generate", "gemini", model=model, stream=True, sse=b"alt=sse" in query)
        case "countTokens":
            return Door("count", "gemini", model=model)
        case "embedContent" | "batchEmbedContents":
            return Door("embed", "gemini", model=model)
        case "predict":
            return Door("predict", "gemini", model=model)
        case _:
            return None


def protocol_of(path: str, headers: dict[bytes, bytes]) -> str:
    """Whose client it is that came to a path by mistake, or to one that two protocols share."""
    if b"anthropic-version" in headers or path.startswith("/v1/messages"):
        return "anthropic"
    if _BEDROCK.fullmatch(path) is not None or headers.get(b"authorization", b"").startswith(b"AWS4-HMAC-SHA256"):
        return "bedrock"
    if path.startswith("/v1/responses"):
        return "responses"
    if path.startswith("/api/"):
        return "simple"
    named = _GOOGLE.fullmatch(path)
    verb = named is not None and named[3] is not None and not named[3].isdecimal()
    if verb or path.startswith(("/v1beta", "/v1/projects/", "/v1/publishers/")) or b"x-goog-api-key" in headers:
        return "gemini"
    return "openai"
