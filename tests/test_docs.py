"""Every command that README and docs show is run here as it stands, but for ports and keys."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from interlingua.demo import STOPS
from interlingua.mock.server import background

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.M | re.S)
KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "CI_KEY",
    "VERTEX_TOKEN",
    "VIRTUAL_SECRET",
)


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of every line of every shell block; comments are for people."""
    for page in PAGES:
        for kind, text in BLOCK.findall(page.read_text()):
            if kind == "sh":
                for line in text.replace("\\\n", " ").splitlines():
                    if (command := re.sub(r"\s+# .*", "", line).strip()) and not command.startswith("#"):
                        yield page.name, command


ALL = list(commands())


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], str]]:
    """A user's folder with the example configuration, an `interlingua` on the PATH, keys, and a mock: its address."""
    folder = tmp_path_factory.mktemp("docs")
    tool = folder / "bin" / "interlingua"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m interlingua "$@"\n')
    tool.chmod(0o755)
    example = (ROOT / "interlingua.example.toml").read_text()
    (folder / "interlingua.example.toml").write_text(example)
    (folder / "interlingua.toml").write_text(example)
    path = f"{tool.parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder)} | dict.fromkeys(KEYS, "docs-key")
    with background() as mock:
        yield folder, env, mock.url


@pytest.mark.parametrize(("page", "command"), ALL, ids=[f"{page}:{command[:40]}" for page, command in ALL])
def test_a_command_of_the_docs_runs(page: str, command: str, room: tuple[Path, dict[str, str], str]) -> None:
    folder, env, mock = room
    if command.startswith("make "):
        target = command.split()[1]
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), f"no such target: {target}"
        return
    if command.startswith("export "):
        assert command.partition("=")[0].removeprefix("export ") in KEYS
        return
    command = command.removeprefix(".venv/bin/").replace(".venv/bin/python", shlex.quote(sys.executable))
    if re.match(r"(\w+=\S+ )*interlingua (serve|mock)\b", command):
        stays(command, folder, env)
        return
    command = command.replace("http://127.0.0.1:9000/providers/anthropic", mock)
    for port in ("9000", "9100"):
        command = command.replace(f"http://127.0.0.1:{port}", mock)
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{page}: {command}\n{done.stdout}\n{done.stderr}"
    assert done.stdout


def stays(command: str, folder: Path, env: dict[str, str]) -> None:
    """A server says where it listens, and ends with 0 when asked to. Variables before the command are its configuration."""
    words = shlex.split(command) + ["--port", "0"]
    if "=" in words[0]:
        given = list(takewhile(lambda word: "=" in word, words))
        words, folder = words[len(given) :], folder / "empty"
        env = env | {name: value for name, _, value in (word.partition("=") for word in given)}
        folder.mkdir(exist_ok=True)
    process = subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        said = ""
        while "http://127.0.0.1:" not in said or " listen" not in said:
            line = process.stdout.readline()
            assert line, f"{command} ended: {said}"
            said = line
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_the_readmes_python_runs() -> None:
    code = next(text for kind, text in BLOCK.findall((ROOT / "README.md").read_text()) if kind == "python")
    with background() as mock:
        code = code.replace("http://127.0.0.1:9000", mock.url).replace("claude-sonnet-4-5", "gpt-4o")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_mocks_python_runs() -> None:
    code = next(text for kind, text in BLOCK.findall((ROOT / "docs" / "mock.md").read_text()) if kind == "python")
    start, _, rest = code.partition("\n\n")
    body = "\n".join(f"    {line}" for line in rest.splitlines())
    scope: dict[str, Any] = {}
    exec(f"{start}\n\nasync def main():\n{body}\n", scope)  # as a reader would paste it into an async function
    asyncio.run(scope["main"]())


def test_the_demo_makes_its_tour() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "interlingua", "demo", "--once"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("   out    200") == len(STOPS) == 8
    assert "lost: generationConfig.topK;dropped" in done.stdout
    assert not done.stderr


def test_every_link_leads_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
