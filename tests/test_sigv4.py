"""Signature Version 4: what boto3 signs is believed, what anyone changed is refused as AWS does; we sign what botocore would."""

import asyncio
import json
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import aws_server
import pytest
from aws_server import KEY, REGION, SECRET, Heard, Said, Server
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError, NoCredentialsError
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import settle

from interlingua.errors import GatewayError, UpstreamUnreachable
from interlingua.protocols import bedrock
from interlingua.sigv4 import Chain, Credentials, SignatureRefused, Signer, sign, verify

NOW = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
KEYS = {KEY: SECRET, "AKIAOTHER": "another"}
BODY = b'{"messages":[]}'
MODEL = "anthropic.claude-sonnet-4-5-20250929-v1%3A0"
calm = settings(max_examples=60, deadline=None)


def signed(
    path: str = f"/model/{MODEL}/converse",
    query: str = "",
    *,
    now: datetime = NOW,
    body: bytes = BODY,
    credentials: TheirCredentials | None = None,
    service: str = "bedrock",
    headers: dict[str, str] | None = None,
) -> Heard:
    """A request as botocore signs it."""
    request = AWSRequest("POST", f"http://gateway.test:9000{path}{'?' + query if query else ''}", data=body)
    for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
        request.headers[name] = value
    with patch("botocore.auth.get_current_datetime", return_value=now):
        SigV4Auth(credentials or TheirCredentials(KEY, SECRET), service, REGION).add_auth(request)
    sent = {name.lower().encode(): str(value).encode() for name, value in request.headers.items()}
    return Heard("POST", path.encode(), query.encode(), {b"host": b"gateway.test:9000", **sent}, body)


def check(heard: Heard, now: datetime = NOW, **more: Any) -> str:
    return verify(heard.method, heard.path, heard.query, heard.headers, heard.body, KEYS, now.timestamp(), **more)


def with_header(heard: Heard, name: str, value: str | None) -> Heard:
    headers = {key: old for key, old in heard.headers.items() if key != name.encode()}
    return heard._replace(headers=headers if value is None else headers | {name.encode(): value.encode()})


def authorization(heard: Heard, old: str, new: str) -> Heard:
    value = heard.headers[b"authorization"].decode()
    assert old in value
    return with_header(heard, "authorization", value.replace(old, new))


def refused(heard: Heard, now: datetime = NOW, **more: Any) -> tuple[str, int, str]:
    with pytest.raises(SignatureRefused) as caught:
        check(heard, now, **more)
    failure = caught.value.failure
    status, body = bedrock.format_error(failure)
    assert isinstance(caught.value, GatewayError) and failure.kind == "authentication"
    assert (status, body) == (failure.status, {"__type": failure.code, "message": failure.message})
    assert SECRET not in failure.message
    return failure.code or "", failure.status, failure.message


# Believed


@pytest.mark.parametrize(
    "path",
    [
        f"/model/{MODEL}/converse",
        "/model/anthropic.claude-v2:1/converse-stream",
        "/model/anthropic.claude-v2%253A1/converse",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-v2%3A1/converse",
        "/bedrock/model/a.b/converse",
        "/a//b/./c/../d/",
        "/",
        "/caf%C3%A9/~a_b-c.d",
    ],
)
def test_what_botocore_signs_is_believed_whatever_the_path(path: str) -> None:
    assert check(signed(path)) == KEY


def test_a_path_that_a_proxy_decoded_is_still_believed() -> None:
    heard = signed()
    assert check(heard._replace(path=heard.path.replace(b"%3A", b":"))) == KEY


@pytest.mark.parametrize("query", ["", "b=2&a=1&a=0", "key=a%20b&empty=", "flag"])
def test_a_query_is_signed_too(query: str) -> None:
    assert check(signed(query=query)) == KEY
    assert refused(signed(query=query)._replace(query=b"x=1&" + query.encode()))[0] == "InvalidSignatureException"


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_a_clock_may_be_five_minutes_wrong(seconds: int) -> None:
    assert check(signed(now=NOW + timedelta(seconds=seconds))) == KEY


