"""A client's connection: HTTP/1.1 to the gateway as cheaply as it can be done, for uvicorn's server (`http=Connection`).

The gateway is asked when a request's body is whole, so nothing half-read is ever worked on; only what is passed through goes
on as it comes (`Upload`). A head, a body or a pause over its limit is refused here, in the client's own shape. The parser
calls C functions where it can. One write an answer, one task a connection, one timer for all. A client that leaves cancels
the task that works for it; `left` tells the gateway so.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, ClassVar, Final, Protocol, cast
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from msgspec import Struct
from uvicorn.config import Config
from uvicorn.server import ServerState

from interlingua.config import Server
from interlingua.errors import GatewayError, HeadTooLarge, InvalidRequest, TooLarge
from interlingua.inbound import Inbound
from interlingua.protocols.registry import CLIENTS
from interlingua.protocols.wire import encode_json
from interlingua.routes import Door, find, protocol_of, streamed

_STATUS: Final = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_OWN_STATUS: Final = b"HTTP/1.1 %d Error\r\n"  # a provider may have statuses of its own: Anthropic's 529
_METHODS: Final = {method.encode(): method for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_END: Final = b"\r\n\r\n"
_CLOSE: Final = b"connection: close\r\n"
_TRAILERS: Final = 64
_TICK: Final = 5.0  # seconds between looks at the clock
AHEAD: Final = 256 * 1024  # bytes of an upload, past which no more is read
_QUEUED: Final = 16  # pipelined requests, past which no more is read


class Gateway(Protocol):
    """Whom requests are for."""

    def answer(self, asked: Inbound) -> Awaitable[None]: ...


class Place(Struct, frozen=True):
    """A request's target: its path, the same as it came, its query, and what is there."""

    path: str
    raw_path: bytes
    query: bytes
    door: Door | None
    uploads: bool  # what comes there is passed through as it comes


class Request:
    """One request, being read and then answered: an Inbound."""

    __slots__ = (
        "_chunked",
        "_head",
        "_sent",
        "body",
        "chunks",
        "connection",
        "door",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "raw_path",
        "task",
        "tenant",
    )

    def __init__(self, connection: "Connection", place: Place, method: str, headers: dict[bytes, bytes], version: str) -> None:
        self.connection = connection
        self.method, self.headers = method, headers
        self.path, self.raw_path, self.query, self.door = place.path, place.raw_path, place.query, place.door
        self.body: bytes | None = None
        self.tenant: str | None = None
        self.task: asyncio.Task[Any] | None = None
        self.chunks = version == "1.1"  # an answer may be chunked
        self.keep_alive = True
        self._head: tuple[int, bytes] | None = None  # of an answer that has not begun
        self._chunked = False
        self._sent = False  # the head is out

    @property
    def left(self) -> bool:
        return self.connection.left

    @property
    def flows(self) -> bool:
        connection = self.connection
        return self._chunked and connection.paused is None and not connection.left

    def push(self, piece: bytes) -> None:
        self.connection.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def receive(self) -> tuple[bytes, bool]:
        return self.body or b"", False

    def reply(self, status: int, lines: bytes, body: bytes) -> bool:
        connection = self.connection
        if self._head is not None or connection.paused is not None or connection.left:
            return False
        head = self._open(status, lines, b"content-length: %d\r\n" % len(body) if status != 204 else b"")
        connection.transport.write(head if self.method == "HEAD" else head + body)
        connection.answered(self)
        return True

    def begin(self, status: int, lines: bytes) -> None:
        self._head = status, lines

    async def send(self, piece: bytes, more: bool = True) -> None:
        connection = self.connection
        if connection.paused is not None:
            await connection.paused
        if connection.left:
            return
        head = b""
        if not self._sent:
            head = self._begun(len(piece), more)
        if self.method == "HEAD":
            piece = b""
        elif self._chunked:
            piece = (b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"") + (b"" if more else b"0\r\n\r\n")
        connection.transport.write(head + piece)
        if not more:
            connection.answered(self)

    def _begun(self, size: int, more: bool) -> bytes:
        """The head of an answer whose first piece has `size` bytes."""
        assert self._head is not None
        status, lines = self._head
        if not more:
            return self._open(status, lines, b"content-length: %d\r\n" % size if status != 204 else b"")
        self._chunked = self.chunks
        self.keep_alive = self.keep_alive and self.chunks
        return self._open(status, lines, b"transfer-encoding: chunked\r\n" if self.chunks else b"")

    def _open(self, status: int, lines: bytes, framing: bytes) -> bytes:
        self._sent = True
        if Connection.leaving:
            self.keep_alive = False
        closes = b"" if self.keep_alive else _CLOSE
        return b"".join((_STATUS.get(status) or _OWN_STATUS % status, lines, framing, closes, b"\r\n"))


