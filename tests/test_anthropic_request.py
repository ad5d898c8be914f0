"""A request written for Anthropic: turns, parts, parameters and schemas, with what is lost of each."""

import copy
from typing import Any

import pytest

from interlingua.errors import InvalidRequest
from interlingua.ir import (
    Cache,
    Citation,
    Function,
    Media,
    Message,
    Opaque,
    Output,
    Reasoning,
    Request,
    ServerTool,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from interlingua.losses import Losses
from interlingua.protocols import anthropic
from interlingua.protocols.anthropic.names import api_version
from interlingua.protocols.claude import claude
from interlingua.protocols.strict_schema import dialect
from tests.anthropic_cases import (
    CHAR_LOCATION,
    CHAT,
    GOOGLE,
    OPUS,
    SIGNED,
    SONNET,
    WEB_LOCATION,
    Json,
    asked,
    from_openai,
    paths,
    said,
    sent,
)

# Turns


def test_results_of_one_turn_stand_in_one_message_and_first():
    body, losses = sent(
        Request(
            model="m",
            messages=[
                Message(role="user", parts=[Text(text="a")]),
                Message(
                    role="assistant", parts=[ToolCall(id="1", name="f"), ToolCall(id="2", name="f"), ToolCall(id="3", name="f")]
                ),
                Message(role="tool", parts=[ToolResult(id="1", parts=[Text(text="x")])]),
                Message(role="tool", parts=[ToolResult(id="2", parts=[Text(text="y")])]),
                Message(role="user", parts=[Text(text="b"), ToolResult(id="3", parts=[Text(text="z")])]),
            ],
        )
    )
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "1", "content": "x"},
        {"type": "tool_result", "tool_use_id": "2", "content": "y"},
        {"type": "tool_result", "tool_use_id": "3", "content": "z"},
        {"type": "text", "text": "b"},
    ]
    assert len(body["messages"]) == 3
    assert paths(losses) == ["messages[4].parts[1];changed"]


def test_tool_history_without_tools_invents_none():
    """S12; Anthropic takes calls and results without definitions."""
    body, losses = from_openai({"model": "m", "messages": CHAT["messages"]})
    assert "tools" not in body and losses == []


def test_images_and_documents_in_results_are_kept():
    """9: images silently dropped."""
    call = Message(role="assistant", parts=[ToolCall(id="1", name="f")])
    result = ToolResult(
        id="1",
        parts=[Text(text="see"), Media(kind="image", data="iVBORw0KGgo=", mime="image/png"), Media(kind="document", text="w")],
    )
    body, losses = sent(Request(model="m", messages=[*asked().messages, call, Message(role="tool", parts=[result])]))
    assert body["messages"][2]["content"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "w"}},
    ]
    assert losses == []


def test_a_results_name_is_lost_only_where_its_call_does_not_say_it():
    messages = [
        *asked().messages,
        Message(role="assistant", parts=[ToolCall(id="1", name="f")]),
        Message(role="tool", parts=[ToolResult(id="1", name="f"), ToolResult(id="2", name="g", error=True)]),
    ]
    body, losses = sent(Request(model="m", messages=messages))
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "1"},
        {"type": "tool_result", "tool_use_id": "2", "is_error": True},
    ]
    assert paths(losses) == ["messages[2].parts[1].name;dropped"]


