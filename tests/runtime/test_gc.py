"""Garbage collection during a run: earlier objects are excluded, new ones are still collected."""

import gc
import weakref

import pytest

from nas.runtime.gc import frozen_gc


class Cycle:
    def __init__(self) -> None:
        self.me = self


def test_earlier_objects_are_excluded_until_the_end():
    old = weakref.ref(Cycle())  # garbage already, so it is collected at the start
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


def test_new_garbage_is_collected_within_the_block():
    with frozen_gc():
        made = weakref.ref(Cycle())
        gc.collect()
        assert made() is None


def test_an_error_ends_the_exclusion():
    with pytest.raises(ValueError, match="gone"), frozen_gc():
        raise ValueError("gone")
    assert gc.get_freeze_count() == 0
