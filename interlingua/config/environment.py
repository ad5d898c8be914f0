"""A configuration from what the environment holds: the providers' own variables, as their SDKs read them.

openai: OPENAI_API_KEY, OPENAI_BASE_URL; anthropic: ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL; google-genai: GEMINI_API_KEY,
GOOGLE_API_KEY, GOOGLE_GEMINI_BASE_URL; AzureOpenAI: AZURE_OPENAI_AD_TOKEN, AZURE_OPENAI_API_KEY, AZURE_OPENAI_ENDPOINT,
OPENAI_API_VERSION; AWS's default chain. And those of the simple Gemini proxies (simple.py).
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from interlingua.config.document import Document
from interlingua.config.lines import Path
from interlingua.config.resolve import build
from interlingua.config.settings import Config, Overrides
from interlingua.config.simple import settings, upstream
from interlingua.errors import ConfigError

SOURCE: Final = "environment"
NOTHING: Final = (
    "no configuration: here is no interlingua.toml, and the environment holds no provider's key; set OPENAI_API_KEY, "
    'ANTHROPIC_API_KEY or GEMINI_API_KEY, or write an interlingua.toml (a backend with protocol = "mock" needs no key), '
    "or run `interlingua demo`, which needs nothing."
)


class _Provider(Struct, frozen=True):
    """`version` is what the vendor's SDK adds to a base URL, where our `url` is used as it is once it has a path."""

    name: str
    keys: tuple[str, ...]
    url: str
    models: tuple[str, ...]
    version: str = ""


_PROVIDERS: Final = (
    _Provider(
        "openai",
        ("OPENAI_API_KEY",),
        "OPENAI_BASE_URL",
        ("gpt-*", "chatgpt-*", "o1*", "o3*", "o4*", "codex-*", "text-embedding-3-*", "text-embedding-ada-*", "ft:*"),
    ),
    _Provider("anthropic", ("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL", ("claude-*",), "/v1"),
    _Provider("gemini", ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "GOOGLE_GEMINI_BASE_URL", ("gemini-*", "gemma-*"), "/v1beta"),
)
_AWS: Final = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_BEARER_TOKEN_BEDROCK")
_AWS_MODELS: Final = ("amazon.*", "anthropic.*", "meta.*", "mistral.*", "us.*", "eu.*", "apac.*", "global.*")


def from_environment(env: Mapping[str, str], overrides: Overrides | None = None) -> Config:
    """Raises ConfigError where there is no key of a provider this version has, or a variable that cannot be used."""
    backends: dict[str, dict[str, Any]] = {}
    names: dict[Path, str] = {}
    for provider in _PROVIDERS:
        _add(provider, env, backends, names)
    for backend in (_azure(env), _bedrock(env)):
        if backend is not None:
            backends[backend["protocol"]] = backend
    names["backends", "azure", "url"] = "AZURE_OPENAI_ENDPOINT"
    if (others := upstream(env, names)) is not None:
        backends["upstream"] = others
    if not backends:
        raise ConfigError(NOTHING)
    data: dict[str, Any] = {"backends": backends, **settings(env, names)}
    if (last_resort := _last_resort(backends)) is not None:
        data.setdefault("routing", {})["default_backend"] = last_resort
    return build(Document(SOURCE, data, names=names), env, overrides or Overrides())


def _last_resort(backends: dict[str, dict[str, Any]]) -> str | None:
    """Models and deployments of one's own have any names."""
    own_server = "//api.openai.com" not in backends.get("openai", {}).get("url", "//api.openai.com")
    return next((name for name in ("upstream", "openai" if own_server else "", "azure") if name in backends), None)


def _add(provider: _Provider, env: Mapping[str, str], backends: dict[str, dict[str, Any]], names: dict[Path, str]) -> None:
    key = next((name for name in provider.keys if env.get(name)), None)
    if key is None:
        return
    backend: dict[str, Any] = {
        "protocol": provider.name,
        "api_key_env": key,
        "model_mapping": {model: "*" for model in provider.models},
    }
    url = env.get(provider.url, "").rstrip("/")
    if url:
        has_path = url.count("/") > 2
        backend["url"] = url + provider.version if has_path else url
    backends[provider.name] = backend
    names["backends", provider.name, "url"] = provider.url


def _azure(env: Mapping[str, str]) -> dict[str, Any] | None:
    sources = {"AZURE_OPENAI_AD_TOKEN": "access_token_env", "AZURE_OPENAI_API_KEY": "api_key_env"}
    found = next((name for name in sources if env.get(name)), None)
    if found is None or not env.get("AZURE_OPENAI_ENDPOINT"):
        return None
    backend: dict[str, Any] = {"protocol": "azure", "url": env["AZURE_OPENAI_ENDPOINT"], sources[found]: found}
    if version := env.get("OPENAI_API_VERSION"):
        backend["api_version"] = version
    return backend


def _bedrock(env: Mapping[str, str]) -> dict[str, Any] | None:
    if not any(env.get(name) for name in _AWS):
        return None
    backend: dict[str, Any] = {"protocol": "bedrock", "model_mapping": {model: "*" for model in _AWS_MODELS}}
    if region := env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"):
        backend["aws_region"] = region
    return backend
