"""The upstream that every system stands before: nginx with fixed answers, plain and over TLS, and paced.py for the streams."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import trustme
from msgspec import Struct

from bench.bodies import answer
from bench.process import LOAD_CORE, NotStarted, Process, free_port

Start = Callable[[Process], Process]


class Upstream(Struct, frozen=True):
    """Where the answers come from. `ca`: the file that its certificate is verified with."""

    plain: int
    tls: int
    streams: int
    ca: Path


def nginx_binary() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise NotStarted("nginx is not installed (Debian: apt install nginx-light)")
    return found


def nginx_process(name: str, http: str, core: int, folder: Path) -> Process:
    """nginx in the foreground with one worker, everything it writes in `folder`."""
    folder.mkdir(exist_ok=True)
    temporary = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = folder / "nginx.conf"
    config.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        f"daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr error;\n"
        "events { worker_connections 8192; }\n"
        f"http {{\n{temporary}  access_log off;\n  client_body_buffer_size 256k;\n"
        f"  keepalive_requests 100000000;\n  keepalive_timeout 600s;\n{http}}}\n"
    )
    argv = [nginx_binary(), "-p", str(folder), "-c", str(config), "-e", "stderr"]
    return Process(name, argv, core, folder)


def _certificates(folder: Path) -> None:
    """A CA made for this run, and a certificate of 127.0.0.1 and localhost."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    certificate = ca.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)


def _static_server(listen: str) -> str:
    bodies = {"= /v1/messages": answer("anthropic"), "= /v1/chat/completions": answer("openai"), "/": b"ok"}
    bodies |= {"~ /converse$": answer("bedrock")}
    locations = "".join(f"    location {path} {{ return 200 '{body.decode()}'; }}\n" for path, body in bodies.items())
    return f"  server {{\n    listen {listen};\n    default_type application/json;\n{locations}  }}\n"


def start_upstream(folder: Path, start: Start, slow_events: int, slow_gap: float) -> Upstream:
    """Starts both servers on the load's core; `start` takes care of their end."""
    _certificates(folder)
    upstream = Upstream(free_port(), free_port(), free_port(), folder / "ca.pem")
    keys = f"  ssl_certificate {folder}/cert.pem;\n  ssl_certificate_key {folder}/key.pem;\n  ssl_protocols TLSv1.3;\n"
    http = keys + _static_server(f"127.0.0.1:{upstream.plain}") + _static_server(f"127.0.0.1:{upstream.tls} ssl")
    start(nginx_process("upstream", http, LOAD_CORE, folder / "upstream")).wait_ready(upstream.plain, "/")
    argv = [sys.executable, "-m", "bench.paced", str(upstream.streams), str(slow_events), str(slow_gap)]
    start(Process("paced", argv, LOAD_CORE, folder)).wait_ready(upstream.streams, "/")
    return upstream
