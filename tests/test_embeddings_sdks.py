"""Unmodified openai, google-genai and boto3 clients ask every provider for embeddings through the running gateway.

The mock behind it is strict, and its vectors follow from the text alone: what it would refuse fails the test.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import running
from embedding_speakers import BACKENDS, MODELS, UNCOUNTED, Speakers
from running import House

from interlingua.mock.embeddings import vector

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
    assert told.vectors == [vector(text, MODELS[model]) for text in texts]
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