def test_a_word_of_the_users_stands_before_the_assistants_first():
    """A chat that opens with the character's greeting, as SillyTavern's do."""
    greeting = [{"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Hi."}]
    body, losses = from_openai({"model": "m", "messages": [{"role": "system", "content": "Be Ada."}, *greeting]})
    assert body["system"] == "Be Ada."
    assert body["messages"] == [{"role": "user", "content": "."}, *greeting]
    assert paths(losses) == ["messages;added"]
    own = {"model": "m", "max_tokens": 9, "messages": greeting}  # Anthropic itself tells its own client
    assert sent(anthropic.parse_request(copy.deepcopy(own)))[0]["messages"] == greeting


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_an_empty_turn_is_told_and_no_sentence_is_invented(role: Any):
    """S11."""
    messages = [Message(role="user", parts=[Text(text="a")]), Message(role=role), Message(role="user", parts=[Text(text="b")])]
    body, losses = sent(Request(model="m", messages=messages))
    assert body["messages"] == [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert paths(losses) == ["messages[1];dropped"]


def test_blank_text_is_dropped_and_reported_where_it_said_something():
    message, lost = said(Text(text="a"), Text(text=""), Text(text=" \n"))
    assert message == {"role": "user", "content": "a"}
    assert lost == ["messages[0].parts[2];dropped"]


def test_an_anthropic_clients_blank_text_is_its_own():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": ""}, {"role": "user", "content": [{"type": "text", "text": " "}]}],
    }
    assert sent(anthropic.parse_request(copy.deepcopy(body)))[0]["messages"] == body["messages"]


def test_system_alone_becomes_the_turn_to_answer():
    body, losses = from_openai(
        {"model": "m", "messages": [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}]}
    )
    assert body["system"] == "a"
    assert body["messages"] == [{"role": "user", "content": "b"}]
    assert paths(losses) == ["messages[1];changed"]


MID = [
    {"role": "system", "content": "one"},
    {"role": "user", "content": "a"},
    {"role": "developer", "content": "two"},
    {"role": "system", "content": "three"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "c"},
]


def test_a_system_message_in_between_stays_where_the_model_takes_it():
    body, losses = from_openai({"model": "m", "messages": MID}, "claude-opus-4-8")
    assert body["system"] == "one"
    assert body["messages"][1] == {
        "role": "system",
        "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}],
    }
    assert [m["role"] for m in body["messages"]] == ["user", "system", "assistant", "user"]
    assert losses == []


def test_a_system_message_in_between_goes_to_the_start_where_the_model_does_not():
    body, losses = from_openai({"model": "m", "messages": MID}, SONNET)
    assert body["system"] == [{"type": "text", "text": text} for text in ("one", "two", "three")]
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert paths(losses) == ["messages[2];changed", "messages[3];changed"]


def test_a_system_message_that_no_answer_follows_goes_to_the_start():
    turns = [{"role": "user", "content": "a"}, {"role": "system", "content": "s"}, {"role": "user", "content": "b"}]
    body, losses = from_openai({"model": "m", "messages": turns}, "claude-opus-4-8")
    assert body["system"] == "s" and len(body["messages"]) == 2
    assert paths(losses) == ["messages[1];changed"]


def test_a_system_message_holds_words_only():
    parts: list[Any] = [Text(text="a"), Media(kind="image", url="https://e.com/i")]
    body, losses = sent(Request(model="m", messages=[Message(role="system", parts=parts), *asked().messages]))
    assert body["system"] == "a"
    assert paths(losses) == ["messages[0].parts[1];dropped"]


def test_parts_in_turns_that_cannot_hold_them_are_reported():
    assert said(ToolCall(id="1", name="f"), Text(text="a"))[1] == ["messages[0].parts[0];dropped"]
    assert said(Thinking(text="t", signature=SIGNED), Text(text="a"))[1] == ["messages[0].parts[0];dropped"]
    lost = said(ToolResult(id="1"), Media(kind="image", url="https://e.com/i"), Text(text="a"), role="assistant")[1]
    assert lost == ["messages[1].parts[0];dropped", "messages[1].parts[1];dropped"]


# Parts


def test_malformed_arguments_travel_under_the_documented_key():
    message, lost = said(ToolCall(id="1", name="f", arguments='{"a": '), role="assistant")
    assert message["content"][0]["input"] == {"INVALID_JSON": '{"a": '}
    assert lost == ["messages[1].parts[0].arguments;changed"]


