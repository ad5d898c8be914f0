"""Gemini's own dialect of schemas, an OpenAPI subset: what its keywords may say. Unknown keywords fail the structure before."""

from typing import Final

from interlingua.mock.wire import Json, a_list, an_object, bad

_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "STRING": ("enum", "date-time"),
    "NUMBER": ("float", "double"),
    "INTEGER": ("int32", "int64"),
}


def openapi(schema: Json, where: str) -> None:
    """Raises a Refusal that names the first place at fault."""
    told = f"* GenerateContentRequest.{where}"
    kind = str(schema.get("type", "")).upper()
    properties = an_object(schema.get("properties"))
    if kind == "OBJECT" and not properties:
        raise bad(f"{told}.properties: should be non-empty for OBJECT type", f"{where}.properties")
    if kind == "ARRAY" and "items" not in schema:
        raise bad(f"{told}.items: missing field.", f"{where}.items")
    if schema.get("enum") and kind not in ("STRING", ""):
        raise bad(f"{told}.enum: only allowed for STRING type", f"{where}.enum")
    if "" in a_list(schema.get("enum")):
        raise bad(f"{told}.enum: cannot be empty", f"{where}.enum")
    form = schema.get("format")
    if form and kind in _FORMATS and form not in _FORMATS[kind]:
        raise bad(
            f"{told}.format: only {' and '.join(map(repr, _FORMATS[kind]))} are supported for {kind} type", f"{where}.format"
        )
    for number, name in enumerate(a_list(schema.get("required"))):
        if name not in properties:
            raise bad(f"{told}.required[{number}]: property is not defined", f"{where}.required[{number}]")
    for name, child in properties.items():
        openapi(child, f"{where}.properties[{name}]")
    for number, child in enumerate(a_list(schema.get("anyOf"))):
        openapi(child, f"{where}.any_of[{number}]")
    if "items" in schema:
        openapi(schema["items"], f"{where}.items")
