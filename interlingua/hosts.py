"""What is known of the places that speak a protocol: address, paths, form of the credential, quirks. Data, one row each.

A configuration's `protocol` names a row here; the row's own `protocol` names the wire format, a key of
protocols.registry.PROTOCOLS. So another cloud in front of a known wire format is a row and no code, unless it moves
fields between body, headers and path: then `reshape` says how.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from interlingua.invoke import VERSION as INVOKE_VERSION
from interlingua.ir import Json
from interlingua.models import facts

Credential = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "google", "aws"]
Reshape = Callable[[Json, bytes, bool], tuple[Json, bytes]]


class Embeds(Struct, frozen=True):
    """How embeddings are asked for: the wire format (a key of registry.EMBEDDINGS), the path, and the inputs that one request
    takes. `models`: a pattern that is found in the names of the models asked so; `quirks` are read by the wire format."""

    wire: str
    path: str
    batch: int
    models: str = ""
    quirks: frozenset[str] = frozenset()


class Host(Struct, frozen=True, kw_only=True):
    """A place that speaks `protocol`.

    `url` is the origin used where the configuration names none (None: it must), `prefix` the version path of an origin.
    The paths follow the prefix. `{model}` in one is the provider's model; `{project}`, `{location}`, `{api_version}` and
    `{region}`, in the url too, are the configuration's. `count_path` None: it counts no tokens;
    `list_path` None: it does not list its models, or others than may be asked for.
    `keys` are the variables in which the provider's own tools look for a key, the first that is set counts.
    `quirks` are read by the protocol: gemini/ for `external_urls`, anthropic/ for `base64_only`, openai/dialect.py tells of
    the others.
    `counted` makes of a body the one that the counter takes; `reshape` moves what this host wants elsewhere:
    (body, the header lines that go with it, whether it is counted) to the body and lines that are sent.
    `seals`: the name of its signatures, where they hold at this endpoint alone and not wherever its protocol is spoken.
    `families`: models of another maker that the same backend serves in another way. `embeds`: the first whose `models` fit.
    `framing` of its streams: AWS's `eventstream` of its own events, or of `chunks` that hold another's (invoke.py); at AWS
    the errors are AWS's too.
    """

    name: str
    protocol: str
    url: str | None = None
    prefix: str = "/v1"
    credential: Credential = "bearer"
    path: str = "/chat/completions"
    stream_path: str = "/chat/completions"
    count_path: str | None = None
    list_path: str | None = None
    keys: tuple[str, ...] = ()
    quirks: frozenset[str] = frozenset()
    seals: str = ""
    reshape: Reshape | None = None
    counted: Callable[[Json, str], Json] | None = None
    families: Mapping[str, "Host"] = {}
    embeds: tuple[Embeds, ...] = ()
    framing: Literal["sse", "eventstream", "chunks"] = "sse"

    def serving(self, model: str) -> "Host":
        """The row by which `model` is asked at this backend."""
        return self.families.get(facts(model).family, self) if self.families else self

    def embedding(self, model: str) -> Embeds | None:
        """How `model` is asked for embeddings; None: it is not known to make any here."""
        lowered = model.lower()
        return next((way for way in self.embeds if re.search(way.models, lowered)), None)

    def filled(self, path: str, model: str) -> str:
        """One of the paths with the model in it."""
        return path.replace("{model}", _quoted(model, self.credential == "aws")) if "{" in path else path

    def placed(self, **words: str | None) -> "Host":
        """The row with the configuration's words (`project`, `location`, `api_version`, `region`) in its places."""
        row = _DATED.get(self.name, self) if words.get("api_version") else self
        named = {f"{{{name}}}": quote(word, safe=":.-") for name, word in words.items() if word}
        if "{location}" in (row.url or ""):
            row = replace(row, url=_GOOGLE.get(words.get("location") or "", row.url))
        families = {family: other.placed(**words) for family, other in row.families.items()}
        texts = {field: _named(getattr(row, field), named) for field in ("url", "path", "stream_path", "count_path")}
        embeds = tuple(replace(way, path=_named(way.path, named)) for way in row.embeds)
        return replace(row, families=families, embeds=embeds, **texts)


def _named(text: str | None, words: dict[str, str]) -> str | None:
    for place, word in words.items():
        text = text and text.replace(place, word)
    return text


@lru_cache(maxsize=4096)
def _quoted(model: str, whole: bool) -> str:
    """A model as a path segment; "models/x" is Google's own full name of x. `whole`: ARNs too are one segment, as at AWS."""
    return quote(model, safe="") if whole else quote(model.removeprefix("models/"), safe="/@:")


