"""The mock providers: tables of what they refuse, raw sockets of how they break. test_mock_sdks judges what they say."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import mock_anthropic
import mock_gemini
import mock_openai
import msgspec
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from interlingua.mock import MockApp, MockServer, Options, background, serve
from interlingua.mock.app import ConnectionCut
from interlingua.mock.sample import sample
from interlingua.mock.scenarios import SCENARIOS
from interlingua.mock.vendors import claimant
from interlingua.mock.wire import Call, Reply, Stream
from tools import mock_schemas

Json = dict[str, Any]
KEYS = {"openai": {"authorization": "Bearer k"}, "anthropic": {"x-api-key": "k"}, "gemini": {"x-goog-api-key": "k"}}


def ask(path: str, body: Any, headers: dict[str, str], options: Options | None = None, **query: str) -> Reply | Stream:
    """What the mock says to a POST, without a socket."""
    app = MockApp(options)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = Call("POST", path, query, headers, data)
    vendor = claimant(call)
    return app.answer(vendor, call, app.journal.open(vendor.name, call))


def told(answer: Reply | Stream) -> Json:
    assert isinstance(answer, Reply)
    return json.loads(answer.body)


def whole(stream: Reply | Stream) -> bytes:
    assert isinstance(stream, Stream)
    return b"".join(chunk.data for chunk in stream.chunks)


def chat(body: Json, options: Options | None = None) -> Reply | Stream:
    return ask("/v1/chat/completions", body, KEYS["openai"], options)


def messages(body: Json, version: str = mock_anthropic.NEW, **headers: str) -> Reply | Stream:
    return ask("/v1/messages", body, {**KEYS["anthropic"], "anthropic-version": version, **headers})


def generate(body: Json, model: str = mock_gemini.FLASH, options: Options | None = None) -> Reply | Stream:
    return ask(f"/v1beta/models/{model}:generateContent", body, KEYS["gemini"], options)


@pytest.fixture
async def mock() -> AsyncIterator[MockServer]:
    async with serve() as server:
        yield server


# What is refused


@pytest.mark.parametrize("case", mock_openai.GOOD)
def test_openai_serves(case: str) -> None:
    answer = chat(mock_openai.GOOD[case])
    assert answer.status == 200, answer


@pytest.mark.parametrize("case", mock_openai.BAD)
def test_openai_refuses(case: str) -> None:
    body, param, words, status = mock_openai.BAD[case]
    answer = chat(body)
    error = told(answer)["error"]
    assert (answer.status, error["param"]) == (status, param)
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("case", mock_anthropic.GOOD)
def test_anthropic_serves(case: str) -> None:
    version, body = mock_anthropic.GOOD[case]
    body = dict(body)
    headers = {"anthropic-beta": "interleaved-thinking-2025-05-14"} if body.pop("betas", False) else {}
    answer = messages(body, version, **headers)
    assert answer.status == 200, answer


@pytest.mark.parametrize("case", mock_anthropic.BAD)
def test_anthropic_refuses(case: str) -> None:
    version, body, words, status = mock_anthropic.BAD[case]
    answer = messages(body, version)
    error = told(answer)
    assert (answer.status, error["type"]) == (status, "error")
    assert words in error["error"]["message"]
    assert error["error"]["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    assert error["request_id"] == dict(answer.headers)["request-id"]


@pytest.mark.parametrize("case", mock_gemini.GOOD)
def test_gemini_serves(case: str) -> None:
    model, body = mock_gemini.GOOD[case]
    answer = generate(body, model)
    assert answer.status == 200, answer


@pytest.mark.parametrize("case", mock_gemini.BAD)
def test_gemini_refuses(case: str) -> None:
    model, body, field, words, status = mock_gemini.BAD[case]
    answer = generate(body, model)
    error = told(answer)["error"]
    assert words in error["message"]
    assert (answer.status, error["code"], error["status"]) == (
        status,
        status,
        "NOT_FOUND" if status == 404 else "INVALID_ARGUMENT",
    )
    violations = [row["field"] for detail in error.get("details", []) for row in detail["fieldViolations"]]
    assert violations == ([] if field is None else [field])


@pytest.mark.parametrize(
    ("vendor", "path", "status"),
    [
        ("openai", "/v1/chat/completions", 401),
        ("anthropic", "/v1/messages", 401),
        ("gemini", "/v1beta/models/gemini-2.5-flash:generateContent", 403),
    ],
)
def test_a_key_is_needed(vendor: str, path: str, status: int) -> None:
    version = {"anthropic-version": "2023-06-01"}
    for headers in ({}, {"authorization": "Bearer "}, {"x-api-key": " "}, {"x-goog-api-key": ""}):
        answer = ask(path, b"{}", version | headers if vendor == "anthropic" else headers)
        assert answer.status == status
    assert ask(path, b"no JSON", version | KEYS[vendor]).status == 400


def test_anthropic_takes_either_key_and_a_known_version() -> None:
    body = mock_anthropic.body()
    bearer = {"authorization": "Bearer k", "anthropic-version": "2026-10-21"}
    assert ask("/v1/messages", body, bearer).status == 200
    assert "header is required" in told(ask("/v1/messages", body, KEYS["anthropic"]))["error"]["message"]
    assert "not a valid version" in told(messages(body, "2024-01-01"))["error"]["message"]


def test_gemini_takes_the_key_in_the_query() -> None:
    assert ask("/v1/models/gemini-2.5-flash:generateContent", mock_gemini.body(), {}, key="k").status == 200


def test_rules_can_be_loosened() -> None:
    web = mock_gemini.body(mock_gemini.user({"fileData": {"fileUri": "https://example.com/a.png"}}))
    assert generate(web, options=Options(public_file_urls=True)).status == 200
    assert chat(mock_openai.body(top_k=4), Options(unknown_fields=True)).status == 200
    assert chat(mock_openai.body(model="llama-4"), Options(any_model=True)).status == 200
    assert chat(mock_openai.BAD["tools with effort"][0], Options(chat_tools_with_effort=True)).status == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/nothing", KEYS["openai"], 404),
        ("/v1/messages/nothing", {**KEYS["anthropic"], "anthropic-version": "2023-06-01"}, 404),
        ("/v1beta/nothing", KEYS["gemini"], 404),
        ("/v1/models", KEYS["openai"], 405),
    ],
)
def test_an_unknown_path_or_method(path: str, headers: dict[str, str], status: int) -> None:
    answer = ask(path, {}, headers)
    assert answer.status == status
    assert told(answer)["error"]["message"]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "role", "text", "items", "$ref", "a"]), inner)
    ),
    max_leaves=6,
)
CHAT = ("all roles", "media", "strict tool", "json schema")
CLAUDE = ("all blocks", "thinking", "output form")
GEMINI = ("snake case", "signed", "function with parts", "server-side tools")


def rich() -> list[tuple[str, dict[str, str], Json]]:
    """Paths, headers and bodies in which much can go wrong."""
    version = {"anthropic-version": mock_anthropic.NEW}
    models = [mock_gemini.GOOD[name] for name in GEMINI]
    return [
        *(("/v1/chat/completions", KEYS["openai"], mock_openai.GOOD[name]) for name in CHAT),
        *(("/v1/messages", KEYS["anthropic"] | version, mock_anthropic.GOOD[name][1]) for name in CLAUDE),
        *((f"/v1beta/models/{model}:generateContent", KEYS["gemini"], body) for model, body in models),
    ]


RICH = rich()


def mutate(value: Any, data: st.DataObject) -> Any:
    """The value with one thing in it changed, dropped or added."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: mutate(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], mutate(value[index], data), *value[index + 1 :]]
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        gone = data.draw(st.sampled_from(sorted(value)))
        return {key: item for key, item in value.items() if key != gone}
    return data.draw(ANYTHING)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_body_whatever_makes_it_fail(data: st.DataObject) -> None:
    path, headers, body = data.draw(st.sampled_from(RICH))
    answer = ask(path, mutate(body, data), headers)
    assert answer.status in (200, 400, 404)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 5000, b'{"a":' * 3000 + b"1" + b"}" * 3000])
