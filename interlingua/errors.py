"""Everything that can go wrong, each with the status its client sees. One tree, told to clients at one door (server.py).

InterlinguaError
├── ConfigError                what a person must mend before anything starts
├── FramingError               bytes that are no frames
└── GatewayError               has a Failure: what a client is told
    ├── InvalidRequest         400, names the field
    ├── NotFound 404, MethodNotAllowed 405, TooLarge 413, HeadTooLarge 431
    ├── Overloaded             503, with retry-after
    ├── RateLimited            429, with retry-after: every key of a backend rests, nothing was sent
    ├── DeadlinePassed         504, before any provider was asked
    └── UpstreamError          the provider's doing
        ├── ProviderFailure    it answered with an error; its own Failure is passed on
        ├── UpstreamUnreachable 502, UpstreamBroken 502, UpstreamGarbage 502
        └── UpstreamTimeout    504
"""

from typing import Final

from interlingua.ir import Failure

# kind -> the status it has where a protocol says nothing else
KINDS: Final[dict[str, int]] = {
    "invalid_request": 400,
    "context_window": 400,
    "content_filter": 400,
    "unsupported": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 504,
    "conflict": 409,
    "too_large": 413,
    "unprocessable": 422,
    "rate_limit": 429,
    "head_too_large": 431,
    "server_error": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "overloaded": 529,
}

_BY_STATUS: Final[dict[int, str]] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "unprocessable",
    429: "rate_limit",
    431: "head_too_large",
    500: "server_error",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
    529: "overloaded",
}


def kind_of(status: int) -> str:
    """The kind of an HTTP status that says nothing more of itself."""
    return _BY_STATUS.get(status) or ("invalid_request" if 400 <= status < 500 else "server_error")


class InterlinguaError(Exception):
    """Base of all of ours. `str()` is one plain sentence, free of secrets."""


class ConfigError(InterlinguaError):
    """A configuration that cannot be used; says where (file, key, line) and what to do."""


class FramingError(InterlinguaError):
    """Bytes that are no frames of the framing they came in, or a frame over its limit."""


class GatewayError(InterlinguaError):
    """An error a client is told of."""

    kind = "server_error"
    code: str | None = None

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.failure = Failure(
            status=KINDS[self.kind],
            kind=self.kind,
            message=message,
            param=param,
            code=code or self.code,
            retry_after=retry_after,
        )


class InvalidRequest(GatewayError):
    """The client's request cannot be understood. `param` is the path of the field at fault."""

    kind = "invalid_request"


class Unsupported(InvalidRequest):
    """Understood, but it would mean something else at the backend it goes to."""

    kind = "unsupported"


class Unauthenticated(GatewayError):
    """No key, or none that is known."""

    kind = "authentication"


class NotFound(GatewayError):
    kind = "not_found"


class MethodNotAllowed(GatewayError):
    kind = "method_not_allowed"


class TooLarge(GatewayError):
    kind = "too_large"


class HeadTooLarge(GatewayError):
    kind = "head_too_large"


class Overloaded(GatewayError):
    kind = "unavailable"


class RateLimited(GatewayError):
    kind = "rate_limit"


class DeadlinePassed(GatewayError):
    """The client's time, or `routing.deadline`, ran out here."""

    kind = "timeout"


class UpstreamError(GatewayError):
    kind = "bad_gateway"


class ProviderFailure(UpstreamError):
    """The provider answered with an error of its own."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class UpstreamUnreachable(UpstreamError):
    """No connection: refused, no such host, TLS that does not verify, a proxy that declines."""

    code = "unreachable"


class UpstreamBroken(UpstreamError):
    """The connection ended before the answer did."""

    code = "broken"


class UpstreamGarbage(UpstreamError):
    """An answer that is no HTTP, no JSON or no frames, or is larger than its limit."""


class UpstreamTimeout(UpstreamError):
    """Connect, first byte, idle or deadline ran out."""

    kind = "timeout"
