"""The figures of one run: as tables, as verdicts on what we promise, and as JSON."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.measure import Added, Effort, Memory, Sample, Slow, median

OURS: Final = "interlingua"
TITLES: Final = {
    "chat": "1.5 KB chat request, 32 connections",
    "large": "40 KB request (30 messages, 15 tools), 32 connections",
    "tls": "1.5 KB chat request, TLS 1.3 to the upstream, 32 connections",
    "burst": "stream of 60 chunks in one burst, 32 connections",
    "paced": "stream of 60 chunks 5 ms apart, 64 at once",
}


class Report(Struct):
    """One run. `samples`: by case, then system. `ready`: seconds; `rss`: MB after the unary cases; `first`: ms."""

    effort: Effort
    samples: dict[str, dict[str, list[Sample]]] = {}
    ready: dict[str, float] = {}
    rss: dict[str, float] = {}
    first: dict[str, float] = {}
    slow: dict[str, Slow] = {}
    memory: Memory | None = None
    added: Added | None = None
    starts: list[float] = []
    skipped: list[str] = []

    def cpu(self, case: str, system: str) -> float | None:
        samples = self.samples.get(case, {}).get(system)
        return median(samples).cpu_us if samples else None


class Verdict(Struct, frozen=True):
    """`figure` is None where it was not measured; it holds where it is not above `limit`."""

    promise: str
    figure: float | None
    limit: float
    unit: str = ""

    def __str__(self) -> str:
        if self.figure is None:
            return f"  not measured           {self.promise}"
        word = "pass" if self.figure <= self.limit else "MISS"
        return f"  {word}  {self.figure:>9.4g} {self.unit:<5}  {self.promise}"


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def verdicts(report: Report) -> list[Verdict]:
    cpu, memory, slow = report.cpu, report.memory, report.slow.get(OURS)
    added = report.added.differences if report.added else None
    growth = memory.after_twice - memory.after if memory else None
    count = memory.requests if memory else report.effort.memory
    missing = max(slow.expected - slow.texts, slow.wrong, slow.broken) if slow else None
    return [
        Verdict("CPU, chat, translated: at most 1.3 times Envoy", _ratio(cpu("chat", OURS), cpu("chat", "envoy")), 1.3, "x"),
        Verdict("CPU, chat, translated: at most 1/100 of LiteLLM", _ratio(cpu("chat", OURS), cpu("chat", "litellm")), 0.01, "x"),
        Verdict("CPU, 40 KB, translated: at most 4 times Envoy", _ratio(cpu("large", OURS), cpu("large", "envoy")), 4.0, "x"),
        Verdict(
            "CPU, burst stream, translated: at most 4 times Envoy", _ratio(cpu("burst", OURS), cpu("burst", "envoy")), 4.0, "x"
        ),
        Verdict(
            "CPU, paced stream, translated: at most 1.5 times Envoy", _ratio(cpu("paced", OURS), cpu("paced", "envoy")), 1.5, "x"
        ),
        Verdict("CPU, chat over TLS: at most 1.2 times our own without", _ratio(cpu("tls", OURS), cpu("chat", OURS)), 1.2, "x"),
        Verdict("CPU, chat, all configured: at most 5 us more", statistics.median(added) if added else None, 5.0, "us"),
        Verdict(f"memory after {2 * count:,} requests: under 60 MB", memory.after_twice if memory else None, 60.0, "MB"),
        Verdict(f"memory, growth from {count:,} to {2 * count:,} requests: none (0.5 MB)", growth, 0.5, "MB"),
        Verdict("ready after the start: at most 0.6 s", statistics.median(report.starts) if report.starts else None, 0.6, "s"),
        Verdict("1,000 slow streams at once: no text lost, doubled or out of order", missing, 0.0, "texts"),
    ]


def _row(cells: list[str]) -> str:
    return f"  {cells[0]:<24}" + "".join(f"{cell:>12}" for cell in cells[1:])


def _case(report: Report, case: str) -> list[str]:
    rows = [f"\n{TITLES[case]}", _row(["", "CPU us/req", "x Envoy", "req/s", "p50 ms", "p99 ms"])]
    envoy = report.cpu(case, "envoy")
    for system, samples in report.samples[case].items():
        if samples:
            middle = median(samples)
            ratio = _ratio(middle.cpu_us, envoy)
            figures = [f"{middle.cpu_us:,.1f}", f"{ratio:.2f}" if ratio else "-", f"{middle.per_second:,.0f}"]
            rows.append(_row([system, *figures, f"{middle.p50_ms:.2f}", f"{middle.p99_ms:.2f}"]))
    return rows


def _systems(report: Report) -> list[str]:
    direct = report.first.get("direct")
    rows = ["\nmemory, start, and what is added to the time to the first text", _row(["", "RSS MB", "ready s", "first +ms"])]
    for system, ready in report.ready.items():
        first = report.first.get(system)
        added = f"{first - direct:+.3f}" if first is not None and direct is not None else "-"
        rss = report.rss.get(system)
        rows.append(_row([system, f"{rss:.1f}" if rss else "-", f"{ready:.2f}", added]))
    return rows


def _slow(report: Report) -> list[str]:
    rows = [f"\n{report.effort.slow_streams:,} slow streams at once: how late a text is over the upstream's own sending, ms"]
    rows.append(_row(["", "texts", "wrong", "p50", "p99", "max"]))
    for system, slow in report.slow.items():
        late = [f"{value:.2f}" for value in (slow.late_p50, slow.late_p99, slow.late_max)]
        rows.append(_row([system, f"{slow.texts:,}", str(max(slow.wrong, slow.expected - slow.texts)), *late]))
    return rows


def _memory(report: Report) -> list[str]:
    if not report.memory:
        return []
    found = report.memory
    return [
        f"\nmemory of one fresh worker: {found.ready:.1f} MB when ready, {found.after:.1f} MB after {found.requests:,} requests, "
        f"{found.after_twice:.1f} MB after {2 * found.requests:,}"
    ]


def _added(report: Report) -> list[str]:
    if not report.added:
        return []
    told = ", ".join(f"{each:+.1f}" for each in report.added.differences)
    plain = statistics.median(statistics.median(turns) for turns in report.added.plain)
    return [f"\nall configured, CPU us a chat request over {plain:.1f} plain, of each worker: {told}"]


def text(report: Report) -> str:
    lines: list[str] = []
    for case in report.samples:
        lines += _case(report, case)
    sections: list[tuple[object, Callable[[Report], list[str]]]] = [(report.ready, _systems), (report.slow, _slow)]
    for there, section in sections:
        lines += section(report) if there else []
    lines += _added(report) + _memory(report)
    lines += ["\nwhat we promise"] + [str(verdict) for verdict in verdicts(report)]
    lines += [""] * bool(report.skipped) + [f"skipped: {reason}" for reason in report.skipped]
    return "\n".join(lines)


def write(report: Report, folder: Path) -> Path:
    """One file a run, named by its time (UTC)."""
    name = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    machine = {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
    verdict = [{"promise": v.promise, "figure": v.figure, "limit": v.limit, "unit": v.unit} for v in verdicts(report)]
    medians = {
        case: {system: msgspec.to_builtins(median(samples)) for system, samples in systems.items() if samples}
        for case, systems in report.samples.items()
    }
    found = {"at": name, "machine": machine, "verdicts": verdict, "medians": medians, "report": msgspec.to_builtins(report)}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path
