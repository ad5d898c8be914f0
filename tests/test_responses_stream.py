"""A response told in events: written for the vendor's own types and accumulator to judge, read with what servers omit."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from interlingua.carry import seal, unseal
from interlingua.errors import UpstreamGarbage
from interlingua.fold import fold, unfold
from interlingua.framing import Frame
from interlingua.ir import (
    AnyEvent,
    AnyPart,
    ChoiceEnd,
    Citation,
    End,
    Failure,
    Finish,
    Json,
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
from interlingua.mock import MockApp
from interlingua.mock.scenarios import SCENARIOS
from interlingua.mock.vendors import claimant
from interlingua.mock.wire import Call, Reply, Stream
from interlingua.protocols import anthropic, openai, responses
from tests import strategies as ir
from tests.responses_cases import (
    OUTPUT,
    RESPONSE,
    SEALED,
    URL,
    USAGE,
    WEATHER,
    answer,
    asked,
    bodies,
    judged,
    paths,
    read,
    shown,
    streamed,
    told,
)

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
CLAUDE = Signature("anthropic", "sig==")
GOOGLE = Signature("gemini", "AAAA")
CREATED: Json = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}}
_DONE_OF = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.reasoning_summary_text.delta": "text",
    "response.reasoning_text.delta": "text",
}


def lawful(events: list[Json]) -> Json:
    """The final response of a stream, whose every event keeps the law of the lifecycle."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert events[0]["response"]["output"] == [] and events[0]["response"]["status"] == "in_progress"
    for event in events:
        EVENT.validate_python(event)
    added: dict[int, str] = {}
    done: dict[int, Json] = {}
    words: dict[tuple[Any, ...], str] = {}
    for event in events[2:-1]:
        kind, index = event["type"], event.get("output_index", -1)
        if kind == "response.output_item.added":
            assert index == len(added), "an item's index is its place"
            added[index] = event["item"]["id"]
        elif kind == "response.output_item.done":
            assert index not in done and added[index] == event["item"]["id"]
            done[index] = event["item"]
        elif index >= 0:
            assert index in added and index not in done and event["item_id"] == added[index], kind
        place = (event.get("output_index"), event.get("content_index"), event.get("summary_index"))
        if kind in _DONE_OF:
            words[place] = words.get(place, "") + event["delta"]
        elif kind.endswith((".done",)) and (field := _DONE_OF.get(kind.removesuffix("done") + "delta")):
            assert event[field] == words.get(place, ""), "a .done repeats its deltas"
    final = events[-1]["response"]
    assert final["output"] == [done[n] for n in sorted(added)], "all that was told, and nothing else"
    assert final["id"] == events[0]["response"]["id"]
    return final


def test_a_stream_tells_every_step():
    response = answer(
        Thinking(text="hm"),
        Text(text="Hey", citations=[Citation(url="https://e.example", title="E", start=0, end=4)]),
        ToolCall(id="c1", name="weather", arguments='{"a":"x"}'),
        usage=Usage(input=100, cache_read=60, cache_write=10, output=30, reasoning=20),
    )
    events = shown(response)
    final = lawful(events)
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.annotation.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert final["usage"] == USAGE
    assert events[9]["part"] == {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    assert events[15]["item"] == {
        "id": "fc_1_2",
        "type": "function_call",
        "call_id": "c1",
        "name": "weather",
        "arguments": "",
        "status": "in_progress",
    }


FULL = answer(
    Thinking(text="hm", signature=CLAUDE),
    Thinking(redacted=True, signature=CLAUDE),
    Text(text="Hey", citations=[Citation(url="https://e.example", title="E", start=0, end=4)]),
    Text(text=" you"),
    Text(text="no", refusal=True),
    ToolCall(id="c1", name="weather", arguments='{"a":"x"}', signature=GOOGLE),
    ToolCall(id="c2", name="patch", arguments='{"input":"say \\"hi\\"\\n"}'),
    ToolCall(id="c3", name="crm__get"),
    Opaque(origin="anthropic", data={"type": "server_tool_use"}),
    Media(kind="image", data="AAAA", mime="image/png"),
    Text(text="bye", signature=GOOGLE),
    usage=Usage(input=5, output=3),
)
TOOLED = asked(
    stream=True,
    tools=[
        WEATHER,
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "crm", "description": "d", "tools": [{"type": "function", "name": "get"}]},
    ],
)


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_a_streams_final_response_is_the_whole_answer(cut: int):
    outs, losses = streamed(unfold(FULL), TOOLED, cut)
    final = lawful(bodies(outs))
    whole, same = told(FULL, TOOLED)
    assert final == whole
    assert paths(losses) == paths(same)
    assert judged(outs).to_dict()["output"][2]["content"][0]["text"] == "Hey"


