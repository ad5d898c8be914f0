"""Errors in Google's shape: {"error": {"code", "message", "status", "details"}}. Source: the SDK's errors.py."""

import re
from typing import Any, Final

import msgspec

from interlingua.errors import kind_of
from interlingua.ir import Failure, Json
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.wire import as_array, as_obj, as_text, decode_json

_KINDS: Final = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "DEADLINE_EXCEEDED": "timeout",
    "UNIMPLEMENTED": "unsupported",
    "UNAVAILABLE": "unavailable",
    "INTERNAL": "server_error",
    "UNKNOWN": "server_error",
    "DATA_LOSS": "server_error",
}
_WORDS: Final = {
    "authentication": "UNAUTHENTICATED",
    "billing": "FAILED_PRECONDITION",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "method_not_allowed": "UNIMPLEMENTED",
    "timeout": "DEADLINE_EXCEEDED",
    "conflict": "ABORTED",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "server_error": "INTERNAL",
    "bad_gateway": "UNAVAILABLE",
    "unavailable": "UNAVAILABLE",
    "overloaded": "UNAVAILABLE",
}
_CONTEXT: Final = re.compile(
    r"(input )?token count\b.{0,80}\bexceeds the maximum number of tokens|context (window|length)", re.I | re.S
)
_SECONDS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def parse_error(status: int, body: bytes) -> Failure:
    try:
        value = decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = None
    return failure_of(status, value)


def failure_of(status: int, value: Any) -> Failure:
    """A Failure from an error body, or from a stream's error frame. Either may come wrapped in a list."""
    listed = as_array(value)
    body = as_obj(listed[0] if listed else value)
    error = as_obj(body.get("error"))
    word = as_text(error.get("status"))
    message = as_text(error.get("message")) or as_text(body.get("error"))
    details = [as_obj(detail) for detail in as_array(error.get("details"))]
    failure = Failure(
        status=status,
        kind=_KINDS.get(word or "") or kind_of(status),
        message=message or f"The provider answered with status {status} and no message.",
        code=word,
        extras={NAME: body} if body else {},
    )
    failure.kind = _closer(failure, details)
    if failure.kind == "authentication":
        failure.status = 401  # Google says 400 of a key that it does not know, where SDKs of others look for a 401
    for detail in details:
        if (delay := _SECONDS.fullmatch(as_text(detail.get("retryDelay")) or "")) is not None:
            failure.retry_after = float(delay[1])
        for violation in as_array(detail.get("fieldViolations"))[:1]:
            failure.param = as_text(as_obj(violation).get("field"))
    return failure


def _closer(failure: Failure, details: list[Json]) -> str:
    """What the status word leaves open."""
    if failure.kind == "invalid_request" and failure.status == 413:
        return "too_large"
    if failure.kind == "invalid_request":
        if any(detail.get("reason") == "API_KEY_INVALID" for detail in details) or "API key not valid" in failure.message:
            return "authentication"
        if _CONTEXT.search(failure.message):
            return "context_window"
    if failure.kind == "unavailable" and "overloaded" in failure.message.lower():
        return "overloaded"
    return failure.kind


def format_error(failure: Failure) -> tuple[int, Json]:
    status = 503 if failure.status == 529 else failure.status
    mine = failure.extras.get(NAME)
    own = as_obj(mine.get("error")) if mine is not None else {}
    if mine is not None and type(code := own.get("code")) is int and as_text(own.get("status")):
        status = code if failure.kind == "authentication" and 400 <= code < 500 else status
        return status, {"error": mine["error"], **mine}  # the SDK knows an error frame by its first key
    word = _WORDS.get(failure.kind) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    error: Json = {"code": status, "message": failure.message, "status": word}
    details: list[Json] = []
    if failure.param is not None:
        violation = {"field": failure.param, "description": failure.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if failure.retry_after is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": _seconds(failure.retry_after)})
    if details:
        error["details"] = details
    return status, {"error": error}


def _seconds(value: float) -> str:
    """A protobuf Duration."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + "s"
