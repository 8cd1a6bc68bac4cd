"""The garbage collector within a run: what was there stays unseen, what a run makes is still collected."""

import gc
import weakref

import pytest

from nas.runtime.gc import frozen_gc


class Cycle:
    def __init__(self) -> None:
        self.me = self


def test_what_was_there_is_passed_over_until_the_end():
    old = weakref.ref(Cycle())  # garbage already, so it goes at the begin
    kept = Cycle()
    seen = weakref.ref(kept)
    with frozen_gc():
        assert old() is None
        assert gc.get_freeze_count() > 0
        del kept
        gc.collect()
        assert seen() is not None
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert seen() is None


def test_what_the_block_makes_is_collected_within_it():
    with frozen_gc():
        made = weakref.ref(Cycle())
        gc.collect()
        assert made() is None


def test_an_error_ends_it_too():
    with pytest.raises(ValueError, match="gone"), frozen_gc():
        raise ValueError("gone")
    assert gc.get_freeze_count() == 0
