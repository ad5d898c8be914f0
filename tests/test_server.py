"""Whatever a client sends is answered in its own protocol's shape, by a status of the right kind, and nothing fails inside."""

import copy
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from running import House
from sdks_speakers import CITY, CLOSED, PDF, PIXEL
from server_wire import CLIENTS, PATHS, Json, Reply, ask, plain, request, said, wire

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(params=CLIENTS)
def speaks(request: pytest.FixtureRequest) -> str:
    return request.param


async def refused(house: House, client: str, body: bytes | Json, status: int = 400, **more: Any) -> tuple[str, str | None]:
    reply = await ask(house, client, body, **more)
    assert reply.status == status, reply.body
    assert reply.heads["x-interlingua-request-id"].startswith("req_")
    assert not house.mock.journal.entries, "it went on to a provider"
    return said(client, reply)


# Bodies


@pytest.mark.parametrize("body", [b"", b"  \r\n"])
async def test_no_body(house: House, speaks: str, body: bytes) -> None:
    assert (await refused(house, speaks, body))[0] == "Request body is required"


async def test_no_body_and_no_length(house: House, speaks: str) -> None:
    assert (await refused(house, speaks, b"", heads={"content-length": None}))[0] == "Request body is required"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b'{"model": }', "not JSON"),
        (b"hello", "not JSON"),
        (b'{"a": 1} {"b": 2}', "not JSON"),
        (b'{"temperature": NaN}', "not JSON"),
        (b'{"temperature": Infinity}', "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"model": "\xff\xfe"}', "not UTF-8"),
        (b'{"model": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "nested too deeply"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "nested too deeply"),
        (b"\x00" * 10, "not JSON"),
    ],
)
async def test_a_body_that_is_no_object(house: House, speaks: str, body: bytes, words: str) -> None:
    assert words in (await refused(house, speaks, body))[0]


# client -> (what is changed in a good request, the field that is named)
FIELDS: dict[str, list[tuple[Json, str]]] = {
    "openai": [
        ({"model": None}, "model"),
        ({"model": 4}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 4}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages[0].tool_call_id"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": True}, "max_tokens"),
        ({"stop": 4}, "stop"),
        ({"stop": [4]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"response_format": "json"}, "response_format"),
    ],
    "anthropic": [
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"system": 4}, "system"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"tools": [{}]}, "tools.0.name"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"thinking": True}, "thinking"),
    ],
    "gemini": [
        ({"contents": None}, "contents"),
        ({"contents": 4}, "contents"),
        ({"contents": [4]}, "contents[0]"),
        ({"contents": [{"role": "user", "parts": 4}]}, "contents[0].parts"),
        ({"contents": [{"role": 4, "parts": [{"text": "hi"}]}]}, "contents[0].role"),
        ({"contents": [{"role": "user", "parts": [{"text": 4}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"role": "user", "parts": [{"inlineData": "x"}]}]}, "contents[0].parts[0].inlineData"),
        ({"generationConfig": []}, "generationConfig"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generationConfig": {"maxOutputTokens": 1.5}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"stopSequences": [4]}}, "generationConfig.stopSequences[0]"),
        ({"tools": "search"}, "tools"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"toolConfig": 4}, "toolConfig"),
    ],
}


@pytest.mark.parametrize(("client", "change", "field"), [(c, change, field) for c in CLIENTS for change, field in FIELDS[c]])
async def test_a_field_at_fault_is_named(house: House, client: str, change: Json, field: str) -> None:
    body = {key: value for key, value in {**plain(client), **change}.items() if value is not None}
    message, param = await refused(house, client, body)
    dotted = message.replace("[", ".").replace("]", "")
    assert field in message or field in dotted
    assert client == "anthropic" or param == field


STRANGE: dict[str, tuple[Json, str]] = {
    "openai": ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
    "anthropic": ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
    "gemini": ({"contents": [{"role": "robot", "parts": [{"text": "hi"}]}]}, "contents[0].role"),
}


async def test_a_role_nobody_knows(house: House, speaks: str) -> None:
    change, field = STRANGE[speaks]
    reply = await ask(house, speaks, {**plain(speaks), **change})
    assert reply.status == 400 and field in said(speaks, reply)[0]


