"""A configuration is read whole or refused with file, line and key; secrets are never shown; the manual tells the truth."""

import re
import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields, replace

from interlingua.config import Backend, Base, Overrides, checks, find, load, reload
from interlingua.config.document import Document, Problems, read_document
from interlingua.config.reader import _Reader, read_settings
from interlingua.config.resolve import build
from interlingua.config.settings import BackendSettings, Kind, Settings
from interlingua.errors import ConfigError
from interlingua.hosts import HOSTS

ROOT = Path(__file__).resolve().parent.parent
MINIMAL = '[backends.mock]\nprotocol = "mock"\n'


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a file in an empty current folder; gives its name."""
    monkeypatch.chdir(tmp_path)

    def write_file(text: str, name: str = "interlingua.toml") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write_file


def complaints(error: ConfigError) -> list[str]:
    return [str(error), *getattr(error, "__notes__", [])]


def refused(path: str, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, env or {})
    return complaints(caught.value)


# Mistakes

# Each a file, and what is said of the marked line; … is where the sentence goes on.
MISTAKES = r"""
[server]
prot = 1  #! server.prot is no setting; did you mean `port`?
---
[servr]  #! servr is no setting; did you mean `server`?
port = 1
---
[log]
zzz = 1  #! log.zzz is no setting; known here: level, requests, requests_size, requests_files, sample.
---
[server]

