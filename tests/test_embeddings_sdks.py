"""Unmodified openai, google-genai and boto3 clients ask every provider for embeddings through the running gateway.

The mock behind it is strict, and its vectors follow from the text alone: what it would refuse fails the test.
"""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
import running
from botocore.exceptions import ClientError
from embedding_speakers import BACKENDS, MODELS, UNCOUNTED, Speakers
from google.genai import errors, types
from running import House
from sdks_speakers import PIXEL, losses_in

from interlingua.mock.embeddings import base64_of, cost, vector

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLIENTS = ("openai", "azure", "gemini", "vertex", "titan", "cohere")
TEXTS = ["the first", "second", "and a third one"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(running.KEYS, "VERTEX_TOKEN", "ya29.token")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAUPSTREAM")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "upstream-secret")
        patch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
        folder: Path = tmp_path_factory.mktemp("house")
        async with running.house(folder, "", BACKENDS) as house:
            yield house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speakers(shared_house: House) -> AsyncIterator[Speakers]:
    made = Speakers(shared_house.url)
    yield made
    await made.close()


def ask(speakers: Speakers, client: str) -> Any:
    return getattr(speakers, f"by_{client}")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("model", MODELS)
async def test_every_client_reaches_every_provider(house: House, speakers: Speakers, client: str, model: str) -> None:
    texts = TEXTS[:1] if client == "titan" else TEXTS
    if client == "vertex" and "maas" in model:  # this SDK asks such a model for one at a time
        texts = TEXTS[:1]
    told = await ask(speakers, client)(model, texts)
    assert told.gives(texts, MODELS[model])
    assert told.model in (None, model)
    heads = told.heads
    assert heads["x-interlingua-backend"] + "/" + heads["x-interlingua-model"] == model
    assert heads["x-interlingua-route"] == "explicit"
    each = client == "vertex" and "gemini" not in model and len(texts) > 1  # by predict: it counts each text by itself
    alone = model.startswith(("openai", "azure", "dated", "mock", "bedrock/cohere", "bedrock/eu.cohere"))  # these, all together
    if model in UNCOUNTED or (each and alone):
        assert told.tokens is None
        assert (heads.get("x-interlingua-response-losses") == "response.usage;dropped") is (each and model not in UNCOUNTED)
    else:
        assert told.tokens


# What is carried


@pytest.mark.parametrize("model", MODELS)
async def test_base64_and_floats_from_every_provider(house: House, speakers: Speakers, model: str) -> None:
    told = await speakers.by_openai(model, "hi", encoding_format="base64")
    assert told.vectors == [base64_of(vector("hi", MODELS[model]))]
    told = await speakers.by_openai(model, ["hi"], encoding_format="float")
    assert told.gives(["hi"], MODELS[model])
    assert "encoding_format" not in told.losses


async def test_what_both_sides_write_alike_is_asked_for_so(house: House, speakers: Speakers) -> None:
    await speakers.by_openai("openai/text-embedding-3-small", "hi", user="u1", dimensions=8)
    assert house.sent == {
        "model": "text-embedding-3-small",
        "input": "hi",
        "encoding_format": "base64",
        "dimensions": 8,
        "user": "u1",
    }


DIMENSIONS = {  # the field, or None: lost
    "openai/text-embedding-3-small": "dimensions",
    "dated/text-embedding-3-large": "dimensions",
    "gemini/gemini-embedding-001": "outputDimensionality",
    "vertex/gemini-embedding-001": "outputDimensionality",
    "vertex/text-embedding-005": "outputDimensionality",
    "bedrock/amazon.titan-embed-text-v2:0": "dimensions",
    "bedrock/cohere.embed-v4:0": "output_dimension",
    "bedrock/amazon.titan-embed-text-v1": None,
    "bedrock/cohere.embed-multilingual-v3": None,
}


@pytest.mark.parametrize(("client", "field"), [("openai", "dimensions"), ("gemini", "output_dimensionality")])
@pytest.mark.parametrize("model", DIMENSIONS)
async def test_dimensions(house: House, speakers: Speakers, client: str, field: str, model: str) -> None:
    told = await ask(speakers, client)(model, ["hi"], **{field: 512})
    lost = "dimensions" if client == "openai" else "requests[0].outputDimensionality"
    if (name := DIMENSIONS[model]) is None:
        assert told.losses[lost] == "dropped"
    else:
        assert lost not in told.losses
        assert told.gives(["hi"], 512)
        assert f'"{name}":512' in json.dumps(house.sent).replace(" ", "")


TASKS = {  # what each is asked with, for RETRIEVAL_QUERY
    "gemini/gemini-embedding-001": {"taskType": "RETRIEVAL_QUERY"},
    "vertex/gemini-embedding-001": {"taskType": "RETRIEVAL_QUERY"},
    "vertex/text-embedding-005": {"task_type": "RETRIEVAL_QUERY"},
    "bedrock/cohere.embed-v4:0": {"input_type": "search_query"},
    "openai/text-embedding-3-small": None,
    "bedrock/amazon.titan-embed-text-v2:0": None,
}


@pytest.mark.parametrize("model", TASKS)
async def test_what_an_embedding_is_for(house: House, speakers: Speakers, model: str) -> None:
    google = await speakers.by_gemini(model, ["a", "b"], task_type="RETRIEVAL_QUERY")
    sent = json.dumps(house.sent)
    cohere = await speakers.by_cohere(model, ["a", "b"], input_type="search_query")
    if model.startswith("openai/"):
        assert google.losses == {"requests[0].taskType": "dropped", "requests[1].taskType": "dropped"}
        assert cohere.losses == {"input_type": "dropped"}
        return
    own = await speakers.by_openai(model, ["a", "b"], extra_body={"input_type": "search_query"})
    if (asked := TASKS[model]) is not None:
        ((key, value),) = asked.items()
        assert f'"{key}": "{value}"' in sent and f'"{key}": "{value}"' in json.dumps(house.sent)
        assert not google.losses and not own.losses and not cohere.losses
    else:
        assert own.losses == {"input_type": "dropped"}


async def test_openai_itself_says_what_it_thinks_of_a_field_it_lacks(house: House, speakers: Speakers) -> None:
    house.refusals = True
    with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'input_type'"):
        await speakers.by_openai("openai/text-embedding-3-small", "a", extra_body={"input_type": "search_query"})


async def test_title_and_truncation(house: House, speakers: Speakers) -> None:
    told = await speakers.by_gemini("vertex/text-embedding-005", ["a"], task_type="RETRIEVAL_DOCUMENT", title="T")
    assert house.sent == {"instances": [{"content": "a", "task_type": "RETRIEVAL_DOCUMENT", "title": "T"}]}
    assert not told.losses
    told = await speakers.by_gemini("bedrock/cohere.embed-v4:0", ["a"], task_type="RETRIEVAL_DOCUMENT", title="T")
    assert told.losses == {"requests[0].title": "dropped"}
    await speakers.by_vertex("vertex/gemini-embedding-001", ["a"], auto_truncate=False, title="T", task_type="RETRIEVAL_DOCUMENT")
    config = {"autoTruncate": False, "taskType": "RETRIEVAL_DOCUMENT", "title": "T"}
    assert house.sent == {"requests": [{"content": {"parts": [{"text": "a"}]}, "embedContentConfig": config}]}
    await speakers.by_vertex("bedrock/cohere.embed-english-v3", ["a"], auto_truncate=True)
    assert house.sent["truncate"] == "END"
    told = await speakers.by_cohere("vertex/text-embedding-005", ["a"], truncate="START")
    assert told.losses == {"truncate": "changed"} and house.sent["parameters"] == {"autoTruncate": True}
    told = await speakers.by_cohere("gemini/gemini-embedding-001", ["a"], truncate="END")
    assert told.losses == {"truncate": "dropped"}


async def test_cohere_must_be_told_what_for(house: House, speakers: Speakers) -> None:
    told = await speakers.by_openai("bedrock/cohere.embed-english-v3", ["a", "b"])
    assert told.losses == {"input_type": "added"} and house.sent["input_type"] == "search_document"
    told = await speakers.by_gemini("bedrock/cohere.embed-english-v3", ["a"], task_type="SEMANTIC_SIMILARITY")
    assert told.losses == {"requests[0].taskType": "changed"} and house.sent["input_type"] == "clustering"


async def test_titans_own_fields_reach_titan_and_are_reported_elsewhere(house: House, speakers: Speakers) -> None:
    body = {"inputText": "hi", "normalize": False, "embeddingTypes": ["binary", "float"], "dimensions": 256}
    said, _ = await speakers.invoke("bedrock/amazon.titan-embed-text-v2:0", body)
    assert house.sent == {**body, "embeddingTypes": ["float", "binary"]}
    assert said["embeddingsByType"]["binary"] == [int(number > 0) for number in vector("hi", 256)]
    assert said["embedding"] == said["embeddingsByType"]["float"] == vector("hi", 256)
    said, heads = await speakers.invoke("gemini/gemini-embedding-001", body)
    assert losses_in(heads["x-interlingua-losses"]) == {"normalize": "dropped", "embeddingTypes[0]": "dropped"}
    assert said["embeddingsByType"].keys() == {"float"} and "inputTextTokenCount" not in said


async def test_coheres_own_fields_reach_cohere_and_are_refused_elsewhere(house: House, speakers: Speakers) -> None:
    model, body = "bedrock/cohere.embed-v4:0", {"texts": ["a", "b"], "input_type": "clustering", "max_tokens": 9}
    said, _ = await speakers.invoke(model, {**body, "embedding_types": ["int8"], "truncate": "LEFT"})
    assert house.sent == {**body, "embedding_types": ["int8"], "truncate": "LEFT"}
    assert said["response_type"] == "embeddings_by_type"
    assert said["embeddings"] == {"int8": [[int(n * 128) for n in vector(text, 1536)] for text in body["texts"]]}
    with pytest.raises(ClientError, match="embedding_types"):
        await speakers.invoke("openai/text-embedding-3-small", {**body, "embedding_types": ["int8"]})
    said, heads = await speakers.invoke("openai/text-embedding-3-small", {**body, "embedding_types": ["float", "int8"]})
    assert said["embeddings"].keys() == {"float"}
    assert losses_in(heads["x-interlingua-losses"])["embedding_types[1]"] == "dropped"


async def test_images(house: House, speakers: Speakers) -> None:
    image = types.Part(inline_data=types.Blob(mime_type="image/png", data=b64decode(PIXEL)))
    content = types.Content(parts=[types.Part(text="a pixel"), image])
    for model in ("gemini/gemini-embedding-2", "vertex/gemini-embedding-2", "bedrock/cohere.embed-v4:0"):
        told = await speakers.by_gemini(model, [content, "words"])
        assert len(told.vectors) == 2 and any(PIXEL[:40] in json.dumps(entry.body) for entry in house.mock.journal.entries)
        house.clear()
    url = f"data:image/png;base64,{PIXEL}"
    for model in ("bedrock/cohere.embed-english-v3", "gemini/gemini-embedding-2"):
        said, _ = await speakers.invoke(model, {"images": [url], "input_type": "image"})
        assert len(said["embeddings"]) == 1 and PIXEL[:40] in json.dumps(house.sent)
    for model in ("openai/text-embedding-3-small", "bedrock/cohere.embed-english-v3", "vertex/text-embedding-005"):
        with pytest.raises(errors.ClientError, match=r"requests\[1\]\.content") as failed:
            await speakers.by_gemini(model, ["words", content])
        assert failed.value.code == 400


# Batches


@pytest.mark.parametrize(
    ("model", "sizes", "field"),
    [
        ("gemini/gemini-embedding-001", [5, 100, 100], "requests"),
        ("vertex/text-embedding-005", [205], "instances"),
        ("bedrock/cohere.embed-english-v3", [13, 96, 96], "texts"),
        ("openai/text-embedding-3-small", [205], "input"),
    ],
)
async def test_a_large_batch_is_split(house: House, speakers: Speakers, model: str, sizes: list[int], field: str) -> None:
    texts = [f"text number {number}" for number in range(205)]
    told = await speakers.by_openai(model, texts)
    assert told.gives(texts, MODELS[model])
    assert sorted(len(entry.body[field]) for entry in house.mock.journal.entries) == sizes


async def test_a_provider_of_one_text_is_asked_for_each_and_the_usage_summed(house: House, speakers: Speakers) -> None:
    texts = [f"{number} " + "word " * number for number in range(40)]
    told = await speakers.by_openai("bedrock/amazon.titan-embed-text-v2:0", texts)
    assert told.gives(texts, 1024)
    assert len(house.mock.journal.entries) == 40
    assert told.tokens == sum(cost([text]) for text in texts)


async def test_tasks_that_differ_are_asked_for_apart(house: House, speakers: Speakers) -> None:
    row = {"content": {"parts": [{"text": "a"}]}}
    rows = [{**row, "taskType": task} for task in ("RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "RETRIEVAL_DOCUMENT")]
    path = "/v1beta/models/bedrock/cohere.embed-english-v3:batchEmbedContents"
    said = await speakers.http.post(speakers.url + path, json={"requests": rows})
    assert len(said.json()["embeddings"]) == 3
    kinds = {entry.body["input_type"]: len(entry.body["texts"]) for entry in house.mock.journal.entries}
    assert kinds == {"search_query": 1, "search_document": 2}


# Tokens


async def test_tokens_reach_those_who_take_them(house: House, speakers: Speakers) -> None:
    told = await speakers.by_openai("openai/text-embedding-3-small", [[1, 2], [3]])
    assert house.sent["input"] == [[1, 2], [3]] and len(told.vectors) == 2
    await speakers.by_openai("azure/text-embedding-3-large", [1, 2])
    assert house.sent["input"] == [1, 2]


@pytest.mark.parametrize("model", [name for name in MODELS if name.startswith(("gemini", "vertex", "bedrock"))])
@pytest.mark.parametrize(("tokens", "param"), [([1, 2], "input"), ([[1], [2]], "input[0]")])
async def test_tokens_are_refused_for_others(house: House, speakers: Speakers, model: str, tokens: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError, match="takes texts, not tokens") as failed:
        await speakers.by_openai(model, tokens)
    assert failed.value.param == param
    assert not house.mock.journal.entries


# Routes, errors, figures


@pytest.mark.parametrize(
    ("name", "backend", "model", "route"),
    [
        ("mine", "openai", "text-embedding-3-small", "model_mapping"),
        ("text-embedding-3-small", "openai", "text-embedding-3-small", "auto"),
        ("gemini-embedding-001", "gemini", "gemini-embedding-001", "auto"),
        ("eu.cohere.embed-v4:0", "bedrock", "eu.cohere.embed-v4:0", "auto"),
        ("amazon.titan-embed-text-v2:0", "bedrock", "amazon.titan-embed-text-v2:0", "auto"),
    ],
)
async def test_routes(house: House, speakers: Speakers, name: str, backend: str, model: str, route: str) -> None:
    told = await speakers.by_openai(name, "hi")
    heads = [told.heads[f"x-interlingua-{key}"] for key in ("backend", "model", "route")]
    assert (told.model, heads) == (name, [backend, model, route])
    assert told.heads["x-request-id"] == told.heads["x-interlingua-request-id"]


async def test_azures_newer_surface(house: House, speakers: Speakers) -> None:
    sdk = openai.AsyncOpenAI(base_url=f"{speakers.url}/openai/v1", api_key="any", http_client=speakers.http)
    said = await sdk.embeddings.create(model="gemini/gemini-embedding-001", input="hi", dimensions=4)
    assert said.data[0].embedding == vector("hi", 4)


@pytest.mark.parametrize("model", [name for name in MODELS if name != "vertex/multilingual-e5-small-maas"])
async def test_a_providers_refusal_is_raised_as_the_clients_own(house: House, speakers: Speakers, model: str) -> None:
    house.refusals = True
    with pytest.raises(openai.RateLimitError):
        await speakers.by_openai(model, ["fine", "[[429]]"])
    with pytest.raises(errors.ClientError) as refused:
        await speakers.by_gemini(model, ["[[429]]"])
    assert refused.value.code == 429
    with pytest.raises(ClientError) as thrown:
        await speakers.by_titan(model, ["[[429]]"])
    assert thrown.value.response["Error"]["Code"] == "ThrottlingException"


async def test_a_backend_without_embeddings_says_so(house: House, speakers: Speakers) -> None:
    for model in ("anthropic/claude-haiku-4-5", "bedrock/amazon.nova-lite-v1:0"):
        with pytest.raises(openai.BadRequestError, match="not known to make embeddings") as failed:
            await speakers.by_openai(model, "hi")
        assert failed.value.param == "model"
    assert not house.mock.journal.entries


async def test_strict_mode_refuses_what_would_be_lost(house: House, speakers: Speakers) -> None:
    strict = {"x-interlingua-strict": "true"}
    with pytest.raises(openai.BadRequestError, match="user") as failed:
        await speakers.by_openai("gemini/gemini-embedding-001", "hi", user="u", extra_headers=strict)
    assert failed.value.param == "user"
    told = await speakers.by_openai("gemini/gemini-embedding-001", "hi", dimensions=4, extra_headers=strict)
    assert told.vectors == [vector("hi", 4)]
    assert len(house.mock.journal.entries) == 1


async def test_requests_and_tokens_are_counted(house: House, speakers: Speakers) -> None:
    async def counted(name: str) -> float:
        text = (await speakers.http.get(f"{speakers.url}/metrics")).text
        rows = [line for line in text.splitlines() if line.startswith(name) and 'model="cohere.embed-multilingual-v3"' in line]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    before = [await counted("interlingua_requests_total"), await counted("interlingua_tokens_total")]
    told = await speakers.by_openai("bedrock/cohere.embed-multilingual-v3", "some words", user="u")
    after = [await counted("interlingua_requests_total"), await counted("interlingua_tokens_total")]
    assert after == [before[0] + 1, before[1] + (told.tokens or 0)]
    assert 'path="user"' in (await speakers.http.get(f"{speakers.url}/metrics")).text
