"""An answer told in chunks, each a whole generateContent response. Source: the SDK's streamGenerateContent handling.

Nothing marks the end: it is there when every candidate has told its finish reason and the bytes end. Older models
tell one with every chunk, so the last counts, and it is passed on when the stream closes.
"""

from typing import Any, Final

import msgspec

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
    OpaqueEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Response,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageSoFar,
)
from interlingua.protocols import Lose
from interlingua.protocols.gemini.errors import failure_of, format_error
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.gemini.partial import Assembly
from interlingua.protocols.gemini.parts import carried, must_carry, parse_part, slot
from interlingua.protocols.gemini.response import (
    blocked,
    call_id,
    finished,
    format_answer_part,
    format_finish,
    format_grounding,
    format_head,
    format_logprobs,
    format_usage,
    id_stem,
    parse_finish,
    parse_logprobs,
    parse_usage,
    read_citations,
    read_head,
)
from interlingua.protocols.gemini.spelling import ANSWER, CANDIDATE, PART, spell
from interlingua.protocols.wire import (
    array,
    as_array,
    as_obj,
    as_text,
    decode_json,
    encode_json,
    foreign,
    integer,
    keep,
    merge,
    note,
    note_down,
    obj,
    text,
)

_PLAIN: Final = frozenset({"text", "thought", "thoughtSignature"})
_HEAD: Final = frozenset({"responseId", "modelVersion", "createTime"})
_CHUNK: Final = _HEAD | {"candidates", "usageMetadata"}
_MOST: Final = 256  # candidates


class _Open:
    """One candidate under way."""

    __slots__ = ("calls", "cited", "count", "ending", "kind", "partial", "rest", "words")

    def __init__(self) -> None:
        self.count = 0
        self.kind: type[Text] | type[Thinking] | None = None  # of the open part, always the last
        self.words: list[list[str] | None] = []  # of each part: the text's pieces, for citations count its bytes
        self.calls = False
        self.partial: Assembly | None = None
        self.ending: Json = {}  # finishReason and finishMessage
        self.rest: Json = {}
        self.cited: list[Citation] = []


