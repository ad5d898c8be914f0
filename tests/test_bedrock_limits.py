"""What Bedrock and its models refuse is never sent; section d of the pitfalls, case by case."""

from base64 import b64encode
from typing import Any

import bedrock_cases as cases
import pytest
from bedrock_cases import (
    ASKED,
    CITY,
    CLAUDE,
    HI,
    LLAMA,
    MARK,
    MISTRAL,
    NEWEST,
    NOVA,
    NOVA_2,
    OLD,
    OPENAI,
    PDF,
    PIXEL,
    PROFILE,
    answer,
    asks,
    assistant,
    cached,
    converted,
    document,
    image,
    read,
    result,
    says,
    thought,
    use,
    user,
    write,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlingua.ir import (
    AnyPart,
    Cache,
    Choice,
    Citation,
    Finish,
    Function,
    Media,
    Opaque,
    Output,
    Place,
    Reasoning,
    Request,
    Response,
    ServerTool,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from interlingua.losses import Losses
from interlingua.mock.rules import bedrock as rules
from interlingua.mock.shape import violation
from interlingua.mock.wire import Options, Refusal
from interlingua.protocols import anthropic, bedrock, openai
from interlingua.protocols.bedrock.family import family
from interlingua.protocols.bedrock.toolnames import own_name, wire_name
from tests import strategies as ir

Json = dict[str, Any]


# Section d of the pitfalls: what Bedrock refuses


def test_21_tools_are_defined_when_the_history_uses_them() -> None:
    history = [HI, says("assistant", ToolCall(id="a", name="old.tool", arguments="{}")), says("tool", ToolResult(id="a"))]
    out, losses = write(asks(*history), CLAUDE)
    empty = {"json": {"type": "object", "properties": {}}}
    assert out["toolConfig"] == {"tools": [{"toolSpec": {"name": "il-old-dtool", "inputSchema": empty}}]}
    assert losses == ["tools;added"]
    orphan, _ = write(asks(HI, says("tool", ToolResult(id="a", name="named"), ToolResult(id="b"))), CLAUDE)
    assert [tool["toolSpec"]["name"] for tool in orphan["toolConfig"]["tools"]] == ["named", "tool"]


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u2003"])
def test_22_blank_text_is_left_out(blank: str) -> None:
    out, losses = write(
        asks(
            says("system", blank),
            says("user", blank, "Hi"),
            says("assistant", blank),
            says("user", "again"),
            says("assistant", blank, ToolCall(id="a", name="f", arguments="{}")),
            says("tool", ToolResult(id="a", parts=[Text(text=blank)])),
        ),
        CLAUDE,
    )
    assert out["messages"] == [user("Hi", "again"), assistant(use("a", "f")), user(result("a"))]
    assert "system" not in out
    assert ("messages[1].parts[0];dropped" in losses) == bool(blank)
    assert "messages[2];dropped" in losses


LONG = "mcp__a_server_with_a_long_name__" + "a_tool_with_a_longer_one." * 4


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("weather", "weather"),
        ("get.weather", "il-get-dweather"),
        ("a:b/c d-e", "il-a-cb-sc-wd--e"),
        ("wetter_für", "il-wetter_f-xfc-r"),
        ("il-native", "il-il--native"),
        ("ilh-native", "il-ilh--native"),
    ],
)
def test_23_names_out_of_the_alphabet_are_respelled_and_read_back(name: str, wire: str) -> None:
    request = asks(
        HI,
        says("assistant", ToolCall(id="a", name=name, arguments="{}")),
        says("tool", ToolResult(id="a")),
        tools=[Function(name=name)],
        tool_choice=ToolChoice(mode="named", names=[name]),
    )
    out, losses = write(request, CLAUDE)
    assert out["toolConfig"]["tools"][0]["toolSpec"]["name"] == out["toolConfig"]["toolChoice"]["tool"]["name"] == wire
    assert out["messages"][1]["content"][0]["toolUse"]["name"] == wire
    assert losses == (["tools[0].name;changed"] if name != wire else [])
    (choice,) = bedrock.parse_response(answer(use("x", wire))).choices
    assert isinstance(part := choice.parts[0], ToolCall) and part.name == name


def test_23_names_too_long_are_cut_and_remembered() -> None:
    out, _ = write(asks(HI, tools=[Function(name=LONG)]), CLAUDE)
    cut = out["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert len(cut) == 64 and cut.endswith("_a_tool_with_a_longer_one_") and cut.startswith("ilh-")
    assert own_name(cut) == LONG and wire_name(LONG) == cut
    assert own_name("ilh-0123456789abcdef-unheard_of") == "ilh-0123456789abcdef-unheard_of"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"il-[a-z-]{0,20}", fullmatch=True))
