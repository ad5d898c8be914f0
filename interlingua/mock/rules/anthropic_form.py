"""The JSON Schemas that Anthropic can hold a model to: closed objects, and none of the constraints its grammars lack."""

from typing import Any, Final

from interlingua.mock.wire import a_list, an_object, bad

_LACKS: Final[dict[str, tuple[str, ...]]] = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
}


def closed_form(schema: Any, where: str) -> None:
    """Raises a Refusal that names the first place at fault."""
    node = an_object(schema)
    kind = node.get("type")
    if kind == "object" and node.get("additionalProperties") is not False:
        raise bad(f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    kinds: list[Any] = a_list(kind) or [kind]
    for name in kinds:
        found = [keyword for keyword in _LACKS.get(str(name), ()) if keyword in node]
        if found:
            raise bad(f"{where}: For '{name}' type, properties {', '.join(found)} are not supported")
    if node.get("minItems", 0) not in (0, 1):
        raise bad(f"{where}: For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    for keyword in ("properties", "$defs", "definitions"):
        for name, child in an_object(node.get(keyword)).items():
            closed_form(child, f"{where}.{keyword}.{name}")
    for keyword in ("anyOf", "allOf"):
        for number, child in enumerate(a_list(node.get(keyword))):
            closed_form(child, f"{where}.{keyword}.{number}")
    if "items" in node:
        closed_form(node["items"], f"{where}.items")