def test_the_vendors_accumulator_understands_it():
    final = judged(streamed(unfold(FULL), TOOLED)[0])
    assert final.output_text == "Hey youbye"
    assert [item.type for item in final.output] == [item["type"] for item in told(FULL, TOOLED)[0]["output"]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(response=ir.responses, cut=st.integers(1, 6))
def test_every_answer_has_a_lawful_stream(response: Response, cut: int):
    outs, _ = streamed(unfold(response), asked(stream=True), cut)
    final = lawful(bodies(outs))
    whole = told(response)[0]
    assert [item["type"] for item in final["output"]] == [item["type"] for item in whole["output"]]
    assert (final["status"], final["usage"]) == (whole["status"], whole["usage"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_parts_may_be_under_way_at_once(data: st.DataObject):
    """39: S1. Whatever the order in which parts interleave, every event stands with its item."""
    response: Response = data.draw(ir.responses)
    choice = response.choices[0]
    choice.logprobs = []
    rows = [unfold(answer(part)) for part in choice.parts]
    queues: list[list[AnyEvent]] = []
    for index, row in enumerate(rows):
        queues.append([msgspec.structs.replace(event, index=index) for event in row if hasattr(event, "index")])
    events: list[AnyEvent] = [Start(id="r", model="m")]
    opened = 0
    while any(queues):
        ready = [q for n, q in enumerate(queues) if q and (n <= opened)]
        queue = data.draw(st.sampled_from(ready))
        event = queue.pop(0)
        opened += isinstance(event, PartStart)
        events.append(event)
    events += [ChoiceEnd(finish=choice.finish), End()]
    final = lawful(bodies(streamed(events)[0]))
    said = [p for p in responses.parse_response(copy.deepcopy(final)).choices[0].parts if isinstance(p, ToolCall)]
    made = [p for p in choice.parts if isinstance(p, ToolCall)]
    assert sorted((p.id, p.name, p.arguments) for p in said) == sorted((p.id, p.name, p.arguments) for p in made)


def test_a_backend_that_gives_no_reason_leaves_nothing_open():
    """39: an upstream without a finish reason."""
    events: list[AnyEvent] = [
        Start(id="x", model="m"),
        PartStart(index=0, part=Text()),
        PartDelta(index=0, text="Hi"),
        PartStart(index=1, part=ToolCall(id="c", name="f")),
        PartDelta(index=1, text="{}"),
        End(usage=Usage(input=1, output=1)),
    ]
    final = lawful(bodies(streamed(events)[0]))
    assert final["status"] == "completed"
    assert [item["status"] for item in final["output"]] == ["completed", "completed"]
    assert lawful(bodies(streamed([End()])[0]))["output"] == []


@pytest.mark.parametrize(
    ("finish", "kind", "status"),
    [
        (Finish(reason="length"), "response.incomplete", "incomplete"),
        (Finish(reason="filter"), "response.incomplete", "incomplete"),
        (Finish(reason="error", raw="MALFORMED"), "response.failed", "failed"),
        (Finish(reason="tool_calls"), "response.completed", "completed"),
    ],
)
def test_the_last_event_tells_how_it_ended(finish: Finish, kind: str, status: str):
    events = shown(answer(Text(text="x"), finish=finish))
    assert lawful(events)["status"] == status
    assert events[-1]["type"] == kind
    assert events[-2]["item"]["status"] == ("incomplete" if status == "incomplete" else "completed")


@pytest.mark.parametrize("reason", ["length", "tool_calls"])
@pytest.mark.parametrize("said", ["", '{"a":"x', '{"a":"x"}'])
def test_a_call_cut_short_is_told_so_at_its_end(said: str, reason: Any):
    """Anthropic closes a block before it tells why the answer ended: a call that is no whole object waits for that."""
    call = ToolCall(id="c", name="weather", arguments=said)
    response = answer(Text(text="Hm."), call, finish=Finish(reason=reason))
    outs, _ = streamed(unfold(response), asked(stream=True), 1)
    events = bodies(outs)
    final = lawful(events)
    assert final["output"] == told(response)[0]["output"]
    cut = reason == "length" and said != '{"a":"x"}'
    assert final["output"][1]["status"] == ("incomplete" if cut else "completed")
    assert final["output"][1]["arguments"] == (said if cut else said or "{}")
    if reason != "length":
        assert judged(outs).output[1].to_dict()["arguments"] == (said or "{}")


def test_a_failure_is_told_twice_over():
    """By the stream's own error event, and for those who look for it there, in a failed response."""
    events: list[AnyEvent] = [Start(id="x", model="m"), PartStart(index=0, part=Text()), PartDelta(index=0, text="Hi")]
    failure = Failure(status=429, kind="rate_limit", message="Slow down.")
    told_ = bodies(streamed([*events, failure])[0])
    number = len(told_) - 2
    assert told_[-2] == {
        "type": "error",
        "sequence_number": number,
        "code": "rate_limit_exceeded",
        "message": "Slow down.",
        "param": None,
    }
    assert told_[-1]["type"] == "response.failed"
    assert told_[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
    for event in told_:
        EVENT.validate_python(event)
    first = bodies(streamed([failure])[0])
    assert [event["type"] for event in first] == ["response.created", "response.in_progress", "error", "response.failed"]


def test_seals_come_when_they_are_known():
    events: list[AnyEvent] = [
        Start(id="x", model="m"),
        PartStart(index=0, part=Text()),
        PartDelta(index=0, text="Hi"),
        PartDelta(index=0, signature=GOOGLE),
        PartEnd(index=0),
        PartStart(index=1, part=Text()),
        PartDelta(index=1, signature=GOOGLE),
        PartEnd(index=1),
        PartStart(index=2, part=ToolCall(id="c", name="f")),
        PartDelta(index=2, signature=GOOGLE),
        PartEnd(index=2),
        PartStart(index=3, part=Thinking()),
        PartDelta(index=3, text="hm"),
        PartDelta(index=3, signature=CLAUDE),
        PartEnd(index=3),
        ChoiceEnd(),
        End(),
    ]
    outs, losses = streamed(events)
    final = lawful(bodies(outs))
    assert [item["type"] for item in final["output"]] == ["message", "reasoning", "reasoning", "function_call", "reasoning"]
    assert unseal(final["output"][1]["encrypted_content"]) == Text(signature=GOOGLE)
    assert unseal(final["output"][4]["encrypted_content"]) == Thinking(text="hm", signature=CLAUDE)
    assert paths(losses) == ["response.choices[0].parts[2].signature;dropped"]


def test_logprobs_go_with_their_words():
    tokens = [TokenLogprob("Hey", -0.5, [72], [TokenLogprob("Hey", -0.5, [72])])]
    response = answer(Text(text="Hey"))
    response.choices[0].logprobs = tokens
    events = shown(response)
    final = lawful(events)
    delta = next(event for event in events if event["type"] == "response.output_text.delta")
    assert delta["logprobs"] == final["output"][0]["content"][0]["logprobs"]
    assert fold(read(events)).choices[0].logprobs == tokens
    outs, losses = streamed([Start(), ChoiceEnd(logprobs=tokens), End()])
    assert paths(losses) == ["response.choices[0].logprobs;dropped"] and lawful(bodies(outs))


def test_what_only_others_have_is_reported():
    events: list[AnyEvent] = [
        Start(id="x", extras={"openai": {"service_tier": "flex", "system_fingerprint": "fp"}}),
        UsageSoFar(usage=Usage(input=3)),
        OpaqueEvent(origin="anthropic", data={"type": "x"}),
        PartStart(index=0, part=Text(extras={"anthropic": {"x": 1}})),
        PartStart(choice=1, index=0, part=Text()),
        PartEnd(index=0),
        PartDelta(index=9, text="of nothing"),
        ChoiceEnd(extras={"openai": {"x": 1}}),
        ChoiceEnd(choice=1),
        End(),
    ]
    outs, losses = streamed(events)
    final = lawful(bodies(outs))
    assert final["service_tier"] == "flex" and final["usage"]["input_tokens"] == 3
    assert paths(losses) == [
        "response.system_fingerprint;dropped",
        "response.stream;dropped",
        "response.choices[1];dropped",
        "response.choices[0].parts[0].x;dropped",
        "response.choices[0].x;dropped",
    ]


# Read


def item_events(item: Json, index: int) -> list[Json]:
    """An item told as briefly as a server may: added, and done."""
    empty = {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}
    begun = {**item, **empty.get(item["type"], {})}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def completed(**fields: Any) -> Json:
    return {"type": "response.completed", "response": {**RESPONSE, **fields}}


def failed(code: str) -> Json:
    return {"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": "No."}}}


def bare(parts: list[AnyPart]) -> list[AnyPart]:
    """Parts without how they were spelled."""
    return [msgspec.structs.replace(part, extras={}) for part in parts]


WHOLE = responses.parse_response(copy.deepcopy(RESPONSE))


@pytest.mark.parametrize(
    "events",
    [
        [CREATED, completed()],
        [CREATED, *(event for n, item in enumerate(OUTPUT) for event in item_events(item, n)), completed()],
        [CREATED, *(event for n, item in enumerate(OUTPUT) for event in item_events(item, n)[:1]), completed()],
        [*(event for n, item in enumerate(OUTPUT) for event in item_events(item, n)[1:]), completed(output=[])],
        [event for event in shown(WHOLE) if not event["type"].endswith(".done")],
        [event for event in shown(WHOLE) if event["type"] != "response.output_item.done"],
        [event for event in shown(WHOLE) if not event["type"].endswith(".delta")],
        [event for event in shown(WHOLE) if not event["type"].startswith("response.content_part")],
        shown(WHOLE),
    ],
    ids=["only the end", "items", "added only", "done only", "no done", "no item done", "no deltas", "no content parts", "all"],
)
def test_a_stream_is_read_whatever_it_leaves_out(events: list[Json]):
    """b.1: arguments that come only with a .done are arguments."""
    response = fold(read(events))
    assert sorted(map(repr, bare(response.choices[0].parts))) == sorted(map(repr, bare(WHOLE.choices[0].parts)))
    assert response.choices[0].finish == WHOLE.choices[0].finish
    assert response.usage == WHOLE.usage


def test_arguments_only_on_their_done():
    call = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
    done = {"type": "response.function_call_arguments.done", "output_index": 0, "item_id": "fc_1", "arguments": '{"a":1}'}
    events = [CREATED, item_events(call, 0)[0], done, completed(output=[])]
    found = read(events)
    assert [event.text for event in found if isinstance(event, PartDelta)] == ['{"a":1}']
    whole = {**done, "type": "response.function_call_arguments.delta", "delta": '{"a":1}'}
    twice = read(
        [CREATED, item_events(call, 0)[0], whole, done, item_events({**call, "arguments": '{"a":1}'}, 0)[1], completed()]
    )
    assert [event.text for event in twice if isinstance(event, PartDelta)] == ['{"a":1}'], "told once"
    assert [type(event).__name__ for event in twice] == ["Start", "PartStart", "PartDelta", "PartEnd", "ChoiceEnd", "End"]


def test_a_call_that_says_its_name_last():
    call = {"id": "fc_1", "type": "function_call"}
    more = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"a"'}
    last = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    events = [{"type": "response.output_item.added", "output_index": 0, "item": call}, more]
    events.append({"type": "response.output_item.done", "output_index": 0, "item": last})
    assert bare(fold(read([CREATED, *events, completed(output=[])])).choices[0].parts) == [
        ToolCall(id="c", name="f", arguments='{"a":1}')
    ]


@pytest.mark.parametrize("words", [['say "', 'hi"\n', "\u2028\\"], [""], ["{}"]])
def test_a_custom_tools_input_is_read_piece_by_piece(words: list[str]):
    item = {"id": "ctc_1", "type": "custom_tool_call", "call_id": "c", "name": "patch", "input": ""}
    pieces = [{"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": word} for word in words]
    done = {"type": "response.output_item.done", "output_index": 0, "item": {**item, "input": "".join(words)}}
    part = fold(read([CREATED, item_events(item, 0)[0], *pieces, done, completed(output=[])])).choices[0].parts[0]
    assert isinstance(part, ToolCall)
    assert msgspec.json.decode(part.arguments) == {"input": "".join(words)}


def test_reasoning_in_sections_stays_in_sections():
    place: Json = {"output_index": 0, "item_id": "rs_1"}
    events: list[Json] = [
        CREATED,
        {"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning", "summary": []}},
    ]
    for n, words in enumerate(["One.", "Two."]):
        events += [
            {"type": "response.reasoning_summary_part.added", **place, "summary_index": n},
            {"type": "response.reasoning_summary_text.delta", **place, "summary_index": n, "delta": words[:2]},
            {"type": "response.reasoning_summary_text.delta", **place, "summary_index": n, "delta": words[2:]},
            {"type": "response.reasoning_summary_text.done", **place, "summary_index": n, "text": words},
        ]
    item: Json = {"id": "rs_1", "type": "reasoning", "encrypted_content": SEALED}
    item["summary"] = [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}]
    events += [{"type": "response.output_item.done", "output_index": 0, "item": item}, completed(output=[item])]
    found = read(events)
    folded = fold(found)
    assert bare(folded.choices[0].parts) == [Thinking(text="One.\n\nTwo.", signature=Signature("responses", SEALED))]
    again = lawful(bodies(streamed(found)[0]))
    assert again["output"] == [item]
    chat = openai.format_response(folded, asked(), Losses())
    assert chat["choices"][0]["message"]["reasoning_content"] == "One.\n\nTwo."


