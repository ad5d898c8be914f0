"""What a running gateway does beside answering: its configuration is read again when it changes, and its end is polite.

Reading again is atomic. A configuration that is good is taken whole; a bad one is refused with its reasons (log, metric,
/api/system/status), and the old one stays. Each worker reads for itself.

SIGTERM and SIGINT drain: /ready says 503 at once and every answer is its connection's last. For `server.linger` whoever has
not heard yet is still served; then the port closes, and open answers have the rest of `server.drain`. What is still open then
ends with its protocol's own error: its provider is hung up on.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from socket import socket
from typing import Any, Final

import uvicorn
from msgspec import Struct
from uvicorn.supervisors import Multiprocess

from interlingua import config as configuration
from interlingua.config import Watched
from interlingua.connection import Connection
from interlingua.core import Core
from interlingua.errors import ConfigError
from interlingua.metrics import RELOADS
from interlingua.server import Gateway

_LOOK: Final = 0.5  # seconds between two looks at the configuration's files
_CLOSING: Final = 0.05  # between two looks at whether anybody is still connected
_ENDS: Final = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger("interlingua")


class Loaded(Struct):
    """What became of the configuration's files, for /api/system/status. Times are Unix seconds."""

    source: str
    at: float
    reloads: int = 0
    refused: dict[str, Any] | None = None  # reason, and at: where the files are no longer what is in force


class Operations:
    """Of one process. `begin` on its event loop, once; `end` stops what has begun."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._watched = Watched(gateway.core.config)
        self._loaded = Loaded(gateway.core.config.source, time.time())
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._before: dict[int, Any] = {}  # the server's own signal handlers
        self._closing: asyncio.Task[None] | None = None
        gateway.core.loaded = self._loaded

    def begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._before = {number: signal.getsignal(number) for number in _ENDS}
        for number in _ENDS:
            loop.add_signal_handler(number, self.drain, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        self._look()

    def end(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # Configuration

    def reload(self) -> bool:
        """Reads the configuration again from where it came. Address, workers, heads' and bodies' limits need a restart."""
        self._watched.mark()
        return self._take(always=True)

    def _look(self) -> None:
        if self._watched.changed():
            self._take(always=False)
        self._after("look", _LOOK, self._look)

    def _take(self, always: bool) -> bool:
        gateway = self._gateway
        old, loaded = gateway.core, self._loaded
        try:
            config = configuration.reload(old.config, os.environ)
            if config == old.config and not always:
                loaded.refused = None
                return True
            core = Core.after(old, config)
        except ConfigError as error:
            reason = "; ".join([str(error), *getattr(error, "__notes__", ())])
            _log.error("The configuration stays as it was: %s", reason)
            loaded.refused = {"reason": reason, "at": round(time.time(), 3)}
            old.metrics.count(RELOADS, ("refused",))
            return False
        gateway.take(core)
        self._watched.of(config)
        loaded.at, loaded.reloads, loaded.refused = time.time(), loaded.reloads + 1, None
        old.metrics.count(RELOADS, ("taken",))
        _log.info("The configuration was read again from %s", config.source)
        return True

    # The end

    def drain(self, number: int) -> None:
        """The first signal begins; SIGINT again ends at once."""
        core = self._gateway.core
        if not core.ready:
            if number == signal.SIGINT:
                self._hand_on(number)
            return
        core.ready = False
        self._gateway.desk.leave()
        Connection.leaving = True
        server = core.config.server
        self._after("drain", server.drain, self._hang_up)
        self._linger(number, asyncio.get_running_loop().time() + min(server.linger, server.drain))

    def _linger(self, number: int, until: float) -> None:
        """The port stays open for those who have not heard; where nobody is connected there is nobody to wait for."""
        if not Connection.everyone or asyncio.get_running_loop().time() >= until:
            self._hand_on(number)
        else:
            self._after("linger", _CLOSING, lambda: self._linger(number, until))

    def _hand_on(self, number: int) -> None:
        """The server's own handler: it closes the port and waits for the tasks."""
        handler: Callable[[int, Any], None] = self._before[number]
        handler(number, None)

    def _hang_up(self) -> None:
        self._closing = asyncio.get_running_loop().create_task(self._gateway.core.client.close())

    def _after(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, what)


class Workers(Multiprocess):
    """uvicorn's supervisor; SIGHUP is every worker's, and the end reaches all of them at once."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        for number in _ENDS:
            signal.signal(number, self._end)

    def _end(self, number: int, _frame: object) -> None:
        for process in self.processes:
            if process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        self.signal_queue.append(number)

    def handle_hup(self) -> None:
        for process in self.processes:
            if any(number in _ENDS for number in self.signal_queue):
                return  # they are ending
            if process.pid is not None and process.exitcode is None and process.is_ready(timeout=1):  # else it reads it anyway
                os.kill(process.pid, signal.SIGHUP)

    def terminate_all(self) -> None:
        """The port is the workers' alone from here on: it closes when they close it."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()
