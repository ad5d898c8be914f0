"""Fixtures: a gateway that is shared by a file's tests, gateways of one test's own making, and uvloop, as in real life."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
import running
import sdks_flavours
import sdks_speakers
import uvloop
from hypothesis import settings

# The same examples at every run: what is new is found by `make fuzz`, and a failure here is never a matter of luck.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

Start = Callable[..., Awaitable[running.House]]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[running.House]:
    async with running.house(tmp_path_factory.mktemp("house"), backends=running.EVERYONE) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared_house: running.House, caplog: pytest.LogCaptureFixture) -> AsyncIterator[running.House]:
    """The file's gateway. Whatever a test does, no request may be refused upstream, and none may fail inside."""
    shared_house.clear()
    yield shared_house
    shared_house.judge()
    assert not [record.getMessage() for record in caplog.records if record.exc_info]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """start("[routing]\\nheartbeat = '1s'") gives a gateway of that configuration."""
    async with AsyncExitStack() as stack:

        async def begin(more: str = "", backends: str = running.BACKENDS) -> running.House:
            return await stack.enter_async_context(running.house(tmp_path, more, backends))

        yield begin


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=sdks_flavours.EVERY)
async def client(shared_house: running.House, request: pytest.FixtureRequest) -> AsyncIterator[sdks_speakers.Speaker]:
    """Each SDK in turn, talking to the file's gateway."""
    async with sdks_flavours.EVERY[request.param](shared_house.url) as speaker:
        yield speaker


@pytest.fixture(params=sdks_speakers.ROWS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param
