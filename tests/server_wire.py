"""HTTP/1.1 by hand, for what no HTTP client will send, and the errors of the three protocols read in one way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from running import Place

Json = dict[str, Any]
CLIENTS = ("openai", "anthropic", "gemini")
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/exact-gemini:generateContent",
}
PATIENCE = 10.0  # seconds


class Reply(NamedTuple):
    status: int
    heads: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(PATIENCE):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(": ") for line in lines)
        return int(first.split(" ")[1]), {name: value for name, _, value in pairs}

    async def chunks(self) -> AsyncIterator[bytes]:
        """The pieces of a chunked body, as they come."""
        async with asyncio.timeout(PATIENCE):
            while size := int(await self.reader.readline(), 16):
                yield (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()

    async def reply(self) -> Reply:
        status, heads = await self.head()
        if heads.get("transfer-encoding") == "chunked":
            return Reply(status, heads, b"".join([piece async for piece in self.chunks()]))
        async with asyncio.timeout(PATIENCE):
            return Reply(status, heads, await self.reader.readexactly(int(heads.get("content-length", 0))))

    async def ended(self) -> bytes:
        """What still comes until the other side closes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()


@asynccontextmanager
async def wire(place: Place) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


def request(client: str, body: bytes, *, path: str = "", method: str = "POST", heads: Json | None = None) -> bytes:
    """A request's bytes; its length is declared unless `heads` says something of it, None takes a header away."""
    said: Json = {"host": "test", "content-type": "application/json", "content-length": len(body)}
    if client == "anthropic":
        said["anthropic-version"] = "2026-10-21"
    said |= heads or {}
    lines = [f"{method} {path or PATHS[client]} HTTP/1.1", *(f"{n}: {v}" for n, v in said.items() if v is not None)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def ask(place: Place, client: str, body: bytes | Json, **more: Any) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with wire(place) as line:
        await line.send(request(client, data, **more))
        return await line.reply()


def plain(client: str, words: str = "hi", model: str = "exact-{}", **fields: Any) -> Json:
    """The least that a client can say; `model` is of its own backend unless told otherwise."""
    if client == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": words}]}], **fields}
    least: Json = {"model": model.format(client), "messages": [{"role": "user", "content": words}]}
    return {**least, **({"max_tokens": 99} if client == "anthropic" else {}), **fields}


def said(client: str, reply: Reply) -> tuple[str, str | None]:
    """The message of an error in the client's own shape, and the field it names where the shape has a place for it."""
    assert reply.heads["content-type"] == "application/json"
    body = reply.json
    error = body["error"]
    if client == "openai":
        assert error.keys() == {"message", "type", "param", "code"}
        return error["message"], error["param"]
    if client == "anthropic":
        assert body["type"] == "error" and error["type"].endswith(("_error", "_too_large"))
        return error["message"], None
    assert error["code"] == reply.status and error["status"].isupper()
    violations = [v for detail in error.get("details", []) for v in detail.get("fieldViolations", [])]
    return error["message"], violations[0]["field"] if violations else None
