"""The client against real servers on loopback that fail in every way there is, on both event loops."""

import asyncio
import base64
import contextlib
import datetime
import gzip
import inspect
import ipaddress
import os
import re
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.client import Client, Origin, Proxies, Reply, Timeouts
from interlingua.client.connection import Connection, Limits, Pool
from interlingua.client.origins import bypassed
from interlingua.errors import (
    ConfigError,
    InvalidRequest,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
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
async def serve(handler: Callable[[Peer], Awaitable[object]], tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
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
async def connect(**options: Any) -> AsyncIterator[Client]:
    client = Client(**{"proxies": Proxies(), **options})
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


# What goes over the wire


@both_loops
async def test_a_request_is_what_it_should_be_and_so_is_its_answer():
    seen: list[tuple[bytes, bytes]] = []

    async def handler(peer: Peer) -> None:
        seen.append(
            await peer.answer(
                b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nX-A: 1\r\nx-a:  2 \r\nContent-Length: 5\r\n\r\nhello"
            )
        )

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin, b'{"a":1}')
        assert reply.status == 201
        assert reply.headers == {"content-type": "text/plain", "x-a": "1, 2", "content-length": "5"}
        assert await reply.read(5) == b"hello"
    head = f"POST /v1/chat?a=b HTTP/1.1\r\nhost: 127.0.0.1:{up.origin.port}\r\nauthorization: Bearer {SECRET}\r\ncontent-length: 7\r\n\r\n"
    assert seen == [(head.encode(), b'{"a":1}')]


@both_loops
async def test_an_empty_body_has_a_length_only_where_a_body_is_expected():
    heads: list[bytes] = []

    async def handler(peer: Peer) -> None:
        while True:
            heads.append((await peer.answer(OK + b"content-length: 0\r\n\r\n"))[0])

    async with serve(handler) as up, connect() as client:
        for method in ("GET", "POST"):
            assert await (await client.send(up.origin, method, "/", b"", b"", PATIENT)).read(0) == b""
    host = f"host: 127.0.0.1:{up.origin.port}\r\n".encode()
    assert heads == [b"GET / HTTP/1.1\r\n" + host + b"\r\n", b"POST / HTTP/1.1\r\n" + host + b"content-length: 0\r\n\r\n"]


@pytest.mark.parametrize("target", ["/a b", "/a\r\nx: y", "/é", "", "/\x00"])
@both_loops
async def test_a_target_cannot_smuggle_a_header(target: str):
    async with connect() as client:
        with pytest.raises(InvalidRequest):
            await client.send(Origin("http", "127.0.0.1", 1), "POST", target, b"", b"", PATIENT)
        with pytest.raises(InvalidRequest):
            await client.send(Origin("http", "127.0.0.1", 1), "GET /", "/", b"", b"", PATIENT)


@both_loops
async def test_a_body_that_came_with_its_head_is_read_without_waiting():
    async with serve(forever) as up, connect() as client:
        reply = await post(client, up.origin)
        with pytest.raises(StopIteration) as done:
            reply.read(5).send(None)
        assert done.value.value == b"hello"


@both_loops
async def test_next_gives_all_that_has_arrived_and_then_waits():
    more = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"1\r\na\r\n2\r\nbc\r\n")
        await more.wait()
        await peer.send(b"1\r\nd\r\n", b"0\r\n\r\n")

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        assert await reply.next() == b"abc"
        waiting = asyncio.ensure_future(reply.next())
        await asyncio.sleep(0)
        more.set()
        assert await waiting == b"d"
        assert [await reply.next(), await reply.next()] == [None, None]


@both_loops
async def test_read_takes_what_next_left():
    more = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"1\r\na\r\n")
        await more.wait()
        await peer.send(b"1\r\nb\r\n", b"1\r\nc\r\n", b"0\r\n\r\n")

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        assert await reply.next() == b"a"
        more.set()
        assert await reply.read(2) == b"bc"
        assert [await reply.next(), await reply.read(0)] == [None, b""]


@both_loops
async def test_a_trickle_of_single_bytes():
    answer = CHUNKED + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\ntrailer: t\r\n\r\n"

    async def handler(peer: Peer) -> None:
        while True:
            await peer.answer(*[answer[i : i + 1] for i in range(len(answer))])

    async with serve(handler) as up, connect() as client:
        assert await fetch(client, up.origin) == b"abcde"
        assert b"".join(await pieces_of(await post(client, up.origin))) == b"abcde"
        assert (client.connects, client.reused) == (1, 1)


