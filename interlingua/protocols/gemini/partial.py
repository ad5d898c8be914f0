"""A call whose arguments come in pieces. Source: the SDK's FunctionCall.partial_args and PartialArg; RFC 9535 for paths.

A piece says where in the arguments it belongs ("$.foo.bar[0].data") and a value; a string may come in several.
"""

import re
from typing import Any, Final

from interlingua.errors import UpstreamGarbage
from interlingua.ir import Json
from interlingua.protocols.gemini.spelling import CALL, PARTIAL, spell
from interlingua.protocols.wire import array, as_array, as_obj, obj, text

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""", re.S)
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")


class Assembly:
    """One call under way. `part` is its first piece, whose name, id and signature are the call's."""

    def __init__(self, part: Json) -> None:
        self._part = {key: value for key, value in part.items() if key != "functionCall"}
        self._call: Json = {}
        self._args: Json = {}
        self._strings: dict[str, list[str]] = {}

    def add(self, call: Json) -> bool:
        """Takes a piece; says whether more will come."""
        piece = spell(call, CALL)
        for item in array(piece.pop("partialArgs", []), "partialArgs"):
            self._put(spell(obj(item, "partialArgs"), PARTIAL))
        more = piece.pop("willContinue", False) is True
        self._args.update(as_obj(piece.pop("args", None)))
        self._call.update(piece)
        return more

    def whole(self) -> Json:
        for path, pieces in self._strings.items():
            _place(self._args, path, "".join(pieces))
        return {**self._part, "functionCall": {**self._call, "args": self._args}}

    def _put(self, arg: Json) -> None:
        path = text(arg.get("jsonPath"), "partialArgs.jsonPath")
        key = next((key for key in _VALUES if key in arg), None)
        if key == "stringValue":
            piece = text(arg[key], "partialArgs.stringValue")
            if path not in self._strings:
                _place(self._args, path, "")
            self._strings.setdefault(path, []).append(piece)
        elif key is not None:
            _place(self._args, path, None if key == "nullValue" else arg[key])


def _place(root: Json, path: str, value: Any) -> None:
    steps = _steps(path)
    at: Any = root
    for k, step in enumerate(steps):
        last = k == len(steps) - 1
        inner: Any = value if last else [] if type(steps[k + 1]) is int else {}
        if type(step) is int:
            at = _item(at, step, inner, last)
        else:
            members = obj(at, "partialArgs")
            if last or step not in members:
                members[str(step)] = inner
            at = members[str(step)]


def _item(at: Any, index: int, inner: Any, last: bool) -> Any:
    items = as_array(at)
    if type(at) is not list or index > len(items):
        raise UpstreamGarbage(f"a piece of a call's arguments has no place for its index {index}")
    if index == len(items):
        items.append(inner)
    elif last:
        items[index] = inner
    return items[index]


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 1
    while at < len(path) and (step := _STEP.match(path, at)) is not None:
        name = step[1] or step[3] or step[4] or ""
        steps.append(int(step[2]) if step[2] else re.sub(r"\\(.)", r"\1", name))
        at = step.end()
    if path[:1] != "$" or at != len(path) or not steps or type(steps[0]) is int:
        raise UpstreamGarbage("a piece of a call's arguments has no such path")
    return steps
