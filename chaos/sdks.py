"""The official SDKs, unmodified, as the tests drive them (tests/five.py): what their user would see."""

import asyncio
import gc
import time
from collections.abc import Iterable

from five import RAISED, Ask, speaking

from chaos.load import Question
from chaos.report import Report
from chaos.wires import SAID, WORDS

_AT_ONCE = 8


async def ask_sdks(port: int, asked: Iterable[Question], report: Report) -> int:
    """How many were not told what they are owed, to which an error is no answer unless the SDK raises it."""
    lists: dict[tuple[str, str], list[Question]] = {}
    for question in asked:  # a client for each of its models
        lists.setdefault((question.client, question.model.partition("/")[0]), []).append(question)
    before, turn = len(report.wrong), asyncio.Semaphore(_AT_ONCE)

    async def client(name: str, mine: list[Question]) -> None:
        async with turn, speaking(name, f"http://127.0.0.1:{port}") as say:
            for question in mine:
                await _ask(say, question, report)

    await asyncio.gather(*(client(name, mine) for (name, _), mine in lists.items()))
    gc.collect()  # a stream that raised is nobody's; while the loop runs its generators can still be closed
    await asyncio.sleep(0.1)
    return len(report.wrong) - before


async def _ask(say: Ask, question: Question, report: Report) -> None:
    began = time.perf_counter()
    try:
        told = await say(question.model, WORDS, question.stream, {})
        verdict, shown = ("answer" if told.text == SAID else "silent"), told.text
    except RAISED as error:
        verdict, shown = "error", f"{type(error).__name__}: {error}"
    except Exception as error:  # none of the SDK's own: its user has no name for it
        verdict, shown = "lost", f"{type(error).__name__}: {error}"
    report.count(question.client, f"{question.fault}, by SDK", verdict, time.perf_counter() - began)
    if verdict != question.owed:
        report.wrong.append(f"{question} by its SDK, was owed {question.owed}, got {verdict}: {shown}")
