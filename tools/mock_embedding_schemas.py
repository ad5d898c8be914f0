"""What embedding endpoints take, as the mock's JSON Schemas.

OpenAI: the SDK's EmbeddingCreateParams. Gemini API: what google-genai's converters send to it, with the tasks of the
discovery document. Vertex: EmbedContentRequest of the discovery document; `predict` as the SDK's converters write it. Titan
and Cohere, which no SDK types: the Bedrock user guide's "model parameters" pages, by hand.
"""

import json
from collections.abc import Callable
from importlib import import_module
from importlib.resources import files
from typing import Any, Final

Json = dict[str, Any]

DISCOVERY: Final = "documents/aiplatform.v1.json"
_OF: Final = "GoogleCloudAiplatformV1EmbedContentRequest"
_STRING: Final[Json] = {"type": "string"}
_BOOLEAN: Final[Json] = {"type": "boolean"}
_NUMBER: Final[Json] = {"type": ["integer", "string"], "pattern": r"^\d+$"}
_TYPES: Final[Json] = {"float": _STRING, "boolean": _BOOLEAN, "integer": _NUMBER, "string": _STRING}


def embeddings(draft: str, openai: Json, content: Callable[[], tuple[Json, Json]]) -> Json:
    """`openai` is the document of the SDK's type; `content` gives a Gemini Content's schema and the definitions under it."""
    ref, defs = content()
    known = _discovered()
    tasks = [*known["taskType"]["enum"], "TASK_TYPE_UNSPECIFIED"]
    task: Json = {"type": "string", "enum": sorted({*tasks, *(task.lower() for task in tasks)})}
    own = {"model": _STRING, "content": ref, "taskType": task, "title": _STRING, "outputDimensionality": _NUMBER}
    config = {name: {**_TYPES[row["type"]], **({"enum": task["enum"]} if "enum" in row else {})} for name, row in known.items()}
    vertex = {"model": _STRING, "content": ref, "embedContentConfig": _object(config)}
    gemini = _object(own, "model", "content")
    parts = {
        "GeminiBatch": _object({"requests": _array(gemini)}, "requests"),
        "GeminiOne": _object(own, "content"),
        "VertexBatch": _object({"requests": _array(_object(vertex, "content"))}, "requests"),
        "VertexOne": _object(vertex, "content"),
        "Predict": _predict(task),
        **_titan(),
        **_cohere(),
        "OpenAI": {"$ref": openai["$ref"]},
    }
    return {"$schema": draft, "$ref": "#/$defs/OpenAI", "$defs": dict(sorted({**defs, **openai["$defs"], **parts}.items()))}


def _discovered() -> Json:
    """The fields of Vertex's EmbedContentConfig."""
    text = (files(import_module("googleapiclient.discovery_cache").__name__) / DISCOVERY).read_text(encoding="utf-8")
    return json.loads(text)["schemas"][f"{_OF}EmbedContentConfig"]["properties"]


def _object(properties: Json, *required: str) -> Json:
    out: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**out, "required": list(required)} if required else out


def _array(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


def _predict(task: Json) -> Json:
    instance = _object({"content": _STRING, "task_type": task, "title": _STRING, "mimeType": _STRING}, "content")
    parameters = _object({"outputDimensionality": _NUMBER, "autoTruncate": _BOOLEAN})
    return _object({"instances": _array(instance, minItems=1), "parameters": parameters}, "instances")


def _titan() -> Json:
    text: Json = {"type": "string", "minLength": 1}
    types = _array({"type": "string", "enum": ["float", "binary"]}, minItems=1)
    dimensions: Json = {"type": "integer", "enum": [256, 512, 1024]}
    newer = {"inputText": text, "dimensions": dimensions, "normalize": _BOOLEAN, "embeddingTypes": types}
    return {"TitanV1": _object({"inputText": text}, "inputText"), "TitanV2": _object(newer, "inputText")}


def _cohere() -> Json:
    kinds = ["search_document", "search_query", "classification", "clustering", "image"]
    types = _array({"type": "string", "enum": ["float", "int8", "uint8", "binary", "ubinary"]})
    image: Json = {"type": "string", "pattern": "^data:image/[a-z]+;base64,[A-Za-z0-9+/]+={0,2}$"}
    older: Json = {
        "input_type": {"type": "string", "enum": kinds},
        "texts": _array(_STRING, maxItems=96),
        "images": _array(image, maxItems=1),
        "truncate": {"type": "string", "enum": ["NONE", "START", "END"]},
        "embedding_types": types,
    }
    part = _object({"type": {"type": "string", "enum": ["text", "image_url"]}, "text": _STRING, "image_url": image}, "type")
    newer = {
        **older,
        "input_type": {"type": "string", "enum": kinds[:-1]},
        "images": _array(image, maxItems=96),
        "inputs": _array(_object({"content": _array(part, minItems=1)}, "content"), maxItems=96),
        "truncate": {"type": "string", "enum": ["NONE", "LEFT", "RIGHT"]},
        "output_dimension": {"type": "integer", "enum": [256, 512, 1024, 1536]},
        "max_tokens": {"type": "integer", "minimum": 1, "maximum": 128_000},
    }
    return {"CohereV3": _object(older, "input_type"), "CohereV4": _object(newer, "input_type")}