def test_spaces_in_headers_and_a_declared_hash_are_no_matter() -> None:
    heard = signed(headers={"X-Amz-Content-SHA256": sha256(BODY).hexdigest(), "X-Amz-Meta": "a  b   c "})
    assert check(with_header(heard, "x-amz-meta", "  a b c")) == KEY


def test_a_date_header_will_do_where_it_is_signed() -> None:
    heard = signed(headers={"Date": "now"})
    assert b"x-amz-date" not in heard.headers and check(heard) == KEY
    assert refused(with_header(heard, "date", "yesterday"))[0] == "IncompleteSignatureException"
    assert (
        refused(with_header(heard, "date", format_datetime(NOW + timedelta(seconds=1), usegmt=True)))[0]
        == "InvalidSignatureException"
    )
    unsigned = authorization(heard, "content-type;date;host", "content-type;host")
    assert refused(unsigned)[:2] == ("IncompleteSignatureException", 400)


def test_the_region_and_the_service_may_be_held_to() -> None:
    assert check(signed(), region=REGION) == KEY
    assert "valid region" in refused(signed(), region="us-east-1")[2]
    code, status, message = refused(signed(service="s3"))
    assert (code, status) == ("InvalidSignatureException", 403) and "correct service: 'bedrock'" in message


@calm
@given(st.text("ab/%:~. é\u2028", max_size=12), st.binary(max_size=20), st.text("abc=&%", max_size=8))
def test_botocore_and_we_agree_on_any_request(path: str, body: bytes, query: str) -> None:
    assert check(signed("/" + quote(path).lstrip("/"), query, body=body)) == KEY


# Refused


@pytest.mark.parametrize(
    ("old", "new", "code", "status"),
    [
        (KEY, "AKIANOBODY", "UnrecognizedClientException", 403),
        (KEY, "AKIAOTHER", "InvalidSignatureException", 403),
        ("Signature=", "Signature=0", "InvalidSignatureException", 403),
        ("aws4_request", "aws5_request", "IncompleteSignatureException", 400),
        (f"/{REGION}/bedrock/aws4_request", "", "IncompleteSignatureException", 400),
        (REGION, "us-west-2", "InvalidSignatureException", 403),
        ("20261121", "20261120", "InvalidSignatureException", 403),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "IncompleteSignatureException", 400),
        ("AWS4-HMAC-SHA256", "Basic", "IncompleteSignatureException", 400),
        ("Credential=", "Kredential=", "IncompleteSignatureException", 400),
        ("SignedHeaders=", "SignedHeader=", "IncompleteSignatureException", 400),
        ("Signature=", "Signatur=", "IncompleteSignatureException", 400),
        ("content-type;host;", "content-type;", "InvalidSignatureException", 403),
        ("host;x-amz-date", "host", "InvalidSignatureException", 403),
        ("content-type;host", "host", "InvalidSignatureException", 403),
        ("content-type;host", "accept;content-type;host", "InvalidSignatureException", 403),
    ],
)
def test_a_changed_authorization_is_refused_as_aws_does(old: str, new: str, code: str, status: int) -> None:
    heard = signed()
    changed = authorization(heard, old, new)
    assert refused(changed)[:2] == (code, status)


def test_without_authorization_there_is_no_token() -> None:
    for value in (None, "", "  "):
        assert refused(with_header(signed(), "authorization", value)) == (
            "MissingAuthenticationTokenException",
            403,
            "Missing Authentication Token",
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [("host", "elsewhere"), ("content-type", "text/plain"), ("x-amz-date", "20261121T090001Z"), ("host", None)],
)
def test_a_changed_header_is_refused(name: str, value: str | None) -> None:
    assert refused(with_header(signed(), name, value))[:2] == ("InvalidSignatureException", 403)


