"""Answers that keep coming, through real sockets: providers that are gone, busy, broken or slow, and unmodified SDKs."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import openai
import pytest
from msgspec.structs import replace
from running import House, Place, gateway_of
from sdks_speakers import SPEAKERS, Ask
from server_wire import CLIENTS, Json, ask, plain, request, said, wire

from interlingua import config, prices
from interlingua.core import Core
from interlingua.health import Health
from interlingua.mock import MockServer
from interlingua.routing import Decision, Plan

REQUESTS = int(os.environ.get("REQUESTS", "1000"))
SUFFIX = {"openai": "gpt-4o", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash", "responses": "gpt-4o"}
Begin = Callable[..., Awaitable[House]]


def gone() -> str:
    """Where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def backend(name: str, url: str = "{url}", does: str = "", protocol: str = "openai", **more: Any) -> str:
    """A backend that serves the name `pool`, and plays one of the mock's scenarios whatever it is asked."""
    lines = [f"[backends.{name}]", f'protocol = "{protocol}"', f'url = "{url}"', 'api_key_env = "KEY"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    model = f"{SUFFIX[protocol]}-mock-{does}" if does else SUFFIX[protocol]
    return "\n".join([*lines, f"[backends.{name}.model_mapping]", f'"pool" = "{model}"\n'])


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """begin(backends, routing) gives a gateway with everything on, in front of one mock."""
    async with AsyncExitStack() as stack:

        async def start(*backends: str, routing: str = "", **more: Any) -> House:
            mock = await stack.enter_async_context(MockServer())
            file = tmp_path / "interlingua.toml"
            file.write_text(f"[routing]\n{routing}\n" + "".join(backends).replace("{url}", mock.url))
            settings = config.load(str(file), {"KEY": "k"})
            settings = replace(settings, routing=replace(settings.routing, **more))
            gateway, url = await stack.enter_async_context(gateway_of(settings))
            return House(mock, gateway, url)

        yield start


def health(house: House, name: str) -> Health:
    (found,) = house.gateway.core.board.models(name)
    return found


def streamed(client: str, stream: bool) -> Json:
    path = f"/v1beta/models/pool:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"
    return {"path": path} if client == "gemini" else {}


def body(client: str, stream: bool = False, words: str = "hi", **more: Any) -> Json:
    out = plain(client, words, model="pool", **more)
    return out if client == "gemini" else {**out, "stream": stream}


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


# One is killed, one is at its limit


@pytest.mark.parametrize("strategy", ["priority", "weighted", "least_busy", "latency"])
async def test_none_fails_while_one_of_three_is_well(begin: Begin, strategy: str) -> None:
    count = REQUESTS if strategy == "priority" else 200
    names = backend("killed", gone()), backend("limited", does="429"), backend("well", protocol="anthropic")
    house = await begin(*names, routing=f'strategy = "{strategy}"\nbreaker = {{ open_for = "1h" }}')
    asked = {client: request(client, json.dumps(body(client)).encode(), **streamed(client, False)) for client in CLIENTS}
    flows = {client: request(client, json.dumps(body(client, True)).encode(), **streamed(client, True)) for client in CLIENTS}
    statuses: dict[int, int] = {}

    async def keep_asking(number: int) -> None:
        client = CLIENTS[number % 3]
        async with wire(house) as line:
            for turn in range(count // 8):
                await line.send((flows if turn % 2 else asked)[client])
                reply = await line.reply()
                statuses[reply.status] = statuses.get(reply.status, 0) + 1
                assert b'"error"' not in reply.body and b"You" in reply.body

    await asyncio.gather(*(keep_asking(number) for number in range(8)))
    assert statuses == {200: count // 8 * 8}
    # Five in a row open the breaker; those under way beside them count too. Then it is left alone.
    assert health(house, "killed").state == "open" and health(house, "killed").requests <= 5 + 8
    assert all(one.in_flight == 0 for name in ("killed", "limited", "well") for one in house.gateway.core.board.models(name))


async def test_the_cheapest_by_list_price_is_asked(begin: Begin) -> None:
    """Nobody waits for the table, and none fails before it is read."""
    own = backend("own").replace('protocol = "openai"', 'protocol = "vllm"')
    dear, cheap = backend("dear"), backend("cheap").replace('"gpt-4o"', '"gpt-4o-mini"')
    house = await begin(own, dear, cheap, routing='strategy = "cheapest"')
    assert (await ask(house, "anthropic", body("anthropic"))).status == 200
    await asyncio.to_thread(prices.warm)
    for stream in (False, True):
        reply = await ask(house, "anthropic", body("anthropic", stream))
        assert (reply.status, reply.heads["x-interlingua-backend"]) == (200, "cheap")


async def test_prices_are_read_aside_and_only_where_they_are_wanted(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(prices, "warm_aside", lambda: asked.append("read"))
    await begin(backend("a"), routing='strategy = "latency"')
    assert not asked
    await begin(backend("a"), routing='strategy = "cheapest"')
    assert asked == ["read"]


async def test_a_provider_that_comes_back_is_asked_again(begin: Begin) -> None:
    house = await begin(backend("first", does="500"), backend("second"), routing='breaker = { failures = 1, open_for = "100ms" }')
    assert (await ask(house, "openai", body("openai"))).heads["x-interlingua-backend"] == "second"
    assert health(house, "first").state == "open"
    record = health(house, "first")
    await until(lambda: record.ready(house.gateway.core.board.clock()))
    reply = await ask(house, "openai", body("openai"))  # the probe fails, and its client does not notice
    assert (reply.status, reply.heads["x-interlingua-backend"], record.state) == (200, "second", "open")
    assert record.requests == 2


# Every SDK, every failure


FAILURES = ["500", "503", "529", "429", "html", "reset", "garbage", "cut-0"]


@pytest.mark.parametrize(
    ("does", "stream"), [*((does, stream) for does in FAILURES for stream in (False, True)), ("error_event-0", True)]
)
async def test_sdks_do_not_notice(begin: Begin, does: str, stream: bool) -> None:
    for first, second in (("openai", "anthropic"), ("anthropic", "gemini"), ("gemini", "openai")):
        house = await begin(backend("bad", does=does, protocol=first), backend("good", protocol=second))
        for speaks in CLIENTS:
            async with SPEAKERS[speaks](house.url) as client:
                told = await client.ask(Ask(model="pool", turns=[client.user("hi")]), stream=stream)
            assert told.text == "You said: hi"
            assert told.heads["x-interlingua-backend"] == "good"


async def test_a_stream_that_breaks_later_ends_as_its_client_knows(begin: Begin) -> None:
    house = await begin(backend("bad", does="cut-2"), backend("good"))
    for speaks in CLIENTS:
        async with SPEAKERS[speaks](house.url) as client:
            with pytest.raises(Exception) as caught:
                await client.ask(Ask(model="pool", turns=[client.user("one two three four")]), stream=True)
        assert type(caught.value).__module__.split(".")[0] in ("openai", "anthropic", "google", "httpx2", "httpcore2")
    last = health(house, "bad").last
    assert last is not None and last[1].code == "broken" and health(house, "bad").in_flight == 0
    told = (await ask(house, "openai", b"", path="/ready", method="GET", heads={"content-length": None})).json
    assert told["backends"]["bad"]["health"] == "failing" and told["backends"]["bad"]["last_error"]["status"] == 502


# What is told


async def test_headers_tell_what_was_tried_and_the_losses_are_the_answers(begin: Begin) -> None:
    """Anthropic has no seed, OpenAI has."""
    house = await begin(backend("bad", does="500", protocol="anthropic"), backend("good"))
    for stream in (False, True):
        reply = await ask(house, "openai", body("openai", stream, seed=3))
        assert reply.status == 200 and "x-interlingua-losses" not in reply.heads
        assert reply.heads["x-interlingua-attempts"] == "2"
        assert reply.heads["x-interlingua-tried"] == "bad/claude-haiku-4-5-mock-500;5xx"
        assert (reply.heads["x-interlingua-backend"], reply.heads["x-interlingua-model"]) == ("good", "gpt-4o")
    house = await begin(backend("bad", does="500"), backend("good", protocol="anthropic"))
    reply = await ask(house, "openai", body("openai", seed=3))
    assert reply.status == 200 and reply.heads["x-interlingua-losses"] == "seed;dropped"


@pytest.mark.parametrize("speaks", CLIENTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_when_all_fail_the_most_telling_error_is_told(begin: Begin, speaks: str, stream: bool) -> None:
    names = backend("a", does="429-60", protocol="anthropic"), backend("b", does="503", protocol="openai"), backend("c", gone())
    house = await begin(*names)
    reply = await ask(house, speaks, body(speaks, stream), **streamed(speaks, stream))
    assert (reply.status, reply.heads["retry-after"], reply.heads["x-interlingua-attempts"]) == (429, "60", "3")
    tried = "a/claude-haiku-4-5-mock-429-60;429, b/gpt-4o-mock-503;5xx, c/gpt-4o;connect"
    assert reply.heads["x-interlingua-tried"] == tried
    message, _ = said(speaks, reply)
    own = speaks == "anthropic"  # its provider's own words are given back as they are
    assert message == "Rate limit reached." + ("" if own else " (tried 3 times: a 429, b 5xx, c connect)")


@pytest.mark.parametrize("speaks", CLIENTS)
async def test_when_nobody_is_left_it_is_told_at_once(begin: Begin, speaks: str) -> None:
    house = await begin(backend("a", gone()), backend("b", does="500"), routing="breaker = { failures = 1 }")
    assert (await ask(house, speaks, body(speaks), **streamed(speaks, False))).status in (500, 502)
    reply = await ask(house, speaks, body(speaks), **streamed(speaks, False))
    assert (reply.status, reply.heads["retry-after"]) == (503, "1")
    assert "Nobody who serves `pool` can be asked now (a: failing with 502, b: failing with 500)" in said(speaks, reply)[0]
    assert "x-interlingua-attempts" not in reply.heads


async def test_a_fallback_says_so(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    house = await begin(backend("bad", does="529", protocol="anthropic"), backend("other", protocol="gemini"))
    first = Decision("bad", "claude-haiku-4-5-mock-529", "model_mapping", "")
    plan = Plan(((first,), (Decision("other", "gemini-2.5-flash", "model_mapping", ""),)))
    monkeypatch.setattr(house.gateway.core, "plan", lambda request, size: plan)
    for stream in (False, True):
        reply = await ask(house, "openai", body("openai", stream))
        assert (reply.status, reply.heads["x-interlingua-route"], reply.heads["x-interlingua-backend"]) == (
            200,
            "fallback",
            "other",
        )
    text = await metrics(house)
    assert 'interlingua_fallbacks_total{backend="other",model="gemini-2.5-flash"} 2.0' in text
    assert 'interlingua_retries_total{backend="bad",cause="5xx",model="claude-haiku-4-5-mock-529"} 2.0' in text
    done = 'interlingua_requests_total{backend="other",model="gemini-2.5-flash",protocol="openai",status="200"} 2.0'
    assert done in text


async def metrics(house: Place) -> str:
    heads = {"content-length": None}
    return (await ask(house, "openai", b"", path="/metrics", method="GET", heads=heads)).body.decode()


async def test_an_open_breaker_is_shown(begin: Begin) -> None:
    house = await begin(backend("bad", does="500"), backend("good"), routing="breaker = { failures = 1 }")
    await ask(house, "openai", body("openai"))
    assert 'interlingua_breaker_open{backend="bad",model="gpt-4o-mock-500"} 1.0' in await metrics(house)
    heads = {"content-length": None}
    told = (await ask(house, "openai", b"", path="/api/system/status", method="GET", heads=heads)).json["backends"]
    bad = told["bad"]["models"]["gpt-4o-mock-500"]
    assert (bad["breaker"], bad["last_error"]["status"], told["bad"]["health"]) == ("open", 500, "failing")
    good = told["good"]["models"]["gpt-4o"]
    assert good["breaker"] == "closed" and good["answer_seconds"] > 0 and good["in_flight"] == 0
    house.gateway.core.retire()
    assert 'interlingua_breaker_open{backend="bad",model="gpt-4o-mock-500"} 0.0' in await metrics(house)


async def test_what_is_known_of_a_backend_outlives_a_reload(begin: Begin) -> None:
    house = await begin(backend("bad", does="500"), backend("good"), routing="breaker = { failures = 1 }")
    await ask(house, "openai", body("openai"))
    old, bad = house.gateway.core, health(house, "bad")
    house.gateway.take(Core.after(old, old.config))
    assert 'interlingua_breaker_open{backend="bad",model="gpt-4o-mock-500"} 1.0' in await metrics(house)
    assert (await ask(house, "openai", body("openai"))).heads["x-interlingua-backend"] == "good"
    assert health(house, "bad") is bad and bad.requests == 1


# Conversations told anew for each attempt


async def test_a_conversation_by_id_is_expanded_for_whom_it_goes_to(begin: Begin) -> None:
    """The first candidate speaks Responses itself; the second is told the whole conversation."""
    house = await begin(backend("own", protocol="responses"), backend("other", protocol="anthropic"))
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="any", max_retries=0) as client:
        first = await client.responses.create(model="pool", input="I am Ann.")
        house.gateway.core.board.check("own", "no answer")
        second = await client.responses.create(model="pool", input="Who am I?", previous_response_id=first.id)
        assert [turn["role"] for turn in house.sent["messages"]] == ["user", "assistant", "user"]
        house.gateway.core.board.check("own", "")
        third = await client.responses.create(model="pool", input="Again.", previous_response_id=second.id)
    assert (second.output_text, third.output_text) == ("You said: Who am I?", "You said: Again.")


# Hedging


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_the_loser_of_a_race_is_hung_up_on(begin: Begin, stream: bool) -> None:
    house = await begin(backend("slow", does="slow-60000"), backend("fast"), routing='hedge = "20ms"')
    for speaks in CLIENTS:
        house.mock.journal.clear()
        reply = await ask(house, speaks, body(speaks, stream), **streamed(speaks, stream))
        assert (reply.status, reply.heads["x-interlingua-backend"]) == (200, "fast") and b"You" in reply.body
        assert reply.heads["x-interlingua-tried"] == "slow/gpt-4o-mock-slow-60000;slower"
        await until(lambda: house.mock.journal.aborted == 1)
        assert sorted(entry.aborted for entry in house.mock.journal.entries) == [False, True]
    assert 'interlingua_hedges_total{backend="fast",model="gpt-4o",outcome="won"} 3.0' in await metrics(house)


async def test_an_error_does_not_win_a_race(begin: Begin) -> None:
    house = await begin(backend("slow", does="slow-150"), backend("bad", does="500"), routing='hedge = "20ms"')
    reply = await ask(house, "openai", body("openai"))
    assert (reply.status, reply.heads["x-interlingua-backend"]) == (200, "slow")
    assert reply.heads["x-interlingua-tried"] == "bad/gpt-4o-mock-500;5xx"


async def test_a_client_that_leaves_a_race_ends_both(begin: Begin) -> None:
    house = await begin(backend("slow", does="slow-60000"), backend("also", does="slow-60001"), routing='hedge = "20ms"')
    async with wire(house) as line:
        await line.send(request("openai", json.dumps(body("openai")).encode()))
        await until(lambda: house.mock.journal.count == 2)
    await until(lambda: house.mock.journal.aborted == 2)
    await until(lambda: health(house, "slow").in_flight == health(house, "also").in_flight == 0)


# Active checks


async def test_an_active_check_takes_a_backend_out_and_in_again(begin: Begin) -> None:
    checked = backend("checked") + '[backends.checked.health]\npath = "{path}"\ninterval = "10ms"\n'
    house = await begin(checked.replace("{path}", "/mock/scenarios"), backend("other"))
    station = house.gateway.core.board.stations["checked"]
    assert (await ask(house, "openai", body("openai"))).heads["x-interlingua-backend"] == "checked"
    known = house.mock.app.operate
    asked = asyncio.Event()

    def unwell(call: Any) -> Any:
        asked.set()
        return replace_status(known(call))

    house.mock.app.operate = unwell
    await asked.wait()
    await until(lambda: bool(station.down))
    assert (await ask(house, "openai", body("openai"))).heads["x-interlingua-backend"] == "other"
    heads = {"content-length": None}
    ready = (await ask(house, "openai", b"", path="/ready", method="GET", heads=heads)).json["backends"]["checked"]
    assert (ready["health"], ready["check"]) == ("failing", "/mock/scenarios answered with status 503")
    house.mock.app.operate = known
    await until(lambda: not station.down)
    assert (await ask(house, "openai", body("openai"))).heads["x-interlingua-backend"] == "checked"


async def test_a_check_that_finds_every_key_resting_says_nothing(begin: Begin) -> None:
    """Else a busy minute would take the backend out until the next check that succeeds."""
    checked = backend("checked") + '[backends.checked.limits]\nrpm = 1\n[backends.checked.health]\npath = "/mock/scenarios"\n'
    house = await begin(checked)
    core = house.gateway.core
    station, keys = core.board.stations["checked"], core.providers["checked"].keys
    assert keys is not None
    await until(lambda: keys.wait("") > 0)  # the first check has used the quota up
    core.checks.stop()
    core.checks.begin()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not station.down


def replace_status(reply: Any) -> Any:
    reply.status = 503
    return reply


async def test_a_check_that_reaches_nobody_fails(begin: Begin) -> None:
    checked = backend("gone", gone()) + '[backends.gone.health]\npath = "/health"\n'
    house = await begin(checked, backend("other"))
    station = house.gateway.core.board.stations["gone"]
    await until(lambda: "refused" in station.down)
    assert (await ask(house, "openai", body("openai"))).heads["x-interlingua-backend"] == "other"
