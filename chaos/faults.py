"""Every way a provider fails, as the bytes it writes. A fault is a function of a recorded answer and of chance, which is seeded.

A script is a list of bytes to write and of what to do between them; after its last step the connection is closed. HONEST
faults are no lies: their answer is owed to the client. All others owe it an error.
"""

import gzip
import re
from collections.abc import Callable
from random import Random
from typing import Final, Literal

from msgspec import Struct

from chaos.wires import MARKS

HANG: Final = "hang"  # says nothing more until the other side leaves
RESET: Final = "reset"
KEEP: Final = "keep"  # the connection stays for another request


class Wait(Struct, frozen=True):
    seconds: float


class Flood(Struct, frozen=True):
    """`piece` for ever, until the other side leaves or `limit` bytes are out."""

    piece: bytes
    limit: int = 400 << 20


Step = bytes | Wait | Flood | Literal["hang", "reset", "keep"]
Script = list[Step]


class Recorded(Struct, frozen=True):
    """A provider's answer: its head without the empty line, its body as it was framed, and the bytes of that body."""

    protocol: str
    stream: bool
    head: bytes
    framed: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        return self.head + b"\r\n\r\n" + self.framed

    @property
    def end(self) -> int:
        """Where in `raw` the mark of a stream's end begins: cut before it, the answer is broken."""
        return self.raw.rindex(MARKS[self.protocol]) if self.stream else len(self.raw)

    def said(self, *lines: bytes, status: bytes = b"200 OK") -> bytes:
        """A head with the answer's own content type, and `lines`."""
        kind = re.search(rb"(?im)^content-type: [^\r]+", self.head)
        return b"\r\n".join((b"HTTP/1.1 " + status, kind[0] if kind else b"content-type: text/plain", *lines)) + b"\r\n\r\n"

    def wrapped(self, body: bytes) -> bytes:
        return self.said(b"content-length: %d" % len(body)) + body


def _cut(it: Recorded, rng: Random) -> Script:
    at = rng.randrange(it.end)
    middle = rng.randrange(at + 1)
    return [it.raw[:middle], Wait(0.0), it.raw[middle:at], *([RESET] if rng.random() < 0.3 else [])]


def _trickle(it: Recorded, rng: Random) -> Script:
    """Honest, and slow: in pieces of a few bytes."""
    script: Script = []
    at = 0
    while at < len(it.raw):
        size = rng.randrange(1, 120)
        script += [it.raw[at : at + size], Wait(0.002)]
        at += size
    return [*script, KEEP]


def _garbage(it: Recorded, rng: Random) -> Script:
    return [rng.randbytes(rng.randrange(1, 4000))]


def _garbage_body(it: Recorded, rng: Random) -> Script:
    return [it.wrapped(rng.randbytes(rng.randrange(1, 4000)))]


def _garbled(it: Recorded, rng: Random) -> Script:
    """The true answer, with a stretch of it overwritten so that neither JSON nor a frame survives."""
    middle = it.body.index(b"You said") if b"You said" in it.body else len(it.body) // 2
    return [it.wrapped(it.body[:middle] + b"\xff\x00\xfe{" * 8 + it.body[middle + 32 :])]


_BOMB: Final = gzip.compress(b" " * (64 << 20), 1)  # made once: it takes a while


def _bomb(it: Recorded, rng: Random) -> Script:
    """A thousandfold of what is sent."""
    return [it.said(b"content-encoding: gzip", b"content-length: %d" % len(_BOMB)) + _BOMB]


def _short_length(it: Recorded, rng: Random) -> Script:
    size = rng.randrange(1, max(2, len(it.body) - 400))
    return [it.said(b"content-length: %d" % size) + it.body]


def _wrong_chunk(it: Recorded, rng: Random) -> Script:
    size = rng.choice((b"zz", b"-1", b"", b"fffffffffffffffff", b"0x10", b" 5"))
    return [it.said(b"transfer-encoding: chunked") + size + b"\r\n" + it.body]


