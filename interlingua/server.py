"""A request in: path to protocol, body to IR; answer to body or stream. The one door where errors become a client's words."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache, partial
from itertools import count
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from interlingua import invoke, kept, listing, passthrough
from interlingua.agents import api
from interlingua.agents.desk import Desk
from interlingua.core import Core
from interlingua.counting import count_tokens
from interlingua.deadlines import deadline
from interlingua.embedder import FACES, headers_of
from interlingua.embeddings import Vectors
from interlingua.errors import (
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ProviderFailure,
    UpstreamError,
)
from interlingua.flow import ENDS, Batch, Flow
from interlingua.framing import Out, eventstream, jsonarray, sse
from interlingua.inbound import Inbound
from interlingua.ir import End, Failure, PartDelta, PartStart, Start, Usage
from interlingua.losses import Losses
from interlingua.metrics import CONNECTIONS, LOSSES, ROUTES, Meter
from interlingua.pipeline import Answer, Call
from interlingua.protocols import Protocol
from interlingua.protocols.bedrock.names import BEGAN
from interlingua.protocols.registry import CLIENTS, PROTOCOLS
from interlingua.protocols.shared import decode_request
from interlingua.protocols.wire import encode_json, note_down
from interlingua.provider import Provider
from interlingua.pulse import Pulse, Waiting
from interlingua.routes import Door, protocol_of
from interlingua.routing import Decision
from interlingua.sigv4 import SignatureRefused, verify

Message = MutableMapping[str, Any]

LEFT: Final = 499  # the status counted for a client that left
_RUN: Final = os.urandom(8).hex()  # a request's id: this process, and its number
_COUNTER: Final = count()
_ALSO: Final = frozenset((("DELETE", "kept"), ("DELETE", "task")))
_OPEN: Final = frozenset(("health", "ready"))  # asked by those who have no key
_MAX_TOLD: Final = 4000  # characters of the losses header
_MOST_TRIED: Final = 8  # attempts told of
_ESTIMATED: Final = "x-interlingua-estimated"
_JSON: Final = b"content-type: application/json\r\n"
_TEXT: Final = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
_STREAMED: Final = b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"
_SHARED: Final = b"access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n"
# The name by which each vendor tells a request's id, beside our own
_IDS: Final = {"anthropic": b"request-id", "openai": b"x-request-id", "responses": b"x-request-id"}
_CONVERSE: Final = PROTOCOLS["bedrock"]  # whose answers tell how long they took
_log = logging.getLogger("interlingua")


class Gateway:
    """What the server asks: `answer` for a request, itself (as an ASGI application) for its life. `core` may be exchanged under
    way: a request keeps the one it began with."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.desk = core.desk = Desk(self.answer, lambda: self.core.config, core.metrics)
        self.pulse = Pulse(core.config.routing.heartbeat, core.config.routing.whole_heartbeat)
        self.begin: Callable[[], None] = _nothing  # on the event loop, once, before the first request
        self.end: Callable[[], None] = _nothing

    def answer(self, asked: Inbound) -> Awaitable[None]:
        return Exchange(self.core, self.pulse, asked).run()

    def take(self, core: Core) -> None:
        """Requests from now on are answered by another core; those under way keep theirs."""
        self.core.retire()
        self.core = core
        core.begin()
        self.desk.begin()
        self.pulse = Pulse(core.config.routing.heartbeat, core.config.routing.whole_heartbeat)

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """ASGI's lifespan."""
        while (await receive())["type"] == "lifespan.startup":
            self.core.begin()
            self.desk.begin()
            self.begin()
            await send({"type": "lifespan.startup.complete"})
        self.end()
        await self.desk.close()
        await self.core.close()
        await send({"type": "lifespan.shutdown.complete"})


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "asked",
        "broke",
        "call",
        "core",
        "headers",
        "id",
        "losses",
        "protocol",
        "pulse",
        "size",
        "started",
        "tenant",
        "usage",
        "waiting",
    )

    def __init__(self, core: Core, pulse: Pulse, asked: Inbound) -> None:
        self.core, self.pulse, self.asked = core, pulse, asked
        self.headers = asked.headers
        self.id = f"req_{_RUN}{next(_COUNTER):08x}"
        self.protocol: Protocol = PROTOCOLS["openai"]
        self.call: Call | None = None
        self.started = False  # the head of the answer is out
        self.losses = Losses()  # of the answer; those of the request are its call's
        self.usage: Usage | None = None
        self.broke: Failure | None = None  # what the stream ended with, where that is no end
        self.size = 0  # bytes of the body
        self.tenant = ""  # whose key it was, where keys are asked for
        self.waiting: Waiting | None = None  # for a whole answer, with heartbeats

    async def run(self) -> None:
        began = time.perf_counter()
        status = 500
        try:
            status = await self._answer()
        except GatewayError as error:
            status = await self._fail(error.failure)
        except asyncio.CancelledError:
            if not self.asked.left:
                raise
            status = LEFT
        except Exception as error:
            status = await self._fail(_unexpected(error, self.id))
        finally:
            if (call := self.call) is not None:
                seconds = time.perf_counter() - began
                self._count(call, status, seconds)
                if call.finished is not None:
                    call.finished(status, seconds)

    # What is asked

    def _answer(self) -> Awaitable[int]:
        asked = self.asked
        method, door = asked.method, asked.door
        if method == "OPTIONS":
            return self._options()
        if door is None and asked.path.startswith(passthrough.PREFIX):
            return self._pass_through()
        if door is None:
            self.protocol = CLIENTS[protocol_of(asked.path, self.headers)]
            raise NotFound(f"There is nothing at {asked.path}.", code="unknown_url")
        shared = door.action in ("models", "model") and door.protocol == "openai"
        self.protocol = CLIENTS[protocol_of(asked.path, self.headers) if shared else door.protocol]
        if method != door.method and (method, door.action) not in _ALSO and not (method == "HEAD" and door.method == "GET"):
            raise MethodNotAllowed(f"{asked.path} takes {door.method}, not {method}.")
        if self.core.keys is not None and door.action not in _OPEN:
            self.tenant = self._admit(asked.body or b"")
        return self._generate(door, self._body(), door.protocol) if door.action == "generate" else self._enter(door, method)

    async def _enter(self, door: Door, method: str) -> int:
        match door.action:
            case "prompt":
                door = replace(door, model=self.core.config.routing.default_model)
                return await self._generate(door, self._body(), self.protocol.NAME)
            case "delegate" | "agents" | "task":
                return await self._send_json(*await self._agents(door, method))
            case "embed" | "predict":
                self.protocol = FACES[door.action, door.protocol]
                return await self._generate(door, self._body(), self.protocol.NAME)
            case "invoke":
                return await self._invoke(door, self._body())
            case "count":
                return await self._tokens(door)
            case "models":
                return await self._send_json(200, await listing.models(self.protocol.NAME, self.core))
            case "model":
                return await self._send_json(200, await listing.model(self.protocol.NAME, door.model or "", self.core))
            case "metrics":
                return await self._metrics()
            case "ready":
                return await self._send_json(200 if self.core.ready else 503, self.core.readiness())
            case _:
                return await self._send_json(200, self._told_of(door, method))

    def _told_of(self, door: Door, method: str) -> dict[str, Any]:
        """The answers that need nobody but us."""
        core, name = self.core, door.model or ""
        match door.action:
            case "kept" if method == "DELETE":
                return kept.forgotten(core.store, name, self.tenant)
            case "kept":
                return kept.told(core.store, name, self.tenant)
            case "items":
                return kept.items(core.store, name, self.tenant, self.asked.query)
            case "status":
                return core.status()
            case _:
                return {"status": "ok"}

    async def _agents(self, door: Door, method: str) -> tuple[int, dict[str, Any]]:
        core, desk = self.core, self.core.desk
        assert desk is not None
        match door.action:
            case "delegate":
                return await api.delegate(desk, core.config, self._body(), self.headers, self.tenant)
            case "agents":
                return 200, await api.listed(desk, core.config, self.asked.query, self.tenant)
            case _:
                return 200, await api.one(desk, core.config, method, door.model or "", self.tenant)

    async def _pass_through(self) -> int:
        core, asked, began, status = self.core, self.asked, time.perf_counter(), 0
        provider, path = passthrough.target_of(core, asked.path)
        self.protocol = provider.protocol
        if core.keys is not None:
            signed = _is_signed(self.headers)
            if signed and asked.body is None:
                asked.body = await passthrough.whole(asked, core.config.server.max_body)
            self.tenant = self._admit(asked.body or b"")
        until = deadline(self.headers, core.config.routing.deadline)
        path += passthrough.query_of(asked.query)
        watch = passthrough.Watch(provider, path)
        try:
            if not core.admission.admit():
                await core.admission.enter(until)
            try:
                status = await self._relay(provider, path, until, watch)
                return status
            finally:
                core.admission.leave()
        except GatewayError as error:
            status = error.failure.status
            raise
        finally:
            usage = watch.usage()  # tells the model as well
            status = status or (LEFT if asked.left else 502)
            core.metrics.meter("native", provider.name, watch.model).done(status, time.perf_counter() - began, usage)

    async def _relay(self, provider: Provider, path: str, until: float, watch: passthrough.Watch) -> int:
        server, asked = self.core.config.server, self.asked
        body = await passthrough.incoming(asked, server.max_upload)
        lines = passthrough.request_headers(self.headers)
        reply = await provider.pass_on(asked.method, path, lines, body, until, server.max_body)
        watch.begin(reply)
        try:
            self.started = True
            told = f"x-interlingua-backend: {_ascii(provider.name)}\r\n".encode()
            asked.begin(reply.status, told + passthrough.answer_headers(reply) + self.standing())
            while (chunk := await reply.next()) is not None:
                watch.see(chunk)
                await asked.send(chunk)
            await asked.send(b"", more=False)
            return reply.status
        finally:
            reply.close()

    def _admit(self, body: bytes) -> str:
        """Whose request it is. Raises GatewayError in the words of the client's protocol."""
        core, asked = self.core, self.asked
        assert core.keys is not None
        if asked.tenant is not None:  # the gateway itself asks, for whom it let in before
            return asked.tenant
        if _is_signed(self.headers):
            return verify(asked.method, asked.raw_path, asked.query, self.headers, body, core.aws_keys, time.time())
        if self.protocol.NAME == "bedrock" and b"authorization" not in self.headers:
            raise SignatureRefused("MissingAuthenticationTokenException", "Missing Authentication Token")
        return core.keys.admit(self.headers, asked.query)

    async def _options(self) -> int:
        wanted = self.headers.get(b"access-control-request-headers", b"*")
        lines = b"access-control-allow-origin: *\r\naccess-control-allow-methods: GET, POST, OPTIONS\r\n"
        lines += b"access-control-allow-headers: %b\r\naccess-control-max-age: 86400\r\n" % wanted
        return await self._send_whole(204, lines, b"")

    async def _metrics(self) -> int:
        metrics, client = self.core.metrics, self.core.client
        metrics.set(CONNECTIONS, ("open",), client.open)
        return await self._send_whole(200, _TEXT, metrics.render())

    def _body(self) -> dict[str, Any]:
        """The request's JSON object. Raises InvalidRequest."""
        if (coding := self.headers.get(b"content-encoding", b"identity")) != b"identity":
            raise InvalidRequest(f"A body in content-encoding {coding.decode('latin-1')!r} is not taken: send it plain.")
        asked = self.asked
        body, asked.body = asked.body or b"", b""  # not held while the answer is waited for
        self.size = len(body)
        return parse_body(body)

    # Generation

    async def _invoke(self, door: Door, body: dict[str, Any]) -> int:
        """Bedrock's InvokeModel, where the body alone tells whose it is."""
        if not door.stream and body.keys().isdisjoint(("anthropic_version", "messages")):
            self.protocol = FACES["invoke", "bedrock"]
            return await self._generate(door, body, self.protocol.NAME)
        self.headers = invoke.opened(body, self.headers)
        self.protocol = invoke.CLAUDE
        return await self._generate(door, body, "anthropic")

    async def _generate(self, door: Door, body: dict[str, Any], client: str) -> int:
        """`client`: the protocol whose body it is."""
        core = self.core
        request = self.protocol.parse_request(body, door.model, door.stream)
        if self.protocol is _CONVERSE:
            note_down(request, client, BEGAN, time.perf_counter())
        until = deadline(self.headers, core.config.routing.deadline)
        call = Call(request, client, self.id, self.headers, until, self.tenant, self.size, self.asked.task)
        planned, handle = core.plan, core.handle
        try:
            plan = call.plan = planned(request, self.size)
        except GatewayError:
            core.metrics.count(ROUTES, ("failed", call.client))
            raise
        if core.debugs:
            _log.debug("%s routed to %s", self.id, plan)
        call.decision = plan.tiers[0][0]
        self.call = call
        if not core.admission.admit():
            await core.admission.enter(until)
        try:
            if request.stream:
                return await self._stream(call, door)
            response = (await (self._waited(call) if self.pulse.whole else handle(call))).response
            assert response is not None
            self.usage = response.usage
            response.model = request.model
            response.id = response.id or self.id
            response.created = response.created or int(time.time())
            out = self.protocol.format_response(response, request, self.losses)
            lines = _JSON + self.told(call)
            if isinstance(response, Vectors):
                lines += headers_of(call.client, response)
            told = encode_json(out)
            if self.asked.reply(200, lines + self.standing(), told):
                self.started = True
                return 200
            return await self._send_whole(200, lines, told)
        finally:
            if call.serving is not None:
                call.end(self.broke)
            core.admission.leave()

    async def _waited(self, call: Call) -> Answer:
        """With heartbeats."""
        self.waiting = waiting = Waiting(self.pulse, partial(self._blank, call))
        try:
            return await self.core.handle(call)
        finally:
            await waiting.hush()

    async def _blank(self, call: Call, blank: bytes) -> None:
        """A heartbeat ahead of a whole answer. From the first on, the status is 200, whatever comes of it."""
        if not self.started:
            self.started = True
            self.asked.begin(200, b"%bx-accel-buffering: no\r\n%b%b" % (_JSON, self.told(call), self.standing()))
        await self.asked.send(blank)

    async def _stream(self, call: Call, door: Door) -> int:
        stream = Stream(self, call, sse_framing=door.sse)
        if self.pulse.stream and stream.beats:
            self.pulse.add(stream, self.pulse.stream)
        try:
            answer = await self.core.handle(call)
            assert answer.events is not None
            return await stream.run(answer.events)
        except GatewayError as error:
            await stream.hush()  # a heartbeat under way may be the head
            if not self.started:
                raise
            return await stream.fail(error.failure)
        finally:
            await stream.hush()

    async def _tokens(self, door: Door) -> int:
        call, body, estimated = await count_tokens(self.core, self.protocol.NAME, door, self._body(), self.headers, self.id)
        lines = routed(call.decision)
        if estimated:
            lines += f"{_ESTIMATED}: true\r\n".encode()
        return await self._send_json(200, body, lines)

    # Answers

    def told(self, call: Call) -> bytes:
        """The header lines of a routed answer, its losses among them."""
        lines = routed(call.decision)
        if call.attempts > 1:
            tried = ", ".join(quote(told[:200], safe="/:@.-_~;") for told in call.tried[:_MOST_TRIED])
            lines += f"x-interlingua-attempts: {call.attempts}\r\nx-interlingua-tried: {tried}\r\n".encode("ascii")
        if call.losses:
            lines += b"x-interlingua-losses: %b\r\n" % losses_header(call.losses, call, self.protocol)
        if self.losses:
            lines += b"x-interlingua-response-losses: %b\r\n" % losses_header(self.losses, call, self.protocol)
        if self.usage is not None and self.usage.estimated:
            lines += f"{_ESTIMATED}: usage\r\n".encode()
        if self.protocol is invoke.CLAUDE:
            lines += invoke.counted(self.usage)
        return lines

    def comments(self, call: Call) -> bytes:
        """What came too late for a stream's head."""
        told = b""
        if self.losses:
            header = losses_header(self.losses, call, self.protocol)
            told = sse.comment("x-interlingua-response-losses: " + header.decode())
        if self.usage is not None and self.usage.estimated:
            told += sse.comment(f"{_ESTIMATED}: usage")
        return told

    def _send_json(self, status: int, body: Any, lines: bytes = b"") -> Awaitable[int]:
        return self._send_whole(status, _JSON + lines, encode_json(body))

    async def _send_whole(self, status: int, lines: bytes, body: bytes) -> int:
        """Returns the status."""
        if self.waiting is not None and self.started:
            self.waiting = None
            await self.asked.send(body, more=False)
            return status
        lines += self.standing()
        at_once = self.asked.reply(status, lines, body)
        self.started = True
        if not at_once:
            self.asked.begin(status, lines)
            await self.asked.send(body, more=False)
        return status

    def standing(self) -> bytes:
        """The header lines of every answer."""
        id_ = self.id.encode()
        name = _IDS.get(self.protocol.NAME)
        lines = b"x-interlingua-request-id: %b\r\n" % id_
        if name is not None:
            lines += b"%b: %b\r\n" % (name, id_)
        if b"origin" in self.headers and self.asked.method != "OPTIONS":
            lines += _SHARED
        return lines

    async def _fail(self, failure: Failure) -> int:
        """Tells a failure in the client's own shape, if there is still somebody to tell."""
        asked = self.asked
        if (self.started and self.waiting is None) or asked.left:
            return failure.status
        status, body = self.protocol.format_error(failure)
        lines = self.told(self.call) if self.call is not None else b""
        if failure.retry_after is not None:
            lines += b"retry-after: %d\r\n" % max(1, round(failure.retry_after))
        if self.protocol.NAME == "bedrock":
            lines += f"x-amzn-errortype: {body.get('__type', '')}\r\n".encode("latin-1", "replace")
        if failure.status == 413:
            asked.keep_alive = False
        if asked.door is not None and failure.status == 405:
            lines += f"allow: {asked.door.method}\r\n".encode()
        return await self._send_json(status, body, lines)

    def meter(self) -> Meter | None:
        """The figures of whoever answers: known for sure once there is an answer."""
        call = self.call
        if call is None or call.decision is None:
            return None
        return self.core.metrics.meter(call.client, call.decision.backend, call.decision.model)

    def _count(self, call: Call, status: int, seconds: float) -> None:
        decision, metrics = call.decision, self.core.metrics
        if decision is None:
            return
        metrics.meter(call.client, decision.backend, decision.model).done(status, seconds, self.usage, decision.route)
        if call.losses or self.losses:
            for loss in (*call.losses, *self.losses):
                metrics.count(LOSSES, (call.client, decision.backend, pattern(loss.path), loss.how))
            if self.losses and status == 200 and (call.request.stream or self.pulse.whole):
                _log.info("%s losses: %s", self.id, losses_header(self.losses, call, self.protocol).decode())


