"""Reasoning through the SDKs: told, and sent back so that its seals reach the model that set them, however the client does it.

The mock knows its own seals and refuses any other, and newer Gemini models refuse a call that has lost its seal.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from running import House
from sdks_speakers import CITY, PLAIN, ROWS, SPEAK, STOP, THINKS, TOOL, Ask, Json, Speaker, Told, losses_in

from interlingua.mock import seal

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEALING = ["anthropic", "gemini"]  # the backends that sign reasoning, of those that more is asked of
SEALS = ("signature", "thoughtSignature", "encrypted_content", "redactedContent")


async def test_reasoning_is_told_and_can_be_sent_back(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=THINKS[backend], turns=[client.user("[[reasoning]] hi")], think=True, limit=4096)
    first = await client.ask(ask, stream)
    assert (first.text, first.finish) == ("So far so good. You said: hi", STOP[client.speaks])
    if client.speaks == "openai" and ROWS[backend].speaks in ("gemini", "responses"):  # who show it to those who ask to see it
        assert first.thinking == ""
    else:
        assert first.thinking.startswith("Step 1: the user wants") and "Step 2: the user wants" in first.thinking
    if "bedrock" not in (client.speaks, backend):  # Converse does not count them
        assert first.tokens.reasoning == 30
    ask.turns += [first.native, client.user("go on")]
    assert (await client.ask(ask, stream)).text == "You said: go on"


async def test_effort_reaches_the_model(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=THINKS[backend], turns=[client.user("hi")], think=True, limit=4096), stream)
    assert told.text == "You said: hi"
    match ROWS[backend].speaks:
        case "bedrock":
            assert house.sent["additionalModelRequestFields"]["thinking"]["type"] == "enabled"
        case "responses":
            shown = {} if client.speaks == "openai" else {"summary": "auto"}
            assert house.sent["reasoning"] in ({"effort": "low", **shown}, {"effort": "minimal", **shown})
        case "openai":
            assert house.sent["reasoning_effort"] == "low"
        case "anthropic":
            assert house.sent["thinking"]["type"] == "enabled"
            assert 1024 <= house.sent["thinking"]["budget_tokens"] <= 3072
        case _:
            asked = house.sent["generationConfig"]["thinkingConfig"]
            assert asked.get("thinkingLevel") == "LOW" or asked.get("thinkingBudget") == 1024


EFFORTS: dict[str, tuple[Json, str]] = {
    "openai": ({"reasoning_effort": "high"}, "reasoning_effort"),
    "anthropic": ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, "output_config.effort"),
    "gemini": ({"thinking_config": {"thinking_level": "HIGH"}}, "generationConfig.thinkingConfig.thinkingLevel"),
    "responses": ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
    "bedrock": (
        {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}, "outputConfig": {"effort": "high"}},
        "outputConfig.effort",
    ),
}
HIGH = {
    "openai/gpt-5.5": {"reasoning_effort": "high"},
    "anthropic/claude-opus-4-8": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    "bedrock/anthropic.claude-opus-4-8-v1:0": {
        "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
        "outputConfig": {"effort": "high"},
    },
    "gemini/gemini-3-pro": {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}},
}


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("model", HIGH)
async def test_a_high_effort_is_high_everywhere(house: House, client: Speaker, model: str) -> None:
    own, path = EFFORTS[client.speaks]
    told = await client.ask(Ask(model=model, turns=[client.user("hi")], own=own), stream=False)
    assert told.text == "You said: hi"
    assert path not in told.losses
    sent = json.loads(json.dumps(house.sent), object_pairs_hook=lambda pairs: {k: v for k, v in pairs if k != "maxOutputTokens"})
    assert {key: sent.get(key) for key in HIGH[model]} == HIGH[model]


# Seals


def sealed(house: House) -> list[str]:
    """The seals that the last request brought to the backend."""
    return list(seals_in(house.sent))


def seals_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from seals_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in SEALS or key == "data" and value.get("type") == "redacted_thinking":
                yield item
            else:
                yield from seals_in(item)


async def called(client: Speaker, ask: Ask, stream: bool) -> Told:
    first = await client.ask(ask, stream)
    assert first.calls and first.finish == TOOL[client.speaks]
    return first


async def round_of_tools(client: Speaker, ask: Ask, first: Told, turn: Any, stream: bool) -> None:
    ask.turns += [turn, *client.results(*((call, "mild") for call in first.calls))]
    second = await client.ask(ask, stream)
    assert second.text == "The tools gave: " + "; ".join(f"{call.name}: mild" for call in first.calls)


@pytest.mark.parametrize("backend", [name for name, row in ROWS.items() if row.speaks != "openai"], indirect=True)
async def test_seals_come_back(house: House, client: Speaker, backend: str, stream: bool, request: pytest.FixtureRequest) -> None:
    first = await sent_back(house, client, backend, stream, f"[[think_tool]] {request.node.name}", as_it_came=True)
    shown = client.speaks != "openai" or ROWS[backend].speaks in ("anthropic", "bedrock")
    assert bool(first.thinking) is shown


@pytest.mark.parametrize("backend", SEALING, indirect=True)
async def test_seals_come_back_to_a_client_that_forgot_them(
    house: House, client: Speaker, backend: str, stream: bool, request: pytest.FixtureRequest
) -> None:
    """Only ids, names and arguments are sent back: the gateway remembers."""
    await sent_back(house, client, backend, stream, f"[[think_tool]] {request.node.name}", as_it_came=False)


@pytest.mark.parametrize("backend", ["gemini"], indirect=True)
@pytest.mark.parametrize("as_it_came", [True, False])
async def test_seals_of_parallel_calls_come_back(
    house: House, client: Speaker, backend: str, stream: bool, as_it_came: bool, request: pytest.FixtureRequest
) -> None:
    await sent_back(house, client, backend, stream, f"[[parallel]] {request.node.name}", as_it_came)


async def sent_back(house: House, client: Speaker, backend: str, stream: bool, words: str, as_it_came: bool) -> Told:
    """`words`: ids follow from them, and each test has its own."""
    tools = {"weather": CITY, "time": CITY}
    ask = Ask(model=THINKS[backend], turns=[client.user(words)], tools=tools, think=True, limit=4096)
    first = await called(client, ask, stream)
    await round_of_tools(client, ask, first, first.native if as_it_came else client.bare(first), stream)
    origin, seals = ROWS[backend].speaks.replace("bedrock", "anthropic"), sealed(house)
    assert seals
    for text in seals:
        plain = text.startswith("mock-sig-anthropic-") if origin == "anthropic" else seal.is_token(origin, text)
        assert plain or origin == "gemini" and seal.is_token_bytes("gemini", text)
    assert not [path for path in losses_in(client.heads.get("x-interlingua-losses", "")) if "ignature" in path]
    return first


async def test_hidden_reasoning_comes_back(house: House, client: Speaker, stream: bool) -> None:
    ask = Ask(model=THINKS["anthropic"], turns=[client.user("[[redacted]] hi")])
    first = await client.ask(ask, stream)
    assert first.text == "You said: hi"
    assert "This was hidden." not in str(first.native)
    ask.turns += [first.native, client.user("go on")]
    assert (await client.ask(ask, stream)).text == "You said: go on"
    thought, hidden = sealed(house)
    assert thought.startswith("mock-sig-anthropic-") and seal.is_token("anthropic", hidden)


@pytest.mark.parametrize("other", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("backend", SEALING, indirect=True)
async def test_a_seal_is_shown_to_nobody_else(
    house: House, client: Speaker, backend: str, stream: bool, other: str, request: pytest.FixtureRequest
) -> None:
    """A conversation that moves to another provider goes on without the first one's seals, and the client is told."""
    asked = client.user(f"[[think_tool]] {request.node.name}")
    ask = Ask(model=THINKS[backend], turns=[asked], tools={"weather": CITY})
    first = await called(client, ask, stream)
    ask.model = PLAIN[other]
    await round_of_tools(client, ask, first, first.native, stream)
    sent = json.dumps(house.sent)
    if other != backend:
        assert "mock-sig-" not in sent and "mock-token-" not in sent and "il1." not in sent
        assert "dropped" in losses_in(client.heads.get("x-interlingua-losses", "")).values()


async def test_memory_does_not_mistake_one_call_for_another(
    house: House, client: Speaker, request: pytest.FixtureRequest
) -> None:
    """A bare call with an id nobody has given: nothing is added, and the loss of its seal is left to the model to judge."""
    ask = Ask(model=PLAIN["anthropic"], turns=[client.user("[[tool]] x")], tools={"weather": CITY})
    first = await called(client, ask, stream=False)
    stranger = Told(**{f: getattr(first, f) for f in first.__struct_fields__})
    stranger.calls = [type(first.calls[0])("call_stranger", "weather", {"city": "Nowhere"})]
    await round_of_tools(client, ask, stranger, client.bare(stranger), stream=False)
    assert sealed(house) == []
