"""Random bad input: a refusal in one line that names it, or a correct run; no file is changed or lost."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed

from nas.core.errors import InputError
from nas.runtime.metrics_log import read_metrics
from nas.storage.checkpoint import load_checkpoint
from tests.faults import strategies
from tests.faults.child import Child, Ended, command
from tests.faults.outcome import Clock, Part
from tests.faults.strategies import Case

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60.0  # seconds of a case
PROGRESS = ("epoch ", "reading images", "usage: ", "       ", "warning: ")
LONGEST = 2100  # characters of an error


def bad_inputs(number: int, seed: int, place: Path, processes: int) -> list[Part]:
    """Try ``number`` cases in forked children, and ``processes`` more as separate commands."""
    samples = strategies.make_samples(place)
    parts = []
    for name, total, run in (("bad input", number, _forked), ("bad input, by a process", processes, _process)):
        part, clock, start = Part(name), Clock(name, total), time.monotonic()
        for index, case in enumerate(_cases(total, seed, samples)):
            work = place / f"case{index}"
            case.prepare(work)
            before = contents(work)
            problem, note = judge(case, run(case, work), before, work)
            part.tried += 1
            part.count(f"{case.kind} {note}")
            if problem:
                part.fail(f"seed {seed}, {name} {index}: {case.words}: {problem}; see {work}")
            else:
                shutil.rmtree(work)
            clock.show(part.tried, len(part.failures))
        part.seconds = time.monotonic() - start
        parts.append(part)
    return parts


def judge(case: Case, ended: Ended, before: dict[str, bytes], work: Path) -> tuple[str, str]:
    """Return the problem with the end of a case ("" if none), and one word for how it ended."""
    lines = [line for line in ended.err.splitlines() if line.strip() and not line.startswith(PROGRESS)]
    if ended.code is None:
        return f"not finished after {LIMIT:.0f} s", "hung"
    if "Traceback" in ended.err:
        return f"a traceback: {ended.err.strip()[-400:]}", "crashed"
    if ended.code == 0:
        return (f"finished, but printed errors: {lines[:3]}" if lines else _wrong_run(work)), "done"
    if ended.code == 3 and len(lines) == 1 and lines[0].startswith("error: the run diverged in epoch "):
        return "", "diverged"
    if ended.code != 2:
        return f"exit code {ended.code}: {ended.err[-300:]}", "crashed"
    if len(lines) != 1 or not re.match(r"(error: |nas.*: error: )", lines[0]) or len(lines[0]) > LONGEST:
        return f"not one line: {lines[:3]}", "refused"
    if not lines[0].isprintable():
        return f"an error that cannot be printed: {lines[0]!r}", "refused"
    if not any(word in lines[0] for word in case.culprits):
        return f"names none of {case.culprits}: {lines[0]}", "refused"
    changed = dict(before.items() ^ contents(work).items())
    if changed:
        return f"refused, but changed {sorted(changed)}", "refused"
    return "", "refused"


def _wrong_run(work: Path) -> str:
    """Return the problem with the run folders of a finished case ("" if none)."""
    for config in work.rglob("config.yaml"):
        folder = config.parent
        try:
            saved = load_checkpoint(folder / "checkpoint.pt")
        except InputError as error:
            return str(error)
        rows = [row["epoch"] for row in read_metrics(folder / "metrics.jsonl")]
        if rows != list(range(1, saved["epoch"] + 1)):
            return f"{folder}: rows {rows} after {saved['epoch']} epochs"
    return ""


def _cases(number: int, seed: int, samples: Path) -> Iterator[Case]:
    """Yield distinct cases, the same for the same seed; hypothesis may find fewer than ``number``."""
    if not number:
        return
    drawn: list[Case] = []

    @hypothesis_seed(seed)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.cases(samples))
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    yield from drawn[:number]


def _forked(case: Case, work: Path) -> Ended:
    return Child(command(case.program, case.words), work, work.with_name(f"{work.name}-log")).wait(LIMIT)


def _process(case: Case, work: Path) -> Ended:
    program = [str(ROOT / case.program)] if case.program != "nas" else ["-m", "nas"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        ended = subprocess.run(
            [sys.executable, *program, *case.words],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return Ended(None, "", "")
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file except ``environment.json``, to which every session adds a record."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "environment.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
