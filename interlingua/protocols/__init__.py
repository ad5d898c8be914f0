"""The interface every protocol file implements, in this order, and nothing else public. Sans I/O: values in, values out.

A protocol file knows its wire format in both directions: as a client's (parse_request, format_response, Formatter,
format_error, field_path) and as a backend's (format_request, parse_response, Parser, parse_error). It knows no host,
no credential and no other protocol.
"""

from collections.abc import Callable, Mapping
from typing import Protocol as Interface

from msgspec import Struct

from interlingua.framing import Frame, Out
from interlingua.ir import AnyEvent, Failure, Json, Request, Response
from interlingua.losses import How
from interlingua.models import Model, facts


class Lose(Interface):
    def __call__(self, path: str, how: How, why: str = "") -> None: ...


class Target(Struct, frozen=True):
    """Whom a request is formatted for. `model` is the provider's name. `quirks` are facts of the host, not of the protocol;
    `seals` names the signatures that its endpoint alone reads, "" where those of the protocol hold everywhere."""

    model: str
    facts: Model
    quirks: frozenset[str] = frozenset()
    seals: str = ""


def target(model: str, quirks: frozenset[str] = frozenset(), seals: str = "") -> Target:
    """The target for a provider's model name."""
    return Target(model, facts(model), quirks, seals)


class StreamParser(Interface):
    """A backend's stream, frame by frame. One instance a stream."""

    def feed(self, frame: Frame) -> list[AnyEvent]:
        """The events one frame tells. A provider's error frame gives a Failure; a frame that is no JSON of this
        protocol raises errors.UpstreamGarbage. After End or Failure nothing more comes."""
        ...

    def close(self) -> list[AnyEvent]:
        """The bytes ended cleanly: whatever was held back and End; or a Failure, where the protocol has an end mark
        and it did not come."""
        ...


class StreamFormatter(Interface):
    """A client's stream. One instance a stream; accepts any legal event order, parts interleaved included."""

    def feed(self, events: list[AnyEvent]) -> list[Out]:
        """What the client is sent for these events; a Failure becomes the protocol's own error event, last."""
        ...


class Protocol(Interface):
    NAME: str

    @property
    def parse_request(self) -> Callable[[Json, str | None, bool | None], Request]:
        """(body, model, stream) -> Request. `model` and `stream` are what the path says where the body does not; the
        body may be consumed. Raises errors.InvalidRequest with the path of the field at fault."""
        ...

    @property
    def format_request(self) -> Callable[[Request, Target, Lose], Json]:
        """The body for the backend. The request is never changed: it may be formatted again for another backend."""
        ...

    @property
    def request_headers(self) -> Callable[[Json, Mapping[bytes, bytes]], bytes]:
        """(body, own) -> `name: value\\r\\n` lines that this body needs beside the host's. `own`: the headers of a client
        that speaks this protocol, else empty."""
        ...

    @property
    def parse_response(self) -> Callable[[Json], Response]:
        """Raises UpstreamGarbage where the body is no answer of this protocol, ProviderFailure where it tells of a failure."""
        ...

    @property
    def format_response(self) -> Callable[[Response, Request, Lose], Json]:
        """The body for the client that asked `Request`; response.model is already the client's own name. Paths of
        losses begin with `response.`"""
        ...

    @property
    def Parser(self) -> Callable[[], StreamParser]: ...

    @property
    def Formatter(self) -> Callable[[Request, Lose], StreamFormatter]:
        """For the client that asked `Request`."""
        ...

    @property
    def parse_error(self) -> Callable[[int, bytes], Failure]:
        """(status, body) of an HTTP error; any bytes whatever give a Failure (retry_after is the caller's to add)."""
        ...

    @property
    def format_error(self) -> Callable[[Failure], tuple[int, Json]]:
        """The status and body that this protocol's SDK raises its own exception class for."""
        ...

    @property
    def field_path(self) -> Callable[[str, Request], str]:
        """A loss's IR path in the client's own field names: "max_tokens" -> "generationConfig.maxOutputTokens"."""
        ...
