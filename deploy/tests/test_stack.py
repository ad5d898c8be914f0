"""Compose file, systemd unit, Prometheus and the dashboard: held to their own tools, and the dashboard to a real Prometheus
that has scraped a real gateway."""

import json
import os
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlingua.metrics import SPECS
from interlingua.mock.server import background

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PANELS = json.loads((DEPLOY / "grafana/dashboards/interlingua.json").read_text())["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
CONFIG = '[backends.openai]\nprotocol = "openai"\nurl = "{url}"\napi_key_env = "KEY"\n'
# Those that have something to show after a few good requests
QUIET = "losses|cache_read|5..\\|429|retries|fallbacks|breaker|hedges|rotations|early_stops|agent_tasks|reloads|log_lines"
WITH_TRAFFIC = [expr for expr in EXPRESSIONS if not re.search(QUIET, expr)]


def test_the_compose_file_follows_its_specification() -> None:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(ROOT / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    stack = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert [name for name, service in stack["services"].items() if "profiles" not in service] == ["gateway"]
    mounts = [mount for service in stack["services"].values() for mount in service.get("volumes", ())]
    assert all((ROOT / mount.partition(":")[0]).exists() for mount in mounts if mount.startswith("./"))
    ports = [port for service in stack["services"].values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    text = (DEPLOY / "interlingua.service").read_text()
    tool = tmp_path / "interlingua"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    unit = tmp_path / "interlingua.service"
    unit.write_text(text.replace("/opt/interlingua/bin/interlingua", str(tool)))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_prometheus_takes_its_configuration() -> None:
    done = subprocess.run(["promtool", "check", "config", str(DEPLOY / "prometheus.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_dashboard_names_metrics_that_exist() -> None:
    named = {name for expr in EXPRESSIONS for name in re.findall(r"interlingua_\w+", expr)}
    known = set[str]()
    for spec in SPECS.values():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}[spec.kind]
        known |= {spec.name + end for end in ends}
    assert named - known == set()
    assert {re.sub(r"_(total|bucket)$", "", name) for name in named} == set(SPECS)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has seen a gateway's figures grow."""
    folder = tmp_path_factory.mktemp("prometheus")
    with background() as mock, ExitStack() as stack:
        (folder / "interlingua.toml").write_text(
            f'[backends.openai]\nprotocol = "openai"\nurl = "{mock.url}"\napi_key_env = "KEY"\n'
        )
        gateway = stack.enter_context(running(["interlingua", "serve", "--port", "0"], folder))
        assert gateway.stdout is not None
        url = next(line.split()[-1] for line in gateway.stdout if "listens on" in line)
        address = stack.enter_context(scraping(url.removeprefix("http://"), folder))
        ask(url)
        until(address, "interlingua_requests_total")
        ask(url)
        until(address, "increase(interlingua_first_token_seconds_count[1m]) > 0")
        yield address


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    env = os.environ | {"KEY": "any"}
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def scraping(target: str, folder: Path) -> Iterator[str]:
    """A Prometheus that asks `target` every second."""
    settings = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    settings["global"]["scrape_interval"] = "1s"
    settings["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    data = f"--storage.tsdb.path={folder / 'data'}"
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", data, f"--web.listen-address={address}"]
    with running(command, folder):
        yield f"http://{address}"


def ask(gateway: str) -> None:
    """One request whole and one streamed."""
    for stream in (False, True):
        body = {"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{gateway}/v1/chat/completions", data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


def query(address: str, expression: str) -> list[Any]:
    with urllib.request.urlopen(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}", timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def until(address: str, expression: str) -> None:
    """Waits until an expression has a result: Prometheus starts, then scrapes in its own time."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if query(address, expression):
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"Prometheus has no {expression}")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_panel_is_a_query_that_prometheus_answers(expression: str, prometheus: str) -> None:
    asked = expression.replace("$__rate_interval", "1m")
    for variable in ("$backend", "$model", "$protocol"):
        asked = asked.replace(variable, ".*")
    result = query(prometheus, asked)
    if expression in WITH_TRAFFIC:
        assert result
