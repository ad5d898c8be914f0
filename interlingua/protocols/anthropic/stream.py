"""A message told in events. Source: types.raw_message_stream_event; a stream ends with `message_stop`.

A client is shown blocks strictly one after the other, numbered from 0 without a gap: what interleaves waits its turn.
"""

from typing import Any, Final

import msgspec

from interlingua.errors import InterlinguaError, UpstreamGarbage
from interlingua.framing import Frame, Out
from interlingua.ir import (
    AnyEvent,
    AnyPart,
    ChoiceEnd,
    End,
    Failure,
    Json,
    Media,
    Opaque,
    OpaqueEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Signature,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageSoFar,
)
from interlingua.carry import unseal
from interlingua.protocols import Lose
from interlingua.protocols.anthropic.errors import failure_of, format_error
from interlingua.protocols.anthropic.names import NAME
from interlingua.protocols.anthropic.parts import format_citation, parse_block, parse_citation, thinking_block
from interlingua.protocols.anthropic.response import (
    call_id,
    carrier,
    delta_usage,
    format_finish,
    format_usage,
    parse_usage,
    sealed_block,
    sealed_thinking,
    take_finish,
)
from interlingua.protocols.wire import as_array, as_obj, as_text, decode_json, encode_json, foreign, integer, keep, merge, obj

_TEXTS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_KINDS: Final[dict[str, type[AnyPart]]] = {"text_delta": Text, "thinking_delta": Thinking, "input_json_delta": ToolCall}


class _Block:
    """A block under way: its part, and what was held back of it."""

    __slots__ = ("held", "index", "part", "words")

    def __init__(self, part: AnyPart, index: int | None) -> None:
        self.part = part
        self.index = index  # of the part; None while its start is held back
        self.held = ""  # arguments told whole with the start, should no delta come
        self.words: list[str] = []  # of an opaque block's input


