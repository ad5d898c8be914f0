"""Anthropic's stream, read with its oddities and written for the vendor's SDK to judge."""

import json
from typing import Any

import anthropic as sdk
import pytest

from interlingua.carry import seal, unseal
from interlingua.errors import UpstreamGarbage
from interlingua.fold import fold
from interlingua.framing import Frame
from interlingua.ir import (
    AnyEvent,
    Choice,
    ChoiceEnd,
    Citation,
    End,
    Failure,
    Finish,
    Media,
    Opaque,
    OpaqueEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Place,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    Usage,
    UsageSoFar,
)
from interlingua.protocols import anthropic, openai
from tests.anthropic_cases import (
    GOOGLE,
    STOP,
    Json,
    answer,
    answered,
    delta,
    formatted,
    judged,
    message_delta,
    message_start,
    parse,
    paths,
    replayed,
    start,
    stop,
)

# Streams, read


def test_usage_is_a_total_and_what_is_not_told_again_stays():
    """11, 12."""
    first = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}
    events = parse(message_start(usage=first), message_delta(output_tokens=20), STOP)
    assert isinstance(events[0], Start) and events[0].usage == Usage(input=15, cache_read=5, output=1)
    assert events[-1] == End(usage=Usage(input=15, cache_read=5, output=20))
    events = parse(
        message_start(usage=first), message_delta(None, output_tokens=7), message_delta(input_tokens=12, output_tokens=20), STOP
    )
    assert events[1] == UsageSoFar(usage=Usage(input=15, cache_read=5, output=7))
    assert events[-1] == End(usage=Usage(input=17, cache_read=5, output=20))


def test_a_stream_of_odd_indices_is_read():
    """5, 6: gaps, one index twice, a stop that never came, a block that never began, a second message_start."""
    events = parse(
        message_start(),
        message_start(id="again"),
        start(4, type="text", text="a"),
        delta(4, type="text_delta", text="b"),
        start(4, type="text", text=""),
        delta(4, type="text_delta", text="c"),
        delta(9, type="text_delta", text="d"),
        delta(8, type="thinking_delta", thinking="e"),
        stop(77),
        message_delta(),
        STOP,
    )
    response = fold(events)
    assert response.id == "m1"
    assert response.choices[0].parts == [Text(text="ab"), Text(text="c"), Text(text="d"), Thinking(text="e")]
    assert sum(isinstance(event, PartStart) for event in events) == sum(isinstance(event, PartEnd) for event in events) == 4
    assert [event.index for event in events if isinstance(event, PartStart)] == [0, 1, 2, 3]


def test_a_delta_of_another_kind_begins_a_part_of_its_own():
    """3: thinking inside a text block."""
    events = parse(
        message_start(),
        start(0, type="text", text=""),
        delta(0, type="text_delta", text="a"),
        delta(0, type="thinking_delta", thinking="b"),
        delta(0, type="text_delta", text="c"),
        message_delta(),
        STOP,
    )
    assert fold(events).choices[0].parts == [Text(text="a"), Thinking(text="b"), Text(text="c")]


@pytest.mark.parametrize("deltas", [[], ['{"a":', "1}"]])
def test_arguments_told_with_the_start_are_told_once(deltas: list[str]):
    """1: whole input in the start block, with or without the deltas that say it again."""
    block = start(0, type="tool_use", id="t", name="f", input={"a": 1})
    pieces = [delta(0, type="input_json_delta", partial_json=piece) for piece in deltas]
    events = parse(message_start(), block, *pieces, stop(0), message_delta("tool_use"), STOP)
    assert fold(events).choices[0].parts == [ToolCall(id="t", name="f", arguments='{"a":1}')]


def test_a_seal_that_ends_a_turn_stands_alone():
    assert replayed([{"type": "thinking", "thinking": "", "signature": seal(GOOGLE)}]) == [Text(signature=GOOGLE)]


def test_a_delta_born_later_of_a_block_held_back():
    later = delta(0, type="later_delta", x=1)
    blocks = ({"type": "compaction", "content": None}, {"type": "thinking", "thinking": ""}, {"type": "x_later"})
    for block in blocks:
        events = parse(message_start(), start(0, **block), later, message_delta(), STOP)
        found, losses = formatted(*events)
        assert later in found and losses == []


