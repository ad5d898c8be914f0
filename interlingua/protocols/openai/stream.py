"""A chat completion told in chunks. Source: types.chat.ChatCompletionChunk; the stream ends with `data: [DONE]`.

Deltas of several tool calls may interleave, and nothing says when one is done: a call is closed when the next begins
and its arguments are a whole JSON object, the others at the end.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

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
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
    UsageSoFar,
)
from interlingua.protocols import Lose
from interlingua.protocols.openai.names import NAME, is_call
from interlingua.protocols.openai.parts import carried_slot, custom_names, parse_call, parse_carried, signature_slot
from interlingua.protocols.openai.response import (
    format_annotation,
    format_finish,
    format_logprob,
    format_usage,
    is_googles,
    must_carry,
    parse_annotation,
    parse_audio,
    parse_finish,
    parse_usage,
    shift_annotations,
    take_logprobs,
)
from interlingua.protocols.openai_common import CLOSING, OPENING, FreeText, in_string, told_custom
from interlingua.protocols.openai_errors import failure_of, format_error
from interlingua.protocols.wire import (
    as_array,
    as_count,
    as_obj,
    as_text,
    decode_json,
    encode_json,
    foreign,
    is_json_object,
    keep,
    merge,
    note,
    obj,
)

_DONE: Final = b"[DONE]"
_PLAIN: Final = frozenset({"role", "content"})
_CHUNK: Final = frozenset({"id", "object", "created", "model", "choices", "usage"})


class _Words(Struct, gc=False, forbid_unknown_fields=True):
    content: str


class _Choice(Struct, gc=False, forbid_unknown_fields=True):
    index: int
    delta: _Words
    finish_reason: None = None
    logprobs: None = None


class _Common(Struct, gc=False, forbid_unknown_fields=True):
    """The chunk that nearly all are: some words of one choice and nothing else. Read typed, at a third of the cost."""

    id: str
    object: str
    created: int
    model: str
    choices: tuple[_Choice]
    service_tier: str | None = None
    system_fingerprint: str | None = None
    usage: None = None


_decode_common: Final = msgspec.json.Decoder(_Common).decode
_UNCOMMON: Final = 8  # chunks in a row that were no common ones, after which none is tried


class _Open:
    """One choice under way: which parts are open, and the arguments so far of its calls."""

    __slots__ = ("arguments", "calls", "count", "custom", "ended", "words")

    def __init__(self) -> None:
        self.count = 0
        self.words: tuple[str, int] | None = None  # the open part of words: its field and index
        self.calls: dict[int, int] = {}  # the wire's index of a call -> the part's
        self.arguments: dict[int, list[str]] = {}  # of the open calls
        self.custom: set[int] = set()  # those of custom tools
        self.ended = False


class Parser:
    """Chunks in, events out."""

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._base: Json = {}
        self._early: Json = {}  # what Azure's first chunk says of the prompt, before there is an answer with an id
        self._choices: dict[int, _Open] = {}
        self._usage: Usage | None = None
        self._uncommon = 0
        self._tier: tuple[str | None, str | None] = None, None

    def feed(self, frame: Frame) -> list[AnyEvent]:
        if self._done:
            return []
        if frame.data == _DONE:
            return self._end()
        if self._started and self._uncommon < _UNCOMMON:
            try:
                chunk = _decode_common(frame.data)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                self._uncommon += 1
            else:
                event = self._common(chunk)
                if event is not None:
                    self._uncommon = 0
                    return [event]
        try:
            chunk = decode_json(frame.data)
            return self._chunk(obj(chunk, "chunk"))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InterlinguaError) as error:
            raise UpstreamGarbage(f"The provider's stream holds what is no chat completion chunk: {error}") from None

    def _common(self, chunk: _Common) -> AnyEvent | None:
        """The one event of a common chunk, or None where it opens a part or says something new of the whole."""
        said = chunk.choices[0]
        choice = self._choices.get(said.index)
        if choice is None or choice.words is None or choice.words[0] != "content" or not said.delta.content:
            return None
        if chunk.service_tier != self._tier[0] or chunk.system_fingerprint != self._tier[1]:
            return None
        return PartDelta(choice=said.index, index=choice.words[1], text=said.delta.content)

    def close(self) -> list[AnyEvent]:
        """Some servers of this dialect end without [DONE]: a finish reason is mark enough."""
        if self._done:
            return []
        if self._choices and all(choice.ended for choice in self._choices.values()):
            return self._end()
        self._done = True
        return [Failure(status=502, kind="bad_gateway", message="The provider's stream ended before its answer did.")]

    def _end(self) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for index, choice in self._choices.items():
            if not choice.ended:
                events += self._finish(index, choice, None, {})
        self._done = True
        events.append(End(usage=self._usage))
        return events

    def _chunk(self, chunk: Json) -> list[AnyEvent]:
        if "error" in chunk and "choices" not in chunk:
            self._done = True
            error = as_obj(chunk["error"])
            status = error.get("status_code") or error.get("code")
            return [failure_of(status if type(status) is int and 400 <= status < 600 else None, chunk)]
        if (usage := chunk.get("usage")) is not None:
            self._usage = parse_usage(usage)
        events: list[AnyEvent] = []
        rest = {key: value for key, value in chunk.items() if key not in _CHUNK and value is not None}
        if not self._started and not chunk.get("id") and chunk.get("choices") == []:
            self._early = rest
            return []
        if not self._started:
            self._started = True
            self._base = {key: value for key, value in rest.items() if key != "obfuscation"}
            id_, model = as_text(chunk.get("id")) or "", as_text(chunk.get("model")) or ""
            start = Start(id=id_, model=model, created=as_count(chunk.get("created")) or 0)
            keep(start, NAME, self._base)
            events.append(start)
            if self._early:
                events.append(OpaqueEvent(origin=NAME, data=self._early))
            self._tier = rest.get("service_tier"), rest.get("system_fingerprint")
        for item in as_array(chunk.get("choices")):
            self._choice(obj(item, "choices"), events)
        if rest != self._base:
            self._extra(rest, events)
        return events

    def _extra(self, rest: Json, events: list[AnyEvent]) -> None:
        """What this chunk alone says beside its choices, on its first event or on one of its own."""
        padding = rest.pop("obfuscation", None)
        news = {key: value for key, value in rest.items() if self._base.get(key) != value}
        if padding is not None:
            news["~obfuscation"] = padding
        if not news:
            return
        self._base = {**self._base, **{key: value for key, value in news.items() if key[0] != "~"}}
        if events:
            keep(events[0], NAME, news)
        elif len(news) > (padding is not None):
            events.append(OpaqueEvent(origin=NAME, data={key: value for key, value in news.items() if key[0] != "~"}))

    def _choice(self, d: Json, events: list[AnyEvent]) -> None:
        index = as_count(d.get("index")) or 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Open()
        delta, extra = as_obj(d.get("delta")), dict[str, Any]()
        logprobs = take_logprobs(d["logprobs"], extra) if d.get("logprobs") is not None else []
        if type(words := delta.get("content")) is str and (words or logprobs) and delta.keys() <= _PLAIN:
            self._words(index, choice, "content", words, events)  # the common chunk
        elif delta:
            self._delta(index, choice, dict(delta), events)
        if logprobs and events and isinstance(events[-1], PartDelta):
            events[-1].logprobs, logprobs = logprobs, []
        if (finish := d.get("finish_reason")) is not None and not choice.ended:
            rest = {k: v for k, v in d.items() if k not in ("index", "delta", "logprobs", "finish_reason") and v is not None}
            events += self._finish(index, choice, finish, {**rest, **extra})
            if logprobs and isinstance(end := events[-1], ChoiceEnd):
                end.logprobs = logprobs

    def _words(self, index: int, choice: _Open, field: str, words: str, events: list[AnyEvent]) -> None:
        if choice.words is None or choice.words[0] != field:
            self._close_words(index, choice, events)
            part: AnyPart = Thinking() if field in ("reasoning_content", "reasoning") else Text(refusal=field == "refusal")
            if isinstance(part, Thinking):
                part.extras = {NAME: {"~field": field}}
            choice.words = field, self._open(index, choice, part, events)
        events.append(PartDelta(choice=index, index=choice.words[1], text=words))

    def _delta(self, index: int, choice: _Open, delta: Json, events: list[AnyEvent]) -> None:
        delta.pop("role", None)
        for place, value in parse_carried(delta).items():
            self._carried(index, choice, place, value, events)
        for field in ("reasoning_content", "reasoning", "content", "refusal"):
            words = delta.pop(field, None)
            if type(words) is str and words:
                self._words(index, choice, field, words, events)
        if (audio := delta.pop("audio", None)) is not None:
            self._audio(index, choice, parse_audio(dict(obj(audio, "delta.audio"))), events)
        for annotation in as_array(delta.pop("annotations", None)):
            if choice.words is not None:
                citation = parse_annotation(_unnumbered(obj(annotation, "delta.annotations")))
                events.append(PartDelta(choice=index, index=choice.words[1], citation=citation))
        for call in as_array(delta.pop("tool_calls", None)):
            self._call(index, choice, dict(obj(call, "delta.tool_calls")), events)
        if delta := {key: value for key, value in delta.items() if value is not None}:
            events.append(OpaqueEvent(choice=index, origin=NAME, data={"delta": delta}))

    def _call(self, index: int, choice: _Open, call: Json, events: list[AnyEvent]) -> None:
        place = call.pop("index", None)
        place = place if type(place) is int else len(choice.calls)
        function = as_obj(call.get("function") or call.get("custom"))
        more = as_text(function.get("arguments") or function.get("input")) or ""
        if place not in choice.calls:
            self._close_words(index, choice, events)
            self._close_calls(index, choice, events, only_whole=True)
            part = parse_call(_emptied(call), "delta.tool_calls", require_id=False)
            choice.calls[place] = self._open(index, choice, part, events)
            choice.arguments[place] = []
            if isinstance(part, ToolCall) and told_custom(part, NAME, None):
                part.arguments = ""
                choice.custom.add(place)
        if more:
            if place in choice.custom:
                more = ("" if choice.arguments.get(place) else OPENING) + in_string(more)
            choice.arguments.setdefault(place, []).append(more)
            events.append(PartDelta(choice=index, index=choice.calls[place], text=more))

    def _audio(self, index: int, choice: _Open, piece: Media, events: list[AnyEvent]) -> None:
        words, piece.data = piece.data or "", ""
        if choice.words is None or choice.words[0] != "audio":
            self._close_words(index, choice, events)
            choice.words = "audio", self._open(index, choice, piece, events)
        events.append(PartDelta(choice=index, index=choice.words[1], text=words, extras=piece.extras))

    def _carried(self, index: int, choice: _Open, place: int, value: AnyPart | Signature, events: list[AnyEvent]) -> None:
        if isinstance(value, Signature):
            if place < choice.count:
                events.append(PartDelta(choice=index, index=place, signature=value))
        elif place >= choice.count:
            self._close_words(index, choice, events)
            events.append(PartEnd(choice=index, index=self._open(index, choice, value, events)))
        elif value.signature is not None:
            events.append(PartDelta(choice=index, index=place, signature=value.signature))

    def _open(self, index: int, choice: _Open, part: AnyPart, events: list[AnyEvent]) -> int:
        events.append(PartStart(choice=index, index=choice.count, part=part))
        choice.count += 1
        return choice.count - 1

    def _close_words(self, index: int, choice: _Open, events: list[AnyEvent]) -> None:
        if choice.words is not None:
            events.append(PartEnd(choice=index, index=choice.words[1]))
            choice.words = None

    def _close_calls(self, index: int, choice: _Open, events: list[AnyEvent], only_whole: bool) -> None:
        for place, said in list(choice.arguments.items()):
            if not only_whole or is_json_object("".join(said)):
                if place in choice.custom:
                    closing = CLOSING if said else OPENING + CLOSING
                    events.append(PartDelta(choice=index, index=choice.calls[place], text=closing))
                events.append(PartEnd(choice=index, index=choice.calls[place]))
                del choice.arguments[place]

    def _finish(self, index: int, choice: _Open, word: Any, rest: Json) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        self._close_words(index, choice, events)
        self._close_calls(index, choice, events, only_whole=False)
        end = ChoiceEnd(choice=index, finish=parse_finish(word))
        keep(end, NAME, rest)
        choice.ended = True
        return [*events, end]


def _logprobs(tokens: list[TokenLogprob]) -> Json:
    return {"content": [format_logprob(token) for token in tokens], "refusal": None}


def _unnumbered(annotation: Json) -> Json:
    return {key: value for key, value in annotation.items() if key != "index"}


def _emptied(call: Json) -> Json:
    """A call's first piece without its arguments, which the deltas bring."""
    if custom := as_obj(call.get("custom")):
        return {**call, "custom": {**custom, "input": ""}}
    return {**call, "function": {"name": "", **as_obj(call.get("function")), "arguments": ""}}


