"""Compressed bodies. We never ask for one, but some servers send it all the same. Bytes in, bytes out."""

import zlib
from typing import Any

from interlingua.errors import UpstreamBroken, UpstreamGarbage


class Inflater:
    """A gzip or deflate body, unpacked piece by piece. `most` bounds what one call gives: a small bomb stays small."""

    __slots__ = ("_engine", "_gzip", "_packed", "more")

    def __init__(self, gzip: bool) -> None:
        self._gzip = gzip
        self._engine: Any = None
        self._packed = b""  # what zlib has not looked at
        self.more = False  # a call without new data would give some

    def feed(self, packed: bytes, most: int) -> bytes:
        """At most `most` bytes. Raises UpstreamGarbage."""
        self._packed += packed
        if self._engine is not None and self._engine.eof and self._packed:
            if not self._gzip:
                raise UpstreamGarbage("a compressed answer goes on after its end")
            self._engine = None  # gzip may have several members
        if self._engine is None:
            if not self._packed:
                return b""
            self._engine = zlib.decompressobj(self._window(self._packed[0]))
        try:
            plain: bytes = self._engine.decompress(self._packed, most)
        except zlib.error:
            raise UpstreamGarbage("a compressed answer is damaged") from None
        self._packed = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
        self.more = bool(self._packed) or len(plain) == most
        return plain

    def all(self, packed: bytes, limit: int) -> bytes:
        """A whole body; where it is larger than `limit`, somewhat more than `limit` of it. Raises GatewayError."""
        pieces = [self.feed(packed, limit + 1)]
        size = len(pieces[0])
        while self.more and size <= limit:
            pieces.append(self.feed(b"", limit + 1))
            size += len(pieces[-1])
        if size <= limit:
            self.end()
        return b"".join(pieces)

    def end(self) -> None:
        """No more will come. Raises UpstreamBroken where the body had not come to its own end."""
        if self._packed or not (self._engine is None or self._engine.eof):
            raise UpstreamBroken("a compressed answer ended before its end")

    def _window(self, first: int) -> int:
        """zlib's `wbits`. Some servers send deflate without the zlib header that HTTP asks for."""
        if self._gzip:
            return 31
        return 15 if first & 0x0F == 8 else -15