@pytest.mark.parametrize("pieces", [1, 100])
@both_loops
async def test_informational_answers_are_skipped(pieces: int):
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + HELLO
    size = -(-len(answer) // pieces)

    async def handler(peer: Peer) -> None:
        while True:
            await peer.answer(*[answer[i : i + size] for i in range(0, len(answer), size)])

    async with serve(handler) as up, connect() as client:
        for _ in range(2):
            reply = await post(client, up.origin)
            assert (reply.status, reply.headers, await reply.read(5)) == (200, {"content-length": "5"}, b"hello")
        assert client.connects == 1


@pytest.mark.parametrize("answer", [b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 304 No\r\ncontent-length: 9\r\n\r\n"])
@both_loops
async def test_answers_without_a_body_leave_the_connection_good(answer: bytes):
    async def handler(peer: Peer) -> None:
        while True:
            await peer.answer(answer)

    async with serve(handler) as up, connect() as client:
        assert [await fetch(client, up.origin), await fetch(client, up.origin)] == [b"", b""]
        assert client.connects == 1


@pytest.mark.parametrize("answer", [HELLO[:-5], CHUNKED, OK + b"\r\n", HELLO])
@both_loops
async def test_head_has_no_body_whatever_the_answer_says(answer: bytes):
    async with serve(lambda peer: peer.answer(answer)) as up, connect() as client:
        reply = await client.send(up.origin, "HEAD", "/", b"", b"", PATIENT)
        assert (reply.status, await reply.read(0), await reply.next()) == (200, b"", None)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
@both_loops
async def test_an_answer_that_ends_with_its_connection(answer: bytes):
    async with serve(lambda peer: peer.answer(answer)) as up, connect() as client:
        assert await fetch(client, up.origin) == b"hello"
        assert b"".join(await pieces_of(await post(client, up.origin))) == b"hello"
        assert (client.connects, client.reused) == (2, 0)


@both_loops
async def test_http_1_0_with_keep_alive_is_kept():
    async def handler(peer: Peer) -> None:
        while True:
            await peer.answer(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello")

    async with serve(handler) as up, connect() as client:
        assert [await fetch(client, up.origin), await fetch(client, up.origin)] == [b"hello", b"hello"]
        assert (client.connects, client.reused) == (1, 1)


@both_loops
async def test_a_large_body_arrives_whole():
    body = os.urandom(1 << 16) * 64
    got: list[bytes] = []

    async def handler(peer: Peer) -> None:
        got.append((await peer.answer(HELLO))[1])

    async with serve(handler) as up, connect() as client:
        assert await fetch(client, up.origin, body=body) == b"hello"
    assert got == [body]


@pytest.mark.parametrize("half_closes", [False, True])
@both_loops
async def test_an_answer_while_we_still_send_is_read_and_its_connection_not_used_again(half_closes: bool):
    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        if half_closes:
            peer.writer.write_eof()
        await peer.left()

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin, bytes(32 << 20))
        assert (reply.status, await reply.read(3)) == (413, b"big")
        await settle(lambda: client.open == 0)


# Answers that end early


@pytest.mark.parametrize("answer", [OK + b"content-length: 9\r\n\r\nhello", CHUNKED + b"5\r\nhello\r\n", CHUNKED + b"9\r\nhello"])
@pytest.mark.parametrize("resets", [False, True])
@both_loops
async def test_a_body_cut_short_is_never_a_clean_end(answer: bytes, resets: bool):
    read = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(answer)
        await read.wait()
        if resets:
            peer.reset()

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        assert await reply.next() == b"hello"
        read.set()
        for _ in range(2):
            with fails(UpstreamBroken, "in the middle of its answer"):
                await reply.next()
        with fails(UpstreamBroken, "in the middle of its answer"):
            await fetch(client, up.origin)
        await settle(lambda: client.open == 0)


@both_loops
async def test_a_body_that_ends_by_closing_must_not_end_by_a_reset():
    read = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(OK + b"\r\nhello")
        await read.wait()
        peer.reset()

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        assert await reply.next() == b"hello"
        read.set()
        with fails(UpstreamBroken):
            await reply.next()


@both_loops
async def test_what_came_before_the_break_is_given_first():
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED, b"5\r\nhello\r\n")

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        await settle(lambda: client.open == 0)
        assert await reply.next() == b"hello"
        with fails(UpstreamBroken):
            await reply.next()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2"])
@pytest.mark.parametrize("resets", [False, True])
@both_loops
async def test_a_new_connection_that_ends_before_its_answer_is_not_tried_again(answer: bytes, resets: bool):
    async def handler(peer: Peer) -> None:
        await peer.answer(answer)
        if resets:
            peer.reset()

    async with serve(handler) as up, connect() as client:
        with fails(UpstreamBroken, "before its answer"):
            await post(client, up.origin)
        assert up.accepted == 1


# Connections used again


@both_loops
async def test_connections_are_kept_and_counted():
    async with serve(forever) as up, connect() as client:
        for _ in range(10):
            assert await fetch(client, up.origin) == b"hello"
        assert (client.open, client.connects, client.reused) == (1, 1, 9)
        assert await asyncio.gather(*[fetch(client, up.origin) for _ in range(5)]) == [b"hello"] * 5
        assert (client.open, client.connects, client.reused, up.accepted) == (5, 5, 10, 5)


@both_loops
async def test_no_more_idle_connections_are_kept_than_said():
    async with serve(forever) as up, connect(keep_idle=2) as client:
        await asyncio.gather(*[fetch(client, up.origin) for _ in range(5)])
        await settle(lambda: client.open == 2)


@both_loops
async def test_an_unused_connection_is_let_go_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("interlingua.client._REST", 0.02)
    async with serve(forever) as up, connect(idle_ttl=0.05) as client:
        await fetch(client, up.origin)
        await settle(lambda: client.open == 0)


@pytest.mark.parametrize("resets", [False, True])
@both_loops
async def test_a_connection_that_we_know_is_closed_is_never_used(resets: bool):
    requests: list[int] = []

    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO)
        requests.append(peer.number)
        if resets:
            peer.reset()

    async with serve(handler) as up, connect() as client:
        for _ in range(3):
            assert await fetch(client, up.origin) == b"hello"
            await settle(lambda: client.open == 0)
        assert (requests, client.reused) == ([1, 2, 3], 0)


@pytest.mark.parametrize("resets", [False, True])
@both_loops
async def test_a_stale_connection_costs_one_more_try_on_a_fresh_one(resets: bool):
    requests: list[int] = []

    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO)
        requests.append(peer.number)
        if peer.number == 1:
            await peer.request()
            requests.append(peer.number)
            if resets:
                peer.reset()
        else:
            await peer.left()

    async with serve(handler) as up, connect() as client:
        assert [await fetch(client, up.origin), await fetch(client, up.origin)] == [b"hello", b"hello"]
        assert (requests, client.connects) == ([1, 1, 2], 2)


@both_loops
async def test_the_second_try_is_the_last():
    async def handler(peer: Peer) -> None:
        if peer.number == 1:
            await peer.answer(HELLO)
        await peer.request()

    async with serve(handler) as up, connect() as client:
        await fetch(client, up.origin)
        with fails(UpstreamBroken, "before its answer"):
            await post(client, up.origin)
        assert up.accepted == 2


@both_loops
async def test_a_used_connection_that_began_to_answer_is_not_tried_again():
    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO)
        await peer.answer(b"H")

    async with serve(handler) as up, connect() as client:
        await fetch(client, up.origin)
        with fails(UpstreamBroken, "before its answer"):
            await post(client, up.origin)
        assert up.accepted == 1


