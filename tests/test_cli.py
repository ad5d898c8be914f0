"""The Gemini CLI as a backend, with a CLI of ours in its place: every client SDK, every fault, and no process left behind."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import running
from peers import settle
from sdks_speakers import SPEAKERS, Ask

from interlingua.cli import CliProvider, process, worker
from interlingua.config import load
from interlingua.errors import ConfigError
from interlingua.operations import Operations
from interlingua.server import Gateway

FAKE = Path(__file__).parent / "fake_gemini_cli.py"
KEY = f"sk-secret-of-the-cli-{os.getpid()}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A turn that is given up is waited for a moment only, and every temporary folder is the test's own."""
    monkeypatch.setattr(worker, "GRACE", 0.05)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture(autouse=True)
def tidy(tmp_path: Path):
    yield
    assert processes() == [] and list(tmp_path.glob("interlingua-cli-*")) == []


def processes() -> list[int]:
    """Every process that this one began and that still is, or whose parent is gone and whose home was ours."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environ = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"GEMINI_API_KEY=" + KEY.encode() in environ:
                found.append(int(entry.name))
    return sorted(found)


def killed() -> list[int]:
    """The processes there were."""
    found = processes()
    for pid in found:
        with suppress(ProcessLookupError):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
    return found


class Cli:
    """A running gateway before the fake."""

    def __init__(self, gateway: Gateway, url: str) -> None:
        self.gateway, self.url = gateway, url
        self.http = httpx2.AsyncClient(base_url=url, timeout=10)

    async def post(self, text: Any, **more: Any) -> httpx2.Response:
        messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
        return await self.http.post("/v1/chat/completions", json={"model": "cli/gemini-2.5-flash", "messages": messages, **more})

    async def ask(self, text: Any, **more: Any) -> str:
        answer = await self.post(text, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]["content"]

    async def shown(self, **more: Any) -> dict[str, Any]:
        return json.loads(await self.ask("[[show]]", **more))

    async def streamed(self, text: str) -> list[str]:
        """The pieces of a streamed answer's text."""
        client = openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="any", max_retries=0)
        asked: Any = {"model": "cli/gemini-2.5-flash", "messages": [{"role": "user", "content": text}], "stream": True}
        async with client:
            stream: Any = await client.chat.completions.create(**asked)
            return [choice.delta.content async for chunk in stream for choice in chunk.choices if choice.delta.content]

    @property
    def provider(self) -> CliProvider:
        provider = self.gateway.core.providers["cli"]
        assert isinstance(provider, CliProvider)
        return provider


def installed(folder: Path, name: str = "gemini") -> Path:
    """A fake whose name says how it begins."""
    path = folder / f"{name}.py"
    path.write_text(f"#!{sys.executable}\n{FAKE.read_text()}")
    path.chmod(0o755)
    return path


def configuration(folder: Path, name: str = "gemini", settings: str = "", routing: str = "", delay: str = "10ms") -> Path:
    file = folder / "interlingua.toml"
    file.write_text(f"""
[routing]
attempts = 1
breaker = {{ failures = 1000000, error_rate = 1.0 }}
{routing}
[backends.cli]
protocol = "gemini-cli"
url = "http://127.0.0.1:9"
api_key_env = "CLI_KEY"
[backends.cli.cli]
command = "{installed(folder, name)}"
retry_delay = "{delay}"
{settings}
""")
    return file


@asynccontextmanager
async def gateway(folder: Path, name: str = "gemini", **more: str) -> AsyncIterator[Cli]:
    config = load(str(configuration(folder, name, **more)), {"CLI_KEY": KEY, "PATH": os.environ["PATH"]})
    async with running.gateway_of(config) as (served, url):
        cli = Cli(served, url)
        async with cli.http:
            yield cli


@pytest.fixture
async def cli(tmp_path: Path) -> AsyncIterator[Cli]:
    async with gateway(tmp_path) as cli:
        yield cli


