"""Streams under way: heartbeats that every SDK survives, clients that leave or read slowly, arrays instead of events."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Start
from running import House
from sdks_speakers import PLAIN, SPEAKERS, Ask
from server_wire import CLIENTS, Json, Wire, ask, plain, request, said, wire

from interlingua.connection import Connection

BEATING = '[routing]\nheartbeat = "40ms"\n'
BEATS = {"openai": b": keep-alive\n\n", "anthropic": b'event: ping\ndata: {"type":"ping"}\n\n', "gemini": b"\n"}
EVENTS = "/v1beta/models/exact-gemini:streamGenerateContent?alt=sse"
ARRAY = "/v1beta/models/exact-gemini:streamGenerateContent"


@pytest.fixture(params=CLIENTS)
def speaks(request: pytest.FixtureRequest) -> str:
    return request.param


def asked(client: str, words: str, path: str = EVENTS) -> bytes:
    """A request for a stream."""
    body = plain(client, words) if client == "gemini" else plain(client, words, stream=True)
    return request(client, json.dumps(body).encode(), path=path if client == "gemini" else "")


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


# Heartbeats


async def test_a_quiet_stream_beats(start: Start, speaks: str) -> None:
    house = await start(BEATING)
    async with wire(house) as line:
        await line.send(asked(speaks, "[[slow:600]] hi"))
        reply = await line.reply()
    assert (reply.status, reply.heads["cache-control"]) == (200, "no-cache")
    assert reply.heads["content-type"].startswith("text/event-stream")
    beat = BEATS[speaks]
    assert reply.body.startswith(beat * 2)
    assert b"You said: hi".split()[0] in reply.body.removeprefix(beat * 2)


async def test_a_busy_stream_does_not(start: Start, speaks: str) -> None:
    house = await start('[routing]\nheartbeat = "5s"\n')
    async with wire(house) as line:
        await line.send(asked(speaks, "[[gap:20]] one two three"))
        body = (await line.reply()).body
    assert b"keep-alive" not in body and b"ping" not in body and b"\n\n\n" not in body


@pytest.mark.parametrize("words", ["[[slow:600]] hi", "[[gap:150]] hi"])
async def test_sdks_survive_heartbeats(start: Start, speaks: str, words: str) -> None:
    house = await start(BEATING)
    async with SPEAKERS[speaks](house.url) as client:
        told = await client.ask(Ask(model=PLAIN[speaks], turns=[client.user(words)]), stream=True)
    assert told.text == "You said: hi"


async def test_an_error_after_a_heartbeat_is_the_streams_last_word(start: Start, speaks: str) -> None:
    """The head has said 200: what fails now is told as the protocol tells it within a stream."""
    house = await start(BEATING + 'first_byte = "200ms"\n')
    async with SPEAKERS[speaks](house.url) as client:
        with pytest.raises(Exception, match="did not|time|answer") as caught:
            await client.ask(Ask(model=PLAIN[speaks], turns=[client.user("[[slow:5000]] hi")]), stream=True)
    assert type(caught.value).__module__.split(".")[0] in ("openai", "anthropic", "google")


async def test_no_heartbeat_comes_after_the_end(start: Start, speaks: str) -> None:
    """Heartbeats and failures at the same moment, on one connection: what one answer leaves would spoil the next."""
    house = await start('[routing]\nheartbeat = "16ms"\nfirst_byte = "20ms"\n')
    async with wire(house) as line:
        for _ in range(15):
            await line.send(asked(speaks, "[[slow:5000]]"))
            reply = await line.reply()
            assert reply.status == 504 or (reply.status == 200 and b"error" in reply.body)
        await line.send(asked(speaks, "hi"))
        assert (await line.reply()).status == 200


# Google's arrays


async def test_a_stream_as_an_array(start: Start) -> None:
    house = await start()
    async with wire(house) as line:
        await line.send(asked("gemini", "[[gap:5]] one two three", path=ARRAY))
        reply = await line.reply()
    assert reply.heads["content-type"] == "application/json"
    rows = reply.json
    texts = [part["text"] for row in rows for part in row["candidates"][0]["content"]["parts"]]
    assert "".join(texts) == "You said: one two three" and len(rows) > 3
    assert rows[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_an_array_beats_and_breaks_as_json(start: Start) -> None:
    house = await start(BEATING)
    async with wire(house) as line:
        await line.send(asked("gemini", "[[slow:500]] hi", path=ARRAY))
        slow = await line.reply()
        await line.send(asked("gemini", "[[cut:2]] one two three", path=ARRAY))
        cut = await line.reply()
        await line.send(asked("gemini", "[[429:3]]", path=ARRAY))
        early = await line.reply()
    assert slow.body.startswith(b"\n") and slow.json[-1]["candidates"]
    assert cut.json[0]["candidates"] and cut.json[-1]["error"]["code"] == 502
    assert early.status == 429 and early.heads["retry-after"] == "3"
    assert said("gemini", early)[0] == "Rate limit reached."


async def test_what_a_streamed_answer_lost_is_told_at_its_end(start: Start) -> None:
    house = await start()
    body: Json = {"model": "exact-gemini", "messages": [{"role": "user", "content": "[[images_out]]"}], "stream": True}
    async with wire(house) as line:
        await line.send(request("openai", json.dumps(body).encode()))
        reply = await line.reply()
    comments = [row for row in reply.body.split(b"\n\n") if row.startswith(b":")]
    assert len(comments) == 1 and comments[0].startswith(b": x-interlingua-response-losses: ")
    assert b"parts[1];changed" in comments[0]


# Clients that leave


@pytest.mark.parametrize("words", ["[[gap:30]] " + "word " * 200, "[[slow:20000]] hi"])
async def test_a_client_that_leaves_a_stream_ends_the_work(start: Start, speaks: str, words: str) -> None:
    house = await start(BEATING)
    async with wire(house) as line:
        await line.send(asked(speaks, words))
        await line.head()
        assert house.gateway.core.admission.inside == 1
    await until(lambda: house.mock.journal.aborted == 1, 1.0)
    await until(lambda: house.gateway.core.admission.inside == 0)
    assert not house.mock.journal.last.done


async def test_a_client_that_leaves_before_its_answer(start: Start, speaks: str) -> None:
    house = await start()
    async with wire(house) as line:
        await line.send(request(speaks, json.dumps(plain(speaks, "[[slow:20000]] hi")).encode()))
        await until(lambda: bool(house.mock.journal.entries))
    await until(lambda: house.mock.journal.aborted == 1, 1.0)
    await until(lambda: house.gateway.core.admission.inside == 0)
    metrics = (await ask(house, "openai", b"", path="/metrics", method="GET")).body.decode()
    assert f'protocol="{speaks}",status="499"}} 1.0' in metrics


async def test_an_sdk_that_stops_reading_ends_the_work(start: Start, speaks: str) -> None:
    house = await start()
    async with SPEAKERS[speaks](house.url) as client:
        await stop_early(client, speaks)
        await until(lambda: house.mock.journal.aborted == 1, 1.0)


async def stop_early(client: Any, speaks: str) -> None:
    """Each SDK's own way to leave a stream."""
    fields = client.fields(Ask(model=PLAIN[speaks], turns=[client.user("[[gap:30]] " + "word " * 200)]))
    if speaks == "openai":
        async with await client.client.chat.completions.create(**fields, stream=True) as stream:
            await anext(aiter(stream))
    elif speaks == "anthropic":
        async with client.client.messages.stream(**fields) as stream:
            await anext(aiter(stream))
    else:  # which only closing its connections ends
        stream = await client.client.models.generate_content_stream(**fields)
        await anext(stream)
        await client.http.aclose()


