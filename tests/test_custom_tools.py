"""A tool whose input is free text is itself to OpenAI's models, by either API, a function of one string to others, and what its
client declared to its client."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.fold import fold, unfold
from interlingua.framing import Frame
from interlingua.hosts import HOSTS
from interlingua.ir import Choice, Finish, Request, Response, ToolCall
from interlingua.losses import Losses
from interlingua.protocols import anthropic, openai, responses, target
from interlingua.protocols.openai_common import FreeText, free_text, in_arguments
from interlingua.protocols.shared import decode_request

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
    call = {"id": "c1", "type": "shell", "shell": {"cmd": "ls"}, "custom": {"name": "later"}}
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


# What stands in a call's arguments

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\/\n\t{}u'), max_size=30)


def read(arguments: str, cuts: list[int]) -> str:
    """The input, told in pieces."""
    reader, said, ends = FreeText(), "", sorted({*(cut % (len(arguments) + 1) for cut in cuts), len(arguments)})
    for start, end in zip([0, *ends], ends, strict=False):
        said += reader.feed(arguments[start:end])
    return said + reader.end()


@given(words=TEXTS, ascii_only=st.booleans(), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_free_text_in_arguments_is_read_back(words: str, ascii_only: bool, cuts: list[int]):
    """However its JSON is spelled, and wherever it is cut: within an escape, or between the halves of a letter."""
    assert read(in_arguments(words), cuts) == words
    assert read(json.dumps({"input": words}, ensure_ascii=ascii_only, indent=1), cuts) == words
    assert read(json.dumps({"why": 1, "input": words}, ensure_ascii=ascii_only), cuts) == words


@given(
    arguments=st.text(st.sampled_from('{}"input:\\u{d83dDE00 ,a1'), max_size=40).map('{{"input":"{}'.format)
    | st.text(max_size=90)
)
def test_whatever_the_arguments_are_they_are_read_alike_however_cut(arguments: str):
    whole = free_text(arguments)
    assert read(arguments, list(range(len(arguments)))) == whole
    whole.encode()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"input":"ab', "ab"),  # broken off: as far as it came
        ('{"input":"ab\\', "ab\\"),
        ('{"input":"ab\\u00', "ab\\u00"),
        ('{"input":"\\ud83d', "\\ud83d"),
        ('{"input":"\\ud83dx"}', "\ufffdx"),
        ('{"input":"a\\qb"}', "a\\qb"),
        ('{"input":"a\nb"}', "a\nb"),  # no JSON, but what the model meant
        ('{"input":"a\\u12zb"}', 'a\\u12zb"}'),
        ('{"input":5}', '{"input":5}'),
        ("ls", "ls"),
        ("", ""),
    ],
)
def test_arguments_that_are_not_what_was_asked_for(arguments: str, told: str):
    """Nothing of them vanishes."""
    assert free_text(arguments) == told


def test_the_words_are_told_as_they_come():
    reader = FreeText()
    pieces = ['{"inp', 'ut": "ls', ' \\"se', "a\\", 'ud83d\\ude00"', "}"]
    assert [reader.feed(piece) for piece in pieces] == ["", "ls", ' "se', "a", "\N{GRINNING FACE}", ""]
    assert reader.end() == ""


# From API to API

GRAMMAR = {"syntax": "lark", "definition": "start: /.+/"}
FORMATS: list[tuple[Any, Any]] = [
    ({"type": "grammar", "grammar": GRAMMAR}, {"type": "grammar", **GRAMMAR}),
    ({"type": "text"}, {"type": "text"}),
]


def spoken(protocol: Any, tools: list[Any], **more: Any) -> Request:
    said: Any = [{"role": "user", "content": "List it."}]
    body = {"model": "m", "messages" if protocol is openai else "input": said, "tools": tools, **more}
    return protocol.parse_request(msgspec.json.decode(msgspec.json.encode(body)))


def sent(protocol: Any, request: Request, model: str = "gpt-5", quirks: frozenset[str] = frozenset()) -> tuple[Any, list[str]]:
    losses = Losses()
    body = protocol.format_request(request, target(model, quirks), losses)
    return msgspec.json.decode(msgspec.json.encode(body)), [loss.path for loss in losses]


@pytest.mark.parametrize(("chats", "newer"), FORMATS)
def test_a_format_is_told_in_each_apis_words(chats: Any, newer: Any):
    chat = [{"type": "custom", "custom": {"name": "shell", "format": chats}}]
    new = [{"type": "custom", "name": "shell", "format": newer}]
    for tools, source in ((chat, openai), (new, responses)):
        request = spoken(source, tools)
        for model in ("gpt-5", "openai/gpt-5.1-codex", "gpt-12"):
            assert [sent(openai, request, model)[0]["tools"], sent(responses, request, model)[0]["tools"]] == [chat, new]
            assert sent(openai, request, model)[1] == sent(responses, request, model)[1] == []


def test_a_format_born_later_is_its_own_apis():
    chat = spoken(openai, [{"type": "custom", "custom": {"name": "shell", "format": {"type": "newer", "x": 1}}}])
    assert sent(responses, chat) == (
        {**sent(responses, chat)[0], "tools": [{"type": "custom", "name": "shell"}]},
        ["tools[0].custom.format"],
    )
    new = spoken(responses, [{"type": "custom", "name": "shell", "format": {"type": "grammar", **GRAMMAR, "x": 1}}])
    body, losses = sent(openai, new)
    assert body["tools"] == [{"type": "custom", "custom": {"name": "shell"}}] and losses == ["tools[0].format"]
    assert sent(responses, new)[0]["tools"][0]["format"] == {"type": "grammar", **GRAMMAR, "x": 1}


def test_what_only_the_newer_api_says_of_it_is_lost():
    request = spoken(responses, [{"type": "custom", "name": "shell", "defer_loading": True, "format": FORMATS[0][1]}])
    body, losses = sent(openai, request)
    assert body["tools"][0]["custom"]["format"] == FORMATS[0][0] and losses == ["tools[0].defer_loading"]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-oss-120b", "o3", "qwen3", "my-deployment"])
def test_to_a_model_not_known_to_have_such_tools_it_is_a_function(model: str):
    request = spoken(responses, [{"type": "custom", "name": "shell", "format": FORMATS[0][1]}])
    body, losses = sent(openai, request, model)
    assert body["tools"][0]["function"]["name"] == "shell" and losses == ["tools[0].custom.format"]
    assert responses.field_path(losses[0], request) == "tools[0].format"


def test_a_namespaces_custom_tool_has_its_whole_name():
    tools = [{"type": "namespace", "name": "crm", "description": "", "tools": [{"type": "custom", "name": "sql"}]}]
    asked = spoken(responses, tools)
    assert sent(openai, asked)[0]["tools"] == [{"type": "custom", "custom": {"name": "crm__sql"}}]
    call = {"id": "c1", "type": "custom", "custom": {"name": "crm__sql", "input": "select"}}
    answer = openai.parse_response(
        {"choices": [{"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    )
    item = responses.format_response(answer, asked, Losses())["output"][0]
    assert (item["type"], item["namespace"], item["name"], item["input"]) == ("custom_tool_call", "crm", "sql", "select")


CALLED = [
    {"role": "user", "content": "List it."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "tides.txt"},
]


@pytest.mark.parametrize(
    ("model", "items"),
    [
        (
            "gpt-5",
            [
                {"type": "custom_tool_call", "call_id": "c1", "name": "shell", "input": "ls"},
                {"type": "custom_tool_call_output", "call_id": "c1", "output": "tides.txt"},
            ],
        ),
        (
            "gpt-4o",
            [
                {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": '{"input":"ls"}'},
                {"type": "function_call_output", "call_id": "c1", "output": "tides.txt"},
            ],
        ),
    ],
)
def test_a_call_and_its_result_are_told_alike_though_the_tool_is_gone(model: str, items: list[Any]):
    request = openai.parse_request(msgspec.json.decode(msgspec.json.encode({"model": "m", "messages": CALLED})))
    body, losses = sent(responses, request, model)
    assert body["input"][1:] == items and losses == []
    again = sent(openai, spoken(responses, [], input=body["input"]))[0]["messages"]
    assert (again == CALLED) == (model == "gpt-5") and again[2] == CALLED[2]


def test_a_server_of_the_dialect_is_told_functions():
    """Others than OpenAI answer a custom tool with a 400: tool, choice, call and grammar are all a function's there."""
    tools = [{"type": "custom", "custom": {"name": "shell", "format": FORMATS[0][0]}}]
    choice = {"type": "custom", "custom": {"name": "shell"}}
    request = spoken(openai, tools, messages=CALLED, tool_choice=choice)
    assert sent(openai, request)[0] == {"model": "gpt-5", "messages": CALLED, "tools": tools, "tool_choice": choice}
    body, losses = sent(openai, request, "gpt-5", HOSTS["vllm"].quirks)
    assert body["tools"][0]["type"] == "function" and "custom" not in json.dumps(body)
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "shell", "arguments": '{"input":"ls"}'}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "shell"}}
    assert losses == ["tools[0].custom.format"]


def test_tools_seen_before_are_told_to_each_as_it_takes_them():
    """What is kept written of them is not told to a model that takes it otherwise."""
    tools = [{"type": "custom", "custom": {"name": "shell", "description": "x" * 5000}}]
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "Hi."}], "tools": tools})
    request = openai.parse_request(decode_request(body))
    kinds = [
        sent(protocol, request, model, quirks)[0]["tools"][0]["type"]
        for protocol, model, quirks in (
            (openai, "gpt-5", frozenset[str]()),
            (openai, "gpt-5", HOSTS["groq"].quirks),
            (openai, "gpt-5", frozenset[str]()),
            (responses, "gpt-5", frozenset[str]()),
            (responses, "gpt-4o", frozenset[str]()),
        )
    ]
    assert kinds == ["custom", "function", "custom", "custom", "function"]
