"""What was asked, what was told, and what may not be: counted as it comes, and said once at the end."""

import time
from collections import Counter
from typing import Final

from msgspec import Struct, field

from chaos.wires import PROTOCOLS

_SHOWN: Final = 12  # failures that are told in full


class Check(Struct):
    """One sentence that holds or does not, with its figures."""

    scene: str
    holds: bool
    sentence: str


class Report(Struct):
    seed: str
    checks: list[Check] = field(default_factory=list[Check])
    told: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])  # client, fault, verdict
    wrong: list[str] = field(default_factory=list[str])
    slowest: float = 0.0  # seconds
    began: float = field(default_factory=time.perf_counter)

    def check(self, scene: str, holds: bool, sentence: str) -> None:
        self.checks.append(Check(scene, holds, sentence))
        print(f"  {'ok    ' if holds else 'FAILED'} {time.perf_counter() - self.began:5.0f} s  {sentence}", flush=True)

    def count(self, client: str, fault: str, verdict: str, seconds: float = 0.0) -> None:
        self.told[client, fault, verdict] += 1
        self.slowest = max(self.slowest, seconds)

    @property
    def failed(self) -> bool:
        return not all(check.holds for check in self.checks)

    def __str__(self) -> str:
        """The table of faults by clients, then what failed."""
        faults = list(dict.fromkeys(fault for _, fault, _ in self.told))
        lines = ["", f"{'answers/errors':20}" + "".join(f"{client:>14}" for client in PROTOCOLS)]
        for fault in faults:
            cells = (f"{self._of(client, fault, 'answer')}/{self._of(client, fault, 'error')}" for client in PROTOCOLS)
            lines.append(f"{fault:20}" + "".join(f"{cell:>14}" for cell in cells))
        lines += [f"  {line}" for line in self.wrong[:_SHOWN]]
        bad = [check for check in self.checks if not check.holds]
        spent = time.perf_counter() - self.began
        requests = sum(self.told.values())
        lines.append(
            f"{requests} requests in {spent:.0f} s, the slowest took {self.slowest:.1f} s; "
            f"{len(self.checks) - len(bad)} of {len(self.checks)} checks hold. Seed {self.seed}."
        )
        lines += [f"FAILED {check.scene}: {check.sentence}" for check in bad]
        return "\n".join(lines)

    def _of(self, client: str, fault: str, verdict: str) -> int:
        return self.told[client, fault, verdict]
