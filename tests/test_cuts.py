"""No stream ends silently when its provider broke: cut at random bytes, in every protocol, it is an error in the client's SDK.

A provider's stream is recorded once from the mock, head and chunks and all, then replayed up to a random byte before the mark
of its end: closed or reset there. INTERLINGUA_CUTS sets how many cuts (1,000 in `make chaos`), INTERLINGUA_SEED which.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import five
import pytest
from five import FIVE, MODELS, RAISED, speaking
from peers import Peer, serve
from running import configured, gateway_of

from interlingua.mock import MockServer
from interlingua.mock import serve as serve_mock

CUTS = int(os.environ.get("INTERLINGUA_CUTS", "75"))
SEED = int(os.environ.get("INTERLINGUA_SEED", "4"))
WORDS = "Grüße an alle, 1 2 3 4 5 6 7 8 9"
SAID = f"You said: {WORDS}"
# What says that an answer is whole. Gemini has no such mark: its end is the body's.
MARKS = {
    "openai": b"data: [DONE]",
    "responses": b"event: response.completed",
    "anthropic": b"event: message_stop",
    "gemini": b"\r\n0\r\n\r\n",
    "bedrock": b"metadata",
}


class Breaking:
    """A provider that replays a recorded stream up to `cut`, then closes the connection or resets it."""

    def __init__(self) -> None:
        self.said = b""
        self.cut: int | None = None
        self.reset = False

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        end = len(self.said) if self.cut is None else self.cut
        middle = end // 2
        await peer.send(self.said[:middle], self.said[middle:end])
        if self.reset:
            peer.reset()


async def recorded(mock: MockServer, backend: str, folder: Path) -> bytes:
    """A whole streamed answer of a provider, as it came over the wire of the gateway's request."""
    heard = bytearray()
    port = int(mock.url.rsplit(":", 1)[1])

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        up_writer.write((await reader.read(1 << 20)).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
        while data := await up_reader.read(1 << 16):
            heard.extend(data)
            writer.write(data)
        up_writer.close()
        writer.close()

    server = await asyncio.start_server(between, "127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with gateway_of(configured(folder, url, "", FIVE)) as (_, place), speaking("openai", place) as say:
            assert (await say(MODELS[backend], WORDS, True, {})).text == SAID
    finally:
        server.close()
        await server.wait_closed()
    return bytes(heard)


@asynccontextmanager
async def breaking(folder: Path, said: bytes) -> AsyncIterator[tuple[Breaking, str]]:
    provider = Breaking()
    provider.said = said
    async with serve(provider) as upstream:
        async with gateway_of(configured(folder, f"http://{upstream.origin}", "", FIVE)) as (_, url):
            yield provider, url


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    five.speaks_aws(monkeypatch)


@pytest.mark.parametrize("backend", MODELS)
async def test_a_stream_cut_anywhere_is_an_error_in_every_sdk(tmp_path: Path, backend: str) -> None:
    rng = random.Random(f"{SEED} {backend}")
    async with serve_mock() as mock:
        said = await recorded(mock, backend, tmp_path)
    end = said.rindex(MARKS[backend])
    silent = list[tuple[Any, ...]]()
    async with breaking(tmp_path, said) as (provider, url):
        for client in MODELS:
            async with speaking(client, url) as say:
                assert (await say(MODELS[backend], WORDS, True, {})).text == SAID  # whole, it is heard whole
                for _ in range(-(-CUTS // (len(MODELS) * len(MODELS)))):
                    provider.cut, provider.reset = rng.randrange(end), rng.random() < 0.3
                    try:
                        told = await say(MODELS[backend], WORDS, True, {})
                    except RAISED:
                        continue
                    silent.append((client, provider.cut, provider.reset, told.text))
                provider.cut, provider.reset = None, False
    assert silent == []


@pytest.mark.parametrize("backend", MODELS)
async def test_a_whole_answer_cut_upstream_is_an_error_too(tmp_path: Path, backend: str) -> None:
    """The same streams behind `stream_upstream`."""
    rng = random.Random(f"{SEED} {backend} whole")
    async with serve_mock() as mock:
        said = await recorded(mock, backend, tmp_path)
    provider = Breaking()
    provider.said = said
    async with serve(provider) as upstream:
        config = configured(tmp_path, f"http://{upstream.origin}", "[routing]\nstream_upstream = true\n", FIVE)
        async with gateway_of(config) as (_, url), speaking("anthropic", url) as say:
            assert (await say(MODELS[backend], WORDS, False, {})).text == SAID
            for _ in range(max(3, CUTS // 25)):
                provider.cut = rng.randrange(said.rindex(MARKS[backend]))
                with pytest.raises(RAISED):
                    await say(MODELS[backend], WORDS, False, {})
