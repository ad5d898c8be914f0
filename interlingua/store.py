"""Responses kept for clients that come back to them by id: bounded, embedded, one SQLite file for all workers.

A turn is kept as the IR tells it: what it brought (never the history that was put before it), the answer, and the id of
the turn before. A conversation is the chain of its turns, so that its n-th turn costs no more to keep than its first.
All of a chain is fresh when its end is read: the oldest that nobody reads goes first when the file is at its limit.

    request = expanded(request, store, tenant)     # what `previous_response_id` stands for, put before the input
    answer.tap(lambda response: store.put(Kept(request, response), tenant))

Calls are quick (some 100 µs) and made where they stand: only requests of the `responses` protocol come here, and what
was put is there before its client is told, whichever worker it asks next. `tenant` is whoever may read it: the name of
a client's key, or "" where there are no keys.
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from interlingua.errors import InvalidRequest, NotFound, Unsupported
from interlingua.ir import Choice, Json, Message, Request, Response

OWN: Final = "responses"  # the protocol whose clients these are
PREVIOUS: Final = "previous_response_id"
_DAYS: Final = 86_400.0
_PATIENCE: Final = 10.0  # seconds that an opening waits for other processes; what runs waits two
_LARGEST: Final = 32 << 20  # bytes of one turn
_LONGEST: Final = 10_000  # turns of one conversation
_CHANGED: Final = ("background", "conversation", PREVIOUS)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS turn (
    tenant TEXT NOT NULL, id TEXT NOT NULL, previous TEXT, used REAL NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX IF NOT EXISTS turn_used ON turn (used);
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
CREATE TRIGGER IF NOT EXISTS turn_in AFTER INSERT ON turn BEGIN UPDATE total SET bytes = bytes + NEW.size; END;
CREATE TRIGGER IF NOT EXISTS turn_out AFTER DELETE ON turn BEGIN UPDATE total SET bytes = bytes - OLD.size; END;
"""
_CHAIN: Final = """
WITH RECURSIVE chain (id, previous, body, depth) AS (
    SELECT id, previous, body, 0 FROM turn WHERE tenant = :tenant AND id = :id
    UNION ALL
    SELECT turn.id, turn.previous, turn.body, depth + 1 FROM chain
    JOIN turn ON turn.tenant = :tenant AND turn.id = chain.previous WHERE depth < :longest
)
SELECT id, previous, body FROM chain ORDER BY depth DESC
"""

_encode = msgspec.msgpack.Encoder().encode


class Kept(Struct):
    """One turn: the request as its client sent it, and the whole answer, under the id that the client was told."""

    request: Request
    response: Response


class _Said(Struct):
    """Of a request, what a later turn is told: the rest is not even decoded."""

    messages: list[Message]


class _Answered(Struct):
    choices: list[Choice]


class _Turn(Struct):
    request: _Said
    response: _Answered


_decode = msgspec.msgpack.Decoder(Kept).decode
_decode_turn = msgspec.msgpack.Decoder(_Turn).decode


