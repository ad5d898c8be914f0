"""Bedrock's part of the mock's structural truth: botocore's service model as JSON Schema. Names, types and limits, no prose."""

from importlib import import_module
from typing import Any, Final

Json = dict[str, Any]

ROOTS: Final = ("ConverseRequest", "ConverseStreamRequest")
_SCALARS: Final = {
    "string": "string",
    "boolean": "boolean",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
}
_LIMITS: Final = {
    "string": ("minLength", "maxLength"),
    "list": ("minItems", "maxItems"),
    "map": ("minProperties", "maxProperties"),
    "integer": ("minimum", "maximum"),
    "long": ("minimum", "maximum"),
    "float": ("minimum", "maximum"),
    "double": ("minimum", "maximum"),
}


def bedrock(draft: str) -> Json:
    """Both requests' bodies: what stands in the path is left out."""
    model: Json = import_module("botocore.loaders").Loader().load_service_model("bedrock-runtime", "service-2")
    defs: Json = {}
    for root in ROOTS:
        _define(root, model["shapes"], defs)
    return {"$schema": draft, "$ref": f"#/$defs/{ROOTS[0]}", "$defs": dict(sorted(defs.items()))}


def _define(name: str, shapes: Json, defs: Json) -> None:
    if name not in defs:
        defs[name] = {}
        defs[name] = _schema(shapes[name], shapes, defs)


def _schema(shape: Json, shapes: Json, defs: Json) -> Json:
    kind: str = shape["type"]
    if kind == "structure":
        return {} if shape.get("document") else _structure(shape, shapes, defs)
    if kind == "blob":
        return {"type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$", "contentEncoding": "base64"}
    out: Json = {"type": {"list": "array", "map": "object"}.get(kind) or _SCALARS[kind]}
    for limit, keyword in zip(("min", "max"), _LIMITS.get(kind, ()), strict=False):
        if limit in shape:
            out[keyword] = shape[limit]
    if "enum" in shape:
        out["enum"] = shape["enum"]
    if "pattern" in shape:
        out["pattern"] = f"^(?:{shape['pattern']})$"
    if kind == "list":
        out["items"] = _ref(shape["member"], shapes, defs)
    if kind == "map":
        out["additionalProperties"] = _ref(shape["value"], shapes, defs)
    return out


def _structure(shape: Json, shapes: Json, defs: Json) -> Json:
    members: Json = {name: row for name, row in shape["members"].items() if row.get("location") != "uri"}
    out: Json = {"type": "object", "properties": {name: _ref(row, shapes, defs) for name, row in members.items()}}
    if required := [name for name in shape.get("required", []) if name in members]:
        out["required"] = required
    if shape.get("union"):
        out |= {"minProperties": 1, "maxProperties": 1}
    return {**out, "additionalProperties": False}


def _ref(row: Json, shapes: Json, defs: Json) -> Json:
    name: str = row["shape"]
    if shapes[name]["type"] == "structure":
        _define(name, shapes, defs)
        return {"$ref": f"#/$defs/{name}"}
    return _schema(shapes[name], shapes, defs)
