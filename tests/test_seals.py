"""A signature of Vertex's goes back to Vertex alone: AI Studio, which speaks the same protocol, calls it corrupted."""

import json
from typing import Any

import httpx2
import pytest

from interlingua.mock.rules.gemini import STAND_INS
from interlingua.mock.seal import plain
from tests.conftest import Start

BACKENDS = """
[backends.studio]
protocol = "gemini"
url = "{url}"
api_key_env = "GEMINI_KEY"
[backends.vertex]
protocol = "vertex"
url = "{url}"
project = "my-project"
location = "europe-west4"
access_token_env = "GEMINI_KEY"
"""
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
Json = dict[str, Any]


class Chat:
    """A client of Chat Completions."""

    path = "/v1/chat/completions"

    def ask(self, backend: str, *turns: Json, stream: bool = False) -> tuple[str, Json]:
        tools = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
        messages = [{"role": "user", "content": "[[tool]]"}, *turns]
        return self.path, {"model": f"{backend}/gemini-3-pro", "messages": messages, "tools": tools, "stream": stream}

    def history(self, reply: httpx2.Response) -> list[Json]:
        calls: list[Json] = []
        for line in reply.text.split("\n"):
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    calls += [call for call in choice["delta"].get("tool_calls", []) if "id" in call]
        if not calls:
            message = reply.json()["choices"][0]["message"]
            calls = message["tool_calls"]
        call = {k: v for k, v in calls[0].items() if k != "index"} | {"function": {"name": "weather", "arguments": "{}"}}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "mild"}
        return [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            result,
        ]


class Generate:
    """A client of Gemini's own protocol."""

    def ask(self, backend: str, *turns: Json, stream: bool = False) -> tuple[str, Json]:
        contents = [{"role": "user", "parts": [{"text": "[[tool]]"}]}, *turns]
        tools = [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": CITY}]}]
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{backend}%2Fgemini-3-pro:{verb}", {"contents": contents, "tools": tools}

    def history(self, reply: httpx2.Response) -> list[Json]:
        lines = [line[6:] for line in reply.text.split("\n") if line.startswith("data: ")] or [reply.text]
        parts = [part for line in lines for part in json.loads(line)["candidates"][0]["content"]["parts"]]
        said = next(part for part in parts if "functionCall" in part)
        call = {"name": "weather", "id": said["functionCall"].get("id", "c"), "args": {}}
        result = {"functionResponse": {"name": "weather", "id": call["id"], "response": {"output": "mild"}}}
        return [{"role": "model", "parts": [{**said, "functionCall": call}]}, {"role": "user", "parts": [result]}]


@pytest.mark.parametrize("speaker", [Chat(), Generate()], ids=["openai", "gemini"])
async def test_a_seal_is_its_endpoints(start: Start, speaker: Chat | Generate, stream: bool):
    house = await start(backends=BACKENDS)
    async with httpx2.AsyncClient(base_url=house.url, timeout=10) as http:
        path, body = speaker.ask("vertex", stream=stream)
        history = speaker.history(await http.post(path, json=body))
        signed: dict[str, str] = {}
        for backend in ("vertex", "studio"):
            path, body = speaker.ask(backend, *history)
            reply = await http.post(path, json=body)
            assert reply.status_code == 200, reply.text
            signed[backend] = house.sent["contents"][1]["parts"][0]["thoughtSignature"]
            assert ("signature;added" in reply.headers.get("x-interlingua-losses", "").lower()) == (backend == "studio")
    assert plain(signed["studio"]) in STAND_INS or signed["studio"] in STAND_INS
    assert signed["vertex"] not in STAND_INS and signed["vertex"] != signed["studio"]
    house.judge()


async def test_what_ai_studio_sealed_vertex_is_not_told(start: Start):
    """But for a client of Gemini's own, whose native signature is passed on: it does not say where it was made."""
    house = await start(backends=BACKENDS)
    async with httpx2.AsyncClient(base_url=house.url, timeout=10) as http:
        for speaker, kept in ((Chat(), False), (Generate(), True)):
            path, body = speaker.ask("studio")
            history = speaker.history(await http.post(path, json=body))
            path, body = speaker.ask("vertex", *history)
            assert (await http.post(path, json=body)).status_code == 200
            signature = house.sent["contents"][1]["parts"][0]["thoughtSignature"]
            assert (plain(signature) not in STAND_INS) == kept
    house.judge()
