"""Vertex's text embedding models by `:predict`, as google-genai asks all those whose name says neither gemini nor maas.

Source: google-genai's _EmbedContentParametersPrivate_to_vertex and _EmbedContentResponse_from_vertex.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Raw, Struct

from interlingua.embeddings import Embedding, Item, Vectors, as_floats
from interlingua.errors import UpstreamGarbage
from interlingua.ir import Json, Usage
from interlingua.protocols import Lose
from interlingua.protocols.embedding import (
    Goal,
    decoded,
    drop,
    drop_foreign,
    kept,
    told,
    top_of,
    types_of,
    words,
    written,
)
from interlingua.protocols.gemini.embeddings import read_task, vector_of
from interlingua.protocols.gemini.spelling import EMBEDDING, spell
from interlingua.protocols.wire import array, as_obj, boolean, integer, keep, keep_in, need, obj, rename, text

NAME: Final = "predict"
PROTOCOL: Final = "gemini"
_KNOWN: Final = frozenset(("predictions", "deployedModelId", "model", "modelDisplayName", "modelVersionId"))
_FIELDS: Final = {"inputs": "instances", "dimensions": "parameters.outputDimensionality", "truncate": "parameters.autoTruncate"}


def parse_request(body: Json, model: str | None = None) -> Embedding:
    rows = array(need(body, "instances", "instances"), "instances")
    request = Embedding(
        model=model or "", messages=[], wire=NAME, inputs=[_item(row, f"instances[{i}]") for i, row in enumerate(rows)]
    )
    parameters = spell(obj(body.pop("parameters", None) or {}, "parameters"), EMBEDDING)
    if (size := parameters.pop("outputDimensionality", None)) is not None:
        request.dimensions = integer(size, "parameters.outputDimensionality")
    if (cut := parameters.pop("autoTruncate", None)) is not None:
        request.truncate = "end" if boolean(cut, "parameters.autoTruncate") else "none"
    keep_in(request, NAME, "parameters", parameters)
    keep(request, NAME, body)
    return request


def _item(value: object, path: str) -> Item:
    d = spell(obj(value, path), EMBEDDING)
    item = Item(text=text(need(d, "content", f"{path}.content"), f"{path}.content"))
    if (task := d.pop("taskType", None)) is not None:
        item.task = read_task(task, f"{path}.task_type", item, NAME)
    if (title := d.pop("title", None)) is not None:
        item.title = text(title, f"{path}.title")
    keep(item, NAME, d)
    return item


def format_request(request: Embedding, goal: Goal, lose: Lose) -> list[Json]:
    drop_foreign(request, NAME, lose)
    types_of(request, NAME, lose)
    drop(request, lose, "Vertex", "user")
    if request.truncate == "start":
        lose("truncate", "changed", "Vertex cuts off the end alone")
    rows = [_instance(item, content) for item, content in zip(request.inputs, words(request, "this model", lose), strict=True)]
    parameters: Json = {}
    if request.dimensions is not None:
        parameters["outputDimensionality"] = request.dimensions
    if request.truncate is not None:
        parameters["autoTruncate"] = request.truncate != "none"
    rest: Json = {}
    for key, value in request.extras.get(NAME, {}).items():
        field, dot, inner = key.partition(".")
        if dot and field == "parameters":
            parameters[inner] = value
        else:
            rest[key] = value
    rest |= {"parameters": parameters} if parameters else {}
    return [{"instances": rows[start : start + goal.batch], **rest} for start in range(0, len(rows), goal.batch)]


def _instance(item: Item, content: str) -> Json:
    out: Json = {"content": content}
    if item.task is not None:
        out["task_type"] = item.task.upper()
    if item.title is not None:
        out["title"] = item.title
    return written(out, item, NAME)


class _Embeddings(Struct):
    values: Raw
    statistics: Json | None = None


class _Prediction(Struct):
    embeddings: _Embeddings


def parse_response(body: bytes, headers: Mapping[str, str]) -> Vectors:
    top = top_of(body)
    if "predictions" not in top:
        raise UpstreamGarbage("The provider's answer has no predictions.")
    rows: list[_Prediction] = decoded(top["predictions"], list[_Prediction])
    vectors = [vector_of(row.embeddings.values, as_obj(row.embeddings.statistics), NAME) for row in rows]
    counts = [vector.tokens for vector in vectors if vector.tokens is not None]
    usage = Usage(input=sum(counts)) if len(counts) == len(vectors) else None
    return Vectors(vectors=vectors, usage=usage, extras=kept(top, NAME, _KNOWN))


def format_response(answer: Vectors, request: Embedding, lose: Lose) -> Json:
    told(answer, NAME, lose, counts=True, cuts=True)
    total = answer.usage.input if answer.usage is not None else None
    single = len(answer.vectors) == 1
    rows: list[Json] = []
    for vector in answer.vectors:
        tokens = total if single and vector.tokens is None else vector.tokens
        statistics = {"truncated": vector.truncated, "token_count": tokens}
        statistics |= {key.removeprefix("statistics."): value for key, value in vector.extras.get(NAME, {}).items()}
        said = {key: value for key, value in statistics.items() if value is not None}
        rows.append({"embeddings": {"values": as_floats(vector.data), **({"statistics": said} if said else {})}})
    if total is not None and not single and any(vector.tokens is None for vector in answer.vectors):
        lose("response.usage", "dropped", "the client's format counts each input by itself")
    return written({"predictions": rows}, answer, NAME)


def field_path(path: str, request: Embedding) -> str:
    return rename(path, _FIELDS).replace("].task", "].task_type")
