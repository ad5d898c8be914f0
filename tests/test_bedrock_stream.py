"""Converse told in events: what Bedrock tells is read, what anyone tells is shown in blocks one after the other, failures too."""

import json
from typing import Any

import bedrock_cases as cases
import msgspec
import pytest
from bedrock_cases import ASKED, BEGUN, PIXEL, USAGE, delta, ended, plain, read, started, stopped, told
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.errors import UpstreamGarbage
from interlingua.fold import fold, unfold
from interlingua.framing import Frame, Out
from interlingua.ir import (
    AnyEvent,
    AnyPart,
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
    Response,
    Signature,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    Usage,
    UsageSoFar,
)
from interlingua.losses import Losses
from interlingua.protocols import bedrock, openai
from tests import strategies as ir

Json = dict[str, Any]
Row = tuple[str, Json]


def frame(kind: str, body: Json) -> Frame:
    return Frame(kind, json.dumps({**body, "p": "abcdefgh"}).encode())


def heard(rows: list[Row]) -> list[AnyEvent]:
    parser = bedrock.Parser()
    return [event for kind, body in rows for event in parser.feed(frame(kind, body))] + parser.close()


def rows_of(outs: list[Out]) -> list[Row]:
    return [(out.event or "", json.loads(out.data) if isinstance(out.data, bytes) else plain(out.data)) for out in outs]


def shown(events: list[AnyEvent], asked: Any = ASKED) -> tuple[list[Row], list[str]]:
    losses = Losses()
    return rows_of(bedrock.Formatter(asked, losses).feed(events)), told(losses)


def part(index: int, part: AnyPart, *words: str) -> list[AnyEvent]:
    return [PartStart(index=index, part=part), *(PartDelta(index=index, text=word) for word in words), PartEnd(index=index)]


def stream(*events: AnyEvent | list[AnyEvent]) -> list[AnyEvent]:
    flat = [inner for event in events for inner in (event if isinstance(event, list) else [event])]
    return [Start(id="x", model="m"), *flat, ChoiceEnd(), End()]


TAIL: list[Row] = [
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}, "metrics": {"latencyMs": 0}}),
]


@pytest.mark.parametrize("name", cases.STREAMS)
def test_a_stream_of_its_own_comes_back_as_it_was(name: str) -> None:
    assert shown(heard(cases.STREAMS[name])) == (cases.STREAMS[name], [])


def test_a_stream_folds_to_the_answer_it_tells() -> None:
    response = fold(heard(cases.STREAMS["every block"]))
    kinds = [type(part).__name__ for part in response.choices[0].parts]
    assert kinds == ["Thinking", "Thinking", "Text", "ToolCall", "ToolCall", "Media", "Opaque", "Opaque"]
    thought, hidden, text, call, empty, image, server, result = response.choices[0].parts
    assert thought == Thinking(text="Hm.", signature=Signature("bedrock", "c2ln"))
    assert hidden == Thinking(redacted=True, signature=Signature("bedrock", "aGlkZGVu"))
    assert isinstance(text, Text) and text.text == "So: " and text.citations[0].quote == "mild weather"
    assert isinstance(call, ToolCall) and (call.name, call.arguments) == ("weather", '{"city":"Bern"}')
    assert isinstance(empty, ToolCall) and empty.arguments == "{}"
    assert isinstance(image, Media) and (image.mime, image.data) == ("image/png", PIXEL)
    assert isinstance(server, Opaque) and server.data["toolUse"]["input"] == {"q": 1}
    assert isinstance(result, Opaque) and result.data["toolResult"]["content"] == [{"json": {"a": 1}}, {"text": "b"}]
    assert response.choices[0].finish == Finish(reason="tool_calls", raw="tool_use", origin="bedrock")
    assert response.usage is not None and response.usage.input == 110


