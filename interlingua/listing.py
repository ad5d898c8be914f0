"""The model lists, in each client protocol's shape.

Source: openai types.Model, anthropic types.ModelInfo, google-genai types.Model. What these have no place for (context and
price of OpenAI's, prices of all) stands beside it, where their SDKs pass over it.
"""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from interlingua.catalog import Entry
from interlingua.core import Core
from interlingua.errors import NotFound
from interlingua.ir import Json

_METHODS: Final = ["generateContent", "streamGenerateContent", "countTokens"]


async def models(protocol: str, core: Core) -> Json:
    """Every model a client can name, as far as it is known."""
    listed = _agents(core) | await core.catalog.entries()
    entries = [_SHAPES.get(protocol, _openai)(entry) for entry in listed.values()]
    if protocol == "gemini":
        return {"models": entries}
    if protocol == "anthropic":
        first, last = (entries[0]["id"], entries[-1]["id"]) if entries else (None, None)
        return {"data": entries, "has_more": False, "first_id": first, "last_id": last}
    return {"object": "list", "data": entries}


async def model(protocol: str, name: str, core: Core) -> Json:
    """One model: a listed one, or one that a name leads to by more than the last resort. Raises NotFound."""
    entry = (await core.catalog.entries()).get(name) or _agents(core).get(name)
    if entry is None:
        decision = core.router.route(name)
        if decision.route in ("capability", "fallback"):
            raise NotFound(f"The model {name!r} is not listed here.", param="model", code="model_not_found")
        entry = core.catalog.entry(name, decision.backend, decision.model)
    return _SHAPES.get(protocol, _openai)(entry)


def _agents(core: Core) -> dict[str, Entry]:
    """As the models that answer for them."""
    decisions = core.agents.decisions().items()
    return {name: core.catalog.entry(name, decision.backend, decision.model) for name, decision in decisions}


def _openai(entry: Entry) -> Json:
    told: Json = {"id": entry.name, "object": "model", "created": entry.listed.created, "owned_by": entry.backend.name}
    more = {"context_length": entry.context, "max_output_tokens": entry.max_output, "capabilities": entry.capabilities}
    return told | {key: value for key, value in more.items() if value} | _priced(entry)


def _anthropic(entry: Entry) -> Json:
    row = entry.listed.row if entry.backend.protocol == "anthropic" else {}
    created = datetime.fromtimestamp(entry.listed.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    usual = {
        "display_name": entry.known.name or entry.name,
        "created_at": created,
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
    }
    sizes = {"max_input_tokens": entry.context, "max_tokens": entry.max_output}
    return {**usual, **row, **sizes, "type": "model", "id": entry.name} | _priced(entry)


def _gemini(entry: Entry) -> Json:
    row = entry.listed.row if entry.backend.protocol == "gemini" else {}
    usual: Json = {
        "baseModelId": entry.name,
        "displayName": entry.known.name or entry.name,
        "description": f"{entry.listed.id} at {entry.backend.name}",
        "supportedGenerationMethods": _METHODS,
    }
    sizes = {"inputTokenLimit": entry.context, "outputTokenLimit": entry.max_output}
    thinks = {"thinking": True} if "thinking" in entry.capabilities else {}
    told = {**usual, **thinks, **row, "name": f"models/{entry.name}"}
    return told | {key: value for key, value in sizes.items() if value} | _priced(entry)


_SHAPES: Final = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}


def _priced(entry: Entry) -> dict[str, Any]:
    """USD per million tokens."""
    price = entry.known.price
    return {} if price is None else {"price": {"currency": "USD", "per_tokens": 1_000_000, **msgspec.to_builtins(price)}}
