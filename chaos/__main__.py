"""`python -m chaos`: all scenes, one report. Exits 1 where something does not hold."""

import argparse
import asyncio
import secrets
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop

from chaos import changes, cuts, figures, lies, pool
from chaos.processes import record
from chaos.report import Report

_LIMIT: Final = 360.0  # seconds of one scene
Scene = Callable[[Path, Report, bool], Awaitable[None]]
SCENES: Final[dict[str, Scene]] = {one.NAME: one.scene for one in (pool, cuts, changes, lies, figures)}


async def _run(names: list[str], seed: str, quick: bool) -> int:
    report = Report(seed)
    print(f"Seed {seed}: make chaos SEED={seed} repeats it.", flush=True)
    with tempfile.TemporaryDirectory(prefix="interlingua-chaos-") as folder:
        await record(Path(folder))
        for name in names:
            print(name, flush=True)
            try:
                async with asyncio.timeout(_LIMIT):
                    await SCENES[name](Path(folder), report, quick)
            except TimeoutError:
                report.check(name, False, f"it is over in {_LIMIT:.0f} s")
    print(report)
    return int(report.failed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description="Providers that fail in every way, and clients that keep asking.")
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"all of {', '.join(SCENES)} where none is named")
    parser.add_argument("--seed", default="", help="repeats a run")
    parser.add_argument("--quick", action="store_true", help="a part of it")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenes) - set(SCENES):
        parser.error(f"there is no scene {', '.join(sorted(unknown))}: name some of {', '.join(SCENES)}")
    return uvloop.run(_run(arguments.scenes or list(SCENES), arguments.seed or str(secrets.randbelow(10**6)), arguments.quick))


if __name__ == "__main__":
    sys.exit(main())