port = "x"  #! server.port must be a whole number, not a string.
---
[server]
port = true  #! server.port must be a whole number, not true or false.
---
[server]
port = 70000  #! server.port must be from 0 to 65535.
---
[server]
workers = -1  #! server.workers must be at least 0.
---
[server]
max_in_flight = 0  #! server.max_in_flight must be at least 1.
---
[server]
host = 1  #! server.host must be a string, not a whole number; put it in quotes.
---
[server]
host = ""  #! server.host is empty: give it a value or leave the line out.
---
[server]
max_body = "64"  #! server.max_body must be a size such as "512 KiB" or "64 MiB".
---
[routing]
deadline = 5  #! routing.deadline must be a duration such as "250ms", "15s" or "2m".
---
[routing]
idle = "0s"  #! routing.idle must be longer than no time at all.
---
[routing]
order = "fallback"  #! routing.order must be a list, not a string.
---
[routing]
order = [
"fallback",
"falback"]  #! routing.order[1] must be one of model_mapping, capability, fallback; did you mean `fallback`?
---
[routing]
order = []  #! routing.order is empty, so that no model would be found.
---
[routing]
order = ["fallback", "fallback"]  #! routing.order[1] repeats an earlier one.
---
[routing]
default_backend = "mok"  #! routing.default_backend names no backend (mok); did you mean `mock`?
---
[routing]
default_backend = "mock"  #! routing.default_backend is never reached: routing.order lacks fallback.
order = ["capability"]
---
[routing.breaker]
error_rate = 1.5  #! routing.breaker.error_rate must be from 0 to 1.
---
[log]
sample = 2  #! log.sample must be from 0 to 1.
---
[log]
level = "INFO"  #! log.level must be one of debug, info, warning, error.
---
[auth]
mode = "key"  #! auth.mode must be "none" or "keys"; did you mean `keys`?
---
[[auth.keys]]  #! auth.keys[0] needs the setting `key_env`.
name = "a"
---
[[auth.keys]]
name = "a"
key_env = "A"
[[auth.keys]]
name = "a"  #! auth.keys[1].name repeats an earlier one.
key_env = "B"
---
[auth]
mode = "keys"  #! auth.mode is keys, and there are none: add [[auth.keys]] with a name and a key_env.
---
[backends.x]  #! backends.x needs the setting `protocol`.
url = 'http://h'
---
[backends.x]
protocol = "opnai"  #! backends.x.protocol must be one of openai, responses, azure, anthropic, gemini, vertex, bedrock, …
---
[backends.x]
protocol = "openai"
url = "host"  #! backends.x.url must be a URL such as https://api.example.com: http or https, a host, and a port …
---
[backends.x]
protocol = "openai"
api_key = "hunter2"  #! backends.x.api_key is no setting; did you mean `api_key_env`?
---
[backends.x]
protocol = "openai"
api_key_env = "NOPE"  #! backends.x.api_key_env names the environment variable NOPE, which is not set.
---
[backends.x]
protocol = "openai"
api_key_env = "EMPTY"  #! backends.x.api_key_env names the environment variable EMPTY, which is not set.
---
[backends.x]
protocol = "openai"
api_key_env = "TORN"  #! backends.x.api_key_env names the environment variable TORN, whose value holds characters that no …
---
[backends.x]
protocol = "openai"
api_key_env = "A"
api_key_envs = ["B"]  #! backends.x.api_key_envs and api_key_env exclude each other: keep one.
---
[backends.x]
protocol = "openai"
aws_region = "r"  #! backends.x.aws_region belongs to protocol bedrock alone, not to openai.
---
[backends.x]  #! backends.x needs the setting `url`, as its protocol is azure.
protocol = "azure"
---
[backends.x]  #! backends.x needs the setting `url`, as its protocol is newapi.
protocol = "newapi"
---
[backends.x]
protocol = "azure"
url = "https://h"
api_key_env = "A"
access_token_env = "B"  #! backends.x.access_token_env and api_key_env exclude each other: keep one.
---
[backends.x]
protocol = "vertex"
project = "p"
location = "us/../x"  #! backends.x.location must be a region such as us-central1, or global.
---
[backends.x]
protocol = "vertex"
project = "p"
location = "global"
access_token_env = "EMPTY"  #! backends.x.access_token_env names the environment variable EMPTY, which is not set.
---
[backends.x]
protocol = "openai"
capabilities = "all"  #! backends.x.capabilities must be "auto" or a list, not a string.
---
[backends.x]
protocol = "openai"
capabilities = ["sight"]  #! backends.x.capabilities[0] must be one of text, streaming, tools, parallel_tools, vision, …
---
[backends.x]
protocol = "openai"
capabilities = ["text", "text"]  #! backends.x.capabilities[1] repeats an earlier one.
---
[backends."a/b"]  #! backends."a/b" must be named with letters, digits, `-`, `_` and `.` alone.
protocol = "openai"
---
[backends.x]
protocol = "openai"
[backends.x.model_mapping]
"a*b*" = "c"  #! backends.x.model_mapping."a*b*" has more than one `*`.
---
[backends.x]
protocol = "openai"
[backends.x.model_mapping]
"a*" = "*-*"  #! backends.x.model_mapping."a*" has more than one `*` in its value.
---
[backends.x]
protocol = "openai"
model_mapping = { a = "*" }  #! backends.x.model_mapping.a has a `*` in its value but none in its key.
---
[backends.x]
protocol = "openai"
model_mapping = { "" = "b" }  #! backends.x.model_mapping."" is an empty name: no client asks for it.
---
[backends.x]
protocol = "openai"
[backends.x.model_mapping]
"gpt-4.1" = 4  #! backends.x.model_mapping."gpt-4.1" must be a string, not a whole number; put it in quotes.
---
[backends.x]
protocol = "azure"
url = "https://h"
api_version = 2024-10-21  #! backends.x.api_version must be a string, not a date or time; put it in quotes.
---
[routing.fallbacks]
a = ["mok/m"]  #! routing.fallbacks.a[0] names no backend (mok); did you mean `mock`?
---
[backends.x]
protocol = "openai"
url = "http://localhost:9000/v1"  #! backends.x.url is this gateway's own address: give the provider's.
---
[agents.writer]  #! agents.writer needs the setting `model`.
instructions = "x"
---
[agents."a b"]  #! agents."a b" must be named with letters, digits, `-`, `_` and `.` alone.
model = "m"
---
[agents.writer]
model = "m"
parameters = { temprature = 1 }  #! agents.writer.parameters.temprature is no setting; did you mean `temperature`?
---
[agents.writer]
model = "m"
[agents.writer.parameters]
temperature = 2.5  #! agents.writer.parameters.temperature must be from 0 to 2.
---
[agents.writer]
model = "m"
parameters.effort = "huge"  #! agents.writer.parameters.effort must be one of minimal, low, …
---
[agents.writer]
model = "mok/m"  #! agents.writer.model names no backend (mok); did you mean `mock`?
---
[agents.writer]
model = "m"
fallback = ["mock/m", "nobody/m"]  #! agents.writer.fallback[1] names no backend (nobody); known here: mock.
---
[agents.writer]
model = "m"
fallback = ["a", "a"]  #! agents.writer.fallback[1] repeats an earlier one.
---
[agents.writer]
model = "agent/other"  #! agents.writer.model is an agent itself: name the model that answers.
---
[backends.agent]  #! backends.agent is what agents are called by (agent/NAME): give the backend another name.
protocol = "mock"
[agents.writer]
model = "m"
---
[server]
data = "/dev/null/x"  #! server.data names a folder that cannot be written to, and agents keep their tasks there.
[agents.writer]
model = "m"
---
[tasks]
at_once = 0  #! tasks.at_once must be at least 1.
---
server = 5  #! server must be a table, not a whole number.
""".strip().split("\n---\n")
ENV = {"EMPTY": "", "TORN": "hunter2\r\nhost: evil", "A": "a", "B": "b"}


def marked(text: str) -> tuple[int, re.Pattern[str]]:
    """(the marked line, what is to be said of it)"""
    line, mark = next((n, line.partition("#! ")[2]) for n, line in enumerate(text.split("\n"), 1) if "#! " in line)
    return line, re.compile(re.escape(mark.removesuffix("…")) + (".*" if mark.endswith("…") else ""))


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_names_file_line_and_key(write: Any, text: str):
    line, sentence = marked(text)
    said = refused(write(f"{text}\n{MINIMAL}"), ENV)
    start = f"interlingua.toml:{line}: "
    assert [one for one in said if one.startswith(start) and sentence.fullmatch(one.removeprefix(start))], said
    assert "hunter2" not in "\n".join(said)


@pytest.mark.parametrize("text", [text for text in MISTAKES if "date or time" not in text])
def test_yaml_mistakes_are_told_alike(write: Any, text: str):
    data = tomllib.loads(f"{text}\n{MINIMAL}")
    said = refused(write(yaml.safe_dump(data, sort_keys=False, width=200), "gateway.yaml"), ENV)
    assert [one for one in said if re.fullmatch(r"gateway\.yaml:\d+: " + marked(text)[1].pattern, one)], said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\nport = 1\nport = 2", "interlingua.toml:3: is no TOML: a key or table is given twice."),
        ("[server]\n[server]", "interlingua.toml:2: is no TOML: a key or table is given twice."),
        ("a = { b = 1, b = 2 }", "interlingua.toml:1: is no TOML: a key is given twice in one table."),
        ("[server\nport = 1", "interlingua.toml:1: is no TOML: expected"),
        ('a = "hunter2', "interlingua.toml:1: is no TOML: unterminated string."),
    ],
)
def test_bad_toml(write: Any, text: str, sentence: str):
    assert refused(write(text))[0].startswith(sentence)


YAML = """\
# a comment
server: &server
  host: 0.0.0.0
  prot: 1            # line 4
