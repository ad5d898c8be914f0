"""Unmodified boto3 as the judge: of what we answer, of how we fail, and of the mock that stands for Bedrock."""

import json
from collections.abc import Generator
from contextlib import closing
from typing import Any

import aws_server
import bedrock_cases as cases
import boto3
import mock_bedrock
import pytest
from aws_server import Said, Server
from bedrock_cases import CLAUDE, PIXEL, assistant, plain, read, result, user
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from msgspec import structs

from interlingua.fold import fold, unfold
from interlingua.framing import eventstream
from interlingua.ir import (
    Choice,
    Failure,
    Finish,
    PartDelta,
    PartStart,
    Request,
    Response,
    Signature,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from interlingua.losses import Losses
from interlingua.mock import background
from interlingua.mock.server import MockServer
from interlingua.mock.vendors import bedrock as vendor
from interlingua.mock.wire import Call, Options, Refusal, Stream
from interlingua.protocols import bedrock, openai, target
from interlingua.protocols.bedrock.errors import TYPES

Json = dict[str, Any]
ARN = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
RESPONSE = Response(
    id="x",
    model="m",
    choices=[
        Choice(
            parts=[
                Thinking(text="Hm.", signature=Signature("gemini", "c2ln")),
                Text(text="Grüße\u2028"),
                ToolCall(id="c1", name="weather", arguments='{"city":"Bern"}', signature=Signature("gemini", "c2ln")),
            ],
            finish=Finish(reason="tool_calls"),
        )
    ],
    usage=Usage(input=9, output=4, cache_read=3),
)
ASK: Json = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with aws_server.serving() as running:
        yield running


@pytest.fixture
def client(server: Server) -> Generator[Any]:
    found = server.client()
    yield found
    found.close()


def whole(response: Response) -> Said:
    return Said(200, json.dumps(plain(bedrock.format_response(response, read(dict(messages=[])), Losses()))).encode())


def streamed(events: list[Any], before: bytes = b"") -> Said:
    outs = bedrock.Formatter(read(dict(messages=[])), Losses()).feed(events)
    return Said(200, before + eventstream.encode_all(outs), content_type=eventstream.CONTENT_TYPE)


def gathered(stream: Any) -> Json:
    """The message that a client makes of its events, as AWS's examples do."""
    content: list[Json] = []
    for event in stream:
        if "contentBlockStart" in event:
            content.append({**event["contentBlockStart"]["start"]})
            content[-1]["toolUse"]["input"] = ""
        elif "contentBlockDelta" in event:
            place, said = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
            if len(content) <= place:
                content.append(
                    {"reasoningContent": {"reasoningText": {"text": ""}}} if "reasoningContent" in said else {"text": ""}
                )
            grow(content[place], said)
    for block in content:
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return {"role": "assistant", "content": content}


def grow(block: Json, said: Json) -> None:
    if "text" in said:
        block["text"] += said["text"]
    elif "toolUse" in said:
        block["toolUse"]["input"] += said["toolUse"]["input"]
    else:
        inner = block["reasoningContent"]["reasoningText"]
        for key, value in said["reasoningContent"].items():
            inner[key] = inner.get(key, "") + value


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [CLAUDE, ARN])
def test_an_answer_and_the_turn_after_it(server: Server, client: Any, model: str, stream: bool) -> None:
    """boto3 reads it, and sends it back so that nothing of it is lost to the model that said it."""
    server.answer = lambda heard: streamed(unfold(RESPONSE)) if heard.path.endswith(b"-stream") else whole(RESPONSE)
    if stream:
        message = gathered(client.converse_stream(modelId=model, **ASK)["stream"])
    else:
        answer = client.converse(modelId=model, **ASK)
        message = answer["output"]["message"]
        assert answer["stopReason"] == "tool_use"
        assert answer["usage"] == {"inputTokens": 6, "outputTokens": 4, "totalTokens": 13, "cacheReadInputTokens": 3}
    assert [next(iter(block)) for block in message["content"]] == ["reasoningContent", "text", "reasoningContent", "toolUse"]
    assert message["content"][1] == {"text": "Grüße\u2028"}
    assert message["content"][3]["toolUse"] == {"toolUseId": "c1", "name": "weather", "input": {"city": "Bern"}}
    history = [*ASK["messages"], message, user(result("c1", {"text": "mild"}))]
    client.converse(modelId=model, messages=history, toolConfig={"tools": [cases.WEATHER]})
    request = bedrock.parse_request(json.loads(server.heard[-1].body), "m", False)
    back = [structs.replace(part, extras={}) for part in request.messages[1].parts]  # but for what carried a signature
    assert back == RESPONSE.choices[0].parts


