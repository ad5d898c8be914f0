"""What a request needs decides who is asked: the mapped, its fallbacks, who is known to suffice, the last resort; and why."""

import tomllib
from typing import Any

import pytest
from conftest import Start
from hypothesis import given
from server_wire import PATHS, ask, plain, said
from strategies import requests

from interlingua.config import Overrides
from interlingua.config.document import Document
from interlingua.config.resolve import build
from interlingua.errors import Unsupported
from interlingua.ir import (
    Function,
    Media,
    Message,
    Output,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from interlingua.losses import Losses
from interlingua.models import facts
from interlingua.protocols import target
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.shared import decode_request
from interlingua.protocols.wire import encode_json
from interlingua.routing import EMBEDDINGS, Plan, Router, capability_words, estimate, named
from interlingua.routing.needs import MEDIA, NAMES, read

HOUSE = """
[backends.local]
protocol = "vllm"
priority = 1
capabilities = ["text", "streaming", "tools", "json_schema"]
[backends.local.model_mapping]
house = "qwen3"
shared = "qwen3"
[backends.local.models."qwen3"]
context = 2000
[backends.local.models."qwen-vl*"]
capabilities = ["text", "streaming", "tools", "vision"]
[backends.openai]
protocol = "openai"
[backends.openai.model_mapping]
old = "gpt-3.5-turbo"
shared = "gpt-4o"
embed = "text-embedding-3-small"
[backends.gemini]
protocol = "gemini"
priority = 20
[backends.gemini.model_mapping]
shared = "gemini-2.5-flash"
"""
IMAGE = Media(kind="image", data="AAAA", mime="image/png")
FOUND = Media(kind="document", text="plain words", chunks=["plain words"], name="T", source="https://sea.test/")
AUDIO = Media(kind="audio", data="AAAA", mime="audio/wav")


def router(text: str = HOUSE, **routing: Any) -> Router:
    data = tomllib.loads(text)
    return Router(build(Document("test", {**data, "routing": routing}), {}, Overrides()))


def request(model: str, *parts: Any, **fields: Any) -> Request:
    return Request(model=model, messages=[Message(role="user", parts=list(parts) or [Text(text="hi")])], **fields)


def tiers(plan: Plan) -> list[list[str]]:
    return [[f"{decision.backend}/{decision.model}" for decision in tier] for tier in plan.tiers]


def refused(plan: Plan) -> dict[str, str]:
    return {f"{refusal.backend}/{refusal.model}": refusal.why for refusal in plan.refused}


# What a request needs

CALL = ToolCall(id="a", name="f", arguments="{}")


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        (request("m"), "text"),
        (request("m", stream=True), "text streaming"),
        (request("m", tools=[Function(name="f")]), "text tools"),
        (request("m", tools=[Function(name="f")], tool_choice=ToolChoice(parallel=True)), "text tools parallel_tools"),
        (request("m", tools=[Function(name="f")], tool_choice=ToolChoice(parallel=False)), "text tools"),
        (request("m", CALL), "text tools"),
        (request("m", CALL, CALL), "text tools parallel_tools"),
        (request("m", ToolResult(id="a", parts=[Text(text="x"), IMAGE])), "text tools vision"),
        (request("m", IMAGE), "text vision"),
        (request("m", Media(kind="document", file="f1")), "text documents"),
        (request("m", Media(kind="document", text="plain words")), "text"),
        (request("m", FOUND), "text"),
        (request("m", ToolResult(id="a", parts=[FOUND])), "text tools"),
        (request("m", AUDIO, Media(kind="video", url="gs://x")), "text audio video"),
        (request("m", output=Output(mode="schema", schema={})), "text json_schema"),
        (request("m", output=Output(mode="json")), "text"),
        (request("m", reasoning=Reasoning(enabled=True)), "text thinking"),
        (request("m", reasoning=Reasoning(effort="low")), "text thinking"),
        (request("m", reasoning=Reasoning(enabled=False, effort="low")), "text"),
        (request("m", reasoning=Reasoning(visible=True)), "text"),
    ],
)
def test_what_a_request_needs(asked: Request, needs: str):
    assert named(read(asked)) == needs.split()


