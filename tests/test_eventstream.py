"""AWS's binary event stream: any cut gives the same frames, any flipped bit is refused, botocore reads and writes the same."""

import json
import struct
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.errors import FramingError
from interlingua.framing import Frame, Out, eventstream
from interlingua.framing.eventstream import Decoder, encode, encode_all

calm = settings(max_examples=60, deadline=None)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
outs = st.builds(Out, data=st.binary(max_size=80), event=names | names.map("exception:{}".format))
SAMPLE = [
    Out({"role": "assistant"}, "messageStart"),
    Out({"contentBlockIndex": 0, "delta": {"text": "Grüße \u2028"}}, "contentBlockDelta"),
    Out(b"", "empty"),
    Out({"message": "slow down"}, "exception:throttlingException"),
]


def message(headers: bytes, payload: bytes = b"{}", **wrong: Any) -> bytes:
    """A message as AWS writes it, but for what a test wants wrong."""
    total, length = wrong.get("total", 16 + len(headers) + len(payload)), wrong.get("length", len(headers))
    start = struct.pack(">II", total, length)
    body = start + struct.pack(">I", wrong.get("prelude", crc32(start))) + headers + payload
    return body + struct.pack(">I", wrong.get("crc", crc32(body)))


def header(name: str, value: bytes, kind: int = 7) -> bytes:
    size = struct.pack(">H", len(value)) if kind in (6, 7) else b""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + size + value


EVENT = header(":message-type", b"event") + header(":event-type", b"x")


def frames_of(data: bytes, sizes: list[int] | None = None) -> list[Frame]:
    decoder, frames = Decoder(), []
    for size in sizes or []:
        frames += decoder.feed(data[:size])
        data = data[size:]
    return frames + decoder.feed(data) + decoder.close()


def test_frames_are_what_was_sent() -> None:
    assert frames_of(encode_all(SAMPLE)) == [
        Frame("messageStart", b'{"role":"assistant"}'),
        Frame("contentBlockDelta", '{"contentBlockIndex":0,"delta":{"text":"Grüße \u2028"}}'.encode()),
        Frame("empty", b""),
        Frame("exception:throttlingException", b'{"message":"slow down"}'),
    ]


@calm
@given(st.lists(outs, max_size=5), st.lists(st.integers(0, 40), max_size=12))
def test_frames_are_the_same_however_the_bytes_are_cut(sent: list[Out], sizes: list[int]) -> None:
    assert frames_of(encode_all(sent), sizes) == [Frame(out.event, out.data) for out in sent]


def test_every_flipped_bit_is_refused() -> None:
    """In the lengths, the CRCs, the headers or the payload: no frame of the damaged message is ever told."""
    good = encode(SAMPLE[1])
    for place in range(len(good) * 8):
        data = bytearray(good)
        data[place // 8] ^= 1 << place % 8
        decoder = Decoder()
        with pytest.raises(FramingError):
            decoder.feed(bytes(data))
            decoder.close()
        with pytest.raises(FramingError):
            decoder.feed(good)


@calm
@given(st.binary(max_size=200), st.lists(st.integers(0, 30), max_size=8))
def test_any_bytes_are_frames_or_refused(data: bytes, sizes: list[int]) -> None:
    try:
        whole: Any = frames_of(data)
    except FramingError as error:
        whole = str(error)
    try:
        cut: Any = frames_of(data, sizes)
    except FramingError as error:
        cut = str(error)
    assert whole == cut


@calm
@given(st.lists(outs, min_size=1, max_size=3), st.data())
def test_damage_in_a_stream_hides_nothing_before_it(sent: list[Out], data: st.DataObject) -> None:
    wire = bytearray(encode_all(sent))
    where = data.draw(st.integers(0, len(wire) - 1))
    wire[where] ^= data.draw(st.integers(1, 255))
    decoder, frames = Decoder(), list[Frame]()
    with pytest.raises(FramingError):
        frames += decoder.feed(bytes(wire))
        frames += decoder.close()
    before = [len(encode_all(sent[: i + 1])) <= where for i in range(len(sent))]
    assert frames == [Frame(out.event, out.data) for out, whole in zip(sent, before, strict=True) if whole]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (message(EVENT, total=15, length=0), "lengths"),
        (message(EVENT, length=len(EVENT) + 3), "lengths"),
        (message(EVENT, prelude=0), "prelude"),
        (message(EVENT, crc=0), "damaged"),
        (message(EVENT, b" " * 2_000), "larger than 1024"),
        (message(b""), "what it is"),
        (message(header(":message-type", b"event")), "what it is"),
        (message(header(":message-type", b"exception") + header(":event-type", b"x")), "what it is"),
        (message(EVENT + b"\x05ab"), "malformed"),
        (message(EVENT + b"\x01a\x0a"), "malformed"),
        (message(EVENT + b"\x01a\x07\x00"), "malformed"),
        (message(EVENT + b"\x01a\x07\x00\x09ab"), "malformed"),
        (message(EVENT + header("a", b"\xff")), "malformed"),
    ],
)
def test_malformed_messages_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(FramingError, match=why):
        Decoder(1024).feed(data)


