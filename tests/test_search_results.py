"""Search results: a document with a source in the IR, whole between Anthropic and Bedrock, in words to every other model.

What all pairs make of them is held by the golden vectors; here is what stands at their edges.
"""

import copy
from typing import Any

import pytest
from bedrock_cases import CLAUDE, LLAMA, NOVA, PROFILE

from interlingua.cli.prompt import tell
from interlingua.errors import InvalidRequest
from interlingua.ir import Cache, Citation, Json, Media, Message, Opaque, Place, Request, Text, ToolCall, ToolResult
from interlingua.losses import Losses
from interlingua.protocols import anthropic, bedrock, gemini, openai, responses, target
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import encode_json

SEA = Media(kind="document", text="Salt.\nWater.", chunks=["Salt.", "Water."], name="The sea", source="https://sea.test/")
WORDS = "The sea\nhttps://sea.test/\n\nSalt.\nWater."
BLOCK: Json = {
    "type": "search_result",
    "source": "https://sea.test/",
    "title": "The sea",
    "content": [{"type": "text", "text": "Salt."}, {"type": "text", "text": "Water."}],
}
CONVERSES: Json = {
    "searchResult": {"source": "https://sea.test/", "title": "The sea", "content": [{"text": "Salt."}, {"text": "Water."}]}
}
MESSAGES = {"anthropic": "claude-sonnet-4-5", "bedrock": CLAUDE}


def asks(name: str, *blocks: Json) -> Json:
    """A body of `name`'s with one turn."""
    body: Json = {"messages": [{"role": "user", "content": list(copy.deepcopy(blocks))}]}
    return {**body, "model": "m", "max_tokens": 9} if name == "anthropic" else body


def read(name: str, *blocks: Json) -> Request:
    return PROTOCOLS[name].parse_request(asks(name, *blocks), "m", False)


def sent(request: Request, name: str, model: str = "gpt-4o") -> tuple[Any, list[str]]:
    """What `name`'s backend is sent, and the losses in the IR's names."""
    losses = Losses()
    out = PROTOCOLS[name].format_request(request, target(model), losses)
    return out, [f"{loss.path};{loss.how}" for loss in losses]


def turn(*parts: Any, role: Any = "user") -> Request:
    return Request(model="m", messages=[Message(role="user", parts=[Text(text="?")]), Message(role=role, parts=list(parts))])


def answered(*parts: Any) -> Request:
    """A tool that was called, and what it brought."""
    call, result = ToolCall(id="t1", name="find", arguments="{}"), ToolResult(id="t1", parts=list(parts))
    turns = [Message(role="user", parts=[Text(text="?")]), Message(role="assistant", parts=[call])]
    return Request(model="m", messages=[*turns, Message(role="tool", parts=[result])])


# Read and written again


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("anthropic", [BLOCK]),
        ("anthropic", [{**BLOCK, "citations": {"enabled": False}}]),
        ("anthropic", [{**BLOCK, "citations": {"enabled": True, "born_later": 1}, "context": "c"}]),
        ("anthropic", [{**BLOCK, "title": "", "source": ""}]),
        ("anthropic", [{**BLOCK, "content[2].a": 1, "content[x].a": 1, f"content[{'9' * 5000}].a": 1, "other[0].a": 1}]),
        ("anthropic", [{**BLOCK, "content": []}]),
        ("anthropic", [{**BLOCK, "content": [{"type": "born_later"}, {"type": "text", "text": "w"}]}]),
        (
            "anthropic",
            [{**BLOCK, "content": [{"type": "text", "text": "", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}],
        ),
        ("bedrock", [CONVERSES]),
        ("bedrock", [{"searchResult": {**CONVERSES["searchResult"], "citations": {"enabled": False}}}]),
        ("bedrock", [{"searchResult": {**CONVERSES["searchResult"], "citations": {"born_later": 1}, "context": "c"}}]),
        ("bedrock", [{"searchResult": {**CONVERSES["searchResult"], "title": "", "content": []}}]),
        ("bedrock", [{"searchResult": {**CONVERSES["searchResult"], "content": [{"text": "w", "born_later": 1}]}}]),
        ("bedrock", [{**CONVERSES, "born_later": 1}, {"cachePoint": {"type": "default"}}]),
    ],
)
def test_it_comes_back_to_the_last_byte(name: str, blocks: list[Json]) -> None:
    out, losses = sent(read(name, *blocks), name, MESSAGES[name])
    assert encode_json(out["messages"]) == encode_json(asks(name, *blocks)["messages"])
    assert losses == []


