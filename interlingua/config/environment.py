"""A configuration from what the environment holds: the providers' own variables, as their SDKs read them.

openai: OPENAI_API_KEY, OPENAI_BASE_URL; anthropic: ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL; google-genai: GEMINI_API_KEY,
GOOGLE_API_KEY, GOOGLE_GEMINI_BASE_URL; AzureOpenAI: AZURE_OPENAI_API_KEY, AZURE_OPENAI_ENDPOINT, OPENAI_API_VERSION;
AWS's default chain.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from interlingua.config.checks import available
from interlingua.config.document import Document
from interlingua.config.lines import Path
from interlingua.config.resolve import build
from interlingua.config.settings import Config, Overrides
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
    unused: list[str] = []
    for name, found, backend in (_azure(env), _bedrock(env)):
        if found and available(name):
            backends[name] = backend
        elif found:
            unused.append(f"not used: {found}; protocol {name} is not available in this version")
    if not backends:
        raise ConfigError(NOTHING)
    data: dict[str, Any] = {"backends": backends}
    if "//api.openai.com" not in backends.get("openai", {}).get("url", "//api.openai.com"):
        data["routing"] = {"default_backend": "openai"}  # a server of one's own: its models have any names
    config = build(Document(SOURCE, data, names=names), env, overrides or Overrides())
    return replace(config, found=(*config.found, *unused))


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


def _azure(env: Mapping[str, str]) -> tuple[str, str | None, dict[str, Any]]:
    """(protocol, what was found, backend)"""
    found = env.get("AZURE_OPENAI_API_KEY") and env.get("AZURE_OPENAI_ENDPOINT")
    backend: dict[str, Any] = {
        "protocol": "azure",
        "url": env.get("AZURE_OPENAI_ENDPOINT"),
        "api_key_env": "AZURE_OPENAI_API_KEY",
    }
    if env.get("OPENAI_API_VERSION"):
        backend["api_version"] = env["OPENAI_API_VERSION"]
    return "azure", "AZURE_OPENAI_API_KEY" if found else None, backend


def _bedrock(env: Mapping[str, str]) -> tuple[str, str | None, dict[str, Any]]:
    """(protocol, what was found, backend)"""
    found = next((name for name in _AWS if env.get(name)), None)
    backend: dict[str, Any] = {"protocol": "bedrock", "model_mapping": {model: "*" for model in _AWS_MODELS}}
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    if region:
        backend["aws_region"] = region
    return "bedrock", found, backend