def test_an_oversized_message_is_refused_before_it_has_come() -> None:
    with pytest.raises(FramingError, match="larger"):
        Decoder(1024).feed(message(EVENT, b" " * 2_000)[:12])
    with pytest.raises(FramingError, match="lengths"):  # headers of more than 128 KiB
        Decoder(1 << 30).feed(message(b"", total=200_000, length=150_000))


@pytest.mark.parametrize("kept", [1, 11, 12, 40, -1])
def test_a_truncated_stream_is_refused(kept: int) -> None:
    good = encode(SAMPLE[0])
    decoder = Decoder()
    assert decoder.feed(good) != [] and decoder.close() == []
    assert decoder.feed(good[:kept]) == []
    with pytest.raises(FramingError, match="within a message"):
        decoder.close()


def test_headers_of_every_type_are_read_past() -> None:
    others = b"".join(
        header(name, value, kind)
        for name, value, kind in (
            ("t", b"", 0),
            ("f", b"", 1),
            ("b", b"1", 2),
            ("s", b"12", 3),
            ("i", b"1234", 4),
            ("l", b"12345678", 5),
            ("y", b"bytes", 6),
            ("d", b"12345678", 8),
            ("u", b"0123456789abcdef", 9),
        )
    )
    assert frames_of(message(others + EVENT, b"data")) == [Frame("x", b"data")]


def test_an_error_message_tells_its_code_and_words() -> None:
    raw = header(":message-type", b"error") + header(":error-code", b"InternalError") + header(":error-message", b"oh")
    assert frames_of(message(raw, b"")) == [Frame("error:InternalError", b'{"message":"oh"}')]


# botocore, in both directions


def test_botocore_reads_what_we_write() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(encode_all(SAMPLE))
    events = list(buffer)
    kinds = [
        (event.headers[":message-type"], event.headers.get(":event-type") or event.headers[":exception-type"]) for event in events
    ]
    assert kinds == [
        ("event", "messageStart"),
        ("event", "contentBlockDelta"),
        ("event", "empty"),
        ("exception", "throttlingException"),
    ]
    assert all(event.headers[":content-type"] == "application/json" for event in events)
    assert json.loads(events[1].payload)["delta"]["text"] == "Grüße \u2028"
    assert events[3].to_response_dict()["status_code"] == 400


@calm
@given(st.lists(outs, max_size=4))
def test_botocore_and_we_read_the_same(sent: list[Out]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(encode_all(sent))
    theirs = [(event.headers.get(":event-type"), event.headers.get(":exception-type"), event.payload) for event in buffer]
    ours = [
        (None, frame.event.removeprefix("exception:"), frame.data)
        if (frame.event or "").startswith("exception:")
        else (frame.event, None, frame.data)
        for frame in frames_of(encode_all(sent))
        if frame.event is not None
    ]
    assert theirs == ours


def test_we_read_what_botocore_itself_was_tested_with() -> None:
    """A message with a header of each integer type, its CRCs computed by botocore's own reader."""
    data = message(EVENT + header("n", struct.pack(">i", 7), 4), b"{'foo':'bar'}")
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    (theirs,) = list(buffer)
    assert theirs.headers["n"] == 7
    assert frames_of(data) == [Frame("x", theirs.payload)]


def test_an_endless_name_is_cut_to_what_a_header_holds() -> None:
    assert len(frames_of(encode(Out({}, "x" * 70_000)))[0].event or "") == 0x7FFF


def test_the_heartbeat_is_a_whole_event_that_no_reader_knows() -> None:
    assert frames_of(eventstream.HEARTBEAT) == [Frame("heartbeat", b"{}")]
