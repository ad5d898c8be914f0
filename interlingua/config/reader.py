"""From a document's data to Settings: every key known, every value of its type, every mistake told with its place."""

import types
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Final, Literal, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields

from interlingua.config.document import Document, Problems
from interlingua.config.lines import Path
from interlingua.config.settings import Settings
from interlingua.config.values import READERS

S = TypeVar("S", bound=Struct)

_KINDS: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}


def read_settings(document: Document) -> Settings:
    """Raises ConfigError with every mistake in it."""
    problems = Problems(document)
    try:
        settings = _Reader(problems).struct(Settings, document.data, ())
    except _Told:
        settings = Settings()
    problems.settle()
    return settings


def did_you_mean(word: str, known: list[str]) -> str:
    """The end of a complaint: "; did you mean `port`?", or the list of what there is."""
    close = get_close_matches(word, known, 1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known here: {', '.join(known)}" if known else ""


class _Told(Exception):
    """A value could not be read, and `problems` has it."""


@cache
def _hints(kind: type[Struct]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


class _Reader:
    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def struct(self, kind: type[S], value: Any, path: Path) -> S:
        hints = _hints(kind)
        good: dict[str, Any] = {}
        given = self._table(value, path)
        for key, item in given.items():
            try:
                if key not in hints:
                    self._wrong((*path, key), "is no setting" + did_you_mean(key, list(hints)))
                good[key] = self.value(hints[key], item, (*path, key))
            except _Told:
                continue
        needed = [field.name for field in fields(kind) if field.required]
        for name in needed:
            if name not in given:
                self._problems.add(path, f"needs the setting `{name}`")
        if any(name not in good for name in needed):
            raise _Told
        return kind(**good)

    def value(self, hint: Any, value: Any, path: Path) -> Any:
        """`value` as the type `hint` wants it."""
        if value is None:
            self._wrong(path, "has no value: give it one or leave the line out")
        origin, args = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._annotated(args[0], cast(Meta, args[1]), value, path)
        if origin is Literal:
            return self._choice(args, value, path)
        if origin in (Union, types.UnionType):
            return self._union(args, value, path)
        if origin is tuple:
            items = cast("list[Any]", self._plain(list, value, path))
            return self._each(args[0], {(*path, i): item for i, item in enumerate(items)}, path, tuple[Any, ...])
        if origin is dict:
            table = self._table(value, path)
            values = self._each(args[1], {(*path, key): item for key, item in table.items()}, path, list[Any])
            return dict(zip(table, values, strict=True))
        if issubclass(hint, Struct):
            return self.struct(hint, value, path)
        return self._plain(hint, value, path)

    def _each(self, hint: Any, items: dict[Path, Any], path: Path, make: Callable[[list[Any]], Any]) -> Any:
        """All of them read, so that the mistakes of all are told."""
        values: list[Any] = []
        for inner, item in items.items():
            try:
                values.append(self.value(hint, item, inner))
            except _Told:
                continue
        if len(values) < len(items):
            raise _Told
        return make(values)

    def _annotated(self, kind: Any, meta: Meta, value: Any, path: Path) -> Any:
        if meta.extra:
            try:
                return READERS[meta.extra["reader"]](value)
            except ValueError as error:
                self._wrong(path, str(error))
        number = self._plain(kind, value, path)
        low, high = meta.ge, meta.le
        if low is not None and number < low or high is not None and number > high:
            self._wrong(path, f"must be at least {low}" if high is None else f"must be from {low} to {high}")
        return number

    def _choice(self, allowed: tuple[str, ...], value: Any, path: Path) -> str:
        if value in allowed and isinstance(value, str):
            return value
        close = get_close_matches(value, allowed, 1) if isinstance(value, str) else []
        end = f"; did you mean `{close[0]}`?" if close else ""
        words = " or ".join(f'"{word}"' for word in allowed) if len(allowed) < 3 else "one of " + ", ".join(allowed)
        self._wrong(path, f"must be {words}{end}")

    def _union(self, kinds: tuple[Any, ...], value: Any, path: Path) -> Any:
        """`X | None`, or a word | a list."""
        wanted = [kind for kind in kinds if kind is not type(None)]
        if len(wanted) == 1:
            return self.value(wanted[0], value, path)
        word, items = wanted
        if isinstance(value, list):
            return self.value(items, value, path)
        if value not in get_args(word):
            self._wrong(path, f'must be "{get_args(word)[0]}" or a list, not {_said(value)}')
        return value

    def _table(self, value: Any, path: Path) -> dict[str, Any]:
        table = cast("dict[Any, Any]", self._plain(dict, value, path))
        for key in table:
            if not isinstance(key, str):
                self._wrong((*path, str(key)), "must be a string: put the key in quotes")
        return table

    def _plain(self, kind: type, value: Any, path: Path) -> Any:
        if value == "" and kind is str:
            self._wrong(path, "is empty: give it a value or leave the line out")
        if type(value) is kind or (kind is float and type(value) is int):
            return value
        quotes = "; put it in quotes" if kind is str and not isinstance(value, list | dict) else ""
        self._wrong(path, f"must be {_KINDS[kind]}, not {_said(value)}{quotes}")

    def _wrong(self, path: Path, what: str) -> NoReturn:
        self._problems.add(path, what)
        raise _Told


def _said(value: Any) -> str:
    """The kind of a value; the value itself may be a secret in the wrong place."""
    return _KINDS.get(cast("type[Any]", type(value)), "a date or time")
