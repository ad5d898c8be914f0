"""Raw clients: one connection each, a question's bytes out, an answer read by nothing but HTTP/1.1's own words."""

import asyncio
from typing import Self

from chaos.wires import Reply

PATIENCE = 15.0  # seconds for an answer, past which it counts as none


class Gone(Exception):
    """The connection ended, or nothing came, before an answer's head did."""


class Link:
    """A client's connection, opened when it is needed. `told_to_close`: the last answer said that none follows."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.told_to_close = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.drop()

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    async def ask(self, data: bytes) -> Reply:
        """Raises Gone where no head came."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(data)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            self.drop()
            raise Gone(type(error).__name__) from None

    async def say(self, data: bytes) -> None:
        """Writes, and waits for nothing."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        self._writer.write(data)

    async def _ask(self, data: bytes) -> Reply:
        await self.say(data)
        assert self._reader is not None
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        heads = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        reply = Reply(int(first.split(" ")[1]), heads, b"")
        try:
            reply.body = await self._body(self._reader, heads)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            reply.whole = False
        self.told_to_close = heads.get("connection") == "close"
        if self.told_to_close or not reply.whole:
            self.drop()
        return reply

    async def _body(self, reader: asyncio.StreamReader, heads: dict[str, str]) -> bytes:
        if heads.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(heads["content-length"]))
        pieces: list[bytes] = []
        while size := int(await reader.readline(), 16):
            pieces.append((await reader.readexactly(size + 2))[:-2])
        await reader.readline()
        return b"".join(pieces)


async def fetch(port: int, path: str) -> bytes:
    """What a GET answers, whatever its status."""
    async with Link(port) as link:
        return (await link.ask(f"GET {path} HTTP/1.1\r\nhost: chaos\r\n\r\n".encode())).body
