"""Bedrock's InvokeModel with Claude's bodies: unmodified boto3 and AnthropicBedrock as clients, and Bedrock asked this way."""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import boto3
import openai
import pytest
import running
from anthropic.lib.bedrock import AnthropicBedrock
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import Start
from running import House

from interlingua import config
from interlingua.errors import ConfigError, FramingError, InvalidRequest
from interlingua.framing import Frame, Out, eventstream
from interlingua.hosts import BEDROCK_BY_INVOKE
from interlingua.invoke import Decoder, opened
from interlingua.routes import Door, find

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
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
[backends.aws]
protocol = "bedrock"
url = "{url}"
claude = "invoke"
"""
ID = "anthropic.claude-haiku-4-5-20251001-v1:0"
MODELS = ("openai/gpt-4o", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", f"bedrock/{ID}", f"aws/{ID}")
VERSION = "bedrock-2023-05-31"
CLIENTS: list[Any] = []  # closed when their test is over
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


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


def aws(house: House, secret: str = "virtual-secret", prefix: str = "") -> Any:
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=house.url + prefix,
        aws_access_key_id="AKIAVIRTUAL",
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )
    CLIENTS.append(made)
    return made


def sdk(house: House, **more: Any) -> AnthropicBedrock:
    keys = more or {"aws_access_key": "AKIAVIRTUAL", "aws_secret_key": "virtual-secret"}
    made = AnthropicBedrock(aws_region="us-east-1", base_url=house.url, max_retries=0, **keys)
    CLIENTS.append(made)
    return made


def body(text: str, **more: Any) -> bytes:
    said = [{"role": "user", "content": text}]
    return json.dumps({"anthropic_version": VERSION, "max_tokens": 64, "messages": said, **more}).encode()


async def asked(client: Any, model: str, text: str, **more: Any) -> tuple[Json, Json]:
    """The answer, and its whole HTTP answer."""
    told = await asyncio.to_thread(lambda: client.invoke_model(modelId=model, body=body(text, **more)))
    return json.loads(told["body"].read()), told


async def streamed(client: Any, model: str, text: str, **more: Any) -> list[Json]:
    told = await asyncio.to_thread(lambda: client.invoke_model_with_response_stream(modelId=model, body=body(text, **more)))
    assert told["contentType"] == "application/json"
    try:
        return await asyncio.to_thread(lambda: [json.loads(event["chunk"]["bytes"]) for event in told["body"]])
    finally:
        told["body"].close()


@pytest.mark.parametrize("model", MODELS)
async def test_boto3_reaches_every_provider(house: House, model: str) -> None:
    said, told = await asked(aws(house), model, "hello")
    assert said["content"][0]["text"] == "You said: hello" and said["stop_reason"] == "end_turn" and said["model"] == model
    assert told["contentType"] == "application/json"
    heads = told["ResponseMetadata"]["HTTPHeaders"]
    assert heads["x-amzn-bedrock-output-token-count"] == str(said["usage"]["output_tokens"])
    house.judge()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("prefix", ["", "/bedrock", "/providers/bedrock"])
async def test_boto3_streams_from_every_provider(house: House, model: str, prefix: str) -> None:
    events = await streamed(aws(house, prefix=prefix), model, "[[long:4]]")
    texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(texts) == "word0 word1 word2 word3 "
    assert [event["type"] for event in events][:2] == ["message_start", "content_block_start"]
    last = events[-1]
    assert last["type"] == "message_stop"
    used = next(event["usage"] for event in events if event["type"] == "message_delta")
    counts = last["amazon-bedrock-invocationMetrics"]
    assert counts["outputTokenCount"] == used["output_tokens"] > 0
    assert {"inputTokenCount", "invocationLatency", "firstByteLatency"} <= counts.keys()
    house.judge()


@pytest.mark.parametrize("model", MODELS)
async def test_anthropics_own_client_of_bedrock(house: House, model: str) -> None:
    client = sdk(house)
    say: Any = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "[[tool]]"}], "tools": [TOOL]}
    message = await asyncio.to_thread(lambda: client.messages.create(**say))
    call = next(block for block in message.content if block.type == "tool_use")
    assert message.stop_reason == "tool_use" and call.name == "weather" and "city" in call.input
    with await asyncio.to_thread(lambda: client.messages.stream(**say).__enter__()) as stream:
        final = await asyncio.to_thread(stream.get_final_message)
    assert [block.type for block in final.content] == [block.type for block in message.content]
    house.judge()


async def test_a_bearer_key_will_do(house: House) -> None:
    say: Any = {"model": "exact-openai", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    message = await asyncio.to_thread(lambda: sdk(house, api_key="client-key").messages.create(**say))
    assert message.model == "exact-openai"
    with pytest.raises(anthropic.APIStatusError) as refused:
        await asyncio.to_thread(lambda: sdk(house, api_key="wrong").messages.create(**say))
    assert refused.value.status_code == 403 and refused.value.response.headers["x-amzn-errortype"]


async def test_the_manuals_client(house: House) -> None:
    code = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/bedrock.md").read_text(), re.M | re.S)[0]
    scope: Json = {}
    exec(code.replace("http://127.0.0.1:9000", house.url).replace('"..."', '"virtual-secret"'), scope)
    CLIENTS.append(scope["client"])
    say: Any = {"model": "exact-gemini", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    message = await asyncio.to_thread(lambda: scope["client"].messages.create(**say))
    assert message.content[0].text == "You said: hi"


async def test_a_wrong_secret_is_refused_as_aws_does(house: House) -> None:
    with pytest.raises(ClientError) as refused:
        await asked(aws(house, "wrong"), "openai/gpt-4o", "hello")
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert not house.mock.journal.entries


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("marker", "code"), [("429", "ThrottlingException"), ("500", "InternalServerException")])
async def test_an_error_of_any_provider_is_aws_own(house: House, model: str, marker: str, code: str) -> None:
    for call in (asked, streamed):
        with pytest.raises(ClientError) as refused:
            await call(aws(house), model, f"[[{marker}]]")
        assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("marker", ["cut:2", "error_event:2"])
async def test_a_broken_stream_raises(house: House, model: str, marker: str) -> None:
    with pytest.raises(ClientError):
        await streamed(aws(house), model, f"[[{marker}]]")
    client = sdk(house)
    say: Any = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": f"[[{marker}]]"}]}
    with pytest.raises(anthropic.APIStatusError):
        await asyncio.to_thread(lambda: list(client.messages.create(**say, stream=True)))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"anthropic_version": None}, "anthropic_version: Field required"),
        ({"anthropic_version": "bedrock-2022-01-01"}, "anthropic_version: Input is not a version"),
        ({"model": "claude"}, "model: Extra inputs are not permitted"),
        ({"stream": True}, "stream: Extra inputs are not permitted"),
        ({"anthropic_beta": "one"}, "anthropic_beta: Input should be a list"),
        ({"messages": "hello"}, "messages"),
    ],
)
async def test_a_bad_body_is_a_validation_exception_that_names_the_field(house: House, more: Json, named: str) -> None:
    with pytest.raises(ClientError, match=named) as refused:
        said = body("hello", **more)
        await asyncio.to_thread(lambda: aws(house).invoke_model(modelId="openai/gpt-4o", body=said))
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert not house.mock.journal.entries


async def test_what_goes_to_bedrock_has_version_and_betas_in_its_body(house: House) -> None:
    async with anthropic.AsyncAnthropic(base_url=house.url, api_key="client-key", max_retries=0) as client:
        message = await client.beta.messages.create(
            model=f"aws/{ID}",
            max_tokens=64,
            messages=[{"role": "user", "content": "hi"}],
            betas=["context-1m-2025-08-07", "other-2026-01-01"],
            extra_body={"top_k": 5},
        )
    assert message.content[0].type == "text"
    entry = house.mock.journal.last
    assert entry.path == f"/model/{ID}/invoke" and entry.vendor == "bedrock"
    assert entry.body["anthropic_version"] == VERSION and entry.body["top_k"] == 5
    assert entry.body["anthropic_beta"] == ["context-1m-2025-08-07", "other-2026-01-01"]
    assert not {"model", "stream"} & entry.body.keys()
    assert not {"anthropic-version", "anthropic-beta"} & entry.headers.keys()
    house.judge()


async def test_a_clients_betas_reach_anthropic_in_their_header(house: House) -> None:
    await asked(aws(house), "anthropic/claude-haiku-4-5", "hi", anthropic_beta=["one-2026-01-01", "two-2026-01-01"])
    sent = house.mock.journal.last.headers
    assert sent["anthropic-beta"] == "one-2026-01-01,two-2026-01-01" and sent["anthropic-version"] == "2023-06-01"


async def test_thinking_comes_back_whole_in_the_next_turn(house: House) -> None:
    """Signed by Bedrock, told to the client, sent back: its own judge finds nothing amiss."""
    client, model = aws(house), f"aws/{ID}"
    thinks: Json = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
    said, _ = await asked(client, model, "[[thinking]]", **thinks)
    assert [block["type"] for block in said["content"]] == ["thinking", "text"] * 2 and said["content"][0]["signature"]
    turns = [{"role": "user", "content": "[[thinking]]"}, {"role": "assistant", "content": said["content"]}]
    await asked(client, model, "", **thinks, messages=[*turns, {"role": "user", "content": "again"}])
    assert house.sent["messages"][1]["content"] == said["content"]
    house.judge()


async def test_other_models_of_that_backend_go_by_converse(house: House) -> None:
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="client-key", max_retries=0) as gpt:
        for model, verb in ((f"aws/{ID}", "invoke"), ("aws/amazon.nova-lite-v1:0", "converse"), (f"bedrock/{ID}", "converse")):
            told = await gpt.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
            assert told.choices[0].message.content == "You said: hi"
            assert house.mock.journal.last.path.endswith(f"/{verb}")
    house.judge()


def test_only_bedrock_is_told_how_to_ask_claude(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[backends.x]\nprotocol = "openai"\nclaude = "invoke"\n')
    with pytest.raises(ConfigError, match="claude belongs to protocol bedrock alone"):
        config.load(str(file), {})
    file.write_text('[backends.x]\nprotocol = "bedrock"\nclaude = "messages"\n')
    with pytest.raises(ConfigError, match="claude"):
        config.load(str(file), {})


@pytest.mark.parametrize("prefix", ["", "/bedrock", "/providers/bedrock"])
def test_paths(prefix: str) -> None:
    assert find(f"{prefix}/model/a%253Ab/invoke", b"") == Door("invoke", "bedrock", model="a:b", stream=False)
    assert find(f"{prefix}/model/a/invoke-with-response-stream", b"") == Door("invoke", "bedrock", model="a", stream=True)
    assert find(f"{prefix}/model/a/invoke-with-bidirectional-stream", b"") is None


def test_versions() -> None:
    heads = opened({"anthropic_version": "2026-10-21"}, {b"x": b"y"})
    assert heads == {b"x": b"y", b"anthropic-version": b"2026-10-21"}
    for bad in ("bedrock-2023-05-31\r\nx: y", 5, "", "2026-10-21x"):
        with pytest.raises(InvalidRequest):
            opened({"anthropic_version": bad}, {})


def told(*outs: Out) -> list[Frame]:
    decoder = Decoder(1 << 20)
    frames = decoder.feed(eventstream.encode_all(list(outs)))
    return frames + decoder.close()


def test_a_chunk_holds_one_event() -> None:
    event = b'{"type":"message_stop"}'
    assert told(Out({"bytes": b64encode(event).decode(), "p": "abc"}, "chunk")) == [Frame(None, event)]


@pytest.mark.parametrize("data", [{}, {"bytes": "%%%"}, {"bytes": 5}, [], b"no json"])
def test_a_chunk_that_holds_no_bytes_is_no_stream(data: Any) -> None:
    with pytest.raises(FramingError):
        told(Out(data, "chunk"))


def test_an_exception_is_an_error_event_and_an_unknown_event_is_passed_over() -> None:
    frames = told(Out({}, "initial-response"), Out({"message": "Slow down"}, "exception:throttlingException"))
    assert json.loads(frames[0].data) == {"type": "ping"}
    assert json.loads(frames[1].data)["error"] == {"type": "rate_limit_error", "message": "Slow down"}


def test_the_row() -> None:
    row = BEDROCK_BY_INVOKE.placed(region="eu-west-1").serving(f"eu.{ID}")
    assert row.url == "https://bedrock-runtime.eu-west-1.amazonaws.com" and row.path == "/model/{model}/invoke"
    assert BEDROCK_BY_INVOKE.serving("meta.llama3-1-8b-instruct-v1:0").protocol == "bedrock"
