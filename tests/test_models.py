"""Model lists: unmodified SDKs read them; every backend's are in them; a slow or broken backend hurts nobody. And prices."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2
import openai
import peers
import pytest
import running
from conftest import Start
from google import genai
from google.genai import types
from running import House

from interlingua import catalog, prices
from interlingua.catalog import read
from interlingua.prices import Price, price_of
from interlingua.routes import Door, find
from interlingua.routing import named

Json = dict[str, Any]
BACKENDS = (
    running.BACKENDS
    + """
[backends.local]
protocol = "vllm"
url = "{url}"
api_key_env = "OPENAI_KEY"
capabilities = ["text", "tools"]
[backends.local.model_mapping]
"home/*" = "gpt-*"
"any-*" = "gpt-4o"
[backends.aws]
protocol = "bedrock"
url = "{url}"
[backends.aws.model_mapping]
"nova" = "amazon.nova-lite-v1:0"
"""
)


@pytest.fixture(scope="module", autouse=True)
def table() -> None:
    """So that no test depends on how fast this machine reads it."""
    prices.warm()


@pytest.fixture
async def house(start: Start) -> House:
    return await start(backends=BACKENDS)


def gpt(house: House) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="any", max_retries=0)


async def test_openais_client_reads_them(house: House) -> None:
    async with gpt(house) as client:
        told = {row.id: row async for row in client.models.list()}
        one = await client.models.retrieve("exact-anthropic")
    assert {
        "exact-openai",
        "exact-anthropic",
        "exact-gemini",
        "nova",
        "gpt-4o",
        "claude-haiku-4-5",
        "gemini-2.5-flash",
    } <= told.keys()
    row: Any = told["gpt-4o"]
    assert row.owned_by == "openai" and row.object == "model" and row.created > 0
    assert row.context_length == 128_000 and row.price["input"] == 2.5 and row.price["cache_read"] == 1.25
    extra: Any = one
    assert one.owned_by == "anthropic" and extra.price["output"] == 5.0 and "vision" in extra.capabilities
    assert extra.context_length == 1_000_000, "the provider's own word comes first"
    house.judge()


async def test_anthropics_client_reads_them(house: House) -> None:
    async with anthropic.AsyncAnthropic(base_url=house.url, api_key="any", max_retries=0) as client:
        told = {row.id: row async for row in client.models.list()}
        one = await client.models.retrieve("exact-anthropic")
    assert {"exact-openai", "gpt-4o", "claude-haiku-4-5"} <= told.keys()
    own, other = told["claude-haiku-4-5"], told["gpt-4o"]
    assert own.capabilities is not None and own.capabilities.image_input.supported and own.max_input_tokens == 1_000_000
    assert other.capabilities is None and other.max_input_tokens == 128_000 and other.lifecycle == "active"
    assert one.id == "exact-anthropic" and one.line == own.line and one.created_at == own.created_at
    house.judge()


async def test_googles_client_reads_them(house: House) -> None:
    client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=house.url, client_args={"verify": False}))

    def asked() -> tuple[list[types.Model], types.Model]:
        return list(client.models.list()), client.models.get(model="exact-gemini")

    told, one = await asyncio.to_thread(asked)
    client.close()
    names = {row.name: row for row in told}
    assert {"models/exact-openai", "models/gpt-4o", "models/gemini-2.5-flash"} <= names.keys()
    assert names["models/gpt-4o"].input_token_limit == 128_000
    assert one.name == "models/exact-gemini" and one.output_token_limit == 65_536 and one.thinking
    house.judge()


async def test_a_model_is_named_as_it_can_be_asked_for(house: House) -> None:
    """A pattern gives its names, a model that no name of its own leads to has its backend's before it; and all answer."""
    async with gpt(house) as client:
        told = {row.id: row.owned_by async for row in client.models.list()}
        assert told["home/4o"] == "local", "of home/* = gpt-*"
        assert "local/o3" in told and told["o3"] == "openai"
        assert "local/gpt-4o" not in told and not any(name.startswith("any-") for name in told)
        for name in ("home/4o", "local/o3", "o3", "exact-gemini", "gemini-2.5-flash"):
            said: Any = [{"role": "user", "content": "hi"}]
            answer = await client.chat.completions.create(model=name, messages=said)
            assert answer.model == name
            assert (await client.models.retrieve(name)).owned_by == told[name]
        row: Any = await client.models.retrieve("home/4o")
        assert row.capabilities == ["text", "tools"]
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nobody-has-this")
    house.judge()


