"""No file at all: the configuration that the environment amounts to."""

from pathlib import Path

import pytest

from interlingua.config import Overrides, Secret, find, from_environment
from interlingua.errors import ConfigError
from interlingua.routing import Router


def test_nothing_at_all_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        find(None, {"OPENAI_API_KEY": ""})
    for word in ("interlingua.toml", "OPENAI_API_KEY", "interlingua demo", 'protocol = "mock"'):
        assert word in str(caught.value)


def test_all_providers_of_the_environment():
    env = {
        "OPENAI_API_KEY": "o",
        "ANTHROPIC_API_KEY": "a",
        "GOOGLE_API_KEY": "g",
        "AWS_ACCESS_KEY_ID": "x",
        "AZURE_OPENAI_API_KEY": "z",
        "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com",
    }
    config = from_environment(env)
    assert {name: backend.url for name, backend in config.backends.items()} == {
        "openai": "https://api.openai.com/v1",
        "anthropic": "https://api.anthropic.com/v1",
        "gemini": "https://generativelanguage.googleapis.com/v1beta",
        "azure": "https://r.openai.azure.com/openai/v1",
        "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com",
    }
    assert [key.reveal() for backend in config.backends.values() for key in backend.keys] == ["o", "a", "g", "z"]
    assert config.routing.default_backend == "azure"  # whose deployments have any names
    assert config.found == (
        "configuration: environment",
        "backend openai: openai at https://api.openai.com/v1, key from OPENAI_API_KEY",
        "backend anthropic: anthropic at https://api.anthropic.com/v1, key from ANTHROPIC_API_KEY",
        "backend gemini: gemini at https://generativelanguage.googleapis.com/v1beta, key from GOOGLE_API_KEY",
        "backend azure: azure at https://r.openai.azure.com/openai/v1, key from AZURE_OPENAI_API_KEY",
        "backend bedrock: bedrock at https://bedrock-runtime.us-east-1.amazonaws.com, credentials of AWS's standard chain",
    )
    assert from_environment({**env, "GEMINI_API_KEY": "first"}).backends["gemini"].keys == (Secret("first"),)
    entra = from_environment({**env, "AZURE_OPENAI_AD_TOKEN": "t"}).backends["azure"]
    assert (entra.keys, entra.access_token) == ((), Secret("t"))
    more = {"OPENAI_BASE_URL": "http://host:8000", "OPENAI_API_VERSION": "v", "AWS_REGION": "eu-west-1"}
    own = from_environment({**env, **more})
    assert own.routing.default_backend == "openai"
    assert (own.backends["azure"].settings.api_version, own.backends["bedrock"].settings.aws_region) == ("v", "eu-west-1")


@pytest.mark.parametrize(
    ("key", "variable", "value", "url"),
    [
        ("OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("OPENAI_API_KEY", "OPENAI_BASE_URL", "http://host:8000", "http://host:8000/v1"),
        ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "http://host:8000", "http://host:8000/v1"),
        ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "http://host/claude/", "http://host/claude/v1"),
        ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "http://host/g", "http://host/g/v1beta"),
    ],
)
def test_base_urls_mean_what_they_mean_to_the_sdk(key: str, variable: str, value: str, url: str):
    config = from_environment({key: "k", variable: value})
    assert [backend.url for backend in config.backends.values()] == [url]
    assert config.routing.default_backend == ("openai" if "OPENAI" in key and "api.openai" not in url else None)


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"OPENAI_BASE_URL": "host"}, "OPENAI_BASE_URL must be a URL such as"),
        ({"OPENAI_BASE_URL": "http://[x"}, "OPENAI_BASE_URL must be a URL such as"),
        ({"OPENAI_BASE_URL": "http://localhost:9000/v1"}, "OPENAI_BASE_URL is this gateway's own address: give the provider's."),
        (
            {"OPENAI_API_KEY": "a\nb"},
            "environment: backends.openai.api_key_env names the environment variable OPENAI_API_KEY, whose",
        ),
    ],
)
def test_a_bad_variable_is_named(env: dict[str, str], sentence: str):
    with pytest.raises(ConfigError) as caught:
        from_environment({"OPENAI_API_KEY": "k", **env})
    assert str(caught.value).startswith(sentence)


SIMPLE = {"GEMINI_API_KEY": "g", "UPSTREAM_URL": "http://host:3000/v1/chat/completions", "FIXED_API_KEY": "f"}


def test_the_variables_of_simple_proxies():
    config = from_environment({**SIMPLE, "PORT": "8123", "TIMEOUT": "30000", "DEBUG": "true"})
    assert [(backend.url, backend.keys) for backend in config.backends.values()] == [
        ("https://generativelanguage.googleapis.com/v1beta", (Secret("g"),)),
        ("http://host:3000/v1", (Secret("f"),)),
    ]
    router = Router(config)
    served = {model: router.route(model).backend for model in ("gemini-2.5-flash", "gpt-4o", "claude-sonnet-4-5", "my/own")}
    assert served == {"gemini-2.5-flash": "gemini", "gpt-4o": "upstream", "claude-sonnet-4-5": "upstream", "my/own": "upstream"}
    assert (config.server.port, config.log.level) == (8123, "debug")
    assert (config.routing.first_byte, config.routing.idle, config.routing.deadline) == (30.0, 30.0, 600.0)
    assert from_environment(SIMPLE, Overrides(port=1)).server.port == 1


def test_their_retries():
    assert from_environment(SIMPLE).routing.attempts == 3
    routing = from_environment({**SIMPLE, "MAX_RETRIES": "5", "RETRY_DELAY": "2"}).routing
    assert (routing.attempts, routing.backoff) == (6, 2.0)
    assert from_environment({**SIMPLE, "MAX_RETRIES": "0"}).routing.attempts == 1
    assert [from_environment({**SIMPLE, "RETRY_DELAY": text}).routing.backoff for text in ("500ms", "1500", "0.1")] == [
        0.5,
        1.5,
        0.1,
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("45", 45.0), ("999", 999.0), ("1000", 1.0), ("90s", 90.0), ("1500ms", 1.5), ("20m", 1200.0)]
)
def test_a_timeout_in_whatever_unit(text: str, seconds: float):
    routing = from_environment({**SIMPLE, "TIMEOUT": text}).routing
    assert (routing.first_byte, routing.idle, routing.deadline) == (seconds, seconds, max(600.0, seconds))


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"UPSTREAM_URL": ""}, "FIXED_API_KEY is set without UPSTREAM_URL"),
        ({"UPSTREAM_URL": "host"}, "UPSTREAM_URL must be a URL"),
        ({"PORT": "http"}, "PORT must be a whole number, not 'http'."),
        ({"PORT": "70000"}, "PORT must be"),
        ({"TIMEOUT": "soon"}, "TIMEOUT must be a time such as 30"),
        ({"TIMEOUT": "0"}, "TIMEOUT must be a time such as 30"),
        ({"MAX_RETRIES": "-1"}, "MAX_RETRIES must be a whole number, not '-1'."),
        ({"RETRY_DELAY": "soon"}, "RETRY_DELAY must be a time such as 30"),
        ({"RETRY_DELAY": "31"}, "RETRY_DELAY is longer than a request waits in all, 30s"),
    ],
)
def test_a_bad_variable_of_theirs_is_named(env: dict[str, str], sentence: str):
    with pytest.raises(ConfigError) as caught:
        from_environment({**SIMPLE, **env})
    assert str(caught.value).startswith(sentence)