class Stream:
    """The client's side of one streamed answer."""

    __slots__ = ("_asked", "_began", "_beating", "_call", "_encode", "_exchange", "_formatter", "_waiting", "_wire", "quiet")

    def __init__(self, exchange: Exchange, call: Call, sse_framing: bool) -> None:
        self._exchange, self._call = exchange, call
        self._formatter = exchange.protocol.Formatter(call.request, exchange.losses)
        self._wire = _wire(exchange.protocol.NAME, sse_framing)
        self._encode = self._wire.encode
        self._beating: asyncio.Task[None] | None = None
        self._began = time.perf_counter()
        self._asked = exchange.asked
        self._waiting = True  # for the first token
        self.quiet = 0.0  # seconds since the last byte, as the pulse counts them

    async def run(self, events: Flow) -> int:
        """Pulls what has to wait, or is the first or the last; all between is pushed."""
        try:
            while (batch := await events.next()) is not None:
                status = await self._pulled(batch)
                if status:
                    return status
                if not self._waiting and self._flows():
                    await events.push(self._pushed)
        finally:
            await events.aclose()
        raise UpstreamError("The stream ended without an end.")

    async def _pulled(self, batch: Batch) -> int:
        """Returns the status at the end, 0 before it."""
        last = batch[-1]
        if self._waiting:
            self._waiting = self._first(batch)
        if isinstance(last, Failure) and not self._exchange.started and not any(isinstance(e, PartStart) for e in batch):
            raise ProviderFailure(last)
        data = self._encode(self._formatter.feed(batch))
        if isinstance(last, End):
            self._exchange.usage = last.usage
            return await self._end(data, 200)
        if isinstance(last, Failure):
            self._exchange.broke = last
            return await self._end(data, last.status)
        if data:
            await self._write(data)
        return 0

    def _pushed(self, batch: Batch) -> bool:
        """Writes a batch at once; False where it has to wait for a slow client or a heartbeat, and for the last one."""
        if type(batch[-1]) in ENDS or self._beating is not None or not self._asked.flows:
            return False
        data = self._encode(self._formatter.feed(batch))
        if data:
            self.quiet = 0.0
            self._asked.push(data)
        return True

    def _flows(self) -> bool:
        """Whether nothing is to be waited for before the next piece is written."""
        return self._beating is None and self._asked.flows

    def _first(self, batch: list[Any]) -> bool:
        """Names the answer, and counts the time to its first token. Returns whether that is still to come."""
        first = batch[0]
        if isinstance(first, Start):
            first.model = self._call.request.model
            first.id = first.id or self._call.id
            first.created = first.created or int(time.time())
        if any(isinstance(event, PartStart | PartDelta) for event in batch):
            if (meter := self._exchange.meter()) is not None:
                meter.first(time.perf_counter() - self._began)
            return False
        return True

    async def fail(self, failure: Failure) -> int:
        """A failure after the head is out: the protocol's own error event."""
        return await self._end(self._encode(self._formatter.feed([failure])), failure.status)

    async def _write(self, data: bytes) -> None:
        self.quiet = 0.0
        if self._flows():
            return self._asked.push(data)
        if self._beating is not None:
            await self._beating
        if not self._exchange.started:
            self._start()
        await self._asked.send(data)

    def _start(self) -> None:
        exchange = self._exchange
        exchange.started = True
        told, standing = exchange.told(self._call), exchange.standing()
        self._asked.begin(200, b"%bcontent-type: %b\r\n%b%b" % (told, self._wire.type, _STREAMED, standing))

    async def hush(self) -> None:
        """No heartbeat from here on: what is written after the last byte belongs to the next answer."""
        self._exchange.pulse.discard(self)
        if self._beating is not None:
            await self._beating

    async def _end(self, data: bytes, status: int) -> int:
        await self.hush()
        if not self._exchange.started:
            self._start()
        data += self._wire.close()
        if self._wire.comments:
            data = self._exchange.comments(self._call) + data
        await self._asked.send(data, more=False)
        return status

    @property
    def beats(self) -> bool:
        return bool(self._wire.beat)

    def beat(self) -> None:
        """Called by the pulse in a quiet time."""
        self.quiet = 0.0
        if self._beating is None:
            self._beating = asyncio.get_running_loop().create_task(self._beat_once())

    async def _beat_once(self) -> None:
        try:
            if not self._exchange.started:
                self._start()
            await self._asked.send(self._wire.beat)
        finally:
            self._beating = None


