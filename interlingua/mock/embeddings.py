"""Embeddings of every vendor: what each refuses, and vectors that follow from the text alone. A vector asked for shorter is the
beginning of the longer one; every number is a float32 and has a short decimal form.

A scenario's marker in a text has the effect it has in a conversation, as far as a vector can show it.
"""

import base64
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import Struct

from interlingua.mock.scenarios import known_model, play
from interlingua.mock.shape import Violation, json_type, normal, violation
from interlingua.mock.talk import Ask, digest, prompt_tokens
from interlingua.mock.wire import Fault, Json, Options, Refusal, a_list, an_object, bad

Structure = Callable[[Violation], Refusal]

SIZES: Final = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "gemini-embedding-001": 3072,
    "gemini-embedding-2": 3072,
    "text-embedding-005": 768,
    "text-multilingual-embedding-002": 768,
    "amazon.titan-embed-text-v1": 1536,
    "amazon.titan-embed-text-v2:0": 1024,
    "cohere.embed-english-v3": 1024,
    "cohere.embed-multilingual-v3": 1024,
    "cohere.embed-v4:0": 1536,
    "mock": 8,
}
_OPENAIS: Final = ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002", "mock")
_MOST_OPENAI: Final = 2048
_MOST_GEMINI: Final = 100
_MOST_PREDICT: Final = 250


class Done(Struct, frozen=True):
    """An answer's body, the tokens it cost, and how it is delivered."""

    body: Json
    tokens: int
    fault: Fault


def vector(text: str, size: int) -> list[float]:
    """Numbers between -1 and 1 in steps of 1/128."""
    return [(number - 128) / 128 for number in _bytes(text, size)]