@both_loops
async def test_a_used_connection_that_ends_late_was_not_stale(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("interlingua.client.connection._STALE", 0.0)

    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO)
        await peer.request()

    async with serve(handler) as up, connect() as client:
        await fetch(client, up.origin)
        with fails(UpstreamBroken, "before its answer"):
            await post(client, up.origin)
        assert up.accepted == 1


@both_loops
async def test_a_stale_connection_makes_room_for_the_fresh_one():
    stale = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO)
        if peer.number <= 2:
            await peer.request()
            stale.set()
        else:
            await forever(peer)

    async with serve(handler) as up, connect(max_connections=2) as client:
        await asyncio.gather(fetch(client, up.origin), fetch(client, up.origin))
        assert client.open == 2
        assert await fetch(client, up.origin) == b"hello"
        assert stale.is_set() and client.open <= 2


@pytest.mark.parametrize(
    "tail", [b"x", b"HTTP/1.1 2", HELLO, b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["junk", "begun", "second", "informational"]
)
@both_loops
async def test_bytes_after_the_end_cost_the_connection(tail: bytes):
    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO + tail)
        await peer.left()

    async with serve(handler) as up, connect() as client:
        assert [await fetch(client, up.origin), await fetch(client, up.origin)] == [b"hello", b"hello"]
        assert client.reused == 0


@both_loops
async def test_an_answer_without_a_request_costs_the_connection():
    unasked = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO)
        await unasked.wait()
        await peer.send(HELLO)
        await peer.left()

    async with serve(handler) as up, connect() as client:
        await fetch(client, up.origin)
        assert client.open == 1
        unasked.set()
        await settle(lambda: client.open == 0)
        assert await fetch(client, up.origin) == b"hello"


@both_loops
async def test_requests_wait_in_order_for_a_free_connection():
    order: list[bytes] = []

    async def handler(peer: Peer) -> None:
        while True:
            _, body = await peer.answer(HELLO)
            order.append(body)

    async with serve(handler) as up, connect(max_connections=2) as client:
        await asyncio.gather(*[fetch(client, up.origin, body=b"%d" % i) for i in range(10)])
        assert sorted(order[:2]) + order[2:] == [b"%d" % i for i in range(10)]
        assert (up.accepted, client.open) == (2, 2)


@both_loops
async def test_a_connection_that_ends_frees_its_place():
    async def handler(peer: Peer) -> None:
        await peer.answer(OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello")

    async with serve(handler) as up, connect(max_connections=1) as client:
        assert await asyncio.gather(*[fetch(client, up.origin) for _ in range(4)]) == [b"hello"] * 4
        assert up.accepted == 4


@both_loops
async def test_waiting_for_a_free_connection_has_an_end():
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED)
        await peer.left()

    async with serve(handler) as up, connect(max_connections=1) as client:
        reply = await post(client, up.origin)
        with fails(UpstreamTimeout, r"no connection to 127\.0\.0\.1:\d+ within 0\.05 seconds"):
            await post(client, up.origin, timeouts=Timeouts(connect=0.05))
        waiting = asyncio.ensure_future(post(client, up.origin))
        await asyncio.sleep(0)
        waiting.cancel()
        reply.close()
        (await post(client, up.origin)).close()
        assert up.accepted == 2
        with pytest.raises(asyncio.CancelledError):
            await waiting


@both_loops
async def test_a_waiter_cancelled_with_its_turn_in_hand_passes_it_on():
    pool = Pool(Origin("http", "h", 80), None, Limits(1, 1, 1, 1), lambda _: None)
    pool.open = 1
    for connection in (None, Connection(pool, asyncio.get_running_loop())):
        first, second = [asyncio.ensure_future(pool.turn()) for _ in range(2)]
        await asyncio.sleep(0)
        if connection is None:
            pool.give_back()
        else:
            pool.release(connection)
        first.cancel()
        assert await second is connection
        assert first.cancelled()
    assert pool.open == 1


# Limits and garbage


@pytest.mark.parametrize("trickles", [False, True])
@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
@both_loops
async def test_a_head_has_a_limit(size: int, fits: bool, trickles: bool):
    head = OK + b"content-length: 5\r\nx: "
    answer = head + b"y" * (size - len(head)) + b"\r\n\r\nhello"

    async def handler(peer: Peer) -> None:
        await peer.answer(*([answer[i : i + 100] for i in range(0, len(answer), 100)] if trickles else [answer]))
        await peer.left()

    async with serve(handler) as up, connect(max_head=1000) as client:
        if fits:
            assert await fetch(client, up.origin) == b"hello"
        else:
            with fails(UpstreamGarbage, "a head of more than 1000 bytes"):
                await post(client, up.origin)
            await settle(lambda: client.open == 0)


@pytest.mark.parametrize("endless", [b"x: y\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["headers", "informational"])
@both_loops
async def test_a_head_without_end_is_refused(endless: bytes):
    async def handler(peer: Peer) -> None:
        await peer.answer(OK if endless.startswith(b"x") else b"")
        while True:
            await peer.send(endless)

    async with serve(handler) as up, connect(max_head=5000) as client:
        with fails(UpstreamGarbage, "a head of more than 5000 bytes"):
            await post(client, up.origin)


@pytest.mark.parametrize("endless", [b"0\r\nx: " + b"y" * 99, b"5;ext=" + b"y" * 99], ids=["trailer", "extension"])
@pytest.mark.parametrize("whole", [False, True])
@both_loops
async def test_chunks_that_never_say_anything_are_refused(endless: bytes, whole: bool):
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"2\r\nhi\r\n", endless)
        while True:
            await peer.send(b"y" * 100)

    async with serve(handler) as up, connect(max_head=5000) as client:
        reply = await post(client, up.origin)
        with fails(UpstreamGarbage, "without any content"):
            await (reply.read(LIMIT) if whole else pieces_of(reply))


@pytest.mark.parametrize("size", [5, 5000, 500_000])
@pytest.mark.parametrize("chunked", [False, True])
@both_loops
async def test_a_body_has_a_limit_that_counts_only_itself(size: int, chunked: bool):
    body = b"x" * size
    answer = OK + b"content-length: %d\r\n\r\n" % size + body
    if chunked:
        answer = (
            CHUNKED
            + b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 9]), body[i : i + 9]) for i in range(0, size, 9))
            + b"0\r\n\r\n"
        )

    async with serve(lambda peer: peer.answer(answer)) as up, connect() as client:
        assert await (await post(client, up.origin)).read(size) == body
        reply = await post(client, up.origin)
        with fails(UpstreamGarbage, "limit|larger than"):
            await reply.read(size - 1)
        await settle(lambda: client.open == 0)


