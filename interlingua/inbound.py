"""One HTTP request that came in, and the way back to its client: all that the gateway knows of whoever serves its sockets.

Header lines are bytes, each `name: value` with its CRLF, names in lower case; how a body is framed, and whether the connection
goes on, is the server's to say.
"""

from asyncio import Task
from collections.abc import Awaitable
from typing import Any, Protocol

from interlingua.routes import Door


class Inbound(Protocol):
    """`path` is decoded, `raw_path` as it came. `door`: what is there; None: nothing. `body` None: it is still coming.
    `tenant` None: who asks is not known yet. `task`: the one that answers it; None: the current one.
    `left`: the client has gone, and whoever works for it is cancelled."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    door: Door | None
    body: bytes | None
    tenant: str | None
    task: Task[Any] | None
    keep_alive: bool

    @property
    def left(self) -> bool: ...

    @property
    def flows(self) -> bool:
        """Whether `push` may be called: the answer's begin is out, and the client reads as fast as we write."""
        ...

    def receive(self) -> Awaitable[tuple[bytes, bool]]:
        """A piece of a body that is still coming, and whether there is more. Raises GatewayError where no more can come."""
        ...

    def reply(self, status: int, lines: bytes, body: bytes) -> bool:
        """The whole answer at once; False where it has to wait, or has begun already."""
        ...

    def begin(self, status: int, lines: bytes) -> None:
        """The answer's head, which goes out with the first piece."""
        ...

    def send(self, piece: bytes, more: bool = True) -> Awaitable[None]:
        """A piece of the answer, in turn; `more` False: the last."""
        ...

    def push(self, piece: bytes) -> None:
        """A piece of the answer, without a wait."""
        ...
