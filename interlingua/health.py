"""What a backend's requests have shown of it, model by model: how fast, how busy, how often it failed, and its breaker.

Nobody is asked here, and the time is told by a clock that is given: figures in, figures out. Only what is the backend's own
fault counts against it: a 400 says that it is alive, and a 429 that it is busy. Where one of several keys was told so, that key
rests (keypool.py); where there is but one, the model does, as long as another can be asked instead.

    closed      asked like any other
    open        after `failures` in a row, or more than `error_rate` of at least VOLUME answers in the window: left alone
    half_open   `open_for` has passed and one request probes; its outcome closes the breaker or opens it again
"""

import time
from collections.abc import Callable, Collection
from math import inf
from typing import Any, Final, Literal, Protocol

from interlingua.config import Breaker
from interlingua.ir import Failure
from interlingua.routing import Decision

State = Literal["closed", "open", "half_open"]
Cause = Literal["429", "5xx", "timeout", "connect", "context_window", "content_filter"]
Clock = Callable[[], float]

VOLUME: Final = 20  # answers in a window before their share of failures says anything
BUSY: Final = 1.0  # seconds that a model with one key rests after a 429 that does not say how long
NEED: Final = 1.0  # seconds an open breaker rests at least, where no other backend is left
HALF_LIFE: Final = 30.0  # seconds in which an old latency loses half its weight, so that a slow backend is tried again
_SMOOTH: Final = 0.3  # the weight of the newest latency
_SAMPLES: Final = 128
_ENOUGH: Final = 20  # latencies before a percentile says anything
_HELD: Final = 4096  # models of all backends that are told apart
_TOLD: Final = 50  # models of one backend in a report
_GRANT: Final = 0.2  # retries that a request pays for
_FLOOR: Final = 1.0  # retries a second that are there without requests
_PURSE: Final = 10.0, 100.0  # retries at first, and at most
_BROKE: Final = frozenset(("server_error", "bad_gateway", "unavailable", "overloaded"))  # whatever status they came with
_LOST: Final = frozenset(("unreachable", "broken"))  # the codes of UpstreamUnreachable and UpstreamBroken


def cause_of(failure: Failure) -> Cause | None:
    """Why a request failed, as `routing.retry_on` names it; None: for a reason that would be the same everywhere."""
    if failure.kind == "context_window":
        return "context_window"
    if failure.kind == "content_filter":
        return "content_filter"
    if failure.status == 429 or failure.kind == "rate_limit":
        return "429"
    if failure.code in _LOST and not failure.extras:
        return "connect"
    if failure.kind == "timeout":
        return "timeout"
    return "5xx" if failure.status >= 500 or failure.kind in _BROKE else None


def is_harm(failure: Failure) -> bool:
    """Whether a failure speaks against the backend: it broke down, or it does not take our credentials."""
    return cause_of(failure) in ("5xx", "timeout", "connect") or failure.kind in ("authentication", "permission", "billing")


class Keys(Protocol):
    """A backend's keys. While they are not `tight`, each of them may be used."""

    tight: bool

    def wait(self, model: str) -> float:
        """Seconds until one of them may be used for a model."""
        ...


class Station:
    """What all models of a backend share. `keys` None: it has one, without limits. `down`: what its active check found wrong;
    "": nothing."""

    __slots__ = ("_at", "down", "keys", "name", "one_key", "priority", "purse", "weight")

    def __init__(self, name: str, weight: int = 1, priority: int = 10, keys: Keys | None = None) -> None:
        self.name, self.weight, self.priority = name, weight, priority
        self.keys, self.one_key = keys, keys is None
        self.down = ""
        self.purse, self._at = _PURSE[0], inf

    def can_spend(self, now: float) -> bool:
        """Whether a retry is left: at most a fifth of the requests are, and one a second besides."""
        self.purse = min(self.purse + max(0.0, now - self._at) * _FLOOR, _PURSE[1])
        self._at = now
        return self.purse >= 1.0

    def spend(self) -> None:
        self.purse -= 1.0


class Pace:
    """Seconds until an answer's first token (or a whole answer), decayed. `p95`: None before there are enough to tell, then
    found anew when an eighth of the samples has changed."""

    __slots__ = ("_at", "_count", "_due", "_samples", "_value", "p95")

    def __init__(self) -> None:
        self._value = self._at = 0.0
        self._count, self._due = 0, _ENOUGH
        self._samples: list[float] = []
        self.p95: float | None = None

    def add(self, seconds: float, now: float) -> None:
        self._value = seconds if not self._count else self._value + _SMOOTH * (seconds - self._value)
        self._at = now
        if self._count < _SAMPLES:
            self._samples.append(seconds)
        else:
            self._samples[self._count % _SAMPLES] = seconds
        self._count += 1
        if self._count >= self._due:
            self._due = self._count + _SAMPLES // 8
            self.p95 = sorted(self._samples)[int(len(self._samples) * 0.95)]

    def at(self, now: float) -> float:
        """The latency to expect; an old one fades towards none at all, and one never measured is none: both invite a try."""
        return self._value * 0.5 ** ((now - self._at) / HALF_LIFE)

    @property
    def seconds(self) -> float | None:
        """The latency as last measured."""
        return round(self._value, 4) if self._count else None


