"""A long-lived process of the CLI, which takes several turns at once: one session each, under one system prompt.

The CLI reads its system prompt from one file, and again for every session whenever any of them begins. So all turns under
way in a worker share theirs, and it changes while there is none.

    starting -> ready -> leaving -> ended       leaving: takes no more, and is killed after its last turn

A turn that is given up is cancelled; a worker that has not ended it within GRACE is hung, and leaves.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from msgspec.structs import replace

from interlingua.cli import acp
from interlingua.cli.acp import Asked, Reply, Update
from interlingua.cli.process import House, Launch, Running, run, unwritten
from interlingua.cli.prompt import Told
from interlingua.errors import (
    FramingError,
    GatewayError,
    UpstreamBroken,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)

PATIENCE: Final = 60.0  # seconds until a process must have begun; a second or two is common
GRACE: Final = 2.0  # seconds in which a turn that was cancelled must end
MOST_TURNS: Final = 500  # of one process: its sessions cannot be closed
_CHUNK: Final = 1 << 16
_log: Final = logging.getLogger("interlingua")

State = Literal["starting", "ready", "leaving", "ended"]
Heard = Update | Reply


class Turn:
    """A conversation's turn under way. `close` always: it gives up what has not ended."""

    def __init__(self, done: Callable[["Turn"], None], give_up: Callable[["Turn"], None]) -> None:
        self.session: str | None = None
        self.closed = self.over = False
        self.timer: asyncio.TimerHandle | None = None
        self._done, self._give_up = done, give_up
        self._heard: list[Heard] = []
        self._failure: GatewayError | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def next(self, seconds: float, deadline: float) -> list[Heard]:
        """What was heard since, at least one. Raises what befell the process, and UpstreamTimeout after `seconds`, or at
        the deadline."""
        loop = asyncio.get_running_loop()
        while not self._heard:
            if self._failure is not None:
                raise self._failure
            self._waiting = loop.create_future()
            try:
                async with asyncio.timeout_at(min(loop.time() + seconds, deadline)):
                    await self._waiting
            except TimeoutError:
                late = loop.time() >= deadline
                message = "The request's deadline passed" if late else f"Nothing was heard for {seconds:g} seconds"
                raise UpstreamTimeout(f"{message} while the Gemini CLI was at work.") from None
            finally:
                self._waiting = None
        heard, self._heard = self._heard, []
        return heard

    def hear(self, message: Heard) -> None:
        if not self.closed:
            self._heard.append(message)
            self._wake()
        if isinstance(message, Reply):
            self.finish()

    def fail(self, error: GatewayError) -> None:
        self._failure = error
        self._wake()
        self.finish()

    def finish(self) -> None:
        if not self.over:
            self.over = True
            if self.timer is not None:
                self.timer.cancel()
            self._done(self)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if not self.over:
                self._give_up(self)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Worker:
    """`changed` is called whenever it can take more, or is no more. `begin` once; `ended` when nothing of it is left."""

    def __init__(self, launch: Launch, max_memory: int, changed: Callable[[], None]) -> None:
        self._launch, self._max_memory, self._changed = launch, max_memory, changed
        self._house: House | None = None
        self._running: Running | None = None
        self._calls: dict[int, Callable[[Reply], None]] = {}
        self._count = 0
        self._served = 0
        self._turns: dict[Turn, str] = {}  # and the name of each one's room
        self._sessions: dict[str, Turn] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.state: State = "starting"
        self.system: str | None = None
        self.failure: GatewayError | None = None  # why it ended
        self.knows_acp = True
        self.ended: asyncio.Task[None] | None = None

    @property
    def active(self) -> int:
        return len(self._turns)

    @property
    def pid(self) -> int | None:
        return self._running.process.pid if self._running is not None else None

    def begin(self) -> None:
        self.ended = asyncio.create_task(self._live())

    def turn(self, told: Told) -> Turn:
        """Only while it is ready, and under the system prompt of the turns it has."""
        house = self._house
        assert house is not None and self.state == "ready" and (self.system == told.system or not self._turns)
        self._served += 1
        name = f"turn-{self._served}"
        turn = Turn(self._done, self._give_up)
        self._turns[turn] = name
        try:
            if self.system != told.system:
                self.system = None  # whatever becomes of the file
                house.system.write_text(told.system, "utf-8")
            self.system = told.system
            self._begin_turn(turn, told, house.room(name, told.settings))
        except OSError as error:
            asyncio.get_running_loop().call_soon(turn.fail, unwritten(error))
        return turn

    def leave(self) -> None:
        """No more turns; those under way end."""
        if self.state in ("starting", "ready"):
            self.state = "leaving"
        if not self._turns:
            self.kill()

    def kill(self, why: GatewayError | None = None) -> None:
        self.failure = self.failure or why
        if self.state != "ended":
            self.state = "leaving"
        if self._running is not None:
            self._running.kill()

    # A turn

    def _begin_turn(self, turn: Turn, told: Told, folder: Path) -> None:
        def answered(reply: Reply) -> None:
            session = reply.result.get("sessionId")
            if reply.code is not None:
                turn.hear(reply)
            elif type(session) is not str:
                turn.fail(UpstreamGarbage("The Gemini CLI began a session without a name."))
            elif turn.closed:
                turn.finish()
            else:
                turn.session = session
                self._sessions[session] = turn
                self._ask(lambda id: acp.prompt(id, session, told.blocks), turn.hear)

        self._ask(lambda id: acp.new_session(id, str(folder)), answered)

    def _give_up(self, turn: Turn) -> None:
        if turn.session is not None:
            self._write(acp.cancel(turn.session))
        turn.timer = asyncio.get_running_loop().call_later(GRACE, self._overdue, turn)

    def _overdue(self, turn: Turn) -> None:
        _log.warning("The Gemini CLI (process %s) did not end a turn that was cancelled: it is replaced", self.pid)
        self.state = "leaving"
        turn.finish()

    def _done(self, turn: Turn) -> None:
        name = self._turns.pop(turn)
        if turn.session is not None:
            self._sessions.pop(turn.session, None)
        if self._house is not None:
            self._house.clear(name)
        if self.state == "ready" and self._is_worn():
            self.state = "leaving"
        if self.state == "leaving" and not self._turns:
            self.kill()
        self._changed()

    def _is_worn(self) -> bool:
        return self._served >= MOST_TURNS or (self._running is not None and self._running.memory > self._max_memory)

    # Its life

    async def _live(self) -> None:
        try:
            self._house = await asyncio.to_thread(House)
            self._running = running = await run(self._launch, self._house, "--acp")
            if self.state != "starting":  # somebody has had enough already
                running.kill()
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._too_late)
            self._ask(acp.initialize, self._initialized)
            await self._converse(running)
        except FramingError as error:
            self.failure = UpstreamGarbage(f"The Gemini CLI cannot be understood: {error}.")
        except GatewayError as error:
            self.failure = error
        except OSError as error:
            self.failure = unwritten(error)
        finally:
            await self._bury()

    async def _converse(self, running: Running) -> None:
        lines = acp.Lines()
        while data := await running.stdout.read(_CHUNK):
            for line in lines.feed(data):
                match message := acp.message_of(line):
                    case Update():
                        if (turn := self._sessions.get(message.session)) is not None:
                            turn.hear(message)
                    case Reply():
                        if (answered := self._calls.pop(message.id, None)) is not None:
                            answered(replace(message, message=self._launch.hidden(message.message)))
                    case Asked():
                        self._write(acp.refusal(message))
                    case None:
                        pass

    async def _bury(self) -> None:
        """Nothing of it is left after this."""
        began, self.state = self.state != "starting", "leaving"
        if self._timer is not None:
            self._timer.cancel()
        if self._running is not None:
            code = await self._running.reap()
            if self.failure is None:
                self.failure = self._why(code, began)
        house, self._house = self._house, None
        for turn in [*self._turns]:
            turn.fail(self.failure or UpstreamBroken("The Gemini CLI ended before its turn did."))
        if house is not None:
            await asyncio.to_thread(house.remove)
        self.state = "ended"
        self._changed()

    def _why(self, code: int, began: bool) -> GatewayError:
        assert self._running is not None
        words = self._launch.hidden(self._running.words)
        if began:
            return UpstreamBroken("The Gemini CLI ended before its turn did.")
        self.knows_acp = not ("unknown" in words.lower() and "acp" in words.lower())
        last = words.rpartition("\n")[2][:300] or "it said nothing"
        return UpstreamUnreachable(f"The Gemini CLI ended with code {code} before it had begun: {last}")

    def _initialized(self, reply: Reply) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if reply.code is not None:
            self.knows_acp = reply.code != acp.NO_METHOD
            self.kill(UpstreamUnreachable(f"The Gemini CLI does not begin: {self._launch.hidden(reply.message)[:300]}"))
        elif self.state == "starting":
            self.state = "ready"
            self._changed()

    def _too_late(self) -> None:
        self.kill(UpstreamTimeout(f"The Gemini CLI has not begun within {PATIENCE:g} seconds."))

    # Its wire

    def _ask(self, say: Callable[[int], bytes], answered: Callable[[Reply], None]) -> None:
        self._count += 1
        self._calls[self._count] = answered
        self._write(say(self._count))

    def _write(self, data: bytes) -> None:
        if self._running is not None and not self._running.stdin.is_closing():
            self._running.stdin.write(data)