@both_loops
async def test_a_body_without_end_is_dropped_at_its_limit():
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED)
        while True:
            await peer.send(b"64\r\n" + b"x" * 100 + b"\r\n")

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        with fails(UpstreamGarbage, "over its limit"):
            await reply.read(10_000)
        await settle(lambda: client.open == 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x15\x03\x01\x00\x02\x02",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello",
        OK + b"content-length: -1\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"content-encoding: br\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"content-encoding: gzip, br\r\ncontent-length: 5\r\n\r\nhello",
    ],
)
@both_loops
async def test_an_answer_that_is_not_http_or_not_readable(answer: bytes):
    async def handler(peer: Peer) -> None:
        await peer.answer(answer)
        await peer.left()

    async with serve(handler) as up, connect() as client:
        with fails(UpstreamGarbage, "127.0.0.1"):
            await post(client, up.origin)
        await settle(lambda: client.open == 0)


@both_loops
async def test_garbage_within_a_body_comes_after_what_was_good():
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED, b"5\r\nhello\r\n" + b"nonsense\r\n")
        await peer.left()

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        assert await reply.next() == b"hello"
        with fails(UpstreamGarbage, "not HTTP"):
            await reply.next()


# Clocks


@both_loops
async def test_a_server_that_never_answers():
    async with serve(Peer.left) as up, connect() as client:
        with fails(UpstreamTimeout, r"sent no answer within 0\.02 seconds"):
            await post(client, up.origin, timeouts=Timeouts(first_byte=0.02))
        await settle(lambda: client.open == 0)


@both_loops
async def test_a_head_that_trickles_does_not_buy_time():
    async def handler(peer: Peer) -> None:
        await peer.answer(OK)
        while True:
            await peer.send(b"x: y\r\n")
            await asyncio.sleep(0.01)

    async with serve(handler) as up, connect() as client:
        with fails(UpstreamTimeout, "sent no answer"):
            await post(client, up.origin, timeouts=Timeouts(first_byte=0.1))


@pytest.mark.parametrize("whole", [False, True])
@both_loops
async def test_a_body_that_stalls(whole: bool):
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED, b"1\r\na\r\n")
        await peer.left()

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin, timeouts=Timeouts(idle=0.02))
        with fails(UpstreamTimeout, r"sent nothing for 0\.02 seconds"):
            await (reply.read(LIMIT) if whole else pieces_of(reply))
        await settle(lambda: client.open == 0)


@pytest.mark.parametrize("whole", [False, True])
@both_loops
async def test_a_slow_body_is_no_stalled_one(whole: bool):
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED)
        for _ in range(10):
            await peer.send(b"1\r\na\r\n")
            await asyncio.sleep(0.04)
        await peer.send(b"0\r\n\r\n")

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin, timeouts=Timeouts(idle=0.3))
        assert (await reply.read(LIMIT) if whole else b"".join(await pieces_of(reply))) == b"a" * 10


@both_loops
async def test_a_slow_reader_is_not_the_servers_fault():
    read = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED)
        await read.wait()
        await peer.send(b"1\r\na\r\n0\r\n\r\n")

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin, timeouts=Timeouts(idle=0.05))
        await asyncio.sleep(0.25)
        read.set()
        assert await pieces_of(reply) == [b"a"]


@both_loops
async def test_the_deadline_ends_everything():
    silent = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED if not silent.is_set() else b"")
        await peer.left()

    async with serve(handler) as up, connect(max_connections=1) as client:
        now = asyncio.get_running_loop().time
        reply = await post(client, up.origin, deadline=now() + 0.15)
        with fails(UpstreamTimeout, "deadline passed while connecting"):
            await post(client, up.origin, deadline=now() + 0.02)
        await settle(lambda: reply.connection is None)  # nobody was reading
        with fails(UpstreamTimeout, "deadline passed while"):
            await reply.next()
        silent.set()
        for late in (0.02, -1.0):
            with fails(UpstreamTimeout, "deadline passed while"):
                await post(client, up.origin, deadline=now() + late)


@both_loops
async def test_a_connection_that_cannot_be_made_in_time():
    async with serve(Peer.left) as up, connect() as client:
        secure = Origin("https", "127.0.0.1", up.origin.port)  # which never says hello
        with fails(UpstreamTimeout, r"no connection to 127\.0\.0\.1:\d+ within 0\.05 seconds"):
            await post(client, secure, timeouts=Timeouts(connect=0.05))
        assert (client.open, client.connects) == (0, 0)


# Leaving


@pytest.mark.parametrize("phase", ["connect", "head", "next", "read"])
@both_loops
async def test_a_cancelled_task_leaves_nothing_and_the_server_is_told(phase: str):
    reached, left = asyncio.Event(), asyncio.Event()

    async def handler(peer: Peer) -> None:
        if phase == "connect":
            await peer.reader.read(1)
        else:
            await peer.answer(b"" if phase == "head" else CHUNKED)
        reached.set()
        await peer.left()
        left.set()

    async def work(client: Client, origin: Origin) -> None:
        reply = await post(client, origin)
        await (reply.next() if phase == "next" else reply.read(LIMIT))

    async with serve(handler) as up, connect(max_connections=1) as client:
        origin = Origin("https" if phase == "connect" else "http", "127.0.0.1", up.origin.port)
        for _ in range(2):  # the second finds the place free
            task = asyncio.create_task(work(client, origin))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await left.wait()
            reached.clear()
            left.clear()
        await settle(lambda: client.open == 0)
        assert up.accepted == 2


