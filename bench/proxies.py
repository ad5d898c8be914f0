"""The systems under test, one worker each: how each is set before the upstream, and started."""

import http.client
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from bench.bodies import Dialect, as_responses
from bench.environments import ENVOY, LITELLM, environment
from bench.process import PROXY_CORE, NotStarted, Process, free_port
from bench.upstream import Start, Upstream, nginx_process

PATH: Final = "/v1/chat/completions"
MODES: Final = ("burst", "paced", "first", "slow")
Way = Literal["plain", "tls", "streams"]
Json = dict[str, Any]


class Proxy(Struct, frozen=True):
    """A system that runs. A plain proxy has a port for each way to the upstream; the others tell them by the model's name."""

    name: str
    ports: dict[Way, int]
    process: Process
    heavy: bool = False  # so slow that its requests are counted out to it
    path: str = PATH
    says: Callable[[bytes], bytes] = bytes  # a chat request in the words of its client's protocol


def _fill(template: str, **values: object) -> str:
    for name, value in values.items():
        template = template.replace(f"@{name}@", str(value))
    return template


_INTERLINGUA: Final = """
[server]
port = @port@
max_in_flight = 2000

[routing]
default_backend = "plain"
"""
_BACKEND: Final = """
[backends.@name@]
protocol = "@protocol@"
url = "@url@"
@more@
[backends.@name@.model_mapping]
"""
_MODELS: Final[dict[Dialect, str]] = {
    "openai": "gpt-4o-2024-11-20",
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "anthropic.claude-sonnet-4-5",
}
_KEY: Final = 'api_key_env = "BENCH_KEY"'
# Everything on, and nothing failing.
_ROUTING: Final = """
attempts = 4
strategy = "least_busy"
hedge = "10s"
retry_on = ["429", "5xx", "timeout", "connect", "context_window", "content_filter"]
[routing.breaker]
failures = 5
error_rate = 0.5
[routing.fallbacks]
"gpt-4o*" = ["plain/claude-haiku-4-5", "streams/claude-opus-4-5"]
"""
POOL: Final = 3  # backends
_POOLED: Final = """api_key_envs = ["BENCH_KEY", "BENCH_KEY_2", "BENCH_KEY_3"]
limits = { rpm = 100000000, rpd = 1000000000, tpm = 1000000000 }
capabilities = ["text", "tools", "parallel_tools", "streaming", "vision"]
"""


def _backends(protocol: Dialect, upstream: Upstream, pool: int) -> str:
    """The backends of each way, `pool` of them."""
    model, text = _MODELS[protocol], ""
    ways: dict[Way, tuple[str, list[str]]] = {
        "plain": (f"http://127.0.0.1:{upstream.plain}", [""]),
        "tls": (f"https://127.0.0.1:{upstream.tls}", ["-tls"]),
        "streams": (f"http://127.0.0.1:{upstream.streams}", [f"-{mode}" for mode in MODES]),
    }
    more = _POOLED if pool > 1 else 'aws_region = "us-east-1"' if protocol == "bedrock" else _KEY
    for way, (url, names) in ways.items():
        for number in range(pool):
            text += _fill(_BACKEND, name=f"{way}{number or ''}", protocol=protocol, url=url, more=more)
            text += "".join(f'"gpt-4o{name}" = "{model}{"" if way == "tls" else name}"\n' for name in names)
    return text