def test_a_foreign_id_is_put_in_anthropics_alphabet_on_both_sides():
    id_ = "functions.get:0"
    messages = [
        *asked().messages,
        Message(role="assistant", parts=[ToolCall(id=id_, name="f")]),
        Message(role="tool", parts=[ToolResult(id=id_, parts=[Text(text="x")])]),
    ]
    body, losses = sent(Request(model="m", messages=messages))
    made = body["messages"][1]["content"][0]["id"]
    assert made.startswith("functions_get_0_") and made.replace("_", "").isalnum()
    assert body["messages"][2]["content"][0]["tool_use_id"] == made
    assert losses == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        (Media(kind="image", data="iVBORw0KGgoAAA", mime=None), {"type": "base64", "media_type": "image/png"}),
        (
            Media(kind="image", data="_9j_4AAQ", mime="image/jpeg"),
            {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"},
        ),
        (Media(kind="image", url="https://e.com/i"), {"type": "url", "url": "https://e.com/i"}),
        (Media(kind="document", url="https://e.com/a.pdf"), {"type": "url", "url": "https://e.com/a.pdf"}),
        (Media(kind="document", data="YWJj", mime="text/plain"), {"type": "text", "media_type": "text/plain", "data": "abc"}),
    ],
)
def test_media_that_anthropic_takes(part: Media, source: Json):
    message, lost = said(part)
    assert message["content"][0]["source"].items() >= source.items()
    assert lost == []


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="audio", data="AAAA", mime="audio/wav"),
        Media(kind="video", url="https://e.com/v.mp4"),
        Media(kind="image", data="AAAA", mime="image/tiff"),
        Media(kind="image", url="gs://bucket/i.png"),
        Media(kind="image", file="file-1"),
        Media(kind="image", text="no"),
        Media(kind="document", data="AAAA", mime="application/msword"),
        Media(kind="document", data="/w==", mime="text/plain"),
        Media(kind="document", url="https://e.com/a.txt", mime="text/plain"),
        Opaque(origin="openai", data={"type": "x"}),
    ],
)
def test_media_that_anthropic_lacks_is_reported(part: Any):
    """S7, 9."""
    message, lost = said(part, Text(text="a"))
    assert message == {"role": "user", "content": "a"}
    assert lost == ["messages[0].parts[0];dropped"]


def test_a_text_document_of_another_type_is_sent_as_plain_text():
    message, lost = said(Media(kind="document", text="# a", mime="text/markdown", name="n"))
    assert message["content"] == [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# a"}, "title": "n"}
    ]
    assert lost == ["messages[0].parts[0].mime;changed"]


def test_names_and_types_that_cannot_be_said_are_reported():
    assert said(Media(kind="image", url="https://e.com/i", mime="image/png", name="n"))[1] == [
        "messages[0].parts[0].mime;dropped",
        "messages[0].parts[0].name;dropped",
    ]


def test_only_its_own_signatures_go_back_to_anthropic():
    """35: a foreign signature replayed."""
    parts = [
        Thinking(text="a", signature=SIGNED),
        Thinking(text="b", signature=GOOGLE),
        Thinking(text="c"),
        Thinking(redacted=True, signature=SIGNED),
        Text(text="d", signature=GOOGLE),
        ToolCall(id="1", name="f", signature=GOOGLE),
    ]
    message, lost = said(*parts, role="assistant")
    assert message["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "EqQB"},
        {"type": "text", "text": "d"},
        {"type": "tool_use", "id": "1", "name": "f", "input": {}},
    ]
    assert lost == [
        "messages[1].parts[1];dropped",
        "messages[1].parts[2];dropped",
        "messages[1].parts[4].signature;dropped",
        "messages[1].parts[5].signature;dropped",
    ]


