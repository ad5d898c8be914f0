"""A backend's keys at work: whose turn it is, the header lines that go with it, and what the provider's answer says of it.

A key is known by its number; none is ever shown. A backend with one key and no limits has no ring and costs nothing.
"""

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final

from interlingua.config import Backend
from interlingua.credentials import static
from interlingua.errors import RateLimited
from interlingua.ir import AnyEvent, End, Failure, Usage
from interlingua.keypool import PLACES, KeyPool, Lease
from interlingua.metrics import KEY_ROTATIONS, Metrics

REFUSED: Final = 600.0  # seconds that a key rests which the provider does not take, while it takes others
_REFUSALS: Final = ("authentication", "permission", "billing")
_log = logging.getLogger("interlingua")


def ring_of(backend: Backend, metrics: Metrics | None, clock: Callable[[], float] = time.monotonic) -> "Keyring | None":
    limits = backend.limits
    if len(backend.keys) < 2 and (limits.rpm, limits.rpd, limits.tpm) == (None, None, None):
        return None
    return Keyring(backend, metrics, clock)


class Keyring:
    """All keys of one backend. `pool` may be another's before, whose counts go on."""

    def __init__(self, backend: Backend, metrics: Metrics | None, clock: Callable[[], float]) -> None:
        limits = backend.limits
        self.name = backend.name
        self.keys, self.limits = backend.keys, limits
        self.count = max(1, len(backend.keys))
        self.pool = KeyPool(self.count, clock, limits.rpm, limits.rpd, limits.tpm, *self._counters(metrics))
        # The header lines that go with each; one key alone is the credential's matter: it may be a token that is fetched
        form = backend.host.credential
        self.lines = [static(form, key).lines for key in backend.keys] if self.count > 1 else None

    def _counters(self, metrics: Metrics | None) -> tuple["memoryview[float] | None", dict[str, int]]:
        """Where changes of keys are counted, and at which place for which reason."""
        if metrics is None:
            return None, PLACES
        reasons = PLACES if self.count > 1 else ()
        return metrics.slots, {reason: metrics.slot(KEY_ROTATIONS, (self.name, reason)) for reason in reasons}

    def __repr__(self) -> str:
        return "Keyring(hidden)"

    def take(self, model: str = "", tokens: int = 0, without: Collection[int] = ()) -> Lease:
        """Raises RateLimited where every key rests."""
        lease = self.pool.take(model, tokens, without)
        if not isinstance(lease, Lease):
            raise self.resting(lease)
        return lease

    def resting(self, seconds: float) -> RateLimited:
        """What is told where every key rests, so many seconds at least."""
        which = "its key rests" if self.count == 1 else f"all its {self.count} keys rest"
        message = f"Backend {self.name} takes no request for now: {which}."
        return RateLimited(message, code="keys_resting", retry_after=seconds)

    def after(self, lease: Lease, failure: Failure) -> Lease | None:
        """What a provider's failure says of the key. The next one, where this one was refused: it gives way at once, and rests
        when another is then accepted; where none is, be they refused too or at rest, it may be the request's own fault, and
        none rests for it. None: the failure stands. Raises RateLimited where every other key rests."""
        if failure.kind in _REFUSALS and self.count > 1:
            refused = (*lease.refused, (lease.key, failure.status))
            if len(refused) == self.count:
                return None
            another = self.take(lease.model, lease.tokens, [key for key, _ in refused])
            another.refused = refused
            return another
        if failure.kind == "rate_limit":
            self.limited(lease, failure.retry_after)
        return None

    def limited(self, lease: Lease, retry_after: float | None) -> None:
        """The provider answered 429."""
        seconds = self.pool.cool(lease.key, lease.model, retry_after)
        told = (self.name, lease.key + 1, self.count, seconds, lease.model or "what it was asked")
        _log.info("backend %s: key %d of %d rests for %.1f s (429 for %s)", *told)

    def served(self, lease: Lease, usage: Usage | None) -> None:
        """An answer has come, or begun, for this key; `usage` None: what it used is not known yet."""
        pool = self.pool
        if pool.troubled or lease.refused:
            pool.good(lease)
            self._rest(lease)
        if pool.counts_tokens and usage is not None and usage.input is not None:
            pool.settle(lease, usage.input + (usage.output or 0))

    def ended(self, lease: Lease, last: AnyEvent) -> None:
        """A stream is over: what it used, or that it hit a limit after all."""
        if isinstance(last, End):
            self.served(lease, last.usage)
        elif isinstance(last, Failure) and last.kind == "rate_limit":
            self.limited(lease, last.retry_after)

    def _rest(self, lease: Lease) -> None:
        for key, status in lease.refused:
            self.pool.refuse(key, REFUSED)
            told = (self.name, key + 1, self.count, status, REFUSED)
            _log.warning("backend %s: key %d of %d was refused (%d) where others are not, and rests for %d s", *told)
        lease.refused = ()

    def inherit(self, before: "Keyring | None") -> None:
        """The same keys under the same limits: what was counted of them stays."""
        if before is not None and (before.keys, before.limits) == (self.keys, self.limits):
            self.pool = before.pool

    def told(self) -> list[dict[str, Any]]:
        return self.pool.told()
