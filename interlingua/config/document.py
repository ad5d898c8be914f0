"""A configuration as text: its data, and where each key stands, so that every complaint can name file, line and key.

The YAML read here is YAML 1.2's core: `off` is a string and `2024-10-21` too, as in TOML's quotes.
"""

import re
import tomllib
from pathlib import Path as File
from typing import Any, Final, cast

import yaml
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
        line = next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), None)
        where = self.name if line is None else f"{self.name}:{line}"
        return f"{where}: {written(path)}" if path else f"{where}:"


class Problems:
    """Collects what is wrong with a document, so that one run tells all of it."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._sentences: list[str] = []

    def add(self, path: Path, what: str) -> None:
        """`what` is the rest of a sentence that begins with the key, without its full stop."""
        self._sentences.append(f"{self._document.place(path)} {what}" + ("" if what.endswith("?") else "."))

    def settle(self) -> None:
        """Raises the first as a ConfigError, the others as its notes; nothing where all is well."""
        if self._sentences:
            raise config_error(self._sentences)


def config_error(sentences: list[str]) -> ConfigError:
    error = ConfigError(sentences[0])
    for sentence in sentences[1:]:
        error.add_note(sentence)
    return error


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
        return _toml(path, text) if file.suffix.lower() == ".toml" else _yaml(path, text)
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


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema (yaml.org/spec/1.2.2, 10.3.2) and no others."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"null|Null|NULL|~|"), ["n", "N", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?"), list("-+0123456789.")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<"), ["<"])


def _yaml(name: str, text: str) -> Document:
    try:
        loader = _Loader(text)
        node = cast("yaml.Node | None", loader.get_single_node())
        lines: Lines = {}
        if node is not None:
            _walk(node, (), Document(name, None, lines))
        data = {} if node is None else cast("Any", loader.construct_document(node))
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{name}{line}: is no YAML: {error.problem}.") from None
    except yaml.YAMLError:
        raise ConfigError(f"{name}: is no YAML: it holds characters that YAML does not allow.") from None
    return Document(name, data, lines)


def _walk(node: yaml.Node, path: Path, document: Document) -> None:
    """Notes the line of every key and element under `node`; a key given twice is an error that YAML itself lets pass."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            inner = (*path, str(key.value))
            document.lines[inner] = key.start_mark.line + 1
            if str(key.value) in seen:
                raise ConfigError(f"{document.place(inner)} is given twice.")
            seen.add(str(key.value))
            _walk(value, inner, document)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(cast("list[yaml.Node]", node.value)):
            document.lines[*path, index] = item.start_mark.line + 1
            _walk(item, (*path, index), document)
