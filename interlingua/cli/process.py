"""One process of the CLI in a house of its own: a private home, an empty working folder, an environment of what it needs and
no more, a process group that ends as a whole. Nothing that it writes outlives it.

Settings as of Gemini CLI 0.61: no tools, no extensions, no telemetry, no updates, no listing of files, and no tries of its
own, which would take longer than anybody waits. Its error reports, which quote the conversation, go to TMPDIR: it is ours.
"""

import asyncio
import os
import shutil
import signal
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from interlingua.cli.prompt import NEUTRAL
from interlingua.config import INSTALL_CLI
from interlingua.errors import UpstreamUnreachable
from interlingua.ir import Json
from interlingua.protocols.wire import encode_json

_SETTINGS: Final[Json] = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "general": {
        "enableAutoUpdate": False,
        "enableAutoUpdateNotification": False,
        "maxAttempts": 1,
        "checkpointing": {"enabled": False},
        "sessionRetention": {"enabled": False},
    },
    "mcpServers": {},
    "tools": {"core": []},
    "context": {"includeDirectoryTree": False, "fileName": "no-such-file.md"},
    "model": {"skipNextSpeakerCheck": True, "disableLoopDetection": True},
}
# How the outside is reached is the machine's matter: these are handed on where they are set
_HANDED_ON: Final = (
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TZ",
)
_TAIL: Final = 4096  # bytes of its last words that are kept
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Launch(Struct, frozen=True):
    """What every process of one backend is started with. No Secret, as its environment must be said; never shown."""

    command: str
    key: str
    url: str | None = None

    def environment(self, house: "House", environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        env = {name: environ[name] for name in _HANDED_ON if environ.get(name)}
        if self.url is not None:
            env["GOOGLE_GEMINI_BASE_URL"] = self.url
        absent = str(house.home / "absent.json")
        return env | {
            "HOME": str(house.home),
            "TMPDIR": str(house.home / "tmp"),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "GEMINI_API_KEY": self.key,
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GEMINI_CLI_SYSTEM_SETTINGS_PATH": absent,
            "GEMINI_CLI_SYSTEM_DEFAULTS_PATH": absent,
            "GEMINI_SYSTEM_MD": str(house.system),
        }

    def __repr__(self) -> str:
        return f"Launch({self.command!r}, ...)"

    def hidden(self, words: str) -> str:
        """Words of the CLI without the key, should it have quoted it."""
        return words.replace(self.key, "***") if self.key else words


class House:
    """The folders of one process; readable by nobody else, gone with it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="interlingua-cli-"))
        self.system = self.home / "system.md"
        self.work = self.home / "work"
        for folder in (self.home / "tmp", self.home / ".gemini", self.work / ".gemini"):
            folder.mkdir(parents=True)
        (self.home / ".gemini/settings.json").write_bytes(encode_json(_SETTINGS))
        self.system.write_text(NEUTRAL)  # there is none yet, and it must be there
        (self.work / ".gemini/.env").touch()  # where the CLI stops looking for one, folder by folder up to the root

    def room(self, name: str, settings: Json) -> Path:
        """A working folder with settings of its own."""
        room = self.work / name
        (room / ".gemini").mkdir(parents=True)
        (room / ".gemini/settings.json").write_bytes(encode_json(settings))
        return room

    def clear(self, name: str) -> None:
        """Takes away a room, and what the CLI wrote down of what was said in it."""
        for folder in (self.work, self.home / ".gemini/tmp", self.home / ".gemini/history"):
            shutil.rmtree(folder / name, ignore_errors=True)

    def remove(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)


class Running:
    """A process and its last words."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self.process = process
        self.stdin, self.stdout = process.stdin, process.stdout
        self._tail = bytearray()
        self._listening = asyncio.create_task(self._listen(process.stderr))

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while words := await stderr.read(_TAIL):
            self._tail += words
            del self._tail[:-_TAIL]

    @property
    def words(self) -> str:
        return self._tail.decode("utf-8", "replace").strip()

    @property
    def memory(self) -> int:
        """Bytes of it in memory; 0 where the system does not tell."""
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_bytes().split()[1]) * _PAGE
        except (OSError, IndexError):
            return 0

    def kill(self) -> None:
        """Ends the whole group, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def reap(self) -> int:
        """Kills what is left of it, and waits until nothing is. Returns its exit code."""
        self.kill()
        code = await self.process.wait()
        await self._listening
        self.stdin.close()
        return code


async def run(launch: Launch, house: House, *arguments: str, cwd: Path | None = None) -> Running:
    """Raises UpstreamUnreachable where it cannot be started."""
    where, env = cwd or house.work, launch.environment(house)
    try:
        return Running(
            await asyncio.create_subprocess_exec(
                found(launch.command),
                *arguments,
                cwd=where,
                env=env,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,
            )
        )
    except OSError as error:
        raise UpstreamUnreachable(f"The Gemini CLI cannot be started: {launch.command}: {error.strerror}.") from None


def unwritten(error: OSError) -> UpstreamUnreachable:
    return UpstreamUnreachable(f"The Gemini CLI's folders cannot be written: {error.strerror}.")


def found(command: str) -> str:
    """The command's path. Raises UpstreamUnreachable where there is none any more."""
    path = shutil.which(command)
    if path is None:
        raise UpstreamUnreachable(f"The Gemini CLI is gone: `{command}` is no command here. Install it: {INSTALL_CLI}")
    return path
