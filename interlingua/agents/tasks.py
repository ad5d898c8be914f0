"""Tasks given to agents: one SQLite file for all workers, and for those who come after them. What was accepted is never lost.

A task is on the disk before its client hears of it: `queued`, then `running` by exactly one worker, then `done`, `failed`,
`cancelled`, or `interrupted`, where its worker died or was stopped in the middle. It is not run twice: a model may have been
asked, and paid, already.

A worker's life is a lock on a file of its own, which the kernel lets go when the process ends, however it ends: no clock and
no heartbeat to be late with. Calls wait for the disk: make them in a thread, one at a time.
"""

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from interlingua.config import Tasks as Limits
from interlingua.errors import Overloaded, TooLarge
from interlingua.ir import Json
from interlingua.store import database, writing

State = Literal["queued", "running", "done", "failed", "interrupted", "cancelled"]
STATES: Final[tuple[State, ...]] = ("queued", "running", "done", "failed", "interrupted", "cancelled")
INTERRUPTED: Final = {
    "message": "Its worker ended before it did. It is not run again: give it anew.",
    "type": "interrupted",
    "status": 503,
}
_TOO_LARGE: Final = {"message": "The result is too large to keep.", "type": "too_large", "status": 502}
_OPEN: Final = "state IN ('queued', 'running')"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS task (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, agent TEXT NOT NULL,
    state TEXT NOT NULL, created REAL NOT NULL, started REAL, ended REAL, owner TEXT, asked BLOB NOT NULL, told BLOB,
    size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS task_state ON task (state, number);
CREATE INDEX IF NOT EXISTS task_tenant ON task (tenant, number);
"""
_COLUMNS: Final = "id, tenant, agent, state, created, started, ended, asked, told"
_TAKE: Final = f"""
UPDATE task SET state = 'running', owner = ?, started = ? WHERE number = (
    SELECT number FROM task WHERE state = 'queued' ORDER BY number LIMIT 1
) RETURNING {_COLUMNS}
"""
_LAST: Final = f"DELETE FROM task WHERE number = (SELECT number FROM task WHERE NOT {_OPEN} ORDER BY ended, number LIMIT 1)"

_encode = msgspec.json.Encoder().encode


class Asked(Struct):
    """`headers`: those of the client's that say how it is to be asked."""

    task: str
    context: str | None = None
    headers: dict[str, str] = {}


class Task(Struct, frozen=True):
    """Times are Unix seconds. `told`: {"result": …} or {"error": …} of one that has ended."""

    id: str
    tenant: str
    agent: str
    state: State
    created: float
    started: float | None
    ended: float | None
    asked: Asked
    told: Json


_decode_asked = msgspec.json.Decoder(Asked).decode


class Owner:
    """One worker, as long as it lives."""

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(8)
        self._path = _lock(folder, self.name)
        new = self._path.with_suffix(".new")  # it has its name once it is locked: nobody finds it open
        self._file = open(new, "wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        new.rename(self._path)

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def _lock(folder: Path, owner: str) -> Path:
    return folder / f"{owner}.worker"


def is_dead(folder: Path, owner: str) -> bool:
    try:
        with open(_lock(folder, owner), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _lock(folder, owner).unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


class Tasks:
    """`folder` is made where it is missing. Raises OSError or sqlite3.Error where it cannot be used."""

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = Path(folder), clock
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._folder / "tasks.sqlite"
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = database(str(file), _SCHEMA, "FULL")
        self._owner = Owner(self._folder)

    def close(self) -> None:
        """What is still running here is interrupted from now on."""
        with suppress(sqlite3.Error):  # then others will find us dead
            self._interrupt(self._owner.name)
        self._db.close()
        self._owner.close()

    def add(self, agent: str, tenant: str, asked: Asked, limits: Limits, run: bool) -> Task:
        """Accepts a task. `run`: it is ours from the start, else whoever comes first takes it. Raises Overloaded where there is
        no room, TooLarge where there will never be."""
        now, data = self._clock(), _encode(asked)
        if len(data) > limits.size // 2:
            raise TooLarge(f"The task is larger than {limits.size // 2} bytes.")
        task = Task(f"task_{secrets.token_hex(12)}", tenant, agent, "running" if run else "queued", now, None, None, asked, {})
        started, owner = (now, self._owner.name) if run else (None, None)
        row = task.id, tenant, agent, task.state, now, started, owner, data, len(data)
        with writing(self._db):
            if not run and self._count("state = 'queued'") >= limits.queue:
                raise Overloaded("Too many tasks wait already. Try again later.", retry_after=10, code="queue_full")
            if not self._make_room(limits, len(data)):
                raise Overloaded("There is no room for another task. Try again later.", retry_after=10, code="queue_full")
            names = "id, tenant, agent, state, created, started, owner, asked, size"
            self._db.execute(f"INSERT INTO task ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return msgspec.structs.replace(task, started=started)

    def take(self, most: int) -> list[Task]:
        """Up to so many of those that wait, the oldest first: from now on they are ours."""
        taken = list[Task]()
        if most <= 0 or not self._count("state = 'queued' LIMIT 1"):
            return taken
        with writing(self._db):
            while len(taken) < most and (row := self._db.execute(_TAKE, (self._owner.name, self._clock())).fetchone()):
                taken.append(_task(row))
        return taken

    def put_back(self, taken: list[Task]) -> None:
        """Tasks that were taken and not begun wait again, in their old places."""
        with writing(self._db):
            for task in taken:
                sets = "state = 'queued', started = NULL, owner = NULL"
                self._db.execute(f"UPDATE task SET {sets} WHERE id = ? AND owner = ?", (task.id, self._owner.name))

    def ours(self) -> set[str]:
        """The ids of what we are running; who is missing was cancelled."""
        rows = self._db.execute("SELECT id FROM task WHERE state = 'running' AND owner = ?", (self._owner.name,))
        return {id for (id,) in rows}

    def end(self, id: str, state: State, told: Json, limits: Limits) -> bool:
        """False: it was cancelled in the meantime."""
        data = _encode(told)
        if len(data) > limits.size // 2:
            state, data = "failed", _encode({"error": _TOO_LARGE})
        values = state, self._clock(), data, len(data), id, self._owner.name
        with writing(self._db):
            self._make_room(limits, len(data))
            sets = "state = ?, ended = ?, told = ?, size = size + ?, owner = NULL"
            done = self._db.execute(f"UPDATE task SET {sets} WHERE id = ? AND owner = ? AND state = 'running'", values)
        return done.rowcount > 0

    def sweep(self) -> int:
        """Interrupts what the dead were running. Returns how many tasks that were."""
        rows = self._db.execute("SELECT DISTINCT owner FROM task WHERE state = 'running'")
        known = {owner for (owner,) in rows} | {path.stem for path in self._folder.glob("*.worker")}
        dead = [owner for owner in known - {self._owner.name} if is_dead(self._folder, owner)]
        return sum(map(self._interrupt, dead))

    def cancel(self, id: str, tenant: str) -> Task | None:
        """Ends a task that has not ended, forgets one that has; None where there is none."""
        with writing(self._db):
            sets = "state = 'cancelled', ended = ?, owner = NULL"
            values = self._clock(), id, tenant
            changed = self._db.execute(f"UPDATE task SET {sets} WHERE id = ? AND tenant = ? AND {_OPEN}", values).rowcount
            found = self.get(id, tenant)
            if not changed:
                self._db.execute("DELETE FROM task WHERE id = ? AND tenant = ?", (id, tenant))
        return found

    def get(self, id: str, tenant: str) -> Task | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM task WHERE id = ? AND tenant = ?", (id, tenant)).fetchone()
        return _task(row) if row else None

    def newest(self, tenant: str, limit: int, agent: str | None = None, state: str | None = None) -> list[Task]:
        sql = f"SELECT {_COLUMNS} FROM task WHERE tenant = ?1 AND (?2 IS NULL OR agent = ?2) AND (?3 IS NULL OR state = ?3)"
        rows = self._db.execute(f"{sql} ORDER BY number DESC LIMIT ?4", (tenant, agent, state, limit))
        return [_task(row) for row in rows]

    def counts(self, tenant: str) -> dict[str, dict[str, int]]:
        """agent -> state -> how many."""
        found: dict[str, dict[str, int]] = {}
        rows = self._db.execute("SELECT agent, state, count(*) FROM task WHERE tenant = ? GROUP BY agent, state", (tenant,))
        for agent, state, count in rows:
            found.setdefault(agent, {})[state] = count
        return found

    def _interrupt(self, owner: str) -> int:
        values = self._clock(), _encode({"error": INTERRUPTED}), owner
        sets = "state = 'interrupted', ended = ?, told = ?, owner = NULL"
        return self._db.execute(f"UPDATE task SET {sets} WHERE owner = ? AND state = 'running'", values).rowcount

    def _count(self, which: str) -> int:
        return self._db.execute(f"SELECT count(*) FROM (SELECT 1 FROM task WHERE {which})").fetchone()[0]

    def _make_room(self, limits: Limits, size: int) -> bool:
        """Forgets those that have ended: the too old, then the oldest beyond what is kept. False where that does not do: what
        has not ended stays."""
        self._db.execute(f"DELETE FROM task WHERE NOT {_OPEN} AND ended <= ?", (self._clock() - limits.age,))
        for _ in range(max(0, self._count(f"NOT {_OPEN}") - limits.kept)):
            self._db.execute(_LAST)
        while self._db.execute("SELECT coalesce(sum(size), 0) FROM task").fetchone()[0] + size > limits.size:
            if not self._db.execute(_LAST).rowcount:
                return False
        return True


def _task(row: Iterable[Any]) -> Task:
    id, tenant, agent, state, created, started, ended, asked, told = row
    answer: Json = msgspec.json.decode(told) if told else {}
    return Task(id, tenant, agent, state, created, started, ended, _decode_asked(asked), answer)
