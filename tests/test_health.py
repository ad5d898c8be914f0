"""Health: what opens a breaker and what closes it, how latencies fade, and what a report tells."""

import pytest
from pools import BROKEN, FULL, LATE, LIMIT, WRONG, Resting, failure

from interlingua.config import Breaker
from interlingua.errors import UpstreamUnreachable
from interlingua.health import BUSY, HALF_LIFE, VOLUME, Board, Health, Pace, Station
from interlingua.ir import Failure
from interlingua.routing import Decision


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.turns: list[str] = []

    def __call__(self) -> float:
        return self.now

    def health(self, **breaker: float) -> Health:
        settings = Breaker(**{"failures": 3, "error_rate": 1.0, **breaker})
        return Health(Station("a"), "m", settings, self, lambda health: self.turns.append(health.state))


def one(health: Health, clock: Clock, outcome: Failure | None = None) -> None:
    probe = health.begin(clock())
    if outcome is None:
        health.answered(probe, clock() - 0.1, clock(), health.whole)
    else:
        health.failed(probe, outcome)
    health.end()


@pytest.mark.parametrize(
    "harm", [BROKEN, LATE, UpstreamUnreachable("x").failure, failure(401, "authentication"), failure(403, "permission")]
)
def test_failures_in_a_row_open_the_breaker(harm: Failure):
    clock = Clock()
    health = clock.health()
    for _ in range(2):
        one(health, clock, harm)
    one(health, clock)
    for _ in range(3):
        assert health.ready(clock())
        one(health, clock, harm)
    assert not health.ready(clock()) and clock.turns == ["open"]
    assert health.last == (100.0, harm)


@pytest.mark.parametrize("innocent", [WRONG, FULL, failure(404, "not_found")])
def test_what_is_not_its_fault_does_not_count(innocent: Failure):
    clock = Clock()
    health = clock.health()
    for _ in range(50):
        one(health, clock, innocent)
    assert health.ready(clock()) and health.last is None


@pytest.mark.parametrize("asked, rest", [(None, BUSY), (7.0, 7.0)])
def test_a_429_is_no_fault_but_others_are_asked_first_for_as_long_as_it_says(asked: float | None, rest: float):
    clock = Clock()
    health = clock.health()
    for _ in range(50):
        one(health, clock, failure(429, "rate_limit", retry_after=asked))
    assert (health.state, health.last, health.in_need(clock())) == ("closed", None, 0.0)
    clock.now += rest - 0.25
    assert not health.ready(clock())
    clock.now += 0.25
    assert health.ready(clock())


def test_a_429_to_one_of_several_keys_is_that_keys_alone():
    clock = Clock()
    health = Health(Station("a", keys=Resting(lambda: 0.0)), "m", Breaker(), clock)
    one(health, clock, LIMIT)
    assert health.ready(clock())


def test_one_probe_decides():
    clock = Clock()
    health = clock.health()
    for _ in range(3):
        one(health, clock, BROKEN)
    clock.now += 14.9
    assert not health.ready(clock())
    clock.now += 0.2
    assert health.ready(clock())
    probe = health.begin(clock())
    assert probe and not health.ready(clock())  # exactly one
    health.failed(probe, BROKEN)
    health.end()
    assert not health.ready(clock())
    clock.now += 15
    one(health, clock)
    assert health.ready(clock()) and health.in_flight == 0
    assert clock.turns == ["open", "half_open", "open", "half_open", "closed"]


def test_a_probe_whose_client_left_leaves_its_place():
    clock = Clock()
    health = clock.health()
    for _ in range(3):
        one(health, clock, BROKEN)
    clock.now += 15
    probe = health.begin(clock())
    health.dropped(probe)
    health.end()
    assert health.state == "open" and health.ready(clock())


def test_an_answer_that_was_under_way_decides_nothing():
    clock = Clock()
    health = clock.health()
    before = health.begin(clock())
    for _ in range(3):
        one(health, clock, BROKEN)
    health.answered(before, clock() - 0.1, clock(), health.whole)
    assert health.state == "open"
    later = health.begin(clock())  # in need: a probe
    health.failed(False, BROKEN)
    assert later and health.state == "half_open"


def test_a_share_of_failures_opens_it_once_there_are_enough():
    clock = Clock()
    health = clock.health(failures=1000, error_rate=0.5)
    for number in range(VOLUME - 2):
        one(health, clock, BROKEN if number % 2 else None)
    one(health, clock, BROKEN)
    assert health.state == "closed"  # 10 of 19
    one(health, clock, BROKEN)
    assert health.state == "open"


def test_the_window_slides():
    clock = Clock()
    health = clock.health(failures=1000, error_rate=0.5, window=30)
    for _ in range(VOLUME - 1):
        one(health, clock, BROKEN)
    clock.now += 61  # all forgotten
    one(health, clock, BROKEN)
    assert health.state == "closed"
    clock.now += 31  # of the window before, half a minute later, nearly all counts
    for _ in range(VOLUME - 2):
        one(health, clock, BROKEN)
    assert health.state == "closed"
    one(health, clock, BROKEN)
    assert health.state == "open"