def test_open_reasoning_stays_open():
    place: Json = {"output_index": 0, "item_id": "rs_1", "content_index": 0}
    item: Json = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    events = [
        CREATED,
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": {"type": "reasoning_text", "text": ""}},
        {"type": "response.reasoning_text.delta", **place, "delta": "hm"},
        {"type": "response.reasoning_text.done", **place, "text": "hm"},
        {"type": "response.content_part.done", **place, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        completed(output=[item]),
    ]
    found = read(events)
    again = bodies(streamed(found)[0])
    assert lawful(again)["output"] == [item]
    assert [event["type"] for event in again[3:7]] == [event["type"] for event in events[2:6]]
    untold = read([events[0], events[1], events[4], events[6], events[7]])
    assert bare(fold(untold).choices[0].parts) == [Thinking(text="hm")]
    whole = responses.parse_response({**copy.deepcopy(RESPONSE), "output": [item]})
    assert told(whole)[0]["output"] == [item] and told(fold(found))[0]["output"] == [item]


def test_a_seal_of_ours_is_opened_in_a_stream_too():
    carried = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": seal(GOOGLE)}
    opaque = {
        "id": "rs_2",
        "type": "reasoning",
        "summary": [],
        "encrypted_content": seal(Opaque(origin="anthropic", data={"a": 1})),
    }
    call = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    events = [CREATED, *item_events(carried, 0), *item_events(call, 1), *item_events(opaque, 2), completed(output=[])]
    assert bare(fold(read(events)).choices[0].parts) == [
        ToolCall(id="c", name="f", arguments="{}", signature=GOOGLE),
        Opaque(origin="anthropic", data={"a": 1}),
    ]
    lone = fold(read([CREATED, *item_events(carried, 0), completed(output=[])]))
    assert lone.choices[0].parts == [Text(signature=GOOGLE)]
    words = shown(answer(Thinking(text="hm", signature=CLAUDE)))
    assert bare(fold(read(words)).choices[0].parts) == [Thinking(text="hm", signature=CLAUDE)]


def test_what_the_service_runs_passes_through_step_by_step():
    search = OUTPUT[1]
    steps: list[Json] = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**search, "status": "in_progress"}},
        {"type": "response.web_search_call.in_progress", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.web_search_call.completed", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.output_item.done", "output_index": 0, "item": search},
        {"type": "response.born_later", "x": 1},
    ]
    found = read([CREATED, *steps, completed(output=[search])])
    again = bodies(streamed(found)[0])
    assert [{k: v for k, v in event.items() if k != "sequence_number"} for event in again[2:-1]] == steps
    assert again[-1]["response"]["output"] == [search]
    losses = Losses()
    anthropic.Formatter(asked(), losses).feed(found)
    assert "response.stream;dropped" in paths(losses)


