"""`interlingua demo`: the main job with no key. Mock providers, the gateway before them, one request per client protocol.

It goes the way a user's request goes: over HTTP, through the gateway, to a provider that speaks another protocol.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
import uvloop
from msgspec import Struct

from interlingua.app import Server, address, build, listen, settings
from interlingua.client import Client, Origin, Timeouts
from interlingua.config import Overrides, from_environment
from interlingua.errors import ConfigError
from interlingua.mock import MockServer
from interlingua.mock.server import MockServer as Mock

_PORT: Final = 9000


class Stop(Struct, frozen=True):
    """One stop of the tour: a client's request, and the header its SDK would authenticate with."""

    title: str
    path: str
    body: dict[str, object]
    key: str = "authorization: Bearer any"


_QUESTION: Final = "What can you see from here?"
_WEATHER: Final = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_STRICT_WEATHER: Final = _WEATHER | {"additionalProperties": False}
STOPS: Final = (
    Stop(
        "An OpenAI client asks Claude",
        "/v1/chat/completions",
        {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": _QUESTION}], "max_tokens": 100},
    ),
    Stop(
        "An Anthropic client asks Gemini to call a tool",
        "/v1/messages",
        {
            "model": "gemini-2.5-flash",
            "max_tokens": 200,
            "tools": [{"name": "weather", "description": "Tells the weather.", "input_schema": _WEATHER}],
            "tool_choice": {"type": "any"},
            "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        },
        "x-api-key: any",
    ),
    Stop(
        "A Gemini client asks GPT; what GPT has no word for is reported, not swallowed",
        "/v1beta/models/gpt-4o:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": _QUESTION}]}], "generationConfig": {"topK": 40, "temperature": 0.2}},
        "x-goog-api-key: any",
    ),
    Stop(
        "A client of OpenAI Responses asks Claude for JSON",
        "/v1/responses",
        {
            "model": "claude-sonnet-4-5",
            "input": "What is the weather in Paris?",
            "text": {"format": {"type": "json_schema", "name": "weather", "schema": _STRICT_WEATHER, "strict": True}},
        },
    ),
    Stop(
        "An AWS client, by Bedrock's Converse, asks GPT",
        "/model/gpt-4o/converse",
        {"messages": [{"role": "user", "content": [{"text": _QUESTION}]}], "inferenceConfig": {"maxTokens": 100}},
    ),
    Stop(
        "An Azure client asks Gemini",
        "/openai/deployments/gemini-2.5-flash/chat/completions?api-version=2024-10-21",
        {"messages": [{"role": "user", "content": _QUESTION}]},
        "api-key: any",
    ),
    Stop(
        "A Vertex client asks Claude",
        "/v1/projects/demo/locations/us-central1/publishers/google/models/claude-sonnet-4-5:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": _QUESTION}]}]},
    ),
    Stop(
        "An OpenAI client streams from Claude",
        "/v1/chat/completions",
        {"model": "claude-sonnet-4-5", "stream": True, "messages": [{"role": "user", "content": "[[long:3]]"}]},
    ),
)


def run(once: bool, port: int | None) -> int:
    """Makes the tour; stays up unless `once`. Returns the exit code."""
    return uvloop.run(_demo(once, port))


async def _demo(once: bool, port: int | None) -> int:
    async with MockServer() as mock, gateway(_environment(mock), port) as url:
        print(f"Mock providers at {mock.url}, the gateway at {url}. No key, no model, nothing leaves this machine.\n")
        return await tour(url, STOPS, once)


async def tour(url: str, stops: Sequence[Stop], once: bool) -> int:
    """Shows every stop; then waits to be interrupted, unless `once`. Returns the exit code."""
    client = Client()
    good = [await _show(client, url, number, stop) for number, stop in enumerate(stops, 1)]
    await client.close()
    if not all(good):
        print("Something did not answer as it should.")
        return 1
    if not once:
        print(f"The gateway stays at {url} until Ctrl-C; /metrics and /ready are there too.", flush=True)
        await _interrupted()
    return 0


def _environment(mock: Mock) -> dict[str, str]:
    """What a user without a configuration would set, the providers' addresses pointing at the mock."""
    keys = {f"{vendor}_API_KEY": "demo" for vendor in ("OPENAI", "ANTHROPIC", "GEMINI")}
    return keys | {name: mock.url for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL")}


@asynccontextmanager
async def gateway(environment: Mapping[str, str], port: int | None) -> AsyncGenerator[str]:
    """The gateway's address, as it is configured by an environment. No port: 9000 where that is free."""
    listener = None
    if port is None:
        with suppress(ConfigError):
            listener = listen("127.0.0.1", _PORT)
    listener = listener or listen("127.0.0.1", port or 0)
    config = from_environment(environment, Overrides(port=listener.getsockname()[1]))
    application = build(config)
    server = Server(settings(config, application), listener, quiet=True)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield address(listener)
    finally:
        server.should_exit = True
        await serving


async def _show(client: Client, url: str, number: int, stop: Stop) -> bool:
    body = msgspec.json.encode(stop.body)
    head = f"content-type: application/json\r\n{stop.key}\r\n".encode()
    reply = await client.send(Origin.parse(url)[0], "POST", stop.path, head, body, Timeouts())
    answer = (await reply.read(1 << 20)).decode()
    told = " ".join(reply.headers.get(f"x-interlingua-{name}", "-") for name in ("backend", "model"))
    losses = reply.headers.get("x-interlingua-losses")
    print(f"{number}. {stop.title}")
    print(f"   in     {stop.path}  {body.decode()}")
    print(f"   went   to {told}" + (f"; lost: {losses}" if losses else ""))
    print(f"   out    {reply.status}  {_short(answer)}")
    print(f"   again  curl -sN '{url}{stop.path}' -H '{stop.key}' -d '{body.decode()}'\n")
    return reply.status == 200


def _short(text: str) -> str:
    lines = [line for line in text.split("\n") if line]
    shown = lines[0] if len(lines) == 1 else f"{lines[1][:150]} … {len(lines)} lines"
    return shown if len(shown) <= 420 else shown[:420] + " …"


async def _interrupted() -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    await over.wait()
