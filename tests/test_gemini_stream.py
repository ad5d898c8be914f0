"""Gemini's streams, both ways, and Google's own SDK as the judge of what we read and write."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import msgspec
import pytest
from google import genai
from google.genai import errors, types
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
    Function,
    Media,
    Opaque,
    OpaqueEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Response,
    Signature,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
    UsageSoFar,
)
from interlingua.losses import Losses
from interlingua.protocols import gemini, openai, target
from interlingua.protocols.gemini.parts import unsealed

ASKED = Request(model="m", messages=[], stream=True)
PNG = "iVBORw0KGgo="


def chunk(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **candidate}],
        "responseId": "r",
        "modelVersion": "g",
    }


def parsed(*chunks: Any) -> list[AnyEvent]:
    parser = gemini.Parser()
    events = [event for c in chunks for event in parser.feed(Frame(None, msgspec.json.encode(c)))]
    return events + parser.close()


def folded(*chunks: Any) -> Choice:
    return fold(parsed(*chunks)).choices[0]


def told(*batches: list[AnyEvent], losses: Losses | None = None) -> list[dict[str, Any]]:
    formatter = gemini.Formatter(ASKED, losses if losses is not None else Losses())
    return [json.loads(plain(out)) for batch in batches for out in formatter.feed(batch)]


def plain(out: Out) -> bytes:
    return out.data if isinstance(out.data, bytes) else msgspec.json.encode(out.data)


def parts_of(chunks: list[dict[str, Any]]) -> list[Any]:
    return [part for c in chunks for candidate in c.get("candidates", ()) for part in candidate["content"]["parts"]]


# Reading


def test_text_in_a_row_is_one_part() -> None:
    events = parsed(chunk({"text": "a"}), chunk({"text": "b"}), chunk({"text": ""}, finishReason="STOP"))
    assert events == [
        Start(id="r", model="g"),
        PartStart(index=0, part=Text()),
        PartDelta(index=0, text="a"),
        PartDelta(index=0, text="b"),
        PartEnd(index=0),
        ChoiceEnd(finish=Finish(reason="stop", raw="STOP", origin="gemini")),
        End(),
    ]


def test_thoughts_words_and_calls_each_have_their_parts() -> None:
    choice = folded(
        chunk({"text": "h", "thought": True}),
        chunk({"text": "m", "thought": True}, {"text": "so"}),
        chunk({"functionCall": {"name": "f", "args": {"a_b": 1}}, "thoughtSignature": "QUJD"}),
        chunk({"functionCall": {"name": "f", "args": {}}}, {"inlineData": {"mimeType": "image/png", "data": PNG}}),
        chunk({"executableCode": {"code": "1"}}, {"text": "end"}, finishReason="STOP"),
    )
    assert choice.parts == [
        Thinking(text="hm"),
        Text(text="so"),
        ToolCall(
            id="call_r_2",
            name="f",
            arguments='{"a_b":1}',
            signature=Signature("gemini", "QUJD"),
            extras={"gemini": {"~id": True}},
        ),
        ToolCall(id="call_r_3", name="f", arguments="{}", extras={"gemini": {"~id": True}}),
        Media(kind="image", mime="image/png", data=PNG),
        Opaque(origin="gemini", data={"executableCode": {"code": "1"}}),
        Text(text="end"),
    ]
    assert choice.finish is not None and choice.finish.reason == "tool_calls"


def test_a_signature_belongs_to_the_words_before_it_and_ends_them() -> None:
    choice = folded(
        chunk({"text": "a", "thought": True}),
        chunk({"text": "", "thought": True, "thoughtSignature": "QQ=="}),
        chunk({"text": "b"}),
        chunk({"text": "c", "thoughtSignature": "Qg=="}),
        chunk({"text": "d"}),
        chunk({"text": "", "thoughtSignature": "Qw=="}, finishReason="STOP"),
    )
    assert choice.parts == [
        Thinking(text="a", signature=Signature("gemini", "QQ==")),
        Text(text="bc", signature=Signature("gemini", "Qg==")),
        Text(text="d", signature=Signature("gemini", "Qw==")),
    ]
    bearer = folded(chunk({"text": "a", "thought": True}), chunk({"text": "", "thoughtSignature": "QQ=="}, finishReason="STOP"))
    assert bearer.parts == [Thinking(text="a"), Text(signature=Signature("gemini", "QQ=="))]


def test_a_call_in_pieces_is_told_when_it_is_whole() -> None:
    """Vertex: streamFunctionCallArguments."""
    events = parsed(
        chunk({"functionCall": {"name": "f", "id": "1", "willContinue": True}, "thoughtSignature": "QUJD"}),
        chunk(
            {
                "functionCall": {
                    "partialArgs": [{"jsonPath": "$.a", "stringValue": "Zü", "willContinue": True}],
                    "willContinue": True,
                }
            }
        ),
        chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "rich"}], "willContinue": True}}),
        chunk(
            {
                "function_call": {
                    "partial_args": [
                        {"json_path": "$.b[0]['c d']", "number_value": 1},
                        {"jsonPath": "$.b[1]", "boolValue": True},
                        {"jsonPath": "$.n", "nullValue": "NULL_VALUE"},
                    ],
                    "will_continue": True,
                }
            }
        ),
        chunk({"functionCall": {}}),
        chunk({"text": "after"}, finishReason="STOP"),
    )
    parts = fold(events).choices[0].parts
    assert parts == [
        ToolCall(
            id="1", name="f", arguments='{"a":"Zürich","b":[{"c d":1},true],"n":null}', signature=Signature("gemini", "QUJD")
        ),
        Text(text="after"),
    ]
    assert sum(isinstance(event, PartDelta) for event in events) == 2


@pytest.mark.parametrize("path", ["a", "$", "$[0]", "$.a[9]", "$..a", 5])
def test_a_piece_without_a_place_is_garbage(path: Any) -> None:
    with pytest.raises(UpstreamGarbage):
        parsed(
            chunk({"functionCall": {"name": "f", "partialArgs": [{"jsonPath": path, "stringValue": "x"}], "willContinue": True}})
        )


def test_the_last_finish_reason_counts() -> None:
    """Older models say STOP in every chunk."""
    choice = folded(chunk({"text": "a"}, finishReason="STOP"), chunk({"text": "b"}, finishReason="MAX_TOKENS", finishMessage="m"))
    assert choice.parts == [Text(text="ab")]
    assert choice.finish == Finish(reason="length", raw="MAX_TOKENS", origin="gemini", extras={"gemini": {"finishMessage": "m"}})


def test_usage_so_far_and_at_the_end() -> None:
    events = parsed(
        {**chunk({"text": "a"}), "usageMetadata": {"promptTokenCount": 3}},
        {**chunk({"text": "b"}), "usageMetadata": {"promptTokenCount": 3}},
        {
            **chunk({"text": "c"}, finishReason="STOP"),
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 5},
        },
    )
    usages = [event.usage for event in events if isinstance(event, UsageSoFar)]
    assert [(u.input, u.output) for u in usages] == [(3, None), (3, 7)]
    assert isinstance(events[-1], End) and events[-1].usage == usages[-1]


def test_citations_are_counted_in_the_characters_of_the_whole_part() -> None:
    meta = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 7}, "groundingChunkIndices": [0]}],
    }
    events = parsed(
        chunk({"text": "ü "}),
        chunk({"text": "üö!"}, groundingMetadata=meta),
        chunk({"text": ""}, finishReason="STOP", groundingMetadata=meta),
    )
    found = [event.citation for event in events if isinstance(event, PartDelta) and event.citation is not None]
    assert [(c.url, c.start, c.end) for c in found] == [("https://a", 2, 4)]
    end = next(event for event in events if isinstance(event, ChoiceEnd))
    assert end.extras["gemini"] == {"groundingMetadata": meta}


def test_logprobs_and_metadata_are_kept() -> None:
    raw = {"chosenCandidates": [{"token": "a", "logProbability": -1, "tokenId": 3}]}
    choice = folded(
        chunk({"text": "a"}, logprobsResult=raw, safetyRatings=[1]), chunk({"text": "b"}, finishReason="STOP", avgLogprobs=-2)
    )
    assert choice.logprobs == [TokenLogprob("a", -1)]
    assert choice.extras == {"gemini": {"safetyRatings": [1], "avgLogprobs": -2}}


def test_candidates_are_told_apart() -> None:
    both = {
        "candidates": [
            {"content": {"parts": [{"text": "b"}]}, "index": 1, "finishReason": "STOP"},
            {"content": {"parts": [{"text": "a"}]}, "index": 0},
        ]
    }
    response = fold(parsed(both, {"candidates": [{"index": 0, "finishReason": "STOP"}]}))
    assert [choice.parts for choice in response.choices] == [[Text(text="a")], [Text(text="b")]]


def test_a_refused_prompt() -> None:
    events = parsed({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 1}})
    choice = fold(events).choices[0]
    assert choice.parts == [] and choice.finish == Finish(reason="filter", raw="SAFETY", origin="gemini")
    assert told(events) == [{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 1}}]


@pytest.mark.parametrize("chunks", [(), (chunk({"text": "a"}),), ({"usageMetadata": {}},)])
def test_a_stream_without_its_end_is_a_failure(chunks: tuple[Any, ...]) -> None:
    failure = parsed(*chunks)[-1]
    assert isinstance(failure, Failure) and (failure.status, failure.kind) == (502, "bad_gateway")


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_error_frame_is_a_failure_and_the_last_word(wrapped: bool) -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    events = parsed(chunk({"text": "a"}), [error] if wrapped else error, chunk({"text": "b"}))
    failure = events[-1]
    assert isinstance(failure, Failure) and (failure.status, failure.kind) == (503, "overloaded")
    assert told([failure]) == [error]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "candidates content parts text thought thoughtSignature functionCall name args partialArgs jsonPath index"
                " willContinue finishReason usageMetadata promptTokenCount logprobsResult chosenCandidates groundingMetadata"
                " groundingSupports groundingChunks segment promptFeedback error code inlineData data functionResponse".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(json_values, max_size=3))
def test_any_frames_are_read_or_are_garbage(values: list[Any]) -> None:
    for body in [
        *values,
        *({"candidates": [v]} for v in values),
        *({"candidates": [{"content": {"parts": [v]}}]} for v in values),
    ]:
        try:
            parsed(body)
        except UpstreamGarbage:
            pass


@pytest.mark.parametrize("data", [b"", b"[DONE]", b"\xff", b"5", b"[]", b'"a"'])
def test_a_frame_that_is_none(data: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        gemini.Parser().feed(Frame(None, data))


# Writing


START = Start(id="r", model="g")
STOP = ChoiceEnd(finish=Finish(reason="stop"))


def opened(part: AnyPart, *deltas: PartDelta, index: int = 0) -> list[AnyEvent]:
    return [PartStart(index=index, part=part), *deltas, PartEnd(index=index)]


def test_one_chunk_a_batch_and_the_end_once() -> None:
    head = {"modelVersion": "g", "responseId": "r"}
    usage = Usage(input=3, output=4, reasoning=1)
    assert told(
        [START, PartStart(index=0, part=Text())],
        [PartDelta(index=0, text="a\n\u2028")],
        [PartDelta(index=0, text="b")],
        [PartEnd(index=0), STOP],
        [UsageSoFar(usage=usage)],
        [End(usage=usage)],
    ) == [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "a\n\u2028"}]}, "index": 0}], **head},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "b"}]}, "index": 0}], **head},
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "index": 0, "finishReason": "STOP"}],
            **head,
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 3, "thoughtsTokenCount": 1, "totalTokenCount": 7},
        },
    ]


def test_interleaved_calls_come_whole_and_together() -> None:
    """S1."""
    chunks = told(
        [START, PartStart(index=0, part=ToolCall(id="1", name="f")), PartStart(index=1, part=ToolCall(id="2", name="f"))],
        [PartDelta(index=0, text='{"a"'), PartDelta(index=1, text='{"b":'), PartDelta(index=0, text=":1}")],
        [PartDelta(index=1, text="2}"), PartEnd(index=1)],
        [PartEnd(index=0), ChoiceEnd(finish=Finish(reason="tool_calls"))],
        [End()],
    )
    assert len(chunks) == 1
    assert chunks[0]["candidates"][0] == {
        "content": {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "f", "id": "2", "args": {"b": 2}}},
                {"functionCall": {"name": "f", "id": "1", "args": {"a": 1}}},
            ],
        },
        "index": 0,
        "finishReason": "STOP",
    }


def test_words_after_a_call_keep_their_place() -> None:
    chunks = told(
        [START, *opened(ToolCall(id="1", name="f"))], opened(Text(), PartDelta(index=1, text="a"), index=1), [STOP, End()]
    )
    assert [next(iter(part)) for part in parts_of(chunks)] == ["functionCall", "text", "text"]


def test_signatures_of_its_own_and_of_others() -> None:
    own, foreign = Signature("gemini", "QUJD"), Signature("anthropic", "sig")
    chunks = told(
        [START, *opened(Thinking(), PartDelta(index=0, text="a"), PartDelta(index=0, signature=own))],
        [*opened(Thinking(), PartDelta(index=1, text="b"), PartDelta(index=1, signature=foreign), index=1)],
        [*opened(Text(), PartDelta(index=2, text="c"), PartDelta(index=2, signature=foreign), index=2)],
        [*opened(ToolCall(id="1", name="f", signature=foreign), index=3), STOP, End()],
    )
    parts = parts_of(chunks)
    assert parts[:2] == [{"text": "a", "thought": True}, {"text": "", "thought": True, "thoughtSignature": "QUJD"}]
    assert [unsealed(part["thoughtSignature"]) for part in parts[2:] if "thoughtSignature" in part] == [
        Thinking(text="b", signature=foreign),
        foreign,
        foreign,
    ]


def test_media_refusals_and_blocks_of_others() -> None:
    losses = Losses()
    chunks = told(
        [START, PartStart(index=0, part=Media(kind="audio", data="QU", mime="audio/wav"))],
        [PartDelta(index=0, text="JD"), PartEnd(index=0)],
        opened(Opaque(origin="anthropic", data={"type": "x"}), index=1),
        opened(Text(refusal=True), PartDelta(index=2, text="no"), index=2),
        opened(
            Text(extras={"gemini": {"partMetadata": {"a": 1}}}),
            PartDelta(index=3, text="a"),
            PartDelta(index=3, text="b"),
            index=3,
        ),
        [OpaqueEvent(origin="anthropic", data={})],
        [STOP, End()],
        losses=losses,
    )
    parts = parts_of(chunks)
    assert parts[0] == {"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}
    assert unsealed(parts[1]["thoughtSignature"]) == Opaque(origin="anthropic", data={"type": "x"})
    assert parts[2:5] == [{"text": "no"}, {"text": "a", "partMetadata": {"a": 1}}, {"text": "b"}]
    assert [(loss.path, loss.how) for loss in losses] == [
        ("response.choices[0].parts[1]", "changed"),
        ("response.choices[0].parts[2].refusal", "changed"),
        ("response.stream", "dropped"),
    ]


def test_citations_stand_in_the_last_chunk_counted_in_bytes_of_the_whole() -> None:
    cite = PartDelta(index=1, citation=Citation(url="https://a", start=0, end=1))
    chunks = told(
        [START, *opened(Text(), PartDelta(index=0, text="ü"))],
        opened(Text(), PartDelta(index=1, text="öx"), cite, index=1),
        [STOP, End()],
    )
    assert chunks[-1]["candidates"][0]["groundingMetadata"]["groundingSupports"] == [
        {"segment": {"startIndex": 2, "endIndex": 4, "text": "ö"}, "groundingChunkIndices": [0]}
    ]


def test_a_failure_comes_last_after_what_was_said() -> None:
    chunks = told(
        [
            START,
            PartStart(index=0, part=Text()),
            PartDelta(index=0, text="a"),
            Failure(status=529, kind="overloaded", message="m"),
        ]
    )
    assert parts_of(chunks) == [{"text": "a"}]
    assert chunks[-1] == {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}


def test_a_stream_of_its_own_says_the_same_again() -> None:
    chunks = [
        {**chunk({"text": "hm", "thought": True}), "createTime": "2026-11-21T07:00:00.5Z", "modelStatus": {"stage": "s"}},
        chunk({"text": "a"}, safetyRatings=[{"category": "x"}]),
        chunk({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "QUJD"}),
        {
            **chunk({"newKind": 1}, finishReason="NEW_WORD", finishMessage="m", avgLogprobs=-1),
            "usageMetadata": {"promptTokenCount": 1, "trafficType": "x"},
        },
    ]
    losses = Losses()
    again = told(*([event] for event in parsed(*chunks)), losses=losses)
    assert losses == []
    assert fold(parsed(*again)) == fold(parsed(*chunks))
    assert "createTime" in again[-1] and "modelStatus" not in again[-1] and again[0]["modelStatus"] == {"stage": "s"}


def test_an_openai_stream_for_a_gemini_client() -> None:
    parser = openai.Parser()
    deltas: list[Any] = [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
    ]
    bodies: list[Any] = [
        {"id": "i", "model": "m", "created": 1, "choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas
    ]
    bodies.append({"id": "i", "model": "m", "created": 1, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    frames = [*(msgspec.json.encode(body) for body in bodies), b"[DONE]"]
    chunks = told(*(parser.feed(Frame(None, frame)) for frame in frames))
    assert parts_of(chunks) == [{"text": "Hel"}, {"text": "lo"}, {"functionCall": {"name": "f", "id": "c", "args": {"a": 1}}}]
    assert [c["candidates"][0].get("finishReason") for c in chunks] == [None, None, "STOP"]


# The SDK


def client(handler: Callable[[httpx2.Request], httpx2.Response]) -> genai.Client:
    http = httpx2.Client(transport=httpx2.MockTransport(handler))
    return genai.Client(api_key="k", http_options=types.HttpOptions(httpx_client=http))


def streaming(*events: AnyEvent) -> Callable[[httpx2.Request], httpx2.Response]:
    """Answers every request with what our formatter makes of the events, one batch each."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        formatter = gemini.Formatter(ASKED, Losses())
        outs = [out for event in events for out in formatter.feed([event])]
        body = b"".join(b"data: " + plain(out) + b"\r\n\r\n" for out in outs)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    return handler