def test_a_stream_of_its_own_comes_out_as_it_went_in():
    events = shown(WHOLE)
    assert bodies(streamed(read(events))[0]) == events
    final = lawful(events)
    assert {key: value for key, value in final.items() if key not in ("usage", "output")} == {
        key: value for key, value in RESPONSE.items() if key not in ("usage", "output")
    }


@pytest.mark.parametrize(
    ("event", "status", "kind"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "No.", "param": None}, 429, "rate_limit"),
        ({"type": "error", "code": None, "message": "No."}, 500, "server_error"),
        ({"type": "error", "error": {"code": "context_length_exceeded", "message": "No."}}, 400, "context_window"),
        ({"error": {"type": "server_error", "message": "No."}}, 500, "server_error"),
        (
            {"type": "response.failed", "response": {"status": "failed", "error": {"code": "x", "message": "No."}}},
            500,
            "server_error",
        ),
        (
            {
                "type": "response.failed",
                "response": {"status": "failed", "error": {"code": "insufficient_quota", "message": "No."}},
            },
            429,
            "rate_limit",
        ),
    ],
)
def test_an_error_under_way_is_a_failure(event: Json, status: int, kind: str):
    found = read([CREATED, event, completed()])
    last = found[-1]
    assert isinstance(last, Failure)
    assert (last.status, last.kind, last.message) == (status, kind, "No.")


