"""How backends are authenticated: forms of keys, Google's tokens renewed in time and by one, and google-auth's own chain
against a token endpoint on loopback. No secret is shown by anything."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import peers
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import DefaultCredentialsError, RefreshError

from interlingua import config
from interlingua.config import Overrides
from interlingua.config.document import Document
from interlingua.config.resolve import build
from interlingua.credentials import GoogleToken, Static, credential_of
from interlingua.errors import UpstreamUnreachable

SECRET = "ya29.very-secret"
REQUEST = ("POST", "host", "/v1/x", b"{}")


ENV = {"K": "the-key", "T": "the-token"}


def configured(env: dict[str, str], protocol: str, **settings: Any) -> config.Config:
    return build(Document("test", {"backends": {"b": {"protocol": protocol, **settings}}}), env, Overrides())


def backend(protocol: str, **settings: Any) -> config.Backend:
    return configured(ENV, protocol, **settings).backends["b"]


VERTEX = {"project": "p", "location": "global"}
AZURE = {"url": "https://r.test"}


@pytest.mark.parametrize(
    ("protocol", "settings", "line"),
    [
        ("openai", {"api_key_env": "K"}, b"authorization: Bearer the-key\r\n"),
        ("anthropic", {"api_key_env": "K"}, b"x-api-key: the-key\r\n"),
        ("gemini", {"api_key_env": "K"}, b"x-goog-api-key: the-key\r\n"),
        ("azure", AZURE | {"api_key_env": "K"}, b"api-key: the-key\r\n"),
        ("azure", AZURE | {"access_token_env": "T"}, b"authorization: Bearer the-token\r\n"),
        ("vertex", VERTEX | {"api_key_env": "K"}, b"x-goog-api-key: the-key\r\n"),
        ("vertex", VERTEX | {"access_token_env": "T"}, b"authorization: Bearer the-token\r\n"),
        ("mistral", {"api_key_env": "K"}, b"authorization: Bearer the-key\r\n"),
        ("mock", {}, b""),
    ],
)
async def test_a_key_or_token_is_a_line_made_once(protocol: str, settings: dict[str, str], line: bytes):
    credential = credential_of(backend(protocol, **settings))
    assert isinstance(credential, Static) and credential.lines == line
    assert await credential.headers(*REQUEST) == credential.at_once(*REQUEST) == line
    assert "the-" not in repr(credential)


def test_vertex_without_a_key_takes_googles_chain():
    credential = credential_of(backend("vertex", **VERTEX))
    assert isinstance(credential, GoogleToken) and credential.lines is None


def test_a_providers_own_variable_is_for_its_own_address():
    def line(protocol: str, **settings: str) -> bytes | None:
        env = ENV | {"GROQ_API_KEY": "the-groq-key", "AZURE_OPENAI_API_KEY": "the-azure-key", "NEWAPI_API_KEY": "the-relay-key"}
        return credential_of(configured(env, protocol, **settings).backends["b"]).lines

    assert line("groq") == b"authorization: Bearer the-groq-key\r\n"
    assert line("groq", url="https://elsewhere.test") == b""
    assert line("groq", api_key_env="K") == b"authorization: Bearer the-key\r\n"
    assert line("mistral") == b""
    assert line("azure", **AZURE) == b"api-key: the-azure-key\r\n"  # its address is always the user's own
    assert line("azure", **AZURE, access_token_env="T") == b"authorization: Bearer the-token\r\n"
    assert line("newapi", url="https://relay.test") == b"authorization: Bearer the-relay-key\r\n"


@pytest.mark.parametrize(
    ("protocol", "settings", "told"),
    [
        ("groq", {}, "groq at https://api.groq.com/openai/v1, key from GROQ_API_KEY"),
        ("groq", {"api_key_env": "K"}, "groq at https://api.groq.com/openai/v1, key from K"),
        ("vertex", VERTEX, "vertex at https://aiplatform.googleapis.com/v1, credentials of Google's standard chain"),
        ("vertex", VERTEX | {"access_token_env": "T"}, "vertex at https://aiplatform.googleapis.com/v1, token from T"),
    ],
)
def test_a_person_is_told_where_a_key_comes_from(protocol: str, settings: dict[str, str], told: str):
    found = configured(ENV | {"GROQ_API_KEY": "the-groq-key"}, protocol, **settings).found
    assert found[1] == f"backend b: {told}"
    assert "the-" not in "".join(found)


class Source:
    """Stands for google-auth's credentials. `lasts`: seconds of each token; `errors` are raised first."""

    def __init__(self, lasts: float = 3600, errors: list[Exception] | None = None) -> None:
        self.lasts = lasts
        self.errors: Sequence[Exception] = errors or ()
        self.tried = 0
        self.expiry: datetime | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.threads: set[int] = set()

    def refresh(self, request: Any) -> None:
        self.tried += 1
        self.threads.add(threading.get_ident())
        assert self.gate.wait(10)
        if self.errors:
            error, *self.errors = self.errors
            raise error
        self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=self.lasts)

    def apply(self, headers: dict[str, str]) -> None:
        headers["Authorization"] = f"Bearer {SECRET}-{self.tried}"
        headers["x-goog-user-project"] = "billed"


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def token_of(source: Source) -> tuple[GoogleToken, Clock]:
    clock = Clock()
    return GoogleToken(lambda: source, clock), clock


