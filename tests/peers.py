"""Servers for the client's tests: on loopback, scripted by each test, failing in every way there is."""

import asyncio
import contextlib
import inspect
import os
import re
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from interlingua.client import Client, Origin, Proxies, Reply, Timeouts
from interlingua.errors import (
    UpstreamError,
)

SECRET = "sk-very-secret"
HEADERS = f"authorization: Bearer {SECRET}\r\n".encode()
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
PATIENT = Timeouts(connect=8, first_byte=8, idle=8)
LIMIT = 1 << 20


def both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test on asyncio's own loop and on uvloop; a task it leaves behind is a failure."""

    async def tidy(**arguments: Any) -> None:
        await asyncio.wait_for(test(**arguments), 20)
        await settle(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    def run(new_loop: Callable[[], asyncio.AbstractEventLoop], **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(tidy(**arguments))

    own = inspect.Parameter("new_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__dict__["__signature__"] = inspect.Signature([own, *inspect.signature(test).parameters.values()])
    run.__name__ = test.__name__
    return pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])(run)


class Peer:
    """The server's end of one connection."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number  # from 1
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> tuple[bytes, bytes]:
        head = await self.head()
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)
        return head, await self.reader.readexactly(int(length[1])) if length else b""

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def answer(self, *pieces: bytes) -> tuple[bytes, bytes]:
        request = await self.request()
        await self.send(*pieces)
        return request

    def socket(self) -> socket.socket:
        return socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno()))

    def reset(self) -> None:
        with self.socket() as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def left(self) -> None:
        """Returns when the client has hung up."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass


class Upstream:
    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.accepted = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        self.errors: list[Exception] = []


@contextlib.asynccontextmanager
async def serve(handler: Callable[[Peer], Awaitable[object]], tls: ssl.SSLContext | None = None) -> AsyncGenerator[Upstream]:
    """One server; `handler` serves a connection, which is closed when it returns. Its failed asserts are raised here."""
    upstream = Upstream(Origin("http", "", 1))

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        upstream.tasks.add(task)
        upstream.accepted += 1
        try:
            await handler(Peer(upstream.accepted, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        except Exception as error:
            upstream.errors.append(error)
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    upstream.origin = Origin("https" if tls else "http", "127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield upstream
    finally:
        for _ in range(10):  # a connection made just now becomes a task only some turns of the loop later
            await asyncio.sleep(0)
        server.close()
        while running := [task for task in upstream.tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
        await server.wait_closed()
    if upstream.errors:
        raise upstream.errors[0]


@contextlib.asynccontextmanager
async def connect(**options: Any) -> AsyncGenerator[Client]:
    options.setdefault("proxies", Proxies())  # not this machine's own
    client = Client(**options)
    try:
        yield client
    finally:
        await client.close()
        assert client.open == 0


async def post(
    client: Client, origin: Origin, body: bytes = b"{}", timeouts: Timeouts = PATIENT, deadline: float | None = None
) -> Reply:
    return await client.send(origin, "POST", "/v1/chat?a=b", HEADERS, body, timeouts, deadline)


async def fetch(client: Client, origin: Origin, **options: Any) -> bytes:
    return await (await post(client, origin, **options)).read(LIMIT)


async def pieces_of(reply: Reply) -> list[bytes]:
    pieces: list[bytes] = []
    while (piece := await reply.next()) is not None:
        pieces.append(piece)
    return pieces


async def settle(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came to pass")


@contextlib.contextmanager
def fails(kind: type[UpstreamError], words: str = "."):
    """The block raises exactly this error, whose sentence has these words and no secret."""
    with pytest.raises(kind, match=words) as caught:
        yield
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value) and "authorization" not in str(caught.value).lower()


async def forever(peer: Peer) -> None:
    while True:
        await peer.answer(HELLO)


def compressed(coding: str, body: bytes) -> bytes:
    return OK + f"Content-Encoding: {coding}\r\ncontent-length: {len(body)}\r\nx: y\r\n\r\n".encode() + body
