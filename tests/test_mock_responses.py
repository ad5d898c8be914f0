"""The mock's Responses API: what it refuses, what it keeps, and its stream, judged by the SDK."""

import json
from collections.abc import Iterator
from typing import Any

import mock_responses
import openai
import pytest

from interlingua.mock import MockApp, background
from interlingua.mock.scenarios import SCENARIOS
from interlingua.mock.vendors import claimant
from interlingua.mock.wire import Call, Reply, Stream

Json = dict[str, Any]


def ask(body: Json) -> Reply | Stream:
    app = MockApp()
    call = Call("POST", "/v1/responses", {}, {"authorization": "Bearer k"}, json.dumps(body).encode())
    vendor = claimant(call)
    assert vendor.name == "responses"
    return app.answer(vendor, call, app.journal.open(vendor.name, call))


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with background() as mock, openai.OpenAI(base_url=f"{mock.url}/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("case", mock_responses.GOOD)
def test_it_serves(case: str) -> None:
    answer = ask(mock_responses.GOOD[case])
    assert answer.status == 200, answer


@pytest.mark.parametrize("case", mock_responses.BAD)
def test_it_refuses(case: str) -> None:
    body, param, words, status = mock_responses.BAD[case]
    answer = ask(body)
    assert isinstance(answer, Reply)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["param"]) == (status, param), error
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"


def test_a_conversation_goes_on_by_id(client: openai.OpenAI) -> None:
    first = client.responses.create(model="gpt-5.5", input="Hello", reasoning={"effort": "low", "summary": "auto"})
    assert [item.type for item in first.output] == ["reasoning", "message"]
    second = client.responses.create(model="gpt-5.5", input="Again", previous_response_id=first.id)
    assert second.output_text == "You said: Again" and second.previous_response_id == first.id
    assert first.usage and second.usage and second.usage.input_tokens > first.usage.input_tokens
    assert client.responses.retrieve(first.id).output_text == "You said: Hello"
    listed: Any = client.responses.input_items.list(first.id).data
    assert [item.content for item in listed] == ["Hello"]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.create(model="gpt-5.5", input="Again", previous_response_id=first.id)


def test_what_is_not_stored_is_sealed(client: openai.OpenAI) -> None:
    plain: Any = {"model": "gpt-5.5", "reasoning": {"effort": "low"}, "store": False}
    first = client.responses.create(input="Hello", include=["reasoning.encrypted_content"], **plain)
    history: Any = [{"role": "user", "content": "Hello"}, *first.output, {"role": "user", "content": "Again"}]
    assert client.responses.create(input=history, **plain).output_text == "You said: Again"
    unsealed = client.responses.create(input="Hello you", **plain)
    history = [{"role": "user", "content": "Hello you"}, *unsealed.output, {"role": "user", "content": "Again"}]
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.create(input=history, **plain)


def test_reasoning_needs_what_it_led_to(client: openai.OpenAI) -> None:
    tools: Any = [mock_responses.WEATHER]
    first = client.responses.create(model="gpt-5.5", input="[[think_tool]]", tools=tools)
    alone: Any = [{"role": "user", "content": "x"}, first.output[0], {"role": "user", "content": "y"}]
    with pytest.raises(openai.BadRequestError, match="without its required following item"):
        client.responses.create(model="gpt-5.5", input=alone)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario(name: str, stream: bool) -> None:
    tools = [mock_responses.WEATHER, {"type": "custom", "name": "patch"}]
    answer = ask({"model": "gpt-5.5", "input": f"[[{name}]] hi", "tools": tools, "stream": stream})
    data = answer.body if isinstance(answer, Reply) else b"".join(chunk.data for chunk in answer.chunks)
    assert data
    if isinstance(answer, Stream):
        events = [json.loads(frame.partition(b"\ndata: ")[2]) for frame in data.split(b"\n\n") if frame]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[0]["type"] == "response.created"


def test_the_sdk_follows_a_stream(client: openai.OpenAI) -> None:
    for marker in ("text", "interleaved", "whole_args", "thinking", "citations", "logprobs", "refusal"):
        tools: Any = [mock_responses.WEATHER, {"type": "custom", "name": "patch"}]
        with client.responses.stream(model="gpt-5.5", input=f"[[{marker}]] hi there", tools=tools) as stream:
            final = stream.get_final_response()
        whole = client.responses.create(model="gpt-5.5", input=f"[[{marker}]] hi there", tools=tools)
        assert final.output_text == whole.output_text
        assert [item.type for item in final.output] == [item.type for item in whole.output]
