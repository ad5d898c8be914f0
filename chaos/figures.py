"""What takes a simulated clock or a count rather than a process is held by tests; they are run here, in full."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Final

from chaos.report import Report

NAME: Final = "figures"
_ROOT: Final = Path(__file__).resolve().parent.parent
_TESTS: Final = {
    "tests/test_keypool.py": "key pools over a simulated hour: no quota exceeded, 95 % of it used",
    "tests/test_early_stop.py": "early stops save the tokens that they say",
    "tests/test_cuts.py": "cuts of streams, also of whole answers that are streams upstream",
}


async def scene(folder: Path, report: Report, quick: bool) -> None:
    if quick:
        return  # `make test` has run them
    more = {"INTERLINGUA_CUTS": "500", "INTERLINGUA_SEED": report.seed}
    for file, what in _TESTS.items():
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", file]
        pipe = asyncio.subprocess.PIPE
        running = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdout=pipe, stderr=asyncio.subprocess.STDOUT, cwd=_ROOT, env={**os.environ, **more}
        )
        try:
            said, _ = await running.communicate()
        finally:
            if running.returncode is None:
                running.kill()
        passed = re.search(rb"(\d+) passed", said)
        report.check(NAME, running.returncode == 0, f"{what}: {passed[1].decode() if passed else 'no'} tests pass")
        if running.returncode:
            report.wrong.append(said.decode(errors="replace")[-2000:])
