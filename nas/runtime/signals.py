"""Signals as requests to stop: the current step finishes, then the process exits with 128 + the signal's number."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from nas.runtime.progress import discard_dead_output

WARNINGS = ("HUP", "USR1", "USR2", "XCPU")  # what a batch system can be told to send before its time limit
Handler = Callable[[int, FrameType | None], None]

_SAME_SIGNAL = 1.0  # seconds: `timeout`, for one, signals the process and then its group


class Interrupted(BaseException):
    """A signal outside :meth:`StopSignals.postponed`. A BaseException, so that only the command itself catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def signal_numbers(*names: str) -> list[int]:
    """Return the numbers of the signals that this system has, of those named, such as SIGTERM."""
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


class SignalHandlers:
    """Signal handlers that are set for a while."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    def catch(self, numbers: Iterable[int], handler: Handler) -> None:
        """Let ``handler`` receive the signals, in the main thread only; one that was ignored (nohup) stays ignored."""
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self.set(number, handler)

    def set(self, number: int, handler: Handler) -> None:
        """Set a handler, whatever there was before."""
        self._before[number] = signal.signal(number, handler)

    def restore(self) -> None:
        """Set the handlers of before."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class StopSignals:
    """Context manager that catches SIGTERM, SIGINT and ``warning`` (one of ``WARNINGS``, or None).

    A first signal raises :class:`Interrupted`; within :meth:`postponed` it only makes :meth:`asked` true, and the
    context then exits with ``SystemExit``, 128 + its number. A second signal, more than a second later, ends the
    process at once. Handlers are set in the main thread only and restored at the end; a signal that was ignored before
    (nohup) stays ignored. Processes forked within the block ignore SIGINT and the warning: their parent ends them.
    """

    def __init__(self, warning: str | None = None) -> None:
        self.numbers = signal_numbers("SIGTERM", "SIGINT", *([f"SIG{warning}"] if warning else []))
        self.caught: int | None = None
        self._time = 0.0
        self._postponing = False
        self._process = os.getpid()
        self._handlers = SignalHandlers()

    @property
    def name(self) -> str | None:
        """The name of the signal received, such as SIGTERM; None before."""
        return None if self.caught is None else signal.Signals(self.caught).name

    def asked(self) -> bool:
        """Return whether a signal was received."""
        return self.caught is not None

    def __enter__(self) -> Self:
        self._handlers.catch(self.numbers, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._handlers.restore()
        if error is None and self.caught is not None:
            sys.exit(128 + self.caught)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Postpone a first signal within this block, which is expected to poll :meth:`asked`."""
        self._postponing = True
        try:
            yield
        finally:
            self._postponing = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:
            _in_child(number)
        elif self.caught is None:
            self.caught, self._time = number, time.monotonic()
            if not self._postponing:
                raise Interrupted(number)
            self._expect_workers_to_end()
            _say(f"{self.name}: finishing this step and writing a checkpoint; a second signal stops at once")
        elif time.monotonic() - self._time > _SAME_SIGNAL:
            _say(f"{signal.Signals(number).name}: stopped at once; the last checkpoint is intact")
            os._exit(128 + number)

    def _expect_workers_to_end(self) -> None:
        """Ignore the end of worker processes: a signal to the group ends them too, and torch would raise."""
        child = getattr(signal, "SIGCHLD", None)
        if child is not None and callable(signal.getsignal(child)):
            self._handlers.set(child, lambda *_: None)


def _in_child(number: int) -> None:
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _say(text: str) -> None:
    """Write a line to stderr in an async-signal-safe way; the terminal may be the reason for the signal."""
    try:
        os.write(2, f"\n{text}\n".encode())
    except OSError:
        discard_dead_output()