# Token counting

_COUNTED: Final = ("messages", "model", "cache_control", "output_config", "speed", "system", "thinking", "tool_choice", "tools")
_COUNTED_BY_VERTEX: Final = ("contents", "systemInstruction", "tools", "generationConfig")


def _anthropic_count(body: Json, model: str) -> Json:
    return {key: body[key] for key in _COUNTED if key in body}


def _gemini_count(body: Json, model: str) -> Json:
    return {"generateContentRequest": {"model": f"models/{model.removeprefix('models/')}", **body}}


def _vertex_count(body: Json, model: str) -> Json:
    return {key: body[key] for key in _COUNTED_BY_VERTEX if key in body}


# Claude on Vertex, as anthropic.lib.vertex asks it: the version in the body, the model in the path alone

_VERSIONS: Final = {"2023-06-01": "vertex-2023-10-16"}  # later versions have the same name there
_VERSION: Final = b"anthropic-version:"
_BETAS: Final = b"anthropic-beta:"


def _claude_on_vertex(body: Json, headers: bytes, counting: bool) -> tuple[Json, bytes]:
    lines = headers.split(b"\r\n")
    version = next(line.removeprefix(_VERSION).strip().decode("latin-1") for line in lines if line.startswith(_VERSION))
    out: Json = {"anthropic_version": _VERSIONS.get(version, version), **body}
    if not counting:
        del out["model"]
    return out, b"\r\n".join(line for line in lines if not line.startswith(_VERSION))


# Claude on Bedrock by InvokeModel, as anthropic.lib.bedrock asks it: version and betas in the body, model and stream in the
# path alone


def _claude_on_bedrock(body: Json, headers: bytes, counting: bool) -> tuple[Json, bytes]:
    out: Json = {"anthropic_version": INVOKE_VERSION, **body}
    del out["model"]
    out.pop("stream", None)
    lines = headers.split(b"\r\n")
    if betas := next((line for line in lines if line.startswith(_BETAS)), b""):
        out["anthropic_beta"] = [beta.strip() for beta in betas.removeprefix(_BETAS).decode("latin-1").split(",")]
    return out, b"\r\n".join(line for line in lines if not line.startswith((_VERSION, _BETAS)))


# The vendors: platform.openai.com/docs/api-reference, platform.claude.com/docs/en/api/overview, ai.google.dev/api; the
# credential is the form each documents for curl, the variables are those that its SDK reads.

_EMBEDS: Final = (Embeds("openai", "/embeddings", 2048),)
_OPENAI: Final = Host(
    name="openai",
    protocol="openai",
    url="https://api.openai.com",
    list_path="/models",
    keys=("OPENAI_API_KEY",),
    embeds=_EMBEDS,
)
_RESPONSES: Final = replace(_OPENAI, name="responses", protocol="responses", path="/responses", stream_path="/responses")
_ANTHROPIC: Final = Host(
    name="anthropic",
    protocol="anthropic",
    url="https://api.anthropic.com",
    credential="x-api-key",
    path="/messages",
    stream_path="/messages",
    count_path="/messages/count_tokens",
    list_path="/models?limit=1000",
    keys=("ANTHROPIC_API_KEY",),
    counted=_anthropic_count,
)
_GEMINI: Final = Host(
    name="gemini",
    protocol="gemini",
    url="https://generativelanguage.googleapis.com",
    prefix="/v1beta",
    credential="x-goog-api-key",
    path="/models/{model}:generateContent",
    stream_path="/models/{model}:streamGenerateContent?alt=sse",
    count_path="/models/{model}:countTokens",
    list_path="/models?pageSize=1000",
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    counted=_gemini_count,
    embeds=(Embeds("gemini", "/models/{model}:batchEmbedContents", 100),),  # "at most 100 requests can be in one batch"
)

# Azure OpenAI: learn.microsoft.com/azure/ai-foundry/openai/reference and .../api-version-lifecycle (the v1 surface);
# paths as openai.lib.azure has them. A model's name is its deployment's.

_AZURE: Final = Host(
    name="azure", protocol="openai", prefix="/openai/v1", credential="api-key", keys=("AZURE_OPENAI_API_KEY",), embeds=_EMBEDS
)
_AZURE_PATH: Final = "/deployments/{model}/chat/completions?api-version={api_version}"
_AZURE_EMBEDS: Final = (Embeds("openai", "/deployments/{model}/embeddings?api-version={api_version}", 2048),)
_DATED: Final = {  # with api_version
    "azure": replace(_AZURE, prefix="/openai", path=_AZURE_PATH, stream_path=_AZURE_PATH, embeds=_AZURE_EMBEDS)
}

