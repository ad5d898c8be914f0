"""Requests and answers as JSON lines: all of them or a share, without their secrets, in files that take turns."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from processes import ended, process
from running import BACKENDS, KEYS, configured
from server_wire import CLIENTS, ask, plain, request, wire

from interlingua.config import Log
from interlingua.core import Core
from interlingua.errors import ConfigError
from interlingua.ir import Choice, Message, Request, Response, Signature, Text, Thinking
from interlingua.metrics import Metrics
from interlingua.pipeline import Answer, Call, compose
from interlingua.policies.request_log import RequestLog
from interlingua.redaction import HIDDEN, Redaction, is_secret
from interlingua.rotating import Lines

Json = dict[str, Any]


def lines(folder: Path) -> list[Json]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().split("\n") if line]


# Lines and files


def test_lines_are_written_and_files_take_turns(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    turns = Lines(folder, "x", size=100, files=3)
    for number in range(40):
        assert turns.put(lambda number=number: b'{"n":%d}' % (1000 + number), 10)
    turns.close()
    files = sorted(folder.iterdir())
    assert [file.stat().st_size for file in files] == [99, 99, 44]
    assert [row["n"] for row in lines(folder)] == list(range(1018, 1040))
    assert (turns.dropped, turns.failed) == (0, 0)
    assert folder.stat().st_mode & 0o777 == 0o700 and files[0].stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_being_written_is_never_removed(tmp_path: Path) -> None:
    ours, others, begun = Lines(tmp_path, "x", 1, 1), Lines(tmp_path, "x", 1000, 1), threading.Event()
    others._number = 50
    others.put(lambda: b'"other"', 1)
    others.put(lambda: begun.set() or b'"more"', 1)  # made once the first is in its file
    begun.wait()
    for number in range(5):
        ours.put(lambda number=number: b"%d" % number, 1)
    ours.close()
    assert len(list(tmp_path.glob("*-00051.jsonl"))) == 1 and len(list(tmp_path.iterdir())) == 2
    others.close()
    assert lines(tmp_path)[-2:] == ["other", "more"] or lines(tmp_path)[:2] == ["other", "more"]


def test_what_finds_no_room_is_dropped_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlingua.rotating.MOST_LINES", 3)
    monkeypatch.setattr("interlingua.rotating.MOST_BYTES", 100)
    turns, gate, inside = Lines(tmp_path, "x", 1000, 5), threading.Event(), threading.Event()
    assert turns.put(lambda: inside.set() or gate.wait() and b'"first"' or b"", 1)
    inside.wait()
    assert [turns.put(lambda: b'"more"', 1) for _ in range(4)] == [True, True, False, False]
    gate.set()
    turns.close()
    assert not turns.put(lambda: b"", 101)
    assert turns.put(lambda: b'"last"', 100)
    turns.close()
    assert lines(tmp_path) == ["first", {"dropped": 2}, "more", "more", {"dropped": 1}, "last"]
    assert turns.dropped == 3


def test_a_line_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    turns = Lines(tmp_path / "file", "x", 1000, 1)
    for _ in range(3):
        turns.put(lambda: b"", 1)
    turns.close()
    assert turns.failed == 3
    assert [record.levelno for record in caplog.records] == [logging.ERROR] and "was not written" in caplog.text


# Secrets

LONG = "QUJD" * 200


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain words, sk-short, a-b-c and 1+1=2", None),
        ("my key is sk-proj-abcdefghijklmnop1234!", f"my key is {HIDDEN}!"),
        ("AKIAIOSFODNN7EXAMPLE", HIDDEN),
        ("Bearer abcdefgh.ijkl", f"Bearer {HIDDEN}"),
        ("the configured one: configured-secret.", f"the configured one: {HIDDEN}."),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", HIDDEN),
        (f"see data:image/png;base64,{LONG} there", "see data:image/png;base64,[800 characters] there"),
        (
            "https://x/y?X-Amz-Credential=a%2Fb&X-Amz-Signature=c&z=1",
            f"https://x/y?X-Amz-Credential={HIDDEN}&X-Amz-Signature={HIDDEN}&z=1",
        ),
        (LONG, "[800 characters]"),
    ],
)
def test_secrets_are_known_by_their_form(text: str, seen: str | None) -> None:
    assert Redaction(["configured-secret"]).text(text) == (text if seen is None else seen)


def test_secrets_are_known_by_their_name() -> None:
    hidden = ("Authorization", "x-api-key", "x-goog-api-key", "api-key", "apiKey", "cookie", "set-cookie", "x-amz-security-token")
    hidden += ("authorization_token", "clientSecret", "proxy-authorization", "password", "aws_secret")
    shown = ("max_tokens", "tokens", "token", "author", "content-type", "keyboard", "monkey", "secretary", "model")
    assert [name for name in hidden if not is_secret(name)] == [] and [name for name in shown if is_secret(name)] == []
    nested = {"tools": [{"headers": {"Authorization": "x", "Accept": "y"}}], "n": 1, "no": None}
    assert Redaction([]).value(nested)["tools"] == [{"headers": {"Authorization": HIDDEN, "Accept": "y"}}]
    assert Redaction([]).value({"signature": {"origin": "anthropic", "data": "seal"}})["signature"]["data"] == "[4 characters]"


# The policy


async def test_what_is_asked_and_answered_is_written(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    house = await start(f'[log]\nrequests = "{folder}"\n')
    secret = {"authorization": "Bearer sk-of-the-client-0123456789", "x-api-key": "abc", "x-mine": "seen"}
    for client in CLIENTS:
        assert (await ask(house, client, plain(client, f"hello {client}"), heads=secret)).status == 200
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{LONG}"}}
    body = plain("openai", stream=True)
    body["messages"][0]["content"] = [{"type": "text", "text": "look sk-0123456789abcdefgh"}, image]
    assert (await ask(house, "openai", body)).status == 200
    assert (await ask(house, "openai", plain("openai", "[[429]]"))).status == 429
    reply = await ask(house, "openai", plain("openai", "[[cut:1]] one two three", stream=True))
    await house.gateway.core.close()
    rows = lines(folder)
    assert [row["status"] for row in rows] == [200, 200, 200, 200, 429, 502]
    assert [row["client"] for row in rows[:3]] == list(CLIENTS) and reply.heads["x-interlingua-request-id"] == rows[-1]["id"]
    for client, row in zip(CLIENTS, rows, strict=False):
        assert row["backend"] == client and row["route"] == "model_mapping" and row["seconds"] > 0
        assert row["headers"]["x-mine"] == "seen" and row["headers"]["authorization"] == row["headers"]["x-api-key"] == HIDDEN
        assert row["request"]["messages"][0]["parts"][0]["text"] == f"hello {client}"
        assert row["response"]["choices"][0]["parts"][0]["text"] == f"You said: hello {client}" and row["error"] is None
    assert rows[3]["response"]["choices"][0]["parts"][0]["text"].startswith("You said: look")
    assert rows[4]["error"]["kind"] == "rate_limit" and rows[4]["response"] is None
    assert rows[5]["error"]["kind"] == "bad_gateway" and "You" in str(rows[5]["response"])
    whole = "".join(file.read_text() for file in folder.iterdir())
    assert [word for word in ("sk-of-the-client", "sk-0123456789abcdefgh", LONG, *KEYS.values()) if word in whole] == []


async def test_a_client_that_leaves_is_written_with_what_it_had(start: Start, tmp_path: Path) -> None:
    house = await start(f'[log]\nrequests = "{tmp_path / "log"}"\n')
    async with wire(house) as line:
        body = plain("openai", "[[gap:20]] " + "word " * 500, stream=True)
        await line.send(request("openai", json.dumps(body).encode()))
        await line.head()
    while house.gateway.core.admission.inside:
        await ask(house, "openai", b"", path="/health", method="GET", heads={"content-length": None})
    await house.gateway.core.close()
    (row,) = lines(tmp_path / "log")
    assert row["status"] == 499 and row["error"] is None and "You" in str(row["response"])


async def test_a_share_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([0.1, 0.5, 0.29, 0.3])
    monkeypatch.setattr("random.random", lambda: next(drawn))
    log = RequestLog(Log(requests=str(tmp_path), sample=0.3), [], Metrics())
    seal = Thinking(text="hm", signature=Signature("anthropic", LONG))

    async def answer(call: Call) -> Answer:
        return Answer(Response(choices=[Choice(parts=[seal, Text(text="x")])]))

    for number in range(4):
        call = Call(Request(model="m", messages=[Message(role="user")]), "openai", str(number), {}, 0.0)
        await compose([log], answer)(call)
        if call.finished is not None:
            call.finished(200, 0.1)
    log.close()
    rows = lines(tmp_path)
    assert [row["id"] for row in rows] == ["0", "2"]
    assert rows[0]["response"]["choices"][0]["parts"][0]["signature"]["data"] == "[800 characters]"


async def test_a_reload_changes_the_log_and_loses_no_line(tmp_path: Path) -> None:
    def config(folder: str) -> Any:
        return configured(tmp_path, "http://127.0.0.1:1", f'[log]\nrequests = "{folder}"\n' if folder else "")

    from interlingua import app

    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    first = app.build(config(one)).core
    assert Core.after(first, config(one)).log is first.log
    second = Core.after(first, config(two))
    assert first.log and second.log and second.log is not first.log
    call = Call(Request(model="m", messages=[]), "openai", "1", {}, 0.0)

    async def answer(_: Call) -> Answer:
        return Answer(Response())

    await compose([first.log], answer)(call)
    assert call.finished
    call.finished(200, 0.1)
    third = Core.after(second, config(""))
    assert third.log is None
    await second.close()
    assert [row["id"] for row in lines(tmp_path / "one")] == ["1"]


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"interlingua\.toml:2: log\.requests names a folder that cannot be written"):
        configured(tmp_path, "http://127.0.0.1:1", f'[log]\nrequests = "{tmp_path / "file" / "sub"}"\n')


async def test_nothing_is_lost_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    async with process(tmp_path, "--workers", "2", more=f'[log]\nrequests = "{folder}"\n', backends=BACKENDS) as (running, place):
        for number in range(30):
            assert (await ask(place, "openai", plain("openai", f"hello {number}"))).status == 200
        running.terminate()
        assert await ended(running) == (0, "")
    assert len(lines(folder)) == 30 and 1 <= len(list(folder.iterdir())) <= 2
