"""How one of a pool's backends is chosen. Pure: candidates with their figures in, one of them out; none is ever empty.

priority      in the order of the plan
weighted      by chance, each by the `weight` of its backend; 0 is chosen only where nothing else is left
least_busy    the fewest requests under way for its weight, then the one not asked for longest
latency       the shortest decayed time to its first token, then the one not asked for longest
cheapest      the lowest price, then the order of the plan; one without a known price comes last
"""

import random
from collections.abc import Callable, Sequence
from math import inf

from msgspec import Struct

from interlingua.health import Health
from interlingua.routing import Decision

Cost = Callable[[Decision], float | None]  # USD for a million tokens in and a million out; None: not known


class Candidate(Struct, frozen=True):
    """Somebody who could be asked. `tier` is where it stands in the plan: 0 is the pool itself, the others are fallbacks."""

    decision: Decision
    health: Health
    tier: int


Strategy = Callable[[Sequence[Candidate], float, bool], Candidate]
"""(candidates, now, whether a stream is wanted) -> the one to ask."""


def strategy_of(name: str, cost: Cost, draw: Callable[[], float] = random.random) -> Strategy:
    """The strategy of a configuration's name. `draw` gives numbers from 0 to 1."""
    match name:
        case "weighted":
            return lambda candidates, now, stream: weighted(candidates, draw())
        case "least_busy":
            return least_busy
        case "latency":
            return latency
        case "cheapest":
            return lambda candidates, now, stream: cheapest(candidates, cost)
        case _:
            return first


def first(candidates: Sequence[Candidate], now: float, stream: bool) -> Candidate:
    return candidates[0]


def weighted(candidates: Sequence[Candidate], drawn: float) -> Candidate:
    left = drawn * sum(candidate.health.station.weight for candidate in candidates)
    for candidate in candidates:
        left -= candidate.health.station.weight
        if left < 0:
            return candidate
    return candidates[0]


def settled(strategy: Strategy, candidates: Sequence[Candidate]) -> Strategy:
    """The cheapest that chooses the same among these, as long as their weights stay."""
    weights = {candidate.health.station.weight for candidate in candidates}
    return _least_of(candidates) if strategy is least_busy and len(weights) == 1 and 0 not in weights else strategy


def _least_of(candidates: Sequence[Candidate]) -> Strategy:
    """The least busy of these, which have one weight: written for speed, as every request asks."""
    first, *others = [(candidate, candidate.health) for candidate in candidates]

    def choose(candidates: Sequence[Candidate], now: float, stream: bool) -> Candidate:
        best, health = first
        least, since = health.in_flight, health.begun
        for candidate, health in others:
            load = health.in_flight
            if load < least or (load == least and health.begun < since):
                best, least, since = candidate, load, health.begun
        return best

    return choose


def least_busy(candidates: Sequence[Candidate], now: float, stream: bool) -> Candidate:
    best, least, since = candidates[0], inf, inf
    for candidate in candidates:
        health = candidate.health
        weight = health.station.weight
        load = health.in_flight / weight if weight else inf
        if load < least or (load == least and health.begun < since):
            best, least, since = candidate, load, health.begun
    return best


def latency(candidates: Sequence[Candidate], now: float, stream: bool) -> Candidate:
    return min(candidates, key=lambda one: (one.health.pace(stream).at(now), one.health.begun))


def cheapest(candidates: Sequence[Candidate], cost: Cost) -> Candidate:
    prices = [cost(candidate.decision) for candidate in candidates]
    return min(zip(candidates, prices, strict=True), key=lambda pair: inf if pair[1] is None else pair[1])[0]
