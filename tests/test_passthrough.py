"""A provider's own API, streamed both ways: real sockets, an unmodified SDK, and buffers that stay small whatever passes."""

import asyncio
import io
from pathlib import Path
from typing import Any

import openai
import peers
import pytest
import running
from conftest import Start
from running import House
from server_wire import Wire, ask, wire

from interlingua import connection
from interlingua.connection import Connection, Upload

Json = dict[str, Any]
MIB = 1 << 20
BLOCK = bytes(range(256)) * 4096  # a MiB
ODD = '\n[backends.odd]\nprotocol = "openai"\nurl = "http://{origin}"\napi_key_env = "OPENAI_KEY"\n'
AWS = '\n[backends.odd]\nprotocol = "bedrock"\nurl = "http://{origin}"\n'
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def gpt(house: House) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{house.url}/providers/openai/v1", api_key="any", max_retries=0)


async def before(start: Start, upstream: peers.Upstream, more: str = "", backend: str = ODD) -> House:
    """A gateway whose backend `odd` is that server."""
    return await start(more, running.BACKENDS + backend.replace("{origin}", str(upstream.origin)))


def head(length: int | None, path: str = "/providers/odd/v1/files", more: str = "") -> bytes:
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return f"POST {path} HTTP/1.1\r\nhost: test\r\n{size}\r\n{more}\r\n".encode()


async def pour(line: Wire, blocks: int, chunked: bool = False) -> None:
    for _ in range(blocks):
        await line.send(b"%x\r\n%b\r\n" % (MIB, BLOCK) if chunked else BLOCK)
    if chunked:
        await line.send(b"0\r\n\r\n")