@pytest.mark.parametrize("name", ["nothing", "exact-openai\r\nx: y", "../../etc/passwd", "x" * 5000, "\u202e"])
async def test_a_model_that_nobody_serves(house: House, speaks: str, name: str) -> None:
    if speaks == "gemini":
        quoted = "".join(f"%{byte:02x}" for byte in name.encode())
        message, _ = await refused(house, speaks, plain(speaks), 404, path=f"/v1beta/models/{quoted}:generateContent")
    else:
        message, param = await refused(house, speaks, plain(speaks, model=name), 404)
        assert param == ("model" if speaks == "openai" else None)
    assert "does not exist here" in message and "\r" not in message


async def test_numbers_that_no_computer_holds(house: House, speaks: str) -> None:
    house.refusals = True
    for number in (b"1e400", b"1" + b"0" * 5000, b"-1e-400"):
        body = json.dumps(plain(speaks, seed=4)).encode().replace(b'"seed": 4', b'"seed": ' + number)
        assert 200 <= (await ask(house, speaks, body)).status < 500


async def test_a_lone_surrogate(house: House, speaks: str) -> None:
    body = json.dumps(plain(speaks, "X")).encode().replace(b'"X"', b'"\\ud800"')
    assert 200 <= (await ask(house, speaks, body)).status < 500


# Sizes and codings


async def test_a_body_over_the_limit(house: House, speaks: str) -> None:
    """The limit is 64 MiB: what declares more is refused before it is sent."""
    async with wire(house) as line:
        await line.send(request(speaks, b"", heads={"content-length": 64 * 1024**2 + 1}))
        reply = await line.reply()
        assert (reply.status, reply.heads["connection"]) == (413, "close")
        assert "larger than 67108864 bytes" in said(speaks, reply)[0]


async def test_a_coded_body(house: House, speaks: str) -> None:
    data = gzip.compress(json.dumps(plain(speaks)).encode())
    message, _ = await refused(house, speaks, data, heads={"content-encoding": "gzip"})
    assert "content-encoding 'gzip'" in message


async def test_a_chunked_body(house: House, speaks: str) -> None:
    data = json.dumps(plain(speaks)).encode()
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (data[:7], data[7:]))
    async with wire(house) as line:
        heads = {"content-length": None, "transfer-encoding": "chunked"}
        await line.send(request(speaks, pieces + b"0\r\n\r\n", heads=heads))
        assert (await line.reply()).status == 200


async def test_a_body_shorter_than_it_says(house: House, speaks: str) -> None:
    data = json.dumps(plain(speaks)).encode()
    async with wire(house) as line:
        await line.send(request(speaks, data, heads={"content-length": len(data) + 5}))
        line.writer.write_eof()
        status, _ = await line.head()
        assert status == 400
    assert not house.mock.journal.entries


async def test_a_body_longer_than_it_says(house: House, speaks: str) -> None:
    """What is too much is read as the next request, and is none."""
    data = json.dumps(plain(speaks)).encode()
    async with wire(house) as line:
        await line.send(request(speaks, data + b"\x00nonsense\r\n\r\n", heads={"content-length": len(data)}))
        assert (await line.reply()).status in (200, 400)
        rest = await line.ended()
        assert b"HTTP/1.1 200" not in rest


# Heads and paths


async def test_a_head_over_the_limit(house: House, speaks: str) -> None:
    async with wire(house) as line:
        await line.send(request(speaks, b"{}", heads={"x-long": "y" * 70_000}))
        reply = await line.reply()
        assert reply.status == 431
        assert "larger than 65536 bytes" in said(speaks, reply)[0]


async def test_a_head_that_never_ends(house: House) -> None:
    async with wire(house) as line:
        await line.send(b"POST /v1/chat/completions HTTP/1.1\r\n" + b"x: y\r\n" * 20_000)
        assert (await line.reply()).status == 431


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    ],
)
async def test_what_is_no_http(house: House, data: bytes) -> None:
    async with wire(house) as line:
        await line.send(data)
        reply = await line.reply()
        assert reply.status == 400
        assert "HTTP" in said("openai", reply)[0]


