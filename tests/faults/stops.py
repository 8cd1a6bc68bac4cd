"""Signals at random moments: the run stops after its step, and resumed, ends with the bits of an undisturbed run."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

from nas.engine.run_result import FINISHED, result_state
from tests.faults.child import Child, command
from tests.faults.kills import LIMIT, RUNS, length, undisturbed
from tests.faults.outcome import Clock, Part
from tests.faults.same import differences

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
MOST = 4  # stops of one run, which then runs to its end


def stops(name: str, number: int, seed: int, place: Path) -> Part:
    """Stop runs of ``name`` ``number`` times in all; resume each to its end and compare it."""
    part, clock, start = Part(f"signals to a {name}"), Clock(f"signals, {name}", number), time.monotonic()
    whole = place.parents[1] / "whole" / place.name
    problem = undisturbed(name, whole)
    if problem:
        part.fail(problem)
        return part
    for trial in range(10 * number):
        if part.tried >= number:
            break
        folder = place / f"run{trial}"
        draw = random.Random(f"{seed} signals {name} {trial}")
        problem = _one_run(draw, name, folder, length(whole), part) or ", ".join(differences(whole, folder))
        if problem:
            part.fail(f"seed {seed}, {name} {trial}: {problem}; see {folder}")
        else:
            shutil.rmtree(folder)
        clock.show(part.tried, len(part.failures))
    part.seconds = time.monotonic() - start
    return part


def _one_run(draw: random.Random, name: str, folder: Path, seconds: float, part: Part) -> str | None:
    """Stop and resume one run to its end; return the problem, or None."""
    program, arguments = RUNS[name]
    for loop in range(MOST + 1):
        words = [*arguments, f"run.dir={folder}", "resume=true"]
        child = Child(command(program, words), folder.parent, folder.with_name(f"{folder.name}-log"))
        number = _stop(child, folder, draw, seconds) if loop < MOST else None
        ended = child.wait(LIMIT)
        if ended.code == 0 or (number is not None and result_state(folder) == FINISHED):
            return None  # the signal came after the end of the run
        if number is None or ended.code != 128 + number or "Traceback" in ended.err:
            return f"session {loop}: exited with {ended.code}: {ended.err[-500:]}"
        if f"resume={folder}" not in ended.out and "resume=<its folder>" not in ended.err:  # while it loads images
            return f"session {loop}: does not say how to resume: {ended.out[-300:]}"
        if (folder / "lock").exists() or list(folder.rglob("*.tmp")):
            return f"session {loop}: a lock or temporary files remain"
        part.tried += 1
        part.count(signal.Signals(number).name)
    return "it did not finish"


def _stop(child: Child, folder: Path, draw: random.Random, seconds: float) -> int | None:
    """Send a signal at a random time after the session has locked its folder; return it, or None if it had ended."""
    while child.running() and not (folder / "lock").exists():
        time.sleep(0.001)
    end = time.monotonic() + draw.uniform(0, seconds)
    while child.running() and time.monotonic() < end:
        time.sleep(0.001)
    number = draw.choice(SIGNALS)
    if not child.running():
        return None
    os.kill(child.pid, number)
    return int(number)
