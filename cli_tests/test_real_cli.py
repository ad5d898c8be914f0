"""The real Gemini CLI answers every client protocol, with the mock Gemini behind it, and leaves no process behind.

The mock says what it was asked: `You said: ...`. Each marker in a question (`[[400]]`) is one of its scenarios.
"""

import base64
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cli_tests import installed
from cli_tests.clients import CLIENTS, MODEL, ask, refused
from interlingua.mock import MockServer
from interlingua.mock.server import background

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ROUNDS = 10
NUMBERS = count()


def holding(key: str) -> set[int]:
    """Every process that has this key in its environment: the CLI's, and whatever they began."""
    found = set[int]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"GEMINI_API_KEY={key}\0".encode() in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def settle(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to pass")


class House:
    """A gateway as `interlingua serve` runs it, and the mock behind the CLI behind it."""

    def __init__(self, url: str, mock: MockServer, process: "subprocess.Popen[str]", key: str) -> None:
        self.url, self.mock, self.process, self.key = url, mock, process, key

    def processes(self) -> set[int]:
        return holding(self.key)

    def post(self, messages: Any, headers: dict[str, str] | None = None, **more: Any) -> tuple[dict[str, Any], dict[str, str]]:
        """A whole answer of Chat Completions, and its headers."""
        body = json.dumps({"model": MODEL, "messages": messages, **more}).encode()
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", body, headers or {})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer), dict(answer.headers)

    def sent(self, words: str) -> list[Any]:
        """The bodies that the CLI asked the mock to go on with and in which these words are; it counts the tokens of images."""
        asked = [entry.body for entry in self.mock.journal.entries if entry.path.endswith("GenerateContent")]
        return [body for body in asked if words in json.dumps(body)]


@contextmanager
def house(folder: Path, command: Path, settings: str = "", routing: str = "") -> Iterator[House]:
    with background() as mock:
        (folder / "interlingua.toml").write_text(f"""
[routing]
attempts = 1
breaker = {{ failures = 1000000, error_rate = 1.0 }}
{routing}
[backends.cli]
protocol = "gemini-cli"
url = "{mock.url}"
api_key_env = "CLI_KEY"
[backends.cli.cli]
command = "{command}"
max_processes = 2
prompts_per_worker = 5
{settings}
""")
        (folder / "tmp").mkdir()
        key = f"sk-cli-tests-{os.getpid()}-{next(NUMBERS)}"
        env = {"PATH": installed.path(), "CLI_KEY": key, "HOME": str(folder), "TMPDIR": str(folder / "tmp")}
        serve = [sys.executable, "-m", "interlingua", "serve", "--port", "0"]
        process = subprocess.Popen(serve, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            url = next(line.split()[-1] for line in process.stdout if "listens on" in line)
            yield House(url, mock, process, key)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()
            settle(lambda: not holding(key))


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Shared; its pool is warm. At its end no process and no file of the CLI is left, in the user's home neither."""
    folder = tmp_path_factory.mktemp("cli")
    with house(folder, installed.command(), 'retry_delay = "50ms"\nmax_retries = 1', 'first_byte = "3s"') as cli:
        ask("openai", cli.url, "Good day.")
        yield cli
    assert not cli.processes()
    assert sorted(path.name for path in folder.iterdir()) == ["interlingua.toml", "tmp"] and not list((folder / "tmp").iterdir())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_is_answered(cli: House, client: str, stream: bool):
    said = ask(client, cli.url, "How do you do?", stream)
    assert said.text.startswith("You said: ") and said.text.endswith("How do you do?")
    assert (said.pieces > 3) is stream


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_is_told_of_an_error(cli: House, client: str, stream: bool):
    assert refused(client, cli.url, "[[400]]", stream) == 400
    assert refused(client, cli.url, "[[429:0]]", stream) == 429


@pytest.mark.parametrize("mark", ["401", "403", "500", "503"])
def test_a_status_is_the_one_that_google_gave(cli: House, mark: str):
    assert refused("openai", cli.url, f"[[{mark}]]") == int(mark)


def test_every_client_is_told_of_a_time_out(cli: House):
    """All at once: each would take its three seconds. The processes stay, and are of use."""
    before = cli.processes()
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        told = dict(zip(CLIENTS, pool.map(lambda client: refused(client, cli.url, "[[slow:60000]]"), CLIENTS), strict=True))
    assert told == {client: 408 if client == "bedrock" else 504 for client in CLIENTS}
    assert before & cli.processes()
    assert ask("openai", cli.url, "Still there?").text.endswith("Still there?")


def test_ten_at_once_in_two_processes(cli: House):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: ask("openai", cli.url, f"[[gap:50]] I am {n}.", n % 2 == 0).text, range(10)))
    assert [text.rpartition("I am ")[2] for text in answers] == [f"{n}." for n in range(10)]
    assert len(cli.processes()) <= 2


