"""A client's connection: uvicorn's, with limits on the head, errors in the client's own shape, and word of its leaving.

The application finds it in `scope["connection"]`. Where another ASGI server runs the application it is absent, and
the application watches `receive` instead.
"""

from asyncio import Transport
from collections.abc import Callable
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from interlingua.errors import GatewayError, HeadTooLarge, InvalidRequest
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import encode_json
from interlingua.routes import protocol_of


class Connection(HttpToolsProtocol):
    max_head: ClassVar[int] = 64 * 1024

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.leave: Callable[[], object] | None = None
        self._head = 0

    def data_received(self, data: bytes) -> None:
        if self._head >= 0:
            self._head += len(data)
            super().data_received(data)
            if self._head > self.max_head and not self.transport.is_closing():
                self._refuse(HeadTooLarge(f"The request's head is larger than {self.max_head} bytes."))
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["connection"] = self

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._head = -1

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head = 0

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.leave is not None:
            self.leave()

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequest("This is not a well-formed HTTP/1.1 request."))

    def _refuse(self, error: GatewayError) -> None:
        """Ends the connection with an error that no application has seen the request of."""
        headers = dict(self.headers or [])
        url = (self.url or b"").decode("latin-1").partition("?")[0]
        status, body = PROTOCOLS[protocol_of(url, headers)].format_error(error.failure)
        data = encode_json(body)
        reason = {400: "Bad Request", 431: "Request Header Fields Too Large"}.get(status, "Error")
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + data)
        self.transport.close()
