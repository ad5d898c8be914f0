"""All five client protocols, each through its own unmodified SDK, and all five backends: a text asked for, and what was told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import anthropic
import boto3
import httpx2
import openai
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EventStreamError
from google import genai
from google.genai import errors, types
from msgspec import Struct
from running import BACKENDS

Json = dict[str, Any]
FIVE = (
    BACKENDS
    + """
[backends.responses]
protocol = "responses"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.bedrock]
protocol = "bedrock"
url = "{url}"
aws_region = "eu-west-1"
[backends.bedrock.model_mapping]
"exact-bedrock" = "anthropic.claude-haiku-4-5-20251001-v1:0"
"""
)
MODELS = {
    "openai": "openai/gpt-4o",
    "responses": "responses/gpt-4o",
    "anthropic": "anthropic/claude-haiku-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "bedrock": "exact-bedrock",
}
RAISED = (openai.OpenAIError, anthropic.AnthropicError, errors.APIError, ClientError, BotoCoreError, EventStreamError)


class Said(Struct):
    """`raw`: the SDK's own answer, or a stream's pieces. `heads`: of the HTTP answer."""

    text: str
    raw: Any
    heads: Json


Ask = Callable[[str, str, bool, Json], Any]  # model, text, stream, headers -> Said; raises one of RAISED


def speaks_aws(monkeypatch: Any) -> None:
    """Credentials for the Bedrock backend."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUPSTREAM")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "upstream-secret")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)


@asynccontextmanager
async def speaking(name: str, url: str, timeout: float = 10) -> AsyncIterator[Ask]:
    """A client of one protocol. It never tries again by itself."""
    heads: Json = {}

    async def see(response: httpx2.Response) -> None:
        heads.clear()
        heads.update(response.headers)

    if name == "bedrock":
        made = boto3.client(
            "bedrock-runtime",
            region_name="eu-west-1",
            endpoint_url=url,
            aws_access_key_id="AKIAANY",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=timeout),
        )
        try:
            yield _bedrock(made)
        finally:
            made.close()
        return
    async with httpx2.AsyncClient(verify=False, timeout=timeout, event_hooks={"response": [see]}) as http:
        if name == "anthropic":
            yield _anthropic(anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0, http_client=http), heads)
        elif name == "gemini":
            once = types.HttpRetryOptions(attempts=1)
            options = types.HttpOptions(base_url=url, httpx_async_client=http, retry_options=once, client_args={"verify": False})
            google = genai.Client(api_key="any", vertexai=False, http_options=options)
            yield _gemini(google.aio, heads)
            google.close()
        else:
            gpt = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, http_client=http)
            yield (_responses if name == "responses" else _chat)(gpt, heads)


def _chat(client: openai.AsyncOpenAI, heads: Json) -> Ask:
    async def ask(model: str, text: str, stream: bool, more: Json) -> Said:
        say: Any = [{"role": "user", "content": text}]
        if not stream:
            whole = await client.chat.completions.create(model=model, messages=say, extra_headers=more)
            return Said(whole.choices[0].message.content or "" if whole.choices else "", whole, dict(heads))
        rows = [
            row
            async for row in await client.chat.completions.create(
                model=model, messages=say, stream=True, stream_options={"include_usage": True}, extra_headers=more
            )
        ]
        return Said("".join(row.choices[0].delta.content or "" for row in rows if row.choices), rows, dict(heads))

    return ask


def _responses(client: openai.AsyncOpenAI, heads: Json) -> Ask:
    async def ask(model: str, text: str, stream: bool, more: Json) -> Said:
        if not stream:
            whole = await client.responses.create(model=model, input=text, extra_headers=more)
            return Said(whole.output_text if whole.output else "", whole, dict(heads))
        rows = [row async for row in await client.responses.create(model=model, input=text, stream=True, extra_headers=more)]
        if rows and rows[-1].type != "response.completed":  # this SDK leaves it to its user to look
            why = rows[-1].to_json()
            raise openai.APIError(f"it ended with {why}", request=httpx2.Request("POST", "http://test"), body=None)
        return Said("".join(row.delta for row in rows if row.type == "response.output_text.delta"), rows, dict(heads))

    return ask


def _anthropic(client: anthropic.AsyncAnthropic, heads: Json) -> Ask:
    async def ask(model: str, text: str, stream: bool, more: Json) -> Said:
        say: Any = {"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": text}], "extra_headers": more}
        if not stream:
            whole = await client.messages.create(**say)
        else:
            async with client.messages.stream(**say) as events:
                whole = await events.get_final_message()
        return Said("".join(block.text for block in whole.content or [] if block.type == "text"), whole, dict(heads))

    return ask


def _gemini(client: Any, heads: Json) -> Ask:
    async def ask(model: str, text: str, stream: bool, more: Json) -> Said:
        config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=more))
        say: Any = {"model": model, "contents": text, "config": config}
        if not stream:
            rows = [await client.models.generate_content(**say)]
        else:
            rows = [row async for row in await client.models.generate_content_stream(**say)]
        return Said("".join(row.text or "" for row in rows if row.candidates), rows, dict(heads))

    return ask


def _bedrock(client: Any) -> Ask:
    def now(model: str, text: str, stream: bool, more: Json) -> Said:
        def add(request: Any, **_: Any) -> None:
            for name, value in more.items():
                request.headers[name] = value

        client.meta.events.register("before-send.bedrock-runtime", add, unique_id="more")
        try:
            say: Any = {"modelId": model, "messages": [{"role": "user", "content": [{"text": text}]}]}
            told = client.converse_stream(**say) if stream else client.converse(**say)
            heads = told["ResponseMetadata"]["HTTPHeaders"]
            if not stream:
                content = told["output"]["message"]["content"] if "output" in told else []
                return Said("".join(block.get("text", "") for block in content), told, heads)
            with closing(told["stream"]) as events:
                rows = list(events)
            return Said("".join(r["contentBlockDelta"]["delta"]["text"] for r in rows if "contentBlockDelta" in r), rows, heads)
        finally:
            client.meta.events.unregister("before-send.bedrock-runtime", unique_id="more")

    async def ask(model: str, text: str, stream: bool, more: Json) -> Said:
        return await asyncio.to_thread(now, model, text, stream, more)

    return ask
