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
from interlingua.ir import AnyEvent, End, Failure
from interlingua.keypool import PLACES, KeyPool, Lease
from interlingua.metrics import KEY_ROTATIONS, Metrics, Slots

REFUSED: Final = 600.0  # seconds that a key rests which the provider does not take, while it takes others
_REFUSALS: Final = ("authentication", "permission", "billing")
_log = logging.getLogger("interlingua")

Refused = tuple[tuple[int, int], ...]
"""The keys that were refused to a request so far, each with the status of that."""


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
        # The header lines that go with each; one key alone is the credential's matter: it may be a token that is fetched
        form = backend.host.credential
        lines = [static(form, key).lines for key in backend.keys] if self.count > 1 else []
        self.pool = KeyPool(self.count, clock, limits.rpm, limits.rpd, limits.tpm, *self._counters(metrics), lines)

    def _counters(self, metrics: Metrics | None) -> tuple["Slots | None", dict[str, int]]:
        """Where changes of keys are counted, and at which place for which reason."""
        if metrics is None or self.count == 1:
            return None, PLACES
        return metrics.slots, {reason: metrics.slot(KEY_ROTATIONS, (self.name, reason)) for reason in PLACES}

    def __repr__(self) -> str:
        return "Keyring(hidden)"

    def take(self, model: str = "", tokens: int = 0, without: Collection[int] = ()) -> Lease:
        """Raises RateLimited where every key rests."""
        lease = self.pool.take(model, tokens, without)
        if not isinstance(lease, tuple):
            which = "its key rests" if self.count == 1 else f"all its {self.count} keys rest"
            message = f"Backend {self.name} takes no request for now: {which}."
            raise RateLimited(message, code="keys_resting", retry_after=lease)
        return lease

    def after(self, lease: Lease, refused: Refused, failure: Failure) -> tuple[Lease, Refused] | None:
        """What a provider's failure says of the key. The next one, where this one was refused: it gives way at once, and rests
        when another is then accepted; where none is, be they refused too or at rest, it may be the request's own fault, and
        none rests for it. None: the failure stands. Raises RateLimited where every other key rests."""
        slot, tokens, model = lease
        if failure.kind in _REFUSALS and self.count > 1:
            refused = (*refused, (slot.key, failure.status))
            if len(refused) == self.count:
                return None
            return self.take(model, tokens, [key for key, _ in refused]), refused
        if failure.kind == "rate_limit":
            self.limited(lease, failure.retry_after)
        return None

    def limited(self, lease: Lease, retry_after: float | None) -> None:
        """The provider answered 429."""
        slot, _, model = lease
        seconds = self.pool.cool(slot.key, model, retry_after)
        told = (self.name, slot.key + 1, self.count, seconds, model or "what it was asked")
        _log.info("backend %s: key %d of %d rests for %.1f s (429 for %s)", *told)

    def accepted(self, lease: Lease, refused: Refused = ()) -> None:
        """The provider took the key: it is good, and those it did not take before it rest."""
        if self.pool.troubled:
            self.pool.good(lease)
        if refused:
            self.rest(refused)

    def rest(self, refused: Refused) -> None:
        """Another key was taken: these are at fault themselves."""
        for key, status in refused:
            self.pool.refuse(key, REFUSED)
            told = (self.name, key + 1, self.count, status, REFUSED)
            _log.warning("backend %s: key %d of %d was refused (%d) where others are not, and rests for %d s", *told)

    def ended(self, lease: Lease, last: AnyEvent) -> None:
        """A stream is over: what it used, or that it hit a limit after all."""
        if isinstance(last, End):
            self.pool.settle(lease, last.usage)
        elif isinstance(last, Failure) and last.kind == "rate_limit":
            self.limited(lease, last.retry_after)

    def inherit(self, before: "Keyring | None") -> None:
        """The same keys under the same limits: what was counted of them stays."""
        if before is not None and (before.keys, before.limits) == (self.keys, self.limits):
            self.pool = before.pool

    def told(self) -> list[dict[str, Any]]:
        return self.pool.told()
