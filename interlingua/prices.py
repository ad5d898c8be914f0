"""What models cost and how much they read, from `genai-prices`: looked up once a model, and kept.

The table takes a second and 40 MB to read, so nothing reads it before somebody asks: `warm` in a thread, ahead of time;
whoever asks before that waits. Source: genai_prices.data_snapshot; its tiers by length are told by their first.
"""

from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import import_module
from threading import Thread
from typing import Any, Final

from msgspec import Struct

# A protocol or host, as in hosts.HOSTS -> the provider in genai-prices. One's own servers have no prices.
_PROVIDERS: Final = {
    "openai": "openai",
    "responses": "openai",
    "azure": "azure",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "groq": "groq",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "openrouter": "openrouter",
    "together": "together",
    "fireworks": "fireworks",
}
_KEYS: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
}


class Price(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """USD per million tokens. None: not told apart, so it costs what its kind costs (a cache read what input does)."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    audio_input: float | None = None
    audio_output: float | None = None


class Known(Struct, frozen=True):
    """`context`: tokens of the longest prompt. None: not known."""

    price: Price | None = None
    context: int | None = None
    name: str | None = None


_UNKNOWN: Final = Known()


def price_of(protocol_or_host: str, model: str) -> Price | None:
    """What a provider's model costs there, by the list prices; None where that is not known."""
    return known(protocol_or_host, model).price


@lru_cache(maxsize=8192)
def known(protocol_or_host: str, model: str) -> Known:
    """All that is known of a provider's model. The first call of a process reads the table, unless `warm` has."""
    provider = _PROVIDERS.get(protocol_or_host)
    if provider is None:
        return _UNKNOWN
    try:
        found = _snapshot().find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return _UNKNOWN
    return Known(_price(found.get_prices(datetime.now(UTC))), found.context_window, found.name)


def warm() -> None:
    """Reads the table; for a thread."""
    _snapshot()


def warm_aside() -> None:
    """The same in a thread of its own. Nobody waits for it."""
    if not is_warm():
        Thread(target=warm, name="interlingua-prices", daemon=True).start()


def is_warm() -> bool:
    """Whether the table has been read."""
    return _snapshot.cache_info().currsize > 0


@cache
def _snapshot() -> Any:
    return import_module("genai_prices.data_snapshot").get_snapshot()


def _price(told: Any) -> Price | None:
    """Input is needed for a price; a model that gives no tokens, as one of embeddings, costs none for them."""
    rates = {name: rate for name, key in _KEYS.items() if (rate := _rate(told, key)) is not None}
    return Price(**{"output": 0.0, **rates}) if "input" in rates else None


def _rate(told: Any, key: str) -> float | None:
    try:
        value = getattr(told, key)
    except AttributeError:
        return None
    value = getattr(value, "base", value)
    return None if value is None else float(value)
