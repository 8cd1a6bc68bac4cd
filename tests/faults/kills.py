"""Kills: searches and retrainings, killed at random moments and resumed, end with the bits of undisturbed runs."""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.faults.child import Child, command
from tests.faults.outcome import Clock, Part
from tests.faults.same import differences

TINY = ["data=digits", "data.limit=128", "cells=3", "channels=2", "batch_size=16", "threads=1", "device=cpu"]
TINY += ["checkpoint_every=2", "keep_checkpoints=3"]  # steps of 4 (search) and 8 an epoch
SLOW = "second-order search"
RUNS = {
    "search": ("search.py", [*TINY, "space=tiny", "epochs=3"]),
    SLOW: ("search.py", [*TINY, "space=tiny", "epochs=3", "order=2"]),
    "retraining": ("retrain.py", [*TINY, "cell=darts_v2", "epochs=4", "ema=0.9", "drop_path=0.3"]),
}
KINDS = ("moment", "write", "operation")  # any time, at a write seen from outside, before a file operation
TOUCHING = ("open", "os.rename", "os.link", "os.remove", "os.mkdir")  # audit events
MOST = 6  # kills of one run, which then runs to its end
LIMIT = 120.0  # seconds of a child


def kills(name: str, number: int, seed: int, place: Path) -> Part:
    """Kill runs of ``name`` ``number`` times in all; resume each to its end and compare it."""
    part, clock = Part(f"kills of a {name}"), Clock(name, number)
    program, arguments = RUNS[name]
    start = time.monotonic()
    whole = place.parents[1] / "whole" / place.name
    problem = undisturbed(name, whole)
    if problem:
        part.fail(problem)
        return part
    for trial in range(10 * number):
        if part.tried >= number:
            break
        folder = place / f"run{trial}"
        problem = _one_run(random.Random(f"{seed} {name} {trial}"), program, arguments, folder, length(whole), part)
        problem = problem or ", ".join(differences(whole, folder))
        if problem:
            part.fail(f"seed {seed}, {name} {trial}: {problem}; see {folder}")
        else:
            shutil.rmtree(folder)
        clock.show(part.tried, len(part.failures))
    part.seconds = time.monotonic() - start
    return part


def undisturbed(name: str, folder: Path) -> str | None:
    """Run ``name`` to its end in ``folder``, unless it has finished there; return the problem, or None."""
    if (folder / "result.json").exists():
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    program, arguments = RUNS[name]
    log = folder.with_name(f"{folder.name}-log")
    ended = Child(command(program, [*arguments, f"run.dir={folder}"]), folder.parent, log).wait(LIMIT)
    return f"the undisturbed run failed: {ended}" if ended.code else None


def length(folder: Path) -> float:
    """Return the seconds from the first to the last file of a run."""
    return (folder / "result.json").stat().st_mtime - (folder / "config.yaml").stat().st_mtime


def _one_run(
    draw: random.Random, program: str, arguments: list[str], folder: Path, seconds: float, part: Part
) -> str | None:
    """Kill and resume one run to its end; return the problem, or None."""
    log = folder.with_name(f"{folder.name}-log")
    for loop in range(MOST + 1):
        stored = (folder / "config.yaml").exists() and draw.random() < 0.5
        words = [f"resume={folder}"] if stored else [*arguments, f"run.dir={folder}", "resume=true"]
        if stored:
            words.append("threads=1")
        work = command(program, words)
        kind = draw.choice(KINDS) if loop < MOST and draw.random() < 0.85 else None
        if kind == "operation":
            work = _killing_itself(work, folder, draw.randrange(1, 80))
        child = Child(work, folder.parent, log)
        if kind == "moment":
            _kill_at(child, draw.uniform(0, seconds))
        elif kind == "write":
            _kill_at_write(child, folder, draw)
        ended = child.wait(LIMIT)
        if ended.code == 0:
            shutil.rmtree(log)
            return None
        if ended.code != -signal.SIGKILL:
            return f"session {loop}, {words}: exited with {ended.code}: {ended.err[-500:]}"
        part.tried += 1
        part.count(kind or "none")
    return "it did not finish"


def _kill_at(child: Child, seconds: float) -> None:
    end = time.monotonic() + seconds
    while child.running() and time.monotonic() < end:
        time.sleep(0.001)
    child.kill()


def _kill_at_write(child: Child, folder: Path, draw: random.Random) -> None:
    """Kill the child when the n-th temporary file appears, or a moment later."""
    wanted, pause = draw.randrange(1, 16), draw.choice([0.0, draw.uniform(0, 0.003)])
    seen: set[str] = set()
    before = -1
    while child.running():
        names = _temporary(folder)
        if names - seen:
            before += 1
        seen = names
        if before + 1 >= wanted:
            time.sleep(pause)
            child.kill()
            return


def _temporary(folder: Path) -> set[str]:
    try:
        return {f"{entry.name} {entry.inode()}" for entry in os.scandir(folder) if entry.name.endswith(".tmp")}
    except OSError:
        return set()


def _killing_itself(work, folder: Path, count: int):
    """Return ``work`` so that it kills itself before its ``count``-th operation on a file in ``folder``."""
    inside = str(folder)

    def killing() -> None:
        left = count

        def hook(event: str, arguments: tuple) -> None:
            nonlocal left
            if event in TOUCHING and str(arguments[0]).startswith(inside):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()

    return killing
