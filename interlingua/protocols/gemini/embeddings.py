"""Gemini's embedContent and batchEmbedContents, of the Gemini API and of Vertex.

Source: google-genai's _EmbedContentConfig_to_mldev and _to_vertex, ai.google.dev/api/embeddings, and the discovery document
aiplatform.v1 (EmbedContentRequest). A batch's requests are each a task and a title of their own.

Quirks of hosts: config   what Vertex calls embedContentConfig     single   it takes one content, and no batch
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec import Raw, Struct

from interlingua.embeddings import Embedding, Item, Task, Truncate, Vector, Vectors, as_floats
from interlingua.errors import InvalidRequest, Unsupported, UpstreamGarbage
from interlingua.ir import Json, Media, Opaque, Text
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
    written,
)
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.gemini.parts import format_media, parse_part, with_extras
from interlingua.protocols.gemini.spelling import EMBEDDING, spell
from interlingua.protocols.wire import (
    array,
    as_count,
    as_obj,
    boolean,
    decode_json,
    integer,
    keep,
    keep_in,
    need,
    note,
    note_down,
    obj,
    text,
)

Shared = tuple[int | None, Truncate | None]  # dimensions, truncate: said of each input, and the same of all

PROTOCOL: Final = NAME
TASKS: Final[frozenset[str]] = frozenset(Task.__args__)
_UNSAID: Final = ("", "unspecified", "task_type_unspecified")
_KNOWN: Final = frozenset(("embedding", "embeddings", "usageMetadata", "truncated"))
_FIELDS: Final = {"task": "taskType", "truncate": "autoTruncate", "dimensions": "outputDimensionality", "parts": "content.parts"}


def parse_request(body: Json, model: str | None = None) -> Embedding:
    request = Embedding(model=model or "", messages=[], wire=NAME, inputs=[])
    if "requests" not in body:
        if "content" not in body:
            raise InvalidRequest("content, or requests, is required", param="content")
        note_down(request, NAME, "~single")
        item, (request.dimensions, request.truncate) = _item(body, "", request.model)
        request.inputs.append(item)
        return request
    rows = array(body.pop("requests"), "requests")
    for i, row in enumerate(rows):
        path = f"requests[{i}]"
        item, shared = _item(obj(row, path), f"{path}.", request.model)
        if i and shared != (request.dimensions, request.truncate):
            field = "outputDimensionality" if shared[0] != request.dimensions else "autoTruncate"
            raise InvalidRequest(f"{path}.{field} must be the same in all requests of a batch", param=f"{path}.{field}")
        request.dimensions, request.truncate = shared
        request.inputs.append(item)
    keep(request, NAME, body)
    return request


def _item(value: Json, path: str, model: str) -> tuple[Item, Shared]:
    d = spell(value, EMBEDDING)
    named = d.pop("model", None)
    if named is not None and text(named, f"{path}model").rpartition("models/")[2] != model.rpartition("models/")[2]:
        raise InvalidRequest(f"{path}model must be the one that the path names", param=f"{path}model")
    content = obj(need(d, "content", f"{path}content"), f"{path}content").copy()
    parts = array(need(content, "parts", f"{path}content.parts"), f"{path}content.parts")
    item = _content([_part(part, f"{path}content.parts[{j}]") for j, part in enumerate(parts)], f"{path}content.parts")
    if (role := content.pop("role", None)) is not None:
        note_down(item, NAME, "~role", role)
    keep_in(item, NAME, "content", content)
    config = spell(obj(d.pop("embedContentConfig", None) or {}, f"{path}embedContentConfig"), EMBEDDING)
    older = _configure(item, d, path)
    newer = _configure(item, config, f"{path}embedContentConfig.")
    keep_in(item, NAME, "embedContentConfig", config)
    keep(item, NAME, d)
    return item, (newer[0] or older[0], newer[1] or older[1])


def _part(value: Any, path: str) -> Text | Media | Opaque:
    part = parse_part(obj(value, path), path, "")
    if not isinstance(part, Text | Media | Opaque):
        raise InvalidRequest(f"{path} is nothing that can be embedded", param=path)
    return part


def _content(parts: list[Text | Media | Opaque], path: str) -> Item:
    if not parts:
        raise InvalidRequest(f"{path} must not be empty", param=path)
    only = parts[0]
    if len(parts) == 1 and isinstance(only, Text) and not only.extras and only.signature is None:
        return Item(text=only.text)
    return Item(parts=parts)


def _configure(item: Item, d: Json, path: str) -> Shared:
    """Takes the known fields out of `d`."""
    dimensions: int | None = None
    truncate: Truncate | None = None
    if (task := d.pop("taskType", None)) is not None:
        item.task = read_task(task, f"{path}taskType", item, NAME)
    if (title := d.pop("title", None)) is not None:
        item.title = text(title, f"{path}title")
    if (size := d.pop("outputDimensionality", None)) is not None:
        dimensions = integer(size, f"{path}outputDimensionality")
    if (cut := d.pop("autoTruncate", None)) is not None:
        truncate = "end" if boolean(cut, f"{path}autoTruncate") else "none"
    return dimensions, truncate


def read_task(value: Any, path: str, item: Item, name: str) -> Task | None:
    """A word that we do not know is kept for Google alone, under its last name in `path`."""
    word = text(value, path).lower()
    if word in TASKS:
        return cast(Task, word)
    if word not in _UNSAID:
        keep(item, name, {path.rpartition(".")[2]: value})
    return None


def format_request(request: Embedding, goal: Goal, lose: Lose) -> list[Json]:
    drop_foreign(request, NAME, lose)
    types_of(request, NAME, lose)
    drop(request, lose, "Gemini", "user")
    if "config" not in goal.quirks:
        drop(request, lose, "the Gemini API", "truncate")
    elif request.truncate == "start":
        lose("truncate", "changed", "Vertex cuts off the end alone")
    rows = [_request(item, f"inputs[{i}]", request, goal, lose) for i, item in enumerate(request.inputs)]
    if "single" in goal.quirks:
        return rows
    starts = range(0, len(rows), goal.batch)
    return [written({"requests": rows[start : start + goal.batch]}, request, NAME) for start in starts]


def _request(item: Item, path: str, request: Embedding, goal: Goal, lose: Lose) -> Json:
    told: Json = {"taskType": item.task and item.task.upper(), "title": item.title, "outputDimensionality": request.dimensions}
    if "config" in goal.quirks and request.truncate is not None:
        told["autoTruncate"] = request.truncate != "none"
    config = {key: value for key, value in told.items() if value is not None}
    out: Json = {"content": {"parts": _parts(item, path, goal, lose)}}
    if (role := note(item, NAME, "~role")) is not None:
        out["content"]["role"] = role
    if "config" not in goal.quirks:
        out |= {"model": f"models/{goal.model.removeprefix('models/')}", **config}
    elif config:
        out["embedContentConfig"] = config
    for key, value in item.extras.get(NAME, {}).items():
        field, dot, inner = key.partition(".")
        if dot and field in ("content", "embedContentConfig"):
            out.setdefault(field, {})[inner] = value
        elif key == "taskType" and "config" in goal.quirks:
            out.setdefault("embedContentConfig", {})[key] = value
        elif key[:1] != "~":
            out[key] = value
    return out


def _parts(item: Item, path: str, goal: Goal, lose: Lose) -> list[Json]:
    if item.text is not None:
        return [{"text": item.text}]
    if item.tokens is not None:
        raise Unsupported("Gemini takes texts, not tokens", param=path)
    return [_written(part, f"{path}.parts[{j}]", goal, lose) for j, part in enumerate(item.parts)]


def _written(part: Text | Media | Opaque, path: str, goal: Goal, lose: Lose) -> Json:
    if isinstance(part, Text):
        return with_extras({"text": part.text}, part, path, lose)
    if isinstance(part, Opaque):
        if part.origin != NAME:
            raise Unsupported(f"Only {part.origin} can embed this", param=path)
        return part.data
    if (media := format_media(part, path, lose, "config" in goal.quirks)) is None:
        raise Unsupported(f"Gemini cannot get at this {part.kind}", param=path)
    return with_extras(media, part, path, lose)


class _Row(Struct):
    values: Raw
    statistics: Json | None = None


def parse_response(body: bytes, headers: Mapping[str, str]) -> Vectors:
    top = top_of(body)
    if "embeddings" in top:
        rows: list[_Row] = decoded(top["embeddings"], list[_Row])
    elif "embedding" in top:
        rows = [decoded(top["embedding"], _Row)]
    else:
        raise UpstreamGarbage("The provider's answer has no embeddings.")
    used = as_obj(decode_json(top["usageMetadata"])) if "usageMetadata" in top else {}
    cut = decoded(top["truncated"], bool | None) if "truncated" in top else None
    usage = usage_of(used.pop("promptTokenCount", used.pop("totalTokenCount", None)))
    if usage is not None:
        used.pop("totalTokenCount", None)
        keep(usage, NAME, used)
    return Vectors(
        vectors=[vector_of(row.values, as_obj(row.statistics), NAME, cut) for row in rows],
        usage=usage,
        extras=kept(top, NAME, _KNOWN),
    )


def vector_of(values: Raw, statistics: Json, name: str, cut: bool | None = None) -> Vector:
    """A vector and what Vertex tells of its input."""
    truncated = statistics.pop("truncated", cut)
    vector = Vector(
        data=values,
        tokens=as_count(statistics.pop("token_count", statistics.pop("tokenCount", None))),
        truncated=truncated if type(truncated) is bool else None,
    )
    keep_in(vector, name, "statistics", statistics)
    return vector


def format_response(answer: Vectors, request: Embedding, lose: Lose) -> Json:
    single = note(request, NAME, "~single") is not None
    told(answer, NAME, lose, cuts=single)
    rows: list[Json] = [{"values": as_floats(vector.data)} for vector in answer.vectors]
    out: Json = {"embedding": rows[0]} if single else {"embeddings": rows}
    if single and answer.vectors[0].truncated is not None:
        out["truncated"] = answer.vectors[0].truncated
    if answer.usage is not None and answer.usage.input is not None:
        out["usageMetadata"] = {"promptTokenCount": answer.usage.input, **answer.usage.extras.get(NAME, {})}
    return written(out, answer, NAME)


def field_path(path: str, request: Embedding) -> str:
    """ "inputs[1].task" -> "requests[1].taskType"; what a batch shares is named in its first request."""
    single = note(request, NAME, "~single") is not None
    if path == "inputs":
        return "content" if single else "requests"
    head, rest = "", path
    if path.startswith("inputs["):
        head, _, rest = path.removeprefix("inputs").partition(".")
    elif path in _FIELDS:
        head = "[0]"
    name, bracket, inner = rest.partition("[")
    words = (_FIELDS.get(name, name) or "content") + bracket + inner
    return words if single or not head else f"requests{head}.{words}"