@pytest.mark.parametrize(
    ("name", "block", "field"),
    [
        ("anthropic", {**BLOCK, "content": "w"}, "content"),
        ("anthropic", {key: value for key, value in BLOCK.items() if key != "content"}, "content"),
        ("anthropic", {**BLOCK, "source": {"url": "u"}}, "source"),
        ("anthropic", {**BLOCK, "title": None}, "title"),
        ("bedrock", {"searchResult": "w"}, "searchResult"),
        ("bedrock", {"searchResult": {**CONVERSES["searchResult"], "content": {"text": "w"}}}, "searchResult.content"),
        ("bedrock", {"searchResult": {**CONVERSES["searchResult"], "source": 1}}, "searchResult.source"),
        ("bedrock", {"searchResult": {**CONVERSES["searchResult"], "title": None}}, "searchResult.title"),
    ],
)
def test_one_that_is_malformed_is_refused(name: str, block: Json, field: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(name, block)
    assert raised.value.failure.param == f"messages[0].content[0].{field}"


# Between the two that have it


def test_what_has_no_home_in_the_other_is_reported() -> None:
    """In the client's own names, to the field."""
    marked = {"type": "text", "text": "Salt.", "cache_control": {"type": "ephemeral"}}
    request = read("anthropic", {**BLOCK, "content": [marked, BLOCK["content"][1]], "born_later": 1})
    out, losses = sent(request, "bedrock", CLAUDE)
    assert out["messages"][0]["content"] == [CONVERSES]
    assert [anthropic.field_path(loss.partition(";")[0], request) for loss in losses] == [
        "messages[0].content[0].content[0].cache_control",
        "messages[0].content[0].born_later",
    ]
    request = read("bedrock", {"searchResult": {**CONVERSES["searchResult"], "born_later": 1}})
    out, losses = sent(request, "anthropic", MESSAGES["anthropic"])
    assert out["messages"][0]["content"] == [BLOCK]
    assert [bedrock.field_path(loss.partition(";")[0], request) for loss in losses] == [
        "messages[0].content[0].searchResult.born_later"
    ]


@pytest.mark.parametrize("name", ["bedrock", "openai", "gemini", "responses"])
def test_what_is_told_of_a_documents_own_blocks_is_reported_too(name: str) -> None:
    marked = {"type": "text", "text": "Salt.", "cache_control": {"type": "ephemeral"}, "source.content[0].odd": 1}
    block: Json = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "Sea."}, marked]}}
    request = read("anthropic", block)
    out, losses = sent(request, "anthropic", MESSAGES["anthropic"])
    assert encode_json(out["messages"][0]["content"]) == encode_json([block]) and losses == []
    _, losses = sent(read("anthropic", block), name, CLAUDE if name == "bedrock" else "m-1")
    where = "messages[0].parts[0].source.content[1]"
    assert {f"{where}.cache_control;dropped", f"{where}.source.content[0].odd;dropped"} <= set(losses)
    assert anthropic.field_path(f"{where}.cache_control", request) == "messages[0].content[0].source.content[1].cache_control"


def test_its_cache_mark_is_carried() -> None:
    request = read("anthropic", {**BLOCK, "cache_control": {"type": "ephemeral", "ttl": "1h"}}, {"type": "text", "text": "?"})
    out, losses = sent(request, "bedrock", CLAUDE)
    mark = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert (out["messages"][0]["content"], losses) == ([CONVERSES, mark, {"text": "?"}], [])


