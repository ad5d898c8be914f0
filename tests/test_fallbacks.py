"""`[routing.fallbacks]` as a person writes them, over real sockets: who comes next, when, and what the client is told."""

from typing import Any

import pytest
from server_wire import ask, said
from test_reliability import Begin, backend, begin, body, gone, metrics

__all__ = ["begin"]


def chain(**targets: list[str]) -> str:
    """The tables that stand behind `[routing]`'s own keys."""
    lines = [f"{key} = [{', '.join(f'{target!r}' for target in names)}]" for key, names in targets.items()]
    return "\n".join(["[routing.fallbacks]", *lines])


def reserve(protocol: str, model: str, name: str = "other") -> str:
    """A backend that serves no name of its own."""
    return backend(name, protocol=protocol).rpartition('"pool"')[0] + f'"{name}-model" = "{model}"\n'


def tried(reply: Any) -> tuple[int, str, str]:
    return reply.status, reply.heads.get("x-interlingua-route", ""), reply.heads.get("x-interlingua-backend", "")


@pytest.mark.parametrize("speaks", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_pool_that_gives_out_is_followed_by_another_protocol(begin: Begin, speaks: str, stream: bool) -> None:
    names = backend("dead", gone()), backend("busy", does="429"), reserve("anthropic", "claude-haiku-4-5")
    house = await begin(*names, routing=chain(pool=["other-model"]))
    path = {"path": f"/v1beta/models/pool:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"}
    reply = await ask(house, speaks, body(speaks, stream), **(path if speaks == "gemini" else {}))
    assert tried(reply) == (200, "fallback", "other")
    assert reply.heads["x-interlingua-tried"] == "dead/gpt-4o;connect, busy/gpt-4o-mock-429;429"
    assert house.mock.journal.last.path == "/v1/messages"
    told = await metrics(house)
    assert 'interlingua_fallbacks_total{backend="other",model="claude-haiku-4-5"} 1.0' in told
    assert f'interlingua_routes_total{{mode="fallback",protocol="{speaks}"}} 1.0' in told


@pytest.mark.parametrize("stream", [False, True])
async def test_each_of_a_chain_in_its_order_and_within_the_attempts(begin: Begin, stream: bool) -> None:
    names = (
        backend("dead", gone()),
        reserve("anthropic", "claude-haiku-4-5-mock-529", "ill"),
        reserve("gemini", "gemini-2.5-flash"),
    )
    chained = chain(pool=["ill-model", "nowhere", "other/gemini-2.5-flash"])
    house = await begin(*names, routing=chained)
    reply = await ask(house, "openai", body("openai", stream))
    assert tried(reply) == (200, "fallback", "other")
    assert reply.heads["x-interlingua-tried"] == "dead/gpt-4o;connect, ill/claude-haiku-4-5-mock-529;5xx"
    house = await begin(*names, routing=f"attempts = 2\n{chained}")
    reply = await ask(house, "openai", body("openai", stream))
    assert tried(reply) == (503, "fallback", "ill")  # as OpenAI would say it
    assert "(tried 2 times: dead connect, ill 5xx)" in said("openai", reply)[0]


async def test_a_default_chain_is_for_names_without_their_own_and_a_circle_ends(begin: Begin) -> None:
    names = backend("dead", gone()), reserve("anthropic", "claude-haiku-4-5"), reserve("openai", "gpt-4o-mock-503", "ill")
    circle = chain(default=["other-model"], **{"ill-model": ["pool", "ill-model"], "other-model": ["pool"]})
    house = await begin(*names, routing=circle)
    assert tried(await ask(house, "openai", body("openai"))) == (200, "fallback", "other")
    asked = {**body("openai"), "model": "ill-model"}
    assert tried(await ask(house, "openai", asked))[0] == 503
    assert tried(await ask(house, "openai", {**body("openai"), "model": "dead/gpt-4o"})) == (502, "explicit", "dead")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("does", "cause"), [("context", "context_window"), ("blocked", "content_filter")])
async def test_causes_that_must_be_asked_for(begin: Begin, does: str, cause: str, stream: bool) -> None:
    names = backend("strict", does=does), reserve("anthropic", "claude-haiku-4-5")
    chained = chain(pool=["other-model"])
    house = await begin(*names, routing=chained)
    assert tried(await ask(house, "openai", body("openai", stream))) == (400, "model_mapping", "strict")
    house = await begin(*names, routing=f'retry_on = ["{cause}"]\n{chained}')
    reply = await ask(house, "openai", body("openai", stream))
    assert tried(reply) == (200, "fallback", "other")
    assert reply.heads["x-interlingua-tried"].endswith(f";{cause}")


async def test_in_strict_mode_one_of_a_pool_who_can_carry_it_is_asked(begin: Begin) -> None:
    pool = [backend("first", protocol="anthropic"), backend("second")]
    house = await begin(*pool)
    asked, strict = {**body("openai"), "logprobs": True}, {"x-interlingua-strict": "true"}
    assert (await ask(house, "openai", asked)).heads["x-interlingua-backend"] == "first"
    reply = await ask(house, "openai", asked, heads=strict)
    assert (reply.status, reply.heads["x-interlingua-backend"]) == (200, "second")
    house = await begin(pool[0], reserve("openai", "gpt-4o"), routing=chain(pool=["other-model"]))
    reply = await ask(house, "openai", asked, heads=strict)
    assert reply.status == 400 and "Strict" in said("openai", reply)[0]
    assert reply.json["error"]["param"] == "logprobs"


async def test_in_strict_mode_one_who_cannot_carry_it_is_passed_over(begin: Begin) -> None:
    names = backend("busy", does="503"), reserve("anthropic", "claude-haiku-4-5"), reserve("openai", "gpt-4o", "same")
    house = await begin(*names, routing=chain(pool=["other-model", "same-model"]))
    asked, strict = {**body("openai"), "logprobs": True}, {"x-interlingua-strict": "true"}
    reply = await ask(house, "openai", asked)
    assert tried(reply) == (200, "fallback", "other") and "logprobs;dropped" in reply.heads["x-interlingua-losses"]
    reply = await ask(house, "openai", asked, heads=strict)
    assert tried(reply) == (200, "fallback", "same") and "x-interlingua-losses" not in reply.heads
    assert reply.heads["x-interlingua-tried"] == "busy/gpt-4o-mock-503;5xx, other/claude-haiku-4-5;400"
    house = await begin(*names, routing=chain(pool=["other-model"]))
    reply = await ask(house, "openai", asked, heads=strict)
    assert reply.status == 503 and "Strict" not in said("openai", reply)[0]