async def test_a_name_that_is_not_listed_is_told_of_all_the_same(house: House) -> None:
    async with gpt(house) as client:
        assert (await client.models.retrieve("gpt-4o-2024-11-20")).owned_by == "openai"
        assert (await client.models.retrieve("aws/amazon.nova-lite-v1:0")).owned_by == "aws"


async def test_backends_are_asked_once(house: House) -> None:
    async with gpt(house) as client:
        for _ in range(3):
            await client.models.list()
            await client.models.retrieve("gpt-4o")
    asked = sorted(entry.path for entry in house.mock.journal.entries)
    assert asked == ["/v1/models", "/v1/models", "/v1/models", "/v1beta/models"]  # local, openai, anthropic; gemini


async def test_backends_are_left_alone_where_that_is_said(start: Start) -> None:
    house = await start("[server]\nlist_models = '0s'")
    async with gpt(house) as client:
        assert [row.id async for row in client.models.list()] == ["exact-anthropic", "exact-gemini", "exact-openai"]
    assert not house.mock.journal.entries


@asynccontextmanager
async def other(start: Start, peer: Callable[[peers.Peer], Awaitable[object]]) -> AsyncIterator[tuple[House, openai.AsyncOpenAI]]:
    """A gateway with one more backend, which answers as `peer` does."""
    async with peers.serve(peer) as upstream:
        odd = f'[backends.odd]\nprotocol = "vllm"\nurl = "http://{upstream.origin}"\n[backends.odd.model_mapping]\n"mine" = "m"\n'
        house = await start(backends=f"{running.BACKENDS}\n{odd}")
        async with gpt(house) as client:
            yield house, client


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html",
        b'HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{"data": "no"}',
        b'HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n{"data": [1, {"id": null}]}'[:-1],
        b"nonsense",
        b"",
    ],
)
async def test_a_broken_backend_has_nothing_to_add(start: Start, answer: bytes) -> None:
    async def peer(peer: peers.Peer) -> None:
        await peer.request()
        await peer.send(answer)

    async with other(start, peer) as (_, client):
        told = [row.id async for row in client.models.list()]
    assert "mine" in told and "gpt-4o" in told and not any(name.startswith("odd/") for name in told)


async def test_a_backend_that_does_not_answer_is_not_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list comes without it, and later with it."""
    monkeypatch.setattr(catalog, "PATIENCE", 0.2)
    asked, go = asyncio.Event(), asyncio.Event()
    body = b'{"object": "list", "data": [{"id": "m", "max_model_len": 4096}]}'

    async def peer(peer: peers.Peer) -> None:
        await peer.request()
        asked.set()
        await go.wait()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async with other(start, peer) as (house, client):
        told = {row.id: row async for row in client.models.list()}
        assert asked.is_set() and "mine" in told and "context_length" not in told["mine"].model_dump()
        go.set()
        await peers.settle(lambda: not house.gateway.core.catalog.waiting)
        row: Any = await client.models.retrieve("mine")
        assert row.context_length == 4096


async def test_a_gateway_may_end_while_it_asks(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "PATIENCE", 0.01)

    async def peer(peer: peers.Peer) -> None:
        await peer.request()
        await peer.left()

    async with other(start, peer) as (house, client):
        await client.models.list()
        assert house.gateway.core.catalog.waiting
        await house.gateway.core.catalog.close()
        assert not house.gateway.core.catalog.waiting


def test_what_servers_tell_of_their_models() -> None:
    """Each in its own words, from their documentation."""
    openrouter: Json = {
        "id": "a/b",
        "created": 5,
        "context_length": 1000,
        "top_provider": {"max_completion_tokens": 10},
        "architecture": {"input_modalities": ["text", "image", "file", {"no": 1}]},
        "supported_parameters": ["tools", "reasoning", "structured_outputs"],
    }
    found = next(read({"data": [openrouter]}))
    assert (found.id, found.created, found.context, found.max_output) == ("a/b", 5, 1000, 10)
    assert found.can == ("tools", "vision", "documents", "thinking", "json_schema")
    mistral = {"id": "m", "max_context_length": 9, "capabilities": {"vision": True, "function_calling": True, "audio": False}}
    found = next(read([mistral]))
    assert (found.context, found.can) == (9, ("tools", "vision"))
    assert next(read({"data": [{"id": "l", "meta": {"n_ctx_train": 7}}]})).context == 7
    embeds = {"models": [{"name": "models/e", "inputTokenLimit": 3, "supportedGenerationMethods": ["embedContent"]}]}
    assert (next(read(embeds)).id, next(read(embeds)).can) == ("e", ("embeddings",))
    for nothing in (None, 5, {}, [], {"data": [None, {}, {"id": 5}]}, {"data": [{"id": "x", "created_at": "soon"}]}):
        assert all(listed.created == 0 for listed in read(nothing))


def test_names_with_a_colon() -> None:
    assert find("/v1/models/amazon.nova-lite-v1:0", b"") == Door("model", "openai", "GET", model="amazon.nova-lite-v1:0")
    assert find("/v1/models/x:nothing", b"") is None


def test_prices() -> None:
    haiku = price_of("anthropic", "claude-haiku-4-5")
    assert haiku == Price(input=1.0, output=5.0, cache_read=0.1, cache_write=1.25)
    assert price_of("anthropic", "claude-haiku-4-5-20251001") == haiku
    assert price_of("vertex", "claude-haiku-4-5@20251001") is not None
    assert price_of("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0") is not None
    assert price_of("responses", "gpt-4o") == price_of("openai", "gpt-4o") == price_of("azure", "gpt-4o")
    embeds = price_of("openai", "text-embedding-3-small")
    assert embeds is not None and embeds.output == 0.0
    for nobody in (("vllm", "gpt-4o"), ("mock", "gpt-4o"), ("openai", "no-such-model"), ("nowhere", "gpt-4o"), ("openai", "")):
        assert price_of(*nobody) is None
    tiered = price_of("gemini", "gemini-2.5-pro")
    assert tiered is not None and tiered.input == 1.25


def test_a_price_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    price_of("openai", "gpt-4o-mini")
    monkeypatch.setattr(prices, "_snapshot", lambda: pytest.fail("looked up again"))
    assert price_of("openai", "gpt-4o-mini") is not None


def test_the_table_is_not_read_at_the_start() -> None:
    code = "import sys, interlingua.app; print([name for name in ('genai_prices', 'pydantic', 'httpx2') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


async def test_the_table_is_read_beside_the_loop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(prices, "warm", lambda: threads.append(threading.get_ident()))
    async with httpx2.AsyncClient(base_url=house.url, verify=False) as http:
        assert (await http.get("/v1/models")).status_code == 200
    assert threads and threads[0] != threading.get_ident()


async def test_whoever_else_asks_gets_openais_shape(house: House) -> None:
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20261126/us-east-1/bedrock/aws4_request"}
    async with httpx2.AsyncClient(base_url=house.url, verify=False) as http:
        told = await http.get("/v1/models", headers=signed)
        one = await http.get("/v1/models/exact-openai", headers=signed)
    assert told.json()["object"] == "list" and one.json()["object"] == "model"


async def test_what_a_model_can_is_told_as_routing_takes_it(start: Start) -> None:
    more = '[backends.local.models."gpt-4o"]\ncapabilities = ["text", "vision"]\ncontext = 4321\n'
    house = await start(backends=BACKENDS + more)
    async with gpt(house) as client:
        rows: dict[str, Any] = {row.id: row async for row in client.models.list()}
    assert (rows["home/4o"].capabilities, rows["home/4o"].context_length) == (["text", "vision"], 4321)
    core = house.gateway.core
    able = core.router.abilities("openai", "gpt-4o")
    assert rows["gpt-4o"].capabilities == named(able.has) and "streaming" in rows["gpt-4o"].capabilities
