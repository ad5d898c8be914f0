"""Vertex AI: Gemini's and Claude's own checks and answers behind Google Cloud's paths and tokens.

Source: the discovery document aiplatform.v1; anthropic.lib.vertex for Claude's bodies.
"""

import re
from typing import Any, Final

from msgspec.structs import replace

from interlingua.mock import embeddings
from interlingua.mock.rules import gemini as rules
from interlingua.mock.vendors import Vendor, anthropic, gemini
from interlingua.mock.wire import Call, Json, Options, Refusal, Reply, Stream, a_list, an_object, bad, decode, encode

_PATH: Final = re.compile(r"^/v1(?:beta1)?/projects/([^/]+)/locations/([a-z0-9-]+)/publishers/(\w+)/models/([^/:]+):(\w+)$")
_COUNTED: Final = frozenset({"contents", "systemInstruction", "tools", "generationConfig", "instances", "model"})
_VERSIONS: Final = {"vertex-2023-10-16": "2023-06-01", "2026-10-21": "2026-10-21"}
_CLOUDS: Final = frozenset({"authentication", "permission", "path", "method", "model"})  # refused before a model is asked


def claims(call: Call) -> bool:
    return call.path.startswith(("/v1/projects/", "/v1beta1/projects/"))


def serve(call: Call, options: Options) -> Reply | Stream:
    keyed(call)
    found = _PATH.match(call.path)
    if found is None:
        raise Refusal("path", f"The requested URL {call.path} was not found on this server.")
    gemini.wanted(call, "POST")
    publisher, model, verb = found[3], found[4], found[5]
    match publisher, verb:
        case "google", "generateContent" | "streamGenerateContent":
            fetching = replace(options, public_file_urls=True)
            return gemini.generate(typed(call), model, fetching, streamed=verb == "streamGenerateContent")
        case "google", "countTokens":
            return gemini.count(counted(call, model), model, options)
        case "google", "embedContent" | "batchEmbedContents":
            return gemini.embedded(call, model, verb, vertex=True)
        case "google", "predict":
            done = embeddings.predict(decode(call), model, rules.structure)
            return Reply(encode(done.body), headers=gemini.HEADERS, fault=done.fault)
        case "anthropic", "rawPredict" if model == "count-tokens":
            version, body = versioned(call)
            return anthropic.count(replace(call, body=encode(body)), version, options)
        case "anthropic", "rawPredict" | "streamRawPredict":
            return claude(call, model, verb == "streamRawPredict", options)
        case _:
            raise Refusal("path", f"The requested URL {call.path} was not found on this server.")


def keyed(call: Call) -> None:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if not (scheme == "Bearer" and token.strip()) and not call.headers.get("x-goog-api-key", "").strip():
        raise Refusal("authentication", "Request is missing required authentication credential.")


def typed(call: Call) -> Call:
    """Vertex wants a media type of every file, which the Gemini API sees for itself."""
    for content in a_list(decode(call).get("contents")):
        for part in a_list(an_object(content).get("parts")):
            file = an_object(part).get("fileData")
            if file is not None and not an_object(file).get("mimeType"):
                raise bad("Unable to submit request because it must have a mimeType for fileData.")
    return call


def counted(call: Call, model: str) -> Call:
    """Vertex counts a request's own fields, where the Gemini API counts a request in a request."""
    body = decode(call)
    for name in body:
        if name not in _COUNTED:
            raise bad(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    return replace(call, body=encode({"generateContentRequest": {"model": f"models/{model}", **body}}))


def versioned(call: Call) -> tuple[str, Json]:
    """The version of Anthropic's API that stands in the body, and the rest of it."""
    body = decode(call)
    version = _VERSIONS.get(body.pop("anthropic_version", ""))
    if version is None:
        raise bad("anthropic_version: Field required")
    if "anthropic-version" in call.headers:
        raise bad("anthropic-version: the version stands in the body here")
    return version, body


def claude(call: Call, model: str, streamed: bool, options: Options) -> Reply | Stream:
    version, body = versioned(call)
    if "model" in body:
        raise bad("model: Extra inputs are not permitted")
    if bool(body.get("stream")) is not streamed:
        raise bad("stream: must be as the method says")
    for number, message in enumerate(a_list(body.get("messages"))):
        sent_along(an_object(message).get("content"), f"messages.{number}.content")
    return anthropic.messages(replace(call, body=encode({"model": model, **body})), version, options)


def sent_along(content: Any, where: str) -> None:
    """Claude fetches nothing here."""
    for number, block in enumerate(a_list(content)):
        source = an_object(an_object(block).get("source"))
        if source.get("type") in ("url", "file"):
            raise bad(f"{where}.{number}.source: only base64-encoded sources are supported")
        sent_along(an_object(block).get("content"), f"{where}.{number}.content")


def refuse(call: Call, refusal: Refusal) -> Reply:
    claudes = "/publishers/anthropic/" in call.path and refusal.kind not in _CLOUDS
    return (anthropic if claudes else gemini).refuse(call, refusal)


VENDOR: Final = Vendor("vertex", claims, serve, refuse)
