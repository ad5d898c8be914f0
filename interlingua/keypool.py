"""A backend's keys in turn, each with a quota and a rest of its own. Pure: told the time by a clock, it waits for nobody.

A quota counts in slots, 120 to the window; a slot is forgotten once its last moment is a whole window old. So over any window
of real time no key gets more than its quota, and 120/121 of it can be used.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal

from msgspec import Struct

_SLOTS: Final = 120
_MINUTE: Final = 60.0
_DAY: Final = 86_400.0

Rest = Literal["quota", "rate_limit", "refused"]
Reason = Literal["turn", "quota", "rate_limit", "refused"]


class Lease(Struct, frozen=True):
    """A key's number from 0, and what was counted against its quota, when."""

    key: int
    tokens: int
    at: float
    reason: Reason | None  # why it is another key than last time; None: it is not


class _Window:
    """One quota of one key. Amounts are requests or tokens; times are the clock's seconds."""

    __slots__ = ("_counts", "_slot", "quota", "used")

    def __init__(self, quota: int, seconds: float) -> None:
        self.quota = quota
        self.used = 0
        self._slot = seconds / _SLOTS
        self._counts: deque[list[int]] = deque()  # [slot, amount], oldest first

    def wait(self, amount: int, now: float) -> float:
        """Seconds until `amount` fits, 0.0: it does. More than the whole quota is taken for the whole."""
        if self.used + amount <= self.quota:  # what is to be forgotten would but make more room
            return 0.0
        amount = min(amount, self.quota)
        self.forget(now)
        over = self.used + amount - self.quota
        if over <= 0:
            return 0.0
        for slot, counted in self._counts:
            over -= counted
            if over <= 0:
                return max((slot + 1 + _SLOTS) * self._slot - now, 0.001)
        return 0.0

    def forget(self, now: float) -> None:
        oldest = int(now / self._slot) - _SLOTS
        while self._counts and self._counts[0][0] < oldest:
            self.used -= self._counts.popleft()[1]

    def add(self, amount: int, now: float) -> None:
        slot = int(now / self._slot)
        self.used += amount
        if self._counts and self._counts[-1][0] >= slot:  # a clock never goes back, but rounding may
            self._counts[-1][1] += amount
        else:
            self.forget(now)
            self._counts.append([slot, amount])

    def give_back(self, amount: int, at: float) -> None:
        """What was counted at `at` and not used, where it is still counted."""
        slot = int(at / self._slot)
        for entry in reversed(self._counts):
            if entry[0] == slot:
                back = min(amount, entry[1])
                entry[1] -= back
                self.used -= back
                return


class _Key:
    __slots__ = ("refusals", "requests", "rest", "tokens", "until")

    def __init__(self, rpm: int | None, rpd: int | None, tpm: int | None) -> None:
        self.requests = [_Window(quota, span) for quota, span in ((rpm, _MINUTE), (rpd, _DAY)) if quota is not None]
        self.tokens = _Window(tpm, _MINUTE) if tpm is not None else None
        self.until = 0.0  # it rests until then
        self.rest: Rest = "rate_limit"
        self.refusals = 0  # 429s in a row

    def wait(self, tokens: int, now: float) -> float:
        longest = self.until - now if self.until > now else 0.0
        for window in self.requests:
            if window.used >= window.quota:
                longest = max(longest, window.wait(1, now))
        window = self.tokens
        if window is not None and window.used + tokens > window.quota:
            longest = max(longest, window.wait(tokens, now))
        return longest


class KeyPool:
    """`count` keys, each with these limits (None: none) on requests a minute and a day, and tokens a minute."""

    FIRST: Final = 1.0  # seconds of rest after a 429 that says nothing
    LONGEST: Final = 60.0

    def __init__(
        self, count: int, clock: Callable[[], float], rpm: int | None = None, rpd: int | None = None, tpm: int | None = None
    ) -> None:
        self._keys = [_Key(rpm, rpd, tpm) for _ in range(count)]
        self._clock = clock
        self._limits = {name: limit for name, limit in (("rpm", rpm), ("rpd", rpd), ("tpm", tpm)) if limit is not None}
        self.counts_tokens = tpm is not None
        self._next = 0
        self._last: int | None = None

    def take(self, tokens: int = 0, without: frozenset[int] = frozenset()) -> Lease | float:
        """The key whose turn it is, or the first after it that is free; else the seconds until one is. `tokens` is what the
        request may use; `without` are keys not to be taken, for which nobody waits."""
        now, shortest, count = self._clock(), float("inf"), len(self._keys)
        if not without and self._keys[self._next].wait(tokens, now) <= 0.0:
            return self._leased(self._next, tokens, now, "turn")
        reason: Reason = "turn"
        for number in ((self._next + step) % count for step in range(count)):
            if number in without:
                continue
            key = self._keys[number]
            wait = key.wait(tokens, now)
            if wait <= 0.0:
                return self._leased(number, tokens, now, reason)
            reason = key.rest if key.until > now else "quota"
            shortest = min(shortest, wait)
        return shortest

    def _leased(self, number: int, tokens: int, now: float, reason: Reason) -> Lease:
        key = self._keys[number]
        for window in key.requests:
            window.add(1, now)
        if key.tokens is not None:
            tokens = min(tokens, key.tokens.quota)
            key.tokens.add(tokens, now)
        changed = self._last is not None and number != self._last
        self._last, self._next = number, (number + 1) % len(self._keys)
        return Lease(number, tokens, now, reason if changed else None)

    def settle(self, lease: Lease, tokens: int | None = None) -> None:
        """The key was good. `tokens` is what was used in truth; None: not known, what was reserved stands."""
        key = self._keys[lease.key]
        key.refusals = 0
        if tokens is None or key.tokens is None:
            return
        if tokens < lease.tokens:
            key.tokens.give_back(lease.tokens - tokens, lease.at)
        elif tokens > lease.tokens:
            key.tokens.add(tokens - lease.tokens, self._clock())

    def cool(self, lease: Lease, seconds: float | None = None, rest: Rest = "rate_limit") -> float:
        """Lets the key rest; None: longer each time in a row. Returns the seconds."""
        key = self._keys[lease.key]
        length = min(self.FIRST * 2**key.refusals, self.LONGEST) if seconds is None else seconds
        key.refusals = min(key.refusals + 1, 16)
        until = self._clock() + length
        if until > key.until:
            key.until, key.rest = until, rest
        return length

    def wait(self, tokens: int = 0) -> float:
        """Seconds until any key is free, 0.0: now."""
        now, shortest = self._clock(), float("inf")
        for key in self._keys:
            wait = key.wait(tokens, now)
            if wait <= 0.0:
                return 0.0
            shortest = min(shortest, wait)
        return shortest

    def told(self) -> list[dict[str, Any]]:
        """For people: each key by its number from 1, how long it rests and why, and what is left of its quotas."""
        return [self._told(number, key) for number, key in enumerate(self._keys, 1)]

    def _told(self, number: int, key: _Key) -> dict[str, Any]:
        now = self._clock()
        wait = key.wait(1, now)
        told: dict[str, Any] = {"key": number, "free": wait <= 0.0}
        if wait > 0.0:
            told |= {"rests": key.rest if key.until > now else "quota", "seconds": round(wait, 3)}
        windows = [*key.requests, *([key.tokens] if key.tokens is not None else [])]
        for window in windows:
            window.forget(now)
        if windows:
            told["left"] = {name: max(0, window.quota - window.used) for name, window in zip(self._limits, windows, strict=True)}
        return told