def test_a_model_that_failed_still_answered():
    events = shown(answer(Text(text="x"), finish=Finish(reason="error", raw="MALFORMED")))
    choice = fold(read(events)).choices[0]
    assert choice.finish is not None and choice.finish.reason == "error"


def test_a_stream_cut_short_is_a_failure():
    found = read(shown(WHOLE)[:5])
    assert isinstance(found[-1], Failure) and found[-1].kind == "bad_gateway"
    parser = responses.Parser()
    done = Frame(None, b"[DONE]")
    assert isinstance(parser.feed(done)[-1], Failure)
    parser = responses.Parser()
    for event in shown(answer(Text(text="x")))[:6]:
        parser.feed(Frame(None, msgspec.json.encode(event)))
    assert [type(event).__name__ for event in parser.feed(done)] == ["PartEnd", "ChoiceEnd", "End"]
    assert parser.feed(done) == parser.close() == []


@pytest.mark.parametrize(
    "data",
    [
        b"no JSON",
        b"5",
        b"{}",
        b'{"delta": 5}',
        b'{"type": 5}',
        b'{"type": "response.created"}',
        b'{"type": "response.output_text.delta", "output_index": "x", "delta": "x"}',
        b'{"type": "response.output_text.delta", "output_index": 0, "delta": 5}',
        b'{"type": "response.function_call_arguments.delta", "output_index": 7, "delta": "x"}',
        b'{"type": "response.output_item.added", "item": {}}',
        b'{"type": "response.output_item.done", "item": {"type": "message", "content": [5]}}',
        b'{"type": "response.completed", "response": {"output": [5]}}',
    ],
)
def test_what_is_no_event_is_refused(data: bytes):
    with pytest.raises(UpstreamGarbage):
        responses.Parser().feed(Frame(None, data))