def test_a_server_of_this_dialect_that_does_not_sign_gets_its_reasoning_back():
    """8: Kimi and GLM want theirs."""
    message, lost = said(Thinking(text="b"), Text(text="c"), role="assistant", model="kimi-k3")
    assert message["content"][0] == {"type": "thinking", "thinking": "b", "signature": ""}
    assert lost == []
    body = {"model": "m", "messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "b"}]}]}
    assert sent(anthropic.parse_request(copy.deepcopy(body)), "kimi-k3")[0]["messages"] == body["messages"]
    assert paths(sent(anthropic.parse_request(body))[1]) == ["messages[0].parts[0];dropped"]


def test_citations_of_others_are_reported():
    own = Citation(
        quote="Rain",
        title="Rain",
        url=WEB_LOCATION["url"],
        extras={"anthropic": {"type": WEB_LOCATION["type"], "encrypted_index": "Eo8="}},
    )
    message, lost = said(Text(text="a", citations=[own, Citation(url="https://e.com")]), role="assistant")
    assert message["content"] == [{"type": "text", "text": "a", "citations": [WEB_LOCATION]}]
    assert lost == ["messages[1].parts[0].citations[1];dropped"]


def test_cache_marks_are_five_minutes_or_an_hour_and_four_at_most():
    """43."""
    parts: list[Any] = [Text(text=str(i), cache=Cache(ttl)) for i, ttl in enumerate((None, None, "5m", "1h", "30m"))]
    body, losses = sent(
        Request(model="m", messages=[Message(role="user", parts=parts)], tools=[Function(name="f", cache=Cache())])
    )
    assert "cache_control" not in body["tools"][0]
    assert [block.get("cache_control") for block in body["messages"][0]["content"]] == [
        None,
        {"type": "ephemeral"},
        {"type": "ephemeral", "ttl": "5m"},
        {"type": "ephemeral", "ttl": "1h"},
        {"type": "ephemeral", "ttl": "1h"},
    ]
    assert paths(losses) == [
        "messages[0].parts[4].cache.ttl;changed",
        "tools[0].cache;dropped",
        "messages[0].parts[0].cache;dropped",
    ]


def test_marks_taken_off_results_leave_no_trace():
    marked = [Text(text=str(i), cache=Cache()) for i in range(5)]
    results: list[Any] = [ToolResult(id=part.text, parts=[part]) for part in marked]
    body, losses = sent(Request(model="m", messages=[Message(role="tool", parts=results)]))
    assert body["messages"][0]["content"][0] == {"type": "tool_result", "tool_use_id": "0", "content": "0"}
    assert paths(losses) == ["messages[0].parts[0].parts[0].cache;dropped"]


def test_marks_and_sources_born_later_are_kept():
    content = [
        {"type": "text", "text": "a", "cache_control": {"type": "persistent", "n": 1}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": {}}]}},
    ]
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    request = anthropic.parse_request(copy.deepcopy(body))
    assert request.messages[0].parts[0].cache is None and isinstance(request.messages[0].parts[1], Opaque)
    assert sent(request)[0]["messages"] == body["messages"]


def test_odds_and_ends_are_reported():
    redacted = Thinking(redacted=True, text="a", signature=SIGNED)
    assert said(redacted, role="assistant")[1] == ["messages[1].parts[0].text;dropped"]
    assert said(Thinking(signature=GOOGLE), Text(text="a"), role="assistant")[1] == ["messages[1].parts[0];dropped"]
    assert said(Thinking(), Text(text="a"), role="assistant", model="kimi")[1] == ["messages[1].parts[0];dropped"]
    cited = Citation(start=1, extras={"anthropic": CHAR_LOCATION, "gemini": {"x": 1}})
    assert said(Text(text="a", citations=[cited]), role="assistant")[1] == [
        "messages[1].parts[0].citations[0].start;dropped",
        "messages[1].parts[0].citations[0].x;dropped",
    ]
    message, lost = said(ToolResult(id="1", parts=[Media(kind="video", url="https://e.com/v")]))
    assert message["content"] == [{"type": "tool_result", "tool_use_id": "1"}]
    assert lost == ["messages[0].parts[0].parts[0];dropped"]
    body, losses = sent(Request(model="m", messages=[*asked().messages, Message(role="system", parts=[Text(text="")])]))
    assert "system" not in body and losses == []
    body, losses = sent(asked(reasoning=Reasoning()))
    assert "thinking" not in body and losses == []


# Parameters


def test_max_tokens_is_the_models_where_the_client_says_none():
    assert sent(asked())[0]["max_tokens"] == 128_000
    assert sent(asked(), "some-model")[0]["max_tokens"] == 8192
    body, losses = sent(asked(max_tokens=200_000))
    assert body["max_tokens"] == 128_000 and paths(losses) == ["max_tokens;changed"]
    counting = anthropic.parse_request({"model": "m", "messages": [{"role": "user", "content": "a"}]})
    assert "max_tokens" not in sent(counting)[0]


@pytest.mark.parametrize(
    ("model", "fields", "expected", "lost"),
    [
        ("claude-3-5-sonnet", {"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}, []),
        (SONNET, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p;dropped"]),
        (SONNET, {"temperature": 1, "top_p": 0.9}, {"top_p": 0.9}, ["temperature;dropped"]),
        (SONNET, {"temperature": 1.7}, {"temperature": 1}, ["temperature;changed"]),
        (OPUS, {"temperature": 0.5, "top_k": 3}, {}, ["temperature;dropped", "top_k;dropped"]),
        (SONNET, {"temperature": 0.5, "reasoning": Reasoning(effort="low")}, {}, ["temperature;dropped"]),
    ],
)
def test_sampling_as_each_model_takes_it(model: str, fields: Json, expected: Json, lost: list[str]):
    """S14, 41."""
    body, losses = sent(asked(**fields), model)
    assert {key: body[key] for key in ("temperature", "top_p", "top_k") if key in body} == expected
    assert paths(losses) == lost
    assert api_version(body) == ("2023-06-01" if expected else "2026-10-21")


def test_what_anthropic_has_no_word_for_is_reported():
    request = asked(seed=1, n=2, frequency_penalty=0.5, presence_penalty=0.5, logprobs=True, top_logprobs=3, stop=["a", " "])
    body, losses = sent(request)
    assert body["stop_sequences"] == ["a"]
    assert set(paths(losses)) == {
        *(f"{key};dropped" for key in ("seed", "n", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs")),
        "stop;changed",
    }
    assert sent(asked(n=1, frequency_penalty=0, presence_penalty=0))[1] == []


@pytest.mark.parametrize(
    ("model", "reasoning", "expected", "lost"),
    [
        (SONNET, Reasoning(effort="minimal"), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, []),
        (SONNET, Reasoning(effort="high"), {"thinking": {"type": "enabled", "budget_tokens": 16384}}, []),
        (SONNET, Reasoning(effort="max"), {"thinking": {"type": "enabled", "budget_tokens": 48000}}, []),
        (SONNET, Reasoning(enabled=True), {"thinking": {"type": "enabled", "budget_tokens": 8192}}, []),
        (SONNET, Reasoning(budget=500), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, ["reasoning.budget;changed"]),
        (
            SONNET,
            Reasoning(budget=99_000),
            {"thinking": {"type": "enabled", "budget_tokens": 48000}},
            ["reasoning.budget;changed"],
        ),
        (
            SONNET,
            Reasoning(budget=2000, effort="low", visible=True),
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"}},
            ["reasoning.effort;dropped"],
        ),
        (SONNET, Reasoning(enabled=False), {"thinking": {"type": "disabled"}}, []),
        (SONNET, Reasoning(visible=True), {}, ["reasoning.visible;dropped"]),
        ("claude-opus-4-6", Reasoning(budget=2048), {"thinking": {"type": "enabled", "budget_tokens": 2048}}, []),
        (
            "claude-opus-4-6",
            Reasoning(effort="xhigh"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            ["reasoning.effort;changed"],
        ),
        (OPUS, Reasoning(effort="max"), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, []),
        (
            OPUS,
            Reasoning(effort="minimal", visible=False),
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}},
            ["reasoning.effort;changed"],
        ),
        (
            OPUS,
            Reasoning(budget=9000),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            ["reasoning.budget;changed"],
        ),
        (
            OPUS,
            Reasoning(budget=9000, effort="low"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            ["reasoning.budget;dropped"],
        ),
        (OPUS, Reasoning(enabled=True), {"thinking": {"type": "adaptive"}}, []),
        ("claude-sonnet-5-5", Reasoning(enabled=False), {"thinking": {"type": "between_tools"}}, []),
        ("claude-opus-5-5", Reasoning(enabled=False), {"output_config": {"effort": "low"}}, ["reasoning.enabled;changed"]),
        (OPUS, Reasoning(enabled=False, effort="low"), {"thinking": {"type": "disabled"}}, ["reasoning.effort;dropped"]),
        ("claude-3-5-haiku", Reasoning(enabled=False), {}, []),
        ("claude-3-5-haiku", Reasoning(effort="low"), {}, ["reasoning;dropped"]),
    ],
)
def test_reasoning_as_each_model_takes_it(model: str, reasoning: Reasoning, expected: Json, lost: list[str]):
    body, losses = sent(asked(reasoning=reasoning), model)
    assert {key: body[key] for key in ("thinking", "output_config") if key in body} == expected
    assert paths(losses) == lost


def test_thinking_leaves_room_for_the_answer():
    body, losses = sent(asked(reasoning=Reasoning(effort="high"), max_tokens=4000), SONNET)
    assert body["thinking"]["budget_tokens"] == 3000 and body["max_tokens"] == 4000
    assert paths(losses) == ["reasoning.effort;changed"]
    body, losses = sent(asked(reasoning=Reasoning(effort="low"), max_tokens=1000), SONNET)
    assert "thinking" not in body and paths(losses) == ["reasoning;dropped"]


def test_a_forced_tool_choice_wins_over_thinking():
    request = asked(reasoning=Reasoning(effort="low"), tools=[Function(name="f")], tool_choice=ToolChoice(mode="required"))
    body, losses = sent(request, SONNET)
    assert body["tool_choice"] == {"type": "any"} and "thinking" not in body
    assert paths(losses) == ["reasoning;dropped"]


def test_a_forced_tool_choice_is_loosened_where_the_model_refuses_it():
    request = asked(tools=[Function(name="f")], tool_choice=ToolChoice(mode="named", names=["f"]))
    body, losses = sent(request, "claude-sonnet-5-5")
    assert body["tool_choice"] == {"type": "auto"}
    assert paths(losses) == ["tool_choice.mode;changed", "tool_choice.names;dropped"]


def test_thinking_is_off_where_the_calling_turn_has_lost_its_own():
    """34: a final assistant message must start with a thinking block."""
    call = ToolCall(id="1", name="f")
    turns = [
        Message(role="user", parts=[Text(text="a")]),
        Message(role="assistant", parts=[Thinking(text="t", signature=GOOGLE), call]),
        Message(role="tool", parts=[ToolResult(id="1", parts=[Text(text="x")])]),
    ]
    request = Request(model="m", messages=turns, reasoning=Reasoning(budget=2000))
    body, losses = sent(request, SONNET)
    assert "thinking" not in body
    assert paths(losses) == ["messages[1].parts[0];dropped", "reasoning;dropped"]
    turns[1].parts[0] = Thinking(text="t", signature=SIGNED)
    assert "thinking" in sent(request, SONNET)[0]
    turns[1].parts[0] = Text(text="t")
    assert "thinking" in sent(request, OPUS)[0]  # adaptive thinking has no such rule


def test_an_anthropic_clients_own_thinking_is_left_alone_where_the_model_takes_it():
    """33: defaults are semantics."""
    for thinking in ({"type": "adaptive"}, {"type": "disabled"}):
        body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}], "thinking": thinking}
        assert sent(anthropic.parse_request(copy.deepcopy(body)))[0]["thinking"] == thinking
    small = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "a"}]}
    enabled = {**small, "thinking": {"type": "enabled", "budget_tokens": 5000}}
    assert sent(anthropic.parse_request(copy.deepcopy(enabled)), SONNET)[0]["thinking"]["budget_tokens"] == 5000
    body, losses = sent(anthropic.parse_request(copy.deepcopy(enabled)))
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "medium"})
    assert paths(losses) == ["reasoning.budget;changed"]
    effort = {**small, "output_config": {"effort": "xhigh"}}
    body, losses = sent(anthropic.parse_request(copy.deepcopy(effort)), "claude-opus-4-6")
    assert body["output_config"] == {"effort": "high"} and "thinking" not in body
    body, losses = sent(anthropic.parse_request(copy.deepcopy(effort)), SONNET)
    assert "output_config" not in body and paths(losses) == ["reasoning.effort;dropped"]
    off = {**effort, "thinking": {"type": "between_tools"}}
    body, losses = sent(anthropic.parse_request(off))
    assert (body["thinking"], body["output_config"]) == ({"type": "disabled"}, {"effort": "xhigh"}) and losses == []


