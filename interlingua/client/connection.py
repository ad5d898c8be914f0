"""One connection, the reply that is read from it, and the pool it goes back to. The hottest file there is: every line
is paid for by every request, so a wait costs one future, a request one write, and the parser calls C where it can.

httptools does the framing; here are the limits and what can go wrong. Every error drops its connection.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

from interlingua.client.inflate import Inflater
from interlingua.client.origins import Origin, Proxy
from interlingua.errors import GatewayError, UpstreamBroken, UpstreamGarbage, UpstreamTimeout

_PIECE: Final = 256 * 1024  # bytes that decrypting or unpacking gives at once
_JOIN: Final = 64 * 1024  # a larger body is not copied to stand behind its head
_STALE: Final = 1.0  # seconds within which a connection that was already closed shows it
_LINGER: Final = 1.0  # seconds for the end of a body whose reader has all it wanted
_END: Final = b"\r\n\r\n"


class Timeouts(Struct, frozen=True):
    """Seconds. `connect` counts the wait for a free connection, DNS, TCP, proxy and TLS; `first_byte` ends with the
    answer's whole head; `idle` is between two pieces of the body, while somebody waits for one."""

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 120.0


class Limits(Struct, frozen=True):
    """Of every connection: bytes of a head, bytes unread before reading pauses, seconds unused, unused ones per origin."""

    max_head: int
    buffer: int
    idle_ttl: float
    keep_idle: int


class Reply:
    """An answer whose head has arrived. Whoever has it calls `close`, always; one task at a time reads it.

    `status` and `headers` are for its reader; the other attributes are the connection's side of it.
    """

    __slots__ = ("_headers", "connection", "error", "head", "inflater", "parts", "rest", "stale", "status")

    def __init__(self, connection: "Connection") -> None:
        self.status = 0
        self.head = b""  # set: it has arrived
        self._headers: dict[str, str] | None = None
        self.connection: Connection | None = connection  # until the body has arrived
        self.rest = b""  # body not yet read, once there is no connection any more
        self.parts: list[bytes] | None = None  # body gathered for read()
        self.error: GatewayError | None = None  # what to raise after `rest`
        self.stale = False
        self.inflater: Inflater | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Names in lower case; repeated ones joined by ", ". They describe the body as given: where it was compressed,
        content-encoding and content-length are left out."""
        if self._headers is None:
            self._headers = headers_of(self.head)
            if self.inflater is not None:
                self._headers.pop("content-encoding", None)
                self._headers.pop("content-length", None)
        return self._headers

    async def read(self, limit: int) -> bytes:
        """The whole body, or what `next` has left of it. Over `limit` bytes: UpstreamGarbage."""
        connection = self.connection
        if connection is not None and (waiter := connection.gather_all(limit)) is not None:
            try:
                await waiter
            except BaseException:
                self.close()
                raise
        if self.error is not None:
            raise self.error
        body = self.rest
        self.rest = b""
        if self.parts is not None:
            self.parts.append(body)
            body = b"".join(self.parts)
            self.parts = None
        if self.inflater is not None:
            body = self.inflater.all(body, limit)
        if len(body) > limit:
            raise UpstreamGarbage(f"the answer is larger than {limit} bytes")
        return body

    def next(self) -> Coroutine[Any, Any, bytes | None]:
        """Awaited: all bytes that have arrived since the last call, at least one; None at the clean end."""
        return self._next() if self.inflater is None else self._next_inflated(self.inflater)

    async def _next(self) -> bytes | None:
        connection = self.connection
        if connection is not None:
            if not connection.chunks:
                waiter = connection.wait()
                try:
                    await waiter
                except BaseException:
                    self.close()
                    raise
            if self.connection is not None:
                return connection.take()
        data = self.rest
        if data:
            self.rest = b""
            return data
        if self.error is not None:
            raise self.error
        return None

    async def _next_inflated(self, inflater: Inflater) -> bytes | None:
        while True:
            packed = b"" if inflater.more else await self._next()
            if packed is None:
                inflater.end()
                return None
            try:
                plain = inflater.feed(packed, _PIECE)
            except UpstreamGarbage:
                self.close()
                raise
            if plain:
                return plain

    async def push(self, take: Callable[[bytes], bool]) -> None:
        """Calls `take` with the bytes right as they arrive, in the event loop's own call, until it returns False, the body is
        at its end, or bytes wait that only `next` can give. Raises what `take` does, and as `next`."""
        connection = self.connection
        if connection is None or connection.chunks or self.inflater is not None:
            return
        waiter = connection.wait()
        connection.taker = take
        try:
            await waiter
        except BaseException:
            self.close()
            raise

    def finish(self) -> None:
        """As `close`, for a reader that has all it wanted: the body's end may still come in a moment, and save the connection."""
        if self.connection is not None:
            self.connection.linger()

    def close(self) -> None:
        """Where the body is not finished, its connection is dropped at once; else it was already back in the pool."""
        if self.connection is not None:
            self.connection.fail(UpstreamBroken("the answer was closed before its end"))


