"""Lines for files that take turns: written by a thread of its own, so that nobody waits for a disk.

What waits is bounded; what finds no room is dropped, counted, and told in the next line that is written. Each file has a limit,
and the folder a number of files: the oldest goes, but never one that a process still writes (it holds a lock on it).
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO, Final

MOST_LINES: Final = 1000  # that may wait
MOST_BYTES: Final = 64 << 20
_QUIET: Final = 60.0  # seconds between two complaints
_Make = Callable[[], bytes]
_log = logging.getLogger("interlingua")


class Lines:
    """`size`: bytes of one file; `files`: how many are kept. Call `put` from one thread alone."""

    def __init__(self, folder: Path, stem: str, size: int, files: int) -> None:
        self._folder, self._stem, self._size, self._files = folder, stem, size, files
        self._queue: SimpleQueue[tuple[_Make, int] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._put = self._put_bytes = 0  # counted by who puts
        self._done = self._done_bytes = 0  # by the thread
        self._file: BinaryIO | None = None
        self._number = 0
        self._complained = 0.0
        self._told = 0
        self.dropped = 0  # for want of room
        self.failed = 0  # could not be made or written

    def put(self, make: _Make, weight: int) -> bool:
        """A line that the thread will make, of about `weight` bytes. False where there is no room: it is dropped."""
        if self._put - self._done >= MOST_LINES or self._put_bytes - self._done_bytes + weight > MOST_BYTES:
            self.dropped += 1
            return False
        self._put += 1
        self._put_bytes += weight
        self._queue.put((make, weight))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="interlingua-lines", daemon=True)
            self._thread.start()
        return True

    def close(self) -> None:
        """Returns when everything is written."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            make, weight = entry
            try:
                if self.dropped != self._told:
                    told = self.dropped
                    self._write(b'{"dropped":%d}\n' % (told - self._told))
                    self._told = told
                self._write(make() + b"\n")
            except Exception as error:
                self._complain(error)
            self._done += 1
            self._done_bytes += weight
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next(self) -> tuple[_Make, int] | None:
        """The next line; what was written goes to the file before anybody waits."""
        try:
            return self._queue.get_nowait()
        except Empty:
            if self._file is not None:
                try:
                    self._file.flush()
                except OSError as error:
                    self._complain(error)
            return self._queue.get()

    def _complain(self, error: Exception) -> None:
        """Once in a while: a full disk would fill the log too."""
        self.failed += 1
        now = time.monotonic()
        if not self._complained or now - self._complained > _QUIET:
            self._complained = now
            why = (error.strerror or "") if isinstance(error, OSError) else type(error).__name__
            _log.error("A line for %s was not written: %s", self._folder, why)

    def _write(self, line: bytes) -> None:
        if self._file is not None and self._file.tell() + len(line) > self._size and self._file.tell():
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = self._open()
        self._file.write(line)

    def _open(self) -> BinaryIO:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        name = f"{self._stem}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{self._number:05}.jsonl"
        file = open(self._folder / name, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))
        fcntl.flock(file, fcntl.LOCK_SH)
        self._prune()
        return file

    def _prune(self) -> None:
        found = sorted(self._folder.glob(f"{self._stem}-*.jsonl"), key=lambda path: (path.stat().st_mtime_ns, path.name))
        for path in found[: -self._files]:
            with open(path, "rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
            path.unlink(missing_ok=True)