class Health:
    """One model of one backend. Every `begin` is followed by one of `answered`, `failed` or `dropped`, and then by one `end`."""

    __slots__ = (
        "_bad",
        "_breaker",
        "_changed",
        "_clock",
        "_good",
        "_opened",
        "_past",
        "_probing",
        "_row",
        "_since",
        "begun",
        "busy",
        "in_flight",
        "last",
        "model",
        "requests",
        "state",
        "station",
        "streamed",
        "whole",
    )

    def __init__(
        self, station: Station, model: str, breaker: Breaker, clock: Clock, changed: Callable[["Health"], None] | None = None
    ) -> None:
        self.station, self.model = station, model
        self._breaker, self._clock, self._changed = breaker, clock, changed
        self.state: State = "closed"
        self.in_flight = 0
        self.requests = 0
        self.begun = 0.0  # when it was last asked
        self.busy = 0.0  # others are asked first until then
        self.last: tuple[float, Failure] | None = None  # its last failure, and when
        self.streamed, self.whole = Pace(), Pace()
        self._row = 0  # failures in a row
        self._opened = 0.0
        self._probing = False
        self._since = self._good = self._bad = 0.0  # the window's begin, and what was seen in it
        self._past = 0.0, 0.0  # good and bad of the window before

    def pace(self, stream: bool) -> Pace:
        return self.streamed if stream else self.whole

    def ready(self, now: float) -> bool:
        """Whether it may be asked now: closed, or due for a probe; up, not busy, and with a key to spare."""
        if now < self.busy:
            return False
        if self.state != "closed" and (self._probing or now < self._opened + self._breaker.open_for):
            return False
        station = self.station
        return not station.down and (station.keys is None or not station.keys.tight or not self.free())

    def free(self) -> float:
        """Seconds until one of its backend's keys may be used for it, 0.0: now."""
        keys = self.station.keys
        return 0.0 if keys is None or not keys.tight else keys.wait(self.model)

    def in_need(self, now: float) -> float:
        """Seconds until it may be asked where no other is left: an open breaker rests for a second then, not for `open_for`."""
        if self.state == "closed":
            return max(0.0, self.begun + NEED - now) if self.station.down else 0.0
        if self._probing:
            return min(NEED, self._breaker.open_for)
        return max(0.0, self._opened + min(NEED, self._breaker.open_for) - now)

    def begin(self, now: float) -> bool:
        """A request goes out. Returns whether it is a probe, to be told to what follows."""
        self.in_flight += 1
        self.requests += 1
        self.begun = now
        self.station.purse += _GRANT
        if self.state == "closed":
            return False
        self._probing = True
        self._turn("half_open")
        return True

    def answered(self, probe: bool, began: float, now: float, pace: Pace) -> None:
        """The first token of a stream came, or all of a whole answer: `pace` is ours for it."""
        pace.add(now - began, now)
        if probe or now - self._since >= self._breaker.window:
            return self._alive(probe, now)
        self._row = 0
        self._good += 1

    def failed(self, probe: bool, failure: Failure) -> None:
        now = self._clock()
        if not is_harm(failure):
            if self.station.one_key and cause_of(failure) == "429":
                self.busy = now + (BUSY if failure.retry_after is None else failure.retry_after)
            return self._alive(probe, now)
        self.last = now, failure
        self._row += 1
        self._roll(now)
        self._bad += 1
        if probe:
            self._probing = False
            self._open(now)
        elif self.state == "closed" and (self._row >= self._breaker.failures or self._too_many(now)):
            self._open(now)

    def dropped(self, probe: bool) -> None:
        """It ended without telling anything of the backend: its client left, or another answer was faster."""
        if probe:
            self._probing = False
            self._turn("open")

    def end(self, failure: Failure | None = None) -> None:
        """All over. `failure`: what a stream broke with after its first token."""
        self.in_flight -= 1
        if failure is not None:
            self.failed(False, failure)

    def recover(self) -> None:
        """An active check found it well: an open breaker may probe at once."""
        if self.state == "open":
            self._opened = self._clock() - self._breaker.open_for

    def reset(self) -> None:
        self._row = 0
        self._turn("closed")

    def move(self, station: Station, breaker: Breaker, changed: Callable[["Health"], None] | None) -> None:
        """Under another board from now on."""
        self.station, self._breaker, self._changed = station, breaker, changed

    def _alive(self, probe: bool, now: float) -> None:
        self._row = 0
        if now - self._since >= self._breaker.window:
            self._roll(now)
        self._good += 1
        if probe:
            self._probing = False
            self._past, self._good, self._bad = (0.0, 0.0), 0.0, 0.0
            self._turn("closed")

    def _roll(self, now: float) -> None:
        """Begins a new window where this one is over."""
        passed = now - self._since
        if passed >= self._breaker.window:
            self._past = (self._good, self._bad) if passed < 2 * self._breaker.window else (0.0, 0.0)
            self._since, self._good, self._bad = now, 0.0, 0.0

    def _too_many(self, now: float) -> bool:
        """The window slides: of the one before counts the share that it still covers."""
        share = 1.0 - (now - self._since) / self._breaker.window
        good, bad = self._good + self._past[0] * share, self._bad + self._past[1] * share
        return good + bad >= VOLUME and bad > self._breaker.error_rate * (good + bad)

    def _open(self, now: float) -> None:
        self._opened = now
        self._row = 0
        self._turn("open")

    def _turn(self, state: State) -> None:
        if state != self.state:
            self.state = state
            if self._changed is not None:
                self._changed(self)

    def told(self) -> dict[str, Any]:
        """For a report."""
        out: dict[str, Any] = {"breaker": self.state, "requests": self.requests, "in_flight": self.in_flight}
        for name, pace in (("first_token_seconds", self.streamed), ("answer_seconds", self.whole)):
            if pace.seconds is not None:
                out[name] = pace.seconds
        if self.last is not None:
            out["last_error"] = self._last_error(self.last)
        return out

    def _last_error(self, last: tuple[float, Failure]) -> dict[str, Any]:
        at, failure = last
        return {"status": failure.status, "kind": failure.kind, "seconds_ago": round(self._clock() - at, 3)}

    @property
    def failing(self) -> bool:
        return self._row > 0 or self.state != "closed"