class Parser:
    """Chunks in, events out."""

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._stem = ""
        self._base: Json = {}
        self._choices: dict[int, _Open] = {}
        self._feedback: Json | None = None
        self._told: Any = None
        self._usage: Usage | None = None

    def feed(self, frame: Frame) -> list[AnyEvent]:
        if self._done:
            return []
        try:
            value = decode_json(frame.data)
            common = self._common(value) if self._started else None
            return common if common is not None else self._chunk(value)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InterlinguaError) as error:
            raise UpstreamGarbage(f"The provider's stream holds what is no generateContent response: {error}") from None

    def close(self) -> list[AnyEvent]:
        if self._done:
            return []
        self._done = True
        refused = not self._choices and self._feedback is not None
        if not refused and not (self._choices and all(choice.ending for choice in self._choices.values())):
            return [Failure(status=502, kind="bad_gateway", message="The provider's stream ended before its answer did.")]
        events: list[AnyEvent] = []
        for index, choice in sorted(self._choices.items()):
            self._finish(index, choice, events)
        if refused:
            events.append(ChoiceEnd(finish=blocked(self._feedback or {}), extras={NAME: {"~blocked": True}}))
        return [*events, End(usage=self._usage)]

    def _common(self, value: Any) -> list[AnyEvent] | None:
        """The common chunk, more words of the open text and no more, read without a detour."""
        d, candidates = as_obj(value), as_array(as_obj(value).get("candidates"))
        if len(candidates) != 1 or not d.keys() <= _CHUNK:
            return None
        candidate = as_obj(candidates[0])
        content, index = as_obj(candidate.get("content")), candidate.get("index", 0)
        parts = as_array(content.get("parts"))
        if len(parts) != 1 or type(index) is not int or len(candidate) > ("index" in candidate) + 1:
            return None
        choice, part = self._choices.get(index), as_obj(parts[0])
        words = as_text(part.get("text"))
        if not words or len(part) != 1 or choice is None or choice.kind is not Text or choice.partial is not None:
            return None
        events: list[AnyEvent] = []
        self._words(index, choice, Text, words, events)
        self._use(d.get("usageMetadata"), events)
        return events

    def _use(self, usage: Any, events: list[AnyEvent]) -> None:
        if usage is not None and usage != self._told:
            self._told = usage
            self._usage = parse_usage(usage)
            events.append(UsageSoFar(usage=self._usage))

    def _chunk(self, value: Any) -> list[AnyEvent]:
        listed = as_array(value)
        d = spell(obj(listed[0] if len(listed) == 1 else value, "chunk"), ANSWER)
        if "error" in d and "candidates" not in d:
            self._done = True
            code = as_obj(d["error"]).get("code")
            return [failure_of(code if type(code) is int and 400 <= code < 600 else 500, d)]
        events: list[AnyEvent] = []
        candidates, usage = d.pop("candidates", None), d.pop("usageMetadata", None)
        if (feedback := d.get("promptFeedback")) is not None and candidates is None:
            self._feedback = as_obj(feedback)
        self._head(d, events)
        if candidates is not None:
            for i, item in enumerate(array(candidates, "candidates")):
                self._candidate(spell(obj(item, f"candidates[{i}]"), CANDIDATE), i, events)
        self._use(usage, events)
        return events

    def _head(self, d: Json, events: list[AnyEvent]) -> None:
        if not self._started:
            self._started = True
            head = read_head(d)
            self._stem = id_stem(head.id)
            self._base = d
            start = Start(id=head.id, model=head.model, created=head.created, extras=head.extras)
            keep(start, NAME, d)
            events.append(start)
            return
        if d.keys() <= _HEAD:
            return
        rest = {key: value for key, value in d.items() if key not in _HEAD and self._base.get(key) != value}
        if rest:
            self._base = {**self._base, **rest}
            events.append(OpaqueEvent(origin=NAME, data=rest))

    def _candidate(self, d: Json, i: int, events: list[AnyEvent]) -> None:
        index = integer(d.pop("index", i), "candidates.index")
        if not 0 <= index < _MOST:
            raise UpstreamGarbage(f"a candidate has the index {index}")
        choice = self._choices.get(index) or self._choices.setdefault(index, _Open())
        content = d.pop("content", None)
        if content is not None:
            for item in array(obj(content, "candidates.content").get("parts") or [], "candidates.content.parts"):
                self._part(index, choice, obj(item, "candidates.content.parts"), events)
        for key in ("finishReason", "finishMessage"):
            if key in d:
                choice.ending[key] = text(d.pop(key), key)
        if d:
            self._metadata(index, choice, d, events)

    def _part(self, index: int, choice: _Open, value: Json, events: list[AnyEvent]) -> None:
        if value.keys() == {"text"}:
            self._words(index, choice, Text, text(value["text"], "text"), events)
            return
        d = spell(value, PART)
        call = as_obj(d.get("functionCall"))
        if choice.partial is not None or "partialArgs" in call or "willContinue" in call or "partial_args" in call:
            self._partial(index, choice, d, call, events)
            return
        part = parse_part(d, "candidates.content.parts", call_id(self._stem, index, choice.count))
        if isinstance(part, Text | Thinking) and d.keys() <= _PLAIN and "~thought" not in part.extras.get(NAME, {}):
            self._said(index, choice, part, as_text(d.get("text")) or "", events)
            return
        self._whole(index, choice, part, events)

    def _said(self, index: int, choice: _Open, part: Text | Thinking, words: str, events: list[AnyEvent]) -> None:
        """Words, perhaps with a signature, which ends their part: what follows is not sealed by it."""
        if part.signature is None and part.text == words and not part.extras:
            self._words(index, choice, type(part), words, events)
        elif choice.kind is type(part):  # a sealed thought tells its words again: they are known
            self._words(index, choice, type(part), words, events)
            if part.signature is not None:
                events.append(PartDelta(choice=index, index=choice.count - 1, signature=part.signature))
            self._close(index, choice, events)
        else:
            self._whole(index, choice, part, events)

    def _words(self, index: int, choice: _Open, kind: type[Text] | type[Thinking], words: str, events: list[AnyEvent]) -> None:
        if not words:
            return
        if choice.kind is not kind:
            self._close(index, choice, events)
            self._open(index, choice, kind(), events)
            choice.kind = kind
        events.append(PartDelta(choice=index, index=choice.count - 1, text=words))
        if (pieces := choice.words[-1]) is not None:
            pieces.append(words)

    def _open(self, index: int, choice: _Open, part: AnyPart, events: list[AnyEvent]) -> None:
        events.append(PartStart(choice=index, index=choice.count, part=part))
        choice.words.append([] if isinstance(part, Text) else None)
        choice.count += 1

    def _close(self, index: int, choice: _Open, events: list[AnyEvent]) -> None:
        if choice.kind is not None:
            events.append(PartEnd(choice=index, index=choice.count - 1))
            choice.kind = None

    def _whole(self, index: int, choice: _Open, part: AnyPart, events: list[AnyEvent]) -> None:
        self._close(index, choice, events)
        words = ""
        if isinstance(part, ToolCall):
            choice.calls = True
            words, part.arguments = part.arguments, ""
        elif isinstance(part, Text | Thinking):
            words, part.text = part.text, ""
        self._open(index, choice, part, events)
        if words:
            events.append(PartDelta(choice=index, index=choice.count - 1, text=words))
            if (pieces := choice.words[-1]) is not None:
                pieces.append(words)
        events.append(PartEnd(choice=index, index=choice.count - 1))

    def _partial(self, index: int, choice: _Open, d: Json, call: Json, events: list[AnyEvent]) -> None:
        """A call told piece by piece (Vertex): gathered, and told on when it is whole."""
        if choice.partial is None:
            choice.partial = Assembly(d)
        if not choice.partial.add(call):
            self._assembled(index, choice, events)

    def _assembled(self, index: int, choice: _Open, events: list[AnyEvent]) -> None:
        if choice.partial is not None:
            whole = choice.partial.whole()
            choice.partial = None
            self._whole(
                index, choice, parse_part(whole, "candidates.content.parts", call_id(self._stem, index, choice.count)), events
            )

    def _metadata(self, index: int, choice: _Open, d: Json, events: list[AnyEvent]) -> None:
        if choice.kind is not None and (logprobs := d.pop("logprobsResult", None)) is not None:
            delta = PartDelta(choice=index, index=choice.count - 1, logprobs=parse_logprobs(logprobs))
            note_down(delta, NAME, "~logprobsResult", logprobs)
            events.append(delta)
        choice.rest.update(d)
        if "groundingMetadata" in d or "citationMetadata" in d:
            parts: list[AnyPart] = [Thinking() if w is None else Text(text="".join(w)) for w in choice.words]
            for place, citation in read_citations(d, parts):
                if place == choice.count - 1 and choice.kind is Text and citation not in choice.cited:
                    choice.cited.append(citation)
                    events.append(PartDelta(choice=index, index=place, citation=citation))

    def _finish(self, index: int, choice: _Open, events: list[AnyEvent]) -> None:
        self._close(index, choice, events)
        self._assembled(index, choice, events)
        end = ChoiceEnd(choice=index, finish=parse_finish(choice.ending, choice.calls))
        keep(end, NAME, {**choice.rest, **choice.ending})
        events.append(end)


