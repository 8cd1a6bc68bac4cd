"""A damaged newest checkpoint of a killed run: skipped with a warning, and the run ends with the same bits."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.child import Child, command
from tests.faults.corruptions import ALTERATIONS
from tests.faults.kills import LIMIT, RUNS, undisturbed
from tests.faults.outcome import Clock, Part
from tests.faults.same import differences

CHECKPOINTS = 5  # the run is killed after writing so many


def skipped_checkpoints(name: str, number: int, seed: int, place: Path) -> Part:
    """Damage the newest checkpoint of a killed run ``number`` times, resume it to its end, and compare."""
    part, start = Part(f"damaged newest checkpoint, {name}"), time.monotonic()
    clock = Clock(part.name, number)
    whole, half = place.parents[1] / "whole" / place.name, place / "half"
    program, arguments = RUNS[name]
    Child(_killed(command(program, [*arguments, f"run.dir={half}"])), place, place / "log").wait(LIMIT)
    problem = undisturbed(name, whole)
    if problem or not (half / "checkpoint-2.pt").exists():
        part.fail(problem or f"{half} does not hold three checkpoints")
        return part
    for case in range(number):
        draw, folder = random.Random(f"{seed} skipped {name} {case}"), place / f"run{case}"
        shutil.copytree(half, folder)
        found = _one(name, draw, folder) or ", ".join(differences(whole, folder))
        part.tried += 1
        if found:
            part.fail(f"seed {seed}, {name} {case}: {found}; see {folder}")
        else:
            shutil.rmtree(folder)
        clock.show(part.tried, len(part.failures))
    part.seconds = time.monotonic() - start
    return part


def _one(name: str, draw: random.Random, folder: Path) -> str | None:
    """Damage the newest checkpoint, or the two newest, and resume; return the problem, or None."""
    damaged = ["checkpoint.pt", "checkpoint-1.pt"][: draw.choice([1, 1, 2])]
    for path in (folder / file for file in damaged):
        data = bytearray(path.read_bytes())
        while bytes(data) == path.read_bytes():
            draw.choice(ALTERATIONS)(data, draw)
        path.unlink()  # it may be a hard link to another checkpoint
        path.write_bytes(data)
    ended = Child(command(RUNS[name][0], [f"resume={folder}"]), folder.parent, folder.parent / "log").wait(LIMIT)
    if ended.code:
        return f"exited with {ended.code}: {ended.err[-300:]}"
    warning = f"checkpoint-{len(damaged)}.pt is used instead"
    return None if warning in ended.err else f"no warning that it was skipped: {ended.err[:300]}"


def _killed(work: Callable[[], None]) -> Callable[[], None]:
    """Return ``work`` so that it kills itself after some checkpoints."""

    def killing() -> None:
        from nas.engine import loop

        save, left = loop.save_with_retention, CHECKPOINTS

        def counted(*arguments: object) -> None:
            nonlocal left
            save(*arguments)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        loop.save_with_retention = counted
        work()

    return killing
