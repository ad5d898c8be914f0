"""A backend's keys in turn, each with a quota and a rest of its own. Pure: told the time by a clock, it waits for nobody.

A quota counts in slots, 120 to the window; a slot is forgotten once its last moment is a whole window old. So over any window
of real time no key gets more than its quota, and 120/121 of it can be used.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from math import inf
from typing import Any, Final, Literal, cast, get_args

from msgspec import Struct

_SLOTS: Final = 120
_MINUTE: Final = 60.0
_DAY: Final = 86_400.0
_MODELS: Final = 64  # that a key's rests are told apart for
_ENDLESS: Final = 1 << 62  # where nothing is limited

Rest = Literal["quota", "rate_limit", "refused"]
Reason = Literal["turn", "quota", "rate_limit", "refused"]
PLACES: Final[dict[str, int]] = {reason: place for place, reason in enumerate(get_args(Reason))}


class Slot:
    """A part of a window. What was counted in it is known once it has passed. `number` -1: it is no part any more."""

    __slots__ = ("number", "requests", "tokens")

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = self.tokens = 0


class Lease(Struct):
    """A key's number from 0, what was counted of its tokens, in which slot of its minute, and for which model."""

    key: int
    tokens: int
    slot: Slot
    model: str
    refused: tuple[tuple[int, int], ...] = ()  # the keys that were refused before it, each with the status of that


