"""`interlingua serve` as a person starts it: a process of its own, its address read from the line that it prints."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from running import BACKENDS, KEYS, Place
from server_wire import ask

from interlingua.mock import MockServer, serve


class Started(Place):
    """`write` replaces its configuration at once, as an editor or Kubernetes does."""

    def __init__(self, mock: MockServer, file: Path) -> None:
        super().__init__("http://127.0.0.1:0")
        self.mock = mock
        self.file = file

    def write(self, backends: str = BACKENDS, server: str = 'drain = "10s"', more: str = "") -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"[server]\nport = 0\n{server}\n{more}\n" + backends.replace("{url}", self.mock.url))
        new.rename(self.file)


@asynccontextmanager
async def process(folder: Path, *words: str, **said: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Started]]:
    """The process, and the mock behind it; `said` is what its configuration is written of."""
    async with serve() as mock:
        file = folder / "interlingua.toml"
        started = Started(mock, file)
        started.write(**said)
        command = [sys.executable, "-m", "interlingua", "serve", "--config", str(file), *words]
        pipe = asyncio.subprocess.PIPE
        running = await asyncio.create_subprocess_exec(
            *command, stdout=pipe, stderr=pipe, env={**os.environ, **KEYS}, start_new_session=True
        )
        try:
            started.url = (await listening(running)).url
            yield running, started
        finally:
            if running.returncode is None:
                os.killpg(running.pid, signal.SIGKILL)
                await running.wait()


async def listening(running: asyncio.subprocess.Process) -> Place:
    assert running.stdout is not None
    async with asyncio.timeout(15):
        while not (line := (await running.stdout.readline()).decode()).startswith("Interlingua listens on "):
            assert line, "it ended"
        place = Place(line.split()[3])
        while True:
            try:
                assert (
                    await ask(place, "openai", b"", path="/ready", method="GET", heads={"content-length": None})
                ).status == 200
                return place
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.02)


async def ended(running: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Its exit code, and what it said on stderr."""
    async with asyncio.timeout(15):
        _, errors = await running.communicate()
    return running.returncode, errors.decode()


def left(group: int) -> list[str]:
    """Processes of a group that still run; one that has ended but that nobody has waited for does not."""
    found: list[str] = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = file.read_text().rpartition(")")
        except OSError:
            continue
        state, _, group_of_it, *_ = rest.split()
        if int(group_of_it) == group and state != "Z":
            found.append(name)
    return found