class Sink:
    """A provider that reads a body and answers; `sizes` are those of the bodies, `heads` what stood before them."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.heads: list[bytes] = []
        self.most = 0  # pages resident, at the most
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, peer: peers.Peer) -> None:
        while True:
            self.heads.append(await peer.head())
            await self.go.wait()
            self.sizes.append(0)
            if b"transfer-encoding: chunked" in self.heads[-1]:
                while size := int(await peer.reader.readuntil(b"\r\n"), 16):
                    await self.take(peer, size)
                    await peer.reader.readexactly(2)
                await peer.reader.readexactly(2)
            else:
                await self.take(peer, int(self.heads[-1].partition(b"content-length: ")[2].partition(b"\r")[0] or 0))
            await peer.send(OK)

    async def take(self, peer: peers.Peer, size: int) -> None:
        while size:
            piece = await peer.reader.read(min(size, MIB))
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(piece)
            self.sizes[-1] += len(piece)
            self.most = max(self.most, resident())


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# Unmodified SDKs


async def test_a_file_goes_up_by_the_sdk(start: Start) -> None:
    house = await start()
    async with gpt(house) as client:
        told = await client.files.create(file=("numbers.bin", io.BytesIO(BLOCK * 12)), purpose="user_data")
        small = await client.files.create(file=("small.txt", b"hello"), purpose="batch")
    assert (told.bytes, told.filename, told.status) == (12 * MIB, "numbers.bin", "processed")
    assert (small.bytes, small.purpose) == (5, "batch")
    house.judge()


async def test_the_manuals_client(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = await start()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batch.jsonl").write_bytes(b"{}\n")
    text = (Path(__file__).parent.parent / "docs/passthrough.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0].replace("http://127.0.0.1:9000", house.url)
    scope: Json = {}
    await asyncio.to_thread(exec, code, scope)
    scope["client"].close()
    assert scope["told"].bytes == 3 and scope["told"].purpose == "batch"
    house.judge()


async def test_sound_and_pictures_come_down_and_errors_are_the_providers(start: Start) -> None:
    house = await start()
    async with gpt(house) as client:
        sound = await client.audio.speech.create(model="tts-1", voice="alloy", input="hello")
        assert sound.content.startswith(b"\xff\xfb\x90\x00") and len(sound.content) > 256 * 1024
        pictures = await client.images.generate(model="gpt-image-1", prompt="a pixel")
        assert pictures.data and pictures.data[0].b64_json
        house.judge()
        wrong: Any = "nothing"
        with pytest.raises(openai.BadRequestError, match="purpose|nothing"):
            await client.files.create(file=b"x", purpose=wrong)


# Memory


@pytest.mark.parametrize("chunked", [False, True])
async def test_three_hundred_megabytes_pass_in_little_memory(start: Start, chunked: bool) -> None:
    """Client, gateway and provider are all in this process, whose memory grows by a fraction of what passes."""
    sink = Sink()
    async with peers.serve(sink) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(None if chunked else 300 * MIB))
            base = resident()
            await pour(line, 300, chunked)
            assert (await line.reply()).body == b"ok"
    assert sink.sizes == [300 * MIB]
    assert sink.most - base < 40 * MIB


async def test_a_slow_provider_slows_the_client(start: Start) -> None:
    sink = Sink()
    sink.go.clear()
    async with peers.serve(sink) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(64 * MIB))
            sending = asyncio.create_task(pour(line, 64))
            await peers.settle(lambda: any(upload.held > connection.AHEAD for upload in uploads()))
            upload = uploads()[0]
            size = upload.size
            assert size < 32 * MIB and upload.held < connection.AHEAD + MIB, "it reads no more than it must"
            sink.go.set()
            await sending
            assert (await line.reply()).status == 200
    assert sink.sizes == [64 * MIB]


def uploads() -> list[Upload]:
    return [at.reading for at in Connection.everyone if isinstance(at.reading, Upload)]


async def test_a_slow_client_slows_the_provider(start: Start) -> None:
    written = 0

    async def pouring(peer: peers.Peer) -> None:
        nonlocal written
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: %d\r\n\r\n" % (64 * MIB))
        for _ in range(64):
            await peer.send(BLOCK)
            written += MIB

    async with peers.serve(pouring) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            transport: Any = line.writer.transport
            transport.pause_reading()
            await line.send(head(0))
            await peers.settle(lambda: any(at.paused for at in Connection.everyone))
            assert written < 48 * MIB
            transport.resume_reading()
            assert len((await line.reply()).body) == 64 * MIB


# Ends


async def test_a_client_that_leaves_takes_its_upload_with_it(start: Start) -> None:
    ended = asyncio.Event()

    async def reading(peer: peers.Peer) -> None:
        await peer.head()
        await peer.left()
        ended.set()

    async with peers.serve(reading) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(64 * MIB))
            await pour(line, 1)
            await peers.settle(lambda: upstream.accepted == 1)
        await ended.wait()
        await peers.settle(lambda: house.gateway.core.client.open == 0)


async def test_a_provider_that_hangs_up_is_a_502(start: Start) -> None:
    async def ending(peer: peers.Peer) -> None:
        await peer.head()
        await peer.reader.readexactly(1000)
        peer.reset()

    async with peers.serve(ending) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(1 * MIB))
            await line.send(BLOCK[: MIB // 2])
            reply = await line.reply()
    assert reply.status == 502 and reply.heads["connection"] == "close" and reply.json["error"]["message"]


async def test_an_answer_before_the_end_ends_the_sending(start: Start) -> None:
    """What it came over is not used again; nor is the client's connection, on which the rest would still come."""

    async def refusing(peer: peers.Peer) -> None:
        await peer.head()
        if upstream.accepted > 1:
            return await peer.send(OK)
        await peer.send(b"HTTP/1.1 413 No\r\ncontent-length: 3\r\n\r\nbig")
        await peer.left()

    async with peers.serve(refusing) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(8 * MIB))
            await line.send(BLOCK)
            reply = await line.reply()
            assert (reply.status, reply.body, reply.heads["connection"]) == (413, b"big", "close")
        assert (await ask(house, "openai", b"{}", path="/providers/odd/v1/files")).body == b"ok"
        assert upstream.accepted == 2


async def test_an_answer_may_begin_before_the_end(start: Start) -> None:
    """A provider that echoes: its answer's head is no reason to stop."""

    async def echoing(peer: peers.Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (2 * MIB))
        body = await peer.reader.readexactly(2 * MIB)
        await peer.send(body)

    async with peers.serve(echoing) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(2 * MIB))
            await pour(line, 2)
            assert (await line.reply()).body == BLOCK * 2


async def test_a_body_that_stops_being_http_is_a_400(start: Start) -> None:
    async with peers.serve(Sink()) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(None) + b"%x\r\n%b\r\n" % (MIB, BLOCK) + b"nonsense\r\n")
            reply = await line.reply()
    assert reply.status == 400 and "well-formed" in reply.json["error"]["message"]