@both_loops
async def test_closing_a_reply_before_its_end_tells_the_server_at_once():
    left = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"1\r\na\r\n")
        await peer.left()
        left.set()

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        reply.close()
        reply.close()
        await left.wait()
        assert client.open == 0
        assert await reply.next() == b"a"
        with fails(UpstreamBroken, "closed before its end"):
            await reply.next()


@both_loops
async def test_closing_a_reply_wakes_whoever_reads_it():
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED)
        await peer.left()

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        reading = asyncio.ensure_future(reply.next())
        await asyncio.sleep(0)
        reply.close()
        with fails(UpstreamBroken, "closed before its end"):
            await reading


@both_loops
async def test_closing_a_finished_reply_leaves_its_connection_in_the_pool():
    async with serve(forever) as up, connect() as client:
        for _ in range(3):
            (await post(client, up.origin)).close()
        assert (client.connects, client.reused) == (1, 2)


@both_loops
async def test_closing_the_client_ends_what_is_under_way_and_refuses_the_rest():
    async with serve(Peer.left) as up, connect(max_connections=1) as client:
        asked, waiting = [asyncio.ensure_future(post(client, up.origin)) for _ in range(2)]
        await settle(lambda: client.open == 1)
        await client.close()
        assert client.open == 0
        with fails(UpstreamBroken, "closing"):
            await asked
        for late in (waiting, asyncio.ensure_future(post(client, up.origin))):
            with fails(UpstreamUnreachable, "closing"):
                await late


@both_loops
async def test_closing_the_client_while_it_connects():
    async with serve(Peer.left) as up, connect() as client:
        connecting = asyncio.ensure_future(post(client, up.origin))
        await asyncio.sleep(0)
        await client.close()
        with fails(UpstreamUnreachable, "closing"):
            await connecting


# Back-pressure


@both_loops
async def test_a_slow_reader_holds_the_server_back():
    total, sent = 50 << 20, 0
    piece = bytes(1 << 18)

    async def handler(peer: Peer) -> None:
        nonlocal sent
        await peer.answer(OK + b"content-length: %d\r\n\r\n" % total)
        while sent < total:
            peer.writer.write(piece)
            await peer.writer.drain()
            sent += len(piece)
        await peer.left()

    async with serve(handler) as up, connect(buffer=1 << 16) as client:
        reply = await post(client, up.origin)
        assert reply.connection is not None
        await settle(lambda: reply.connection is not None and reply.connection.paused)
        while True:  # until the kernel's buffers are full, too
            before = sent
            await asyncio.sleep(0.05)
            if sent == before:
                break
        assert sent < total // 2
        assert sum(map(len, reply.connection.chunks)) <= (1 << 16) + (1 << 18)
        got, largest = 0, 0
        while (chunk := await reply.next()) is not None:
            got += len(chunk)
            largest = max(largest, len(chunk))
        assert got == total
        assert largest <= (1 << 16) + (1 << 18)
        assert await fetch_again(client, up)


async def fetch_again(client: Client, up: Upstream) -> bool:
    """The connection went back to the pool, reading."""
    await settle(lambda: client.open == 1)
    return up.accepted == 1


@both_loops
async def test_a_paused_reply_can_be_read_whole():
    body = bytes(3 << 20)
    answer = OK + b"content-length: %d\r\n\r\n" % len(body) + body

    async def handler(peer: Peer) -> None:
        while True:
            await peer.answer(answer)

    async with serve(handler) as up, connect(buffer=1000) as client:
        for _ in range(2):
            reply = await post(client, up.origin)
            await settle(lambda reply=reply: reply.connection is not None and reply.connection.paused)
            assert await reply.read(len(body)) == body
        assert client.connects == 1


# Compression


def deflated(data: bytes, window: int) -> bytes:
    engine = zlib.compressobj(wbits=window)
    return engine.compress(data) + engine.flush()


PLAIN = bytes(range(256)) * 2000
ENCODED = {
    "gzip": gzip.compress(PLAIN),
    "x-gzip": gzip.compress(PLAIN[:1000]) + gzip.compress(PLAIN[1000:]),
    "deflate": deflated(PLAIN, 15),
    "Deflate": deflated(PLAIN, -15),
    "identity": PLAIN,
}


def compressed(coding: str, body: bytes) -> bytes:
    return OK + f"Content-Encoding: {coding}\r\ncontent-length: {len(body)}\r\nx: y\r\n\r\n".encode() + body


@pytest.mark.parametrize("coding", list(ENCODED))
@pytest.mark.parametrize("step", [7, 1 << 20])
@both_loops
async def test_a_compressed_body_is_unpacked(coding: str, step: int):
    answer = compressed(coding, ENCODED[coding][:100_000] if step > 7 or coding == "identity" else ENCODED[coding])
    whole = compressed(coding, ENCODED[coding])
    answer = whole if coding == "identity" else answer

    async def handler(peer: Peer) -> None:
        while True:
            step_now = step if coding != "identity" else 1 << 20
            await peer.answer(*[whole[i : i + step_now] for i in range(0, len(whole), step_now)])

    async with serve(handler) as up, connect() as client:
        assert await (await post(client, up.origin)).read(len(PLAIN)) == PLAIN
        reply = await post(client, up.origin)
        assert b"".join(await pieces_of(reply)) == PLAIN
        assert reply.headers.get("x") == "y"
        assert ("content-encoding" in reply.headers) == ("content-length" in reply.headers) == (coding == "identity")
        assert client.connects == 1


@pytest.mark.parametrize(
    ("coding", "body", "kind"),
    [
        ("gzip", ENCODED["gzip"][:-9], UpstreamBroken),
        ("gzip", ENCODED["gzip"][:5], UpstreamBroken),
        ("gzip", b"hello, this is not gzip", UpstreamGarbage),
        ("gzip", ENCODED["gzip"] + b"junk", UpstreamGarbage),
        ("gzip", ENCODED["gzip"][:200] + b"junk" + ENCODED["gzip"][204:], UpstreamGarbage),
        ("deflate", ENCODED["deflate"] + b"junk", UpstreamGarbage),
        ("deflate", ENCODED["deflate"][:-1], UpstreamBroken),
    ],
)
@both_loops
async def test_a_damaged_compressed_body(coding: str, body: bytes, kind: type[UpstreamError]):
    async def handler(peer: Peer) -> None:
        while True:
            await peer.answer(compressed(coding, body))

    async with serve(handler) as up, connect() as client:
        with fails(kind, "compressed answer"):
            await fetch(client, up.origin)
        with fails(kind, "compressed answer"):
            await pieces_of(await post(client, up.origin))


