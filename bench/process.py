"""Processes under test: each in a group of its own, on a core of its own, counted by /proc, and always ended by its own id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

PROXY_CORE: Final = 0
LOAD_CORE: Final = 1
_TICK_US: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")
_PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") / 1e6


class NotStarted(Exception):
    """A system that cannot be measured; says why."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def pin(core: int) -> Callable[[], None]:
    """Binds the calling process to `core`, where there are two to share out."""
    cores = sorted(os.sched_getaffinity(0))

    def bind() -> None:
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[core]})

    return bind


class Process:
    """A started program. `ready_after`: seconds from its start to the first 200 at `ready`."""

    def __init__(self, name: str, argv: list[str], core: int, logs: Path, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.ready_after = 0.0
        self.log = logs / f"{name}.log"
        self._born = time.perf_counter()
        with self.log.open("wb") as out:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | (env or {}),
                start_new_session=True,
                preexec_fn=pin(core),
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def wait_ready(self, port: int, path: str, limit: float = 10.0) -> None:
        """Returns when `path` answers 200; raises NotStarted when it ends or `limit` seconds pass first."""
        while not _answers(port, path):
            waited = time.perf_counter() - self._born
            if self._popen.poll() is not None or waited > limit:
                lines = self.log.read_text(errors="replace").strip().splitlines()
                raise NotStarted(f"{self.name} did not start: {lines[-1] if lines else 'it said nothing'} ({self.log})")
            time.sleep(0.005)
        self.ready_after = time.perf_counter() - self._born

    def _stats(self) -> list[list[str]]:
        """The fields of /proc/PID/stat after the name, of every process of the group."""
        found: list[list[str]] = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if int(fields[2]) == self._popen.pid:
                    found.append(fields)
        return found

    def cpu_us(self) -> float:
        """User and system time of the group so far, ended children included."""
        return sum(sum(int(ticks) for ticks in fields[11:15]) for fields in self._stats()) * _TICK_US

    def rss_mb(self) -> float:
        """Resident memory of the group; pages shared among its processes count once each."""
        return sum(int(fields[21]) for fields in self._stats()) * _PAGE_MB

    def reread(self) -> None:
        """Asks it to read its configuration again."""
        self._popen.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        for sign, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(self._popen.pid, sign)
                self._popen.wait(patience)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


def _answers(port: int, path: str) -> bool:
    """Whether a GET of `path` is answered with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in link.recv(1024).partition(b"\r\n")[0]
    except OSError:
        return False
