"""Framing: whatever the cuts, the frames are the same; whatever the bytes, the answer is frames or FramingError."""

import json
import re
from collections.abc import Callable
from typing import Protocol

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interlingua.errors import FramingError
from interlingua.framing import Frame, Out, jsonarray, sse

quick = settings(max_examples=200, deadline=None)


class Decoder(Protocol):
    def feed(self, chunk: bytes, /) -> list[Frame]: ...

    def close(self) -> list[Frame]: ...


Outcome = tuple[list[Frame], str | None]  # all frames, and the error they ended with


def decode(decoder: Decoder, chunks: list[bytes]) -> Outcome:
    frames: list[Frame] = []
    try:
        for chunk in chunks:
            frames += decoder.feed(chunk)
        frames += decoder.close()
    except FramingError as error:
        return frames, str(error)
    return frames, None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def every_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def sse_frames(data: bytes) -> list[Frame]:
    frames, error = decode(sse.Decoder(), [data])
    assert error is None
    return frames


def reference(data: bytes) -> list[Frame]:
    """The standard's own words, one line after the other; the end of the bytes ends line and event."""
    frames: list[Frame] = []
    event, values = b"", list[bytes]()
    for line in [*re.split(rb"\r\n|\r|\n", data.removeprefix(b"\xef\xbb\xbf")), b""]:
        if not line:
            if values:
                frames.append(Frame(event.decode("utf-8", "replace") or None, b"\n".join(values)))
            event, values = b"", []
            continue
        name, colon, value = line.partition(b":")
        if colon and value[:1] == b" ":
            value = value[1:]
        if name == b"event":
            event = value
        elif name == b"data":
            values.append(value)
    return frames


TOKENS = [b"data: ", b"data:", b"data", b"event: ", b"event:x", b"id: 7", b"retry: 1", b": comment", b" ", b":", b"x", b"{}"]
LINE_ENDS = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\xef\xbb\xbf",
    b"\xef\xbb",
    "\u2028".encode(),
    b"\x85",
    b"\xc3",
    b"\xa9",
    b"\x00",
]
streams = st.lists(st.sampled_from(TOKENS + LINE_ENDS), max_size=40).map(b"".join) | st.binary(max_size=60)
places = st.lists(st.integers(0, 200), max_size=8)


