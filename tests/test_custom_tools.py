"""A tool whose input is free text is a function of one string to other models, and what its client declared to its client."""

from typing import Any

import msgspec
import pytest

from interlingua.fold import fold, unfold
from interlingua.framing import Frame
from interlingua.ir import Choice, Finish, Request, Response, ToolCall
from interlingua.losses import Losses
from interlingua.protocols import anthropic, openai, target

TOOL = {"type": "custom", "custom": {"name": "shell", "description": "Runs."}}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "List it."}], "tools": [TOOL]}


def asked() -> Request:
    return openai.parse_request(msgspec.json.decode(msgspec.json.encode(ASKED)))


def answer(*arguments: str) -> Response:
    calls: list[Any] = [ToolCall(id=f"c{k}", name="shell", arguments=said) for k, said in enumerate(arguments)]
    return Response(id="a", model="m", choices=[Choice(parts=calls, finish=Finish(reason="tool_calls"))])


@pytest.mark.parametrize("cut", [1, 3, 100])
def test_another_models_call_is_the_clients_own(cut: int):
    """However its arguments come, the input is told as text, whole and streamed alike."""
    given = answer('{"input":"ls \\"sea\\""}', '{"input":', '{"cmd":1}')
    losses = Losses()
    whole = openai.format_response(given, asked(), losses)["choices"][0]["message"]["tool_calls"]
    assert whole == [
        {"id": "c0", "type": "custom", "custom": {"name": "shell", "input": 'ls "sea"'}},
        {"id": "c1", "type": "custom", "custom": {"name": "shell", "input": '{"input":'}},  # broken off: as it came
        {"id": "c2", "type": "custom", "custom": {"name": "shell", "input": '{"cmd":1}'}},  # not what was asked for
    ]
    events, calls = unfold(given), list[dict[str, Any]]()
    formatter = openai.Formatter(asked(), losses)
    for i in range(0, len(events), cut):
        for out in formatter.feed(events[i : i + cut]):
            data = msgspec.json.decode(out.data) if isinstance(out.data, bytes) and out.data != b"[DONE]" else out.data
            for choice in data["choices"] if isinstance(data, dict) else ():
                for call in choice["delta"].get("tool_calls", ()):
                    if "id" in call:
                        calls.append(call)
                    else:
                        calls[call["index"]]["custom"]["input"] += call["custom"]["input"]
    assert [{key: call[key] for key in ("id", "type", "custom")} for call in calls] == whole
    assert not list(losses)


def test_a_call_brought_back_and_its_result_reach_any_model():
    """Neither is left without the other."""
    message = openai.format_response(answer('{"input":"ls"}'), asked(), Losses())["choices"][0]["message"]
    history = [*ASKED["messages"], message, {"role": "tool", "tool_call_id": "c0", "content": "tides.txt"}]
    body = msgspec.json.decode(msgspec.json.encode({**ASKED, "messages": history}))
    losses = Losses()
    request = openai.parse_request(body)
    sent = anthropic.format_request(request, target("claude-sonnet-4-6"), losses)["messages"]
    assert sent[1]["content"][0] | {"input": None} == {"type": "tool_use", "id": "c0", "name": "shell", "input": None}
    assert sent[2]["content"][0]["tool_use_id"] == "c0"
    assert not list(losses)
    again = openai.format_request(request, target("gpt-5"), Losses())
    assert again["messages"][1]["tool_calls"] == message["tool_calls"] and again["tools"] == [TOOL]


def test_openais_own_call_is_passed_on_as_it_came():
    chunks = [
        {"index": 0, "id": "c", "type": "custom", "custom": {"name": "shell", "input": ""}},
        {"index": 0, "custom": {"input": "ls"}},
    ]
    parser, seen = openai.Parser(), list[Any]()
    for entry in chunks:
        chunk = {"id": "a", "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [entry]}, "finish_reason": None}]}
        seen += parser.feed(Frame(None, msgspec.json.encode(chunk)))
    seen += parser.feed(Frame(None, b"[DONE]"))
    told = openai.format_response(fold(seen), asked(), Losses())["choices"][0]["message"]["tool_calls"][0]
    assert told["custom"]["name"] == "shell"


def test_a_call_of_a_kind_not_known_here_stays_openais_with_its_result():
    """A call of tomorrow's goes back to OpenAI as it came; elsewhere its result is not left behind without it."""
    call = {"id": "c1", "type": "shell", "shell": {"cmd": "ls"}}
    known = {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        *ASKED["messages"],
        {"role": "assistant", "content": None, "tool_calls": [call, known]},
        {"role": "tool", "tool_call_id": "c1", "content": "tides.txt"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "done"}]},
    ]
    request = openai.parse_request(msgspec.json.decode(msgspec.json.encode({**ASKED, "messages": history})))
    assert openai.format_request(request, target("gpt-5"), Losses())["messages"] == history
    losses = Losses()
    sent = anthropic.format_request(request, target("claude-sonnet-4-6"), losses)["messages"]
    assert [block["id"] for block in sent[1]["content"]] == ["c2"]
    assert [block["tool_use_id"] for block in sent[2]["content"]] == ["c2"]
    told = {openai.field_path(loss.path, request) for loss in losses}
    assert {"messages[1].tool_calls[0]", "messages[2]"} <= told
    parsed = openai.parse_response({"choices": [{"message": {"content": "Hm.", "tool_calls": [call]}}]})
    assert openai.format_response(parsed, asked(), Losses())["choices"][0]["message"]["tool_calls"] == [call]
    formatter = openai.Formatter(asked(), Losses())
    chunks = [out.data for event in unfold(parsed) for out in formatter.feed([event])]
    calls = [c["delta"]["tool_calls"] for d in chunks if isinstance(d, dict) for c in d["choices"] if "tool_calls" in c["delta"]]
    assert calls == [[{"index": 0, **call}]]
