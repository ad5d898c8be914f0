"""`make run-real`: a real model answers clients of every protocol. `--once` leaves after the tour."""

import sys
from typing import Final

import uvloop

from bench.process import NotStarted
from interlingua.demo import Stop, gateway, tour
from real.model import model

_MODEL: Final = "smollm2-135m"
_QUESTION: Final = "What is a river?"
_TURN: Final = {"role": "user", "content": _QUESTION}
_CONTENTS: Final = [{"role": "user", "parts": [{"text": _QUESTION}]}]
STOPS: Final = (
    Stop("An OpenAI client", "/v1/chat/completions", {"model": _MODEL, "messages": [_TURN], "max_tokens": 40}),
    Stop("A client of OpenAI Responses", "/v1/responses", {"model": _MODEL, "input": _QUESTION, "max_output_tokens": 40}),
    Stop("An Anthropic client", "/v1/messages", {"model": _MODEL, "messages": [_TURN], "max_tokens": 40}, "x-api-key: any"),
    Stop(
        "A Gemini client",
        f"/v1beta/models/{_MODEL}:generateContent",
        {"contents": _CONTENTS, "generationConfig": {"maxOutputTokens": 40}},
        "x-goog-api-key: any",
    ),
    Stop(
        "A Vertex client",
        f"/v1/projects/p/locations/us-central1/publishers/google/models/{_MODEL}:generateContent",
        {"contents": _CONTENTS, "generationConfig": {"maxOutputTokens": 40}},
    ),
    Stop(
        "An AWS client, by Bedrock's Converse",
        f"/model/{_MODEL}/converse",
        {"messages": [{"role": "user", "content": [{"text": _QUESTION}]}], "inferenceConfig": {"maxTokens": 40}},
    ),
    Stop(
        "An Azure client",
        f"/openai/deployments/{_MODEL}/chat/completions?api-version=2024-10-21",
        {"messages": [_TURN], "max_tokens": 40},
        "api-key: any",
    ),
    Stop("An OpenAI client, streaming", "/v1/chat/completions", {"model": _MODEL, "messages": [_TURN], "stream": True}),
)


def main(once: bool) -> int:
    try:
        with model() as address:
            return uvloop.run(_run(address, once))
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 1


async def _run(address: str, once: bool) -> int:
    async with gateway({"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": address}, None) as url:
        print(f"SmolLM2-135M at {address}, the gateway at {url}. It is a very small model: expect words, not wisdom.\n")
        return await tour(url, STOPS, once)


if __name__ == "__main__":
    sys.exit(main("--once" in sys.argv[1:]))
