"""The official SDKs as clients that ask for embeddings, each through the running gateway; and a gateway of every provider."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import boto3
import httpx2
import openai
from botocore.config import Config
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from sdks_speakers import losses_in

from interlingua.mock.embeddings import vector

Json = dict[str, Any]

BACKENDS = """
[backends.openai]
protocol = "openai"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.openai.model_mapping]
"mine" = "text-embedding-3-small"
[backends.azure]
protocol = "azure"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.dated]
protocol = "azure"
url = "{url}"
api_key_env = "OPENAI_KEY"
api_version = "2024-10-21"
[backends.gemini]
protocol = "gemini"
url = "{url}"
api_key_env = "GEMINI_KEY"
[backends.vertex]
protocol = "vertex"
url = "{url}"
project = "p"
location = "us-central1"
access_token_env = "VERTEX_TOKEN"
[backends.bedrock]
protocol = "bedrock"
url = "{url}"
aws_region = "eu-west-1"
[backends.mock]
protocol = "mock"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.anthropic]
protocol = "anthropic"
url = "{url}"
api_key_env = "ANTHROPIC_KEY"
"""
# A model of every backend, of every wire format it has; and the number that its vectors hold
MODELS = {
    "openai/text-embedding-3-small": 1536,
    "azure/text-embedding-3-large": 3072,
    "dated/text-embedding-ada-002": 1536,
    "gemini/gemini-embedding-001": 3072,
    "gemini/gemini-embedding-2": 3072,
    "vertex/gemini-embedding-001": 3072,
    "vertex/text-embedding-005": 768,
    "vertex/multilingual-e5-small-maas": 8,
    "bedrock/amazon.titan-embed-text-v1": 1536,
    "bedrock/amazon.titan-embed-text-v2:0": 1024,
    "bedrock/cohere.embed-english-v3": 1024,
    "bedrock/eu.cohere.embed-v4:0": 1536,
    "mock/mock": 8,
}
UNCOUNTED = {"gemini/gemini-embedding-001"}  # the Gemini API tells no usage for it


class Told(NamedTuple):
    """`tokens` None: not told. `model` None: this client's answers name none."""

    vectors: list[list[float]]
    tokens: int | None
    model: str | None
    heads: Mapping[str, str]

    def gives(self, texts: list[str], size: int) -> bool:
        """Whether these are the texts' vectors. (pytest would tell the difference of lists so long for minutes.)"""
        return self.vectors == [vector(text, size) for text in texts]

    @property
    def losses(self) -> dict[str, str]:
        return losses_in(self.heads.get("x-interlingua-losses", ""))


class Speakers:
    """Every SDK, pointed at one gateway. Each method: (model, texts, options in the SDK's own words) -> Told."""

    def __init__(self, url: str, key: str = "any", secret: str = "any") -> None:
        self.url = url
        self.heads: Mapping[str, str] = {}
        self.http = httpx2.AsyncClient(verify=False, timeout=20, event_hooks={"response": [self._see]})
        self.openai = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=self.http)
        self.azure = openai.AsyncAzureOpenAI(
            azure_endpoint=url, api_key=key, api_version="2024-10-21", max_retries=0, http_client=self.http
        )
        options = types.HttpOptions(base_url=url, httpx_async_client=self.http, client_args={"verify": False})
        options.retry_options = types.HttpRetryOptions(attempts=1)
        self.gemini = genai.Client(api_key=key, http_options=options)
        self.vertex = genai.Client(
            vertexai=True, project="p", location="us-central1", credentials=Credentials("t"), http_options=options
        )
        self.bedrock: Any = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="AKIAVIRTUAL",
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}),
        )

    async def _see(self, response: httpx2.Response) -> None:
        self.heads = response.headers

    async def close(self) -> None:
        await self.gemini.aio.aclose()
        await self.vertex.aio.aclose()
        await self.http.aclose()
        self.gemini.close()
        self.vertex.close()
        self.bedrock.close()

    async def by_openai(self, model: str, texts: Any, **options: Any) -> Told:
        return self._openais(await self.openai.embeddings.create(model=model, input=texts, **options))

    async def by_azure(self, model: str, texts: Any, **options: Any) -> Told:
        return self._openais(await self.azure.embeddings.create(model=model, input=texts, **options))

    def _openais(self, said: Any) -> Told:
        assert [row.index for row in said.data] == list(range(len(said.data)))
        assert said.object == "list" and {row.object for row in said.data} == {"embedding"}
        tokens = None if said.usage is None else said.usage.prompt_tokens
        return Told([row.embedding for row in said.data], tokens, said.model, self.heads)

    async def by_gemini(self, model: str, texts: Any, **options: Any) -> Told:
        return await self._google(self.gemini, model, texts, options)

    async def by_vertex(self, model: str, texts: Any, **options: Any) -> Told:
        """The SDK asks by predict, or by embedContent where the name says gemini."""
        return await self._google(self.vertex, model, texts, options)

    async def _google(self, sdk: genai.Client, model: str, texts: Any, options: Json) -> Told:
        """Each text as a content of its own: bare strings the SDK makes one content of, for a model that embeds media too."""
        contents = [one if isinstance(one, types.Content) else types.Content(parts=[types.Part(text=one)]) for one in texts]
        said = await sdk.aio.models.embed_content(model=model, contents=contents, config=types.EmbedContentConfig(**options))
        rows = said.embeddings or []
        counts = [row.statistics.token_count for row in rows if row.statistics and row.statistics.token_count is not None]
        tokens = said.usage_metadata.prompt_token_count if said.usage_metadata else int(sum(counts)) if counts else None
        return Told([row.values or [] for row in rows], tokens, None, self.heads)

    async def invoke(self, model: str, body: Json) -> tuple[Json, Mapping[str, str]]:
        said = await asyncio.to_thread(lambda: self.bedrock.invoke_model(modelId=model, body=json.dumps(body)))
        return json.loads(said["body"].read()), said["ResponseMetadata"]["HTTPHeaders"]

    async def by_titan(self, model: str, texts: Any, **options: Any) -> Told:
        (text,) = texts
        said, heads = await self.invoke(model, {"inputText": text, **options})
        assert said["embeddingsByType"]["float"] == said["embedding"]
        return Told([said["embedding"]], said.get("inputTextTokenCount"), None, heads)

    async def by_cohere(self, model: str, texts: Any, **options: Any) -> Told:
        said, heads = await self.invoke(model, {"texts": texts, "input_type": "search_document", **options})
        assert said["texts"] == texts and said["response_type"] == "embeddings_floats"
        count = heads.get("x-amzn-bedrock-input-token-count")
        return Told(said["embeddings"], None if count is None else int(count), None, heads)
