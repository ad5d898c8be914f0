"""Tools seen before. A client sends the same ones with every request, and they are a large part of it: so they are read once,
and written once for each model. Found by their very bytes; bounded; shared, and therefore never changed.
"""

from collections.abc import Callable
from os import urandom
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from interlingua.ir import Function, Json, ServerTool
from interlingua.losses import Loss, Losses
from interlingua.protocols import Lose
from interlingua.protocols.wire import decode_json, encode_json

AnyTool = Function | ServerTool

_HELD: Final = 1 << 20  # bytes of tools
_LARGEST: Final = 256 << 10  # bytes of one request's tools
_HEAD: Final = 96  # bytes by which they are looked up, and the fewest that are worth it
_ALIKE: Final = 8  # that begin with the same ones
_PLACES: Final = 4  # of a request that are looked at: its tools may have fields of that name
_MODELS: Final = 4  # that tools are kept written for

_KEY: Final = b'"tools":'
_STAND_IN: Final = int.from_bytes(urandom(7))  # stands where tools stood that are known: no client can name it
_STANDING: Final = b"%d" % _STAND_IN


class _Body(Struct):
    tools: Raw


_decode_body: Final = msgspec.json.Decoder(_Body).decode


class Tools(list[AnyTool]):
    """Tools that several requests have. `written`: what each of the last models was sent of them, and what was lost."""

    __slots__ = ("marked", "written")

    def __init__(self, tools: list[AnyTool]) -> None:
        super().__init__(tools)
        self.marked = _marked(tools)
        self.written: dict[tuple[Any, ...], tuple[Raw | list[Json], list[Loss]]] = {}


class _Seen:
    """The bytes of a list of tools, and what each protocol's reader made of them."""

    __slots__ = ("data", "raw", "read")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.raw = Raw(data)  # stands for them in a decoded request
        self.read: dict[Reader, Tools] = {}


class Memory:
    """The tools seen last, over all protocols."""

    def __init__(self) -> None:
        self._heads: dict[bytes, list[_Seen]] = {}
        self.standing: dict[int, _Seen] = {}  # by the id of its raw, which lives as long
        self._held = 0

    def at(self, data: bytes, start: int) -> _Seen | None:
        """Those that stand there. No JSON array begins with another: there is one at most."""
        for seen in self._heads.get(data[start : start + _HEAD], ()):
            if data.startswith(seen.data, start):
                return seen
        return None

    def learn(self, data: bytes) -> _Seen:
        seen = self.at(data, 0) or _Seen(data)
        if not _HEAD <= len(data) <= _LARGEST or id(seen.raw) in self.standing:
            return seen
        alike = self._heads.setdefault(data[:_HEAD], [])
        alike.append(seen)
        self.standing[id(seen.raw)] = seen
        self._held += len(data)
        if len(alike) > _ALIKE:
            self._forget(data[:_HEAD])
        while self._held > _HELD:
            self._forget(next(iter(self._heads)))
        return seen

    def _forget(self, head: bytes) -> None:
        alike = self._heads[head]
        seen = alike.pop(0)
        if not alike:
            del self._heads[head]
        del self.standing[id(seen.raw)]
        self._held -= len(seen.data)


memory: Final = Memory()


def decode_request(data: bytes) -> Any:
    """As decode_json, but that `Reader` is given the tools as Raw."""
    place = data.find(_KEY)
    if place < 0:
        return decode_json(data)
    if (body := _with_known(data, place)) is not None:
        return body
    body = decode_json(data)
    if body.__class__ is dict and type(body.get("tools")) is list:
        tools = bytes(_decode_body(data).tools)
        if len(tools) >= _HEAD:
            body["tools"] = memory.learn(tools).raw
    return body


def _with_known(data: bytes, place: int) -> Json | None:
    """The request, if it has tools that were seen before: without reading them again."""
    for _ in range(_PLACES):
        start = place + len(_KEY)
        start += data[start : start + 1] == b" "
        if (seen := memory.at(data, start)) is not None:
            whole = memoryview(data)
            try:
                body = decode_json(b"".join((whole[:start], _STANDING, whole[start + len(seen.data) :])))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                return None  # what is wrong is told by its place in the whole
            if body.__class__ is dict and body.get("tools") == _STAND_IN:  # it did stand for the request's own
                body["tools"] = seen.raw
                return body
        if (place := data.find(_KEY, start)) < 0:
            break
    return None


class Reader:
    """A protocol's own reader of tools, with a memory."""

    def __init__(self, read: Callable[[Any], list[AnyTool]]) -> None:
        self._read = read

    def __call__(self, value: Any) -> list[AnyTool]:
        """`value`: decoded, or as decode_request left it. Raises InvalidRequest, as the protocol's own reader does."""
        if type(value) is not Raw:
            return self._read(value)
        seen = memory.standing.get(id(value))
        if seen is None:  # too large to be kept, or forgotten since
            return self._read(decode_json(value))
        tools = seen.read.get(self)
        if tools is None:
            tools = seen.read[self] = Tools(self._read(decode_json(value)))
        return tools


def marked(tools: list[AnyTool]) -> bool:
    """Whether one of them bears a cache mark."""
    return tools.marked if type(tools) is Tools else _marked(tools)


def _marked(tools: list[AnyTool]) -> bool:
    return any(isinstance(tool, Function) and tool.cache is not None for tool in tools)


def written(tools: list[AnyTool], key: tuple[Any, ...], write: Callable[[Lose], list[Json]], lose: Lose) -> Raw | list[Json]:
    """What `write` gives, and what it loses, for tools and a `key` that together decide both; empty where it is empty."""
    if type(tools) is not Tools:
        return write(lose)
    found = tools.written.get(key)
    if found is None:
        losses = Losses()
        said = write(losses)
        if len(tools.written) >= _MODELS:
            tools.written.clear()
        found = tools.written[key] = (Raw(encode_json(said)) if said else said), losses
    for loss in found[1]:
        lose(loss.path, loss.how, loss.why)
    return found[0]
