"""Reading a client's JSON by hand: each reader returns the value or raises InvalidRequest naming the field."""

from base64 import b64encode
from typing import Any, Final, TypeGuard

import msgspec

from interlingua.errors import InvalidRequest
from interlingua.ir import AnyPart, Json, Node, Text
from interlingua.protocols import Lose

OPENING: Final = "."  # what a user says where the assistant's words come first, and the provider wants the user's

encode_json = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode
_check_object = msgspec.json.Decoder(type("_Object", (msgspec.Struct,), {})).decode  # reads an object and keeps nothing of it


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
    if value.__class__ is not dict:
        raise InvalidRequest(f"{path} must be an object, not {said(value)}", param=path)
    return value


def array(value: Any, path: str) -> list[Any]:
    if value.__class__ is not list:
        raise InvalidRequest(f"{path} must be an array, not {said(value)}", param=path)
    return value


def as_obj(value: Any) -> Json:
    """The value where it is an object, else an empty one: for reading what may be there."""
    return value if value.__class__ is dict else {}


def as_array(value: Any) -> list[Any]:
    """The value where it is an array, else an empty one."""
    return value if value.__class__ is list else []


def as_text(value: Any) -> str | None:
    """The value where it is a string."""
    return value if type(value) is str else None


def as_count(value: Any) -> int | None:
    """The value where it is a whole number of 0 or more."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def take_count(d: Json, path: str, key: str) -> int | None:
    """Pops a whole number that may be missing; `path` is the object's."""
    value = d.pop(key, None)
    return value if value is None or type(value) is int else integer(value, f"{path}.{key}")


def texts(value: Any, path: str) -> list[str]:
    items = value if value.__class__ is list else array(value, path)
    if not _STRINGS.issuperset(map(type, items)):
        for i, item in enumerate(items):
            text(item, f"{path}[{i}]")
    return items


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
    if isinstance(value, str):
        return f"a string ({value!r})" if len(value) <= 40 else "a string"
    return _KINDS.get(value.__class__.__name__, "a number")


_STRINGS: Final = frozenset((str,))
_KINDS: Final = {"dict": "an object", "list": "an array", "NoneType": "null", "bool": "a boolean"}


def keep(node: Node, name: str, rest: Json) -> None:
    """What parsing did not know becomes the node's extras; nulls say nothing and are let go."""
    rest = {key: value for key, value in rest.items() if value is not None}
    if rest:
        node.extras = {**node.extras, name: {**node.extras.get(name, {}), **rest}}


def keep_in(node: Node, name: str, field: str, rest: Json) -> None:
    """As keep, for what stood inside the known object `field`, or "field[2]": as "field.key", so that losses name it whole."""
    keep(node, name, {f"{field}.{key}": value for key, value in rest.items()})


def merge(out: Json, node: Node, name: str) -> Json:
    """Writes the node's own extras of protocol `name` back, each into its object; spelling notes (`~`) stay out."""
    for key, value in node.extras.get(name, {}).items():
        field, dot, inner = key.partition(".")
        if dot and (held := _held(out, field)) is not None:
            place, bracket, last = inner.partition("].")
            within = _held(held, f"{place}]") if bracket else None  # "source.content[2].key": of a list within it
            if within is None:
                held[inner] = value
            else:
                within[last] = value
        elif key[:1] != "~":
            out[key] = value
    return out


def _held(out: Json, field: str) -> Json | None:
    """The object that `field` holds, or, as "field[2]", one of the list there."""
    if field[-1:] != "]":
        held: Any = out.get(field)
    else:
        name, _, place = field[:-1].partition("[")
        rows = as_array(out.get(name))
        held = rows[int(place)] if place.isdecimal() and len(place) < 8 and int(place) < len(rows) else None
    return held if held.__class__ is dict else None


def note(node: Node, name: str, key: str) -> Any:
    """A spelling note left by `name`'s parser, or None."""
    return node.extras[name].get(key) if name in node.extras else None


def foreign(node: Node, name: str, path: str, lose: Lose) -> None:
    """Reports every extra of another protocol. Call only where node.extras is not empty."""
    for origin, values in node.extras.items():
        if origin != name:
            for key in values:
                if key[:1] != "~":
                    lose(f"{path}.{key}" if path else key, "dropped", f"only {origin} has it")


def rename(path: str, names: dict[str, str]) -> str:
    """A path whose longest known beginning is put in other words: rename("stop[3]", {"stop": "stopSequences"})."""
    end = len(path)
    while end > 0:
        if (new := names.get(path[:end])) is not None:
            return new + path[end:]
        end = max(path.rfind(".", 0, end), path.rfind("[", 0, end))
    return path


def note_down(node: Node, name: str, key: str, value: Any = True) -> None:
    """Leaves a spelling note (`~key`) for `name`'s own formatter."""
    node.extras = {**node.extras, name: {**node.extras.get(name, {}), key: value}}


def is_json_object(raw: str) -> bool:
    """Whether a tool call's arguments are a whole JSON object."""
    try:
        _check_object(raw)
        return True
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False


def standard_base64(data: str) -> str:
    """Base64 in the standard alphabet; Google's SDK writes the URL-safe one."""
    return data.replace("-", "+").replace("_", "/") if "-" in data or "_" in data else data


def plain(part: AnyPart) -> TypeGuard[Text]:
    """Whether a part says nothing but its text."""
    return (
        type(part) is Text
        and not part.extras
        and not part.citations
        and not part.refusal
        and part.cache is part.signature is None
    )


def base64_of(words: str) -> str:
    return b64encode(words.encode()).decode()