FOREIGN = Signature("anthropic", "c2ln")
RESPONSE = Response(
    id="r",
    model="client-name",
    created=1_700_000_000,
    choices=[
        Choice(
            parts=[
                Thinking(text="hm", signature=FOREIGN),
                Text(text="Zürich", citations=[Citation(url="https://a", title="A")]),
                ToolCall(id="1", name="f", arguments='{"a_b":1}', signature=FOREIGN),
                ToolCall(id="2", name="f", arguments="{}"),
                Opaque(origin="anthropic", data={"type": "x"}),
            ],
            finish=Finish(reason="tool_calls"),
            logprobs=[TokenLogprob("Z", -0.5)],
        )
    ],
    usage=Usage(input=10, cache_read=2, output=5, reasoning=3),
)


def test_the_sdk_reads_our_answers() -> None:
    body = gemini.format_response(RESPONSE, ASKED, Losses())
    answer = client(lambda request: httpx2.Response(200, json=body)).models.generate_content(model="m", contents="hi")
    assert answer.model_version == "client-name" and answer.response_id == "r"
    assert [(call.id, call.args) for call in answer.function_calls or ()] == [("1", {"a_b": 1}), ("2", {})]
    assert answer.candidates and answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.candidates[0].grounding_metadata and answer.candidates[0].logprobs_result
    assert answer.usage_metadata and (answer.usage_metadata.candidates_token_count, answer.usage_metadata.total_token_count) == (
        2,
        15,
    )