@pytest.mark.parametrize("name", ["plain", "every block"])
def test_the_same_answer_whole_and_streamed(name: str) -> None:
    """What boto3 makes of the events is what the whole answer says."""
    response = fold(heard(cases.STREAMS[name]))
    whole = plain(bedrock.format_response(response, ASKED, Losses()))
    again = fold(heard(shown(unfold(bedrock.parse_response(whole)))[0]))
    assert [type(part) for part in again.choices[0].parts] == [type(part) for part in response.choices[0].parts]
    assert again.choices[0].finish == response.choices[0].finish and again.usage == response.usage


@settings(max_examples=40, deadline=None)
@given(ir.responses, st.integers(1, 5))
def test_blocks_are_sequential_and_contiguous_whatever_is_told(response: Response, cut: int) -> None:
    events = unfold(response)
    formatter, rows = bedrock.Formatter(ASKED, Losses()), list[Row]()
    for i in range(0, len(events), cut):
        rows += rows_of(formatter.feed(events[i : i + cut]))
    lawful(rows)


def lawful(rows: list[Row]) -> None:
    """messageStart, blocks 0, 1, 2 each closed before the next begins, messageStop, metadata."""
    assert rows[0] == BEGUN and [kind for kind, _ in rows[-2:]] == ["messageStop", "metadata"]
    place, within = 0, False
    for kind, body in rows[1:-2]:
        assert body["contentBlockIndex"] == place
        if kind == "contentBlockStart":
            assert not within and next(iter(body["start"])) in ("toolUse", "toolResult", "image")
        within = kind != "contentBlockStop"
        place += not within
    assert not within


def test_interleaved_parts_wait_their_turn() -> None:
    calls = [ToolCall(id=f"c{i}", name="f") for i in range(2)]
    events = stream(
        PartStart(index=0, part=calls[0]),
        PartStart(index=1, part=calls[1]),
        PartDelta(index=0, text='{"a":'),
        PartDelta(index=1, text='{"b":'),
        PartDelta(index=0, text="1}"),
        PartDelta(index=1, text="2}"),
        PartEnd(index=1),
        PartEnd(index=0),
    )
    rows, losses = shown(events)
    assert losses == []
    assert rows == [
        BEGUN,
        started(0, toolUse={"toolUseId": "c0", "name": "f"}),
        delta(0, toolUse={"input": '{"a":'}),
        delta(0, toolUse={"input": "1}"}),
        stopped(0),
        started(1, toolUse={"toolUseId": "c1", "name": "f"}),
        delta(1, toolUse={"input": '{"b":'}),
        delta(1, toolUse={"input": "2}"}),
        stopped(1),
        ("messageStop", {"stopReason": "tool_use"}),
        TAIL[1],
    ]


def test_parts_that_never_end_are_closed_at_the_end() -> None:
    rows, _ = shown(
        stream(PartStart(index=0, part=Text()), PartDelta(index=0, text="a"), PartStart(index=1, part=Text(text="b")))
    )
    assert rows == [BEGUN, delta(0, text="a"), stopped(0), delta(1, text="b"), stopped(1), *TAIL]


def test_a_text_without_words_is_not_shown() -> None:
    assert shown(stream(part(0, Text()), part(1, Text(), "", "b")))[0] == [BEGUN, delta(0, text="b"), stopped(0), *TAIL]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    rows, _ = shown(stream(part(0, ToolCall(id="", name="f"))))
    assert rows[1:4] == [
        started(0, toolUse={"toolUseId": "bedrock_0", "name": "f"}),
        delta(0, toolUse={"input": "{}"}),
        stopped(0),
    ]


