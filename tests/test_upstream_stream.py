"""Whole answers that run as streams upstream, and what a client is sent while it waits for one."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import five
import pytest
from conftest import Start
from five import FIVE, MODELS, speaking
from msgspec.structs import replace
from running import House
from server_wire import CLIENTS, ask, plain, request, said, wire

from interlingua.config import Config
from interlingua.errors import ProviderFailure, UpstreamBroken
from interlingua.fold import unfold
from interlingua.ir import Choice, End, Failure, Finish, Message, PartDelta, Request, Response, Text, Usage
from interlingua.metrics import Metrics
from interlingua.pipeline import Answer, Batch, Call, compose
from interlingua.policies.early_stop import EarlyStop
from interlingua.policies.upstream_stream import UpstreamStream

STREAMED = "[routing]\nstream_upstream = true\n"
NONE = EarlyStop(Config(backends={}, source="test"), Metrics())
BEATING = '[routing]\nwhole_heartbeat = "20ms"\n'
ANSWER = Response(
    id="i", model="m", choices=[Choice(parts=[Text(text="hi")], finish=Finish(reason="stop"))], usage=Usage(output=1)
)


@pytest.fixture(params=MODELS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    five.speaks_aws(monkeypatch)


# The policy


def call(stream: bool = False) -> Call:
    return Call(Request(model="m", messages=[Message(role="user")], stream=stream), "openai", "id", {}, 0.0)


async def folded(*batches: Batch, always: bool = True) -> tuple[Answer, list[bool]]:
    """What a client of a whole answer gets of these batches, and what the provider was asked for."""
    asked, closed = list[bool](), list[bool]()

    async def events() -> AsyncGenerator[Batch, None]:
        try:
            for batch in batches:
                yield batch
        finally:
            closed.append(True)

    async def provider(seen: Call) -> Answer:
        asked.append(seen.request.stream)
        return Answer(events=events()) if seen.request.stream else Answer(ANSWER)

    made = call()
    request, before = made.request, replace(made.request)
    try:
        answer = await compose([UpstreamStream(always, NONE)], provider)(made)
    finally:
        assert made.request is request and request == before
        assert closed or not always
    return answer, asked


async def test_a_stream_is_folded_into_the_answer() -> None:
    events = unfold(ANSWER)
    answer, asked = await folded(events[:2], events[2:])
    assert (answer.response, asked) == (ANSWER, [True])
    assert (await folded(always=False))[1] == [False]


async def test_a_stream_that_breaks_is_an_error() -> None:
    with pytest.raises(UpstreamBroken):
        await folded(unfold(ANSWER)[:-1])
    failure = Failure(status=529, kind="overloaded", message="busy")
    with pytest.raises(ProviderFailure) as caught:
        await folded(unfold(ANSWER)[:3], [failure])
    assert caught.value.failure is failure


async def test_a_client_that_streams_is_left_alone() -> None:
    events = unfold(ANSWER)

    async def told() -> AsyncGenerator[Batch, None]:
        yield events

    async def provider(seen: Call) -> Answer:
        return Answer(events=told())

    answer = await compose([UpstreamStream(True, NONE)], provider)(call(stream=True))
    assert answer.events is not None and [batch async for batch in answer.events] == [events]


async def test_an_answer_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlingua.policies.upstream_stream.MOST", 9)
    events = unfold(ANSWER)
    with pytest.raises(Exception, match="longer than 9"):
        await folded(events[:2], [PartDelta(index=0, text="0123456789")], [End()])


# Through the gateway


@pytest.mark.parametrize("backend", MODELS)
async def test_every_client_gets_the_same_answer(start: Start, client: str, backend: str) -> None:
    told: list[tuple[str, Any]] = []
    for more in ("", STREAMED):
        house = await start(more, FIVE)
        async with speaking(client, house.url) as say:
            answer = await say(MODELS[backend], "Grüße\u2028!", False, {})
        entry = house.mock.journal.last
        assert entry.stream == bool(more)
        if backend == "openai":
            assert (entry.body.get("stream_options") == {"include_usage": True}) == bool(more)
        house.judge()
        told.append((answer.text, usage_of(answer.raw)))
    assert told[0] == told[1] and told[0][0] == "You said: Grüße\u2028!" and told[0][1]


def usage_of(raw: Any) -> Any:
    """As the client's SDK tells it."""
    raw = raw[0] if isinstance(raw, list) else raw
    return raw["usage"] if isinstance(raw, dict) else (getattr(raw, "usage", None) or raw.usage_metadata).model_dump()


