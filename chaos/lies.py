"""Every fault there is, at every protocol's backend, by every protocol's client: an answer or an error, soon."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Final

from chaos.configs import config, one_of_each
from chaos.faults import DISHONEST, HONEST
from chaos.links import Link
from chaos.load import Question, ask_all, load, questions
from chaos.processes import GatewayProcess, gateway, provider, settled
from chaos.report import Report
from chaos.wires import PROTOCOLS, request

NAME: Final = "lies"
_GROWTH: Final = 96.0  # megabytes that may stay: what the allocator keeps of the largest answers
_HELD: Final = 64.0  # that clients which do not read may cost
_PEAK: Final = 600.0  # that one worker may ever have: a whole answer of 256 MiB, its limit, or the large answers of 64 MiB
_LARGE_AT_ONCE: Final = 5
_SLOWEST: Final = 8.0  # seconds: the deadline is 6

_BACK: Final = 4.0  # seconds: a breaker rests for one, and one request at a time probes
_IN_FLIGHT: Final = "interlingua_requests_in_flight"

_RECOVERING: Final = """
attempts = 2
connect = "1s"
[routing.breaker]
failures = 5
open_for = "1s"
"""


async def scene(folder: Path, report: Report, quick: bool) -> None:
    async with provider(folder, report.seed) as bad, gateway(folder, config(one_of_each(bad.port))) as at:
        await ask_all(at.port, questions(f"{backend}/good-0" for backend in PROTOCOLS), report)
        before = at.process.memory(), at.process.files(), at.process.threads()
        asked = list(questions(_models()))
        if quick:
            Random(report.seed).shuffle(asked)
            asked = asked[:250]
        wrong = await ask_all(at.port, [question for question in asked if not _is_large(question)], report)
        wrong += await ask_all(at.port, [question for question in asked if _is_large(question)], report, _LARGE_AT_ONCE)
        report.check(
            NAME,
            not wrong,
            f"{len(asked)} requests, {len(HONEST) + len(DISHONEST)} faults: {wrong} were not told what they are owed",
        )
        tls = [Question(client, f"tls/x-{number}", number == 0, "error") for client in PROTOCOLS for number in range(2)]
        wrong = await ask_all(at.port, tls, report)
        report.check(NAME, not wrong, f"{len(tls)} requests to a provider whose TLS is garbage: {wrong} without an error")
        report.check(
            NAME, report.slowest < _SLOWEST, f"the slowest was told after {report.slowest:.2f} s, limit {_SLOWEST:.0f} s"
        )
        await _leaving(at, report, 20 if quick else 200)
        if not quick:
            await _floods(at, report)
        await bad.end()
        await _nothing_stays(at, report, before)
    await _comes_back(folder, report, 1 if quick else 3)


def _models() -> Iterator[str]:
    for fault in (*HONEST, *DISHONEST):
        yield from (f"{backend}/{fault}-1" for backend in PROTOCOLS)


def _is_large(question: Question) -> bool:
    return "/bomb-" in question.model


async def _leaving(at: GatewayProcess, report: Report, number: int) -> None:
    """Clients that hang up in the middle: half with their question half asked, half with their answer half told."""

    async def leave(client: str, half: bool, which: int) -> None:
        async with Link(at.port) as link:
            data = request(client, f"{client}/{'slow_start' if which % 2 else 'trickle'}-{which}", True)
            await (link.say(data[: len(data) // 2]) if half else link.say(data))
            await asyncio.sleep(0.1)

    for at_once in range(0, number, 20):
        await asyncio.gather(*(leave(PROTOCOLS[n % 5], n % 4 == 0, n) for n in range(at_once, at_once + 20)))
    gone = await settled(lambda: _none_in_flight(at), 5)
    report.check(
        NAME, gone, f"{number} clients that hung up in the middle left {await at.total(_IN_FLIGHT):.0f} requests under way"
    )


async def _floods(at: GatewayProcess, report: Report) -> None:
    """Clients that ask for a stream without an end, and do not read it; then a whole answer without an end."""
    before = at.process.memory()
    async with AsyncExitStack() as stack:
        for client in PROTOCOLS * 4:
            link = await stack.enter_async_context(Link(at.port))
            await link.say(request(client, "openai/flood-0", True))
        await asyncio.sleep(3)
        held = at.process.memory() - before
    told = f"20 clients that read nothing of an endless stream: {held:.0f} MB held for them, limit {_HELD:.0f}"
    report.check(NAME, held < _HELD, told)
    gone = await settled(lambda: _none_in_flight(at), 5)
    report.check(NAME, gone, f"they hung up, and left {await at.total(_IN_FLIGHT):.0f} requests under way")
    wrong = await ask_all(at.port, [Question("openai", "openai/endless_body-0", False, "error")], report)
    report.check(NAME, not wrong, "a whole answer without an end is an error")


async def _nothing_stays(at: GatewayProcess, report: Report, before: tuple[float, int, int]) -> None:
    """`before`: megabytes, descriptors and threads before anything failed."""
    memory, files, threads = before
    closed = await settled(lambda: at.process.files() <= files, 10)
    report.check(NAME, closed, f"{files} descriptors before, {at.process.files()} after")
    connections, under_way = await at.total("interlingua_upstream_connections", "open"), await at.total(_IN_FLIGHT)
    told = f"{under_way:.0f} requests and {connections:.0f} connections to providers are left"
    report.check(NAME, not under_way and not connections, told)
    grown, peak = at.process.memory() - memory, at.process.peak()
    report.check(NAME, grown < _GROWTH, f"{memory:.0f} MB before, {memory + grown:.0f} after: may grow by {_GROWTH:.0f}")
    report.check(NAME, peak < _PEAK, f"{peak:.0f} MB at the most, limit {_PEAK:.0f}")
    report.check(NAME, at.process.threads() <= threads + 2, f"{threads} threads before, {at.process.threads()} after")
    report.check(NAME, "Traceback" not in at.process.said, f"{at.process.said.count('Traceback')} stack traces in its log")


async def _none_in_flight(at: GatewayProcess) -> bool:
    return not await at.total(_IN_FLIGHT)


async def _comes_back(folder: Path, report: Report, times: int) -> None:
    """While it is away everyone is told so at once; once it is back and a probe has found it, everyone is answered."""
    async with provider(folder, report.seed) as first:
        port = first.port
    clients, slowest, models = 20, 0.0, [f"{one}/away-0" for one in PROTOCOLS]
    async with gateway(folder, config(one_of_each(port), _RECOVERING)) as at, load(at.port, models, report, clients, "") as told:
        for _ in range(times):
            errors = told.errors
            await settled(lambda before=errors: told.errors > before + clients)
            async with provider(folder, report.seed, port):
                began = time.perf_counter()
                await settled(lambda: told.streak > 5 * clients)
                slowest = max(slowest, time.perf_counter() - began)
    back = f"a provider went away and came back {times} times: {told.errors} errors, and everyone is answered"
    report.check(NAME, slowest < _BACK, f"{back} {slowest:.1f} s after it is back, limit {_BACK:.0f}")
