"""Deadline of a run: stop before the time is up, or on request."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from nas.core.errors import InputError

Item = TypeVar("Item")


class DeadlineReached(Exception):  # noqa: N818 it is no error
    """The time was up, or a stop was requested, before the next step."""


class Deadline:
    """Deadline ``minutes`` after ``start`` (``time.monotonic``; None: never), or as soon as ``asked`` returns True.

    A step begins only if twice the longest step so far still fits before a reserve for start-up and checkpoint: 10
    seconds, or a quarter of a shorter time limit.
    """

    def __init__(
        self, minutes: float | None, start: float | None = None, asked: Callable[[], bool] | None = None
    ) -> None:
        begun = time.monotonic() if start is None else start
        self.end = None if minutes is None else begun + 60 * minutes - min(10.0, 15 * minutes)
        self.asked = asked
        self.longest = 0.0
        self._step_begun: float | None = None

    def reached(self) -> bool:
        """Return whether the next step might not finish in time. Call it before every step: it also times the steps."""
        now = time.monotonic()
        if self._step_begun is not None:
            self.longest = max(self.longest, now - self._step_begun)
        self._step_begun = now
        if self.asked is not None and self.asked():
            return True
        return self.end is not None and now + 2 * self.longest > self.end

    def pause(self) -> None:
        """Exclude the time until the next call of :meth:`reached` from the step times."""
        self._step_begun = None


def before_deadline(items: Iterator[Item], count: int, deadline: Deadline | None) -> Iterator[Item]:
    """Yield the next ``count`` of ``items``; raise :class:`DeadlineReached` if ``deadline`` comes before one of them.

    A signal to a whole process group also ends the workers that read images: losing them then is no error.
    """
    for _ in range(count):
        if deadline is not None and deadline.reached():
            raise DeadlineReached
        try:
            item = next(items)
        except InputError:
            if deadline is None or not deadline.reached():
                raise
            raise DeadlineReached from None
        yield item
