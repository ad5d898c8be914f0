"""A client's connection by itself: however bytes are cut, the gateway sees the same requests and the client the same answers."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.connection import Connection
from interlingua.inbound import Inbound

Seen = tuple[str, str, bytes, dict[bytes, bytes], bytes]


class Wire:
    """The transport: what was written, and whether it was closed."""

    def __init__(self) -> None:
        self.written, self.closed = b"", False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Gateway:
    def __init__(self) -> None:
        self.seen: list[Seen] = []

    async def answer(self, asked: Inbound) -> None:
        body = asked.body
        if body is None:
            body, more = await asked.receive()
            while more:
                piece, more = await asked.receive()
                body += piece
        self.seen.append((asked.method, asked.path, asked.query, asked.headers, body))
        assert asked.reply(200, b"", b"%d" % len(self.seen))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in zip(places, places[1:], strict=False) if start < end]


def served(data: bytes, cuts: list[int]) -> tuple[list[Seen], bytes, bool]:
    """(what the gateway saw, what was written, whether the connection was closed) for bytes that come cut so."""

    async def run() -> tuple[list[Seen], bytes, bool]:
        gateway, wire = Gateway(), Wire()
        state: Any = SimpleNamespace(connections=set(), tasks=set(), total_requests=0)
        connection = Connection(cast(Any, SimpleNamespace(loaded_app=gateway)), state, {}, asyncio.get_running_loop())
        connection.connection_made(cast(Any, wire))
        try:
            for piece in pieces(data, cuts):
                connection.data_received(piece)
                for _ in range(4):
                    await asyncio.sleep(0)
            for _ in range(20):
                await asyncio.sleep(0)
            return gateway.seen, wire.written, wire.closed
        finally:
            connection.connection_lost(None)
            if Connection.sweeping is not None:
                Connection.sweeping.cancel()
                Connection.sweeping = None

    return asyncio.run(run())


def chunked(body: bytes, size: int, trailers: bytes) -> bytes:
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, Seen]:
    method, path = draw(st.sampled_from((("POST", "/v1/messages"), ("PUT", "/providers/x/v1/files"), ("GET", "/ready"))))
    query = draw(st.sampled_from((b"", b"a=b&c=%20")))
    extra = draw(st.dictionaries(st.from_regex(rb"X-[a-z]{1,8}", fullmatch=True), st.from_regex(rb"[!-~]{1,20}", fullmatch=True)))
    body = draw(st.binary(max_size=200)) if method != "GET" else b""
    headers = {name.lower(): value for name, value in extra.items()}
    head = f"{method} {path}".encode() + (b"?" + query if query else b"") + b" HTTP/1.1\r\nHost: x\r\n"
    headers[b"host"] = b"x"
    head += b"".join(b"%b: %b\r\n" % pair for pair in extra.items())
    if body and draw(st.booleans()):
        headers[b"transfer-encoding"] = b"chunked"
        trailers = draw(st.sampled_from((b"", b"X-Sum: 1\r\n")))
        framed = b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, draw(st.integers(1, 64)), trailers)
    elif method != "GET":
        headers[b"content-length"] = b"%d" % len(body)
        framed = b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        framed = b"\r\n"
    return head + framed, (method, path, query, headers, body)


@given(st.lists(requests(), min_size=1, max_size=5), st.lists(st.integers(0, 1 << 16), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same_requests(asked: list[tuple[bytes, Seen]], cuts: list[int]):
    seen, written, closed = served(b"".join(data for data, _ in asked), cuts)
    assert seen == [request for _, request in asked]
    answers = b"".join(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number for number in range(1, len(asked) + 1))
    assert (written, closed) == (answers, False)


@pytest.mark.parametrize("over", [-1, 0, 1])
@given(cuts=st.lists(st.integers(0, 1 << 11), max_size=6))
def test_a_head_has_its_limit_however_it_is_cut(over: int, cuts: list[int]):
    most = Connection.max_head
    Connection.max_head = 1024
    try:
        begin, end = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Fill: ", b"\r\nContent-Length: 2\r\n\r\n"
        data = begin + b"a" * (1024 + over - len(begin) - len(end)) + end + b"{}"
        seen, written, closed = served(data, cuts)
    finally:
        Connection.max_head = most
    assert (len(seen), closed) == ((0, True) if over > 0 else (1, False))
    assert written.startswith(b"HTTP/1.1 431" if over > 0 else b"HTTP/1.1 200")
    assert over <= 0 or b'"type":"error"' in written, "in the words of the client's protocol"


@given(st.integers(1, 900), st.lists(st.integers(0, 1 << 12), max_size=6), st.integers(0, 2))
def test_a_body_has_its_limit_however_it_is_framed_and_cut(size: int, cuts: list[int], over: int):
    most = Connection.max_body
    Connection.max_body = 1000 + 900 - 900 * over
    body = b"x" * 1000
    try:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        seen, written, closed = served(head + chunked(body, size, b""), cuts)
    finally:
        Connection.max_body = most
    if over < 2:
        assert (len(seen), closed) == (1, False) and seen[0][4] == body
    else:
        assert (seen, closed) == ([], True) and written.startswith(b"HTTP/1.1 413")


def test_trailers_without_end_are_refused():
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    data = head + b"".join(b"X-%d: y\r\n" % number for number in range(5000))
    seen, written, closed = served(data, list(range(0, len(data), 500)))
    assert (seen, closed) == ([], True) and written.startswith(b"HTTP/1.1 431")
