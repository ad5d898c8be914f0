"""Anthropic's bodies by Bedrock's InvokeModel. What is asked and answered is Messages; paths, errors and framing are AWS's.

`CLAUDE` is the protocol of a client that comes this way, `Decoder` reads the stream of a backend that is asked this way.
A stream is AWS's event stream of `chunk` events, each of which holds one of Anthropic's own events in base64.
Sources: botocore's service model, InvokeModel and ResponseStream; anthropic.lib.bedrock; Bedrock user guide, "Anthropic
Claude Messages API".
"""

import re
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Final, cast

import msgspec

from interlingua.errors import FramingError, InvalidRequest
from interlingua.framing import Frame, Out, eventstream
from interlingua.ir import AnyEvent, End, Failure, Json, Request, Usage
from interlingua.protocols import Lose, Protocol, anthropic, bedrock
from interlingua.protocols.bedrock.errors import failure_of, stream_error
from interlingua.protocols.wire import as_obj, decode_json, encode_json

VERSION: Final = "bedrock-2023-05-31"  # the one version that AWS documents, of Anthropic's 2023-06-01
METRICS: Final = "amazon-bedrock-invocationMetrics"
_SAME: Final = b"2023-06-01"
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CHUNK: Final = b'{"bytes":"%b"}'


# A client's request and answer


def opened(body: Json, headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The client's headers with what Anthropic's own API has in headers, taken out of the body. Raises InvalidRequest."""
    for name in ("model", "stream"):
        if name in body:
            raise InvalidRequest(f"{name}: Extra inputs are not permitted: the path tells it", param=name)
    out = {**headers, b"anthropic-version": _version(body.pop("anthropic_version", None))}
    betas = body.pop("anthropic_beta", None)
    if betas is not None:
        out[b"anthropic-beta"] = b",".join(_betas(betas))
    return out


def _betas(said: Any) -> Iterator[bytes]:
    for beta in cast("list[Any]", said) if type(said) is list else [None]:
        if type(beta) is not str or not beta.isascii() or not beta.isprintable():
            raise InvalidRequest("anthropic_beta: Input should be a list of names", param="anthropic_beta")
        yield beta.encode()


def _version(said: Any) -> bytes:
    if said is None:
        raise InvalidRequest(f'anthropic_version: Field required, for instance "{VERSION}"', param="anthropic_version")
    if said == VERSION:
        return _SAME
    if type(said) is not str or not _DATED.fullmatch(said):
        raise InvalidRequest("anthropic_version: Input is not a version", param="anthropic_version")
    return said.encode()


def counted(usage: Usage | None) -> bytes:
    """The header lines by which AWS tells of an answer what it is, and what it cost."""
    lines = b"x-amzn-bedrock-content-type: application/json\r\n"
    if usage is not None:
        lines += b"".join(b"x-amzn-bedrock-%b: %d\r\n" % (_HEADERS[name], count) for name, count in _counts(usage).items())
    return lines


_HEADERS: Final = {
    "inputTokenCount": b"input-token-count",
    "outputTokenCount": b"output-token-count",
    "cacheReadInputTokenCount": b"cache-read-input-token-count",
    "cacheWriteInputTokenCount": b"cache-write-input-token-count",
}


def _counts(usage: Usage) -> dict[str, int]:
    """What AWS counts: input without what the cache was read or written for, as Anthropic does."""
    read, written = usage.cache_read or 0, usage.cache_write or 0
    out = {"inputTokenCount": max((usage.input or 0) - read - written, 0), "outputTokenCount": usage.output or 0}
    if usage.cache_read is not None:
        out["cacheReadInputTokenCount"] = read
    if usage.cache_write is not None:
        out["cacheWriteInputTokenCount"] = written
    return out


class Formatter:
    """Anthropic's events in chunks; the last tells AWS's metrics, and a failure is AWS's exception."""

    def __init__(self, asked: Request, lose: Lose) -> None:
        self._inner = anthropic.Formatter(asked, lose)
        self._began = time.perf_counter()
        self._first: float | None = None  # seconds to the first event

    def feed(self, events: list[AnyEvent]) -> list[Out]:
        outs = self._inner.feed(events)
        if self._first is None and outs:
            self._first = time.perf_counter() - self._began
        last = events[-1] if events else None
        if isinstance(last, Failure):
            kind, body = stream_error(last)
            return [*(_chunk(out) for out in outs if out.event != "error"), Out(body, eventstream.EXCEPTION + kind)]
        if isinstance(last, End) and outs and outs[-1].event == "message_stop":
            outs[-1] = Out({"type": "message_stop", METRICS: self._metrics(last.usage)}, "message_stop")
        return [_chunk(out) for out in outs]

    def _metrics(self, usage: Usage | None) -> Json:
        latency, first = time.perf_counter() - self._began, self._first or 0.0
        times = {"invocationLatency": round(latency * 1000), "firstByteLatency": round(first * 1000)}
        return {**(_counts(usage) if usage is not None else {}), **times}


def _chunk(out: Out) -> Out:
    data = out.data if isinstance(out.data, bytes) else encode_json(out.data)
    return Out(_CHUNK % b64encode(data), "chunk")


CLAUDE: Final = cast(
    Protocol,
    SimpleNamespace(
        **{name: getattr(anthropic, name) for name in anthropic.__all__}
        | {"NAME": bedrock.NAME, "Formatter": Formatter, "format_error": bedrock.format_error}
    ),
)


# A backend's stream


class Decoder:
    """As framing/eventstream.py's, but for what its frames are: Anthropic's events, an exception of AWS's one of them."""

    __slots__ = ("_outer",)

    def __init__(self, limit: int) -> None:
        self._outer = eventstream.Decoder(limit)

    def feed(self, chunk: bytes) -> list[Frame]:
        return [_opened(frame) for frame in self._outer.feed(chunk)]

    def close(self) -> list[Frame]:
        return [_opened(frame) for frame in self._outer.close()]


def _opened(frame: Frame) -> Frame:
    event = frame.event or ""
    for prefix in (eventstream.EXCEPTION, eventstream.ERROR):
        if event.startswith(prefix):
            failure = failure_of(None, event.removeprefix(prefix), _object(frame.data))
            return Frame("error", encode_json(anthropic.format_error(failure)[1]))
    if event != "chunk":
        return Frame("ping", b'{"type":"ping"}')  # AWS may add events, and a client passes over those it does not know
    try:
        return Frame(None, b64decode(_object(frame.data)["bytes"], validate=True))
    except (KeyError, TypeError, ValueError):
        raise FramingError("a chunk does not hold what it should") from None


def _object(data: bytes) -> Json:
    try:
        return as_obj(decode_json(data))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
