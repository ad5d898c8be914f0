"""The official SDKs are the judges of our wire: each of the three clients against each of the three backends, whole and streamed.

The mock behind the gateway is strict: what its vendor would refuse fails the test (`House.judge`).
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from running import House
from sdks_speakers import SPEAKERS, Ask, Call, Speaker, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")

BACKENDS = ("openai", "anthropic", "gemini")
PLAIN = {"openai": "openai/gpt-4o", "anthropic": "anthropic/claude-haiku-4-5", "gemini": "gemini/gemini-2.5-flash"}
THINKS = {"openai": "openai/o3", "anthropic": "anthropic/claude-haiku-4-5", "gemini": "gemini/gemini-3-pro"}
STOP = {"openai": "stop", "anthropic": "end_turn", "gemini": "STOP"}
TOOL = {"openai": "tool_calls", "anthropic": "tool_use", "gemini": "STOP"}
LENGTH = {"openai": "length", "anthropic": "max_tokens", "gemini": "MAX_TOKENS"}
FILTER = {"openai": "content_filter", "anthropic": "refusal", "gemini": "SAFETY"}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TOOLS = {"weather": CITY, "time": CITY}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SPEAKERS)
async def client(shared_house: House, request: pytest.FixtureRequest) -> AsyncIterator[Speaker]:
    async with SPEAKERS[request.param](shared_house.url) as speaker:
        yield speaker


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


async def test_text(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("Hello, you")], system="Be kind.")
    told = await client.ask(ask, stream)
    assert (told.text, told.finish, told.calls) == ("You said: Hello, you", STOP[client.name], [])
    assert told.model == PLAIN[backend]
    assert told.tokens.input and told.tokens.output
    assert told.heads["x-interlingua-backend"] == backend
    assert told.heads["x-interlingua-model"] == PLAIN[backend].partition("/")[2]
    assert told.heads["x-interlingua-route"] == "explicit"
    assert "Be kind." in str(house.sent)
    again = await client.ask(Ask(model=PLAIN[backend], turns=[*ask.turns, told.native, client.user("And more")]), stream)
    assert again.text == "You said: And more"
    assert [word for word in ("You", "said:", "Hello,", "you") if word not in str(house.sent)] == []


async def test_a_tool_and_its_result(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("[[text_tool]] weather?")], tools={"weather": CITY})
    first = await client.ask(ask, stream)
    assert (first.text, first.finish) == ("Let me look.", TOOL[client.name])
    assert [(call.name, call.arguments) for call in first.calls] == [("weather", {"city": "mock city"})]
    ask.turns += [first.native, *client.results((first.calls[0], "mild"))]
    second = await client.ask(ask, stream)
    assert (second.text, second.finish) == ("The tools gave: weather: mild", STOP[client.name])


@pytest.mark.parametrize("scenario", ["parallel", "whole_args", "interleaved"])
@pytest.mark.parametrize("names", [("weather", "time"), ("weather",)], ids=["two", "one_twice"])
async def test_parallel_tools(
    house: House, client: Speaker, backend: str, stream: bool, scenario: str, names: tuple[str, ...]
) -> None:
    tools = {name: CITY for name in names}
    ask = Ask(model=PLAIN[backend], turns=[client.user(f"[[{scenario}]]")], tools=tools)
    first = await client.ask(ask, stream)
    assert [call.name for call in first.calls] == [names[0], names[-1]]
    assert [call.arguments for call in first.calls] == [{"city": "mock city"}] * 2
    one, other = first.calls
    if client.name == backend == "gemini":  # this model of Google's gives no ids: the order tells the calls apart
        assert one.id is other.id is None
        results = client.results((one, "mild"), (other, "late"))
    else:
        assert one.id and other.id and one.id != other.id
        results = client.results((other, "late"), (one, "mild"))
    ask.turns += [first.native, *results]
    second = await client.ask(ask, stream)
    gave = {f"{names[0]}: mild", f"{names[-1]}: late"}
    assert set(second.text.removeprefix("The tools gave: ").split("; ")) == gave