@pytest.mark.parametrize("client", ["openai", "responses", "anthropic", "gemini", "bedrock"])
@given(asked=requests())
def test_no_body_has_fewer_bytes_than_its_text_has_tokens(client: str, asked: Request):
    protocol = PROTOCOLS[client]
    body = encode_json(protocol.format_request(asked, target("m"), Losses()))
    told = protocol.parse_request(decode_request(body), "m", False)
    assert len(body) >= estimate(told) or read(told) & MEDIA


def test_a_plan_that_is_known_is_found_by_the_size_of_the_body():
    routed = router()
    first = routed.plan(request("house", Text(text="word")))
    assert routed.plan(request("house", Text(text="word" * 5000)), 1000) is first, "so short a body is not looked into"
    assert routed.plan(request("house", Text(text="word" * 5000)), 20_000) is not first


@pytest.mark.parametrize("client", ["openai", "responses", "anthropic", "gemini", "bedrock"])
def test_a_picture_is_a_picture_in_every_protocol(client: str):
    protocol = PROTOCOLS[client]
    body = protocol.format_request(request("m", Text(text="look"), IMAGE, max_tokens=9), target("m"), Losses())
    assert named(read(protocol.parse_request(body, "m", False))) == ["text", "vision"]


# What a model has


@pytest.mark.parametrize(
    ("backend", "model", "words"),
    [
        ("local", "qwen3", "text streaming tools json_schema"),
        ("local", "qwen-vl-7b", "text streaming tools vision"),
        ("openai", "gpt-4o", "text streaming tools parallel_tools vision documents json_schema"),
        ("openai", "text-embedding-3-small", "embeddings"),
        ("gemini", "gemini-2.5-flash", "text streaming tools parallel_tools vision documents audio video thinking json_schema"),
    ],
)
def test_what_a_model_has(backend: str, model: str, words: str):
    told = capability_words(router().abilities(backend, model)).split()
    assert [word for word in told if not word.startswith("?")] == words.split()


def test_what_is_not_known_is_not_held_against_anyone():
    plan = router('[backends.o]\nprotocol = "openai"\nmodel_mapping = { m = "house-model" }').plan(request("m", IMAGE, AUDIO))
    assert tiers(plan) == [["o/house-model"]] and plan.refused == ()


def test_a_list_need_not_say_text_and_without_parallel_tools_comes_last():
    text = '[backends.a]\nprotocol = "vllm"\npriority = 1\ncapabilities = ["tools"]\nmodel_mapping = { m = "x" }\n'
    both = router(text + '[backends.b]\nprotocol = "vllm"\nmodel_mapping = { m = "y" }\n')
    assert tiers(both.plan(request("m", CALL))) == [["a/x", "b/y"]]
    assert tiers(both.plan(request("m", CALL, CALL))) == [["b/y", "a/x"]]
    assert tiers(both.plan(request("m", IMAGE))) == [["b/y"]]


def test_facts_of_models_are_words_of_the_configuration():
    for name in (
        "gpt-4o",
        "claude-3-haiku",
        "claude-sonnet-4-5",
        "gemini-2.5-pro",
        "o3-mini",
        "gpt-oss-20b",
        "text-embedding-004",
    ):
        row = facts(name)
        assert row.has | row.lacks <= set(NAMES) and not row.has & row.lacks, name
    for name, context in (
        ("gpt-4", 8_192),
        ("gpt-4-0613", 8_192),
        ("gpt-4-turbo", 128_000),
        ("gpt-4.1-mini", 1_047_576),
        ("gpt-5", 400_000),
        ("gpt-5-mini", 400_000),
        ("gpt-5.2", 400_000),
        ("gpt-5.4", 1_050_000),
        ("gpt-5-chat-latest", 128_000),
        ("claude-haiku-4-5-20251001", 200_000),
        ("claude-sonnet-4-20250514", 200_000),
        ("claude-sonnet-4-6", 1_000_000),
        ("anthropic.claude-v2:1", 200_000),
        ("llama-3", None),
    ):
        assert facts(name).context == context, name


