"""What passes between the server and a vendor: a call in, a reply or a stream out, or a refusal. Plain values, no I/O."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

import msgspec
from msgspec import Struct

Json = dict[str, Any]
Headers = list[tuple[str, str]]

JSON: Final = "application/json"
encode = msgspec.json.encode


class Call(Struct, frozen=True):
    """An HTTP request. Header and query names are lower case; a name given twice keeps its first value."""

    method: str
    path: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: bytes = b""

    @property
    def key(self) -> str:
        """What the caller shows of itself; "" where it shows nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        named = (self.headers.get(name, "") for name in ("x-api-key", "x-goog-api-key", "api-key"))
        return bearer or next((key for key in named if key), self.query.get("key", ""))


class Options(Struct, frozen=True):
    """Rules that real deployments differ in. The defaults are the strict reading."""

    public_file_urls: bool = False  # Gemini: fileData.fileUri may be any https URL
    unknown_fields: bool = False  # OpenAI: fields of OpenAI-compatible hosts are let through
    any_model: bool = False  # a model name no vendor knows is served all the same
    chat_tools_with_effort: bool = False  # OpenAI: function tools beside reasoning_effort on gpt-5.4 and later


class Chunk(NamedTuple):
    """Bytes of a stream that are sent together. `content`: a piece of the answer, not of its frame; only these are counted."""

    data: bytes
    content: bool = True


class Fault(Struct, frozen=True):
    """How an answer is delivered badly. Times are seconds, counts are content chunks."""

    first: float = 0.0  # wait before the first byte
    gap: float = 0.0  # wait before each content chunk
    cut: int | None = None  # close the connection after so many
    reset: bool = False  # reset it before the first byte
    error: int | None = None  # tell of an error after so many, then end
    shred: int | None = None  # write the body in pieces of so many bytes, whatever they are


class Reply(Struct):
    """A whole answer."""

    body: bytes
    status: int = 200
    headers: Headers = []
    content_type: str = JSON
    fault: Fault = Fault()


class Stream(Struct):
    """An answer in pieces. `error` is the frame that tells of a failure under way."""

    chunks: Iterator[Chunk]
    error: bytes = b""
    headers: Headers = []
    content_type: str = "text/event-stream; charset=utf-8"
    status: int = 200
    fault: Fault = Fault()


class Refusal(Exception):
    """A request is not served. `kind` is a row of the vendor's own error table; the vendor gives it status and shape.

    `param` is the field at fault, written as the vendor writes paths; `code` overrides the kind's own;
    `path` are its steps, for vendors that repeat them beside the message. `reset`: the wait is told in the vendor's own
    rate-limit headers, where it has such.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
        reset: bool = False,
    ):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after
        self.reset = reset


def bad(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """The commonest refusal: the request is not valid."""
    return Refusal("invalid", message, param=param, code=code)


def decode(call: Call) -> Json:
    """The body as an object, or a refusal."""
    try:
        value = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("json", "The body of the request is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refusal("json", "The body of the request must be a JSON object.")
    return cast(Json, value)


def an_object(value: Any) -> Json:
    """The value, where it is an object; else an empty one."""
    return cast(Json, value) if isinstance(value, dict) else {}


def a_list(value: Any) -> list[Any]:
    """The value, where it is a list; else an empty one."""
    return cast(list[Any], value) if isinstance(value, list) else []
