"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}. Source: the SDK's _exceptions and error bodies."""

from typing import Any, Final

import msgspec

from interlingua.errors import kind_of
from interlingua.ir import Failure, Json
from interlingua.protocols.openai.names import NAME
from interlingua.protocols.wire import as_array, as_obj, as_text, decode_json

_TYPES: Final = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
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
    "overloaded": "overloaded",
    "unsupported": "unsupported_parameter",
    "authentication": "invalid_api_key",
    "not_found": "model_not_found",
}
_KINDS: Final = {
    "context_length_exceeded": "context_window",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "insufficient_quota": "billing",
    "model_not_found": "not_found",
    "server_is_overloaded": "overloaded",
    "overloaded": "overloaded",
    "rate_limit_exceeded": "rate_limit",
    "invalid_api_key": "authentication",
}


def parse_error(status: int, body: bytes) -> Failure:
    try:
        value = decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = None
    if listed := as_array(value):  # Google's endpoint of this dialect answers errors in a list
        value = listed[0]
    return failure_of(status, as_obj(value) or None)


def failure_of(status: int, body: Json | None) -> Failure:
    """A Failure from an error body, or from a stream's error frame."""
    error: Any = body.get("error", body) if body else None
    kind, message = kind_of(status), f"The provider answered with status {status} and no message."
    if body is None or type(error) is not dict:
        return Failure(status=status, kind=kind, message=as_text(error) or message, extras={NAME: body} if body else {})
    error = as_obj(error)
    code, param, kind_word = error.get("code"), error.get("param"), error.get("type")
    for word in (code, kind_word):
        if type(word) is str and word in _KINDS and not (word == "insufficient_quota" and status != 429):
            kind = "rate_limit" if word == "insufficient_quota" else _KINDS[word]
            break
    return Failure(
        status=status,
        kind=kind,
        message=as_text(error.get("message")) or message,
        code=str(code) if code is not None else None,
        param=as_text(param),
        extras={NAME: body},
    )


def format_error(failure: Failure) -> tuple[int, Json]:
    if NAME in failure.extras:
        return failure.status, failure.extras[NAME]
    status = 503 if failure.status == 529 else failure.status
    said = None if failure.extras else failure.code  # another provider's word is none of ours
    code = said or _CODES.get(failure.kind)
    kind = _TYPES.get(failure.kind, "invalid_request_error" if status < 500 else "server_error")
    return status, {"error": {"message": failure.message, "type": kind, "param": failure.param, "code": code}}
