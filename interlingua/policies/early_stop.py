"""An answer ends at a tag, as at a stop sequence: the tag is left out, the provider is hung up on, and usage says what was used.

Only an answer's text is looked at: no thinking, no tool's arguments. What could still become a tag is held back, and nothing
else is: the longest end of the text that some tag begins with. A part's end ends what is held. Of several tags the one that is
complete first ends the answer, however the text was cut into pieces; each choice ends on its own.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from interlingua.config import LONGEST_TAG, Config
from interlingua.errors import InvalidRequest
from interlingua.ir import (
    AnyEvent,
    ChoiceEnd,
    End,
    Failure,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    Start,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    Usage,
    UsageSoFar,
)
from interlingua.metrics import EARLY_STOPS, Metrics
from interlingua.pipeline import Batch, Call, Step

HEADER: Final = b"x-interlingua-early-stop"
MOST: Final = 16  # tags of a header
_BYTES_A_TOKEN: Final = 4
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_Part = tuple[int, int]  # choice, index


class Tags:
    """The tags of one request."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self._beginnings = {word[:size] for word in words for size in range(1, len(word))}
        self._firsts = {word[0] for word in words}
        self._longest = max(map(len, words)) - 1

    def find(self, text: str) -> tuple[int, str] | None:
        """Where the tag that is complete first begins, and which it is; of two that end together, the longer."""
        best: tuple[int, int, str] | None = None
        for word in self.words:
            at = text.find(word)
            if at >= 0 and (best is None or (at + len(word), at) < best[:2]):
                best = at + len(word), at, word
        return None if best is None else best[1:]

    def waiting(self, text: str) -> int:
        """How many characters at the end of `text` could still become a tag."""
        tail = text[-self._longest :] if self._longest else ""
        for first in self._firsts:
            if first in tail:
                break
        else:
            return 0
        for at, char in enumerate(tail):
            if char in self._firsts and tail[at:] in self._beginnings:
                return len(tail) - at
        return 0


class EarlyStop:
    """The tags of a request: those of `[routing]`, of its model, of its backend, and of its own header."""

    def __init__(self, config: Config, metrics: Metrics) -> None:
        routing = config.routing
        self._metrics = metrics
        self._always = routing.early_stop
        self._models = routing.early_stop_models
        self._backends = {name: backend.settings.early_stop for name, backend in config.backends.items()}
        self.any = bool(self._always or self._models or any(self._backends.values()))

    def tags(self, call: Call) -> Tags | None:
        """Raises InvalidRequest for a header that cannot be read."""
        header = call.headers.get(HEADER)
        decision = call.decision
        assert decision is not None
        words = self._always + self._models.get(call.request.model, ()) + self._backends.get(decision.backend, ())
        if decision.key != call.request.model:
            words += self._models.get(decision.key, ())
        return _tags(words if header is None else words + of_header(header))

    def watch(self, call: Call, tags: Tags) -> Step:
        """What ends a stream at the first of its tags."""
        return _Watch(tags, call, self._metrics).feed


@lru_cache(maxsize=256)
def _tags(words: tuple[str, ...]) -> Tags | None:
    return Tags(tuple(dict.fromkeys(words))) if words else None


@lru_cache(maxsize=256)
def of_header(value: bytes) -> tuple[str, ...]:
    """`</answer>, </end>`, each percent-decoded where it holds a comma, a blank or what is not ASCII; or a JSON list of strings.
    Raises InvalidRequest, naming the header."""
    text = value.decode("latin-1").strip()
    words = _listed(text) if text.startswith("[") else tuple(_decoded(word.strip()) for word in text.split(","))
    if not all(words) or not words:
        raise _bad("a tag in it is empty")
    if len(words) > MOST or any(len(word) > LONGEST_TAG for word in words):
        raise _bad(f"at most {MOST} tags of at most {LONGEST_TAG} characters each are taken")
    return words


