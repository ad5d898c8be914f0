"""The JSON Schema dialect of Claude's structured outputs and strict tools. The caller's schema is never changed.

Source: the SDK's lib/_parse/_transform.py. What the dialect refuses is left out and reported; the SDK instead writes it
into descriptions, which would be a sentence the client never wrote.
"""

from typing import Any, Final, cast

from interlingua.ir import Json
from interlingua.protocols import Lose
from interlingua.protocols.wire import as_array, as_obj

_FORMATS: Final = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
_SAID: Final = frozenset(("type", "title", "description", "required", "$ref"))  # carried as they are
_IDLE: Final = frozenset(("$schema", "$comment", "additionalProperties"))  # tell nothing of the value, or are seen to apart
_MAPS: Final = ("properties", "$defs", "definitions")
_DEEPEST: Final = 100


def dialect(schema: Json, path: str, lose: Lose, depth: int = 0) -> Json:
    """`schema` without what Anthropic refuses; each keyword left out is lost under `path`."""
    if depth > _DEEPEST:
        lose(path, "dropped", "nested too deep")
        return {}
    if "$ref" in schema and "$defs" not in schema and "definitions" not in schema:
        for key in schema.keys() - {"$ref"}:
            lose(f"{path}.{key}", "dropped", "nothing may stand beside a $ref")
        return {"$ref": schema["$ref"]}
    out: Json = {}
    for key, value in schema.items():
        if key in _SAID or _allowed(key, value):
            out[key] = value
        elif key in _MAPS:
            out[key] = {name: _inner(inner, f"{path}.{key}.{name}", lose, depth) for name, inner in as_obj(value).items()}
        elif key in ("anyOf", "allOf") or (key == "oneOf" and "anyOf" not in schema):
            if key == "oneOf":
                lose(f"{path}.oneOf", "changed", "read as anyOf")
            found = [_inner(inner, f"{path}.{key}[{i}]", lose, depth) for i, inner in enumerate(as_array(value))]
            out["anyOf" if key == "oneOf" else key] = found
        elif key == "items":
            out[key] = _inner(value, f"{path}.items", lose, depth)
        elif key not in _IDLE:
            lose(f"{path}.{key}", "dropped", "Anthropic's structured outputs have no such keyword")
    if out.get("type") == "object" or "object" in as_array(out.get("type")):
        _close(schema, out, path, lose)
    return out


def _close(schema: Json, out: Json, path: str, lose: Lose) -> None:
    """An object must say that it has no more properties than those named."""
    if schema.get("additionalProperties", False) is not False:
        lose(f"{path}.additionalProperties", "changed", "an object's properties must all be named")
    out.setdefault("properties", {})
    out["additionalProperties"] = False


def _inner(value: Any, path: str, lose: Lose, depth: int) -> Any:
    return dialect(cast(Json, value), path, lose, depth + 1) if type(value) is dict else value


def _allowed(key: str, value: Any) -> bool:
    match key:
        case "enum":
            return bool(as_array(value)) and all(_primitive(item) for item in as_array(value))
        case "const":
            return _primitive(value)
        case "format":
            return type(value) is str and value in _FORMATS
        case "minItems":
            return type(value) is int and value in (0, 1)
        case _:
            return False


def _primitive(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
