"""The client against real servers, on both event loops: what goes over the wire, and connections used again."""

import asyncio
import gzip
import os
from collections.abc import Coroutine
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import (
    CHUNKED,
    HEADERS,
    HELLO,
    OK,
    PATIENT,
    Peer,
    both_loops,
    compressed,
    connect,
    fails,
    fetch,
    forever,
    pieces_of,
    post,
    serve,
    settle,
)

from interlingua.client import Client, Origin, Reply, Timeouts
from interlingua.client.connection import Connection, Limits, Pool
from interlingua.errors import (
    InvalidRequest,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

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
    head = f"POST /v1/chat?a=b HTTP/1.1\r\nhost: 127.0.0.1:{up.origin.port}\r\n".encode()
    assert seen == [(head + HEADERS + b"content-length: 7\r\n\r\n", b'{"a":1}')]


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
async def test_pushed_bytes_come_in_the_loops_own_call_until_one_is_refused():
    go = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED)
        await go.wait()
        for piece in (b"3\r\none\r\n", b"3\r\ntwo\r\n", b"5\r\nthree\r\n"):
            await peer.send(piece)
            await told.wait()
            told.clear()
        await peer.send(b"4\r\nfour\r\n", b"0\r\n\r\n")

    told, got, tasks = asyncio.Event(), list[bytes](), set[object]()

    def take(data: bytes) -> bool:
        got.append(data)
        tasks.add(asyncio.current_task())
        told.set()
        return len(got) < 3

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        go.set()
        await reply.push(take)
        assert (got, tasks) == ([b"one", b"two", b"three"], {None})
        assert b"".join(await pieces_of(reply)) == b"four"
        await reply.push(take)  # there is nothing left that could be
        assert len(got) == 3


@both_loops
async def test_what_takes_pushed_bytes_may_fail():
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED)
        await go.wait()
        await peer.send(b"3\r\none\r\n")
        await peer.left()

    def take(data: bytes) -> bool:
        raise KeyError(data)

    go = asyncio.Event()
    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        go.set()
        with pytest.raises(KeyError, match="one"):
            await reply.push(take)
        await settle(lambda: client.open == 0)


@pytest.mark.parametrize("ending", [b"0\r\n\r\n", b"2\r\n\n\n\r\n0\r\n\r\n"])
@both_loops
async def test_a_reader_that_has_all_it_wanted_waits_a_moment_for_the_bodys_end(ending: bytes):
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        await go.wait()
        await peer.send(ending)
        await peer.answer(HELLO)

    go = asyncio.Event()
    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        assert await reply.next() == b"one"
        reply.finish()
        go.set()
        await settle(lambda: reply.connection is None)
        assert await fetch(client, up.origin) == b"hello"
        assert (client.connects, client.reused) == (1, 1)


@pytest.mark.parametrize("floods", [False, True])
@both_loops
async def test_a_body_without_an_end_is_not_waited_for_any_longer(monkeypatch: pytest.MonkeyPatch, floods: bool):
    async def handler(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"3\r\none\r\n")
        if floods:
            await go.wait()
            await peer.send(*[b"400\r\n" + b"x" * 1024 + b"\r\n"] * 100)
        await peer.left()

    if not floods:
        monkeypatch.setattr("interlingua.client.connection._LINGER", 0.01)
    go = asyncio.Event()
    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin)
        assert await reply.next() == b"one"
        reply.finish()
        go.set()
        await settle(lambda: client.open == 0)


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


@both_loops
async def test_a_waiter_whose_connection_ends_in_its_hand_connects_anew(monkeypatch: pytest.MonkeyPatch):
    release = Pool.release

    def cruel(pool: Pool, connection: Connection) -> None:
        release(pool, connection)
        connection.drop()

    monkeypatch.setattr(Pool, "release", cruel)
    async with serve(forever) as up, connect(max_connections=1) as client:
        assert await asyncio.gather(*[fetch(client, up.origin) for _ in range(3)]) == [b"hello"] * 3
        assert up.accepted == 3


@both_loops
async def test_a_connection_that_ends_as_it_is_made_is_not_used(monkeypatch: pytest.MonkeyPatch):
    dial = Client.__dict__["_dial"]

    async def cruel(client: Client, pool: Pool) -> Connection:
        connection = await dial(client, pool)
        connection.drop()
        return connection

    monkeypatch.setattr(Client, "_dial", cruel)
    async with serve(Peer.left) as up, connect() as client:
        with fails(UpstreamUnreachable, "closed the connection at once"):
            await post(client, up.origin)
        assert client.connects == 0


@both_loops
async def test_a_task_cancelled_with_its_answer_in_hand_leaves_the_connection_good(monkeypatch: pytest.MonkeyPatch):
    release = Pool.release

    def cruel(pool: Pool, connection: Connection) -> None:
        release(pool, connection)
        task.cancel()

    async with serve(forever) as up, connect() as client:
        task = asyncio.ensure_future(post(client, up.origin))
        monkeypatch.setattr(Pool, "release", cruel)
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.undo()
        assert await fetch(client, up.origin) == b"hello"
        assert (client.connects, client.reused) == (1, 1)


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
        assert reply.error is not None
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
    compressed("gzip", gzip.compress(b"hello" * 50, mtime=0)),
    compressed("gzip", gzip.compress(b"hello" * 50, mtime=0)[:-4]),
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