def _huge_chunk(it: Recorded, rng: Random) -> Script:
    return [it.said(b"transfer-encoding: chunked") + b"7fffffff\r\n" + it.body[: it.end // 2]]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _flood(it: Recorded, rng: Random) -> Script:
    """A model that says the same word for ever; of OpenAI's alone."""
    begin, word = it.body.split(b"\n\n")[:2]
    return [it.said(b"transfer-encoding: chunked") + _chunk(begin + b"\n\n"), Flood(_chunk((word + b"\n\n") * 200))]


def _trickled_head(it: Recorded, rng: Random) -> Script:
    """Now and then a header line, and never the last one."""
    return [b"HTTP/1.1 200 OK\r\n", *(step for n in range(200) for step in (b"x-%d: y\r\n" % n, Wait(0.05)))]


def _error(status: bytes, *lines: bytes, body: bytes = b"") -> Callable[[Recorded, Random], Script]:
    def script(it: Recorded, rng: Random) -> Script:
        return [it.said(b"content-length: %d" % len(body), *lines, status=status) + body, KEEP]

    return script


def _lines(*lines: bytes) -> Callable[[Recorded, Random], Script]:
    """A head that says something of the body's length that cannot be."""

    def script(it: Recorded, rng: Random) -> Script:
        return [it.said(*lines) + it.body]

    return script


_HTML: Final = b"<html><body><h1>502 Bad Gateway</h1></body></html>"

HONEST: Final[dict[str, Callable[[Recorded, Random], Script]]] = {
    "good": lambda it, rng: [it.raw, KEEP],
    "slow_start": lambda it, rng: [Wait(0.3), it.raw, KEEP],
    "trickle": _trickle,
    "closed_after": lambda it, rng: [it.raw],  # without a word: the next request finds a dead connection
    "reset_after": lambda it, rng: [it.raw, Wait(0.05), RESET],
    "until_close": lambda it, rng: [it.said(b"connection: close") + it.body] if it.protocol != "gemini" else [it.raw],
    "early_hints": lambda it, rng: [b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + it.raw, KEEP],
    "stray_answer": lambda it, rng: [it.raw + it.wrapped(b'{"stray": true}'), KEEP],  # nobody asked for the second one
    "stray_bytes": lambda it, rng: [it.raw + b"\r\n\x00\xffnoise", KEEP],
}
DISHONEST: Final[dict[str, Callable[[Recorded, Random], Script]]] = {
    "cut": _cut,
    "reset_before_head": lambda it, rng: [RESET],
    "closed_before_head": lambda it, rng: [],
    "reset_in_head": lambda it, rng: [it.raw[: rng.randrange(1, len(it.head))], RESET],
    "reset_after_head": lambda it, rng: [it.head + b"\r\n\r\n", Wait(0.0), RESET],
    "no_head": lambda it, rng: [HANG],  # as a half-open connection looks from here
    "half_head": lambda it, rng: [it.head[: rng.randrange(1, len(it.head))], HANG],
    "trickled_head": _trickled_head,
    "stall": lambda it, rng: [it.raw[: rng.randrange(len(it.head) + 4, it.end)], HANG],
    "long_length": lambda it, rng: [it.said(b"content-length: %d" % (len(it.body) + rng.randrange(1, 1 << 20))) + it.body[:-64]],
    "endless_length": lambda it, rng: [it.said(b"content-length: %d" % (1 << 62)) + it.body[:-64], HANG],
    "short_length": _short_length,
    "two_lengths": _lines(b"content-length: 5", b"content-length: 6"),
    "negative_length": _lines(b"content-length: -5"),
    "no_number": _lines(b"content-length: many"),
    "wrong_chunk": _wrong_chunk,
    "huge_chunk": _huge_chunk,
    "garbage_head": _garbage,
    "huge_head": lambda it, rng: [it.said(b"x-huge: " + b"y" * (1 << 20)) + it.body],
    "many_heads": lambda it, rng: [it.said(*(b"x-%d: y" % n for n in range(20_000))) + it.body],
    "endless_head": lambda it, rng: [b"HTTP/1.1 200 OK\r\nx: ", Flood(b"y" * 65536, 8 << 20)],
    "endless_hints": lambda it, rng: [Flood(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 1000, 8 << 20)],
    "garbage_body": _garbage_body,
    "garbled": _garbled,
    "page": lambda it, rng: [it.wrapped(_HTML), KEEP],
    "nothing": lambda it, rng: [it.wrapped(b""), KEEP],
    "no_gzip": lambda it, rng: [it.said(b"content-encoding: gzip", b"content-length: %d" % len(it.body)) + it.body],
    "bomb": _bomb,
    "moved": _error(b"302 Found", b"location: http://127.0.0.1:1/"),
    "unchanged": lambda it, rng: [b"HTTP/1.1 304 Not Modified\r\n\r\n", KEEP],
    "no_content": lambda it, rng: [b"HTTP/1.1 204 No Content\r\n\r\n", KEEP],
    "upgraded": lambda it, rng: [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n" + it.body
    ],
    "limited": _error(b"429 Too Many Requests", b"retry-after: 1", body=b'{"error": {"message": "slow down", "code": 429}}'),
    "failed": _error(b"500 Internal Server Error", body=b"not even JSON \xff"),
    "overloaded": _error(b"529 Overloaded", body=_HTML),
    "odd_status": _error(b"999 What", body=b"null"),
}
# Of a length that only the gateway's own limits end
ENDLESS: Final[dict[str, Callable[[Recorded, Random], Script]]] = {
    "flood": _flood,
    "endless_body": lambda it, rng: [it.said(b"transfer-encoding: chunked"), Flood(_chunk(b" " * 65536))],
}
FAULTS: Final = {**HONEST, **DISHONEST, **ENDLESS}


def script(fault: str, it: Recorded, seed: str) -> Script:
    """What the provider does: always the same for the same seed."""
    return FAULTS[fault](it, Random(seed))
