"""A backend's keys in turn, each with a quota and a rest of its own. Pure: told the time by a clock, it waits for nobody.

A quota counts in slots, 120 to the window; a slot is forgotten once its last moment is a whole window old. So over any window
of real time no key gets more than its quota, and 120/121 of it can be used.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from typing import Any, Final, Literal, cast, get_args

from interlingua.ir import Usage
from interlingua.metrics import Slots

_SLOTS: Final = 120
_MINUTE: Final = 60.0
_DAY: Final = 86_400.0
_MODELS: Final = 64  # that a key's rests are told apart for
_ENDLESS: Final = (1 << 30) - 1  # where nothing is limited: more than anyone asks within a window, and a cheap integer

Rest = Literal["quota", "rate_limit", "refused"]
Reason = Literal["turn", "quota", "rate_limit", "refused"]
PLACES: Final[dict[str, int]] = {reason: place for place, reason in enumerate(get_args(Reason))}


class Slot:
    """A part of a key's window; `key` is the key's number, and `lines` go with it. What was counted in it is known once it has
    passed. `number` -1: it is no part any more."""

    __slots__ = ("key", "lines", "number", "requests", "tokens", "window")

    def __init__(self, window: "_Window", number: int) -> None:
        self.window, self.key, self.lines, self.number = window, window.key, window.lines, number
        self.requests = self.tokens = 0


Lease = tuple[Slot, int, str]
"""A key for one request: the slot of its minute that the request was counted in, how many tokens were, and for which model."""


class _Window:
    """What one key may be asked within `seconds`: `room` requests of `token_room` tokens, of which so many are `free` and `left`.
    `after` is that of the key that has the next turn, and `day` the same key's longer one, if it has any."""

    __slots__ = (
        "_free",
        "_left",
        "_length",
        "_past",
        "after",
        "day",
        "ends",
        "free",
        "key",
        "left",
        "lines",
        "now",
        "room",
        "token_room",
    )

    def __init__(self, key: int, seconds: float, room: int, token_room: int, lines: bytes | None = None) -> None:
        self.key, self.lines, self.after = key, lines, self
        self.day: _Window | None = None
        self.room, self.token_room = room, token_room
        self.free, self.left = room, token_room
        self.now = Slot(self, -1)
        self.ends = 0.0  # when the slot of now does
        self._free, self._left = room, token_room  # when the slot of now began
        self._past: deque[Slot] = deque()  # the oldest first
        self._length = seconds / _SLOTS

    def slot(self, now: float) -> Slot:
        """The slot of now, in which what is counted next is counted."""
        return self.now if now < self.ends else self.turn(now)

    def turn(self, now: float) -> Slot:
        self.forget(now)
        number = int(now / self._length)
        self.ends = (number + 1) * self._length
        slot = self.now = Slot(self, number)
        return slot

    def forget(self, now: float) -> None:
        """Lets pass what has passed."""
        if now >= self.ends and self.now.number >= 0:
            slot, self.now = self.now, Slot(self, -1)
            slot.requests, slot.tokens = self._free - self.free, self._left - self.left
            self._free, self._left = self.free, self.left
            self._past.append(slot)
        oldest = int(now / self._length) - _SLOTS
        while self._past and self._past[0].number < oldest:
            slot = self._past.popleft()
            slot.number = -1
            self.free += slot.requests
            self._free += slot.requests
            self.give_back(slot.tokens)

    def give_back(self, tokens: int) -> None:
        """Of slots that have passed."""
        self.left += tokens
        self._left += tokens

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until one request of so many tokens fits, 0.0: it does. More than the whole is taken for the whole."""
        self.forget(now)
        over = 1 - self.free
        tokens_over = min(tokens, self.token_room) - self.left
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
    """Within the minute requests and tokens are counted, requests within its `day` too. It rests for all models until `until`,
    and for those in `limited` until theirs."""

    __slots__ = ("limited", "minute", "number", "until")

    def __init__(self, number: int, rpm: int | None, rpd: int | None, tpm: int | None, lines: bytes | None) -> None:
        self.number = number
        self.minute = _Window(number, _MINUTE, _ENDLESS if rpm is None else rpm, _ENDLESS if tpm is None else tpm, lines)
        self.minute.day = None if rpd is None else _Window(number, _DAY, rpd, _ENDLESS)
        self.until = 0.0
        self.limited: dict[str, _Limited] = {}

    def wait(self, tokens: int, now: float, model: str) -> float:
        longest = max(0.0, self.until - now, self.minute.wait(tokens, now))
        if (limited := self.limited.get(model)) is not None:
            longest = max(longest, limited.until - now)
        day = self.minute.day
        return longest if day is None else max(longest, day.wait(0, now))

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
    limits are its models': a key that hits one rests for that model ("": what it is was not known). `tally`, where there
    are several keys, counts the changes to another, at the place that `places` gives each reason. `lines`: what goes
    with each key, if anything."""

    FIRST: Final = 1.0  # seconds of rest after a 429 that says nothing
    LONGEST: Final = 60.0

    def __init__(
        self,
        count: int,
        clock: Callable[[], float],
        rpm: int | None = None,
        rpd: int | None = None,
        tpm: int | None = None,
        tally: "Slots | None" = None,
        places: Mapping[str, int] = PLACES,
        lines: Sequence[bytes | None] = (),
    ) -> None:
        self._keys = [_Key(number, rpm, rpd, tpm, lines[number] if lines else None) for number in range(count)]
        for number, key in enumerate(self._keys):
            key.minute.after = self._keys[(number + 1) % count].minute
        self._clock = clock
        self._limits = (rpm, rpd, tpm)
        self.counts_tokens = tpm is not None
        self.tight = True  # some key may rest or have no room; else each has room for one request more
        self.troubled = False  # some key has hit a limit, and not been good since
        self._begun = False
        self._turn = self._keys[0].minute  # of the key whose turn it is; the one before it was the last
        self._tally = [0.0] * len(PLACES) if tally is None else tally
        self._places, self._turns = places, places["turn"]

    def turn(self, model: str, tokens: int, now: float) -> Lease | None:
        """The key whose turn it is, while none is in trouble; None: ask `take`. `tokens`: what the request may use. `now`: by the
        clock."""
        minute = self._turn
        if self.tight or tokens > minute.left:
            return None
        slot = minute.now if now < minute.ends else minute.turn(now)
        minute.free -= 1
        minute.left -= tokens
        if not minute.free:
            self.tight = True
        if (day := minute.day) is not None:
            if now >= day.ends:
                day.turn(now)
            day.free -= 1
            if not day.free:
                self.tight = True
        self._tally[self._turns] += 1.0
        self._turn = minute.after
        return slot, tokens, model

    def take(self, model: str = "", tokens: int = 0, without: Collection[int] = ()) -> Lease | float:
        """The key whose turn it is, or the first after it that is free; else the seconds until one is. `without` are keys not to
        be taken, for which nobody waits."""
        now, shortest, reason = self._clock(), inf, cast(Reason, "turn")
        if not without and (lease := self.turn(model, tokens, now)) is not None:
            return lease
        for number in range(self._turn.key, self._turn.key + len(self._keys)):
            key = self._keys[number % len(self._keys)]
            if key.number not in without:
                wait = key.wait(tokens, now, model)
                if wait <= 0.0:
                    return self._leased(key, model, tokens, now, reason)
                reason = key.rest(now, model)
                shortest = min(shortest, wait)
        return shortest

    def _leased(self, key: _Key, model: str, tokens: int, now: float, reason: Reason) -> Lease:
        minute = key.minute
        slot, tokens = minute.slot(now), min(tokens, minute.token_room)
        minute.free -= 1
        minute.left -= tokens
        if (day := minute.day) is not None:
            day.slot(now)
            day.free -= 1
        if self._begun and minute.after is not self._turn:
            self._tally[self._places[reason]] += 1.0
        self._begun = self.tight = True
        self._turn = minute.after
        return slot, tokens, model

    def good(self, lease: Lease) -> None:
        """The key was taken: its 429s for that model were the last in a row. A rest goes on until its end."""
        slot, _, model = lease
        known = self._keys[slot.key].limited
        if (limited := known.get(model)) is not None:
            limited.refusals = 0
            if limited.until <= self._clock():
                del known[model]
        self.troubled = any(key.limited for key in self._keys)

    def settle(self, lease: Lease, usage: Usage | None) -> None:
        """An answer is whole: the key is good, and this is what was used in truth, where the provider says so. What was not used
        is given back to the slot it was counted in, where that still counts; what was used besides counts from now."""
        if self.troubled:
            self.good(lease)
        if usage is None or usage.input is None or not self.counts_tokens:
            return
        slot, counted, _ = lease
        minute, more = slot.window, usage.input + (usage.output or 0) - counted
        if more > 0:
            minute.slot(self._clock())
            minute.left -= more
            self.tight = self.tight or minute.left < 0
        elif slot is minute.now:
            minute.left -= more
        elif slot.number >= 0:
            slot.tokens += more
            minute.give_back(-more)

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
        calm = self._begun and max(waits) <= 0.0
        self.tight = not calm or any(key.resting(now) for key in self._keys)
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
        free = {"rpm": key.minute.free, "rpd": day.free if (day := key.minute.day) is not None else 0, "tpm": key.minute.left}
        limits = {"rpm": rpm, "rpd": rpd, "tpm": tpm}
        left = {name: max(0, free[name]) for name, limit in limits.items() if limit is not None}
        return told | {"left": left} if left else told
