"""A response told in events, written: the whole lifecycle, numbered from 0, whatever the backend left out of its own.

Each part is an item of its own, but texts that follow one another share a message. Parts may be under way at once: every
event names its item. A text begins with its first word and reasoning likewise, since till then either may turn out to be
but a seal.
Source: types.responses.response_stream_event and the events it names.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlingua.framing import Out
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
    Start,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    UsageSoFar,
)
from interlingua.protocols import Lose
from interlingua.protocols.openai_common import FreeText
from interlingua.protocols.openai_errors import error_of
from interlingua.protocols.responses.items import must_seal, reasoning_item, sealed_item
from interlingua.protocols.responses.names import NAME, VENDOR, answer_id, item_id
from interlingua.protocols.responses.parts import Spot, format_annotation, format_logprob
from interlingua.protocols.responses.response import (
    SEALED,
    answer_call,
    format_extras,
    format_status,
    format_usage,
    head_of,
    sealed_thinking,
)
from interlingua.protocols.responses.tools import Spelling, spellings
from interlingua.protocols.wire import as_obj, as_text, encode_json, foreign, is_json_object, note

_ENDS: Final = {"incomplete": "response.incomplete", "failed": "response.failed"}
_WORDS: Final = "response.output_text.delta"
_ARGUMENTS: Final = "response.function_call_arguments.delta"
_DELTA: Final = b'{"type":"response.output_text.delta","item_id":%b,"output_index":%d,"content_index":%d,"logprobs":[],"delta":'


class _Message(Struct):
    """A message under way: its item, and how many of its texts are still open. `over`: no more texts will come."""

    index: int
    item: Json
    open: int = 0
    over: bool = False


class _Shown(Struct):
    """A part under way, and where it is on the wire once it has begun."""

    part: AnyPart
    place: int
    index: int | None = None  # of its item; None until it is shown
    id: str = ""
    message: _Message | None = None
    content: int = 0  # place in its message's content
    head: bytes = b""  # of its common delta, encoded once
    kind: str = _WORDS  # the name of that event
    words: list[str] = []
    sections: list[list[str]] = []  # of reasoning
    annotations: list[Json] = []
    waiting: list[Citation] = []  # those of all of a text, whose end is known at its end
    logprobs: list[Json] = []
    signed: bool = False  # its signature has been told
    free: FreeText | None = None  # of a custom tool's call


class Formatter:
    """Events in, events out."""

    def __init__(self, asked: Request, lose: Lose) -> None:
        self._asked, self._lose = asked, lose
        self._spot = Spot(lose)
        self._next = 0  # the sequence number of the next event
        self._id = answer_id("")
        self._head: Json = {}
        self._echo: Json = {}
        self._items: list[Json | None] = []  # finished, by output index
        self._shown: dict[int, _Shown] = {}
        self._message: _Message | None = None  # the last item, where it is a message
        self._places: dict[str, int] = {}  # output index by id, of items shown before they are parts
        self._known: dict[str, Spelling] | None = None
        self._others: set[int] = set()  # choices but the first
        self._started = False
        self._status: Json | None = None
        self._usage: Usage | None = None

    def feed(self, events: list[AnyEvent]) -> list[Out]:
        out: list[Out] = []
        parts, number = self._shown, self._next
        for event in events:
            if (
                type(event) is PartDelta
                and not event.choice
                and (shown := parts.get(event.index)) is not None
                and shown.head
                and not (event.logprobs or event.citation or event.signature)
            ):  # the common delta
                words = event.text
                shown.words.append(words)
                out.append(Out(shown.head + encode_json(words) + _numbered(number), shown.kind))
                number += 1
            else:
                self._next = number
                self._event(event, out)
                number = self._next
        self._next = number
        return out

    def _event(self, event: AnyEvent, out: list[Out]) -> None:
        match event:
            case Start():
                self._start(event, out)
            case End():
                self._end(event, out)
            case UsageSoFar():
                self._usage = event.usage
            case Failure():
                self._fail(event, out)
            case _ if event.choice:
                if event.choice not in self._others:
                    self._others.add(event.choice)
                    self._lose(f"response.choices[{event.choice}]", "dropped", "a response answers once")
            case PartDelta():
                if (shown := self._shown.get(event.index)) is not None:
                    self._delta(event, shown, out)
            case PartStart():
                self._start_part(event, out)
            case PartEnd():
                if (shown := self._shown.get(event.index)) is not None and not _torn(shown):
                    self._end_part(self._shown.pop(event.index), out)
            case ChoiceEnd():
                self._finish(event, out)
            case OpaqueEvent():
                self._opaque_event(event, out)

    # Events

    def _emit(self, out: list[Out], kind: str, /, **fields: Any) -> None:
        out.append(Out({"type": kind, "sequence_number": self._next, **fields}, kind))
        self._next += 1

    def _spliced(self, kind: str, head: bytes, value: bytes) -> Out:
        """An event whose last field but its number is `value`."""
        self._next += 1
        return Out(head + value + _numbered(self._next - 1), kind)

    def _lifecycle(self, kind: str, status: Json, usage: Json | None, out: list[Out]) -> None:
        items = [item for item in self._items if item is not None]
        response: Json = {**self._head, **self._echo, **status, "output": items, "usage": usage}
        self._emit(out, kind, response=response)

    def _start(self, event: Start, out: list[Out]) -> None:
        if self._started:
            return
        self._started = True
        self._id = answer_id(event.id)
        self._head = head_of(self._id, event.created, event.model)
        self._echo = format_extras(event.extras, self._asked, self._lose)
        self._usage = event.usage
        status: Json = {"status": "in_progress", "error": None, "incomplete_details": None}
        if "completed_at" in self._echo:
            status["completed_at"] = None
        whole = encode_json({**self._head, **self._echo, **status, "output": [], "usage": None})
        for kind in ("response.created", "response.in_progress"):
            out.append(self._spliced(kind, b'{"type":"%b","response":' % kind.encode(), whole))

    def _finish(self, event: ChoiceEnd, out: list[Out]) -> None:
        self._begin(out)
        self._status = format_status(event.finish, self._lose)
        cut = self._status["status"] == "incomplete"
        for index in list(self._shown):
            self._end_part(shown := self._shown.pop(index), out, cut and shown.index == len(self._items) - 1)
        self._close_message(out, cut)
        if event.logprobs:
            self._lose("response.choices[0].logprobs", "dropped", "their text was told without them")
        if not event.extras:
            return
        foreign(event, NAME, "response.choices[0]", self._lose)
        mine = event.extras.get(NAME, {})
        self._echo |= mine.get("~echo", {})
        if mine.get("~service_tier") is not None:
            self._echo["service_tier"] = mine["~service_tier"]
        self._echo |= {key: value for key, value in mine.items() if key[:1] != "~"}

    def _end(self, event: End, out: list[Out]) -> None:
        if self._status is None:
            self._finish(ChoiceEnd(), out)
        status = self._status or {}
        usage = format_usage(event.usage or self._usage, self._lose)
        self._lifecycle(_ENDS.get(status["status"], "response.completed"), status, usage, out)

    def _fail(self, failure: Failure, out: list[Out]) -> None:
        """The stream's own error event, and the response as far as it came."""
        self._begin(out)
        error = as_obj(failure.extras.get(VENDOR, {}).get("error")) or error_of(failure)
        told: Json = {key: error.get(key) for key in ("code", "message", "param")}
        self._emit(out, "error", **told)
        code = as_text(told["code"]) or "server_error"
        status: Json = {"status": "failed", "error": {"code": code, "message": failure.message}, "incomplete_details": None}
        self._lifecycle("response.failed", status, None, out)

    def _begin(self, out: list[Out]) -> None:
        if not self._started:
            self._start(Start(), out)

    def _opaque_event(self, event: OpaqueEvent, out: list[Out]) -> None:
        if event.origin != NAME:
            self._lose("response.stream", "dropped", f"an event that only {event.origin} has")
            return
        data = dict(event.data)
        kind = as_text(data.pop("type", None)) or "response.unknown"
        if kind == "response.output_item.added":
            id_ = as_text(as_obj(data.get("item")).get("id")) or ""
            self._places[id_] = data["output_index"] = self._new_index(out)
        elif (place := self._places.get(as_text(data.get("item_id")) or "")) is not None:
            data["output_index"] = place
        self._emit(out, kind, **data)

    # Parts

    def _new_index(self, out: list[Out]) -> int:
        """The place of an item that begins now. A message that has no text open is over then."""
        self._close_message(out)
        self._items.append(None)
        return len(self._items) - 1

    def _close_message(self, out: list[Out], cut: bool = False) -> None:
        message, self._message = self._message, None
        if message is not None:
            message.over = True
            if cut:
                message.item["status"] = "incomplete"
            if not message.open:
                self._end_message(message, out)

    def _end_message(self, message: _Message, out: list[Out]) -> None:
        item = message.item
        if item["status"] == "in_progress":
            item["status"] = "completed"
        self._items[message.index] = item
        self._emit(out, "response.output_item.done", output_index=message.index, item=item)

    def _whole(self, item: Json, out: list[Out], kind: str = "rs", index: int | None = None) -> None:
        """An item told at once."""
        if index is None:
            index = self._new_index(out)
            item = item if "id" in item else {"id": item_id(kind, self._id, index), **item}
            self._emit(out, "response.output_item.added", output_index=index, item=item)
        self._items[index] = item
        self._emit(out, "response.output_item.done", output_index=index, item=item)

    def _start_part(self, event: PartStart, out: list[Out]) -> None:
        self._begin(out)
        part = msgspec.structs.replace(event.part)
        shown = self._shown[event.index] = _Shown(part, event.index)
        words = ""
        match part:
            case Text():
                words, part.text = part.text, ""
                for citation in part.citations:
                    self._delta(PartDelta(index=event.index, citation=citation), shown, out)
            case Thinking():
                words, part.text = part.text, ""
            case ToolCall():
                words, part.arguments = part.arguments, ""
                self._show_call(part, shown, out)
            case Media():
                words, part.data = part.data or "", None if part.data is None else ""
            case _:
                pass
        if words:
            self._delta(PartDelta(index=event.index, text=words), shown, out)

    def _delta(self, event: PartDelta, shown: _Shown, out: list[Out]) -> None:
        part = shown.part
        if event.signature is not None:
            if shown.index is not None and isinstance(part, ToolCall):
                self._spot.j = shown.place
                self._spot.drop("it came after its call was shown", ".signature")
            part.signature = event.signature
        match part:
            case Text():
                self._text_delta(event, part, shown, out)
            case Thinking():
                if event.text:
                    self._thought(event, part, shown, out)
            case ToolCall():
                if event.text:
                    shown.words.append(event.text)
                    if shown.head:
                        out.append(self._spliced(shown.kind, shown.head, encode_json(event.text)))
                    elif shown.free is not None:
                        self._say_free(shown, shown.free.feed(event.text), out)
            case _:
                shown.words.append(event.text)

    def _end_part(self, shown: _Shown, out: list[Out], cut: bool = False) -> None:
        part, spot = shown.part, self._spot
        spot.j = shown.place
        match part:
            case Text():
                self._end_text(part, shown, out)
            case Thinking():
                self._end_thinking(part, shown, out)
            case ToolCall():
                self._end_call(part, shown, out, cut)
            case Opaque(origin="responses"):
                self._whole(dict(part.data), out, "item", self._places.get(as_text(part.data.get("id")) or ""))
            case Opaque() | Media() | ToolResult():
                if isinstance(part, Media) and shown.words:
                    part.data = "".join(shown.words)
                self._whole(sealed_item(part), out)
                return spot.change(SEALED)
        if part.extras:
            spot.foreign(part)

    # Text

    def _text_delta(self, event: PartDelta, part: Text, shown: _Shown, out: list[Out]) -> None:
        if not (event.text or event.logprobs or event.citation):
            return
        if shown.index is None:
            self._show_text(part, shown, out)
        where: Json = {"item_id": shown.id, "output_index": shown.index, "content_index": shown.content}
        if event.text or event.logprobs:
            shown.words.append(event.text)
            if part.refusal:
                self._emit(out, "response.refusal.delta", **where, delta=event.text)
            else:
                logprobs = [format_logprob(token) for token in event.logprobs]
                shown.logprobs += logprobs
                self._emit(out, "response.output_text.delta", **where, delta=event.text, logprobs=logprobs)
        if event.citation is not None and event.citation.end is None:
            shown.waiting.append(event.citation)
        elif event.citation is not None:
            self._cite(event.citation, shown, out)

    def _cite(self, citation: Citation, shown: _Shown, out: list[Out]) -> None:
        self._spot.j = shown.place
        annotation = format_annotation(citation, sum(map(len, shown.words)), ".citation", self._spot)
        if annotation is not None:
            where: Json = {"item_id": shown.id, "output_index": shown.index, "content_index": shown.content}
            place = len(shown.annotations)
            shown.annotations.append(annotation)
            self._emit(out, "response.output_text.annotation.added", **where, annotation_index=place, annotation=annotation)

    def _show_text(self, part: Text, shown: _Shown, out: list[Out]) -> None:
        if part.signature is not None:
            self._whole(sealed_item(part.signature), out)
            shown.signed = True
        head: Json | None = note(part, NAME, "~item") if part.extras else None
        message = self._message
        if message is None or head is not None:
            index = self._new_index(out)
            item: Json = {"id": item_id("msg", self._id, index), "type": "message", "role": "assistant", **(head or {})}
            for key, value in (part.extras.get(NAME) or {}).items():
                if key.startswith("item."):
                    item[key.removeprefix("item.")] = value
            item |= {"status": "in_progress", "content": []}
            message = self._message = _Message(index, item)
            self._emit(out, "response.output_item.added", output_index=index, item={**item, "content": []})
        message.open += 1
        shown.message, shown.index, shown.id = message, message.index, message.item["id"]
        shown.content = len(message.item["content"])
        message.item["content"].append(_content(part, "", [], []))
        self._content_part("response.content_part.added", shown, out)
        if not part.refusal:
            shown.head = _DELTA % (encode_json(shown.id), message.index, shown.content)

    def _content_part(self, kind: str, shown: _Shown, out: list[Out]) -> None:
        assert shown.message is not None
        part = dict(shown.message.item["content"][shown.content])
        place: Json = {"item_id": shown.id, "output_index": shown.index, "content_index": shown.content}
        self._emit(out, kind, **place, part=part)

    def _end_text(self, part: Text, shown: _Shown, out: list[Out]) -> None:
        if shown.index is None:
            if part.signature is not None:
                self._whole(sealed_item(part), out)
                return
            self._show_text(part, shown, out)
        for citation in shown.waiting:
            self._cite(citation, shown, out)
        message = shown.message
        assert message is not None
        content = _content(part, "".join(shown.words), shown.annotations, shown.logprobs)
        message.item["content"][shown.content] = content
        place: Json = {"item_id": shown.id, "output_index": shown.index, "content_index": shown.content}
        if part.refusal:
            self._emit(out, "response.refusal.done", **place, refusal=content["refusal"])
        else:
            self._emit(out, "response.output_text.done", **place, text=content["text"], logprobs=shown.logprobs)
        self._content_part("response.content_part.done", shown, out)
        message.open -= 1
        if message.over and not message.open:
            self._end_message(message, out)
        if part.signature is not None and not shown.signed:
            self._whole(sealed_item(Text(signature=part.signature)), out)

    # Reasoning

    def _thought(self, event: PartDelta, part: Thinking, shown: _Shown, out: list[Out]) -> None:
        if part.redacted:
            shown.words.append(event.text)
            return
        content = "~told" in part.extras.get(NAME, {}) if part.extras else False
        if shown.index is None:
            shown.index = self._new_index(out)
            own: Json = note(part, NAME, "~item") or {}
            item: Json = {"id": item_id("rs", self._id, shown.index), "type": "reasoning", "summary": [], **own}
            shown.id = item["id"]
            self._emit(out, "response.output_item.added", output_index=shown.index, item=item)
            self._open_section(shown, content, out)
        elif event.extras and note(event, NAME, "~section"):
            self._close_section(shown, content, out)
            self._open_section(shown, content, out)
            shown.words.append(event.text)  # the break itself, which sections say by being two
            return
        shown.words.append(event.text)
        shown.sections[-1].append(event.text)
        kind = "response.reasoning_text.delta" if content else "response.reasoning_summary_text.delta"
        self._emit(out, kind, **self._section(shown, content), delta=event.text)

    def _section(self, shown: _Shown, content: bool) -> Json:
        number = "content_index" if content else "summary_index"
        return {"item_id": shown.id, "output_index": shown.index, number: len(shown.sections) - 1}

    def _open_section(self, shown: _Shown, content: bool, out: list[Out]) -> None:
        shown.sections.append([])
        part: Json = {"type": "reasoning_text" if content else "summary_text", "text": ""}
        kind = "response.content_part.added" if content else "response.reasoning_summary_part.added"
        self._emit(out, kind, **self._section(shown, content), part=part)

    def _close_section(self, shown: _Shown, content: bool, out: list[Out]) -> None:
        place, words = self._section(shown, content), "".join(shown.sections[-1])
        part: Json = {"type": "reasoning_text" if content else "summary_text", "text": words}
        self._emit(
            out, "response.reasoning_text.done" if content else "response.reasoning_summary_text.done", **place, text=words
        )
        self._emit(out, "response.content_part.done" if content else "response.reasoning_summary_part.done", **place, part=part)

    def _end_thinking(self, part: Thinking, shown: _Shown, out: list[Out]) -> None:
        part.text = "".join(shown.words)
        item = sealed_thinking(part) if must_seal(part) else reasoning_item(part)
        if shown.index is None:
            self._whole(item, out)
            return
        content = "~told" in part.extras.get(NAME, {}) if part.extras else False
        self._close_section(shown, content, out)
        kind = "reasoning_text" if content else "summary_text"
        sections: list[Json] = [{"type": kind, "text": "".join(words)} for words in shown.sections]
        item = {"id": shown.id, **item, "content" if content else "summary": sections}
        self._items[shown.index] = item
        self._emit(out, "response.output_item.done", output_index=shown.index, item=item)

    # Calls

    def _show_call(self, call: ToolCall, shown: _Shown, out: list[Out]) -> None:
        if call.signature is not None:
            self._whole(sealed_item(call.signature), out)
        if self._known is None:
            self._known = spellings(self._asked)
        index = shown.index = self._new_index(out)
        item = answer_call(call, self._known, self._id, index)
        shown.id = item["id"]
        item["input" if item["type"] == "custom_tool_call" else "arguments"] = ""
        if "status" in item:
            item["status"] = "in_progress"
        if item["type"] == "function_call":
            shown.kind = _ARGUMENTS
            head: Json = {"type": _ARGUMENTS, "item_id": shown.id, "output_index": index}
            shown.head = encode_json(head)[:-1] + b',"delta":'
        else:
            shown.free = FreeText()
        self._emit(out, "response.output_item.added", output_index=index, item=item)

    def _say_free(self, shown: _Shown, words: str, out: list[Out]) -> None:
        if words:
            self._emit(out, "response.custom_tool_call_input.delta", item_id=shown.id, output_index=shown.index, delta=words)

    def _end_call(self, call: ToolCall, shown: _Shown, out: list[Out], cut: bool) -> None:
        call.arguments = "".join(shown.words)
        index = shown.index
        assert index is not None
        item = answer_call(call, self._known or {}, self._id, index, cut)
        custom = shown.free is not None
        field = "input" if custom else "arguments"
        kind = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        place: Json = {"item_id": shown.id, "output_index": index}
        if shown.free is not None:
            self._say_free(shown, shown.free.end(), out)
        elif not call.arguments and item[field]:
            self._emit(out, f"{kind}.delta", **place, delta=item[field])
        self._emit(out, f"{kind}.done", **place, **{field: item[field]})
        self._items[index] = item
        self._emit(out, "response.output_item.done", output_index=index, item=item)


@lru_cache(maxsize=1024)
def _numbered(number: int) -> bytes:
    """The end of an event."""
    return b',"sequence_number":%d}' % number


def _torn(shown: _Shown) -> bool:
    """Whether only the end of the answer tells if this call was cut short."""
    return shown.kind is _ARGUMENTS and not is_json_object("".join(shown.words))


def _content(part: Text, words: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    if part.refusal:
        return {"type": "refusal", "refusal": words}
    return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": words}
