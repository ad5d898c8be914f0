"""A message told in events. Source: types.raw_message_stream_event; a stream ends with `message_stop`.

A client is shown blocks strictly one after the other, numbered from 0 without a gap: what interleaves waits its turn.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct, field

from interlingua.carry import MARK, unseal
from interlingua.errors import InterlinguaError, UpstreamGarbage
from interlingua.framing import Frame, Out
from interlingua.ir import (
    AnyEvent,
    AnyPart,
    ChoiceEnd,
    Citation,
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
from interlingua.protocols import Lose
from interlingua.protocols.anthropic.errors import failure_of, format_error
from interlingua.protocols.anthropic.names import NAME
from interlingua.protocols.anthropic.parts import INVALID, format_citation, parse_block, parse_citation, thinking_block
from interlingua.protocols.anthropic.response import (
    FINISH,
    call_id,
    carrier,
    delta_usage,
    format_finish,
    format_usage,
    parse_finish,
    parse_usage,
    sealed_block,
    sealed_thinking,
)
from interlingua.protocols.wire import (
    as_array,
    as_obj,
    as_text,
    decode_json,
    encode_json,
    foreign,
    integer,
    keep,
    keep_in,
    merge,
    obj,
    text,
)

_TEXTS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_KINDS: Final[dict[str, type[AnyPart]]] = {"text_delta": Text, "thinking_delta": Thinking, "input_json_delta": ToolCall}


class _TextDelta(Struct, tag="text_delta", tag_field="type", gc=False, forbid_unknown_fields=True):
    words: str = field(name="text")


class _ThinkingDelta(Struct, tag="thinking_delta", tag_field="type", gc=False, forbid_unknown_fields=True):
    words: str = field(name="thinking")


class _InputDelta(Struct, tag="input_json_delta", tag_field="type", gc=False, forbid_unknown_fields=True):
    words: str = field(name="partial_json")


class _Common(Struct, tag="content_block_delta", tag_field="type", gc=False, forbid_unknown_fields=True):
    """The event that nearly all are: some words of one block and nothing else. Read typed, at a third of the cost."""

    index: int
    delta: _TextDelta | _ThinkingDelta | _InputDelta


_decode_common: Final = msgspec.json.Decoder(_Common).decode
_DELTAS: Final[dict[type[AnyPart], type[Struct]]] = {Text: _TextDelta, Thinking: _ThinkingDelta, ToolCall: _InputDelta}


class _Block:
    """A block under way: its part, and what was held back of it."""

    __slots__ = ("common", "extras", "held", "index", "part", "words")

    def __init__(self, part: AnyPart, extras: Json | None = None) -> None:
        self.part = part
        self.extras: Json = extras or {}  # of the event that began it
        self.index = -1  # of the part; below 0 while its start is held back
        self.common: type[Struct] | None = None  # the delta that adds words to it and does nothing else
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
        if frame.event == "content_block_delta":
            try:
                said = _decode_common(frame.data)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                return self._feed(frame)
            block = self._blocks.get(said.index)
            if block is not None and block.common is type(said.delta) and (words := said.delta.words):
                return [PartDelta(index=block.index, text=words)]
        return self._feed(frame)

    def _feed(self, frame: Frame) -> list[AnyEvent]:
        """Any frame."""
        if self._done:
            return []
        events: list[AnyEvent] = []
        try:
            d = obj(decode_json(frame.data), "event")
            self._event(text(d.get("type") or frame.event, "type"), d, events)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InterlinguaError) as error:
            raise UpstreamGarbage(f"The provider's stream holds what is no event of a message: {error}") from None
        return events

    def close(self) -> list[AnyEvent]:
        if self._done:
            return []
        self._over()
        return [Failure(status=502, kind="bad_gateway", message="The provider's stream ended before its answer did.")]

    def _over(self) -> None:
        """No more is told, of no block."""
        self._done = True
        self._blocks.clear()

    def _event(self, kind: str, d: Json, events: list[AnyEvent]) -> None:
        match kind:
            case "content_block_delta":
                self._delta(d, events)
            case "content_block_start":
                self._block_start(d, events)
            case "content_block_stop":
                self._block_stop(_place(d), events)
            case "message_start":
                self._message_start(d, events)
            case "message_delta":
                self._message_delta(d, events)
            case "message_stop":
                self._message_stop(events)
            case "error":
                self._over()
                events.append(failure_of(None, d))
            case "ping":
                pass
            case _:
                events.append(OpaqueEvent(origin=NAME, data=d))

    # messages

    def _message_start(self, d: Json, events: list[AnyEvent]) -> None:
        message = dict(obj(d.get("message"), "message"))
        self._note_usage(message.pop("usage", None))
        if self._started:
            return
        self._started = True
        content = as_array(message.pop("content", None))
        for key in ("type", "role", *FINISH):
            message.pop(key, None)
        start = Start(id=as_text(message.pop("id", None)) or "", model=as_text(message.pop("model", None)) or "")
        start.usage = parse_usage(self._usage) if self._usage else None
        keep(start, NAME, message)
        events.append(start)
        for i, block in enumerate(content):  # some servers tell a short answer at once
            self._block_start({"index": i, "content_block": block}, events)
            self._block_stop(i, events)

    def _note_usage(self, usage: Any) -> None:
        """Counts are totals so far: what is told later stands, what is not told again stays."""
        self._usage.update({key: value for key, value in as_obj(usage).items() if value is not None})

    def _message_delta(self, d: Json, events: list[AnyEvent]) -> None:
        delta = as_obj(d.get("delta"))
        self._note_usage(d.get("usage"))
        finish = parse_finish(delta)
        if finish is None or self._ended:
            events.append(UsageSoFar(usage=parse_usage(self._usage)))
            return
        self._finish(events)
        end = ChoiceEnd(finish=finish)
        keep(end, NAME, {key: value for key, value in delta.items() if key not in FINISH})
        keep(end, NAME, {f"message_delta.{key}": v for key, v in d.items() if key not in ("type", "delta", "usage")})
        events.append(end)

    def _finish(self, events: list[AnyEvent]) -> None:
        for index in list(self._blocks):
            self._block_stop(index, events)
        if self._pending is not None:
            self._part(Text(signature=self._pending), events)
        self._ended = True

    def _message_stop(self, events: list[AnyEvent]) -> None:
        if not self._ended:
            self._finish(events)
            events.append(ChoiceEnd())
        self._over()
        events.append(End(usage=parse_usage(self._usage) if self._usage else None))

    # blocks

    def _block_start(self, d: Json, events: list[AnyEvent]) -> None:
        place = _place(d)
        if place in self._blocks:
            self._block_stop(place, events)
        part = parse_block(obj(d.get("content_block"), "content_block"), "content_block", sealed=True)
        if isinstance(part, Signature):
            self._pending = part
            return
        block = _Block(part, {key: value for key, value in d.items() if key not in ("type", "index", "content_block")})
        match part:
            case Thinking() | Text() if NAME in part.extras:
                part.extras = _without_notes(part.extras[NAME])  # its signature, its citations are yet to come
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
        if not block.held:
            block.common = _DELTAS.get(type(part))
        event = PartStart(index=block.index, part=part)
        if block.extras:
            keep(event, NAME, block.extras)
        events.append(event)

    def _part(self, part: AnyPart, events: list[AnyEvent]) -> None:
        """A whole part."""
        block = _Block(part)
        self._open(block, events)
        events.append(PartEnd(index=self._count - 1))

    def _block_stop(self, place: int, events: list[AnyEvent]) -> None:
        block = self._blocks.pop(place, None)
        if block is None:
            return
        part = block.part
        if isinstance(part, Opaque) and block.words:
            part.data["input"] = _input("".join(block.words))
        if block.index < 0:
            self._open(block, events)
        index = self._index(block)
        if block.held:
            events.append(PartDelta(index=index, text=block.held))
        events.append(PartEnd(index=index))

    def _index(self, block: _Block) -> int:
        return block.index if block.index >= 0 else self._count

    # deltas

    def _delta(self, d: Json, events: list[AnyEvent]) -> None:
        place, delta = _place(d), dict(obj(d.get("delta"), "delta"))
        block, kind = self._blocks.get(place), as_text(delta.get("type")) or ""
        if isinstance(part := block.part if block else None, Opaque) and block is not None:
            if kind == "input_json_delta" and "input" in part.data:
                block.words.append(as_text(delta.get("partial_json")) or "")
            elif part.data.get("type") == "compaction" and kind == "compaction_delta":
                part.data.update({key: value for key, value in delta.items() if key != "type"})
            else:
                self._unknown(d, block, events)
            return
        if kind in _TEXTS:
            self._words(place, kind, d, delta, block, events)
        elif kind == "signature_delta" and block is not None and isinstance(part, Thinking):
            self._signature(as_text(delta.get("signature")) or "", place, block, events)
        elif kind == "citations_delta" and block is not None and isinstance(part, Text):
            citation = parse_citation(delta.get("citation"), "delta.citation")
            events.append(PartDelta(index=self._index(block), citation=citation))
        else:
            self._unknown(d, block, events)

    def _words(self, place: int, kind: str, d: Json, delta: Json, block: _Block | None, events: list[AnyEvent]) -> None:
        words = delta.pop(_TEXTS[kind], None)
        if type(words) is not str:
            raise UpstreamGarbage(f"a {kind} without its text")
        if block is None or not isinstance(block.part, _KINDS[kind]):  # never started, or of another kind
            if kind == "input_json_delta":
                self._unknown(d, None, events)
                return
            if block is not None:
                self._block_stop(place, events)
            block = self._blocks[place] = _Block(Text() if kind == "text_delta" else Thinking())
        if not words:
            return
        if block.index < 0:
            self._open(block, events)
        block.held, block.common = "", _DELTAS.get(type(block.part))
        event = PartDelta(index=block.index, text=words)
        del delta["type"]
        if delta or len(d) > 3:
            keep(event, NAME, delta)
            keep_in(event, NAME, "event", {key: value for key, value in d.items() if key not in ("type", "index", "delta")})
        events.append(event)

    def _signature(self, value: str, place: int, block: _Block, events: list[AnyEvent]) -> None:
        """A signature is told last. One of our seals stands for the whole block, or is meant for the next part."""
        carried = unseal(value)
        if isinstance(carried, Signature) and block.index < 0:
            self._pending = carried
            del self._blocks[place]
        elif carried is not None and not isinstance(carried, Signature) and block.index < 0:
            block.part = carried
            self._open(block, events)
        else:
            if block.index < 0:
                self._open(block, events)
            signature = carried if carried is not None or value.startswith(MARK) else Signature(NAME, value)
            if signature is not None and not isinstance(signature, Signature):
                signature = signature.signature
            if signature is not None and value:
                events.append(PartDelta(index=self._index(block), signature=signature))

    def _unknown(self, d: Json, block: _Block | None, events: list[AnyEvent]) -> None:
        """A delta born after this file, told with its part's own index."""
        if block is not None and block.index < 0:
            self._open(block, events)
        events.append(OpaqueEvent(origin=NAME, data={**d, "index": self._index(block)} if block is not None else d))


