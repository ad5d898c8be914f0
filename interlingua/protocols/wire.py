"""Reading a client's JSON by hand: each reader returns the value or raises InvalidRequest naming the field."""

from typing import Any, cast

import msgspec

from interlingua.errors import InvalidRequest
from interlingua.ir import Json, Node
from interlingua.protocols import Lose

encode_json = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode


def text(value: Any, path: str) -> str:
    if type(value) is not str:
        raise InvalidRequest(f"{path} must be a string, not {said(value)}", param=path)
    return value


def number(value: Any, path: str) -> float:
    if type(value) is not float and type(value) is not int:
        raise InvalidRequest(f"{path} must be a number, not {said(value)}", param=path)
    return value


def integer(value: Any, path: str) -> int:
    """Takes 4.0 for 4, as Google's own SDK writes it."""
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise InvalidRequest(f"{path} must be an integer, not {said(value)}", param=path)
    return value


def boolean(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise InvalidRequest(f"{path} must be true or false, not {said(value)}", param=path)
    return value


def obj(value: Any, path: str) -> Json:
    if type(value) is not dict:
        raise InvalidRequest(f"{path} must be an object, not {said(value)}", param=path)
    return cast(Json, value)


def array(value: Any, path: str) -> list[Any]:
    if type(value) is not list:
        raise InvalidRequest(f"{path} must be an array, not {said(value)}", param=path)
    return cast("list[Any]", value)


def texts(value: Any, path: str) -> list[str]:
    return [text(item, f"{path}[{i}]") for i, item in enumerate(array(value, path))]


def choice(value: Any, path: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidRequest(f"{path} must be one of {', '.join(allowed)}, not {said(value)}", param=path)
    return value


def need(d: Json, key: str, path: str) -> Any:
    """Pops a field that must be there; `path` is the field's own."""
    value = d.pop(key, None)
    if value is None:
        raise InvalidRequest(f"{path} is required", param=path)
    return value


def said(value: Any) -> str:
    """A value as an error may quote it: its kind, and itself where that is short and safe."""
    kind = {dict: "an object", list: "an array", type(None): "null", bool: "a boolean", str: "a string"}.get(type(value), "a number")
    return f"{kind} ({value!r})" if isinstance(value, str) and len(value) <= 40 else kind


def keep(node: Node, name: str, rest: Json) -> None:
    """What parsing did not know becomes the node's extras; nulls say nothing and are let go."""
    rest = {key: value for key, value in rest.items() if value is not None}
    if rest:
        node.extras = {**node.extras, name: {**node.extras.get(name, {}), **rest}}


def merge(out: Json, node: Node, name: str) -> Json:
    """Writes the node's own extras of protocol `name` back; spelling notes (`~`) stay out."""
    mine = node.extras.get(name)
    if mine:
        for key, value in mine.items():
            if key[0] != "~":
                out[key] = value
    return out


def note(node: Node, name: str, key: str) -> Any:
    """A spelling note left by `name`'s parser, or None."""
    return node.extras[name].get(key) if name in node.extras else None


def foreign(node: Node, name: str, path: str, lose: Lose) -> None:
    """Reports every extra of another protocol. Call only where node.extras is not empty."""
    for origin, values in node.extras.items():
        if origin != name:
            for key in values:
                if key[0] != "~":
                    lose(f"{path}.{key}" if path else key, "dropped", f"only {origin} has it")


def is_json_object(raw: str) -> bool:
    """Whether a tool call's arguments are a whole JSON object."""
    try:
        return type(decode_json(raw)) is dict
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
