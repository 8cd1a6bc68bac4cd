"""Ctrl-C in a run started from Python: the running step finishes, then the run stops with a checkpoint."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class StopOnInterrupt:
    """Context manager in which a first SIGINT makes :meth:`asked` true and a second one has its usual effect.

    Outside the main thread, which alone receives signals, and if SIGINT is ignored, it does nothing.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def asked(self) -> bool:
        """Return whether SIGINT was received."""
        return self._asked

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT)):
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            self._before(number, frame)
        self._asked = True
