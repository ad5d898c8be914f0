"""HTTP/1.1 to providers: keep-alive pools over asyncio transports. It knows bytes, not providers.

    refused, no such host, TLS, proxy     UpstreamUnreachable    nothing was sent
    ended early                           UpstreamBroken         never a clean end
    no HTTP, over a limit                 UpstreamGarbage
    connect, first byte, idle, deadline   UpstreamTimeout        up to _TICK late

A request is sent twice in one case only: its connection had been used before, and ended within a second without one
byte of an answer, as one does that the server was just closing. One timer looks at all the clocks.
"""

import asyncio
import os
import re
import socket
import ssl
import sys
from functools import lru_cache
from math import inf
from typing import Final

from interlingua.client.connection import Connection, Limits, PlainConnection, Pool, Reply, SecureConnection, Timeouts
from interlingua.client.origins import VISIBLE, Origin, Proxies, Proxy, bypassed
from interlingua.client.upload import Upload, pour
from interlingua.errors import ConfigError, InvalidRequest, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable

__all__ = ["Client", "Origin", "Proxies", "Reply", "Timeouts", "Upload"]

_TICK: Final = 0.05  # seconds between two looks at the clocks, while requests are under way
_REST: Final = 1.0  # the same, while connections only idle


@lru_cache(maxsize=512)
def _request_line(method: str, target: str) -> bytes:
    """Raises InvalidRequest where the line would say more than it should."""
    if not VISIBLE.fullmatch(target) or not method.isalpha() or not method.isascii():
        raise InvalidRequest("the path must be printable ASCII, everything else percent-encoded")
    return f"{method} {target} HTTP/1.1\r\n".encode("ascii")


def _keep_alive(connection: Connection) -> None:
    """Probes, so that NAT does not forget a connection, nor we wait for a dead one, while a model thinks for minutes."""
    own = connection.transport.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


