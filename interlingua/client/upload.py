"""A body that goes out as it comes in: no more of it is held than the two ends' sockets make us hold."""

from collections.abc import AsyncIterator
from math import inf

from interlingua.client.connection import Connection


class Upload:
    """`pieces` are asked for one at a time, when the last one has been taken. `length`: bytes in all; None: it goes chunked."""

    __slots__ = ("length", "pieces")

    def __init__(self, pieces: AsyncIterator[bytes], length: int | None) -> None:
        self.pieces = pieces
        self.length = length

    @property
    def header(self) -> bytes:
        return b"transfer-encoding: chunked\r\n" if self.length is None else b"content-length: %d\r\n" % self.length


async def pour(connection: Connection, body: Upload, idle: float) -> None:
    """Writes it, no faster than the other side takes it; `idle`: seconds it may take nothing. Returns early where the
    connection has ended; raises what `pieces` does."""
    chunked = body.length is None
    connection.expect(inf)  # while the client is slow, nobody else is
    async for piece in body.pieces:
        if connection.closed:
            return
        if piece:
            connection.transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n") if chunked else (piece,))
        if connection.full is not None:
            connection.expect(idle)
            await connection.full
            connection.expect(inf)
    if chunked and not connection.closed:
        connection.transport.write(b"0\r\n\r\n")
