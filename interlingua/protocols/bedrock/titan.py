"""Amazon Titan Text Embeddings by InvokeModel, one text a request. G1 (v1) takes the text alone.

Source: the Bedrock user guide, "Amazon Titan Embeddings G1 - Text" (requests and answers of G1 and V2).
"""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Raw

from interlingua.embeddings import FLOATS, Embedding, Item, Vector, Vectors, as_floats
from interlingua.errors import UpstreamGarbage
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
    words,
    written,
)
from interlingua.protocols.wire import decode_json, integer, keep, need, rename, text, texts

NAME: Final = "titan"
PROTOCOL: Final = "bedrock"
_KNOWN: Final = frozenset(("embedding", "inputTextTokenCount", "embeddingsByType"))
_FIELDS: Final = {"inputs": "inputText", "inputs[0]": "inputText", "types": "embeddingTypes"}
_FIRST: Final = re.compile(r"titan-embed-(text-v1|g1)")


def parse_request(body: Json, model: str | None = None) -> Embedding:
    item = Item(text=text(need(body, "inputText", "inputText"), "inputText"))
    request = Embedding(model=model or "", messages=[], wire=NAME, inputs=[item])
    if (size := body.pop("dimensions", None)) is not None:
        request.dimensions = integer(size, "dimensions")
    if (types := body.pop("embeddingTypes", None)) is not None:
        request.types = [kind if kind == FLOATS else f"{NAME}.{kind}" for kind in texts(types, "embeddingTypes")]
        if FLOATS not in request.types:
            request.types.append(FLOATS)  # `embedding` is always told
    keep(request, NAME, body)
    return request


def format_request(request: Embedding, goal: Goal, lose: Lose) -> list[Json]:
    drop_foreign(request, NAME, lose)
    drop(request, lose, "Titan", "user", "task", "title", "truncate")
    own = [kind for kind in types_of(request, NAME, lose) if kind != FLOATS]
    out: Json = {}
    if _FIRST.search(goal.model):
        drop(request, lose, "Titan G1", "dimensions")
        for i, kind in enumerate(request.types):
            if kind.startswith(f"{NAME}."):
                lose(f"types[{i}]", "dropped", "Titan G1 gives floats")
        for key in request.extras.get(NAME, {}):
            lose(key, "dropped", "Titan G1 takes the text alone")
    else:
        if request.dimensions is not None:
            out["dimensions"] = request.dimensions
        if own:
            out["embeddingTypes"] = [FLOATS, *own]
        out = written(out, request, NAME)
    return [{"inputText": said, **out} for said in words(request, "Titan", lose)]


def parse_response(body: bytes, headers: Mapping[str, str]) -> Vectors:
    top = top_of(body)
    kinds: dict[str, Raw] = decoded(top["embeddingsByType"], dict[str, Raw]) if "embeddingsByType" in top else {}
    data = top.get("embedding") or kinds.get(FLOATS)
    if data is None:
        raise UpstreamGarbage("The provider's answer has no embedding.")
    usage = usage_of(decode_json(top["inputTextTokenCount"])) if "inputTextTokenCount" in top else None
    return Vectors(
        vectors=[Vector(data=data, tokens=usage and usage.input)],
        others={f"{NAME}.{kind}": [raw] for kind, raw in kinds.items() if kind != FLOATS},
        usage=usage,
        extras=kept(top, NAME, _KNOWN),
    )


def format_response(answer: Vectors, request: Embedding, lose: Lose) -> Json:
    told(answer, NAME, lose)
    floats = as_floats(answer.vectors[0].data)
    kinds = {kind.removeprefix(f"{NAME}."): rows[0] for kind, rows in answer.others.items() if kind.startswith(f"{NAME}.")}
    out: Json = {"embedding": floats, "embeddingsByType": {FLOATS: floats, **kinds}}
    if answer.usage is not None and answer.usage.input is not None:
        out["inputTextTokenCount"] = answer.usage.input
    return written(out, answer, NAME)


def field_path(path: str, request: Embedding) -> str:
    return rename(path, _FIELDS)
