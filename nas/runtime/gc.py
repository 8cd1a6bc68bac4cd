"""Python's garbage collector, kept away from what stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen_gc() -> Iterator[None]:
    """Within the block the collector passes over what exists at its begin.

    torch and a supernet are some 400,000 objects: looking through all of them takes as long as a small step, and a
    step makes enough objects to cause it.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
