"""A pool of keys by a clock set by hand: no key over its quota in any window, little of it unused, no wait for nothing."""

from collections import defaultdict
from random import Random

import pytest

from interlingua.ir import Usage
from interlingua.keypool import PLACES, KeyPool, Lease


class Clock:
    def __init__(self, now: float = 1000.5) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Changes:
    """The counts of changes to another key."""

    def __init__(self) -> None:
        self.tally = [0.0] * len(PLACES)
        self._before = [0.0] * len(PLACES)

    def last(self) -> str | None:
        """Why the key changed since this was last asked, None: it did not; of several changes the last reason in the list."""
        found = [reason for reason, place in PLACES.items() if self.tally[place] > self._before[place]]
        self._before = list(self.tally)
        return found[-1] if found else None


def taken(pool: KeyPool, tokens: int = 0) -> int:
    lease = pool.take(tokens=tokens)
    assert isinstance(lease, tuple)
    return lease[0].key


def most_in_any(span: float, events: list[tuple[float, int]]) -> int:
    """The largest sum over a window of `span` seconds that begins with an event."""
    most = start = total = 0
    for at, amount in events:
        total += amount
        while at - events[start][0] >= span:
            total -= events[start][1]
            start += 1
        most = max(most, total)
    return most


@pytest.mark.parametrize(
    ("keys", "rpm", "rpd", "tpm"),
    [
        (1, 15, None, None),
        (3, 7, None, None),
        (2, 60, 1500, None),
        (1, None, None, 5_000),
        (3, 30, None, 9_000),
        (2, 20, 400, 1_500),
    ],
)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("chosen", [True, False], ids=["chosen", "alone"])
def test_an_hour_under_pressure(keys: int, rpm: int | None, rpd: int | None, tpm: int | None, seed: int, chosen: bool):
    """As much is asked as can be had, for an hour; answers come some time after, and use no more than was reserved. `chosen`: it
    is asked before whether any key is free, as of a backend that shares its requests with others."""
    clock, random = Clock(1000 + seed / 7), Random(seed)
    pool = KeyPool(keys, clock, rpm, rpd, tpm)
    began, asked = clock.now, defaultdict[int, list[tuple[float, int]]](list)
    open_: list[tuple[float, int, Lease]] = []
    reserved = 40
    while clock.now < began + 3600:
        while open_ and open_[0][0] <= clock.now:
            _, used, lease = open_.pop(0)
            pool.settle(lease, Usage(input=used))
        if chosen and pool.tight:
            pool.wait()
        lease = pool.take(tokens=reserved)
        if isinstance(lease, tuple):
            used = random.randint(reserved // 2, reserved)
            asked[lease[0].key].append((clock.now, used))
            open_.append((clock.now + 2.0, used, lease))
            reserved = random.randint(20, 60)
        else:
            assert lease > 0
            clock.now += min(lease, max(open_[0][0] - clock.now, 0.001)) if open_ else lease
    for events in asked.values():
        assert rpm is None or most_in_any(60.0, [(when, 1) for when, _ in events]) <= rpm
        assert rpd is None or most_in_any(86_400.0, [(when, 1) for when, _ in events]) <= rpd
        assert tpm is None or most_in_any(60.0, events) <= tpm
    served = sum(len(events) for events in asked.values())
    tokens = sum(used for events in asked.values() for _, used in events)
    shares = [
        served / (rpm * 60 * keys) if rpm else 0,
        served / (rpd * keys) if rpd else 0,
        tokens / (tpm * 60 * keys) if tpm else 0,
    ]
    assert max(shares) >= 0.95, "the quota that binds is used up"


def test_a_days_quota_holds_over_days_of_bursts():
    """While all is calm a key's turn costs one call; the quotas hold in it too, to the last request."""
    clock, random = Clock(), Random(1)
    pool = KeyPool(2, clock, rpm=50, rpd=300)
    asked, calm = defaultdict[int, list[tuple[float, int]]](list), 0
    while clock.now < 4 * 86_400.0:
        for _ in range(random.randint(1, 40)):
            if pool.tight:
                pool.wait()
            calm += not pool.tight
            lease = pool.take()
            if isinstance(lease, tuple):
                asked[lease[0].key].append((clock.now, 1))
        clock.now += random.expovariate(1 / 3000)
    assert calm > 500
    for events in asked.values():
        assert most_in_any(86_400.0, events) == 300 and most_in_any(60.0, events) <= 50


def test_a_burst_gets_the_whole_quota_at_once_and_the_next_just_after_a_minute():
    clock = Clock()
    pool = KeyPool(2, clock, rpm=3)
    assert [taken(pool) for _ in range(6)] == [0, 1, 0, 1, 0, 1]
    wait = pool.take()
    assert isinstance(wait, float) and 60.0 <= wait <= 60.5
    assert pool.wait() == wait
    clock.now += wait - 0.01
    assert isinstance(pool.take(), float)
    clock.now += 0.02
    assert taken(pool) == 0


def test_keys_take_turns_and_one_that_rests_is_passed_over():
    clock, changes = Clock(), Changes()
    pool = KeyPool(3, clock, tally=changes.tally)
    assert (taken(pool), changes.last()) == (0, None)
    assert (taken(pool), changes.last()) == (1, "turn")
    pool.cool(2, "", 10.0)
    assert (taken(pool), changes.last()) == (0, "rate_limit")
    pool.refuse(0, 4.0)
    pool.cool(1, "", 6.0)
    assert pool.take() == pytest.approx(4.0)
    assert pool.take(without=frozenset((0,))) == pytest.approx(6.0)
    assert pool.take(without=frozenset((0, 1, 2))) == float("inf")
    clock.now += 4.5
    assert taken(pool) == 0 and pool.wait() == 0.0


def test_a_quota_used_up_is_told_as_the_reason():
    changes = Changes()
    mixed = KeyPool(2, Clock(), tpm=100, tally=changes.tally)
    assert (taken(mixed, 90), taken(mixed, 5), taken(mixed, 5)) == (0, 1, 0)
    assert changes.last() == "turn"
    assert (taken(mixed, 50), changes.last()) == (1, "turn")
    assert (taken(mixed, 45), changes.last()) == (1, None)
    full = KeyPool(3, Clock(), tpm=100, tally=changes.tally)
    assert [taken(full, 5), taken(full, 90), taken(full, 5), taken(full, 5)] == [0, 1, 2, 0]
    changes.last()
    assert (taken(full, 50), changes.last()) == (2, "quota")


def test_rests_without_a_word_double_until_the_key_is_good_again():
    clock = Clock()
    pool = KeyPool(1, clock)
    lease = pool.take()
    assert isinstance(lease, tuple)
    assert [pool.cool(lease[0].key, "") for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    pool.good(lease)
    assert pool.cool(lease[0].key, "") == 1
    assert pool.wait() == 60.0, "a shorter rest does not end a longer one"


def test_tokens_are_reserved_given_back_and_owed():
    clock = Clock()
    pool = KeyPool(1, clock, tpm=1000)
    lease = pool.take(tokens=900)
    assert isinstance(lease, tuple)
    assert isinstance(pool.take(tokens=200), float)
    pool.settle(lease, Usage(input=100))
    assert pool.told()[0]["left"] == {"tpm": 900}
    lease = pool.take(tokens=200)
    assert isinstance(lease, tuple)
    pool.settle(lease, Usage(input=1500))
    assert pool.told() == [{"key": 1, "free": False, "rests": "quota", "seconds": 60.5, "left": {"tpm": 0}}]
    clock.now += 61
    assert taken(pool, 5_000) == 0, "what is larger than the quota gets the whole of it, not nothing for ever"
    clock.now += 61
    pool.settle(lease, Usage(input=0))
    assert pool.told()[0]["left"] == {"tpm": 1000}, "what is forgotten is not given back"


def test_what_is_told_of_keys():
    clock = Clock()
    pool = KeyPool(2, clock, rpm=15, rpd=1500)
    lease = pool.take()
    assert isinstance(lease, tuple)
    pool.cool(lease[0].key, "", 5.0)
    assert pool.told() == [
        {"key": 1, "free": False, "rests": "rate_limit", "seconds": 5.0, "left": {"rpm": 14, "rpd": 1499}},
        {"key": 2, "free": True, "left": {"rpm": 15, "rpd": 1500}},
    ]


def test_a_key_that_hits_one_models_limit_serves_the_others():
    clock = Clock()
    pool = KeyPool(2, clock)
    assert [pool.cool(key, "large", 30.0 + key) for key in (0, 1)] == [30.0, 31.0]
    assert (pool.wait("large"), pool.take("large")) == (30.0, 30.0)
    assert pool.wait("small") == 0.0 and isinstance(pool.take("small"), tuple)
    assert pool.told()[1] == {"key": 2, "free": False, "rests": "rate_limit", "seconds": 31.0, "models": ["large"]}
    pool.refuse(0, 60.0)
    pool.refuse(1, 60.0)
    assert pool.wait("small") == 60.0, "a key that is not taken is not taken for any model"
    clock.now += 60.5
    assert isinstance(pool.take("large"), tuple) and pool.wait("large") == 0.0 and not pool.tight
    for number in range(1000):
        pool.cool(0, f"model-{number}", 1.0 + number)
    assert pool.wait("model-999") == 0.0 and len(pool.told()[0]["models"]) <= 64, "what is remembered is bounded"