def test_bodies_that_are_no_request(body: bytes) -> None:
    for path, headers, _ in RICH:
        answer = ask(path, body, headers)
        assert answer.status == 400
        assert isinstance(told(answer)["error"]["message"], str)


@pytest.mark.parametrize(("depth", "status"), [(50, 200), (2000, 400), (50_000, 400)])
def test_a_deep_schema_does_not_fell_it(depth: int, status: int) -> None:
    schema = b'{"type":"OBJECT","properties":{"a":' * depth + b'{"type":"STRING"}' + b"}}" * depth
    body = (
        b'{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":' + schema + b"}]}]}"
    )
    answer = ask("/v1beta/models/gemini-2.5-flash:generateContent", body, KEYS["gemini"])
    assert answer.status == status


# Schemas


def test_the_schemas_are_those_of_the_installed_sdks() -> None:
    for name, text in mock_schemas.documents().items():
        assert (mock_schemas.TARGET / name).read_text(encoding="utf-8") == text, f"{name}: run python -m tools.mock_schemas"
        Draft202012Validator.check_schema(json.loads(text))
        assert '"description":"' not in text and '"title":"' not in text


JSON_SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer", "minimum": 7}}, "required": ["a", "b"]},
    {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 3},
    {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"], "$defs": {"n": {"type": "null"}}},
    {"anyOf": [{"type": "number", "exclusiveMinimum": 5, "maximum": 6}, {"type": "string"}]},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"const": 3}}, "required": ["a"]},
            {"properties": {"b": {"type": "boolean"}}},
        ]
    },
    {"type": "string", "minLength": 30},
    {"type": "string", "maxLength": 2},
    {"type": ["null", "string"], "format": "uuid"},
    {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}}},
]