def test_bytes_travel_as_base64(server: Server, client: Any) -> None:
    picture = cases.answer({"image": {"format": "png", "source": {"bytes": PIXEL}}})
    server.answer = lambda heard: Said(
        200, json.dumps(plain(bedrock.format_response(bedrock.parse_response(picture), Request("m", []), Losses()))).encode()
    )
    answer = client.converse(modelId=CLAUDE, **ASK)
    block = answer["output"]["message"]["content"][0]
    assert block["image"]["source"]["bytes"].startswith(b"\x89PNG")
    picture = cases.answer("ok")
    client.converse(modelId=CLAUDE, messages=[{"role": "user", "content": [{"text": "Look"}, block]}])
    request = bedrock.parse_request(json.loads(server.heard[-1].body), "m", False)
    out = plain(bedrock.format_request(request, target(CLAUDE), Losses()))
    assert out["messages"] == [user("Look", {"image": {"format": "png", "source": {"bytes": PIXEL}}})]


@pytest.mark.parametrize(
    ("failure", "name"),
    [
        (Failure(status=400, kind="invalid_request", message="no"), "ValidationException"),
        (Failure(status=401, kind="authentication", message="no"), "UnrecognizedClientException"),
        (Failure(status=403, kind="permission", message="no"), "AccessDeniedException"),
        (Failure(status=404, kind="not_found", message="no"), "ResourceNotFoundException"),
        (Failure(status=413, kind="too_large", message="no"), "RequestEntityTooLargeException"),
        (Failure(status=429, kind="rate_limit", message="no"), "ThrottlingException"),
        (Failure(status=500, kind="server_error", message="no"), "InternalServerException"),
        (Failure(status=502, kind="bad_gateway", message="no"), "ServiceUnavailableException"),
        (Failure(status=503, kind="unavailable", message="no"), "ServiceUnavailableException"),
        (Failure(status=504, kind="timeout", message="no"), "ModelTimeoutException"),
        (Failure(status=529, kind="overloaded", message="no"), "ServiceUnavailableException"),
        (Failure(status=405, kind="method_not_allowed", message="no"), "UnknownOperationException"),
    ],
)
@pytest.mark.parametrize("header", [False, True])
def test_every_failure_raises_its_own_exception(server: Server, client: Any, failure: Failure, name: str, header: bool) -> None:
    status, body = bedrock.format_error(failure)
    server.answer = lambda _: Said(status, json.dumps(body).encode(), {"x-amzn-errortype": body["__type"]} if header else {})
    for call in (client.converse, client.converse_stream):
        with pytest.raises(ClientError) as caught:
            call(modelId=CLAUDE, **ASK)
        assert caught.value.response["Error"] == {"Code": name, "Message": "no"} and body["__type"] == name
        assert isinstance(caught.value, getattr(client.exceptions, name, ClientError))
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert name not in TYPES or status in (TYPES[name][1], 405)


@pytest.mark.parametrize("begun", [False, True])
def test_29_a_failure_in_a_stream_is_raised_from_it(server: Server, client: Any, begun: bool) -> None:
    events: list[Any] = [Start(), PartStart(index=0, part=Text()), PartDelta(index=0, text="Hel")] if begun else []
    events.append(Failure(status=429, kind="rate_limit", message="slow down"))
    server.answer = lambda _: streamed(events)
    seen: list[Json] = []
    with closing(client.converse_stream(modelId=CLAUDE, **ASK)["stream"]) as stream, pytest.raises(EventStreamError) as caught:
        for event in stream:
            seen.append(event)
    assert caught.value.response["Error"] == {"Code": "throttlingException", "Message": "slow down"}
    assert len(seen) == (2 if begun else 0)


