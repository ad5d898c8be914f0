"""Errors as AWS tells them: a status, `{"message": ...}`, and the exception's name.

The name travels in the header `x-amzn-errortype`; what sees bodies alone reads and writes it as `__type`, which AWS's SDKs
read as well. Sources: the service model's exceptions; Bedrock API reference, "Common errors".
"""

import re
from typing import Any, Final, cast

import msgspec

from interlingua.errors import KINDS, kind_of
from interlingua.ir import Failure, Json
from interlingua.protocols.bedrock.names import NAME
from interlingua.protocols.wire import as_obj, as_text, decode_json

# exception -> the kind of failure, and its status
TYPES: Final[dict[str, tuple[str, int]]] = {
    "ValidationException": ("invalid_request", 400),
    "AccessDeniedException": ("permission", 403),
    "ResourceNotFoundException": ("not_found", 404),
    "UnknownOperationException": ("not_found", 404),
    "ThrottlingException": ("rate_limit", 429),
    "ServiceQuotaExceededException": ("rate_limit", 400),
    "ModelNotReadyException": ("rate_limit", 429),
    "ModelTimeoutException": ("timeout", 408),
    "ModelErrorException": ("server_error", 424),
    "ModelStreamErrorException": ("server_error", 424),
    "InternalServerException": ("server_error", 500),
    "InternalFailure": ("server_error", 500),
    "ServiceUnavailableException": ("unavailable", 503),
    "RequestEntityTooLargeException": ("too_large", 413),
    "ConflictException": ("conflict", 400),
    "MissingAuthenticationTokenException": ("authentication", 403),
    "MissingAuthenticationToken": ("authentication", 403),
    "IncompleteSignatureException": ("authentication", 400),
    "IncompleteSignature": ("authentication", 400),
    "InvalidSignatureException": ("authentication", 403),
    "SignatureDoesNotMatch": ("authentication", 403),
    "UnrecognizedClientException": ("authentication", 403),
    "InvalidClientTokenId": ("authentication", 403),
    "ExpiredTokenException": ("authentication", 403),
    "ExpiredToken": ("authentication", 403),
    "OptInRequired": ("permission", 403),
}
_WORDS: Final = {
    "invalid_request": "ValidationException",
    "context_window": "ValidationException",
    "content_filter": "ValidationException",
    "unsupported": "ValidationException",
    "unprocessable": "ValidationException",
    "authentication": "UnrecognizedClientException",
    "permission": "AccessDeniedException",
    "billing": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "method_not_allowed": "UnknownOperationException",
    "conflict": "ConflictException",
    "rate_limit": "ThrottlingException",
    "timeout": "ModelTimeoutException",
    "too_large": "RequestEntityTooLargeException",
    "server_error": "InternalServerException",
    "bad_gateway": "ServiceUnavailableException",
    "unavailable": "ServiceUnavailableException",
    "overloaded": "ServiceUnavailableException",
}
_KIND_OF: Final = {408: "timeout", 424: "server_error"}  # statuses that mean something else here than elsewhere
# An invalid request that a caller can act on is told apart by its message alone.
_TELLING: Final = (
    ("input is too long", "context_window"),
    ("prompt is too long", "context_window"),
    ("too many input tokens", "context_window"),
    ("exceeds the maximum number of tokens", "context_window"),
    ("exceed context limit", "context_window"),
    ("content filtering policy", "content_filter"),
)
_BAD_TOKEN: Final = re.compile(r"security token|signature|api key|authenticat", re.I)
# What a stream can say: its own spelling of the names that its shape has.
_IN_STREAM: Final = {
    "ValidationException": "validationException",
    "ThrottlingException": "throttlingException",
    "ServiceUnavailableException": "serviceUnavailableException",
    "InternalServerException": "internalServerException",
    "ModelStreamErrorException": "modelStreamErrorException",
}


def parse_error(status: int, body: bytes) -> Failure:
    try:
        value: Any = decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = None
    return failure_of(status, None, cast(Json, value) if type(value) is dict else None)


def failure_of(status: int | None, name: str | None, body: Json | None) -> Failure:
    """A Failure from an error body. `name` is the exception's, where it is told beside the body; without a status, as in a
    stream, it tells it."""
    said = as_obj(body)
    word = name or as_text(said.get("__type")) or as_text(said.get("code")) or ""
    word = word.partition(":")[0].rpartition("#")[2]
    word = word[:1].upper() + word[1:]
    known = TYPES.get(word)
    status = status or (known[1] if known else 500)
    kind = known[0] if known else _KIND_OF.get(status) or kind_of(status)
    message = as_text(said.get("message")) or as_text(said.get("Message")) or as_text(said.get("originalMessage"))
    if kind in ("invalid_request", "permission") and message is not None:
        kind = _told_apart(kind, message)
    return Failure(
        status=status,
        kind=kind,
        message=message or f"The provider answered with status {status} and no message.",
        code=word or None,
        extras={NAME: said} if said else {},
    )


def _told_apart(kind: str, message: str) -> str:
    if kind == "permission":
        return "authentication" if _BAD_TOKEN.search(message) else kind
    lowered = message.lower()
    return next((told for words, told in _TELLING if words in lowered), kind)


def format_error(failure: Failure) -> tuple[int, Json]:
    word = error_name(failure)
    mine = failure.extras.get(NAME)
    if mine is not None:
        rest = {key: value for key, value in mine.items() if key not in ("__type", "message", "Message")}
        return failure.status, {"__type": word, "message": failure.message, **rest}
    status = TYPES[word][1] if word in TYPES and failure.code != word else failure.status
    status = failure.status if failure.kind in ("method_not_allowed", "head_too_large") else status
    return status, {"__type": word, "message": failure.message}


def error_name(failure: Failure) -> str:
    """The exception that AWS would name."""
    if failure.code in TYPES:
        return failure.code
    word = _WORDS.get(failure.kind)
    return word or ("ValidationException" if KINDS.get(failure.kind, failure.status) < 500 else "InternalServerException")


def stream_error(failure: Failure) -> tuple[str, Json]:
    """(type, payload) of the exception that tells a failure in a stream; its shape knows five."""
    word = error_name(failure)
    if word not in _IN_STREAM:
        word = "ValidationException" if failure.status < 500 and failure.status not in (408, 424) else "ModelStreamErrorException"
    body: Json = {"message": failure.message}
    if word == "ModelStreamErrorException":
        body |= {"originalStatusCode": failure.status, "originalMessage": failure.message}
    return _IN_STREAM[word], body