async def test_a_body_that_stops_is_a_400(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "slow", 5.0)
    async with peers.serve(Sink()) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(2 * MIB))
            await line.send(BLOCK)
            await peers.settle(lambda: any(upload.waits and upload.size == MIB for upload in uploads()))
            for at in Connection.everyone:
                at.tick()
            reply = await line.reply()
    assert reply.status == 400 and "in time" in reply.json["error"]["message"]


async def test_the_connection_serves_on_after_an_upload(start: Start) -> None:
    sink = Sink()
    async with peers.serve(sink) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            for chunked in (False, True, False):
                await line.send(head(None if chunked else MIB))
                await pour(line, 1, chunked)
                assert (await line.reply()).body == b"ok"
            await line.send(head(3) + b"abc" + head(0) + head(4) + b"abcd")  # the next ones before the answer
            for _ in range(3):
                assert (await line.reply()).body == b"ok"
    assert sink.sizes == [MIB, MIB, MIB, 3, 0, 4]


async def test_a_client_that_waits_is_told_to_go_on(start: Start) -> None:
    sink = Sink()
    async with peers.serve(sink) as upstream:
        house = await before(start, upstream)
        async with wire(house) as line:
            await line.send(head(MIB, more="expect: 100-continue\r\n"))
            assert (await line.head())[0] == 100
            await pour(line, 1)
            assert (await line.reply()).status == 200
    assert sink.sizes == [MIB] and b"expect" not in sink.heads[0]


# Limits


async def test_only_max_upload_limits_what_is_passed_through(start: Start) -> None:
    sink = Sink()
    async with peers.serve(sink) as upstream:
        house = await before(start, upstream, '[server]\nmax_body = "1 KiB"\nmax_upload = "2 MiB"')
        async with wire(house) as line:
            await line.send(head(2 * MIB))
            await pour(line, 2)
            assert (await line.reply()).status == 200
        async with wire(house) as line:
            await line.send(head(2 * MIB + 1))
            assert (await line.reply()).status == 413
        async with wire(house) as line:
            await line.send(head(None))
            await pour(line, 3, chunked=True)
            reply = await line.reply()
            assert reply.status == 413 and str(2 * MIB) in reply.json["error"]["message"]
        assert (await ask(house, "openai", b" " * 2000)).status == 413
    assert sink.sizes[0] == 2 * MIB


