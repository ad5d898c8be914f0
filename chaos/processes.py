"""The processes under test: each started here, read by /proc, and ended by its own id."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from chaos.faults import Recorded
from chaos.links import Gone, fetch
from chaos.wires import PROTOCOLS, request
from interlingua.mock import serve

_ROOT: Final = Path(__file__).resolve().parent.parent
_PATIENCE: Final = 20.0  # seconds to start, and to end
_ENVIRONMENT: Final = {
    "CHAOS_KEY": "sk-chaos",
    "AWS_ACCESS_KEY_ID": "AKIACHAOS",
    "AWS_SECRET_ACCESS_KEY": "chaos-secret",
    "NO_PROXY": "*",
}
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") / 1e6


class Process:
    """A started program, which told its port in the line that `listens` finds in its output."""

    def __init__(self, running: asyncio.subprocess.Process) -> None:
        self._running = running
        self._errors = asyncio.create_task(self._hear())
        self.port = 0
        self.said = ""  # on stderr, the end of it

    @classmethod
    async def start(cls, words: Iterable[str], listens: str) -> "Process":
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": str(_ROOT)}
        process = cls(
            await asyncio.create_subprocess_exec(
                sys.executable, *words, stdout=pipe, stderr=pipe, env=environment, cwd=_ROOT, start_new_session=True
            )
        )
        assert process._running.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            while line := (await process._running.stdout.readline()).decode():
                if found := re.match(listens, line):
                    process.port = int(found[1])
                    return process
        await process.end()
        raise RuntimeError(f"it did not start: {process.said}")

    async def _hear(self) -> None:
        assert self._running.stderr is not None
        while data := await self._running.stderr.read(1 << 16):
            self.said = (self.said + data.decode(errors="replace"))[-100_000:]

    @property
    def pid(self) -> int:
        return self._running.pid

    def tell(self, number: signal.Signals) -> None:
        """SIGKILL goes to its children too: no other reaches them of itself."""
        if self._running.returncode is None:
            (os.killpg if number == signal.SIGKILL else os.kill)(self.pid, number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code. What does not end by itself is killed, and its code is then -9."""
        self.tell(number)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._running.wait()
        except TimeoutError:
            self.tell(signal.SIGKILL)
            await self._running.wait()
        await self._errors
        return self._running.returncode or 0

    def everyone(self) -> list[int]:
        """Its own id and its children's."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def files(self) -> int:
        """Open descriptors, sockets among them."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.everyone())

    def threads(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in self.everyone())

    def memory(self) -> float:
        """Resident megabytes."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.everyone()) * _PAGE

    def peak(self) -> float:
        """The most megabytes that one of them ever had resident."""
        told = (re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in self.everyone())
        return max(int(found[1]) for found in told if found) / 1e3


class GatewayProcess:
    """`interlingua serve`. `write` replaces its configuration at once, as an editor does."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "interlingua.toml"
        self.process: Process

    @property
    def port(self) -> int:
        return self.process.port

    def write(self, text: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.rename(self.file)

    async def metrics(self) -> dict[str, float]:
        """Every series: `name{labels}` to its value."""
        lines = (await fetch(self.port, "/metrics")).decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] not in ("", "#"))}

    async def total(self, name: str, *labels: str) -> float:
        """The sum of a metric's series that have all of `labels`, which are written as Prometheus writes them."""
        found = await self.metrics()
        return sum(value for key, value in found.items() if key.partition("{")[0] == name and all(one in key for one in labels))


@asynccontextmanager
async def gateway(folder: Path, config: str, workers: int = 1) -> AsyncGenerator[GatewayProcess]:
    """A gateway, ready to be asked. It is killed at the end, unless it has ended."""
    running = GatewayProcess(folder)
    running.write(config)
    words = ["-m", "interlingua", "serve", "--config", str(running.file), "--port", "0", "--workers", str(workers)]
    running.process = await Process.start(words, r"Interlingua listens on \S+:(\d+)")
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                try:
                    await fetch(running.port, "/ready")
                    break
                except Gone:
                    await asyncio.sleep(0.02)
        yield running
    finally:
        await running.process.end(signal.SIGKILL)


@asynccontextmanager
async def provider(folder: Path, seed: str, port: int = 0) -> AsyncGenerator[Process]:
    """A bad provider in a process of its own."""
    words = ["-m", "chaos.provider", str(folder), "--port", str(port), "--seed", seed]
    process = await Process.start(words, r"(\d+)")
    try:
        yield process
    finally:
        await process.end(signal.SIGKILL)


async def counts(provider: Process) -> dict[str, Any]:
    """What a provider has seen: `connections`, those `open`, and `requests` by fault."""
    return msgspec.json.decode(await fetch(provider.port, "/chaos/counts"), type=dict[str, Any])


async def record(folder: Path) -> None:
    """What the mock providers answer, whole and streamed, in every protocol: as bytes, into a file for the bad provider."""
    recorded: list[Recorded] = []
    async with serve() as mock:
        port = int(mock.url.rpartition(":")[2])
        for protocol in PROTOCOLS:
            for stream in (False, True):
                model = "anthropic.claude-haiku-4-5-20251001-v1:0" if protocol == "bedrock" else _MODELS[protocol]
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request(protocol, model, stream).replace(b"host: chaos", b"host: chaos\r\nconnection: close"))
                raw = await reader.read(-1)
                writer.close()
                recorded.append(_split(protocol, stream, raw))
    (folder / "recorded").write_bytes(msgspec.msgpack.encode(recorded))


_MODELS: Final = {
    "openai": "gpt-4o",
    "responses": "gpt-4o",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.5-flash",
}


def _split(protocol: str, stream: bool, raw: bytes) -> Recorded:
    head, _, framed = raw.replace(b"connection: close\r\n", b"", 1).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the mock does not answer {protocol}: {raw[:400]!r}")
    if b"\r\ntransfer-encoding: chunked" not in head.lower():
        return Recorded(protocol, stream, head, framed, framed)
    body, rest = b"", framed
    while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
        start = rest.index(b"\r\n") + 2
        body, rest = body + rest[start : start + size], rest[start + size + 2 :]
    return Recorded(protocol, stream, head, framed, body)


async def settled(condition: Any, seconds: float = 15.0) -> bool:
    """Whether it came to pass in time. `condition`: gives whether it has, or a promise of that."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = condition()
        if await found if asyncio.iscoroutine(found) else found:
            return True
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.05)
