"""The vendors' APIs on one port: deterministic, strict, and no key needed. A house of its own: it imports nothing of the gateway.

    async with serve() as mock: ...        in a running loop: mock.url, mock.journal
    with background() as mock: ...         beside code that blocks
    run("127.0.0.1", 9100)                 until a signal

A request that the vendor would refuse is refused in the vendor's words; any other gets the answer that its text or its model's
name asks for (`scenarios.py`).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlingua.mock.app import MockApp
    from interlingua.mock.server import MockServer, background, run
    from interlingua.mock.wire import Options

__all__ = ["MockApp", "MockServer", "Options", "background", "run", "serve"]

_ROOMS = {"MockApp": "app", "MockServer": "server", "background": "server", "run": "server", "Options": "wire"}


def serve(host: str = "127.0.0.1", port: int = 0, options: "Options | None" = None) -> "MockServer":
    """The mock in the running loop: `async with`, or `await .start()` and `await .close()`."""
    from interlingua.mock.server import MockServer

    return MockServer(host, port, options)


def __getattr__(name: str) -> object:
    """What needs a server is loaded when it is asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