def test_words_without_their_beginning_are_words():
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"}
    response = fold(read([CREATED, delta, {**delta, "delta": " you", "obfuscation": "x"}, completed(output=[])]))
    assert bare(response.choices[0].parts) == [Text(text="Hi you")]


def test_items_under_way_at_once_are_kept_apart():
    first, second = ({"id": f"fc_{n}", "type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": ""} for n in (0, 1))
    events = [CREATED, item_events(first, 0)[0], item_events(second, 1)[0]]
    for piece in ('{"a":', "1}"):
        for n in (0, 1):
            events.append({"type": "response.function_call_arguments.delta", "output_index": n, "delta": piece})
    parts = fold(read([*events, completed(output=[])])).choices[0].parts
    assert [part.arguments for part in parts if isinstance(part, ToolCall)] == ['{"a":1}', '{"a":1}']


def test_citations_are_told_once():
    place: Json = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    text = {"type": "output_text", "text": "Sky", "annotations": [URL, URL]}
    message = {**OUTPUT[2], "content": [text]}
    events = [
        CREATED,
        item_events(message, 0)[0],
        {"type": "response.content_part.added", **place, "part": {**text, "text": "", "annotations": []}},
        {"type": "response.output_text.delta", **place, "delta": "Sky", "logprobs": []},
        {"type": "response.output_text.annotation.added", **place, "annotation_index": 0, "annotation": URL},
        {"type": "response.content_part.done", **place, "part": text},
        item_events(message, 0)[1],
        completed(output=[message]),
    ]
    part = fold(read(events)).choices[0].parts[0]
    assert isinstance(part, Text) and len(part.citations) == 2