@pytest.mark.parametrize(
    ("choice", "expected", "lost"),
    [
        (ToolChoice(mode="required"), {"type": "any"}, []),
        (ToolChoice(mode="named", names=["f"]), {"type": "tool", "name": "f"}, []),
        (
            ToolChoice(mode="required", names=["f"], parallel=True),
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
            [],
        ),
        (ToolChoice(mode="auto", names=["f"]), {"type": "auto"}, ["tool_choice.names;dropped"]),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}, []),
        (ToolChoice(mode="none", parallel=False), {"type": "none"}, ["tool_choice.parallel;dropped"]),
        (ToolChoice(), None, []),
    ],
)
def test_tool_choices(choice: ToolChoice, expected: Json | None, lost: list[str]):
    """S5."""
    body, losses = sent(asked(tools=[Function(name="f")], tool_choice=choice))
    assert body.get("tool_choice") == expected
    assert paths(losses) == lost
    body, losses = sent(asked(tool_choice=choice))
    assert "tool_choice" not in body
    assert bool(losses) == (choice.mode in ("required", "named") or choice.parallel is not None or bool(choice.names))


def test_tools_keep_what_they_say():
    """S4, 36: strict."""
    schema = {"type": "object", "properties": {"a": {"const": "x"}, "b": {"type": "integer", "minimum": 1}}}
    strict = Function(name="f", schema=schema, strict=True)
    loose = Function(name="g", schema={"properties": {}}, description="d", strict=False, extras={"openai": {"x": 1}})
    foreign = ServerTool(origin="openai", kind="web_search", config={})
    body, losses = sent(asked(tools=[strict, loose, foreign]))
    assert body["tools"] == [
        {
            "name": "f",
            "input_schema": {
                "type": "object",
                "properties": {"a": {"const": "x"}, "b": {"type": "integer"}},
                "additionalProperties": False,
            },
            "strict": True,
        },
        {"name": "g", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": False},
    ]
    assert paths(losses) == ["tools[0].schema.properties.b.minimum;dropped", "tools[1].x;dropped", "tools[2];dropped"]
    body, losses = sent(asked(tools=[strict]), "claude-3-5-sonnet")
    assert body["tools"] == [{"name": "f", "input_schema": schema}] and paths(losses) == ["tools[0].strict;dropped"]


def test_outputs():
    """S6, 38: never in silence."""
    for output in (Output(mode="json"), Output(mode="schema")):
        body, losses = sent(asked(output=output))
        assert "output_config" not in body and paths(losses) == ["output;dropped"]
    assert sent(asked(output=Output(mode="text")))[1] == []
    full = Output(mode="schema", schema={"type": "object"}, name="n", description="d", extras={"openai": {"z": 1}})
    body, losses = sent(asked(output=full))
    assert body["output_config"]["format"]["schema"] == {"type": "object", "properties": {}, "additionalProperties": False}
    assert paths(losses) == ["output.description;dropped", "output.z;dropped"]
    assert paths(sent(asked(output=Output(mode="schema", schema={})), "claude-3-5-sonnet")[1]) == ["output;dropped"]


def test_extras_of_others_are_reported_and_extras_of_an_object_that_is_not_sent():
    assert paths(sent(asked(extras={"openai": {"logit_bias": {}, "~note": 1}}))[1]) == ["logit_bias;dropped"]
    body = {
        "model": "m",
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "a"}],
        "thinking": {"type": "enabled", "x": 1},
    }
    found, losses = sent(anthropic.parse_request(body), "claude-3-5-haiku")
    assert "thinking" not in found
    assert paths(losses) == ["reasoning;dropped", "thinking.x;dropped"]


