"""A process for one turn: the CLI's `-o stream-json`, for a CLI that speaks no ACP. The prompt goes in by stdin, words alone.

Its exit code is the HTTP status that the CLI got from Google, modulo 256. Told in the messages of ACP, so that whoever
listens need not know.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from interlingua.cli.acp import Lines, Reply, Update
from interlingua.cli.process import House, Launch, Running, run, unwritten
from interlingua.cli.prompt import Told
from interlingua.cli.worker import Turn
from interlingua.errors import FramingError, GatewayError, UpstreamBroken, UpstreamGarbage
from interlingua.ir import Json
from interlingua.protocols.wire import as_obj, as_text

_CHUNK: Final = 1 << 16
_API_ERROR: Final = re.compile(r"\[API Error: (.*?)\](?:\n.*)?", re.DOTALL)


class Once:
    """`ended` is there at once, and done when nothing of it is left."""

    def __init__(self, launch: Launch, told: Told, changed: Callable[["Once"], None]) -> None:
        self._launch, self._told, self._changed = launch, told, changed
        self._running: Running | None = None
        self._result: Json | None = None
        self.turn = Turn(lambda turn: None, lambda turn: self.kill())
        self._killed = False
        self.ended = asyncio.create_task(self._live())

    def kill(self) -> None:
        self._killed = True
        if self._running is not None:
            self._running.kill()

    async def _live(self) -> None:
        house, error = None, None
        try:
            house = await asyncio.to_thread(House)
            house.system.write_text(self._told.system, "utf-8")
            room = house.room("turn", self._told.settings)
            self._running = running = await run(self._launch, house, "-o", "stream-json", cwd=room)
            if self._killed:
                running.kill()
            running.stdin.write("".join(block["text"] for block in self._told.blocks).encode())
            running.stdin.write_eof()
            await self._listen(running)
        except FramingError as bad:
            error = UpstreamGarbage(f"The Gemini CLI cannot be understood: {bad}.")
        except GatewayError as failed:
            error = failed
        except OSError as failed:
            error = unwritten(failed)
        finally:
            await self._bury(house, error)

    async def _listen(self, running: Running) -> None:
        lines = Lines()
        while data := await running.stdout.read(_CHUNK):
            for line in lines.feed(data):
                if line.get("type") == "message" and line.get("role") == "assistant":
                    self.turn.hear(Update("", "agent_message_chunk", as_text(line.get("content")) or ""))
                elif line.get("type") == "result":
                    self._result = line
        await running.process.wait()

    async def _bury(self, house: House | None, error: GatewayError | None) -> None:
        code = await self._running.reap() if self._running is not None else 1
        if house is not None:
            await asyncio.to_thread(house.remove)
        if error is not None:
            self.turn.fail(error)
        elif self._result is None:
            self.turn.fail(UpstreamBroken(f"The Gemini CLI ended with code {code} before its turn did."))
        else:
            self.turn.hear(self._told_of(self._result, code))
        self._changed(self)

    def _told_of(self, result: Json, code: int) -> Reply:
        if result.get("status") == "success":
            stats = as_obj(result.get("stats"))
            return Reply(0, {"stopReason": "end_turn", "_meta": {"quota": {"token_count": stats}}})
        words = as_text(as_obj(result.get("error")).get("message")) or "no message"
        quoted = _API_ERROR.fullmatch(words)
        return Reply(0, {}, 256 + code if code >= 144 else 500, self._launch.hidden(quoted[1] if quoted else words))