@both_loops
async def test_a_small_bomb_stays_small():
    bomb = gzip.compress(bytes(20 << 20))

    async with serve(lambda peer: peer.answer(compressed("gzip", bomb))) as up, connect() as client:
        with fails(UpstreamGarbage, "larger than 100000 bytes"):
            await (await post(client, up.origin)).read(100_000)
        pieces = await pieces_of(await post(client, up.origin))
        assert max(map(len, pieces)) <= 1 << 18
        assert sum(map(len, pieces)) == 20 << 20


@both_loops
async def test_an_empty_compressed_body_is_empty():
    async with serve(lambda peer: peer.answer(compressed("gzip", b""))) as up, connect() as client:
        assert await fetch(client, up.origin) == b""
        assert await pieces_of(await post(client, up.origin)) == []


# Connecting


@both_loops
async def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with connect() as client:
            with fails(UpstreamUnreachable, f"cannot connect to 127.0.0.1:{port}: refused"):
                await post(client, Origin("http", "127.0.0.1", port))
            assert client.open == 0


@both_loops
async def test_a_host_that_cannot_be():
    name = "a" * 64 + ".test"  # a label is at most 63 long: refused without asking anybody
    async with connect() as client:
        with fails(UpstreamUnreachable, name):
            await post(client, Origin("http", name, 80))


async def test_a_host_that_is_not_known(monkeypatch: pytest.MonkeyPatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with connect() as client:
        with fails(UpstreamUnreachable, "nowhere.test:80 is not known to DNS"):
            await post(client, Origin("http", "nowhere.test", 80))


class Certificates(NamedTuple):
    server: ssl.SSLContext
    wrong_name: ssl.SSLContext
    ca: str  # PEM

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.ca)


def certificate(name: str, names: list[x509.GeneralName], issuer: "Issuer | None") -> "Issuer":
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer = issuer or Issuer(key, None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer.certificate else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    usage = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"], False
    )
    signs = issuer is None
    builder = builder.add_extension(
        x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, **usage), critical=True
    )
    return Issuer(key, builder.sign(signer.key, hashes.SHA256()))


class Issuer(NamedTuple):
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate | None

    def pem(self) -> bytes:
        assert self.certificate
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, folder: Path, name: str) -> ssl.SSLContext:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / f"{name}.pem"
        path.write_bytes(private + self.pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    ca = certificate("a test's own CA", [], None)
    here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost"), x509.DNSName("upstream.test")]
    good = certificate("server", here, ca).context(folder, "good")
    wrong = certificate("other", [x509.DNSName("other.test")], ca).context(folder, "wrong")
    return Certificates(good, wrong, ca.pem().decode())


@both_loops
async def test_tls_is_verified_named_and_http_1_1(certificates: Certificates):
    seen: list[object] = []
    server = certificates.server
    server.set_alpn_protocols(["h2", "http/1.1"])
    server.sni_callback = lambda _, name, __: seen.append(name)

    async def handler(peer: Peer) -> None:
        seen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await forever(peer)

    async with serve(handler, server) as up, connect(tls=certificates.client()) as client:
        named = Origin("https", "localhost", up.origin.port)
        assert [await fetch(client, named), await fetch(client, named)] == [b"hello", b"hello"]
        assert await fetch(client, up.origin) == b"hello"
        assert (client.connects, client.reused) == (2, 1)
    assert seen == ["localhost", "http/1.1", None, "http/1.1"]


@both_loops
async def test_tls_carries_large_bodies_both_ways(certificates: Certificates):
    body = os.urandom(1 << 16) * 32

    async def handler(peer: Peer) -> None:
        while True:
            _, got = await peer.request()
            await peer.send(OK + b"content-length: %d\r\n\r\n" % len(got), got)

    async with serve(handler, certificates.server) as up, connect(tls=certificates.client(), buffer=1 << 14) as client:
        assert await (await post(client, up.origin, body)).read(len(body)) == body
        assert b"".join(await pieces_of(await post(client, up.origin, body))) == body


@both_loops
async def test_a_certificate_of_an_unknown_ca_is_refused(certificates: Certificates):
    async with serve(forever, certificates.server) as up, connect() as client:
        with fails(UpstreamUnreachable, r"the certificate of 127\.0\.0\.1:\d+ is not trusted: .*certificate"):
            await post(client, up.origin)
        assert client.open == 0


@both_loops
async def test_a_certificate_for_another_name_is_refused(certificates: Certificates):
    async with serve(forever, certificates.wrong_name) as up, connect(tls=certificates.client()) as client:
        with fails(UpstreamUnreachable, "is not trusted: .*mismatch|is not trusted: .*127.0.0.1"):
            await post(client, up.origin)


@pytest.mark.parametrize("says", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
@both_loops
async def test_a_server_without_tls_is_unreachable_by_it(certificates: Certificates, says: bytes):
    async def handler(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(says)

    async with serve(handler) as up, connect(tls=certificates.client()) as client:
        with fails(UpstreamUnreachable, "127.0.0.1"):
            await post(client, Origin("https", "127.0.0.1", up.origin.port))


@both_loops
async def test_without_its_goodbye_tls_has_not_ended(certificates: Certificates):
    """An attacker can forge the end of a TCP connection, but not of the TLS within."""
    cut = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(OK + b"\r\nhello")
        if peer.number == 2:
            await cut.wait()
            with peer.socket() as own:
                own.shutdown(socket.SHUT_WR)
            await peer.left()

    async with serve(handler, certificates.server) as up, connect(tls=certificates.client()) as client:
        assert await fetch(client, up.origin) == b"hello"
        reply = await post(client, up.origin)
        assert await reply.next() == b"hello"
        cut.set()
        with fails(UpstreamBroken):
            await reply.next()


def test_tls_that_does_not_verify_is_refused():
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    with pytest.raises(ConfigError):
        Client(tls=trusting)
    trusting.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigError):
        Client(tls=trusting)


# Proxies


def tunnel_to(port: int, heads: list[bytes]) -> Callable[[Peer], Awaitable[object]]:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def handler(peer: Peer) -> None:
        heads.append(await peer.head())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.send(b"HTTP/1.1 200 Connection established\r\nvia: me\r\n\r\n")
        try:
            await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))
        finally:
            writer.close()

    return handler


