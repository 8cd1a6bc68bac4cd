"""Signals as a wish to stop: work that can end in good order does, and the process leaves with 128 + their number."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

WARNINGS = ("HUP", "USR1", "USR2", "XCPU")  # what a batch system can be told to send ahead of its limit
TOGETHER = 1.0  # seconds: `timeout`, for one, sends a signal to the process and once more to its group


class Interrupted(BaseException):
    """A signal that came where there was nothing to bring to an end. No Exception: only a command's end answers it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class StopSignals:
    """Catches SIGTERM, SIGINT and ``warning`` (one of ``WARNINGS``, or None) within a ``with`` block.

    A first signal raises :class:`Interrupted`, but within :meth:`postponed` it only makes :meth:`asked` true. A second
    one, more than a second later, ends the process at once. A block that a signal was postponed in is left with
    ``SystemExit``, 128 + its number. Handlers are set in the main thread alone, and given back at the end; a signal
    that was ignored before (nohup) stays so. Processes that are forked within the block do not heed SIGINT and the
    warning: whoever started them ends them.
    """

    def __init__(self, warning: str | None = None) -> None:
        names = ["SIGTERM", "SIGINT", *([f"SIG{warning}"] if warning else [])]
        self.numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        self.caught: int | None = None
        self._time = 0.0
        self._postponing = False
        self._process = os.getpid()
        self._before: dict[int, Any] = {}

    @property
    def name(self) -> str | None:
        """The name of the signal that came, such as SIGTERM; None before."""
        return None if self.caught is None else signal.Signals(self.caught).name

    def asked(self) -> bool:
        """Whether a signal came."""
        return self.caught is not None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self.numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._set(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if error is None and self.caught is not None:
            sys.exit(128 + self.caught)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Within this block a first signal waits: the work in it looks at :meth:`asked` from time to time."""
        self._postponing = True
        try:
            yield
        finally:
            self._postponing = False

    def _set(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        self._before[number] = signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:
            _in_child(number)
        elif self.caught is None:
            self.caught, self._time = number, time.monotonic()
            if not self._postponing:
                raise Interrupted(number)
            self._expect_workers_to_end()
            _say(f"{self.name}: ending this step and writing a checkpoint; a second signal ends at once")
        elif time.monotonic() - self._time > TOGETHER:
            _say(f"{signal.Signals(number).name}: ended at once; the last checkpoint is whole")
            os._exit(128 + number)

    def _expect_workers_to_end(self) -> None:
        """A signal to the whole group ends worker processes too; torch would raise that in the middle of the step."""
        child = getattr(signal, "SIGCHLD", None)
        if child is not None and callable(signal.getsignal(child)):
            self._set(child, lambda *_: None)


def _in_child(number: int) -> None:
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _say(text: str) -> None:
    """A line on standard error, written so that a signal's handler may."""
    os.write(2, f"\n{text}\n".encode())