class TestSseDecoder:
    @pytest.mark.parametrize(
        ("data", "frames"),
        [
            (b"data: a\n\n", [Frame(None, b"a")]),
            (b"data: a\r\n\r\n", [Frame(None, b"a")]),
            (b"data: a\r\r", [Frame(None, b"a")]),
            (b"data: a\r\n\n", [Frame(None, b"a")]),
            (b"data: a\n\r\n", [Frame(None, b"a")]),
            (b"data:a\n\n", [Frame(None, b"a")]),
            (b"data:  a\n\n", [Frame(None, b" a")]),
            (b"data: a\ndata:b\ndata\n\n", [Frame(None, b"a\nb\n")]),
            (b"data:\n\n", [Frame(None, b"")]),
            (b"data: \n\n", [Frame(None, b"")]),
            (b"event: e\ndata: a\n\n", [Frame("e", b"a")]),
            (b"data: a\nevent: e\n\n", [Frame("e", b"a")]),
            (b"event: e\nevent: f\ndata: a\n\n", [Frame("f", b"a")]),
            (b"event: \ndata: a\n\n", [Frame(None, b"a")]),
            (b"event: lost\n\ndata: a\n\n", [Frame(None, b"a")]),
            (b": ping\n\ndata: a\n\n", [Frame(None, b"a")]),
            (b"id: 1\nretry: 9\nwhatever: x\ndata: a\n\n", [Frame(None, b"a")]),
            (b"Data: a\n\n", []),
            (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [Frame(None, b"a"), Frame(None, b"b")]),
            (b"\xef\xbb\xbfdata: a\n\n", [Frame(None, b"a")]),
            (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Frame(None, b"a")]),
            (b"data: a\n\ndata: b\n\ndata: c\n\n", [Frame(None, b"a"), Frame(None, b"b"), Frame(None, b"c")]),
            (b"event: x\ndata: a\n\nevent: y\ndata: b\n\n", [Frame("x", b"a"), Frame("y", b"b")]),
            (b"event: x\ndata: a\n\nevent: y\n\ndata: b\ndata: c\n\n", [Frame("x", b"a"), Frame(None, b"b\nc")]),
            ("event: é\ndata: \u2028\x85\n\n".encode(), [Frame("é", "\u2028\x85".encode())]),
            (b"event: \xff\ndata: \xff\n\n", [Frame("\ufffd", b"\xff")]),
        ],
    )
    def test_reads_what_the_standard_says(self, data: bytes, frames: list[Frame]):
        assert sse_frames(data) == frames
        assert decode(sse.Decoder(), every_byte(data)) == (frames, None)

    @quick
    @given(streams, places)
    @example(b"data: a\r\n\r\n", [8])
    @example(b"event: a\ndata: b\n\nevent: c\n\n\ndata: d", [])
    @example(b"data: a\n\n\ndata: b\n\n", [9])
    def test_agrees_with_the_reference_however_cut(self, data: bytes, where: list[int]):
        expected = (reference(data), None)
        assert decode(sse.Decoder(), [data]) == expected
        assert decode(sse.Decoder(), cut(data, where)) == expected
        assert decode(sse.Decoder(), every_byte(data)) == expected

    def test_a_frame_comes_with_the_byte_that_completes_it(self):
        decoder = sse.Decoder()
        assert decoder.feed(b"data: a\n") == []
        assert decoder.feed(b"\n") == [Frame(None, b"a")]
        assert decoder.feed(b"data: b\r\n\r") == [Frame(None, b"b")]
        assert decoder.feed(b"\ndata: c\n") == []
        assert decoder.feed(b"\n") == [Frame(None, b"c")]

    @pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
    def test_the_end_of_the_body_ends_the_last_event(self, end: bytes):
        decoder = sse.Decoder()
        assert decoder.feed(b"data: a\n\nevent: e\ndata: [DONE]" + end) == [Frame(None, b"a")]
        assert decoder.close() == [Frame("e", b"[DONE]")]

    def test_nothing_is_made_of_an_end_without_data(self):
        decoder = sse.Decoder()
        assert decoder.feed(b"event: e\n: comment") == []
        assert decoder.close() == []

    def test_a_character_cut_in_two_is_whole_again(self):
        decoder = sse.Decoder()
        data = "data: né\u2028\n\n".encode()
        assert [decoder.feed(data[:8]), decoder.feed(data[8:10]), decoder.feed(data[10:])] == [
            [],
            [],
            [Frame(None, "né\u2028".encode())],
        ]

    @pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False)])
    def test_the_limit_is_exact(self, size: int, fits: bool):
        block = b"data: " + b"x" * (size - 6)
        expected: Outcome = ([Frame(None, block[6:])], None) if fits else ([], "an event is larger than 100 bytes")
        for data in (block, block + b"\n", block + b"\n\n", block + b"\r\n\r\n"):
            assert decode(sse.Decoder(100), [data]) == expected
            assert decode(sse.Decoder(100), every_byte(data)) == expected

    @quick
    @given(streams, places, st.integers(1, 30))
    @example(b"\xef\xbb\xbf", [2], 1)
    def test_a_limit_is_the_same_however_cut(self, data: bytes, where: list[int], limit: int):
        whole = decode(sse.Decoder(limit), [data])
        assert decode(sse.Decoder(limit), cut(data, where)) == whole
        assert decode(sse.Decoder(limit), every_byte(data)) == whole
        assert whole[0] == reference(data)[: len(whole[0])]

    def test_frames_before_the_limit_are_not_lost_and_the_error_stays(self):
        decoder = sse.Decoder(10)
        assert decoder.feed(b"data: a\n\ndata: " + b"x" * 20 + b"\n\ndata: b\n\n") == [Frame(None, b"a")]
        for call in (lambda: decoder.feed(b""), lambda: decoder.feed(b"data: c\n\n"), decoder.close):
            with pytest.raises(FramingError, match="larger than 10 bytes"):
                call()

    def test_an_endless_event_is_refused_before_it_ends(self):
        decoder = sse.Decoder(1000)
        fed = 0
        with pytest.raises(FramingError):
            while fed < 5000:
                fed += 100
                decoder.feed(b"x" * 100)
        assert fed == 1100


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
payloads = json_values | st.binary(max_size=20).filter(lambda data: b"\r" not in data)
names = st.none() | st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1, max_size=8)


