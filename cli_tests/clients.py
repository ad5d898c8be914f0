"""The official SDKs as blocking clients of one gateway: a question asked in each protocol, whole or streamed.

An error is told as its status, taken from the exception class that the SDK itself raises.
"""

import time
from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple

import anthropic
import boto3
import botocore.config
import botocore.exceptions
import openai
from google import genai
from google.genai.errors import APIError
from google.genai.types import HttpOptions

MODEL = "cli/gemini-2.5-flash"
Pieces = Generator[str | None, None, None]  # of an answer's text; closed early, it hangs up


class Said(NamedTuple):
    text: str
    pieces: int
    first: float  # seconds to the first piece


def collected(began: float, pieces: Iterable[str | None]) -> Said:
    told, first = list[str](), 0.0
    for piece in pieces:
        if piece:
            first = first or time.perf_counter() - began
            told.append(piece)
    return Said("".join(told), len(told), first)


def chat(client: openai.OpenAI, text: str, stream: bool) -> Pieces:
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    if not stream:
        yield client.chat.completions.create(**asked).choices[0].message.content
        return
    with client.chat.completions.create(**asked, stream=True) as chunks:
        for chunk in chunks:
            yield from (choice.delta.content for choice in chunk.choices)


def of_openai(url: str, text: str, stream: bool) -> Pieces:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield from chat(client, text, stream)


def of_azure(url: str, text: str, stream: bool) -> Pieces:
    with openai.AzureOpenAI(azure_endpoint=url, api_version="2024-10-21", api_key="any", max_retries=0) as client:
        yield from chat(client, text, stream)


def of_responses(url: str, text: str, stream: bool) -> Pieces:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        asked: Any = {"model": MODEL, "input": text}
        if not stream:
            yield client.responses.create(**asked).output_text
            return
        with client.responses.create(**asked, stream=True) as events:
            for event in events:
                yield event.delta if event.type == "response.output_text.delta" else None


def of_anthropic(url: str, text: str, stream: bool) -> Pieces:
    with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0) as client:
        asked: Any = {"model": MODEL, "max_tokens": 4096, "messages": [{"role": "user", "content": text}]}
        if not stream:
            yield next(block.text for block in client.messages.create(**asked).content if block.type == "text")
            return
        with client.messages.stream(**asked) as events:
            yield from events.text_stream


def of_gemini(url: str, text: str, stream: bool, vertex: bool = False) -> Pieces:
    own: Any = {"api_key": "any"}
    if vertex:
        from google.oauth2.credentials import Credentials

        own = {"vertexai": True, "project": "p", "location": "l", "credentials": Credentials("any")}
    version = "v1" if vertex else "v1beta"
    with genai.Client(**own, http_options=HttpOptions(base_url=url, api_version=version)) as client:
        if not stream:
            yield client.models.generate_content(model=MODEL, contents=text).text
            return
        for chunk in client.models.generate_content_stream(model=MODEL, contents=text):
            yield chunk.text


def of_vertex(url: str, text: str, stream: bool) -> Pieces:
    yield from of_gemini(url, text, stream, vertex=True)


def of_bedrock(url: str, text: str, stream: bool) -> Pieces:
    secrets = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    client: Any = boto3.client("bedrock-runtime", endpoint_url=url, config=config, **secrets)
    asked = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": text}]}]}
    if not stream:
        content = client.converse(**asked)["output"]["message"]["content"]
        yield next(block["text"] for block in content if "text" in block)
        return
    for event in client.converse_stream(**asked)["stream"]:
        yield event.get("contentBlockDelta", {}).get("delta", {}).get("text")


CLIENTS: dict[str, Callable[[str, str, bool], Pieces]] = {
    "openai": of_openai,
    "azure": of_azure,
    "responses": of_responses,
    "anthropic": of_anthropic,
    "gemini": of_gemini,
    "vertex": of_vertex,
    "bedrock": of_bedrock,
}


def ask(client: str, url: str, text: str, stream: bool = False) -> Said:
    return collected(time.perf_counter(), CLIENTS[client](url, text, stream))


def refused(client: str, url: str, text: str, stream: bool = False) -> int:
    """The status of the error that the SDK raises; 0: none."""
    try:
        ask(client, url, text, stream)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return error.status_code
    except APIError as error:
        return error.code
    except botocore.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return 0
