"""Token counts: asked of a provider that counts, else estimated and said to be.

Source: anthropic messages.count_tokens (MessageCountTokensParams), Gemini countTokens (generateContentRequest).
"""

from collections.abc import Mapping
from typing import Any

from interlingua.core import Core
from interlingua.deadlines import deadline
from interlingua.errors import ProviderFailure
from interlingua.ir import Json
from interlingua.losses import Losses
from interlingua.pipeline import Call
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import as_obj
from interlingua.routes import Door
from interlingua.routing import estimate


async def count_tokens(
    core: Core, client: str, door: Door, body: Json, headers: Mapping[bytes, bytes], id: str
) -> tuple[Call, Json, bool]:
    """The call, the client's answer, and whether it is an estimate."""
    wrapped = body.get("generateContentRequest") or body.get("generate_content_request")
    if client == "gemini" and as_obj(wrapped):
        body = as_obj(wrapped)
    request = PROTOCOLS[client].parse_request(body, door.model, False)
    call = Call(request, client, id, headers, deadline(headers, core.config.routing.deadline))
    decision = call.decision = core.plan(request).first
    request = core.agents.dressed(request)
    provider = core.providers[decision.backend]
    way = provider.way(decision.model)
    tokens = None
    if way.host.counted is not None:
        wire = way.protocol.format_request(request, way.target, Losses())
        try:
            tokens = _told(await provider.count(call, way.host.counted(wire, decision.model)))
        except ProviderFailure as error:
            if error.failure.status not in (404, 405, 501):  # a server of this dialect that does not count
                raise
    counted = estimate(request) if tokens is None else tokens
    return call, {"totalTokens": counted} if client == "gemini" else {"input_tokens": counted}, tokens is None


def _told(answer: Json) -> int | None:
    value: Any = answer.get("input_tokens", answer.get("totalTokens"))
    return value if type(value) is int else None
