"""The command line: what scripts depend on. Exit codes, stdout for results, one plain sentence on stderr for what is wrong."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest

from interlingua import __version__
from interlingua.__main__ import main
from interlingua.commands import explain
from interlingua.config import Config
from interlingua.errors import InvalidRequest, UpstreamUnreachable
from interlingua.protocols import openai
from interlingua.protocols.registry import PROTOCOLS

GATEWAY = """
[routing]
default_backend = "local"
[backends.openai]
protocol = "openai"
api_key_env = "K"
[backends.openai.model_mapping]
"gpt-4" = "gpt-4o"
"gpt-*" = "*"
[backends.local]
protocol = "openai"
url = "http://127.0.0.1:8000/v1"
priority = 20
[backends.local.model_mapping]
"gpt-4" = "llama-3"
"""
ASKED = {"model": "gpt-4", "messages": [{"role": "user", "content": "hé"}], "n": 2}
ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 5,
    "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}  # a whole answer
CHUNK = {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-4o"}
CHUNKS = [
    {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hé"}}]},
    {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {**CHUNK, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
]
STREAM = "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in CHUNKS) + "data: [DONE]\n\n"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in an empty folder and an environment that holds one key, K."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {"K": "hunter2"})

    def run_command(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        code = main(list(arguments))
        written = capfd.readouterr()
        return Ran(code, written.out, written.err)

    return run_command


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    path = tmp_path / "interlingua.toml"
    path.write_text(GATEWAY)
    return path


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protocol that can say little: every `n` and `max_tokens` is lost, and so is the usage of an answer."""

    def format_request(request: Any, target: Any, lose: Any) -> dict[str, Any]:
        if request.n is not None:
            lose("n", "dropped", "one answer is enough")
        if request.max_tokens is not None:
            lose("max_tokens", "changed", "rounded")
        return {"for": target.model, "said": [part.text for message in request.messages for part in message.parts]}

    def format_response(response: Any, request: Any, lose: Any) -> dict[str, Any]:
        lose("response.usage", "dropped", "nobody counts")
        return {"model": response.model}

    class Formatter:
        def __init__(self, request: Any, lose: Any) -> None:
            self._lose = lose

        def feed(self, events: list[Any]) -> list[Any]:
            self._lose("response.usage", "dropped", "nobody counts")
            return []

    fake = SimpleNamespace(NAME="lossy", format_request=format_request, format_response=format_response, Formatter=Formatter)
    monkeypatch.setitem(PROTOCOLS, "lossy", fake)


# The root


def test_version_and_help(run: Run):
    assert run("--version") == (0, f"interlingua {__version__}\n", "")
    for command in ((), ("serve",), ("demo",), ("mock",), ("check",), ("translate",), ("explain",)):
        code, out, err = run(*command, "--help")
        assert (code, err) == (0, "")
        assert "examples:\n" in out and "interlingua " in out


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ((), "interlingua: the following arguments are required: COMMAND"),
        (("serv",), "interlingua: argument COMMAND: invalid choice: 'serv'"),
        (("serve", "--port", "99999"), "interlingua serve: argument --port: must be a whole number from 0 to 65535, not '99999'"),
        (("serve", "--port", "x"), "interlingua serve: argument --port: must be a whole number from 0 to 65535, not 'x'"),
        (("serve", "--workers", "-1"), "interlingua serve: argument --workers: must be a whole number of 0 or more, not '-1'"),
        (("serve", "--conf", "x"), "interlingua: unrecognized arguments: --conf x"),
        (("translate", "--from", "openai"), "interlingua translate: the following arguments are required: --to"),
        (("translate", "--from", "x", "--to", "openai"), "interlingua translate: There is no protocol x: the names are "),
        (("translate", "--from", "openai", "--to", "openai", "nosuch.json"), "interlingua translate: nosuch.json cannot be read"),
        (("explain",), "interlingua explain: explain needs a REQUEST.json"),
        (("check",), "interlingua check: no configuration: "),
        (("check", "--config", "a.toml"), "interlingua check: a.toml: cannot be read"),
        (("serve",), "interlingua serve: no configuration: "),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(run: Run, arguments: tuple[str, ...], start: str):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(start)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 0, ""),  # how a person stops a server
        (UpstreamUnreachable("nobody is there"), 1, "interlingua demo: nobody is there\n"),
        (OSError(98, "Address already in use"), 1, "interlingua demo: Address already in use.\n"),
        (FileNotFoundError(2, "No such file", "x.json"), 1, "interlingua demo: No such file: x.json.\n"),
        (ValueError("hunter2"), 1, "interlingua demo: a fault of ours: ValueError in test_commands.py:"),
    ],
)
def test_an_error_is_never_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, sentence: str):
    def fail(once: bool, port: int | None) -> int:
        raise error

    use(monkeypatch, "demo", run=fail)
    ran = run("demo")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(sentence) and "hunter2" not in ran.err and ran.err.count("\n") == (1 if sentence else 0)