class Wire(NamedTuple):
    """How a stream is written: its events, its end, its heartbeat (empty: none), its type, and whether it has comments."""

    encode: Callable[[list[Out]], bytes]
    close: Callable[[], bytes]
    beat: bytes
    type: bytes
    comments: bool


def _wire(protocol: str, sse_framing: bool) -> Wire:
    if protocol == "bedrock":
        return Wire(eventstream.encode_all, bytes, eventstream.HEARTBEAT, eventstream.CONTENT_TYPE.encode(), comments=False)
    if not sse_framing:
        array = jsonarray.Encoder()
        return Wire(array.encode_all, array.close, b"\n", b"application/json", comments=False)
    return Wire(sse.encode_all, bytes, _BEATS[protocol], b"text/event-stream; charset=utf-8", comments=protocol != "gemini")


# In the form that each protocol's own SDK survives: Google's fails on comments.
_BEATS: Final = {
    "openai": sse.comment("keep-alive"),
    "responses": sse.comment("keep-alive"),
    "anthropic": b'event: ping\ndata: {"type":"ping"}\n\n',
    "gemini": b"\n",
    "simple": sse.comment("keep-alive"),
}


def _nothing() -> None:
    pass


def parse_body(body: bytes) -> dict[str, Any]:
    """A request's JSON object. Raises InvalidRequest saying where it is no JSON."""
    if not body or body.isspace():
        raise InvalidRequest("Request body is required")
    try:
        value = decode_request(body)
    except RecursionError:
        raise InvalidRequest("The request's JSON is nested too deeply.") from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The request's body is not UTF-8 (byte {error.start} of a string).") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The request's body is not JSON: {error}") from None
    if type(value) is not dict:
        raise InvalidRequest("The request's body must be a JSON object.")
    return cast(dict[str, Any], value)


