"""Fixtures: the gateway in front of mocks, and what npm installs, each once for all tests."""

from collections.abc import Iterator

import pytest

from clients import parts
from clients.place import Place, place


@pytest.fixture(scope="session")
def path() -> str:
    """A PATH on which the clients of Node's world are."""
    return parts.path()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("clients")) as found:
        yield found


@pytest.fixture
def before(shared: Place) -> Iterator[Place]:
    """The gateway before strict mocks: whatever a client sends, no provider may refuse what becomes of it."""
    shared.clear()
    yield shared
    assert [(entry["path"], entry["verdict"]) for entry in shared.journal() if entry["verdict"] != "ok"] == []
