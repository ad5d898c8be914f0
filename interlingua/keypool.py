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

Rest = Literal["quota", "rate_limit", "refused"]
Reason = Literal["turn", "quota", "rate_limit", "refused"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
_PLACES: Final = {reason: place for place, reason in enumerate(REASONS)}


class Slot:
    """A part of a window, and what was counted in it. `number` -1: the window has passed, and it counts no more."""

    __slots__ = ("number", "requests", "tokens")

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = self.tokens = 0


class Lease(Struct):
    """A key's number from 0, what was counted of its tokens, and in which slot of its minute."""

    key: int
    tokens: int
    slot: Slot
    reason: Reason | None  # why it is another key than last time; None: it is not
    refused: tuple[tuple[int, int], ...] = ()  # the keys that were refused before it, each with the status of that


class _Window:
    """What one key may be asked within `seconds`: requests and tokens, inf where that is not limited."""

    __slots__ = ("_length", "_slots", "ends", "now", "requests", "room", "tokens", "token_room")

    def __init__(self, seconds: float, room: float, token_room: float) -> None:
        self.room, self.token_room = room, token_room
        self.requests = self.tokens = 0  # counted, all slots together
        self.now = Slot(-1)
        self.ends = 0.0  # when the slot of now does
        self._length = seconds / _SLOTS
        self._slots: deque[Slot] = deque()  # the oldest first

    def turn(self, now: float) -> Slot:
        """A new slot of now."""
        self.forget(now)
        number = int(now / self._length)
        self.ends = (number + 1) * self._length
        slot = self.now = Slot(number)
        self._slots.append(slot)
        return slot

    def count(self, requests: int, tokens: int, now: float) -> Slot:
        slot = self.now if now < self.ends else self.turn(now)
        slot.requests += requests
        slot.tokens += tokens
        self.requests += requests
        self.tokens += tokens
        return slot

    def forget(self, now: float) -> None:
        oldest = int(now / self._length) - _SLOTS
        while self._slots and self._slots[0].number < oldest:
            slot = self._slots.popleft()
            slot.number = -1
            self.requests -= slot.requests
            self.tokens -= slot.tokens

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until one request of so many tokens fits, 0.0: it does. More than the whole is taken for the whole."""
        self.forget(now)
        over = self.requests + 1 - self.room
        tokens_over = self.tokens + min(tokens, self.token_room) - self.token_room
        if over <= 0 and tokens_over <= 0:
            return 0.0
        for slot in self._slots:
            over -= slot.requests
            tokens_over -= slot.tokens
            if over <= 0 and tokens_over <= 0:
                return max((slot.number + 1 + _SLOTS) * self._length - now, 0.001)
        return 0.0


class _Key:
    """Within the minute requests and tokens are counted; `day` is None where a day has no quota."""

    __slots__ = ("day", "minute", "number", "refusals", "rest", "until")

    def __init__(self, number: int, rpm: int | None, rpd: int | None, tpm: int | None) -> None:
        self.number = number
        self.minute = _Window(_MINUTE, inf if rpm is None else rpm, inf if tpm is None else tpm)
        self.day = None if rpd is None else _Window(_DAY, rpd, inf)
        self.until = 0.0  # it rests until then
        self.rest: Rest = "rate_limit"
        self.refusals = 0  # 429s in a row

    def wait(self, tokens: int, now: float) -> float:
        longest = max(0.0, self.until - now, self.minute.wait(tokens, now))
        return longest if self.day is None else max(longest, self.day.wait(0, now))


class KeyPool:
    """`count` keys, each with these limits (None: none) on requests a minute and a day, and tokens a minute. `tally` counts
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
        places: Mapping[str, int] = _PLACES,
    ) -> None:
        self._keys = [_Key(number, rpm, rpd, tpm) for number in range(count)]
        self._clock = clock
        self._limits = (rpm, rpd, tpm)
        self.counts_tokens = tpm is not None
        self.tight = False  # some key may rest or have no room; else each has room for one request more
        self._next = 0
        self._last = -1
        self._tally = [0.0] * len(_PLACES) if tally is None else tally
        self._places = places

    def take(self, tokens: int = 0, without: Collection[int] = ()) -> Lease | float:
        """The key whose turn it is, or the first after it that is free; else the seconds until one is. `tokens` is what the
        request may use; `without` are keys not to be taken, for which nobody waits."""
        now = self._clock()
        key, reason = self._keys[self._next], "turn"
        if without or self.tight or key.minute.tokens + tokens > key.minute.token_room:
            found = self._searched(tokens, now, without)
            if not isinstance(found, tuple):
                return found
            key, reason = found
        minute, number = key.minute, key.number
        if tokens > minute.token_room:
            tokens = int(minute.token_room)
        slot = minute.now if now < minute.ends else minute.turn(now)  # as `count` does, without the call
        slot.requests += 1
        slot.tokens += tokens
        minute.requests += 1
        minute.tokens += tokens
        if key.day is not None:
            key.day.count(1, 0, now)
        if key.day is not None or minute.requests >= minute.room or minute.tokens > minute.token_room:
            self.tight = True
        last, self._last = self._last, number
        self._next = (number + 1) % len(self._keys)
        if number == last or last < 0:
            return Lease(number, tokens, slot, None)
        self._tally[self._places[reason]] += 1.0
        return Lease(number, tokens, slot, reason)

    def _searched(self, tokens: int, now: float, without: Collection[int]) -> tuple[_Key, Reason] | float:
        """The first key that is free, and why it is not the one whose turn it is; or the seconds until one is."""
        shortest, reason = inf, cast(Reason, "turn")
        for key in (*self._keys[self._next :], *self._keys[: self._next]):
            if key.number in without:
                continue
            wait = key.wait(tokens, now)
            if wait <= 0.0:
                return key, reason
            reason = key.rest if key.until > now else "quota"
            shortest = min(shortest, wait)
        return shortest

    def settle(self, lease: Lease, tokens: int | None = None) -> None:
        """The key was good. `tokens` is what was used in truth; None: not known, what was reserved stands. What was not used
        is given back to the slot it was counted in, where that still counts; what was used besides counts from now."""
        key, slot = self._keys[lease.key], lease.slot
        key.refusals = 0
        if tokens is None or tokens == lease.tokens:
            return
        minute, more = key.minute, tokens - lease.tokens
        if more < 0 <= slot.number:
            slot.tokens += more
            minute.tokens += more
        elif more > 0:
            minute.count(0, more, self._clock())
            self.tight = self.tight or minute.tokens > minute.token_room

    def cool(self, number: int, seconds: float | None = None, rest: Rest = "rate_limit") -> float:
        """Lets a key rest; None: longer each time in a row. Returns the seconds."""
        key = self._keys[number]
        self.tight = True
        length = min(self.FIRST * 2**key.refusals, self.LONGEST) if seconds is None else seconds
        key.refusals = min(key.refusals + 1, 16)
        until = self._clock() + length
        if until > key.until:
            key.until, key.rest = until, rest
        return length

    def wait(self, tokens: int = 0) -> float:
        """Seconds until any key is free, 0.0: now."""
        now = self._clock()
        waits = [key.wait(tokens, now) for key in self._keys]
        self.tight = max(waits) > 0.0 or tokens > 0 and self.tight
        return min(waits)

    def told(self) -> list[dict[str, Any]]:
        """For people: each key by its number from 1, how long it rests and why, and what is left of its quotas."""
        return [self._told(key) for key in self._keys]

    def _told(self, key: _Key) -> dict[str, Any]:
        now = self._clock()
        wait = key.wait(1, now)
        told: dict[str, Any] = {"key": key.number + 1, "free": wait <= 0.0}
        if wait > 0.0:
            told |= {"rests": key.rest if key.until > now else "quota", "seconds": round(wait, 3)}
        rpm, rpd, tpm = self._limits
        counted = {"rpm": key.minute.requests, "rpd": key.day.requests if key.day is not None else 0, "tpm": key.minute.tokens}
        limits = {"rpm": rpm, "rpd": rpd, "tpm": tpm}
        left = {name: max(0, limit - counted[name]) for name, limit in limits.items() if limit is not None}
        return told | {"left": left} if left else told