class Parser:
    """Events in, events out."""

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._ended = False  # the answer, not the stream
        self._count = 0
        self._blocks: dict[int, _Block] = {}  # by the wire's index, which may have gaps or come again
        self._usage: Json = {}
        self._pending: Signature | None = None  # for the part that comes next

    def feed(self, frame: Frame) -> list[AnyEvent]:
        if self._done:
            return []
        events: list[AnyEvent] = []
        try:
            d = obj(decode_json(frame.data), "event")
            kind = d.get("type") or frame.event
            if kind == "content_block_delta":
                self._delta(d, events)
            elif (handler := _HANDLERS.get(kind) if type(kind) is str else None) is not None:
                handler(self, d, events)
            else:
                events.append(OpaqueEvent(origin=NAME, data=d))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InterlinguaError) as error:
            raise UpstreamGarbage(f"The provider's stream holds what is no event of a message: {error}") from None
        return events

    def close(self) -> list[AnyEvent]:
        if self._done:
            return []
        self._done = True
        return [Failure(status=502, kind="bad_gateway", message="The provider's stream ended before its answer did.")]

    # messages

    def _message_start(self, d: Json, events: list[AnyEvent]) -> None:
        message = dict(obj(d.get("message"), "message"))
        self._note_usage(message.pop("usage", None))
        if self._started:
            return
        self._started = True
        content = as_array(message.pop("content", None))
        for key in ("type", "role", "stop_reason", "stop_sequence", "stop_details"):
            message.pop(key, None)
        start = Start(id=as_text(message.pop("id", None)) or "", model=as_text(message.pop("model", None)) or "")
        start.usage = parse_usage(self._usage) if self._usage else None
        keep(start, NAME, message)
        events.append(start)
        for i, block in enumerate(content):  # some servers tell a short answer at once
            self._block_start({"index": i, "content_block": block}, events)
            self._block_stop({"index": i}, events)

    def _note_usage(self, usage: Any) -> None:
        """Counts are totals so far: what is told later stands, what is not told again stays."""
        self._usage.update({key: value for key, value in as_obj(usage).items() if value is not None})

    def _message_delta(self, d: Json, events: list[AnyEvent]) -> None:
        delta = dict(as_obj(d.get("delta")))
        if d.get("usage") is not None:
            self._note_usage(d["usage"])
            events.append(UsageSoFar(usage=parse_usage(self._usage)))
        finish = take_finish(delta)
        if finish is None or self._ended:
            return
        self._finish(events)
        end = ChoiceEnd(finish=finish)
        keep(end, NAME, delta)
        keep(end, NAME, {f"message_delta.{key}": v for key, v in d.items() if key not in ("type", "delta", "usage")})
        events.append(end)

    def _finish(self, events: list[AnyEvent]) -> None:
        for index in list(self._blocks):
            self._block_stop({"index": index}, events)
        if self._pending is not None:
            self._part(Text(signature=self._pending), events)
        self._ended = True

    def _message_stop(self, d: Json, events: list[AnyEvent]) -> None:
        if not self._ended:
            self._finish(events)
            events.append(ChoiceEnd())
        self._done = True
        events.append(End(usage=parse_usage(self._usage) if self._usage else None))

    def _error(self, d: Json, events: list[AnyEvent]) -> None:
        self._done = True
        events.append(failure_of(None, d))

    def _ping(self, d: Json, events: list[AnyEvent]) -> None:
        pass

    # blocks

    def _block_start(self, d: Json, events: list[AnyEvent]) -> None:
        place = _place(d)
        if place in self._blocks:
            self._block_stop(d, events)
        data = dict(obj(d.get("content_block"), "content_block"))
        if data.get("type") == "thinking" and not data.get("signature"):
            data.pop("signature", None)  # empty until its delta comes
        part = parse_block(data, "content_block", sealed=True)
        if isinstance(part, Signature):
            self._pending = part
            return
        block = _Block(part, None)
        match part:
            case Thinking() if not part.redacted:
                part.extras.pop(NAME, None)  # what is unsigned at the start
                keep(part, NAME, {k: v for k, v in data.items() if k not in ("type", "thinking", "signature")})
            case ToolCall():
                block.held, part.arguments = part.arguments, ""
            case _:
                pass
        self._blocks[place] = block
        if not _held_back(part):
            self._open(block, events)

    def _open(self, block: _Block, events: list[AnyEvent]) -> None:
        part = block.part
        if self._pending is not None:
            part.signature, self._pending = part.signature or self._pending, None
        block.index = self._count
        self._count += 1
        events.append(PartStart(index=block.index, part=part))

    def _part(self, part: AnyPart, events: list[AnyEvent]) -> None:
        """A whole part."""
        block = _Block(part, None)
        self._open(block, events)
        events.append(PartEnd(index=self._count - 1))

    def _block_stop(self, d: Json, events: list[AnyEvent]) -> None:
        block = self._blocks.pop(_place(d), None)
        if block is None:
            return
        part = block.part
        if isinstance(part, Opaque) and block.words:
            part.data["input"] = _input("".join(block.words))
        if block.index is None:
            self._open(block, events)
        index = self._index(block)
        if block.held:
            events.append(PartDelta(index=index, text=block.held))
        events.append(PartEnd(index=index))

    def _index(self, block: _Block) -> int:
        return block.index if block.index is not None else self._count

    # deltas

    def _delta(self, d: Json, events: list[AnyEvent]) -> None:
        delta = d.get("delta")
        place, block = d.get("index"), None
        if type(delta) is not dict:
            obj(delta, "delta")
            return
        if type(place) is int:
            block = self._blocks.get(place)
        kind = delta.get("type")
        if kind == "text_delta" and block is not None and type(block.part) is Text and len(delta) == 2 and len(d) == 3:
            words = delta.get("text")
            if type(words) is str and block.index is not None:  # the common event
                if words:
                    events.append(PartDelta(index=block.index, text=words))
                return
        self._any_delta(_place(d), d, dict(delta), block, events)

    def _any_delta(self, place: int, d: Json, delta: Json, block: _Block | None, events: list[AnyEvent]) -> None:
        kind = as_text(delta.get("type")) or ""
        if isinstance(part := block.part if block else None, Opaque) and block is not None:
            if kind == "input_json_delta" and "input" in part.data:
                block.words.append(as_text(delta.get("partial_json")) or "")
            elif part.data.get("type") == "compaction" and kind == "compaction_delta":
                part.data.update({key: value for key, value in delta.items() if key != "type"})
            else:
                self._unknown(d, block, events)
            return
        if kind in _TEXTS:
            self._words(place, kind, delta, block, events)
        elif kind == "signature_delta" and block is not None and isinstance(part, Thinking):
            self._signature(as_text(delta.get("signature")) or "", place, block, events)
        elif kind == "citations_delta" and block is not None and isinstance(part, Text):
            citation = parse_citation(delta.get("citation"), "delta.citation")
            events.append(PartDelta(index=self._index(block), citation=citation))
        else:
            self._unknown(d, block, events)

    def _words(self, place: int, kind: str, delta: Json, block: _Block | None, events: list[AnyEvent]) -> None:
        words = delta.pop(_TEXTS[kind], None)
        if type(words) is not str:
            raise UpstreamGarbage(f"a {kind} without its text")
        if block is None or not isinstance(block.part, _KINDS[kind]):  # never started, or of another kind
            if kind == "input_json_delta":
                self._unknown({"type": "content_block_delta", "index": place, "delta": delta}, None, events)
                return
            if block is not None:
                self._block_stop({"index": place}, events)
            block = self._blocks[place] = _Block(Text() if kind == "text_delta" else Thinking(), None)
        if not words:
            return
        if block.index is None:
            self._open(block, events)
        block.held = ""
        event = PartDelta(index=self._index(block), text=words)
        del delta["type"]
        keep(event, NAME, delta)
        events.append(event)

    def _signature(self, value: str, place: int, block: _Block, events: list[AnyEvent]) -> None:
        """A signature is told last. One of our seals stands for the whole block, or is meant for the next part."""
        carried = unseal(value)
        if isinstance(carried, Signature) and block.index is None:
            self._pending = carried
            del self._blocks[place]
        elif carried is not None and not isinstance(carried, Signature) and block.index is None:
            block.part = carried
            self._open(block, events)
        else:
            if block.index is None:
                self._open(block, events)
            signature = Signature(NAME, value) if carried is None else carried if isinstance(carried, Signature) else carried.signature
            if signature is not None and value:
                events.append(PartDelta(index=self._index(block), signature=signature))

    def _unknown(self, d: Json, block: _Block | None, events: list[AnyEvent]) -> None:
        """A delta born after this file, told with its part's own index."""
        if block is not None and block.index is None:
            self._open(block, events)
        events.append(OpaqueEvent(origin=NAME, data={**d, "index": self._index(block)} if block is not None else d))


_HANDLERS: Final = {
    "message_start": Parser._message_start,
    "message_delta": Parser._message_delta,
    "message_stop": Parser._message_stop,
    "content_block_start": Parser._block_start,
    "content_block_stop": Parser._block_stop,
    "error": Parser._error,
    "ping": Parser._ping,
}