def test_the_sdk_reads_our_streams() -> None:
    chunks = list(client(streaming(*unfold(RESPONSE))).models.generate_content_stream(model="m", contents="hi"))
    said = [part for c in chunks if c.candidates and c.candidates[0].content for part in c.candidates[0].content.parts or ()]
    assert "".join(part.text or "" for part in said if not part.thought) == "Zürich"
    assert "".join(part.text or "" for part in said if part.thought) == "hm"
    assert [part.function_call.id for part in said if part.function_call] == ["1", "2"]
    assert all(c.response_id == "r" and c.model_version == "client-name" for c in chunks)
    assert [bool(c.usage_metadata) for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].candidates and chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_a_chat_of_the_sdk_brings_everything_back() -> None:
    """A second turn: what the backend elsewhere must have again survives the SDK's own history of chunks."""
    seen: list[Any] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return streaming(*unfold(RESPONSE))(request)

    chat = client(handler).chats.create(model="m")
    list(chat.send_message_stream("hi"))
    list(chat.send_message_stream([types.Part.from_function_response(name="f", response={"output": "x"})]))
    request = gemini.parse_request(seen[1], "m", True)
    said = [
        part for message in request.messages[1:-1] for part in message.parts if not (isinstance(part, Text) and not part.text)
    ]
    expected = RESPONSE.choices[0].parts
    assert said == [expected[0], Text(text="Zürich"), *expected[2:]]
    assert all(message.role == "assistant" for message in request.messages[1:-1])
    last = gemini.format_request(request, target("gemini-2.5-pro"), Losses())["contents"][-1]
    assert last == {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}]}


