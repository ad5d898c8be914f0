"""Embeddings asked of a backend: the client's inputs in as many requests as its provider needs, their answers as one.

Vectors come in the order of the inputs. Usage is the sum of what each answer tells, and not told where one tells none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from msgspec import Struct

from interlingua.config import Backend
from interlingua.embeddings import FLOATS, Embedding, Vectors
from interlingua.errors import InvalidRequest, Unsupported, UpstreamGarbage
from interlingua.ir import Json
from interlingua.losses import Losses
from interlingua.protocols.bedrock.cohere import TOKENS
from interlingua.protocols.embedding import Face, Goal, Wire, joined
from interlingua.protocols.registry import EMBEDDINGS, PROTOCOLS

AT_ONCE: Final = 8  # requests of one client's under way, where a provider takes few inputs in each
Fetch = Callable[[str, Json], Awaitable[tuple[bytes, Mapping[str, str]]]]


class Job(Struct, frozen=True):
    """What is to be asked: the bodies, each for the next inputs."""

    wire: Wire
    path: str
    bodies: list[Json]


def job_of(backend: Backend, model: str, request: Embedding, losses: Losses) -> Job:
    """Raises Unsupported where the model makes no embeddings there, or takes no such input; names the client's field."""
    way = backend.host.embedding(model)
    own = EMBEDDINGS[request.wire]
    if way is None:
        raise Unsupported(f"Backend {backend.name} is not known to make embeddings with {model}", param="model")
    wire = EMBEDDINGS[way.wire]
    try:
        bodies = wire.format_request(request, Goal(model, way.batch, way.quirks), losses)
    except Unsupported as error:
        path = own.field_path(error.failure.param or "", request)
        raise Unsupported(f"{path}: {error.failure.message}", param=path) from None
    return Job(wire, backend.prefix + backend.host.filled(way.path, model), bodies)


async def run(job: Job, fetch: Fetch, request: Embedding) -> Vectors:
    """Raises GatewayError: what befell the first request that failed; the others are given up then."""
    answers = [job.wire.parse_response(*told) for told in await _all(job, fetch)]
    answer, count = joined(answers), len(request.inputs)
    rows = [answer.vectors] if FLOATS in request.types else []
    if not all(len(found) == count for found in (*rows, *answer.others.values())):
        raise UpstreamGarbage(f"The provider was asked for {count} embeddings and gave another number.")
    return answer


async def _all(job: Job, fetch: Fetch) -> list[tuple[bytes, Mapping[str, str]]]:
    if len(job.bodies) == 1:
        return [await fetch(job.path, job.bodies[0])]
    told: dict[int, tuple[bytes, Mapping[str, str]]] = {}
    waiting = iter(enumerate(job.bodies))

    async def work() -> None:
        for number, body in waiting:
            told[number] = await fetch(job.path, body)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(job.bodies))):
                group.create_task(work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [told[number] for number in range(len(told))]


# The client's side


def _of_google(body: Json) -> str:
    return "gemini"


def _of_openai(body: Json) -> str:
    return "openai"


def _by_predict(body: Json) -> str:
    return "predict"


def _by_body(body: Json) -> str:
    """Which of Bedrock's many body formats one is in: each names its input otherwise."""
    if "inputText" in body:
        return "titan"
    if not body.keys().isdisjoint(("texts", "images", "inputs")):
        return "cohere"
    raise InvalidRequest("The body is in none of the formats that are known here: Titan's and Cohere's of embeddings.")


# (action of the door, its protocol) -> the protocol as that client sees it
FACES: Final = {
    ("embed", "openai"): Face(PROTOCOLS["openai"], EMBEDDINGS, _of_openai),
    ("embed", "gemini"): Face(PROTOCOLS["gemini"], EMBEDDINGS, _of_google),
    ("predict", "gemini"): Face(PROTOCOLS["gemini"], EMBEDDINGS, _by_predict),
    ("invoke", "bedrock"): Face(PROTOCOLS["bedrock"], EMBEDDINGS, _by_body),
}


def headers_of(protocol: str, answer: Vectors) -> bytes:
    """What stands beside an answer's body: AWS counts the tokens of InvokeModel there."""
    if protocol == "bedrock" and answer.usage is not None and answer.usage.input is not None:
        return b"%b: %d\r\n" % (TOKENS.encode(), answer.usage.input)
    return b""
