"""Raw clients that ask: a list of questions once, or one question each for as long as they are wanted."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chaos.faults import DISHONEST
from chaos.links import Gone, Link
from chaos.report import Report
from chaos.wires import PROTOCOLS, judge, request

_AT_ONCE: Final = 40


class Question(Struct, frozen=True):
    """`model` is the gateway's name; the fault that it asks for is its last part. `owed`: what the client must be told; "":
    an answer or an error of its own protocol."""

    client: str
    model: str
    stream: bool
    owed: str

    @property
    def fault(self) -> str:
        return self.model.rpartition("/")[2].partition("-")[0]

    def __str__(self) -> str:
        return f"a {self.client} client asked {self.model} {'streamed' if self.stream else 'whole'}"


def questions(models: Iterable[str]) -> Iterator[Question]:
    """Every client asks every model, whole and streamed."""
    for model in models:
        fault = model.rpartition("/")[2].partition("-")[0]
        for client in PROTOCOLS:
            for stream in (False, True):
                yield Question(client, model, stream, "error" if fault in DISHONEST else "answer")


async def ask(link: Link, question: Question, report: Report) -> str:
    """The verdict, counted. What was owed and not given is told."""
    began = time.perf_counter()
    try:
        reply = await link.ask(request(question.client, question.model, question.stream))
        verdict, shown = judge(question.client, question.stream, reply), f"{reply.status} {reply.body[-300:]!r}"
        if verdict == "silent" and not reply.whole:
            shown += " and the connection ended"
    except Gone as error:
        verdict, shown = "lost", str(error)
    report.count(question.client, question.fault, verdict, time.perf_counter() - began)
    if verdict not in (question.owed or "answer error").split():
        report.wrong.append(f"{question}, was owed {question.owed}, got {verdict}: {shown}")
    return verdict


async def ask_all(port: int, asked: Iterable[Question], report: Report, at_once: int = _AT_ONCE) -> int:
    """How many were not given what they were owed."""
    before, waiting = len(report.wrong), iter(asked)

    async def client() -> None:
        async with Link(port) as link:
            for question in waiting:
                await ask(link, question, report)

    await asyncio.gather(*(client() for _ in range(at_once)))
    return len(report.wrong) - before


class Load(Struct):
    """What clients that keep asking were told: so many in all, the latest in a row answered. `elsewhere`: so many were told that
    their connection ends, and left."""

    answers: int = 0
    errors: int = 0
    streak: int = 0
    elsewhere: int = 0

    def note(self, verdict: str) -> None:
        if verdict == "answer":
            self.answers += 1
            self.streak += 1
        else:
            self.errors += 1
            self.streak = 0


@asynccontextmanager
async def load(
    port: int,
    models: Iterable[str],
    report: Report,
    clients: int = 20,
    owed: str | None = None,
    stays: Callable[[], bool] = lambda: True,
) -> AsyncGenerator[Load]:
    """Each client has one question and one connection; it comes back after a close only while `stays()`. `owed` None: what
    each model's fault owes."""
    told, over = Load(), asyncio.Event()
    mix = [question if owed is None else replace(question, owed=owed) for question in questions(models)]

    async def client(question: Question) -> None:
        async with Link(port) as link:
            while not over.is_set():
                verdict = await ask(link, question, report)
                told.note(verdict)
                if verdict != "answer":
                    await asyncio.sleep(0.01)
                if link.told_to_close and not stays():
                    told.elsewhere += 1
                    return

    tasks = [asyncio.create_task(client(mix[number * 7 % len(mix)])) for number in range(clients)]
    try:
        yield told
    finally:
        over.set()
        await asyncio.gather(*tasks)
