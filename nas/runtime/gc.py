"""Garbage collection during a run."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen_gc() -> Iterator[None]:
    """Exclude the objects that exist now from garbage collection within the block.

    torch and a supernet are some 400,000 objects: traversing all of them takes as long as a small step, and a step
    allocates enough objects to trigger it.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
