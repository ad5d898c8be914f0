"""What is measured, and how: every case in rounds, the systems taking turns, so that a noisy minute falls on all of them."""

import http.client
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bench.bodies import ANSWER, CHUNKS, encoded, large_request, small_request, stream_request, text_of
from bench.load import Load, clients, percentile, wrk
from bench.process import NotStarted, Process
from bench.proxies import PATH, POOL, Proxy, Way, exchange, start_interlingua
from bench.upstream import Start, Upstream


class Effort(Struct, frozen=True):
    """How long to measure."""

    rounds: int
    seconds: int  # of wrk, each time
    waves: int  # of 64 paced streams, each time
    firsts: int  # streams whose first text is timed, each time
    memory: int  # requests before the memory is read; and as many again
    slow_events: int  # texts of each slow stream
    heavy: int  # requests of each client of a heavy system
    workers: int  # that are measured plain and with all configured
    turns: int  # of a second that each of them gets either way
    starts: int = 5
    slow_streams: int = 1000
    slow_gap: float = 0.25


FULL: Final = Effort(rounds=3, seconds=3, waves=8, firsts=150, memory=50_000, slow_events=40, heavy=8, workers=8, turns=6)
QUICK: Final = Effort(
    rounds=2, seconds=1, waves=4, firsts=50, memory=10_000, slow_events=16, heavy=2, workers=2, turns=3, starts=3
)


class Case(Struct, frozen=True):
    """`clients`: at once. `waves` 0: wrk, for a time; else each client asks so many times. `texts` 0: no stream."""

    name: str
    body: bytes
    way: Way
    clients: int
    texts: int = 0
    waves: int = 0
    ramp: float = 0.0


class Sample(Struct, frozen=True):
    """One run of one case. `cpu_us` is user and system time of the system's whole process group, per request."""

    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float


def cases(effort: Effort) -> list[Case]:
    return [
        Case("chat", encoded(small_request("gpt-4o")), "plain", 32),
        Case("large", encoded(large_request("gpt-4o")), "plain", 32),
        Case("tls", encoded(small_request("gpt-4o-tls")), "tls", 32),
        Case("burst", stream_request("burst"), "streams", 32, CHUNKS),
        Case("paced", stream_request("paced"), "streams", 64, CHUNKS, effort.waves, ramp=0.3),
    ]


def prove(proxy: Proxy, case: Case) -> None:
    """One answer is read whole and compared before any is timed; NotStarted where it is not the right one."""
    port = proxy.ports[case.way]
    if case.texts:
        load, _ = clients(port, proxy.path, proxy.says(case.body), 1, 1, case.texts)
        if load.errors:
            raise NotStarted(
                f"{proxy.name} does not give the {case.texts} texts of {case.name} back, in order ({proxy.process.log})"
            )
        return
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        link.request(
            "POST", proxy.path, proxy.says(case.body), {"Content-Type": "application/json", "Authorization": "Bearer bench-key"}
        )
        answer = link.getresponse()
        text = answer.read()
    finally:
        link.close()
    if answer.status != 200 or text_of(json.loads(text)) != ANSWER:
        raise NotStarted(f"{proxy.name} answers {case.name} with {answer.status}: {text[:300].decode(errors='replace')}")


