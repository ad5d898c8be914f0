"""The gateways' configurations: a backend for each protocol, asked by `backend/model`, and pools where a scene wants one."""

from collections.abc import Mapping
from typing import Final

from chaos.wires import PROTOCOLS

# Errors are told as they come: no other attempt, no breaker, and two seconds are long.
ONCE: Final = """
attempts = 1
connect = "2s"
first_byte = "2s"
idle = "2s"
deadline = "6s"
[routing.breaker]
failures = 1000000
error_rate = 1
"""


def backend(name: str, protocol: str, url: str, mapping: Mapping[str, str] | None = None) -> str:
    key = 'aws_region = "eu-west-1"' if protocol == "bedrock" else 'api_key_env = "CHAOS_KEY"'
    lines = "".join(f'"{model}" = "{theirs}"\n' for model, theirs in (mapping or {}).items())
    return f'[backends.{name}]\nprotocol = "{protocol}"\nurl = "{url}"\n{key}\n[backends.{name}.model_mapping]\n{lines}'


def one_of_each(port: int) -> str:
    """Every protocol's backend under its own name, and `tls`, which is asked by TLS and has none."""
    url = f"http://127.0.0.1:{port}"
    return "".join(backend(name, name, url) for name in PROTOCOLS) + backend("tls", "openai", url.replace("http:", "https:"))


def config(backends: str, routing: str = ONCE, server: str = "") -> str:
    return f'[server]\nmax_in_flight = 4000\n{server}\n[log]\nlevel = "error"\n[routing]\n{routing}\n{backends}'
