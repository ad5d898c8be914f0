"""`python -m bench [--quick] [--without SYSTEM ...] [--cases CASE ...]`: one run, side by side, a table and a JSON file."""

import argparse
import os
import resource
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Final

from bench.environments import OUT
from bench.measure import FULL, QUICK, Effort, added, cases, first_text, measure, memory, prove, slow_streams, start_up
from bench.process import LOAD_CORE, NotStarted, pin
from bench.proxies import SYSTEMS, Proxy
from bench.report import Report, text, write
from bench.upstream import Start, Upstream, start_upstream

EXTRAS: Final = ("added", "first", "slow", "memory", "start")
SLOW_SYSTEMS: Final = ("interlingua", "envoy")


class Bench:
    """One run: its report grows as the cases are done."""

    def __init__(self, effort: Effort, chosen: list[str], upstream: Upstream, folder: Path, start: Start) -> None:
        self.report = Report(effort)
        self._chosen = chosen
        self._upstream = upstream
        self._folder = folder
        self._start = start
        self._proxies: list[Proxy] = []

    def start(self, systems: list[str]) -> None:
        """Starts each; one that does not start or does not answer rightly is skipped, and named."""
        for name in systems:
            self._say(f"starting {name}")
            try:
                proxy = SYSTEMS[name](name, self._upstream, self._folder, self._start)
                for case in cases(self.report.effort):
                    if case.name in self._chosen:
                        prove(proxy, case)
            except NotStarted as error:
                self._skip(str(error))
                continue
            self._proxies.append(proxy)
            self.report.ready[name] = proxy.process.ready_after

    def run(self) -> None:
        for case in cases(self.report.effort):
            if case.name in self._chosen:
                rows = self.report.samples[case.name] = {proxy.name: [] for proxy in self._proxies}
                for number in range(self.report.effort.rounds):
                    self._say(f"{case.name}, round {number + 1}")
                    for proxy in self._proxies:
                        rows[proxy.name].append(measure(proxy, case, self._folder, self.report.effort))
            if case.name == "large":
                self.report.rss = {proxy.name: proxy.process.rss_mb() for proxy in self._proxies}
        extras = self._added, self._first, self._slow, self._memory, self._starts
        for name, extra in zip(EXTRAS, extras, strict=True):
            if name in self._chosen:
                extra()

    def _added(self) -> None:
        if "interlingua" in self.report.ready:
            self._say("what all configured adds")
            self.report.added = added(self._upstream, self._folder, self._start, self.report.effort)

    def _first(self) -> None:
        self._say("time to the first text")
        effort = self.report.effort
        self.report.first["direct"] = first_text(self._upstream.streams, effort.firsts)
        for proxy in self._proxies:
            streams = effort.firsts // (5 if proxy.heavy else 1)
            self.report.first[proxy.name] = first_text(proxy.ports["streams"], streams, proxy.path, proxy.says)

    def _slow(self) -> None:
        ports = {"direct": self._upstream.streams}
        ports |= {proxy.name: proxy.ports["streams"] for proxy in self._proxies if proxy.name in SLOW_SYSTEMS}
        for name, port in ports.items():
            self._say(f"{self.report.effort.slow_streams:,} slow streams, {name}")
            self.report.slow[name] = slow_streams(port, self.report.effort)

    def _memory(self) -> None:
        if "interlingua" in self.report.ready:
            self._say("memory")
            self.report.memory = memory(self._upstream, self._folder, self._start, self.report.effort)

    def _starts(self) -> None:
        if "interlingua" in self.report.ready:
            self._say("start")
            self.report.starts = start_up(self._upstream, self._folder, self._start, self.report.effort)

    def _skip(self, reason: str) -> None:
        print(f"  skipped: {reason}", flush=True)
        self.report.skipped.append(reason)

    def _say(self, what: str) -> None:
        print(f"  {what} ...", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What a request costs, side by side (docs/bench.md).")
    names = [case.name for case in cases(QUICK)] + list(EXTRAS)
    parser.add_argument("--quick", action="store_true", help="about three minutes: fewer requests, no LiteLLM")
    parser.add_argument("--without", nargs="+", choices=list(SYSTEMS), default=[], metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument("--cases", nargs="+", choices=names, default=names, metavar="CASE", help=", ".join(names))
    return parser.parse_args()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM is Ctrl-C, so that what was started is ended too."""
    signal.raise_signal(signal.SIGINT)


def main() -> int:
    """0: measured; 1: nothing could be, or interlingua was not."""
    arguments = _arguments()
    if not shutil.which("wrk"):
        print("wrk is not installed (Debian: apt install wrk)", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    effort = QUICK if arguments.quick else FULL
    without = {*arguments.without, *(["litellm"] if arguments.quick else [])}
    with ExitStack() as stack:
        folder = OUT / "run"  # stays until the next run, for its logs
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start: Start = stack.enter_context
        try:
            upstream = start_upstream(folder, start, effort.slow_events, effort.slow_gap)
            bench = Bench(effort, arguments.cases, upstream, folder, start)
            bench.start([name for name in SYSTEMS if name not in without])
            pin(LOAD_CORE)()
            bench.run()
        except NotStarted as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    path = write(bench.report, OUT)
    print(text(bench.report))
    print(f"\nwritten to {os.path.relpath(path)}")
    return 0 if "interlingua" in without or "interlingua" in bench.report.ready else 1


if __name__ == "__main__":
    sys.exit(main())