@pytest.mark.parametrize("schema", JSON_SCHEMAS, ids=range(len(JSON_SCHEMAS)))
@pytest.mark.parametrize("optional", [False, True])
def test_a_sample_is_valid(schema: Json, optional: bool) -> None:
    value = sample(schema, optional=optional)
    valid = Draft202012Validator(schema).is_valid(value)
    assert valid or (optional and "tree" in json.dumps(schema))  # recursion has to end somewhere
    assert value == sample(schema, optional=optional)


@settings(max_examples=100, deadline=None)
@given(
    schema=st.dictionaries(
        st.sampled_from(["type", "properties", "items", "required", "enum", "anyOf", "allOf", "$ref", "minItems"]), ANYTHING
    )
)
def test_any_schema_has_a_sample(schema: Json) -> None:
    assert json.dumps(sample(schema, optional=True))


# Frames and arrays


def test_gemini_stream_without_sse_is_an_array() -> None:
    body = mock_gemini.body(mock_gemini.user({"text": "one two"}))
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    rows = json.loads(whole(ask(path, body, KEYS["gemini"])))
    assert "".join(row["candidates"][0]["content"]["parts"][0]["text"] for row in rows) == "You said: one two"
    refused = ask(path, {}, KEYS["gemini"])
    assert json.loads(refused.body)[0]["error"]["code"] == 400 if isinstance(refused, Reply) else False
    events = whole(ask(path, body, KEYS["gemini"], alt="sse"))
    assert events.startswith(b"data: {") and events.endswith(b"}\r\n\r\n")


def test_gemini_counts_a_whole_request() -> None:
    path, request = "/v1beta/models/gemini-2.5-flash:countTokens", {"model": "models/gemini-2.5-flash", **mock_gemini.body()}
    assert told(ask(path, {"generateContentRequest": request}, KEYS["gemini"]))["totalTokens"] == 6
    assert ask(path, {"generateContentRequest": mock_gemini.body()}, KEYS["gemini"]).status == 400
    assert ask(path, {}, KEYS["gemini"]).status == 400


def test_openai_frames() -> None:
    frames = whole(chat(mock_openai.body(stream=True))).split(b"\n\n")
    assert all(frame.startswith(b"data: {") for frame in frames[:-2])
    assert frames[-2:] == [b"data: [DONE]", b""]
    unfinished = whole(chat(mock_openai.body(stream=True, messages=[{"role": "user", "content": "[[nofinish]]"}])))
    assert b"[DONE]" not in unfinished and b'"finish_reason":"' not in unfinished


def test_anthropic_frames() -> None:
    frames = whole(messages(mock_anthropic.body(stream=True))).decode().split("\n\n")[:-1]
    names = [frame.partition("\n")[0].removeprefix("event: ") for frame in frames]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert [json.loads(frame.partition("\ndata: ")[2])["type"] for frame in frames] == names


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("stream", [False, True])
def test_every_scenario_with_every_vendor(name: str, stream: bool) -> None:
    marker = f"[[{name}]] hi"
    answers = [
        chat(mock_openai.body(messages=[{"role": "user", "content": marker}], tools=[mock_openai.WEATHER], stream=stream)),
        messages(
            mock_anthropic.body(messages=[{"role": "user", "content": marker}], tools=[mock_anthropic.WEATHER], stream=stream)
        ),
        ask(
            f"/v1beta/models/gemini-3-pro:{'streamGenerateContent' if stream else 'generateContent'}",
            mock_gemini.tools(mock_gemini.declared(), contents=[mock_gemini.user({"text": marker})]),
            KEYS["gemini"],
        ),
    ]
    for answer in answers:
        data = answer.body if isinstance(answer, Reply) else whole(answer)
        if name not in ("garbage", "html"):
            assert data
            assert isinstance(answer, Stream) or isinstance(msgspec.json.decode(data), dict | list)


