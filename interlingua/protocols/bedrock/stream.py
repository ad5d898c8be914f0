"""A Converse answer told in events. Source: shape ConverseStreamOutput; a stream ends with `metadata`, after `messageStop`.

Only a tool call and an image have a contentBlockStart; words and reasoning begin with their first delta. A client is shown
blocks strictly one after the other, numbered from 0 without a gap: what interleaves waits its turn.
"""

from base64 import b64decode, b64encode
from binascii import Error
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlingua.errors import InterlinguaError, UpstreamGarbage
from interlingua.framing import Frame, Out
from interlingua.framing.eventstream import ERROR, EXCEPTION
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
from interlingua.protocols.bedrock.errors import failure_of, stream_error
from interlingua.protocols.bedrock.names import NAME
from interlingua.protocols.bedrock.parts import (
    carrier,
    format_citation,
    parse_block,
    parse_citation,
    reasoned,
    redacted,
)
from interlingua.protocols.bedrock.response import (
    MORE,
    answer_block,
    format_finish,
    format_usage,
    measured,
    parse_usage,
    replace_extras,
    take_finish,
    take_metrics,
    told_thinking,
)
from interlingua.protocols.bedrock.toolnames import own_name
from interlingua.protocols.wire import (
    as_array,
    as_obj,
    as_text,
    decode_json,
    encode_json,
    foreign,
    integer,
    keep,
    note,
    obj,
)

_PADDING: Final = "p"  # of every event's payload: it hides lengths


class _Words(Struct, gc=False, forbid_unknown_fields=True):
    text: str


class _Common(Struct, gc=False, forbid_unknown_fields=True):
    """The delta that nearly all are: some words and nothing else. Read typed, at half the cost."""

    contentBlockIndex: int
    delta: _Words
    p: str = ""  # padding


_decode_common: Final = msgspec.json.Decoder(_Common).decode


class _Block:
    """A block under way: its part, and what is held back of it until it ends."""

    __slots__ = ("content", "index", "part", "pieces", "signature", "start")

    def __init__(self, part: AnyPart | None = None, start: Json | None = None) -> None:
        self.part = part  # None while too little is known
        self.index: int | None = None
        self.start = start  # of an image or a result, which are told whole
        self.pieces: list[str] = []  # base64
        self.content: list[Any] = []
        self.signature: list[str] = []