def lines(number: int) -> bytes:
    return f"authorization: Bearer {SECRET}-{number}\r\nx-goog-user-project: billed\r\n".encode()


async def renewed(token: GoogleToken) -> None:
    await peers.settle(lambda: token._renewal is None)


async def test_a_token_is_fetched_once_for_all_who_wait_and_beside_the_loop():
    source = Source()
    source.gate.clear()
    token, _ = token_of(source)
    waiting = [asyncio.create_task(token.headers(*REQUEST)) for _ in range(50)]
    await peers.settle(lambda: source.tried == 1)  # the loop goes on while the thread is held
    assert not any(task.done() for task in waiting) and token.lines is None
    waiting[0].cancel()  # who leaves takes nothing from the others
    source.gate.set()
    found = await asyncio.gather(*waiting[1:])
    assert set(found) == {lines(1)} and source.tried == 1
    assert threading.get_ident() not in source.threads
    assert token.lines == lines(1) and "secret" not in repr(token)


async def test_a_token_is_renewed_ahead_of_its_end_and_goes_out_meanwhile():
    source = Source(lasts=3600)
    token, clock = token_of(source)
    await token.headers(*REQUEST)
    clock.ahead = 3600 - 230
    assert token.lines == lines(1)
    clock.ahead = 3600 - 220
    source.gate.clear()
    assert token.lines is token.at_once(*REQUEST) is None  # due: so headers() is asked, and does not wait
    assert await asyncio.wait_for(token.headers(*REQUEST), 1) == lines(1)
    assert await asyncio.wait_for(token.headers(*REQUEST), 1) == lines(1)
    source.gate.set()
    await renewed(token)
    assert (source.tried, token.lines) == (2, lines(2))


async def test_a_token_past_its_end_is_waited_for():
    source = Source(lasts=3600)
    token, clock = token_of(source)
    await token.headers(*REQUEST)
    clock.ahead = 3600 - 10  # too short for a request on its way
    assert token.lines is None
    assert await token.headers(*REQUEST) == lines(2)


async def test_a_renewal_that_fails_leaves_the_token_and_rests():
    source = Source(lasts=3600)
    token, clock = token_of(source)
    await token.headers(*REQUEST)
    source.errors = [OSError("away")] * 2
    clock.ahead = 3600 - 200
    assert await token.headers(*REQUEST) == lines(1)
    await renewed(token)
    assert (token.lines, source.tried) == (lines(1), 2)
    clock.ahead += 4
    assert token.lines == lines(1)  # not tried again yet
    clock.ahead += 2
    assert token.lines is None
    await token.headers(*REQUEST)
    await renewed(token)
    assert source.tried == 3
    clock.ahead = 3600 - 14  # no longer good, and the last try was long ago
    assert await token.headers(*REQUEST) == lines(4)


async def test_a_failure_is_told_to_all_for_a_moment():
    source = Source(errors=[OSError("away")])
    token, clock = token_of(source)
    for _ in range(3):
        with pytest.raises(UpstreamUnreachable, match=r"^No Google access token could be had \(OSError\)\.$"):
            await token.headers(*REQUEST)
        assert token.lines is None
    assert source.tried == 1
    clock.ahead = 6
    assert await token.headers(*REQUEST) == lines(2)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RefreshError(f"invalid_grant: Invalid JWT {SECRET}", {"assertion": SECRET}), r"could be had \(invalid_grant\)"),
        (RefreshError({"weird": SECRET}), r"could be had \(RefreshError\)"),
        (RefreshError(), r"could be had \(RefreshError\)"),
        (DefaultCredentialsError(f"File {SECRET} was not found"), "GOOGLE_APPLICATION_CREDENTIALS"),
        (ValueError(SECRET), r"could be had \(ValueError\)"),
    ],
)
async def test_what_failed_is_said_without_secrets(error: Exception, words: str):
    token, _ = token_of(Source(errors=[error]))
    with pytest.raises(UpstreamUnreachable, match=words) as caught:
        await token.headers(*REQUEST)
    assert SECRET not in str(caught.value) and caught.value.__cause__ is caught.value.__context__ is None
    assert caught.value.failure.status == 502


