"""Processes of this program's own that end with it: a signal to the parent reaches them."""

import subprocess
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

from nas.runtime.signals import SignalHandlers, signal_numbers


class ChildProcesses:
    """Context manager: SIGTERM and SIGHUP end the processes that :meth:`run` started, and no further ones begin.

    They receive SIGTERM, upon which a search or a training writes a checkpoint. When they have ended, the context exits
    with ``SystemExit``, 128 + the signal's number. Handlers are set in the main thread only and restored at the end; a
    signal that was ignored before (nohup) stays ignored. Ctrl-C reaches the processes by itself.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._running: set[subprocess.Popen[str]] = set()
        self._handlers = SignalHandlers()

    def __enter__(self) -> Self:
        self._handlers.catch(signal_numbers("SIGTERM", "SIGHUP"), self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._handlers.restore()
        if self.caught is not None and (error is None or isinstance(error, Exception)):
            sys.exit(128 + self.caught)

    def run(self, words: Sequence[str], stderr: int | None = None) -> tuple[int, str]:
        """Run a command without output; return its exit code, and what it wrote to ``stderr`` if that is PIPE.

        After a signal nothing runs, and the code is 128 + its number.
        """
        if self.caught is not None:
            return 128 + self.caught, ""
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=stderr, text=True, errors="replace") as process:
            self._running.add(process)
            if self.caught is not None:  # while it was being started
                process.terminate()
            try:
                complaint = process.communicate()[1]
            finally:
                self._running.discard(process)
        return process.returncode, complaint or ""

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.caught = number
        for process in tuple(self._running):
            process.terminate()
