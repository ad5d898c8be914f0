"""The bad provider, a process of its own: it replays recorded answers, broken in the way that the model's name asks for.

`cut-17` is the fault `cut`, drawn with `17`; a model that is no fault's name is answered well. What a TLS client says is
answered with bytes that are no TLS. `GET /chaos/counts` tells of connections and requests.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import struct
import sys
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from chaos.faults import FAULTS, HANG, KEEP, RESET, Flood, Recorded, Script, Wait, script
from chaos.wires import asked

_HANDSHAKE: Final = b"\x16"  # a TLS client's first byte
_NO_TLS: Final = b"\x15\x03\x03\xff\xffHTTP/1.1 400 Bad Request\r\n\r\n"
_LONGEST: Final = 30.0  # seconds that anything here lasts


class Provider:
    def __init__(self, recorded: list[Recorded], seed: str) -> None:
        self._recorded = {(one.protocol, one.stream): one for one in recorded}
        self._seed = seed
        self._connections = 0
        self._open = 0
        self._requests: dict[str, int] = {}

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        self._open += 1
        try:
            first = await reader.read(1)
            if first == _HANDSHAKE:
                writer.write(_NO_TLS)
                return
            while first and await self._serve(first, reader, writer):
                first = await reader.read(1)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            writer.transport.abort()
        finally:
            self._open -= 1
            writer.close()

    async def _serve(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another may follow."""
        head = first + await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /chaos/counts"):
            counts = {"connections": self._connections, "open": self._open, "requests": self._requests}
            body = json.dumps(counts).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            return False
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        ask = asked(head, await reader.readexactly(int(length[1]) if length else 0))
        fault = ask.model.partition("-")[0]
        fault = fault if fault in FAULTS else "good"
        self._requests[fault] = self._requests.get(fault, 0) + 1
        it = self._recorded[ask.protocol, ask.stream]
        async with asyncio.timeout(_LONGEST):
            return await self._play(script(fault, it, f"{self._seed} {ask.protocol} {ask.stream} {ask.model}"), reader, writer)

    async def _play(self, steps: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for step in steps:
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                case Wait():
                    await asyncio.sleep(step.seconds)
                case Flood():
                    for _ in range(step.limit // len(step.piece)):
                        writer.write(step.piece)
                        await writer.drain()
                case _ if step == KEEP:
                    return True
                case _ if step == HANG:
                    await reader.read()
                case _ if step == RESET:
                    own = writer.get_extra_info("socket")
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                case _:
                    raise AssertionError(step)
        return False


async def _main(folder: Path, port: int, seed: str) -> None:
    recorded = msgspec.msgpack.decode((folder / "recorded").read_bytes(), type=list[Recorded])
    server = await asyncio.start_server(Provider(recorded, seed).accept, "127.0.0.1", port, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    parent = os.getppid()
    while os.getppid() == parent:  # nobody is left behind
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", default="0")
    arguments = parser.parse_args()
    sys.exit(uvloop.run(_main(arguments.folder, arguments.port, arguments.seed)))