def _run(proxy: Proxy, case: Case, body: Path, effort: Effort) -> Load:
    port, path, asked = proxy.ports[case.way], proxy.path, proxy.says(case.body)
    if case.waves:
        waves = 1 if proxy.heavy else case.waves
        return clients(port, path, asked, waves, case.clients, case.texts, case.ramp)[0]
    if proxy.heavy:
        return clients(port, path, asked, effort.heavy, case.clients // (4 if case.texts else 1), case.texts)[0]
    return wrk(port, path, body, effort.seconds, case.clients)


def measure(proxy: Proxy, case: Case, folder: Path, effort: Effort) -> Sample:
    """Raises NotStarted where an answer was wrong: a figure of wrong answers is none."""
    body = folder / f"{case.name}.json"
    body.write_bytes(proxy.says(case.body))
    before = proxy.process.cpu_us()
    load = _run(proxy, case, body, effort)
    spent = proxy.process.cpu_us() - before
    if load.errors or not load.requests:
        raise NotStarted(
            f"{proxy.name}: {load.errors} of {load.requests} answers to {case.name} were wrong ({proxy.process.log})"
        )
    return Sample(spent / load.requests, load.requests / load.seconds, load.p50_ms, load.p99_ms)


def median(samples: list[Sample]) -> Sample:
    def middle(take: Callable[[Sample], float]) -> float:
        return statistics.median(take(sample) for sample in samples)

    return Sample(
        middle(lambda s: s.cpu_us), middle(lambda s: s.per_second), middle(lambda s: s.p50_ms), middle(lambda s: s.p99_ms)
    )


def first_text(port: int, streams: int, path: str = PATH, says: Callable[[bytes], bytes] = bytes) -> float:
    """Median milliseconds from the request to the first text, one stream at a time."""
    load, told = clients(port, path, says(stream_request("first")), streams, 1, CHUNKS)
    if load.errors:
        raise NotStarted(f"{load.errors} of {load.requests} streams were not whole")
    return statistics.median(told.first_ms)


class Slow(Struct, frozen=True):
    """Many slow streams at once. `wrong` texts are missing, doubled or out of order; `broken` streams did not end well.

    `late`: ms from the upstream's write of a text to our reading it."""

    streams: int
    texts: int
    expected: int
    wrong: int
    broken: int
    late_p50: float
    late_p99: float
    late_max: float


def slow_streams(port: int, effort: Effort) -> Slow:
    load, told = clients(port, PATH, stream_request("slow"), 1, effort.slow_streams, effort.slow_events, ramp=1.0)
    late = told.late_ms or [0.0]
    expected = effort.slow_streams * effort.slow_events
    return Slow(
        load.requests, told.texts, expected, told.wrong, load.errors, percentile(late, 50), percentile(late, 99), max(late)
    )


class Memory(Struct, frozen=True):
    """Resident MB of one fresh worker: when ready, after `requests`, and after as many again."""

    requests: int
    ready: float
    after: float
    after_twice: float


def memory(upstream: Upstream, folder: Path, start: Start, effort: Effort) -> Memory:
    """One fresh interlingua, translating the small request."""
    proxy = start_interlingua("anthropic", "interlingua-memory", upstream, folder, start)
    body = folder / "chat.json"
    body.write_bytes(encoded(small_request("gpt-4o")))
    try:
        ready = proxy.process.rss_mb()
        after = _after(proxy, body, effort.memory)
        return Memory(effort.memory, ready, after, _after(proxy, body, effort.memory))
    finally:
        proxy.process.stop()


def _after(proxy: Proxy, body: Path, requests: int) -> float:
    done = 0
    for _ in range(60):
        load = wrk(proxy.ports["plain"], PATH, body, 1, 32)
        if load.errors:
            raise NotStarted(f"{load.errors} of {load.requests} answers were wrong ({proxy.process.log})")
        done += load.requests
        if done >= requests:
            return proxy.process.rss_mb()
    raise NotStarted(f"only {done} requests in 60 seconds")


class Added(Struct, frozen=True):
    """CPU us a chat request of several workers, turn by turn: plain, and with all configured."""

    plain: list[list[float]]
    configured: list[list[float]]

    @property
    def differences(self) -> list[float]:
        """Of each worker, by the medians of its turns; the least first."""
        workers = zip(self.plain, self.configured, strict=True)
        return sorted(statistics.median(configured) - statistics.median(plain) for plain, configured in workers)


def added(upstream: Upstream, folder: Path, start: Start, effort: Effort) -> Added:
    """Two workers alike differ by more than what is looked for, wherever their memory happens to lie: so each is its own
    yardstick, and exchanges its configuration between short turns."""
    case, short = cases(effort)[0], replace(effort, seconds=1)
    found = Added([], [])
    for number in range(effort.workers):
        proxy = start_interlingua("anthropic", f"added-{number}", upstream, folder, start)
        kinds = (1, list[float]()), (POOL, list[float]())
        for turn in range(effort.turns):
            for pool, turns in kinds if turn % 2 else reversed(kinds):
                exchange(proxy, upstream, folder, pool)
                measure(proxy, case, folder, short)  # warms up
                turns.append(measure(proxy, case, folder, short).cpu_us)
        proxy.process.stop()
        found.plain.append(kinds[0][1])
        found.configured.append(kinds[1][1])
    return found


def start_up(upstream: Upstream, folder: Path, start: Start, effort: Effort) -> list[float]:
    """Seconds from the command to /ready, each time."""
    found: list[float] = []
    for _ in range(effort.starts):
        process: Process = start_interlingua("anthropic", "interlingua-start", upstream, folder, start).process
        found.append(process.ready_after)
        process.stop()
    return found
