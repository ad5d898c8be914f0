"""The only code that knows how deltas add up. fold(unfold(response)) == response.

fold gives what a unary client is told of a streaming backend; unfold gives what a streaming client is told of a
unary one. Both keep every part's order and extras.
"""

from collections.abc import Iterable

import msgspec

from interlingua.errors import ProviderFailure, UpstreamBroken
from interlingua.ir import (
    AnyEvent,
    AnyPart,
    Choice,
    ChoiceEnd,
    End,
    Failure,
    Media,
    OpaqueEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Response,
    Start,
    Text,
    Thinking,
    ToolCall,
    UsageSoFar,
)


class Fold:
    """Events in, one Response out. Holds one string list per open part, so a long answer costs linear time."""

    def __init__(self) -> None:
        self.response = Response()
        self.ended = False
        self._words: dict[tuple[int, int], list[str]] = {}
        self._parts: dict[tuple[int, int], AnyPart] = {}

    def feed(self, events: Iterable[AnyEvent]) -> None:
        """Raises ProviderFailure at a Failure."""
        for event in events:
            match event:
                case PartDelta():
                    self._delta(event)
                case PartStart():
                    part = msgspec.structs.replace(event.part)
                    self._parts[event.choice, event.index] = part
                    self._words[event.choice, event.index] = []
                    self._choice(event.choice).parts.append(part)
                case Start():
                    self.response.id, self.response.model, self.response.created = event.id, event.model, event.created
                    self.response.extras = event.extras
                    self.response.usage = event.usage
                case ChoiceEnd():
                    choice = self._choice(event.choice)
                    choice.finish, choice.extras = event.finish, {**choice.extras, **event.extras}
                    choice.logprobs.extend(event.logprobs)
                case UsageSoFar():
                    self.response.usage = event.usage
                case End():
                    self.ended = True
                    self.response.usage = event.usage or self.response.usage
                case Failure():
                    raise ProviderFailure(event)
                case PartEnd() | OpaqueEvent():
                    pass

    def result(self) -> Response:
        """The response so far, its strings joined. Raises UpstreamBroken where End has not come."""
        if not self.ended:
            raise UpstreamBroken("The provider's stream ended before its answer did.")
        return self.so_far()

    def so_far(self) -> Response:
        for key, words in self._words.items():
            if words:
                _append(self._parts[key], "".join(words))
                words.clear()
        return self.response

    def _choice(self, index: int) -> Choice:
        choices = self.response.choices
        while len(choices) <= index:
            choices.append(Choice(parts=[], logprobs=[]))
        return choices[index]

    def _delta(self, event: PartDelta) -> None:
        key = event.choice, event.index
        part = self._parts[key]
        if event.text:
            self._words[key].append(event.text)
        if event.signature is not None:
            part.signature = event.signature
        if event.citation is not None and isinstance(part, Text):
            part.citations = [*part.citations, event.citation]
        if event.logprobs:
            self._choice(event.choice).logprobs.extend(event.logprobs)


def _append(part: AnyPart, text: str) -> None:
    match part:
        case Text() | Thinking():
            part.text += text
        case ToolCall():
            part.arguments += text
        case Media():
            part.data = (part.data or "") + text
        case _:
            pass


def fold(events: Iterable[AnyEvent]) -> Response:
    """The response a whole stream tells."""
    folding = Fold()
    folding.feed(events)
    return folding.result()


def unfold(response: Response) -> list[AnyEvent]:
    """The stream that tells a response: every part whole in its PartStart's emptied shell and one delta."""
    events: list[AnyEvent] = [Start(id=response.id, model=response.model, created=response.created, extras=response.extras)]
    for number, choice in enumerate(response.choices):
        logprobs = choice.logprobs
        for index, part in enumerate(choice.parts):
            shell, text = _empty(part)
            events.append(PartStart(choice=number, index=index, part=shell))
            if text or (logprobs and isinstance(part, Text)):
                events.append(PartDelta(choice=number, index=index, text=text, logprobs=logprobs))
                logprobs = []
            events.append(PartEnd(choice=number, index=index))
        events.append(ChoiceEnd(choice=number, finish=choice.finish, logprobs=logprobs, extras=choice.extras))
    events.append(End(usage=response.usage))
    return events


def _empty(part: AnyPart) -> tuple[AnyPart, str]:
    match part:
        case Text(text=text) | Thinking(text=text):
            return (msgspec.structs.replace(part, text=""), text) if text else (part, "")
        case ToolCall(arguments=arguments):
            return (msgspec.structs.replace(part, arguments=""), arguments) if arguments else (part, "")
        case _:
            return part, ""
