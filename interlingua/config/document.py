"""A configuration as text: its data, and where each key stands, so that every complaint can name file, line and key."""

import re
import tomllib
from pathlib import Path as File
from typing import Any, Final

from msgspec import Struct

from interlingua.config.lines import Lines, Path, toml_lines
from interlingua.errors import ConfigError

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_TOML_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Document(Struct, frozen=True):
    """`names` are what single keys are called where no file holds them, such as an environment variable."""

    name: str
    data: Any
    lines: Lines = {}
    names: dict[Path, str] = {}

    def place(self, path: Path) -> str:
        """Where a person finds `path`: "interlingua.toml:12: server.port"."""
        if path in self.names:
            return self.names[path]
        line = self.line(path)
        where = f"{self.name}:{line}" if line else self.name
        return f"{where}: {written(path)}" if path else f"{where}:"

    def line(self, path: Path) -> int:
        """The line of `path`, or of what it stands in; 0 where there are no lines."""
        return next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), 0)


class Problems:
    """Collects what is wrong with a document, so that one run tells all of it."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[tuple[int, str]] = []

    def add(self, path: Path, what: str) -> None:
        """`what` is the rest of a sentence that begins with the key, without its full stop."""
        sentence = f"{self._document.place(path)} {what}" + ("" if what.endswith("?") else ".")
        self._found.append((self._document.line(path), sentence))

    def settle(self) -> None:
        """Raises the first as a ConfigError, the others, line by line, as its notes; nothing where all is well."""
        sentences = [sentence for _, sentence in sorted(self._found, key=lambda found: found[0])]
        if sentences:
            error = ConfigError(sentences[0])
            for sentence in sentences[1:]:
                error.add_note(sentence)
            raise error


def written(path: Path) -> str:
    """A key path as TOML spells it: `backends.openai.model_mapping."gpt-4.1"`, `auth.keys[0].name`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            shown = part if _BARE.fullmatch(part) else '"' + part[:80].replace("\\", "\\\\").replace('"', '\\"') + '"'
            out += f".{shown}" if out else shown
    return out


def read_document(path: str) -> Document:
    """The file as a Document. Raises ConfigError: no such file, not UTF-8, or no TOML or YAML."""
    file = File(path)
    if file.suffix.lower() not in (".toml", ".yaml", ".yml"):
        raise ConfigError(f"{path}: a configuration's name ends in .toml, .yaml or .yml.")
    try:
        text = file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the name given to --config.") from None
    try:
        if file.suffix.lower() == ".toml":
            return _toml(path, text)
        from interlingua.config.yaml_text import read_yaml  # only who writes YAML waits for its library

        return read_yaml(path, text)
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply.") from None


def _toml(name: str, text: str) -> Document:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what = _TOML_PLACE.sub("", str(error))
        place = _TOML_PLACE.search(str(error))
        line = place[1] if place and place[1] else str(text.count("\n") + (not text.endswith("\n")))
        raise ConfigError(f"{name}:{line}: is no TOML: {_plain(what)}.") from None
    return Document(name, data, toml_lines(text))


def _plain(what: str) -> str:
    """tomllib's complaint in a user's words, where those are known."""
    if what.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate")):
        return "a key or table is given twice"
    if what.startswith("Duplicate inline table key"):
        return "a key is given twice in one table"
    return what[:1].lower() + what[1:]
