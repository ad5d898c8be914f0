"""Remembers, by tool-call id, the reasoning that a model wants back, for clients that send back only bare calls.

Kept: the thinking before a turn's tool calls and the calls' signatures. Bounded; what has been forgotten is reported
by the backend's formatter as a loss, as if it had never been seen.
"""

from collections import OrderedDict
from collections.abc import Awaitable
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from interlingua.ir import AnyPart, Message, Request, Response, Signature, Thinking, ToolCall
from interlingua.models import facts
from interlingua.pipeline import Answer, Call, Handler

_LARGEST: Final = 1 << 20  # bytes of one turn's reasoning


class _Turn(Struct, array_like=True):
    """What came with a turn's calls: each thinking with the call it led to ("" where it opened the turn), signatures by
    call, and the calls themselves: some servers give the same ids in every conversation."""

    thinking: list[tuple[str, Thinking]]
    signatures: dict[str, Signature]
    calls: dict[str, tuple[str, str]]  # id -> name, arguments


class Memory:
    """`limit`: bytes held in all."""

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit = limit
        self._held = 0
        self._turns: OrderedDict[tuple[str, str], tuple[_Turn, int]] = OrderedDict()

    def __call__(self, call: Call, next: Handler) -> Awaitable[Answer]:
        if self._turns:
            self.restore(call.request, call.tenant)
        return self._kept(call, next) if call.request.tools else next(call)

    async def _kept(self, call: Call, next: Handler) -> Answer:
        answer = await next(call)
        if _may_sign(call):
            answer.tap(partial(self.keep, call.tenant))
        return answer

    def keep(self, tenant: str, response: Response) -> None:
        for choice in response.choices:
            turn, size = _turn(choice.parts)
            if 0 < size <= _LARGEST:
                for part in choice.parts:
                    if isinstance(part, ToolCall) and part.id:
                        self._put((tenant, part.id), turn, size)

    def _put(self, key: tuple[str, str], turn: _Turn, size: int) -> None:
        if key in self._turns:
            self._held -= self._turns.pop(key)[1]
        self._turns[key] = turn, size
        self._held += size
        while self._held > self._limit:
            self._held -= self._turns.popitem(last=False)[1][1]

    def restore(self, request: Request, tenant: str) -> None:
        for i, message in enumerate(request.messages):
            if message.role == "assistant" and any(type(part) is ToolCall for part in message.parts):
                request.messages[i] = self._restored(message, tenant)

    def _restored(self, message: Message, tenant: str) -> Message:
        """Whatever the client did send back is trusted over the memory."""
        if any(part.signature is not None for part in message.parts):
            return message
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        keys = [(tenant, call.id) for call in calls]
        known = next((self._turns[key][0] for key in keys if key in self._turns), None)
        if known is None or not all(_same(call, known.calls.get(call.id)) for call in calls):
            return message
        parts: list[AnyPart] = []
        for part in message.parts:
            if isinstance(part, Thinking):
                continue  # the words alone: the signed original takes their place
            if isinstance(part, ToolCall) and part.id in known.signatures:
                part = msgspec.structs.replace(part, signature=known.signatures[part.id])
            parts.append(part)
        if not known.thinking:
            parts = [p for p in message.parts if isinstance(p, Thinking)] + parts
        for before, thinking in known.thinking:
            place = next((i for i, p in enumerate(parts) if isinstance(p, ToolCall) and p.id == before), None)
            if place is not None:
                parts.insert(place, thinking)
        opening: list[AnyPart] = [thinking for before, thinking in known.thinking if not before]
        return msgspec.structs.replace(message, parts=opening + parts)


def _same(call: ToolCall, said: tuple[str, str] | None) -> bool:
    """Whether a client's call is the one that was said; it may have spelled the arguments anew."""
    if said is None or call.name != said[0]:
        return False
    try:
        return call.arguments == said[1] or msgspec.json.decode(call.arguments or "{}") == msgspec.json.decode(said[1] or "{}")
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False


def _may_sign(call: Call) -> bool:
    """Whether the model may seal its reasoning: it was asked to reason, or does so unasked."""
    decision = call.decision
    return call.request.reasoning is not None or (
        decision is not None and facts(decision.model).thinks in ("level", "adaptive", "budget_or_adaptive")
    )


def _turn(parts: list[AnyPart]) -> tuple[_Turn, int]:
    """What is worth keeping of a turn, and its size in bytes: 0 where nothing is."""
    turn, size, waiting = _Turn([], {}, {}), 0, list[tuple[bool, Thinking]]()
    opened = False
    for part in parts:
        opened = opened or not isinstance(part, Thinking)
        if isinstance(part, Thinking) and part.signature is not None:
            waiting.append((opened, part))
            size += len(part.text) + len(part.signature.data) + 200
        elif isinstance(part, ToolCall):
            turn.thinking += [(part.id if later else "", thinking) for later, thinking in waiting]
            waiting.clear()
            turn.calls[part.id] = part.name, part.arguments
            size += len(part.name) + len(part.arguments) + 100
            if part.signature is not None:
                turn.signatures[part.id] = part.signature
                size += len(part.signature.data) + 200
    return (turn, size) if turn.thinking or turn.signatures else (turn, 0)
