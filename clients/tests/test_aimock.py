"""The gateway in front of a mock that is not ours, @copilotkit/aimock: every SDK, every protocol that it speaks as a backend.

What it knows to be wrong is not asked of it: EXCEPTIONS says what, and why.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sdks_flavours import EVERY
from sdks_speakers import CITY, STOP, TOOL, Ask

from clients.place import gateway, started

FIXTURES = Path(__file__).with_name("aimock.json")
MODELS = {
    "openai": "openai/gpt-4o",
    "responses": "responses/gpt-4o",
    "anthropic": "anthropic/claude-haiku-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "bedrock": "bedrock/amazon.nova-pro-v1:0",
}
# (backend, what is asked) -> what aimock 1.43 gets wrong there. A test below sees that each is still so.
EXCEPTIONS = {
    ("gemini", "tool"): "its tool calls end with FUNCTION_CALL, which is no finish reason of Gemini's",
}
TOOLS = [backend for backend in MODELS if (backend, "tool") not in EXCEPTIONS]
SKY = "Blue light scatters the most, so the sky is blue — 你好."


@pytest.fixture(scope="module")
def aimock(path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = ("llmock", "--port", "0", "--fixtures", str(FIXTURES), "--strict")
    with started(*command, folder=tmp_path_factory.mktemp("aimock"), env={"PATH": path}) as url:
        yield url


@pytest.fixture(scope="module")
def address(aimock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway(tmp_path_factory.mktemp("gateway"), aimock) as url:
        yield url


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.parametrize("client", EVERY)
async def test_text(client: str, backend: str, stream: bool, address: str) -> None:
    async with EVERY[client](address) as speaker:
        told = await speaker.ask(Ask(model=MODELS[backend], turns=[speaker.user("Why is the sky blue?")]), stream)
    assert (told.text, told.calls) == (SKY, [])
    assert told.finish == STOP[speaker.speaks]
    assert told.heads["x-interlingua-backend"] == backend


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("backend", TOOLS)
@pytest.mark.parametrize("client", EVERY)
async def test_a_tool_and_its_result(client: str, backend: str, stream: bool, address: str) -> None:
    async with EVERY[client](address) as speaker:
        ask = Ask(model=MODELS[backend], turns=[speaker.user("How is the weather in Lima?")], tools={"weather": CITY})
        first = await speaker.ask(ask, stream)
        assert [(call.name, call.arguments) for call in first.calls] == [("weather", {"city": "Lima"})]
        assert first.finish == TOOL[speaker.speaks]
        ask.turns += [first.native, *speaker.results((first.calls[0], "18 °C, dry"))]
        last = await speaker.ask(ask, stream)
    assert (last.text, last.finish) == ("It is 18 °C in Lima, and dry.", STOP[speaker.speaks])


def test_the_exceptions_are_still_needed(aimock: str) -> None:
    body = {
        "contents": [{"role": "user", "parts": [{"text": "weather"}]}],
        "tools": [{"functionDeclarations": [{"name": "weather"}]}],
    }
    answer = httpx2.post(f"{aimock}/v1beta/models/gemini-2.5-flash:generateContent", json=body).raise_for_status().json()
    assert answer["candidates"][0]["finishReason"] == "FUNCTION_CALL"
    assert list(EXCEPTIONS) == [("gemini", "tool")]
