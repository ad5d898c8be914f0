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

    def may_begin(self, text: str) -> bool:
        """Whether the first character of any is in `text`."""
        for first in self._firsts:
            if first in text:
                return True
        return False

    def waiting(self, text: str) -> int:
        """How many characters at the end of `text` could still become a tag."""
        tail = text[-self._longest :] if self._longest else ""
        if not self.may_begin(tail):
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

    def let_go(self, place: _Part) -> PartDelta:
        """No tag is coming any more."""
        delta = PartDelta(choice=place[0], index=place[1], text=self.text, logprobs=self.logprobs)
        self.text, self.logprobs = "", []
        return delta


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
        if self._passes(batch):
            return batch
        before, out = len(self._stopped), list[AnyEvent]()
        for event in batch:
            if type(event) is PartDelta:
                self._delta(event, out)
            else:
                self._take(event, out)
        if len(self._stopped) > before and len(self._over) >= self._choices and not isinstance(batch[-1], End | Failure):
            out.append(End(usage=self._used()))
        return out

    def _passes(self, batch: Batch) -> bool:
        """Takes note of a batch that goes on as it is, as most do: nothing waits, and no tag begins in it."""
        if self._stopped:
            return False
        for held in self._open.values():
            if held is not None and held.text:
                return False
        others = [event for event in batch if type(event) is not PartDelta]
        for event in others:
            if type(event) is PartStart and type(event.part) is Text and event.part.text:
                return False
        words = "".join([event.text for event in batch if type(event) is PartDelta])
        if self._tags.may_begin(words):
            return False
        self._weigh(words)
        for event in others:
            self._take(event, [])
        return True

    def _take(self, event: AnyEvent, out: Batch) -> None:
        if type(event) is PartStart:
            self._begin(event, out)
        elif type(event) is PartEnd or type(event) is ChoiceEnd:
            if event.choice not in self._stopped:
                self._end(event, out)
        else:
            if type(event) is UsageSoFar:
                self._usage, self._told = event.usage, event.usage.output is not None
            elif type(event) is Start:
                self._usage = event.usage
            elif type(event) is End or type(event) is Failure:
                self._let_go(out)
            out.append(event)

    def _begin(self, event: PartStart, out: Batch) -> None:
        part, place, stopped = event.part, (event.choice, event.index), event.choice in self._stopped
        if type(part) is not Text:
            if type(part) is Thinking:
                self._weigh(part.text)
            elif type(part) is ToolCall:
                self._weigh(part.name + part.arguments)
            if not stopped:
                self._open[place] = None
                out.append(event)
            return
        if not stopped:
            self._open[place] = _Held()
            out.append(replace(event, part=replace(part, text="")) if part.text else event)
        if part.text:
            self._delta(PartDelta(choice=event.choice, index=event.index, text=part.text), out)

    def _end(self, event: PartEnd | ChoiceEnd, out: Batch) -> None:
        if type(event) is PartEnd:
            place = event.choice, event.index
            if (held := self._open.pop(place, None)) is not None and held.text:
                out.append(held.let_go(place))
        else:
            self._over.add(event.choice)
        out.append(event)

    def _let_go(self, out: Batch) -> None:
        for place, held in self._open.items():
            if held is not None and held.text:
                out.append(held.let_go(place))

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
