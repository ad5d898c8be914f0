"""The gateway as `interlingua serve` runs it, on a port of its own in the test's loop, in front of mock providers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from msgspec.structs import replace

from interlingua import app, config
from interlingua.config import Breaker
from interlingua.connection import Connection
from interlingua.mock import MockServer, serve
from interlingua.pipeline import Answer, Call
from interlingua.server import Gateway

KEYS = {f"{name.upper()}_KEY": f"sk-secret-{name}" for name in ("openai", "anthropic", "gemini", "bedrock")}

# Errors are told as they come, and no test leaves an open breaker to the next, unless its configuration says `attempts`.
ONCE: dict[str, Any] = {"attempts": 1, "breaker": Breaker(failures=1 << 30, error_rate=1)}

# Each backend by a name of its own, by a pattern, and as backend/model.
BACKENDS = """
[backends.openai]
protocol = "openai"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.openai.model_mapping]
"exact-openai" = "gpt-4o"
"from-openai-*" = "gpt-4o-mock-*"
[backends.anthropic]
protocol = "anthropic"
url = "{url}"
api_key_env = "ANTHROPIC_KEY"
[backends.anthropic.model_mapping]
"exact-anthropic" = "claude-haiku-4-5"
"from-anthropic-*" = "claude-haiku-4-5-mock-*"
[backends.gemini]
protocol = "gemini"
url = "{url}"
api_key_env = "GEMINI_KEY"
[backends.gemini.model_mapping]
"exact-gemini" = "gemini-2.5-flash"
"from-gemini-*" = "gemini-2.5-flash-mock-*"
"""
# The whole mesh: every protocol a backend may speak, and every cloud that has paths or words of its own for one.
EVERYONE = (
    BACKENDS
    + """
[backends.responses]
protocol = "responses"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.bedrock]
protocol = "bedrock"
url = "{url}"
api_key_env = "BEDROCK_KEY"
[backends.azure]
protocol = "azure"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.azure-dated]
protocol = "azure"
url = "{url}"
api_version = "2024-10-21"
api_key_env = "OPENAI_KEY"
[backends.vertex]
protocol = "vertex"
url = "{url}"
project = "my-project"
location = "europe-west4"
access_token_env = "GEMINI_KEY"
"""
)


class Place:
    """Where a gateway listens."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


class House(Place):
    """A running gateway and the mock behind it. `refusals`: this test has the mock refuse something."""

    def __init__(self, mock: MockServer, gateway: Gateway, url: str) -> None:
        super().__init__(url)
        self.mock = mock
        self.gateway = gateway
        self.refusals = False

    @property
    def sent(self) -> Any:
        """The body of the last request that a provider was sent."""
        return self.mock.journal.last.body

    def clear(self) -> None:
        self.mock.journal.clear()
        self.refusals = False

    def hold(self) -> asyncio.Event:
        """From now on whoever is let in waits for the event, before a provider is asked."""
        core, go = self.gateway.core, asyncio.Event()
        handle = core.handle

        async def held(call: Call) -> Answer:
            await go.wait()
            return await handle(call)

        core.handle = held
        return go

    def judge(self) -> None:
        """Nothing that the gateway sent was refused, unless that was the point."""
        found = [entry.verdict for entry in self.mock.journal.entries if entry.verdict != "ok"]
        assert self.refusals or not found, found


def configured(folder: Path, url: str, more: str = "", backends: str = BACKENDS) -> config.Config:
    """`more` is TOML that stands before the backends, `url` their origin."""
    file = folder / "interlingua.toml"
    file.write_text(f"{more}\n{backends.replace('{url}', url)}")
    loaded = config.load(str(file), KEYS)
    return loaded if "attempts" in more else replace(loaded, routing=replace(loaded.routing, **ONCE))


@asynccontextmanager
async def gateway_of(settings: config.Config) -> AsyncIterator[tuple[Gateway, str]]:
    """The gateway under the server that `serve` would run it in."""
    gateway = app.build(settings)
    Connection.limit(settings.server)
    listener = app.listen("127.0.0.1", 0)
    url = app.address(listener)
    served = app.settings(settings, gateway)
    served.load()
    server = uvicorn.Server(served)
    server.lifespan = served.lifespan_class(served)
    await server.startup(sockets=[listener])
    try:
        yield gateway, url
    finally:
        for port in server.servers:
            port.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        if tasks := list(server.server_state.tasks):
            await asyncio.wait(tasks, timeout=5)
        assert not server.server_state.tasks
        await server.lifespan.shutdown()
        if Connection.sweeping is not None:  # the next test's loop is another
            Connection.sweeping.cancel()
            Connection.sweeping = None


@asynccontextmanager
async def house(folder: Path, more: str = "", backends: str = BACKENDS) -> AsyncIterator[House]:
    async with serve() as mock, gateway_of(configured(folder, mock.url, more, backends)) as (gateway, url):
        yield House(mock, gateway, url)