class _Window:
    """What one key may be asked within `seconds`: requests and tokens. `past_tokens` are those of slots that have passed."""

    __slots__ = ("_length", "_past", "_past_requests", "ends", "now", "past_tokens", "requests", "room", "token_room", "tokens")

    def __init__(self, seconds: float, room: int, token_room: int) -> None:
        self.room, self.token_room = room, token_room
        self.requests = self.tokens = 0  # counted, all slots together
        self.now = Slot(-1)
        self.ends = 0.0  # when the slot of now does
        self.past_tokens = self._past_requests = 0
        self._past: deque[Slot] = deque()  # the oldest first
        self._length = seconds / _SLOTS

    def slot(self, now: float) -> Slot:
        """The slot of now, in which what is counted next is counted."""
        return self.now if now < self.ends else self.turn(now)

    def turn(self, now: float) -> Slot:
        self.forget(now)
        number = int(now / self._length)
        self.ends = (number + 1) * self._length
        slot = self.now = Slot(number)
        return slot

    def forget(self, now: float) -> None:
        """Lets pass what has passed."""
        if now >= self.ends and self.now.number >= 0:
            slot, self.now = self.now, Slot(-1)
            slot.requests, slot.tokens = self.requests - self._past_requests, self.tokens - self.past_tokens
            self._past_requests, self.past_tokens = self.requests, self.tokens
            self._past.append(slot)
        oldest = int(now / self._length) - _SLOTS
        while self._past and self._past[0].number < oldest:
            slot = self._past.popleft()
            slot.number = -1
            self.requests -= slot.requests
            self.tokens -= slot.tokens
            self._past_requests -= slot.requests
            self.past_tokens -= slot.tokens

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until one request of so many tokens fits, 0.0: it does. More than the whole is taken for the whole."""
        self.forget(now)
        over = self.requests + 1 - self.room
        tokens_over = self.tokens + min(tokens, self.token_room) - self.token_room
        if over <= 0 and tokens_over <= 0:
            return 0.0
        number = self.now.number
        for slot in self._past:
            over -= slot.requests
            tokens_over -= slot.tokens
            if over <= 0 and tokens_over <= 0:
                number = slot.number
                break
        return max((number + 1 + _SLOTS) * self._length - now, 0.001)


class _Limited:
    """One model's limit that a key has hit. `refusals`: 429s in a row."""

    __slots__ = ("refusals", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self.refusals = 0


class _Key:
    """Within the minute requests and tokens are counted; `day` is None where a day has no quota. `after` has the next turn.
    It rests for all models until `until`, and for those in `limited` until theirs."""

    __slots__ = ("after", "day", "limited", "minute", "number", "until")

    def __init__(self, number: int, rpm: int | None, rpd: int | None, tpm: int | None) -> None:
        self.number = number
        self.after = self
        self.minute = _Window(_MINUTE, _ENDLESS if rpm is None else rpm, _ENDLESS if tpm is None else tpm)
        self.day = None if rpd is None else _Window(_DAY, rpd, _ENDLESS)
        self.until = 0.0
        self.limited: dict[str, _Limited] = {}

    def wait(self, tokens: int, now: float, model: str) -> float:
        longest = max(0.0, self.until - now, self.minute.wait(tokens, now))
        if (limited := self.limited.get(model)) is not None:
            longest = max(longest, limited.until - now)
        return longest if self.day is None else max(longest, self.day.wait(0, now))

    def rest(self, now: float, model: str) -> Rest:
        """Why it is not free."""
        limited = self.limited.get(model)
        return "refused" if self.until > now else "rate_limit" if limited is not None and limited.until > now else "quota"

    def resting(self, now: float) -> dict[str, float]:
        """The models it rests for, and how long."""
        return {model: limited.until - now for model, limited in self.limited.items() if limited.until > now}

    def limit(self, model: str) -> _Limited:
        """What a model's 429s are noted in."""
        limited = self.limited.get(model)
        if limited is None:
            if len(self.limited) >= _MODELS:
                del self.limited[min(self.limited, key=lambda name: self.limited[name].until)]
            limited = self.limited[model] = _Limited()
        return limited


class KeyPool:
    """`count` keys, each with these limits (None: none) on requests a minute and a day, and tokens a minute. A provider's own
    limits are its models': a key that hits one rests for that model ("": what it is was not known). `tally` counts
    the changes to another key, at the place that `places` gives each reason."""

    FIRST: Final = 1.0  # seconds of rest after a 429 that says nothing
    LONGEST: Final = 60.0

    def __init__(
        self,
        count: int,
        clock: Callable[[], float],
        rpm: int | None = None,
        rpd: int | None = None,
        tpm: int | None = None,
        tally: "list[float] | memoryview[float] | None" = None,
        places: Mapping[str, int] = PLACES,
    ) -> None:
        self._keys = [_Key(number, rpm, rpd, tpm) for number in range(count)]
        for number, key in enumerate(self._keys):
            key.after = self._keys[(number + 1) % count]
        self._clock = clock
        self._limits = (rpm, rpd, tpm)
        self.counts_tokens = tpm is not None
        self.tight = rpd is not None  # some key may rest or have no room; else each has room for one request more
        self.troubled = False  # some key has hit a limit, and not been good since
        self._turn = self._keys[0]
        self._last: _Key | None = None
        self._tally = [0.0] * len(PLACES) if tally is None else tally
        self._places = places
        self._turns = places.get("turn", 0)

    def take(self, model: str = "", tokens: int = 0, without: Collection[int] = (), now: float | None = None) -> Lease | float:
        """The key whose turn it is, or the first after it that is free; else the seconds until one is. `tokens` is what the
        request may use; `without` are keys not to be taken, for which nobody waits; `now` is the clock's time, if it is known."""
        if now is None:
            now = self._clock()
        key = self._turn
        minute = key.minute
        if without or self.tight or minute.tokens + tokens > minute.token_room:
            return self._searched(model, tokens, now, without)
        slot = minute.now if now < minute.ends else minute.turn(now)
        minute.requests += 1
        minute.tokens += tokens
        if minute.requests >= minute.room:
            self.tight = True
        if self._last is not key and self._last is not None:
            self._tally[self._turns] += 1.0
        self._last, self._turn = key, key.after
        return Lease(key.number, tokens, slot, model)

    def _searched(self, model: str, tokens: int, now: float, without: Collection[int]) -> Lease | float:
        shortest, reason, key = inf, cast(Reason, "turn"), self._turn
        for _ in range(len(self._keys)):
            if key.number not in without:
                wait = key.wait(tokens, now, model)
                if wait <= 0.0:
                    return self._leased(key, model, tokens, now, reason)
                reason = key.rest(now, model)
                shortest = min(shortest, wait)
            key = key.after
        return shortest

    def _leased(self, key: _Key, model: str, tokens: int, now: float, reason: Reason) -> Lease:
        minute = key.minute
        slot, tokens = minute.slot(now), min(tokens, minute.token_room)
        minute.requests += 1
        minute.tokens += tokens
        if key.day is not None:
            key.day.slot(now)
            key.day.requests += 1
        self.tight = True
        if self._last is not key and self._last is not None:
            self._tally[self._places[reason]] += 1.0
        self._last, self._turn = key, key.after
        return Lease(key.number, tokens, slot, model)

    def good(self, lease: Lease) -> None:
        """The key was taken: its 429s for that model were the last in a row. A rest goes on until its end."""
        known = self._keys[lease.key].limited
        if (limited := known.get(lease.model)) is not None:
            limited.refusals = 0
            if limited.until <= self._clock():
                del known[lease.model]
        self.troubled = any(key.limited for key in self._keys)

    def settle(self, lease: Lease, tokens: int) -> None:
        """`tokens` is what was used in truth. What was not used is given back to the slot it was counted in, where that still
        counts; what was used besides counts from now."""
        minute, more = self._keys[lease.key].minute, tokens - lease.tokens
        if more > 0:
            minute.slot(self._clock())
            minute.tokens += more
            self.tight = self.tight or minute.tokens > minute.token_room
        elif (slot := lease.slot) is minute.now:
            minute.tokens += more
        elif slot.number >= 0:
            minute.tokens += more
            minute.past_tokens += more
            slot.tokens += more

    def cool(self, number: int, model: str, seconds: float | None = None) -> float:
        """Lets a key rest for a model, whose limit it has hit; None: longer each time in a row. Returns the seconds."""
        limited = self._keys[number].limit(model)
        self.tight = self.troubled = True
        length = min(self.FIRST * 2**limited.refusals, self.LONGEST) if seconds is None else seconds
        limited.refusals = min(limited.refusals + 1, 16)
        limited.until = max(limited.until, self._clock() + length)
        return length

    def refuse(self, number: int, seconds: float) -> None:
        """Lets a key rest for every model: the provider does not take it."""
        self.tight = True
        self._keys[number].until = max(self._keys[number].until, self._clock() + seconds)

    def wait(self, model: str = "") -> float:
        """Seconds until any key is free, 0.0: now."""
        now = self._clock()
        waits = [key.wait(0, now, model) for key in self._keys]
        self.tight = max(waits) > 0.0 or self._limits[1] is not None or any(key.resting(now) for key in self._keys)
        return min(waits)

    def told(self) -> list[dict[str, Any]]:
        """For people: each key by its number from 1, how long it rests and why, and what is left of its quotas."""
        return [self._told(key) for key in self._keys]

    def _told(self, key: _Key) -> dict[str, Any]:
        now = self._clock()
        resting = key.resting(now)
        wait = max(key.wait(1, now, ""), *resting.values(), 0.0)
        told: dict[str, Any] = {"key": key.number + 1, "free": wait <= 0.0}
        if wait > 0.0:
            rest = "refused" if key.until > now else "rate_limit" if resting else "quota"
            told |= {"rests": rest, "seconds": round(wait, 3)}
        if models := sorted(filter(None, resting)):
            told["models"] = models
        rpm, rpd, tpm = self._limits
        counted = {"rpm": key.minute.requests, "rpd": key.day.requests if key.day is not None else 0, "tpm": key.minute.tokens}
        limits = {"rpm": rpm, "rpd": rpd, "tpm": tpm}
        left = {name: max(0, limit - counted[name]) for name, limit in limits.items() if limit is not None}
        return told | {"left": left} if left else told