def test_23_every_name_has_a_spelling_and_comes_back(name: str) -> None:
    wire = wire_name(name)
    assert 1 <= len(wire) <= 64 and all(char.isascii() and (char.isalnum() or char in "_-") for char in wire)
    assert own_name(wire) == name
    assert isinstance(own_name(name), str)


def test_24_documents_have_legal_names_and_no_two_the_same() -> None:
    names = ["John's  report.pdf", "John-s report.pdf", None, "資料", "(a) [b]", "x" * 300, "x" * 300]
    parts = [Media(kind="document", data=PDF, mime="application/pdf", name=name) for name in names]
    inside = ToolResult(id="a", parts=[Media(kind="document", text="t", name="document")])
    request = asks(
        says("user", "Look", *parts), says("assistant", ToolCall(id="a", name="f", arguments="{}")), says("tool", inside)
    )
    out, losses = write(request, CLAUDE)
    found = [block["document"]["name"] for block in out["messages"][0]["content"][1:]]
    assert found == ["John-s report", "John-s report (2)", "document", "document (2)", "(a) [b]", "x" * 200, "x" * 192 + " (2)"]
    assert out["messages"][2]["content"][0]["toolResult"]["content"][0]["document"] == {
        "format": "txt",
        "name": "document (3)",
        "source": {"bytes": b64encode(b"t").decode()},
    }
    assert len([loss for loss in losses if loss.endswith(".name;changed")]) == 6
    for name in found:
        rules.document_name(name, set())


def test_24_a_document_never_stands_without_words() -> None:
    out, losses = write(asks(says("user", Media(kind="document", data=PDF, mime="application/pdf", name="a.pdf"))), CLAUDE)
    assert out["messages"] == [user(document("a"), "[a]")]
    assert losses == ["messages[0].parts[0].name;changed", "messages[0];added"]


def test_25_a_tools_answer_is_a_result_and_no_text() -> None:
    out, _ = converted(openai, bedrock, OPENAI, CLAUDE)
    assert [list(block) for block in out["messages"][2]["content"]] == [["toolResult"], ["toolResult"], ["text"]]


def test_26_turns_alternate_and_results_stand_first_and_together() -> None:
    calls = [ToolCall(id=id_, name="f", arguments="{}") for id_ in "ab"]
    request = asks(
        says("user", "one"),
        says("user", "two"),
        says("assistant", "I"),
        says("assistant", *calls),
        says("user", "meanwhile"),
        says("tool", ToolResult(id="a")),
        says("tool", "late", ToolResult(id="b")),
    )
    out, losses = write(request, CLAUDE)
    assert out["messages"] == [
        user("one", "two"),
        assistant("I", use("a", "f"), use("b", "f")),
        user(result("a"), result("b"), "meanwhile", "late"),
    ]
    assert losses == ["messages[5];changed", "messages[6].parts[1];changed", "messages[6];changed", "tools;added"]
    rules.check(out, CLAUDE, Options())


@pytest.mark.parametrize("model", [LLAMA, MISTRAL, NOVA])
def test_26_models_that_take_no_words_beside_results_are_told_them_inside(model: str) -> None:
    request = asks(
        HI,
        says("assistant", ToolCall(id="a", name="f", arguments="{}")),
        says("user", ToolResult(id="a", parts=[Text(text="mild")]), "and tomorrow?"),
    )
    out, losses = write(request, model)
    assert out["messages"][2] == user(result("a", {"text": "mild"}, {"text": "and tomorrow?"}))
    assert "messages[2];changed" in losses
    rules.check(out, model, Options())


def test_26_models_that_take_no_words_beside_calls_lose_them() -> None:
    out, losses = write(
        asks(HI, says("assistant", "So:", ToolCall(id="a", name="f", arguments="{}")), says("tool", ToolResult(id="a"))), LLAMA
    )
    assert out["messages"][1] == assistant(use("a", "f")) and "messages[1].parts[0];dropped" in losses


def test_27_a_mark_becomes_a_cache_point_after_what_it_marks() -> None:
    request = asks(
        says("system", cached(Text(text="S"), "1h")),
        says("user", cached(Text(text="a"), "30m"), "b"),
        tools=[Function(name="f", cache=Cache())],
    )
    out, losses = write(request, CLAUDE)
    long = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert out["system"] == [{"text": "S"}, long]
    assert out["messages"] == [user("a", long, "b")]
    assert out["toolConfig"]["tools"][1] == MARK
    assert losses == ["messages[1].parts[0].cache.ttl;changed"]