class Upload(Request):
    """A request whose body is asked for piece by piece: the gateway has it when its head is there, and no more is read than
    has been asked for and `AHEAD` bytes."""

    __slots__ = ("_error", "_paused", "_pieces", "_wanted", "ended", "held", "size")

    def __init__(self, connection: "Connection", place: Place, method: str, headers: dict[bytes, bytes], version: str) -> None:
        super().__init__(connection, place, method, headers, version)
        self.ended = False  # all of the body has come
        self.size = self.held = 0  # bytes that have come, and those of them not yet asked for
        self._pieces: list[bytes] = []
        self._paused = False
        self._wanted: asyncio.Future[None] | None = None
        self._error: GatewayError | None = None

    async def receive(self) -> tuple[bytes, bool]:
        while not self._pieces and not self.ended and self._error is None:
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        self._wanted = None
        if self._error is not None:
            raise self._error
        piece = b"".join(self._pieces)
        self._pieces.clear()
        self.held = 0
        self.resume()
        return piece, not self.ended

    def _open(self, status: int, lines: bytes, framing: bytes) -> bytes:
        if not self.ended:
            self.keep_alive = False  # the rest of the body is for nobody
        return super()._open(status, lines, framing)

    @property
    def waits(self) -> bool:
        """Whether it is the client that is waited for."""
        return self._wanted is not None and not self._wanted.done()

    def feed(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size += len(piece)
        self.held += len(piece)
        if self.held > AHEAD and not self._paused:
            self._paused = True
            self.connection.pause_reading()
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def fail(self, error: GatewayError) -> None:
        self._error = error
        self._wake()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self.connection.resume_reading()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)


