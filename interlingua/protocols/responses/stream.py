"""A response told in events, read. Source: types.responses.response_stream_event; a stream ends with `response.completed`,
`response.incomplete` or `response.failed`.

Items may be under way at once, by their output_index. What a server leaves out of the lifecycle is made up for: words
told only by a `.done`, or only by the final response, are told then. An item whose start says too little of it
(reasoning, which may be a seal of ours, and what the service runs itself) becomes a part when enough is known.
"""

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from interlingua.carry import unseal
from interlingua.errors import InterlinguaError, ProviderFailure, UpstreamGarbage
from interlingua.framing import Frame
from interlingua.ir import (
    AnyEvent,
    AnyPart,
    ChoiceEnd,
    End,
    Failure,
    Json,
    Opaque,
    OpaqueEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Signature,
    Start,
    Text,
    Thinking,
    ToolCall,
)
from interlingua.protocols.openai_common import CLOSING, OPENING, in_string
from interlingua.protocols.openai_errors import failure_of
from interlingua.protocols.responses.items import BREAK, Turn, parse_reasoning
from interlingua.protocols.responses.names import NAME
from interlingua.protocols.responses.parts import parse_annotation, parse_logprobs
from interlingua.protocols.responses.response import parse_usage, take_extras, take_failure, take_finish, take_head
from interlingua.protocols.responses.tools import take_call
from interlingua.protocols.wire import as_array, as_obj, as_text, decode_json, integer, keep, obj, text

_DONE: Final = b"[DONE]"
_TEXT: Final = "response.output_text.delta"
_ARGUMENTS: Final = "response.function_call_arguments.delta"


class _Words(Struct, gc=False, forbid_unknown_fields=True):
    """The event that nearly all are: some words, and nothing else. Read typed, at a third of the cost."""

    type: Literal["response.output_text.delta"]
    output_index: int
    content_index: int
    delta: str
    item_id: str = ""
    sequence_number: int = 0
    logprobs: tuple[()] = ()
    obfuscation: str | None = None


_decode_words: Final = msgspec.json.Decoder(_Words).decode


class _Piece:
    """A part of a message under way: its index, and what of it has been told."""

    __slots__ = ("cited", "index", "open", "rated", "said")

    def __init__(self, index: int) -> None:
        self.index = index
        self.said = self.rated = False
        self.cited = 0
        self.open = True


class _Item:
    """An item under way. `index`: of its one part, once that has begun; a message's are in `pieces`."""

    __slots__ = ("custom", "data", "index", "kind", "pieces", "said", "section", "signed")

    def __init__(self, kind: str, data: Json) -> None:
        self.kind, self.data = kind, data
        self.index: int | None = None
        self.pieces: dict[int, _Piece] = {}
        self.said = self.custom = self.signed = False
        self.section = 0