def _listed(text: str) -> tuple[str, ...]:
    try:
        return tuple(msgspec.json.decode(text.encode("latin-1"), type=list[str]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _bad('what begins with [ must be a JSON list of strings, such as ["</answer>"]') from None


def _decoded(word: str) -> str:
    if _BROKEN.search(word):
        raise _bad("after a % come two hexadecimal digits; a % of its own is %25")
    try:
        return unquote(word, errors="strict")
    except UnicodeDecodeError:
        raise _bad("what is percent-encoded must be UTF-8") from None


def _bad(why: str) -> InvalidRequest:
    return InvalidRequest(f"The header {HEADER.decode()} cannot be read: {why}.", param=HEADER.decode())


class _Held:
    """A text part under way: what of it waits."""

    __slots__ = ("logprobs", "text")

    def __init__(self) -> None:
        self.text = ""
        self.logprobs: list[TokenLogprob] = []


class _Watch:
    """One stream."""

    def __init__(self, tags: Tags, call: Call, metrics: Metrics) -> None:
        self._tags, self._call, self._metrics = tags, call, metrics
        self._choices = call.request.n or 1
        self._open: dict[_Part, _Held | None] = {}  # None: a part that is not looked at
        self._stopped = set[int]()
        self._over = set[int]()  # choices that have ended, stopped or not
        self._size = 0  # bytes that the model wrote
        self._usage: Usage | None = None
        self._told = False  # the provider has told the tokens of all that it sent

    def feed(self, batch: Batch) -> Batch:
        before, out = len(self._stopped), list[AnyEvent]()
        for event in batch:
            if type(event) is PartDelta:
                self._delta(event, out)
            else:
                self._take(event, out)
        if len(self._stopped) > before and len(self._over) >= self._choices and not isinstance(batch[-1], End | Failure):
            out.append(End(usage=self._used()))
        return out

    def _take(self, event: AnyEvent, out: Batch) -> None:
        match event:
            case Start():
                self._usage = event.usage
            case UsageSoFar():
                self._usage, self._told = event.usage, event.usage.output is not None
            case End() | Failure():
                for part in tuple(self._open):
                    self._release(part, out)
            case PartStart() | PartEnd() | ChoiceEnd():
                self._in_choice(event, out)
                return
            case _:
                pass
        out.append(event)

    def _in_choice(self, event: PartStart | PartEnd | ChoiceEnd, out: Batch) -> None:
        if isinstance(event, PartStart) and isinstance(event.part, Thinking | ToolCall):
            part = event.part
            self._weigh(part.text if isinstance(part, Thinking) else part.name + part.arguments)
        if event.choice in self._stopped:
            return
        match event:
            case PartStart(part=Text(text=text)):
                self._open[event.choice, event.index] = _Held()
                out.append(replace(event, part=replace(event.part, text="")) if text else event)
                if text:
                    self._delta(PartDelta(choice=event.choice, index=event.index, text=text), out)
            case PartStart():
                self._open[event.choice, event.index] = None
                out.append(event)
            case PartEnd():
                self._release((event.choice, event.index), out)
                self._open.pop((event.choice, event.index), None)
                out.append(event)
            case ChoiceEnd():
                self._over.add(event.choice)
                out.append(event)

    def _weigh(self, text: str) -> None:
        """What the provider is paid for, whether or not the client is told it."""
        self._size += len(text) if text.isascii() else len(text.encode())
        self._told = False

    def _delta(self, event: PartDelta, out: Batch) -> None:
        self._weigh(event.text)
        if event.choice in self._stopped:
            return
        held = self._open.get((event.choice, event.index))
        if held is None or not (event.text or held.text):
            out.append(event)
            return
        text = held.text + event.text
        found = self._tags.find(text)
        keep = len(text) - self._tags.waiting(text) if found is None else found[0]
        if keep == len(event.text) and not held.text:
            out.append(event)
            return
        told, held.logprobs = _split(held.logprobs + event.logprobs, keep)
        held.text = text[keep:]
        if keep or told or event.citation or event.signature:
            out.append(replace(event, text=text[:keep], logprobs=told))
        if found is not None:
            self._stop(event.choice, found[1], out)

    def _stop(self, choice: int, tag: str, out: Batch) -> None:
        self._stopped.add(choice)
        self._over.add(choice)
        for part in [part for part in self._open if part[0] == choice]:
            del self._open[part]
            out.append(PartEnd(choice=choice, index=part[1]))
        out.append(ChoiceEnd(choice=choice, finish=Finish(reason="stop", stop=tag)))
        decision = self._call.decision
        assert decision is not None
        self._metrics.count(EARLY_STOPS, (self._call.client, decision.backend, decision.model))

    def _release(self, part: _Part, out: Batch) -> None:
        held = self._open.get(part)
        if held is not None and held.text:
            out.append(PartDelta(choice=part[0], index=part[1], text=held.text, logprobs=held.logprobs))
            held.text, held.logprobs = "", []

    def _used(self) -> Usage:
        """What the provider reported, or that with an estimate of what it had written, marked as one."""
        usage = self._usage or Usage()
        if self._told:
            return usage
        return replace(usage, output=max(usage.output or 0, -(-self._size // _BYTES_A_TOKEN)), estimated=True)


def _split(logprobs: Iterable[TokenLogprob], size: int) -> tuple[list[TokenLogprob], list[TokenLogprob]]:
    """Those of the tokens within the first `size` characters, and the others."""
    first, rest, seen = list[TokenLogprob](), list[TokenLogprob](), 0
    for entry in logprobs:
        seen += len(entry.token)
        (first if seen <= size else rest).append(entry)
    return first, rest