class Connection(asyncio.Protocol):
    """Limits are of the class, since uvicorn makes the instances: bytes, bytes, bytes, seconds, seconds."""

    max_head: ClassVar[int] = 64 * 1024
    max_body: ClassVar[int] = 64 * 1024 * 1024
    max_upload: ClassVar[int] = 2 * 1024**3
    slow: ClassVar[float] = 60.0  # between two pieces of one request
    idle: ClassVar[float] = 75.0  # between two requests
    sweeping: ClassVar[asyncio.TimerHandle | None] = None
    leaving: ClassVar[bool] = False  # the server is ending: every answer is its connection's last
    everyone: ClassVar[set["Connection"]] = set()

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._gateway: Gateway = cast(Any, config).loaded_app
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self.transport = cast(asyncio.Transport, None)
        self.reading: Request | None = None  # the request that bytes belong to
        self._answering: Request | None = None
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None  # answers one request after the other
        self._turn: asyncio.Future[None] | None = None  # it waits for the next one
        self._head = 0  # bytes of the head so far; -1: it is complete
        self._tail = b""  # the end of a head that is not complete
        self._long = False  # the head is over its limit
        self._size = 0  # bytes that have come for the body, at least
        self._deaf = False  # refused: what still comes is thrown away
        self._since = 0  # ticks without a byte
        self.paused: asyncio.Future[None] | None = None
        self.left = False
        # What the parser has told of the request being read. Of header lines with one name the last counts.
        self._url: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self.on_url = self._url.append
        self.on_header = self._headers.__setitem__
        self.on_body = self._pieces.append
        self._parser = HttpRequestParser(self)

    @classmethod
    def limit(cls, server: Server) -> None:
        """Takes the limits of a configuration."""
        cls.max_head, cls.max_body, cls.max_upload = server.max_head, server.max_body, server.max_upload

    # Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._state.connections.add(cast(Any, self))
        everyone = Connection.everyone
        everyone.add(self)
        if Connection.sweeping is None:
            Connection.sweeping = self._loop.call_later(_TICK, _sweep, self._loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self.left = True
        self._state.connections.discard(cast(Any, self))
        Connection.everyone.discard(self)
        self._queue.clear()
        if self._task is not None:
            self._task.cancel()
        self.resume_writing()

    def pause_writing(self) -> None:
        self.paused = self._loop.create_future()

    def resume_writing(self) -> None:
        if self.paused is not None and not self.paused.done():
            self.paused.set_result(None)
        self.paused = None

    def eof_received(self) -> bool:
        """A client that ends in the middle of its request is told so; one that waits for an answer has left."""
        if self._deaf or self._answering is not None or (self.reading is None and self._head == 0):
            return False
        self.refuse(InvalidRequest("The request ended before its body did."))
        return True

    def data_received(self, data: bytes) -> None:
        self._since = 0
        if self._deaf:
            return
        if self._head >= 0:
            self._head += len(data)
            self._long = self._head > self.max_head and not self._fits(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            if self._answering is not None:
                self._answering.keep_alive = False  # we stay with HTTP/1.1; what follows is not for us
            self._deaf = True
        except HttpParserError:
            self.refuse(InvalidRequest("This is not a well-formed HTTP/1.1 request."))
        if self._pieces:
            self._gather(len(data))
        elif self._head > 0:
            self._tail = (self._tail + data)[-3:]
        if self._long or (self._head < 0 and len(self._headers) > _TRAILERS):
            self.refuse(HeadTooLarge(f"The request's head is larger than {self.max_head} bytes."))

    def _fits(self, data: bytes) -> bool:
        """Whether a head that came with so much more, or ends with it, is within its limit."""
        end = (self._tail + data).find(_END)
        return end >= 0 and self._head - len(data) - len(self._tail) + end + len(_END) <= self.max_head

    def _gather(self, size: int) -> None:
        """Looks after a body that is not whole yet."""
        request = self.reading
        if type(request) is Upload:
            request.feed(b"".join(self._pieces))
            self._pieces.clear()
            return
        self._size += size
        if self._size > self.max_body and sum(map(len, self._pieces)) > self.max_body:
            self._pieces.clear()
            self.refuse(TooLarge(f"The request's body is larger than {self.max_body} bytes."))

    def pause_reading(self) -> None:
        if not self.left:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.left:
            self.transport.resume_reading()

    # Parser

    def on_headers_complete(self) -> None:
        if self._deaf or self._long:
            return
        self._head, self._tail = -1, b""
        place = self._placed()
        headers = {name.lower(): value for name, value in self._headers.items()}
        self._headers.clear()
        parser, version = self._parser, self._parser.get_http_version()
        method = parser.get_method()
        kind = Upload if place.uploads and self._answering is None else Request
        self.reading = request = kind(self, place, _METHODS.get(method) or method.decode("latin-1"), headers, version)
        request.keep_alive = parser.should_keep_alive() and version != "1.0"
        length = headers.get(b"content-length", b"")
        limit = self.max_body if kind is Request else self.max_upload
        if len(length) > 7 and int(length) > limit:
            self.refuse(TooLarge(f"The request's body is larger than {limit} bytes."))
        elif b"expect" in headers and headers[b"expect"].lower() == b"100-continue":
            self.transport.write(_CONTINUE)
        if kind is Upload and not self._deaf:
            self._answer(request)

    def _placed(self) -> Place:
        url = b"".join(self._url)
        self._url.clear()
        return _short_place(url) if len(url) < 256 else _place(url)

    def on_message_complete(self) -> None:
        request, self.reading, self._head, self._size = self.reading, None, 0, 0
        pieces = self._pieces
        self._headers.clear()  # trailers are nobody's
        if self._deaf or request is None:
            pieces.clear()
            return
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if type(request) is Upload:
            if body:
                request.feed(body)
            request.end()
            return
        request.body = body
        if len(body) > self.max_body:
            self.reading = request
            self.refuse(TooLarge(f"The request's body is larger than {self.max_body} bytes."))
        elif self._answering is None:
            self._answer(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= _QUEUED:
                self.transport.pause_reading()

    # Answers

    def _answer(self, request: Request) -> None:
        self._answering = request
        if self._task is None:
            self._task = task = self._loop.create_task(self._run())
            self._state.tasks.add(task)
            task.add_done_callback(self._state.tasks.discard)
        request.task = self._task
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def _run(self) -> None:
        while not self.left:
            if (request := self._answering) is None:
                self._turn = self._loop.create_future()
                await self._turn
                continue
            try:
                await self._gateway.answer(request)
            finally:
                if self._answering is request and not self.left:  # the gateway gave up in the middle of its answer
                    self.transport.abort()
            if self._answering is request:
                return

    def answered(self, request: Request) -> None:
        self._answering = None
        self._state.total_requests += 1
        if not request.keep_alive or self._deaf:
            self._hang_up()
        elif self._queue:
            self._answer(self._queue.popleft())
            if len(self._queue) == _QUEUED - 1:
                self.transport.resume_reading()

    def refuse(self, error: GatewayError) -> None:
        """Ends the connection with an error whose request the gateway has not seen."""
        if self._deaf or self._answering is not None:  # its answer cannot be interrupted by another
            self._deaf = True
            if type(self.reading) is Upload:
                self.reading.fail(error)
            return
        if self.reading is not None:
            path, headers = self.reading.path, self.reading.headers
        else:
            path = b"".join(self._url).decode("latin-1").partition("?")[0]
            headers = {name.lower(): value for name, value in self._headers.items()}
        status, body = CLIENTS[protocol_of(path, headers)].format_error(error.failure)
        data = encode_json(body)
        self.transport.write(
            _STATUS[status]
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(data)
            + data
        )
        self._hang_up()

    def _hang_up(self) -> None:
        """Says that nothing more comes, and reads on for a moment: a reset would take the answer away with it."""
        self._deaf = True
        self._since = 0
        if type(self.reading) is Upload:
            self.reading.resume()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._loop.call_later(1.0, self.transport.close)

    def shutdown(self) -> None:
        """uvicorn's word that the server is ending."""
        if self._answering is None:
            self.transport.close()
        else:
            self._answering.keep_alive = False

    def tick(self) -> None:
        if self._answering is not None:
            self._tick_upload()
            return
        self._since += 1
        under_way = self.reading is not None or self._head != 0
        if under_way and self._since * _TICK >= self.slow:
            self.refuse(InvalidRequest("The rest of the request did not arrive in time."))
        elif not under_way and self._since * _TICK >= self.idle:
            self.transport.close()

    def _tick_upload(self) -> None:
        upload = self.reading
        if type(upload) is not Upload or not upload.waits:
            self._since = 0
            return
        self._since += 1
        if self._since * _TICK >= self.slow:
            upload.fail(InvalidRequest("The rest of the request did not arrive in time."))


def _place(url: bytes) -> Place:
    parsed = parse_url(url)
    raw, query = parsed.path or b"", parsed.query or b""
    path = raw.decode("latin-1")
    decoded = unquote(path) if "%" in path else path
    return Place(decoded or "/", raw, query, find(path or "/", query), streamed(path))


_short_place: Final = lru_cache(maxsize=1024)(_place)


def _sweep(loop: asyncio.AbstractEventLoop) -> None:
    for connection in list(Connection.everyone):
        connection.tick()
    Connection.sweeping = loop.call_later(_TICK, _sweep, loop) if Connection.everyone else None
