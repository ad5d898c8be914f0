"""A gateway that is reconfigured and ended while it is asked: no request is lost by either."""

import asyncio
import time
from pathlib import Path
from signal import SIGHUP, SIGTERM
from typing import Final

from chaos.configs import config, one_of_each
from chaos.links import Link
from chaos.load import Question, ask, load
from chaos.processes import GatewayProcess, gateway, provider, settled
from chaos.report import Report
from chaos.wires import PROTOCOLS

NAME: Final = "changes"
_ROUTING: Final = 'attempts = 1\nidle = "{}s"\n'
_SERVER: Final = 'drain = "{}"\nlinger = "500ms"\n'
_MODELS: Final = [f"{backend}/{fault}-0" for backend in PROTOCOLS for fault in ("good", "trickle", "slow_start")]


async def scene(folder: Path, report: Report, quick: bool) -> None:
    async with provider(folder, report.seed) as bad:
        for workers in (1,) if quick else (1, 2):
            await _reloads(folder, bad.port, workers, 20 if quick else 100 // workers**2, report)
            await _drain(folder, bad.port, workers, report)
        await _cut_short(folder, bad.port, report)


async def _reloads(folder: Path, port: int, workers: int, number: int, report: Report) -> None:
    """Each by another configuration; most are told by SIGHUP, the last by nothing but the file."""
    async with gateway(folder, config(one_of_each(port), _ROUTING.format(60)), workers) as at:
        before, slowest = len(report.wrong), 0.0
        async with load(at.port, _MODELS, report, 30) as told:
            for n in range(number):
                at.write(config(one_of_each(port), _ROUTING.format(61 + n)))
                began = time.perf_counter()
                at.process.tell(SIGHUP)
                await settled(lambda least=n + 1: _taken(at, least * workers))
                slowest = max(slowest, time.perf_counter() - began)
            seen = await at.total(_RELOADS, 'result="taken"')
            at.write(config(one_of_each(port), _ROUTING.format(60)))
            by_file = await settled(lambda: _taken(at, seen + workers))
        refused, wrong = await at.total(_RELOADS, 'result="refused"'), len(report.wrong) - before
        asked = told.answers + told.errors
        sentence = f"{workers} worker(s), {number} reloads by SIGHUP under {asked} requests, the slowest in {slowest:.1f} s: "
        sentence += f"{wrong} lost, {refused:.0f} refused"
        report.check(NAME, not wrong and not refused and seen >= number * workers, sentence)
        report.check(NAME, by_file, f"{workers} worker(s) took a changed file by themselves")


_RELOADS: Final = "interlingua_config_reloads_total"


async def _taken(at: GatewayProcess, least: float) -> bool:
    return await at.total(_RELOADS, 'result="taken"') >= least


async def _drain(folder: Path, port: int, workers: int, report: Report) -> None:
    """Clients are served until they are told to go elsewhere, open streams to their ends."""
    configured = config(one_of_each(port), _ROUTING.format(60), _SERVER.format("10s"))
    async with gateway(folder, configured, workers) as at:
        before, clients = len(report.wrong), 40
        async with load(at.port, _MODELS, report, clients, stays=lambda: False) as told:
            await settled(lambda: told.answers > 5 * clients)
            ending = asyncio.create_task(at.process.end(SIGTERM))
            code = await ending
            left = await settled(lambda: told.elsewhere == clients, 5)
        wrong = len(report.wrong) - before
        sentence = f"{workers} worker(s) drained under load: {told.answers} answered, {wrong} lost, exit code {code}"
        report.check(NAME, not wrong and left and code == 0, sentence)


async def _cut_short(folder: Path, port: int, report: Report) -> None:
    """A stream that outlasts the drain ends with its protocol's own error."""
    configured = config(one_of_each(port), _ROUTING.format(60), _SERVER.format("1s"))
    async with gateway(folder, configured) as at:
        asked = [Question(client, f"{backend}/stall-0", True, "error") for client in PROTOCOLS for backend in PROTOCOLS]
        before = len(report.wrong)

        async def client(question: Question) -> None:
            async with Link(at.port) as link:
                await ask(link, question, report)

        async def end() -> int:
            await settled(lambda: _all_in_flight(at, len(asked)))
            return await at.process.end(SIGTERM)

        code, *_ = await asyncio.gather(end(), *map(client, asked))
        wrong = len(report.wrong) - before
        report.check(
            NAME, not wrong and code == 0, f"{len(asked)} streams outlasted a drain of 1 s: {wrong} ended without an error"
        )


async def _all_in_flight(at: GatewayProcess, number: int) -> bool:
    return await at.total("interlingua_requests_in_flight") >= number
