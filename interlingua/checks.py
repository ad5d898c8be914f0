"""Active checks: a backend with a `health.path` is asked for it at every interval, and left alone while that fails.

One task a backend that has one; none has by default. A check that succeeds lets an open breaker probe at once.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from interlingua.errors import GatewayError, RateLimited
from interlingua.health import Board
from interlingua.provider import Provider

_PATIENCE: Final = 10.0  # seconds for an answer
_LARGEST: Final = 1 << 20


class Checks:
    """`begin` in a running loop, `stop` once for it."""

    def __init__(self, providers: Iterable[Provider], board: Board) -> None:
        self._checked = [provider for provider in providers if provider.backend.settings.health.path is not None]
        self._board = board
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(self._watch(provider)) for provider in self._checked]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def _watch(self, provider: Provider) -> None:
        while True:
            with suppress(RateLimited):  # its keys rest: nobody was asked, and nothing is known anew
                self._board.check(provider.name, await _asked(provider))
            await asyncio.sleep(provider.backend.settings.health.interval)


async def _asked(provider: Provider) -> str:
    """What is wrong; "": nothing. Raises RateLimited where it cannot be asked."""
    path = provider.backend.settings.health.path
    assert path is not None
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    try:
        reply = await provider.forward("GET", path, b"", b"", deadline)
        try:
            await reply.read(_LARGEST)
        finally:
            reply.close()
    except RateLimited:
        raise
    except GatewayError as error:
        return str(error)
    return "" if reply.status < 400 else f"{path} answered with status {reply.status}"
