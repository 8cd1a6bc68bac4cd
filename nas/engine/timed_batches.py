"""Batches, as long as there is time."""

from collections.abc import Iterator

from nas.core.errors import InputError
from nas.data.batches import Batch
from nas.runtime.deadline import Deadline


def until(deadline: Deadline | None, batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    """The next ``count`` of ``batches``, or fewer where ``deadline`` comes first: it is asked in front of each.

    A signal to a whole group of processes also ends those that read images: that they are gone then is no error.
    """
    for _ in range(count):
        if deadline is not None and deadline.reached():
            return
        try:
            batch = next(batches)
        except InputError:
            if deadline is None or not deadline.reached():
                raise
            return
        yield batch