class _Said:
    """A text under way."""

    __slots__ = ("count", "head", "start", "waiting")

    def __init__(self, head: bytes, start: int) -> None:
        self.head = head  # what stands before its words in the common chunk
        self.start = start  # characters of the message before it
        self.count = 0  # characters so far
        self.waiting: list[Citation] = []  # those of all of it, whose end is known at its end


class Formatter:
    """Events in, chunks out; the first chunk bears the role, the last the usage where the client asked for it."""

    def __init__(self, asked: Request, lose: Lose) -> None:
        options = as_obj(note(asked, NAME, "~stream_options"))
        self._lose = lose
        self._usage = bool(options.get("include_usage"))
        self._base: Json = {}
        self._tail: Json = {}
        self._head = b""  # of the common chunk, encoded once
        self._foot = b""
        self._said: dict[tuple[int, int], _Said] = {}  # by (choice, part)
        self._calls: dict[tuple[int, int], int] = {}  # (choice, part) -> the wire's index of the call
        self._called: dict[int, int] = {}  # calls so far, by choice
        self._cited: dict[int, int] = {}  # annotations so far, by choice: the SDK adds up only lists that have an index
        self._parts: dict[tuple[int, int], AnyPart] = {}
        self._thought: dict[tuple[int, int], list[str]] = {}
        self._custom = custom_names(asked) if asked.tools else frozenset[str]()
        self._free: dict[tuple[int, int], FreeText] = {}  # the calls of custom tools

    def feed(self, events: list[AnyEvent]) -> list[Out]:
        out: list[Out] = []
        for event in events:
            if type(event) is not PartDelta:
                self._event(event, out)
            elif (
                (said := self._said.get((event.choice, event.index))) is None
                or not (words := event.text)
                or event.citation is not event.signature  # None, both of them
                or event.logprobs
                or event.extras
            ):
                self._delta(event, out)
            else:
                said.count += len(words)
                out.append(Out(said.head + encode_json(words) + self._foot))
        return out

    def _event(self, event: AnyEvent, out: list[Out]) -> None:
        match event:
            case PartDelta():
                self._delta(event, out)
            case PartStart():
                self._start_part(event, out)
            case PartEnd():
                self._end_part(event, out)
            case Start():
                self._start(event)
            case ChoiceEnd():
                self._finish(event, out)
            case UsageSoFar():
                pass
            case OpaqueEvent():
                self._opaque(event, out)
            case End():
                self._end(event, out)
            case Failure():
                out.append(Out(format_error(event)[1]))
        if event.extras and isinstance(event, Start | ChoiceEnd):
            foreign(event, NAME, "response", self._lose)

    def _start(self, event: Start) -> None:
        self._base = {"id": event.id, "object": "chat.completion.chunk", "created": event.created, "model": event.model}
        self._tail = {key: value for key, value in event.extras.get(NAME, {}).items() if key[0] != "~"}
        if self._usage:
            self._tail["usage"] = None
        self._head = encode_json(self._base)[:-1] + b',"choices":[{"index":'
        tail = encode_json(self._tail)[1:-1]
        self._foot = b'},"logprobs":null,"finish_reason":null}]' + (b"," + tail if tail else b"") + b"}"

    def _chunk(self, choice: int, delta: Json, finish: str | None = None, **more: Any) -> Out:
        self._greet(choice, delta)
        entry: Json = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish, **more}
        return Out({**self._base, "choices": [entry], **self._tail})

    def _greet(self, choice: int, delta: Json) -> None:
        """A choice's first delta bears the role."""
        if choice not in self._called:
            self._called[choice] = 0
            delta["role"] = "assistant"
            delta.setdefault("content", None if "tool_calls" in delta else "")

    def _delta(self, event: PartDelta, out: list[Out]) -> None:
        """What is more than words of a text, which `feed` tells by itself."""
        key = event.choice, event.index
        said = self._said.get(key)
        if event.text or event.logprobs:
            self._say(event, self._parts.get(key), out)
        if event.citation is not None:
            if said is not None and event.citation.end is None:
                said.waiting.append(event.citation)
            else:
                self._cite(key, event.citation, out)
        if event.signature is not None and (part := self._parts.get(key)) is not None:
            part.signature = event.signature

    def _cite(self, key: tuple[int, int], citation: Citation, out: list[Out]) -> None:
        annotation = format_annotation(citation, f"response.choices[{key[0]}].parts[{key[1]}].citation", self._lose)
        if annotation is None:
            return
        if key in self._said:
            shift_annotations([annotation], self._said[key].start)
        place = self._cited[key[0]] = self._cited.get(key[0], -1) + 1
        out.append(self._chunk(key[0], {"annotations": [{**annotation, "index": place}]}))

    def _cite_whole(self, key: tuple[int, int], out: list[Out]) -> None:
        """What is said of all of a text, now that it is."""
        said = self._said[key]
        waiting, said.waiting = said.waiting, []
        for citation in waiting:
            self._cite(key, msgspec.structs.replace(citation, end=said.count), out)

    def _say(self, event: PartDelta, part: AnyPart | None, out: list[Out]) -> None:
        key = event.choice, event.index
        match part:
            case Text():
                delta: Json = {"refusal" if part.refusal else "content": event.text}
                if key in self._said:
                    self._said[key].count += len(event.text)
            case Thinking():
                self._thought[key].append(event.text)
                delta = {(part.extras.get(NAME) or {}).get("~field", "reasoning_content"): event.text}
            case ToolCall() if key in self._free:
                return self._say_free(key, self._free[key].feed(event.text), out)
            case ToolCall():
                delta = {"tool_calls": [{"index": self._calls[key], "function": {"arguments": event.text}}]}
            case Media(kind="audio") if NAME in part.extras:
                delta = {"audio": merge({"audio": {"data": event.text}}, event, NAME)["audio"]}
            case _:
                return
        chunk = self._chunk(event.choice, delta)
        if event.logprobs:
            chunk.data["choices"][0]["logprobs"] = _logprobs(event.logprobs)
        out.append(chunk)

    def _start_part(self, event: PartStart, out: list[Out]) -> None:
        key = event.choice, event.index
        part = self._parts[key] = msgspec.structs.replace(event.part)
        match part:
            case Text():
                if event.choice not in self._called:
                    out.append(self._chunk(event.choice, {"content": ""}))
                if not part.refusal:
                    before = sum(said.count for (choice, _), said in self._said.items() if choice == event.choice)
                    self._said[key] = _Said(b'%b%d,"delta":{"content":' % (self._head, event.choice), before)
                for citation in part.citations:
                    self._delta(PartDelta(choice=event.choice, index=event.index, citation=citation), out)
            case Thinking():
                self._thought[key] = []
                if event.choice not in self._called:
                    out.append(self._chunk(event.choice, {"content": ""}))
            case ToolCall() if part.name in self._custom or told_custom(part, NAME, None):
                self._free[key] = FreeText()
                self._start_call(key, {"type": "custom", "custom": {"name": part.name, "input": ""}}, part, out)
            case ToolCall():
                self._start_call(key, {"function": {"name": part.name, "arguments": ""}}, part, out)
            case Opaque() if is_call(part):
                self._start_call(key, part.data, None, out)
            case _:
                pass
        if isinstance(part, Text | Thinking | ToolCall | Media):
            words = (part.data or "") if isinstance(part, Media) else part.arguments if isinstance(part, ToolCall) else part.text
            if words:
                self._delta(PartDelta(choice=event.choice, index=event.index, text=words, extras=part.extras), out)

    def _start_call(self, key: tuple[int, int], said: Json, call: ToolCall | None, out: list[Out]) -> None:
        choice = key[0]
        index = self._calls[key] = self._called.get(choice, 0)
        entry: Json = {"index": index, "type": "function", **said}
        if call is not None:
            entry["id"] = call.id
            if call.extras:
                merge(entry, call, NAME)
            if call.signature is not None:
                entry["extra_content"] = signature_slot(call.signature, native=is_googles(call))
        out.append(self._chunk(choice, {"tool_calls": [entry]}))
        self._called[choice] = index + 1

    def _say_free(self, key: tuple[int, int], words: str, out: list[Out]) -> None:
        if words:
            out.append(self._chunk(key[0], {"tool_calls": [{"index": self._calls[key], "custom": {"input": words}}]}))

    def _end_part(self, event: PartEnd, out: list[Out]) -> None:
        key = event.choice, event.index
        part = self._parts.pop(key, None)
        if key in self._said:
            self._cite_whole(key, out)
        path = f"response.choices[{event.choice}].parts[{event.index}]"
        carried: AnyPart | Signature | None = None
        match part:
            case Thinking() if must_carry(part):
                part.text += "".join(self._thought.pop(key, []))
                carried = part
            case ToolCall() if key in self._free:
                self._say_free(key, self._free.pop(key).end(), out)
            case Text() if part.signature is not None:
                carried = part.signature
            case Opaque() if key not in self._calls:
                carried = part
                self._lose(path, "changed", f"a block of {part.origin}'s, sealed in extra_content")
            case ToolResult():
                carried = part
            case Media() if not (part.kind == "audio" and NAME in part.extras):
                carried = part
                self._lose(path, "changed", "Chat Completions answers have no such part; sealed in extra_content")
            case _:
                pass
        if carried is not None:
            out.append(self._chunk(event.choice, {"extra_content": carried_slot(event.index, carried)}))
        if part is not None and part.extras:
            foreign(part, NAME, path, self._lose)

    def _finish(self, event: ChoiceEnd, out: list[Out]) -> None:
        for key in [key for key in self._said if key[0] == event.choice]:
            self._cite_whole(key, out)
        word = format_finish(event.finish, [], event.choice, self._lose)
        if event.finish is None and self._called.get(event.choice):
            word = "tool_calls"
        mine = {key: value for key, value in event.extras.get(NAME, {}).items() if key[0] != "~" and "." not in key}
        chunk = self._chunk(event.choice, {}, word, **mine)
        if event.logprobs:
            chunk.data["choices"][0]["logprobs"] = _logprobs(event.logprobs)
        out.append(chunk)

    def _opaque(self, event: OpaqueEvent, out: list[Out]) -> None:
        if event.origin != NAME:
            self._lose("response.stream", "dropped", f"an event that only {event.origin} has")
        elif "delta" in event.data:
            out.append(self._chunk(event.choice, dict(event.data["delta"])))
        else:
            out.append(Out({**self._base, "choices": [], **self._tail, **event.data}))

    def _end(self, event: End, out: list[Out]) -> None:
        if self._usage:
            usage = format_usage(event.usage or Usage(), self._lose)
            out.append(Out({**self._base, "choices": [], **self._tail, "usage": usage}))
        out.append(Out(_DONE))
