"""Errors through the SDKs: each one's own exception class for each status, and no broken stream that ends as if it were whole."""

from typing import Any

import anthropic
import openai
import pytest
from botocore.exceptions import ClientError
from google.genai import errors, types
from peers import settle
from running import House
from sdks_speakers import CITY, PLAIN, ROWS, SPEAK, THREE, Anthropic, Ask, Broken, Gemini, OpenAI, Speaker

from interlingua.mock.vendors.anthropic import MODELS as anthropic_models
from interlingua.mock.vendors.gemini import MODELS as gemini_models
from interlingua.mock.vendors.openai import MODELS as openai_models

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = (openai.APIError, anthropic.APIError, errors.APIError, ClientError, Broken)

# scenario -> the status each backend gives it; where a client has another for the same thing, in SEEN
STATUS: dict[str, dict[str, int]] = {
    **{name: dict.fromkeys(SPEAK, int(name)) for name in ("400", "401", "404", "429", "500", "403", "413", "503")},
    "529": {"openai": 503, "anthropic": 529, "gemini": 503, "responses": 503, "bedrock": 503},
    "402": {"openai": 429, "anthropic": 402, "gemini": 403, "responses": 429, "bedrock": 403},
    "quota": {**dict.fromkeys(SPEAK, 429), "bedrock": 400},
    "context": dict.fromkeys(SPEAK, 400),
}
STATUS["401"]["bedrock"] = 403
COMMON = ["400", "401", "404", "429", "500", "529"]
SEEN = {(name, 529): 503 for name in ("openai", "gemini", "responses", "bedrock")}
SEEN |= {("bedrock", 401): 403, ("bedrock", 402): 403}

# What each SDK raises for a status; for others its APIStatusError, from 500 on its InternalServerError
OPENAI: dict[int, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
}
ANTHROPIC: dict[int, str] = {
    **OPENAI,
    402: "PaymentRequiredError",
    413: "ContentTooLargeError",
    503: "ServiceUnavailableError",
    504: "GatewayTimeoutError",
    529: "OverloadedError",
}
AWS: dict[int, str] = {  # boto3's code; its class is of the same name where the service model has one
    400: "ValidationException",
    401: "UnrecognizedClientException",
    402: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    413: "RequestEntityTooLargeException",
    500: "InternalServerException",
    502: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}
AWS_OWN = {"401": "UnrecognizedClientException", "quota": "ServiceQuotaExceededException"}


def class_of(client: Speaker, status: int) -> str:
    if client.speaks == "gemini":
        return "ClientError" if status < 500 else "ServerError"
    return (ANTHROPIC if client.speaks == "anthropic" else OPENAI).get(
        status, "APIStatusError" if status < 500 else "InternalServerError"
    )


def status_of(error: Any) -> int:
    if isinstance(error, ClientError):
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return error.code if isinstance(error, errors.APIError) else error.status_code


async def fails(client: Speaker, backend: str, words: str, stream: bool) -> Any:
    ask = Ask(model=PLAIN[backend], turns=[client.user(words)])
    with pytest.raises(ANY) as caught:
        await client.ask(ask, stream)
    return caught.value


@pytest.mark.parametrize("scenario", COMMON)
async def test_errors(house: House, client: Speaker, backend: str, stream: bool, scenario: str) -> None:
    await judged(house, client, backend, stream, scenario)


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("scenario", sorted(set(STATUS) - set(COMMON)))
async def test_rarer_errors(house: House, client: Speaker, backend: str, stream: bool, scenario: str) -> None:
    await judged(house, client, backend, stream, scenario)


