"""OpenAI's embeddings, and those of servers that speak its dialect.

Source: the SDK's types.embedding_create_params, create_embedding_response and lib._parsing._embeddings (base64 is of float32).
`input_type` is no field of OpenAI's: many servers of its dialect take it, so it is read, and written to those who gave it.

Quirks of hosts: no_tokens   texts alone         output_dimension   dimensions are called so
                 no_base64   floats alone        no_<field>         the request has no such field
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec import Raw, Struct

from interlingua.embeddings import Embedding, Encoding, Item, Task, Vector, Vectors, as_base64, as_floats
from interlingua.errors import InvalidRequest, ProviderFailure, Unsupported, UpstreamGarbage
from interlingua.ir import Json
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
    usage_of,
    word,
    written,
)
from interlingua.protocols.openai.names import NAME
from interlingua.protocols.openai_errors import failure_of
from interlingua.protocols.wire import (
    array,
    as_count,
    as_obj,
    as_text,
    choice,
    decode_json,
    integer,
    keep,
    need,
    note,
    note_down,
    rename,
    said,
    text,
)

PROTOCOL: Final = NAME
_KNOWN: Final = frozenset(("object", "data", "model", "usage", "id", "created"))
_WHOM: Final = "this host"
_TASKS: Final[dict[str, Task]] = {
    "search_query": "retrieval_query",
    "query": "retrieval_query",
    "search_document": "retrieval_document",
    "document": "retrieval_document",
    "passage": "retrieval_document",
    "classification": "classification",
    "clustering": "clustering",
}
_FIELDS: Final = {"inputs": "input", "encoding": "encoding_format"}


def parse_request(body: Json, model: str | None = None) -> Embedding:
    d = body
    said_model = d.pop("model", None)
    name = model if model is not None else text(said_model if said_model is not None else need(d, "model", "model"), "model")
    value = need(d, "input", "input")
    request = Embedding(model=name, messages=[], wire=NAME, inputs=_inputs(value))
    if type(value) is str or (request.inputs and request.inputs[0].tokens is value):
        note_down(request, NAME, "~bare")
    if (dimensions := d.pop("dimensions", None)) is not None:
        request.dimensions = integer(dimensions, "dimensions")
    if (encoding := d.pop("encoding_format", None)) is not None:
        request.encoding = cast(Encoding, choice(encoding, "encoding_format", ("float", "base64")))
    if (user := d.pop("user", None)) is not None:
        request.user = text(user, "user")
    kind = d.get("input_type")
    if type(kind) is str and (task := _TASKS.get(kind.lower())) is not None:
        note_down(request, NAME, "~input_type", d.pop("input_type"))
        for item in request.inputs:
            item.task = task
    keep(request, NAME, d)
    return request


def _inputs(value: Any) -> list[Item]:
    if type(value) is str:
        return [Item(text=value)]
    if value.__class__ is not list:
        raise InvalidRequest(f"input must be a string or an array, not {said(value)}", param="input")
    rows = array(value, "input")
    if rows and type(rows[0]) is int:
        return [Item(tokens=_tokens(rows, "input"))]
    return [_item(row, f"input[{i}]") for i, row in enumerate(rows)]


def _item(value: Any, path: str) -> Item:
    if type(value) is str:
        return Item(text=value)
    if value.__class__ is not list:
        raise InvalidRequest(f"{path} must be a string or an array of tokens, not {said(value)}", param=path)
    return Item(tokens=_tokens(value, path))


def _tokens(rows: list[Any], path: str) -> list[int]:
    for i, row in enumerate(rows):
        if type(row) is not int:
            raise InvalidRequest(f"{path}[{i}] must be a token, a whole number, not {said(row)}", param=f"{path}[{i}]")
    return rows


def format_request(request: Embedding, goal: Goal, lose: Lose) -> list[Json]:
    drop_foreign(request, NAME, lose)
    types_of(request, NAME, lose)
    drop(request, lose, _WHOM, "title", "truncate")
    rest = _options(request, goal, lose)
    bare = note(request, NAME, "~bare") is not None
    inputs = [_said(item, f"inputs[{i}]", goal, lose) for i, item in enumerate(request.inputs)]
    pieces = [inputs[start : start + goal.batch] for start in range(0, len(inputs), goal.batch)]
    return [written({"model": goal.model, "input": piece[0] if bare else piece, **rest}, request, NAME) for piece in pieces]


def _said(item: Item, path: str, goal: Goal, lose: Lose) -> str | list[int]:
    if item.tokens is None:
        return word(item, path, "this model", lose)
    if "no_tokens" in goal.quirks:
        raise Unsupported(f"{_WHOM} takes texts, not tokens", param=path)
    return item.tokens


def _options(request: Embedding, goal: Goal, lose: Lose) -> Json:
    out: Json = {}
    if request.encoding is not None and "no_base64" not in goal.quirks:  # else we write it so ourselves
        out["encoding_format"] = request.encoding
    if request.dimensions is not None and "no_dimensions" not in goal.quirks:
        out["output_dimension" if "output_dimension" in goal.quirks else "dimensions"] = request.dimensions
    if request.user is not None and "no_user" not in goal.quirks:
        out["user"] = request.user
    drop(request, lose, _WHOM, *(field for field in ("dimensions", "user") if f"no_{field}" in goal.quirks))
    if (kind := note(request, NAME, "~input_type")) is not None:
        out["input_type"] = kind
    else:
        drop(request, lose, _WHOM, "task")
    return out


class _Row(Struct):
    embedding: Raw
    index: int | None = None


def parse_response(body: bytes, headers: Mapping[str, str]) -> Vectors:
    top = top_of(body)
    if "data" not in top:
        if "error" in top:
            raise ProviderFailure(failure_of(502, {"error": decode_json(top["error"])}))
        raise UpstreamGarbage("The provider's answer has no data.")
    rows: list[_Row] = decoded(top["data"], list[_Row])
    if all(row.index is not None for row in rows):
        rows.sort(key=lambda row: row.index or 0)
    usage = as_obj(_plain(top, "usage"))
    answer = Vectors(
        id=as_text(_plain(top, "id")) or "",
        created=as_count(_plain(top, "created")) or 0,
        model=as_text(_plain(top, "model")) or "",
        vectors=[Vector(data=row.embedding) for row in rows],
        usage=usage_of(usage.get("prompt_tokens", usage.get("total_tokens"))),
        extras=kept(top, NAME, _KNOWN),
    )
    if "id" in top:  # OpenAI's own answers have none
        note_down(answer, NAME, "~id")
    return answer


def _plain(top: dict[str, Raw], key: str) -> Any:
    return decode_json(top[key]) if key in top else None


def format_response(answer: Vectors, request: Embedding, lose: Lose) -> Json:
    told(answer, NAME, lose)
    as_asked = as_base64 if request.encoding == "base64" else as_floats
    data = [{"object": "embedding", "index": i, "embedding": as_asked(row.data)} for i, row in enumerate(answer.vectors)]
    tokens = answer.usage.input if answer.usage is not None else None
    usage = None if tokens is None else {"prompt_tokens": tokens, "total_tokens": tokens}
    named = {"id": answer.id, "created": answer.created} if note(answer, NAME, "~id") else {}
    return written({**named, "object": "list", "data": data, "model": answer.model, "usage": usage}, answer, NAME)


def field_path(path: str, request: Embedding) -> str:
    """ "inputs[1].task" -> "input_type": whatever is said once for all inputs has one name."""
    if path.endswith(".task"):
        return "input_type"
    if note(request, NAME, "~bare") and path.startswith("inputs[0]"):
        return "input" + path.removeprefix("inputs[0]")
    return rename(path, _FIELDS)