# Vertex AI: the discovery document aiplatform.v1, whose FunctionCall has had its id since September 2026; file URLs:
# cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference. Locations as both SDKs address them. Claude
# fetches no URLs there: platform.claude.com/docs/en/build-with-claude/vision, "Google managed".

_LOCATION: Final = "/projects/{project}/locations/{location}/publishers"
_GOOGLE: Final = {
    "global": "https://aiplatform.googleapis.com",
    "us": "https://aiplatform.us.rep.googleapis.com",
    "eu": "https://aiplatform.eu.rep.googleapis.com",
}
_VERTEX_CLAUDE: Final = Host(
    name="vertex",
    protocol="anthropic",
    url="https://{location}-aiplatform.googleapis.com",
    credential="google",
    path=_LOCATION + "/anthropic/models/{model}:rawPredict",
    stream_path=_LOCATION + "/anthropic/models/{model}:streamRawPredict",
    count_path=_LOCATION + "/anthropic/models/count-tokens:rawPredict",
    quirks=frozenset(("base64_only",)),
    reshape=_claude_on_vertex,
    counted=_anthropic_count,
)
# Which model by which method: google-genai's t_is_vertex_embed_content_model. Texts of one `predict`: cloud.google.com/
# vertex-ai/generative-ai/docs/embeddings/get-text-embeddings; of a batch: as at the Gemini API.
_VERTEX_MODEL: Final = _LOCATION + "/google/models/{model}"
_VERTEX_EMBEDS: Final = (
    Embeds("gemini", _VERTEX_MODEL + ":embedContent", 1, "maas", frozenset(("config", "single"))),
    Embeds("gemini", _VERTEX_MODEL + ":batchEmbedContents", 100, "gemini", frozenset(("config",))),
    Embeds("predict", _VERTEX_MODEL + ":predict", 250),
)
_VERTEX: Final = Host(
    name="vertex",
    protocol="gemini",
    url="https://{location}-aiplatform.googleapis.com",
    credential="google",
    path=_LOCATION + "/google/models/{model}:generateContent",
    stream_path=_LOCATION + "/google/models/{model}:streamGenerateContent?alt=sse",
    count_path=_LOCATION + "/google/models/{model}:countTokens",
    quirks=frozenset(("external_urls",)),
    seals="vertex",
    counted=_vertex_count,
    families={"claude": _VERTEX_CLAUDE},
    embeds=_VERTEX_EMBEDS,
)


# Servers that speak OpenAI's Chat Completions, each with what its own documentation says that it lacks or calls otherwise


def _like_openai(
    name: str, url: str | None, key: str, *quirks: str, prefix: str = "/v1", embeds: tuple[Embeds, ...] = _EMBEDS
) -> Host:
    quirks = (*quirks, "no_custom_tools")  # which only OpenAI's own models have
    return replace(_OPENAI, name=name, url=url, prefix=prefix, keys=(key,), quirks=frozenset(quirks), embeds=embeds)


def _embeds(*quirks: str, batch: int = 2048) -> tuple[Embeds, ...]:
    return (Embeds("openai", "/embeddings", batch, quirks=frozenset(quirks)),)


# All of OpenAI's request that Mistral's ChatCompletionRequest (its SDK's types) lacks; it answers 422 extra_forbidden.
_MISTRAL_LACKS: Final = (
    "no_audio no_function_call no_functions no_logit_bias no_logprobs no_modalities no_moderation no_prompt_cache_options "
    "no_prompt_cache_retention no_safety_identifier no_service_tier no_store no_stream_options no_top_logprobs no_user "
    "no_verbosity no_web_search_options"
).split()
_MISTRAL: Final = (*_MISTRAL_LACKS, "max_tokens", "random_seed", "short_ids", "no_developer", "no_names", "no_cache_marks")
# docs.mistral.ai/api/endpoint/embeddings: model, input, encoding_format, output_dimension, output_dtype, metadata
_MISTRAL_EMBEDS: Final = _embeds("no_tokens", "no_user", "output_dimension")
# console.groq.com/docs/openai: "will result in a 400 error"
_GROQ: Final = ("no_logprobs", "no_logit_bias", "no_top_logprobs", "no_names", "one_choice", "no_cache_marks")
_GROQ_EMBEDS: Final = _embeds("no_tokens", "no_dimensions")  # its SDK's EmbeddingCreateParams
# api-docs.deepseek.com/api/create-chat-completion: four roles, text and json_object, max_tokens
_DEEPSEEK: Final = ("no_developer", "no_json_schema", "max_tokens", "no_cache_marks")
# docs.ollama.com/api/openai-compatibility lists the fields it reads; others it passes over in silence
_OLLAMA: Final = ("max_tokens", "no_logit_bias", "no_user", "one_choice", "no_cache_marks")

