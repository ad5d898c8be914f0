"""YAML as a Document. What is read is YAML 1.2's core: `off` is a string and so is `2024-10-21`, as in TOML's quotes."""

import re
from typing import Any, Final, cast

import yaml

from interlingua.config.document import Document
from interlingua.config.lines import Path
from interlingua.errors import ConfigError

# tag: (pattern, what the scalar may begin with); yaml.org/spec/1.2.2 section 10.3.2
_SCALARS: Final[dict[str, tuple[str, str]]] = {
    "bool": (r"(?:true|True|TRUE|false|False|FALSE)\Z", "tTfF"),
    "null": (r"(?:null|Null|NULL|~|)\Z", "nN~"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)\Z", "-+0123456789"),
    "float": (r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?\Z", "-+0123456789."),
    "merge": (r"<<\Z", "<"),
}
_Resolver = tuple[str, re.Pattern[str]]


def _resolvers() -> dict[str, list[_Resolver]]:
    """By first character, as the library looks them up; "" is the empty scalar's."""
    out: dict[str, list[_Resolver]] = {"": [("tag:yaml.org,2002:null", re.compile(r"\Z"))]}
    for name, (pattern, first) in _SCALARS.items():
        for char in first:
            out.setdefault(char, []).append((f"tag:yaml.org,2002:{name}", re.compile(pattern)))
    return out


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers()


def read_yaml(name: str, text: str) -> Document:
    """Raises ConfigError where the text is no YAML, or gives a key twice. May raise RecursionError."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        document = Document(name, None, {})
        if node is not None:
            _walk(node, (), document)
        data: Any = {} if node is None else cast(Any, loader).construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{name}{line}: is no YAML: {error.problem}.") from None
    except yaml.YAMLError:
        raise ConfigError(f"{name}: is no YAML: it holds characters that YAML does not allow.") from None
    return Document(name, data, document.lines)


def _walk(node: yaml.Node, path: Path, document: Document) -> None:
    """Notes the line of every key and element under `node`; a key given twice is an error that the library lets pass."""
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
