"""Commands in forked children of a process that has imported everything: a run starts in a tenth of a second.

A child does what the command would do, and can be killed like any process. No thread may be running at the fork, so
each child uses one thread, and the parent itself never runs a command.
"""

import faulthandler
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OUT, ERR = "stdout", "stderr"


@dataclass(frozen=True)
class Ended:
    """End of a child: its exit code (negative: the signal; None: it was still running), and its output."""

    code: int | None
    out: str
    err: str


class Child:
    """Forked child that runs ``work`` in the folder ``place``; its output is written to files in ``log``."""

    def __init__(self, work: Callable[[], None], place: Path, log: Path) -> None:
        self.log = log
        self.status: int | None = None
        log.mkdir(parents=True, exist_ok=True)
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_work(work, place, log))

    def running(self) -> bool:
        """Return whether it is still running."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def kill(self) -> None:
        """Send SIGKILL unless it has ended."""
        if self.running():
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> Ended:
        """Return how it ended; kill a child that takes longer: its code is None, its output ends with a traceback.

        Time during which a virtual machine was suspended does not count. A child that was stopped from outside
        (SIGSTOP) is continued and gets ``seconds`` once more.
        """
        for _ in range(2):
            self._wait(seconds)
            if self.running():
                os.kill(self.pid, signal.SIGCONT)
        late = self.running()
        if late:
            os.kill(self.pid, signal.SIGABRT)  # for the traceback
            time.sleep(0.5)
        self.kill()
        while self.running():
            time.sleep(0.001)
        out, err = ((self.log / name).read_text(errors="replace") for name in (OUT, ERR))
        return Ended(None if late else self.status, out, err)

    def _wait(self, seconds: float) -> None:
        spent, before = 0.0, time.monotonic()
        while self.running() and spent < seconds:
            time.sleep(0.002)
            spent, before = spent + min(time.monotonic() - before, 0.1), time.monotonic()


def _work(work: Callable[[], None], place: Path, log: Path) -> int:
    """Run ``work`` in the child; return the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    os.chdir(place)
    for name, stream in ((OUT, sys.stdout), (ERR, sys.stderr)):
        file = os.open(log / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, {OUT: 1, ERR: 2}[name])
        stream.flush()
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    faulthandler.enable(sys.stderr)
    code = 0
    try:
        work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def command(program: str, arguments: list[str]) -> Callable[[], None]:
    """Return a function that runs ``search.py``, ``retrain.py`` or ``nas`` with these arguments."""
    from nas.cli import main as small
    from nas.cli import retrain, search

    main = {"search.py": search.main, "retrain.py": retrain.main, "nas": small.main}[program]

    def work() -> None:
        sys.argv = [program, *arguments]
        main()

    return work


def warm_up() -> None:
    """Import the modules that the commands import lazily."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch
    import torchvision.transforms  # noqa: F401

    import nas.cli.retrain_command
    import nas.cli.search_command  # noqa: F401

    torch.set_num_threads(1)
