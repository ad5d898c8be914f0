"""Gemini's corners: what rarely comes, and must neither vanish nor break anything."""

import copy
from typing import Any

import msgspec
import pytest

from interlingua.errors import UpstreamGarbage
from interlingua.fold import fold
from interlingua.framing import Frame
from interlingua.ir import (
    AnyEvent,
    AnyPart,
    Cache,
    Choice,
    ChoiceEnd,
    Citation,
    End,
    Finish,
    Function,
    Media,
    Message,
    Opaque,
    OpaqueEvent,
    Output,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Request,
    Response,
    ServerTool,
    Signature,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
)
from interlingua.losses import Losses
from interlingua.protocols import gemini, target
from interlingua.protocols.gemini.parts import slot, unsealed

ASKED = Request(model="m", messages=[])
FOREIGN = Signature("anthropic", "c2ln")


def read(body: dict[str, Any]) -> Request:
    return gemini.parse_request(copy.deepcopy(body), "gemini-2.5-pro", False)


def write(request: Request, model: str = "gemini-2.5-pro", *quirks: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    losses = Losses()
    out = gemini.format_request(request, target(model, frozenset(quirks)), losses)
    return out, [(loss.path, loss.how) for loss in losses]


def asked(*messages: Message, **fields: Any) -> Request:
    return Request(model="m", messages=list(messages), **fields)


HELLO = Message(role="user", parts=[Text(text="hi")])


# Requests of its own


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [{"role": "user", "parts": []}], "systemInstruction": {"role": "system"}},
        {"contents": [], "systemInstruction": {"parts": [{"text": "a", "x": 1}], "newField": 1}},
        {"contents": [], "systemInstruction": {"parts": [{"functionResponse": {"name": "f", "response": {}}}]}},
        {"contents": [], "generationConfig": {"responseJsonSchema": {"type": "object"}}},
        {
            "contents": [],
            "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {}, "responseSchema": {}},
        },
        {"contents": [], "generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["a"]}}},
        {"contents": [], "generationConfig": {"responseMimeType": "text/plain"}},
        {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": 7}}},
        {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
        {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": 0, "thinkingLevel": "NEW"}}},
        {
            "contents": [],
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "NEW"}},
        },
        {"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}},
        {"contents": [], "toolConfig": {"functionCallingConfig": {}}},
        {"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}}},
        {"contents": [], "toolConfig": {"includeServerSideToolInvocations": True}},
        {"contents": [{"role": "user", "parts": [{"text": "a", "inlineData": {"data": ""}}, {}, {"thoughtSignature": "QQ=="}]}]},
        {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thought": True}]}]},
        {
            "contents": [
                {"role": "model", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"text": ""}]},
                {"role": "user", "parts": [{"text": "b"}]},
            ]
        },
    ],
)
def test_it_comes_back_as_it_came(body: dict[str, Any]) -> None:
    assert write(read(body)) == (body, [])


def test_the_empty_end_of_a_stream_is_no_turn() -> None:
    """SDKs' chats keep the last chunk of a stream as a turn of its own."""
    end = {"role": "model", "parts": [{"text": ""}]}
    body = {"contents": [{"role": "model", "parts": [{"text": "a"}]}, end, end, {"parts": [{"text": "b", "x": 1}]}]}
    request = read(body)
    assert [message.parts for message in request.messages][0] == [Text(text="a")] and len(request.messages) == 2
    assert gemini.field_path("messages[1].parts[0].x", request) == "contents[3].parts[0].x"
    assert write(request)[0] == body
    assert len(read({"contents": [end]}).messages) == 1


def test_a_bare_seal_is_its_part() -> None:
    """A client may leave out the empty text that bore it."""
    part = Opaque(origin="anthropic", data={"type": "x"})
    bare = [{"thoughtSignature": slot(part)}, {"thoughtSignature": slot(FOREIGN)}]
    assert read({"contents": [{"role": "model", "parts": bare}]}).messages[0].parts == [part, Text(signature=FOREIGN)]


def test_streamed_thoughts_and_their_seal_are_told_once() -> None:
    sealed = {"text": "", "thought": True, "thoughtSignature": slot(Thinking(text="abc", signature=FOREIGN))}
    thoughts = [{"text": "a", "thought": True}, {"text": "bc", "thought": True}]
    one = read({"contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [*thoughts, sealed]}]})
    assert one.messages[1].parts == [Thinking(text="abc", signature=FOREIGN)]
    torn = [{"role": "model", "parts": [part]} for part in [*thoughts, sealed]]
    assert [m.parts for m in read({"contents": torn}).messages] == [[Thinking(text="abc", signature=FOREIGN)]]
    for other in ({"text": "no", "thought": True}, {"text": "bc"}, {"text": "bc", "thought": True, "thoughtSignature": "QQ=="}):
        kept = read({"contents": [{"role": "model", "parts": [other, sealed]}]}).messages[0].parts
        assert len(kept) == 2 and kept[1] == Thinking(text="abc", signature=FOREIGN)


def test_a_call_sealed_with_what_its_model_wants_back() -> None:
    call = ToolCall(id="1", name="f", arguments='{"a":1}', extras={"anthropic": {"caller": "x"}})
    wire = gemini.format_response(Response(choices=[Choice(parts=[call])]), ASKED, Losses())["candidates"][0]["content"]
    assert read({"contents": [wire]}).messages[0].parts == [call]


# Requests of others


@pytest.mark.parametrize(
    ("fields", "losses"),
    [
        ({"tools": [Function(name="f", cache=Cache())]}, [("tools[0].cache", "dropped")]),
        ({"tools": [ServerTool(origin="openai", kind="web_search")]}, [("tools[0]", "dropped")]),
        (
            {"output": Output(mode="schema", schema={}, strict=True, description="d")},
            [("output.description", "dropped")],
        ),
        (
            {"reasoning": Reasoning(enabled=False, effort="low", budget=5)},
            [("reasoning.enabled", "changed"), ("reasoning.effort", "dropped"), ("reasoning.budget", "dropped")],
        ),
        ({"reasoning": Reasoning(effort="low", budget=500)}, [("reasoning.effort", "dropped")]),
        ({"extras": {"openai": {"store": True, "~note": 1}}}, [("store", "dropped")]),
    ],
)
def test_what_is_told_as_lost(fields: dict[str, Any], losses: list[Any]) -> None:
    assert write(asked(HELLO, **fields))[1] == losses


def test_reasoning_off_at_a_level() -> None:
    out, losses = write(asked(HELLO, reasoning=Reasoning(enabled=False, effort="low")), "gemini-3-flash")
    assert out["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}
    assert losses == [("reasoning.enabled", "changed"), ("reasoning.effort", "dropped")]


def test_google_tools_stand_beside_the_functions() -> None:
    search = ServerTool(origin="gemini", kind="googleSearch", config={"googleSearch": {}})
    assert write(asked(HELLO, tools=[search, Function(name="f")]))[0]["tools"] == [
        {"googleSearch": {}},
        {"functionDeclarations": [{"name": "f"}]},
    ]


def test_instructions_are_joined_and_hold_words_only() -> None:
    image = Media(kind="image", data="AA==", mime="image/png")
    mine = {"gemini": {"x": 1}}
    one = Message(role="system", parts=[Text(text="a", citations=[Citation(url="u")]), image], extras=mine)
    two = Message(role="developer", parts=[Text(text="b")], extras={"gemini": {"x": 2}})
    out, losses = write(asked(one, two, HELLO))
    assert out["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}], "x": 1}
    assert losses == [
        ("messages[0].parts[0].citations", "dropped"),
        ("messages[0].parts[1]", "dropped"),
        ("messages[1].x", "dropped"),
    ]


def test_an_instruction_put_beside_its_own() -> None:
    request = read({"contents": "a", "systemInstruction": "one"})
    request.messages.insert(1, Message(role="system", parts=[Text(text="two")]))
    assert write(request)[0]["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}


def test_a_turn_of_nothing_but_foreign_thoughts_is_left_out() -> None:
    thought = Message(role="assistant", parts=[Thinking(text="a", signature=FOREIGN)])
    assert write(asked(HELLO, thought, HELLO)) == (
        {"contents": [{"role": "user", "parts": [{"text": "hi"}, {"text": "hi"}]}]},
        [("messages[1].parts[0]", "dropped"), ("messages[1]", "dropped")],
    )


def test_a_result_of_empty_words_and_unknown_blocks() -> None:
    call = Message(role="assistant", parts=[ToolCall(id="1", name="f")])
    bearer = Text(cache=Cache(), signature=Signature("gemini", "QQ=="), refusal=True, extras={"gemini": {"x": 1}})
    blocks: list[Any] = [bearer, Opaque(origin="anthropic", data={}), Opaque(origin="gemini", data={"x": 1})]
    out, losses = write(asked(call, Message(role="tool", parts=[ToolResult(id="1", parts=blocks)])))
    assert out["contents"][1]["parts"] == [
        {"functionResponse": {"name": "f", "id": "1", "response": {"output": ""}, "parts": [{"x": 1}]}}
    ]
    assert losses == [
        *((f"messages[1].parts[0].parts[0].{field}", "dropped") for field in ("cache", "signature", "x", "refusal")),
        ("messages[1].parts[0].parts[1]", "dropped"),
    ]


def test_no_header_is_needed() -> None:
    assert gemini.request_headers({}, {}) == b""


# Answers


@pytest.mark.parametrize(
    "candidate",
    [
        {"index": 5, "finishReason": "STOP"},
        {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
        {"content": {"role": "assistant", "parts": [], "new": 1}, "finishMessage": "m"},
        {"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0},
        {"content": {"role": "model", "parts": [{"text": "a", "thought": False}]}, "index": 0, "continuationToken": "QQ=="},
        {
            "content": {"role": "model", "parts": [{"text": "ab"}]},
            "citationMetadata": {"citationSources": [{"endIndex": 1, "uri": "u"}, {"uri": 5}]},
        },
        {
            "content": {"role": "model", "parts": [{"text": "ab"}]},
            "groundingMetadata": {"groundingSupports": [{"groundingChunkIndices": [9]}]},
        },
    ],
)
def test_a_candidate_comes_back_as_it_came(candidate: dict[str, Any]) -> None:
    body = {"candidates": [candidate], "createTime": "yesterday"}
    losses = Losses()
    assert gemini.format_response(gemini.parse_response(copy.deepcopy(body)), ASKED, losses) == body
    assert losses == []


def test_recitations_are_citations() -> None:
    sources = [{"startIndex": 1, "endIndex": 99, "uri": "u"}, {"uri": "v"}]
    body = {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "abc"}]}, "citationMetadata": {"citationSources": sources}}
        ]
    }
    (words,) = gemini.parse_response(body).choices[0].parts
    assert isinstance(words, Text) and [(c.url, c.start, c.end) for c in words.citations] == [("u", 1, 3), ("v", None, None)]


def test_what_an_answer_cannot_say() -> None:
    tokens = [TokenLogprob("a", -1, bytes=[97], top=[TokenLogprob("b", -2)]), TokenLogprob("c", -3)]
    said: list[AnyPart] = [
        Text(
            text="a", refusal=True, citations=[Citation(url="u", extras={"anthropic": {"x": 1}})], extras={"anthropic": {"y": 1}}
        ),
        Media(kind="document", file="file-1"),
        Media(kind="image", url="https://a/i.png", extras={"openai": {"z": 1}}),
        ToolResult(id="1", parts=[Text(text="t")]),
    ]
    losses = Losses()
    choice = Choice(parts=said, logprobs=tokens, finish=Finish(reason="stop", stop="END", extras={"openai": {"w": 1}}))
    out = gemini.format_response(Response(choices=[choice]), ASKED, losses)["candidates"][0]
    assert out["content"]["parts"][2] == {"fileData": {"fileUri": "https://a/i.png", "mimeType": "image/png"}}
    assert [unsealed(out["content"]["parts"][i]["thoughtSignature"]) for i in (1, 3)] == [said[1], said[3]]
    assert out["logprobsResult"]["topCandidates"] == [{"candidates": [{"token": "b", "logProbability": -2}]}, {"candidates": []}]
    path = "response.choices[0]"
    assert [loss.path for loss in losses] == [
        f"{path}.parts[0].refusal",
        f"{path}.parts[0].y",
        f"{path}.parts[1]",
        f"{path}.parts[2].mime",
        f"{path}.parts[2].z",
        f"{path}.parts[3]",
        f"{path}.finish.stop",
        f"{path}.finish.w",
        f"{path}.logprobs",
        f"{path}.parts[0].citations[0].x",
    ]


# Streams


def parsed(*chunks: Any) -> list[AnyEvent]:
    parser = gemini.Parser()
    return [event for c in chunks for event in parser.feed(Frame(None, msgspec.json.encode(c)))] + parser.close()


def told(*batches: list[AnyEvent]) -> list[Any]:
    formatter = gemini.Formatter(ASKED, Losses())
    outs = [out.data for batch in batches for out in formatter.feed(batch)]
    return [msgspec.json.decode(data) if isinstance(data, bytes) else data for data in outs]


def test_what_a_later_chunk_tells_of_the_whole() -> None:
    words = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}
    events = parsed({"modelStatus": {"stage": 1}, **words}, {"modelStatus": {"stage": 1}}, {"modelStatus": {"stage": 2}})
    assert [event for event in events if isinstance(event, OpaqueEvent)] == [
        OpaqueEvent(origin="gemini", data={"modelStatus": {"stage": 2}})
    ]
    assert [chunk.get("modelStatus") for chunk in told(events)] == [{"stage": 2}]
    assert [chunk.get("modelStatus") for chunk in told(*([event] for event in events))] == [{"stage": 1}, {"stage": 2}]


def test_a_candidate_beyond_reason() -> None:
    with pytest.raises(UpstreamGarbage):
        parsed({"candidates": [{"index": 1 << 40}]})


def test_parts_with_more_than_words_stand_alone() -> None:
    parts = [{"text": "a"}, {"text": "b", "partMetadata": {"x": 1}}, {"text": "c", "thought": True, "x": 1}, {"text": "d"}]
    events = parsed({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})
    assert fold(events).choices[0].parts == [
        Text(text="a"),
        Text(text="b", extras={"gemini": {"partMetadata": {"x": 1}}}),
        Thinking(text="c", extras={"gemini": {"x": 1}}),
        Text(text="d"),
    ]
    said = [part for chunk in told(*([event] for event in events)) for part in chunk["candidates"][0]["content"]["parts"]]
    assert said[:4] == parts


def test_a_seal_in_a_stream_of_another_gateway() -> None:
    """A backend may be a gateway like this one."""
    foreign = Thinking(text="ab", signature=FOREIGN)
    chunks: list[Any] = [
        {"text": "ab", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": slot(foreign)},
        {"text": "x"},
    ]
    opaque = Opaque(origin="anthropic", data={"type": "x"})
    chunks.append({"text": "", "thoughtSignature": slot(opaque)})
    events = parsed(*({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]} for part in chunks))
    assert fold(events).choices[0].parts == [foreign, Text(text="x"), opaque]


def test_events_out_of_the_common_order() -> None:
    shell = Text(text="a", extras={"gemini": {"x": 1}})
    chunks = told(
        [PartDelta(index=9, text="nobody's"), PartEnd(index=9)],
        [PartStart(index=0, part=shell), PartStart(index=1, part=Thinking(redacted=True, signature=FOREIGN))],
        [PartStart(index=2, part=Text(extras={"gemini": {"y": 1}})), PartEnd(index=2)],
        [PartStart(index=3, part=Thinking(extras={"gemini": {"z": 1}})), PartDelta(index=3, text="t")],
        [End()],
    )
    said = [part for chunk in chunks for candidate in chunk["candidates"] for part in candidate["content"]["parts"]]
    assert said[0] == {"text": "a", "x": 1}
    assert said[1:3] == [{"text": "", "y": 1}, {"text": "t", "thought": True, "z": 1}]
    assert unsealed(said[3]["thoughtSignature"]) == Thinking(redacted=True, signature=FOREIGN)
    assert "finishReason" not in chunks[-1]["candidates"][0]


def test_logprobs_in_a_stream() -> None:
    delta = PartDelta(index=0, text="a", logprobs=[TokenLogprob("a", -1)])
    start: list[AnyEvent] = [Start(id="r"), PartStart(index=0, part=Text())]
    chunks = told(start, [delta], [PartDelta(index=0, logprobs=[TokenLogprob("b", -1)])], [PartEnd(index=0), ChoiceEnd(), End()])
    assert [c["candidates"][0].get("logprobsResult") for c in chunks] == [
        {"chosenCandidates": [{"token": "a", "logProbability": -1}]},
        {"chosenCandidates": [{"token": "b", "logProbability": -1}]},
        None,
    ]


def test_pieces_of_arguments_may_be_said_again() -> None:
    def piece(path: str, value: float) -> dict[str, Any]:
        args = [{"jsonPath": path, "numberValue": value}, {"jsonPath": "$.none"}]
        return {
            "candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "partialArgs": args, "willContinue": True}}]}}]
        }

    events = parsed(piece("$.a[0]", 1), piece("$.a[0]", 2), piece('$["b\\"c"].d', 3), {"candidates": [{"finishReason": "STOP"}]})
    (call,) = fold(events).choices[0].parts
    assert isinstance(call, ToolCall) and call.arguments == '{"a":[2],"b\\"c":{"d":3}}'