@both_loops
async def test_https_goes_through_a_tunnel(certificates: Certificates):
    heads: list[bytes] = []
    async with serve(forever, certificates.server) as up, serve(tunnel_to(up.origin.port, heads)) as proxy:
        proxies = Proxies(https=f"http://user:pa%3Ass@127.0.0.1:{proxy.origin.port}")
        async with connect(tls=certificates.client(), proxies=proxies) as client:
            origin = Origin("https", "upstream.test", 443)
            assert [await fetch(client, origin), await fetch(client, origin)] == [b"hello", b"hello"]
            assert (client.connects, client.reused) == (1, 1)
    credentials = base64.b64encode(b"user:pa:ss")
    assert heads == [
        b"CONNECT upstream.test:443 HTTP/1.1\r\nhost: upstream.test:443\r\nproxy-authorization: Basic "
        + credentials
        + b"\r\n\r\n"
    ]


@both_loops
async def test_a_tunnel_changes_nothing_about_verification(certificates: Certificates):
    async with serve(forever, certificates.wrong_name) as up, serve(tunnel_to(up.origin.port, [])) as proxy:
        proxies = Proxies(https=f"127.0.0.1:{proxy.origin.port}")
        async with connect(tls=certificates.client(), proxies=proxies) as client:
            with fails(UpstreamUnreachable, "the certificate of upstream.test:443 is not trusted"):
                await post(client, Origin("https", "upstream.test", 443))
            assert client.open == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "it answered 407"),
        (b"HTTP/1.1 503 No\r\n\r\n", "it answered 503"),
        (b"nonsense\r\n\r\n", "not HTTP"),
        (b"x" * 70_000, "not HTTP"),
        (b"", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore than it should say", "it answered 200"),
    ],
)
@both_loops
async def test_a_proxy_that_declines(answer: bytes, words: str):
    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)

    async with serve(handler) as proxy:
        proxies = Proxies(https=f"http://user:{SECRET}@127.0.0.1:{proxy.origin.port}/")
        async with connect(proxies=proxies) as client:
            with fails(UpstreamUnreachable, f"the proxy 127.0.0.1:{proxy.origin.port} .*upstream.test:443: .*{words}"):
                await post(client, Origin("https", "upstream.test", 443))
            assert client.open == 0


@both_loops
async def test_a_proxy_that_stalls_or_is_not_there():
    async with serve(Peer.left) as proxy:
        async with connect(proxies=Proxies(https=f"http://127.0.0.1:{proxy.origin.port}")) as client:
            with fails(UpstreamTimeout, r"no connection to upstream.test:443 within 0\.05 seconds"):
                await post(client, Origin("https", "upstream.test", 443), timeouts=Timeouts(connect=0.05))
        gone = proxy.origin.port
    async with connect(proxies=Proxies(http=f"http://127.0.0.1:{gone}")) as client:
        with fails(UpstreamUnreachable, f"cannot connect to the proxy 127.0.0.1:{gone}: refused"):
            await post(client, Origin("http", "upstream.test", 80))


@both_loops
async def test_http_goes_to_the_proxy_with_the_whole_url():
    heads: list[bytes] = []

    async def handler(peer: Peer) -> None:
        heads.append((await peer.answer(HELLO))[0])

    async with serve(handler) as proxy, connect(proxies=Proxies(http=f"http://u:p@127.0.0.1:{proxy.origin.port}")) as client:
        assert await fetch(client, Origin("http", "upstream.test", 8080)) == b"hello"
    assert heads == [
        b"POST http://upstream.test:8080/v1/chat?a=b HTTP/1.1\r\nhost: upstream.test:8080\r\nproxy-authorization: Basic "
        + base64.b64encode(b"u:p")
        + b"\r\n"
        + HEADERS
        + b"content-length: 2\r\n\r\n"
    ]


@both_loops
async def test_loopback_is_never_proxied():
    async with serve(forever) as up, connect(proxies=Proxies(http="http://127.0.0.1:1")) as client:
        assert await fetch(client, up.origin) == b"hello"
        assert await fetch(client, Origin("http", "localhost", up.origin.port)) == b"hello"


@pytest.mark.parametrize(
    ("host", "bypass", "expected"),
    [
        ("api.test", "", False),
        ("api.test", "*", True),
        ("api.test", "other.test, api.test", True),
        ("api.test", "other.test api.test", True),
        ("api.test", "API.test", True),
        ("api.test", "test", True),
        ("api.test", ".test", True),
        ("api.test", "*.test", True),
        ("xapi.test", "api.test", False),
        ("api.test.evil", "api.test", False),
        ("api.test", "api.test:443", True),
        ("api.test", "api.test:80", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "2.3", False),
        ("api.test", "10.0.0.0/8,nonsense/9", False),
        ("fd00::1", "[fd00::1]:443", True),
        ("fd00::1", "[fd00::1]", True),
        ("fd00::1", "fd00::1", True),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]:80", False),
        ("localhost", "", True),
        ("a.localhost", "", True),
        ("127.8.9.1", "", True),
        ("::1", "", True),
        ("localhost.test", "", False),
        ("api.test", ",", False),
    ],
)
def test_who_is_reached_without_a_proxy(host: str, bypass: str, expected: bool):
    assert bypassed(Origin("https", host, 443), bypass) is expected