class TestSseEncoder:
    def test_the_shape(self):
        assert sse.encode(Out({"a": "\u2028\n"}, "e")) == 'event: e\ndata: {"a":"\u2028\\n"}\n\n'.encode()
        assert sse.encode(Out([1])) == b"data: [1]\n\n"
        assert sse.encode(Out(b"[DONE]")) == b"data: [DONE]\n\n"
        assert sse.encode_all([Out(b"[DONE]"), Out(1, "e")]) == b"data: [DONE]\n\nevent: e\ndata: 1\n\n"
        assert sse.encode_all([]) == b""

    @quick
    @given(st.lists(st.builds(Out, payloads, names), max_size=5))
    def test_what_is_sent_is_received(self, outs: list[Out]):
        data = sse.encode_all(outs)
        assert data == b"".join(sse.encode(out) for out in outs)
        frames = sse_frames(data)
        assert [frame.event for frame in frames] == [out.event for out in outs]
        for frame, out in zip(frames, outs, strict=True):
            assert (frame.data if isinstance(out.data, bytes) else json.loads(frame.data)) == out.data

    def test_no_payload_or_name_forges_an_event(self):
        forged = b"a\n\nevent: evil\r\ndata: b\rc"
        assert sse_frames(sse.encode(Out(forged))) == [Frame(None, b"a\n\nevent: evil\ndata: b\nc")]
        assert sse_frames(sse.encode(Out(1, "e\ndata: evil\r\n\n"))) == [Frame("edata: evil", b"1")]

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
    def test_a_comment_is_heard_by_nobody(self, text: str):
        assert sse_frames(sse.comment(text) + b"data: a\n\n") == [Frame(None, b"a")]
        assert sse.comment(text).endswith(b"\n\n")


def array_frames(data: bytes) -> list[bytes]:
    frames, error = decode(jsonarray.Decoder(), [data])
    assert error is None
    assert {frame.event for frame in frames} <= {None}
    return [frame.data for frame in frames]


ARRAY_TOKENS = [b"[", b"]", b"{", b"}", b",", b'"', b"\\", b":", b"1", b"null", b" ", b"\r\n", b"x", b"\xc3", "\u2028".encode()]
array_bytes = st.lists(st.sampled_from(ARRAY_TOKENS), max_size=30).map(b"".join)
texts_of_values = st.lists(st.tuples(json_values, st.sampled_from([None, 1])), max_size=5)


