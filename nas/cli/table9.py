"""``python -m nas table9``: search the spaces, retrain what is found, and set the figures beside the paper's."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.core.environment import environment
from nas.core.errors import InputError
from nas.engine.report import RESULT
from nas.engine.search_record import GENOTYPE
from nas.engine.table9 import PAPER, Row, read_row, write_table

SPACES = tuple(PAPER)
SCALES = {
    "paper": "The paper's settings.",
    "table9_gpu": "The paper's search, and a tenth of the epochs of its retraining (preset fast).",
    "table9_cpu": "About two hours on two CPU cores, by a protocol fixed beforehand: far from the paper's settings.",
    "quick": "A run at small scale, far from the paper's settings: it shows that the way works, not which space wins.",
}


@dataclass(frozen=True)
class Plan:
    """What the table is made of: spaces and seeds, a preset, and further settings (key=value) of both commands."""

    folder: Path
    spaces: Sequence[str]
    seeds: Sequence[int]
    preset: str
    both: Sequence[str] = ()
    search: Sequence[str] = ()
    retrain: Sequence[str] = ()


def table9(plan: Plan) -> None:
    """Make what is missing of the table, one run after the other, and write it; what is finished is not run again.

    Every run has a folder of its own, from which it goes on where it was stopped. The table is written anew after
    each row.
    """
    if plan.preset not in SCALES:
        raise InputError(f"preset {plan.preset}: must be {' or '.join(SCALES)}")
    search_preset = "cifar10" if plan.preset == "paper" else plan.preset  # what the search calls the paper's settings
    rows: list[Row] = []
    for seed in plan.seeds:
        for space in plan.spaces:
            folder = plan.folder / f"{space}-seed{seed}"
            search, retrain = folder / "search", folder / "retrain"
            common = [f"seed={seed}", *plan.both]
            _make("search", search, [f"space={space}", f"preset={search_preset}", *common, *plan.search])
            cell = f'cell="{search / GENOTYPE}"'
            _make("retrain", retrain, [cell, f"preset={plan.preset}", *common, *plan.retrain])
            rows.append(read_row(space, seed, search / RESULT, retrain / RESULT))
            write_table(rows, _remarks(plan), plan.folder)
    print((plan.folder / "table9.md").read_text(encoding="utf-8"))


def _make(command: str, folder: Path, overrides: Sequence[str]) -> None:
    """Run ``search`` or ``retrain`` in ``folder`` unless its result is there; it goes on from its checkpoint."""
    if (folder / RESULT).exists():
        print(f"{folder}: done before", flush=True)
        return
    print(f"{folder}: {command} {' '.join(overrides)}", flush=True)
    program = f"from nas.cli.{command} import main; main()"
    words = [sys.executable, "-c", program, *overrides, f'run.dir="{folder}"', "resume=true"]
    status = subprocess.run(words, stdout=subprocess.DEVNULL).returncode
    if status != 0:
        raise InputError(f"{folder}: {command} left with exit code {status}, its message stands above")
    if not (folder / RESULT).exists():
        raise InputError(f"{folder}: {command} stopped before its end; the same command goes on from there")


def _remarks(plan: Plan) -> list[str]:
    known = environment()
    return [
        SCALES[plan.preset],
        f"Made with `python -m nas {shlex.join(sys.argv[1:])}`.",
        f"{known['date']}, commit {known['git_commit']}, torch {known['torch']}, {known['gpu'] or known['processor']}.",
        "Errors are those of the last epoch. The paper's figures: CIFAR-10, 36 channels, 20 cells, 600 epochs.",
    ]
