"""Errors in Anthropic's shape: {"type": "error", "error": {"type", "message"}}. Source: the SDK's types.shared error objects."""

from typing import Any, Final, cast

import msgspec

from interlingua.errors import kind_of
from interlingua.ir import Failure, Json
from interlingua.protocols.anthropic.names import NAME
from interlingua.protocols.wire import as_obj, as_text, decode_json

# error.type -> the kind of failure, and the status it has where a stream tells it
_TYPES: Final[dict[str, tuple[str, int]]] = {
    "invalid_request_error": ("invalid_request", 400),
    "authentication_error": ("authentication", 401),
    "billing_error": ("billing", 402),
    "permission_error": ("permission", 403),
    "not_found_error": ("not_found", 404),
    "conflict_error": ("conflict", 409),
    "request_too_large": ("too_large", 413),
    "rate_limit_error": ("rate_limit", 429),
    "api_error": ("server_error", 500),
    "timeout_error": ("timeout", 504),
    "overloaded_error": ("overloaded", 529),
}
_WORDS: Final = {kind: word for word, (kind, _) in _TYPES.items()}
# An invalid request that a caller can act on is told apart by its message alone.
_TELLING: Final = (
    ("prompt is too long", "context_window"),
    ("exceed context limit", "context_window"),
    ("context window", "context_window"),
    ("credit balance is too low", "billing"),
    ("blocked by content filtering", "content_filter"),
)


def parse_error(status: int, body: bytes) -> Failure:
    try:
        value: Any = decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = None
    return failure_of(status, cast(Json, value) if type(value) is dict else None)


def failure_of(status: int | None, body: Json | None) -> Failure:
    """A Failure from an error body; without a status, as in a stream, the error's type tells it."""
    error = as_obj(body.get("error")) if body else {}
    kind, usual = _TYPES.get(as_text(error.get("type")) or "", (None, 500))
    status = usual if status is None else status
    if kind is None or kind == "server_error":  # api_error is every failure of theirs
        kind = kind_of(status)
    message = as_text(error.get("message")) or as_text(as_obj(body).get("error")) or as_text(as_obj(body).get("message"))
    if kind == "invalid_request" and message is not None:
        lowered = message.lower()
        kind = next((told for words, told in _TELLING if words in lowered), kind)
    return Failure(
        status=status,
        kind=kind,
        message=message or f"The provider answered with status {status} and no message.",
        code=as_text(as_obj(error.get("details")).get("error_code")),
        extras={NAME: body} if body else {},
    )


def format_error(failure: Failure) -> tuple[int, Json]:
    mine = failure.extras.get(NAME)
    if mine is not None and mine.get("type") == "error" and as_obj(mine.get("error")):  # not what only stands where they do
        return failure.status, mine
    word = _WORDS.get(failure.kind, "invalid_request_error" if failure.status < 500 else "api_error")
    return failure.status, {"type": "error", "error": {"type": word, "message": failure.message}}