def test_a_heartbeat_is_not_heard(server: Server, client: Any) -> None:
    server.answer = lambda _: streamed(unfold(RESPONSE), before=eventstream.HEARTBEAT * 2)
    events = list(client.converse_stream(modelId=CLAUDE, **ASK)["stream"])
    assert next(iter(events[0])) == "messageStart" and next(iter(events[-1])) == "metadata"


def test_every_field_of_the_service_model_is_read_and_given_back(server: Server, client: Any) -> None:
    server.answer = lambda _: whole(RESPONSE)
    body = {
        key: value for key, value in cases.BODIES["every parameter"].items() if key not in ("guardrailConfig", "inferenceConfig")
    }
    body["toolConfig"] = {"tools": [cases.WEATHER]}
    client.converse(modelId=CLAUDE, **body)
    sent = json.loads(server.heard[-1].body)
    assert sent == body
    assert plain(bedrock.format_request(bedrock.parse_request(sent, "m", False), target("m"), Losses())) == body


# The mock


@pytest.fixture(scope="module")
def mock() -> Generator[MockServer]:
    with background() as running:
        yield running


@pytest.fixture
def mocked(mock: MockServer) -> Generator[Any]:
    config = Config(retries={"total_max_attempts": 1})
    found = boto3.client(
        "bedrock-runtime",
        endpoint_url=mock.url,
        config=config,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        region_name="us-east-1",
    )
    yield found
    found.close()


AUTH = (
    "AWS4-HMAC-SHA256 Credential=AKIA/20261121/us-east-1/bedrock/aws4_request, "
    f"SignedHeaders=content-type;host;x-amz-date, Signature={'0' * 64}"
)


def call(model: str, body: Any, verb: str = "converse", **headers: str) -> Call:
    told = {"authorization": AUTH, "host": "h", "x-amz-date": "20261121T000000Z", "content-type": "application/json"} | headers
    return Call("POST", f"/model/{model}/{verb}", headers=told, body=json.dumps(body).encode())


@pytest.mark.parametrize("verb", ["converse", "converse-stream"])
@pytest.mark.parametrize("name", mock_bedrock.GOOD)
def test_the_mock_takes_what_bedrock_takes(name: str, verb: str) -> None:
    model, body = mock_bedrock.GOOD[name]
    assert vendor.serve(call(model, body, verb), Options()).status == 200


@pytest.mark.parametrize("name", mock_bedrock.BAD)
def test_the_mock_refuses_what_bedrock_refuses(name: str) -> None:
    model, body, words = mock_bedrock.BAD[name]
    with pytest.raises(Refusal) as caught:
        vendor.serve(call(model, body), Options())
    assert words in caught.value.message
    reply = vendor.refuse(call(model, body), caught.value)
    assert reply.status in (400, 403) and json.loads(reply.body) == {"message": caught.value.message}


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"authorization": ""}, "missing_token"),
        ({"authorization": "Basic x"}, "signature"),
        ({"authorization": AUTH.replace("bedrock", "s3")}, "signature"),
        ({"authorization": AUTH.replace(";host", "")}, "signature"),
        ({"x-amz-security-token": "t"}, "signature"),
    ],
)
def test_the_mock_wants_a_signature_in_form(headers: dict[str, str], kind: str) -> None:
    with pytest.raises(Refusal) as caught:
        vendor.serve(call(CLAUDE, mock_bedrock.body(), **headers), Options())
    assert caught.value.kind == kind


def test_the_mock_knows_its_operations_and_bearer_keys() -> None:
    bearer = call(CLAUDE, mock_bedrock.body(), authorization="Bearer k")
    assert vendor.serve(bearer, Options()).status == 200
    for wrong, kind in (
        (call(CLAUDE, {}, "invoke-both-ways"), "path"),
        (Call("GET", bearer.path, headers=bearer.headers), "method"),
    ):
        with pytest.raises(Refusal) as caught:
            vendor.serve(wrong, Options())
        assert caught.value.kind == kind
    with pytest.raises(Refusal) as caught:
        vendor.serve(Call("POST", bearer.path, headers=bearer.headers, body=b"{"), Options())
    assert caught.value.kind == "json"


def said(marker: str) -> Json:
    return {"messages": [user(f"Hi {marker}")], "toolConfig": {"tools": [cases.WEATHER]}}