def _place(d: Json) -> int:
    return integer(d.get("index"), "index")


def _without_notes(mine: Json) -> dict[str, Json]:
    rest = {name: value for name, value in mine.items() if name[:1] != "~"}
    return {NAME: rest} if rest else {}


def _held_back(part: AnyPart) -> bool:
    """Whether a block's start says too little of what it is: a thinking block may be a carrier, an input is in pieces."""
    match part:
        case Thinking():
            return not part.text and not part.redacted
        case Opaque():
            return part.origin == NAME and ("input" in part.data or part.data.get("type") == "compaction")
        case _:
            return False


def _input(words: str) -> Any:
    try:
        return decode_json(words)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return {INVALID: words}


class Formatter:
    """Events in, events out; the end is told when all is known, so that its reason and usage go together."""

    def __init__(self, asked: Request, lose: Lose) -> None:
        self._lose = lose
        self._id = ""
        self._told: Json = {}  # the usage that message_start told
        self._started = False
        self._next = 0  # the wire's next index
        self._open: _Shown | None = None
        self._waiting: dict[int, list[AnyEvent]] = {}  # events of parts that begin while another is open, in order
        self._others: set[int] = set()  # choices but the first
        self._called = False
        self._refused: list[int] = []
        self._usage: Usage | None = None
        self._end: Json = {}  # of message_delta, but for usage

    def feed(self, events: list[AnyEvent]) -> list[Out]:
        out: list[Out] = []
        for event in events:
            shown = self._open
            if type(event) is PartDelta and shown is not None and event.index == shown.index and event.choice == 0:
                self._delta(event, shown, out)
            else:
                self._event(event, out)
        return out

    def _event(self, event: AnyEvent, out: list[Out]) -> None:
        match event:
            case Start():
                self._start(event, out)
            case UsageSoFar():
                self._usage = event.usage
            case End():
                self._stop(event, out)
            case Failure():
                out.append(Out(format_error(event)[1], "error"))
            case _ if event.choice:
                if event.choice not in self._others:
                    self._others.add(event.choice)
                    self._lose(f"response.choices[{event.choice}]", "dropped", "Anthropic answers once")
            case ChoiceEnd():
                self._finish(event, out)
            case OpaqueEvent():
                self._opaque(event, out)
            case PartStart() | PartDelta() | PartEnd():
                self._part_event(event, out)

    def _start(self, event: Start, out: list[Out]) -> None:
        if self._started:
            return
        self._started, self._id = True, event.id
        self._told = format_usage(event.usage, self._lose)
        message: Json = {"id": event.id, "type": "message", "role": "assistant", "model": event.model, "content": []}
        message |= {"stop_reason": None, "stop_sequence": None, "usage": self._told}
        if event.extras:
            foreign(event, NAME, "response", self._lose)
            merge(message, event, NAME)
        out.append(_out("message_start", message=message))

    def _finish(self, event: ChoiceEnd, out: list[Out]) -> None:
        self._close_all(out)
        delta = format_finish(event.finish, self._called, self._refused, self._lose)
        self._end = {"delta": delta}
        if event.extras:
            foreign(event, NAME, "response.choices[0]", self._lose)
            for key, value in event.extras.get(NAME, {}).items():
                if key.startswith("message_delta."):
                    self._end[key.removeprefix("message_delta.")] = value
                else:
                    delta[key] = value

    def _stop(self, event: End, out: list[Out]) -> None:
        if not self._started:
            self._start(Start(), out)
        self._close_all(out)
        end = self._end or {"delta": format_finish(None, self._called, self._refused, self._lose)}
        usage = delta_usage(event.usage or self._usage, self._told, self._lose)
        out.append(_out("message_delta", **{**end, "usage": usage}))
        out.append(_out("message_stop"))

    # parts

    def _part_event(self, event: PartStart | PartDelta | PartEnd, out: list[Out]) -> None:
        if not self._started:
            self._start(Start(), out)
        if isinstance(event, PartStart):
            if self._open is None:
                self._begin(event, out)
            else:
                self._waiting[event.index] = [event]
        elif (queue := self._waiting.get(event.index)) is not None:
            queue.append(event)
        elif self._open is not None and event.index == self._open.index:
            self._close(out)
            self._next_waiting(out)
        elif isinstance(event, PartDelta):
            path = f"response.choices[0].parts[{event.index}]"
            if event.text or event.citation is not None:
                self._lose(path, "dropped", "it came after its block was closed")
            if event.signature is not None:
                self._late(event.signature, f"{path}.signature", out)

    def _next_waiting(self, out: list[Out]) -> None:
        """Shows the parts that waited, up to one that has not ended yet."""
        while self._open is None and self._waiting:
            events = self._waiting.pop(next(iter(self._waiting)))
            for event in events:
                if isinstance(event, PartStart):
                    self._begin(event, out)
                elif isinstance(event, PartDelta) and self._open is not None:
                    self._delta(event, self._open, out)
                elif isinstance(event, PartEnd):
                    self._close(out)
                elif isinstance(event, OpaqueEvent):
                    self._opaque(event, out)

    def _close_all(self, out: list[Out]) -> None:
        while self._open is not None:
            self._close(out)
            self._next_waiting(out)

    def _begin(self, event: PartStart, out: list[Out]) -> None:
        part = msgspec.structs.replace(event.part)
        path = f"response.choices[0].parts[{event.index}]"
        shown = self._open = _Shown(part, event.index, path)
        shown.extras = event.extras.get(NAME, {})
        match part:
            case Text():
                if part.refusal:
                    self._refused.append(event.index)
                for citation in part.citations:
                    self._cite(citation, shown, out)
                words, part.text = part.text, ""
            case Thinking():
                words, part.text = part.text, ""
                if not part.redacted:
                    self._show(shown, {"type": "thinking", "thinking": "", "signature": ""}, out)
            case ToolCall():
                self._called = True
                words, part.arguments = part.arguments, ""
                if part.signature is not None:
                    self._whole(carrier(part.signature), out)
                id_ = part.id or call_id(self._id, event.index)
                self._show(shown, {"type": "tool_use", "id": id_, "name": part.name, "input": {}}, out)
            case Opaque() if part.origin == NAME:
                words = ""
                self._show(shown, dict(part.data), out)
            case _:
                words = ""
        if words:
            self._delta(PartDelta(index=event.index, text=words), shown, out)

    def _delta(self, event: PartDelta, shown: "_Shown", out: list[Out]) -> None:
        part = shown.part
        if event.text:
            if type(part) is Text and shown.wire is not None and not event.extras:
                words = encode_json(event.text)
                out.append(Out(_TEXT % (shown.wire, words), "content_block_delta"))
            else:
                self._words(event, part, shown, out)
        if event.citation is not None:
            self._cite(event.citation, shown, out)
        if event.signature is not None:
            part.signature = event.signature
        if event.logprobs and not shown.logprobs:
            shown.logprobs = True
            self._lose("response.choices[0].logprobs", "dropped", "Anthropic tells no probabilities")

    def _words(self, event: PartDelta, part: AnyPart, shown: "_Shown", out: list[Out]) -> None:
        match part:
            case Text():
                self._show_text(part, shown, out)
                delta: Json = {"type": "text_delta", "text": event.text}
            case Thinking():
                shown.words.append(event.text)
                if part.redacted:
                    return
                delta = {"type": "thinking_delta", "thinking": event.text}
            case ToolCall():
                delta = {"type": "input_json_delta", "partial_json": event.text}
            case _:
                shown.words.append(event.text)
                return
        said: Json = {"type": "content_block_delta", "index": shown.wire, "delta": delta}
        for key, value in event.extras.get(NAME, {}).items():
            if key.startswith("event."):
                said[key.removeprefix("event.")] = value
            elif key[:1] != "~":
                delta[key] = value
        out.append(Out(said, "content_block_delta"))

    def _show_text(self, part: Text, shown: "_Shown", out: list[Out]) -> None:
        """Begins a block of text, which waits for its first word: an empty one could not be sent back."""
        if shown.wire is None:
            if part.signature is not None:
                self._whole(carrier(part.signature), out)
                shown.signed = part.signature
            self._show(shown, {"type": "text", "text": ""}, out)

    def _cite(self, citation: Citation, shown: "_Shown", out: list[Out]) -> None:
        said = format_citation(citation, f"{shown.path}.citation", self._lose)
        if said is not None and isinstance(shown.part, Text):
            self._show_text(shown.part, shown, out)
            out.append(_out("content_block_delta", index=shown.wire, delta={"type": "citations_delta", "citation": said}))

    def _close(self, out: list[Out]) -> None:
        shown = self._open
        if shown is None:
            return
        self._open, part = None, shown.part
        late: Signature | None = None
        match part:
            case Text():
                if shown.wire is None and part.signature is not None:
                    self._whole(carrier(part), out)
                elif part.signature != shown.signed:
                    late = part.signature
            case Thinking():
                self._close_thinking(part, shown, out)
            case Opaque() if part.origin == NAME:
                pass
            case ToolCall():
                pass
            case _:
                if isinstance(part, Media) and shown.words:
                    part.data = (part.data or "") + "".join(shown.words)
                if (block := sealed_block(part, shown.path, self._lose)) is not None:
                    self._whole(block, out)
        if shown.wire is not None:
            out.append(_out("content_block_stop", index=shown.wire))
        if late is not None:
            self._late(late, shown.path, out)
        if part.extras and shown.wire is not None:
            foreign(part, NAME, shown.path, self._lose)

    def _close_thinking(self, part: Thinking, shown: "_Shown", out: list[Out]) -> None:
        part.text = "".join(shown.words)
        native = thinking_block(part)
        block = sealed_thinking(part) if native is None else native
        if block["type"] == "redacted_thinking":
            self._whole(merge(block, part, NAME) if native else block, out)
        elif block.get("signature"):
            delta: Json = {"type": "signature_delta", "signature": block["signature"]}
            out.append(_out("content_block_delta", index=shown.wire, delta=delta))

    def _late(self, signature: Signature, path: str, out: list[Out]) -> None:
        """A signature that comes after its words: told by an empty text of its own, as Gemini itself does."""
        if self._open is None:
            self._whole(carrier(Text(signature=signature)), out)
        else:
            self._lose(path, "dropped", "it came after its block was closed")

    def _show(self, shown: "_Shown", block: Json, out: list[Out]) -> None:
        shown.wire = self._next
        if shown.part.extras:
            merge(block, shown.part, NAME)
        self._next += 1
        out.append(_out("content_block_start", **{"index": shown.wire, "content_block": block, **shown.extras}))

    def _whole(self, block: Json, out: list[Out]) -> None:
        """A block told at once; a thinking block's signature comes in its delta, where the SDKs look for it."""
        index, signature = self._next, block.pop("signature", None)
        self._next += 1
        start = block if signature is None else {**block, "signature": ""}
        out.append(_out("content_block_start", index=index, content_block=start))
        if signature is not None:
            delta: Json = {"type": "signature_delta", "signature": signature}
            out.append(_out("content_block_delta", index=index, delta=delta))
        out.append(_out("content_block_stop", index=index))

    def _opaque(self, event: OpaqueEvent, out: list[Out]) -> None:
        if event.origin != NAME:
            self._lose("response.stream", "dropped", f"an event that only {event.origin} has")
            return
        data, index = dict(event.data), event.data.get("index")
        if type(index) is int:
            if (queue := self._waiting.get(index)) is not None:
                queue.append(event)
                return
            shown = self._open
            if shown is None or shown.index != index:
                self._lose("response.stream", "dropped", "an event of a block that is not open")
                return
            if isinstance(shown.part, Text):
                self._show_text(shown.part, shown, out)
            data["index"] = shown.wire
        out.append(Out(data, as_text(data.get("type"))))


class _Shown:
    """The part being shown, and the index its block has on the wire once it has begun."""

    __slots__ = ("extras", "index", "logprobs", "part", "path", "signed", "wire", "words")

    def __init__(self, part: AnyPart, index: int, path: str) -> None:
        self.part, self.index, self.path = part, index, path
        self.wire: int | None = None
        self.words: list[str] = []
        self.signed: Signature | None = None  # told by a carrier before the block
        self.logprobs = False
        self.extras: Json = {}  # of the event that began it


_TEXT: Final = b'{"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}'


def _out(kind: str, /, **fields: Any) -> Out:
    return Out({"type": kind, **fields}, kind)