class _Told:
    """One part on its way to a client."""

    __slots__ = ("fresh", "part", "words")

    def __init__(self, part: AnyPart) -> None:
        self.part = part
        self.words: list[str] = []
        self.fresh = bool(part.extras) or (isinstance(part, Text) and part.refusal)  # its first piece bears more than words


class _Saying:
    """One choice on its way to a client. Calls wait in `held` for the last chunk: SDKs keep each chunk as a turn of its
    own, and calls of one turn must not be torn apart."""

    __slots__ = ("before", "cited", "end", "held", "length", "parts", "rest", "said")

    def __init__(self) -> None:
        self.parts: dict[int, _Told] = {}
        self.held: list[Json] = []
        self.said: list[Json] = []  # parts for the chunk under way
        self.rest: Json = {}  # and what else the candidate says in it
        self.cited: list[Citation] = []
        self.before: list[str] = []  # the words of the text parts that are done
        self.length = 0  # and their characters
        self.end: ChoiceEnd | None = None

    def say(self, part: Json) -> None:
        """A part for the chunk under way; the calls before it cannot wait any longer."""
        self.said += [*self.held, part]
        self.held = []


class Formatter:
    """Events in, chunks out: one for each batch of events, and the last with finish reasons and usage."""

    def __init__(self, asked: Request, lose: Lose) -> None:
        self._lose = lose
        self._base: Json = {}
        self._first: Json = {}  # what only the first chunk says
        self._choices: dict[int, _Saying] = {}
        self._foot = b""  # of the common chunk, encoded once

    def feed(self, events: list[AnyEvent]) -> list[Out]:
        out: list[Out] = []
        if len(events) == 1 and type(event := events[0]) is PartDelta and (plain := self._plain(event)) is not None:
            return [plain]
        for event in events:
            match event:
                case PartDelta():
                    self._delta(event)
                case PartStart():
                    self._start_part(event)
                case PartEnd():
                    self._end_part(event.choice, event.index)
                case Start():
                    self._start(event)
                case ChoiceEnd():
                    self._end_choice(event)
                case UsageSoFar():
                    pass
                case OpaqueEvent():
                    self._opaque(event)
                case End():
                    out.append(self._last(event))
                case Failure():
                    self._flush(out)
                    out.append(Out(format_error(event)[1]))
        self._flush(out)
        return out

    def _plain(self, event: PartDelta) -> Out | None:
        """The common chunk, spelled without a detour: words of an open text or thought."""
        choice = self._choices.get(event.choice)
        told = choice.parts.get(event.index) if choice is not None else None
        if choice is None or told is None or told.fresh or self._first or choice.held or not event.text:
            return None
        if event.signature is not None or event.citation is not None or event.logprobs or event.extras:
            return None
        kind = type(told.part)
        if kind is not Text and kind is not Thinking:
            return None
        told.words.append(event.text)
        thought = b"" if kind is Text else b',"thought":true'
        words = encode_json(event.text)
        return Out(
            b'{"candidates":[{"content":{"role":"model","parts":[{"text":%b%b}]},"index":%d}]%b'
            % (words, thought, event.choice, self._foot)
        )

    def _start(self, event: Start) -> None:
        self._base = format_head(Response(id=event.id, model=event.model, created=event.created, extras=event.extras))
        self._first = merge({}, event, NAME)
        base = encode_json(self._base)[1:]
        self._foot = (b"," if len(base) > 1 else b"") + base
        if event.extras:
            foreign(event, NAME, "response", self._lose)

    def _choice(self, index: int) -> _Saying:
        return self._choices.get(index) or self._choices.setdefault(index, _Saying())

    def _start_part(self, event: PartStart) -> None:
        told = self._choice(event.choice).parts[event.index] = _Told(msgspec.structs.replace(event.part))
        part = told.part
        match part:
            case Text(text=words) | Thinking(text=words) | ToolCall(arguments=words):
                if words:
                    self._delta(PartDelta(choice=event.choice, index=event.index, text=words))
            case Media(data=str(words)):
                told.words.append(words)
            case _:
                pass

    def _delta(self, event: PartDelta) -> None:
        choice = self._choice(event.choice)
        if (told := choice.parts.get(event.index)) is None:
            return
        if event.text:
            told.words.append(event.text)
            if isinstance(told.part, Text | Thinking):
                self._say(choice, told, event)
        if event.signature is not None:
            told.part.signature = event.signature
        if event.citation is not None and isinstance(told.part, Text):
            told.part.citations = [*told.part.citations, event.citation]
        if event.logprobs:
            raw = note(event, NAME, "~logprobsResult")
            path = f"response.choices[{event.choice}]"
            choice.rest["logprobsResult"] = raw if raw is not None else format_logprobs(event.logprobs, path, self._lose)

    def _say(self, choice: _Saying, told: _Told, event: PartDelta) -> None:
        piece = self._piece(told, event.text, f"response.choices[{event.choice}].parts[{event.index}]")
        choice.say(piece)

    def _piece(self, told: _Told, words: str, path: str) -> Json:
        """Words of a text or thought; the first bear what else their part says."""
        if told.fresh:
            told.fresh = False
            if isinstance(told.part, Text):
                return format_answer_part(msgspec.structs.replace(told.part, text=words, signature=None), path, self._lose)
            return finished({"text": words, "thought": True}, Text(extras=told.part.extras))
        return {"text": words, "thought": True} if isinstance(told.part, Thinking) else {"text": words}

    def _end_part(self, number: int, index: int) -> None:
        choice = self._choice(number)
        if (told := choice.parts.pop(index, None)) is None:
            return
        part, words, path = told.part, "".join(told.words), f"response.choices[{number}].parts[{index}]"
        match part:
            case Text() | Thinking():
                self._end_words(choice, told, words, path)
            case ToolCall():
                part.arguments = words
                choice.held.append(format_answer_part(part, path, self._lose))
            case Media():
                part.data = words if told.words else part.data
                choice.say(format_answer_part(part, path, self._lose))
            case _:
                choice.say(format_answer_part(part, path, self._lose))

    def _end_words(self, choice: _Saying, told: _Told, words: str, path: str) -> None:
        part = told.part
        if isinstance(part, Text):
            if part.citations:
                choice.cited += [_shifted(citation, choice.length, len(words)) for citation in part.citations]
            choice.before.append(words)
            choice.length += len(words)
            seal = carried(part)
        else:
            seal = _sealed(part, words)
        if seal is not None or told.fresh:
            piece = self._piece(told, "", path)
            if seal is not None:
                piece["thoughtSignature"] = seal
            choice.say(piece)

    def _end_choice(self, event: ChoiceEnd) -> None:
        self._end_parts(event.choice)
        self._choice(event.choice).end = event

    def _end_parts(self, number: int) -> None:
        for index in list(self._choice(number).parts):
            self._end_part(number, index)

    def _opaque(self, event: OpaqueEvent) -> None:
        if event.origin == NAME:
            self._first = {**self._first, **event.data}
        else:
            self._lose("response.stream", "dropped", f"an event that only {event.origin} has")

    def _flush(self, out: list[Out]) -> None:
        candidates: list[Json] = []
        for index, choice in self._choices.items():
            if choice.said or choice.rest:
                content = {"role": "model", "parts": choice.said or [{"text": ""}]}
                candidates.append({"content": content, "index": index, **choice.rest})
                choice.said, choice.rest = [], {}
        if candidates:
            out.append(Out({"candidates": candidates, **self._base, **self._first}))
            self._first = {}

    def _last(self, event: End) -> Out:
        chunk: Json = {}
        for index in self._choices:
            self._end_parts(index)
        candidates = [self._ended(index, choice) for index, choice in sorted(self._choices.items()) if not _refused(choice)]
        if candidates:
            chunk["candidates"] = candidates
        chunk.update(self._base)
        chunk.update(self._first)
        self._first = {}
        if event.usage is not None:
            chunk["usageMetadata"] = format_usage(event.usage, self._lose)
        return Out(chunk)

    def _ended(self, index: int, choice: _Saying) -> Json:
        path = f"response.choices[{index}]"
        parts = [*choice.said, *choice.held] or [{"text": ""}]  # a chunk without parts spoils the turn for SDKs' chats
        out: Json = {"content": {"role": "model", "parts": parts}, "index": index, **choice.rest}
        choice.said, choice.held, choice.rest = [], [], {}
        if choice.cited and (grounding := format_grounding([(None, "".join(choice.before), choice.cited)], path, self._lose)):
            out["groundingMetadata"] = grounding
        if (end := choice.end) is not None:
            if end.finish is not None:
                out.update(format_finish(end.finish, path, self._lose))
            if end.extras:
                foreign(end, NAME, path, self._lose)
                merge(out, end, NAME)
        return out


def _sealed(part: AnyPart, words: str) -> str | None:
    """The signature of a thought that was told in pieces. A foreign one seals its words too, whole."""
    if not isinstance(part, Thinking) or not (part.signature or must_carry(part)):
        return None
    if part.signature is not None and part.signature.origin == NAME and not must_carry(part):
        return part.signature.data
    return slot(msgspec.structs.replace(part, text=words))


def _refused(choice: _Saying) -> bool:
    return choice.end is not None and bool(note(choice.end, NAME, "~blocked"))


def _shifted(citation: Citation, by: int, length: int) -> Citation:
    """A citation of a part as one of the whole answer, which is what a stream's grounding speaks of."""
    end = length if citation.end is None else citation.end
    return msgspec.structs.replace(citation, start=(citation.start or 0) + by, end=end + by)
