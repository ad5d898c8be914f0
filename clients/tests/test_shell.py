"""The shell commands of docs/clients/: Codex CLI and Gemini CLI as real clients, and curl."""

import json
import subprocess
from pathlib import Path

import pytest

from clients.place import Place
from clients.recipes import Recipe, recipes

SHELL = {recipe.name: recipe for recipe in recipes() if recipe.kind == "sh"}
CURLS = {name: recipe for name, recipe in SHELL.items() if name.startswith("curl-")}
# The client's tool and the words of what it gave: for Codex a shell, whose `mock` is the test's own
TOOLS = {"codex-1": ("exec_command", "18 files"), "gemini-cli-1": ("update_topic", "mock strategic_intent")}
# backend -> model
MODELS = {"openai": "gpt-4o", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
QUESTION = "How many files are here?"
CASES = [("codex-1", "anthropic"), ("codex-1", "gemini"), ("gemini-cli-1", "openai"), ("gemini-cli-1", "anthropic")]


def ran(recipe: Recipe, text: str, folder: Path, path: str) -> str:
    """What the commands print, in an empty folder of a user who has nothing yet."""
    work, tools = folder / "work", folder / "bin"
    work.mkdir()
    tools.mkdir()
    (tools / "mock").write_text("#!/bin/sh\necho 18 files\n")
    (tools / "mock").chmod(0o755)
    (folder / ".profile").write_text(f'PATH="{tools}:$PATH"\n')  # Codex runs its commands in a login shell
    env = {"PATH": path, "HOME": str(folder)}
    done = subprocess.run(
        ["sh", "-e", "-c", text], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{recipe.name}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_block_is_run_here() -> None:
    assert SHELL.keys() == TOOLS.keys() | CURLS.keys()
    assert {SHELL[name].needs for name in TOOLS} == {("@openai/codex",), ("@google/gemini-cli",)}


@pytest.mark.parametrize(("name", "backend"), CASES)
def test_an_agent_answers(name: str, backend: str, before: Place, tmp_path: Path, path: str) -> None:
    said = ran(SHELL[name], SHELL[name].at(before.url, MODELS[backend]), tmp_path, path)
    assert QUESTION in said and "You said: " in said
    (asked,) = before.journal()
    assert (asked["vendor"], asked["stream"], asked["done"]) == (backend, True, True)
    assert asked["chunks"] > 1


@pytest.mark.parametrize(("name", "backend"), CASES)
def test_an_agent_uses_its_own_tool(name: str, backend: str, before: Place, tmp_path: Path, path: str) -> None:
    said = ran(SHELL[name], SHELL[name].at(before.url, f"{MODELS[backend]}-mock-tool_once"), tmp_path, path)
    tool, result = TOOLS[name]
    assert said.startswith(f"The tools gave: {tool}: ")
    assert result in said
    first, last = before.journal()
    assert {first["vendor"], last["vendor"]} == {backend}
    assert result not in json.dumps(first["body"]) and result in json.dumps(last["body"])


@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.parametrize("name", CURLS)
def test_curl_gets_what_the_page_promises(name: str, backend: str, before: Place, tmp_path: Path, path: str) -> None:
    text = CURLS[name].at(before.url, MODELS[backend])
    said = ran(CURLS[name], text, tmp_path, path)
    asked = before.journal()
    assert {entry["vendor"] for entry in asked} == {backend}
    assert [entry["stream"] for entry in asked] == [line.startswith("curl -sN") for line in text.splitlines() if line[0] == "c"]
    assert said.count("You said: Why is the sky blue?") >= 1
    assert ("mock city" in said) is ('"tools"' in text)
    assert ("blue?" in said.partition("data: ")[2]) is ("curl -sN" in text)