def start_interlingua(protocol: Dialect, name: str, upstream: Upstream, folder: Path, start: Start, pool: int = 1) -> Proxy:
    """Interlingua for OpenAI clients before an upstream that speaks `protocol`. `pool` over 1: so many backends share the
    requests, and everything else that there is to configure for them is."""
    port = free_port()
    config = folder / f"{name}.toml"
    config.write_text(_settings(protocol, upstream, port, pool))
    argv = [sys.executable, "-m", "interlingua", "serve", "--config", str(config)]
    keys = {"BENCH_KEY": "bench-key", "BENCH_KEY_2": "bench-key-2", "BENCH_KEY_3": "bench-key-3"}
    aws = {"AWS_ACCESS_KEY_ID": "AKIABENCHBENCHBENCH1", "AWS_SECRET_ACCESS_KEY": "bench-secret"}
    process = start(Process(name, argv, PROXY_CORE, folder, {**keys, **aws, "SSL_CERT_FILE": str(upstream.ca)}))
    process.wait_ready(port, "/ready")
    return Proxy(name, {"plain": port, "tls": port, "streams": port}, process)


def exchange(proxy: Proxy, upstream: Upstream, folder: Path, pool: int) -> None:
    """Another configuration for an interlingua under way, whose upstream speaks Anthropic's protocol: of `pool` backends.
    Raises NotStarted where it is not taken."""
    port = proxy.ports["plain"]
    before = _reloads(port)
    (folder / f"{proxy.name}.toml").write_text(_settings("anthropic", upstream, port, pool))
    proxy.process.reread()
    for _ in range(200):
        if _reloads(port) > before:
            return
        time.sleep(0.02)
    raise NotStarted(f"{proxy.name} does not take another configuration ({proxy.process.log})")


def _reloads(port: int) -> int:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        link.request("GET", "/api/system/status")
        return json.load(link.getresponse())["configuration"]["reloads"]
    finally:
        link.close()


def _settings(protocol: Dialect, upstream: Upstream, port: int, pool: int) -> str:
    return _fill(_INTERLINGUA, port=port) + (_ROUTING if pool > 1 else "") + _backends(protocol, upstream, pool)


