"""A client's connection: HTTP/1.1 to ASGI as cheaply as it can be done, for uvicorn's server (`http=Connection`).

The application is called when a request's body is whole, so nothing half-read is ever worked on; only what is passed
through goes on as it comes (`Upload`). A head, a body or a pause over its limit is refused here, in the client's own
shape. One write an answer, one task a connection, one timer for all. A client that leaves cancels the task that works for
it; `left` in `scope["connection"]` tells the application so.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn.config import Config
from uvicorn.server import ServerState

from interlingua.config import Server
from interlingua.errors import GatewayError, HeadTooLarge, InvalidRequest, TooLarge
from interlingua.protocols.registry import CLIENTS
from interlingua.protocols.wire import encode_json
from interlingua.routes import protocol_of, streamed

_STATUS: Final = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_OWN_STATUS: Final = b"HTTP/1.1 %d Error\r\n"  # a provider may have statuses of its own: Anthropic's 529
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_TICK: Final = 5.0  # seconds between looks at the clock
AHEAD: Final = 256 * 1024  # bytes of an upload, past which no more is read
_QUEUED: Final = 16  # pipelined requests, past which no more is read

Message = dict[str, Any]
Headers = Iterable[tuple[bytes, bytes]]


class Request:
    """One request being read, then answered: the `receive` and `send` of its ASGI call."""

    __slots__ = ("body", "chunked", "connection", "head", "keep_alive", "method", "scope", "sent", "size")

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.body: list[bytes] = []
        self.size = 0
        self.keep_alive = True
        self.method = "GET"
        self.scope: Message = {}
        self.head: Message | None = None  # http.response.start, held until the first body goes with it
        self.chunked = False
        self.sent = False  # the head is out

    def taken(self) -> bytes:
        """What there is of the body."""
        body, self.body = self.body, []
        return body[0] if len(body) == 1 else b"".join(body)

    async def receive(self) -> Message:
        whole: bytes | None = self.scope.pop("whole", None)
        return {"type": "http.request", "body": self.taken() if whole is None else whole, "more_body": False}

    async def send(self, message: Message) -> None:
        connection = self.connection
        if connection.paused is not None:
            await connection.paused
        if connection.left:
            return
        if message["type"] == "http.response.start":
            self.head = message
            return
        body: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        pieces: list[bytes] = []
        if not self.sent:
            head = cast(Message, self.head)
            pieces = self.open(head["status"], head["headers"], body, more)
        if self.method != "HEAD":
            if self.chunked:
                if body:
                    pieces += (b"%x\r\n" % len(body), body, b"\r\n")
                if not more:
                    pieces.append(b"0\r\n\r\n")
            else:
                pieces.append(body)
        connection.write(b"".join(pieces))
        if not more:
            connection.answered(self)

    def open(self, status: int, headers: Headers, body: bytes, more: bool) -> list[bytes]:
        """The head of an answer that begins with `body`."""
        self.sent = True
        pieces = [_STATUS.get(status) or _OWN_STATUS % status]
        measured = False
        if Connection.leaving:
            self.keep_alive = False
        for name, value in headers:
            pieces += (name, b": ", value, b"\r\n")
            if name == b"content-length":
                measured = True
            elif name == b"connection":
                self.keep_alive = False
        if not more and not measured and status != 204:
            pieces.append(b"content-length: %d\r\n" % len(body))
        if more:
            self.chunked = self.scope["http_version"] == "1.1"
            self.keep_alive = self.keep_alive and self.chunked
            pieces.append(b"transfer-encoding: chunked\r\n" if self.chunked else b"")
        if not self.keep_alive:
            pieces.append(b"connection: close\r\n")
        pieces.append(b"\r\n")
        return pieces


class Upload(Request):
    """A request whose body the application asks for piece by piece: it is called when the head is there, and no more is
    read than it has asked for and `AHEAD` bytes."""

    __slots__ = ("_error", "_paused", "_wanted", "ended", "held")

    def __init__(self, connection: "Connection") -> None:
        super().__init__(connection)
        self.ended = False  # all of the body has come
        self.held = 0  # bytes not yet asked for
        self._paused = False
        self._wanted: asyncio.Future[None] | None = None
        self._error: GatewayError | None = None

    async def receive(self) -> Message:
        """Raises GatewayError where no more can come."""
        while not self.body and not self.ended and self._error is None:
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        self._wanted = None
        if self._error is not None:
            raise self._error
        message = await super().receive()
        message["more_body"] = not self.ended
        self.held = 0
        self.resume()
        return message

    def open(self, status: int, headers: Headers, body: bytes, more: bool) -> list[bytes]:
        if not self.ended:
            self.keep_alive = False  # the rest of the body is for nobody
        return super().open(status, headers, body, more)

    @property
    def waits(self) -> bool:
        """Whether it is the client that is waited for."""
        return self._wanted is not None and not self._wanted.done()

    def feed(self, body: bytes) -> None:
        self.body.append(body)
        self.held += len(body)
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
        self._app = cast(Any, config).loaded_app
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = HttpRequestParser(self)
        self._transport = cast(asyncio.Transport, None)
        self.reading: Request | None = None  # the request that bytes belong to
        self._answering: Request | None = None
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None  # answers one request after the other
        self._turn: asyncio.Future[None] | None = None  # it waits for the next one
        self._head = 0  # bytes of the head so far; -1: it is complete
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._deaf = False  # refused: what still comes is thrown away
        self._since = 0  # ticks without a byte
        self.paused: asyncio.Future[None] | None = None
        self.left = False

    @classmethod
    def limit(cls, server: Server) -> None:
        """Takes the limits of a configuration."""
        cls.max_head, cls.max_body, cls.max_upload = server.max_head, server.max_body, server.max_upload

    # Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
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
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            if self._answering is not None:
                self._answering.keep_alive = False  # we stay with HTTP/1.1; what follows is not for us
            self._deaf = True
        except HttpParserError:
            self.refuse(InvalidRequest("This is not a well-formed HTTP/1.1 request."))
        else:
            if self._head > self.max_head and not self._deaf:
                self.refuse(HeadTooLarge(f"The request's head is larger than {self.max_head} bytes."))

    @property
    def flows(self) -> bool:
        """Whether a piece of the answer under way may be pushed: its head is out, it is chunked, its client reads."""
        request = self._answering
        return request is not None and request.chunked and self.paused is None and not self.left

    def push(self, data: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def reply(self, status: int, headers: Headers, body: bytes) -> bool:
        """The whole of an answer, written at once; False where it has to wait, or its head is out already."""
        request = self._answering
        if request is None or request.head is not None or self.paused is not None or self.left:
            return False
        pieces = request.open(status, headers, body, more=False)
        if request.method != "HEAD":
            pieces.append(body)
        self._transport.write(b"".join(pieces))
        self.answered(request)
        return True

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def pause_reading(self) -> None:
        if not self.left:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.left:
            self._transport.resume_reading()

    # Parser

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self.reading = Request(self)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._deaf or (request := self.reading) is None:
            return
        if self._head > self.max_head and sum(len(n) + len(v) + 4 for n, v in self._headers) + len(self._url) > self.max_head:
            self.refuse(HeadTooLarge(f"The request's head is larger than {self.max_head} bytes."))
            return
        self._head = -1
        if self._url.startswith(b"/providers/") and self._answering is None and streamed(self._url.decode("latin-1")):
            request = self.reading = Upload(self)
        parser = self._parser
        path, raw_path, query = _short_target(self._url) if len(self._url) < 256 else _target(self._url)
        version = parser.get_http_version()
        request.method = method = parser.get_method().decode("latin-1")
        request.keep_alive = parser.should_keep_alive() and version != "1.0"
        request.scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "named": (named := dict(self._headers)),
            "connection": self,
        }
        self._look_at_length(named, request)
        if type(request) is Upload and not self._deaf:
            self._answer(request)

    def _look_at_length(self, headers: dict[bytes, bytes], request: Request) -> None:
        length = headers.get(b"content-length", b"")
        limit = self.max_body if type(request) is Request else self.max_upload
        if len(length) > 7 and int(length) > limit:
            self.refuse(TooLarge(f"The request's body is larger than {limit} bytes."))
        elif headers.get(b"expect", b"").lower() == b"100-continue":
            self.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        request = self.reading
        if self._deaf or request is None:
            return
        request.size += len(body)
        if type(request) is Upload:
            request.feed(body)
        elif request.size > self.max_body:
            self.refuse(TooLarge(f"The request's body is larger than {self.max_body} bytes."))
        else:
            request.body.append(body)

    def on_message_complete(self) -> None:
        request, self.reading, self._head = self.reading, None, 0
        if self._deaf or request is None:
            return
        if type(request) is Upload:
            request.end()
            return
        request.scope["whole"] = request.taken()  # spares the application a message
        if self._answering is None:
            self._answer(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= _QUEUED:
                self._transport.pause_reading()

    # Answers

    def _answer(self, request: Request) -> None:
        self._answering = request
        if self._task is None:
            self._task = task = self._loop.create_task(self._run())
            self._state.tasks.add(task)
            task.add_done_callback(self._state.tasks.discard)
        elif self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def _run(self) -> None:
        while not self.left:
            if (request := self._answering) is None:
                self._turn = self._loop.create_future()
                await self._turn
                continue
            try:
                await self._app(request.scope, request.receive, request.send)
            finally:
                if self._answering is request and not self.left:  # the application gave up in the middle of its answer
                    self._transport.abort()
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
                self._transport.resume_reading()

    def refuse(self, error: GatewayError) -> None:
        """Ends the connection with an error that no application has seen the request of."""
        if self._deaf or self._answering is not None:  # its answer cannot be interrupted by another
            self._deaf = True
            if type(self.reading) is Upload:
                self.reading.fail(error)
            return
        path = self._url.decode("latin-1").partition("?")[0]
        status, body = CLIENTS[protocol_of(path, dict(self._headers))].format_error(error.failure)
        data = encode_json(body)
        self.write(
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
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(1.0, self._transport.close)

    def shutdown(self) -> None:
        """uvicorn's word that the server is ending."""
        if self._answering is None:
            self._transport.close()
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
            self._transport.close()

    def _tick_upload(self) -> None:
        upload = self.reading
        if type(upload) is not Upload or not upload.waits:
            self._since = 0
            return
        self._since += 1
        if self._since * _TICK >= self.slow:
            upload.fail(InvalidRequest("The rest of the request did not arrive in time."))


def _target(url: bytes) -> tuple[str, bytes, bytes]:
    """A request's path, the same as it came, and its query."""
    parsed = parse_url(url)
    path = (parsed.path or b"/").decode("latin-1")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


_short_target: Final = lru_cache(maxsize=1024)(_target)


def _sweep(loop: asyncio.AbstractEventLoop) -> None:
    for connection in list(Connection.everyone):
        connection.tick()
    Connection.sweeping = loop.call_later(_TICK, _sweep, loop) if Connection.everyone else None
