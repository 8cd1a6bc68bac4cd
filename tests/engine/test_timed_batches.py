"""Batches as long as there is time, and what it means that those who read them have died."""

import pytest

from nas.core.errors import InputError
from nas.engine.timed_batches import until
from nas.runtime.deadline import Deadline
from tests.helpers.runs import StopAfter


def batches(number: int, asked: list | None = None):
    yield from range(number)
    if asked is not None:
        asked.append("stop")
    raise InputError("data.workers=2: a worker process died")


@pytest.mark.parametrize(("deadline", "found"), [(None, [0, 1, 2]), (StopAfter(2), [0, 1]), (StopAfter(0), [])])
def test_so_many_or_fewer(deadline, found):
    assert list(until(deadline, batches(5), 3)) == found


def test_none_is_fetched_that_is_not_used():
    assert list(until(Deadline(None), batches(3), 3)) == [0, 1, 2]


def test_who_reads_may_die_of_the_same_signal():
    asked = []
    assert list(until(Deadline(None, asked=lambda: bool(asked)), batches(2, asked), 9)) == [0, 1]


@pytest.mark.parametrize("deadline", [None, Deadline(None)])
def test_but_not_for_no_reason(deadline):
    with pytest.raises(InputError, match="a worker process died"):
        list(until(deadline, batches(2), 9))