routing: {order: [capability,
    falback], "idle": 0s}
backends:
  "gpt.4":
    protocol: mock
    model_mapping:
      a: 1           # line 11
      b:
"""


def test_yaml_mistakes_have_their_lines(write: Any):
    assert [line.split(" ")[0:2] for line in refused(write(YAML, "g.yml"))] == [
        ["g.yml:4:", "server.prot"],
        ["g.yml:6:", "routing.order[1]"],
        ["g.yml:6:", "routing.idle"],
        ["g.yml:11:", 'backends."gpt.4".model_mapping.a'],
        ["g.yml:12:", 'backends."gpt.4".model_mapping.b'],
    ]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("server:\n  port: 1\n  port: 2\n", "g.yaml:3: server.port is given twice."),
        ("server: [\n", "g.yaml:2: is no YAML: "),
        ("a: b: c\n", "g.yaml:1: is no YAML: "),
        ("- 1\n", "g.yaml: must be a table, not a list."),
        ("5: x\n", "g.yaml:1: 5 must be a string: put the key in quotes."),
        ("a: \x07\n", "g.yaml: is no YAML: it holds characters"),
        ("a: &x [*x]\n", "g.yaml: is nested too deeply."),
        ("a: !!python/object:os.system x\n", "g.yaml:1: is no YAML: "),
        ("", "g.yaml: has no backends; add one"),
    ],
)
def test_bad_yaml(write: Any, text: str, start: str):
    assert refused(write(text, "g.yaml"))[0].startswith(start)


def test_yaml_words_are_those_of_toml(write: Any):
    """`off`, `no`, dates and sexagesimals are strings, as YAML 1.2 has it; anchors and merges work."""
    text = """\