# Clients that read slowly


def held_back() -> int:
    """Bytes that the gateway holds for clients that do not read."""
    return sum(connection.transport.get_write_buffer_size() for connection in Connection.everyone)


async def slow_line(house: House) -> Wire:
    """A connection that takes little at a time."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", house.port))
    reader, writer = await asyncio.open_connection(sock=small, limit=4096)
    return Wire(reader, writer)


async def test_a_slow_reader_is_waited_for(start: Start, speaks: str) -> None:
    """What it does not read stays with the provider: the gateway holds no more than its buffer."""
    house = await start()
    line = await slow_line(house)
    await line.send(asked(speaks, "[[long:100000]]"))
    await line.reader.readexactly(100)
    entry, sent, most = house.mock.journal.last, -1, 0
    while entry.chunks != sent:  # until nothing moves any more
        sent = entry.chunks
        for _ in range(20):
            await asyncio.sleep(0.01)
            most = max(most, held_back())
    assert 0 < sent < 100_000 and not entry.done
    assert 0 < most < 1 << 18
    async with asyncio.timeout(10):
        while entry.chunks == sent:  # it goes on as soon as something is read
            await line.reader.readexactly(1 << 16)
    line.writer.transport.abort()
    await until(lambda: house.mock.journal.aborted == 1)
