"""Responses clients through the gateway: every backend, whole and streamed, and conversations continued by id."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import running
from conftest import Start

MORE = """
[backends.responses]
protocol = "responses"
url = "{url}"
api_key_env = "OPENAI_KEY"
"""
MODELS = ("openai/gpt-4o", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "responses/gpt-4o")


@pytest.fixture
async def gpt(start: Start) -> AsyncIterator[openai.AsyncOpenAI]:
    house = await start(backends=running.BACKENDS + MORE)
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="any", max_retries=0, timeout=10) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
async def test_a_conversation_goes_on_by_id(gpt: openai.AsyncOpenAI, model: str) -> None:
    first = await gpt.responses.create(model=model, input="I am Ann.", instructions="Be kind.")
    assert first.output_text == "You said: I am Ann." and first.status == "completed" and first.model == model
    second = await gpt.responses.create(model=model, input="Who am I?", previous_response_id=first.id)
    assert second.output_text == "You said: Who am I?" and second.id != first.id
    assert first.usage and second.usage and second.usage.input_tokens > first.usage.input_tokens - 5


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_tells_the_whole_life_of_a_response(gpt: openai.AsyncOpenAI, model: str) -> None:
    async with gpt.responses.stream(model=model, input="[[long:4]]") as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == "response.completed" and kinds.count("response.output_text.delta") == 4
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.output_text == "word0 word1 word2 word3 "
    kept = await gpt.responses.create(model=model, input="And?", previous_response_id=final.id)
    assert kept.output_text == "You said: And?"


@pytest.mark.parametrize("model", MODELS)
async def test_a_tool_is_called_and_its_result_sent_by_id(gpt: openai.AsyncOpenAI, model: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    tools: Any = [{"type": "function", "name": "weather", "parameters": schema, "strict": True}]
    asked = await gpt.responses.create(model=model, input="[[tool]]", tools=tools)
    call: Any = next(item for item in asked.output if item.type == "function_call")
    assert call.name == "weather"
    result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    told = await gpt.responses.create(model=model, input=result, tools=tools, previous_response_id=asked.id)
    assert told.output_text == "The tools gave: weather: sunny"


async def test_what_is_kept_can_be_read_and_forgotten(gpt: openai.AsyncOpenAI) -> None:
    made = await gpt.responses.create(model="anthropic/claude-haiku-4-5", input="Keep this.")
    read = await gpt.responses.retrieve(made.id)
    assert read.output_text == made.output_text and read.id == made.id
    items: Any = await gpt.responses.input_items.list(made.id)
    assert [item.content[0].text if isinstance(item.content, list) else item.content for item in items.data] == ["Keep this."]
    await gpt.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await gpt.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        await gpt.responses.delete(made.id)


@pytest.mark.parametrize("model", MODELS)
async def test_an_unknown_id_is_the_vendors_own_404(gpt: openai.AsyncOpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        await gpt.responses.create(model=model, input="And?", previous_response_id="resp_nobody_gave")
    assert refused.value.code == "previous_response_not_found"


async def test_what_is_not_to_be_kept_is_not(gpt: openai.AsyncOpenAI) -> None:
    made = await gpt.responses.create(model="openai/gpt-4o", input="Forget this.", store=False)
    with pytest.raises(openai.NotFoundError):
        await gpt.responses.create(model="openai/gpt-4o", input="And?", previous_response_id=made.id)


async def test_what_only_the_vendor_can_do_is_refused_elsewhere(gpt: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await gpt.responses.create(model="anthropic/claude-haiku-4-5", input="Later.", background=True)
    assert refused.value.param == "background"


@pytest.mark.parametrize(
    ("marker", "error"),
    [("429", openai.RateLimitError), ("500", openai.InternalServerError), ("401", openai.AuthenticationError)],
)
@pytest.mark.parametrize("model", MODELS)
async def test_an_error_of_any_provider_is_the_sdks_own(gpt: openai.AsyncOpenAI, model: str, marker: str, error: Any) -> None:
    with pytest.raises(error):
        await gpt.responses.create(model=model, input=f"[[{marker}]]")