WRONG = {"openai": "/v1/chat/completion", "anthropic": "/v1/messages/nothing", "gemini": "/v1beta/models/x:nothing"}


async def test_a_wrong_path(house: House, speaks: str) -> None:
    message, _ = await refused(house, speaks, plain(speaks), 404, path=WRONG[speaks])
    assert message == f"There is nothing at {WRONG[speaks]}."


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_a_wrong_method(house: House, speaks: str, method: str) -> None:
    reply = await ask(house, speaks, b"", method=method)
    assert (reply.status, reply.heads["allow"]) == (405, "POST")
    assert said(speaks, reply)[0].endswith(f"takes POST, not {method}.")


async def test_a_browser_asks_first(house: House, speaks: str) -> None:
    asked = {"origin": "https://example.com", "access-control-request-headers": "x-api-key", "content-length": None}
    async with wire(house) as line:
        await line.send(request(speaks, b"", method="OPTIONS", heads=asked))
        status, heads = await line.head()
        assert status == 204 and "content-length" not in heads
        assert heads["access-control-allow-origin"] == "*"
        assert heads["access-control-allow-headers"] == "x-api-key"
        assert "POST" in heads["access-control-allow-methods"]
        await line.send(request(speaks, json.dumps(plain(speaks)).encode(), heads={"origin": "https://example.com"}))
        reply = await line.reply()
        assert (reply.status, reply.heads["access-control-allow-origin"]) == (200, "*")


async def test_a_connection_is_kept(house: House, speaks: str) -> None:
    """After a refusal too; and requests sent at once are answered in their order."""
    data = [json.dumps(plain(speaks, words)).encode() for words in ("one", "two", "three")]
    async with wire(house) as line:
        await line.send(request(speaks, b"{}") + b"".join(request(speaks, body) for body in data))
        assert (await line.reply()).status == 400
        for words in (b"one", b"two", b"three"):
            reply = await line.reply()
            assert reply.status == 200 and b"You said: " + words in reply.body


async def test_continue_is_said_to_who_waits_for_it(house: House, speaks: str) -> None:
    data = json.dumps(plain(speaks)).encode()
    async with wire(house) as line:
        await line.send(request(speaks, b"", heads={"content-length": len(data), "expect": "100-continue"}))
        assert (await line.head())[0] == 100
        await line.send(data)
        assert (await line.reply()).status == 200


# Strict mode

LOST: dict[str, tuple[Json, str]] = {
    "openai": ({"model": "exact-anthropic", "seed": 7}, "seed"),
    "anthropic": ({"model": "exact-openai", "top_k": 7}, "top_k"),
    "gemini": ({"generationConfig": {"seed": 7}}, "generationConfig.seed"),
}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_loss_in_strict_mode_is_a_refusal(house: House, speaks: str, stream: bool) -> None:
    change, field = LOST[speaks]
    path = f"/v1beta/models/exact-anthropic:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"
    where: Json = {"path": path} if speaks == "gemini" else {}
    body = {**plain(speaks), **change, **({"stream": True} if stream and speaks != "gemini" else {})}
    told = await ask(house, speaks, body, **where)
    assert (told.status, told.heads["x-interlingua-losses"]) == (200, f"{field};dropped")
    house.clear()
    message, param = await refused(house, speaks, body, heads={"x-interlingua-strict": "true"}, **where)
    assert message.startswith("Strict mode") and field in message
    assert param == (None if speaks == "anthropic" else field)


# Every field of a large request, replaced by what it is not