def test_a_rate_of_one_never_opens():
    clock = Clock()
    health = clock.health(failures=1000)
    for _ in range(999):
        one(health, clock, BROKEN)
    assert health.state == "closed"


def test_where_no_other_is_left_it_rests_a_second():
    clock = Clock()
    health = clock.health()
    assert health.in_need(clock()) == 0
    for _ in range(3):
        one(health, clock, BROKEN)
    assert health.in_need(clock()) == 1.0
    clock.now += 1
    assert health.in_need(clock()) == 0
    health.begin(clock())
    assert health.in_need(clock()) == 1.0  # the probe is under way


def test_one_whose_check_fails_is_left_alone():
    clock = Clock()
    health = clock.health()
    board = Board(Breaker(failures=3), {"a": health.station}, clock)
    known = board.of(Decision("a", "m", "auto", ""))
    board.check("a", "/health answered with status 503")
    assert not known.ready(clock()) and board.told("a")["check"] == "/health answered with status 503"
    assert known.in_need(clock()) == 0  # nobody asked it lately
    known.begin(clock())
    assert known.in_need(clock()) == 1.0
    board.check("a", "")
    assert known.ready(clock()) and "check" not in board.told("a")


def test_a_check_that_succeeds_lets_an_open_breaker_probe():
    clock = Clock()
    board = Board(Breaker(failures=1), {"a": Station("a")}, clock)
    health = board.of(Decision("a", "m", "auto", ""))
    one(health, clock, BROKEN)
    assert not health.ready(clock())
    board.check("a", "")
    assert health.ready(clock()) and health.state == "open"


def test_latencies_are_decayed():
    pace = Pace()
    assert pace.at(0) == 0 and pace.seconds is None
    pace.add(1.0, 0)
    assert pace.at(0) == 1.0 and pace.at(HALF_LIFE) == 0.5
    pace.add(2.0, 0)
    assert 1.0 < pace.at(0) < 1.5


def test_the_p95_is_of_the_latest_and_of_enough():
    pace = Pace()
    for number in range(19):
        pace.add(number / 100, 0)
    assert pace.p95 is None
    pace.add(0.19, 0)
    assert pace.p95 == 0.19
    for number in range(1280):
        pace.add(1 + number % 128, 0)
    assert pace.p95 == 122


def test_models_of_one_backend_are_told_apart_and_bounded():
    board = Board(Breaker(failures=1), {"a": Station("a"), "b": Station("b")}, Clock())
    for number in range(5000):
        health = board.of(Decision("a", f"m{number}", "auto", ""))
        one(health, Clock())
    assert len(board.models("a")) == 4097
    assert board.of(Decision("a", "m4999", "auto", "")) is board.of(Decision("a", "another", "auto", ""))
    told = board.told("a")
    assert (told["health"], told["requests"], len(told["models"])) == ("ok", 5000, 50)
    assert board.told("b") == {"health": "unknown", "requests": 0}


def test_a_report_has_the_last_error_while_it_matters():
    clock = Clock()
    board = Board(Breaker(), {"a": Station("a")}, clock)
    health = board.of(Decision("a", "m", "auto", ""))
    one(health, clock, failure(500, "server_error"))
    clock.now += 2
    told = board.told("a")
    error = {"status": 500, "kind": "server_error", "seconds_ago": 2.0}
    assert (told["health"], told["last_error"]) == ("failing", error)
    assert told["models"]["m"] == {"breaker": "closed", "requests": 1, "in_flight": 0, "last_error": error}
    one(health, clock)
    told = board.told("a")
    assert told["health"] == "ok" and "last_error" not in told
    assert told["models"]["m"]["answer_seconds"] == 0.1 and told["models"]["m"]["last_error"] == error


def test_a_board_that_retires_closes_its_breakers():
    clock = Clock()
    board = Board(Breaker(failures=1), {"a": Station("a")}, clock, lambda health: clock.turns.append(health.state))
    one(board.of(Decision("a", "m", "auto", "")), clock, BROKEN)
    board.reset()
    assert clock.turns == ["open", "closed"]


def test_a_board_takes_over_what_another_knows():
    clock = Clock()
    before = Board(
        Breaker(failures=1), {"a": Station("a"), "b": Station("b")}, clock, lambda health: clock.turns.append("before")
    )
    health = before.of(Decision("a", "m", "auto", ""))
    one(health, clock, BROKEN)
    other = before.of(Decision("b", "m", "auto", ""))
    probe = other.begin(clock())
    after = Board(Breaker(failures=1), {"a": Station("a", weight=9), "b": Station("b")}, clock)
    after.inherit(before, {"a"})
    before.reset()
    assert clock.turns == ["before"]  # its breaker is not its own any more
    assert after.of(Decision("a", "m", "auto", "")) is health and health.state == "open" and health.station.weight == 9
    other.failed(probe, BROKEN)  # under way on the old one: it ends there
    other.end()
    assert after.told("b") == {"health": "unknown", "requests": 0}