async def judged(house: House, client: Speaker, backend: str, stream: bool, scenario: str) -> None:
    house.refusals = True
    told = STATUS[scenario][ROWS[backend].speaks]
    status = SEEN.get((client.speaks, told), told)
    error = await fails(client, backend, f"[[{scenario}]]", stream)
    assert status_of(error) == status
    if client.speaks == "bedrock":
        code = AWS_OWN[scenario] if backend == "bedrock" and scenario in AWS_OWN else AWS[told]
        assert error.response["Error"]["Code"] == code
        assert type(error) is client.client.exceptions.from_code(code)
    else:
        assert type(error).__name__ == class_of(client, status)
    assert client.heads["x-interlingua-backend"] == PLAIN[backend].partition("/")[0]
    if scenario != "context" and not (scenario == "404" and backend.startswith("azure")):  # which says it in its own words
        assert house.mock.journal.last.verdict in str(error)


async def test_when_to_come_back(house: House, client: Speaker, backend: str, stream: bool) -> None:
    house.refusals = True
    error = await fails(client, backend, "[[429:7]]", stream)
    assert client.heads["retry-after"] == "7"
    if client.speaks == "bedrock":
        assert error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "7"
    elif client.speaks == "gemini":
        assert [row["retryDelay"] for row in error.details["error"]["details"] if "retryDelay" in row] == ["7s"]
    else:
        assert error.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_too_long_a_prompt_is_told_in_words_that_clients_look_for(house: House, client: Speaker, backend: str) -> None:
    house.refusals = True
    error = await fails(client, backend, "[[context]]", stream=False)
    if client.speaks == "bedrock":
        assert error.response["Error"]["Code"] == "ValidationException"
    elif client.speaks in ("openai", "responses"):
        assert error.code == "context_length_exceeded"
    elif client.speaks == "anthropic":
        assert error.body["error"]["type"] == "invalid_request_error"
    else:
        assert error.status == "INVALID_ARGUMENT"


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_kinds_of_errors_in_each_clients_words(house: House, client: Speaker, backend: str) -> None:
    house.refusals = True
    error = await fails(client, backend, "[[429]]", stream=False)
    if client.speaks == "bedrock":
        assert error.response["Error"]["Code"] == "ThrottlingException"
    elif client.speaks in ("openai", "responses"):
        assert error.code == "rate_limit_exceeded"
    elif client.speaks == "anthropic":
        assert error.body["type"] == "error" and error.body["error"]["type"] == "rate_limit_error"
        assert error.request_id.startswith("req_")
    else:
        assert error.status == "RESOURCE_EXHAUSTED"


# Broken deliveries


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("scenario", ["html", "garbage", "reset"])
async def test_a_provider_that_answers_nonsense(house: House, client: Speaker, backend: str, stream: bool, scenario: str) -> None:
    nonsense(client, await fails(client, backend, f"[[{scenario}]]", stream))


def nonsense(client: Speaker, error: Any) -> None:
    if client.speaks == "bedrock":  # AWS has no 502
        assert (error.response["Error"]["Code"], status_of(error)) == ("ServiceUnavailableException", 503)
    else:
        assert (type(error).__name__, status_of(error)) == (class_of(client, 502), 502)


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_an_answer_cut_in_the_middle(house: House, client: Speaker, backend: str) -> None:
    nonsense(client, await fails(client, backend, "[[cut]]", stream=False))


@pytest.mark.parametrize("scenario", ["cut:2", "error_event:2"])
async def test_a_stream_that_breaks_is_no_whole_stream(house: House, client: Speaker, backend: str, scenario: str) -> None:
    assert str(await fails(client, backend, f"[[{scenario}]] one two three", stream=True))


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("scenario", ["cut:0", "error_event:0", "nofinish"])
async def test_a_stream_without_a_word_or_an_end(house: House, client: Speaker, backend: str, scenario: str) -> None:
    assert str(await fails(client, backend, f"[[{scenario}]] one two three", stream=True))


async def test_a_provider_is_left_when_its_client_leaves(house: House, client: Speaker, backend: str) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("[[gap:5]] " + "word " * 2000)])
    await client.leave(ask)
    entry = house.mock.journal.last
    await settle(lambda: entry.aborted)


