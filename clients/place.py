"""The mock providers, or another's, and the gateway in front of them, as the processes that a user would start."""

import os
import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from msgspec import Struct

_ADDRESS: Final = re.compile(r"[Ll]isten.*(http://127\.0\.0\.1:\d+)")
# A model's name tells its backend, as in a configuration without a file.
_TABLES: Final = """
[routing]
attempts = 1
"""
FAMILIES: Final = {"openai": "gpt-*", "anthropic": "claude-*", "gemini": "gemini-*", "responses": "o4-*", "bedrock": "amazon.*"}


class Place(Struct, frozen=True):
    """A gateway at `url` in front of mock providers at `mock`."""

    url: str
    mock: str

    def clear(self) -> None:
        httpx2.delete(f"{self.mock}/mock/journal").raise_for_status()

    def journal(self) -> list[dict[str, Any]]:
        """What the providers were sent, oldest first."""
        return httpx2.get(f"{self.mock}/mock/journal").raise_for_status().json()["entries"]


@contextmanager
def started(*command: str, folder: Path, env: dict[str, str] | None = None) -> Generator[str]:
    """Runs a server, and whatever that starts, as long as the block; its address is where it says that it listens."""
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        yield next(found[1] for line in process.stdout if (found := _ADDRESS.search(line)))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        process.stdout.close()


@contextmanager
def gateway(folder: Path, origin: str) -> Generator[str]:
    """A gateway whose backends, one for each protocol, are all at `origin`."""
    tables = [_TABLES]
    for name, models in FAMILIES.items():
        own = 'aws_region = "us-east-1"' if name == "bedrock" else ""
        head = f'[backends.{name}]\nprotocol = "{name}"\nurl = "{origin}"\napi_key_env = "ANY"\n{own}'
        tables.append(f'{head}\n[backends.{name}.model_mapping]\n"{models}" = "*"\n')
    (folder / "interlingua.toml").write_text("".join(tables))
    with started("interlingua", "serve", "--port", "0", folder=folder, env=os.environ | {"ANY": "any"}) as url:
        yield url


@contextmanager
def place(folder: Path) -> Generator[Place]:
    """The gateway before the strict mocks."""
    with started("interlingua", "mock", "--port", "0", folder=folder) as mock, gateway(folder, mock) as url:
        yield Place(url, mock)
