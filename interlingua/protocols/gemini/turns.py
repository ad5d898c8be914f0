"""The conversation of a request: contents and system instruction to messages, and messages to contents.

A request that came in Gemini's own words (`~own`) is written back turn by turn as it came. Any other is put as Gemini
wants it: one system instruction at the head, turns that alternate, and all results of one turn of calls in one
content, in the order of the calls.
"""

from typing import Any, Final, TypeGuard, assert_never

from interlingua.ir import AnyPart, Json, Media, Message, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols import Lose, Target
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.gemini.parts import DUMMY_SIGNATURE, format_call, format_media, parse_part, with_extras
from interlingua.protocols.gemini.spelling import PART, spell
from interlingua.protocols.media import found_words
from interlingua.protocols.wire import (
    array,
    as_array,
    as_obj,
    as_text,
    choice,
    decode_json,
    foreign,
    is_json_object,
    keep,
    merge,
    note,
    note_down,
    obj,
    text,
)

_LAST: Final = 1 << 30
_NOTHING: Final[list[Json]] = [{"text": ""}]
_PARTS: Final = frozenset(PART.values()) | {"text"}

# Reading


def read_turns(system: Any, contents: Any) -> list[Message]:
    messages = [] if system is None else [_read_system(system)]
    headed, waiting = len(messages), _Waiting()
    for i, item in enumerate(_listed(contents, "contents")):
        if (plain := _plain_turn(item)) is not None and len(messages) - headed == i:
            waiting.turn(plain.role == "assistant")
            messages.append(plain)
            continue
        path = f"contents[{i}]"
        content = _content(item, path)
        if len(messages) > headed and messages[-1].role == "assistant" and _says_nothing(content):
            _hang(messages[-1], content)
            continue
        message = _read_turn(content, i, path, waiting, messages)
        if len(messages) - headed != i:
            note_down(message, NAME, "~at", i)
        messages.append(message)
    return messages


def _plain_turn(item: Any) -> Message | None:
    """The common turn, one text and no more, read without a detour."""
    if type(item) is dict and len(d := as_obj(item)) == 2 and (role := d.get("role")) in ("user", "model"):
        parts = as_array(d.get("parts"))
        if len(parts) == 1 and len(part := as_obj(parts[0])) == 1 and (words := as_text(part.get("text"))):
            return Message(role="user" if role == "user" else "assistant", parts=[Text(text=words)])
    return None


def _listed(value: Any, path: str) -> list[Any]:
    """One where a list may stand is a list of one, as Google's SDK takes it."""
    return [value] if type(value) in (str, dict) else array(value, path)


def _content(value: Any, path: str) -> Json:
    """A Content; a bare string or a bare part is a user's."""
    if type(value) is str:
        return {"role": "user", "parts": [{"text": value}]}
    d = dict(obj(value, path))
    return {"role": "user", "parts": [d]} if "parts" not in d and not _PARTS.isdisjoint(spell(d, PART)) else d


def _says_nothing(content: Json) -> bool:
    """The last chunk of a stream, as an SDK's chat keeps it: an empty text."""
    return content.get("role") == "model" and content.get("parts") == _NOTHING and len(content) == 2


def _hang(message: Message, content: Json) -> None:
    note_down(message, NAME, "~after", [*(note(message, NAME, "~after") or ()), content])


class _Waiting:
    """The calls of the turn before that still wait for their results."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.called = False  # the last turn was a model's

    def turn(self, model: bool) -> None:
        if model and not self.called:
            self.calls = []
        self.called = model

    def answer(self, result: ToolResult) -> None:
        """Finds the call that a result belongs to: by its id, else the first of its name."""
        named = bool(note(result, NAME, "~id"))
        for call in self.calls:
            if (call.name == result.name) if named else (call.id == result.id):
                result.id = call.id
                self.calls.remove(call)
                return


def _read_turn(d: Json, i: int, path: str, waiting: _Waiting, before: list[Message]) -> Message:
    role, parts = d.pop("role", None), d.pop("parts", None)
    message = Message(role="assistant" if role == "model" else "user")
    if role != "user" and role != "model":
        _keep_role(message, role, path)
    if parts is None:
        note_down(message, NAME, "~parts", "absent")
        parts = []
    waiting.turn(role == "model")
    _read_parts(message, _listed(parts, f"{path}.parts"), i, path, waiting, before)
    if d:
        keep(message, NAME, d)
    return message


def _keep_role(message: Message, role: Any, path: str) -> None:
    """An absent role is a user's, and so is "function", with results."""
    if role is None or role == "function":
        note_down(message, NAME, "~role", role or "absent")
    else:
        choice(role, f"{path}.role", ("user", "model", "function"))


