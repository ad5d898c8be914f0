"""The store of tasks: its bounds, its order, and that a task belongs to exactly one worker that lives."""

import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlingua.agents.tasks import Asked, Owner, Tasks, is_dead
from interlingua.config import Tasks as Limits
from interlingua.errors import Overloaded, TooLarge

Open = Callable[[], Tasks]
WIDE = Limits()
DONE: dict[str, Any] = {"result": {"text": "t"}}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_(tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """Each is a worker of its own, on one folder."""
    opened: list[Tasks] = []

    def begin() -> Tasks:
        opened.append(Tasks(str(tmp_path / "data"), clock))
        return opened[-1]

    yield begin
    for tasks in opened:
        tasks.close()


def add(tasks: Tasks, text: str = "x", limits: Limits = WIDE, run: bool = False, tenant: str = "") -> str:
    return tasks.add("writer", tenant, Asked(text), limits, run).id


def states(tasks: Tasks) -> list[str]:
    """The oldest first."""
    return [task.state for task in reversed(tasks.newest("", 100))]


def test_a_task_goes_its_way(open_: Open, clock: Clock) -> None:
    tasks = open_()
    id = tasks.add("writer", "ann", Asked("do", "with", {"x-interlingua-strict": "true"}), WIDE, run=False).id
    clock.now += 1
    (taken,) = tasks.take(5)
    assert (taken.id, taken.state, taken.started, taken.asked.context) == (id, "running", 1001.0, "with")
    assert tasks.ours() == {id} and tasks.take(5) == []
    clock.now += 1
    assert tasks.end(id, "done", DONE, WIDE) and tasks.ours() == set()
    told = tasks.get(id, "ann")
    assert told is not None and (told.state, told.created, told.ended, told.told) == ("done", 1000.0, 1002.0, DONE)
    assert told.asked == Asked("do", "with", {"x-interlingua-strict": "true"})
    assert tasks.get(id, "bob") is None and tasks.newest("bob", 9) == [] and tasks.cancel(id, "bob") is None
    assert tasks.counts("ann") == {"writer": {"done": 1}} and tasks.counts("bob") == {}
    assert not tasks.end(id, "failed", {}, WIDE)


def test_the_file_is_its_owners_alone(open_: Open, tmp_path: Path) -> None:
    open_()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data/tasks.sqlite").stat().st_mode) == 0o600


def test_what_was_committed_is_on_the_disk(open_: Open, tmp_path: Path) -> None:
    id = add(open_())
    with sqlite3.connect(tmp_path / "data/tasks.sqlite") as other:
        assert other.execute("SELECT id, state FROM task").fetchall() == [(id, "queued")]
    other.close()


def test_two_workers_never_take_the_same(open_: Open) -> None:
    one, two = open_(), open_()
    ids = [add(one, str(n)) for n in range(6)]
    taken = [*one.take(2), *two.take(2), *one.take(1), *two.take(9)]
    assert [task.id for task in taken] == ids
    assert one.ours() | two.ours() == set(ids) and not one.ours() & two.ours()
    theirs = next(iter(two.ours()))
    assert not one.end(theirs, "done", DONE, WIDE)
    one.put_back([task for task in taken if task.id in one.ours()])
    assert one.ours() == set() and len(two.take(9)) == 3


def test_a_dead_workers_tasks_are_interrupted_and_a_living_ones_are_not(open_: Open, tmp_path: Path) -> None:
    one, two = open_(), open_()
    add(one, run=True)
    assert two.sweep() == 0 and states(two) == ["running"]
    one._owner._file.close()  # as the kernel does it when a process ends
    assert two.sweep() == 1 and states(two) == ["interrupted"] and two.sweep() == 0
    assert two.newest("", 1)[0].told["error"]["type"] == "interrupted"
    assert len(list((tmp_path / "data").glob("*.worker"))) == 1


def test_a_worker_that_ends_interrupts_what_it_runs(open_: Open, tmp_path: Path, clock: Clock) -> None:
    one = Tasks(str(tmp_path / "data"), clock)
    add(one, run=True)
    add(one)
    one.close()
    assert states(open_()) == ["interrupted", "queued"]


def test_an_owner_is_found_dead_however_it_went(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    assert not is_dead(tmp_path, owner.name)
    assert is_dead(tmp_path, "nobody")
    owner.close()
    assert is_dead(tmp_path, owner.name) and list(tmp_path.iterdir()) == []


def test_cancelled_once_and_then_forgotten(open_: Open) -> None:
    tasks = open_()
    waits, runs = add(tasks), add(tasks, run=True)
    for id in (waits, runs):
        told = tasks.cancel(id, "")
        assert told is not None and told.state == "cancelled"
    assert tasks.take(9) == [] and tasks.ours() == set() and not tasks.end(runs, "done", DONE, WIDE)
    assert tasks.cancel(waits, "") is not None and tasks.get(waits, "") is None
    assert tasks.cancel(waits, "") is None


def test_the_queue_is_bounded_and_what_waits_is_never_dropped(open_: Open) -> None:
    tasks, limits = open_(), Limits(queue=2, kept=1)
    for n in range(2):
        add(tasks, str(n), limits)
    with pytest.raises(Overloaded) as refused:
        add(tasks, "3", limits)
    assert refused.value.failure.retry_after == 10 and states(tasks) == ["queued", "queued"]
    add(tasks, "now", limits, run=True)  # who waits for it is no queue
    tasks.take(1)
    add(tasks, "4", limits)


def test_what_has_ended_makes_room(open_: Open, clock: Clock) -> None:
    tasks, limits = open_(), Limits(kept=2, age=100.0)
    ids = [add(tasks, str(n), limits, run=True) for n in range(4)]
    for id in ids:
        clock.now += 1
        tasks.end(id, "done", DONE, limits)
    add(tasks, "another", limits)
    assert [tasks.get(id, "") is not None for id in ids] == [False, False, True, True]
    clock.now += 200
    add(tasks, "later", limits)
    assert states(tasks) == ["queued", "queued"]


def test_bytes_are_bounded(open_: Open) -> None:
    tasks, limits = open_(), Limits(size=1000)
    with pytest.raises(TooLarge):
        add(tasks, "x" * 600, limits)
    first = add(tasks, "x" * 400, limits, run=True)
    tasks.end(first, "done", {"result": {"text": "y" * 300}}, limits)
    add(tasks, "x" * 400, limits)
    assert tasks.get(first, "") is None
    add(tasks, "x" * 400, limits)
    with pytest.raises(Overloaded):
        add(tasks, "x" * 400, limits)
    (task,) = tasks.take(1)
    assert tasks.end(task.id, "done", {"result": {"text": "y" * 900}}, limits)
    told = tasks.get(task.id, "")
    assert told is not None and (told.state, told.told["error"]["type"]) == ("failed", "too_large")
    (task,) = tasks.take(1)
    assert tasks.end(task.id, "done", {"result": {"text": "y" * 400}}, limits)  # what was accepted may end, full or not
    assert tasks.get(task.id, "") is not None


def test_lists_are_the_newest_first_and_chosen_among(open_: Open) -> None:
    tasks = open_()
    for n in range(5):
        tasks.add("even" if n % 2 == 0 else "odd", "", Asked(str(n)), WIDE, run=n == 4)
    assert [task.asked.task for task in tasks.newest("", 3)] == ["4", "3", "2"]
    assert [task.asked.task for task in tasks.newest("", 9, "odd")] == ["3", "1"]
    assert [task.asked.task for task in tasks.newest("", 9, "even", "running")] == ["4"]