async def test_a_body_for_aws_is_signed_whole_and_within_max_body(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUPSTREAM")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "upstream-secret")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    sink = Sink()
    async with peers.serve(sink) as upstream:
        house = await before(start, upstream, '[server]\nmax_body = "2 MiB"', AWS)
        path = "/providers/odd/guardrail/x/version/1/apply"
        async with wire(house) as line:
            await line.send(head(None, path))
            await pour(line, 1, chunked=True)
            assert (await line.reply()).status == 200
            await line.send(head(3 * MIB, path))
            await pour(line, 3)
            reply = await line.reply()
            assert reply.status == 413 and reply.heads["x-amzn-errortype"] == "RequestEntityTooLargeException"
    assert sink.sizes == [MIB] and b"content-length: 1048576\r\n" in sink.heads[0]
    assert b"authorization: AWS4-HMAC-SHA256 Credential=AKIAUPSTREAM/" in sink.heads[0]


async def test_a_client_without_a_key_is_refused_before_its_body(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(running.KEYS, "CI_KEY", "client-key")
    mode = '[auth]\nmode = "keys"\n[[auth.keys]]\nname = "ci"\nkey_env = "CI_KEY"\n'
    async with peers.serve(Sink()) as upstream:
        house = await before(start, upstream, mode)
        async with wire(house) as line:
            await line.send(head(300 * MIB))
            assert (await line.reply()).status == 401
        assert not upstream.accepted


# What it cost


HI: Json = {"messages": [{"role": "user", "content": "hi"}]}
GEMINI: Json = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
CONVERSE: Json = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
NOVA = "amazon.nova-lite-v1:0"
STREAMED: Json = {"model": "gpt-4o", "stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("backend", "path", "body", "model"),
    [
        ("openai", "v1/chat/completions", {"model": "gpt-4o", **HI}, "gpt-4o"),
        ("openai", "v1/chat/completions", {**STREAMED, **HI}, "gpt-4o"),
        ("openai", "v1/responses", {"model": "gpt-4o", "input": "hi"}, "gpt-4o"),
        ("openai", "v1/responses", {"model": "gpt-4o", "input": "hi", "stream": True}, "gpt-4o"),
        ("anthropic", "v1/messages", {"model": "claude-haiku-4-5", "max_tokens": 9, **HI}, "claude-haiku-4-5"),
        ("anthropic", "v1/messages", {"model": "claude-haiku-4-5", "max_tokens": 9, "stream": True, **HI}, "claude-haiku-4-5"),
        ("gemini", "v1beta/models/gemini-2.5-flash:generateContent", GEMINI, "gemini-2.5-flash"),
        ("gemini", "v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", GEMINI, "gemini-2.5-flash"),
        ("gemini", "v1beta/models/gemini-2.5-flash:streamGenerateContent", GEMINI, "gemini-2.5-flash"),
        ("aws", f"model/{NOVA}/converse", CONVERSE, NOVA),
        ("aws", f"model/{NOVA}/converse-stream", CONVERSE, NOVA),
        (
            "aws",
            "model/anthropic.claude-haiku-4-5-20251001-v1:0/invoke-with-response-stream",
            {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, **HI},
            "anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
    ],
)
async def test_tokens_are_counted_as_they_pass(
    start: Start, monkeypatch: pytest.MonkeyPatch, backend: str, path: str, body: Json, model: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUPSTREAM")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "upstream-secret")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    house = await start(backends=running.BACKENDS + '\n[backends.aws]\nprotocol = "bedrock"\nurl = "{url}"\n')
    heads = {"anthropic-version": "2026-10-21"} if backend == "anthropic" else {}
    reply = await ask(house, "openai", body, path=f"/providers/{backend}/{path}", heads=heads)
    assert reply.status == 200, reply.body
    labels = f'backend="{backend}",model="{model}",protocol="native"'
    shown = house.gateway.core.metrics.render().decode()
    rows = {row.rpartition(" ")[0]: float(row.rpartition(" ")[2]) for row in shown.splitlines() if "native" in row}
    assert rows[f'interlingua_requests_total{{{labels},status="200"}}'] == 1, rows
    tokens = [value for row, value in rows.items() if row.startswith("interlingua_tokens_total") and f'model="{model}"' in row]
    assert sum(value > 0 for value in tokens) >= 2, "input and output"
    house.judge()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"object": "list"}'),
        ("application/json", b" " * 5 * MIB),
        ("text/event-stream", b"data: {]\n\n"),
        ("text/event-stream", b"data: " + b"x" * 5 * MIB),
        ("application/vnd.amazon.eventstream", b"\0" * 64),
        ("image/png", b"\x89PNG"),
    ],
)
async def test_what_cannot_be_read_passes_all_the_same(start: Start, kind: str, body: bytes) -> None:
    async def answering(peer: peers.Peer) -> None:
        await peer.answer(
            b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (kind.encode(), len(body), body)
        )

    async with peers.serve(answering) as upstream:
        house = await before(start, upstream)
        reply = await ask(house, "openai", b"{}", path="/providers/odd/v1/chat/completions")
        assert (reply.status, reply.heads["content-type"]) == (200, kind) and reply.body == body
        shown = house.gateway.core.metrics.render().decode()
    assert 'interlingua_requests_total{backend="odd",model="",protocol="native",status="200"} 1.0' in shown


async def test_it_has_its_place_among_the_requests_under_way(start: Start) -> None:
    """One that waits for a provider holds a place, one more is refused, and the last leaves none taken; all are counted."""
    sink = Sink()
    sink.go.clear()
    async with peers.serve(sink) as upstream:
        house = await before(start, upstream, "[server]\nmax_in_flight = 1\nmax_queue = 0\n")
        core = house.gateway.core
        first = asyncio.create_task(ask(house, "openai", b"{}", path="/providers/odd/v1/files"))
        await peers.settle(lambda: bool(sink.heads))
        assert core.admission.inside == 1
        second = await ask(house, "openai", b"{}", path="/providers/odd/v1/files")
        assert second.status == 503 and second.json["error"]["code"] == "overloaded"
        sink.go.set()
        assert (await first).status == 200
    gone = await ask(house, "openai", b"{}", path="/providers/odd/v1/files")
    assert gone.status == 502 and core.admission.inside == 0
    shown = core.metrics.render().decode()
    for status in (200, 502, 503):
        assert f'interlingua_requests_total{{backend="odd",model="",protocol="native",status="{status}"}} 1.0' in shown
    assert "interlingua_requests_in_flight 0" in shown