@pytest.mark.parametrize(
    ("status", "kind", "raised"), [(429, "rate_limit", errors.ClientError), (529, "overloaded", errors.ServerError)]
)
def test_the_sdk_raises_its_own_errors(status: int, kind: str, raised: type[errors.APIError]) -> None:
    failure = Failure(status=status, kind=kind, message="slow down", retry_after=2)
    code, body = gemini.format_error(failure)
    with pytest.raises(raised) as caught:
        client(lambda request: httpx2.Response(code, json=body)).models.generate_content(model="m", contents="hi")
    assert caught.value.message == "slow down" and caught.value.code == code
    events: list[AnyEvent] = [START, PartStart(index=0, part=Text()), PartDelta(index=0, text="a"), failure]
    stream: Iterator[Any] = client(streaming(*events)).models.generate_content_stream(model="m", contents="hi")
    assert next(stream).text == "a"
    with pytest.raises(raised):
        next(stream)


def test_requests_of_the_sdk_are_read() -> None:
    seen: list[Any] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, json=gemini.format_response(RESPONSE, ASKED, Losses()))

    def lookup(city_name: str, days: int = 3) -> str:
        """Look it up."""
        return f"{city_name} {days}"

    history: list[Any] = [
        types.Content(
            role="user", parts=[types.Part(text="hi"), types.Part.from_bytes(data=b"\xfb\xff\xfe", mime_type="image/png")]
        ),
        types.Content(
            role="model",
            parts=[types.Part(function_call=types.FunctionCall(name="f", args={"a_b": 1}), thought_signature=b"\xfb\xff")],
        ),
        types.Content(role="user", parts=[types.Part.from_function_response(name="f", response={"result": "x"})]),
    ]
    config = types.GenerateContentConfig(
        system_instruction="sys",
        temperature=0.2,
        top_k=40,
        tools=[lookup],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW, include_thoughts=True),
        response_mime_type="application/json",
        response_schema={"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
    )
    client(handler).models.generate_content(model="m", contents=history, config=config)
    request = gemini.parse_request(seen[0], "m", False)
    system, ask, call, result = request.messages
    assert system.parts == [Text(text="sys")]
    picture, made = ask.parts[1], call.parts[0]
    assert isinstance(picture, Media) and (picture.data, picture.mime) == ("-__-", "image/png")
    assert isinstance(made, ToolCall) and made.signature == Signature("gemini", "-_8=")
    assert result.parts == [ToolResult(id=made.id, name="f", parts=[Text(text="x")], extras=result.parts[0].extras)]
    assert (request.temperature, request.top_k) == (0.2, 40)
    assert request.reasoning is not None and (request.reasoning.effort, request.reasoning.visible) == ("low", True)
    assert request.output is not None and request.output.schema == {"type": "object", "properties": {"a": {"type": "string"}}}
    (tool,) = request.tools
    assert isinstance(tool, Function) and tool.name == "lookup" and (tool.schema or {})["required"] == ["city_name"]
    wire = openai.format_request(request, target("gpt-4o"), Losses())
    assert wire["messages"][1]["content"][1]["image_url"]["url"] == "data:image/png;base64,+//+"
