"""Several keys of one backend through real sockets: the mock's journal shows which was used, and nothing shows what they are."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from peers import Peer, serve
from running import House
from server_wire import Reply, ask, plain, said

from interlingua.mock.journal import fingerprint
from interlingua.operations import Operations

BACKEND = """
[backends.x]
protocol = "{protocol}"
url = "{url}"
api_keys_file = "keys.txt"
{more}
[backends.x.model_mapping]
"exact-{protocol}" = "{model}"
"""
MODELS = {"openai": "gpt-4o", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
GOOD = ("sk-first-secret", "sk-second-secret", "sk-third-secret")


@pytest.fixture
def keyed(start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Any:
    """keyed(keys, more, protocol) gives a gateway of one backend with these keys."""
    caplog.set_level(logging.DEBUG)

    async def begin(
        keys: tuple[str, ...], more: str = "", protocol: str = "openai", url: str = "{url}", attempts: int = 1
    ) -> House:
        (tmp_path / "keys.txt").write_text("\n".join(keys))
        text = BACKEND.replace("{protocol}", protocol).replace("{more}", more).replace("{model}", MODELS[protocol])
        text = text.replace("{url}", url)
        house = await start(f"[routing]\nattempts = {attempts}", backends=text)
        house.refusals = True
        return house

    return begin


async def asked(house: House, client: str = "openai", words: str = "hi", **more: Any) -> Reply:
    return await ask(house, client, plain(client, words), **more)


def used(house: House, keys: tuple[str, ...]) -> list[int]:
    """The keys of the requests that the provider got, by their place."""
    return [[fingerprint(key) for key in keys].index(entry.key) for entry in house.mock.journal.entries]


async def told(house: House) -> list[Any]:
    reply = await ask(house, "openai", b"", method="GET", path="/api/system/status")
    keys = reply.json["backends"]["x"]["keys"]
    ready = (await ask(house, "openai", b"", method="GET", path="/ready")).json["backends"]["x"]["keys"]
    assert [key["key"] for key in ready] == [key["key"] for key in keys]
    return keys


async def rotations(house: House) -> dict[str, float]:
    reply = await ask(house, "openai", b"", method="GET", path="/metrics")
    lines = [line for line in reply.body.decode().split("\n") if line.startswith("interlingua_key_rotations_total{")]
    told = {line.split('reason="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}
    return {reason: count for reason, count in told.items() if count}


def hidden(caplog: pytest.LogCaptureFixture, *replies: Reply) -> bool:
    shown = caplog.text + "".join(str(reply) for reply in replies)
    return "secret" not in shown and "mock-4" not in shown


async def test_keys_take_turns_for_every_form_of_request(keyed: Any):
    house = await keyed(GOOD)
    await asked(house)
    body = plain("openai", stream=True)
    assert b"[DONE]" in (await ask(house, "openai", body)).body
    await ask(house, "openai", b"", method="GET", path="/providers/x/v1/models")
    await asked(house)
    assert used(house, GOOD) == [0, 1, 2, 0]
    assert await rotations(house) == {"turn": 3}


@pytest.mark.parametrize("protocol", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("row", ["429-30", "429_reset-30"])
async def test_a_429_lets_the_key_rest_as_long_as_it_says(keyed: Any, protocol: str, row: str, caplog: pytest.LogCaptureFixture):
    keys = (f"sk-mock-{row}", "sk-second-secret")
    house = await keyed(keys, protocol=protocol)
    first = await asked(house, protocol)
    assert (first.status, int(first.heads["retry-after"])) == (429, pytest.approx(30, abs=1))
    assert [(await asked(house, protocol)).status for _ in range(3)] == [200] * 3
    assert used(house, keys) == [0, 1, 1, 1]
    resting, free = await told(house)
    assert resting["rests"] == "rate_limit" and 28 < resting["seconds"] <= 30.001
    assert free == {"key": 2, "free": True}

    assert hidden(caplog, first) and "key 1 of 2 rests for" in caplog.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_429_of_one_key_is_followed_by_the_next_key_at_once(keyed: Any, stream: bool):
    """What the provider says of one key is no reason to wait for another."""
    keys = ("sk-mock-429-30", "sk-b-mock-429-25", "sk-third-secret")
    house = await keyed(keys, attempts=3)
    reply = await ask(house, "openai", plain("openai", stream=stream))
    assert (reply.status, reply.heads["x-interlingua-attempts"]) == (200, "3")
    assert used(house, keys) == [0, 1, 2]
    assert [key["free"] for key in await told(house)] == [False, False, True]


async def test_when_all_rest_nothing_is_sent(keyed: Any, caplog: pytest.LogCaptureFixture):
    keys = ("sk-mock-429-90", "sk-b-mock-429-60")
    house = await keyed(keys)
    assert [(await asked(house)).status for _ in range(2)] == [429, 429]
    pool = house.gateway.core.providers["x"].keys
    assert pool is not None and 55 < pool.wait("gpt-4o") <= 60
    for body in (plain("openai"), plain("openai", stream=True)):
        reply = await ask(house, "openai", body)
        assert (reply.status, int(reply.heads["retry-after"])) == (429, pytest.approx(60, abs=2))
        assert "x: its keys rest" in said("openai", reply)[0]
    assert len(house.mock.journal.entries) == 2
    assert hidden(caplog, reply)


async def test_a_key_that_is_refused_gives_way_at_once_and_rests(keyed: Any, caplog: pytest.LogCaptureFixture):
    keys = ("sk-mock-401", "sk-b-mock-403", "sk-third-secret")
    house = await keyed(keys)
    assert [(await asked(house)).status for _ in range(2)] == [200, 200]
    assert used(house, keys) == [0, 1, 2, 2]
    assert [key.get("rests") for key in await told(house)] == ["refused", "refused", None]
    assert "key 1 of 3 was refused (401) where others are not, and rests for 600 s" in caplog.text
    assert "key 2 of 3 was refused (403)" in caplog.text and hidden(caplog)
    assert await rotations(house) == {"turn": 2}


async def test_where_all_are_refused_it_is_told_and_none_rests(keyed: Any):
    keys = ("sk-mock-401", "sk-b-mock-401")
    house = await keyed(keys)
    assert [(await asked(house)).status for _ in range(2)] == [401, 401]
    assert used(house, keys) == [0, 1, 0, 1]
    assert all(key["free"] for key in await told(house))


async def test_a_key_does_not_rest_for_a_refusal_while_the_others_only_rest(keyed: Any):
    """Nobody was accepted where it was refused: one request for a model that is forbidden would stop a busy pool."""
    keys = ("sk-mock-429-30", "sk-second-secret")
    house = await keyed(keys)
    assert (await asked(house)).status == 429  # the first rests
    forbidden = {**plain("openai"), "model": "x/gpt-4o-mock-403"}
    assert (await ask(house, "openai", forbidden)).status == 429
    assert [key["free"] for key in await told(house)] == [False, True]
    assert (await asked(house)).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_repeats_the_key_does_not_tell_it_to_the_client(keyed: Any, stream: bool):
    async def echo(peer: Peer) -> None:
        head, _ = await peer.request()
        (key,) = [line.split()[-1] for line in head.split(b"\r\n") if line.startswith(b"authorization: ")]
        said = b'{"error": {"message": "Incorrect API key provided: %s.", "type": "x", "param": "%s", "code": null}}' % (key, key)
        await peer.send(b"HTTP/1.1 401 No\r\ncontent-length: %d\r\n\r\n" % len(said) + said)

    async with serve(echo) as upstream:
        house = await keyed(GOOD[:1], url=f"http://127.0.0.1:{upstream.origin.port}")
        for client in ("openai", "anthropic"):
            reply = await ask(house, client, {**plain(client), "model": "exact-openai", "stream": stream})
            assert reply.status == 401 and b"provided: [redacted]." in reply.body and b"secret" not in reply.body


async def test_a_quota_of_requests(keyed: Any):
    house = await keyed(GOOD[:2], "limits = { rpm = 2 }")
    assert [(await asked(house)).status for _ in range(5)] == [200] * 4 + [429]
    assert used(house, GOOD) == [0, 1, 0, 1]
    assert [(key["rests"], key["left"]) for key in await told(house)] == [("quota", {"rpm": 0})] * 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_quota_of_tokens_knows_what_was_used(keyed: Any, stream: bool):
    house = await keyed(GOOD[:1], "limits = { tpm = 5000 }")
    body = plain("openai", stream=stream) | ({"stream_options": {"include_usage": True}} if stream else {})
    reply = await ask(house, "openai", body)
    usage = json.loads(reply.body.split(b"data: ")[-2]) if stream else reply.json
    (key,) = await told(house)
    assert key["left"]["tpm"] == 5000 - usage["usage"]["total_tokens"]
    reply = await ask(house, "openai", plain("openai", "x" * 30_000))
    assert reply.status == 429 and said("openai", reply)[0] == "Backend x takes no request for now: its key rests."


async def test_one_key_without_limits_has_no_ring_and_never_rests(keyed: Any):
    house = await keyed(("sk-mock-429-30",))
    provider = house.gateway.core.providers["x"]
    assert provider.ring is None and provider.keys is None
    assert [(await asked(house)).status for _ in range(2)] == [429, 429]
    assert len(house.mock.journal.entries) == 2
    assert house.gateway.core.board.stations["x"].keys is None
    assert "keys" not in house.gateway.core.status()["backends"]["x"]


async def test_counts_outlive_a_reload(keyed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    house = await keyed(GOOD[:2], "limits = { rpm = 2 }")
    await asked(house)
    assert Operations(house.gateway).reload()
    assert [key["left"]["rpm"] for key in await told(house)] == [1, 2]
    (tmp_path / "keys.txt").write_text("\n".join(GOOD))
    assert Operations(house.gateway).reload()
    assert [key["left"]["rpm"] for key in await told(house)] == [2, 2, 2]
