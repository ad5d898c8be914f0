"""Structure: a body against its vendor's JSON Schema. One violation is told, the plainest, with its exact path."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any, Final, Literal, cast

import msgspec
from msgspec import Struct

from interlingua.mock.wire import Json

Kind = Literal["unknown", "missing", "type", "value"]
Step = str | int
_JSON_TYPES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (dict, "object"),
    (list, "array"),
)
_ORDER: Final[dict[str, Kind]] = {"additionalProperties": "unknown", "required": "missing", "type": "type"}


class Violation(Struct, frozen=True):
    """`path` leads to the field at fault, itself included. `wanted`: JSON types, or allowed values."""

    kind: Kind
    path: tuple[Step, ...]
    wanted: tuple[str, ...] = ()
    got: Any = None

    @property
    def dotted(self) -> str:
        """messages.0.content"""
        return ".".join(str(step) for step in self.path)

    @property
    def indexed(self) -> str:
        """messages[0].content"""
        return indexed(self.path)

    @property
    def name(self) -> str:
        return str(self.path[-1])


def indexed(path: tuple[Step, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def json_type(value: Any) -> str:
    """The JSON name of a value's type."""
    for kind, name in _JSON_TYPES:
        if isinstance(value, kind):
            return name
    return "null"


@cache
def document(name: str) -> Json:
    """A schema file of this package."""
    return msgspec.json.decode((files("interlingua.mock") / "schemas" / f"{name}.json").read_bytes())


@cache
def _validator(name: str, definition: str | None) -> Any:
    """Imported when first needed: the library takes longer to load than the rest of the mock."""
    schema = document(name)
    if definition:
        schema = {**schema, "$ref": f"#/$defs/{definition}"}
    validators = import_module("jsonschema.validators")
    ours = {"discriminator": _discriminator, "x-by-type": _by_type}
    return validators.extend(validators.Draft202012Validator, ours)(schema)


def _discriminator(validator: Any, rule: Json, instance: Any, _: Json) -> Iterator[Any]:
    """OpenAPI's keyword: the value of one field names the schema. The empty name is for a field left out, or null."""
    if isinstance(instance, dict):
        value = cast(Json, instance).get(rule["propertyName"]) or ""
        if isinstance(value, str) and (ref := rule["mapping"].get(value)):
            yield from validator.descend(instance, {"$ref": ref})


def _by_type(validator: Any, rule: Json, instance: Any, _: Json) -> Iterator[Any]:
    """The schema for the JSON type that the value has."""
    if schema := rule.get(json_type(instance)):
        yield from validator.descend(instance, schema)


def violation(name: str, body: Json, definition: str | None = None) -> Violation | None:
    """What is wrong with the body, or None. `name` is a schema file, `definition` one of its parts instead of the whole."""
    found = [_violation(error) for error in _errors(name, body, definition)]
    return min(found, key=lambda row: (_known_first(row), len(row.path)), default=None)


def _errors(name: str, body: Json, definition: str | None) -> Iterator[Any]:
    yield from _validator(name, definition).iter_errors(body)


def _known_first(row: Violation) -> int:
    return {"unknown": 0, "missing": 1, "type": 2, "value": 3}[row.kind]


def _violation(error: Any) -> Violation:
    path = cast(tuple[Step, ...], tuple(error.absolute_path))
    kind = _ORDER.get(error.validator, "value")
    if kind == "unknown":
        return Violation(kind, (*path, _stranger(error)))
    if kind == "missing":
        return Violation(kind, (*path, next(name for name in error.validator_value if name not in error.instance)))
    allowed: Any = error.validator_value
    wanted = cast(list[Any], allowed) if isinstance(allowed, list) else [allowed]
    return Violation(kind, path, tuple(str(value) for value in wanted if value is not None), error.instance)


def _stranger(error: Any) -> str:
    known: Json = error.schema.get("properties", {})
    return next(str(name) for name in error.instance if name not in known)


# Protocol-buffer JSON


_SNAKE: Final = re.compile(r"_([a-z0-9])")
_HUMP: Final = re.compile(r"([A-Z])")


def camel(name: str) -> str:
    return _SNAKE.sub(lambda match: match[1].upper(), name)


def snake(name: str) -> str:
    return _HUMP.sub(lambda match: "_" + match[1].lower(), name)


def normal(name: str, value: Any, schema: Json | None = None) -> Any:
    """The body as protocol-buffer JSON is read: field names in either case, null as absent, numbers in quotes as numbers."""
    defs: Json = document(name)["$defs"]
    schema = document(name) if schema is None else schema
    if "$ref" in schema:
        schema = cast(Json, defs[schema["$ref"].rsplit("/", 1)[-1]])
    if isinstance(value, dict):
        return _normal_object(name, cast(Json, value), schema)
    if isinstance(value, list):
        return [normal(name, item, schema.get("items", {})) for item in cast(list[Any], value)]
    return _number(value) if isinstance(value, str) and isinstance(schema.get("type"), list) else value


def _normal_object(name: str, value: Json, schema: Json) -> Json:
    known: Json | None = schema.get("properties")
    inner: Any = schema.get("additionalProperties")
    if known is None:  # a map from names to schemas, or anything at all
        return {key: normal(name, item, cast(Json, inner)) for key, item in value.items()} if isinstance(inner, dict) else value
    out: Json = {}
    for key, item in value.items():
        field = key if key in known else camel(key) if camel(key) in known else key
        if item is not None or field not in known:
            out[field] = normal(name, item, known.get(field, {}))
    return out


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
