"""The Agent Client Protocol as far as a gateway needs it: JSON-RPC 2.0, a message a line. Sans I/O: bytes in, messages out.

Source: agentclientprotocol.com/protocol/schema, and what `gemini --acp` 0.61 says. Whoever speaks to us is a process of
ours, but what it tells is a model's: lines are bounded, and a line that is no message is an error, never a guess.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from interlingua.errors import FramingError
from interlingua.ir import Json
from interlingua.protocols.wire import as_obj, as_text, decode_json, encode_json

VERSION: Final = 1
LONGEST: Final = 32 << 20  # bytes of a line
NO_METHOD: Final = -32601
# A turn is text in and text out: no files, no terminal are lent.
_ABILITIES: Final[Json] = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}


class Reply(Struct, frozen=True):
    """To request `id`: either `result`, or `code` and `message`."""

    id: int
    result: Json
    code: int | None = None
    message: str = ""


class Update(Struct, frozen=True):
    """A session/update: `kind` is its sessionUpdate, `text` what a text chunk says."""

    session: str
    kind: str
    text: str


class Asked(Struct, frozen=True):
    """The agent wants something of us. `id` goes back as it came."""

    id: Any
    method: str


Message = Reply | Update | Asked


class Lines:
    """Bytes in, the JSON object of each line out. Raises FramingError on a line that is too long, or that is none."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Json]:
        self._rest += data
        *lines, rest = self._rest.split(b"\n") if b"\n" in data else (self._rest,)
        self._rest = rest
        if any(len(line) > self._longest for line in (*lines, rest)):
            raise FramingError(f"a line is longer than {self._longest} bytes")
        return [_object(line) for line in lines if line.strip()]


def _object(line: bytearray) -> Json:
    try:
        value = decode_json(bytes(line))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise FramingError("a line is no JSON") from None
    if type(value) is not dict:
        raise FramingError("a line is no JSON object")
    return as_obj(value)


def message_of(value: Json) -> Message | None:
    """None: a message that nobody here needs. Raises FramingError where it is no JSON-RPC."""
    if value.get("jsonrpc") != "2.0":
        raise FramingError("a line is no JSON-RPC message")
    method, id_ = as_text(value.get("method")), value.get("id")
    if method is not None:
        if id_ is not None:
            return Asked(id_, method)
        return _update(as_obj(value.get("params"))) if method == "session/update" else None
    if type(id_) is not int:
        raise FramingError("a reply names no request")
    if (error := value.get("error")) is None:
        return Reply(id_, as_obj(value.get("result")))
    told = as_obj(error)
    code, words = told.get("code"), as_text(told.get("message")) or "no message"
    if more := as_text(as_obj(told.get("data")).get("details")):
        words = f"{words}: {more}"
    return Reply(id_, {}, code if type(code) is int else 500, words)


def _update(params: Json) -> Update:
    update = as_obj(params.get("update"))
    words = as_text(as_obj(update.get("content")).get("text"))
    return Update(as_text(params.get("sessionId")) or "", as_text(update.get("sessionUpdate")) or "", words or "")


# What we say


def request(id: int, method: str, params: Json) -> bytes:
    return encode_json({"jsonrpc": "2.0", "id": id, "method": method, "params": params}) + b"\n"


def initialize(id: int) -> bytes:
    return request(id, "initialize", {"protocolVersion": VERSION, "clientCapabilities": _ABILITIES})


def new_session(id: int, folder: str) -> bytes:
    return request(id, "session/new", {"cwd": folder, "mcpServers": []})


def prompt(id: int, session: str, blocks: list[Json]) -> bytes:
    return request(id, "session/prompt", {"sessionId": session, "prompt": blocks})


def cancel(session: str) -> bytes:
    return encode_json({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": session}}) + b"\n"


def refusal(asked: Asked) -> bytes:
    """Whatever an agent asks for is not here: no files, no terminal, and nobody to give a permission."""
    error = {"code": NO_METHOD, "message": f"{asked.method} is not available"}
    return encode_json({"jsonrpc": "2.0", "id": asked.id, "error": error}) + b"\n"
