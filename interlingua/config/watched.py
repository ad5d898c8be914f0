"""Whether the files of a configuration have changed: looked at now and then, by their place, time and size, then their bytes.

A file that is being written is left alone until it rests: two looks must agree before it is read. Replacing a file or the
link to it, as Kubernetes does, is a change; touching it is none.
"""

import os
from hashlib import sha256
from pathlib import Path

from interlingua.config.environment import SOURCE
from interlingua.config.settings import Config

_Seen = tuple[tuple[int, int, int] | None, ...]


class Watched:
    """The file, and those it names that hold keys."""

    def __init__(self, config: Config) -> None:
        self._files: tuple[Path, ...] = ()
        self._seen: _Seen = ()
        self._read = b""
        self._moving = False
        self.of(config)
        self._read, self._moving = b"", True  # the files may have changed since `config` was read

    def of(self, config: Config) -> None:
        """Another configuration is in force."""
        if config.source == SOURCE:
            return
        source = Path(config.source)
        named = [backend.settings.api_keys_file for backend in config.backends.values()]
        files = (source, *(source.parent / name for name in named if name))
        if files != self._files:
            self._files = files
            self.mark()

    def mark(self) -> None:
        """The files are about to be read as they are."""
        self._seen, self._read = self._look(), self._digest()
        self._moving = False

    def changed(self) -> bool:
        """True once for each change, when it is over."""
        seen = self._look()
        if seen != self._seen:
            self._seen, self._moving = seen, True
            return False
        if not self._moving:
            return False
        self._moving = False
        read = self._digest()
        if read == self._read:
            return False
        self._read = read
        return True

    def _look(self) -> _Seen:
        return tuple(_stat(file) for file in self._files)

    def _digest(self) -> bytes:
        whole = sha256()
        for file in self._files:
            try:
                whole.update(sha256(file.read_bytes()).digest())
            except OSError:
                whole.update(b"-")
        return whole.digest()


def _stat(file: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
