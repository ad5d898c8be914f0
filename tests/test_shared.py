"""Tools that were seen before: read and written as if for the first time, whoever asks; and the memory is bounded."""

import json
from typing import Any

import msgspec
import pytest

from interlingua.errors import InvalidRequest
from interlingua.losses import Losses
from interlingua.protocols import shared, target
from interlingua.protocols.shared import Reader, Tools, decode_request
from interlingua.protocols.wire import decode_json, encode_json
from tests.vector_cases import PROTOCOLS, Case, cases

TOLD = [
    case for case in cases("requests").values() if b'"tools"' in b"".join(case.source(name).read_bytes() for name in case.told_by)
]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def padded(tools: Any) -> bytes:
    """A request too large for its tools to be read at once."""
    return json.dumps({"messages": [], "tools": tools, "user": "u" * 8192}).encode()


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case.folder.name)
def test_what_was_seen_before_is_sent_and_lost_as_it_was_the_first_time(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_LARGE", 0)
    for source in case.told_by:
        read, body = PROTOCOLS[source].parse_request, case.source(source).read_bytes()
        for goal in case.protocols:
            to = target(case.about["models"][goal])
            plain, lost = read(decode_json(body), "m-1", False), Losses()
            expected = decode_json(encode_json(PROTOCOLS[goal].format_request(plain, to, lost)))
            for _ in range(2):
                request, losses = read(decode_request(body), "m-1", False), Losses()
                said = PROTOCOLS[goal].format_request(request, to, losses)
                assert decode_json(encode_json(said)) == expected
                assert losses == lost


def test_the_same_bytes_give_the_same_tools_and_others_do_not() -> None:
    reader = Reader(lambda value: [msgspec.convert(item, Any) for item in value])
    first, again = (reader(decode_request(padded([TOOL]))["tools"]) for _ in range(2))
    assert first is again and isinstance(first, Tools)
    assert reader(decode_request(padded([TOOL, TOOL]))["tools"]) is not first


@pytest.mark.parametrize("tools", [[], None, "none", {"a": 1}, [1, 2]])
def test_what_is_no_list_of_tools_is_read_at_once(tools: Any) -> None:
    assert decode_request(padded(tools))["tools"] == tools


def test_letters_that_are_none_are_refused_when_the_tools_are_read() -> None:
    body = decode_request(padded([TOOL]).replace(b"look", b"lo\xff"))
    with pytest.raises(InvalidRequest) as caught:
        PROTOCOLS["openai"].parse_request(body, "m-1", False)
    assert caught.value.failure.param == "tools"


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_HELD", 10_000)
    monkeypatch.setattr(shared, "_LARGEST", 5_000)
    reader = Reader(list[Any])

    def given(word: str) -> Any:
        return reader(decode_request(padded([{"name": word * 4_000}]))["tools"])

    a, b = given("a"), given("b")
    assert given("a") is a
    given("c")
    assert given("b") is b
    assert given("a") is not a  # it was the oldest
    assert given("d" * 2) is not given("d" * 2)  # too large to be kept


def test_no_more_models_are_kept_than_a_few() -> None:
    tools, asked = Tools([]), list[str]()

    def of(model: str) -> None:
        shared.written(tools, (model,), lambda lose: [{"model": asked.append(model)}], Losses())

    for model in ("a", "b", "c", "d", "a", "e", "a"):
        of(model)
    assert asked == ["a", "b", "c", "d", "e", "a"]
