"""Commands of this program in processes of their own, several side by side."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from nas.cli.child_processes import ChildProcesses
from nas.core.terminal import print_lines
from nas.runtime.progress import duration


@dataclass(frozen=True)
class PoolJob:
    """A command, ``retrain`` for example, with its settings; ``name`` is for people."""

    name: str
    command: str
    overrides: tuple[str, ...]


def run_jobs(jobs: Sequence[PoolJob], side_by_side: int, describe: Callable[[PoolJob], str]) -> None:
    """Run the jobs, and print a line as each ends: ``describe(job)`` or why it failed, and the time left.

    A failed job does not end the others. Ctrl-C reaches the processes as well: they write their checkpoints, no further
    ones begin, and :class:`KeyboardInterrupt` is raised; SIGTERM and SIGHUP: see :class:`ChildProcesses`.
    """
    started, done = time.monotonic(), 0
    with ChildProcesses() as processes, ThreadPoolExecutor(side_by_side) as pool:
        running: dict[Future[str | None], PoolJob] = {pool.submit(_run, job, processes): job for job in jobs}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job, message, done = running.pop(future), future.result(), done + 1
                    left = (time.monotonic() - started) / done * (len(jobs) - done)
                    shown = describe(job) if message is None else f"failed: {message}"
                    print_lines(
                        f"{job.name}: {shown} | {done} of {len(jobs)} | about {duration(left)} left", flush=True
                    )
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def process_words(command: str, overrides: Sequence[str]) -> list[str]:
    """Return the words that run ``search`` or ``retrain`` with this Python, whichever way this program was called."""
    return [sys.executable, "-c", f"from nas.cli.{command} import main; main()", *overrides]


def _run(job: PoolJob, processes: ChildProcesses) -> str | None:
    """Run a job; return None, or the last line of its complaint."""
    code, complaint = processes.run(process_words(job.command, job.overrides), stderr=subprocess.PIPE)
    if code == 0:
        return None
    lines = complaint.strip().splitlines()
    return lines[-1] if lines else f"exit code {code}"
