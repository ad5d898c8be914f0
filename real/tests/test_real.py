"""Unmodified SDKs reach a genuine model through the gateway, whatever the protocols on its two sides.

At temperature 0 the model always says the same, so every client must receive the very same words, whole or streamed.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import boto3
import botocore.config
import openai
import pytest
from google import genai
from google.genai.types import GenerateContentConfig, HttpOptions

from real.model import model

QUESTION = "Tell me about rivers."
TOKENS = 32
BACKENDS = {"llamacpp": "llamacpp", "responses": "responses", "anthropic": "anthropic"}
COMMON = frozenset("a and are from in is it its of that the they through to water".split())


class Said(NamedTuple):
    text: str
    pieces: int  # that it came in
    tokens: int


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway in front of the model, which is asked in each protocol that its server has."""
    folder = tmp_path_factory.mktemp("real")
    with model() as server:
        tables = [f'[backends.{name}]\nprotocol = "{kind}"\nurl = "{server}"\n' for name, kind in BACKENDS.items()]
        (folder / "interlingua.toml").write_text("".join(tables))
        command = ["interlingua", "serve", "--port", "0"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield next(line.split()[-1] for line in process.stdout if "listens on" in line)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def chat(client: openai.OpenAI, name: str, stream: bool) -> Said:
    asked: Any = {"model": name, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": TOKENS, "temperature": 0}
    if not stream:
        answer: Any = client.chat.completions.create(**asked)
        return Said(answer.choices[0].message.content or "", 1, answer.usage.completion_tokens)
    with client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}) as chunks:
        told: Any = list(chunks)
    texts = [choice.delta.content for chunk in told for choice in chunk.choices if choice.delta.content]
    return Said("".join(texts), len(texts), told[-1].usage.completion_tokens)


def of_openai(url: str, name: str, stream: bool) -> Said:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        return chat(client, name, stream)


def of_azure(url: str, name: str, stream: bool) -> Said:
    with openai.AzureOpenAI(azure_endpoint=url, api_version="2024-10-21", api_key="any") as client:
        return chat(client, name, stream)


def of_responses(url: str, name: str, stream: bool) -> Said:
    asked: Any = {"model": name, "input": QUESTION, "max_output_tokens": TOKENS, "temperature": 0}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        if not stream:
            answer: Any = client.responses.create(**asked)
            return Said(answer.output_text, 1, answer.usage.output_tokens)
        with client.responses.create(**asked, stream=True) as events:
            told: Any = list(events)
    texts = [event.delta for event in told if event.type == "response.output_text.delta"]
    return Said("".join(texts), len(texts), told[-1].response.usage.output_tokens)


def of_anthropic(url: str, name: str, stream: bool) -> Said:
    asked: Any = {"model": name, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": TOKENS}
    asked["extra_body"] = {"temperature": 0}  # the API takes it, the SDK names it no more
    with anthropic.Anthropic(base_url=url, api_key="any") as client:
        if not stream:
            answer: Any = client.messages.create(**asked)
            return Said(answer.content[0].text, 1, answer.usage.output_tokens)
        with client.messages.stream(**asked) as events:
            texts = list(events.text_stream)
            answer = events.get_final_message()
            return Said("".join(texts), len(texts), answer.usage.output_tokens)


def google(client: genai.Client, name: str, stream: bool) -> Said:
    config = GenerateContentConfig(max_output_tokens=TOKENS, temperature=0)
    if not stream:
        answer: Any = client.models.generate_content(model=name, contents=QUESTION, config=config)
        return Said(answer.text or "", 1, answer.usage_metadata.candidates_token_count)
    told: Any = list(client.models.generate_content_stream(model=name, contents=QUESTION, config=config))
    texts = [chunk.text for chunk in told if chunk.text]
    return Said("".join(texts), len(texts), told[-1].usage_metadata.candidates_token_count)


def of_gemini(url: str, name: str, stream: bool) -> Said:
    with genai.Client(api_key="any", http_options=HttpOptions(base_url=url)) as client:
        return google(client, name, stream)


def of_bedrock(url: str, name: str, stream: bool) -> Said:
    secrets = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    client: Any = boto3.client("bedrock-runtime", endpoint_url=url, config=config, **secrets)
    messages = [{"role": "user", "content": [{"text": QUESTION}]}]
    asked = {"modelId": name, "messages": messages, "inferenceConfig": {"maxTokens": TOKENS, "temperature": 0}}
    if not stream:
        answer: Any = client.converse(**asked)
        return Said(answer["output"]["message"]["content"][0]["text"], 1, answer["usage"]["outputTokens"])
    events = list(client.converse_stream(**asked)["stream"])
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    return Said("".join(texts), len(texts), events[-1]["metadata"]["usage"]["outputTokens"])


CLIENTS: dict[str, Callable[[str, str, bool], Said]] = {
    "openai": of_openai,
    "azure": of_azure,
    "responses": of_responses,
    "anthropic": of_anthropic,
    "gemini": of_gemini,
    "bedrock": of_bedrock,
}


def are_words(text: str) -> bool:
    """English as a small model writes it: letters, vowels, and the words that every English text is made of."""
    words = re.findall(r"[A-Za-z']+", text)
    return (
        len(words) >= TOKENS // 3
        and sum(len(word) for word in words) > 0.7 * len(text)
        and sum(bool(re.search("[aeiouy]", word, re.I)) for word in words) > 0.95 * len(words)
        and len(COMMON & {word.lower() for word in words}) >= 5
    )


@pytest.fixture(scope="module")
def expected(address: str) -> str:
    return of_openai(address, "llamacpp/smollm2", False).text


def test_the_words_are_words(expected: str) -> None:
    assert are_words(expected), expected
    assert not are_words(expected[::-1]) and not are_words("e9 \x04 a a a " * 20)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_hears_the_same_words(client: str, backend: str, stream: bool, address: str, expected: str) -> None:
    said = CLIENTS[client](address, f"{backend}/smollm2", stream)
    assert said.text == expected
    assert said.tokens == TOKENS
    assert not stream or said.pieces > TOKENS // 2  # it came as it was said


def test_the_tour_of_make_run_real() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(["python", "-m", "real", "--once"], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("   out    200") == 8