class TestJsonArray:
    @pytest.mark.parametrize(
        ("data", "elements"),
        [
            (b"[]", []),
            (b" \r\n[ \n ]\t", []),
            (b'[{"a":1}\n,\r\n{"b":[2,{}]}]', [b'{"a":1}', b'{"b":[2,{}]}']),
            (b'[1 , "x",null,[]]', [b"1", b'"x"', b"null", b"[]"]),
            (b'[{"a":"]},[{\\""},"\\\\","\\"]"]', [b'{"a":"]},[{\\""}', b'"\\\\"', b'"\\"]"']),
        ],
    )
    def test_elements(self, data: bytes, elements: list[bytes]):
        assert array_frames(data) == elements
        assert decode(jsonarray.Decoder(), every_byte(data)) == ([Frame(None, element) for element in elements], None)

    @quick
    @given(texts_of_values, places)
    def test_any_json_array_gives_its_elements_however_cut(self, pairs: list[tuple[object, int | None]], where: list[int]):
        data = (
            (b"[" + b" ,\r\n".join(json.dumps(value, indent=indent).encode() for value, indent in pairs) + b"]")
            if pairs
            else b"[]"
        )
        for chunks in ([data], cut(data, where), every_byte(data)):
            frames, error = decode(jsonarray.Decoder(), chunks)
            assert error is None
            assert [json.loads(frame.data) for frame in frames] == [value for value, _ in pairs]

    @quick
    @given(array_bytes | array_bytes.map(lambda data: b"[" + data + b"]"), places, st.sampled_from([5, 1000]))
    def test_any_bytes_give_frames_or_a_framing_error_the_same_however_cut(self, data: bytes, where: list[int], limit: int):
        whole = decode(jsonarray.Decoder(limit), [data])
        assert decode(jsonarray.Decoder(limit), cut(data, where)) == whole
        assert decode(jsonarray.Decoder(limit), every_byte(data)) == whole

    def test_an_element_comes_with_its_last_byte_not_with_the_comma(self):
        decoder = jsonarray.Decoder()
        assert decoder.feed(b'[{"a": 1') == []
        assert decoder.feed(b"}") == [Frame(None, b'{"a": 1}')]
        assert decoder.feed(b",\r\n") == []

    @pytest.mark.parametrize(
        "data", [b"{}", b"x", b"[,]", b"[1,]", b"[1,,2]", b"[}", b"[1}", b'["a" 1]', b"[]]", b"[] x", b'[{}"a"]']
    )
    def test_what_is_no_array(self, data: bytes):
        _, error = decode(jsonarray.Decoder(), [data])
        assert error is not None

    @pytest.mark.parametrize("data", [b"", b" ", b"[", b"[1", b"[1,", b"[{}", b'["a', b'["\\'])
    def test_an_array_that_ends_early(self, data: bytes):
        assert decode(jsonarray.Decoder(), [data])[1] == "the JSON array ended before its closing bracket"

    @pytest.mark.parametrize(("size", "fits"), [(50, True), (51, False)])
    def test_the_limit_is_exact(self, size: int, fits: bool):
        element = b'"' + b"x" * (size - 2) + b'"'
        expected = ([Frame(None, b"1"), Frame(None, element)], None)
        if not fits:
            expected = ([Frame(None, b"1")], "an element is larger than 50 bytes")
        assert decode(jsonarray.Decoder(50), [b"[1, " + element + b"]"]) == expected
        assert decode(jsonarray.Decoder(50), every_byte(b"[1, " + element + b"]")) == expected

    def test_white_space_between_elements_costs_nothing(self):
        decoder = jsonarray.Decoder(10)
        assert decoder.feed(b"[1,") == [Frame(None, b"1")]
        assert [decoder.feed(jsonarray.BLANK * 100) for _ in range(3)] == [[], [], []]
        assert decoder.feed(b"2]") == [Frame(None, b"2")]

    @quick
    @given(st.lists(json_values, max_size=5))
    def test_what_is_encoded_is_one_array_with_or_without_heartbeats(self, values: list[object]):
        encoder = jsonarray.Encoder()
        pieces = [encoder.encode(Out(value, "ignored")) for value in values] + [encoder.close()]
        assert json.loads(b"".join(pieces)) == values
        assert json.loads(jsonarray.BLANK.join(pieces)) == values
        assert [json.loads(element) for element in array_frames(jsonarray.BLANK.join(pieces))] == values

    def test_the_shape(self):
        encoder = jsonarray.Encoder()
        assert encoder.encode_all([Out({"a": 1}), Out(b'{"raw": 1}')]) + encoder.encode_all([]) + encoder.close() == (
            b'[{"a":1},\r\n{"raw": 1}]'
        )
        assert jsonarray.Encoder().close() == b"[]"


@pytest.mark.parametrize("new", [sse.Decoder, jsonarray.Decoder])
@quick
@given(data=st.binary(max_size=200), where=places)
def test_garbage_in_one_piece_or_many_is_the_same(new: Callable[[], Decoder], data: bytes, where: list[int]):
    assert decode(new(), [data]) == decode(new(), cut(data, where))