class Board:
    """All of them. `changed` hears of every breaker that turns. Past 4,096 models the rest of a backend share one record."""

    def __init__(
        self,
        breaker: Breaker,
        stations: dict[str, Station],
        clock: Clock = time.monotonic,
        changed: Callable[[Health], None] | None = None,
    ) -> None:
        self._breaker, self._changed = breaker, changed
        self.stations, self.clock = stations, clock
        self._healths: dict[tuple[str, str], Health] = {}

    def of(self, decision: Decision) -> Health:
        return self._healths.get((decision.backend, decision.model)) or self._made(decision.backend, decision.model)

    def _made(self, backend: str, model: str) -> Health:
        if len(self._healths) >= _HELD and model:
            return self._healths.get((backend, "")) or self._made(backend, "")
        made = Health(self.stations[backend], model, self._breaker, self.clock, self._changed)
        self._healths[backend, model] = made
        return made

    def check(self, backend: str, wrong: str) -> None:
        """What an active check found; "": nothing wrong."""
        self.stations[backend].down = wrong
        if not wrong:
            for health in self.models(backend):
                health.recover()

    def models(self, backend: str) -> list[Health]:
        return [health for (name, _), health in self._healths.items() if name == backend]

    def inherit(self, before: "Board", backends: Collection[str]) -> None:
        """Takes over what another board knows of these backends, requests under way included."""
        for name in backends:
            self.stations[name].down = before.stations[name].down
        for key, health in tuple(before._healths.items()):
            if key[0] in backends:
                health.move(self.stations[key[0]], self._breaker, self._changed)
                self._healths[key] = before._healths.pop(key)

    def reset(self) -> None:
        """Every breaker is closed, and whoever hears of them hears of that."""
        for health in self._healths.values():
            health.reset()

    def told(self, backend: str) -> dict[str, Any]:
        """A backend's report: "unknown" before its first answer, "failing" where its last ones were its own fault."""
        models = self.models(backend)
        asked = sum(health.requests for health in models)
        failing = [health for health in models if health.failing]
        down = self.stations[backend].down
        out: dict[str, Any] = {"health": "failing" if failing or down else "ok" if asked else "unknown", "requests": asked}
        if down:
            out["check"] = down
        if failing:
            out["last_error"] = max(failing, key=lambda health: health.last[0] if health.last else 0.0).told().get("last_error")
        if models:
            out["models"] = {health.model or "other": health.told() for health in models[:_TOLD]}
        return out
