"""The shape of the code: floors, the protocols' common face, sizes, no waivers. Walks what there is; a new room needs a floor."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlingua import __version__
from interlingua.protocols import Protocol
from interlingua.protocols.registry import PROTOCOLS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "interlingua"
EVERY_FILE = sorted(
    path
    for folder in ("interlingua", "bench", "tools", "tests", "chaos", "clients", "cli_tests")
    for path in (ROOT / folder).rglob("*.py")
    if "out" not in path.parts
)
OURS = sorted(PACKAGE.rglob("*.py"))

# An import only ever goes down, or stays on its floor.
FLOORS = [
    {"__init__", "ir", "losses", "errors", "models", "embeddings", "prices"},
    {"framing", "fold", "carry", "seals", "media", "schema", "metrics", "redaction", "rotating"},
    {"protocols"},
    {"invoke", "hosts", "config", "routing", "client", "credentials", "keypool", "keyring", "resets", "sigv4", "store"},
    {"flow", "health", "pipeline", "policies", "provider", "cli", "embedder", "checks"},
    {
        "agents",
        "inbound",
        "routes",
        "counting",
        "catalog",
        "listing",
        "passthrough",
        "kept",
        "core",
        "connection",
        "deadlines",
        "pulse",
        "server",
    },
    {"app", "operations", "demo", "commands", "__main__"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
TRANSLATION = {"ir", "embeddings", "losses", "fold", "carry", "framing", "protocols", "media", "schema"}
WAIVER = re.compile(r"#.*\b(noqa|type:\s*ignore|pyright:\s*(ignore|basic)|pragma:\s*no\s*cover|fmt:\s*(off|skip))", re.IGNORECASE)

MAX_FUNCTION, MAX_FILE = 60, 800


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """(line, room) of everything of interlingua that a file imports, wherever in the file it does."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "interlingua":
            names = [f"interlingua.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            house, _, rest = name.partition(".")
            if house == "interlingua":
                room = rest.partition(".")[0]
                yield node.lineno, room if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file() else "__init__"


def test_every_room_has_a_floor_and_every_floor_is_named_once():
    rooms = {room_of(path) for path in OURS} - {"mock"}
    assert rooms - set(FLOOR_OF) == set(), "say in FLOORS where these belong"
    assert sum(len(rooms) for rooms in FLOORS) == len(FLOOR_OF)


def test_imports_only_go_down():
    roof = len(FLOORS) - 1
    upward = [
        f"{name_of(path)}:{line} imports {room}"
        for path in OURS
        if room_of(path) != "mock"
        for line, room in imported_rooms(path)
        if (roof if room == "mock" else FLOOR_OF[room]) > FLOOR_OF[room_of(path)]
    ]
    assert upward == []


def test_no_protocol_knows_another():
    """What two of them share stands beside them, on the protocols' own ground floor."""
    packages = {path.parent.name for path in (PACKAGE / "protocols").glob("*/__init__.py")}
    assert packages == set(PROTOCOLS)
    crossed = [
        f"{name_of(path)} imports {other}"
        for path in OURS
        if path.parent.name in packages
        for other in packages - {path.parent.name}
        if f"interlingua.protocols.{other}"
        in {word for line in path.read_text(encoding="utf-8").split("\n") for word in named(line)}
    ]
    assert crossed == []


def named(line: str) -> list[str]:
    """The modules that a line of imports names, and what holds them."""
    found = re.match(r"\s*(?:from|import) ([\w.]+)", line)
    parts = found[1].split(".") if found else []
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def test_the_mock_cannot_agree_with_our_bugs():
    mock = [path for path in OURS if room_of(path) == "mock"]
    assert mock
    assert [f"{name_of(p)}:{line} imports {room}" for p in mock for line, room in imported_rooms(p) if room in TRANSLATION] == []


def interface() -> list[str]:
    """The public names of the interface, in its order."""
    node = next(
        n for n in ast.walk(tree_of(PACKAGE / "protocols/__init__.py")) if isinstance(n, ast.ClassDef) and n.name == "Protocol"
    )
    fields = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    return fields + [n.name for n in node.body if isinstance(n, ast.FunctionDef)]


def test_the_interface_is_what_the_tests_below_compare_with():
    assert {"NAME", "parse_request", "format_response", "Parser", "Formatter"} <= set(interface())
    assert all(hasattr(Protocol, name) for name in interface() if name != "NAME")


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_every_protocol_has_the_interface_and_nothing_else(name: str):
    module = PROTOCOLS[name]
    public = getattr(module, "__all__", None)
    assert public is not None, "a protocol lists its public names in __all__"
    assert sorted(public) == sorted(interface())
    assert [item for item in public if not hasattr(module, item)] == []
    assert module.NAME == name


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_every_file_of_a_protocol_keeps_the_order_of_the_interface(name: str):
    single = PACKAGE / f"protocols/{name}.py"
    files = [single] if single.exists() else sorted((PACKAGE / "protocols" / name).glob("*.py"))
    assert files, f"protocols/{name} is where its name says"
    order = interface()
    for path in files:
        defined = [n.name for n in tree_of(path).body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name in order]
        assert defined == sorted(defined, key=order.index), name_of(path)


def test_every_file_opens_with_its_rule_and_stays_small():
    assert [name_of(path) for path in EVERY_FILE if not ast.get_docstring(tree_of(path))] == []
    sizes = {name_of(path): path.read_text(encoding="utf-8").count("\n") for path in EVERY_FILE}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_FILE} == {}


def test_functions_are_short():
    long = [
        f"{name_of(path)}:{node.lineno} {node.name} has {length} lines"
        for path in EVERY_FILE
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION
    ]
    assert long == []


def test_no_check_is_waived():
    waived = [
        f"{name_of(path)}:{token.start[0]} {token.string}"
        for path in EVERY_FILE
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        if token.type == tokenize.COMMENT and WAIVER.search(token.string)
    ]
    assert waived == []


def test_the_changelog_tells_of_this_version():
    heading = re.compile(rf"^## .*{re.escape(__version__)}\b", re.MULTILINE)
    assert heading.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
