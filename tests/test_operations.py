"""A running gateway is told to change, and to end: no request is lost by either. Real processes, real signals."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import five
import pytest
from conftest import Start
from peers import settle
from processes import Started, ended, process
from running import BACKENDS, KEYS, configured
from server_wire import CLIENTS, Wire, ask, plain, request, wire

from interlingua import app
from interlingua.config import Watched, load, reload
from interlingua.core import Core
from interlingua.errors import Overloaded
from interlingua.ir import Request
from interlingua.mock import serve
from interlingua.policies.admission import Admission
from interlingua.routing import Decision

STREAM = "/v1beta/models/exact-gemini:streamGenerateContent?alt=sse"
OTHER = BACKENDS.replace('"exact-openai" = "gpt-4o"', '"exact-openai" = "gpt-4o-mini"\n"new" = "gpt-4o"')


async def get(place: Any, path: str) -> Any:
    return await ask(place, "openai", b"", path=path, method="GET", heads={"content-length": None})


async def until(true: Callable[[], Any], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.02)


# The files


def test_a_change_is_seen_once_and_when_it_is_over(tmp_path: Path) -> None:
    config = configured(tmp_path, "http://127.0.0.1:1")
    file, watched = tmp_path / "interlingua.toml", Watched(config)
    assert watched.changed()  # it may have changed while it was read
    assert not watched.changed()
    file.write_text("half")
    assert not watched.changed()
    file.write_text("half and whole")
    assert not watched.changed() and watched.changed() and not watched.changed()
    os.utime(file, (1, 1))
    assert [watched.changed() for _ in range(3)] == [False] * 3
    file.unlink()
    assert not watched.changed() and watched.changed()
    file.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("half and whole")
    assert not watched.changed() and watched.changed()


def test_what_is_marked_is_no_change(tmp_path: Path) -> None:
    watched = Watched(configured(tmp_path, "http://127.0.0.1:1"))
    (tmp_path / "interlingua.toml").write_text("new")
    watched.mark()
    assert [watched.changed() for _ in range(3)] == [False] * 3


# The hand-over


async def test_what_is_known_of_an_unchanged_backend_outlives_a_reload(tmp_path: Path) -> None:
    async with serve() as mock:
        config = configured(tmp_path, mock.url)
        gateway = app.build(config)
        old = gateway.core
        for name in old.providers:
            old.board.of(Decision(name, "m", "explicit", ""))
        known = {name: old.board.models(name) for name in old.providers}
        assert old.admission.admit()
        more = '[routing]\nidle = "9s"\n[server]\nmax_in_flight = 1\n'
        new = Core.after(
            old,
            configured(tmp_path, mock.url, more, OTHER.replace('url}"\napi_key_env = "GEMINI', 'url}/x"\napi_key_env = "GEMINI')),
        )
        assert {name: new.board.models(name) for name in known} == {**known, "gemini": []}
        assert (new.client, new.store, new.metrics, new.policies) == (old.client, old.store, old.metrics, old.policies)
        assert new.providers["openai"]._timeouts.idle == 9
        assert new.status()["in_flight"] == 1 and not new.admission.admit()
        old.ready = False
        assert Core.after(old, config).readiness()["status"] == "draining"
        await old.close()


async def test_conversations_stay_where_they_are_over_a_reload(tmp_path: Path) -> None:
    async with serve() as mock:
        old = app.build(configured(tmp_path, mock.url)).core
        decision, asked = Decision("openai", "m", "explicit", ""), Request(model="m", messages=[])
        old.conversations.served(("", "m", 1), decision, asked, 5.0)
        new = Core.after(old, configured(tmp_path, mock.url, '[routing]\nidle = "9s"'))
        assert new.conversations.of(("", "m", 1), 6.0) == ("openai", "m")
        await old.close()


async def test_a_queue_takes_other_limits() -> None:
    admission = Admission(1, 2)
    assert admission.admit()
    waiting = [asyncio.create_task(admission.enter(float("inf"))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await admission.enter(float("inf"))
    admission.resize(3, 0)
    await asyncio.gather(*waiting)
    assert admission.inside == 3
    with pytest.raises(Overloaded):
        await admission.enter(float("inf"))
    admission.resize(1, 0)
    admission.leave()
    assert admission.inside == 2 and not admission.admit()


# Reading again


@asynccontextmanager
async def load_of(place: Started, clients: int = 9) -> AsyncIterator[list[str]]:
    """So many clients that keep asking, each on one connection, until told to stop or told that its connection ends. What went
    wrong, and how many were answered, is in the list."""
    told, over = list[str](), asyncio.Event()

    async def keep_asking(number: int) -> None:
        client, stream = CLIENTS[number % 3], number % 2 == 0
        path = STREAM if client == "gemini" and stream else ""
        said: Any = {"stream": stream} if client != "gemini" else {}
        body = plain(client, f"hello {number}", **said)
        data = request(client, json.dumps(body).encode(), path=path)
        done = 0
        try:
            async with wire(place) as line:
                while not over.is_set():
                    await line.send(data)
                    reply = await line.reply()
                    words = reply.body.decode()
                    if reply.status != 200 or "error" in words or f"{number}" not in words:
                        told.append(f"{client} {stream}: {reply.status} {words}")
                    done += 1
                    if reply.heads.get("connection") == "close":
                        break
        except Exception as error:
            told.append(f"{client} {stream} after {done}: {error!r}")
        answered.append(done)

    answered = list[int]()
    tasks = [asyncio.create_task(keep_asking(number)) for number in range(clients)]
    try:
        yield told
    finally:
        over.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)
    assert sum(answered) > clients and len(answered) == clients


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_hundred_reloads_under_load_lose_nothing(tmp_path: Path, workers: str) -> None:
    reloads = 100 if workers == "1" else 20
    async with process(tmp_path, "--workers", workers) as (running, place):
        async with load_of(place) as wrong:
            for number in range(reloads):
                place.write(OTHER if number % 2 == 0 else BACKENDS, more=f'[routing]\nidle = "{number + 60}s"\n')
                running.send_signal(signal.SIGHUP)
                if workers == "1":

                    async def taken(least: int = number + 1) -> bool:
                        return (await get(place, "/api/system/status")).json["configuration"]["reloads"] >= least

                    await until(taken)
                else:
                    await asyncio.sleep(0.02)
        assert wrong == []
        running.send_signal(signal.SIGTERM)
        code, errors = await ended(running)
        assert code == 0 and "Traceback" not in errors and "stays as it was" not in errors


async def test_a_changed_file_is_taken_by_every_worker_and_a_bad_one_by_none(tmp_path: Path) -> None:
    async with process(tmp_path, "--workers", "2") as (running, place):

        async def told(path: str = "/v1/models") -> list[Any]:
            return [(await get(place, path)).json for _ in range(8)]  # each on a connection of its own

        async def new(there: bool = True) -> bool:
            return all(("new" in [row["id"] for row in answer["data"]]) == there for answer in await told())

        place.write(OTHER)
        await until(new)
        place.write("[backends.openai]\nprotocol = 'telepathy'\n")

        async def refused() -> bool:
            rows = [answer["configuration"]["refused"] for answer in await told("/api/system/status")]
            return all(row is not None and "backends.openai.protocol" in row["reason"] for row in rows)

        async def times(count: int) -> bool:
            return b'_reloads_total{result="refused"} %d.0' % count in (await get(place, "/metrics")).body

        async def taken() -> bool:
            return all(answer["configuration"]["refused"] is None for answer in await told("/api/system/status"))

        await until(refused)
        await until(lambda: times(2))  # any number of answers may come from one of them
        running.send_signal(signal.SIGHUP)
        await until(lambda: times(4))
        assert await new()
        place.write(BACKENDS)
        await until(lambda: new(False))
        await until(taken)
        running.send_signal(signal.SIGTERM)
        code, errors = await ended(running)
        assert code == 0 and errors.count("stays as it was") == 4


# The end


async def begun(line: Wire, words: str) -> None:
    await line.send(request("openai", json.dumps(plain("openai", words, stream=True)).encode()))
    await line.head()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_draining_under_load_loses_nothing(tmp_path: Path, workers: str) -> None:
    """A client that hears of the end goes elsewhere; until then it is served, and whatever it asked is answered."""
    async with process(tmp_path, "--workers", workers) as (running, place), wire(place) as open_line:
        await begun(open_line, "[[gap:60]] " + "word " * 20 + "last")
        async with load_of(place) as wrong:
            await until(lambda: enough(place))
            running.send_signal(signal.SIGTERM)
            told = b"".join([piece async for piece in open_line.chunks()])
        assert wrong == []
        assert b"last" in told and told.endswith(b"data: [DONE]\n\n")
        assert await ended(running) == (0, "")


async def enough(place: Started) -> bool:
    return place.mock.journal.count > 60


async def test_the_end_is_told_at_once_and_the_port_closes_after_a_while(tmp_path: Path) -> None:
    async with process(tmp_path) as (running, place), wire(place) as line, wire(place) as quiet:
        await begun(line, "[[gap:100]] " + "word " * 20)
        running.send_signal(signal.SIGTERM)

        async def draining() -> bool:
            return (await get(place, "/ready")).status == 503

        await until(draining)
        late = await ask(place, "openai", plain("openai", "late"))
        assert (late.status, late.heads["connection"]) == (200, "close")
        assert await quiet.ended() == b""  # who asks nothing is let go

        async def refused() -> bool:
            try:
                return bool((await get(place, "/health")).status != 200)
            except (ConnectionError, asyncio.IncompleteReadError):
                return True

        await until(refused)
        told = b"".join([piece async for piece in line.chunks()])
        assert told.endswith(b"data: [DONE]\n\n")
        assert await ended(running) == (0, "")


@pytest.mark.parametrize("client", CLIENTS)
async def test_what_is_open_when_time_is_up_ends_with_an_error_of_its_protocol(tmp_path: Path, client: str) -> None:
    async with process(tmp_path, server='drain = "300ms"') as (running, place), wire(place) as line:
        said: Any = {"stream": True} if client != "gemini" else {}
        body = plain(client, "[[gap:200]] " + "word " * 100, **said)
        await line.send(request(client, json.dumps(body).encode(), path=STREAM if client == "gemini" else ""))
        assert (await line.head())[0] == 200
        running.send_signal(signal.SIGTERM)
        told = b"".join([piece async for piece in line.chunks()])
        assert b'"error"' in told and b"closing" in told
        assert (await ended(running))[0] == 0


# Time and room


async def test_a_client_may_set_its_own_deadline(start: Start) -> None:
    house = await start()
    for said in ("100ms", "0.1"):
        reply = await ask(house, "openai", plain("openai", "[[slow:20000]]"), heads={"x-interlingua-deadline": said})
        assert reply.status == 504 and "deadline" in reply.json["error"]["message"]
    assert (await ask(house, "openai", plain("openai"), heads={"x-interlingua-deadline": "1h"})).status == 200
    for bad in ("soon", "0s", "", "-1", "1e9"):
        reply = await ask(house, "openai", plain("openai"), heads={"x-interlingua-deadline": bad})
        assert reply.status == 400 and reply.json["error"]["param"] == "x-interlingua-deadline"


async def test_a_deadline_counts_in_the_queue(start: Start) -> None:
    house = await start("[server]\nmax_in_flight = 1\n")
    go = house.hold()
    first = asyncio.create_task(ask(house, "openai", plain("openai")))
    await settle(lambda: house.gateway.core.admission.inside == 1)
    late = await ask(house, "openai", plain("openai"), heads={"x-interlingua-deadline": "50ms"})
    assert late.status == 504 and "turn" in late.json["error"]["message"]
    go.set()
    assert (await first).status == 200
    assert house.gateway.core.admission.inside == 0 and not house.gateway.core.admission._waiting
    assert len(house.mock.journal.entries) == 1


async def test_a_client_that_leaves_the_queue_frees_its_place(start: Start) -> None:
    house = await start("[server]\nmax_in_flight = 1\nmax_queue = 1\n")
    admission, go = house.gateway.core.admission, house.hold()
    first = asyncio.create_task(ask(house, "openai", plain("openai")))
    await settle(lambda: admission.inside == 1)
    async with wire(house) as line:
        await line.send(request("openai", json.dumps(plain("openai")).encode()))
        await settle(lambda: len(admission._waiting) == 1)
        assert (await ask(house, "openai", plain("openai"))).status == 503
    await settle(lambda: not admission._waiting)
    second = asyncio.create_task(ask(house, "openai", plain("openai")))
    await settle(lambda: len(admission._waiting) == 1)
    go.set()
    assert [(await task).status for task in (first, second)] == [200, 200]
    assert len(house.mock.journal.entries) == 2


def test_a_configuration_is_equal_to_itself_read_again(tmp_path: Path) -> None:
    """Else every look at an unchanged file would be a reload."""
    config = configured(tmp_path, "http://127.0.0.1:1")
    assert load(config.source, KEYS) == load(config.source, KEYS)


def test_a_reload_keeps_the_quotas_of_the_workers_that_run(tmp_path: Path) -> None:
    """Another number of workers takes a restart: until then each of those that run has its own share, and no more."""
    more = {"backends": BACKENDS + "[backends.gemini.limits]\nrpm = 12\n"}
    old = configured(tmp_path, "http://127.0.0.1:1", "[server]\nworkers = 4", **more)
    configured(tmp_path, "http://127.0.0.1:1", "[server]\nworkers = 1", **more)
    new = reload(old, KEYS)
    assert (new.server.workers, new.backends["gemini"].limits.rpm, new.overrides) == (4, 3, old.overrides)
    assert new == reload(new, KEYS)
    assert load(new.source, KEYS).backends["gemini"].limits.rpm == 12


# As each SDK sees it

FULL = {
    "openai": "InternalServerError",
    "responses": "InternalServerError",
    "anthropic": "ServiceUnavailableError",
    "gemini": "ServerError",
    "bedrock": "ServiceUnavailableException",
}
LATE = {
    "openai": "InternalServerError",
    "responses": "InternalServerError",
    "anthropic": "GatewayTimeoutError",
    "gemini": "ServerError",
    "bedrock": "ModelTimeoutException",
}


async def raised(client: str, url: str, words: str, stream: bool = False, **heads: str) -> BaseException:
    async with five.speaking(client, url) as say:
        with pytest.raises(five.RAISED) as caught:
            await say("openai/gpt-4o", words, stream, {name.replace("_", "-"): value for name, value in heads.items()})
    return caught.value


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_full_gateway_is_each_sdks_own_error_at_once(start: Start, stream: bool) -> None:
    house = await start("[server]\nmax_in_flight = 1\nmax_queue = 0\n")
    async with wire(house) as line:
        await line.send(request("openai", json.dumps(plain("openai", "[[slow:60000]]")).encode()))
        await settle(lambda: house.mock.journal.count == 1)
        for client, kind in FULL.items():
            error = await raised(client, house.url, "hi", stream)
            assert type(error).__name__ == kind and "at its limit" in str(error), client
        for client in CLIENTS:
            assert (await ask(house, client, plain(client))).heads["retry-after"] == "1"


@pytest.mark.parametrize("client", LATE)
async def test_time_that_runs_out_is_each_sdks_own_error(start: Start, client: str) -> None:
    """The first byte, a pause in the middle of an answer, and the client's own deadline before and after the first byte."""
    house = await start('[routing]\nfirst_byte = "400ms"\nidle = "300ms"\n')
    for stream in (False, True):
        assert type(await raised(client, house.url, "[[slow:5000]]", stream)).__name__ == LATE[client]
        late = await raised(client, house.url, "[[slow:5000]]", stream, x_interlingua_deadline="100ms")
        assert type(late).__name__ == LATE[client] and "deadline" in str(late)
    assert "300 ms" in (said := str(await raised(client, house.url, "[[gap:5000]] a b", True))) or "0.3 seconds" in said
    assert "deadline" in str(await raised(client, house.url, "[[gap:150]] " + "a " * 99, True, x_interlingua_deadline="400ms"))