@pytest.mark.parametrize("name", ["x-amz-target", "x-amz-content-sha256", "x-amz-user-agent"])
def test_an_unsigned_header_that_aws_acts_upon_is_refused(name: str) -> None:
    code, status, message = refused(with_header(signed(), name, "a"))
    assert (code, status) == ("InvalidSignatureException", 403) and f"'{name}' must be a 'SignedHeader'" in message


def test_headers_that_proxies_add_are_no_matter() -> None:
    assert check(with_header(with_header(signed(), "x-forwarded-for", "1.2.3.4"), "x-amzn-trace-id", "Root=1")) == KEY


@pytest.mark.parametrize("field", ["method", "path", "body"])
def test_anything_else_changed_is_refused(field: str) -> None:
    heard = signed()
    changed = heard._replace(**{field: {"method": "PUT", "path": b"/model/other/converse", "body": BODY + b" "}[field]})
    assert refused(changed)[:2] == ("InvalidSignatureException", 403)


@pytest.mark.parametrize("said", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64, ""])
def test_a_body_that_is_not_signed_is_refused(said: str) -> None:
    """Signed in truth, but for a body of another hash, or of none."""
    code, status, message = refused(signed(headers={"X-Amz-Content-SHA256": said}))
    assert (code, status) == ("InvalidSignatureException", 403) and "payload hash" in message


@pytest.mark.parametrize(
    ("seconds", "words"), [(-301, "Signature expired: 20261121T085459Z"), (301, "Signature not yet current")]
)
def test_a_clock_that_is_wrong_is_refused(seconds: int, words: str) -> None:
    code, status, message = refused(signed(now=NOW + timedelta(seconds=seconds)))
    assert (code, status) == ("InvalidSignatureException", 403) and words in message


@pytest.mark.parametrize("value", [None, "", "2026-11-21T09:00:00Z", "20261321T090000Z", "20261121T096000Z", "٢٠٢٦١١٢١T090000Z"])
def test_a_date_that_is_none_is_refused(value: str | None) -> None:
    assert refused(with_header(signed(), "x-amz-date", value))[:2] == ("IncompleteSignatureException", 400)


def test_a_session_token_is_not_ours() -> None:
    """Virtual keys have no sessions: a client that brings one took its credentials from elsewhere."""
    heard = signed(credentials=TheirCredentials(KEY, SECRET, "token"))
    assert refused(heard)[:2] == ("UnrecognizedClientException", 403)
    unsigned = with_header(signed(), "x-amz-security-token", "token")
    assert refused(unsigned)[:2] == ("InvalidSignatureException", 403)


@calm
@given(
    st.text(max_size=60) | st.text(max_size=60).map("AWS4-HMAC-SHA256 {}".format) | st.text("/=,;aCredntilSgHuers ", max_size=80)
)
def test_any_authorization_is_refused_and_nothing_else(value: str) -> None:
    heard = signed()
    headers = heard.headers | {b"authorization": value.encode("utf-8", "replace")}
    with pytest.raises(SignatureRefused):
        check(heard._replace(headers=headers))


# boto3 itself, through a socket


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    def answer(heard: Heard) -> Said:
        try:
            verify(heard.method, heard.path, heard.query, heard.headers, heard.body, KEYS, datetime.now(UTC).timestamp())
        except SignatureRefused as error:
            status, body = bedrock.format_error(error.failure)
            return Said(status, json.dumps(body).encode(), {"x-amzn-errortype": body["__type"]})
        done = {
            "output": {"message": {"role": "assistant", "content": []}},
            "stopReason": "end_turn",
            "metrics": {"latencyMs": 1},
        }
        return Said(200, json.dumps(done).encode())

    with aws_server.serving() as running:
        running.answer = answer
        yield running


ASK: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "Grüße \u2028"}]}]}


@pytest.mark.parametrize(
    "model",
    [
        "amazon.nova-pro-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-v1:0",
        "a b/c",
    ],
)
def test_unmodified_boto3_is_believed(server: Server, model: str) -> None:
    client = server.client()
    assert client.converse(modelId=model, **ASK)["stopReason"] == "end_turn"
    client.close()