# What it is asked, and what it tells


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_every_sdk_is_answered(cli: Cli, speaker: str):
    async with SPEAKERS[speaker](cli.url) as client:
        for stream in (False, True):
            asked = Ask(model="cli/gemini-2.5-flash", turns=[client.user("Good day.")], system="Be brief.")
            told = await client.ask(asked, stream)
            assert told.text == "You said: Good day." and told.tokens.output == 7


async def test_words_come_as_they_are_said(cli: Cli):
    assert await cli.streamed("Good day.") == ["You ", "said: ", "Good day."]


async def test_thoughts_are_thinking(cli: Cli):
    answer = (await cli.post("[[think]]")).json()["choices"][0]["message"]
    assert answer["content"] == "42" and answer["reasoning_content"] == "**Plan**\nFirst look. Then leap.\n\n**End**\nDone."


async def test_a_process_has_a_home_of_its_own_and_knows_nothing_else(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UNRELATED_SECRET", "x")
    shown = await cli.shown(temperature=0.5)
    home = Path(shown["env"]["HOME"])
    assert home.name.startswith("interlingua-cli-") and home.stat().st_mode & 0o777 == 0o700
    assert shown["env"]["TMPDIR"].startswith(str(home)) and shown["env"]["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:9"
    known = {*process._HANDED_ON, "HOME", "TMPDIR", "LANG", "NO_COLOR", "GOOGLE_GEMINI_BASE_URL", "LC_CTYPE"}
    assert {name for name in shown["env"] if not name.startswith("GEMINI_")} <= known
    assert shown["own"]["tools"] == {"core": []} and shown["own"]["general"]["maxAttempts"] == 1
    assert not shown["own"]["telemetry"]["enabled"] and not shown["own"]["general"]["enableAutoUpdate"]
    assert shown["settings"]["model"] == {"name": "gemini-2.5-flash"} and shown["files"] == [".gemini"]
    assert shown["arguments"] == ["--acp"] and shown["group"] == shown["pid"] != os.getpgid(0)
    assert list((home / "work").glob("turn-*")) == []  # nothing of what was said is kept


async def test_losses_are_told_and_a_strict_request_is_refused(cli: Cli):
    tools = [{"type": "function", "function": {"name": "f"}}]
    answer = await cli.post("Hi", tools=tools, logprobs=True)
    assert answer.headers["x-interlingua-losses"] == "tools[0];dropped, logprobs;dropped"
    refused = await cli.http.post(
        "/v1/chat/completions",
        json={"model": "cli/g", "messages": [{"role": "user", "content": "Hi"}], "tools": tools},
        headers={"x-interlingua-strict": "true"},
    )
    assert refused.status_code == 400 and refused.json()["error"]["param"].startswith("tools")


async def test_what_the_agent_wants_of_us_is_refused(cli: Cli):
    assert await cli.ask("[[ask]]") == "asked"


async def test_it_has_no_api_and_no_embeddings_and_counts_by_estimate(cli: Cli):
    passed = await cli.http.get("/providers/cli/v1beta/models")
    assert passed.status_code == 404 and "is the Gemini CLI, a program" in passed.text
    embedded = await cli.http.post("/v1/embeddings", json={"model": "cli/text-embedding-004", "input": "x"})
    assert embedded.status_code == 400
    counted = await cli.http.post(
        "/v1/messages/count_tokens",
        json={"model": "cli/g", "messages": [{"role": "user", "content": "Hello"}]},
        headers={"anthropic-version": "2023-06-01"},
    )
    assert counted.status_code == 200 and counted.headers["x-interlingua-estimated"] == "true"


# Many at once


async def test_ten_at_once_in_two_processes(tmp_path: Path):
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    async with gateway(tmp_path, settings="max_processes = 2\nprompts_per_worker = 5") as cli:
        answers = await asyncio.gather(*(cli.ask(f"[[meet:10,{meeting}]]") for _ in range(10)))
        assert sorted(answers.count(answer) for answer in {*answers}) == [5, 5]
        assert len(processes()) == 2


async def test_the_pool_is_bounded_and_the_queue_too(tmp_path: Path):
    settings = "max_processes = 1\nprompts_per_worker = 1\nmax_queue = 1"
    async with gateway(tmp_path, settings=settings) as cli:
        first = asyncio.create_task(cli.streamed("[[half]]"))
        await settle(lambda: cli.provider.pool.told()["turns"] == 1)
        second = asyncio.create_task(cli.shown())
        await settle(lambda: cli.provider.pool.told()["waiting"] == 1)
        refused = await cli.post("third")
        assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
        first.cancel()
        assert (await second)["active"] == 1
        assert cli.provider.pool.told() == {"processes": 1, "turns": 0, "waiting": 0}


async def test_turns_under_two_system_prompts_never_share_a_process(tmp_path: Path):
    """The real one reads its system prompt again for all sessions whenever one begins."""
    async with gateway(tmp_path, settings="max_processes = 2\nprompts_per_worker = 5") as cli:

        async def shown(system: str) -> tuple[str, str]:
            messages = [{"role": "system", "content": system}, {"role": "user", "content": "[[show]]"}]
            return system, json.loads(await cli.ask(messages))["system"]

        pairs = await asyncio.gather(*(shown(f"You are {number % 4}.") for number in range(24)))
        assert [asked for asked, had in pairs if asked != had] == []
        assert len(processes()) <= 2


async def test_a_process_that_grew_is_replaced(tmp_path: Path):
    async with gateway(tmp_path, settings='max_memory = "48 MiB"') as cli:
        first = await cli.ask("[[grow]]")
        await settle(lambda: processes() != [] and int(first) not in processes())
        assert await cli.ask("Hi") == "You said: Hi"


async def test_one_process_is_warm_before_the_first_request(cli: Cli):
    await settle(lambda: len(processes()) == 1)
    assert (await cli.shown())["pid"] == processes()[0]


# What goes wrong


@pytest.mark.parametrize(
    ("mark", "status", "kind"),
    [
        ("refuse:400,INVALID_ARGUMENT", 400, openai.BadRequestError),
        ("refuse:401,UNAUTHENTICATED", 401, openai.AuthenticationError),
        ("refuse:404,NOT_FOUND", 404, openai.NotFoundError),
        ("refuse:503,UNAVAILABLE", 503, openai.InternalServerError),
        ("busy", 429, openai.RateLimitError),
        ("empty", 502, openai.InternalServerError),
        ("overflow", 400, openai.BadRequestError),
        ("tool", 502, openai.InternalServerError),
        ("die", 502, openai.InternalServerError),
        ("garbage", 502, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_is_the_clients_own_class(
    cli: Cli, mark: str, status: int, kind: type[openai.APIStatusError], stream: bool
):
    with pytest.raises(kind) as caught:
        await cli.streamed(f"[[{mark}]]") if stream else (await client_of(cli, f"[[{mark}]]"))
    assert caught.value.status_code == status and KEY not in caught.value.message
    assert await cli.ask("And now?") == "You said: And now?"


async def client_of(cli: Cli, text: str) -> Any:
    async with openai.AsyncOpenAI(base_url=f"{cli.url}/v1", api_key="any", max_retries=0) as client:
        return await client.chat.completions.create(model="cli/g", messages=[{"role": "user", "content": text}])


async def test_429_is_tried_again(cli: Cli):
    assert await cli.ask("[[busy:2]]") == "after 3"
    assert (await cli.post("[[busy:3]] other")).status_code == 429


async def test_429_is_told_where_the_deadline_leaves_no_time(tmp_path: Path):
    async with gateway(tmp_path, delay="29s", routing='deadline = "20s"') as cli:
        answer = await cli.post("[[busy:1]]")
        assert answer.status_code == 429 and "Quota exceeded" in answer.text


async def test_429_is_told_where_trying_again_takes_too_long(tmp_path: Path):
    async with gateway(tmp_path, routing='first_byte = "1500ms"') as cli:
        answer = await cli.post("[[tired]]")
        assert answer.status_code == 429 and "Quota exceeded" in answer.text


async def test_a_crash_in_the_middle_of_a_stream_is_told(cli: Cli):
    with pytest.raises(openai.APIError, match="ended before its turn did"):
        await cli.streamed("[[crash]]")
    assert await cli.ask("And now?") == "You said: And now?"


@pytest.mark.parametrize("routing", ['deadline = "300ms"', 'first_byte = "300ms"'])
async def test_a_time_out_ends_the_turn_and_keeps_the_process(tmp_path: Path, monkeypatch: Any, routing: str):
    monkeypatch.setattr(worker, "GRACE", 30.0)  # however busy the machine is
    async with gateway(tmp_path, settings="max_processes = 1", routing=routing) as cli:
        await settle(lambda: cli.provider.pool.speaks_acp is True)
        before = processes()
        assert (await cli.post("[[hang]]")).status_code == 504
        await settle(lambda: cli.provider.pool.told()["turns"] == 0)
        assert await cli.ask("Hi") == "You said: Hi" and processes() == before


async def test_a_time_out_within_a_stream_is_told_in_it(tmp_path: Path):
    async with gateway(tmp_path, routing='idle = "300ms"') as cli:
        with pytest.raises(openai.APIError, match="Nothing was heard for 0.3 seconds"):
            await cli.streamed("[[half]]")


async def test_a_process_that_does_not_end_a_turn_is_killed_with_all_it_began(tmp_path: Path):
    async with gateway(tmp_path, settings="max_processes = 1", routing='idle = "300ms"') as cli:
        async with cli.http.stream(
            "POST",
            "/v1/chat/completions",
            json={"model": "cli/g", "stream": True, "messages": [{"role": "user", "content": "[[child]]"}]},
        ) as answer:
            body = (await answer.aread()).decode()
        pids = [int(pid) for pid in json.loads(body.split("data: ")[2])["choices"][0]["delta"]["content"].split()]
        await settle(lambda: not {*pids} & {*processes()})
        assert await cli.ask("Hi") == "You said: Hi"


@pytest.mark.parametrize("mark", ["half", "deaf"])
async def test_a_client_that_leaves_ends_its_turn(cli: Cli, mark: str):
    asked = {"model": "cli/g", "stream": True, "messages": [{"role": "user", "content": f"[[{mark}]]"}]}
    async with cli.http.stream("POST", "/v1/chat/completions", json=asked) as answer:
        await anext(answer.aiter_bytes())
        before = processes()
    await settle(lambda: cli.provider.pool.told()["turns"] == 0)
    assert await cli.ask("Hi") == "You said: Hi"
    await settle(lambda: (processes() == before) == (mark == "half"))


async def test_a_neighbour_of_a_hung_turn_is_let_end(tmp_path: Path):
    async with gateway(tmp_path, settings="max_processes = 1", routing='idle = "10s"') as cli:
        neighbour = asyncio.create_task(cli.ask(f"[[meet:2,{(meeting := tmp_path / 'm')}]]"))
        meeting.mkdir()
        asked = {"model": "cli/g", "stream": True, "messages": [{"role": "user", "content": "[[deaf]]"}]}
        async with cli.http.stream("POST", "/v1/chat/completions", json=asked) as answer:
            await anext(answer.aiter_bytes())
        await settle(lambda: cli.provider.pool.told()["turns"] == 1)
        (meeting / "a").touch()
        (meeting / "b").touch()
        assert (await neighbour).startswith("pid ")


# Beginning and end


async def test_a_cli_without_acp_is_asked_once_a_process(tmp_path: Path):
    async with gateway(tmp_path, "noacp") as cli:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "[[show]]"}]
        shown = json.loads(await cli.ask(messages))
        assert shown["arguments"] == ["-o", "stream-json"] and shown["system"] == "Be brief."
        assert shown["settings"]["model"] == {"name": "gemini-2.5-flash"}
        assert await cli.streamed("Good day.") == ["You ", "said: ", "Good day."]
        assert (await cli.post("[[refuse:400,INVALID_ARGUMENT]]")).status_code == 400
        assert (await cli.post("[[busy]]")).status_code == 429
        assert (await cli.post("[[die]]")).status_code == 502
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
        answer = await cli.post([{"role": "user", "content": [{"type": "text", "text": "Hi"}, image]}])
        assert answer.headers["x-interlingua-losses"] == "messages[0].content[1];dropped"
        left = asyncio.create_task(cli.streamed("[[half]]"))
        await settle(lambda: cli.provider.pool.told()["turns"] == 1)
        left.cancel()
        await settle(lambda: processes() == [])


async def test_a_cli_that_does_not_begin_says_why(tmp_path: Path):
    async with gateway(tmp_path, "broken") as cli:
        answer = await cli.post("Hi")
        assert answer.status_code == 502
        assert "ended with code 41 before it had begun: Please set an Auth method" in answer.json()["error"]["message"]


async def test_a_cli_that_never_begins_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "PATIENCE", 0.2)
    async with gateway(tmp_path, "mute") as cli:
        assert (await cli.post("Hi")).status_code == 504


async def test_a_cli_that_is_gone_is_an_error_that_says_how_to_install_it(tmp_path: Path):
    async with gateway(tmp_path, settings="max_processes = 1") as cli:
        await cli.ask("Hi")
        (tmp_path / "gemini.py").unlink()
        assert (await cli.post("[[die]]")).status_code == 502
        answer = await cli.post("Hi")
        assert answer.status_code == 502 and "npm install -g @google/gemini-cli" in answer.text


async def test_a_folder_that_cannot_be_written_is_an_error(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    await cli.ask("Hi")
    with monkeypatch.context() as patch:
        patch.setattr(process.House, "room", full)
        answer = await cli.post("Hi")
        assert answer.status_code == 502 and "No space left on device" in answer.text
        patch.setattr(process.House, "__init__", full)
        await settle(
            lambda: killed() == [] and cli.provider.pool.told()["processes"] == 0
        )  # a killed one is still in use a moment
        assert "No space left on device" in (await cli.post("Hi")).text
    assert await cli.ask("Hi") == "You said: Hi"


async def test_nothing_is_left_when_the_gateway_ends_under_way(tmp_path: Path):
    async with gateway(tmp_path) as cli:
        left = [asyncio.create_task(cli.streamed(mark)) for mark in ("[[half]]", "[[child]]")]
        await settle(lambda: cli.provider.pool.told()["turns"] == 2)
        await settle(lambda: len(processes()) >= 2)
        await cli.gateway.core.close()
        assert processes() == []
        await asyncio.gather(*left, return_exceptions=True)


async def test_a_reload_keeps_the_processes_and_a_change_of_them_replaces_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLI_KEY", KEY)
    async with gateway(tmp_path) as cli:
        before = (await cli.shown())["pid"]
        assert Operations(cli.gateway).reload() and (await cli.shown())["pid"] == before
        configuration(tmp_path, settings="max_processes = 1")
        assert Operations(cli.gateway).reload() and (await cli.shown())["pid"] != before
        await settle(lambda: before not in processes())


async def test_a_killed_process_is_replaced(cli: Cli):
    pid = (await cli.shown())["pid"]
    os.killpg(pid, signal.SIGKILL)
    await settle(lambda: processes() not in ([], [pid]))
    assert (await cli.shown())["pid"] != pid


# The configuration


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("gemini.py", "absent.py"), "npm install -g @google/gemini-cli"),
        (lambda text: text.replace('api_key_env = "CLI_KEY"\n', ""), "needs a key"),
        (lambda text: text.replace('"gemini-cli"', '"gemini"'), "belongs to protocol gemini-cli alone, not to gemini"),
        (lambda text: text + "max_processes = 0\n", "max_processes"),
        (lambda text: text + "processes = 1\n", "is no setting"),
        (lambda text: text + "[backends.cli.health]\npath = '/x'\n", "has no address"),
        (lambda text: text + "[backends.cli.limits]\nrpm = 1\n", "is not for the Gemini CLI"),
        (lambda text: text.replace('api_key_env = "CLI_KEY"', 'api_key_envs = ["CLI_KEY"]'), "have one key"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, change: Callable[[str], str], words: str):
    file = configuration(tmp_path)
    file.write_text(change(file.read_text()))
    with pytest.raises(ConfigError) as caught:
        load(str(file), {"CLI_KEY": KEY, "PATH": os.environ["PATH"]})
    told = "; ".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert words in told and f"{file}:" in told
