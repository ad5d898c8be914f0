"""A conversation stays with the backend whose prompt cache knows it: for as long as a cache is warm, and only where that pays.

Worth it is a prompt of CACHED characters (some 1,024 tokens, the least that OpenAI, Anthropic and Gemini cache), at a
provider that caches by itself or was told to by a mark of the request. Who cares for a conversation's name says it in
`prompt_cache_key` or `user`; else it is what it began with: its system prompt and its first turn of the user.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from interlingua.ir import Request, Text
from interlingua.pipeline import Call
from interlingua.protocols.shared import marked
from interlingua.routing import Decision

CACHED: Final = 4096  # characters
WARM: Final = 300.0  # seconds: Anthropic's default, and the least that OpenAI says
_BEGIN: Final = 2048  # characters of a text that name a conversation

# Caches only what the request marks. Source: the prompt-caching pages of Anthropic and AWS Bedrock; OpenRouter passes marks on.
_MARKED: Final = frozenset(("anthropic", "bedrock"))

Name = tuple[str, str, int]


class Conversations:
    """`protocols`: what each backend speaks. `limit`: conversations remembered; the one unused longest is forgotten first."""

    def __init__(self, protocols: Mapping[str, str], limit: int = 10_000) -> None:
        self._protocols = protocols
        self._limit = limit
        self._known: OrderedDict[Name, tuple[str, str, float]] = OrderedDict()

    def inherit(self, before: "Conversations") -> None:
        """Goes on with what another knew; a backend that is no more is asked by nobody."""
        self._known = before._known

    def __len__(self) -> int:
        return len(self._known)

    def name(self, call: Call) -> Name | None:
        """None where the prompt is too short to be cached."""
        request = call.request
        return (call.tenant, request.model, _mark_of(request)) if _is_long(request) else None

    def of(self, name: Name, now: float) -> tuple[str, str] | None:
        """The backend and model that know the conversation."""
        known = self._known.get(name)
        if known is not None and known[2] <= now:
            del self._known[name]
            return None
        return None if known is None else known[:2]

    def served(self, name: Name, decision: Decision, request: Request, now: float) -> None:
        """This backend has the conversation in its cache now."""
        if self._protocols.get(decision.backend) in _MARKED and not _is_marked(request):
            self._known.pop(name, None)
            return
        self._known[name] = decision.backend, decision.model, now + WARM
        self._known.move_to_end(name)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)


def _is_long(request: Request) -> bool:
    size = 0
    for message in request.messages:
        for part in message.parts:
            if type(part) is Text:
                size += len(part.text)
                if size >= CACHED:
                    return True
    return False


def _is_marked(request: Request) -> bool:
    for message in request.messages:
        for part in message.parts:
            if part.cache is not None:
                return True
    return marked(request.tools)


def _mark_of(request: Request) -> int:
    """Of one process alone, as `hash` is."""
    said = next((e["prompt_cache_key"] for e in request.extras.values() if type(e.get("prompt_cache_key")) is str), request.user)
    if said is not None:
        return hash(said)
    begin: list[str] = []
    for message in request.messages:
        begin += [part.text[:_BEGIN] for part in message.parts if type(part) is Text]
        if message.role == "user":
            break
    return hash(tuple(begin))
