"""The innermost handler: one call to one backend. IR in, IR out; between them the wire, through the pooled client."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from interlingua import __version__, embedder, invoke
from interlingua.client import Client, Origin, Reply, Timeouts, Upload
from interlingua.config import Backend, Routing
from interlingua.credentials import credential_of
from interlingua.embeddings import Embedding
from interlingua.errors import (
    FramingError,
    ProviderFailure,
    TooLarge,
    Unsupported,
    UpstreamError,
    UpstreamGarbage,
    UpstreamTimeout,
)
from interlingua.flow import ENDS, Batch, Flow, Take, Told
from interlingua.fold import unfold
from interlingua.framing import eventstream, sse
from interlingua.hosts import Host
from interlingua.ir import AnyEvent, Failure, Json
from interlingua.keypool import KeyPool, Lease
from interlingua.keyring import Keyring, Refused, ring_of
from interlingua.losses import Losses
from interlingua.metrics import Metrics
from interlingua.pipeline import Answer, Call
from interlingua.protocols import Protocol, StreamParser, Target, target
from interlingua.protocols.registry import CLIENTS, EMBEDDINGS, PROTOCOLS
from interlingua.protocols.wire import as_obj, decode_json, encode_json
from interlingua.redaction import HIDDEN, SHORTEST
from interlingua.resets import reset_after, retry_after
from interlingua.routing import MEDIA, estimate
from interlingua.seals import seal_answer, sealed_by

MAX_ANSWER: Final = 256 << 20  # bytes of a unary answer
_MAX_ERROR: Final = 1 << 20
_MAX_LIST: Final = 8 << 20
_MAX_EVENT: Final = 64 << 20  # of one event: Gemini sends images in one
_UNSAID: Final = 1024  # tokens reserved for an answer where the request sets no limit
_MOST: Final = 4096  # and at most
_AGENT: Final = f"user-agent: interlingua/{__version__}\r\n".encode()
_PLAIN: Final = b"content-type: application/json\r\naccept: application/json\r\n"  # of AWS's streams too
_TYPE: Final = b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
_DECODERS: Final = {"sse": sse.Decoder, "eventstream": eventstream.Decoder, "chunks": invoke.Decoder}
Decoder = sse.Decoder | eventstream.Decoder | invoke.Decoder


class Way(Struct, frozen=True):
    """How one model of a backend is asked: the row, its protocol, and the paths with the model in them."""

    host: Host
    protocol: Protocol
    target: Target
    path: str
    stream_path: str
    decoder: Callable[[int], "Decoder"]
    errors: Protocol  # whose errors it tells
    type: bytes


class Provider:
    """A configured backend, ready to be asked. `protocol` is its own; a model may be asked in another (`way`)."""

    def __init__(self, backend: Backend, client: Client, routing: Routing, metrics: Metrics | None = None) -> None:
        self.name = backend.name
        self.backend = backend
        self.protocol = PROTOCOLS[backend.protocol]
        self._client = client
        self._origin = Origin.parse(str(backend.base))[0]
        self._authority = self._origin.authority
        self._timeouts = Timeouts(connect=routing.connect, first_byte=routing.first_byte, idle=routing.idle)
        self._credential = credential_of(backend)
        self.ring: Keyring | None = ring_of(backend, metrics)
        self._ways: dict[str, Way] = {}

    @property
    def keys(self) -> KeyPool | None:
        """None: one key, without limits."""
        return None if self.ring is None else self.ring.pool

    def keys_told(self) -> dict[str, Any]:
        """What there is to say of its keys, by number."""
        return {} if self.ring is None else {"keys": self.ring.told()}

    def inherit(self, old: "Provider") -> None:
        """What the same backend had under another configuration: its tokens, and the counts of its keys."""
        self._credential = old._credential
        if self.ring is not None:
            self.ring.inherit(old.ring)

    def begin(self) -> None:
        """Warms up what it keeps of its own, in a running loop: nothing but for a provider that is no server."""

    @property
    def lingers(self) -> bool:
        """Whether there is something that `close` would end."""
        return False

    def retire(self) -> None:
        """No new requests; those under way end."""

    async def close(self) -> None:
        """Nothing of its own is left after this."""

    def way(self, model: str) -> Way:
        found = self._ways.get(model)
        if found is None:
            host, prefix = self.backend.host.serving(model), self.backend.prefix
            path, stream_path = (prefix + host.filled(path, model) for path in (host.path, host.stream_path))
            protocol, aws = PROTOCOLS[host.protocol], host.framing != "sse"
            errors, type_ = (PROTOCOLS["bedrock"], _PLAIN) if aws else (protocol, _TYPE)
            decoder = _DECODERS[host.framing]
            found = Way(host, protocol, target(model, host.quirks, host.seals), path, stream_path, decoder, errors, type_)
            if len(self._ways) < 4096:
                self._ways[model] = found
        return found

    def ask(self, call: Call) -> Awaitable[Answer]:
        """Raises GatewayError: Unsupported in strict mode, ProviderFailure, or what befell the connection."""
        if call.request.__class__ is Embedding:
            return self._embed(call)
        return self._ask(call)

    async def _ask(self, call: Call) -> Answer:
        """With the next key that is free, and on with another where the provider does not take it."""
        request, decision = call.request, call.decision
        assert decision is not None
        call.losses = losses = Losses()
        way = self.way(decision.model)
        protocol = way.protocol
        body = protocol.format_request(request, way.target, losses)
        if losses and call.strict:
            refuse(call, losses)
        headers = protocol.request_headers(body, _own(call, protocol))
        if way.host.reshape is not None:
            body, headers = way.host.reshape(body, headers, False)
        path, headers, sent = way.stream_path if request.stream else way.path, way.type + headers, encode_json(body)
        ring, lease, refused, own = self.ring, None, (), None
        if ring is not None:
            pool, tokens = ring.pool, 0
            if pool.counts_tokens:  # prompt and answer: four bytes of what is sent a token, where it is all text
                prompt = len(sent) >> 2 if call.plan is not None and not call.plan.needs & MEDIA else estimate(request)
                answer = request.max_tokens or _UNSAID
                tokens = prompt + (answer if answer < _MOST else _MOST)
            lease = pool.turn(decision.model, tokens, call.began) or ring.take(decision.model, tokens)
            own = lease[0].lines
        while True:
            reply = await self._forward("POST", path, headers, sent, call.deadline, own)
            try:
                if reply.status >= 300:
                    raise ProviderFailure(await _failure(reply, way.errors, self.backend))
                if request.stream and "json" not in reply.headers.get("content-type", ""):
                    return self._streaming(reply, way, lease, refused)
                response = protocol.parse_response(_json(await reply.read(MAX_ANSWER)))
                break
            except ProviderFailure as error:
                reply.close()
                lease, refused, own = self._next(lease, refused, error)
            except BaseException:
                reply.close()
                raise
        if ring is not None and lease is not None:
            ring.pool.settle(lease, response.usage)
            if refused:
                ring.rest(refused)
        if way.host.seals:
            seal_answer(way.host.seals, protocol.NAME, response)
        return Answer(events=Flow(Told(unfold(response)))) if request.stream else Answer(response)

    def _streaming(self, reply: Reply, way: Way, lease: Lease | None, refused: Refused) -> Answer:
        """A stream, which settles with its key at its end."""
        ring, ended = self.ring, None
        if ring is not None and lease is not None:
            ring.accepted(lease, refused)
            ended = partial(ring.ended, lease)
        answer = Answer(events=Flow(_Streamed(reply, way.decoder(_MAX_EVENT), way.protocol.Parser(), ended)))
        return answer.through(partial(sealed_by, way.host.seals, way.protocol.NAME)) if way.host.seals else answer

    def _next(self, lease: Lease | None, refused: Refused, error: ProviderFailure) -> tuple[Lease, Refused, bytes | None]:
        """Another key, and its header lines, where this one was refused. Raises the failure where it was not, or there is no
        other."""
        ring = self.ring
        other = None if lease is None or ring is None else ring.after(lease, refused, error.failure)
        if other is None or ring is None:
            raise error
        return *other, other[0][0].lines

    async def _embed(self, call: Call) -> Answer:
        request, decision = call.request, call.decision
        assert decision is not None and isinstance(request, Embedding)
        call.losses = losses = Losses()
        job = embedder.job_of(self.backend, decision.model, request, losses)
        if losses and call.strict:
            refuse(call, losses, EMBEDDINGS[request.wire].field_path)
        protocol = PROTOCOLS[job.wire.PROTOCOL]

        async def fetch(path: str, body: Json) -> tuple[bytes, Mapping[str, str]]:
            reply = await self.forward("POST", path, _PLAIN, encode_json(body), call.deadline)
            try:
                if reply.status >= 300:
                    raise ProviderFailure(await _failure(reply, protocol, self.backend))
                return await reply.read(MAX_ANSWER), reply.headers
            finally:
                reply.close()

        return Answer(await embedder.run(job, fetch, request))

    async def count(self, call: Call, body: Json) -> Json:
        """Asks the provider's own token counter, for a model whose row has one; `body` is as that row's `counted` made it.
        Raises as `ask` does."""
        assert call.decision is not None
        way = self.way(call.decision.model)
        path = self.backend.prefix + way.host.filled(way.host.count_path or "", call.decision.model)
        headers = way.protocol.request_headers(body, _own(call, way.protocol))
        if way.host.reshape is not None:
            body, headers = way.host.reshape(body, headers, True)
        reply = await self.forward("POST", path, way.type + headers, encode_json(body), call.deadline)
        try:
            if reply.status >= 300:
                raise ProviderFailure(await _failure(reply, way.errors, self.backend))
            return _json(await reply.read(_MAX_ERROR))
        finally:
            reply.close()

    async def models(self, deadline: float) -> Any:
        """The provider's own list of its models, as it tells it, for a backend whose row has a `list_path`; None where that
        is no JSON. Raises UpstreamError."""
        path = f"{self.backend.prefix}{self.backend.host.list_path}"
        reply = await self.forward("GET", path, self.protocol.request_headers({}, {}), b"", deadline)
        try:
            if reply.status >= 300:
                raise ProviderFailure(await _failure(reply, self.protocol, self.backend))
            return _json_or_none(await reply.read(_MAX_LIST))
        finally:
            reply.close()

    async def forward(self, method: str, path: str, headers: bytes, body: "bytes | Upload", deadline: float) -> Reply:
        """Asks the provider's own API, with its credentials; the caller reads and closes the reply."""
        ring = self.ring
        if ring is None:
            return await self._forward(method, path, headers, body, deadline, None)
        lease = ring.take()
        reply = await self._forward(method, path, headers, body, deadline, lease[0].lines)
        if reply.status == 429:
            ring.limited(lease, _wait(reply))
        elif reply.status < 400:
            ring.accepted(lease)
        return reply

    def _forward(
        self, method: str, path: str, headers: bytes, body: "bytes | Upload", deadline: float, own: bytes | None
    ) -> Awaitable[Reply]:
        """`own`: the header lines of a key in turn; None: the credential's."""
        credential = self._credential
        lines = credential.lines if own is None else own
        if isinstance(body, Upload):
            return self._uploaded(method, path, headers, body, deadline, lines)
        if lines is None:
            lines = credential.at_once(method, self._authority, path, body)
            if lines is None:
                return self._authenticated_first(method, path, headers, body, deadline)
        return self._client.send(self._origin, method, path, _AGENT + lines + headers, body, self._timeouts, deadline)

    async def _authenticated_first(self, method: str, path: str, headers: bytes, body: bytes, deadline: float) -> Reply:
        lines = await self._authenticated(method, path, body, deadline)
        return await self._client.send(self._origin, method, path, _AGENT + lines + headers, body, self._timeouts, deadline)

    async def _uploaded(
        self, method: str, path: str, headers: bytes, body: Upload, deadline: float, lines: bytes | None
    ) -> Reply:
        if lines is None:
            lines = await self._authenticated(method, path, b"", deadline)
        return await self._client.upload(self._origin, method, path, _AGENT + lines + headers, body, self._timeouts, deadline)

    async def pass_on(self, method: str, path: str, headers: bytes, body: "bytes | Upload", deadline: float, most: int) -> Reply:
        """As `forward`, with a body that may be still coming. AWS signs what a body holds, so there it must be whole first:
        `most` bytes. Raises TooLarge, and what the body does, too."""
        if isinstance(body, Upload) and self.backend.host.credential == "aws":
            body = await _whole(body, most)
        return await self.forward(method, path, headers, body, deadline)

    async def _authenticated(self, method: str, path: str, body: bytes, deadline: float) -> bytes:
        """The credential's lines, where they must be waited for."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._credential.headers(method, self._authority, path, body)
        except TimeoutError:
            raise UpstreamTimeout("The request's deadline passed while its credentials were fetched.") from None


def _own(call: Call, protocol: Protocol) -> Mapping[bytes, bytes]:
    """The client's headers, where it speaks this very protocol."""
    return call.headers if call.client == protocol.NAME else {}