class Parser:
    """Events in, events out."""

    def __init__(self) -> None:
        self._started = self._done = self._called = False
        self._count = 0
        self._seen = 0  # items
        self._items: dict[int, _Item] = {}
        self._pending: Signature | None = None  # for the part that comes next

    def feed(self, frame: Frame) -> list[AnyEvent]:
        if self._done:
            return []
        if frame.event == _TEXT and (event := self._common(frame.data)) is not None:
            return [event]
        if frame.data == _DONE:
            return self._unsaid_end()
        events: list[AnyEvent] = []
        try:
            d = obj(decode_json(frame.data), "event")
            self._event(text(d.get("type") or frame.event or ("error" if "error" in d else None), "type"), d, events)
        except ProviderFailure as error:
            self._done = True
            events.append(error.failure)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InterlinguaError) as error:
            raise UpstreamGarbage(f"The provider's stream holds what is no event of a response: {error}") from None
        return events

    def close(self) -> list[AnyEvent]:
        if self._done:
            return []
        self._done = True
        return [Failure(status=502, kind="bad_gateway", message="The provider's stream ended before its answer did.")]

    def _common(self, data: bytes) -> AnyEvent | None:
        try:
            said = _decode_words(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        item = self._items.get(said.output_index)
        piece = item.pieces.get(said.content_index) if item is not None else None
        if piece is None or not piece.open or not said.delta:
            return None
        piece.said = True
        return PartDelta(index=piece.index, text=said.delta)

    def _event(self, kind: str, d: Json, events: list[AnyEvent]) -> None:
        if not self._started and kind not in ("error", "response.created", "response.queued", "response.in_progress"):
            self._start(as_obj(d.get("response")), events)
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                self._text(d, kind == "response.refusal.delta", events)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                self._more(self._call_of(d, events), _said(d, "delta"), events)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._thought(d, "summary_index" in d, events)
            case "response.output_item.added":
                self._item_added(d, events)
            case "response.output_item.done":
                self._item_done(_place(d), obj(d.get("item"), "item"), events)
            case "response.created" | "response.queued" | "response.in_progress":
                self._start(obj(d.get("response"), "response"), events)
            case "response.completed" | "response.incomplete" | "response.failed":
                self._finish(obj(d.get("response"), "response"), events)
            case "error":
                self._done = True
                events.append(
                    failure_of(None, d if "error" in d else {"error": {k: d.get(k) for k in ("message", "code", "param")}})
                )
            case _:
                self._rarer(kind, d, events)

    def _rarer(self, kind: str, d: Json, events: list[AnyEvent]) -> None:
        match kind:
            case "response.content_part.added":
                self._part_added(d, events)
            case "response.output_text.done" | "response.refusal.done":
                field = "refusal" if kind == "response.refusal.done" else "text"
                self._rest(d, {"type": field, field: d.get(field), "logprobs": d.get("logprobs")}, events)
            case "response.content_part.done":
                part = obj(d.get("part"), "part")
                if part.get("type") != "reasoning_text":
                    self._end_piece(self._rest(d, part, events), events)
            case "response.output_text.annotation.added":
                self._annotation(d, events)
            case "response.function_call_arguments.done":
                self._whole(self._call_of(d, events), _said(d, "arguments"), events)
            case "response.custom_tool_call_input.done":
                self._whole(self._call_of(d, events), _said(d, "input"), events)
            case "response.reasoning_summary_text.done" | "response.reasoning_text.done":
                item = self._item(d, "reasoning")
                if not item.said or item.section != _section(d):
                    self._thought({**d, "delta": d.get("text")}, "summary_index" in d, events)
            case "response.reasoning_summary_part.added" | "response.reasoning_summary_part.done" | "keepalive":
                pass
            case _:
                events.append(OpaqueEvent(origin=NAME, data={key: value for key, value in d.items() if key != "sequence_number"}))

    # The response

    def _start(self, response: Json, events: list[AnyEvent]) -> None:
        if self._started:
            return
        self._started = True
        body = {key: value for key, value in response.items() if key not in ("output", "status", "usage")}
        start = Start()
        start.id, start.model, start.created = take_head(body)
        start.extras = take_extras(body)
        events.append(start)

    def _finish(self, response: Json, events: list[AnyEvent]) -> None:
        body = dict(response)
        error = take_failure(body)
        output = as_array(body.pop("output", None))
        for place in list(self._items):
            whole = as_obj(output[place]) if 0 <= place < len(output) else {}
            self._item_done(place, whole if whole.get("type") == self._items[place].kind else self._items[place].data, events)
        if not self._seen:
            turn = Turn("output")
            for i, item in enumerate(output):
                d = obj(item, f"output[{i}]")
                turn.read(d, text(d.get("type"), f"output[{i}].type"), i)
            for part in turn.end():
                self._part(part, events)
        self._close_pending(events)
        end = ChoiceEnd(finish=take_finish(body, [], error))
        if end.finish is not None and end.finish.reason == "stop" and self._called:
            end.finish.reason = "tool_calls"
        take_head(body)
        usage = body.pop("usage", None)
        end.extras = {NAME: {"~service_tier": body.get("service_tier"), **take_extras(body)[NAME]}}
        self._done = True
        events += [end, End(usage=None if usage is None else parse_usage(usage))]

    def _unsaid_end(self) -> list[AnyEvent]:
        """A mark of the older API, from servers that tell no final response."""
        events: list[AnyEvent] = []
        for place in list(self._items):
            self._item_done(place, self._items[place].data, events)
        self._close_pending(events)
        self._done = True
        if not self._started:
            return [Failure(status=502, kind="bad_gateway", message="The provider's stream ended before its answer did.")]
        return [*events, ChoiceEnd(), End()]

    def _close_pending(self, events: list[AnyEvent]) -> None:
        if self._pending is not None:
            self._part(Text(), events)

    # Items

    def _item_added(self, d: Json, events: list[AnyEvent]) -> None:
        place, data = _place(d), obj(d.get("item"), "item")
        kind = text(data.get("type"), "item.type")
        if place in self._items:
            self._item_done(place, self._items[place].data, events)
        item = self._items[place] = _Item(kind, data)
        self._seen += 1
        match kind:
            case "message":
                for k, content in enumerate(as_array(data.get("content"))):
                    self._rest({"output_index": place, "content_index": k}, obj(content, "item.content"), events)
            case "function_call" | "custom_tool_call":
                if data.get("name") and data.get("call_id"):
                    self._open_call(item, events)
            case "reasoning":
                pass
            case _:
                events.append(OpaqueEvent(origin=NAME, data={key: value for key, value in d.items() if key != "sequence_number"}))

    def _item(self, d: Json, kind: str) -> _Item:
        """The item that an event is of; one that was never added begins here."""
        place = _place(d)
        item = self._items.get(place)
        if item is None or item.kind != kind and kind == "message":
            item = self._items[place] = _Item(kind, {"type": kind, "id": d.get("item_id")})
            self._seen += 1
        return item

    def _item_done(self, place: int, data: Json, events: list[AnyEvent]) -> None:
        kind = text(data.get("type"), "item.type")
        item = self._items.pop(place, None)
        if item is None or item.kind != kind:
            item = _Item(kind, data)
            self._seen += 1
        match kind:
            case "message":
                self._message_done(place, item, data, events)
            case "reasoning":
                self._reasoning_done(item, data, events)
            case "function_call" | "custom_tool_call":
                self._call_done(item, data, events)
            case _:
                self._part(Opaque(origin=NAME, data=data), events)

    def _open(self, part: AnyPart, events: list[AnyEvent]) -> int:
        if self._pending is not None:
            part.signature, self._pending = part.signature or self._pending, None
        events.append(PartStart(index=self._count, part=part))
        self._count += 1
        return self._count - 1

    def _part(self, part: AnyPart, events: list[AnyEvent]) -> None:
        """A whole part."""
        self._called = self._called or isinstance(part, ToolCall)
        events.append(PartEnd(index=self._open(part, events)))

    # Messages

    def _message_done(self, place: int, item: _Item, data: Json, events: list[AnyEvent]) -> None:
        self._items[place] = item
        content = as_array(data.get("content"))
        for k, said in enumerate(content):
            self._rest({"output_index": place, "content_index": k}, obj(said, "item.content"), events)
        for piece in item.pieces.values():
            self._end_piece(piece, events)
        del self._items[place]
        if not item.pieces:
            self._part(Opaque(origin=NAME, data=data), events)

    def _piece(self, d: Json, refusal: bool, events: list[AnyEvent]) -> _Piece:
        item, k = self._item(d, "message"), integer(d.get("content_index") or 0, "content_index")
        piece = item.pieces.get(k)
        if piece is None:
            part = Text(refusal=refusal)
            if not item.pieces:
                head: Json = {"~item": {key: item.data[key] for key in ("type", "role", "id") if item.data.get(key) is not None}}
                if (phase := item.data.get("phase")) is not None:
                    head["item.phase"] = phase
                part.extras = {NAME: head}
            piece = item.pieces[k] = _Piece(self._open(part, events))
        return piece

    def _part_added(self, d: Json, events: list[AnyEvent]) -> None:
        part = obj(d.get("part"), "part")
        kind = part.get("type")
        if kind in ("output_text", "refusal"):
            piece = self._piece(d, kind == "refusal", events)
            if words := as_text(part.get("refusal" if kind == "refusal" else "text")):
                self._say(piece, words, events)
        elif kind != "reasoning_text":
            events.append(OpaqueEvent(origin=NAME, data={key: value for key, value in d.items() if key != "sequence_number"}))

    def _text(self, d: Json, refusal: bool, events: list[AnyEvent]) -> None:
        piece = self._piece(d, refusal, events)
        words, logprobs = _said(d, "delta"), d.get("logprobs")
        if not piece.open or not (words or logprobs):
            return
        event = PartDelta(index=piece.index, text=words)
        if logprobs:
            event.logprobs = parse_logprobs(logprobs, "logprobs")
            piece.rated = True
        piece.said = piece.said or bool(words)
        events.append(event)

    def _say(self, piece: _Piece, words: str, events: list[AnyEvent]) -> None:
        piece.said = True
        events.append(PartDelta(index=piece.index, text=words))

    def _rest(self, d: Json, part: Json, events: list[AnyEvent]) -> _Piece:
        """Tells what a whole content part says and no delta has told."""
        refusal = "refusal" in part
        piece = self._piece(d, refusal, events)
        if not piece.open:
            return piece
        words = as_text(part.get("refusal" if refusal else "text"))
        if words and not piece.said:
            self._say(piece, words, events)
        for citation in as_array(part.get("annotations"))[piece.cited :]:
            piece.cited += 1
            events.append(PartDelta(index=piece.index, citation=parse_annotation(obj(citation, "annotations"), "annotations")))
        if (logprobs := as_array(part.get("logprobs"))) and not piece.rated:
            piece.rated = True
            events.append(PartDelta(index=piece.index, logprobs=parse_logprobs(logprobs, "logprobs")))
        return piece

    def _annotation(self, d: Json, events: list[AnyEvent]) -> None:
        piece = self._piece(d, False, events)
        if d.get("annotation") is not None and piece.open:
            piece.cited += 1
            citation = parse_annotation(obj(d["annotation"], "annotation"), "annotation")
            events.append(PartDelta(index=piece.index, citation=citation))

    def _end_piece(self, piece: _Piece, events: list[AnyEvent]) -> None:
        if piece.open:
            piece.open = False
            events.append(PartEnd(index=piece.index))

    # Calls

    def _call_of(self, d: Json, events: list[AnyEvent]) -> _Item:
        item = self._items.get(_place(d))
        if item is None or item.kind not in ("function_call", "custom_tool_call"):
            raise UpstreamGarbage("arguments of a call that has not begun")
        return item

    def _open_call(self, item: _Item, events: list[AnyEvent]) -> None:
        data = {key: value for key, value in item.data.items() if value is not None}
        data |= {"call_id": data.get("call_id") or data.get("id") or "", "name": data.get("name") or ""}
        item.custom = item.kind == "custom_tool_call"
        call = take_call({**data, "input": None, "arguments": None}, "item")
        call.arguments = ""
        mine: Json = {"~item": {"id": data["id"]}} if "id" in data else {}
        if item.custom and "id" in data and "status" in data:
            mine["~item"]["status"] = "completed"
        known = ("id", "type", "status", "call_id", "name", "namespace", "input", "arguments")
        keep(call, NAME, mine | {key: value for key, value in data.items() if key not in known})
        self._called = True
        item.index = self._open(call, events)

    def _more(self, item: _Item, words: str, events: list[AnyEvent]) -> None:
        if item.index is None or not words:
            return
        if item.custom:
            words = ("" if item.said else OPENING) + in_string(words)
        item.said = True
        events.append(PartDelta(index=item.index, text=words))

    def _whole(self, item: _Item, words: str, events: list[AnyEvent]) -> None:
        if not item.said:
            self._more(item, words, events)

    def _call_done(self, item: _Item, data: Json, events: list[AnyEvent]) -> None:
        if item.index is None:
            item.data = data
            self._open_call(item, events)
        self._whole(item, as_text(data.get("input" if item.custom else "arguments")) or "", events)
        assert item.index is not None
        if item.custom:
            events.append(PartDelta(index=item.index, text=CLOSING if item.said else OPENING + CLOSING))
        events.append(PartEnd(index=item.index))

    # Reasoning

    def _thought(self, d: Json, summary: bool, events: list[AnyEvent]) -> None:
        item, words = self._item(d, "reasoning"), _said(d, "delta")
        if item.kind != "reasoning" or not words:
            return
        if item.index is None:
            self._open_reasoning(item, summary, events)
        assert item.index is not None
        if item.said and _section(d) != item.section:
            events.append(PartDelta(index=item.index, text=BREAK, extras={NAME: {"~section": True}}))
        item.said, item.section = True, _section(d)
        events.append(PartDelta(index=item.index, text=words))

    def _open_reasoning(self, item: _Item, summary: bool, events: list[AnyEvent]) -> None:
        mine: Json = {"~item": {"id": item.data["id"]} if item.data.get("id") is not None else {}}
        if not summary:
            mine["~told"] = "content"
        item.index = self._open(Thinking(extras={NAME: mine}), events)

    def _reasoning_done(self, item: _Item, data: Json, events: list[AnyEvent]) -> None:
        sealed = data.get("encrypted_content")
        carried = unseal(sealed) if type(sealed) is str else None
        if item.index is None:
            if isinstance(carried, Signature):
                self._pending = carried
            else:
                self._part(carried if carried is not None else parse_reasoning(data, "item"), events)
            return
        signature = carried if isinstance(carried, Signature) else carried.signature if carried is not None else None
        if carried is None and type(sealed) is str:
            signature = Signature(NAME, sealed)
        if signature is not None:
            events.append(PartDelta(index=item.index, signature=signature))
        events.append(PartEnd(index=item.index))


def _place(d: Json) -> int:
    return integer(d.get("output_index") or 0, "output_index")


def _section(d: Json) -> int:
    return integer(d.get("summary_index" if "summary_index" in d else "content_index") or 0, "summary_index")


def _said(d: Json, field: str) -> str:
    value: Any = d.get(field)
    return "" if value is None else text(value, field)
