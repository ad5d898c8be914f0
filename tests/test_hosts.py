"""Each row of hosts.py against a strict fake: path, query, credential, body, streamed and whole, errors; and Azure's and
Vertex's own clients through the gateway."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import openai
import peers
import pytest
import running
from conftest import Start
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from running import House

from interlingua import config, credentials
from interlingua.hosts import HOSTS
from interlingua.losses import Losses
from interlingua.protocols import openai as chat
from interlingua.protocols import target
from interlingua.protocols.openai.dialect import short
from interlingua.routes import Door, find, protocol_of

Json = dict[str, Any]
ENV = {"K": "sk-secret-key", "T": "ya29.secret-token"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CHAT = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
WHOLE = {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}
TEXT = {**CHAT, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "hello"}}]}
LAST = {**TEXT, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}
HI: list[Any] = [{"role": "user", "content": "hi"}]


class Heard(NamedTuple):
    line: str
    headers: dict[str, str]
    body: Json


class Rules(NamedTuple):
    """What a server of OpenAI's dialect refuses, as its own documentation has it (hosts.py names the pages). `only`: all the
    fields it knows, where it takes no other."""

    refused: str = ""
    only: str = ""
    roles: str = "system developer user assistant tool"
    ids: str = ".+"
    names: bool = True
    schemas: bool = True
    choices: int = 128
    mark: str = ""  # how a cache is marked; "" not at all


_MISTRALS = (
    "model messages tools temperature top_p max_tokens stream stop random_seed metadata response_format tool_choice guardrails "
    "presence_penalty frequency_penalty n prediction parallel_tool_calls prompt_mode reasoning_effort safe_prompt"
)
RULES = {
    "openai": Rules("top_k", mark="prompt_cache_breakpoint"),
    "vllm": Rules(),
    "ollama": Rules("max_completion_tokens logit_bias user", choices=1),
    "llamacpp": Rules(),
    "groq": Rules("logprobs logit_bias top_logprobs", names=False, choices=1),
    "mistral": Rules(only=_MISTRALS, roles="system user assistant tool", ids="[a-zA-Z0-9]{9}", names=False),
    "deepseek": Rules("max_completion_tokens", roles="system user assistant tool", schemas=False),
    "xai": Rules("top_k"),
    "openrouter": Rules(mark="cache_control"),
    "together": Rules("max_completion_tokens"),
    "fireworks": Rules(),
    "newapi": Rules(mark="prompt_cache_breakpoint"),
    "mock": Rules("top_k", mark="prompt_cache_breakpoint"),
}


def complaint(rules: Rules, body: Json) -> str | None:
    """The field that such a server would refuse."""
    for field in body:
        if field in rules.refused.split() or rules.only and field not in rules.only.split():
            return field
    if body.get("n", 1) > rules.choices:
        return "n"
    if not rules.schemas and body.get("response_format", {}).get("type") == "json_schema":
        return "response_format.type"
    for i, message in enumerate(body["messages"]):
        if message["role"] not in rules.roles.split():
            return f"messages[{i}].role"
        if "name" in message and not rules.names:
            return f"messages[{i}].name"
        ids = [message.get("tool_call_id"), *(call["id"] for call in message.get("tool_calls") or [])]
        if any(id_ is not None and not re.fullmatch(rules.ids, id_) for id_ in ids):
            return f"messages[{i}].tool_call_id"
        for part in message["content"] if isinstance(message.get("content"), list) else []:
            if strange := part.keys() - {"type", "text", "image_url", rules.mark}:
                return f"messages[{i}].content.{min(strange)}"
    return None


class Provider:
    """A provider that keeps what it hears, and answers Chat Completions; `error` is a status and a body. With `rules` it
    refuses what they refuse."""

    rules: Rules | None = None

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.error: tuple[int, Json] | None = None

    async def __call__(self, peer: peers.Peer) -> None:
        while True:
            head, body = await peer.request()
            line, *lines = head.decode().strip().split("\r\n")
            pairs = (pair.partition(": ") for pair in lines)
            self.heard.append(Heard(line, {name: value for name, _, value in pairs}, json.loads(body)))
            await peer.send(self.answer(self.heard[-1].body))

    def answer(self, body: Json) -> bytes:
        status, said = self.error or (200, {**WHOLE, "usage": USAGE})
        if self.rules is not None and (field := complaint(self.rules, body)):
            self.error = status, said = 400, {"error": {"message": f"refused: {field}", "param": field}}
        kind, data = "application/json", json.dumps(said).encode()
        if self.error is None and body.get("stream"):
            kind = "text/event-stream"
            data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in (TEXT, LAST)) + b"data: [DONE]\n\n"
        return f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data


class Scene(NamedTuple):
    provider: Provider
    http: httpx2.AsyncClient

    async def ask(self, body: Json, model: str = "m", **headers: str) -> httpx2.Response:
        return await self.http.post("/v1/chat/completions", json={"model": f"b/{model}", "messages": HI, **body}, headers=headers)

    async def sent(self, body: Json, model: str = "m") -> tuple[Json, str]:
        """(the body that the provider got, the losses told)"""
        reply = await self.ask(body, model)
        assert reply.status_code == 200, reply.text
        return self.provider.heard[-1].body, reply.headers.get("x-interlingua-losses", "")


@asynccontextmanager
async def scene(folder: Path, backend: str) -> AsyncIterator[Scene]:
    """A gateway before a Provider, which is backend `b`."""
    provider = Provider()
    file = folder / "interlingua.toml"
    async with peers.serve(provider) as upstream:
        file.write_text(f'[backends.b]\nurl = "http://127.0.0.1:{upstream.origin.port}"\n{backend}\n')
        async with (
            running.gateway_of(config.load(str(file), ENV)) as (_, url),
            httpx2.AsyncClient(base_url=url, verify=False, timeout=10) as http,
        ):
            yield Scene(provider, http)


# Servers that speak OpenAI's protocol

LIKE_OPENAI = {
    "openai": "/v1",
    "vllm": "/v1",
    "ollama": "/v1",
    "llamacpp": "/v1",
    "groq": "/openai/v1",
    "mistral": "/v1",
    "deepseek": "/v1",
    "xai": "/v1",
    "openrouter": "/api/v1",
    "together": "/v1",
    "fireworks": "/inference/v1",
    "newapi": "/v1",
    "mock": "/v1",
}


def test_every_row_that_speaks_like_openai_is_in_the_table():
    assert {row.name for row in HOSTS.values() if row.protocol == "openai"} == set(LIKE_OPENAI) | {"azure"}


@pytest.mark.parametrize("name", LIKE_OPENAI)
async def test_a_server_like_openai_is_asked_at_its_path_with_its_key(name: str, tmp_path: Path):
    async with scene(tmp_path, f'protocol = "{name}"\napi_key_env = "K"') as s:
        whole = await s.ask({})
        assert (whole.status_code, whole.json()["choices"][0]["message"]["content"]) == (200, "hello")
        streamed = await s.ask({"stream": True})
        assert streamed.text.count('"content":"hello"') == 1 and streamed.text.endswith("data: [DONE]\n\n")
        for heard, stream in zip(s.provider.heard, (None, True), strict=True):
            assert heard.line == f"POST {LIKE_OPENAI[name]}/chat/completions HTTP/1.1"
            assert heard.headers["authorization"] == "Bearer sk-secret-key"
            assert not heard.headers.keys() & {"api-key", "x-api-key", "x-goog-api-key"}
            assert (heard.body["model"], heard.body["messages"], heard.body.get("stream")) == ("m", HI, stream)
        s.provider.error = 429, {"error": {"message": "slow down", "type": "rate_limit", "code": "rl"}}
        refused = await s.ask({})
        assert (refused.status_code, refused.json()["error"]["message"]) == (429, "slow down")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", LIKE_OPENAI)
async def test_no_server_is_sent_what_it_refuses(name: str, stream: bool, tmp_path: Path):
    """A request with a word for everything, from a client of OpenAI's and from one of Anthropic's, to a strict fake."""
    async with scene(tmp_path, f'protocol = "{name}"') as s:
        s.provider.rules = RULES[name]
        asked = {field: value for field, value in RICH.items() if field != "top_k"} | {"stream": stream, "n": 2}
        for more in ({}, {"response_format": SCHEMA}, {"top_logprobs": 2, "logprobs": True}):
            assert "hello" in (await s.ask({**asked, **more})).text
        mark = {"cache_control": {"type": "ephemeral"}}
        said = [{"role": "user", "content": [{"type": "text", "text": "hi", **mark}]}]
        body = {"model": "b/m", "max_tokens": 9, "top_k": 5, "messages": said, "metadata": {"user_id": "u"}, "stream": stream}
        assert "hello" in (await s.http.post("/v1/messages", json=body)).text


REFUSALS = {
    "ollama": [{"n": 2}, {"user": "u"}, {"max_completion_tokens": 5}],
    "groq": [{"logprobs": True}, {"n": 2}, {"messages": [{"role": "user", "content": "hi", "name": "ann"}]}],
    "mistral": [{"seed": 1}, {"store": True}, {"messages": [{"role": "developer", "content": "hi"}]}],
    "deepseek": [{"response_format": {"type": "json_schema"}}, {"messages": [{"role": "developer", "content": "hi"}]}],
    "xai": [{"top_k": 4}],
    "together": [{"max_completion_tokens": 5}],
    "vllm": [{"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}]}]}],
}


@pytest.mark.parametrize("name", REFUSALS)
def test_the_fakes_of_servers_are_strict(name: str):
    for body in REFUSALS[name]:
        assert complaint(RULES[name], {"model": "m", "messages": HI, **body})
        assert complaint(RULES["newapi"], {"model": "m", "messages": HI, **body}) is None or name == "vllm"


RICH: Json = {
    "messages": [
        {"role": "developer", "content": [{"type": "text", "text": "be brief", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
        {"role": "user", "name": "ann", "content": "weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_abc", "type": "function", "function": {"name": "w", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_abc", "content": "sunny"},
    ],
    "tools": [{"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}],
    "max_completion_tokens": 50,
    "seed": 7,
    "n": 1,
    "user": "u",
    "logprobs": False,
    "logit_bias": {"1": 2},
    "top_k": 5,
    "temperature": 0.5,
    "parallel_tool_calls": False,
    "stop": ["x"],
    "stream": True,
    "store": False,
}
SHARED = {"model", "messages", "tools", "temperature", "parallel_tool_calls", "stop", "stream"}
OWN_TOP_K = {"top_k"}  # of a client that says it in OpenAI's own protocol: it meant a server that takes it
SENT = {
    "vllm": SHARED
    | {"max_completion_tokens", "seed", "n", "user", "logprobs", "logit_bias", "stream_options", "store"}
    | OWN_TOP_K,
    "ollama": SHARED | {"max_tokens", "seed", "logprobs", "stream_options", "store"} | OWN_TOP_K,
    "groq": SHARED | {"max_completion_tokens", "seed", "user", "stream_options", "store"} | OWN_TOP_K,
    "mistral": SHARED | {"max_tokens", "random_seed", "n"} | OWN_TOP_K,
    "deepseek": SHARED | {"max_tokens", "seed", "n", "user", "logprobs", "logit_bias", "stream_options", "store"} | OWN_TOP_K,
    "openrouter": SHARED
    | {"max_completion_tokens", "seed", "n", "user", "logprobs", "logit_bias", "stream_options", "store"}
    | OWN_TOP_K,
}
LOST = {
    "vllm": {"messages[0].content[0].prompt_cache_breakpoint;dropped"},
    "ollama": {"messages[0].content[0].prompt_cache_breakpoint;dropped", "user;dropped", "logit_bias;dropped"},
    "groq": {
        "messages[0].content[0].prompt_cache_breakpoint;dropped",
        "messages[1].name;dropped",
        "logit_bias;dropped",
    },
    "mistral": {
        "messages[0].content[0].prompt_cache_breakpoint;dropped",
        "messages[1].name;dropped",
        "user;dropped",
        "logit_bias;dropped",
        "store;dropped",
    },
    "deepseek": {"messages[0].content[0].prompt_cache_breakpoint;dropped"},
    "openrouter": {""},
}


@pytest.mark.parametrize("name", SENT)
async def test_a_server_is_sent_what_it_takes_in_its_own_words_and_the_rest_is_told(name: str, tmp_path: Path):
    async with scene(tmp_path, f'protocol = "{name}"') as s:
        body, losses = await s.sent(RICH)
    assert set(body) == SENT[name]
    assert set(losses.split(", ")) == LOST[name]
    first, user, assistant, tool = body["messages"]
    assert first["role"] == ("system" if name in ("mistral", "deepseek") else "developer")
    marks = {"openrouter": {"cache_control": {"type": "ephemeral"}}}
    text = {"type": "text", "text": "be brief"}
    assert first["content"] == [{**text, **marks[name]}] if name in marks else first["content"] in ("be brief", [text])
    assert ("name" in user) is (name not in ("mistral", "groq"))
    ids = {assistant["tool_calls"][0]["id"], tool["tool_call_id"]}
    assert ids == {"call_abc"} if name != "mistral" else len(ids) == 1 and len(min(ids)) == 9 and min(ids).isalnum()
    assert body.get("random_seed", body.get("seed")) == 7
    assert body.get("max_tokens", body.get("max_completion_tokens")) == 50


async def test_another_protocols_top_k_goes_where_it_is_taken(tmp_path: Path):
    body = {"model": "b/m", "max_tokens": 9, "top_k": 5, "messages": HI}
    for name, taken in (("together", 5), ("xai", None)):
        async with scene(tmp_path, f'protocol = "{name}"') as s:
            reply = await s.http.post("/v1/messages", json=body)
            assert reply.status_code == 200
            assert s.provider.heard[-1].body.get("top_k") == taken
            assert reply.headers.get("x-interlingua-losses") == (None if taken else "top_k;dropped")


SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


async def test_json_mode_stands_in_for_a_schema_where_the_prompt_allows_it(tmp_path: Path):
    async with scene(tmp_path, 'protocol = "deepseek"') as s:
        asked, losses = await s.sent({"response_format": SCHEMA, "messages": [{"role": "user", "content": "as JSON"}]})
        assert (asked["response_format"], losses) == ({"type": "json_object"}, "response_format.json_schema.schema;dropped")
        asked, losses = await s.sent({"response_format": SCHEMA})
        assert ("response_format" in asked, losses) == (False, "response_format;dropped")
        asked, losses = await s.sent({"response_format": {"type": "json_object"}})
        assert (asked["response_format"], losses) == ({"type": "json_object"}, "")


async def test_several_choices_are_a_loss_where_there_is_one(tmp_path: Path):
    async with scene(tmp_path, 'protocol = "groq"') as s:
        asked, losses = await s.sent({"n": 2, "logprobs": True, "top_logprobs": 2})
        assert not asked.keys() & {"n", "logprobs", "top_logprobs"}
        assert set(losses.split(", ")) == {"n;dropped", "logprobs;dropped", "top_logprobs;dropped"}
        strict = await s.ask({"n": 2}, **{"x-interlingua-strict": "true"})
        assert strict.status_code == 400 and "n" in strict.json()["error"]["param"]


async def test_a_request_keeps_what_one_server_is_not_sent(tmp_path: Path):
    """Formatting for a host changes nothing of the request that another host may be sent next."""
    request = chat.parse_request(json.loads(json.dumps(RICH)), "m", None)
    before = chat.format_request(request, target("m"), Losses())
    chat.format_request(request, target("m", HOSTS["mistral"].quirks), Losses())
    chat.format_request(request, target("m", HOSTS["openrouter"].quirks), Losses())
    assert chat.format_request(request, target("m"), Losses()) == before


def test_ids_are_cut_to_nine_alike_and_apart():
    assert short("aB3456789") == "aB3456789"
    made = {short(f"call_{number}") for number in range(1000)}
    assert len(made) == 1000 and all(len(id_) == 9 and id_.isascii() and id_.isalnum() for id_ in made)
    assert short("call_1") == short("call_1")


# Azure

AZURE = 'protocol = "azure"\n'


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ('api_key_env = "K"\napi_version = "2024-10-21"', "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"),
        (
            'access_token_env = "T"\napi_version = "2024-10-21"',
            "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
        ),
        ('api_key_env = "K"', "/openai/v1/chat/completions"),
        ('access_token_env = "T"', "/openai/v1/chat/completions"),
    ],
)
async def test_azure_is_asked_by_deployment_or_on_its_v1_surface(settings: str, path: str, tmp_path: Path):
    async with scene(tmp_path, AZURE + settings) as s:
        for stream in (False, True):
            assert (await s.ask({"stream": stream}, "my gpt")).status_code == 200
            heard = s.provider.heard[-1]
            assert heard.line == f"POST {path} HTTP/1.1"
            key, token = heard.headers.get("api-key"), heard.headers.get("authorization")
            assert (key, token) == (("sk-secret-key", None) if "K" in settings else (None, "Bearer ya29.secret-token"))
            assert heard.body["model"] == "my gpt"


CLOUDS = """
[backends.dated]
protocol = "azure"
url = "{url}"
api_version = "2024-10-21"
api_key_env = "OPENAI_KEY"
[backends.azure]
protocol = "azure"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.vertex]
protocol = "vertex"
url = "{url}"
project = "my-project"
location = "europe-west4"
access_token_env = "GEMINI_KEY"
"""
PLACE = "/v1/projects/my-project/locations/europe-west4/publishers"


@pytest.fixture
async def clouds(start: Start) -> AsyncIterator[House]:
    house = await start(backends=CLOUDS)
    yield house
    house.judge()


@asynccontextmanager
async def client(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=house.url, verify=False, timeout=10) as http:
        yield http


def asked(protocol: str, model: str, text: str, stream: bool) -> tuple[str, Json]:
    """(path, body) of a plain question."""
    if protocol == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    body: Json = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 50, "stream": stream}
    return {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[protocol], body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize(
    ("backend", "model", "path"),
    [
        ("dated", "gpt-4o", "/openai/deployments/gpt-4o/chat/completions"),
        ("azure", "gpt-4o", "/openai/v1/chat/completions"),
        ("vertex", "gemini-2.5-flash", PLACE + "/google/models/gemini-2.5-flash:"),
        ("vertex", "claude-haiku-4-5@20251001", PLACE + "/anthropic/models/claude-haiku-4-5@20251001:"),
    ],
)
async def test_every_client_reaches_every_cloud(clouds: House, backend: str, model: str, path: str, protocol: str, stream: bool):
    where, body = asked(protocol, f"{backend}/{model}", "say [[text]]", stream)
    async with client(clouds) as http:
        reply = await http.post(where, json=body)
    assert reply.status_code == 200, reply.text
    entry = clouds.mock.journal.last
    verbs = {"google": ("generateContent", "streamGenerateContent"), "anthropic": ("rawPredict", "streamRawPredict")}
    assert entry.path == path + (verbs[path.split("/")[-3]][stream] if path.endswith(":") else "")
    assert entry.stream is stream and entry.chunks > 0 if stream else not entry.stream
    assert entry.query == {"api-version": "2024-10-21"} if backend == "dated" else set(entry.query) <= {"alt"}
    error = await refusal(clouds, *asked(protocol, f"{backend}/{model}", "[[overloaded]]", stream))
    assert error in (429, 503, 529)


async def refusal(house: House, path: str, body: Json) -> int:
    async with client(house) as http:
        reply = await http.post(path, json=body)
    assert "error" in reply.json()
    house.clear()
    return reply.status_code


@pytest.mark.parametrize(("text", "status"), [("[[404]]", 404), ("[[400]]", 400), ("[[429]]", 429)])
@pytest.mark.parametrize("model", ["dated/gpt-4o", "vertex/gemini-2.5-flash", "vertex/claude-haiku-4-5"])
async def test_a_clouds_own_errors_are_told(clouds: House, model: str, text: str, status: int):
    path, body = asked("openai", model, text, False)
    async with client(clouds) as http:
        reply = await http.post(path, json=body)
    assert reply.status_code == status and reply.json()["error"]["message"]
    clouds.refusals = True


async def test_azures_first_chunk_without_a_choice_is_no_answer(clouds: House):
    body = {"model": "azure/gpt-4o", "messages": HI, "stream": True}
    async with client(clouds) as http:
        text = (await http.post("/v1/chat/completions", json=body)).text
    chunks = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
    assert ["prompt_filter_results" in chunk for chunk in chunks].count(True) == 1
    assert {(chunk["id"][:9], chunk["model"]) for chunk in chunks} == {("chatcmpl-", "azure/gpt-4o")}
    spoken = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert spoken[0]["role"] == "assistant" and "".join(delta.get("content") or "" for delta in spoken) == "You said: hi"


CHAT_BODY: Json = {"model": "gpt-4o", "messages": HI}
TURN: Json = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
FETCHED: Json = {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "https://a.test/x.png"}}]}]}
CLAUDE: Json = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": HI}
REFUSED = [
    ("/openai/deployments/gpt-4o/chat/completions", CHAT_BODY, 404),  # no api-version
    ("/openai/v1/chat/completions?api-version=2024-10-21", CHAT_BODY, 400),
    ("/openai/chat/completions?api-version=2024-10-21", CHAT_BODY, 404),
    ("/openai/deployments/nothing/chat/completions?api-version=2024-10-21", CHAT_BODY, 404),
    (PLACE + "/google/models/gemini-3-pro:generateContent", FETCHED, 400),
    (PLACE + "/google/models/gemini-3-pro:countTokens", {"generateContentRequest": {"model": "models/x", **TURN}}, 400),
    (PLACE + "/google/models/gemini-3-pro:streamRawPredict", TURN, 404),
    ("/v1/projects/p/models/gemini-3-pro:generateContent", TURN, 404),
    (PLACE + "/anthropic/models/claude-haiku-4-5:rawPredict", CLAUDE | {"model": "claude-haiku-4-5"}, 400),
    (PLACE + "/anthropic/models/claude-haiku-4-5:rawPredict", CLAUDE | {"stream": True}, 400),
    (PLACE + "/anthropic/models/claude-haiku-4-5:streamRawPredict", CLAUDE, 400),
    (PLACE + "/anthropic/models/claude-haiku-4-5:rawPredict", CLAUDE | {"anthropic_version": "2023-06-01"}, 400),
]


@pytest.mark.parametrize(("path", "body", "status"), REFUSED)
async def test_the_fakes_are_strict(clouds: House, path: str, body: Json, status: int):
    async with httpx2.AsyncClient(base_url=clouds.mock.url, verify=False) as http:
        reply = await http.post(path, json=body, headers={"authorization": "Bearer any"})
        assert (reply.status_code, "error" in reply.json()) == (status, True)
        assert (await http.post(path, json=body)).status_code == 401
    clouds.refusals = True


async def test_vertexs_claude_takes_no_version_header(clouds: House):
    heads = {"authorization": "Bearer any", "anthropic-version": "2023-06-01"}
    async with httpx2.AsyncClient(base_url=clouds.mock.url, verify=False, headers=heads) as http:
        reply = await http.post(PLACE + "/anthropic/models/claude-haiku-4-5:rawPredict", json=CLAUDE)
    assert reply.status_code == 400 and "in the body" in reply.json()["error"]["message"]
    clouds.refusals = True


# Vertex


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_vertex_is_found_by_its_location(location: str, url: str):
    row = HOSTS["vertex"].placed(project="domain.test:p", location=location, api_version=None)
    assert row.url == url and row.families["claude"].url == url
    place = f"/projects/domain.test:p/locations/{location}/publishers"
    assert row.filled(row.path, "gemini-3") == f"{place}/google/models/gemini-3:generateContent"
    other = row.serving("claude-sonnet-4-5@20250929")
    assert other.filled(other.path, "claude-x@1") == f"{place}/anthropic/models/claude-x@1:rawPredict"
    assert row.serving("gemini-3") is row


async def test_claude_on_vertex_has_its_version_in_the_body_and_its_model_in_the_path(clouds: House):
    body: Json = {"model": "vertex/claude-haiku-4-5", "max_tokens": 9, "messages": HI}
    heads = {"anthropic-beta": "context-1m-2025-08-07"}
    cases = [
        ({}, {}, "2026-10-21"),
        ({"temperature": 0.5}, {}, "vertex-2023-10-16"),
        ({}, {"anthropic-version": "2023-06-01"}, "vertex-2023-10-16"),
    ]
    async with client(clouds) as http:
        for more, own, version in cases:
            reply = await http.post("/v1/messages", json=body | more, headers=heads | own)
            assert reply.status_code == 200, reply.text
            entry = clouds.mock.journal.last
            assert entry.body["anthropic_version"] == version and "model" not in entry.body
            assert "anthropic-version" not in entry.headers and entry.headers["anthropic-beta"] == heads["anthropic-beta"]


async def test_vertex_counts_both_kinds(clouds: House):
    async with client(clouds) as http:
        messages = {"messages": HI, "system": "be brief"}
        for model, path in (("gemini-2.5-flash", "/google/models/gemini-2.5-flash:countTokens"), ("claude-haiku-4-5", None)):
            reply = await http.post("/v1/messages/count_tokens", json={"model": f"vertex/{model}", **messages})
            assert reply.status_code == 200 and reply.json()["input_tokens"] > 0
            assert "x-interlingua-estimated" not in reply.headers
            entry = clouds.mock.journal.last
            assert entry.path == PLACE + (path or "/anthropic/models/count-tokens:rawPredict")
        assert (entry.body["model"], entry.body["anthropic_version"]) == ("claude-haiku-4-5", "2026-10-21")
        config = {"maxOutputTokens": 5}
        content = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": config}
        whole = {"generateContentRequest": {"model": "models/x", **content}}
        reply = await http.post("/v1beta/models/vertex%2Fgemini-2.5-flash:countTokens", json=whole)
        assert reply.json()["totalTokens"] > 0
        assert clouds.mock.journal.last.body == content


async def test_vertex_fetches_an_image_and_is_told_its_type(clouds: House):
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in ("https://a.test/x.png?v=1", "https://a.test/y")]
    body = {"model": "vertex/gemini-2.5-flash", "messages": [{"role": "user", "content": parts}]}
    async with client(clouds) as http:
        reply = await http.post("/v1/chat/completions", json=body)
    files = [part["fileData"] for part in clouds.sent["contents"][0]["parts"]]
    assert files == [
        {"fileUri": "https://a.test/x.png?v=1", "mimeType": "image/png"},
        {"fileUri": "https://a.test/y", "mimeType": "image/jpeg"},
    ]
    assert reply.headers["x-interlingua-losses"].count(";added") == 2


async def test_vertex_gets_the_ids_of_calls(clouds: House):
    """Its FunctionCall has had them since September 2026; without them Gemini 3 answers nothing."""
    call = {"id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{}"}}
    messages = [*HI, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]
    tools = [{"type": "function", "function": {"name": "w", "parameters": {"type": "object", "properties": {}}}}]
    async with client(clouds) as http:
        reply = await http.post(
            "/v1/chat/completions", json={"model": "vertex/gemini-3-pro", "messages": messages, "tools": tools}
        )
    assert reply.status_code == 200, reply.text
    _, model, user = clouds.sent["contents"]
    assert model["parts"][0]["functionCall"]["id"] == user["parts"][0]["functionResponse"]["id"] == "call_1"


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ('access_token_env = "T"', ("authorization", "Bearer ya29.secret-token")),
        ('api_key_env = "K"', ("x-goog-api-key", "sk-secret-key")),
    ],
)
async def test_vertex_takes_a_token_or_a_key(settings: str, header: tuple[str, str], tmp_path: Path):
    async with scene(tmp_path, f'protocol = "vertex"\nproject = "p"\nlocation = "global"\n{settings}') as s:
        s.provider.error = 403, {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}
        reply = await s.ask({"stream": True}, "gemini-3-pro")
        assert (reply.status_code, reply.json()["error"]["message"]) == (403, "no")
        heard = s.provider.heard[-1]
        path = "/v1/projects/p/locations/global/publishers/google/models/gemini-3-pro:streamGenerateContent?alt=sse"
        assert heard.line == f"POST {path} HTTP/1.1"
        found = {name: heard.headers[name] for name in ("authorization", "x-goog-api-key") if name in heard.headers}
        assert found == dict([header])
        claude = await s.ask({}, "claude-sonnet-4-5@20250929")
        assert (claude.status_code, claude.json()["error"]["message"]) == (403, "no")  # Google's error, not Anthropic's
        assert s.provider.heard[-1].line.endswith("/anthropic/models/claude-sonnet-4-5@20250929:rawPredict HTTP/1.1")


async def test_a_pass_through_bears_the_token(tmp_path: Path):
    async with scene(tmp_path, 'protocol = "vertex"\nproject = "p"\nlocation = "global"\naccess_token_env = "T"') as s:
        reply = await s.http.post(
            "/providers/b/v1/projects/p/x:streamRawPredict", json={"a": 1}, headers={"authorization": "Bearer mine"}
        )
        assert reply.status_code == 200
        heard = s.provider.heard[-1]
        assert heard.line == "POST /v1/projects/p/x:streamRawPredict HTTP/1.1"
        assert heard.headers["authorization"] == "Bearer ya29.secret-token" and heard.body == {"a": 1}


async def test_a_token_that_does_not_come_ends_with_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gate = asyncio.Event()

    async def never(self: Any, *request: Any) -> bytes:
        await gate.wait()
        return b""

    monkeypatch.setattr(credentials.GoogleToken, "headers", never)
    backend = 'protocol = "vertex"\nproject = "p"\nlocation = "global"\n[routing]\ndeadline = "100ms"'
    async with scene(tmp_path, backend) as s:
        reply = await s.ask({}, "gemini-3-pro")
        assert reply.status_code == 504 and "credentials" in reply.json()["error"]["message"]
        assert s.provider.heard == []


# Clients of the clouds


@pytest.mark.parametrize(
    ("path", "query", "door"),
    [
        ("/openai/deployments/my%20gpt/chat/completions", "", Door("generate", "openai", model="my gpt")),
        ("/openai/v1/chat/completions", "", Door("generate", "openai")),
        ("/openai/v1/responses", "", Door("generate", "responses")),
        ("/openai/v1/models", "", Door("models", "openai", "GET")),
        ("/openai/v1/messages", "", None),
        ("/openai/deployments/a/b/chat/completions", "", None),
        ("/openai/deployments/a", "", None),
        (
            "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
            "",
            Door("generate", "gemini", model="g", stream=False),
        ),
        (
            "/v1beta1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent",
            "alt=sse",
            Door("generate", "gemini", model="g", stream=True),
        ),
        (
            "/v1beta1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent",
            "",
            Door("generate", "gemini", model="g", stream=True, sse=False),
        ),
        ("/v1/projects/p/locations/l/publishers/google/models/g:countTokens", "", Door("count", "gemini", model="g")),
        ("/v1beta1/publishers/google/models/g:countTokens", "", Door("count", "gemini", model="g")),
        ("/v1/projects/p/locations/l/publishers/b/models/a/g:countTokens", "", Door("count", "gemini", model="b/a/g")),
        ("/v1/projects/p/locations/l/publishers/google/models/g:streamRawPredict", "", None),
        ("/v1/projects/p/locations/l/publishers/google/models/g", "", None),
    ],
)
def test_paths_of_the_clouds(path: str, query: str, door: Door | None):
    assert find(path, query.encode()) == door


def test_a_wrong_path_is_told_in_its_clients_words():
    assert protocol_of("/openai/deployments/x", {}) == "openai"
    assert protocol_of("/v1/projects/p/locations/l/publishers/google/models/g", {}) == "gemini"
    assert protocol_of("/v1beta1/projects/p", {}) == "gemini"


GATEWAY = """
[backends.anthropic]
protocol = "anthropic"
url = "{url}"
api_key_env = "ANTHROPIC_KEY"
[backends.anthropic.model_mapping]
"gpt-mine" = "claude-haiku-4-5"
"gemini-mine" = "claude-haiku-4-5"
"""
TOKEN = "azure-or-google-client-secret"


@pytest.mark.parametrize("named", [True, False])
async def test_azures_own_client(start: Start, named: bool):
    """With azure_deployment the path says it, else the SDK writes the model into the path."""
    house = await start(backends=GATEWAY)
    more: Json = {"azure_deployment": "gpt-mine"} if named else {}
    http = httpx2.AsyncClient(verify=False)
    sdk = openai.AsyncAzureOpenAI(
        azure_endpoint=house.url, api_key=TOKEN, api_version="2024-10-21", max_retries=0, http_client=http, **more
    )
    async with sdk:
        answer = await sdk.chat.completions.create(model="ignored" if named else "gpt-mine", messages=HI)
        assert answer.choices[0].message.content and answer.model == "gpt-mine"
        stream = await sdk.chat.completions.create(model="gpt-mine", messages=HI, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(said) == answer.choices[0].message.content
        house.judge()
        with pytest.raises(openai.RateLimitError):
            await sdk.chat.completions.create(model="gpt-mine", messages=[{"role": "user", "content": "[[429]]"}])
    if not named:
        async with sdk.with_options(http_client=httpx2.AsyncClient(verify=False)) as other:
            with pytest.raises(openai.NotFoundError, match="nothing-here"):
                await other.chat.completions.create(model="nothing-here", messages=HI)
    assert TOKEN not in repr(house.mock.journal.entries)


async def test_googles_own_client_of_vertex(start: Start):
    house = await start(backends=GATEWAY)
    async with httpx2.AsyncClient(verify=False) as http:
        await ask_as_vertex(house, http)
    assert TOKEN not in repr(house.mock.journal.entries)


async def ask_as_vertex(house: House, http: httpx2.AsyncClient) -> None:
    options = types.HttpOptions(
        base_url=house.url,
        httpx_async_client=http,
        retry_options=types.HttpRetryOptions(attempts=1),
        client_args={"verify": False},
    )
    sdk = genai.Client(vertexai=True, project="p", location="us-central1", credentials=Credentials(TOKEN), http_options=options)
    for model in ("gemini-mine", "anthropic/claude-haiku-4-5"):
        answer = await sdk.aio.models.generate_content(model=model, contents="hi")
        assert answer.text and answer.model_version == model
        rows = [row async for row in await sdk.aio.models.generate_content_stream(model=model, contents="hi")]
        assert "".join(row.text or "" for row in rows) == answer.text
        assert (await sdk.aio.models.count_tokens(model=model, contents="hi")).total_tokens
    house.judge()
    with pytest.raises(genai.errors.ClientError, match="429"):
        await sdk.aio.models.generate_content(model="gemini-mine", contents="[[429]]")
    await sdk.aio.aclose()
    sdk.close()