class Store:
    """`path` None: a private file that goes with this process; workers that share one are given its path. `limit`: bytes
    in all. `age`: seconds after which an unread turn is gone. Raises sqlite3.Error where the file cannot be used."""

    def __init__(
        self,
        path: str | None = None,
        limit: int = 1 << 30,
        age: float = 30 * _DAYS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._own = private_file() if path is None else None
        self._limit, self._age, self._clock = limit, age, clock
        self._db = database(path or self._own or "", _SCHEMA, "OFF" if path is None else "NORMAL")

    def put(self, kept: Kept, tenant: str) -> bool:
        """Keeps a turn, and forgets what there is no room for. False: it is too large to keep."""
        try:
            body = _encode(kept)
        except (OverflowError, RecursionError):  # numbers, or nesting, that no encoding holds
            return False
        if len(body) > min(_LARGEST, self._limit):
            return False
        previous = _own(kept.request).get(PREVIOUS)
        row = tenant, kept.response.id, previous if type(previous) is str else None, self._clock(), len(body), body
        try:
            with writing(self._db):
                self._db.execute("DELETE FROM turn WHERE tenant = ? AND id = ?", row[:2])
                self._make_room(self._db.execute("INSERT INTO turn VALUES (?, ?, ?, ?, ?, ?)", row).lastrowid)
        except sqlite3.OperationalError:  # a full disk, or another who will not let go: the answer itself is not at stake
            return False
        return True

    def get(self, id: str, tenant: str) -> Kept | None:
        row = self._db.execute("SELECT body FROM turn WHERE tenant = ? AND id = ? AND used > ?", (tenant, id, self._oldest))
        found = row.fetchone()
        return _decode(found[0]) if found else None

    def delete(self, id: str, tenant: str) -> bool:
        """Forgets a turn; the turns after it can no longer be continued. False: it was not there."""
        return self._db.execute("DELETE FROM turn WHERE tenant = ? AND id = ?", (tenant, id)).rowcount > 0

    def history(self, id: str, tenant: str) -> list[Message] | None:
        """What was said up to and with a turn; None where one of its turns is not there any more."""
        said = {"tenant": tenant, "id": id, "longest": _LONGEST}
        rows: list[tuple[str, str | None, bytes]] = self._db.execute(_CHAIN, said).fetchall()
        if not rows or rows[0][1] is not None:
            return None
        fresh = [(self._clock(), tenant, name) for name, _, _ in rows]
        with suppress(sqlite3.OperationalError), writing(self._db):
            self._db.executemany("UPDATE turn SET used = ? WHERE tenant = ? AND id = ?", fresh)
        return [message for _, _, body in rows for message in _told(_decode_turn(body))]

    def close(self) -> None:
        self._db.close()
        if self._own is not None:
            for ending in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.unlink(self._own + ending)
            self._own = None

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._db.execute("SELECT bytes FROM total").fetchone()[0]

    @property
    def _oldest(self) -> float:
        return self._clock() - self._age

    def _make_room(self, newest: int | None) -> None:
        """Forgets what is too old, then the longest unread, but not the newest."""
        self._db.execute("DELETE FROM turn WHERE used <= ?", (self._oldest,))
        last = "DELETE FROM turn WHERE rowid = (SELECT rowid FROM turn WHERE rowid != ? ORDER BY used, rowid LIMIT 1)"
        while self.size > self._limit and self._db.execute(last, (newest,)).rowcount:
            pass


def database(path: str, schema: str, synchronous: Literal["OFF", "NORMAL", "FULL"]) -> sqlite3.Connection:
    """A database that several processes of one machine may have open. OFF: it need not outlive the machine's power; FULL: what
    was committed does. Raises sqlite3.Error where the file cannot be used."""
    db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    _write_ahead(db)
    db.executescript(schema)
    for pragma in (f"synchronous = {synchronous}", "foreign_keys = OFF", "busy_timeout = 2000"):
        db.execute(f"PRAGMA {pragma}")
    return db


def _write_ahead(db: sqlite3.Connection) -> None:
    """The one change that SQLite refuses at once, without its time-out, while another opens the same file."""
    last = time.monotonic() + _PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
        time.sleep(0.005)


@contextmanager
def writing(db: sqlite3.Connection) -> Generator[None]:
    """A transaction, the only one that writes: all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    with db:
        yield


def private_file() -> str:
    """A new file that only this user can read."""
    handle, path = tempfile.mkstemp(prefix="interlingua-", suffix=".sqlite")
    os.close(handle)
    return path


# What a request refers to


def expanded(request: Request, store: Store, tenant: str, native: bool = False) -> Request:
    """The request with the conversation that its `previous_response_id` stands for; the same one where it names none.

    Instructions of earlier turns are not carried over, as the vendor has it. Raises NotFound, in the vendor's words, where
    the id is not known; `native`: then the backend, which speaks the protocol itself, may know it."""
    previous = _own(request).get(PREVIOUS)
    if previous is None:
        return request
    history = store.history(previous, tenant) if type(previous) is str else None
    if history is None and native:
        return request
    if history is None:
        text = f"Previous response with id '{previous}' not found."
        raise NotFound(text, param=PREVIOUS, code="previous_response_not_found")
    first = [message for message in request.messages if _instructs(message)]
    own = {key: value for key, value in _own(request).items() if key != PREVIOUS}
    extras = {**request.extras, OWN: {**own, f"~{PREVIOUS}": previous}}
    input_ = [message for message in request.messages if not _instructs(message)]
    return msgspec.structs.replace(request, messages=[*first, *history, *input_], extras=extras)


def must_be_native(request: Request) -> None:
    """Raises Unsupported where the request would mean something else at a backend of another protocol."""
    for field in _CHANGED:
        if _own(request).get(field):
            raise Unsupported(f"{field} is not available with this model's provider.", param=field)


def wanted(request: Request) -> bool:
    """Whether the client lets its response be kept: it does unless it says otherwise."""
    return _own(request).get("~store") is not False


def _own(request: Request) -> Json:
    return request.extras.get(OWN, {})


def _instructs(message: Message) -> bool:
    return "~instructions" in message.extras.get(OWN, {})


def _told(turn: _Turn) -> list[Message]:
    said = [message for message in turn.request.messages if not _instructs(message)]
    choices = turn.response.choices
    return [*said, Message(role="assistant", parts=choices[0].parts)] if choices and choices[0].parts else said


# The vendor's own shapes: types.responses.response_item_list, input_item_list_params, and what DELETE answers


def not_found(id: str) -> NotFound:
    return NotFound(f"Response with id '{id}' not found.", param="response_id")


def deleted(id: str) -> Json:
    return {"id": id, "object": "response.deleted", "deleted": True}


def page(items: list[Json], after: str | None = None, limit: int = 20, order: str = "desc") -> Json:
    """One page of items, the newest first unless `order` is "asc"; `after` is the id of the last one seen. Raises
    InvalidRequest where a parameter is out of its bounds."""
    if not 1 <= limit <= 100:
        raise InvalidRequest("limit must be between 1 and 100", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("order must be one of asc, desc", param="order")
    rows = items if order == "asc" else items[::-1]
    start = next((n + 1 for n, row in enumerate(rows) if row.get("id") == after), 0) if after is not None else 0
    data = rows[start : start + limit]
    ids: list[Any] = [row.get("id") for row in data] or [None]
    more = len(rows) > start + limit
    return {"object": "list", "data": data, "first_id": ids[0], "last_id": ids[-1], "has_more": more}