def test_the_environment_names_the_proxies():
    assert Proxies.from_environment({}) == Proxies()
    both = {"HTTP_PROXY": "http://a", "http_proxy": "http://b", "HTTPS_PROXY": "http://c", "NO_PROXY": "x", "no_proxy": ""}
    assert Proxies.from_environment(both) == Proxies(http="http://b", https="http://c", bypass="")


def test_a_proxys_password_is_not_told():
    assert SECRET not in repr(Proxies(http=f"http://u:{SECRET}@h"))
    for url in (f"socks5://u:{SECRET}@h", f"http://u:{SECRET}@h:99999", f"http://u:{SECRET}@", f"http://u:{SECRET}@[h"):
        with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
            Client(proxies=Proxies(https=url))
        assert SECRET not in str(caught.value)


@both_loops
async def test_the_environment_is_asked_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch):
    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO)

    async with serve(handler) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.origin.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with connect(proxies=None) as client:
            assert await fetch(client, Origin("http", "upstream.test", 80)) == b"hello"


# Origins


@pytest.mark.parametrize(
    ("url", "origin", "prefix", "authority"),
    [
        ("https://api.test", ("https", "api.test", 443), "", "api.test"),
        ("https://api.test/", ("https", "api.test", 443), "", "api.test"),
        ("HTTP://Api.Test:8000/v1/", ("http", "api.test", 8000), "/v1", "api.test:8000"),
        ("http://api.test:80/a/b", ("http", "api.test", 80), "/a/b", "api.test"),
        ("http://[::1]:9/v1", ("http", "::1", 9), "/v1", "[::1]:9"),
        ("https://[fd00::1]", ("https", "fd00::1", 443), "", "[fd00::1]"),
        ("https://bücher.test", ("https", "xn--bcher-kva.test", 443), "", "xn--bcher-kva.test"),
        ("http://my_host:80", ("http", "my_host", 80), "", "my_host"),
    ],
)
def test_an_origin_is_read_from_a_url(url: str, origin: tuple[str, str, int], prefix: str, authority: str):
    parsed, path = Origin.parse(url)
    assert ((parsed.scheme, parsed.host, parsed.port), path, parsed.authority) == (origin, prefix, authority)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.test",
        "ftp://api.test",
        "https://",
        "https:///v1",
        "https://api.test:99999",
        "https://api.test:0",
        "https://api.test:x",
        "https://[::1",
        "https://[zz]",
        "https://a b.test",
        "https://-a.test",
        "https://api.test/v 1",
        "https://api.test/é",
        "https://api.test/v1?key=x",
        "https://api.test/v1#x",
        "https://api.test/?",
        f"https://user:{SECRET}@api.test",
        f"https://{SECRET}@api.test/é",
        f"ftp://{SECRET}@api.test",
        "https://" + "ü" * 80 + ".test",
    ],
)
def test_a_url_that_cannot_be_is_a_configuration_error(url: str):
    with pytest.raises(ConfigError) as caught:
        Origin.parse(url)
    assert SECRET not in str(caught.value)


def test_an_origin_says_where_it_is():
    assert [str(Origin("https", host, 443)) for host in ("api.test", "::1")] == ["api.test:443", "[::1]:443"]


# Whatever the cuts: one connection, no network


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    closed = False

    def write(self, data: object) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        self.closed = True


Outcome = tuple[int, dict[str, str], bytes, type[BaseException] | None]


def outcome(pieces: list[bytes], ends: bool) -> Outcome:
    """What a request on a fresh connection comes to, where the server sends these pieces and then, if it `ends`, closes."""
    loop = asyncio.new_event_loop()
    pool = Pool(Origin("http", "h", 80), None, Limits(max_head=200, buffer=100, idle_ttl=1, keep_idle=1), lambda _: None)
    wire, connection = Wire(), Connection(pool, loop)
    connection.connection_made(wire)
    reply = Reply(connection)
    connection.start(reply, b"", b"", False, PATIENT, inf)
    for piece in pieces:
        if piece and not wire.closed:
            connection.data_received(piece)
    if ends and not wire.closed:
        connection.eof_received()
    if not ends:
        reply.close()
    assert reply.connection is None
    assert (connection in pool.idle) <= (not wire.closed)
    loop.close()
    if not reply.head:  # send would have raised
        return 0, {}, b"", type(reply.error)
    body, error = b"", None
    try:
        while (piece := finished(reply.next())) is not None:
            body += piece
    except UpstreamError as caught:
        error = type(caught)
    return reply.status, reply.headers, body, error


def finished(coroutine: Coroutine[Any, Any, bytes | None]) -> bytes | None:
    try:
        coroutine.send(None)
    except StopIteration as result:
        return result.value
    raise AssertionError("it waited, with nothing left to wait for")


SAMPLES = [
    HELLO,
    CHUNKED + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nt: u\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 103 E\r\na: b\r\n\r\n" + HELLO,
    OK + b"\r\nhello",
    b"\r\n" + HELLO + b"\r\n",
    HELLO + HELLO,
    OK + b"content-length: 9\r\n\r\nhello",
    CHUNKED + b"5\r\nhello\r\nnonsense",
    OK + b"x: " + b"y" * 300 + b"\r\n\r\n",
    compressed("gzip", gzip.compress(b"hello" * 50)),
    compressed("gzip", gzip.compress(b"hello" * 50)[:-4]),
    compressed("br", b"hello"),
    b"HTTP/1.1 204 No\r\ncontent-encoding: br\r\n\r\n",
    b"HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=2),
    st.lists(st.integers(0, 400), max_size=6),
    st.booleans(),
)
def test_an_answer_is_the_same_however_it_is_cut(sample: bytes, noise: list[tuple[int, bytes]], cuts: list[int], ends: bool):
    for place, junk in noise:
        sample = sample[: place % (len(sample) + 1)] + junk + sample[place % (len(sample) + 1) + len(junk) :]
    edges = [0, *sorted(place % (len(sample) + 1) for place in cuts), len(sample)]
    whole = outcome([sample], ends)
    assert outcome([sample[a:b] for a, b in zip(edges, edges[1:], strict=False)], ends) == whole
    assert outcome([sample[i : i + 1] for i in range(len(sample))], ends) == whole