class _Tunnel(asyncio.Protocol):
    """A proxy's answer to CONNECT."""

    __slots__ = ("answer", "ended")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answer = b""
        self.ended: asyncio.Future[None] = loop.create_future()

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if (b"\r\n\r\n" in self.answer or len(self.answer) > 64 * 1024) and not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class Client:
    """All connections of one process, on the event loop it is first used on.

    `max_connections`, `keep_idle`: per origin; past the first, requests wait in order, for at most timeouts.connect.
    `idle_ttl`: seconds an unused connection is kept. `max_head`, `buffer`: bytes; reading pauses when more than
    `buffer` wait to be read. `tls` must verify; None: the system's certificates. `proxies` None: the environment's.

    Counters, for metrics: `open` connections, `connects` made, requests on `reused` connections.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        max_connections: int = 1024,
        keep_idle: int = 256,
        idle_ttl: float = 50.0,
        max_head: int = 64 * 1024,
        buffer: int = 256 * 1024,
        proxies: Proxies | None = None,
    ) -> None:
        if tls is not None and (tls.verify_mode != ssl.CERT_REQUIRED or not tls.check_hostname):
            raise ConfigError("the TLS context must verify certificates and host names")
        proxies = Proxies.from_environment() if proxies is None else proxies
        self._proxies: dict[str, Proxy | None] = {
            "http": Proxy(proxies.http, "HTTP_PROXY") if proxies.http else None,
            "https": Proxy(proxies.https, "HTTPS_PROXY") if proxies.https else None,
        }
        self._bypass = proxies.bypass
        self._given_tls = tls
        self._tls: ssl.SSLContext | None = None
        self.max_connections = max_connections
        self._limits = Limits(max_head=max_head, buffer=buffer, idle_ttl=idle_ttl, keep_idle=keep_idle)
        self.connects = 0
        self.reused = 0
        self._pools: dict[Origin, Pool] = {}
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ticking = False  # at the pace of requests under way
        self._closed = False
        self._gone: asyncio.Future[None] | None = None

    @property
    def open(self) -> int:
        return len(self._connections)

    async def send(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: bytes,
        body: bytes,
        timeouts: Timeouts,
        deadline: float | None = None,
    ) -> Reply:
        """Sends, and waits for the answer's head. `target`: path and query, percent-encoded. `headers`: a block of
        `name: value` lines, each with its CRLF, checked by the caller; host (origin.authority) and content-length are
        added here. `deadline`: loop.time() when everything ends, the body's reading too.

        Raises UpstreamUnreachable, UpstreamBroken, UpstreamGarbage, UpstreamTimeout; InvalidRequest for a bad target.
        What happens after the head is raised by the reply, however the bytes were cut.
        """
        pool = self._pools.get(origin) or self._open_pool(origin)
        head = _request_line(method, pool.prefix + target) + pool.fixed + headers
        if body or method not in ("GET", "HEAD", "OPTIONS", "DELETE"):
            head += b"content-length: %d\r\n\r\n" % len(body)
        else:
            head += b"\r\n"
        end = inf if deadline is None else deadline
        connection = pool.idle.pop() if pool.idle else await self._acquire(pool, timeouts, end)
        again = True
        while True:
            if connection.used:
                self.reused += 1
            reply = Reply(connection)
            waiter = connection.start(reply, head, body, method == "HEAD", timeouts, end)
            if not self._ticking:
                self._tick()
            try:
                await waiter
            except BaseException:
                reply.close()
                raise
            if reply.head:
                return reply
            if reply.error is not None and not (again and reply.stale):
                raise reply.error
            again = False
            connection = await self._acquire(pool, timeouts, end)

    async def upload(
        self, origin: Origin, method: str, target: str, headers: bytes, body: Upload, timeouts: Timeouts, deadline: float
    ) -> Reply:
        """As `send`, with a body that is still coming. It has a new connection where there may be one, for it cannot be
        sent twice. An answer that comes before its end and is no success ends the sending. Raises what the body does, too."""
        pool = self._pools.get(origin) or self._open_pool(origin)
        head = _request_line(method, pool.prefix + target) + pool.fixed + headers + body.header + b"\r\n"
        connection = await self._acquire(pool, timeouts, deadline)
        reply = Reply(connection)
        waiter = connection.start(reply, head, b"", method == "HEAD", timeouts, deadline)
        connection.pouring = True
        if not self._ticking:
            self._tick()
        sender = asyncio.create_task(pour(connection, body, timeouts.idle))
        try:
            await asyncio.wait((waiter, sender), return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done() or (reply.connection is not None and reply.status < 300):
                await sender
                connection.pouring = False
                connection.expect(timeouts.idle if waiter.done() else timeouts.first_byte)
                await waiter
        except BaseException:
            reply.close()
            raise
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        if reply.error is not None and not reply.head:
            raise reply.error
        return reply

    async def close(self) -> None:
        """Drops every connection; answers under way end with UpstreamBroken, and later requests are refused."""
        self._closed = True
        for connection in tuple(self._connections):
            connection.fail(UpstreamBroken("the gateway is closing"))
        if self._connections:
            self._gone = asyncio.get_running_loop().create_future()
            await self._gone
        if self._timer is not None:
            self._timer.cancel()

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections and self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _tick(self) -> None:
        """Looks at the clocks, and comes again as long as there are connections."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._ticking = False
        for connection in tuple(self._connections):
            if connection.reply is not None:
                self._ticking = True
            connection.check(now)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(_TICK if self._ticking else _REST, self._tick) if self._connections else None

    # Connecting: once in a connection's life

    def _open_pool(self, origin: Origin) -> Pool:
        proxy = self._proxies[origin.scheme]
        if proxy is not None and bypassed(origin, self._bypass):
            proxy = None
        pool = self._pools[origin] = Pool(origin, proxy, self._limits, self._lost)
        return pool

    async def _acquire(self, pool: Pool, timeouts: Timeouts, deadline: float) -> Connection:
        """A new connection or, where there may be no more, the first that another request has done with."""
        until = asyncio.get_running_loop().time() + timeouts.connect
        try:
            async with asyncio.timeout_at(min(until, deadline)):
                while pool.open >= self.max_connections:
                    if pool.idle:  # only after a stale one: the others are as old
                        pool.idle[0].drop()
                    connection = await pool.turn()
                    if connection is None:
                        break
                    if not connection.closed:
                        return connection
                else:
                    pool.open += 1
                return await self._connect(pool)
        except TimeoutError:
            if deadline < until:
                raise UpstreamTimeout(f"the request's deadline passed while connecting to {pool.origin}") from None
            raise UpstreamTimeout(f"no connection to {pool.origin} within {timeouts.connect:g} seconds") from None

    async def _connect(self, pool: Pool) -> Connection:
        """Fills a slot that is already counted, or gives it back."""
        try:
            if self._closed:
                raise UpstreamUnreachable("the gateway is closing")
            connection = await self._dial(pool)
            if connection.closed:
                raise UpstreamUnreachable(f"{pool.origin} closed the connection at once")
            if self._closed:
                connection.drop()
                raise UpstreamUnreachable("the gateway is closing")
        except BaseException:
            pool.give_back()
            raise
        _keep_alive(connection)
        connection.counted = True
        self._connections.add(connection)
        self.connects += 1
        return connection

    async def _dial(self, pool: Pool) -> Connection:
        loop = asyncio.get_running_loop()
        origin, proxy = pool.origin, pool.proxy
        secure = self._secure() if origin.scheme == "https" else None
        connection = SecureConnection(pool, loop) if secure else PlainConnection(pool, loop)
        whom = f"the proxy {proxy.host}:{proxy.port}" if proxy else str(origin)
        try:
            if proxy is None:
                name = origin.host if secure else None
                await loop.create_connection(lambda: connection, origin.host, origin.port, ssl=secure, server_hostname=name)
            elif secure is None:
                await loop.create_connection(lambda: connection, proxy.host, proxy.port)
            else:
                await self._tunnel(proxy, connection, secure, loop)
        except ssl.SSLCertVerificationError as error:
            raise UpstreamUnreachable(f"the certificate of {origin} is not trusted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise UpstreamUnreachable(f"TLS with {origin} failed: {error.reason or 'the connection ended'}") from None
        except socket.gaierror:
            raise UpstreamUnreachable(f"{whom} is not known to DNS") from None
        except ConnectionError as error:
            why = "refused" if isinstance(error, ConnectionRefusedError) else "the connection ended"
            raise UpstreamUnreachable(f"cannot connect to {whom}: {why}") from None
        except (OSError, UnicodeError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no address answers"
            raise UpstreamUnreachable(f"cannot connect to {whom}: {why}") from None
        return connection

    async def _tunnel(
        self, proxy: Proxy, connection: Connection, secure: ssl.SSLContext, loop: asyncio.AbstractEventLoop
    ) -> None:
        origin = connection.pool.origin
        transport, tunnel = await loop.create_connection(lambda: _Tunnel(loop), proxy.host, proxy.port)
        try:
            name = str(origin).encode()
            transport.write(b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (name, name, proxy.authorization))
            await tunnel.ended
            if not re.fullmatch(rb"HTTP/1\.[01] 2\d\d\b.*?\r\n\r\n", tunnel.answer, re.DOTALL):
                said = re.match(rb"HTTP/1\.[01] (\d\d\d)\b", tunnel.answer)
                why = f"it answered {said[1].decode()}" if said else "its answer is not HTTP"
                raise UpstreamUnreachable(f"the proxy {proxy.host}:{proxy.port} does not connect to {origin}: {why}")
            connection.connection_made(transport)
            encrypted = await loop.start_tls(transport, connection, secure, server_hostname=origin.host)
            connection.connection_made(encrypted or transport)
        except BaseException:
            transport.abort()
            raise

    def _secure(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = self._given_tls or ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls
