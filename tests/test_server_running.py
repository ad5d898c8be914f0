"""The gateway as a service: its figures and its health, its limits, providers that fail, secrets that stay, and how it ends."""

import asyncio
import json
import logging
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from peers import settle
from processes import ended, left, process
from prometheus_client.parser import text_string_to_metric_families
from running import BACKENDS, Place
from server_wire import CLIENTS, Json, ask, plain, request, said, wire

from interlingua import __version__

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(params=CLIENTS)
def speaks(request: pytest.FixtureRequest) -> str:
    return request.param


async def get(place: Place, path: str) -> Any:
    return await ask(place, "openai", b"", path=path, method="GET", heads={"content-length": None})


def series(text: str) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figure(found: Series, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


# Figures and health


async def test_metrics_count_what_was_done(start: Start) -> None:
    house = await start()
    for _ in range(3):
        assert (await ask(house, "openai", plain("openai", "[[usage]]"))).status == 200
    assert (await ask(house, "openai", plain("openai", "[[429]]"))).status == 429
    assert (await ask(house, "anthropic", plain("anthropic", stream=True))).status == 200
    assert (await ask(house, "anthropic", plain("anthropic", model="openai/gpt-4o", top_k=1))).status == 200
    assert (await ask(house, "openai", b"{")).status == 400
    reply = await get(house, "/metrics")
    assert reply.heads["content-type"].startswith("text/plain")
    found = series(reply.body.decode())
    mine = {"protocol": "openai", "backend": "openai", "model": "gpt-4o"}
    assert figure(found, "interlingua_requests_total", **mine, status="200") == 3
    assert figure(found, "interlingua_requests_total", **mine, status="429") == 1
    kinds = {"input": 100, "cache_read": 40, "cache_write": 20, "output": 21, "reasoning": 16}
    for kind, tokens in kinds.items():
        assert figure(found, "interlingua_tokens_total", **mine, kind=kind) == 3 * tokens
    assert figure(found, "interlingua_request_seconds_count", **mine) == 4
    assert figure(found, "interlingua_request_seconds_bucket", **mine, le="+Inf") == 4
    claude = {"protocol": "anthropic", "backend": "anthropic", "model": "claude-haiku-4-5"}
    assert figure(found, "interlingua_first_token_seconds_count", **claude) == 1
    lost = {"protocol": "anthropic", "backend": "openai", "path": "top_k", "how": "dropped"}
    assert figure(found, "interlingua_losses_total", **lost) == 1
    assert figure(found, "interlingua_routes_total", mode="explicit", protocol="anthropic") == 1
    assert figure(found, "interlingua_routes_total", mode="model_mapping", protocol="openai") == 4
    assert figure(found, "interlingua_requests_in_flight") == 0
    assert (figure(found, "interlingua_upstream_connections", state="open") or 0) >= 1


async def test_metrics_do_not_grow_with_what_clients_write(start: Start) -> None:
    """Unknown models are counted nowhere; odd fields make no label of their own."""
    house = await start()
    for number in range(5):
        assert (await ask(house, "openai", plain("openai", model=f"stranger-{number}"))).status == 404
    odd = plain("openai", model="exact-anthropic", metadata={"x" * 300: "y"})
    odd["messages"][0]["a" * 300] = 1
    assert (await ask(house, "openai", odd)).status == 200
    text = (await get(house, "/metrics")).body.decode()
    assert "stranger" not in text and "a" * 60 not in text and "x" * 60 not in text


async def test_health(start: Start) -> None:
    house = await start()
    assert (await get(house, "/health")).json == {"status": "ok"}
    ready = (await get(house, "/ready")).json
    assert ready["status"] == "ready"
    assert {name: row["health"] for name, row in ready["backends"].items()} == dict.fromkeys(CLIENTS, "unknown")
    await ask(house, "openai", plain("openai"))
    await ask(house, "anthropic", plain("anthropic", "[[500]]"))
    await ask(house, "gemini", plain("gemini", "[[400]]"))
    backends = (await get(house, "/ready")).json["backends"]
    assert [backends[name]["health"] for name in CLIENTS] == ["ok", "failing", "ok"]
    assert backends["anthropic"]["last_error"]["status"] == 500
    status = (await get(house, "/api/system/status")).json
    assert status["version"] == __version__ and status["in_flight"] == 0
    assert status["backends"]["openai"]["protocol"] == "openai" and status["backends"]["openai"]["requests"] == 1
    async with wire(house) as line:
        await line.send(request("openai", b"", path="/health", method="HEAD", heads={"content-length": None}))
        assert (await line.head())[0] == 200


# Limits


async def test_admission(start: Start, speaks: str) -> None:
    house = await start("[server]\nmax_in_flight = 1\nmax_queue = 1\n")
    admission, go = house.gateway.core.admission, house.hold()
    first = asyncio.create_task(ask(house, speaks, plain(speaks, "one")))
    await settle(lambda: admission.inside == 1)
    second = asyncio.create_task(ask(house, speaks, plain(speaks, "two")))
    await settle(lambda: len(admission._waiting) == 1)
    third = await ask(house, speaks, plain(speaks, "three"))
    assert (third.status, third.heads["retry-after"]) == (503, "1")
    assert "limit" in said(speaks, third)[0]
    go.set()
    assert [(await task).status for task in (first, second)] == [200, 200]
    assert (await ask(house, speaks, plain(speaks, "four"))).status == 200


async def test_small_limits(start: Start, speaks: str) -> None:
    """What is sent in pieces is refused as soon as it is too much."""
    house = await start('[server]\nmax_body = "2KiB"\nmax_head = "1KiB"\n')
    async with wire(house) as line:
        await line.send(request(speaks, b"", heads={"content-length": None, "transfer-encoding": "chunked"}))
        await line.send(b"800\r\n" + b" " * 2048 + b"\r\n1\r\n \r\n")
        reply = await line.reply()
        assert reply.status == 413 and "larger than 2048 bytes" in said(speaks, reply)[0]
    async with wire(house) as line:
        await line.send(request(speaks, b"{}", heads={"x-long": "y" * 1100}))
        assert (await line.reply()).status == 431
    assert (await ask(house, speaks, b" " * 2048)).status == 400


# Providers that fail


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_is_not_there(start: Start, speaks: str, stream: bool) -> None:
    house = await start(backends=BACKENDS.replace("{url}", f"http://127.0.0.1:{closed_port()}"))
    body = plain(speaks) | ({"stream": stream} if speaks != "gemini" else {})
    reply = await ask(house, speaks, body)
    assert reply.status == 502 and reply.heads["x-interlingua-backend"] == speaks
    assert said(speaks, reply)[0]
    assert (await get(house, "/ready")).json["backends"][speaks]["health"] == "failing"


@pytest.mark.parametrize("limit", ['first_byte = "100ms"', 'deadline = "100ms"'])
async def test_a_provider_that_is_silent(start: Start, speaks: str, limit: str) -> None:
    house = await start(f"[routing]\n{limit}\n")
    reply = await ask(house, speaks, plain(speaks, "[[slow:20000]]"))
    assert reply.status == 504
    assert said(speaks, reply)[0]


async def test_a_stream_that_falls_silent(start: Start) -> None:
    house = await start('[routing]\nidle = "100ms"\n')
    reply = await ask(house, "openai", plain("openai", "[[gap:20000]] one two", stream=True))
    assert reply.status == 504 or b'"error"' in reply.body


async def test_a_provider_that_comes_back(start: Start) -> None:
    """A connection that broke is not used again."""
    house = await start()
    for words, status in (("[[reset]]", 502), ("hi", 200), ("[[cut]]", 502), ("hi", 200), ("[[garbage]]", 502), ("hi", 200)):
        assert (await ask(house, "openai", plain("openai", words))).status == status


# Secrets


async def test_no_key_is_ever_told(start: Start, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    house = await start("[log]\nlevel = 'debug'\n")
    shown: list[Any] = [house.gateway.core.config, house.gateway.core, vars(house.gateway.core), house.gateway]
    shown += [vars(provider).get("backend") for provider in house.gateway.core.providers.values()]
    told = [repr(value) for value in shown]
    for client in CLIENTS:
        for words in ("hi", "[[401]]", "[[500]]", "[[html]]", "[[garbage]]", "[[reset]]", "[[nofinish]]"):
            reply = await ask(house, client, plain(client, words), heads={"authorization": "Bearer sk-secret-client"})
            told += [str(reply.heads), reply.body.decode()]
    for path in ("/metrics", "/ready", "/api/system/status", "/v1/models", "/v1beta/models"):
        told.append((await get(house, path)).body.decode())
    told += [caplog.text, *capsys.readouterr()]
    assert [text for text in told if "sk-secret" in text] == []


async def test_a_clients_key_does_not_reach_a_provider(start: Start, speaks: str) -> None:
    house = await start()
    secret = {"authorization": "Bearer sk-of-the-client", "x-api-key": "sk-of-the-client", "x-goog-api-key": "sk-of-the-client"}
    assert (await ask(house, speaks, plain(speaks), heads={**secret, "cookie": "sk-of-the-client"})).status == 200
    entry = house.mock.journal.last
    assert "sk-of-the-client" not in str((entry.headers, entry.query, entry.body)) and "cookie" not in entry.headers


# Processes


async def test_two_workers_add_up(tmp_path: Path) -> None:
    async with process(tmp_path, "--workers", "2") as (running, place):

        async def some(client: str) -> None:
            for _ in range(50):
                assert (await ask(place, client, plain(client))).status == 200

        await asyncio.gather(*(some(client) for client in (*CLIENTS, "openai")))
        scraped: list[Json] = []
        for _ in range(6):  # each on a connection of its own, so that either worker answers
            found = series((await get(place, "/metrics")).body.decode())
            totals = {labels: value for (name, labels), value in found.items() if name == "interlingua_requests_total"}
            scraped.append({dict(labels)["protocol"]: value for labels, value in totals.items()})
        assert scraped == [{"openai": 100, "anthropic": 50, "gemini": 50}] * 6
        running.send_signal(signal.SIGTERM)
        code, errors = await ended(running)
        assert (code, errors) == (0, "")
        async with asyncio.timeout(5):
            while left(running.pid):
                await asyncio.sleep(0.02)


async def test_an_open_stream_is_drained(tmp_path: Path) -> None:
    async with process(tmp_path) as (running, place), wire(place) as line:
        body = plain("openai", "[[gap:30]] one two three four five six seven eight", stream=True)
        await line.send(request("openai", json.dumps(body).encode()))
        await line.head()
        running.send_signal(signal.SIGTERM)
        told = b"".join([piece async for piece in line.chunks()])
        assert told.endswith(b"data: [DONE]\n\n") and b"eight" in told
        code, errors = await ended(running)
        assert (code, errors) == (0, "")
        with pytest.raises(ConnectionError):
            await get(place, "/health")