def headers_of(head: bytes) -> dict[str, str]:
    """The parser has seen that it is well-formed: CRLF everywhere, and no folded lines."""
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name = name.lower()
        value = value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


# What a connection is at.
_IDLE: Final = 0
_SENT: Final = 1  # the request is out, the head of its answer is not complete
_BODY: Final = 2
_DONE: Final = 3

_EXPIRED: Final = {_SENT: "sent no answer within", _BODY: "sent nothing for"}


class Connection(asyncio.BaseProtocol):
    """One connection, which serves one request at a time.

    Clocks: `due` is when patience ends; 0.0 says "from the next tick on", so that no request need ask the time.
    """

    __slots__ = (
        "_head",
        "_informational",
        "_limits",
        "_loop",
        "_no_body",
        "_silent",
        "_waiter",
        "chunks",
        "closed",
        "counted",
        "deadline",
        "due",
        "feed",
        "full",
        "idle_patience",
        "keep",
        "limit",
        "on_body",
        "on_message_begin",
        "parser",
        "patience",
        "paused",
        "permits",
        "phase",
        "pool",
        "pouring",
        "reply",
        "taker",
        "transport",
        "unread",
        "used",
    )

    def __init__(self, pool: "Pool", loop: asyncio.AbstractEventLoop) -> None:
        self._limits = pool.limits
        self._loop = loop
        self.pool = pool
        self.transport = cast("asyncio.Transport", None)  # until connection_made
        self.phase = _IDLE
        self.reply: Reply | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.taker: Callable[[bytes], bool] | None = None  # is given what arrives; nobody need be woken
        self.counted = False  # the pool's slot is ours
        self.closed = False
        self.full: asyncio.Future[None] | None = None  # done when more may be written
        self.pouring = False  # a request's body is not all out, so nobody else may have the connection
        self.used = False  # has served a request before
        self.paused = False
        self.due = 0.0
        self.patience = inf
        self.idle_patience = inf
        self.deadline = inf
        self._head = b""
        self._informational = 0  # 1xx answers skipped
        self._no_body = False
        self._silent = 0  # bytes that told nothing: chunk extensions, trailers
        self.keep = False
        self.limit: int | None = None  # set: the whole body is gathered before anybody is woken
        self.unread = 0
        # The parser calls C functions where it can: a chunk costs a list.append, and a message needs a permit, so that
        # an answer nobody asked for is an error of the parser.
        self.chunks: list[bytes] = []
        self.permits: list[None] = []
        self.on_body = self.chunks.append
        self.on_message_begin = self.permits.pop
        self.parser = HttpResponseParser(self)
        self.feed = self.parser.feed_data

    # The request's side

    def start(
        self, reply: Reply, head: bytes, body: bytes, no_body: bool, timeouts: Timeouts, deadline: float
    ) -> "asyncio.Future[None]":
        """Sends; the future is done when the head has arrived or the reply has its error."""
        self._head, self._informational, self._silent, self.unread = b"", 0, 0, 0
        self._no_body, self.keep, self.limit = no_body, False, None
        self.reply = reply
        self.phase = _SENT
        self.due = 0.0
        self.patience = timeouts.first_byte
        self.idle_patience = timeouts.idle
        self.deadline = deadline
        self.permits.append(None)
        if len(body) <= _JOIN:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def expect(self, patience: float) -> None:
        """The other side has so many seconds from here on."""
        self.patience = patience
        self.due = 0.0

    def wait(self) -> "asyncio.Future[None]":
        """Done when there is a chunk, the end or an error."""
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def take(self) -> bytes:
        """The chunks that have arrived."""
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.unread = 0
        if self.paused:
            self._resume()
        return data

    def gather_all(self, limit: int) -> "asyncio.Future[None] | None":
        """Done when the whole body is with the reply, or its error is; None where that is so already."""
        self.limit = limit
        if self.reply is not None:
            self._gather(self.reply, limit)
        return self.wait() if self.reply is not None else None

    def _gather(self, reply: Reply, limit: int) -> None:
        self._silent = 0
        if reply.parts is None:
            reply.parts = []
        if self.chunks:
            reply.parts.append(self.take())
            self.limit = limit - len(reply.parts[-1])
            if self.limit < 0:
                self.fail(UpstreamGarbage(f"{self.pool.origin} sent an answer over its limit"))

    def _resume(self) -> None:
        self.paused = False
        self.transport.resume_reading()

    def _wake(self) -> None:
        self.taker = None
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _hand_over(self, take: Callable[[bytes], bool]) -> None:
        waiter = self._waiter
        if waiter is None or not waiter.done():  # else it was given up just now
            chunks = self.chunks
            try:
                if len(chunks) == 1:  # as `take` does, without the call
                    self.unread = 0
                    if take(chunks.pop()):
                        return
                elif take(self.take()):
                    return
            except Exception as error:
                if waiter is None:
                    raise
                waiter.set_exception(error)
        self._wake()

    def linger(self) -> None:
        """Throws away what little still comes, until the end or for a moment."""
        self.chunks.clear()
        left = self._limits.max_head

        def nobody(data: bytes) -> bool:
            nonlocal left
            left -= len(data)
            if left < 0:
                self.fail(UpstreamGarbage(f"{self.pool.origin} went on after its answer's end"))
            return True

        if self.paused:
            self._resume()
        self.taker = nobody
        self.deadline = min(self.deadline, self._loop.time() + _LINGER)

    # The parser's side

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status < 200:
            self._informational += 1
            return
        assert self.reply is not None
        self.reply.status = status
        if self._no_body:
            self.phase = _DONE
            raise HttpParserError("a HEAD request's answer ends here")  # the parser cannot know: it stops, and is not kept
        self.phase = _BODY
        self.keep = self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        if self.phase == _BODY:
            self.phase = _DONE
        elif self.phase == _SENT:
            self.permits.append(None)

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self.full = self._loop.create_future()

    def resume_writing(self) -> None:
        full, self.full = self.full, None
        if full is not None and not full.done():
            full.set_result(None)

    def data_received(self, data: bytes) -> None:
        reply = self.reply
        if reply is None:
            self.drop()  # an answer nobody asked for
            return
        in_head = self.phase == _SENT
        if in_head:
            self._head = self._head + data if self._head else data
        feed = self.feed
        try:
            feed(data)
        except (HttpParserError, HttpParserUpgrade):
            self.keep = False
            if self.phase != _DONE:
                if in_head and self.phase == _BODY and not self._take_head(reply):
                    return
                self.fail(UpstreamGarbage(f"{self.pool.origin} answered with something that is not HTTP"))
                return
        if in_head and not self._take_head(reply):
            return
        self.due = 0.0
        if self.phase == _DONE:
            self._finish(reply)
        elif self.limit is not None:
            if self.chunks:
                self._gather(reply, self.limit)
            else:
                self._count_silent(data)
        elif self.chunks or in_head:
            self._silent = 0
            if self.taker is not None and self.chunks:
                self._hand_over(self.taker)
                return
            self.unread += len(data)
            if self.unread > self._limits.buffer and self.chunks and not self.paused:
                self.paused = True
                self.transport.pause_reading()
            self._wake()
        else:
            self._count_silent(data)

    def _take_head(self, reply: Reply) -> bool:
        """False where the head is not complete or not to be had."""
        head = self._head
        most = self._limits.max_head
        if self.phase == _SENT:
            if len(head) > most:
                self.fail(UpstreamGarbage(f"{self.pool.origin} sent a head of more than {most} bytes"))
            return False
        self._head = b""
        for _ in range(self._informational):
            head = head.lstrip(b"\r\n").partition(_END)[2]
        if head[:1] != b"H":
            head = head.lstrip(b"\r\n")
        end = head.find(_END)
        if end > most:
            self.fail(UpstreamGarbage(f"{self.pool.origin} sent a head of more than {most} bytes"))
            return False
        head = head[:end]
        if b"\r\ncontent-encoding:" in head.lower() and (self.phase == _BODY or self.chunks):
            if not self._take_encoding(reply, headers_of(head)["content-encoding"].lower()):
                return False
        reply.head = head
        self.patience = self.idle_patience
        return True

    def _take_encoding(self, reply: Reply, encoding: str) -> bool:
        if encoding in ("gzip", "x-gzip", "deflate"):
            reply.inflater = Inflater(encoding != "deflate")
        elif encoding not in ("", "identity"):
            self.fail(UpstreamGarbage(f"{self.pool.origin} answered in a content-encoding that was not asked for"))
            return False
        return True

    def _count_silent(self, data: bytes) -> None:
        self._silent += len(data)
        if self._silent > self._limits.max_head:
            self.fail(UpstreamGarbage(f"{self.pool.origin} sent {self._silent} bytes without any content"))

    def eof_received(self) -> None:
        reply = self.reply
        if reply is None:
            self.closed = True
            self.pool.forget(self)
        elif self.phase == _BODY and self._ends_by_closing(reply) and self._said_goodbye():
            self.phase = _DONE
            self._finish(reply)
        else:
            self._break()

    def _ends_by_closing(self, reply: Reply) -> bool:
        """RFC 9112, 6.3: neither a length nor a last chunk would tell the end."""
        headers = headers_of(reply.head)
        coding = headers.get("transfer-encoding")
        if coding is not None:
            return coding.lower().rpartition(",")[2].strip(" \t") != "chunked"
        return "content-length" not in headers

    def _said_goodbye(self) -> bool:
        """TLS ends by a word of its own, which nobody else can say; asyncio's own loop tells the end of TCP just alike."""
        tls: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object")
        try:
            return tls is None or tls.read(1) == b""
        except ssl.SSLError:
            return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.resume_writing()
        self.pool.forget(self)
        if self.reply is not None:
            self._break()
        if self.counted:
            self.pool.lost(self)

    # The ends

    def _finish(self, reply: Reply) -> None:
        chunks = self.chunks
        reply.rest = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        reply.connection = None
        self.reply = None
        self.phase = _IDLE
        if self.keep and not self.pouring and not self.transport.get_write_buffer_size():
            self.used = True
            self.due = 0.0
            self.patience = self._limits.idle_ttl
            self.deadline = inf
            self.pool.release(self)
        else:
            self.drop()
        self._wake()

    def _break(self) -> None:
        """The connection ended before the answer did."""
        reply = self.reply
        if reply is not None:
            if self.phase == _SENT and self.used and not self._head:
                waited = self._loop.time() - (self.due - self.patience) if self.due else 0.0
                reply.stale = waited < _STALE
            where = "before its answer" if self.phase == _SENT else "in the middle of its answer"
            self.fail(UpstreamBroken(f"{self.pool.origin} closed the connection {where}"))

    def fail(self, error: GatewayError) -> None:
        """The reply ends with this error, after what had arrived of it; the connection ends now."""
        reply = self.reply
        if reply is not None:
            reply.rest = b"".join(self.chunks)
            reply.error = error
            reply.connection = None
            self.reply = None
        self.chunks.clear()
        self.phase = _IDLE
        self.drop()
        self._wake()

    def drop(self) -> None:
        """Closes at once; whatever is left to send is not sent."""
        if not self.closed:
            self.closed = True
            self.pool.forget(self)
            self.transport.abort()

    def check(self, now: float) -> None:
        """One tick of the clocks."""
        if self.deadline <= now:
            self.fail(UpstreamTimeout(f"the request's deadline passed while {self.pool.origin} was answering"))
        elif self.phase == _BODY and self._waiter is None:
            self.due = 0.0  # nobody waits: it is not the server that is slow
        elif not self.due:
            self.due = now + self.patience
        elif self.due <= now:
            if self.phase == _IDLE:
                self.drop()
            else:
                self.fail(UpstreamTimeout(f"{self.pool.origin} {_EXPIRED[self.phase]} {self.patience:g} seconds"))


