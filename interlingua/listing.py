"""The model lists of a configuration, in each client protocol's shape.

Source: openai types.Model, anthropic types.ModelInfo, google-genai types.Model.
"""

from typing import Any

from interlingua.core import Core
from interlingua.errors import NotFound
from interlingua.models import facts


def models(protocol: str, core: Core) -> dict[str, Any]:
    """Every model a client can name; names behind a pattern are not listed."""
    found = {name: (backend, model) for name, backend, model in reversed(core.router.models())}
    entries = [_entry(protocol, name, *found[name]) for name in sorted(found)]
    if protocol == "gemini":
        return {"models": entries}
    if protocol == "anthropic":
        first, last = (entries[0]["id"], entries[-1]["id"]) if entries else (None, None)
        return {"data": entries, "has_more": False, "first_id": first, "last_id": last}
    return {"object": "list", "data": entries}


def model(protocol: str, name: str, core: Core) -> dict[str, Any]:
    """One model. Raises NotFound."""
    decision = core.router.route(name)
    if decision.route in ("capability", "fallback"):
        raise NotFound(f"The model {name!r} is not listed here.", param="model", code="model_not_found")
    return _entry(protocol, name, decision.backend, decision.model)


def _entry(protocol: str, name: str, backend: str, provider_model: str) -> dict[str, Any]:
    known = facts(provider_model)
    if protocol == "gemini":
        entry: dict[str, Any] = {
            "name": f"models/{name}",
            "baseModelId": name,
            "displayName": name,
            "description": f"{provider_model} at {backend}",
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }
        if known.max_output:
            entry["outputTokenLimit"] = known.max_output
        return entry
    if protocol == "anthropic":
        return {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "1970-01-01T00:00:00Z",
            "lifecycle": "active",
            "max_tokens": known.max_output,
        }
    return {"id": name, "object": "model", "created": 0, "owned_by": backend}
