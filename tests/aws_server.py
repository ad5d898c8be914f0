"""A tiny HTTP server in a thread, and unmodified boto3 as its client: what boto3 says is kept raw, what it hears is scripted."""

import contextlib
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

KEY, SECRET, REGION = "AKIAVIRTUAL", "the+secret/of=the=virtual=key", "eu-central-1"


class Heard(NamedTuple):
    """A request as it stood on the wire; header names in lower case."""

    method: str
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes


class Said(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str] = {}
    content_type: str = "application/json"


class Server:
    """`answer` may be exchanged between calls; `heard` is what came, newest last."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.heard: list[Heard] = []
        self.answer: Callable[[Heard], Said] = lambda _: Said(500, b"{}")

    def client(self, **more: Any) -> Any:
        options: dict[str, Any] = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": REGION} | more
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5)
        return boto3.client("bedrock-runtime", endpoint_url=self.url, config=config, **options)


@contextlib.contextmanager
def serving() -> Generator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path, _, query = self.path.encode("latin-1").partition(b"?")
            headers = {name.lower().encode(): value.encode("latin-1") for name, value in self.headers.items()}
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            server.heard.append(Heard(self.command, path, query, headers, body))
            said = server.answer(server.heard[-1])
            self.send_response(said.status)
            usual = {"content-type": said.content_type, "content-length": str(len(said.body)), "connection": "close"}
            for name, value in (usual | said.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_address[1]}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
