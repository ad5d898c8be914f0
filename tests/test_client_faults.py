"""The client against servers that fail: answers cut short, garbage, clocks, limits, leaving; and compressed bodies."""

import asyncio
import gzip
import zlib

import pytest
from peers import (
    CHUNKED,
    LIMIT,
    OK,
    Peer,
    Upstream,
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

from interlingua.client import Client, Origin, Timeouts
from interlingua.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)

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
            await asyncio.sleep(0.12)
        await peer.send(b"0\r\n\r\n")

    async with serve(handler) as up, connect() as client:
        reply = await post(client, up.origin, timeouts=Timeouts(idle=1.0))
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


PLAIN = bytes(range(256)) * 40 + bytes(300_000)
ENCODED = {
    "gzip": gzip.compress(PLAIN, mtime=0),
    "x-gzip": gzip.compress(PLAIN[:1000], mtime=0) + gzip.compress(PLAIN[1000:], mtime=0),
    "deflate": deflated(PLAIN, 15),
    "Deflate": deflated(PLAIN, -15),
    "identity": PLAIN,
}


@pytest.mark.parametrize("coding", list(ENCODED))
@pytest.mark.parametrize("step", [500, 1 << 20])
@both_loops
async def test_a_compressed_body_is_unpacked(coding: str, step: int):
    answer = compressed(coding, ENCODED[coding])
    pieces = [answer[i : i + step] for i in range(0, len(answer), step)]

    async def handler(peer: Peer) -> None:
        while True:
            await peer.answer(*pieces)

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
    empty = CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n"
    for answer in ([compressed("gzip", b"")], [empty + b"0\r\n\r\n"], [empty, b"0\r\n\r\n"]):
        async with serve(lambda peer, answer=answer: peer.answer(*answer)) as up, connect() as client:
            assert await fetch(client, up.origin) == b""
            assert await pieces_of(await post(client, up.origin)) == []