def _bytes(text: str, size: int) -> bytes:
    blocks = (bytes.fromhex(digest("vector", text, block)) for block in range((size + 31) // 32))
    return b"".join(blocks)[:size]


def base64_of(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def size_of(model: str) -> int:
    """Region and geography before a name change nothing."""
    return next((size for name, size in SIZES.items() if model.endswith(name)), 8)


def checked(body: Json, definition: str, structure: Structure) -> None:
    if fault := violation("embeddings", body, definition):
        raise structure(fault)


def cost(texts: list[str]) -> int:
    return max(1, prompt_tokens(*texts, messages=0))


def played(model: str, texts: list[str]) -> Fault:
    """What a marker asks for: a refusal is raised, a fault of delivery returned."""
    return play(Ask(model=model, seed=digest(*texts), text="\n".join(texts))).fault


def openai(body: Json, structure: Structure, options: Options) -> Done:
    checked(body, "OpenAI", structure)
    model: str = body["model"]
    if not (model in _OPENAIS or known_model(model) or options.any_model):
        raise Refusal("model", f"The model '{model}' does not exist or you do not have access to it.")
    texts = list(_openai_inputs(body["input"]))
    size = size_of(model)
    if (wanted := body.get("dimensions")) is not None:
        if "text-embedding-ada" in model:
            raise bad("This model does not support specifying dimensions.", "dimensions")
        if not 0 < wanted <= size:
            raise bad(f"Invalid value for 'dimensions' = {wanted}. Must be between 1 and {size}.", "dimensions")
        size = wanted
    in_text = body.get("encoding_format") == "base64"
    data: list[Json] = []
    for index, text in enumerate(texts):
        numbers = vector(text, size)
        data.append({"object": "embedding", "index": index, "embedding": base64_of(numbers) if in_text else numbers})
    tokens = cost(texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Done({"object": "list", "data": data, "model": model, "usage": usage}, tokens, played(model, texts))


def _openai_inputs(given: Any) -> Iterator[str]:
    rows = a_list(given)
    if isinstance(given, str) or (rows and isinstance(rows[0], int)):
        rows: list[Any] = [given]
    if not 0 < len(rows) <= _MOST_OPENAI:
        raise bad(f"Invalid 'input': an array of 1 to {_MOST_OPENAI} is expected.", "input")
    kinds = {json_type(row) for row in rows}
    if len(kinds) > 1 or not kinds <= {"string", "array"}:
        raise bad("'$.input' is invalid. Please check the API reference.", "input")
    for row in rows:
        if not row:
            raise bad("Invalid 'input': input cannot be an empty string.", "input")
        yield str(row)


def gemini(given: Json, model: str, structure: Structure, *, batch: bool, vertex: bool) -> Done:
    """embedContent and batchEmbedContents. The Gemini API counts the tokens of its newest model alone."""
    definition = ("Vertex" if vertex else "Gemini") + ("Batch" if batch else "One")
    body: Json = normal("embeddings", given, {"$ref": f"#/$defs/{definition}"})
    checked(body, definition, structure)
    google_model(model)
    rows: list[Json] = body["requests"] if batch else [body]
    if not 0 < len(rows) <= _MOST_GEMINI:
        raise bad(f"* BatchEmbedContentsRequest.requests: at most {_MOST_GEMINI} requests can be in one batch", "requests")
    texts = [_content(row, model, f"requests[{index}]") for index, row in enumerate(rows)]
    values = [{"values": vector(text, _sized(row, model))} for text, row in zip(texts, rows, strict=True)]
    out: Json = {"embeddings": values} if batch else {"embedding": values[0]}
    tokens = cost(texts)
    if vertex or "embedding-2" in model:
        out["usageMetadata"] = {"promptTokenCount": tokens, "totalTokenCount": tokens}
    if vertex and not batch:
        out["truncated"] = False
    return Done(out, tokens, played(model, texts))


def google_model(model: str) -> None:
    if not (model in SIZES and "embed" in model or "maas" in model or known_model(model)):
        raise Refusal("model", f"models/{model} is not found for API version v1beta, or is not supported for embedContent.")


def _content(row: Json, model: str, where: str) -> str:
    named = str(row.get("model", model))
    if named.rpartition("/")[2] != model:
        raise bad(f"* {where}.model: must match the model of the batch", f"{where}.model")
    config = {**row, **an_object(row.get("embedContentConfig"))}
    if config.get("title") and str(config.get("taskType")).upper() != "RETRIEVAL_DOCUMENT":
        raise bad(f"* {where}.title: only of documents, with task type RETRIEVAL_DOCUMENT", f"{where}.title")
    parts = a_list(row["content"].get("parts"))
    if not parts:
        raise bad(f"* {where}.content: content is empty", f"{where}.content")
    if "embedding-2" not in model and any("text" not in part for part in parts):
        raise bad(f"* {where}.content.parts: this model embeds text alone", f"{where}.content.parts")
    return "\n".join(str(part.get("text") or an_object(part.get("inlineData")).get("data", "")) for part in parts)


def _sized(row: Json, model: str) -> int:
    config = {**row, **an_object(row.get("embedContentConfig"))}
    wanted = int(config.get("outputDimensionality") or size_of(model))
    if not 0 < wanted <= size_of(model):
        raise bad(f"outputDimensionality must be between 1 and {size_of(model)}", "output_dimensionality")
    return wanted


def predict(given: Json, model: str, structure: Structure) -> Done:
    body: Json = normal("embeddings", given, {"$ref": "#/$defs/Predict"})
    checked(body, "Predict", structure)
    google_model(model)
    rows: list[Json] = body["instances"]
    if len(rows) > _MOST_PREDICT:
        raise bad(f"{len(rows)} instance(s) is greater than the allowed maximum of {_MOST_PREDICT}.", "instances")
    parameters = an_object(body.get("parameters"))
    predictions: list[Json] = []
    for row in rows:
        statistics = {"truncated": False, "token_count": cost([row["content"]])}
        predictions.append(
            {"embeddings": {"values": vector(row["content"], _sized(parameters, model)), "statistics": statistics}}
        )
    texts = [row["content"] for row in rows]
    billed = {"billableCharacterCount": sum(map(len, texts))}
    return Done({"predictions": predictions, "metadata": billed}, cost(texts), played(model, texts))


def titan(body: Json, model: str, structure: Structure) -> Done:
    newer = "v2" in model
    checked(body, "TitanV2" if newer else "TitanV1", structure)
    text: str = body["inputText"]
    numbers, tokens = vector(text, body.get("dimensions") or size_of(model)), cost([text])
    out: Json = {"embedding": numbers, "inputTextTokenCount": tokens}
    if newer:
        kinds: list[str] = body.get("embeddingTypes") or ["float"]
        by_type = {"float": numbers, "binary": [int(number > 0) for number in numbers]}
        out["embeddingsByType"] = {kind: by_type[kind] for kind in kinds}
    return Done(out, tokens, played(model, [text]))


def cohere(body: Json, model: str, structure: Structure) -> Done:
    checked(body, "CohereV4" if "v4" in model else "CohereV3", structure)
    given = [name for name in ("texts", "images", "inputs") if body.get(name)]
    if len(given) != 1:
        raise bad("Malformed input request: exactly one of texts, images and inputs is expected")
    if (body["input_type"] == "image") is not (given == ["images"]) and "v4" not in model:
        raise bad("Malformed input request: input_type image is for images, and for nothing else")
    texts = [_mixed(row) for row in body[given[0]]]
    rows = [vector(text, body.get("output_dimension") or size_of(model)) for text in texts]
    out: Json = {"id": digest("cohere", *texts)[:32], "response_type": "embeddings_floats", "embeddings": rows}
    if kinds := body.get("embedding_types"):
        out |= {
            "response_type": "embeddings_by_type",
            "embeddings": {kind: [_quantized(row, kind) for row in rows] for kind in kinds},
        }
    if given == ["texts"]:
        out["texts"] = texts
    return Done(out, cost(texts), played(model, texts))


def _mixed(row: Any) -> str:
    if isinstance(row, str):
        return row
    return "\n".join(str(part.get("text") or part.get("image_url")) for part in a_list(an_object(row)["content"]))


def _quantized(row: list[float], kind: str) -> list[Any]:
    match kind:
        case "float":
            return list(row)
        case "int8":
            return [int(number * 128) for number in row]
        case "uint8":
            return [int(number * 128) + 128 for number in row]
        case _:
            bits = ["".join(str(int(number > 0)) for number in row[start : start + 8]) for start in range(0, len(row), 8)]
            return [int(eight, 2) - (128 if kind == "binary" else 0) for eight in bits]