def _read_parts(message: Message, parts: list[Any], i: int, path: str, waiting: _Waiting, before: list[Message]) -> None:
    message.parts = []
    for j, item in enumerate(parts):
        if len(plain := as_obj(item)) == 1 and (words := as_text(plain.get("text"))) is not None:
            message.parts.append(Text(text=words))
            continue
        where = f"{path}.parts[{j}]"
        wire = {"text": item} if type(item) is str else obj(item, where)
        part = parse_part(wire, where, f"call_{i}_{j}")
        if isinstance(part, ToolCall):
            waiting.calls.append(part)
        elif isinstance(part, ToolResult):
            waiting.answer(part)
        elif isinstance(part, Thinking) and part.text and not wire.get("text"):
            _tell_once(part.text, message, before)
        message.parts.append(part)


def _tell_once(words: str, message: Message, before: list[Message]) -> None:
    """A sealed part tells again the thoughts that were streamed just before it: those are let go."""
    told: list[AnyPart] = []
    for turn in [message, *reversed(before)]:
        for part in reversed(turn.parts):
            if turn.role != "assistant" or not isinstance(part, Thinking) or part.signature or part.extras:
                return
            if not words.endswith(part.text):
                return
            told.append(part)
            words = words[: len(words) - len(part.text)]
            if not words:
                _drop(told, message, before)
                return


def _drop(told: list[AnyPart], message: Message, before: list[Message]) -> None:
    for turn in [message, *before]:
        turn.parts = [part for part in turn.parts if not any(part is other for other in told)]
    while before and before[-1].role == "assistant" and not before[-1].parts:
        before.pop()


def _read_system(value: Any) -> Message:
    d: Json = {"parts": value} if type(value) in (str, list) else dict(obj(value, "systemInstruction"))
    role, parts = d.pop("role", None), d.pop("parts", None)
    if parts is None and not _PARTS.isdisjoint(spell(d, PART)):
        d, parts = {}, [d]
    message = Message(role="system", extras={NAME: {"~system": True}})
    if role is not None:
        note_down(message, NAME, "~role", text(role, "systemInstruction.role"))
    if parts is None:
        note_down(message, NAME, "~parts", "absent")
    _read_parts(message, _listed(parts or [], "systemInstruction.parts"), 0, "systemInstruction", _Waiting(), [])
    if d:
        keep(message, NAME, d)
    return message


# Writing


class _Turn:
    """One content under way. Its results go first, in the order of their calls: hence a rank with each part."""

    __slots__ = ("answers", "calls", "head", "items", "role")

    def __init__(self, role: str, head: Json) -> None:
        self.role = role
        self.head = head
        self.items: list[tuple[int, Json]] = []
        self.calls: dict[str, str] = {}  # id -> path, of the calls made here
        self.answers: dict[str, str] = {}  # and of the results told here