def test_one_of_a_kind_yet_unknown_is_its_protocols_own() -> None:
    request = read("anthropic", {**BLOCK, "content": [{"type": "born_later"}]})
    assert isinstance(request.messages[0].parts[0], Opaque)
    assert sent(request, "bedrock", CLAUDE)[1][0] == "messages[0].parts[0];dropped"


@pytest.mark.parametrize("name", ["anthropic", "bedrock", "openai", "responses"])
def test_an_assistant_shows_none(name: str) -> None:
    assert sent(turn(SEA, role="assistant"), name, MESSAGES.get(name, "gpt-4o"))[1][0] == "messages[1].parts[0];dropped"


def test_what_was_cited_of_it_is_not_told_to_bedrock_again() -> None:
    """langchain-aws#1175: handed on without its type, and so refused. What was cited of a document is told."""
    cited = [Citation(quote="Salt.", place=Place("result", 0, 0, 1)), Citation(quote="q", place=Place("char", 0, 0, 1))]
    out, losses = sent(turn(Text(text="So.", citations=cited), role="assistant"), "bedrock", CLAUDE)
    (said,) = out["messages"][1]["content"]
    assert [next(iter(told["location"])) for told in said["citationsContent"]["citations"]] == ["documentChar"]
    assert losses == ["messages[1].parts[0].citations[0];dropped"]


# To every other


@pytest.mark.parametrize("model", [NOVA, LLAMA, PROFILE, "anthropic.claude-3-haiku-20240307-v1:0"])
def test_a_model_of_bedrocks_that_does_not_cite_is_told_in_words(model: str) -> None:
    shown = Media(**{field: getattr(SEA, field) for field in ("kind", "text", "chunks", "name", "source")}, citable=True)
    out, losses = sent(turn(shown), "bedrock", model)
    assert out["messages"][0]["content"][1:] == [{"text": WORDS}]
    assert losses == ["messages[1].parts[0];changed", "messages[1].parts[0].citable;dropped"]
    out, _ = sent(answered(shown), "bedrock", model)
    assert out["messages"][2]["content"][0]["toolResult"]["content"] == [{"text": WORDS}]


@pytest.mark.parametrize(
    ("protocol", "found"),
    [
        (openai, lambda out: out["messages"][2]["content"]),
        (responses, lambda out: out["input"][2]["output"]),
        (gemini, lambda out: out["contents"][2]["parts"][0]["functionResponse"]["response"]["output"]),
    ],
)
def test_a_tools_answer_holds_its_words(protocol: Any, found: Any) -> None:
    """It is not shown elsewhere, as a document would be, which no tool's answer can hold."""
    out, losses = sent(answered(SEA), protocol.NAME)
    assert found(out) == WORDS
    assert losses[0] == "messages[2].parts[0].parts[0];changed"


def test_its_words_bear_its_mark() -> None:
    marked = Media(kind="document", text="Salt.", chunks=["Salt."], name="", source="p. 7", cache=Cache())
    out, losses = sent(turn(marked), "openai")
    said = {"type": "text", "text": "p. 7\n\nSalt.", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert out["messages"][1]["content"] == [said]
    assert losses == ["messages[1].parts[0];changed"]
    bare = Media(kind="document", text="\nSalt.", chunks=["\nSalt."], name="", source="")
    assert sent(turn(bare), "openai")[0]["messages"][1]["content"] == "\nSalt."


def test_the_gemini_cli_is_told_its_words_and_takes_none_for_a_command() -> None:
    losses = Losses()
    asked = Request(model="m", messages=[Message(role="user", parts=[SEA, Text(text="?")])])
    told = tell(asked, target("gemini-2.5-flash"), losses, False)
    assert told.blocks == [{"type": "text", "text": f"{WORDS}\n\n?"}]
    assert [f"{loss.path};{loss.how}" for loss in losses][:1] == ["messages[0].parts[0];changed"]
    asked.messages[0].parts[0] = Media(kind="document", text="w", chunks=["w"], name="/quit", source="s")
    (block,) = tell(asked, target("gemini-2.5-flash"), Losses(), False).blocks
    assert not block["text"].startswith("/") and "/quit\ns\n\nw" in block["text"]
