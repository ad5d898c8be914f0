"""Tools seen before. An agent sends the same ones with every turn, and they are most of its request's bytes: so they are
read once, and written once for each model. Found by their very bytes; bounded; shared, and therefore never changed.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw

from interlingua.errors import InvalidRequest
from interlingua.ir import Function, Json, ServerTool
from interlingua.losses import Loss, Losses
from interlingua.protocols import Lose
from interlingua.protocols.wire import decode_json, encode_json

AnyTool = Function | ServerTool

_LARGE: Final = 4 << 10  # bytes of a request; a smaller one's tools are not worth the looking up
_HELD: Final = 1 << 20  # bytes of tools, of each protocol
_LARGEST: Final = 256 << 10  # bytes of one request's tools
_MODELS: Final = 4  # that tools are kept written for

_decode_fields: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def decode_request(data: bytes) -> Any:
    """As decode_json, but that a large request's tools stay as they came, for `Reader`. Their letters are not looked at yet."""
    if len(data) > _LARGE:
        try:
            fields = _decode_fields(data)
            return {key: raw if key == "tools" and _is_list(raw) else decode_json(raw) for key, raw in fields.items()}
        except (msgspec.DecodeError, RecursionError):
            pass  # what is wrong is told by its place in the whole
    return decode_json(data)


def _is_list(raw: Raw) -> bool:
    data = bytes(raw)
    return data[:1] == b"[" and b"{" in data


class Tools(list[AnyTool]):
    """Tools that several requests have. `written`: what each of the last models was sent of them, and what was lost."""

    __slots__ = ("written",)

    def __init__(self, tools: list[AnyTool]) -> None:
        super().__init__(tools)
        self.written: dict[tuple[Any, ...], tuple[Raw | list[Json], list[Loss]]] = {}


class Reader:
    """A protocol's own reader of tools, with a memory."""

    def __init__(self, read: Callable[[Any], list[AnyTool]]) -> None:
        self._read = read
        self._known: dict[bytes, Tools] = {}
        self._held = 0

    def __call__(self, value: Any) -> list[AnyTool]:
        """`value`: decoded, or as decode_request left it. Raises InvalidRequest, as the protocol's own reader does."""
        if type(value) is not Raw:
            return self._read(value)
        data = bytes(value)
        return self._known.get(data) or self._learn(data)

    def _learn(self, data: bytes) -> list[AnyTool]:
        try:
            value = decode_json(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"tools cannot be read: {error}", param="tools") from None
        tools = Tools(self._read(value))
        if len(data) <= _LARGEST:
            self._known[data] = tools
            self._held += len(data)
            while self._held > _HELD:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._held -= len(oldest)
        return tools


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