def test_the_same_request_has_the_same_answer() -> None:
    for _ in range(2):
        one, two = (chat(mock_openai.body(tools=[mock_openai.WEATHER], tool_choice="required")) for _ in range(2))
        assert told(one) == told(two)


def test_a_marker_wins_over_the_model() -> None:
    body = mock_openai.body(model="mock-429", messages=[{"role": "user", "content": "[[length]]"}])
    assert told(chat(body))["choices"][0]["finish_reason"] == "length"
    assert told(chat(mock_openai.body(messages=[{"role": "user", "content": "[[nothing]]"}])))["choices"][0]["message"]["content"]
    assert chat(mock_openai.body(model="mock-nothing")).status == 404


def test_the_marker_of_an_earlier_turn_is_over() -> None:
    say = [{"role": "user", "content": "[[500]]"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "hi"}]
    assert chat(mock_openai.body(messages=say)).status == 200


# On the wire


async def raw(mock: MockServer, body: Json, path: str = "/v1/chat/completions") -> bytes:
    """Every byte of an answer, up to the end of the connection. A reset raises."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rsplit(":", 1)[1]))
    data = json.dumps(body).encode()
    fields = ("host: mock", "authorization: Bearer k", "connection: close", f"content-length: {len(data)}")
    writer.write("\r\n".join((f"POST {path} HTTP/1.1", *fields, "", "")).encode() + data)
    try:
        return await reader.read()
    finally:
        writer.close()


def saying(marker: str, **fields: Any) -> Json:
    return mock_openai.body(messages=[{"role": "user", "content": f"{marker} one two three four"}], **fields)


async def test_a_cut_stream_has_no_last_chunk(mock: MockServer) -> None:
    good = await raw(mock, saying("", stream=True))
    assert good.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    cut = await raw(mock, saying("[[cut:2]]", stream=True))
    assert b"transfer-encoding: chunked" in cut
    assert cut.count(b'"delta":{"content"') == 2
    assert cut.endswith(b"}\n\n\r\n") and b"[DONE]" not in cut


async def test_a_cut_answer_is_shorter_than_it_says(mock: MockServer) -> None:
    head, _, body = (await raw(mock, saying("[[cut]]"))).partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    assert 0 < len(body) < length


async def test_a_reset_is_a_reset(mock: MockServer) -> None:
    with pytest.raises(ConnectionResetError):
        await raw(mock, saying("[[reset]]"))
    assert mock.journal.aborted == 0


async def test_characters_are_split_between_writes(mock: MockServer) -> None:
    async with httpx2.AsyncClient() as client:
        async with client.stream(
            "POST", f"{mock.url}/v1/chat/completions", json=saying("[[unicode]]", stream=True), headers=KEYS["openai"]
        ) as response:
            pieces = [piece async for piece in response.aiter_raw()]
    assert any(_broken(piece) for piece in pieces)
    lines = b"".join(pieces).decode().split("\n\n")
    text = "".join(json.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in lines if line.startswith("data: {"))
    assert text.startswith("Line\u2028separator") and text.endswith("\u4f60\u597d, end.")


def _broken(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return True
    return False


@pytest.fixture
async def openai_client(mock: MockServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{mock.url}/v1", api_key="k", max_retries=0) as client:
        yield client


async def test_it_notices_a_client_that_leaves(mock: MockServer, openai_client: openai.AsyncOpenAI) -> None:
    say: Any = [{"role": "user", "content": "[[gap:20]] one two three four five six seven eight"}]
    stream = await openai_client.chat.completions.create(model="gpt-4o", messages=say, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content == "said: ":
            break
    await stream.close()
    await until(lambda: mock.journal.aborted == 1)
    entry = mock.journal.last
    assert entry.aborted and entry.stream and not entry.done
    assert 2 <= entry.chunks < 10


async def test_it_notices_a_client_that_leaves_before_the_first_byte(mock: MockServer, openai_client: openai.AsyncOpenAI) -> None:
    say: Any = [{"role": "user", "content": "[[slow:60000]] hi"}]
    with pytest.raises(openai.APITimeoutError):
        await openai_client.chat.completions.create(model="gpt-4o", messages=say, timeout=0.05)
    await until(lambda: mock.journal.aborted == 1)
    assert mock.journal.last.chunks == 0


async def until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


async def test_the_journal(mock: MockServer) -> None:
    async with httpx2.AsyncClient(base_url=mock.url) as client:
        await client.post("/v1/chat/completions", json=mock_openai.body(), headers={**KEYS["openai"], "x-mine": "1"})
        await client.post("/v1beta/models/gemini-2.5-flash:generateContent?key=secret", json={})
        journal = (await client.get("/mock/journal")).json()
        first, second = journal["entries"]
        assert (first["vendor"], first["verdict"], first["status"], first["body"]) == ("openai", "ok", 200, mock_openai.body())
        assert first["headers"]["x-mine"] == "1" and "authorization" not in first["headers"]
        assert (second["vendor"], second["status"]) == ("gemini", 400) and "contents" in second["verdict"]
        assert "secret" not in json.dumps(journal)
        assert (journal["count"], journal["aborted"]) == (2, 0)
        assert (await client.delete("/mock/journal")).status_code == 200
        assert (await client.get("/mock/journal")).json() == {"count": 0, "aborted": 0, "entries": []}
        assert (await client.get("/mock/scenarios")).json()["long"] == {"says": SCENARIOS["long"].says, "argument": "60"}
        assert "[[parallel]]" in (await client.get("/")).text
        assert (await client.get("/mock/nothing")).status_code == 404


async def through(app: MockApp, *messages: Json, path: str = "/v1/chat/completions", kind: str = "http") -> list[Json]:
    """What the application sends under a server that gives no transport."""
    waiting, sent = list(messages), []

    async def receive() -> Json:
        return waiting.pop(0) if waiting else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in KEYS["openai"].items()]
    await app({"type": kind, "method": "POST", "path": path, "query_string": b"", "headers": headers}, receive, send)
    return sent


def piece(data: bytes, more: bool = False) -> Json:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_it_works_under_any_server(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(saying("")).encode()
    start, body = await through(MockApp(), piece(data[:9], more=True), piece(data[9:]))
    assert start["status"] == 200 and b"You said" in body["body"]
    with pytest.raises(ConnectionCut):
        await through(MockApp(), piece(json.dumps(saying("[[cut]]", stream=True)).encode()))
    states = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    assert await through(MockApp(), *states, kind="lifespan") == [{"type": f"{state['type']}.complete"} for state in states]
    monkeypatch.setattr("interlingua.mock.app.MAX_BODY", 10)
    assert (await through(MockApp(), piece(data)))[0]["status"] == 413
    assert (await through(MockApp(), {"type": "http.disconnect"})) == []


def test_the_journal_keeps_no_great_bodies() -> None:
    app = MockApp()
    call = Call("POST", "/v1/chat/completions", {}, KEYS["openai"], json.dumps(saying("x" * (1 << 20))).encode())
    entry = app.journal.open("openai", call)
    assert entry.body == {"mock": "body left out", "bytes": len(call.body)}


def test_the_tools_that_may_be_called() -> None:
    def called(body: Json) -> list[str]:
        message = told(chat(body))["choices"][0]["message"]
        return [call["function"]["name"] for call in message.get("tool_calls", [])]

    assert called(mock_openai.GOOD["allowed tools"]) == ["time"]
    assert called(mock_openai.body(tools=[mock_openai.WEATHER], tool_choice="none")) == []
    assert called(saying("[[parallel]]", tools=[mock_openai.WEATHER], parallel_tool_calls=False)) == ["weather"]
    custom = saying("[[tool]]", tools=[{"type": "custom", "custom": {"name": "shell"}}])
    assert told(chat(custom))["choices"][0]["message"]["tool_calls"][0]["custom"] == {
        "name": "shell",
        "input": "mock input for shell",
    }


async def test_answers_under_way_end_when_it_closes() -> None:
    server = await serve().start()
    task = asyncio.ensure_future(raw(server, saying("[[slow:60000]]")))
    await until(lambda: server.journal.count == 1)
    await server.close()
    assert await task == b""
    await server.close()


def test_it_serves_clients_that_block() -> None:
    with background() as mock, openai.OpenAI(base_url=f"{mock.url}/v1", api_key="k", max_retries=0) as client:
        assert client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}]).choices
        assert mock.journal.last.vendor == "openai"


def test_it_runs_as_a_process_until_told_to_stop() -> None:
    code = "from interlingua.mock import run; run(port=0, say=lambda line: print(line, flush=True))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        url = process.stdout.readline().split()[-1]
        assert httpx2.get(f"{url}/mock/scenarios").status_code == 200
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_it_imports_nothing_of_the_gateway_and_nothing_heavy() -> None:
    code = (
        "import sys, interlingua.mock.app as a; a._greeting();"
        "names = [n for n in sys.modules if n.startswith('interlingua') and not n.startswith('interlingua.mock')];"
        "print(sorted(names), [n for n in ('jsonschema', 'pydantic', 'uvicorn', 'httpx2') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['interlingua'] []"
