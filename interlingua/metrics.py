"""Counters as numbers in slots: an increment costs tens of nanoseconds, and is rendered only when scraped.

One process keeps them in a list. Of several workers each maps its slots to a file of its own in a shared folder; whichever is
scraped adds them up, those of dead workers too, so a counter never goes back. Rendering is prometheus_client's.
"""

import mmap
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from interlingua.ir import Usage

SIZE: Final = 1 << 16  # slots
SERIES: Final = 4000  # label sets; past them a series' free labels become "other"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Spec(Struct, frozen=True):
    name: str
    help: str
    labels: tuple[str, ...]
    kind: Literal["counter", "gauge", "histogram"] = "counter"


_BACKEND: Final = ("protocol", "backend", "model")
REQUESTS: Final = Spec("interlingua_requests", "Requests answered, by the status the client was told.", (*_BACKEND, "status"))
SECONDS: Final = Spec("interlingua_request_seconds", "A request's whole life.", _BACKEND, "histogram")
FIRST: Final = Spec("interlingua_first_token_seconds", "Until a stream's first token was on its way.", _BACKEND, "histogram")
TOKENS: Final = Spec("interlingua_tokens", "Tokens as the provider counts them.", (*_BACKEND, "kind"))
LOSSES: Final = Spec("interlingua_losses", "Fields that could not be carried over.", ("protocol", "backend", "path", "how"))
ROUTES: Final = Spec("interlingua_routes", "Routing decisions, by how they were made.", ("mode", "protocol"))
_MODEL: Final = ("backend", "model")
RETRIES: Final = Spec("interlingua_retries", "Attempts that failed and were followed by another.", (*_MODEL, "cause"))
FALLBACKS: Final = Spec("interlingua_fallbacks", "Answers of a fallback, where the pool had none.", _MODEL)
HEDGES: Final = Spec("interlingua_hedges", "Second requests sent while the first was slow.", (*_MODEL, "outcome"))
BREAKERS: Final = Spec("interlingua_breaker_open", "Workers that leave a backend's model alone.", _MODEL, "gauge")
KEY_ROTATIONS: Final = Spec("interlingua_key_rotations", "Changes to another key of a backend, and why.", ("backend", "reason"))
EARLY_STOPS: Final = Spec("interlingua_early_stops", "Choices that ended at a tag of early_stop.", _BACKEND)
RELOADS: Final = Spec("interlingua_config_reloads", "Configurations read again, taken or refused.", ("result",))
LOG_LINES: Final = Spec(
    "interlingua_request_log_lines", "Lines of log.requests: put, dropped for want of room, failed.", ("result",)
)
TASKS: Final = Spec("interlingua_agent_tasks", "Tasks of agents, by how they ended.", ("agent", "state"))
IN_FLIGHT: Final = Spec("interlingua_requests_in_flight", "Requests under way.", (), "gauge")
CONNECTIONS: Final = Spec("interlingua_upstream_connections", "Connections to providers.", ("state",), "gauge")
_ALL: Final = (
    REQUESTS,
    SECONDS,
    FIRST,
    TOKENS,
    LOSSES,
    ROUTES,
    RETRIES,
    FALLBACKS,
    HEDGES,
    BREAKERS,
    KEY_ROTATIONS,
    IN_FLIGHT,
    CONNECTIONS,
    EARLY_STOPS,
    RELOADS,
    LOG_LINES,
    TASKS,
)
SPECS: Final = {s.name: s for s in _ALL}

_KINDS: Final = ("input", "cache_read", "cache_write", "output", "reasoning")
Slots: TypeAlias = "list[float] | memoryview[float]"
_Entry = tuple[str, tuple[str, ...], int]
_entry = msgspec.json.Decoder(tuple[str, tuple[str, ...], int])