@pytest.mark.parametrize(
    "marker", ["", "[[thinking]]", "[[tool]]", "[[parallel]]", "[[unicode]]", "[[long:200]]", "[[stop]]", "[[empty]]"]
)
def test_the_mock_says_the_same_whole_and_streamed(mocked: Any, marker: str) -> None:
    answer = mocked.converse(modelId=CLAUDE, **said(marker))
    message = gathered(mocked.converse_stream(modelId=CLAUDE, **said(marker))["stream"])
    assert shape(message) == shape(answer["output"]["message"])


def shape(message: Json) -> Any:
    """A message, but for ids, which hang on the path."""
    return [
        {**block, "toolUse": {**block["toolUse"], "toolUseId": ""}} if "toolUse" in block else block
        for block in message["content"]
    ]


@pytest.mark.parametrize("marker", ["[[redacted]]", "[[citations]]", "[[images_out]]", "[[usage]]"])
def test_what_the_mock_streams_is_read(mock: MockServer, mocked: Any, marker: str) -> None:
    seen: list[Any] = []
    parser = bedrock.Parser()
    decoder = eventstream.Decoder()
    stream = vendor.serve(call(CLAUDE, said(marker), "converse-stream"), Options())
    assert isinstance(stream, Stream)
    for chunk in stream.chunks:
        seen += [event for frame in decoder.feed(chunk.data) for event in parser.feed(frame)]
    assert decoder.close() == []
    response = fold(seen)
    reply: Any = vendor.serve(call(CLAUDE, said(marker)), Options())
    whole_one = bedrock.parse_response(json.loads(reply.body))
    ours, theirs = plain(response.choices[0].parts), plain(whole_one.choices[0].parts)
    assert [part["type"] for part in ours] == [part["type"] for part in theirs]
    assert [part.get("text") for part in ours] == [part.get("text") for part in theirs]
    assert response.usage == whole_one.usage


@pytest.mark.parametrize(
    ("marker", "name"),
    [
        ("[[400]]", "ValidationException"),
        ("[[401]]", "UnrecognizedClientException"),
        ("[[403]]", "AccessDeniedException"),
        ("[[404]]", "ResourceNotFoundException"),
        ("[[413]]", "RequestEntityTooLargeException"),
        ("[[429:3]]", "ThrottlingException"),
        ("[[500]]", "InternalServerException"),
        ("[[503]]", "ServiceUnavailableException"),
        ("[[overloaded]]", "ServiceUnavailableException"),
        ("[[quota]]", "ServiceQuotaExceededException"),
        ("[[context]]", "ValidationException"),
    ],
)
def test_the_mock_fails_as_aws_does(mocked: Any, marker: str, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        mocked.converse(modelId=CLAUDE, **said(marker))
    assert caught.value.response["Error"]["Code"] == name
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"].get("retry-after") == ("3" if "429" in marker else None)


def test_the_mock_fails_in_a_stream(mocked: Any) -> None:
    answer = mocked.converse_stream(modelId=CLAUDE, **said("[[error_event:2]]"))
    with closing(answer["stream"]) as stream, pytest.raises(EventStreamError, match="Overloaded"):
        list(stream)


def test_the_mocks_own_seals_come_back(mocked: Any) -> None:
    """A second turn with everything that the first one said."""
    answer = mocked.converse(modelId=CLAUDE, **said("[[redacted]]"))
    again = mocked.converse(modelId=CLAUDE, messages=[user("q"), answer["output"]["message"], user("r")])
    assert again["output"]["message"] == assistant("You said: r")


def test_our_request_is_one_that_the_mock_serves(mock: MockServer) -> None:
    body = {
        "messages": [{"role": "user", "content": "[[tool]] go"}],
        "tools": [{"type": "function", "function": {"name": "a.b", "parameters": cases.CITY}}],
    }
    out = plain(bedrock.format_request(openai.parse_request({"model": "m", **body}), target(CLAUDE), Losses()))
    reply: Any = vendor.serve(call(CLAUDE, out), Options())
    (choice,) = bedrock.parse_response(json.loads(reply.body)).choices
    part = choice.parts[0]
    assert isinstance(part, ToolCall) and part.name == "a.b" and json.loads(part.arguments) == {"city": "mock city"}
