"""Errors in OpenAI's shape, which both of its APIs have: {"error": {"message", "type", "param", "code"}}.

A provider's own body is kept under the vendor's name, so that a client of either API is told it as it came; another
provider's words are not: a code is a word of OpenAI's or none. Source: the SDK's _exceptions, ResponseError, ResponseErrorEvent.
"""

from typing import Any, Final

import msgspec

from interlingua.errors import KINDS, kind_of
from interlingua.ir import Failure, Json
from interlingua.protocols.wire import as_array, as_obj, as_text, decode_json

VENDOR: Final = "openai"

_TYPES: Final = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "rate_limit": "rate_limit_error",
    "billing": "insufficient_quota",
    "timeout": "timeout_error",
    "server_error": "server_error",
    "bad_gateway": "server_error",
    "unavailable": "server_error",
    "overloaded": "server_error",
}
_CODES: Final = {
    "context_window": "context_length_exceeded",
    "content_filter": "content_filter",
    "rate_limit": "rate_limit_exceeded",
    "billing": "insufficient_quota",
    "overloaded": "server_is_overloaded",
    "unsupported": "unsupported_parameter",
    "authentication": "invalid_api_key",
    "not_found": "model_not_found",
}
_KINDS: Final = {
    "bio_policy": "content_filter",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "context_length_exceeded": "context_window",
    "image_content_policy_violation": "content_filter",
    "insufficient_quota": "billing",
    "invalid_api_key": "authentication",
    "invalid_prompt": "content_filter",
    "model_not_found": "not_found",
    "overloaded": "overloaded",
    "previous_response_not_found": "not_found",
    "rate_limit_exceeded": "rate_limit",
    "server_error": "server_error",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "vector_store_timeout": "timeout",
}


def parse_error(status: int, body: bytes) -> Failure:
    try:
        value = decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = None
    if listed := as_array(value):  # Google's endpoint of this dialect answers errors in a list
        value = listed[0]
    return failure_of(status, as_obj(value) or None)


def failure_of(status: int | None, body: Json | None) -> Failure:
    """A Failure from an error body or a stream's error; without a status, its code says which it would have had."""
    said: Any = body.get("error", body) if body else None
    error = as_obj(said)
    words = [word for key in ("code", "type") if type(word := error.get(key)) is str and word in _KINDS]
    kind = _KINDS[words[0]] if words else None
    if kind == "billing" and status in (None, 429):
        kind = "rate_limit"
    if kind == "server_error" and status is not None:
        kind = None  # the status says more
    status = KINDS[kind or "server_error"] if status is None else status
    code = error.get("code")
    return Failure(
        status=status,
        kind=kind or kind_of(status),
        message=as_text(error.get("message")) or as_text(said) or f"The provider answered with status {status} and no message.",
        code=str(code) if code is not None else None,
        param=as_text(error.get("param")),
        extras={VENDOR: body} if body else {},
    )


def format_error(failure: Failure) -> tuple[int, Json]:
    mine = failure.extras.get(VENDOR)
    if mine is not None and as_obj(mine.get("error")):  # some who speak the dialect have a shape of their own
        return failure.status, mine
    return 503 if failure.status == 529 else failure.status, {"error": error_of(failure)}


def error_of(failure: Failure) -> Json:
    """The error itself."""
    kind = _TYPES.get(failure.kind, "invalid_request_error" if failure.status < 500 else "server_error")
    said = failure.code if not failure.extras or VENDOR in failure.extras else None  # another provider's word is none of ours
    code = said or _CODES.get(failure.kind)
    return {"message": failure.message, "type": kind, "param": failure.param, "code": code}
