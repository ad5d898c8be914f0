"""Requests and their answers as JSON lines, for debugging (`log.requests`): what was asked, who answered what, how it ended.

Both are told in the gateway's own language (ir.py), so one reader serves all protocols. The thread of `rotating.py` makes and
writes the lines; here a request costs a record, and its stream a fold. Secrets are left out by `redaction.py`.
"""

import random
import time
from collections.abc import Awaitable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from interlingua.config import Config, Log
from interlingua.errors import GatewayError, ProviderFailure
from interlingua.fold import Fold
from interlingua.ir import Failure, Response
from interlingua.metrics import LOG_LINES, Metrics
from interlingua.pipeline import Answer, Batch, Call, Handler
from interlingua.redaction import Redaction
from interlingua.rotating import Lines


class RequestLog:
    """The outermost policy, where `log.requests` names a folder."""

    def __init__(self, settings: Log, secrets: Iterable[str], metrics: Metrics) -> None:
        self.settings = settings
        self._sample = settings.sample
        self._redaction = Redaction(secrets)
        self._metrics = metrics
        self._lines = Lines(Path(settings.requests), "requests", settings.requests_size, settings.requests_files)
        self._failed = 0
        self.before: RequestLog | None = None  # the one whose place this took, with requests under way

    def __call__(self, call: Call, next: Handler) -> Awaitable[Answer]:
        return next(call) if random.random() >= self._sample else self._logged(call, next)

    async def _logged(self, call: Call, next: Handler) -> Answer:
        record = _Record(self, call)
        call.finished = record.finish
        try:
            answer = await next(call)
        except GatewayError as error:
            record.failure = error.failure
            raise
        if answer.response is not None:
            record.response = answer.response
            return answer
        return answer.through(record.feed)

    def write(self, record: "_Record", status: int, seconds: float) -> None:
        line = partial(self._line, record, status, seconds, time.time())
        length = record.call.headers.get(b"content-length", b"0")
        weight = int(length) if length.isdigit() and len(length) < 12 else 0
        self._metrics.count(LOG_LINES, ("put" if self._lines.put(line, weight) else "dropped",))
        if (failed := self._lines.failed) > self._failed:
            self._metrics.count(LOG_LINES, ("failed",), failed - self._failed)
            self._failed = failed

    def close(self) -> None:
        """Returns when everything is written. Blocks: call it from a thread."""
        if self.before is not None:
            self.before.close()
            self.before = None
        self._lines.close()

    def _line(self, record: "_Record", status: int, seconds: float, now: float) -> bytes:
        call, decision = record.call, record.call.decision
        told: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03}Z",
            "id": call.id,
            "client": call.client,
            "tenant": call.tenant,
            "status": status,
            "seconds": round(seconds, 6),
        }
        if decision is not None:
            told |= {"backend": decision.backend, "model": decision.model, "route": decision.route}
        told["headers"] = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()}
        told["request"] = msgspec.to_builtins(record.request)
        told["losses"] = [f"{loss.path};{loss.how}" for loss in call.losses]
        told["response"] = msgspec.to_builtins(record.answered())
        told["error"] = msgspec.to_builtins(record.failure)
        return msgspec.json.encode(self._redaction.value(told))


class _Record:
    """One request under way."""

    __slots__ = ("_folding", "_log", "call", "failure", "request", "response")

    def __init__(self, log: RequestLog, call: Call) -> None:
        self._log = log
        self._folding: Fold | None = None
        self.call = call
        self.request = call.request  # as the client asked; policies further in may put another in its place
        self.response: Response | None = None
        self.failure: Failure | None = None

    def feed(self, batch: Batch) -> Batch:
        if self._folding is None:
            self._folding = Fold()
        try:
            self._folding.feed(batch)
        except ProviderFailure as error:
            self.failure = error.failure
        return batch

    def answered(self) -> Response | None:
        """The answer, or as much of it as came."""
        return self.response if self._folding is None else self._folding.so_far()

    def finish(self, status: int, seconds: float) -> None:
        self._log.write(self, status, seconds)


def of(config: Config, metrics: Metrics) -> RequestLog | None:
    """The log that a configuration asks for."""
    if config.log.requests == "off":
        return None
    secrets = [key.secret.reveal() for key in (*config.client_keys, *config.aws_keys)]
    secrets += [key.reveal() for backend in config.backends.values() for key in (*backend.keys, backend.access_token) if key]
    return RequestLog(config.log, secrets, metrics)