def test_27_a_mark_moves_before_what_it_may_not_follow() -> None:
    signed = Thinking(text="T", signature=Signature("bedrock", "c2ln"))
    words = Media(kind="document", text="t", name="n")
    request = asks(
        says("user", "a", cached(words)),
        says("assistant", "b", cached(signed)),
        says("user", cached(Media(kind="document", text="u")), "c"),
        says("assistant", "d"),
        says("user", "look", cached(Media(kind="document", data=PDF, mime="application/pdf"))),
    )
    out, losses = write(request, CLAUDE)
    assert [list(block)[0] for block in out["messages"][0]["content"]] == ["text", "cachePoint", "document"]
    assert [list(block)[0] for block in out["messages"][1]["content"]] == ["text", "cachePoint", "reasoningContent"]
    assert [list(block)[0] for block in out["messages"][2]["content"]] == ["document", "text"]
    assert [list(block)[0] for block in out["messages"][4]["content"]] == ["text", "document", "cachePoint"]
    assert losses == [
        "messages[0].parts[1].cache;changed",
        "messages[1].parts[1].cache;changed",
        "messages[2].parts[0].cache;dropped",
    ]
    rules.cache_points(out, rules.kin(CLAUDE))


def test_27_no_more_than_four_cache_points_and_only_where_the_model_has_them() -> None:
    turns = [says("user", *(cached(Text(text=word)) for word in "abcd"))]
    out, losses = write(asks(says("system", cached(Text(text="S"))), *turns, tools=[Function(name="f", cache=Cache())]), CLAUDE)
    assert str(out).count("cachePoint") == 4 and "cachePoint" not in str(out["toolConfig"]) + str(out["system"])
    assert losses == ["tools[0].cache;dropped", "messages[0].parts[0].cache;dropped"]
    nova, losses = write(asks(*turns, tools=[Function(name="f", cache=Cache())]), NOVA)
    assert str(nova).count("cachePoint") == 4 and losses == ["tools[0].cache;dropped"]
    llama, losses = write(asks(*turns), LLAMA)
    assert "cachePoint" not in str(llama) and len(losses) == 4
    hidden, losses = write(asks(*turns), PROFILE)
    assert str(hidden).count("cachePoint") == 4 and losses == []


def test_27_a_mark_inside_a_result_stands_after_it() -> None:
    call = says("assistant", ToolCall(id="a", name="f", arguments="{}"))
    inner: Any = [cached(Text(text="x")), cached(Text(text="y"), "1h")]
    out, losses = write(asks(HI, call, says("tool", ToolResult(id="a", parts=inner))), CLAUDE)
    assert out["messages"][2] == user(result("a", {"text": "x"}, {"text": "y"}), {"cachePoint": {"type": "default", "ttl": "1h"}})
    assert losses[:2] == ["messages[2].parts[0].parts[0].cache;dropped", "messages[2].parts[0].parts[1].cache;changed"]


def test_28_no_choice_of_none_means_no_tools() -> None:
    request = asks(HI, tools=[Function(name="f", cache=Cache())], tool_choice=ToolChoice(mode="none"))
    out, losses = write(request, CLAUDE)
    assert "toolConfig" not in out and losses == ["tools;dropped"]
    history = [HI, says("assistant", ToolCall(id="a", name="f", arguments="{}")), says("tool", ToolResult(id="a"))]
    out, losses = write(asks(*history, tools=[Function(name="f")], tool_choice=ToolChoice(mode="none")), CLAUDE)
    assert list(out["toolConfig"]) == ["tools"] and losses == ["tool_choice.mode;dropped"]


@pytest.mark.parametrize(
    ("model", "choice", "said", "losses"),
    [
        (CLAUDE, ToolChoice(mode="auto"), {"auto": {}}, []),
        (CLAUDE, ToolChoice(mode="required"), {"any": {}}, []),
        (CLAUDE, ToolChoice(mode="required", names=["f"]), {"tool": {"name": "f"}}, []),
        (CLAUDE, ToolChoice(mode="auto", names=["f", "g"]), {"auto": {}}, ["tool_choice.names;dropped"]),
        (CLAUDE, ToolChoice(mode="auto", parallel=False), {"auto": {}}, ["tool_choice.parallel;dropped"]),
        (CLAUDE, ToolChoice(parallel=True), None, ["tool_choice.parallel;dropped"]),
        ("anthropic.claude-opus-5-5-v1:0", ToolChoice(mode="required"), {"auto": {}}, ["tool_choice.mode;changed"]),
        (MISTRAL, ToolChoice(mode="named", names=["f"]), {"any": {}}, ["tool_choice.mode;changed", "tool_choice.names;dropped"]),
        (LLAMA, ToolChoice(mode="required"), {"auto": {}}, ["tool_choice.mode;changed"]),
    ],
)
def test_28_choices_are_those_the_model_takes(model: str, choice: ToolChoice, said: Json | None, losses: list[str]) -> None:
    out, found = write(asks(HI, tools=[Function(name="f"), Function(name="g")], tool_choice=choice), model)
    assert (out["toolConfig"].get("toolChoice"), found) == (said, losses)