# Bedrock: botocore's service model `bedrock-runtime`. Every model by Converse; or Claude by InvokeModel, in its own words.

_BEDROCK: Final = Host(
    name="bedrock",
    protocol="bedrock",
    url="https://bedrock-runtime.{region}.amazonaws.com",
    prefix="",
    credential="aws",
    path="/model/{model}/converse",
    stream_path="/model/{model}/converse-stream",
    framing="eventstream",
    embeds=(
        Embeds("titan", "/model/{model}/invoke", 1, "titan-embed"),
        Embeds("cohere", "/model/{model}/invoke", 96, r"cohere\.embed"),
    ),
)
_CLAUDE_BY_INVOKE: Final = replace(
    _BEDROCK,
    protocol="anthropic",
    path="/model/{model}/invoke",
    stream_path="/model/{model}/invoke-with-response-stream",
    reshape=_claude_on_bedrock,
    framing="chunks",
    embeds=(),
)
BEDROCK_BY_INVOKE: Final = replace(_BEDROCK, families={"claude": _CLAUDE_BY_INVOKE})  # where `claude = "invoke"` is said

_ROWS: Final[tuple[Host, ...]] = (
    _OPENAI,
    _RESPONSES,
    _ANTHROPIC,
    _GEMINI,
    _AZURE,
    _VERTEX,
    _BEDROCK,
    # The Gemini CLI: a program that asks Gemini in its own way (cli/); paths are its own matter, and its url an origin
    replace(
        _GEMINI, name="gemini-cli", prefix="", path="", stream_path="", count_path=None, counted=None, list_path=None, embeds=()
    ),
    # docs.vllm.ai/serving/openai_compatible_server (extra parameters), llama.cpp's tools/server/README
    _like_openai("vllm", "http://127.0.0.1:8000", "VLLM_API_KEY", "top_k", "no_cache_marks"),
    _like_openai("ollama", "http://127.0.0.1:11434", "OLLAMA_API_KEY", *_OLLAMA, embeds=_embeds("no_tokens", "no_user")),
    _like_openai("llamacpp", "http://127.0.0.1:8080", "LLAMA_API_KEY", "top_k", "no_cache_marks"),
    _like_openai("groq", "https://api.groq.com", "GROQ_API_KEY", *_GROQ, prefix="/openai/v1", embeds=_GROQ_EMBEDS),
    _like_openai("mistral", "https://api.mistral.ai", "MISTRAL_API_KEY", *_MISTRAL, embeds=_MISTRAL_EMBEDS),
    _like_openai("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", *_DEEPSEEK, embeds=()),
    _like_openai("xai", "https://api.x.ai", "XAI_API_KEY", "no_cache_marks"),
    # openrouter.ai/docs: api-reference/parameters, features/prompt-caching
    _like_openai("openrouter", "https://openrouter.ai", "OPENROUTER_API_KEY", "top_k", "cache_control", prefix="/api/v1"),
    # docs.together.ai/reference/chat-completions, docs.fireworks.ai/api-reference/post-chatcompletions
    _like_openai(
        "together",
        "https://api.together.xyz",
        "TOGETHER_API_KEY",
        *("top_k", "max_tokens", "no_cache_marks"),
        embeds=_embeds("no_tokens", "no_user", "no_dimensions", "no_base64"),  # its SDK's EmbeddingCreateParams: model, input
    ),
    _like_openai("fireworks", "https://api.fireworks.ai", "FIREWORKS_API_KEY", "top_k", "no_cache_marks", prefix="/inference/v1"),
    # a relay: what it lacks is its providers' matter
    replace(_OPENAI, name="newapi", url=None, keys=("NEWAPI_API_KEY",), quirks=frozenset(("top_k",))),
    Host(name="mock", protocol="openai", url="http://127.0.0.1:9100", list_path="/models", embeds=_EMBEDS),
)
HOSTS: Final[dict[str, Host]] = {row.name: row for row in _ROWS}
