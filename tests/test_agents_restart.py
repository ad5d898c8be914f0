"""Tasks outlive the gateway: real processes, killed without a warning in every state a task has, and started again."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from processes import ended, process

AGENTS = """
[tasks]
at_once = {at_once}
[agents.writer]
model = "exact-openai"
[agents.lost]
model = "nobody-has-this"
"""
ENDED = {"done", "failed", "interrupted", "cancelled"}
Json = dict[str, Any]


class Client:
    """Of one gateway that runs."""

    def __init__(self, http: httpx.AsyncClient, running: asyncio.subprocess.Process, mock: Any) -> None:
        self.http, self.running, self.mock = http, running, mock

    async def give(self, task: str, agent: str = "writer") -> str:
        told = await self.http.post("/api/agents/delegate", json={"agent": agent, "task": task, "wait": False})
        assert (told.status_code, told.json()["state"]) == (202, "queued")
        return told.json()["id"]

    async def state(self, id: str) -> Json:
        try:
            told = await self.http.get(f"/api/agents/status/{id}")
        except httpx.TransportError:  # the worker at the other end was killed
            told = await self.http.get(f"/api/agents/status/{id}")
        assert told.status_code == 200, told.text
        return told.json()

    async def until(self, id: str, *states: str) -> Json:
        async with asyncio.timeout(15):
            while (told := await self.state(id))["state"] not in states:
                await asyncio.sleep(0.01)
        return told

    async def kill(self) -> None:
        if self.running.returncode is None:
            os.killpg(self.running.pid, signal.SIGKILL)
        await self.running.communicate()  # to the end of its pipes, or they are left open


@asynccontextmanager
async def gateway(folder: Path, at_once: int = 2, workers: int = 1, drain: str = "10s") -> AsyncIterator[Client]:
    server = f'workers = {workers}\ndrain = "{drain}"'
    async with process(folder, server=server, more=AGENTS.format(at_once=at_once)) as (running, place):
        async with httpx.AsyncClient(base_url=place.url, timeout=15) as http:
            client = Client(http, running, place.mock)
            try:
                yield client
            finally:
                await client.kill()


async def test_none_is_lost_in_any_state(tmp_path: Path) -> None:
    """Killed again and again, with tasks done, failed, cancelled, running and waiting."""
    asked: dict[str, str] = {}
    async with gateway(tmp_path) as first:
        asked[await first.give("one")] = "done"
        asked[await first.give("two", "lost")] = "failed"
        for id, state in asked.items():
            await first.until(id, state)
        gone = await first.give("[[slow:60000]] three")
        assert (await first.http.delete(f"/api/agents/status/{gone}")).json()["state"] == "cancelled"
        asked[gone] = "cancelled"
        slow = [await first.give(f"[[slow:60000]] {n}") for n in range(2)]
        for id in slow:
            await first.until(id, "running")
            asked[id] = "interrupted"
        waiting = [await first.give(f"later {n}") for n in range(5)]
        assert {(await first.state(id))["state"] for id in waiting} == {"queued"}
        await first.kill()
    async with gateway(tmp_path) as second:
        for id in waiting:
            told = await second.until(id, *ENDED)
            assert told["state"] == "done" and told["result"]["text"].startswith("You said: later")
            asked[id] = "done"
        for id, state in asked.items():
            assert (await second.until(id, *ENDED))["state"] == state
        told = await second.state(slow[0])
        assert told["error"]["type"] == "interrupted" and "started" in told and "ended" in told
        assert (await second.state(gone)).keys().isdisjoint(("result", "error"))
        await second.kill()
    async with gateway(tmp_path) as third:
        assert {id: (await third.state(id))["state"] for id in asked} == asked
        counts = next(row for row in (await third.http.get("/api/agents/status")).json()["agents"] if row["name"] == "writer")
        assert counts["tasks"] == {"queued": 0, "running": 0, "done": 6, "failed": 0, "interrupted": 2, "cancelled": 1}


@pytest.mark.parametrize("moment", range(4))
async def test_what_was_accepted_when_the_blow_fell_is_there_afterwards(tmp_path: Path, moment: int) -> None:
    """Clients give tasks as fast as they can; the kill falls between any two steps of any of them."""
    accepted: list[str] = []
    async with gateway(tmp_path) as first:

        async def give() -> None:
            while True:
                try:
                    accepted.append(await first.give(f"task {len(accepted)}"))
                except (httpx.HTTPError, ConnectionError):
                    return

        clients = [asyncio.create_task(give()) for _ in range(4)]
        while len(accepted) < 10 + 7 * moment:
            await asyncio.sleep(0)
        await first.kill()
        await asyncio.gather(*clients)
    async with gateway(tmp_path) as second:
        states = Counter([(await second.until(id, *ENDED))["state"] for id in accepted])
        assert states.keys() <= {"done", "interrupted"} and states["interrupted"] <= 2


async def test_workers_share_the_tasks_and_each_runs_once(tmp_path: Path) -> None:
    """Two workers, one killed: what it ran is interrupted, what waited is done by those who live, and none is run twice."""
    async with gateway(tmp_path, at_once=1, workers=2) as here:
        slow = [await here.give(f"[[slow:60000]] {n}") for n in range(2)]
        for id in slow:  # one in each worker
            await here.until(id, "running")
        waiting = [await here.give(f"later {n}") for n in range(6)]
        workers = children(here.running.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        for id in waiting:
            assert (await here.until(id, *ENDED))["state"] == "done"
        states = {(await here.state(id))["state"]: id for id in slow}
        assert states.keys() == {"interrupted", "running"}
        other = states["running"]
        assert (await here.http.delete(f"/api/agents/status/{other}")).json()["state"] == "cancelled"
        entries = here.mock.journal.entries
        async with asyncio.timeout(15):  # whichever worker was asked, the one that runs it hangs up
            while sum(entry.aborted for entry in entries) < 2:
                await asyncio.sleep(0.01)
        said = [entry.body["messages"][-1]["content"] for entry in here.mock.journal.entries]
        assert sorted(said) == sorted([*(f"[[slow:60000]] {n}" for n in range(2)), *(f"later {n}" for n in range(6))])


async def test_sigterm_lets_what_runs_end_and_leaves_what_waits(tmp_path: Path) -> None:
    async with gateway(tmp_path, at_once=1) as first:
        runs = await first.give("[[slow:1500]] one")
        await first.until(runs, "running")
        waits = await first.give("two")
        first.running.send_signal(signal.SIGTERM)
        assert await ended(first.running) == (0, "")
        assert len(first.mock.journal.entries) == 1
    async with gateway(tmp_path) as second:
        assert (await second.until(runs, *ENDED))["state"] == "done"
        assert (await second.until(waits, *ENDED))["state"] == "done"
        assert len(second.mock.journal.entries) == 1


async def test_sigterm_interrupts_what_takes_too_long(tmp_path: Path) -> None:
    async with gateway(tmp_path, drain="300ms") as first:
        runs = await first.give("[[slow:60000]] one")
        await first.until(runs, "running")
        first.running.send_signal(signal.SIGTERM)
        assert (await ended(first.running))[0] == 0
    async with gateway(tmp_path) as second:
        assert (await second.state(runs))["state"] == "interrupted"


def children(pid: int) -> list[int]:
    """The workers of a gateway: its children that run our code, not multiprocessing's helpers."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