def test_words_and_a_seal_in_one_block():
    """A thinking block's words are shown before its seal comes; the seal's signature is what the words are worth."""
    for sealed, signature in (
        (Thinking(text="a", signature=GOOGLE), GOOGLE),
        (GOOGLE, GOOGLE),
        (Thinking(text="a"), None),
        (None, None),
    ):
        events = parse(
            message_start(),
            start(0, type="thinking", thinking="", signature=""),
            delta(0, type="thinking_delta", thinking="a"),
            delta(0, type="signature_delta", signature=seal(sealed) if sealed else "il1.damaged"),
            message_delta(),
            STOP,
        )
        assert fold(events).choices[0].parts == [Thinking(text="a", signature=signature)]


def test_a_server_tools_input_is_gathered():
    events = parse(
        message_start(),
        start(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json="{bad"),
        message_delta(),
        STOP,
    )
    part = fold(events).choices[0].parts[0]
    assert isinstance(part, Opaque) and part.data["input"] == {"INVALID_JSON": "{bad"}


def test_an_answer_told_at_once_in_its_start():
    blocks = [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}]
    events = parse(message_start(content=blocks), message_delta("tool_use"), STOP)
    assert fold(events).choices[0].parts == [Text(text="a"), ToolCall(id="t", name="f", arguments='{"x":1}')]


def test_deltas_without_a_home_are_kept():
    events = parse(
        message_start(), delta(3, type="input_json_delta", partial_json="{}"), delta(2, type="signature_delta", signature="s")
    )
    assert [type(event) for event in events] == [Start, OpaqueEvent, OpaqueEvent]
    found, losses = formatted(*events)
    assert len(found) == 1 and len(losses) == 2


@pytest.mark.parametrize(
    ("kind", "status", "failed"),
    [
        ("overloaded_error", 529, "overloaded"),
        ("rate_limit_error", 429, "rate_limit"),
        ("api_error", 500, "server_error"),
        ("invalid_request_error", 400, "invalid_request"),
        ("born_later_error", 500, "server_error"),
    ],
)
def test_an_error_in_a_stream_has_its_status(kind: str, status: int, failed: str):
    body = {"type": "error", "error": {"type": kind, "message": "Oh."}}
    parser = anthropic.Parser()
    (failure,) = parser.feed(Frame("error", json.dumps(body).encode()))
    assert isinstance(failure, Failure)
    assert (failure.status, failure.kind, failure.message) == (status, failed, "Oh.")
    assert parser.feed(Frame("message_stop", b'{"type":"message_stop"}')) == parser.close() == []


def test_a_stream_that_breaks_off_has_failed():
    events = parse(message_start(), start(0, type="text", text="a"), message_delta(), close=True)
    assert isinstance(events[-1], Failure) and events[-1].kind == "bad_gateway"
    assert not isinstance(parse(message_start(), STOP, close=True)[-1], Failure)


def test_a_stream_without_a_reason_still_ends():
    events = parse(message_start(), start(0, type="thinking", thinking="", signature=seal(GOOGLE)), STOP)
    assert fold(events).choices == [Choice(parts=[Text(signature=GOOGLE)])]


@pytest.mark.parametrize("data", [b"", b"no", b"[]", b"3", b'{"a":1}', b'{"type":3}', b'{"type":"content_block_delta"}', b"\xff"])
def test_a_frame_that_is_no_event_is_garbage(data: bytes):
    with pytest.raises(UpstreamGarbage):
        anthropic.Parser().feed(Frame(None, data))


def test_the_kind_may_stand_in_the_frame_alone():
    assert anthropic.Parser().feed(Frame("ping", b"{}")) == []


# Streams, written


def test_interleaved_calls_are_shown_one_after_the_other():
    """S1: one block closed empty, the other with both calls' arguments."""
    found, _ = formatted(
        Start(id="m"),
        PartStart(index=0, part=ToolCall(id="a", name="f")),
        PartStart(index=1, part=ToolCall(id="b", name="f")),
        PartDelta(index=0, text='{"a":1}'),
        PartDelta(index=1, text='{"a":2}'),
        PartEnd(index=0),
        PartEnd(index=1),
        ChoiceEnd(finish=Finish(reason="tool_calls")),
        End(),
    )
    assert found[1:-2] == [
        start(0, type="tool_use", id="a", name="f", input={}),
        delta(0, type="input_json_delta", partial_json='{"a":1}'),
        stop(0),
        start(1, type="tool_use", id="b", name="f", input={}),
        delta(1, type="input_json_delta", partial_json='{"a":2}'),
        stop(1),
    ]


