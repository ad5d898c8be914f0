"""Embeddings without a network: every wire format read and written, vectors in both spellings, batches, and bad input."""

import asyncio
import json
import struct
from base64 import b64encode
from collections.abc import Coroutine, Mapping
from typing import Any

import openai
import pytest
import running
from botocore.exceptions import ClientError
from conftest import Start
from embedding_speakers import BACKENDS, Speakers
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from test_bedrock_gateway import MODE

from interlingua.embedder import AT_ONCE, FACES, Job, run
from interlingua.embeddings import Embedding, Item, Task, Vectors, as_base64, as_floats
from interlingua.errors import InvalidRequest, ProviderFailure, Unsupported, UpstreamBroken, UpstreamGarbage
from interlingua.ir import Json, Media, Text
from interlingua.losses import Losses
from interlingua.protocols.embedding import MOST, Goal
from interlingua.protocols.registry import EMBEDDINGS

FULL: dict[str, Json] = {  # every field of each format; what it is read as is written back the same
    "openai": {"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 8, "user": "u", "own": 1},
    "gemini": {
        "requests": [
            {
                "content": {"parts": [{"text": "a"}], "role": "user"},
                "model": "models/m",
                "taskType": "CLUSTERING",
                "outputDimensionality": 8,
                "own": 1,
            },
            {
                "content": {"parts": [{"text": "b"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
                "model": "models/m",
                "taskType": "RETRIEVAL_DOCUMENT",
                "title": "T",
                "outputDimensionality": 8,
            },
        ],
        "own": 2,
    },
    "predict": {
        "instances": [
            {"content": "a", "task_type": "CLUSTERING", "mimeType": "x"},
            {"content": "b", "title": "T", "task_type": "NEW"},
        ],
        "parameters": {"autoTruncate": True, "outputDimensionality": 8, "own": 1},
        "labels": {"a": "b"},
    },
    "titan": {"inputText": "a", "dimensions": 256, "normalize": False, "embeddingTypes": ["float", "binary"]},
    "cohere": {
        "texts": ["a", "b"],
        "input_type": "search_query",
        "truncate": "LEFT",
        "output_dimension": 256,
        "embedding_types": ["float", "int8"],
        "max_tokens": 9,
    },
}
MODEL = {"cohere": "cohere.embed-v4:0", "titan": "amazon.titan-embed-text-v2:0"}


def goal(wire: str, *quirks: str) -> Goal:
    return Goal(MODEL.get(wire, "m"), 1 if wire == "titan" else 96, frozenset(quirks))


def read(wire: str, body: Json) -> Embedding:
    return EMBEDDINGS[wire].parse_request(json.loads(json.dumps(body)), "m")


@pytest.mark.parametrize("wire", EMBEDDINGS)
def test_a_request_goes_to_its_own_kind_as_it_came(wire: str) -> None:
    losses = Losses()
    assert EMBEDDINGS[wire].format_request(read(wire, FULL[wire]), goal(wire), losses) == [FULL[wire]]
    assert not losses


@pytest.mark.parametrize("target", EMBEDDINGS)
@pytest.mark.parametrize("source", EMBEDDINGS)
def test_nothing_vanishes(source: str, target: str) -> None:
    """Without any one field, either what is sent is another, or one loss fewer is told."""
    body = FULL[source] if source != "gemini" else {**FULL[source], "requests": FULL[source]["requests"][:1]}
    request = read(source, body)

    def told(asked: Embedding) -> tuple[Any, Losses]:
        losses = Losses()
        return EMBEDDINGS[target].format_request(asked, goal(target), losses), losses

    whole = told(request)
    first = request.inputs[0]
    without: list[Embedding] = [
        replace(request, **{name: None}) for name in ("dimensions", "truncate", "user") if getattr(request, name)
    ]
    without += [replace(request, extras={}), replace(request, types=["float"])]
    without += [
        replace(request, inputs=[replace(first, **{name: None}), *request.inputs[1:]])
        for name in ("task", "title")
        if getattr(first, name)
    ]
    without = [asked for asked in without if asked != request]
    assert without and [asked for asked in without if told(asked) == whole] == []
    assert all(EMBEDDINGS[source].field_path(loss.path, request) for loss in whole[1])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=40))
def test_base64_is_of_little_endian_float32(numbers: list[float]) -> None:
    floats = Raw(json.dumps(numbers).encode())
    packed = as_base64(floats)
    assert bytes(packed) == b'"' + b64encode(struct.pack(f"<{len(numbers)}f", *numbers)) + b'"'
    assert json.loads(bytes(as_floats(packed))) == numbers
    assert as_floats(floats) is floats and as_base64(packed) is packed


@pytest.mark.parametrize("data", [b'"!!"', b'"AAA="', b"null", b"7", b'"\xc3\xa9"'])
def test_a_vector_that_is_none(data: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        as_floats(Raw(data))


@pytest.mark.parametrize("data", [b"[null]", b'["a"]', b"{}", b"[1e999]"])
def test_an_array_that_is_no_vector(data: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        as_base64(Raw(data))


def test_an_untouched_vector_is_passed_on_byte_by_byte() -> None:
    body = b'{"data":[{"index":1,"embedding":[2.50]},{"index":0,"embedding":[1e-3, 7]}],"usage":{"prompt_tokens":3}}'
    answer = EMBEDDINGS["openai"].parse_response(body, {})
    out = EMBEDDINGS["gemini"].format_response(answer, read("gemini", FULL["gemini"]), Losses())
    assert [bytes(row["values"]) for row in out["embeddings"]] == [b"[1e-3, 7]", b"[2.50]"]
    assert out["usageMetadata"] == {"promptTokenCount": 3}


@pytest.mark.parametrize("wire", EMBEDDINGS)
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"data":7,"embeddings":7,"predictions":7,"embedding":{}}', b'{"data":[{}]}']
)
def test_an_answer_that_is_none(wire: str, body: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        answer = EMBEDDINGS[wire].parse_response(body, {})
        EMBEDDINGS[wire].format_response(answer, read(wire, FULL[wire]), Losses())


def test_an_error_in_an_answer_is_the_providers() -> None:
    with pytest.raises(ProviderFailure, match="no credits"):
        EMBEDDINGS["openai"].parse_response(b'{"error":{"message":"no credits","code":402}}', {})


def test_usage_that_nobody_told_is_not_invented() -> None:
    answer = EMBEDDINGS["openai"].parse_response(b'{"data":[{"embedding":[1]}]}', {})
    assert answer.usage is None
    told = {wire: EMBEDDINGS[wire].format_response(answer, read(wire, FULL[wire]), Losses()) for wire in EMBEDDINGS}
    assert told["openai"]["usage"] is None
    assert "usageMetadata" not in told["gemini"] and "inputTextTokenCount" not in told["titan"]
    assert "statistics" not in told["predict"]["predictions"][0]["embeddings"]


# Requests


BAD: list[tuple[tuple[str, str], Json, str]] = [
    (("embed", "openai"), {"model": "m"}, "input"),
    (("embed", "openai"), {"model": "m", "input": 7}, "input"),
    (("embed", "openai"), {"model": "m", "input": []}, "input"),
    (("embed", "openai"), {"model": "m", "input": ["a"] * (MOST + 1)}, "input"),
    (("embed", "openai"), {"model": "m", "input": ["a", 7]}, "input[1]"),
    (("embed", "openai"), {"model": "m", "input": [1, "a"]}, "input[1]"),
    (("embed", "openai"), {"model": "m", "input": [[1], [True]]}, "input[1][0]"),
    (("embed", "openai"), {"input": "a"}, "model"),
    (("embed", "openai"), {"model": 7, "input": "a"}, "model"),
    (("embed", "openai"), {"model": "m", "input": "a", "dimensions": "8"}, "dimensions"),
    (("embed", "openai"), {"model": "m", "input": "a", "encoding_format": "int8"}, "encoding_format"),
    (("embed", "openai"), {"model": "m", "input": "a", "user": 7}, "user"),
    (("embed", "gemini"), {}, "content"),
    (("embed", "gemini"), {"content": {"parts": []}}, "content.parts"),
    (("embed", "gemini"), {"content": {"parts": [{"functionCall": {"name": "f"}}]}}, "content.parts[0]"),
    (("embed", "gemini"), {"content": {"parts": [{"text": "a"}]}, "taskType": 7}, "taskType"),
    (("embed", "gemini"), {"requests": {}}, "requests"),
    (("embed", "gemini"), {"requests": []}, "requests"),
    (("embed", "gemini"), {"requests": [{"model": "models/n", "content": {"parts": [{"text": "a"}]}}]}, "requests[0].model"),
    (
        ("embed", "gemini"),
        {
            "requests": [
                {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8},
                {"content": {"parts": [{"text": "a"}]}},
            ]
        },
        "requests[1].outputDimensionality",
    ),
    (("predict", "gemini"), {}, "instances"),
    (("predict", "gemini"), {"instances": []}, "instances"),
    (("predict", "gemini"), {"instances": [{"content": 7}]}, "instances[0].content"),
    (("predict", "gemini"), {"instances": [{"content": "a"}], "parameters": {"autoTruncate": 1}}, "parameters.autoTruncate"),
    (("invoke", "bedrock"), {"inputText": ["a"]}, "inputText"),
    (("invoke", "bedrock"), {"texts": ["a"]}, "input_type"),
    (("invoke", "bedrock"), {"texts": [], "input_type": "clustering"}, "texts"),
    (("invoke", "bedrock"), {"texts": ["a"], "images": ["b"], "input_type": "clustering"}, "texts"),
    (("invoke", "bedrock"), {"images": ["https://x/y.png"], "input_type": "image"}, "images[0]"),
    (("invoke", "bedrock"), {"texts": ["a"], "input_type": "clustering", "truncate": "MIDDLE"}, "truncate"),
]


@pytest.mark.parametrize(("door", "body", "param"), BAD)
def test_bad_input_names_its_field(door: tuple[str, str], body: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as failed:
        FACES[door].parse_request(body, None if door[1] == "openai" else "m", None)
    assert failed.value.failure.param == param and param in str(failed.value)


def test_a_body_of_no_known_format_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="none of the formats"):
        FACES["invoke", "bedrock"].parse_request({"prompt": "x"}, "m", None)


@pytest.mark.parametrize(
    ("quirks", "sent", "lost"),
    [
        (["no_user", "no_dimensions"], {"encoding_format": "base64"}, ["dimensions", "user"]),
        (["no_base64", "output_dimension"], {"output_dimension": 8, "user": "u"}, []),
    ],
)
def test_quirks_of_hosts(quirks: list[str], sent: Json, lost: list[str]) -> None:
    losses = Losses()
    request = read("openai", FULL["openai"])
    (out,) = EMBEDDINGS["openai"].format_request(request, goal("openai", *quirks), losses)
    assert out == {"model": "m", "input": ["a", "b"], "own": 1, **sent}
    assert [loss.path for loss in losses] == lost
    with pytest.raises(Unsupported):
        EMBEDDINGS["openai"].format_request(read("openai", {"input": [1]}), goal("openai", "no_tokens"), losses)


@pytest.mark.parametrize("wire", ["openai", "predict", "titan", "cohere"])
def test_a_content_of_many_texts_is_joined_and_told(wire: str) -> None:
    request = Embedding(
        model="m", messages=[], wire="gemini", inputs=[Item(parts=[Text(text="a"), Text(text="b")], task="clustering")]
    )
    losses = Losses()
    (out,) = EMBEDDINGS[wire].format_request(request, goal(wire), losses)
    assert '"a\\nb"' in json.dumps(out)
    assert ("inputs[0].parts", "changed") in [(loss.path, loss.how) for loss in losses]
    seen = replace(request, inputs=[Item(parts=[Media(kind="audio", url="https://x/y")])])
    with pytest.raises(Unsupported):
        EMBEDDINGS[wire].format_request(seen, goal(wire), losses)


@given(st.lists(st.sampled_from([*Task.__args__, None]), min_size=1, max_size=12))
def test_cohere_is_asked_in_order_and_for_one_task_at_a_time(tasks: list[Task | None]) -> None:
    items = [Item(text=str(number), task=task) for number, task in enumerate(tasks)]
    request = Embedding(model="m", messages=[], wire="gemini", inputs=items)
    bodies = EMBEDDINGS["cohere"].format_request(request, Goal("cohere.embed-english-v3", 3), Losses())
    assert [text for body in bodies for text in body["texts"]] == [item.text for item in items]
    assert all(0 < len(body["texts"]) <= 3 for body in bodies)


# Anything whatever

_WORDS = sorted({word for body in FULL.values() for word in json.dumps(body).replace('"', " ").split() if word.isidentifier()})
_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("door", FACES)
@settings(max_examples=50)
@given(body=st.dictionaries(st.sampled_from(_WORDS), _VALUES, max_size=5), data=st.data())
def test_any_body_is_read_or_refused(door: tuple[str, str], body: Json, data: st.DataObject) -> None:
    seed: Json = data.draw(st.sampled_from([*FULL.values()]))
    try:
        request = FACES[door].parse_request({**json.loads(json.dumps(seed)), **body}, "m", None)
        assert isinstance(request, Embedding)
        for wire, target in EMBEDDINGS.items():
            target.format_request(request, goal(wire), Losses())
    except InvalidRequest as error:
        assert str(error)


_ANSWERS = ("data", "embedding", "embeddings", "predictions", "values", "statistics", "usage", "index", "float", "int8", "id")
_ANSWER: Any = st.recursive(
    st.none() | st.integers() | st.sampled_from(("AACAPw==", "x")) | st.lists(st.floats(allow_nan=False, width=32), max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_ANSWERS), inner, max_size=4),
    max_leaves=12,
)


def at_once(asked: Coroutine[Any, Any, Vectors]) -> Vectors:
    """What a coroutine that waits for nothing returns."""
    try:
        asked.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError


@pytest.mark.parametrize("wire", EMBEDDINGS)
@settings(max_examples=50)
@given(body=st.dictionaries(st.sampled_from(_ANSWERS), _ANSWER, max_size=5))
def test_any_answer_is_read_or_refused(wire: str, body: Json) -> None:
    async def fetch(path: str, asked: Json) -> tuple[bytes, Mapping[str, str]]:
        return json.dumps(body).encode(), {}

    for client, face in EMBEDDINGS.items():
        request = read(client, FULL[client])
        try:
            answer = at_once(run(Job(EMBEDDINGS[wire], "/p", [{}]), fetch, request))
            face.format_response(answer, request, Losses())
        except (UpstreamGarbage, ProviderFailure) as error:
            assert str(error)


# Many requests


def job(count: int) -> tuple[Job, Embedding]:
    request = Embedding(model="m", messages=[], wire="openai", inputs=[Item(text=str(number)) for number in range(count)])
    return Job(EMBEDDINGS["titan"], "/p", [{"inputText": item.text} for item in request.inputs]), request


async def test_so_many_at_once_and_no_more() -> None:
    under_way, most = 0, 0

    async def fetch(path: str, body: Json) -> tuple[bytes, Mapping[str, str]]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(1 + int(body["inputText"]) % 5):
            await asyncio.sleep(0)
        under_way -= 1
        return b'{"embedding":[%s],"inputTextTokenCount":2}' % body["inputText"].encode(), {}

    asked, request = job(50)
    answer = await run(asked, fetch, request)
    assert most == AT_ONCE
    assert [bytes(vector.data) for vector in answer.vectors] == [b"[%d]" % number for number in range(50)]
    assert answer.usage is not None and answer.usage.input == 100


async def test_one_failure_ends_them_all() -> None:
    begun: list[str] = []

    async def fetch(path: str, body: Json) -> tuple[bytes, Mapping[str, str]]:
        begun.append(body["inputText"])
        if body["inputText"] == "3":
            raise UpstreamBroken("it broke")
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    asked, request = job(50)
    with pytest.raises(UpstreamBroken, match="it broke"):
        await run(asked, fetch, request)
    assert len(begun) <= AT_ONCE


async def test_an_answer_with_a_vector_too_few_is_refused() -> None:
    async def fetch(path: str, body: Json) -> tuple[bytes, Mapping[str, str]]:
        return b'{"data":[{"embedding":[1]}]}', {}

    request = read("openai", {"input": ["a", "b"]})
    with pytest.raises(UpstreamGarbage, match="asked for 2"):
        await run(Job(EMBEDDINGS["openai"], "/p", [{}]), fetch, request)


# Keys


async def test_keys_and_signatures(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(running.KEYS, "CI_KEY", "client-key")
    monkeypatch.setitem(running.KEYS, "VIRTUAL_SECRET", "virtual-secret")
    monkeypatch.setitem(running.KEYS, "VERTEX_TOKEN", "ya29.token")
    guarded = await start(MODE, BACKENDS)
    made = Speakers(guarded.url, key="client-key", secret="virtual-secret")
    stranger = Speakers(guarded.url)
    for ask in (made.by_openai, made.by_azure, made.by_gemini, made.by_titan, made.by_cohere):
        assert (await ask("openai/text-embedding-3-small", ["hi"])).gives(["hi"], 1536)
    with pytest.raises(openai.AuthenticationError):
        await stranger.by_openai("openai/text-embedding-3-small", ["hi"])
    with pytest.raises(ClientError, match="signature"):
        await stranger.by_titan("openai/text-embedding-3-small", ["hi"])
    await made.close()
    await stranger.close()