async def _whole(body: Upload, most: int) -> bytes:
    pieces, size = list[bytes](), 0
    async for piece in body.pieces:
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise TooLarge(f"The request's body is larger than {most} bytes, and for AWS it must be signed as a whole.")
    return b"".join(pieces)


async def _failure(reply: Reply, protocol: Protocol, backend: Backend) -> Failure:
    """What went wrong, in the provider's words; a key of ours that it repeats is not passed on."""
    body = await reply.read(_MAX_ERROR)
    for key in (*backend.keys, backend.access_token):
        if key is not None and len(secret := key.reveal().encode()) >= SHORTEST:
            body = body.replace(secret, HIDDEN.encode())
    word = reply.headers.get("x-amzn-errortype")
    if word and protocol.NAME == "bedrock":  # AWS names the exception beside the body
        body = encode_json({**as_obj(_json_or_none(body)), "__type": word.partition(":")[0]})
    failure = protocol.parse_error(reply.status if reply.status >= 400 else 502, body)
    if failure.retry_after is None:
        failure.retry_after = _wait(reply) if failure.kind == "rate_limit" else retry_after(reply.headers)
    return failure


def _wait(reply: Reply) -> float | None:
    """Seconds, of an answer that says that a limit was hit."""
    seconds = retry_after(reply.headers)
    return reset_after(reply.headers) if seconds is None else seconds


