"""Cohere Embed by Bedrock's InvokeModel: many texts a request, of one task, which must be named.

Source: the Bedrock user guide, "Cohere Embed v3" and "Cohere Embed v4". The tokens of the input stand in a header of AWS's.
"""

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final, cast

from msgspec import Raw

from interlingua.embeddings import FLOATS, Embedding, Item, Task, Truncate, Vector, Vectors, as_floats
from interlingua.errors import InvalidRequest, Unsupported, UpstreamGarbage
from interlingua.ir import Json, Media, Opaque, Text
from interlingua.protocols import Lose
from interlingua.protocols.embedding import (
    Goal,
    decoded,
    drop,
    drop_foreign,
    kept,
    seen,
    told,
    top_of,
    types_of,
    usage_of,
    word,
    written,
)
from interlingua.protocols.media import data_url, split_data_url, type_of
from interlingua.protocols.wire import array, choice, integer, keep, need, note, note_down, obj, rename, text, texts

NAME: Final = "cohere"
PROTOCOL: Final = "bedrock"
TOKENS: Final = "x-amzn-bedrock-input-token-count"
_KNOWN: Final = frozenset(("id", "embeddings", "texts", "response_type"))
_FIELDS: Final = {"types": "embedding_types", "dimensions": "output_dimension"}
_TASKS: Final[dict[str, Task]] = {
    "search_document": "retrieval_document",
    "search_query": "retrieval_query",
    "classification": "classification",
    "clustering": "clustering",
}
_WORDS: Final = {task: word for word, task in _TASKS.items()}
_NEAREST: Final[dict[Task, str]] = {
    "semantic_similarity": "clustering",
    "question_answering": "search_query",
    "fact_verification": "search_query",
    "code_retrieval_query": "search_query",
}
_CUTS: Final[dict[str, Truncate]] = {"NONE": "none", "START": "start", "LEFT": "start", "END": "end", "RIGHT": "end"}
_IMAGE: Final = "image"


def parse_request(body: Json, model: str | None = None) -> Embedding:
    kind = choice(need(body, "input_type", "input_type"), "input_type", (*_TASKS, _IMAGE))
    given = [field for field in ("texts", "inputs", "images") if body.get(field) is not None]
    if len(given) != 1:
        raise InvalidRequest("one of texts, inputs and images is required, and no more", param="texts")
    field = given[0]
    read = {"texts": _text, "inputs": _mixed, "images": _image}[field]
    items = [read(row, f"{field}[{i}]") for i, row in enumerate(array(body.pop(field), field))]
    request = Embedding(model=model or "", messages=[], wire=NAME, inputs=items)
    note_down(request, NAME, "~field", field)
    if kind == _IMAGE:
        note_down(request, NAME, "~image")
    for item in items:
        item.task = _TASKS.get(kind)
    if (size := body.pop("output_dimension", None)) is not None:
        request.dimensions = integer(size, "output_dimension")
    if (cut := body.pop("truncate", None)) is not None:
        request.truncate = _CUTS[choice(cut, "truncate", tuple(_CUTS))]
    if (types := body.pop("embedding_types", None)) is not None:
        request.types = [one if one == FLOATS else f"{NAME}.{one}" for one in texts(types, "embedding_types")] or [FLOATS]
        note_down(request, NAME, "~types")
    keep(request, NAME, body)
    return request


def _text(value: Any, path: str) -> Item:
    return Item(text=text(value, path))


def _image(value: Any, path: str) -> Item:
    return Item(parts=[_media(text(value, path), path)])


def _media(url: str, path: str) -> Media:
    found = split_data_url(url)
    if found is None:
        raise InvalidRequest(f"{path} must be a data URL in base64", param=path)
    return Media(kind="image", mime=found[0], data=found[1])


def _mixed(value: Any, path: str) -> Item:
    rows = array(need(obj(value, path), "content", f"{path}.content"), f"{path}.content")
    return Item(parts=[_part(obj(row, f"{path}.content[{j}]"), f"{path}.content[{j}]") for j, row in enumerate(rows)])


def _part(row: Json, path: str) -> Text | Media | Opaque:
    if choice(row.get("type"), f"{path}.type", ("text", "image_url")) == "text":
        return Text(text=text(row.get("text"), f"{path}.text"))
    url = row.get("image_url")
    said = obj(url, f"{path}.image_url").get("url") if type(url) is dict else url
    return _media(text(said, f"{path}.image_url"), f"{path}.image_url")


