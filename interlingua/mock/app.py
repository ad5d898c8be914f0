"""The mock as a raw ASGI application: reads a call, lets its vendor answer, delivers the answer well or as badly as was asked.

    uvicorn interlingua.mock.app:app

A connection is cut or reset through the transport that `server.py` leaves in the scope; under another server, by failing.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qsl

from interlingua.mock.journal import Entry, Journal
from interlingua.mock.scenarios import SCENARIOS, Interruption, judge_key
from interlingua.mock.vendors import Vendor, claimant, vendors
from interlingua.mock.wire import Call, Chunk, Fault, Options, Refusal, Reply, Stream, an_object, bad, encode

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY: Final = 100 << 20
TRANSPORT: Final = "interlingua.transport"  # the extension through which a connection is broken
_PLAIN: Final = "text/plain; charset=utf-8"


class ConnectionCut(Exception):
    """Ends a response without its end, under a server that gives no access to its transport."""


class Connection:
    """One request's way in and out. Knows when the client has left."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.transport: Any = an_object(an_object(scope.get("extensions")).get(TRANSPORT)).get("transport")
        self._receive = receive
        self._send = send
        self._leaving: asyncio.Future[Any] | None = None
        self.broken = False  # before the answer, or by us

    async def body(self) -> bytes | None:
        """The whole body; None if it is larger than the limit, or the client left."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.broken = True
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MAX_BODY:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)

    def watch(self) -> None:
        self._leaving = asyncio.ensure_future(self._receive())

    async def pause(self, seconds: float) -> None:
        """Waits, but no longer than the client does."""
        if self._leaving is not None:
            await asyncio.wait({self._leaving}, timeout=seconds)

    @property
    def left(self) -> bool:
        return self._leaving is not None and self._leaving.done()

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        pairs = [(name.encode(), value.encode()) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        await asyncio.sleep(0)  # lets the loop see a client that has left

    async def finish(self, data: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def cut(self, *, reset: bool = False) -> None:
        """Closes the connection after what was written; `reset`: at once, with a TCP reset."""
        self.broken = True
        if self.transport is None:
            raise ConnectionCut
        if reset:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()
        if self._leaving is not None:
            await self._leaving

    def close(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()


class MockApp:
    """The ASGI callable. `journal` is what it received; `options` are the rules that may be loosened."""

    def __init__(self, options: Options | None = None, journal: Journal | None = None) -> None:
        self.options = options or Options()
        self.journal = journal or Journal()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        connection = Connection(scope, receive, send)
        body = await connection.body()
        if body is None and connection.broken:
            return
        if body is None:
            reply = Reply(b"The body is too large.\n", 413, content_type=_PLAIN)
            return await deliver_reply(connection, reply, Entry(0, "", "", "", {}, {}, None))
        call = read_call(scope, body)
        if call.path == "/" or call.path.startswith("/mock/"):
            return await deliver_reply(connection, self.operate(call), Entry(0, "", "", "", {}, {}, None))
        vendor = claimant(call)
        entry = self.journal.open(vendor.name, call)
        connection.watch()
        try:
            await self._deliver(connection, self.answer(vendor, call, entry), entry)
        finally:
            connection.close()

    def answer(self, vendor: Vendor, call: Call, entry: Entry) -> Reply | Stream:
        """What a vendor says to a call; every error in its own shape."""
        try:
            judge_key(call.key)
            out = vendor.serve(call, self.options)
        except Refusal as refusal:
            entry.verdict = refusal.message
            out = vendor.refuse(call, refusal)
        except RecursionError:
            entry.verdict = "nested too deeply"
            out = vendor.refuse(call, bad("The body of the request is nested too deeply."))
        except Interruption as interruption:
            out = interruption.reply
        entry.status = out.status
        entry.stream = isinstance(out, Stream)
        return out

    async def _deliver(self, connection: Connection, out: Reply | Stream, entry: Entry) -> None:
        if out.fault.first:
            await connection.pause(out.fault.first)
        if connection.left:
            return self.journal.abort(entry)
        if out.fault.reset:
            return await connection.cut(reset=True)
        if isinstance(out, Reply):
            await deliver_reply(connection, out, entry)
        else:
            await deliver_stream(connection, out, entry)
        if connection.left and not (entry.done or connection.broken):
            self.journal.abort(entry)

    def operate(self, call: Call) -> Reply:
        """The mock's own paths."""
        match call.method, call.path:
            case "GET", "/mock/journal":
                return Reply(encode(self.journal.told()))
            case "DELETE", "/mock/journal":
                self.journal.clear()
                return Reply(b"{}")
            case "GET", "/mock/scenarios":
                rows = {name: {"says": row.says, "argument": row.argument} for name, row in SCENARIOS.items()}
                return Reply(encode(rows))
            case "GET", "/":
                return Reply(_greeting().encode(), content_type=_PLAIN)
            case _:
                return Reply(b'{"error":"The mock has GET and DELETE /mock/journal, and GET /mock/scenarios."}', 404)


def read_call(scope: Scope, body: bytes) -> Call:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    query: dict[str, str] = {}
    for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        query.setdefault(name, value)
    return Call(scope["method"], scope["path"], query, headers, body)


async def deliver_reply(connection: Connection, reply: Reply, entry: Entry) -> None:
    headers = [("content-type", reply.content_type), ("content-length", str(len(reply.body))), *reply.headers]
    await connection.start(reply.status, headers)
    if reply.fault.cut is not None:
        await connection.write(reply.body[: len(reply.body) // 2])
        return await connection.cut()
    if reply.fault.shred:
        for piece in _shreds(reply.body, reply.fault.shred):
            await connection.write(piece)
        await connection.finish()
    else:
        await connection.finish(reply.body)
    entry.done = True


async def deliver_stream(connection: Connection, stream: Stream, entry: Entry) -> None:
    fault = stream.fault
    await connection.start(stream.status, [("content-type", stream.content_type), ("cache-control", "no-cache"), *stream.headers])
    for chunk in _faulty(stream.chunks, fault, stream.error):
        if chunk is None:
            return await connection.cut()
        if chunk.content and fault.gap:
            await connection.pause(fault.gap)
        if connection.left:
            return
        for piece in _shreds(chunk.data, fault.shred) if fault.shred else (chunk.data,):
            await connection.write(piece)
        entry.chunks += chunk.content
    if not connection.left:
        await connection.finish()
        entry.done = True


def _faulty(chunks: Iterator[Chunk], fault: Fault, error: bytes) -> Iterator[Chunk | None]:
    """The chunks up to the fault; then the error frame, or None for a cut."""
    limit = fault.cut if fault.cut is not None else fault.error
    if limit is None:
        yield from chunks
        return
    yield from _first(chunks, limit)
    yield None if fault.cut is not None else Chunk(error, False)


def _first(chunks: Iterator[Chunk], limit: int) -> Iterator[Chunk]:
    """Up to so many content chunks, and the frame chunks before the next one."""
    seen = 0
    for chunk in chunks:
        seen += chunk.content
        if seen > limit:
            return
        yield chunk


def _shreds(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _greeting() -> str:
    rows = "\n".join(f"  [[{name}]]  {row.says}" for name, row in islice(SCENARIOS.items(), 1, None))
    names = ", ".join(vendor.name for vendor in vendors())
    return (
        f"Interlingua's mock providers ({names}). Any key will do.\nPut a marker into your message to choose an answer:\n{rows}\n"
    )


app = MockApp()
