"""Applications with a user interface, by the requests that they send: golden ones, after the applications' own source.

SillyTavern: src/endpoints/backends/chat-completions.js. Open WebUI: backend/open_webui/routers/openai.py.
"""

import json
from typing import Any

import httpx2
import pytest

from clients.place import Place

BEARER = {"authorization": "Bearer any"}
TURNS: Any = [
    {"role": "system", "content": "Write Ada's next reply in a fictional chat between Ada and User."},
    {"role": "system", "content": "Good day.", "name": "example_user"},
    {"role": "system", "content": "And to you.", "name": "example_assistant"},
    {"role": "system", "content": "[Start a new Chat]"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "Why is the sky blue?"},
]
WEATHER: Any = {
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SAID = "You said: Why is the sky blue?"


def tavern(model: str, stream: bool, **more: Any) -> Any:
    """SillyTavern's body for its source "Custom"; what is undefined there is not sent."""
    return {
        "messages": TURNS,
        "model": model,
        "temperature": 1,
        "max_tokens": 300,
        "stream": stream,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_p": 1,
        "stop": ["\nUser:"],
        "logit_bias": {},
        **more,
    }


def posted(url: str, body: Any, headers: dict[str, str] = BEARER) -> httpx2.Response:
    return httpx2.post(url, json=body, headers=headers, timeout=20).raise_for_status()


def pieces(answer: httpx2.Response) -> list[Any]:
    """The events of a stream, its end mark left out."""
    rows = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(row) for row in rows if row != "[DONE]"]


def test_both_find_models_to_choose_from(before: Place) -> None:
    rows = httpx2.get(f"{before.url}/v1/models", headers=BEARER).raise_for_status().json()
    assert rows["object"] == "list"
    assert all(row["id"] and row["object"] == "model" for row in rows["data"])


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "gemini-2.5-flash", "amazon.nova-pro-v1:0"])
def test_sillytavern_as_custom(model: str, before: Place) -> None:
    url = f"{before.url}/v1/chat/completions"
    whole = posted(url, tavern(model, False)).json()["choices"][0]["message"]["content"]
    streamed = pieces(posted(url, tavern(model, True)))
    assert whole == SAID
    assert "".join(row["choices"][0]["delta"].get("content") or "" for row in streamed if row["choices"]) == SAID
    tools = {"tools": [{"type": "function", "function": WEATHER}], "tool_choice": "auto"}
    called = posted(url, tavern(f"{model}-mock-tool", True, **tools))
    assert "weather" in called.text and "mock city" in "".join(
        call["function"]["arguments"]
        for row in pieces(called)
        for choice in row["choices"]
        for call in choice["delta"].get("tool_calls") or []
    )


@pytest.mark.parametrize("model", ["gpt-4o", "gemini-2.5-flash"])
def test_sillytavern_as_claude_behind_a_reverse_proxy(model: str, before: Place) -> None:
    head = {"x-api-key": "any", "anthropic-version": "2023-06-01", "anthropic-beta": "output-128k-2025-02-19,tools-2024-05-16"}
    body = {
        "system": [{"type": "text", "text": "Write Ada's next reply."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]}],
        "model": model,
        "max_tokens": 300,
        "stop_sequences": ["\nUser:"],
        "temperature": 1,
        "stream": True,
        "tool_choice": {"type": "auto"},
        "tools": [{"name": "weather", "description": "The weather.", "input_schema": WEATHER["parameters"]}],
    }
    texts = [row["delta"].get("text", "") for row in pieces(posted(f"{before.url}/v1/messages", body, head)) if "delta" in row]
    assert "".join(texts) == f"{SAID} I have 1 tool."


@pytest.mark.parametrize("model", ["gpt-4o", "claude-haiku-4-5"])
def test_sillytavern_as_google_behind_a_reverse_proxy(model: str, before: Place) -> None:
    harms = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Why is the sky blue?"}]}],
        "safetySettings": [{"category": f"HARM_CATEGORY_{harm}", "threshold": "OFF"} for harm in harms],
        "generationConfig": {"candidateCount": 1, "maxOutputTokens": 300, "temperature": 1, "topP": 1},
        "systemInstruction": {"parts": [{"text": "Write Ada's next reply."}]},
        "tools": [{"function_declarations": [WEATHER]}],  # in snake case, as it is there
    }
    address = f"{before.url}/v1beta/models/{model}:streamGenerateContent?key=any&alt=sse"
    parts = [row["candidates"][0]["content"]["parts"] for row in pieces(posted(address, body, {}))]
    assert "".join(part.get("text", "") for row in parts for part in row) == f"{SAID} I have 1 tool."


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "gemini-2.5-flash"])
def test_open_webui(model: str, before: Place) -> None:
    url = f"{before.url}/v1/chat/completions"
    picture = (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    content = [{"type": "text", "text": "Why is the sky blue?"}, {"type": "image_url", "image_url": {"url": picture}}]
    asked = {"stream": True, "model": model, "messages": [{"role": "user", "content": content}]}
    told = pieces(posted(url, {**asked, "stream_options": {"include_usage": True}, "logit_bias": {"32098": -100}}))
    assert "".join(row["choices"][0]["delta"].get("content") or "" for row in told if row["choices"]).startswith(
        f"{SAID} I saw 1"
    )
    assert told[-1]["usage"]["total_tokens"] > 0
    title = {
        "stream": False,
        "model": model,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        "max_tokens": 1000,
    }
    assert posted(url, title).json()["choices"][0]["message"]["content"] == SAID
