"""Build the gateway from a configuration, and run it: the only file that knows every other."""

import gc
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import msgspec
import uvicorn

from interlingua import config as configuration
from interlingua.client import Client
from interlingua.config import Config, Overrides
from interlingua.config.environment import SOURCE
from interlingua.connection import Connection
from interlingua.core import Core
from interlingua.errors import ConfigError
from interlingua.metrics import Metrics
from interlingua.operations import Operations, Workers
from interlingua.policies import request_log
from interlingua.policies.memory import Memory
from interlingua.server import Gateway
from interlingua.store import Store

_SHARED = "INTERLINGUA_SHARED"  # the folder of one run's workers
_SOURCE = "INTERLINGUA_SOURCE"
_OVERRIDES = "INTERLINGUA_OVERRIDES"
_log = logging.getLogger("interlingua")


def build(config: Config, shared: str | None = None) -> Gateway:
    """The gateway. `shared`: the folder through which several workers add up their metrics."""
    store = Store(os.path.join(shared, "responses.sqlite") if shared else None)
    metrics = Metrics(shared)
    return Gateway(Core(config, Client(), metrics, store, [Memory()], request_log.of(config, metrics)))


def operated(gateway: Gateway) -> Gateway:
    """A gateway that heeds signals and its configuration's files once it runs."""
    operations = Operations(gateway)
    gateway.begin, gateway.end = operations.begin, operations.end
    return gateway


def serve(config: Config, *, found: Sequence[str] = ()) -> int:
    """Runs until SIGTERM or SIGINT; requests under way have `server.drain` seconds to end. Returns the exit code."""
    _log_to_stderr(config)
    for line in found:
        print(line, flush=True)
    listener = listen(config.server.host, config.server.port)
    workers = config.server.processes
    if workers > 1:
        return _serve_many(config, listener, workers)
    Connection.limit(config.server)
    gateway = operated(build(config))
    server = Server(settings(config, gateway), listener)
    server.run(sockets=[listener])
    return 0


def worker() -> Gateway:
    """One of several workers' application: the configuration is read again from where the first process read it."""
    overrides = msgspec.json.decode(os.environ[_OVERRIDES], type=Overrides)
    source = os.environ[_SOURCE]
    config = configuration.find(source or None, os.environ, overrides)
    Connection.limit(config.server)
    _log_to_stderr(config)
    _settle()
    return operated(build(config, os.environ[_SHARED]))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigError(f"{host}:{port} cannot be listened on ({error.strerror}): choose another, --host and --port.") from None
    listener.setblocking(False)
    return listener


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn's server, which says where it listens once it does."""

    def __init__(self, settings: uvicorn.Config, listener: socket.socket, quiet: bool = False) -> None:
        super().__init__(settings)
        self._listener = listener
        self._quiet = quiet

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """An end that was asked for is no failure: the signal is not raised again."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _settle()
        if not self._quiet:
            print(f"Interlingua listens on {address(self._listener)}", flush=True)


def settings(config: Config, app: Gateway | str) -> uvicorn.Config:
    return uvicorn.Config(
        cast(Any, app),
        factory=isinstance(app, str),
        interface="asgi3",
        http=Connection,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=round(config.server.drain) + 3,  # by then operations.py has ended them
        workers=config.server.processes,
    )


def _serve_many(config: Config, listener: socket.socket, workers: int) -> int:
    with tempfile.TemporaryDirectory(prefix="interlingua-") as shared:
        os.environ[_SHARED] = shared
        os.environ[_SOURCE] = "" if config.source == SOURCE else config.source
        os.environ[_OVERRIDES] = msgspec.json.encode(config.overrides).decode()
        shape = settings(config, "interlingua.app:worker")
        supervisor = Workers(shape, sockets=[listener])  # heeds signals from here on
        print(f"Interlingua listens on {address(listener)} with {workers} workers", flush=True)
        supervisor.run()
    return 0


def _log_to_stderr(config: Config) -> None:
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=config.log.level.upper(), format=form, stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))


def _settle() -> None:
    """What start-up made stays: the collector need not walk it again, nor run every few requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