class Parser:
    """Events in, events out."""

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._ended = False  # the answer, not the stream
        self._count = 0
        self._saying: tuple[int, int] | None = None  # block and part that the last delta said words of, as the next may
        self._blocks: dict[int, _Block] = {}
        self._pending: Signature | None = None  # for the part that comes next
        self._usage: Usage | None = None
        self._tail: Json = {}

    def feed(self, frame: Frame) -> list[AnyEvent]:
        if self._done:
            return []
        if self._saying is not None and frame.event == "contentBlockDelta":
            try:
                said = _decode_common(frame.data)
                if said.contentBlockIndex == self._saying[0]:
                    return [PartDelta(self._saying[1], said.delta.text)] if said.delta.text else []
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                self._saying = None
        kind = frame.event or ""
        events: list[AnyEvent] = []
        try:
            if kind.startswith((EXCEPTION, ERROR)):
                return self._failed(kind, frame.data)
            d = obj(decode_json(frame.data), "event")
            if kind == "contentBlockDelta":
                self._delta(d, events)
            else:
                self._event(kind, d, events)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InterlinguaError) as error:
            raise UpstreamGarbage(f"The provider's stream holds what is no event of Converse's: {error}") from None
        return events

    def close(self) -> list[AnyEvent]:
        if self._done:
            return []
        if self._ended:  # all was said but the usage
            return self._end()
        self._done = True
        return [Failure(status=502, kind="bad_gateway", message="The provider's stream ended before its answer did.")]

    def _failed(self, kind: str, data: bytes) -> list[AnyEvent]:
        self._done = True
        name = kind.removeprefix(EXCEPTION).removeprefix(ERROR)
        try:
            body = as_obj(decode_json(data))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            body = {}
        return [failure_of(None, name, body)]

    def _event(self, kind: str, d: Json, events: list[AnyEvent]) -> None:
        d.pop(_PADDING, None)
        if kind in ("contentBlockStart", "contentBlockStop", "messageStop", "metadata") and not self._started:
            self._start({}, events)
        match kind:
            case "contentBlockStart":
                self._block_start(d, events)
            case "contentBlockStop":
                self._block_stop(_place(d), events)
            case "messageStart":
                self._start(d, events)
            case "messageStop":
                self._message_stop(d, events)
            case "metadata":
                self._metadata(d, events)
            case _:
                events.append(OpaqueEvent(origin=NAME, data={"~event": kind, **d}))

    # messages

    def _start(self, d: Json, events: list[AnyEvent]) -> None:
        if self._started:
            return
        self._started = True
        start = Start()
        keep(start, NAME, {key: value for key, value in d.items() if key != "role"})
        events.append(start)

    def _message_stop(self, d: Json, events: list[AnyEvent]) -> None:
        if self._ended:
            return
        for place in list(self._blocks):
            self._block_stop(place, events)
        if self._pending is not None:
            self._whole(Text(signature=self._pending), events)
        self._ended = True
        end = ChoiceEnd(finish=take_finish(d))
        keep(end, NAME, d)
        events.append(end)
        if self._usage is not None:
            events += self._end()

    def _metadata(self, d: Json, events: list[AnyEvent]) -> None:
        usage = d.pop("usage", None)
        self._usage = parse_usage(obj(usage, "usage")) if usage is not None else Usage()
        self._tail = d
        if self._ended:
            events += self._end()
        else:
            events.append(UsageSoFar(usage=self._usage))

    def _end(self) -> list[AnyEvent]:
        self._done = True
        end = End(usage=self._usage)
        take_metrics(end, self._tail)
        keep(end, NAME, self._tail)
        return [end]

    # blocks

    def _block_start(self, d: Json, events: list[AnyEvent]) -> None:
        place = _place(d)
        if place in self._blocks:
            self._block_stop(place, events)
        start = obj(d.get("start"), "start")
        call = as_obj(start.get("toolUse"))
        if call and call.get("type") is None:
            part = parse_block({"toolUse": {**call, "input": {}}}, "start")
            if isinstance(part, ToolCall):
                part.arguments, part.name = "", own_name(part.name)
                self._blocks[place] = _Block(part)
                self._open(self._blocks[place], events)
                return
        self._blocks[place] = _Block(start=start)

    def _open(self, block: _Block, events: list[AnyEvent]) -> int:
        part = block.part
        assert part is not None
        if self._pending is not None:
            part.signature, self._pending = part.signature or self._pending, None
        block.index = self._count
        self._count += 1
        events.append(PartStart(index=block.index, part=part))
        return block.index

    def _whole(self, part: AnyPart | Signature | None, events: list[AnyEvent]) -> None:
        if isinstance(part, Signature):
            self._pending = part
        elif part is not None:
            events.append(PartEnd(index=self._open(_Block(part), events)))

    def _block_stop(self, place: int, events: list[AnyEvent]) -> None:
        block, self._saying = self._blocks.pop(place, None), None
        if block is None:
            return
        if block.index is not None:
            if block.signature and isinstance(part := reasoned("", "".join(block.signature)), Thinking) and part.signature:
                events.append(PartDelta(index=block.index, signature=part.signature))
            events.append(PartEnd(index=block.index))
        elif block.start is not None:
            self._whole(_told_whole(block), events)
        elif block.pieces:
            self._whole(redacted(_joined(block.pieces)), events)
        elif block.signature:
            self._whole(reasoned("", "".join(block.signature)), events)

    # deltas

    def _delta(self, d: Json, events: list[AnyEvent]) -> None:
        if not self._started:
            self._start({}, events)
        place, delta = _place(d), obj(d.get("delta"), "delta")
        if type(words := delta.get("text")) is str:
            self._saying = place, self._words(place, Text, words, events)
        elif (said := delta.get("reasoningContent")) is not None:
            self._reasoning(place, obj(said, "delta.reasoningContent"), events)
        elif (said := delta.get("toolUse")) is not None:
            self._input(place, as_text(obj(said, "delta.toolUse").get("input")) or "", events)
        elif (said := delta.get("citation")) is not None:
            index = self._words(place, Text, "", events)
            events.append(PartDelta(index=index, citation=parse_citation(said, "delta.citation")))
        elif place in self._blocks and self._blocks[place].start is not None:
            self._blocks[place].content.append(delta)
        else:
            events.append(OpaqueEvent(origin=NAME, data={"~event": "contentBlockDelta", "delta": delta}))

    def _words(self, place: int, kind: type[Text] | type[Thinking], words: str, events: list[AnyEvent]) -> int:
        block = self._blocks.get(place)
        if block is None or block.index is None or not isinstance(block.part, kind):
            if block is not None and (block.part or block.start or block.pieces or (block.signature and kind is Text)):
                self._block_stop(place, events)
                block = None
            block = self._blocks[place] = block or _Block()
            block.part = kind()
            self._open(block, events)
        assert block.index is not None
        if words:
            events.append(PartDelta(index=block.index, text=words))
        return block.index

    def _reasoning(self, place: int, said: Json, events: list[AnyEvent]) -> None:
        block = self._blocks.get(place)
        if type(data := said.get("redactedContent")) is str:
            if block is None or block.part is not None or block.start is not None:
                self._block_stop(place, events)
                block = self._blocks[place] = _Block()
            block.pieces.append(data)
        elif type(words := said.get("text")) is str:
            if words:
                self._words(place, Thinking, words, events)
        elif type(signature := said.get("signature")) is str:
            fits = block is not None and (block.part is None or isinstance(block.part, Thinking))
            if block is None or not fits or block.start is not None or block.pieces:
                self._block_stop(place, events)
                block = self._blocks[place] = _Block()
            block.signature.append(signature)  # a signature, or a seal of ours, may come in pieces
        else:
            events.append(OpaqueEvent(origin=NAME, data={"~event": "contentBlockDelta", "delta": {"reasoningContent": said}}))

    def _input(self, place: int, words: str, events: list[AnyEvent]) -> None:
        block = self._blocks.get(place)
        if block is None or (block.index is None and block.start is None):
            raise UpstreamGarbage("a call's input before the call")
        if block.index is None:
            block.content.append(words)
        elif words:
            events.append(PartDelta(index=block.index, text=words))


