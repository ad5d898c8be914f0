"""Unmodified boto3 through the gateway, its signatures verified; and Bedrock as a provider, its requests signed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from unittest.mock import patch

import boto3
import openai
import pytest
import running
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import Start
from running import House

Json = dict[str, Any]
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


@pytest.mark.parametrize("model", MODELS[:3])
async def test_the_time_an_answer_took_is_measured_where_its_provider_tells_none(house: House, model: str) -> None:
    whole = await asked(client(house).converse, "[[slow:40]]", model)
    assert 40 <= whole["metrics"]["latencyMs"] < 60_000
    told = await asked(client(house).converse_stream, "[[slow:40]]", model)
    events = await asyncio.to_thread(lambda: list(told["stream"]))
    assert 40 <= events[-1]["metadata"]["metrics"]["latencyMs"] < 60_000


# What is changed of a request once boto3 has signed it


def another_body(request: Any) -> None:
    request.body = request.body.replace(b"hello", b"howdy")


def another_hash_declared(request: Any) -> None:
    """The replayed signature with another body, whose hash the sender declares."""
    another_body(request)
    request.headers["x-amz-content-sha256"] = sha256(request.body).hexdigest()


def a_header_unsigned(request: Any) -> None:
    request.headers["X-Amz-Target"] = "elsewhere"


def another_signature(request: Any) -> None:
    signed = request.headers["Authorization"].decode()
    request.headers["Authorization"] = signed[:-1] + ("0" if signed[-1] != "0" else "1")


def a_header_signed_no_more(request: Any) -> None:
    request.headers["Authorization"] = request.headers["Authorization"].decode().replace(";x-amz-date", "")


def no_signature(request: Any) -> None:
    del request.headers["Authorization"]


def as_it_was(request: Any) -> None:
    pass


REFUSED: list[tuple[Json, Callable[[Any], None], int, str, str]] = [
    ({"secret": "wrong"}, as_it_was, 0, "InvalidSignatureException", "does not match"),
    ({"key": "AKIANO"}, as_it_was, 0, "UnrecognizedClientException", "security token"),
    ({}, another_signature, 0, "InvalidSignatureException", "does not match"),
    ({}, another_body, 0, "InvalidSignatureException", "does not match"),
    ({}, another_hash_declared, 0, "InvalidSignatureException", "must be a 'SignedHeader'"),
    ({}, a_header_unsigned, 0, "InvalidSignatureException", "'x-amz-target' must be a 'SignedHeader'"),
    ({}, a_header_signed_no_more, 0, "InvalidSignatureException", "'x-amz-date' must be a 'SignedHeader'"),
    ({}, no_signature, 0, "MissingAuthenticationTokenException", "Missing Authentication Token"),
    ({}, as_it_was, -3600, "InvalidSignatureException", "Signature expired"),
    ({}, as_it_was, 3600, "InvalidSignatureException", "not yet current"),
]


@pytest.mark.parametrize(("options", "change", "seconds", "code", "words"), REFUSED)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_signature_is_refused_as_aws_does(
    house: House, options: Json, change: Callable[[Any], None], seconds: int, code: str, words: str, stream: bool
) -> None:
    boto = client(house, **options)
    boto.meta.events.register("before-send", lambda request, **_: change(request))
    clock = datetime.now(UTC) + timedelta(seconds=seconds)
    with patch("botocore.auth.get_current_datetime", return_value=clock), pytest.raises(ClientError, match=words) as refused:
        await asked(boto.converse_stream if stream else boto.converse, "hello", "openai/gpt-4o")
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert not house.mock.journal.entries


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