def test_30_every_reason_to_stop_has_its_meaning() -> None:
    rows = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "tool_use": "tool_calls",
        "content_filtered": "filter",
        "guardrail_intervened": "filter",
        "malformed_model_output": "error",
        "malformed_tool_use": "error",
        "model_context_window_exceeded": "context",
        "born_later": "other",
    }
    for word, reason in rows.items():
        finish = bedrock.parse_response(answer("Hi", stop=word)).choices[0].finish
        assert finish is not None and (finish.reason, finish.raw) == (reason, word)


@pytest.mark.parametrize(
    ("finish", "parts", "word"),
    [
        (None, ["Hi"], "end_turn"),
        (None, [ToolCall(id="a", name="f")], "tool_use"),
        (Finish(reason="stop"), [ToolCall(id="a", name="f")], "tool_use"),
        (Finish(reason="stop", stop="END"), ["Hi"], "stop_sequence"),
        (Finish(reason="length"), ["Hi"], "max_tokens"),
        (Finish(reason="filter", raw="SAFETY", origin="gemini"), ["Hi"], "content_filtered"),
        (Finish(reason="context"), ["Hi"], "model_context_window_exceeded"),
        (Finish(reason="pause", raw="pause_turn", origin="anthropic"), ["Hi"], "end_turn"),
        (Finish(reason="error"), ["Hi"], "malformed_model_output"),
    ],
)
def test_30_every_reason_has_a_word(finish: Finish | None, parts: list[Any], word: str) -> None:
    choice = Choice(parts=says("assistant", *parts).parts, finish=finish)
    out = bedrock.format_response(Response(choices=[choice]), ASKED, Losses())
    assert out["stopReason"] == word
    assert out.get("additionalModelResponseFields") == ({"stop_sequence": "END"} if word == "stop_sequence" else None)