def test_each_request_has_its_own_system_prompt(cli: House):
    def asked(n: int) -> None:
        cli.post([{"role": "system", "content": f"You are SYSTEM-{n % 3}."}, {"role": "user", "content": f"Who? I am USER-{n}."}])

    with ThreadPoolExecutor(9) as pool:
        list(pool.map(asked, range(9)))
    for n in range(9):
        (body,) = cli.sent(f"USER-{n}.")
        assert body["systemInstruction"]["parts"] == [{"text": f"You are SYSTEM-{n % 3}."}]


def test_what_a_request_says_arrives(cli: House):
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    content = [{"type": "text", "text": "ARRIVES?"}, image]
    more = {"temperature": 0.25, "top_p": 0.5, "max_completion_tokens": 99, "stop": ["XYZ"], "seed": 7}
    _, headers = cli.post([{"role": "user", "content": content}], **more)
    (body,) = cli.sent("ARRIVES?")
    parts = [part for turn in body["contents"] for part in turn["parts"]]
    (shown,) = [part["inlineData"] for part in parts if "inlineData" in part]
    assert base64.b64decode(shown["data"]) == base64.b64decode(PIXEL) and shown["mimeType"] == "image/png"
    config = body["generationConfig"]
    assert (config["temperature"], config["topP"], config["maxOutputTokens"]) == (0.25, 0.5, 99)
    assert (config["stopSequences"], config["seed"]) == (["XYZ"], 7)
    assert "x-interlingua-losses" not in headers and not any(tool.get("functionDeclarations") for tool in body.get("tools", []))


def test_a_conversation_is_told(cli: House):
    turns = [("user", "FIRST"), ("assistant", "SECOND"), ("user", "THIRD")]
    answer, _ = cli.post([{"role": role, "content": words} for role, words in turns])
    text = answer["choices"][0]["message"]["content"]
    assert text.index("FIRST") < text.index("SECOND") < text.index("THIRD")


@pytest.mark.parametrize("command", ["/memory show", " /about", "$x"])
def test_no_client_reaches_its_commands(cli: House, command: str):
    assert command in ask("openai", cli.url, command).text


def test_its_environment_is_not_told(cli: House):
    form = {"type": "object", "properties": {"a": {"type": "string", "description": "$GEMINI_API_KEY"}}}
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": form}}
    _, headers = cli.post([{"role": "user", "content": "NOT-TOLD"}], response_format=schema)
    (body,) = cli.sent("NOT-TOLD")
    assert cli.key not in json.dumps(body) and "response_format" in headers["x-interlingua-losses"]


def test_a_client_that_leaves_ends_its_turn(cli: House):
    aborted = cli.mock.journal.aborted
    pieces = CLIENTS["openai"](cli.url, "[[gap:500]] one two three four five six seven eight nine ten", True)
    next(piece for piece in pieces if piece)
    pieces.close()
    settle(lambda: cli.mock.journal.aborted > aborted)


def test_how_long_the_first_token_takes(cli: House, capsys: pytest.CaptureFixture[str]):
    """Told, not judged: a shared machine has no say in whether this is right."""
    own = f"{cli.mock.url}/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Good day."}]}]}).encode()

    def direct() -> float:
        began = time.perf_counter()
        headers = {"content-type": "application/json", "x-goog-api-key": "any"}
        with urllib.request.urlopen(urllib.request.Request(own, body, headers)) as answer:
            answer.readline()
            return time.perf_counter() - began

    def through() -> float:
        return ask("openai", cli.url, "Good day.", True).first

    through()
    alone, behind = (sorted(1000 * measure() for _ in range(ROUNDS)) for measure in (direct, through))
    with capsys.disabled():
        told = [
            f"{name} {statistics.median(times):.0f} ms ({times[-1]:.0f} at most)"
            for name, times in (("mock", alone), ("CLI", behind))
        ]
        print(f"\nfirst token, warm, median of {ROUNDS}: {', '.join(told)}")
    assert len(behind) == ROUNDS


def test_a_cli_without_acp_is_asked_once_a_process(tmp_path: Path):
    """A real one that is told to know no ACP."""
    old = tmp_path / "old-gemini"
    real = installed.command()
    old.write_text(f'#!/bin/sh\ncase "$*" in *--acp*) echo "Unknown argument: acp" >&2; exit 1;; esac\nexec {real} "$@"\n')
    old.chmod(0o755)
    with house(tmp_path, old, "max_retries = 0") as cli:
        assert ask("anthropic", cli.url, "How do you do?").text.endswith("How do you do?")
        assert ask("openai", cli.url, "How do you do?", True).pieces > 1
        assert refused("openai", cli.url, "[[400]]") == 400
        assert refused("openai", cli.url, "[[429:0]]") == 429
        settle(lambda: not cli.processes())


def test_nothing_outlives_a_gateway_that_is_killed(tmp_path: Path):
    with house(tmp_path, installed.command()) as cli:
        ask("openai", cli.url, "Good day.")
        assert cli.processes()
        cli.process.send_signal(signal.SIGKILL)
        cli.process.wait()
        settle(lambda: not cli.processes())
