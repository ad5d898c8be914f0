"""Tools that were seen before: read and written as if for the first time, whoever asks; and the memory is bounded."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
def test_what_was_seen_before_is_sent_and_lost_as_it_was_the_first_time(case: Case) -> None:
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


def test_letters_that_are_none_are_told_by_their_place_in_the_whole() -> None:
    seen = padded([TOOL])
    for body in (seen.replace(b"look", b"lo\xff"), seen.replace(b"uuu", b"u\xff", 1)):
        for _ in range(2):
            with pytest.raises(UnicodeDecodeError):
                decode_request(body)
            decode_request(seen)


def told(tools: Any, spaces: str = "") -> str:
    return f'"tools":{spaces}{json.dumps(tools)}'


TOLD_ONCE = told([TOOL])
PIECES = [
    TOLD_ONCE,
    told([TOOL], " \n\t\r"),
    told([TOOL, TOOL]),
    told([]),
    told(7),
    '"tools"',
    ":",
    json.dumps([TOOL]),
    json.dumps(TOLD_ONCE),
    '"\\u0074ools":[]',
    "{",
    "}",
    "[",
    "]",
    ",",
    '"a":',
    "1",
    '"',
    "\\",
    "x",
]
WHOLE = ["{" + ",".join(pieces) + "}" for pieces in ([TOLD_ONCE, told(7)], [told([]), TOLD_ONCE], ['"a":{' + TOLD_ONCE + "}"])]
bodies = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.lists(
    st.sampled_from([piece for piece in PIECES if piece.startswith('"') and ":" in piece and piece[-1] in "}]7"]), max_size=4
).map(lambda fields: "{" + ",".join(fields) + "}")


@given(bodies.map(str.encode))
@example(b'{"a\\' + TOLD_ONCE.encode() + b"}")
@example(WHOLE[0].encode())
@example(WHOLE[1].encode())
@example(WHOLE[2].encode())
@example(WHOLE[2].replace('"a"', '"tools"').encode())
@example(f'{{"tools":[{{"properties":{{{TOLD_ONCE}}}}}]}}'.encode())
def test_a_request_with_known_tools_is_read_as_if_it_had_none(body: bytes) -> None:
    def outcome(read: Any) -> Any:
        try:
            value = read(body)
        except msgspec.DecodeError as error:
            return str(error)
        raw = value.get("tools") if isinstance(value, dict) else None
        return {**value, "tools": decode_json(raw)} if isinstance(raw, msgspec.Raw) else value

    decode_request(f"{{{TOLD_ONCE}}}".encode())
    for _ in range(2):
        assert outcome(decode_request) == outcome(decode_json)


def test_known_tools_are_not_read_again() -> None:
    first, again = (decode_request(f"{{{TOLD_ONCE},{more}}}".encode()) for more in ('"a":1', '"b":[2]'))
    assert type(first["tools"]) is msgspec.Raw
    assert again == {"tools": first["tools"], "b": [2]}
    assert again["tools"] is first["tools"]


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


def test_of_lists_that_begin_alike_the_last_eight_are_known() -> None:
    reader = Reader(list[Any])

    def given(number: int) -> Any:
        return reader(decode_request(padded([{"name": "alike" * 40, "number": number}]))["tools"])

    first, second = given(1), given(2)
    for number in range(3, 9):
        given(number)
    assert given(1) is first
    given(9)
    assert given(2) is second and given(1) is not first


def test_few_places_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    memory = shared.Memory()
    find = memory.at

    def at(data: bytes, start: int) -> Any:
        looked.append(start)
        return find(data, start)

    monkeypatch.setattr(memory, "at", at)
    monkeypatch.setattr(shared, "memory", memory)
    body = b'{"messages":[' + b",".join([b'{"tools":1}'] * 5_000) + b'],"tools":' + json.dumps([TOOL]).encode() + b"}"
    for _ in range(2):
        read = decode_request(body)
        assert decode_json(read["tools"]) == [TOOL] and len(read["messages"]) == 5_000
    assert len(looked) == 2 * (4 + 1)  # the fifth is where they are learned
