"""Responses kept by id: conversations continued, limits held, tenants kept apart, several workers on one file."""

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from interlingua import store as store_room
from interlingua.errors import InvalidRequest, NotFound, Unsupported
from interlingua.ir import Choice, Function, Json, Message, Request, Response, Signature, Text, Thinking, ToolCall
from interlingua.losses import Losses
from interlingua.protocols import responses, target
from interlingua.store import (
    Kept,
    Store,
    deleted,
    expanded,
    must_be_native,
    not_found,
    page,
    private_file,
    wanted,
)
from tests import strategies as ir


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[Store]:
    store = Store(clock=clock)
    yield store
    store.close()


def asked(text: str, previous: str | None = None, **fields: Any) -> Request:
    body: Json = {"model": "m", "input": text, **fields}
    return responses.parse_request(body | ({"previous_response_id": previous} if previous else {}), None, None)


def answered(id: str, *parts: Any) -> Response:
    return Response(id=id, model="m", created=5, choices=[Choice(parts=list(parts) or [Text(text=f"answer {id}")])])


def keep(store: Store, id: str, previous: str | None = None, tenant: str = "", **fields: Any) -> None:
    assert store.put(Kept(asked(f"question {id}", previous, **fields), answered(id)), tenant)


def texts(request: Request) -> list[tuple[str, str]]:
    return [(m.role, "".join(part.text for part in m.parts if isinstance(part, Text))) for m in request.messages]


def test_what_is_kept_comes_back_whole(store: Store):
    signed = Thinking(text="hm", signature=Signature("anthropic", "sig"), extras={"anthropic": {"x": [1, None, 2.5]}})
    request = asked("q", tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}])
    kept = Kept(request, answered("resp_1", signed, ToolCall(id="c", name="f", arguments='{"a": 1.0}')))
    assert store.put(kept, "ann")
    assert store.get("resp_1", "ann") == kept
    assert isinstance(kept.request.tools[0], Function)


@settings(max_examples=40, deadline=None)
@given(request=ir.requests(), response=ir.responses)
def test_any_turn_can_be_kept(request: Request, response: Response):
    store = Store(limit=10 << 20)
    try:
        assert store.put(Kept(request, response), "")
        assert store.get(response.id, "") == Kept(request, response)
    finally:
        store.close()


def test_a_conversation_is_continued_from_any_of_its_turns(store: Store):
    keep(store, "resp_1", instructions="Old rules.")
    keep(store, "resp_2", "resp_1")
    keep(store, "resp_3", "resp_2")
    request = asked("And now?", "resp_3", instructions="New rules.")
    before = msgspec.json.encode(request)
    found = expanded(request, store, "")
    assert texts(found) == [
        ("system", "New rules."),
        ("user", "question resp_1"),
        ("assistant", "answer resp_1"),
        ("user", "question resp_2"),
        ("assistant", "answer resp_2"),
        ("user", "question resp_3"),
        ("assistant", "answer resp_3"),
        ("user", "And now?"),
    ]
    assert msgspec.json.encode(request) == before, "the turn itself is kept without its history"
    assert [text for _, text in texts(expanded(asked("Again", "resp_1"), store, ""))] == [
        "question resp_1",
        "answer resp_1",
        "Again",
    ]


def test_the_client_is_told_of_what_it_continued(store: Store):
    keep(store, "resp_1")
    found = expanded(asked("Go on", "resp_1"), store, "")
    body = responses.format_response(answered("resp_2"), found, Losses())
    assert body["previous_response_id"] == "resp_1"
    sent = responses.format_request(found, target("gpt-5.5"), Losses())
    assert "previous_response_id" not in sent
    assert [item.get("content") for item in sent["input"]] == ["question resp_1", "answer resp_1", "Go on"]


def test_a_request_that_refers_to_nothing_is_itself(store: Store):
    request = asked("Hi")
    assert expanded(request, store, "") is request