@pytest.mark.parametrize(
    ("options", "code", "status"),
    [
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException", 403),
        ({"aws_access_key_id": "AKIANOBODY"}, "UnrecognizedClientException", 403),
        ({"aws_session_token": "t"}, "UnrecognizedClientException", 403),
    ],
)
def test_boto3_raises_its_client_error(server: Server, options: dict[str, str], code: str, status: int) -> None:
    client = server.client(**options)
    with pytest.raises(ClientError) as caught:
        client.converse(modelId="m", **ASK)
    client.close()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_boto3_with_a_wrong_clock_raises_its_client_error(server: Server, seconds: int) -> None:
    client = server.client()
    wrong = datetime.now(UTC) + timedelta(seconds=seconds)
    with patch("botocore.auth.get_current_datetime", return_value=wrong), pytest.raises(ClientError, match="Signature") as caught:
        client.converse(modelId="m", **ASK)
    client.close()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


# Signing


def lines(raw: bytes) -> dict[bytes, bytes]:
    rows = [line.partition(b": ") for line in raw.removesuffix(b"\r\n").split(b"\r\n")]
    return {name: value for name, _, value in rows}


@pytest.mark.parametrize("token", [None, "session/token=="])
@pytest.mark.parametrize(("path", "query"), [(f"/model/{MODEL}/converse", ""), ("/model/a%2Fb/invoke", "x=1&a=2")])
def test_we_sign_as_botocore_does(path: str, query: str, token: str | None) -> None:
    theirs = signed(path, query, credentials=TheirCredentials(KEY, SECRET, token))
    target = f"{path}?{query}" if query else path
    ours = lines(sign("POST", "gateway.test:9000", target, BODY, Credentials(KEY, SECRET, token), REGION, NOW.timestamp()))
    assert ours == {name: value for name, value in theirs.headers.items() if name not in (b"host", b"content-type")}


@calm
@given(
    st.lists(st.binary(max_size=80), min_size=1, max_size=3),
    st.sampled_from(["/", "/model/a%3A0/converse"]),
    st.text("abc=&", max_size=6),
    st.text(min_size=1, max_size=90),
    st.integers(0, 2),
)
def test_what_is_remembered_of_a_second_signs_as_botocore_does(
    bodies: list[bytes], path: str, query: str, secret: str, later: int
) -> None:
    now, keys = NOW + timedelta(seconds=later), Credentials(KEY, secret)
    for body in bodies:
        theirs = signed(path, query, now=now, body=body, credentials=TheirCredentials(KEY, secret))
        target = f"{path}?{query}" if query else path
        ours = lines(sign("POST", "gateway.test:9000", target, body, keys, REGION, now.timestamp() + 0.9))
        assert ours[b"authorization"] == theirs.headers[b"authorization"] and ours[b"x-amz-date"] == theirs.headers[b"x-amz-date"]


def test_what_we_sign_we_believe() -> None:
    head = lines(sign("POST", "h", "/model/a%3A0/converse", BODY, Credentials(KEY, SECRET), REGION, NOW.timestamp()))
    heard = Heard("POST", b"/model/a%3A0/converse", b"", {b"host": b"h", b"content-type": b"application/json", **head}, BODY)
    assert check(heard) == KEY


def test_credentials_are_never_shown() -> None:
    assert repr(Credentials(KEY, SECRET, "token")) == "Credentials(hidden)"


# The chain


class Source:
    """Credentials as botocore gives them, that end when they are told to."""

    def __init__(self, left: float, fails: bool = False) -> None:
        self.left, self.fails = left, fails
        self.renewed = 0
        self.threads: set[int] = set()

    def refresh_needed(self, seconds: float) -> bool:
        return self.left < seconds

    def get_frozen_credentials(self) -> Any:
        self.threads.add(threading.get_ident())
        if self.fails:
            raise NoCredentialsError
        self.renewed += 1
        return SimpleNamespace(access_key=f"AKIA{self.renewed}", secret_key="s", token=None)


