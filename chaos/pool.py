"""Three backends for a model: one is killed, one always answers 429. No client hears of it, and the dead one is left in peace."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from signal import SIGKILL
from typing import Final

from chaos.configs import backend, config
from chaos.load import Question, ask_all
from chaos.processes import Process, counts, gateway, provider
from chaos.report import Report
from chaos.sdks import ask_sdks
from chaos.wires import PROTOCOLS

NAME: Final = "pool"
_OPEN_FOR: Final = 2.0  # seconds that a breaker rests
_FAILURES: Final = 3
_AT_ONCE: Final = 24
_ROUTING: Final = f"""
strategy = "least_busy"
attempts = 3
[routing.breaker]
failures = {_FAILURES}
open_for = "{_OPEN_FOR:g}s"
"""
_POOLS: Final = len(PROTOCOLS)


async def scene(folder: Path, report: Report, quick: bool) -> None:
    requests, sample = (1_000, 2) if quick else (10_000, 20)
    async with AsyncExitStack() as stack:
        well, busy, dying = [await stack.enter_async_context(provider(folder, report.seed)) for _ in range(3)]
        at = await stack.enter_async_context(gateway(folder, config(_pools(well, busy, dying), _ROUTING)))
        wrong = await ask_all(at.port, _asked(requests // 5), report, _AT_ONCE)
        report.check(NAME, (alive := await _served(dying)) > 0, f"of {requests // 5} requests the dying one served {alive}")
        _, more = await asyncio.gather(_killed(dying, alive), ask_all(at.port, _asked(requests // 5), report, _AT_ONCE))
        cost = await at.total("interlingua_retries_total", 'backend="dying', 'cause="connect"')
        async with _grave(dying.port) as visits:
            began = time.monotonic()
            wrong += more + await ask_all(at.port, _asked(requests - requests // 5 * 2), report, _AT_ONCE)
            by_sdk = await ask_sdks(at.port, _sampled(sample), report)
            dead = time.monotonic() - began
        told = f"{requests} requests by raw clients, {sample * _POOLS**2} by SDKs: {wrong + by_sdk} failed"
        report.check(NAME, not wrong + by_sdk, told)
        most = _POOLS * _FAILURES + _AT_ONCE
        told = f"its death cost {cost:.0f} attempts, at most {most}: {_FAILURES} a pool, and what was under way"
        report.check(NAME, cost <= most, told)
        most = _POOLS * (dead / _OPEN_FOR + 1) + max(0, _POOLS * _FAILURES - cost)  # breakers that are yet to open
        told = f"in the {dead:.1f} s after that it had {len(visits)} probes, at most {most:.0f}: one a pool each {_OPEN_FOR:g} s"
        report.check(NAME, len(visits) <= most, told)
        refused = (await counts(busy))["requests"]["limited"]
        report.check(
            NAME, refused < requests / 10, f"the busy one, which wants a second's rest each time, was asked {refused} times"
        )


def _pools(well: Process, busy: Process, dying: Process) -> str:
    """A pool for each protocol of the one that is well; its others speak other protocols."""
    return "".join(
        backend(f"{name}-{n}", PROTOCOLS[(n + shift) % _POOLS], f"http://127.0.0.1:{process.port}", {f"pool-{n}": model})
        for n in range(_POOLS)
        for shift, (name, process, model) in enumerate(
            (("well", well, "good-0"), ("busy", busy, "limited-0"), ("dying", dying, "good-0"))
        )
    )


def _asked(number: int) -> Iterator[Question]:
    for n in range(number):
        yield Question(PROTOCOLS[n % 5], f"pool-{n // 5 % _POOLS}", n // 25 % 2 == 0, "answer")


def _sampled(each: int) -> Iterator[Question]:
    for n in range(each):
        yield from (Question(client, f"pool-{pool}", n % 2 == 0, "answer") for client in PROTOCOLS for pool in range(_POOLS))


async def _served(provider: Process) -> int:
    return (await counts(provider))["requests"].get("good", 0)


async def _killed(provider: Process, served: int) -> None:
    """In the middle of what it is doing: once it has served more than `served`."""
    async with asyncio.timeout(10.0):
        while await _served(provider) <= served:
            await asyncio.sleep(0)
    await provider.end(SIGKILL)


@asynccontextmanager
async def _grave(port: int) -> AsyncGenerator[list[float]]:
    """Takes a dead provider's port, to see who still comes; resets each. When they came is the list."""
    visits: list[float] = []

    def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(time.monotonic())
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(visit, "127.0.0.1", port)
    try:
        yield visits
    finally:
        server.close()
        await server.wait_closed()