async def test_a_header_that_cannot_be_is_no_header():
    source = Source()
    source.apply = lambda headers: headers.update(authorization="Bearer clé")
    token, _ = token_of(source)
    with pytest.raises(UpstreamUnreachable, match="UnicodeEncodeError"):
        await token.headers(*REQUEST)


async def test_a_token_without_an_end_stays():
    source = Source()
    token, clock = token_of(source)
    source.refresh = lambda request: setattr(source, "tried", source.tried + 1)
    await token.headers(*REQUEST)
    clock.ahead = 1e8
    assert (token.lines, source.tried) == (lines(1), 1)


# google-auth itself

Answer = Callable[[str, dict[str, str], bytes], Any]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """A server for google-auth: `answer(line, headers, body)` is the JSON, or the text, that it is told."""

    async def handler(peer: peers.Peer) -> None:
        while True:
            head, body = await peer.request()
            line, *rows = head.decode().strip().split("\r\n")
            said = answer(line, {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}, body)
            kind = "text/plain" if isinstance(said, str) else "application/json"
            data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            head = f"HTTP/1.1 200 OK\r\nmetadata-flavor: Google\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n"
            await peer.send(head.encode() + data)

    async with peers.serve(handler) as server:
        yield f"http://127.0.0.1:{server.origin.port}"


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Nothing of this machine's own; chain(content) writes the file of GOOGLE_APPLICATION_CREDENTIALS."""
    for name in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", "")  # no gcloud to ask for a project

    def write(content: dict[str, Any]) -> None:
        file = tmp_path / "credentials.json"
        file.write_text(json.dumps(content))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    return write


async def test_a_service_accounts_file(chain: Callable[[dict[str, Any]], None]):
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    grants: list[dict[str, list[str]]] = []

    def answer(line: str, headers: dict[str, str], body: bytes) -> Any:
        assert line == "POST /token HTTP/1.1"
        grants.append(parse_qs(body.decode()))
        return {"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"}

    async with answering(answer) as url:
        account = {"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "token_uri": f"{url}/token"}
        chain(
            {
                **account,
                "private_key": pem.decode(),
                "private_key_id": "1",
                "project_id": "p",
                "universe_domain": "googleapis.com",
            }
        )
        token = GoogleToken()
        found = await token.headers(*REQUEST)
    assert found == f"authorization: Bearer {SECRET}\r\n".encode() == token.lines
    assert [grant["grant_type"] for grant in grants] == [["urn:ietf:params:oauth:grant-type:jwt-bearer"]]


async def test_workload_identity(chain: Callable[[dict[str, Any]], None], tmp_path: Path):
    (tmp_path / "subject").write_text("the-subject-token")
    asked: list[dict[str, list[str]]] = []

    def answer(line: str, headers: dict[str, str], body: bytes) -> Any:
        asked.append(parse_qs(body.decode()))
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return {"access_token": SECRET, "issued_token_type": kind, "expires_in": 3600, "token_type": "Bearer"}

    async with answering(answer) as url:
        chain(
            {
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/x/providers/y",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": f"{url}/v1/token",
                "credential_source": {"file": str(tmp_path / "subject")},
            }
        )
        assert f"authorization: Bearer {SECRET}\r\n".encode() in await GoogleToken().headers(*REQUEST)
    assert asked[0]["subject_token"] == ["the-subject-token"]
    assert asked[0]["scope"] == ["https://www.googleapis.com/auth/cloud-platform"]


async def test_a_machines_own_service_account(chain: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch):
    paths: list[str] = []

    def answer(line: str, headers: dict[str, str], body: bytes) -> Any:
        assert headers.get("metadata-flavor") == "Google"
        paths.append(line.split(" ")[1].partition("?")[0])
        if paths[-1].endswith("/token"):
            return {"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"}
        if paths[-1].endswith("/service-accounts/default/"):
            return {"email": "a@p.iam.gserviceaccount.com", "scopes": [], "aliases": ["default"]}
        return "googleapis.com" if "universe" in paths[-1] else "p"

    metadata = import_module("google.auth.compute_engine._metadata")
    async with answering(answer) as url:
        host = url.removeprefix("http://")
        monkeypatch.setattr(metadata, "_GCE_METADATA_HOST", host)
        monkeypatch.setenv("GCE_METADATA_IP", host)
        assert f"authorization: Bearer {SECRET}\r\n".encode() in await GoogleToken().headers(*REQUEST)
    assert any(path.endswith("/token") for path in paths)


async def test_no_credentials_at_all(chain: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/secret-name.json")
    with pytest.raises(UpstreamUnreachable, match="GOOGLE_APPLICATION_CREDENTIALS") as caught:
        await GoogleToken().headers(*REQUEST)
    assert "secret-name" not in str(caught.value)