LARGE: dict[str, Json] = {
    "openai": {
        "model": "x",
        "messages": [
            {"role": "system", "content": "s", "name": "n"},
            {"role": "developer", "content": [{"type": "text", "text": "t", "prompt_cache_breakpoint": {"ttl": "30m"}}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "t"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
                    {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
                    {"type": "file", "file": {"filename": "a", "file_data": f"data:application/pdf;base64,{PDF}"}},
                    {"type": "file", "file": {"file_id": "f"}},
                ],
            },
            {
                "role": "assistant",
                "content": "c",
                "refusal": "r",
                "reasoning_content": "x",
                "audio": {"id": "a"},
                "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}],
                "extra_content": {"interlingua": {"0": "il1.x"}},
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {"thought_signature": "s"}},
                    },
                    {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "i"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]},
            {"role": "function", "name": "f", "content": "x"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": CITY, "strict": True}},
            {"type": "custom", "custom": {"name": "g"}},
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
        },
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "description": "d", "schema": CLOSED, "strict": True},
        },
        "reasoning_effort": "low",
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "seed": 1,
        "stop": ["a"],
        "n": 1,
        "logprobs": True,
        "top_logprobs": 2,
        "user": "u",
        "stream": False,
        "stream_options": {"include_usage": True},
        "metadata": {"a": "b"},
        "prediction": {"type": "content", "content": "x"},
        "web_search_options": {},
    },
    "anthropic": {
        "model": "x",
        "max_tokens": 99,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "text",
                        "text": "t",
                        "citations": [{"type": "char_location", "cited_text": "w", "document_index": 0, "document_title": "t"}],
                    },
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "image", "source": {"type": "url", "url": "https://a/b"}},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                        "title": "t",
                        "context": "c",
                        "citations": {"enabled": True},
                    },
                    {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
                    {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "t", "signature": "s"},
                    {"type": "redacted_thinking", "data": "d"},
                    {"type": "text", "text": "a"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, "cache_control": {"type": "ephemeral"}},
                    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "x"}],
                        "is_error": True,
                    }
                ],
            },
        ],
        "tools": [
            {"name": "f", "description": "d", "input_schema": CITY, "strict": False, "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20260318", "name": "web_search"},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": CLOSED}},
        "stop_sequences": ["a"],
        "temperature": 0.5,
        "top_k": 3,
        "metadata": {"user_id": "u"},
        "stream": False,
        "container": "c",
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "t", "thoughtSignature": "YQ=="},
                    {"inlineData": {"mimeType": "image/png", "data": PIXEL, "displayName": "n"}},
                    {"fileData": {"mimeType": "image/png", "fileUri": "gs://a/b"}, "videoMetadata": {"fps": 1}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "t", "thought": True, "thoughtSignature": "YQ=="},
                    {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "YQ=="},
                    {"executableCode": {"language": "PYTHON", "code": "x"}},
                    {"toolCall": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "id": "1",
                            "name": "f",
                            "response": {"output": "x"},
                            "parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}],
                        }
                    }
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "f",
                        "description": "d",
                        "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
                    },
                    {"name": "g", "parametersJsonSchema": CITY},
                ]
            },
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "safetySettings": [{"category": "X", "threshold": "Y"}],
        "generationConfig": {
            "temperature": 0.5,
            "candidateCount": 1,
            "stopSequences": ["a"],
            "responseLogprobs": True,
            "logprobs": 1,
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
        },
        "cachedContent": "cachedContents/1",
    },
}
OTHERS: list[Any] = [None, 1.5, "x", [None], {"type": "x"}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield from places(inner, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    out = copy.deepcopy(value)
    inner = out
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = other
    return out


def changed(client: str, backend: str) -> Iterator[tuple[Any, Any, bytes]]:
    whole = {**LARGE[client], **({"model": f"exact-{backend}"} if client != "gemini" else {})}
    for path in places(whole):
        for other in OTHERS:
            yield path, other, json.dumps(replaced(whole, path, other)).encode()


@pytest.mark.parametrize("backend", CLIENTS)
async def test_a_wrong_value_anywhere(house: House, speaks: str, backend: str) -> None:
    """Every place of a request that says much: a good answer or a good refusal, the gateway's or the provider's."""
    house.refusals = True
    path = f"/v1beta/models/exact-{backend}:generateContent" if speaks == "gemini" else PATHS[speaks]
    async with wire(house) as line:
        for place, other, body in changed(speaks, backend):
            await line.send(request(speaks, body, path=path))
            reply: Reply = await line.reply()
            assert 200 <= reply.status < 500, (place, other, reply.body)
            if reply.status >= 400:
                said(speaks, reply)