def test_what_has_no_block_is_sealed_and_comes_back() -> None:
    signed = Signature("gemini", "c2ln")
    sent = stream(
        part(0, Thinking(), "Hm", "."),
        part(1, ToolCall(id="a", name="f", signature=signed), "{}"),
        part(2, Thinking(redacted=True, signature=signed)),
        part(3, Opaque(origin="anthropic", data={"type": "x"})),
        part(4, Media(kind="audio", data="AA"), "AA"),
        [*part(5, Text(signature=signed))],
    )
    sent.insert(4, PartDelta(index=0, signature=signed))
    rows, losses = shown(sent)
    lawful(rows)
    assert [next(iter(body["delta"])) for kind, body in rows if kind == "contentBlockDelta"][:3] == ["reasoningContent"] * 3
    assert losses == ["response.choices[0].parts[3];changed", "response.choices[0].parts[4];changed"]
    assert fold(heard(rows)).choices[0].parts == [
        Thinking(text="Hm.", signature=signed),
        ToolCall(id="a", name="f", arguments="{}", signature=signed),
        Thinking(redacted=True, signature=signed),
        Opaque(origin="anthropic", data={"type": "x"}),
        Media(kind="audio", data="AAAA"),
        Text(signature=signed),
    ]


def test_a_late_signature_is_told_by_a_part_of_its_own() -> None:
    signed = Signature("gemini", "c2ln")
    rows, losses = shown(stream(part(0, Text(), "a"), PartDelta(index=0, signature=signed)))
    lawful(rows)
    assert losses == [] and fold(heard(rows)).choices[0].parts == [Text(text="a"), Text(signature=signed)]
    late = stream(part(0, Text(), "a"), PartStart(index=1, part=Text(text="b")), PartDelta(index=0, text="c", signature=signed))
    assert shown(late)[1] == ["response.choices[0].parts[0];dropped", "response.choices[0].parts[0].signature;dropped"]


def test_citations_and_what_cannot_be_told() -> None:
    events: list[AnyEvent] = [
        Start(id="x", extras={"openai": {"system_fingerprint": "f"}}),
        PartStart(index=0, part=Text(refusal=True, citations=[Citation(url="https://e.com", title="E")])),
        PartDelta(index=0, text="no", logprobs=[TokenLogprob(token="no", logprob=-1.0)]),
        PartEnd(index=0),
        PartStart(choice=1, index=0, part=Text(text="other")),
        PartEnd(choice=1, index=0),
        OpaqueEvent(origin="openai", data={"a": 1}),
        UsageSoFar(usage=Usage(input=3)),
        ChoiceEnd(finish=Finish(reason="stop")),
        End(),
    ]
    rows, losses = shown(events)
    assert rows == [
        BEGUN,
        delta(0, citation={"title": "E", "location": {"web": {"url": "https://e.com"}}}),
        delta(0, text="no"),
        stopped(0),
        TAIL[0],
        ("metadata", {"usage": {"inputTokens": 3, "outputTokens": 0, "totalTokens": 3}, "metrics": {"latencyMs": 0}}),
    ]
    assert losses == [
        "response.system_fingerprint;dropped",
        "response.choices[0].parts[0].refusal;changed",
        "response.choices[0].logprobs;dropped",
        "response.choices[1];dropped",
        "response.stream;dropped",
    ]


def test_a_stream_that_tells_nothing_is_whole_all_the_same() -> None:
    assert shown([End()])[0] == [BEGUN, *TAIL]
    assert shown([PartStart(index=0, part=Text(text="a")), PartEnd(index=0), End()])[0] == [
        BEGUN,
        delta(0, text="a"),
        stopped(0),
        *TAIL,
    ]


# Reading what is out of order or in pieces


def test_names_are_read_back_in_streams_too() -> None:
    events = heard([BEGUN, started(0, toolUse={"toolUseId": "a", "name": "il-get-dweather"}), stopped(0), *ended("tool_use")])
    assert isinstance(begun := events[1], PartStart) and begun.part == ToolCall(id="a", name="get.weather")


