"""A backend's keys at work: whose turn it is, the header lines that go with it, and what the provider's answer says of it.

A key is known by its number; none is ever shown. A backend with one key and no limits has no ring and costs nothing.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from interlingua.config import Backend
from interlingua.credentials import static
from interlingua.errors import ProviderFailure, RateLimited
from interlingua.ir import Failure, Usage
from interlingua.keypool import KeyPool, Lease
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
    """`pool` may be another's before, whose counts go on."""

    def __init__(self, backend: Backend, metrics: Metrics | None, clock: Callable[[], float]) -> None:
        limits = backend.limits
        self.name = backend.name
        self.keys, self.limits = backend.keys, limits
        self.count = max(1, len(backend.keys))
        self.pool = KeyPool(self.count, clock, limits.rpm, limits.rpd, limits.tpm)
        self._metrics = metrics
        # one key alone is the credential's matter: it may be a token that is fetched
        form = backend.host.credential
        self._lines = [static(form, key).lines for key in backend.keys] if self.count > 1 else None

    def __repr__(self) -> str:
        return "Keyring(hidden)"

    def lines(self, lease: Lease) -> bytes | None:
        """The header lines that go with a key; None: the backend's credential has them."""
        return None if self._lines is None else self._lines[lease.key]

    def take(self, tokens: int = 0, without: frozenset[int] = frozenset()) -> Lease:
        """Raises RateLimited where every key rests."""
        lease = self.pool.take(tokens, without)
        if not isinstance(lease, Lease):
            which = "its key rests" if self.count == 1 else f"all its {self.count} keys rest"
            message = f"Backend {self.name} takes no request for now: {which}."
            raise RateLimited(message, code="keys_resting", retry_after=lease)
        if lease.reason is not None and self._metrics is not None:
            self._metrics.count(KEY_ROTATIONS, (self.name, lease.reason))
        return lease

    def limited(self, lease: Lease, retry_after: float | None) -> None:
        """The provider answered 429."""
        seconds = self.pool.cool(lease, retry_after)
        _log.info("backend %s: key %d of %d rests for %.1f s (429)", self.name, lease.key + 1, self.count, seconds)

    def served(self, lease: Lease, usage: Usage | None) -> None:
        used = None if usage is None or usage.input is None else usage.input + (usage.output or 0)
        self.pool.settle(lease, used)

    def inherit(self, before: "Keyring | None") -> None:
        """The same keys under the same limits: what was counted of them stays."""
        if before is not None and (before.keys, before.limits) == (self.keys, self.limits):
            self.pool = before.pool

    def told(self) -> list[dict[str, Any]]:
        return self.pool.told()


class Turn:
    """One request's way through the keys: one that is refused gives way to the next at once. It rests when another is then
    accepted; where none is, be they refused too or at rest, it may be the request's own fault, and none rests for it."""

    def __init__(self, ring: Keyring, tokens: int) -> None:
        self._ring, self._tokens = ring, tokens
        self._refused: list[tuple[Lease, ProviderFailure]] = []

    def take(self) -> Lease:
        """Raises RateLimited where every other key rests, and the provider's refusal where there is no other."""
        if not self._refused:
            return self._ring.take(self._tokens)
        without = frozenset(lease.key for lease, _ in self._refused)
        if len(without) == self._ring.count:
            raise self._refused[-1][1]
        return self._ring.take(self._tokens, without)

    def failed(self, lease: Lease, error: ProviderFailure) -> bool:
        """What the provider's failure says of the key. Returns whether another is to be tried."""
        failure: Failure = error.failure
        if failure.kind in _REFUSALS and self._ring.count > 1:
            self._refused.append((lease, error))
            return True
        if failure.kind == "rate_limit":
            self._ring.limited(lease, failure.retry_after)
        self._rest()
        return False

    def served(self, lease: Lease, usage: Usage | None) -> None:
        if self._refused:
            self._rest()
        self._ring.served(lease, usage)

    def _rest(self) -> None:
        ring = self._ring
        for lease, error in self._refused:
            ring.pool.cool(lease, REFUSED, "refused")
            told = (ring.name, lease.key + 1, ring.count, error.failure.status, REFUSED)
            _log.warning("backend %s: key %d of %d was refused (%d) where others are not, and rests for %d s", *told)
        self._refused.clear()