class Metrics:
    """`folder` shares the figures between workers; None keeps them in this process."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self.slots: Slots = []
        if folder is not None:
            stem = os.path.join(folder, str(os.getpid()))
            with open(stem + ".slots", "w+b") as file:
                file.truncate(SIZE * 8)
                self.slots = memoryview(mmap.mmap(file.fileno(), SIZE * 8)).cast("d")
            self._names = open(stem + ".names", "ab", buffering=0)
        self._next = 0
        self._series: dict[tuple[str, tuple[str, ...]], int] = {}
        self._meters: dict[tuple[str, str, str], Meter] = {}
        self.under_way = self.slot(IN_FLIGHT, ())  # a gauge's slot

    def slot(self, spec: Spec, labels: tuple[str, ...]) -> int:
        """The first slot of a series, made at first use. A histogram has one a bucket, then +Inf's, then the sum's."""
        key = spec.name, labels
        found = self._series.get(key)
        if found is not None:
            return found
        width = len(_BUCKETS) + 2 if spec.kind == "histogram" else 1
        if (len(self._series) >= SERIES or self._next + width > SIZE - 64) and set(labels) != {"other"}:
            return self.slot(spec, ("other",) * len(labels))
        self._series[key] = start = self._next
        self._next += width
        if isinstance(self.slots, list):
            self.slots += [0.0] * width
        else:
            self._names.write(msgspec.json.encode((spec.name, labels, start)) + b"\n")
        return start

    def count(self, spec: Spec, labels: tuple[str, ...], by: float = 1.0) -> None:
        self.slots[self.slot(spec, labels)] += by

    def set(self, spec: Spec, labels: tuple[str, ...], value: float) -> None:
        self.slots[self.slot(spec, labels)] = value

    def meter(self, protocol: str, backend: str, model: str) -> "Meter":
        """The cached series of one client protocol, backend and provider's model."""
        key = protocol, backend, model
        found = self._meters.get(key)
        if found is None:
            if len(self._meters) >= SERIES // 8:
                return self._meters.setdefault((protocol, backend, "other"), Meter(self, (protocol, backend, "other")))
            found = self._meters[key] = Meter(self, key)
        return found

    def render(self) -> bytes:
        """The Prometheus text exposition of all workers' figures."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self.sums()))
        return generate_latest(registry)

    def sums(self) -> dict[str, dict[tuple[str, ...], list[float]]]:
        """name -> labels -> slots, of all workers together."""
        sums: dict[str, dict[tuple[str, ...], list[float]]] = defaultdict(dict)
        for entries, slots in self._all():
            for name, labels, start in entries:
                width = len(_BUCKETS) + 2 if SPECS[name].kind == "histogram" else 1
                values = sums[name].setdefault(labels, [0.0] * width)
                for i in range(width):
                    values[i] += slots[start + i]
        return sums

    def _all(self) -> Iterator[tuple[Iterable[_Entry], Slots]]:
        if self._folder is None:
            yield [(name, labels, start) for (name, labels), start in self._series.items()], self.slots
            return
        for path in sorted(Path(self._folder).glob("*.names")):
            entries = [_entry.decode(line) for line in path.read_bytes().split(b"\n") if line]
            yield entries, memoryview(path.with_suffix(".slots").read_bytes()).cast("d")


class Meter:
    """What one kind of request counts."""

    __slots__ = ("_first", "_key", "_metrics", "_ok", "_routes", "_seconds", "_slots", "_tokens")

    def __init__(self, metrics: Metrics, key: tuple[str, str, str]) -> None:
        self._metrics, self._key, self._slots = metrics, key, metrics.slots
        self._ok = metrics.slot(REQUESTS, (*key, "200"))
        self._seconds = metrics.slot(SECONDS, key)
        self._first = metrics.slot(FIRST, key)
        self._tokens = [metrics.slot(TOKENS, (*key, kind)) for kind in _KINDS]
        self._routes: dict[str, int] = {}

    def done(self, status: int, seconds: float, usage: Usage | None, mode: str = "") -> None:
        """A request is over. `mode`: how it was routed; "": it was not."""
        slots = self._slots
        if status == 200:
            slots[self._ok] += 1.0
        else:
            self._metrics.count(REQUESTS, (*self._key, str(status)))
        slots[self._seconds + bisect_left(_BUCKETS, seconds)] += 1.0
        slots[self._seconds + len(_BUCKETS) + 1] += seconds
        if mode:
            slots[self._routes.get(mode) or self._route(mode)] += 1.0
        if usage is not None:
            self._spent(usage)

    def _spent(self, usage: Usage) -> None:
        output = usage.output
        if usage.estimated:
            output = None
            self._metrics.count(TOKENS, (*self._key, "output_estimated"), usage.output or 0)
        slots, tokens = self._slots, self._tokens
        if usage.input:
            slots[tokens[0]] += usage.input
        if usage.cache_read:
            slots[tokens[1]] += usage.cache_read
        if usage.cache_write:
            slots[tokens[2]] += usage.cache_write
        if output:
            slots[tokens[3]] += output
        if usage.reasoning:
            slots[tokens[4]] += usage.reasoning

    def _route(self, mode: str) -> int:
        slot = self._routes[mode] = self._metrics.slot(ROUTES, (mode, self._key[0]))
        return slot

    def first(self, seconds: float) -> None:
        """A stream's first token is on its way."""
        self._slots[self._first + bisect_left(_BUCKETS, seconds)] += 1.0
        self._slots[self._first + len(_BUCKETS) + 1] += seconds


_FAMILIES: Final = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}


class _Collector:
    def __init__(self, sums: dict[str, dict[tuple[str, ...], list[float]]]) -> None:
        self._sums = sums

    def collect(self) -> Iterator[Metric]:
        for name, series in self._sums.items():
            spec = SPECS[name]
            family = _FAMILIES[spec.kind](name, spec.help, labels=spec.labels)
            for labels, values in series.items():
                if isinstance(family, HistogramMetricFamily):
                    family.add_metric(list(labels), _cumulative(values), values[-1])
                else:
                    family.add_metric(list(labels), values[0])
            yield family


def totals(metrics: Metrics) -> dict[str, Any]:
    """What all workers have done since the gateway started, for people. `left`: clients that did not wait for their answer."""
    sums = metrics.sums()

    def total(spec: Spec, *last: str) -> int:
        return int(sum(slots[0] for labels, slots in sums.get(spec.name, {}).items() if not last or labels[-1] in last))

    requests, left = total(REQUESTS), total(REQUESTS, "499")
    successes = total(REQUESTS, "200")
    tokens = {kind: total(TOKENS, kind) for kind in _KINDS}
    return {
        "requests": requests,
        "successes": successes,
        "failures": requests - successes - left,
        "left": left,
        "in_flight": total(IN_FLIGHT),
        "tokens": {**tokens, "total": tokens["input"] + tokens["output"]},
        "rotations": total(KEY_ROTATIONS),
        "retries": total(RETRIES),
        "fallbacks": total(FALLBACKS),
    }


def _cumulative(values: list[float]) -> list[tuple[str, float]]:
    total, out = 0.0, list[tuple[str, float]]()
    for bound, value in zip((*map(str, _BUCKETS), "+Inf"), values[:-1], strict=True):
        total += value
        out.append((bound, total))
    return out