def _envoy_config(ports: dict[Way, int], targets: dict[Way, int], admin: int, ca: Path) -> Json:
    def address(port: int) -> Json:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def listener(way: Way) -> Json:
        route = {"match": {"prefix": "/"}, "route": {"cluster": way, "timeout": "0s"}}
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": way,
            "route_config": {"virtual_hosts": [{"name": way, "domains": ["*"], "routes": [route]}]},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                }
            ],
        }
        chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        return {"name": way, "address": address(ports[way]), "filter_chains": [chain]}

    def cluster(way: Way) -> Json:
        endpoint = {"endpoint": {"address": address(targets[way])}}
        limits = {"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}
        found: Json = {
            "name": way,
            "type": "STATIC",
            "load_assignment": {"cluster_name": way, "endpoints": [{"lb_endpoints": [endpoint]}]},
            "circuit_breakers": {"thresholds": [limits]},
        }
        if way == "tls":
            common = {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
                "validation_context": {"trusted_ca": {"filename": str(ca)}},
            }
            kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
            context = {"@type": kind, "sni": "localhost", "common_tls_context": common}
            found["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
        return found

    resources = {"listeners": [listener(way) for way in ports], "clusters": [cluster(way) for way in ports]}
    return {"admin": {"address": address(admin)}, "static_resources": resources}


def _targets(upstream: Upstream) -> dict[Way, int]:
    return {"plain": upstream.plain, "tls": upstream.tls, "streams": upstream.streams}


def start_envoy(name: str, upstream: Upstream, folder: Path, start: Start) -> Proxy:
    """Envoy as a plain proxy: nothing read, nothing translated."""
    binary = environment("envoy", ENVOY) / "envoy"
    ports: dict[Way, int] = {"plain": free_port(), "tls": free_port(), "streams": free_port()}
    admin = free_port()
    config = folder / "envoy.json"
    config.write_text(json.dumps(_envoy_config(ports, _targets(upstream), admin, upstream.ca), indent=1))
    argv = [str(binary), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    process = start(Process(name, argv, PROXY_CORE, folder))
    process.wait_ready(admin, "/ready")
    return Proxy(name, ports, process)


_NGINX: Final = """
  upstream @way@ { server 127.0.0.1:@target@; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:@port@ backlog=4096;
    location = /ready { return 200; }
    location / {
      proxy_pass @scheme@://@way@;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering @buffering@;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_verify on;
      proxy_ssl_name localhost;
      proxy_ssl_trusted_certificate @ca@;
    }
  }
"""


def start_nginx(name: str, upstream: Upstream, folder: Path, start: Start) -> Proxy:
    """nginx as a plain proxy, keep-alive to the upstream, unbuffered where it streams."""
    ports: dict[Way, int] = {"plain": free_port(), "tls": free_port(), "streams": free_port()}
    http = "".join(
        _fill(
            _NGINX,
            way=way,
            port=ports[way],
            target=target,
            scheme="https" if way == "tls" else "http",
            buffering="off" if way == "streams" else "on",
            ca=upstream.ca,
        )
        for way, target in _targets(upstream).items()
    )
    process = start(nginx_process(name, http, PROXY_CORE, folder / name))
    process.wait_ready(ports["plain"], "/ready")
    return Proxy(name, ports, process)


def start_litellm(name: str, upstream: Upstream, folder: Path, start: Start) -> Proxy:
    """LiteLLM's proxy, from OpenAI to Anthropic."""
    binary = environment("litellm", LITELLM) / "litellm"
    port = free_port()

    def model(client: str, provider: str, origin: str) -> Json:
        params = {"model": f"anthropic/{provider}", "api_base": origin, "api_key": "bench-key"}
        return {"model_name": client, "litellm_params": params}

    streams = f"http://127.0.0.1:{upstream.streams}"
    models = [
        model("gpt-4o", "claude-sonnet-4-5", f"http://127.0.0.1:{upstream.plain}"),
        model("gpt-4o-tls", "claude-sonnet-4-5", f"https://127.0.0.1:{upstream.tls}"),
        *(model(f"gpt-4o-{mode}", f"claude-sonnet-4-5-{mode}", streams) for mode in MODES),
    ]
    config = folder / "litellm.yaml"  # JSON is YAML
    settings = {"drop_params": True, "telemetry": False}
    keyless = {"dangerously_permit_weak_or_unset_master_key": True}  # on loopback, for the run: the cheapest it can do
    config.write_text(json.dumps({"model_list": models, "litellm_settings": settings, "general_settings": keyless}, indent=1))
    argv = [str(binary), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "SSL_CERT_FILE": str(upstream.ca)}
    process = start(Process(name, argv, PROXY_CORE, folder, env))
    process.wait_ready(port, "/health/liveliness", limit=60.0)
    return Proxy(name, {"plain": port, "tls": port, "streams": port}, process, heavy=True)


def _translated(name: str, upstream: Upstream, folder: Path, start: Start) -> Proxy:
    return start_interlingua("anthropic", name, upstream, folder, start)


def _same(name: str, upstream: Upstream, folder: Path, start: Start) -> Proxy:
    return start_interlingua("openai", name, upstream, folder, start)


def _configured(name: str, upstream: Upstream, folder: Path, start: Start) -> Proxy:
    return start_interlingua("anthropic", name, upstream, folder, start, POOL)


def _bedrock(name: str, upstream: Upstream, folder: Path, start: Start) -> Proxy:
    return start_interlingua("bedrock", name, upstream, folder, start)


def _responses(name: str, upstream: Upstream, folder: Path, start: Start) -> Proxy:
    proxy = start_interlingua("openai", name, upstream, folder, start)
    return replace(proxy, path="/v1/responses", says=as_responses)


SYSTEMS: Final[dict[str, Callable[[str, Upstream, Path, Start], Proxy]]] = {
    "interlingua": _translated,
    "interlingua-configured": _configured,
    "interlingua-same": _same,
    "interlingua-responses": _responses,
    "interlingua-bedrock": _bedrock,
    "envoy": start_envoy,
    "nginx": start_nginx,
    "litellm": start_litellm,
}
