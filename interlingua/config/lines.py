"""The line each key of a TOML text stands on. The text is known to be good TOML: nothing here judges it."""

import re
import tomllib
from bisect import bisect_right
from typing import Final

Path = tuple[str | int, ...]
Lines = dict[Path, int]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BLANK_OR_COMMA: Final = re.compile(r"(?:[ \t\n,]|#[^\n]*)*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' + "|'''.*?'{3,5}" + r'|"(?:[^"\\]|\\.)*"' + "|'[^']*'",
    re.DOTALL,
)
_OTHER: Final = re.compile(r"[^,\]}#\n]*")


def toml_lines(text: str) -> Lines:
    """The line (from 1) of every key path. Elements of arrays, and of arrays of tables, are counted from 0."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [i for i, char in enumerate(text) if char == "\n"]
        self._arrays: dict[Path, int] = {}  # arrays of tables: the index of the one being written
        self._lines: Lines = {}

    def scan(self) -> Lines:
        table: Path = ()
        while self._peek(_BLANK):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        line = self._line()
        self._at += brackets
        key = self._key()
        self._at += brackets
        path: Path = ()
        for part in key[:-1]:
            path = self._enter((*path, part), line)
        path = (*path, key[-1])
        if brackets == 2:
            self._arrays[path] = self._arrays.get(path, -1) + 1
        return self._enter(path, line)

    def _enter(self, path: Path, line: int) -> Path:
        """The path, inside its last element where it is an array of tables."""
        self._lines.setdefault(path, line)
        if path in self._arrays:
            path = (*path, self._arrays[path])
            self._lines.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._at += 1  # the sign between
        self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            char = self._peek(_BLANK)
            token = self._take(_STRING if char in "\"'" else _BARE)
            parts.append(tomllib.loads(f"key = {token}")["key"] if char in "\"'" else token)
            if self._peek(_BLANK) != ".":
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        char = self._peek(_BLANK)
        if char == "[":
            self._array(path)
        elif char == "{":
            self._at += 1
            while self._peek(_BLANK_OR_COMMA) != "}":
                self._pair(path)
            self._at += 1
        else:
            self._take(_STRING if char in "\"'" else _OTHER)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._peek(_BLANK_OR_COMMA) != "]":
            self._lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
        self._at += 1

    def _peek(self, skipped: re.Pattern[str]) -> str:
        """The next character after what is skipped, "" at the end."""
        self._take(skipped)
        return self._text[self._at : self._at + 1]

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        token = match[0] if match else ""
        self._at += len(token)
        return token

    def _line(self) -> int:
        return bisect_right(self._breaks, self._at - 1) + 1