def test_a_chat_stream_of_interleaved_calls_reaches_the_sdk_whole():
    """S1, 1, 2, 3, 4, 7 in one: reasoning, words, empty tool_calls, two calls interleaved, usage at the very end."""

    def chunk(**said: Any) -> Json:
        return {"id": "c1", "model": "m", "created": 1, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}

    def call(index: int, **said: Any) -> Json:
        return chunk(tool_calls=[{"index": index, **said}])

    chunks = [
        chunk(role="assistant", content=""),
        chunk(reasoning_content="Hm."),
        chunk(content="First", tool_calls=[]),
        chunk(content=" word", tool_calls=[]),
        call(0, id="a", type="function", function={"name": "f", "arguments": ""}),
        call(1, id="b", type="function", function={"name": "g", "arguments": ""}),
        call(0, function={"arguments": '{"a"'}),
        call(1, function={"arguments": '{"b"'}),
        call(0, function={"arguments": ":1}"}),
        call(1, function={"arguments": ":2}"}),
        {"id": "c1", "model": "m", "created": 1, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {
            "id": "c1",
            "choices": [],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}},
        },
    ]
    parser = openai.Parser()
    events = [e for c in chunks for e in parser.feed(Frame(None, json.dumps(c).encode()))] + parser.feed(Frame(None, b"[DONE]"))
    found, losses = formatted(*events)
    indices = [d["index"] for d in found if d["type"] == "content_block_start"]
    assert indices == list(range(4)) and losses == []
    assert not [d for d in found if d.get("delta", {}).get("partial_json") == ""]
    message = judged(events).to_dict()
    assert [b["type"] for b in message["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert message["content"][1]["text"] == "First word"
    assert [(b["id"], b["input"]) for b in message["content"][2:]] == [("a", {"a": 1}), ("b", {"b": 2})]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {"input_tokens": 6, "cache_read_input_tokens": 3, "output_tokens": 4}


def test_one_message_start_even_if_told_twice_and_one_even_if_never():
    found, _ = formatted(Start(id="a"), Start(id="b"), End())
    assert [d["type"] for d in found] == ["message_start", "message_delta", "message_stop"]
    assert found[0]["message"]["id"] == "a"
    assert found[0]["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}
    found, _ = formatted(PartStart(index=0, part=Text(text="a")), End())
    assert [d["type"] for d in found][0] == "message_start"
    assert [d["type"] for d in formatted(End())[0]] == ["message_start", "message_delta", "message_stop"]


def test_the_reason_waits_for_the_usage():
    events = [Start(), PartStart(index=0, part=Text(text="a")), ChoiceEnd(finish=Finish(reason="length"))]
    found, _ = formatted(*events, UsageSoFar(usage=Usage(input=3, output=2)), End())
    assert found[-3:] == [
        stop(0),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {"input_tokens": 3, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]
    found, _ = formatted(*events, End(usage=Usage(output=2)))
    assert found[-2]["usage"] == {"output_tokens": 2}


def test_parts_that_wait_keep_their_deltas_and_their_order():
    later = OpaqueEvent(origin="anthropic", data=delta(1, type="later_delta"))
    found, losses = formatted(
        Start(),
        PartStart(index=0, part=Text()),
        PartDelta(index=0, text="a"),
        PartStart(index=1, part=ToolCall(id="x", name="f", arguments='{"q"')),
        PartDelta(index=1, text=":1}"),
        later,
        PartStart(index=2, part=Text(text="z")),
        PartDelta(index=0, text="b"),
        ChoiceEnd(finish=None),
        End(),
    )
    assert [d for d in found if d["type"] == "content_block_delta"] == [
        delta(0, type="text_delta", text="a"),
        delta(0, type="text_delta", text="b"),
        delta(1, type="input_json_delta", partial_json='{"q"'),
        delta(1, type="input_json_delta", partial_json=":1}"),
        delta(1, type="later_delta"),
        delta(2, type="text_delta", text="z"),
    ]
    assert found[-2]["delta"]["stop_reason"] == "tool_use" and losses == []


def test_an_empty_text_is_never_shown():
    """An Anthropic client would bring it back, and Anthropic refuse it."""
    found, _ = formatted(
        Start(), PartStart(index=0, part=Text()), PartEnd(index=0), PartStart(index=1, part=Text(text="a")), End()
    )
    assert found[1:-2] == [start(0, type="text", text=""), delta(0, type="text_delta", text="a"), stop(0)]
    assert answered(answer(Text(), Text(text="a"), reason="stop"))[0]["content"] == [{"type": "text", "text": "a"}]


def test_parts_that_waited_and_ended_are_shown_whole():
    own = Citation(quote="q", place=Place("char", 0, 0, 16))
    found, losses = formatted(
        Start(),
        PartStart(index=0, part=Text(text="a")),
        PartStart(index=1, part=Text(citations=[own])),
        PartDelta(index=1, text="b"),
        PartEnd(index=1),
        PartStart(index=2, part=Thinking(redacted=True, text="c", signature=GOOGLE)),
        PartEnd(index=0),
        PartEnd(index=2),
        ChoiceEnd(),
        End(),
    )
    assert [d["content_block"]["type"] for d in found if d["type"] == "content_block_start"] == [
        "text",
        "text",
        "redacted_thinking",
    ]
    assert found[5]["delta"]["citation"]["cited_text"] == "q" and losses == []
    sealed = unseal(found[-4]["content_block"]["data"])
    assert sealed == Thinking(redacted=True, text="c", signature=GOOGLE)


def test_signatures_that_come_late():
    signed = PartDelta(index=0, signature=GOOGLE)
    events = [Start(), PartStart(index=0, part=Text()), PartDelta(index=0, text="a"), signed, PartEnd(index=0)]
    found, losses = formatted(*events, ChoiceEnd(), End())
    assert losses == []
    response = fold(parse(*found))
    assert response.choices[0].parts == [Text(text="a"), Text(signature=GOOGLE)]
    calling = [Start(), PartStart(index=0, part=ToolCall(id="1", name="f")), PartEnd(index=0), signed]
    found, _ = formatted(*calling, End())
    assert [d["type"] for d in found].count("content_block_start") == 2
    busy = [Start(), PartStart(index=0, part=Text(text="a")), PartEnd(index=0), PartStart(index=1, part=Text(text="b"))]
    _, losses = formatted(*busy, signed, PartDelta(index=0, text="late"), End())
    assert paths(losses) == ["response.choices[0].parts[0].signature;dropped", "response.choices[0].parts[0];dropped"]


def test_only_the_first_choice_is_told():
    found, losses = formatted(
        Start(),
        PartStart(index=0, part=Text(text="a")),
        PartStart(choice=1, index=0, part=Text(text="b")),
        PartDelta(choice=1, index=0, text="c"),
        ChoiceEnd(choice=1),
        End(),
    )
    assert [d["delta"]["text"] for d in found if d["type"] == "content_block_delta"] == ["a"]
    assert paths(losses) == ["response.choices[1];dropped"]


def test_what_a_stream_cannot_say_is_reported():
    probable = PartDelta(index=0, text="a", logprobs=[TokenLogprob("a", -1.0)], citation=Citation(url="https://e.com"))
    _, losses = formatted(
        Start(extras={"openai": {"system_fingerprint": "f"}}),
        PartStart(index=0, part=Text(refusal=True, extras={"openai": {"x": 1}})),
        probable,
        probable,
        PartEnd(index=0),
        OpaqueEvent(origin="openai", data={}),
        ChoiceEnd(extras={"openai": {"y": 1}}, finish=Finish(reason="other")),
        End(),
    )
    assert paths(losses) == [
        "response.system_fingerprint;dropped",
        "response.choices[0].parts[0].citation;dropped",
        "response.choices[0].logprobs;dropped",
        "response.choices[0].parts[0].citation;dropped",
        "response.choices[0].parts[0].x;dropped",
        "response.stream;dropped",
        "response.choices[0].finish.reason;changed",
        "response.choices[0].parts[0].refusal;changed",
        "response.choices[0].y;dropped",
    ]


@pytest.mark.parametrize("before", [[], [Start(id="a"), PartStart(index=0, part=Text(text="a"))]])
def test_a_failure_raises_the_sdks_own_exception(before: list[AnyEvent]):
    failure = Failure(status=529, kind="overloaded", message="Too much.")
    found, _ = formatted(*before, failure)
    assert found[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "Too much."}}
    with pytest.raises(sdk.APIStatusError) as caught:
        judged([*before, failure])
    assert caught.value.type == "overloaded_error"


def test_media_in_pieces_are_sealed_whole():
    image = Media(kind="image", data="iVBO", mime="image/png")
    message = judged(
        [Start(), PartStart(index=0, part=image), PartDelta(index=0, text="Rw0K"), PartEnd(index=0), ChoiceEnd(), End()]
    )
    assert replayed(message.to_dict()["content"]) == [Media(kind="image", data="iVBORw0K", mime="image/png")]