def test_a_stream_may_be_odd():
    """An index told twice, a message that begins with its words, an unknown part, words after the end, nothing at all."""
    text = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    place: Json = {"output_index": 0, "content_index": 0}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [text]}
    steps: list[Json] = [
        {"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_0", "type": "message"}},
        {"type": "response.output_item.added", "output_index": 0, "item": message},
        {"type": "response.content_part.added", **place, "part": {"type": "scent", "x": 1}},
        {"type": "response.output_text.delta", **place, "delta": ""},
        {"type": "response.output_text.annotation.added", **place, "annotation": None},
        {"type": "response.content_part.done", **place, "part": {**text, "logprobs": [token]}},
        {"type": "response.output_text.delta", **place, "delta": "late"},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.content_part.added", "output_index": 1, "content_index": 0, "part": {**text, "text": "And"}},
        {"type": "response.reasoning_summary_text.delta", "output_index": 1, "delta": "in a message"},
        {"type": "response.reasoning_text.done", "output_index": 2, "content_index": 0, "text": None},
    ]
    found = read([CREATED, CREATED, *steps, completed(output=[])])
    response = fold(found)
    assert [part.text for part in response.choices[0].parts if isinstance(part, Text)] == ["Hi", "And"]
    assert [token.token for token in response.choices[0].logprobs] == ["Hi"]
    assert [event.data["part"]["type"] for event in found if isinstance(event, OpaqueEvent)] == ["scent"]
    assert isinstance(response.choices[0].parts[0], Opaque), "a message of nothing is kept as it is"