async def test_lasting_credentials_are_asked_for_once_and_in_a_thread() -> None:
    source = Source(left=10**6)
    chain = Chain(find=lambda: source)
    found = await asyncio.gather(*(chain.credentials() for _ in range(5)))
    assert {credentials.id for credentials in found} == {"AKIA1"} and source.renewed == 1
    assert threading.get_ident() not in source.threads
    assert (await chain.credentials()).id == "AKIA1"


async def test_a_request_is_signed_at_once_where_credentials_are_at_hand() -> None:
    source = Source(left=10**6)
    signer = Signer(REGION, chain=Chain(find=lambda: source))
    request = "POST", "h", "/model/m/converse?a=1", BODY
    assert signer.at_once(*request) is None and source.renewed == 0
    assert lines(await signer.headers(*request)).keys() == {b"authorization", b"x-amz-date"}
    await signer.headers(*request)  # looks when they end
    assert b"AKIA1" in (signer.at_once(*request) or b"")
    fleeting = Signer(REGION, chain=Chain(find=lambda: source, look=0))
    await fleeting.headers(*request)
    assert fleeting.at_once(*request) is None


async def test_credentials_about_to_end_are_renewed_beside_the_request() -> None:
    source = Source(left=10**6)
    chain = Chain(find=lambda: source, look=0)
    await chain.credentials()
    source.left = 700  # under a quarter of an hour, over ten minutes
    assert (await chain.credentials()).id == "AKIA1"
    await settle(lambda: source.renewed == 2)
    source.left = 10**6
    await asyncio.sleep(0.01)
    assert (await chain.credentials()).id == "AKIA2"


async def test_credentials_that_end_are_waited_for() -> None:
    source = Source(left=10**6)
    chain = Chain(find=lambda: source, look=0)
    await chain.credentials()
    source.left = 0
    assert [c.id for c in await asyncio.gather(chain.credentials(), chain.credentials())] == ["AKIA2", "AKIA2"]


async def test_no_credentials_are_a_failure_that_says_what_to_do() -> None:
    with pytest.raises(UpstreamUnreachable, match="set AWS_ACCESS_KEY_ID"):
        await Chain(find=lambda: None).credentials()
    source = Source(left=0, fails=True)
    chain = Chain(find=lambda: source)
    with pytest.raises(UpstreamUnreachable, match=r"could not be had \(NoCredentialsError\)"):
        await chain.credentials()
    source.fails = False
    assert (await chain.credentials()).id == "AKIA1"


async def test_botocores_own_credentials_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    found = await Chain().credentials()
    assert (found.id, found.secret, found.token) == ("AKIAENV", "secret", None)
    ends = datetime.now(UTC) + timedelta(hours=1)
    rows = {"access_key": "AKIATEMP", "secret_key": "s", "token": "t", "expiry_time": ends.isoformat()}
    temporary = RefreshableCredentials.create_from_metadata(rows, lambda: rows, "test")
    found = await Chain(find=lambda: temporary).credentials()
    assert (found.id, found.token) == ("AKIATEMP", "t")


async def test_a_signer_signs_or_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    source = Source(left=10**6)
    head = lines(await Signer(REGION, chain=Chain(find=lambda: source)).headers("POST", "h", "/model/a/converse?x=1", BODY))
    keys = {"AKIA1": "s"}
    told = {b"host": b"h", b"content-type": b"application/json", **head}
    assert verify("POST", b"/model/a/converse", b"x=1", told, BODY, keys, datetime.now(UTC).timestamp()) == "AKIA1"
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-x")
    assert await Signer(REGION).headers("POST", "h", "/", b"") == b"authorization: Bearer bedrock-api-key-x\r\n"
    assert await Signer(REGION, bearer="mine").headers("POST", "h", "/", b"") == b"authorization: Bearer mine\r\n"