def test_31_a_message_clients_tools_are_carried() -> None:
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "q"}],
        "tools": [{"name": "f", "input_schema": CITY}],
    }
    out, losses = converted(anthropic, bedrock, body, CLAUDE)
    assert out["toolConfig"] == {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": CITY}}}]} and losses == []


# Parts


@pytest.mark.parametrize(
    ("part", "model", "block", "losses"),
    [
        (Media(kind="image", url="https://e.com/a.png"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Media(kind="image", url="s3://b/k.png", mime="image/png"), CLAUDE, image(s3Location={"uri": "s3://b/k.png"}), []),
        (Media(kind="image", data=PIXEL), CLAUDE, image(), []),
        (Media(kind="image", data="_-8=", mime="image/png"), CLAUDE, image(bytes="/+8="), []),
        (Media(kind="image", data=PIXEL, name="n"), CLAUDE, image(), ["messages[0].parts[1].name;dropped"]),
        (Media(kind="image", data="AAAA", mime="image/tiff"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Media(kind="image", file="file-1"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Media(kind="video", data="AAAA", mime="video/mp4"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (
            Media(kind="video", data="AAAA", mime="video/quicktime"),
            NOVA,
            {"video": {"format": "mov", "source": {"bytes": "AAAA"}}},
            [],
        ),
        (
            Media(kind="audio", data="AAAA", mime="audio/x-wav"),
            PROFILE,
            {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}},
            [],
        ),
        (Thinking(text="T"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (ToolCall(id="a", name="f"), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Opaque(origin="openai", data={"type": "x"}), CLAUDE, None, ["messages[0].parts[1];dropped"]),
        (Opaque(origin="bedrock", data=cases.SEARCHED), CLAUDE, cases.SEARCHED, []),
        (Text(text="t", signature=Signature("gemini", "s")), CLAUDE, {"text": "t"}, ["messages[0].parts[1].signature;dropped"]),
        (Text(text="t", refusal=True), CLAUDE, {"text": "t"}, ["messages[0].parts[1].refusal;changed"]),
        (Text(text="t", citations=[Citation(url="u")]), CLAUDE, {"text": "t"}, ["messages[0].parts[1].citations;dropped"]),
        (Text(text="t", extras={"gemini": {"x": 1}}), CLAUDE, {"text": "t"}, ["messages[0].parts[1].x;dropped"]),
    ],
)
def test_a_users_parts(part: AnyPart, model: str, block: Json | None, losses: list[str]) -> None:
    out, found = write(asks(says("user", "Look", part)), model)
    assert out["messages"] == [user("Look", *([] if block is None else [block]))]
    assert found == losses


YES, PDF_BYTES = {"enabled": True}, {"format": "pdf", "source": {"bytes": PDF}}


@pytest.mark.parametrize(
    ("part", "model", "said", "losses"),
    [
        ({"data": PDF}, CLAUDE, {**PDF_BYTES, "context": "c", "citations": YES}, []),
        ({"data": PDF, "citable": False}, CLAUDE, {**PDF_BYTES, "context": "c", "citations": {"enabled": False}}, []),
        ({"data": PDF}, "anthropic.claude-3-haiku-20240307-v1:0", PDF_BYTES, ["context", "citable"]),
        ({"data": PDF}, NOVA, PDF_BYTES, ["context", "citable"]),
        ({"data": PDF}, PROFILE, PDF_BYTES, ["context", "citable"]),
        ({"data": PDF, "context": None, "citable": False}, NOVA, PDF_BYTES, []),
        ({"text": "t"}, CLAUDE, {"format": "txt", "source": {"text": "t"}, "context": "c", "citations": YES}, []),
        (
            {"data": "dA==", "mime": "text/plain"},
            CLAUDE,
            {"format": "txt", "source": {"text": "t"}, "context": "c", "citations": YES},
            [],
        ),
        (
            {"text": "a\nb", "chunks": ["a", "b"]},
            CLAUDE,
            {"format": "txt", "source": {"content": [{"text": "a"}, {"text": "b"}]}, "context": "c", "citations": YES},
            [],
        ),
        (
            {"text": "a\nb", "chunks": ["a", "b"], "context": None, "citable": None},
            CLAUDE,
            {"format": "txt", "source": {"bytes": "YQpi"}},
            [],
        ),
        (
            {"text": "t", "mime": "text/markdown"},
            CLAUDE,
            {"format": "md", "source": {"bytes": "dA=="}, "context": "c"},
            ["citable"],
        ),
    ],
)
def test_a_document_to_be_cited(part: Json, model: str, said: Json, losses: list[str]) -> None:
    """Claude alone cites, PDFs and plain text alone, and a text as text: its bytes it takes for a PDF's (boto3#4726)."""
    shown = Media(kind="document", name="n", **{"context": "c", "citable": True, **part})
    out, found = write(asks(says("user", "Look", shown)), model)
    assert out["messages"][0]["content"][1]["document"] == {"name": "n", **said}
    assert found == [f"messages[0].parts[1].{name};dropped" for name in losses]


def test_a_document_in_a_result_cannot_be_cited() -> None:
    """boto3#4648: "Citations are not supported in tool result documents"."""
    shown = Media(kind="document", data=PDF, mime="application/pdf", name="n", context="c", citable=True)
    called = says("assistant", ToolCall(id="t1", name="weather", arguments="{}"))
    out, losses = write(asks(says("user", "?"), called, says("tool", ToolResult(id="t1", parts=[shown]))), CLAUDE)
    assert out["messages"][2]["content"][0]["toolResult"]["content"] == [document("n", context="c")]
    assert losses == ["messages[2].parts[0].parts[0].citable;dropped", "tools;added"]


@pytest.mark.parametrize(
    ("model", "blocks", "losses"),
    [
        (CLAUDE, [cases.CITED_AT], ["messages[1].parts[0].citations[1];dropped"]),
        (NOVA, [{"text": "It is."}], ["messages[1].parts[0].citations;dropped"]),
    ],
)
def test_what_was_cited_of_documents_is_told_again(model: str, blocks: list[Json], losses: list[str]) -> None:
    """What was found elsewhere is not: a page's citation is refused without what Anthropic seals in its own."""
    cited = [Citation(title="R", quote="q", place=Place("page", 0, 1, 2)), Citation(url="https://e.com", title="E")]
    out, found = write(
        asks(says("user", "?"), says("assistant", Text(text="It is.", citations=cited)), says("user", "So?")), model
    )
    assert out["messages"][1]["content"] == blocks and found == losses
    only = Text(text="It is.", citations=cited[1:])
    out, found = write(asks(says("user", "?"), says("assistant", only), says("user", "So?")), CLAUDE)
    assert out["messages"][1]["content"] == [{"text": "It is."}] and found == ["messages[1].parts[0].citations[0];dropped"]


@pytest.mark.parametrize(
    ("part", "model", "block"),
    [
        (Thinking(text="T", signature=Signature("bedrock", "s")), CLAUDE, thought("T", signature="s")),
        (Thinking(text="T", signature=Signature("anthropic", "s")), CLAUDE, thought("T", signature="s")),
        (Thinking(text="T", signature=Signature("anthropic", "s")), NOVA, None),
        (Thinking(text="T", signature=Signature("gemini", "s")), CLAUDE, None),
        (Thinking(text="T"), CLAUDE, None),
        (Thinking(text="T"), "deepseek.v3-v1:0", None),
        (Thinking(text="T", extras={"bedrock": {"~unsigned": "absent"}}), "deepseek.v3-v1:0", thought("T")),
        (
            Thinking(redacted=True, signature=Signature("bedrock", "c2ln")),
            CLAUDE,
            {"reasoningContent": {"redactedContent": "c2ln"}},
        ),
        (Thinking(redacted=True, signature=Signature("anthropic", "c2ln")), CLAUDE, None),
        (Media(kind="image", data=PIXEL), CLAUDE, None),
        (ToolResult(id="a"), CLAUDE, None),
    ],
)
def test_an_assistants_parts(part: AnyPart, model: str, block: Json | None) -> None:
    out, losses = write(asks(HI, says("assistant", part, "so")), model)
    assert out["messages"][1] == assistant(*([] if block is None else [block]), "so")
    assert losses == ([] if block is not None else ["messages[1].parts[0];dropped"])


def test_ids_are_put_into_the_alphabet_alike() -> None:
    for id_ in ("a|b", "x" * 90, ""):
        out, losses = write(asks(HI, says("assistant", ToolCall(id=id_, name="f")), says("tool", ToolResult(id=id_))), CLAUDE)
        call, answer_ = out["messages"][1]["content"][0]["toolUse"], out["messages"][2]["content"][0]["toolResult"]
        assert call["toolUseId"] == answer_["toolUseId"] and 1 <= len(call["toolUseId"]) <= 64
        assert losses == ["tools;added"]
        assert violation("bedrock", out) is None


def test_results_tell_what_they_can() -> None:
    audio = Media(kind="audio", data="AAAA", mime="audio/wav")
    parts: Any = [Text(text="a"), audio, Opaque(origin="gemini", data={})]
    history = [
        HI,
        says("assistant", ToolCall(id="a", name="f")),
        says("tool", ToolResult(id="a", name="g", parts=parts, error=True)),
    ]
    out, losses = write(asks(*history), PROFILE)
    assert out["messages"][2] == user(result("a", {"text": "a"}, status="error"))
    assert losses == [
        "messages[2].parts[0].parts[1];dropped",
        "messages[2].parts[0].parts[2];dropped",
        "messages[2].parts[0].name;dropped",
        "tools;added",
    ]
    out, losses = write(asks(*history), MISTRAL)
    assert "status" not in out["messages"][2]["content"][0]["toolResult"] and "messages[2].parts[0].error;dropped" in losses


# System messages


def test_system_messages_stand_first_unless_the_model_takes_them_in_between() -> None:
    turns = [
        says("system", "A"),
        says("user", "q"),
        says("developer", "B"),
        says("assistant", "r"),
        says("system", "C"),
        says("user", "s"),
    ]
    out, losses = write(asks(*turns), CLAUDE)
    assert out["system"] == [{"text": "A"}, {"text": "B"}, {"text": "C"}]
    assert [message["role"] for message in out["messages"]] == ["user", "assistant", "user"]
    assert losses == ["messages[2];changed", "messages[4];changed"]
    out, losses = write(asks(*turns), "anthropic.claude-opus-5-5-v1:0")
    assert [message["role"] for message in out["messages"]] == ["user", "system", "assistant", "user"]
    assert out["messages"][1]["content"] == [{"text": "B"}] and losses == ["messages[4];changed"]


def test_a_system_message_alone_is_asked_by_the_user() -> None:
    out, losses = write(asks(says("system", "A"), says("system", "B", Media(kind="image", data=PIXEL))), CLAUDE)
    assert out["system"] == [{"text": "A"}] and out["messages"] == [user("B")]
    assert losses == ["messages[1].parts[1];dropped", "messages[1];changed"]


# Parameters


@pytest.mark.parametrize(
    ("reasoning", "model", "more", "config", "losses"),
    [
        (Reasoning(enabled=True, budget=2048), CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, {}, []),
        (Reasoning(enabled=False), CLAUDE, {"thinking": {"type": "disabled"}}, {}, []),
        (Reasoning(effort="high"), NEWEST, {"thinking": {"type": "adaptive"}}, {"effort": "high"}, []),
        (Reasoning(effort="low"), OLD, {}, {}, ["reasoning;dropped"]),
        (
            Reasoning(effort="high"),
            NOVA_2,
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
            {},
            ["reasoning.effort;changed"],
        ),
        (Reasoning(enabled=False), NOVA_2, {"reasoningConfig": {"type": "disabled"}}, {}, []),
        (Reasoning(enabled=True), NOVA_2, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, {}, []),
        (
            Reasoning(effort="xhigh", visible=True),
            "openai.gpt-oss-120b-1:0",
            {"reasoning_effort": "high"},
            {},
            ["reasoning.visible;dropped", "reasoning.effort;changed"],
        ),
        (Reasoning(enabled=False), "openai.gpt-oss-120b-1:0", {"reasoning_effort": "low"}, {}, ["reasoning.enabled;changed"]),
        (Reasoning(budget=9000), "openai.gpt-oss-20b-1:0", {"reasoning_effort": "medium"}, {}, ["reasoning.budget;changed"]),
        (
            Reasoning(enabled=False, effort="low"),
            NOVA_2,
            {"reasoningConfig": {"type": "disabled"}},
            {},
            ["reasoning.effort;dropped"],
        ),
        (Reasoning(visible=True), NOVA_2, {}, {}, ["reasoning.visible;dropped"]),
        (Reasoning(), "openai.gpt-oss-20b-1:0", {}, {}, []),
        (Reasoning(enabled=True), "openai.gpt-oss-20b-1:0", {}, {}, ["reasoning.enabled;dropped"]),
        (Reasoning(effort="low"), LLAMA, {}, {}, ["reasoning;dropped"]),
    ],
)
def test_reasoning_is_asked_for_in_each_familys_words(
    reasoning: Reasoning, model: str, more: Json, config: Json, losses: list[str]
) -> None:
    out, found = write(asks(HI, reasoning=reasoning, max_tokens=4096), model)
    assert out.get("additionalModelRequestFields", {}) == more
    assert out.get("outputConfig", {}) == config
    assert found == losses


def test_claude_does_not_think_where_it_would_be_refused() -> None:
    think = Reasoning(enabled=True, budget=2048)
    forced = asks(HI, reasoning=think, tools=[Function(name="f")], tool_choice=ToolChoice(mode="required"))
    out, losses = write(forced, CLAUDE)
    assert "additionalModelRequestFields" not in out and losses == ["reasoning;dropped"]
    history = [HI, says("assistant", ToolCall(id="a", name="f")), says("tool", ToolResult(id="a"))]
    out, losses = write(asks(*history, reasoning=think, tools=[Function(name="f")]), CLAUDE)
    assert "additionalModelRequestFields" not in out and losses == ["reasoning;dropped"]
    out, losses = write(asks(HI, reasoning=think, temperature=0.5, top_k=4), CLAUDE)
    assert "temperature" not in str(out) and "top_k" not in str(out)
    assert losses == ["temperature;dropped", "top_k;dropped"]


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (CLAUDE, {"top_k": 7}),
        (NOVA, {"inferenceConfig": {"topK": 7}}),
        ("cohere.command-r-v1:0", {"k": 7}),
        (LLAMA, None),
        (PROFILE, None),
    ],
)
def test_top_k_stands_where_the_model_looks_for_it(model: str, more: Json | None) -> None:
    out, losses = write(asks(HI, top_k=7), model)
    assert out.get("additionalModelRequestFields") == more
    assert losses == ([] if more else ["top_k;dropped"])


def test_a_clients_own_words_for_one_model_are_put_in_anothers() -> None:
    """The gateway may send a Bedrock client's request to another model than it had in mind."""
    request = read(
        {
            "messages": [user("Hi")],
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}, "top_k": 9},
        }
    )
    out, losses = write(request, NOVA_2)
    assert out["additionalModelRequestFields"] == {
        "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"},
        "inferenceConfig": {"topK": 9},
    }
    assert losses == ["reasoning.budget;changed"]
    out, _ = write(request, NEWEST)
    assert out["additionalModelRequestFields"]["thinking"] == {"type": "adaptive"}
    out, losses = write(request, "some-model")
    assert (
        out["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2048}, "top_k": 9}
        and losses == []
    )


@pytest.mark.parametrize(
    ("model", "said", "config", "losses"),
    [
        (CLAUDE, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p;dropped"]),
        (CLAUDE, {"temperature": 1.0, "top_p": 0.9}, {"topP": 0.9}, ["temperature;dropped"]),
        (NEWEST, {"temperature": 0.5, "top_k": 3}, {}, ["temperature;dropped", "top_k;dropped"]),
        (LLAMA, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "topP": 0.9}, []),
        (CLAUDE, {"max_tokens": 100_000}, {"maxTokens": 64_000}, ["max_tokens;changed"]),
        (LLAMA, {"max_tokens": 100_000}, {"maxTokens": 100_000}, []),
    ],
)
def test_parameters_are_those_the_model_takes(model: str, said: Json, config: Json, losses: list[str]) -> None:
    out, found = write(asks(HI, **said), model)
    assert (out.get("inferenceConfig", {}), found) == (config, losses)


def test_what_converse_has_no_field_for_is_reported() -> None:
    request = asks(HI, seed=1, n=2, frequency_penalty=0.5, presence_penalty=0.5, logprobs=True, top_logprobs=3, user="u")
    out, losses = write(request, CLAUDE)
    assert out == {"messages": [user("Hi")]}
    names = ("seed", "n", "frequency_penalty", "presence_penalty", "logprobs", "user", "top_logprobs")
    assert losses == [f"{name};dropped" for name in names]
    _, losses = write(asks(HI, n=1, frequency_penalty=0.0), CLAUDE)
    assert losses == []


def test_tools_are_told_as_the_model_takes_them() -> None:
    tools: Any = [
        Function(name="f", schema={"properties": {}, "$schema": "s", "title": "T"}, strict=True),
        ServerTool(origin="anthropic", kind="web_search"),
        Function(name="g", description=""),
    ]
    out, losses = write(asks(HI, tools=tools), NOVA)
    assert [tool["toolSpec"] for tool in out["toolConfig"]["tools"]] == [
        {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}},
        {"name": "g", "inputSchema": {"json": {"type": "object", "properties": {}}}},
    ]
    assert losses == ["tools[0].schema.title;dropped", "tools[0].strict;dropped", "tools[1];dropped"]
    _, losses = write(asks(HI, tools=tools[1:2], tool_choice=ToolChoice(mode="required")), CLAUDE)
    assert losses == ["tools[0];dropped", "tool_choice;dropped"]


@pytest.mark.parametrize("model", [NOVA, OLD])
def test_an_output_format_is_lost_where_the_model_has_none(model: str) -> None:
    out, losses = write(asks(HI, output=Output(mode="schema", schema=CITY)), model)
    assert "outputConfig" not in out and losses == ["output;dropped"]
    _, losses = write(asks(HI, output=Output(mode="json")), CLAUDE)
    assert losses == ["output;dropped"]
    _, losses = write(asks(HI, output=Output(mode="text")), CLAUDE)
    assert losses == []


def test_families_are_told_by_the_name() -> None:
    assert family(CLAUDE).thinks == "claude" and family(NOVA).thinks is None and family(NOVA_2).thinks == "nova"
    assert family("arn:aws:bedrock:us-east-1:1:inference-profile/us.meta.llama4-maverick-17b-instruct-v1:0").choices == ("auto",)
    assert family(PROFILE) == family("anything")


# Whatever is asked, nothing is sent that Bedrock is known to refuse

MODELS = (CLAUDE, NEWEST, OLD, "anthropic.claude-opus-5-5-v1:0", NOVA, NOVA_2, LLAMA, MISTRAL, "openai.gpt-oss-120b-1:0", PROFILE)
# What no gateway can mend: nothing is left to ask, or to begin with; more files than there may be; a signature that is none.
BEYOND = ("must not be empty", "must start with a user message", "5 documents", "Invalid `signature`")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
)
@given(ir.requests(), st.sampled_from(MODELS))
def test_nothing_is_sent_that_would_be_refused(request: Request, model: str) -> None:
    out, _ = write(ir.foreign(request, "bedrock"), model)
    fault = violation("bedrock", out, "ConverseStreamRequest" if request.stream else "ConverseRequest")
    assert fault is None, fault
    try:
        rules.check(out, model, Options())
    except Refusal as refusal:
        if not any(words in refusal.message for words in BEYOND):
            raise