# The schema dialect

DIALECT: list[tuple[Json, Json, list[str]]] = [
    (
        {
            "$schema": "s",
            "type": "object",
            "properties": {"a": {"type": "string", "minLength": 1, "format": "date"}},
            "required": ["a"],
        },
        {
            "type": "object",
            "properties": {"a": {"type": "string", "format": "date"}},
            "required": ["a"],
            "additionalProperties": False,
        },
        ["s.properties.a.minLength;dropped"],
    ),
    (
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {}, "additionalProperties": False},
        ["s.additionalProperties;changed"],
    ),
    (
        {"oneOf": [{"type": "string", "format": "color"}, {"type": "null"}]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ["s.oneOf;changed", "s.oneOf[0].format;dropped"],
    ),
    ({"anyOf": [True], "oneOf": []}, {"anyOf": [True]}, ["s.oneOf;dropped"]),
    (
        {"type": "array", "items": {"type": "integer", "maximum": 3}, "minItems": 1, "maxItems": 4},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        ["s.items.maximum;dropped", "s.maxItems;dropped"],
    ),
    ({"type": "array", "minItems": 2}, {"type": "array"}, ["s.minItems;dropped"]),
    ({"$ref": "#/$defs/A", "description": "d"}, {"$ref": "#/$defs/A"}, ["s.description;dropped"]),
    (
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {}, "additionalProperties": False}}},
        [],
    ),
    ({"type": ["object", "null"]}, {"type": ["object", "null"], "properties": {}, "additionalProperties": False}, []),
    ({"enum": ["a", None], "const": 1}, {"enum": ["a", None], "const": 1}, []),
    ({"enum": [{}], "const": []}, {}, ["s.enum;dropped", "s.const;dropped"]),
]


