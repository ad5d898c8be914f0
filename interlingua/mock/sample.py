"""An instance of a JSON Schema: always the same one, and small. Tool arguments and structured output are made of it."""

from typing import Any, Final, cast

from interlingua.mock.wire import Json

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
_DEPTH: Final = 12


def sample(schema: Json, *, optional: bool = False, name: str = "value") -> Any:
    """A value of the schema. `optional`: objects get their optional properties too. Recursion ends at a depth of 12."""
    return _value(schema, schema, name, optional, 0)


def _value(schema: Any, root: Json, name: str, optional: bool, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEPTH:
        return None if depth > _DEPTH else f"mock {name}"
    node = _resolved(cast(Json, schema), root)
    for keyword in ("const", "default"):
        if keyword in node:
            return node[keyword]
    for keyword in ("enum", "examples"):
        if node.get(keyword):
            return node[keyword][0]
    for keyword in ("anyOf", "oneOf"):
        if node.get(keyword):
            return _value(node[keyword][0], root, name, optional, depth + 1)
    kind = _kind(node)
    if kind == "object":
        return _object(node, root, optional, depth)
    if kind == "array":
        count = max(int(node.get("minItems", 1)), 0)
        return [_value(node.get("items", {}), root, name, optional, depth + 1) for _ in range(count)]
    return _scalar(kind, node, name)


def _resolved(node: Json, root: Json) -> Json:
    """References followed, `allOf` joined."""
    for _ in range(_DEPTH):
        ref = node.get("$ref") or node.get("ref")
        if not isinstance(ref, str):
            break
        node = {**_follow(ref, root), **{key: value for key, value in node.items() if key not in ("$ref", "ref")}}
    for part in cast(list[Json], node.get("allOf") or []):
        more = _resolved(part, root)
        joined = {**node.get("properties", {}), **more.get("properties", {})}
        required = [*node.get("required", []), *more.get("required", [])]
        node = {**more, **node, "properties": joined, "required": required}
    return node


def _follow(ref: str, root: Json) -> Json:
    target: Any = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        target = (
            cast(Json, target).get(step.replace("~1", "/").replace("~0", "~")) if step and isinstance(target, dict) else target
        )
    return cast(Json, target) if isinstance(target, dict) and target is not root else {}


def _kind(node: Json) -> str:
    """The JSON type in lower case (Gemini writes it in upper case); a guess where none is given."""
    kind = node.get("type")
    if isinstance(kind, list):
        kind = next((item for item in cast(list[str], kind) if item != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    return "object" if "properties" in node else "array" if "items" in node else "string"


def _object(node: Json, root: Json, optional: bool, depth: int) -> Json:
    properties: Json = node.get("properties") or {}
    required: list[str] = node.get("required") or []
    names = list(properties) if optional else [name for name in properties if name in required]
    names += [name for name in required if name not in properties]
    return {name: _value(properties.get(name, {}), root, name, optional, depth + 1) for name in names}


def _scalar(kind: str, node: Json, name: str) -> Any:
    if kind == "integer":
        return int(_least(node, 1))
    if kind == "number":
        return _least(node, 1.5)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    text = _FORMATS.get(str(node.get("format")), f"mock {name}")
    longest = node.get("maxLength")
    text = text.ljust(int(node.get("minLength", 0)), ".")
    return text[: int(longest)] if longest is not None else text


def _least(node: Json, usual: float) -> float:
    """The usual number where it is allowed, else the nearest that is."""
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    value = usual
    if low is not None and value < low:
        value = low
    if isinstance(above, int | float) and not isinstance(above, bool) and value <= above:
        value = above + 1
    if high is not None and value > high:
        value = high
    if isinstance(below, int | float) and not isinstance(below, bool) and value >= below:
        value = below - 1
    return value
