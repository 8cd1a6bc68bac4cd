"""Disk faults: a full, read-only or limited disk ends a session in one line; the resumed run ends as undisturbed."""

import errno
import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.child import Child, Ended, command
from tests.faults.kills import LIMIT, RUNS, undisturbed
from tests.faults.outcome import Clock, Part
from tests.faults.same import differences

FULL = ("open", "os.link", "os.mkdir")  # audit events that need space; open only for writing
READ_ONLY = (*FULL, "os.rename", "os.remove", "os.rmdir")
ERRORS = {"full": errno.ENOSPC, "over quota": errno.EDQUOT, "read-only": errno.EROFS}
KINDS = (*ERRORS, "small")  # small: no file may exceed a size
MOST = 4  # faults of one run, which then runs to its end


def disk_faults(name: str, number: int, seed: int, place: Path) -> Part:
    """Let ``number`` sessions of ``name`` meet a disk fault; resume each run to its end and compare it."""
    part, clock, start = Part(f"disk faults of a {name}"), Clock(f"disk faults, {name}", number), time.monotonic()
    whole = place.parents[1] / "whole" / place.name
    problem = undisturbed(name, whole)
    if problem:
        part.fail(problem)
        return part
    for trial in range(10 * number):
        if part.tried >= number:
            break
        folder = place / f"run{trial}"
        draw = random.Random(f"{seed} disk faults {name} {trial}")
        problem = _one_run(draw, name, folder, part) or ", ".join(differences(whole, folder))
        if problem:
            part.fail(f"seed {seed}, {name} {trial}: {problem}; see {folder}")
        else:
            shutil.rmtree(folder)
        clock.show(part.tried, len(part.failures))
    part.seconds = time.monotonic() - start
    return part


def _one_run(draw: random.Random, name: str, folder: Path, part: Part) -> str | None:
    """Resume one run to its end after some faults; return the problem, or None."""
    program, arguments = RUNS[name]
    words = [*arguments, f"run.dir={folder}", "resume=true"]
    for session in range(MOST + 1):
        kind = draw.choice(KINDS) if session < MOST else ""
        work = _with_fault(command(program, words), folder, kind, draw)
        ended = Child(work, folder.parent, folder.with_name(f"{folder.name}-log")).wait(LIMIT)
        if ended.code == 0:
            return None
        problem = judge_disk_fault(ended, folder, kind)
        if problem:
            return f"session {session}, {kind or 'no fault'}: {problem}"
        part.tried += 1
        part.count(kind)
    return "it did not finish"


def judge_disk_fault(ended: Ended, folder: Path, kind: str) -> str:
    """Return the problem with the end of a session that met a fault ("" if none)."""
    lines = [line for line in ended.err.splitlines() if line.strip() and not line.startswith("epoch ")]
    if not kind or ended.code != 2 or "Traceback" in ended.err or len(lines) != 1:
        return f"exited with {ended.code}: {ended.err[-500:]}"
    if not lines[0].startswith("error: ") or folder.name not in lines[0]:
        return f"an error that does not name the file: {lines[0]}"
    remain = [] if kind == "read-only" or not folder.exists() else [*folder.rglob("*.tmp"), *folder.glob("lock")]
    return f"{', '.join(path.name for path in remain)} remains" if remain else ""


def _with_fault(work: Callable[[], None], folder: Path, kind: str, draw: random.Random) -> Callable[[], None]:
    """Return ``work`` so that a fault of this ``kind`` begins at a random moment."""
    if kind == "small":
        size = draw.randrange(2_000, 200_000)

        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            work()

        return limited
    if kind:
        return _failing(work, folder, ERRORS[kind], READ_ONLY if kind == "read-only" else FULL, draw.randrange(1, 60))
    return work


def _failing(
    work: Callable[[], None], folder: Path, number: int, events: tuple[str, ...], count: int
) -> Callable[[], None]:
    """Return ``work`` with an error in the ``count``-th of these operations in ``folder``, and in all after it."""

    def failing() -> None:
        left = count

        def hook(event: str, arguments: tuple) -> None:
            nonlocal left
            if event not in events or not str(arguments[0]).startswith(str(folder)):
                return
            if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            left -= 1
            if left <= 0:
                raise OSError(number, os.strerror(number), str(arguments[0]))

        sys.addaudithook(hook)
        work()

    return failing