@pytest.mark.parametrize("scenario", ["[[cut:1]]", "[[error_event:1]]", "[[nofinish]]", "[[reset]]", "[[garbage]]"])
async def test_a_stream_that_breaks_is_the_clients_error(start: Start, client: str, scenario: str) -> None:
    house = await start(STREAMED, FIVE)
    async with speaking(client, house.url) as say:
        with pytest.raises(five.RAISED):
            await say(MODELS["openai"], f"{scenario} one two three", False, {})


# Heartbeats


async def test_every_sdk_reads_an_answer_with_blanks_before_it(start: Start, client: str) -> None:
    house = await start(BEATING, FIVE)
    async with speaking(client, house.url) as say:
        answer = await say(MODELS[client], "[[slow:500]] hi", False, {})
    assert answer.text == "You said: hi"
    assert "content-length" not in {name.lower() for name in answer.heads}
    assert answer.heads["x-interlingua-backend"] == client


@pytest.mark.parametrize("name", CLIENTS)
async def test_blanks_come_while_it_is_quiet_and_none_after(start: Start, name: str) -> None:
    house = await start(BEATING)
    async with wire(house) as line:
        for words, least in (("[[slow:500]] hi", 2), ("hi", 0), ("[[slow:500]] hi", 2)):
            await line.send(request(name, json.dumps(plain(name, words)).encode()))
            reply = await line.reply()
            assert (reply.status, reply.heads["content-type"]) == (200, "application/json")
            blanks = len(reply.body) - len(reply.body.lstrip(b" "))
            assert least <= blanks <= 50 and "You said: hi" in str(reply.json)
            assert ("content-length" in reply.heads) == (not blanks)


async def test_it_is_off_unless_asked_for(start: Start) -> None:
    house = await start()
    reply = await ask(house, "openai", plain("openai", "[[slow:100]] hi"))
    assert reply.body[:1] == b"{" and "content-length" in reply.heads


@pytest.mark.parametrize("name", CLIENTS)
async def test_an_error_after_a_blank_is_told_in_the_body(start: Start, name: str) -> None:
    """The status has been said, so the shape alone tells it; and the figures know better."""
    house = await start(BEATING + 'first_byte = "200ms"\n')
    reply = await ask(house, name, plain(name, "[[slow:5000]] hi"))
    assert reply.status == 200 and reply.body[:2] == b"  "
    error = replace_status(name, reply)
    assert "did not" in error or "time" in error or "answer" in error
    assert house.gateway.core.admission.inside == 0
    assert b'status="504"' in (await ask(house, "openai", b"", path="/metrics", method="GET")).body


def replace_status(name: str, reply: Any) -> str:
    """The message; Google's shape repeats the status that would have been."""
    if name == "gemini":
        assert reply.json["error"]["code"] == 504
        return reply.json["error"]["message"]
    return said(name, reply)[0]


async def test_what_each_sdk_makes_of_an_error_after_a_blank(start: Start, client: str) -> None:
    """None looks at the body of a 200 for an error. What it finds has no answer in it, and says why where it shows extras."""
    house = await start(BEATING + 'first_byte = "200ms"\n', FIVE)
    async with speaking(client, house.url) as say:
        answer = await say(MODELS[client], "[[slow:5000]] hi", False, {})
    assert answer.text == ""
    if client in ("openai", "responses", "anthropic"):
        assert answer.raw.model_extra["error"] if client != "responses" else answer.raw.error


async def test_a_client_that_leaves_while_it_is_sent_blanks(start: Start) -> None:
    house: House = await start(BEATING)
    async with wire(house) as line:
        await line.send(request("openai", json.dumps(plain("openai", "[[slow:5000]] hi")).encode()))
        await line.head()
    entry = house.mock.journal.last
    async with asyncio.timeout(5):
        while not entry.aborted or house.gateway.core.admission.inside:
            await asyncio.sleep(0.005)