# Who is asked


def test_a_pool_keeps_those_that_can():
    plan = router().plan(request("shared", IMAGE))
    assert tiers(plan) == [["openai/gpt-4o", "gemini/gemini-2.5-flash"]]
    assert refused(plan) == {"local/qwen3": "lacks vision"}
    assert tiers(router().plan(request("shared"))) == [["local/qwen3", "openai/gpt-4o", "gemini/gemini-2.5-flash"]]


def test_a_wish_orders_the_pool_and_leaves_nobody_out():
    thinking = request("shared", reasoning=Reasoning(enabled=True))
    assert tiers(router().plan(thinking)) == [["gemini/gemini-2.5-flash", "openai/gpt-4o"]]
    assert tiers(router().plan(request("old", reasoning=Reasoning(enabled=True)))) == [["openai/gpt-3.5-turbo"]]


def test_a_lack_leads_to_who_is_known_to_suffice_by_priority():
    plan = router().plan(request("house", IMAGE))
    assert tiers(plan) == [["openai/gpt-4o", "gemini/gemini-2.5-flash"]]
    assert (plan.first.route, plan.first.reason) == ("capability", "openai is known to have all that is needed")
    assert tiers(router().plan(request("house", AUDIO))) == [["gemini/gemini-2.5-flash"]]
    assert "refused: local/qwen3 lacks vision" in str(plan) and "needs text, vision" in str(plan)


def test_the_length_of_a_prompt_leads_on_and_each_length_has_its_plan():
    routed = router()
    for size, expected in (
        (1000, "local/qwen3"),
        (5000, "openai/gpt-3.5-turbo"),
        (1000, "local/qwen3"),
        (600_000, "gemini/gemini-2.5-flash"),
    ):
        plan = routed.plan(request("house", Text(text="word" * size)))
        assert tiers(plan)[0][0] == expected, size
    assert "has a context of 2000 tokens, for a prompt of about 600007" in refused(plan)["local/qwen3"]
    again = routed.plan(request("house", Text(text="w" * 2_400_000)))
    assert again is plan, "the same between two windows"
    assert routed.plan(request("house")) is routed.plan(request("house", Text(text="other words")))


def test_nobody_can_the_list_is_the_last_word_and_names_are_not():
    alone = HOUSE.partition("[backends.openai]")[0]
    with pytest.raises(Unsupported) as caught:
        router(alone).plan(request("house", IMAGE))
    failure = caught.value.failure
    assert (failure.status, failure.param, failure.code) == (400, "model", "no_capable_backend")
    assert failure.message == "No backend here can serve this request: qwen3 at local lacks vision."
    long = router(alone).plan(request("house", Text(text="word" * 5000)))
    assert tiers(long) == [["local/qwen3"]] and "nothing else here can do more" in long.first.reason
    guessed = router('[backends.o]\nprotocol = "openai"').plan(request("gpt-3.5-turbo", IMAGE))
    assert tiers(guessed) == [["o/gpt-3.5-turbo"]] and "it lacks vision, but" in guessed.first.reason
    assert guessed.refused == ()


def test_who_serves_a_name_evidently_may_lack_too():
    plan = router().plan(request("gpt-3.5-turbo", AUDIO))
    assert (tiers(plan), plan.first.route) == ([["gemini/gemini-2.5-flash"]], "capability")


