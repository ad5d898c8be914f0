"""What an agent tells of one turn, as IR events: deltas as they come, then how it ended. Pure: messages in, events out.

The CLI tells neither why a model stopped nor what a filter withheld: every turn that ends is an `end_turn`. An answer that
used up its limit is told as cut off by it, and a turn that ends without a word is a failure, never an empty answer.
"""

import re
from typing import Final

from interlingua.cli.acp import Reply, Update
from interlingua.errors import UpstreamGarbage, kind_of
from interlingua.ir import (
    AnyEvent,
    ChoiceEnd,
    End,
    Failure,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    Reason,
    Start,
    Text,
    Thinking,
    Usage,
)
from interlingua.protocols import gemini
from interlingua.protocols.wire import as_count, as_obj, as_text

ORIGIN: Final = "gemini-cli"
_REASONS: Final[dict[str, Reason]] = {"end_turn": "stop", "max_tokens": "context", "refusal": "filter"}
_WAIT: Final = re.compile(r"[Rr]etry after (\d{1,6}(?:\.\d{1,6})?)s")
_UNKNOWN: Final = re.compile(r"^models?/\S+ is not (found|supported)|\bis not found for API version\b")
_NO_SUBJECT: Final = "****\n"  # before a thought that has none


class Telling:
    """One turn. `limit`: the output tokens it may use. Nothing more comes after End or Failure."""

    def __init__(self, model: str, limit: int | None = None) -> None:
        self._limit = limit
        self._events: list[AnyEvent] = [Start(model=model)]
        self._index = -1
        self._open: type[Text | Thinking] | None = None
        self.spoken = False  # a word of an answer or of a thought was told

    def feed(self, message: Update | Reply) -> list[AnyEvent]:
        if isinstance(message, Reply):
            return self._end(message)
        if message.text and message.kind == "agent_message_chunk":
            self._say(Text, message.text)
        elif message.text and message.kind == "agent_thought_chunk":
            self._say(Thinking, self._thought(message.text))
        elif message.kind == "tool_call":
            self._events = []
            return [UpstreamGarbage("The Gemini CLI called a tool of its own, though it was given none.").failure]
        else:
            return []
        return self._told()

    def _thought(self, text: str) -> str:
        """The CLI trims each piece: one with a subject begins a paragraph, another goes on in it."""
        plain = text.removeprefix(_NO_SUBJECT)
        if self._open is not Thinking:
            return plain
        return " " + plain if plain is not text else "\n\n" + text

    def _say(self, kind: type[Text | Thinking], text: str) -> None:
        self.spoken = True
        if self._open is not kind:
            self._shut()
            self._index += 1
            self._open = kind
            self._events.append(PartStart(index=self._index, part=kind()))
        self._events.append(PartDelta(index=self._index, text=text))

    def _shut(self) -> None:
        if self._open is not None:
            self._events.append(PartEnd(index=self._index))
            self._open = None

    def _end(self, reply: Reply) -> list[AnyEvent]:
        if reply.code is not None:
            return [failure_of(reply.code, reply.message)]
        usage, word = _usage(reply), as_text(reply.result.get("stopReason")) or ""
        if not self.spoken:
            return [_nothing(word)]
        reason = _REASONS.get(word, "other")
        if reason == "stop" and self._limit is not None and (usage.output or 0) >= self._limit:
            reason = "length"
        self._shut()
        self._events += [ChoiceEnd(finish=Finish(reason=reason, raw=word, origin=ORIGIN)), End(usage=usage)]
        return self._told()

    def _told(self) -> list[AnyEvent]:
        events, self._events = self._events, []
        return events


def failure_of(code: int, message: str) -> Failure:
    """An error of the agent: its code is the HTTP status the CLI got from Google, its message often Google's own body."""
    if not 400 <= code < 600:
        return UpstreamGarbage(f"The Gemini CLI failed: {message[:500]}").failure
    failure = gemini.parse_error(code, message.encode())
    if not failure.extras:
        if code == 500 and _UNKNOWN.search(message):  # the one status that it does not hand on
            failure.status = code = 404
        failure.kind, failure.message = kind_of(code), message[:2000]
    if failure.retry_after is None and (wait := _WAIT.search(message)):
        failure.retry_after = float(wait[1])
    return failure


def _nothing(word: str) -> Failure:
    if word == "max_tokens":
        message = "The prompt is longer than the model's context window."
        return Failure(status=400, kind="context_window", message=message)
    message = "The Gemini CLI ended its turn without a word: the model gave none, or a filter withheld it."
    return Failure(status=502, kind="bad_gateway", message=message)


def _usage(reply: Reply) -> Usage:
    counts = as_obj(as_obj(as_obj(reply.result.get("_meta")).get("quota")).get("token_count"))
    read, said = as_count(counts.get("input_tokens")), as_count(counts.get("output_tokens"))
    return Usage(input=read, output=said) if read or said else Usage()