def refuse(call: Call, losses: Losses, field_path: Callable[[str, Any], str] | None = None) -> None:
    """What strict mode answers to a loss. `field_path`: in whose words, where they are not those of the client's protocol."""
    field_path = field_path or CLIENTS[call.client].field_path
    paths = [field_path(loss.path, call.request) for loss in losses]
    told = ", ".join(f"{path} ({loss.why})" if loss.why else path for path, loss in zip(paths, losses, strict=True))
    raise Unsupported(f"Strict mode: this backend cannot carry {told}", param=paths[0])


class _Streamed:
    """The source of a streamed answer; its last batch ends with End or Failure, whatever becomes of the connection."""

    __slots__ = ("_decoder", "_ended", "_over", "_parser", "_reply")

    def __init__(self, reply: Reply, decoder: Decoder, parser: StreamParser, ended: Callable[[AnyEvent], None] | None) -> None:
        self._reply, self._decoder, self._parser = reply, decoder, parser
        self._ended = ended  # is told the last event
        self._over = False

    async def pull(self) -> Batch | None:
        batch = Batch()
        while not batch and not self._over:
            try:
                chunk = await self._reply.next()
            except UpstreamError as error:
                return self._broken(error)
            batch = self._rest() if chunk is None else self._read(chunk)
        return batch or None

    async def push(self, take: Take) -> None:
        def arrived(chunk: bytes) -> bool:
            batch = self._read(chunk)
            return take(batch) if batch else not self._over

        if not self._over:
            try:
                await self._reply.push(arrived)
            except UpstreamError as error:
                take(self._broken(error))

    async def close(self) -> None:
        """An answer that came to its own end lets its connection live."""
        if self._over:
            self._reply.finish()
        else:
            self._reply.close()

    def _read(self, chunk: bytes) -> Batch:
        try:
            frames, feed = self._decoder.feed(chunk), self._parser.feed
            batch = feed(frames[0]) if len(frames) == 1 else [event for frame in frames for event in feed(frame)]
        except FramingError as error:
            return self._garbled(error)
        if batch and type(batch[-1]) in ENDS:
            self._end(batch[-1])
        return batch

    def _rest(self) -> Batch:
        try:
            rest = [event for frame in self._decoder.close() for event in self._parser.feed(frame)]
        except FramingError as error:
            return self._garbled(error)
        if not rest or type(rest[-1]) not in ENDS:
            rest += self._parser.close()
        self._end(rest[-1])
        return rest

    def _end(self, last: AnyEvent) -> None:
        self._over = True
        if self._ended is not None:
            self._ended(last)

    def _garbled(self, error: FramingError) -> Batch:
        return self._broken(UpstreamGarbage(f"The provider's stream cannot be read: {error}"))

    def _broken(self, error: UpstreamError) -> Batch:
        self._over = True
        self._reply.close()
        return [error.failure]


def _json(body: bytes) -> Json:
    try:
        value = decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise UpstreamGarbage("The provider's answer is not JSON.") from None
    if type(value) is not dict:
        raise UpstreamGarbage("The provider's answer is not a JSON object.")
    return cast(Json, value)


def _json_or_none(body: bytes) -> Any:
    try:
        return decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