@pytest.mark.parametrize("client", ["openai"], indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_what_was_said_before_the_break_arrives(house: House, client: OpenAI, backend: str) -> None:
    text = ""
    asked: Any = {"model": PLAIN[backend], "messages": [client.user("[[cut:3]] one two three")]}
    stream = await client.client.chat.completions.create(**asked, stream=True)
    with pytest.raises(openai.APIError):
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    assert text == "You said: one "


@pytest.mark.parametrize("client", ["anthropic"], indirect=True)
async def test_anthropics_own_error_event_keeps_its_words(house: House, client: Anthropic) -> None:
    error = await fails(client, "anthropic", "[[error_event:1]] one two", stream=True)
    assert error.body["error"]["type"] == "overloaded_error"


# Lists and counts

NAMES = ["exact-anthropic", "exact-gemini", "exact-openai"]


@pytest.mark.parametrize("client", THREE, indirect=True)
async def test_models(house: House, client: Speaker) -> None:
    """Those that the configuration names, and those that the providers list; "mock" alone leads to none of them."""
    names = await client.models()
    listed = {"openai": openai_models, "anthropic": anthropic_models, "gemini": gemini_models}
    told = [model if model != "mock" else f"{backend}/mock" for backend, models in listed.items() for model in models]
    told += [f"responses/{model}" for model in openai_models]  # whose plain names lead to openai
    assert sorted(name.removeprefix("models/") for name in names) == sorted([*NAMES, *told])


@pytest.mark.parametrize("client", ["openai"], indirect=True)
async def test_openai_finds_a_model(house: House, client: OpenAI) -> None:
    assert (await client.client.models.retrieve("exact-gemini")).owned_by == "gemini"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.client.models.retrieve("nothing")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("client", ["anthropic"], indirect=True)
async def test_anthropic_finds_a_model(house: House, client: Anthropic) -> None:
    assert (await client.client.models.retrieve("exact-gemini")).id == "exact-gemini"
    with pytest.raises(anthropic.NotFoundError) as caught:
        await client.client.models.retrieve("nothing")
    body: Any = caught.value.body
    assert body["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("client", ["gemini"], indirect=True)
async def test_gemini_finds_a_model(house: House, client: Gemini) -> None:
    assert (await client.client.models.get(model="exact-openai")).name == "models/exact-openai"
    with pytest.raises(errors.ClientError) as caught:
        await client.client.models.get(model="nothing")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("client", ["anthropic", "gemini"], indirect=True)
async def test_tokens_are_counted(house: House, client: Speaker, backend: str) -> None:
    """By a provider that counts; else by an estimate that says so."""
    counted = await client.count(Ask(model=PLAIN[backend], turns=[client.user("one two three")]))
    if ROWS[backend].speaks not in ("anthropic", "gemini"):
        assert 0 < counted < 20 and client.heads["x-interlingua-estimated"] == "true"
        assert not house.mock.journal.entries
    else:
        assert counted == 8 and "x-interlingua-estimated" not in client.heads
        assert house.mock.journal.last.path.endswith((":countTokens", "/count_tokens", "/count-tokens:rawPredict"))


@pytest.mark.parametrize("client", ["anthropic"], indirect=True)
@pytest.mark.parametrize("backend", THREE, indirect=True)
async def test_what_is_counted_is_the_whole_request(house: House, client: Anthropic, backend: str) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("hi")], system="Be kind. " * 40, tools={"weather": CITY})
    assert await client.count(ask) > await client.count(Ask(model=PLAIN[backend], turns=[client.user("hi")])) + 80


@pytest.mark.parametrize("client", ["gemini"], indirect=True)
async def test_a_count_that_the_provider_refuses(house: House, client: Gemini) -> None:
    house.refusals = True
    part = types.Part.from_uri(file_uri="https://example.com/a.png", mime_type="image/png")
    with pytest.raises(errors.ClientError) as caught:
        await client.count(Ask(model=PLAIN["gemini"], turns=[client.user(part)]))
    assert caught.value.code == 400