backends:
  a: &base
    protocol: mock
    model_mapping: {no: off, x: 2024-10-21, y: 1:30, z: 012, "n": ~a}
  b: {<<: *base, priority: 3}
log: {requests: off, sample: 1}
routing: {hedge: off, deadline: 1m}
"""
    config = load(write(text, "g.yaml"), {})
    assert config.backends["a"].model_mapping == {"no": "off", "x": "2024-10-21", "y": "1:30", "z": "012", "n": "~a"}
    assert (config.backends["b"].priority, config.log.requests, config.routing.hedge) == (3, "off", "off")


def test_all_mistakes_of_a_file_are_told_in_its_order(write: Any):
    said = refused(write('[server]\nport = "x"\n[log]\nlevel = 1\n[backends.a]\n[backends.b]\nprotocol = "c"\n'))
    assert [line.partition(" ")[0] for line in said] == [f"interlingua.toml:{n}:" for n in (2, 4, 5, 7)]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("none.toml", None, "none.toml: cannot be read (No such file or directory); check the name given to --config."),
        ("a.json", b"{}", "a.json: a configuration's name ends in .toml, .yaml or .yml."),
        ("a.toml", b"a = '\xff'", "a.toml: is not UTF-8 text; save it as UTF-8."),
        ("a.toml", b"a = " + b"[" * 9999, "a.toml: is nested too deeply."),
        ("a.toml", b"", 'a.toml: has no backends; add one, for example [backends.mock] with protocol = "mock".'),
    ],
)
def test_bad_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes | None, sentence: str):
    monkeypatch.chdir(tmp_path)
    if data is not None:
        Path(name).write_bytes(data)
    assert refused(name) == [sentence]


def test_a_byte_order_mark_and_crlf_are_let_pass(tmp_path: Path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert list(load(str(path), {}).backends) == ["mock"]


names = st.text(min_size=1, max_size=6).filter(lambda name: name.isprintable())
words = st.sampled_from(
    ["server", "routing", "backends", "port", "protocol", "mock", "openai", "order", "1s", "url", "*", "keys"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | names | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | names, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["server", "auth", "routing", "log", "backends", "x"]), anything))
def test_any_data_gives_a_config_or_sentences(data: dict[str, Any]):
    try:
        assert build(Document("f", data), {}, Overrides()).backends
    except ConfigError as error:
        assert all(re.fullmatch(r"f: .*[.?]", line, re.DOTALL) for line in complaints(error))


# Good files

CONTRACT = """\
[server]
host = "127.0.0.1"
port = 9000
workers = 1
max_body = "64 MiB"
max_in_flight = 1000
max_queue = 1000
drain = "30s"
[auth]
mode = "keys"
[routing]
order = ["model_mapping", "capability", "fallback"]
default_backend = "openai"
strategy = "weighted"
deadline = "600s"
first_byte = "120s"
idle = "120s"
attempts = 5
retry_on = ["429", "5xx", "timeout", "connect", "context_window"]
heartbeat = "0s"
stream_upstream = true
early_stop = ["</answer>"]
hedge = "800ms"
[routing.breaker]
failures = 4
error_rate = 0.25
window = "1m"
open_for = "5s"
[routing.fallbacks]
"gpt-4" = ["claude-sonnet-4-5", "gemini/gemini-2.5-flash"]
default = []
[log]
level = "info"
requests = "logs"
sample = 0.5
[backends.openai]
protocol = "openai"
url = "https://api.openai.com"
api_key_envs = ["OPENAI_API_KEY", "OPENAI_API_KEY_2"]
capabilities = ["text", "streaming", "tools"]
priority = 5
weight = 2
[backends.openai.limits]
rpm = 15
rpd = 1500
tpm = 250000
[backends.openai.model_mapping]
"gpt-4" = "gpt-4o"
[backends.azure]
protocol = "azure"
url = "https://RESOURCE.openai.azure.com"
api_version = "2024-10-21"
api_key_env = "AZURE_OPENAI_API_KEY"
[backends.vertex]
protocol = "vertex"
project = "my-project"
location = "us-central1"
access_token_env = "VERTEX_TOKEN"
[backends.bedrock]
protocol = "bedrock"
aws_region = "us-east-1"
url = "https://bedrock-runtime.us-east-1.amazonaws.com"
[backends.gemini]
protocol = "gemini"
api_keys_file = "secrets/tokens.txt"
[backends.responses]
protocol = "responses"
[backends.cli]
protocol = "gemini-cli"
[[auth.aws_keys]]
access_key_id = "AKIAVIRTUAL"
secret_env = "VIRTUAL_SECRET"
[[auth.keys]]
name = "ci"
key_env = "CI_KEY"
"""


def test_the_whole_contract_is_read(write: Any):
    document = read_document(write(CONTRACT))
    settings = read_settings(document)
    checks.check_settings(document, settings)
    assert settings.routing.breaker == replace(settings.routing.breaker, failures=4, error_rate=0.25, window=60, open_for=5)
    assert settings.routing.fallbacks == {"gpt-4": ("claude-sonnet-4-5", "gemini/gemini-2.5-flash"), "default": ()}
    assert (settings.routing.hedge, settings.routing.heartbeat, settings.log.sample) == ("800ms", 0, 0.5)
    assert settings.backends["openai"].limits.tpm == 250000
    assert settings.backends["openai"].capabilities == ("text", "streaming", "tools")
    assert settings.auth.keys[0].name == "ci" and settings.auth.aws_keys[0].access_key_id == "AKIAVIRTUAL"


def test_a_fallback_may_be_any_name_that_is_mapped(write: Any):
    text = MINIMAL + '[backends.mock.model_mapping]\n"a/x" = "m"\n"meta/*-8b" = "*"\n[routing.fallbacks]\nm = ["{}"]\n'
    for good in ("mock/anything", "a/x", "meta/llama-8b", "meta/-8b", "plain"):
        assert load(write(text.format(good)), {}).routing.fallbacks == {"m": (good,)}
    for bad in ("a/y", "meta/8b", "meta/llama"):
        assert "routing.fallbacks.m[0] names no backend" in refused(write(text.format(bad)))[0]
    assert load(write(text.format("a/y") + "[routing]\ndefault_backend = 'mock'\n"), {}).routing.default_backend == "mock"


def test_defaults_written_out_are_accepted(write: Any):
    text = (
        '[auth]\nmode = "none"\n[routing]\nattempts = 3\nstrategy = "priority"\nhedge = "off"\n[routing.breaker]\nfailures = 5\n'
        "[routing.fallbacks]\ndefault = []\n[backends.a]\nprotocol = 'mock'\nweight = 1\n[backends.a.limits]\n"
    )
    assert load(write(text), {}).backends["a"].settings.weight == 1


def test_every_protocol_is_known():
    assert set(HOSTS) == set(get_args(Kind))


@pytest.mark.parametrize(
    ("settings", "base", "prefix", "url"),
    [
        ('protocol = "openai"', Base("https", "api.openai.com", 443), "/v1", "https://api.openai.com/v1"),
        ('protocol = "anthropic"', Base("https", "api.anthropic.com", 443), "/v1", "https://api.anthropic.com/v1"),
        ('protocol = "gemini"', Base("https", "generativelanguage.googleapis.com", 443), "/v1beta", None),
        ('protocol = "openai"\nurl = "http://host:8000"', Base("http", "host", 8000), "/v1", "http://host:8000/v1"),
        ('protocol = "openai"\nurl = "http://host:8000/"', Base("http", "host", 8000), "/v1", "http://host:8000/v1"),
        ('protocol = "gemini"\nurl = "http://host/x/v1"', Base("http", "host", 80), "/x/v1", "http://host/x/v1"),
        ('protocol = "groq"', Base("https", "api.groq.com", 443), "/openai/v1", "https://api.groq.com/openai/v1"),
        ('protocol = "azure"\nurl = "https://r.test"', Base("https", "r.test", 443), "/openai/v1", "https://r.test/openai/v1"),
        ('protocol = "azure"\nurl = "https://r.test"\napi_version = "v"', Base("https", "r.test", 443), "/openai", None),
    ],
)
def test_a_backend_knows_where_it_is(write: Any, settings: str, base: Base, prefix: str, url: str | None):
    backend = load(write(f"[backends.b]\n{settings}\n"), {}).backends["b"]
    assert (backend.base, backend.prefix, backend.keys) == (base, prefix, ())
    assert url is None or backend.url == url
    assert backend.protocol == backend.host.protocol


def test_keys_come_from_the_environment_and_stay_hidden(write: Any):
    config = load(write('[backends.b]\nprotocol = "openai"\napi_key_env = "K"\n'), {"K": " hunter2\n"})
    assert [key.reveal() for key in config.backends["b"].keys] == ["hunter2"]
    assert "hunter2" not in repr(config) + "".join(config.found)
    with pytest.raises(TypeError):
        msgspec.json.encode(config)


def test_key_pools(write: Any):
    Path("keys.txt").write_text("# two\nk1\n\n k2 \n")
    Path("none.txt").write_text("# none\n")
    Path("torn.txt").write_text("hun ter2\n")
    Path("latin.txt").write_bytes(b"\xff")
    text = (
        '[backends.a]\nprotocol = "openai"\napi_key_envs = ["A", "B"]\n[backends.b]\nprotocol = "openai"\napi_keys_file = "{}"\n'
    )
    config = load(write(text.format("keys.txt")), ENV)
    assert [[key.reveal() for key in backend.keys] for backend in config.backends.values()] == [["a", "b"], ["k1", "k2"]]
    for name, what in [
        ("no.txt", "cannot be read (No such file or directory)"),
        ("none.txt", "holds no key"),
        ("latin.txt", "is not UTF-8 text"),
    ]:
        assert refused(write(text.format(name)), ENV) == [
            f"interlingua.toml:6: backends.b.api_keys_file names a file that {what}."
        ]
    said = refused(write(text.format("torn.txt")), ENV)
    assert "in which a key holds characters that no header can carry" in said[0] and "ter2" not in said[0]


def test_client_keys(write: Any, monkeypatch: pytest.MonkeyPatch):
    text = MINIMAL + '[auth]\nmode = "keys"\n[[auth.keys]]\nname = "a"\nkey_env = "A"\n[[auth.keys]]\nname = "b"\nkey_env = "B"\n'
    aws = '[[auth.aws_keys]]\naccess_key_id = "AKIA"\nsecret_env = "A"\n'
    config = load(write(text + aws), ENV)
    assert [(key.name, key.secret.reveal()) for key in config.client_keys + config.aws_keys] == [
        ("a", "a"),
        ("b", "b"),
        ("AKIA", "a"),
    ]
    assert refused(write(text), {"A": "same", "B": "same"}) == [
        "interlingua.toml:10: auth.keys[1].key_env holds the same key as an earlier one, so that its owner could not be told."
    ]
    assert load(write(text.replace('"keys"', '"none"')), {}).client_keys == ()


def test_a_configuration_cannot_be_changed(write: Any):
    config = load(write(MINIMAL), {})
    for value, name in ((config, "server"), (config.server, "port"), (config.backends["mock"], "keys")):
        with pytest.raises(AttributeError):
            setattr(value, name, 1)


def test_workers_are_processes(write: Any):
    assert load(write(MINIMAL), {}).server.processes == 1
    assert load(write("[server]\nworkers = 0\n" + MINIMAL), {}).server.processes >= 1


# Where it comes from


def test_the_command_line_overrides(write: Any):
    name = write(MINIMAL + '[backends.b]\nprotocol = "openai"\nurl = "http://127.0.0.1:9001"\n')
    config = load(name, {}, Overrides(host="::1", port=9009, workers=2, backend="b"))
    assert (config.server.host, config.server.port, config.server.workers) == ("::1", 9009, 2)
    assert config.routing.default_backend == "b"
    assert reload(config, {}) == config
    with pytest.raises(ConfigError, match="^--backend names no backend \\(c\\); known here: mock, b.$"):
        load(name, {}, Overrides(backend="c"))
    with pytest.raises(ConfigError, match="backends.b.url is this gateway's own address"):
        load(name, {}, Overrides(port=9001))


def test_the_file_named_then_the_file_here_then_the_environment(write: Any):
    env = {"OPENAI_API_KEY": "k"}
    assert find(None, env).source == "environment"
    write(MINIMAL)
    write('[backends.other]\nprotocol = "mock"\n', "other.toml")
    assert list(find(None, env).backends) == ["mock"]
    assert list(find("other.toml", env).backends) == ["other"]
    with pytest.raises(ConfigError, match="nosuch.toml"):
        find("nosuch.toml", env)


# The manual


def documented() -> dict[str, dict[str, str]]:
    """section -> key -> default, as docs/configuration.md has them."""
    sections: dict[str, dict[str, str]] = {}
    rows: dict[str, str] = {}
    for line in (ROOT / "docs/configuration.md").read_text(encoding="utf-8").split("\n"):
        if heading := re.fullmatch(r"## (.*)", line):
            name = re.fullmatch(r"`\[+(.*?)\]+`", heading[1])
            rows = sections.setdefault(name[1] if name else "", {})
        elif row := re.fullmatch(r"\| `(\w+)` \| (.+?) \| .{10,} \|", line):
            rows[row[1]] = row[2].strip("`")
    sections.pop("", None)
    return sections


def existing(kind: type[Struct] = Settings, path: str = "") -> dict[str, type[Struct]]:
    """section -> its Struct."""
    found: dict[str, type[Struct]] = {}
    for name, hint in get_type_hints(kind).items():
        inner = next((arg for arg in (hint, *get_args(hint)) if isinstance(arg, type) and issubclass(arg, Struct)), None)
        if inner is not None:
            section = f"{path}{name}" + {"backends": ".NAME", "agents": ".NAME", "models": ".MODEL"}.get(name, "")
            found |= {section: inner} | existing(inner, f"{section}.")
    return found


def test_the_manual_has_every_key_and_no_other():
    sections = documented()
    assert set(sections) == set(existing()) | {"routing.fallbacks", "routing.early_stop_models", "backends.NAME.model_mapping"}
    for section, kind in existing().items():
        tables = {name.removeprefix(f"{section}.").partition(".")[0] for name in sections if name.startswith(f"{section}.")}
        assert set(sections[section]) == {field.name for field in fields(kind)} - tables, section


def test_the_manual_has_the_right_defaults():
    for section, kind in existing().items():
        rows = documented()[section]
        for field in fields(kind):
            if field.name in rows and field.default is None:
                assert rows[field.name] == "none", field.name
            elif field.name in rows and field.required:
                assert rows[field.name] == "required", field.name
            elif field.name in rows:
                problems = Problems(Document("manual", {}))
                value = tomllib.loads(f"x = {rows[field.name]}")["x"]
                hint = get_type_hints(kind, include_extras=True)[field.name]
                assert _Reader(problems).value(hint, value, ()) == field.default, field.name


def test_the_example_works_as_it_stands(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    keys = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "GEMINI_API_KEY": "c"}
    config = load("interlingua.example.toml", keys)
    assert set(config.backends) == {"openai", "anthropic", "gemini", "local"}
    assert replace(config.routing, default_backend=None) == type(config.routing)()
    assert (config.server, config.log) == (type(config.server)(), type(config.log)())


def test_a_required_setting_has_no_default():
    assert [field.name for field in fields(BackendSettings) if field.required] == ["protocol"]
    assert next(field for field in fields(Backend) if field.name == "base").default is NODEFAULT