def test_a_name_of_ours_is_not_taken_for_a_providers():
    text = HOUSE.replace('house = "qwen3"', '"my-gemini" = "qwen3"')
    plan = router(text).plan(request("my-gemini", AUDIO))
    assert tiers(plan) == [["gemini/gemini-2.5-flash"]] and plan.first.route == "capability"
    assert tiers(router(text.replace("my-gemini", "gemini-3-pro")).plan(request("gemini-3-pro", AUDIO))) == [
        ["gemini/gemini-3-pro"]
    ]


def test_a_name_that_says_its_backend_is_never_led_elsewhere():
    plan = router().plan(request("local/qwen3", IMAGE, AUDIO))
    assert tiers(plan) == [["local/qwen3"]] and plan.first.route == "explicit"


def test_a_list_is_an_offer_for_any_name():
    plan = router().plan(request("unheard-of"))
    assert (tiers(plan), plan.first.route) == ([["local/unheard-of"]], "capability")
    last = router(default_backend="gemini").plan(request("unheard-of", IMAGE))
    assert (tiers(last), last.first.route) == ([["gemini/unheard-of"]], "fallback")
    early = router(order=["model_mapping", "fallback", "capability"], default_backend="gemini").plan(request("unheard-of"))
    assert early.first.route == "fallback"


def test_needs_without_a_chat():
    plan = router().plan_for("embed", EMBEDDINGS)
    assert tiers(plan) == [["openai/text-embedding-3-small"]]
    with pytest.raises(Unsupported):
        router(HOUSE.replace("[backends.openai]", "[backends.openai]\ncapabilities = ['text']")).plan_for("old", EMBEDDINGS)
    with pytest.raises(Unsupported):
        router(HOUSE.partition("[backends.openai]")[0]).plan_for("house", EMBEDDINGS)
    chat = router().plan(request("embed"))
    assert refused(chat) == {"openai/text-embedding-3-small": "lacks text"}


def test_embeddings_go_to_no_other_model_unless_a_fallback_is_of_that_very_name():
    """Vectors of two models cannot be compared, and an answer does not tell whose they are."""
    assert tiers(router().plan_for("old", EMBEDDINGS)) == [["openai/gpt-3.5-turbo"]]  # whose provider refuses it by name
    others = {"default": ["gemini/text-embedding-004"], "text-*": ["gemini/text-embedding-005"]}
    assert tiers(router(fallbacks=others).plan_for("text-embedding-3-small", EMBEDDINGS)) == [["openai/text-embedding-3-small"]]
    own = {**others, "text-embedding-3-small": ["embed", "local/nomic"]}
    plan = router(HOUSE.replace('"json_schema"]', '"embeddings"]', 1), fallbacks=own).plan_for(
        "text-embedding-3-small", EMBEDDINGS
    )
    assert tiers(plan) == [["openai/text-embedding-3-small"], ["local/nomic"]]
    mapped = (
        HOUSE + '"*" = "gemini-2.5-flash"\n[backends.claude]\nprotocol = "anthropic"\nmodel_mapping = {"text-*" = "claude-5"}\n'
    )
    caught = router(mapped).plan_for("text-embedding-3-small", EMBEDDINGS)
    assert tiers(caught) == [["openai/text-embedding-3-small"]]  # past both patterns, under the name that was asked for


# Fallbacks


def test_fallbacks_are_further_tiers_without_repeats():
    fallbacks = {"old": ["shared", "gemini/gemini-2.5-pro", "openai/gpt-3.5-turbo", "old"], "default": ["gemini/last"]}
    plan = router(fallbacks=fallbacks).plan(request("old"))
    assert tiers(plan) == [
        ["openai/gpt-3.5-turbo"],
        ["local/qwen3", "openai/gpt-4o", "gemini/gemini-2.5-flash"],
        ["gemini/gemini-2.5-pro"],
    ]
    assert {decision.route for tier in plan.tiers[1:] for decision in tier} == {"fallback"}
    assert plan.tiers[2][0].reason == "routing.fallbacks has gemini/gemini-2.5-pro for old"


