"""Unmodified boto3 through the gateway, its signatures verified; and Bedrock as a provider, its requests signed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import boto3
import openai
import pytest
import running
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import Start
from running import House

MODE = """
[auth]
mode = "keys"
[[auth.keys]]
name = "ci"
key_env = "CI_KEY"
[[auth.aws_keys]]
access_key_id = "AKIAVIRTUAL"
secret_env = "VIRTUAL_SECRET"
"""
MORE = """
[backends.bedrock]
protocol = "bedrock"
url = "{url}"
aws_region = "eu-west-1"
"""
CLIENTS: list[Any] = []  # closed when their test is over
CLAUDE = "bedrock/anthropic.claude-haiku-4-5-20251001-v1:0"
MODELS = ("openai/gpt-4o", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", CLAUDE)


@pytest.fixture
async def house(start: Start, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setitem(running.KEYS, "CI_KEY", "client-key")
    monkeypatch.setitem(running.KEYS, "VIRTUAL_SECRET", "virtual-secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUPSTREAM")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "upstream-secret")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    yield await start(MODE, running.BACKENDS + MORE)
    while CLIENTS:
        CLIENTS.pop().close()


def client(house: House, secret: str = "virtual-secret", key: str = "AKIAVIRTUAL") -> Any:
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=house.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )
    CLIENTS.append(made)
    return made


async def asked(call: Callable[..., Any], text: str, model: str, **more: Any) -> Any:
    said = [{"role": "user", "content": [{"text": text}]}]
    return await asyncio.to_thread(lambda: call(modelId=model, messages=said, **more))


@pytest.mark.parametrize("model", MODELS)
async def test_boto3_reaches_every_provider(house: House, model: str) -> None:
    told = await asked(client(house).converse, "hello", model, inferenceConfig={"maxTokens": 64})
    assert told["output"]["message"]["content"] == [{"text": "You said: hello"}]
    assert told["stopReason"] == "end_turn" and told["usage"]["totalTokens"] > 0
    house.judge()


@pytest.mark.parametrize("model", MODELS)
async def test_boto3_streams_from_every_provider(house: House, model: str) -> None:
    told = await asked(client(house).converse_stream, "[[long:4]]", model)
    events = await asyncio.to_thread(lambda: list(told["stream"]))
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    assert "".join(texts) == "word0 word1 word2 word3 "
    assert [next(iter(event)) for event in events][-2:] == ["messageStop", "metadata"]
    house.judge()


@pytest.mark.parametrize("model", MODELS)
async def test_a_tool_is_called(house: House, model: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = {"tools": [{"toolSpec": {"name": "weather", "description": "Tells it.", "inputSchema": {"json": schema}}}]}
    told = await asked(client(house).converse, "[[tool]]", model, toolConfig=tools)
    call = next(block["toolUse"] for block in told["output"]["message"]["content"] if "toolUse" in block)
    assert told["stopReason"] == "tool_use" and call["name"] == "weather" and "city" in call["input"]
    house.judge()


async def test_a_wrong_secret_or_an_unknown_key_is_refused_as_aws_does(house: House) -> None:
    for other, code in (
        (client(house, "wrong"), "InvalidSignatureException"),
        (client(house, key="AKIANO"), "UnrecognizedClient"),
    ):
        with pytest.raises(ClientError) as refused:
            await asked(other.converse, "hello", "openai/gpt-4o")
        assert refused.value.response["Error"]["Code"].startswith(code)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert not house.mock.journal.entries


@pytest.mark.parametrize(("marker", "code"), [("429", "ThrottlingException"), ("500", "InternalServerException")])
async def test_an_error_of_any_provider_is_aws_own(house: House, marker: str, code: str) -> None:
    for model in MODELS:
        with pytest.raises(ClientError) as refused:
            await asked(client(house).converse, f"[[{marker}]]", model)
        assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("model", MODELS)
async def test_a_broken_stream_raises(house: House, model: str) -> None:
    told = await asked(client(house).converse_stream, "[[cut:2]]", model)
    with pytest.raises(ClientError):
        await asyncio.to_thread(lambda: list(told["stream"]))
    told["stream"].close()


async def test_what_goes_to_bedrock_is_signed_with_our_own_key(house: House) -> None:
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="client-key", max_retries=0) as gpt:
        told = await gpt.chat.completions.create(model=CLAUDE, messages=[{"role": "user", "content": "hi"}])
        assert told.choices[0].message.content == "You said: hi" and told.model == CLAUDE
        stream = await gpt.chat.completions.create(
            model=CLAUDE, messages=[{"role": "user", "content": "[[long:3]]"}], stream=True
        )
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]) == "word0 word1 word2 "
    entry = house.mock.journal.last
    assert entry.vendor == "bedrock" and "client-key" not in repr(entry)
    house.judge()