class Turns:
    """What the messages of one request become."""

    def __init__(self, request: Request, target: Target, lose: Lose) -> None:
        self.system: Json | None = None
        self._turns: list[_Turn] = []
        self._target, self._lose = target, lose
        self._own = bool(note(request, NAME, "~own"))
        origin = target.seals or NAME  # a client of Gemini's says a signature as it came, and does not say from where
        self._readable = frozenset((origin, NAME) if self._own else (origin,))
        self._ids = "no_ids" not in target.quirks
        self._calls: dict[str, tuple[int, str]] = {}  # id -> the call's number and name
        self._stepped = False  # the model's turn under way has made a call
        for i, message in enumerate(request.messages):
            if message.role == "system" or message.role == "developer":
                self._instruct(message, f"messages[{i}]")
            else:
                self._say(message, i)

    def contents(self) -> list[Json]:
        if not self._own:
            if not self._turns and self.system is not None:
                self._ask_by_instruction(self.system["parts"])
            self._check()
        return [self._content(turn) for turn in self._turns]

    def _content(self, turn: _Turn) -> Json:
        if not self._own and turn.answers and len(turn.items) > 1:
            turn.items.sort(key=_rank)
        if turn.items or "parts" not in turn.head:
            turn.head["parts"] = [part for _, part in turn.items]
        elif turn.head["parts"] is None:
            del turn.head["parts"]
        return turn.head

    def _ask_by_instruction(self, parts: list[Json]) -> None:
        self._lose("messages[0]", "changed", "Gemini wants a turn to answer: the instruction is sent as the user's")
        turn = _Turn("user", {"role": "user"})
        turn.items = [(_LAST, part) for part in parts]
        self._turns.append(turn)
        self.system = None

    def _check(self) -> None:
        """Gemini wants as many results as calls. What is missing in the history is told, not invented."""
        called: dict[str, str] = {}
        for turn in self._turns:
            if turn.role == "user":
                for id_, path in called.items():
                    if id_ not in turn.answers:
                        self._lose(path, "changed", "no result follows this call, and Gemini wants one for each")
                for id_, path in turn.answers.items():
                    if id_ not in called:
                        self._lose(path, "changed", "no call comes right before this result, and Gemini wants one")
            called = turn.calls

    def _instruct(self, message: Message, path: str) -> None:
        parts = [said for j, part in enumerate(message.parts) if (said := self._instruction(part, f"{path}.parts[{j}]"))]
        mine = bool(note(message, NAME, "~system"))
        if not mine and self._turns:
            self._lose(path, "changed", "Gemini has one system instruction, at the head")
        if self.system is not None:
            self.system["parts"] += parts
        elif parts or mine:
            self.system = {"parts": parts}
        if message.extras:
            foreign(message, NAME, path, self._lose)
            self._bear(message, path)
        if mine and self.system is not None:
            if (role := note(message, NAME, "~role")) is not None:
                self.system["role"] = role
            if note(message, NAME, "~parts") and not parts:
                del self.system["parts"]

    def _bear(self, message: Message, path: str) -> None:
        """The instruction's own extras; of two that say the same thing the first counts."""
        for key, value in message.extras.get(NAME, {}).items():
            if key[:1] != "~" and (self.system is None or self.system.setdefault(key, value) is not value):
                self._lose(f"{path}.{key}", "dropped", "there is one instruction, and it says otherwise, or none")

    def _instruction(self, part: AnyPart, path: str) -> Json | None:
        if self._own and isinstance(part, ToolResult):
            return self._result(part, path, [])
        if self._own or isinstance(part, Text):
            return self._part(part, path)
        self._lose(path, "dropped", "a system instruction holds words only")
        return None

    def _say(self, message: Message, i: int) -> None:
        role = "model" if message.role == "assistant" else "user"
        if role == "user":
            self._stepped = False
        if len(message.parts) == 1 and not message.extras and _plain(part := message.parts[0]):
            self._turn(role).items.append((_LAST, {"text": part.text}))
            return
        path = f"messages[{i}]"
        turn = self._turn(role, apart=any(key[:1] != "~" for key in message.extras.get(NAME, ())))
        before = len(turn.items)
        trailing: list[Json] = []
        for j, part in enumerate(message.parts):
            where = f"{path}.parts[{j}]"
            if isinstance(part, ToolResult):
                if len(turn.items) > before and turn.items[-1][0] == _LAST and not self._own:
                    self._lose(where, "changed", "results come first in their turn")
                turn.answers[part.id] = where
                turn.items.append((self._calls.get(part.id, (_LAST - 1, ""))[0], self._result(part, where, trailing)))
            elif (said := self._part(part, where)) is not None:
                if isinstance(part, ToolCall):
                    turn.calls[part.id] = where
                turn.items.append((_LAST, said))
        turn.items += [(_LAST, part) for part in trailing]
        self._close(turn, message, path, len(turn.items) > before)

    def _turn(self, role: str, apart: bool = False) -> _Turn:
        """The content to write to: turns of one role are joined, but for one that bears extras of its own."""
        if self._own or apart or not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role, {"role": role}))
        return self._turns[-1]

    def _close(self, turn: _Turn, message: Message, path: str, said: bool) -> None:
        if message.extras:
            foreign(message, NAME, path, self._lose)
            merge(turn.head, message, NAME)
        if self._own:
            self._spell_own(turn, message)
        elif not said:
            self._lose(path, "dropped", "Gemini takes no empty turn")
            if not turn.items:
                self._turns.pop()

    def _spell_own(self, turn: _Turn, message: Message) -> None:
        if (role := note(message, NAME, "~role")) == "absent":
            del turn.head["role"]
        elif role is not None:
            turn.head["role"] = role
        if note(message, NAME, "~parts"):
            turn.head["parts"] = None
        for content in note(message, NAME, "~after") or ():
            hung = _Turn("model", {**content})
            self._turns.append(hung)

    def _part(self, part: AnyPart, path: str) -> Json | None:
        """One part of a prompt; None where Gemini has no such thing (reported)."""
        match part:
            case Text():
                out = self._text(part, path)
            case Thinking():
                out = self._thought(part, path)
            case Media() if part.source is not None:
                return self._part(found_words(part, path, self._lose), path)
            case Media():
                out = format_media(part, path, self._lose, "external_urls" in self._target.quirks)
            case ToolCall():
                out = self._call(part, path)
            case ToolResult():
                out = None
            case Opaque(origin="gemini"):
                out = dict(part.data)
            case Opaque():
                self._lose(path, "dropped", f"a block that only {part.origin} knows")
                return None
            case _:
                assert_never(part)
        if out is not None:
            self._seal(part, out, path)
        return out

    def _seal(self, part: AnyPart, out: Json, path: str) -> None:
        """What every part may bear: a signature, a cache mark, extras."""
        if part.signature is not None:
            if part.signature.origin in self._readable:
                out["thoughtSignature"] = part.signature.data
            else:
                self._lose(f"{path}.signature", "dropped", f"only {part.signature.origin} can read it")
        if part.cache is not None:
            self._lose(f"{path}.cache", "dropped", "Gemini caches by itself")
        if (thought := note(part, NAME, "~thought")) is not None:
            out["thought"] = thought
        with_extras(out, part, path, self._lose)

    def _text(self, part: Text, path: str) -> Json | None:
        if not part.text and not self._own and (part.signature is None or part.signature.origin not in self._readable):
            self._lose(path, "dropped", "Gemini takes no empty text")
            return None
        if part.citations:
            self._lose(f"{path}.citations", "dropped", "a prompt's text has no citations")
        if part.refusal:
            self._lose(f"{path}.refusal", "changed", "Gemini does not tell a refusal from other words")
        return {"text": part.text}

    def _thought(self, part: Thinking, path: str) -> Json | None:
        mine = part.signature.origin in self._readable if part.signature is not None else self._own
        if not mine or part.redacted:
            self._lose(path, "dropped", "Gemini takes no thoughts but its own")
            return None
        return {"text": part.text, "thought": True}

    def _call(self, call: ToolCall, path: str) -> Json:
        self._calls[call.id] = len(self._calls), call.name
        out = format_call(call, path, self._lose, self._ids)
        foreigner = call.signature is None or call.signature.origin not in self._readable
        if foreigner and not self._stepped and self._target.facts.signs_calls:
            out["thoughtSignature"] = DUMMY_SIGNATURE
            self._lose(f"{path}.signature", "added", f"{self._target.model} refuses a call without one")
        self._stepped = True
        return out

    def _result(self, result: ToolResult, path: str, trailing: list[Json]) -> Json:
        name = result.name or self._calls.get(result.id, (0, ""))[1]
        if not name:
            name = result.id
            self._lose(f"{path}.name", "added", "Gemini wants the function's name, and no call tells it")
        inner: Json = {"name": name}
        if self._ids and not note(result, NAME, "~id"):
            inner["id"] = result.id
        words, media = self._told(result, path, trailing)
        if (response := _response(result, words)) is not None:
            inner["response"] = response
        if media:
            inner["parts"] = media
        out: Json = {"functionResponse": inner}
        self._seal(result, out, path)
        return out

    def _bare(self, part: Text, path: str) -> None:
        """A result's words are a string: whatever else their part bears is lost."""
        out: Json = {}
        self._seal(part, out, path)
        for key in out:
            self._lose(f"{path}.{'signature' if key == 'thoughtSignature' else key}", "dropped", "a result's words are a string")
        if part.citations:
            self._lose(f"{path}.citations", "dropped", "a prompt's text has no citations")
        if part.refusal:
            self._lose(f"{path}.refusal", "dropped", "Gemini does not tell a refusal from other words")

    def _told(self, result: ToolResult, path: str, trailing: list[Json]) -> tuple[list[str], list[Json]]:
        """A result's words, and the media that stand in it; where the model takes none there, they trail."""
        words: list[str] = []
        media: list[Json] = []
        inside = self._own or self._target.facts.signs_calls
        for k, part in enumerate(result.parts):
            where = f"{path}.parts[{k}]"
            if isinstance(part, Media) and part.source is not None:
                part = found_words(part, where, self._lose)
            if isinstance(part, Opaque) and part.origin == NAME:
                media.append(part.data)
            elif isinstance(part, Text):
                words.append(part.text)
                self._bare(part, where)
            elif (said := self._part(part, where)) is None:
                continue
            elif inside:
                media.append(said)
            else:
                trailing.append(said)
                self._lose(where, "changed", f"shown after the results: {self._target.model} takes no media in one")
        return words, media


def _rank(item: tuple[int, Json]) -> int:
    return item[0]


def _plain(part: AnyPart) -> TypeGuard[Text]:
    return (
        type(part) is Text
        and part.text != ""
        and not part.extras
        and not part.citations
        and not part.refusal
        and part.cache is part.signature is None
    )


def _response(result: ToolResult, words: list[str]) -> Json | None:
    """The words go under "output", or "error": byte for byte, which an object made of their JSON would not be."""
    spelling = note(result, NAME, "~response")
    if spelling == "absent" and not words:
        return None
    if spelling == "whole" and len(words) == 1 and is_json_object(words[0]):
        return decode_json(words[0])
    key = "error" if result.error else "result" if spelling == "result" else "output"
    return {key: words[0] if len(words) == 1 else words or ""}
