"""Azure OpenAI: OpenAI's own checks and answers behind Azure's paths, keys and words.

Source: learn.microsoft.com/azure/ai-foundry/openai/reference; openai.lib.azure for the paths.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from interlingua.mock.vendors import Vendor, openai
from interlingua.mock.wire import Call, Chunk, Json, Options, Refusal, Reply, Stream, decode, encode

_DEPLOYMENT: Final = re.compile(r"^/openai/deployments/([^/]+)/(chat/completions|embeddings)$")
_SURFACE: Final = re.compile(r"^/openai/v1/(chat/completions|embeddings|models)$")
_DATED: Final = re.compile(r"^20\d\d-\d\d-\d\d(-preview)?$")
_CLEAN: Final = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}


def claims(call: Call) -> bool:
    return call.path.startswith("/openai/")


def serve(call: Call, options: Options) -> Reply | Stream:
    keyed(call)
    if found := _DEPLOYMENT.match(call.path):
        if not _DATED.match(call.query.get("api-version", "")):
            raise Refusal("path", "Resource not found")
        body = {**decode(call), "model": found[1]}
        asked = openai.posted(replace(call, body=encode(body)))
        return told(openai.chat(asked, options)) if found[2] == "chat/completions" else openai.embedded(asked, options)
    if found := _SURFACE.match(call.path):
        if _DATED.match(call.query.get("api-version", "")):
            raise Refusal("invalid", "API version not supported", code="BadRequest")
        headers = {**call.headers, "authorization": "Bearer any"}
        out = openai.serve(replace(call, path=f"/v1/{found[1]}", headers=headers), options)
        return told(out) if found[1] == "chat/completions" else out
    raise Refusal("path", "Resource not found")


def keyed(call: Call) -> None:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if not call.headers.get("api-key", "").strip() and not (scheme == "Bearer" and token.strip()):
        raise Refusal("authentication", "Access denied due to invalid subscription key or wrong API endpoint.")


def told(out: Reply | Stream) -> Reply | Stream:
    """A stream begins with what was found in the prompt: a chunk without a choice, an id or a model."""
    if isinstance(out, Stream):
        first: Json = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        first["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _CLEAN}]
        out.chunks = preceded(Chunk(openai.sse(first), False), out.chunks)
    return out


def preceded(first: Chunk, rest: Iterator[Chunk]) -> Iterator[Chunk]:
    yield first
    yield from rest


def refuse(call: Call, refusal: Refusal) -> Reply:
    out = openai.refuse(call, refusal)
    if refusal.kind in ("authentication", "path", "model"):
        code, message = str(out.status), refusal.message
        if refusal.kind == "model":
            code, message = "DeploymentNotFound", "The API deployment for this resource does not exist."
        error: dict[str, Any] = {"error": {"code": code, "message": message}}
        return replace(out, body=encode(error))
    return out


VENDOR: Final = Vendor("azure", claims, serve, refuse)
