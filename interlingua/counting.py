"""Token counts: asked of a provider that counts, else estimated and said to be.

Source: anthropic messages.count_tokens (MessageCountTokensParams), Gemini countTokens (generateContentRequest).
"""

from collections.abc import Mapping
from typing import Any, Final

from interlingua.core import Core
from interlingua.deadlines import deadline
from interlingua.errors import ProviderFailure
from interlingua.ir import AnyPart, Function, Json, Media, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.pipeline import Call
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import as_obj, encode_json
from interlingua.routes import Door

_MEDIA: Final = {"image": 1100, "document": 2000, "audio": 1500, "video": 5000}  # tokens, by and large


async def count_tokens(
    core: Core, client: str, door: Door, body: Json, headers: Mapping[bytes, bytes], id: str
) -> tuple[Call, Json, bool]:
    """The call, the client's answer, and whether it is an estimate."""
    wrapped = body.get("generateContentRequest") or body.get("generate_content_request")
    if client == "gemini" and as_obj(wrapped):
        body = as_obj(wrapped)
    request = PROTOCOLS[client].parse_request(body, door.model, False)
    call = Call(request, client, id, headers, deadline(headers, core.config.routing.deadline))
    decision = call.decision = core.router.route(request.model)
    provider = core.providers[decision.backend]
    way = provider.way(decision.model)
    tokens = None
    if way.host.counted is not None:
        wire = way.protocol.format_request(request, way.target, call.losses)
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


def estimate(request: Request) -> int:
    """Tokens of a prompt, by its length: four bytes a token, and a flat rate for what is not text."""
    size = sum(_bytes(part) for message in request.messages for part in message.parts)
    tools = sum(len(encode_json(tool)) for tool in request.tools if isinstance(tool, Function))
    media = sum(_MEDIA[part.kind] for message in request.messages for part in message.parts if isinstance(part, Media))
    return (size + tools) // 4 + media + 4 * len(request.messages) + 3


def _bytes(part: AnyPart) -> int:
    match part:
        case Text() | Thinking():
            return len(part.text.encode())
        case ToolCall():
            return len(part.name) + len(part.arguments.encode())
        case ToolResult():
            return sum(_bytes(inner) for inner in part.parts)
        case Media():
            return len(part.text or "")
        case Opaque():
            return len(encode_json(part.data))
