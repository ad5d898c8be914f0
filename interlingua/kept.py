"""Responses that were kept, told again: GET and DELETE /v1/responses/{id}, GET /v1/responses/{id}/input_items.

Source: openai resources.responses (retrieve, delete, input_items.list).
"""

from urllib.parse import parse_qs

from interlingua.errors import InvalidRequest
from interlingua.ir import Json
from interlingua.losses import Losses
from interlingua.protocols import responses, target
from interlingua.protocols.wire import as_array
from interlingua.store import Kept, Store, deleted, not_found, page


def told(store: Store, id: str, tenant: str) -> Json:
    """The response as it was answered. Raises NotFound."""
    found = _found(store, id, tenant)
    return responses.format_response(found.response, found.request, Losses())


def forgotten(store: Store, id: str, tenant: str) -> Json:
    """Raises NotFound where there was none."""
    if not store.delete(id, tenant):
        raise not_found(id)
    return deleted(id)


def items(store: Store, id: str, tenant: str, query: bytes) -> Json:
    """One page of what the request brought. Raises NotFound; InvalidRequest for a bad parameter."""
    found = _found(store, id, tenant)
    asked = {key: values[-1] for key, values in parse_qs(query.decode("latin-1")).items()}
    limit = asked.get("limit", "20")
    if not limit.isdecimal():
        raise InvalidRequest("limit must be a whole number", param="limit")
    sent = responses.format_request(found.request, target(found.request.model), Losses())["input"]
    listed = as_array(sent) or [{"type": "message", "role": "user", "content": sent}]
    rows: list[Json] = [{"id": f"msg_{id.removeprefix('resp_')}_in{n}", **item} for n, item in enumerate(listed)]
    return page(rows, asked.get("after"), int(limit[:6]), asked.get("order", "desc"))


def _found(store: Store, id: str, tenant: str) -> Kept:
    kept = store.get(id, tenant)
    if kept is None:
        raise not_found(id)
    return kept