def test_servers_that_leave_out_what_they_may_not() -> None:
    """No messageStart, no contentBlockStop, an index used twice, kinds that change within a block, metadata first."""
    response = fold(
        heard(
            [
                delta(0, reasoningContent={"text": "Hm"}),
                delta(0, text="a"),
                started(0, toolUse={"toolUseId": "a", "name": "f"}),
                delta(0, toolUse={"input": "{}"}),
                delta(0, reasoningContent={"redactedContent": "aGk="}),
                delta(0, reasoningContent={"redactedContent": "aGk="}),
                delta(0, reasoningContent={"signature": "c2ln"}),
                delta(0, text=""),
                ended()[1],
                ended()[0],
            ]
        )
    )
    assert response.choices[0].parts == [
        Thinking(text="Hm"),
        Text(text="a"),
        ToolCall(id="a", name="f", arguments="{}"),
        Thinking(redacted=True, signature=Signature("bedrock", "aGloaQ==")),
        Thinking(signature=Signature("bedrock", "c2ln")),
        Text(),
    ]
    assert response.usage is not None and response.usage.output == 5


def test_an_image_in_pieces_is_one() -> None:
    rows = [
        BEGUN,
        started(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": "iVBO"}}),
        delta(0, image={"source": {"bytes": "Rw=="}}),
        stopped(0),
        *ended(),
    ]
    assert fold(heard(rows)).choices[0].parts == [Media(kind="image", mime="image/png", data="iVBORw==")]
    failed = [BEGUN, started(0, image={"format": "png"}), delta(0, image={"error": {"message": "no"}}), stopped(0), *ended()]
    (broken,) = fold(heard(failed)).choices[0].parts
    assert broken == Opaque(origin="bedrock", data={"image": {"format": "png", "source": {}, "error": {"message": "no"}}})


def test_what_is_born_later_or_odd_is_kept() -> None:
    rows = [
        BEGUN,
        BEGUN,
        started(0, toolUse={"toolUseId": "s", "name": "g", "type": "server_tool_use"}),
        delta(0, toolUse={"input": "{bad"}),
        stopped(0),
        started(1, hologram={"a": 1}),
        delta(1, hologram={"b": 2}),
        stopped(1),
        stopped(7),
        delta(2, reasoningContent={"newest": 1}),
        delta(3, reasoningContent={"redactedContent": "no base64"}),
        delta(3, reasoningContent={"redactedContent": "!"}),
        stopped(3),
        started(4, toolUse={"toolUseId": "a", "name": "f"}),
        delta(4, toolUse={"input": ""}),
        *ended(),
        *ended(),
    ]
    events = heard(rows)
    assert fold(events).choices[0].parts == [
        Opaque(origin="bedrock", data={"toolUse": {"toolUseId": "s", "name": "g", "type": "server_tool_use", "input": "{bad"}}),
        Opaque(origin="bedrock", data={"hologram": {"a": 1, "~deltas": [{"hologram": {"b": 2}}]}}),
        Thinking(redacted=True, signature=Signature("bedrock", "no base64!")),
        ToolCall(id="a", name="f"),
    ]
    assert [event.data for event in events if isinstance(event, OpaqueEvent)] == [
        {"~event": "contentBlockDelta", "delta": {"reasoningContent": {"newest": 1}}}
    ]
    again, _ = shown(events)
    lawful([row for row in again if "newest" not in str(row)])


def test_a_stream_ends_with_its_metadata_or_without() -> None:
    parser = bedrock.Parser()
    for kind, body in [BEGUN, delta(0, text="a"), stopped(0), ended()[0]]:
        parser.feed(frame(kind, body))
    assert parser.close() == [End()]
    assert parser.close() == [] and parser.feed(frame(*BEGUN)) == []


def test_a_stream_cut_short_is_a_failure() -> None:
    parser = bedrock.Parser()
    parser.feed(frame(*delta(0, text="a")))
    (failure,) = parser.close()
    assert isinstance(failure, Failure) and failure.status == 502
    assert parser.close() == []


@pytest.mark.parametrize(
    "row",
    [
        Frame("contentBlockDelta", b"{"),
        Frame("contentBlockDelta", b"[]"),
        Frame("contentBlockDelta", b'{"contentBlockIndex":"0","delta":{"text":"a"}}'),
        Frame("contentBlockDelta", b'{"contentBlockIndex":0,"delta":[]}'),
        Frame("contentBlockDelta", b'{"contentBlockIndex":9,"delta":{"toolUse":{"input":"{}"}}}'),
        Frame("contentBlockStart", b'{"contentBlockIndex":0}'),
        Frame("contentBlockStart", b'{"contentBlockIndex":0,"start":{"toolUse":{"name":"f"}}}'),
        Frame("messageStop", b'{"stopReason":3}'),
        Frame("metadata", b'{"usage":{"inputTokens":"3"}}'),
        Frame(None, b"\xff"),
    ],
)
def test_what_is_no_event_is_garbage(row: Frame) -> None:
    with pytest.raises(UpstreamGarbage, match="no event of Converse"):
        bedrock.Parser().feed(row)


# 29. Failures are exceptions, before and in the middle


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("throttlingException", "rate_limit", 429),
        ("validationException", "invalid_request", 400),
        ("modelStreamErrorException", "server_error", 424),
        ("internalServerException", "server_error", 500),
        ("serviceUnavailableException", "unavailable", 503),
        ("bornLaterException", "server_error", 500),
    ],
)
@pytest.mark.parametrize("before", [[], [BEGUN, delta(0, text="a")]])
def test_29_an_exception_is_a_failure_and_back(name: str, kind: str, status: int, before: list[Row]) -> None:
    parser = bedrock.Parser()
    for row in before:
        parser.feed(frame(*row))
    (failure,) = parser.feed(Frame(f"exception:{name}", b'{"message":"oh"}'))
    assert isinstance(failure, Failure) and (failure.kind, failure.status, failure.message) == (kind, status, "oh")
    assert parser.feed(frame(*delta(0, text="b"))) == [] and parser.close() == []
    rows, _ = shown([failure])
    told_name, body = rows[-1]
    assert told_name == f"exception:{'internalServerException' if name == 'bornLaterException' else name}"
    assert body["message"] == "oh"


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b'{"Message":"oh"}'])
def test_29_an_error_is_a_failure_whatever_it_says(data: bytes) -> None:
    (failure,) = bedrock.Parser().feed(Frame("error:InternalFailure", data))
    assert (
        isinstance(failure, Failure) and failure.kind == "server_error" and failure.code == "InternalFailure" and failure.message
    )


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [
        ("rate_limit", 429, "throttlingException"),
        ("invalid_request", 400, "validationException"),
        ("permission", 403, "validationException"),
        ("overloaded", 529, "serviceUnavailableException"),
        ("bad_gateway", 502, "serviceUnavailableException"),
        ("timeout", 504, "modelStreamErrorException"),
        ("server_error", 500, "internalServerException"),
    ],
)
def test_29_everyones_failure_is_one_of_the_streams_own(kind: str, status: int, name: str) -> None:
    rows, _ = shown([Failure(status=status, kind=kind, message="oh")])
    assert rows[0][0] == f"exception:{name}" and rows[0][1]["message"] == "oh"
    assert rows[0][1].get("originalStatusCode") == (504 if kind == "timeout" else None)


def test_a_stream_becomes_chunks_and_chunks_a_stream() -> None:
    asked = openai.parse_request({"model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": True}})
    outs = openai.Formatter(asked, Losses()).feed(heard(cases.STREAMS["every block"]))
    parser = openai.Parser()
    events = [
        e
        for out in outs
        for e in parser.feed(Frame(None, out.data if isinstance(out.data, bytes) else msgspec.json.encode(out.data)))
    ]
    rows, _ = shown(events, read({"messages": []}))
    lawful(rows)
    pieces = "".join(body["delta"].get("text", "") for kind, body in rows if kind == "contentBlockDelta")
    assert pieces == "So: " and rows[-2][1] == {"stopReason": "tool_use"}
    assert rows[-1][1]["usage"] == {key: value for key, value in USAGE.items() if key != "cacheDetails"}


def test_choices_of_more_than_one_answer_are_reported_once() -> None:
    events = unfold(Response(choices=[Choice(parts=[Text(text="a")]), Choice(parts=[Text(text="b"), Text(text="c")])]))
    assert shown(events)[1] == ["response.choices[1];dropped"]