def losses_header(losses: Losses, call: Call, protocol: Protocol) -> bytes:
    """`top_k;dropped, tools[1];changed`: paths in the client's own names, unsafe characters percent-encoded."""
    told = dict.fromkeys(f"{_safe(protocol.field_path(loss.path, call.request))};{loss.how}" for loss in losses)
    out, size = list[str](), 0
    for entry in told:
        size += len(entry) + 2
        if size > _MAX_TOLD:
            out.append(f"+{len(told) - len(out)};more")
            break
        out.append(entry)
    return ", ".join(out).encode("ascii")


def pattern(path: str) -> str:
    """A loss's path as a metric's label: no positions, no depth beyond what a formatter names."""
    return ".".join(name.partition("[")[0][:40] for name in path.split(".")[:4])


def routed(decision: Decision | None) -> bytes:
    """The header lines that tell where a call went."""
    return b"" if decision is None else _routed(decision.backend, decision.model, decision.route)


@lru_cache(maxsize=1024)
def _routed(backend: str, model: str, route: str) -> bytes:
    told = {"backend": _ascii(backend), "model": _ascii(model), "route": route}
    return "".join(f"x-interlingua-{name}: {value}\r\n" for name, value in told.items()).encode("ascii")


def _is_signed(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"authorization", b"").startswith(b"AWS4-HMAC-SHA256")


def _safe(path: str) -> str:
    return quote(path[:200], safe="[].$_-:/~")


def _ascii(text: str) -> str:
    return quote(text, safe="/:@.-_~+ ")


def _unexpected(error: Exception, id: str) -> Failure:
    """A fault of ours: told to the log whole, to the client as nothing but its number."""
    _log.error("%s failed: %s", id, type(error).__name__, exc_info=error)
    return Failure(status=500, kind="server_error", message=f"The gateway failed. Its log knows this request as {id}.")
