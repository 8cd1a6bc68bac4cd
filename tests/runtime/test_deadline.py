"""Deadlines, durations and the status line, with a fake clock."""

import time
from contextlib import nullcontext

import pytest

from nas.core.errors import InputError
from nas.runtime.deadline import Deadline, DeadlineReached, before_deadline
from nas.runtime.progress import StatusLine, duration
from tests.helpers.runs import StopAfter


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_without_minutes_it_is_never_reached(clock):
    deadline = Deadline(None)
    clock.now += 1e9
    assert not deadline.reached()


@pytest.mark.parametrize("minutes", [None, 60])
def test_a_stop_may_be_requested_earlier(minutes, clock):
    asked = []
    deadline = Deadline(minutes, asked=lambda: bool(asked))
    assert not deadline.reached()
    asked.append("please")
    assert deadline.reached()


@pytest.mark.parametrize(("minutes", "reserve"), [(10, 10), (1, 10), (0.2, 3), (1e-9, 0)])
def test_a_reserve_is_kept(minutes, reserve, clock):
    assert Deadline(minutes).end == pytest.approx(1000 + 60 * minutes - reserve)
    assert Deadline(minutes, start=400).end == pytest.approx(400 + 60 * minutes - reserve)


@pytest.mark.parametrize("step", [0.5, 3, 20, 49])
def test_steps_finish_before_the_time_is_up(step, clock):
    """Holds for any step time, even if the last step takes twice the longest so far."""
    deadline = Deadline(2)
    steps = 0
    while not deadline.reached():
        clock.now += step
        steps += 1
        assert clock.now + step <= 1000 + 120 - 10
    assert steps >= 1
    assert clock.now + 2 * step > 1000 + 120 - 10  # and it does not stop much too early


def test_a_pause_does_not_count_as_a_step(clock):
    deadline = Deadline(10)
    deadline.reached()
    clock.now += 1
    deadline.reached()
    deadline.pause()
    clock.now += 100
    deadline.reached()
    assert deadline.longest == 1


def test_a_deadline_in_the_past(clock):
    assert Deadline(1, start=0).reached()


def test_outside_a_terminal_the_status_is_a_line_each(clock, capsys):
    line = StatusLine(every=10)
    assert not line.due()
    clock.now += 10
    assert line.due()
    line.show("half")
    assert not line.due()
    line.show("whole", last=True)
    assert capsys.readouterr().err == "half\nwhole\n"


def test_on_a_terminal_the_status_line_is_rewritten(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    line = StatusLine(every=10)
    clock.now += 0.3
    assert line.due()
    line.show("half way")
    line.show("whole", last=True)
    assert capsys.readouterr().err == "\rhalf way\x1b[K\r\x1b[Kwhole\n"


def batches(number: int, asked: list | None = None):
    yield from range(number)
    if asked is not None:
        asked.append("stop")
    raise InputError("data.workers=2: one of these processes died")


def drain(iterator, items: list) -> None:
    for item in iterator:
        items.append(item)  # kept if the iterator raises


@pytest.mark.parametrize(("deadline", "expected"), [(None, [0, 1, 2]), (StopAfter(2), [0, 1]), (StopAfter(0), [])])
def test_yields_until_the_count_or_the_deadline(deadline, expected):
    items = []
    with nullcontext() if deadline is None else pytest.raises(DeadlineReached):
        drain(before_deadline(batches(5), 3, deadline), items)
    assert items == expected


def test_fetches_no_more_than_the_count():
    assert list(before_deadline(batches(3), 3, Deadline(None))) == [0, 1, 2]


def test_workers_may_die_of_the_signal_that_stops_the_run():
    asked, items = [], []
    with pytest.raises(DeadlineReached):
        drain(before_deadline(batches(2, asked), 9, Deadline(None, asked=lambda: bool(asked))), items)
    assert items == [0, 1]


@pytest.mark.parametrize("deadline", [None, Deadline(None)])
def test_workers_may_not_die_for_no_reason(deadline):
    with pytest.raises(InputError, match="one of these processes died"):
        list(before_deadline(batches(2), 9, deadline))