def _place(d: Json) -> int:
    return integer(d.get("contentBlockIndex"), "contentBlockIndex")


def _joined(pieces: list[str]) -> str:
    """Base64 that came in pieces, each of them whole by itself."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return b64encode(b"".join(b64decode(piece, validate=True) for piece in pieces)).decode()
    except (Error, ValueError):
        return "".join(pieces)


def _told_whole(block: _Block) -> AnyPart | Signature:
    """The part of a block that is none of those told in pieces to everyone: an image, or a tool that Bedrock runs itself."""
    start = dict(block.start or {})
    kind = next(iter(start), "")
    whole = dict(as_obj(start.get(kind)))
    if kind == "image":
        sources = [as_obj(as_obj(delta).get("image")) for delta in block.content]
        pieces = [data for source in sources if type(data := as_obj(source.get("source")).get("bytes")) is str]
        whole["source"] = {"bytes": _joined(pieces)} if pieces else as_obj(sources[0].get("source") if sources else None)
        if error := next((source["error"] for source in sources if "error" in source), None):
            whole["error"] = error
    elif kind == "toolUse":
        words = "".join(piece for piece in block.content if type(piece) is str)
        try:
            whole["input"] = decode_json(words) if words else {}
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            whole["input"] = words
    elif kind == "toolResult":
        whole["content"] = [row for delta in block.content for row in as_array(as_obj(delta).get("toolResult"))]
    elif block.content:
        whole["~deltas"] = block.content
    try:
        return parse_block({kind: whole}, "start")
    except InterlinguaError:
        return Opaque(origin=NAME, data={kind: whole})


class Formatter:
    """Events in, events out."""

    def __init__(self, asked: Request, lose: Lose) -> None:
        self._asked, self._lose = asked, lose
        self._started = False
        self._next = 0  # the wire's next index
        self._open: _Shown | None = None
        self._waiting: dict[int, list[PartStart | PartDelta | PartEnd]] = {}  # of parts that begin while another is open
        self._others: set[int] = set()  # choices but the first
        self._called = False
        self._usage: Usage | None = None
        self._stopped = False
        self._head: Json = {}  # what of an answer's extras is told at its end

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
                self._end(event, out)
            case Failure():
                kind, body = stream_error(event)
                out.append(Out(body, EXCEPTION + kind))
            case _ if event.choice:
                if event.choice not in self._others:
                    self._others.add(event.choice)
                    self._lose(f"response.choices[{event.choice}]", "dropped", "Bedrock answers once")
            case ChoiceEnd():
                self._stop(event, out)
            case OpaqueEvent():
                self._opaque(event, out)
            case PartStart() | PartDelta() | PartEnd():
                self._part_event(event, out)

    def _start(self, event: Start, out: list[Out]) -> None:
        if self._started:
            return
        self._started = True
        if event.extras:
            foreign(event, NAME, "response", self._lose)
            self._head = event.extras.get(NAME, {})
        out.append(Out({"role": "assistant"}, "messageStart"))

    def _stop(self, event: ChoiceEnd, out: list[Out]) -> None:
        if not self._started:
            self._start(Start(), out)
        self._close_all(out)
        self._stopped = True
        told = format_finish(event.finish, self._called, self._asked, self._lose)
        if MORE in self._head:
            told[MORE] = {**self._head[MORE], **told.get(MORE, {})}
        if event.extras:
            foreign(event, NAME, "response.choices[0]", self._lose)
            replace_extras(told, event.extras.get(NAME, {}))
        out.append(Out(told, "messageStop"))

    def _end(self, event: End, out: list[Out]) -> None:
        if not self._stopped:
            self._stop(ChoiceEnd(), out)
        metrics = note(event, NAME, "~metrics") or self._head.get("~metrics") or measured(self._asked)
        told: Json = {"usage": format_usage(event.usage or self._usage, self._lose), "metrics": metrics}
        for extras in (self._head, event.extras.get(NAME, {})):
            replace_extras(told, {key: value for key, value in extras.items() if key != MORE})
        if event.extras:
            foreign(event, NAME, "response", self._lose)
        out.append(Out(told, "metadata"))

    def _opaque(self, event: OpaqueEvent, out: list[Out]) -> None:
        if event.origin != NAME:
            self._lose("response.stream", "dropped", f"an event that only {event.origin} has")
            return
        data = {key: value for key, value in event.data.items() if key != "~event"}
        if "delta" in data and self._open is not None and self._open.wire is not None:
            data = {"contentBlockIndex": self._open.wire, **data}
        out.append(Out(data, event.data.get("~event")))

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
            self._late(event, out)

    def _late(self, event: PartDelta, out: list[Out]) -> None:
        """What comes after its block was closed: a signature is told by an empty part of its own, as Gemini itself does."""
        path = f"response.choices[0].parts[{event.index}]"
        if event.text or event.citation is not None:
            self._lose(path, "dropped", "it came after its block was closed")
        if event.signature is not None and self._open is None:
            self._whole(carrier(Text(signature=event.signature)), out)
        elif event.signature is not None:
            self._lose(f"{path}.signature", "dropped", "it came after its block was closed")

    def _next_waiting(self, out: list[Out]) -> None:
        """Shows the parts that waited, up to one that has not ended yet."""
        while self._open is None and self._waiting:
            for event in self._waiting.pop(next(iter(self._waiting))):
                if isinstance(event, PartStart):
                    self._begin(event, out)
                elif isinstance(event, PartDelta) and self._open is not None:
                    self._delta(event, self._open, out)
                elif isinstance(event, PartEnd):
                    self._close(out)

    def _close_all(self, out: list[Out]) -> None:
        while self._open is not None:
            self._close(out)
            self._next_waiting(out)

    def _begin(self, event: PartStart, out: list[Out]) -> None:
        part = msgspec.structs.replace(event.part)
        shown = self._open = _Shown(part, event.index, f"response.choices[0].parts[{event.index}]")
        words = ""
        match part:
            case Text():
                if part.refusal:
                    self._lose(f"{shown.path}.refusal", "changed", "Bedrock says a refusal in plain words")
                words, part.text = part.text, ""
                for citation in part.citations:
                    self._cite(citation, shown, out)
            case Thinking():
                words, part.text = part.text, ""
            case ToolCall():
                self._called = True
                words, part.arguments = part.arguments, ""
                self._carry(part, shown, out)
                shown.wire = self._take()
                start: Json = {"toolUse": {"toolUseId": part.id or f"{NAME}_{event.index}", "name": part.name}}
                out.append(Out({"contentBlockIndex": shown.wire, "start": start}, "contentBlockStart"))
            case _:
                pass
        if words:
            self._delta(PartDelta(index=event.index, text=words), shown, out)

    def _take(self) -> int:
        self._next += 1
        return self._next - 1

    def _carry(self, part: AnyPart, shown: "_Shown", out: list[Out]) -> None:
        """Shows the signature of a block that has no slot for one, before it begins."""
        if part.signature is not None:
            self._whole(carrier(part.signature), out)
            shown.signed = part.signature

    def _delta(self, event: PartDelta, shown: "_Shown", out: list[Out]) -> None:
        part = shown.part
        if event.text:
            if type(part) is Text and shown.wire is not None:
                out.append(Out(_TEXT % (shown.wire, encode_json(event.text)), "contentBlockDelta"))
            else:
                self._words(event.text, part, shown, out)
        if event.citation is not None:
            self._cite(event.citation, shown, out)
        if event.signature is not None:
            part.signature = event.signature
        if event.logprobs and not shown.logprobs:
            shown.logprobs = True
            self._lose("response.choices[0].logprobs", "dropped", "Bedrock tells no probabilities")

    def _words(self, words: str, part: AnyPart, shown: "_Shown", out: list[Out]) -> None:
        match part:
            case Text():
                self._show_text(part, shown, out)
                self._piece({"text": words}, shown, out)
            case Thinking():
                shown.words.append(words)
                if not part.redacted:
                    shown.wire = self._take() if shown.wire is None else shown.wire
                    self._piece({"reasoningContent": {"text": words}}, shown, out)
            case ToolCall():
                shown.words.append(words)
                self._piece({"toolUse": {"input": words}}, shown, out)
            case _:
                shown.words.append(words)

    def _piece(self, delta: Json, shown: "_Shown", out: list[Out]) -> None:
        out.append(Out({"contentBlockIndex": shown.wire, "delta": delta}, "contentBlockDelta"))

    def _show_text(self, part: Text, shown: "_Shown", out: list[Out]) -> None:
        """A block of text waits for its first word: an empty one could not be sent back."""
        if shown.wire is None:
            self._carry(part, shown, out)
            shown.wire = self._take()

    def _cite(self, citation: Citation, shown: "_Shown", out: list[Out]) -> None:
        if isinstance(shown.part, Text):
            said = format_citation(citation, f"{shown.path}.citation", self._lose)
            self._show_text(shown.part, shown, out)
            self._piece({"citation": said}, shown, out)

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
                part.text = "".join(shown.words)
                self._close_thinking(part, shown, out)
            case ToolCall():
                late = part.signature if part.signature != shown.signed else None
                if not shown.words:  # clients join the pieces, and read them as JSON
                    self._piece({"toolUse": {"input": "{}"}}, shown, out)
            case _:
                if isinstance(part, Media) and shown.words:
                    part.data = (part.data or "") + "".join(shown.words)
                if (block := answer_block(part, "", shown.path, self._lose)) is not None:
                    self._whole(block, out)
        if shown.wire is not None:
            out.append(Out({"contentBlockIndex": shown.wire}, "contentBlockStop"))
            if part.extras:
                foreign(part, NAME, shown.path, self._lose)
        if late is not None:
            self._late(PartDelta(index=shown.index, signature=late), out)

    def _close_thinking(self, part: Thinking, shown: "_Shown", out: list[Out]) -> None:
        block = told_thinking(part) or answer_block(part, "", shown.path, self._lose)
        if block is None:
            return
        if shown.wire is None:
            self._whole(block, out)
        elif (signature := _signature_of(block)) is not None:
            self._piece({"reasoningContent": {"signature": signature}}, shown, out)

    def _whole(self, block: Json, out: list[Out]) -> None:
        """A block told at once."""
        shown = _Shown(Text(), 0, "")
        shown.wire = self._take()
        kind = next(iter(block))
        inner = as_obj(block[kind])
        if kind == "reasoningContent":
            for delta in _reasoning_deltas(inner):
                self._piece({"reasoningContent": delta}, shown, out)
        elif kind in ("image", "toolUse", "toolResult"):
            start, delta = _start_and_delta(kind, inner)
            out.append(Out({"contentBlockIndex": shown.wire, "start": start}, "contentBlockStart"))
            self._piece(delta, shown, out)
        else:
            self._piece(block, shown, out)
        out.append(Out({"contentBlockIndex": shown.wire}, "contentBlockStop"))


def _signature_of(block: Json) -> str | None:
    return as_text(as_obj(block["reasoningContent"].get("reasoningText")).get("signature"))


def _reasoning_deltas(inner: Json) -> list[Json]:
    if "redactedContent" in inner:
        return [{"redactedContent": inner["redactedContent"]}]
    said = as_obj(inner.get("reasoningText"))
    signed: list[Json] = [{"signature": said["signature"]}] if "signature" in said else []
    return [{"text": said.get("text", "")}, *signed]


def _start_and_delta(kind: str, inner: Json) -> tuple[Json, Json]:
    """An image, or a call or result of a tool that Bedrock runs itself, in its two pieces."""
    whole = dict(inner)
    match kind:
        case "image":
            told = {key: whole.pop(key) for key in ("source", "error") if key in whole}
            return {"image": whole}, {"image": told}
        case "toolUse":
            given = whole.pop("input", {})
            return {"toolUse": whole}, {"toolUse": {"input": given if type(given) is str else encode_json(given).decode()}}
        case _:
            content = whole.pop("content", [])
            return {"toolResult": whole}, {"toolResult": content}


class _Shown:
    """The part being shown, and the index its block has on the wire once it has begun."""

    __slots__ = ("index", "logprobs", "part", "path", "signed", "wire", "words")

    def __init__(self, part: AnyPart, index: int, path: str) -> None:
        self.part, self.index, self.path = part, index, path
        self.wire: int | None = None
        self.words: list[str] = []
        self.signed: Signature | None = None  # told by a carrier before the block
        self.logprobs = False


_TEXT: Final = b'{"contentBlockIndex":%d,"delta":{"text":%b}}'