@pytest.mark.parametrize(("schema", "expected", "lost"), DIALECT)
def test_the_dialect_of_structured_outputs(schema: Json, expected: Json, lost: list[str]):
    """18: and the caller's schema is never changed."""
    before, losses = copy.deepcopy(schema), Losses()
    assert dialect(schema, "s", losses) == expected
    assert paths(losses) == lost
    assert schema == before


def test_a_schema_without_a_bottom_is_cut_and_reported():
    schema: Json = {}
    for _ in range(300):
        schema = {"items": schema}
    losses = Losses()
    dialect(schema, "s", losses)
    assert [loss.why for loss in losses] == ["nested too deep"]


@pytest.mark.parametrize(
    ("name", "mid_system", "forced"),
    [
        ("claude-opus-4-8", True, True),
        ("eu.anthropic.claude-opus-4-7-v1:0", False, True),
        ("claude-sonnet-4-20250514", False, True),
        ("claude-opus-5-5", True, False),
        ("anthropic/claude-sonnet-5.5", True, False),
        ("claude-sonnet-5", False, True),
        ("claude-fable-5", True, True),
        ("claude-mythos-5-2", True, False),
        ("gpt-4o", False, True),
    ],
)
def test_what_is_known_of_a_model(name: str, mid_system: bool, forced: bool):
    assert (claude(name).mid_system, claude(name).forced_tools) == (mid_system, forced)


def test_old_models_are_told_apart():
    for name in (
        "claude-3-5-sonnet-20241022",
        "claude-2.1",
        "claude-instant-1",
        "claude-opus-4-20250514",
        "claude-sonnet-4@20250514",
    ):
        assert not claude(name).schemas, name
    assert claude("claude-opus-4-1").schemas and not claude("claude-opus-4-1").efforts


def test_an_unknown_role_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        anthropic.parse_request({"messages": [{"role": "narrator", "content": "Once"}], "max_tokens": 9}, "m", False)
    assert refused.value.failure.param == "messages[0].role"
