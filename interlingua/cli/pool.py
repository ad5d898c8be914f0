"""The processes of one backend, bounded, and the queue in front of them: first come, first served.

Turns under one system prompt share a worker; another prompt needs a worker that has none under way, or a new one. Nobody
overtakes: whoever is first in the queue waits for a worker that fits, and the next one waits behind.
"""

import asyncio
from collections import deque
from typing import Any, Final, TypeVar

from interlingua.cli.once import Once
from interlingua.cli.process import Launch
from interlingua.cli.prompt import Told
from interlingua.cli.worker import Turn, Worker
from interlingua.config import CliSettings
from interlingua.errors import GatewayError, Overloaded, RateLimited, UpstreamTimeout

T = TypeVar("T")

_SOON: Final = 1.0  # seconds after which to try again, told to whom finds the queue full


class Pool:
    """`begin` in a running loop; then `close`, or `retire` and at last `close`."""

    def __init__(self, launch: Launch, settings: CliSettings) -> None:
        self._launch, self._settings = launch, settings
        self._workers: list[Worker] = []
        self._once: set[Once] = set()
        self._queue: deque[tuple[Told, asyncio.Future[Turn]]] = deque()
        self._asking: list[asyncio.Future[bool]] = []  # who wants to know whether it speaks ACP
        self._leaving = False
        self.speaks_acp: bool | None = None  # None: not known yet

    def begin(self) -> None:
        """Has a worker warm before the first request."""
        if not self._workers and self.speaks_acp is not False:
            self._start()

    async def acp(self, deadline: float) -> bool:
        """Whether the CLI speaks ACP, which the first of its processes shows. Raises what befell that."""
        if self.speaks_acp is None:
            waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._asking.append(waiting)
            self.begin()
            return await _in_time(waiting, deadline)
        return self.speaks_acp

    async def turn(self, told: Told, deadline: float) -> Turn:
        """Begins a turn as soon as there is place for it. Raises RateLimited where the queue is full, UpstreamTimeout at the
        deadline, and what keeps a process from being started."""
        waiting: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._queue.append((told, waiting))
        self._dispatch()
        if not waiting.done() and len(self._queue) > self._settings.max_queue:
            self._queue.pop()
            raise RateLimited("Too many requests wait for the Gemini CLI.", code="queue_full", retry_after=_SOON)
        try:
            return await _in_time(waiting, deadline)
        except BaseException:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                waiting.result().close()
            waiting.cancel()
            self._dispatch()
            raise

    def retire(self) -> None:
        """What is under way or waits comes to its end, and the last process with it."""
        self._leaving = True
        self._dispatch()

    async def close(self) -> None:
        """Ends everything at once; when this returns, no process is left."""
        self._leaving = True
        self._fail(Overloaded("The gateway is shutting down."))
        for process in (*self._workers, *self._once):
            process.kill()
        tasks = [process.ended for process in (*self._workers, *self._once) if process.ended is not None]
        if tasks:
            await asyncio.wait(tasks)

    def told(self) -> dict[str, Any]:
        """For a report."""
        active = sum(worker.active for worker in self._workers) + len(self._once)
        return {"processes": len(self._workers) + len(self._once), "turns": active, "waiting": len(self._queue)}

    # Placing

    def _dispatch(self) -> None:
        while self._queue:
            told, waiting = self._queue[0]
            if not waiting.done():
                turn = self._placed(told)
                if turn is None:
                    return
                waiting.set_result(turn)
            self._queue.popleft()
        if self._leaving:
            for worker in [*self._workers]:
                worker.leave()

    def _placed(self, told: Told) -> Turn | None:
        if self.speaks_acp is False:
            if len(self._workers) + len(self._once) >= self._settings.max_processes:
                return None
            once = Once(self._launch, told, self._over)
            self._once.add(once)
            return once.turn
        if (worker := self._fitting(told)) is not None:
            return worker.turn(told)
        starting = sum(worker.state == "starting" for worker in self._workers)
        if starting * self._settings.prompts_per_worker < len(self._queue):
            self._start()
        return None

    def _fitting(self, told: Told) -> Worker | None:
        """A worker with the same system prompt, the least busy one; else one that is idle and can take another."""
        most = self._settings.prompts_per_worker
        fit = [worker for worker in self._workers if worker.state == "ready" and worker.active < most]
        fit = [worker for worker in fit if worker.system == told.system or not worker.active]
        return min(fit, key=lambda worker: (worker.system != told.system, worker.active), default=None)

    # Processes

    def _start(self) -> None:
        if len(self._workers) < self._settings.max_processes:
            worker = Worker(self._launch, self._settings.max_memory, lambda: self._changed(worker))
            self._workers.append(worker)
            worker.begin()

    def _changed(self, worker: Worker) -> None:
        if worker.state == "ready":
            self._know(True)
        elif worker.state == "ended":
            self._workers.remove(worker)
            if not worker.knows_acp:
                self._know(False)
            elif worker.system is None and worker.failure is not None:
                self._fail(worker.failure)  # whoever waits would only see the next one fail like it
            elif not self._workers and not self._leaving and worker.system is not None:
                self._start()
        self._dispatch()

    def _know(self, acp: bool) -> None:
        self.speaks_acp = acp
        for waiting in self._asking:
            if not waiting.done():
                waiting.set_result(acp)
        self._asking.clear()

    def _over(self, once: Once) -> None:
        self._once.discard(once)
        self._dispatch()

    def _fail(self, error: GatewayError) -> None:
        waiting = [*self._asking, *(future for _, future in self._queue)]
        self._asking.clear()
        self._queue.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(error)


async def _in_time(waiting: "asyncio.Future[T]", deadline: float) -> T:
    try:
        async with asyncio.timeout_at(deadline):
            return await waiting
    except TimeoutError:
        raise UpstreamTimeout("The request's deadline passed before the Gemini CLI had a place for it.") from None
