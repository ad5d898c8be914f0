"""Runs the tasks of agents in this worker: those that a client waits for at once, those in the background a few at a time.

A task is a request of the gateway to itself (POST /api/gemini/generate, model `agent/NAME`) that passes no socket: routing,
retries, limits, metrics and losses are those of every other request. The disk is waited for in a thread of its own.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from interlingua.agents.dress import PREFIX
from interlingua.agents.tasks import INTERRUPTED, Asked, State, Task, Tasks
from interlingua.config import Config
from interlingua.errors import Overloaded
from interlingua.inbound import Inbound
from interlingua.ir import Json
from interlingua.metrics import TASKS, Metrics
from interlingua.protocols.wire import encode_json
from interlingua.routes import find

T = TypeVar("T")

OWN: Final = "x-interlingua-"
_PATH: Final = "/api/gemini/generate"
_LOOK: Final = 1.0  # seconds between two looks at what others left, cancelled or accepted
_AGAIN: Final = 1.0  # before a result is written again, where the disk would not take it
_ODD: Final = {"message": "The gateway failed.", "type": "server_error", "status": 500}
_log = logging.getLogger("interlingua")


class Desk:
    """Of one worker. `config` gives what is in force; the store is opened when there are agents, or were."""

    def __init__(self, gateway: Callable[[Inbound], Awaitable[None]], config: Callable[[], Config], metrics: Metrics) -> None:
        self._gateway, self._config, self._metrics = gateway, config, metrics
        self._tasks: Tasks | None = None
        self._thread = ThreadPoolExecutor(1, "tasks")
        self._running: dict[str, asyncio.Task[None]] = {}
        self._asking: set[str] = set()  # those of them that have no answer yet, and can be cancelled
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._until: float | None = None  # when what still runs is interrupted; None: nobody has said that we end

    def begin(self) -> None:
        """Where there are agents, looks after their tasks from now on. On the event loop; as often as one likes."""
        if self._loop is None and self._config().agents:
            self._loop = asyncio.get_running_loop().create_task(self._work())

    def leave(self) -> None:
        """No further task is begun here."""
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + self._config().server.drain

    async def close(self) -> None:
        """Waits for what runs, as long as `server.drain` has it; the rest is interrupted, what waits stays for the next."""
        self.leave()
        assert self._until is not None
        if self._loop is not None:
            self._wake.set()
            await asyncio.wait([self._loop])
        if running := list(self._running.values()):
            _, late = await asyncio.wait(running, timeout=max(0.0, self._until - asyncio.get_running_loop().time()))
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._tasks is not None:
            await self._on_thread(self._tasks.close)
        self._thread.shutdown()

    async def do(self, what: Callable[[Tasks], T]) -> T:
        """`what` with the store, in its thread. Raises Overloaded where the disk will not have it."""
        try:
            return await self._on_thread(partial(self._with_store, what))
        except (sqlite3.Error, OSError) as error:
            _log.error("The store of tasks: %s", error)
            raise Overloaded("Tasks cannot be written to the disk now.", retry_after=10, code="store_failed") from None

    async def accept(self, agent: str, tenant: str, asked: Asked) -> Task:
        """A task for the background: on the disk once this returns. Raises as Tasks.add does."""
        task = await self.do(lambda tasks: tasks.add(agent, tenant, asked, self._config().tasks, run=False))
        self._wake.set()
        return task

    async def run_now(self, agent: str, tenant: str, asked: Asked) -> Task:
        """The task once it has ended. Who no longer waits for it cancels it."""
        task = await self.do(lambda tasks: tasks.add(agent, tenant, asked, self._config().tasks, run=True))
        self._start(task)
        running = self._running[task.id]
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            await self.cancel(task.id, tenant)
            raise
        return await self.do(lambda tasks: tasks.get(task.id, tenant)) or task

    async def cancel(self, id: str, tenant: str) -> Task | None:
        found = await self.do(lambda tasks: tasks.cancel(id, tenant))
        if found is not None and id in self._asking:
            self._running[id].cancel()
        return found

    # In the background

    def _with_store(self, what: Callable[[Tasks], T]) -> T:
        if self._tasks is None:
            self._tasks = Tasks(self._config().data)
        return what(self._tasks)

    async def _on_thread(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, what)

    async def _work(self) -> None:
        while self._until is None:
            self._wake.clear()
            asking = set(self._asking)
            try:
                room = self._config().tasks.at_once - len(self._running)
                taken, ours = await self._on_thread(partial(self._with_store, partial(_look, room)))
            except Exception as error:  # whatever it is, the next look may be better
                _log.error("The store of tasks: %s", error)
                taken, ours = [], asking
            if self._until is not None and taken:  # we were told to end in the meantime
                await self._on_thread(partial(self._with_store, partial(_put_back, taken)))
                return
            for id in (asking & self._asking) - ours:  # cancelled by another worker's client
                self._running[id].cancel()
            for task in taken:
                self._start(task)
            try:
                async with asyncio.timeout(_LOOK):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _start(self, task: Task) -> None:
        self._asking.add(task.id)
        running = asyncio.get_running_loop().create_task(self._run(task))
        self._running[task.id] = running
        running.add_done_callback(lambda _: self._over(task.id))

    def _over(self, id: str) -> None:
        self._asking.discard(id)
        del self._running[id]
        self._wake.set()

    async def _run(self, task: Task) -> None:
        try:
            state, told = await self._answer(task)
        except asyncio.CancelledError:  # cancelled by its client, and so told already; else interrupted
            state, told = "interrupted", {"error": INTERRUPTED}
        except Exception as error:
            _log.error("%s failed: %s", task.id, type(error).__name__, exc_info=error)
            state, told = "failed", {"error": _ODD}
        self._asking.discard(task.id)
        if state == "failed" and self._until is not None and asyncio.get_running_loop().time() >= self._until - 0.1:
            state, told = "interrupted", {"error": INTERRUPTED}  # its provider was hung up on, as all were
        await self._keep(task, state, told)

    async def _keep(self, task: Task, state: State, told: Json) -> None:
        while True:
            try:
                kept = await self.do(lambda tasks: tasks.end(task.id, state, told, self._config().tasks))
            except Overloaded:
                await asyncio.sleep(_AGAIN)
                continue
            self._metrics.count(TASKS, (task.agent, state if kept else "cancelled"))
            return

    async def _answer(self, task: Task) -> tuple[State, Json]:
        """What the gateway answers to itself."""
        asked = task.asked
        prompt = asked.task if asked.context is None else [asked.context, asked.task]
        errand = Errand(encode_json({"model": PREFIX + task.agent, "prompt": prompt}), asked.headers, task.tenant)
        await self._gateway(errand)
        return _outcome(errand)


class Errand:
    """A request of the gateway to itself: an Inbound whose answer is gathered."""

    method, path, raw_path, query = "POST", _PATH, _PATH.encode(), b""
    door = find(_PATH, b"")
    keep_alive, left, flows = True, False, False
    task: asyncio.Task[Any] | None = None

    def __init__(self, body: bytes, headers: Mapping[str, str], tenant: str) -> None:
        self.body: bytes | None = body
        self.headers = {name.encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}
        self.tenant: str | None = tenant  # it was let in when it was accepted
        self.lines, self.answer = b"", b""

    async def receive(self) -> tuple[bytes, bool]:
        return b"", False

    def reply(self, status: int, lines: bytes, body: bytes) -> bool:
        self.lines, self.answer = lines, body
        return True

    def begin(self, status: int, lines: bytes) -> None:
        self.lines = lines

    async def send(self, piece: bytes, more: bool = True) -> None:
        self.answer += piece

    def push(self, piece: bytes) -> None:
        self.answer += piece


def _look(room: int, tasks: Tasks) -> tuple[list[Task], set[str]]:
    tasks.sweep()
    return tasks.take(room), tasks.ours()


def _put_back(taken: list[Task], tasks: Tasks) -> None:
    tasks.put_back(taken)


def _outcome(errand: Errand) -> tuple[State, Json]:
    answer: Json = msgspec.json.decode(errand.answer or b"{}")
    if "text" not in answer:  # a status may have gone out before, with a heartbeat
        return "failed", {"error": answer.get("error", _ODD)}
    heads = [line.partition(": ") for line in errand.lines.decode("latin-1").split("\r\n")]
    told = {name.removeprefix(OWN): value for name, _, value in heads if name.startswith(OWN) and name != f"{OWN}request-id"}
    del answer["id"]
    return "done", {"result": {**answer, "gateway": told}}
