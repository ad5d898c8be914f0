"""JSON Schema dialects. A schema is another's property: read, never changed; what is written is new.

JSON Schema 2020-12 is what the IR holds. Google's older dialect, a subset of OpenAPI 3.0 with types in capitals, is
written for hosts that know no other, each constraint it cannot say reported by its path, and read from clients that
speak it. Source: the SDK's types.Schema, ai.google.dev/api/caching#Schema.
"""

from collections.abc import Callable
from typing import Any, Final

from interlingua.ir import Json
from interlingua.protocols import Lose
from interlingua.protocols.wire import as_array, as_obj, as_text

_LIMIT: Final = 10_000  # schemas written for one; references that multiply end there
_DEPTH: Final = 64

# Step by step outwards: a path is spelled only where something is lost.
_Path = tuple[Any, str]

_SAME: Final = frozenset(
    "title description pattern default minItems maxItems minLength maxLength minProperties maxProperties minimum maximum"
    " example propertyOrdering nullable".split()
)
_SILENT: Final = frozenset("$schema $id $anchor $comment $defs definitions $ref ref defs type const enum".split())
_HANDLED: Final = frozenset(
    "properties required items anyOf oneOf allOf format exclusiveMinimum exclusiveMaximum examples".split()
)
_FORMATS: Final = {
    "STRING": ("date-time", "enum"),
    "INTEGER": ("int32", "int64"),
    "NUMBER": ("float", "double"),
}
_HINTS: Final = (
    ("OBJECT", ("properties", "required", "additionalProperties", "minProperties", "maxProperties", "patternProperties")),
    ("ARRAY", ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains")),
    ("STRING", ("minLength", "maxLength", "pattern", "format")),
    ("NUMBER", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)
# What a client may have spelled with underscores: this dialect's own keywords, never a property's name.
_CAMEL: Final = {
    "any_of": "anyOf",
    "max_items": "maxItems",
    "min_items": "minItems",
    "max_length": "maxLength",
    "min_length": "minLength",
    "max_properties": "maxProperties",
    "min_properties": "minProperties",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
}
_INT64: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def to_openapi(schema: Json, path: str, lose: Lose) -> Json:
    """The schema in Google's dialect: references put in place, one type each, values of an enum as strings."""
    return _Writer(schema, lose).write(schema, (None, path), ())


class _Writer:
    def __init__(self, root: Json, lose: Lose) -> None:
        self._root = root
        self._lose = lose
        self._count = 0

    def write(self, value: Any, path: _Path, inside: tuple[int, ...]) -> Json:
        """`inside`: the schemas that are being written around this one, by identity, so that recursion is seen."""
        self._count += 1
        if type(value) is not dict or not value:
            return self._anything(value, path)
        schema = as_obj(value)
        if id(schema) in inside or len(inside) >= _DEPTH or self._count > _LIMIT:
            self._report(path, "changed", "it contains itself, or too much; cut here")
            return {"type": "OBJECT"}
        inside = (*inside, id(schema))
        if (pointer := schema.get("$ref", schema.get("ref"))) is not None:
            return self._follow(schema, pointer, path, inside)
        if "allOf" in schema:
            return self.write(self._merged(schema, path), path, inside)
        return self._kinds(schema, path, inside)

    def _report(self, path: _Path, how: Any, why: str) -> None:
        steps: list[str] = []
        at: _Path | None = path
        while at is not None:
            steps.append(at[1])
            at = at[0]
        self._lose("".join(reversed(steps)), how, why)

    def _anything(self, value: Any, path: _Path) -> Json:
        if value is False:
            self._report(path, "changed", "Gemini has no schema that nothing meets")
        else:
            self._report(path, "changed", "Gemini wants a type; arrays are left out of those allowed")
        return {"anyOf": [{"type": kind} for kind in ("STRING", "NUMBER", "BOOLEAN", "OBJECT")], "nullable": True}

    def _follow(self, schema: Json, pointer: Any, path: _Path, inside: tuple[int, ...]) -> Json:
        found = self._resolve(pointer)
        if found is None:
            self._report((path, ".$ref"), "dropped", "it points outside the schema")
            return self._anything({}, path)
        beside = {key: value for key, value in schema.items() if key not in ("$ref", "ref", "$defs", "definitions", "defs")}
        if not beside:
            return self.write(found, path, inside)
        if id(found) in inside:
            return self.write(found, path, inside)
        return self.write({**found, **beside}, path, (*inside, id(found)))

    def _resolve(self, pointer: Any) -> Json | None:
        steps = (as_text(pointer) or "").split("/")
        at: Any = self._root
        if steps[0] != "#":
            return as_obj(as_obj(self._root.get("defs")).get(steps[0])) or None
        for step in steps[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            listed = as_array(at)
            index = int(step) if step.isascii() and step.isdigit() and len(step) < 6 else -1
            at = listed[index] if 0 <= index < len(listed) else as_obj(at).get(step)
        return as_obj(at) or None

    def _merged(self, schema: Json, path: _Path) -> Json:
        """allOf as one schema: properties and required are joined, of the rest the first word counts."""
        out = {key: value for key, value in schema.items() if key != "allOf"}
        for k, item in enumerate(as_array(schema["allOf"])):
            branch = as_obj(item)
            for _ in range(_DEPTH):
                if (pointer := branch.get("$ref")) is None:
                    break
                branch = {**(self._resolve(pointer) or {}), **{key: v for key, v in branch.items() if key != "$ref"}}
            for key, value in branch.items():
                if key == "properties":
                    out[key] = {**as_obj(value), **as_obj(out.get(key))}
                elif key in ("required", "allOf"):
                    out[key] = [*as_array(out.get(key)), *(v for v in as_array(value) if v not in as_array(out.get(key)))]
                elif out.setdefault(key, value) != value:
                    self._report(
                        (path, f".allOf[{k}].{key}"), "dropped", "Gemini has no allOf, and another branch says otherwise"
                    )
        return out

    def _kinds(self, schema: Json, path: _Path, inside: tuple[int, ...]) -> Json:
        """Its types, one schema each; null is "nullable"."""
        kinds = [kind.upper() for kind in _types(schema)]
        nullable = "NULL" in kinds or schema.get("nullable") is True
        kinds = [kind for kind in kinds if kind != "NULL"]
        branches = [*as_array(schema.get("anyOf")), *as_array(schema.get("oneOf"))]
        if "oneOf" in schema and not _structured(schema) and len(as_array(schema["oneOf"])) > 1:
            self._report((path, ".oneOf"), "changed", "Gemini has anyOf only")
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if branches and _structured(schema):
            keyword = "anyOf" if "anyOf" in schema else "oneOf"
            self._report((path, f".{keyword}"), "dropped", "Gemini takes nothing beside anyOf")
            plain = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
            return self._kinds(plain, path, inside)
        out: Json
        if branches:
            out = self._any_of(schema, branches, path, inside)
        elif type(values) is list:
            out = self._enum(as_array(values), schema, path)
            nullable = nullable or None in as_array(values)
        elif len(kinds) > 1:
            out = {"anyOf": [self._one(schema, kind, path, inside) for kind in kinds]}
        elif kinds:
            out = self._one(schema, kinds[0], path, inside)
        elif nullable:
            out = {"type": "NULL"}
        else:
            self._constraints(schema, "", path, only_said=True)
            out = {**self._anything(schema, path), **_told(schema)}
        if nullable and out.get("type") != "NULL":
            out["nullable"] = True
        return out

    def _any_of(self, schema: Json, branches: list[Any], path: _Path, inside: tuple[int, ...]) -> Json:
        own = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf") and key not in _SILENT}
        written = [
            self.write(branch, (path, f".anyOf[{k}]"), inside)
            for k, branch in enumerate(branches)
            if as_obj(branch).get("type") != "null"
        ]
        out: Json = written[0] if len(written) == 1 else {"anyOf": written}
        if not written:
            return {"type": "NULL"}
        out = {**out, **_told(own)}
        if len(written) < len(branches):
            out["nullable"] = True
        for key in own:
            if key not in ("title", "description", "default", "nullable"):
                self._report((path, f".{key}"), "dropped", "Gemini takes nothing beside anyOf")
        return out

    def _enum(self, values: list[Any], schema: Json, path: _Path) -> Json:
        """Strings are an enum; a number is the range that holds it alone; truth values are both allowed."""
        found: list[Json] = []
        words = [value for value in values if type(value) is str]
        if words:
            found.append({"type": "STRING", "enum": words})
        for value in values:
            if type(value) is int or type(value) is float:
                kind = "INTEGER" if type(value) is int else "NUMBER"
                found.append({"type": kind, "minimum": value, "maximum": value})
        truths = [value for value in values if type(value) is bool]
        if truths:
            found.append({"type": "BOOLEAN"})
            if len(truths) == 1:
                self._report((path, ".enum"), "changed", "Gemini has no enum of truth values")
        if any(type(value) in (dict, list) for value in values):
            self._report((path, ".enum"), "changed", "Gemini has no enum of objects or arrays")
            found.append({"type": "OBJECT"})
        out = {"type": "NULL"} if not found else found[0] if len(found) == 1 else {"anyOf": found}
        self._constraints(schema, "STRING" if words else "", path, only_said=True)
        return {**out, **_told(schema)}

    def _one(self, schema: Json, kind: str, path: _Path, inside: tuple[int, ...]) -> Json:
        out: Json = {"type": kind, **_told(schema)}
        out.update(self._constraints(schema, kind, path, only_said=False))
        if kind == "OBJECT" and (properties := as_obj(schema.get("properties"))):
            out["properties"] = {
                name: self.write(inner, (path, f".properties.{name}"), inside) for name, inner in properties.items()
            }
            if required := [name for name in as_array(schema.get("required")) if name in properties]:
                out["required"] = required
        elif kind == "ARRAY":
            out["items"] = self.write(schema.get("items", {}), (path, ".items"), inside)
        return out

    def _constraints(self, schema: Json, kind: str, path: _Path, only_said: bool) -> Json:
        """The constraints that the dialect has, each under its name; the others are reported. `only_said`: beside an
        enum, whose values say all."""
        out: Json = {}
        for key, value in schema.items():
            if key in _SAME or key in _SILENT:
                if key in _SAME and not only_said and key != "nullable":
                    out.setdefault(key, value)
            elif key == "format":
                if value in _FORMATS.get(kind, ()):
                    out[key] = value
                else:
                    self._report((path, ".format"), "dropped", f"Gemini knows no format {value}")
            elif key in ("exclusiveMinimum", "exclusiveMaximum"):
                self._bound(key, value, kind, schema, path, out)
            elif key == "examples":
                if listed := as_array(value):
                    out["example"] = listed[0]
                if len(as_array(value)) > 1:
                    self._report((path, ".examples"), "changed", "Gemini takes one example")
            elif key == "required":
                self._required(schema, path)
            elif key not in _HANDLED and not (key == "additionalProperties" and value is True):
                self._report((path, f".{key}"), "dropped", f"Gemini's schemas have no {key}")
        return out

    def _required(self, schema: Json, path: _Path) -> None:
        if any(name not in as_obj(schema.get("properties")) for name in as_array(schema["required"])):
            self._report((path, ".required"), "changed", "Gemini wants only properties that are described")

    def _bound(self, key: str, value: Any, kind: str, schema: Json, path: _Path, out: Json) -> None:
        """An exclusive bound: of integers the next one, of other numbers the bound itself."""
        plain = "minimum" if key == "exclusiveMinimum" else "maximum"
        if type(value) not in (int, float) or (plain in schema and type(schema[plain]) not in (int, float)):
            self._report((path, f".{key}"), "dropped", "it is no number")
            return
        exact = kind == "INTEGER" and float(value).is_integer()
        bound = int(value) + (1 if plain == "minimum" else -1) if exact else value
        pick: Callable[[Any, Any], Any] = max if plain == "minimum" else min
        out[plain] = pick(bound, schema[plain]) if plain in schema else bound
        if not exact:
            self._report((path, f".{key}"), "changed", "Gemini's bounds are inclusive")


def _structured(schema: Json) -> bool:
    return "properties" in schema or "items" in schema


def _told(schema: Json) -> Json:
    return {key: schema[key] for key in ("title", "description", "default") if key in schema}


def _types(schema: Json) -> list[str]:
    """The types a schema says, or those that its constraints are for."""
    said = schema.get("type")
    if type(said) is str:
        return [said]
    if said is not None:
        return [kind for kind in as_array(said) if type(kind) is str]
    return [kind for kind, keys in _HINTS if any(key in schema for key in keys)][:1]


# Reading


def from_openapi(schema: Json) -> Json:
    """A schema in Google's dialect as JSON Schema 2020-12: types in small letters, null as a type, bounds as numbers."""
    return _read(schema)


def _read(value: Any) -> Any:
    if type(value) is not dict:
        return value
    out: Json = {}
    nullable = False
    for key, inner in as_obj(value).items():
        key = _CAMEL.get(key, key)
        if inner is None and key not in ("default", "const"):
            continue
        if key == "nullable":
            nullable = inner is True
        elif key == "type" and type(inner) is str:
            if inner != "TYPE_UNSPECIFIED":
                out[key] = inner.lower()
        elif key in _INT64 and type(inner) is str and inner.isascii() and inner.isdigit() and len(inner) < 20:
            out[key] = int(inner)
        elif key == "format" and inner == "enum":
            continue
        elif key == "example":
            out["examples"] = [inner]
        elif key == "ref":
            out["$ref"] = inner.replace("#/defs/", "#/$defs/", 1) if type(inner) is str else inner
        else:
            out["$defs" if key == "defs" else key] = _read_inner(key, inner)
    return _nullable(out) if nullable else out


def _read_inner(key: str, inner: Any) -> Any:
    if key in ("properties", "defs", "$defs") and type(inner) is dict:
        return {name: _read(schema) for name, schema in as_obj(inner).items()}
    if key in ("anyOf", "oneOf", "allOf", "prefixItems") and type(inner) is list:
        return [_read(schema) for schema in as_array(inner)]
    return _read(inner) if key in ("items", "additionalProperties", "not") else inner


def _nullable(out: Json) -> Json:
    if type(out.get("type")) is str:
        out["type"] = [out["type"], "null"]
        if "enum" in out and None not in as_array(out["enum"]):
            out["enum"] = [*as_array(out["enum"]), None]
    elif "anyOf" in out:
        out["anyOf"] = [*as_array(out["anyOf"]), {"type": "null"}]
    return out
