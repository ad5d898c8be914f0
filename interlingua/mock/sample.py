"""An instance of a JSON Schema: always the same one, and small. Tool arguments and structured output are made of it."""

import math
from typing import Any, Final

from interlingua.mock.wire import Json, a_list, an_object

_FORMATS: Final = {
    "date": "2026-11-21",
    "date-time": "2026-11-21T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000001",
}
_DEPTH: Final = 12  # of required properties
_SHALLOW: Final = 4  # of optional ones
_BUDGET: Final = 1000  # values in all: a schema may ask for more than there is room for
_COUNT: Final = 100
_LENGTH: Final = 10_000


def sample(schema: Json, *, optional: bool = False) -> Any:
    """A value of the schema; whatever the schema is, a value. `optional`: objects get their optional properties too."""
    return _Sampler(schema, optional).value(schema, "value", 0)


class _Sampler:
    def __init__(self, root: Json, optional: bool) -> None:
        self.root = root
        self.optional = optional
        self.left = _BUDGET

    def value(self, schema: Any, name: str, depth: int) -> Any:
        self.left -= 1
        if depth > _DEPTH or self.left < 0:
            return None
        node = self.resolved(an_object(schema))
        for keyword in ("const", "default"):
            if keyword in node:
                return node[keyword]
        for keyword in ("enum", "examples"):
            if values := a_list(node.get(keyword)):
                return values[0]
        for keyword in ("anyOf", "oneOf"):
            if choices := a_list(node.get(keyword)):
                return self.value(choices[0], name, depth + 1)
        kind = _kind(node)
        if kind == "object":
            return self.object(node, depth)
        if kind == "array":
            count = int(_number(node, "minItems", 1, _COUNT))
            return [self.value(node.get("items"), name, depth + 1) for _ in range(count)]
        return _scalar(kind, node, name)

    def object(self, node: Json, depth: int) -> Json:
        properties, required = an_object(node.get("properties")), [str(name) for name in a_list(node.get("required"))]
        optional = self.optional and depth < _SHALLOW
        names = [name for name in properties if optional or name in required]
        names += [name for name in required if name not in properties]
        return {name: self.value(properties.get(name), name, depth + 1) for name in names}

    def resolved(self, node: Json) -> Json:
        """References followed, `allOf` joined."""
        for _ in range(_DEPTH):
            ref = node.get("$ref") or node.get("ref")
            if not isinstance(ref, str):
                break
            node = {**self.follow(ref), **{key: value for key, value in node.items() if key not in ("$ref", "ref")}}
        for part in map(an_object, a_list(node.get("allOf"))):
            joined = {**an_object(node.get("properties")), **an_object(part.get("properties"))}
            required = [*a_list(node.get("required")), *a_list(part.get("required"))]
            node = {**part, **node, "properties": joined, "required": required}
        return node

    def follow(self, ref: str) -> Json:
        target: Any = self.root
        for step in ref.removeprefix("#").strip("/").split("/"):
            target = an_object(target).get(step.replace("~1", "/").replace("~0", "~"))
        return an_object(target)


def _kind(node: Json) -> str:
    """The JSON type in lower case (Gemini writes it in upper case); a guess where none is given."""
    kind = node.get("type")
    kinds = [name for name in (a_list(kind) or [kind]) if isinstance(name, str) and name != "null"]
    if kinds:
        return str(kinds[0]).lower()
    return (
        "null" if kind in ("null", ["null"]) else "object" if "properties" in node else "array" if "items" in node else "string"
    )


def _scalar(kind: str, node: Json, name: str) -> Any:
    if kind == "integer":
        return int(_least(node, 1))
    if kind == "number":
        return _least(node, 1.5)
    if kind in ("boolean", "null"):
        return True if kind == "boolean" else None
    text = _FORMATS.get(str(node.get("format")), f"mock {name}").ljust(int(_number(node, "minLength", 0, _LENGTH)), ".")
    return text[: int(_number(node, "maxLength", _LENGTH, _LENGTH))]


def _number(node: Json, keyword: str, usual: float, most: float) -> float:
    """A bound of a schema, from 0 to `most`; the usual where it gives none that is a number."""
    value = _real(node.get(keyword))
    return usual if value is None else min(max(value, 0), most)


def _real(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if good else None


def _least(node: Json, usual: float) -> float:
    """The usual number where it is allowed, else the nearest that is."""

    low, above, high, below = (_real(node.get(f"{name}imum")) for name in ("min", "exclusiveMin", "max", "exclusiveMax"))
    value = usual
    if low is not None:
        value = max(value, low)
    if above is not None and value <= above:
        value = above + 1
    if high is not None:
        value = min(value, high)
    if below is not None and value >= below:
        value = below - 1
    return value