def test_a_formatter_takes_parts_that_begin_whole():
    events: list[AnyEvent] = [
        Start(id="x", model="m"),
        Start(id="y"),
        PartStart(index=0, part=Text(text="Hi", citations=[Citation(url="https://e.example")])),
        PartStart(index=1, part=ToolCall(id="c", name="patch", arguments='{"input":"x"}')),
        PartStart(index=2, part=Thinking(redacted=True, text="hidden")),
        PartDelta(index=2, text=" words"),
        PartStart(index=3, part=Media(kind="audio", data="AA")),
        PartDelta(index=3, text="BB"),
        PartDelta(index=3, signature=GOOGLE),
        PartStart(index=4, part=Text(text="there")),
        PartDelta(choice=1, index=0, text="of another"),
        ChoiceEnd(),
        End(),
    ]
    final = lawful(bodies(streamed(events, TOOLED)[0]))
    assert [item["type"] for item in final["output"]] == ["message", "custom_tool_call", "message", "reasoning", "reasoning"]
    assert unseal(final["output"][3]["encrypted_content"]) == Thinking(redacted=True, text="hidden words")
    assert unseal(final["output"][4]["encrypted_content"]) == Media(kind="audio", data="AABB", signature=GOOGLE)


# The mock's streams


def mocked(name: str, stream: bool) -> Reply | Stream:
    tools: Any = [WEATHER, {"type": "custom", "name": "patch"}]
    body: Json = {"model": "gpt-5.5", "input": f"[[{name}]] one two", "tools": tools, "reasoning": {"summary": "auto"}}
    body |= {"include": ["reasoning.encrypted_content"], "store": False, "stream": stream}
    app = MockApp()
    call = Call("POST", "/v1/responses", {}, {"authorization": "Bearer k"}, msgspec.json.encode(body))
    vendor = claimant(call)
    return app.answer(vendor, call, app.journal.open(vendor.name, call))


ANSWERED = [name for name in SCENARIOS if mocked(name, False).status == 200 and name not in ("garbage", "nofinish")]


@pytest.mark.parametrize("name", ANSWERED)
def test_whole_and_streamed_say_the_same(name: str):
    reply, stream = mocked(name, False), mocked(name, True)
    assert isinstance(reply, Reply) and isinstance(stream, Stream)
    whole = responses.parse_response(msgspec.json.decode(reply.body))
    frames = [chunk.data.decode().partition("\ndata: ") for chunk in stream.chunks]
    events = [msgspec.json.decode(data) for _, _, data in frames]
    folded = fold(read(events))
    first, second = seen(folded), seen(whole)
    assert first == second if name != "interleaved" else sorted(map(repr, first)) == sorted(map(repr, second))
    assert (folded.choices[0].finish, folded.usage) == (whole.choices[0].finish, whole.usage)
    again = bodies(streamed(read(events))[0])
    assert lawful(again)["output"] or name == "empty"
    if name not in ("interleaved", "whole_args"):
        assert [event["type"] for event in again] == [event["type"] for event in events]


def seen(response: Response) -> list[AnyPart]:
    """What is said; ids and seals follow from the request, which was not the same to the byte."""
    return [
        msgspec.structs.replace(part, signature=None, **({"id": ""} if isinstance(part, ToolCall) else {}))
        for part in bare(response.choices[0].parts)
    ]