@pytest.mark.parametrize("previous", ["resp_9", 5])
def test_an_unknown_id_is_the_vendors_own_error(store: Store, previous: Any):
    request = asked("Hi", previous)
    with pytest.raises(NotFound) as caught:
        expanded(request, store, "")
    status, body = responses.format_error(caught.value.failure)
    assert status == 404
    assert body["error"] == {
        "message": f"Previous response with id '{previous}' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }
    assert expanded(request, store, "", native=True) is request


def test_tenants_do_not_see_one_another(store: Store):
    keep(store, "resp_1", tenant="ann")
    keep(store, "resp_1", tenant="bob")
    keep(store, "resp_2", "resp_1", tenant="bob")
    assert store.get("resp_2", "ann") is None and not store.delete("resp_2", "ann")
    with pytest.raises(NotFound):
        expanded(asked("x", "resp_2"), store, "ann")
    assert store.delete("resp_1", "ann") and store.get("resp_1", "bob") is not None


def test_what_is_deleted_is_gone(store: Store):
    keep(store, "resp_1")
    keep(store, "resp_2", "resp_1")
    assert store.delete("resp_1", "") and not store.delete("resp_1", "")
    assert store.get("resp_1", "") is None and store.get("resp_2", "") is not None
    with pytest.raises(NotFound):
        expanded(asked("x", "resp_2"), store, "")
    assert store.size > 0
    assert store.delete("resp_2", "") and store.size == 0


def test_an_id_kept_twice_is_the_later(store: Store):
    keep(store, "resp_1")
    size = store.size
    keep(store, "resp_1")
    assert store.size == size


def test_the_longest_unread_goes_first(clock: Clock):
    store = Store(limit=1500, clock=clock)
    try:
        for number in range(1, 4):
            keep(store, f"resp_{number}", f"resp_{number - 1}" if number > 1 else None)
        keep(store, "lone_1")
        assert len(expanded(asked("x", "resp_3"), store, "").messages) == 7  # the whole chain is fresh again
        while store.get("lone_1", ""):
            keep(store, f"new_{clock.now}")
        assert store.get("resp_1", "") is not None
        assert 0 < store.size <= 1500
        assert not store.put(Kept(asked("x" * 2000), answered("large")), "")
    finally:
        store.close()


def test_the_newest_stays_even_when_the_clock_stands_still():
    store = Store(limit=700, clock=lambda: 5.0)
    try:
        for number in range(20):
            keep(store, f"resp_{number}")
            assert store.get(f"resp_{number}", "") is not None and store.size <= 700
    finally:
        store.close()


def test_what_is_old_is_gone(clock: Clock):
    store = Store(age=100, clock=clock)
    try:
        keep(store, "resp_1")
        clock.now += 200
        assert store.get("resp_1", "") is None
        keep(store, "resp_2")
        assert store.size < 1000 and store.delete("resp_1", "") is False
    finally:
        store.close()


def test_a_circle_has_no_beginning(store: Store):
    keep(store, "resp_1", "resp_2")
    keep(store, "resp_2", "resp_1")
    with pytest.raises(NotFound):
        expanded(asked("x", "resp_2"), store, "")


def test_workers_share_a_file_and_it_outlives_them(tmp_path: Path):
    path = str(tmp_path / "kept.sqlite")
    one, two = Store(path), Store(path)
    keep(one, "resp_1")
    assert two.get("resp_1", "") is not None
    keep(two, "resp_2", "resp_1")
    assert len(expanded(asked("x", "resp_2"), one, "").messages) == 5
    one.close()
    two.close()
    again = Store(path)
    assert again.get("resp_2", "") is not None
    again.close()


def test_workers_that_start_at_once_all_open_the_file(tmp_path: Path):
    together = threading.Barrier(4)

    def start(path: str) -> None:
        together.wait(10)
        Store(path).close()

    with ThreadPoolExecutor(4) as workers:
        for number in range(30):
            list(workers.map(start, [str(tmp_path / f"{number}.sqlite")] * 4))


def test_a_file_that_another_will_not_let_go_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = str(tmp_path / "kept.sqlite")
    monkeypatch.setattr(store_room, "_PATIENCE", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Store(path)
    other.close()


def test_a_locked_file_costs_the_memory_not_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = str(tmp_path / "kept.sqlite")
    store = Store(path)
    keep(store, "resp_1")
    store._db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.put(Kept(asked("x"), answered("resp_2")), "") is False
    assert len(expanded(asked("x", "resp_1"), store, "").messages) == 3
    other.execute("ROLLBACK")
    other.close()
    keep(store, "resp_2")
    store.close()


def test_a_private_file_is_private_and_goes_with_its_owner():
    path = private_file()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    os.unlink(path)
    store = Store()
    mine = store._own
    assert mine is not None and os.path.exists(mine)
    store.close()
    assert not os.path.exists(mine) and not os.path.exists(mine + "-wal")


def test_what_cannot_be_encoded_is_not_kept(store: Store):
    assert store.put(Kept(asked("x", metadata={"n": 10**30}), answered("resp_1")), "") is False
    assert store.get("resp_1", "") is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"previous": "resp_1"}, "previous_response_id"),
    ],
)
def test_what_only_the_vendor_can_do_is_refused_elsewhere(fields: Json, param: str):
    with pytest.raises(Unsupported) as caught:
        must_be_native(asked("x", **fields))
    assert (caught.value.failure.param, caught.value.failure.status) == (param, 400)


def test_what_anyone_can_do_is_not(store: Store):
    keep(store, "resp_1")
    must_be_native(asked("x", background=False))
    must_be_native(expanded(asked("x", "resp_1"), store, ""))
    must_be_native(Request(model="m", messages=[Message(role="user")]))


def test_a_client_may_ask_not_to_be_kept():
    assert wanted(asked("x")) and wanted(asked("x", store=True)) and not wanted(asked("x", store=False))


def test_the_vendors_own_shapes():
    assert deleted("resp_1") == {"id": "resp_1", "object": "response.deleted", "deleted": True}
    assert responses.format_error(not_found("resp_1").failure)[0] == 404
    items = [{"id": f"msg_{n}"} for n in range(5)]
    assert page(items) == {
        "object": "list",
        "data": items[::-1],
        "first_id": "msg_4",
        "last_id": "msg_0",
        "has_more": False,
    }
    second = page(items, after="msg_1", limit=2, order="asc")
    assert ([item["id"] for item in second["data"]], second["has_more"]) == (["msg_2", "msg_3"], True)
    assert page([])["first_id"] is None
    for limit, order in ((0, "asc"), (101, "asc"), (5, "any")):
        with pytest.raises(InvalidRequest):
            page(items, limit=limit, order=order)
