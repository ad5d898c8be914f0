"""A model's name leads where the configuration says, in its order, and nowhere else."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.config import Overrides
from interlingua.config.document import Document
from interlingua.config.resolve import build
from interlingua.errors import NotFound
from interlingua.routing import LONGEST, Decision, Router

CONFIG = """
[backends.openai]
protocol = "openai"
[backends.openai.model_mapping]
"gpt-4" = "gpt-4o"
"shared" = "gpt-shared"
"claude-*" = "never"
"openai/pinned" = "exact-wins"
"*-mini" = "*"
[backends.claude]
protocol = "anthropic"
priority = 5
[backends.claude.model_mapping]
"shared" = "claude-shared"
"claude-*" = "*"
"claude-opus-*" = "vendor/opus-*"
"fixed-*" = "one"
[backends.google]
protocol = "gemini"
[backends.google.model_mapping]
"shared" = "gemini-shared"
"gemini-2-*-latest" = "g-*"
"""


def router(text: str = CONFIG, **routing: Any) -> Router:
    data = tomllib.loads(text)
    return Router(build(Document("test", {**data, "routing": routing} if routing else data), {}, Overrides()))


def short(decision: Decision) -> tuple[str, str, str]:
    return decision.backend, decision.model, decision.route


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4", ("openai", "gpt-4o", "model_mapping")),
        ("GPT-4", ("openai", "GPT-4", "auto")),  # names are what they are, capitals too; families are known by sight
        ("openai/gpt-4", ("openai", "gpt-4", "explicit")),  # as it is, past the mapping
        ("openai/pinned", ("openai", "exact-wins", "model_mapping")),
        ("claude/a/b", ("claude", "a/b", "explicit")),
        ("claude-sonnet-4-5", ("claude", "claude-sonnet-4-5", "model_mapping")),
        ("claude-opus-4-5", ("claude", "vendor/opus-4-5", "model_mapping")),  # the longer key
        ("claude-", ("claude", "claude-", "model_mapping")),  # a star may stand for nothing
        ("claude-x[1m]", ("claude", "claude-x[1m]", "model_mapping")),
        ("fixed-thing", ("claude", "one", "model_mapping")),
        ("gemini-2-flash-latest", ("google", "g-flash", "model_mapping")),
        ("gemini-2-latest", ("google", "gemini-2-latest", "auto")),  # head and tail may not overlap
        ("gpt-4.1", ("openai", "gpt-4.1", "auto")),
        ("o3-pro", ("openai", "o3-pro", "auto")),
        ("chatgpt-4o-latest", ("openai", "chatgpt-4o-latest", "auto")),
        ("text-embedding-3-small", ("openai", "text-embedding-3-small", "auto")),
        ("text-embedding-004", ("google", "text-embedding-004", "auto")),
        ("models/gemini-2.5-flash", ("google", "models/gemini-2.5-flash", "auto")),
        ("anthropic.claude-3-5-sonnet", ("claude", "anthropic.claude-3-5-sonnet", "auto")),
        ("foo-mini", ("openai", "foo-mini", "model_mapping")),
    ],
)
def test_where_a_name_leads(model: str, expected: tuple[str, str, str]):
    assert short(router().route(model)) == expected


def test_a_pool_is_those_that_map_the_name_by_priority_then_by_order():
    assert [short(decision) for decision in router().candidates("shared")] == [
        ("claude", "claude-shared", "model_mapping"),
        ("openai", "gpt-shared", "model_mapping"),
        ("google", "gemini-shared", "model_mapping"),
    ]
    assert [(decision.backend, decision.key) for decision in router().candidates("claude-3")] == [
        ("claude", "claude-*"),
        ("openai", "claude-*"),
    ]


def test_a_decision_says_why():
    assert router().route("gpt-4").reason == "model_mapping has the name gpt-4"
    assert "claude-*" in router().route("claude-3").reason
    assert "anthropic" in router().route("x-claude").reason
    assert "backend openai" in router().route("openai/x").reason
    assert "default_backend" in router(default_backend="google").route("x").reason


def test_every_pool_that_could_serve_comes_in_order():
    pools = list(router(default_backend="google").pools("openai/gpt-4o-mini"))
    assert [[short(decision) for decision in pool] for pool in pools] == [
        [("openai", "gpt-4o-mini", "explicit")],
        [("openai", "openai/gpt-4o-mini", "model_mapping")],
        [("openai", "openai/gpt-4o-mini", "auto")],
        [("google", "openai/gpt-4o-mini", "fallback")],
    ]


def test_the_default_takes_what_is_left():
    assert short(router(default_backend="google").route("llama-3")) == ("google", "llama-3", "fallback")
    assert short(router(default_backend="google").route("nosuch/llama")) == ("google", "nosuch/llama", "fallback")
    assert short(router(default_backend="google").route("openai/")) == ("google", "openai/", "fallback")


@pytest.mark.parametrize(
    ("order", "model", "route"),
    [
        (["fallback"], "gpt-4", "fallback"),
        (["capability", "model_mapping"], "gpt-4", "auto"),
        (["capability", "model_mapping"], "shared", "model_mapping"),
        (["model_mapping", "fallback"], "gpt-5", "fallback"),
    ],
)
def test_the_order_of_the_steps_is_the_configurations(order: list[str], model: str, route: str):
    default = {"default_backend": "google"} if "fallback" in order else {}
    assert router(order=order, **default).route(model).route == route


def test_a_step_left_out_is_not_taken():
    with pytest.raises(NotFound):
        router(order=["capability"]).route("openai/x")


def test_a_mock_serves_what_nothing_else_does():
    mixed = router('[backends.m]\nprotocol = "mock"\npriority = 1\n[backends.o]\nprotocol = "openai"\n')
    assert short(mixed.route("gpt-4o")) == ("o", "gpt-4o", "auto")
    assert short(mixed.route("anything")) == ("m", "anything", "auto")


def test_a_name_that_leads_nowhere_is_told_to_the_client():
    with pytest.raises(NotFound) as caught:
        router().route("llama-3")
    failure = caught.value.failure
    assert (failure.status, failure.kind, failure.code, failure.param) == (404, "not_found", "model_not_found", "model")
    assert failure.message == (
        "The model `llama-3` does not exist here; configured: gpt-4, shared, claude-*, openai/pinned, *-mini, claude-opus-*, "
        "fixed-*, gemini-2-*-latest, claude/MODEL, openai/MODEL, google/MODEL."
    )


def test_a_long_list_is_cut():
    mapping = "".join(f'"name-{n}" = "x"\n' for n in range(30))
    with pytest.raises(NotFound, match=r"name-19, o/MODEL, and 10 more\.$"):
        router(f'[backends.o]\nprotocol = "openai"\n[backends.o.model_mapping]\n{mapping}').route("x")


@pytest.mark.parametrize("model", ["", "x" * (LONGEST + 1), "a\r\nx-evil: 1", "a\0", "openai/../files", "..", "openai/.."])
def test_what_is_no_name_goes_nowhere(model: str):
    with pytest.raises(NotFound) as caught:
        router(default_backend="openai").route(model)
    message = caught.value.failure.message
    assert len(message) < 400 and message.isprintable()


def test_unknown_names_do_not_fill_the_memory():
    bounded = router(default_backend="openai")
    for number in range(10_000):
        bounded.route(f"unknown-{number}")
    strict = router()
    for number in range(10_000):
        with pytest.raises(NotFound):
            strict.route(f"unknown-{number}")
    assert len(bounded._cache) == 4096
    assert strict._cache == {}
    assert short(bounded.route("unknown-1")) == ("openai", "unknown-1", "fallback")


def test_the_model_list_has_exact_names_once():
    assert router().models() == [
        ("gpt-4", "openai", "gpt-4o"),
        ("shared", "claude", "claude-shared"),
        ("openai/pinned", "openai", "exact-wins"),
    ]


names = st.text(st.sampled_from("abc-/*."), min_size=1, max_size=6)


@given(st.dictionaries(names.filter(lambda n: n.count("*") < 2), st.just("x"), max_size=6), names, st.booleans())
def test_routing_is_what_the_rules_say(mapping: dict[str, str], model: str, default: bool):
    """Against a reading of the rules that is slow and plain."""
    data: dict[str, Any] = {"backends": {"a": {"protocol": "anthropic", "model_mapping": mapping}}}
    if default:
        data["routing"] = {"default_backend": "a"}
    fits = [
        key
        for key in mapping
        if "*" in key
        and any(key.replace("*", model[i:j]) == model for i in range(len(model) + 1) for j in range(i, len(model) + 1))
    ]
    longest = max(map(len, fits), default=0)
    routed = Router(build(Document("test", data), {}, Overrides()))
    if ".." in model.split("/"):
        expected: list[str] = []
    elif model in mapping:
        expected = ["model_mapping"]
    elif model.startswith("a/") and model != "a/":
        expected = ["explicit"]
    else:
        expected = ["model_mapping"] if fits else ["fallback"] if default else []
    try:
        decision = routed.route(model)
    except NotFound:
        assert expected == []
    else:
        assert [decision.route] == expected
        assert decision is routed.candidates(model)[0]
        if decision.route == "model_mapping" and model not in mapping:
            assert decision.key in fits and len(decision.key) == longest
