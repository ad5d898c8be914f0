"""The mock on a port: in a running loop, in a thread of its own, or as a command. Loopback unless told otherwise."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Final, Self, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from interlingua.mock.app import TRANSPORT, MockApp
from interlingua.mock.journal import Journal
from interlingua.mock.wire import Options

_PATIENCE: Final = 2.0  # seconds for an answer under way to see that it is over


class _Protocol(HttpToolsProtocol):
    """uvicorn's own, but the application can break the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope = cast(dict[str, Any], self.scope)
        scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class MockServer:
    """The mock in the running loop.

        async with MockServer() as mock:
            client = openai.AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="any")

    Port 0 takes a free one. `journal` tells what was received.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, options: Options | None = None) -> None:
        self.app = MockApp(options)
        self._host = host
        self._port = port
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    @property
    def journal(self) -> Journal:
        return self.app.journal

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> Self:
        config = Config(
            self.app, http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False
        )
        config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Protocol(config, self._state, {}), self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Closes the port, every connection and what is still being answered."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            transport = cast(Any, connection).transport
            transport.close()
        if tasks := list(self._state.tasks):  # each sees that its client is gone
            await asyncio.wait(tasks, timeout=_PATIENCE)
        await asyncio.sleep(0)  # the transports tell their protocols
        self._server = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@contextlib.contextmanager
def background(options: Options | None = None) -> Generator[MockServer]:
    """The mock in a thread with its own loop, for clients that block."""
    ready: Future[tuple[MockServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        over = asyncio.Event()
        async with MockServer(options=options) as server:
            ready.set_result((server, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="interlingua-mock", daemon=True)
    thread.start()
    server, loop, over = ready.result(timeout=10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def run(
    host: str = "127.0.0.1", port: int = 9100, options: Options | None = None, say: Callable[[str], None] | None = None
) -> None:
    """Serves until SIGINT or SIGTERM. `say` is given the one line that tells the address. Raises OSError if the port is taken."""
    import uvloop

    async def live() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, over.set)
        async with MockServer(host, port, options) as server:
            told = f"The mock providers listen at {server.url}"
            say(told) if say else print(told, flush=True)
            await over.wait()

    uvloop.run(live())