def format_request(request: Embedding, goal: Goal, lose: Lose) -> list[Json]:
    drop_foreign(request, NAME, lose)
    drop(request, lose, "Cohere", "user", "title")
    newest = "v4" in goal.model
    rest: Json = {}
    own = types_of(request, NAME, lose)
    if note(request, NAME, "~types") or own != [FLOATS]:
        rest["embedding_types"] = own
    if request.truncate is not None:
        sides = {"none": "NONE", "start": "LEFT", "end": "RIGHT"} if newest else {"none": "NONE", "start": "START", "end": "END"}
        rest["truncate"] = sides[request.truncate]
    if not newest:
        drop(request, lose, "Cohere Embed v3", "dimensions")
    elif request.dimensions is not None:
        rest["output_dimension"] = request.dimensions
    rest = written(rest, request, NAME)
    rows = [
        (*_said(item, f"inputs[{i}]", newest, request, lose), _kind(item, i, newest, request, lose))
        for i, item in enumerate(request.inputs)
    ]
    out: list[Json] = []
    for (field, kind), group in groupby(rows, lambda row: (row[0], row[2])):
        values = [row[1] for row in group]
        size = 1 if kind == _IMAGE else goal.batch  # v3 takes one image at a time
        starts = range(0, len(values), size)
        out += [{field: values[start : start + size], "input_type": kind, **rest} for start in starts]
    return out


def _said(item: Item, path: str, newest: bool, request: Embedding, lose: Lose) -> tuple[str, Any]:
    """The field that an input stands in, and itself."""
    if not seen(item) and (note(request, NAME, "~field") != "inputs" or not newest):
        return "texts", word(item, path, "Cohere", lose)
    parts = [_put(part, f"{path}.parts[{j}]") for j, part in enumerate(item.parts)]
    if len(parts) == 1 and parts[0]["type"] == "image_url" and (not newest or note(request, NAME, "~field") == "images"):
        return "images", parts[0]["image_url"]
    if not newest:
        raise Unsupported("Cohere Embed v3 takes one text or one image", param=path)
    return "inputs", {"content": parts}


def _put(part: Text | Media | Opaque, path: str) -> Json:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Media) and part.kind == "image" and part.data is not None:
        return {"type": "image_url", "image_url": data_url(type_of(part.mime, part.data), part.data)}
    raise Unsupported("Cohere takes texts, and images whose bytes are sent along", param=path)


def _kind(item: Item, i: int, newest: bool, request: Embedding, lose: Lose) -> str:
    if note(request, NAME, "~image") or (seen(item) and not newest):
        return _IMAGE
    if item.task is None:
        if i == 0:
            lose("inputs[0].task", "added", "Cohere must be told what for: taken for search_document")
        return "search_document"
    if item.task not in _WORDS:
        lose(f"inputs[{i}].task", "changed", f"the nearest that Cohere has is {_NEAREST[item.task]}")
    return _WORDS.get(item.task) or _NEAREST[item.task]


def parse_response(body: bytes, headers: Mapping[str, str]) -> Vectors:
    top = top_of(body)
    if "embeddings" not in top:
        raise UpstreamGarbage("The provider's answer has no embeddings.")
    plain = bytes(memoryview(top["embeddings"])[:1]) == b"["
    rows = {FLOATS: decoded(top["embeddings"], list[Raw])} if plain else decoded(top["embeddings"], dict[str, list[Raw]])
    count = headers.get(TOKENS, "")
    return Vectors(
        id=decoded(top["id"], str | None) or "" if "id" in top else "",
        vectors=[Vector(data=raw) for raw in rows.get(FLOATS, [])],
        others={f"{NAME}.{kind}": values for kind, values in rows.items() if kind != FLOATS},
        usage=usage_of(int(count)) if count.isdecimal() else None,
        extras=kept(top, NAME, _KNOWN),
    )


def format_response(answer: Vectors, request: Embedding, lose: Lose) -> Json:
    told(answer, NAME, lose)
    floats = [as_floats(vector.data) for vector in answer.vectors]
    out: Json = {"id": answer.id, "response_type": "embeddings_floats", "embeddings": floats}
    if note(request, NAME, "~types"):
        kinds = {kind.removeprefix(f"{NAME}."): rows for kind, rows in answer.others.items() if kind.startswith(f"{NAME}.")}
        by_type = {**({FLOATS: floats} if FLOATS in request.types else {}), **kinds}
        out |= {"response_type": "embeddings_by_type", "embeddings": by_type}
    if said := [item.text for item in request.inputs if item.text is not None]:
        out["texts"] = said
    return written(out, answer, NAME)


def field_path(path: str, request: Embedding) -> str:
    if path.endswith(".task"):
        return "input_type"
    field = cast(str, note(request, NAME, "~field"))
    path = path.replace("inputs", field, 1) if path.startswith("inputs") else rename(path, _FIELDS)
    return path.replace(".parts[", ".content[")