class PlainConnection(Connection, asyncio.Protocol):
    __slots__ = ()


class SecureConnection(Connection, asyncio.BufferedProtocol):
    """Over TLS: decrypted into room that the pool's connections share. For a protocol without room of its own, event
    loops allocate 256 KiB for every read, which costs as much as the whole request."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.pool.room

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self.pool.room[:nbytes]))


class Pool:
    """The connections to one origin. `open` counts those that are, and those being, connected."""

    __slots__ = ("_on_lost", "fixed", "idle", "limits", "open", "origin", "prefix", "proxy", "queue", "room")

    def __init__(self, origin: Origin, proxy: Proxy | None, limits: Limits, on_lost: Callable[[Connection], None]) -> None:
        self._on_lost = on_lost
        self.limits = limits
        self.origin = origin
        self.proxy = proxy
        self.open = 0
        self.idle: list[Connection] = []  # the last is the one used last
        self.queue: deque[asyncio.Future[Connection | None]] = deque()
        self.room = memoryview(bytearray(_PIECE if origin.scheme == "https" else 0))
        self.prefix = ""  # of every target
        self.fixed = b"host: %b\r\n" % origin.authority.encode()
        if proxy is not None and origin.scheme == "http":
            self.prefix = f"http://{origin.authority}"
            self.fixed += proxy.authorization

    def release(self, connection: Connection) -> None:
        """A connection that may be used again: to whoever waited longest, else kept."""
        waiter = self._first()
        if waiter is not None:
            waiter.set_result(connection)
        elif len(self.idle) < self.limits.keep_idle:
            self.idle.append(connection)
        else:
            connection.drop()

    def forget(self, connection: Connection) -> None:
        """It is never handed out again."""
        if connection in self.idle:
            self.idle.remove(connection)

    def lost(self, connection: Connection) -> None:
        """A connection that had a slot is no more."""
        self._on_lost(connection)
        self.give_back()

    def give_back(self) -> None:
        """A slot is free: whoever waited longest may connect."""
        waiter = self._first()
        if waiter is None:
            self.open -= 1
        else:
            waiter.set_result(None)

    async def turn(self) -> Connection | None:
        """Waits for a connection that another request has done with, or (None) for a slot to connect in."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self.queue.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter in self.queue:
                self.queue.remove(waiter)
            elif not waiter.cancelled():  # it was given something it can no longer use
                given = waiter.result()
                if given is None:
                    self.give_back()
                elif not given.closed:
                    self.release(given)
            raise

    def _first(self) -> "asyncio.Future[Connection | None] | None":
        while self.queue:
            waiter = self.queue.popleft()
            if not waiter.done():
                return waiter
        return None