def test_fallbacks_by_pattern_by_default_and_for_pinned_names():
    fallbacks = {"ho*": ["gemini/a"], "hou*": ["gemini/b"], "default": ["gemini/c"], "openai/x": ["gemini/d"]}
    routed = router(fallbacks=fallbacks)
    assert tiers(routed.plan(request("house"))) == [["local/qwen3"], ["gemini/b"]]
    assert tiers(routed.plan(request("old")))[1:] == [["gemini/c"]]
    assert tiers(routed.plan(request("openai/x"))) == [["openai/x"], ["gemini/d"]]
    assert tiers(routed.plan(request("openai/y"))) == [["openai/y"]], "a pinned name has no default"


def test_the_names_own_fallbacks_come_before_what_is_found_by_capabilities():
    plan = router(fallbacks={"house": ["old", "shared"]}).plan(request("house", IMAGE))
    assert tiers(plan) == [["openai/gpt-4o", "gemini/gemini-2.5-flash"]] and plan.first.route == "fallback"
    assert refused(plan) == {"local/qwen3": "lacks vision", "openai/gpt-3.5-turbo": "lacks vision"}


def test_a_fallback_that_leads_nowhere_is_told():
    bare = HOUSE.replace('capabilities = ["text", "streaming", "tools", "json_schema"]\n', "", 1)
    assert refused(router(bare, fallbacks={"old": ["nowhere"]}).plan(request("old"))) == {"/nowhere": "leads nowhere"}


# Through the gateway

BACKENDS = """
[backends.plain]
protocol = "openai"
url = "{url}"
api_key_env = "OPENAI_KEY"
priority = 1
capabilities = ["text", "streaming"]
model_mapping = { "exact-openai" = "gpt-4o", "exact-anthropic" = "gpt-4o", "exact-gemini" = "gpt-4o" }
[backends.sees]
protocol = "gemini"
url = "{url}"
api_key_env = "GEMINI_KEY"
model_mapping = { "other" = "gemini-2.5-flash" }
"""
TOOLS: dict[str, Any] = {
    "openai": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "anthropic": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
    "gemini": [{"functionDeclarations": [{"name": "f"}]}],
}


@pytest.mark.parametrize("client", list(PATHS))
async def test_every_client_is_led_alike_and_counted(start: Start, client: str):
    house = await start(backends=BACKENDS)
    first = await ask(house, client, plain(client))
    assert (first.status, first.heads["x-interlingua-backend"], first.heads["x-interlingua-route"]) == (
        200,
        "plain",
        "model_mapping",
    )
    tooled = await ask(house, client, plain(client, tools=TOOLS[client]))
    heads = tooled.heads
    assert (tooled.status, heads["x-interlingua-backend"], heads["x-interlingua-route"]) == (200, "sees", "capability")
    assert (await ask(house, "openai", plain("openai", model="plain/gpt-4o", tools=TOOLS["openai"]))).status == 200
    metrics = (await ask(house, "openai", b"", method="GET", path="/metrics")).body.decode()
    for mode in ("model_mapping", "capability"):
        assert f'interlingua_routes_total{{mode="{mode}",protocol="{client}"}} 1.0' in metrics


async def test_what_nobody_can_serve_is_refused_in_the_clients_words(start: Start):
    house = await start(backends=BACKENDS.partition("[backends.sees]")[0])
    for client in PATHS:
        reply = await ask(house, client, plain(client, tools=TOOLS[client]))
        assert reply.status == 400 and "gpt-4o at plain lacks tools" in said(client, reply)[0]
    metrics = (await ask(house, "openai", b"", method="GET", path="/metrics")).body.decode()
    assert 'interlingua_routes_total{mode="failed",protocol="gemini"} 1.0' in metrics
    assert not house.mock.journal.entries
