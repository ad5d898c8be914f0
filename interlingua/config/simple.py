"""The variables of the simple Gemini proxies, so that their users need change nothing: Gemini's models go to Gemini, all
others to one server that speaks OpenAI's protocol.

UPSTREAM_URL and FIXED_API_KEY are that server and its key; PORT, TIMEOUT, MAX_RETRIES, RETRY_DELAY and DEBUG count for
everything that comes from the environment. Times are in seconds, or in milliseconds where seconds would be absurd.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from interlingua.config.lines import Path
from interlingua.errors import ConfigError

_LONGEST: Final = {"TIMEOUT": 1000.0, "RETRY_DELAY": 100.0}  # seconds; from here on a bare number is milliseconds
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_YES: Final = ("1", "true", "yes", "on")


def upstream(env: Mapping[str, str], names: dict[Path, str]) -> dict[str, Any] | None:
    """The backend for all other models. Raises ConfigError for a key that belongs to nothing."""
    url = env.get("UPSTREAM_URL", "").strip().rstrip("/").removesuffix("/chat/completions")
    if not url:
        if env.get("FIXED_API_KEY"):
            raise ConfigError("FIXED_API_KEY is set without UPSTREAM_URL: set the address of the server whose key it is.")
        return None
    names["backends", "upstream", "url"] = "UPSTREAM_URL"
    backend: dict[str, Any] = {"protocol": "openai", "url": url}
    if env.get("FIXED_API_KEY"):
        backend["api_key_env"] = "FIXED_API_KEY"
    return backend


def settings(env: Mapping[str, str], names: dict[Path, str]) -> dict[str, dict[str, Any]]:
    """Section -> settings, of the variables that are set. Raises ConfigError naming the one that cannot be."""
    found: dict[str, dict[str, Any]] = {}

    def put(section: str, key: str, value: Any, variable: str) -> None:
        found.setdefault(section, {})[key] = value
        names[section, key] = variable

    if port := env.get("PORT"):
        put("server", "port", _count("PORT", port), "PORT")
    if env.get("TIMEOUT"):
        silence = _seconds("TIMEOUT", env["TIMEOUT"])
        put("routing", "first_byte", f"{silence:.3f}s", "TIMEOUT")
        put("routing", "idle", f"{silence:.3f}s", "TIMEOUT")
        if silence > 600:
            put("routing", "deadline", f"{silence:.3f}s", "TIMEOUT")
    if retries := env.get("MAX_RETRIES"):
        put("routing", "attempts", _count("MAX_RETRIES", retries) + 1, "MAX_RETRIES")
    if delay := env.get("RETRY_DELAY"):
        put("routing", "backoff", f"{_seconds('RETRY_DELAY', delay):.3f}s", "RETRY_DELAY")
    if env.get("DEBUG", "").lower() in _YES:
        put("log", "level", "debug", "DEBUG")
    return found


def _count(name: str, text: str) -> int:
    if not text.strip().isdecimal() or len(text) > 9:
        raise ConfigError(f"{name} must be a whole number, not {text[:20]!r}.")
    return int(text)


def _seconds(name: str, text: str) -> float:
    match = _TIME.fullmatch(text.strip().lower())
    value = float(match[1]) if match else 0.0
    if match is None or not value:
        raise ConfigError(f"{name} must be a time such as 30, 30s or 30000ms, not {text[:20]!r}.")
    if match[2]:
        return value * _UNITS[match[2]]
    return value / 1000 if value >= _LONGEST[name] else value