def test_a_reader_that_leaves_is_no_error(tmp_path: Path):
    """`interlingua check | head -0`: a closed pipe, in a process of its own."""
    (tmp_path / "interlingua.toml").write_text(GATEWAY)
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read(); from interlingua.__main__ import main; sys.exit(main(['check']))"],
        cwd=tmp_path,
        env={"K": "k", "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()  # before it is let go on
    process.stdin.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 1


def test_help_and_check_wait_for_nothing_they_do_not_use(gateway: Path):
    """No server, no protocol, no YAML."""
    code = (
        "import sys; from interlingua.__main__ import main; main(['check']);"
        "print(*sorted({'uvicorn', 'uvloop', 'httptools', 'yaml', 'jsonschema', 'asyncio', 'prometheus_client',"
        " 'interlingua.protocols.openai'} & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=gateway.parent,
        env={"K": "k", "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        capture_output=True,
        timeout=30,
    )
    assert ran.stdout.startswith(b"interlingua.toml is good.\n")
    assert ran.stderr == b"\n"


# serve, demo, mock


def use(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    """A module of that name in place of the real one."""
    module = ModuleType(f"interlingua.{name}")
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, f"interlingua.{name}", module)
    monkeypatch.setattr(f"interlingua.{name}", module, raising=False)


def test_serve_hands_over_what_it_was_told(run: Run, monkeypatch: pytest.MonkeyPatch, gateway: Path):
    served: list[tuple[Config, list[str]]] = []
    use(monkeypatch, "app", serve=lambda config, *, found: served.append((config, found)) or 7)
    assert run("serve") == (7, "", "")
    options = ("--host", "0.0.0.0", "--port", "0", "--workers", "3", "--backend", "openai")
    assert run("serve", "--config", str(gateway), *options).code == 7
    (first, found), (second, _) = served
    assert (first.server.port, first.routing.default_backend) == (9000, "local")
    assert found == [
        "configuration: interlingua.toml",
        "backend openai: openai at https://api.openai.com/v1, key from K",
        "backend local: openai at http://127.0.0.1:8000/v1, no key",
    ]
    assert (second.server.host, second.server.port, second.server.workers) == ("0.0.0.0", 0, 3)
    assert second.routing.default_backend == "openai"
    assert run("serve", "--backend", "opnai").err == (
        "interlingua serve: --backend names no backend (opnai); did you mean `openai`?\n"
    )


def test_demo_hands_over_what_it_was_told(run: Run, monkeypatch: pytest.MonkeyPatch):
    told: list[tuple[bool, int | None]] = []
    use(monkeypatch, "demo", run=lambda once, port: told.append((once, port)) or 0)
    assert run("demo").code == run("demo", "--once", "--port", "5").code == 0
    assert told == [(False, None), (True, 5)]


def test_mock_hands_over_what_it_was_told(run: Run, monkeypatch: pytest.MonkeyPatch):
    told: list[tuple[str, int]] = []
    use(monkeypatch, "mock", run=lambda host, port: told.append((host, port)))
    assert run("mock").code == run("mock", "--host", "::1", "--port", "0").code == 0
    assert told == [("127.0.0.1", 9100), ("::1", 0)]


# check


def test_check_prints_what_a_configuration_amounts_to(run: Run, gateway: Path):
    code, out, err = run("check")
    assert (code, err) == (0, "")
    head, backends, routes, models = out.split("\n\n")
    assert head == "interlingua.toml is good."
    assert [line.split() for line in backends.split("\n")] == [
        ["BACKEND", "PROTOCOL", "URL", "KEY", "PRIORITY"],
        ["openai", "openai", "https://api.openai.com/v1", "yes", "10"],
        ["local", "openai", "http://127.0.0.1:8000/v1", "no", "20"],
    ]
    assert [line.split("  ")[0] + " > " + line.split()[-1] for line in routes.strip().split("\n")[1:]] == [
        "gpt-4 > model_mapping",
        "gpt-4 > model_mapping",
        "openai/MODEL > explicit",
        "local/MODEL > explicit",
        "gpt-* > model_mapping",
        "gpt-…, o1…, chatgpt-… > auto",
        "gpt-…, o1…, chatgpt-… > auto",
        "any other > fallback",
    ]
    assert [line.split()[:3] for line in models.strip().split("\n")] == [
        ["BACKEND", "PROVIDER", "MODEL"],
        ["openai", "gpt-4o", "128000"],
        ["local", "llama-3", "?"],
    ]
    assert "vision documents json_schema" in models and "?vision" in models
    columns = [line.index("HOW") for line in routes.split("\n") if "HOW" in line]
    assert {line[columns[0] - 1] for line in routes.strip().split("\n")} == {" "}, "aligned"
    assert "hunter2" not in out


def test_check_tells_every_mistake_a_line_each(run: Run, gateway: Path):
    gateway.write_text('[server]\nprot = 1\n[log]\nlevel = "loud"\n')
    code, out, err = run("check")
    assert (code, out) == (2, "")
    assert err.split("\n") == [
        "interlingua check: interlingua.toml:2: server.prot is no setting; did you mean `port`?",
        "interlingua check: interlingua.toml:4: log.level must be one of debug, info, warning, error.",
        "",
    ]


def test_check_tells_whose_credentials_come_from_where(run: Run, monkeypatch: pytest.MonkeyPatch):
    azure = {"AZURE_OPENAI_AD_TOKEN": "hunter2", "AZURE_OPENAI_ENDPOINT": "https://r.test"}
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": "hunter2", "AWS_PROFILE": "p", **azure})
    code, out, _ = run("check")
    assert code == 0 and "hunter2" not in out
    rows = [line.split() for line in out.split("\n\n")[1].split("\n")[1:]]
    assert {(row[0], row[3]) for row in rows} == {("openai", "yes"), ("azure", "token"), ("bedrock", "chain")}


# translate


def translate(run: Run, *arguments: str, stdin: Any, source: str = "openai", goal: str = "openai") -> Ran:
    data = stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode()
    return run("translate", "--from", source, "--to", goal, *arguments, stdin=data)


def test_a_request_comes_out_pretty(run: Run, tmp_path: Path):
    code, out, err = translate(run, stdin=ASKED)
    assert (code, json.loads(out), err) == (0, ASKED, "")
    assert out.startswith('{\n  "model": "gpt-4",') and out.endswith("}\n")
    assert "hé" in out
    (tmp_path / "r.json").write_text(json.dumps(ASKED))
    assert translate(run, "r.json", stdin=b"") == translate(run, "-", stdin=ASKED) == (0, out, "")


def test_the_model_may_be_given(run: Run):
    assert json.loads(translate(run, "--model", "gpt-5", stdin=ASKED).out)["model"] == "gpt-5"
    bare = {key: value for key, value in ASKED.items() if key != "model"}
    assert json.loads(translate(run, "--model", "gpt-5", stdin=bare).out)["model"] == "gpt-5"
    assert translate(run, stdin=bare).err == "interlingua translate: model is required\n"


def test_a_provider_is_told_in_its_own_way(run: Run):
    asked = {**ASKED, "seed": 7, "user": "u"}
    code, out, err = translate(run, stdin=asked, goal="mistral")
    assert (code, json.loads(out)["random_seed"], err) == (0, 7, "user: dropped: this host has no such parameter\n")
    claude = translate(run, "--model", "claude-sonnet-4-6", stdin=ASKED, goal="vertex")
    assert "anthropic_version" in json.loads(claude.out) and "model" not in json.loads(claude.out)
    assert "contents" in json.loads(translate(run, "--model", "gemini-2.5-pro", stdin=ASKED, goal="vertex").out)
    assert "messages" in json.loads(translate(run, stdin=ASKED, goal="azure").out)
    assert "azure" in translate(run, stdin=ASKED, goal="nobody").err


def test_losses_go_to_stderr_in_the_source_protocols_names(run: Run, lossy: None):
    asked = {**ASKED, "max_completion_tokens": 7}
    code, out, err = translate(run, stdin=asked, goal="lossy")
    assert (code, json.loads(out)) == (0, {"for": "gpt-4", "said": ["hé"]})
    assert err == "n: dropped: one answer is enough\nmax_completion_tokens: changed: rounded\n"
    code, out, err = translate(run, "--strict", stdin=asked, goal="lossy")
    assert (code, out) == (1, "")
    assert err.split("\n")[2:] == ["interlingua translate: 2 lost, and --strict allows none.", ""]
    assert translate(run, "--strict", stdin=ASKED).code == 0


def test_an_answer(run: Run, lossy: None):
    code, out, err = translate(run, "--response", stdin=ANSWER)
    assert (code, err) == (0, "")
    assert json.loads(out)["choices"][0]["message"]["content"] == "hi"
    assert json.loads(translate(run, "--response", "--model", "mine", stdin=ANSWER).out)["model"] == "mine"
    ran = translate(run, "--response", stdin=ANSWER, goal="lossy")
    assert (ran.code, json.loads(ran.out), ran.err) == (0, {"model": "gpt-4o"}, "response.usage: dropped: nobody counts\n")
    assert translate(run, "--response", "--strict", stdin=ANSWER, goal="lossy")[:2] == (1, "")


def events(out: str) -> list[Any]:
    return [json.loads(line.removeprefix("data: ")) for line in out.split("\n") if line.startswith("data: {")]


def test_a_stream(run: Run, lossy: None):
    code, out, err = translate(run, "--stream", stdin=STREAM.encode())
    assert (code, err) == (0, "")
    told = events(out)
    assert "".join(c["delta"].get("content") or "" for chunk in told for c in chunk["choices"]) == "hé"
    assert told[-1]["usage"]["total_tokens"] == 3
    assert out.endswith("data: [DONE]\n\n")
    ran = translate(run, "--stream", "--strict", stdin=STREAM.encode(), goal="lossy")
    assert ran.code == 1 and "response.usage: dropped: nobody counts\n" in ran.err


@pytest.mark.parametrize("length", [100, STREAM.index("\n\n") + 3])
def test_a_stream_that_is_cut_is_an_error(run: Run, length: int):
    code, out, err = translate(run, "--stream", stdin=STREAM.encode()[:length])
    assert code == 1
    assert events(out)[-1]["error"]["message"]
    assert err.startswith("interlingua translate: the stream ended in an error: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "stdin", "start"),
    [
        ((), b"", "stdin holds no JSON: "),
        ((), b"[1]", "stdin holds no JSON object."),
        ((), b"{\xff", "stdin holds no JSON: "),
        ((), b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}', "stdin holds no JSON: "),
        ((), b"[" * 99_999, "stdin holds no JSON: "),
        ((), b'{"model": "m", "messages": 5}', "messages must be an array"),
        (("--response",), b"{}", ""),
        (("--stream",), b"data: {\n\n", ""),
        (("--stream",), b"x" * (1 << 21), "the stream ended in an error: an event is larger than"),
    ],
)
def test_bad_input_is_one_sentence_and_1(run: Run, arguments: tuple[str, ...], stdin: bytes, start: str):
    code, _, err = translate(run, *arguments, stdin=stdin)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"interlingua translate: {start}") and "a fault of ours" not in err


# explain


def rows(out: str) -> list[list[str]]:
    return [line.split("  ", 1)[:1] + [line.split("  ", 1)[1].strip()] for line in out.strip().split("\n")]


def test_explain_a_name(run: Run, gateway: Path):
    code, out, err = run("explain", "--model", "gpt-4")
    assert (code, err) == (0, "")
    assert rows(out) == [
        ["model", "gpt-4"],
        ["needs", "text"],
        ["backend", "openai (openai at https://api.openai.com/v1)"],
        ["provider model", "gpt-4o"],
        ["route", "model_mapping: model_mapping has the name gpt-4"],
        ["same pool", "local: llama-3, priority 20: a reserve"],
        ["strategy", "priority, among those that are well"],
        ["otherwise", "openai: gpt-4 (model_mapping)"],
        ["otherwise", "local: gpt-4 (auto)"],
    ]


AGENT = """
[agents.writer]
model = "gpt-4"
instructions = "You write."
fallback = ["local/llama-3"]
parameters = { top_k = 3 }
"""


def test_explain_and_check_know_agents(run: Run, gateway: Path):
    gateway.write_text(gateway.read_text() + AGENT)
    table = rows(run("explain", "--model", "agent/writer").out)
    assert table[0] == ["model", "agent/writer"] and ["provider model", "gpt-4o"] in table
    assert table[-1][0] == "then" and table[-1][1].startswith("local: llama-3")
    asked = {**ASKED, "model": "agent/writer"}
    told = rows(run("explain", "-", stdin=json.dumps(asked).encode()).out)
    assert told[-1][0] == "loss" and told[-1][1].startswith("top_k: dropped")
    line = next(line for line in run("check").out.split("\n") if line.startswith("agent/"))
    assert [word.strip() for word in line.split("  ") if word] == ["agent/writer", "its models'", "gpt-4, local/llama-3", "agent"]
    assert run("explain", "--model", "agent/nobody").code == 1


def test_explain_a_request_tells_what_it_would_lose(run: Run, gateway: Path, lossy: None, monkeypatch: pytest.MonkeyPatch):
    (gateway.parent / "r.json").write_text(json.dumps(ASKED))
    told = rows(run("explain", "r.json").out)
    assert told[1] == ["protocol", "openai (guessed; --from says otherwise)"]
    assert told[-1] == ["loss", "none"]
    monkeypatch.setattr(openai, "format_request", PROTOCOLS["lossy"].format_request)
    told = rows(run("explain", "--config", str(gateway), "--from", "openai", "-", stdin=json.dumps(ASKED).encode()).out)
    assert told[1] == ["protocol", "openai"]
    assert told[-1] == ["loss", "n: dropped: one answer is enough"]


def test_explain_as_json(run: Run, gateway: Path):
    told = json.loads(run("explain", "--json", "-", stdin=json.dumps(ASKED | {"model": "gpt-4"}).encode()).out)
    assert told["model"] == "gpt-4" and told["needs"][0] == "text" and told["protocol"] == "openai" and told["tokens"] > 0
    assert [[(one["backend"], one["model"]) for one in tier] for tier in told["tiers"]] == [
        [("openai", "gpt-4o"), ("local", "llama-3")]
    ]
    assert (told["refused"], told["losses"]) == ([], ["none"])
    assert json.loads(run("explain", "--json", "--model", "gpt-4").out).keys() == {
        "model",
        "needs",
        "strategy",
        "tiers",
        "refused",
    }


def test_a_name_that_says_its_backend_leads_nowhere_else(run: Run, gateway: Path):
    told = rows(run("explain", "--model", "openai/x").out)
    assert told[-1] == ["route", "explicit: the name itself says backend openai"]


def test_check_tells_who_is_asked_for_any_other_name(run: Run, gateway: Path):
    gateway.write_text(gateway.read_text() + '[backends.own]\nprotocol = "vllm"\ncapabilities = ["text", "tools"]\n')
    routes = run("check").out.split("\n\n")[2].strip().split("\n")
    assert [line.split()[:3] for line in routes[-2:]] == [["any", "other", "own"], ["any", "other", "local"]]
    assert run("explain", "--json", "--model", "nobodys").out.count('"backend": "own"') == 1


def test_explain_tells_what_a_backend_would_refuse(run: Run, gateway: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(request: Any, target: Any, lose: Any) -> dict[str, Any]:
        raise InvalidRequest("n must be 1")

    monkeypatch.setattr(openai, "format_request", refuse)
    ran = run("explain", "-", stdin=json.dumps(ASKED).encode())
    assert (ran.code, rows(ran.out)[-1]) == (0, ["refused", "n must be 1"])


def test_explain_what_leads_nowhere(run: Run, gateway: Path):
    gateway.write_text('[backends.a]\nprotocol = "anthropic"\n')
    code, out, err = run("explain", "--model", "llama")
    assert (code, out, err) == (1, "", "interlingua explain: The model `llama` does not exist here; configured: a/MODEL.\n")
    assert run("explain", "-", stdin=b"[]").err == "interlingua explain: stdin holds no JSON object.\n"
    assert run("explain", "--from", "morse", "-", stdin=b"{}").code == 2


@pytest.mark.parametrize(
    ("body", "protocol"),
    [
        ({"contents": []}, "gemini"),
        ({"messages": [], "system": "x"}, "anthropic"),
        ({"messages": [], "tools": [{"name": "f", "input_schema": {}}]}, "anthropic"),
        ({"messages": [], "tools": [{"type": "function", "function": {}}]}, "openai"),
        ({"messages": [], "tools": 5}, "openai"),
        ({"messages": [], "tools": [5]}, "openai"),
        ({"model": "m", "input": "x"}, "responses"),
        ({"messages": []}, "openai"),
        ({}, "openai"),
    ],
)
def test_a_protocol_is_guessed_by_what_only_it_has(body: dict[str, Any], protocol: str):
    assert explain.guess(body) == protocol
