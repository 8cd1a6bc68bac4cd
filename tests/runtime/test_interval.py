"""Intervals in steps or minutes."""

import time

import pytest

from nas.core.errors import InputError
from nas.runtime.interval import Clock, Interval, read_interval


@pytest.mark.parametrize(
    ("given", "interval"),
    [
        (None, Interval()),
        (200, Interval(steps=200)),
        ("200", Interval(steps=200)),
        ("10min", Interval(seconds=600)),
        ("0.5 min", Interval(seconds=30)),
    ],
)
def test_intervals_are_parsed(given, interval):
    assert read_interval("checkpoint_every", given) == interval


@pytest.mark.parametrize("given", [0, -1, "", "0", "0min", "ten", "1h", "10 minutes", "min", "1e3min", "-5min", "٣"])
def test_anything_else_is_refused_in_one_line(given):
    with pytest.raises(InputError, match=r"^checkpoint_every=.*: must be a number of steps \(200\), minutes \(10min\)"):
        read_interval("checkpoint_every", given)


def test_steps_count_within_an_epoch():
    clock = Clock(Interval(steps=3))
    assert [step for step in range(1, 10) if clock.due(step)] == [3, 6, 9]


def test_minutes_count_from_the_last_restart(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = Clock(Interval(seconds=60))
    now[0] += 59
    assert not clock.due(1)
    now[0] += 1
    assert clock.due(2)
    assert clock.due(3)
    clock.restart()
    assert not clock.due(4)


def test_never():
    assert not any(Clock(Interval()).due(step) for step in range(1, 100))
