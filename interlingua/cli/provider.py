"""A `gemini-cli` backend with the face of any provider: IR in, IR out; between them a turn of a pool of processes.

A 429 is tried again here, since the CLI would try for a minute: `max_retries` times, `retry_delay` apart or as long as Google
asks to wait, and only where the deadline leaves the time. Nothing has been told to the client until then.
"""

import asyncio
from contextlib import aclosing
from typing import Final, NoReturn

from interlingua.cli.pool import Pool
from interlingua.cli.process import Launch
from interlingua.cli.prompt import Told, tell
from interlingua.cli.telling import Telling
from interlingua.cli.worker import Turn
from interlingua.client import Client, Reply, Upload
from interlingua.config import Backend, Routing
from interlingua.embeddings import Embedding
from interlingua.errors import GatewayError, NotFound, ProviderFailure, Unsupported, UpstreamTimeout
from interlingua.flow import Events
from interlingua.fold import Fold
from interlingua.ir import AnyEvent, End, Failure, Json
from interlingua.losses import Losses
from interlingua.metrics import Metrics
from interlingua.pipeline import Answer, Call
from interlingua.provider import Provider, refuse

_PATIENCE: Final = 30.0  # seconds; who is to wait for longer is told so


class CliProvider(Provider):
    """`begin` starts its first process; `close` ends them all."""

    def __init__(self, backend: Backend, client: Client, routing: Routing, metrics: Metrics) -> None:
        super().__init__(backend, client, routing, metrics)
        self._cli = backend.settings.cli
        self._first_byte, self._idle = routing.first_byte, routing.idle
        key = backend.keys[0].reveal() if backend.keys else ""
        url = backend.url if backend.settings.url is not None else None
        self.pool = Pool(Launch(self._cli.command, key, url), self._cli)
        self._lent = False  # the pool lives on in a provider of another core

    def begin(self) -> None:
        self.pool.begin()

    def inherit(self, old: Provider) -> None:
        """The processes too, where they are to be as they are."""
        super().inherit(old)
        if isinstance(old, CliProvider) and old._cli == self._cli:
            self.pool, old._lent = old.pool, True

    @property
    def lingers(self) -> bool:
        return not self._lent and self.pool.told()["processes"] > 0

    def retire(self) -> None:
        if not self._lent:
            self.pool.retire()

    async def close(self) -> None:
        if not self._lent:
            await self.pool.close()

    async def ask(self, call: Call) -> Answer:
        request, decision = call.request, call.decision
        assert decision is not None
        if isinstance(request, Embedding):
            raise Unsupported("The Gemini CLI makes no embeddings.", param="model")
        call.losses = losses = Losses()
        acp = await self.pool.acp(call.deadline)
        told = tell(request, self.way(decision.model).target, losses, media=acp)
        if losses and call.strict:
            refuse(call, losses)
        events = await self._begun(told, call, decision.model, request.max_tokens)
        if request.stream:
            return Answer(events=events)
        fold = Fold()
        async with aclosing(events):
            async for batch in events:
                fold.feed(batch)
        return Answer(fold.result())

    async def count(self, call: Call, body: Json) -> NoReturn:
        """Never called: the host's row has no counter."""
        raise NotFound("The Gemini CLI counts no tokens.", code="no_counter")

    async def forward(self, method: str, path: str, headers: bytes, body: "bytes | Upload", deadline: float) -> Reply:
        message = f"{self.name} is the Gemini CLI, a program: it has no API that could be passed through to."
        raise NotFound(message, code="no_pass_through")

    async def _begun(self, told: Told, call: Call, model: str, limit: int | None) -> Events:
        """The events of a turn that has begun to speak, or has failed for good. `limit`: output tokens."""
        loop, tried = asyncio.get_running_loop(), 0
        limited: Failure | None = None
        while True:
            telling = Telling(model, limit)
            try:
                turn = await self.pool.turn(told, call.deadline)
                begun = await self._first(turn, telling, call.deadline)
            except UpstreamTimeout:
                if limited is None:
                    raise
                raise ProviderFailure(limited) from None  # the time went with trying again
            failure = begun[-1]
            if not isinstance(failure, Failure):
                return self._events(turn, telling, begun, call.deadline)
            wait = max(self._cli.retry_delay, failure.retry_after or 0.0)
            if failure.status != 429 or tried >= self._cli.max_retries or wait > _PATIENCE or loop.time() + wait >= call.deadline:
                raise ProviderFailure(failure)
            tried, limited = tried + 1, failure
            await asyncio.sleep(wait)

    async def _first(self, turn: Turn, telling: Telling, deadline: float) -> list[AnyEvent]:
        """What a turn begins with. One that fails is closed."""
        try:
            begun = await self._heard(turn, telling, self._first_byte, deadline)
        except BaseException:
            turn.close()
            raise
        if isinstance(begun[-1], Failure):
            turn.close()
        return begun

    async def _heard(self, turn: Turn, telling: Telling, patience: float, deadline: float) -> list[AnyEvent]:
        """What the next messages tell, at least one event."""
        while True:
            events = [event for message in await turn.next(patience, deadline) for event in telling.feed(message)]
            if events:
                return events

    async def _events(self, turn: Turn, telling: Telling, batch: list[AnyEvent], deadline: float) -> Events:
        """The last is End or Failure, whatever becomes of the process."""
        try:
            while True:
                yield batch
                if isinstance(batch[-1], End | Failure):
                    return
                batch = await self._heard(turn, telling, self._idle, deadline)
        except GatewayError as error:
            yield [error.failure]
        finally:
            turn.close()
