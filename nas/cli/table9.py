"""``python -m nas table9``: search the spaces, retrain what is found, and set the figures beside the paper's."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.core.errors import InputError
from nas.core.run_files import GENOTYPE, RESULT
from nas.core.shell_quoting import quote_value
from nas.graph.zoo import load_genotype
from nas.reports.alpha_evolution_plot import plot_alpha_evolution
from nas.reports.found_cells import describe_searches, read_finished_search
from nas.reports.run_folder import is_finished
from nas.reports.table9_runs import RETRAIN, SEARCH, Table9Entry, entry_folder, read_entries, used_presets, write_table
from nas.storage.atomic_files import write_file

SCALES = {
    "paper": "The paper's settings.",
    "table9_gpu": "The paper's search, and a tenth of the epochs of its retraining (preset fast).",
    "table9_cpu": "Under three hours on two CPU cores, by a protocol fixed beforehand: far from the paper's settings.",
    "quick": "A run at small scale, far from the paper's settings: it shows that the way works, not which space wins.",
}


@dataclass(frozen=True)
class Plan:
    """What the table is made of: spaces, given cells and seeds, a preset, and settings (key=value) of the commands.

    ``collect`` runs nothing; the table then goes to ``output``, with the drawings and figures of the searches.
    """

    folder: Path
    spaces: Sequence[str]
    seeds: Sequence[int]
    preset: str
    both: Sequence[str] = ()
    search: Sequence[str] = ()
    retrain: Sequence[str] = ()
    cells: Sequence[str] = ()
    collect: bool = False
    output: Path | None = None

    @property
    def search_preset(self) -> str:
        """What the search calls the preset."""
        return "cifar10" if self.preset == "paper" else self.preset


def table9(plan: Plan) -> None:
    """Make what is missing of the table, one run after the other, and write it; what is finished is not run again.

    Every run has a folder of its own, from which it goes on where it was stopped. The table is written anew after
    each row, with all rows that are finished in the folder: several processes may share it, each with its own seeds.
    """
    if plan.preset not in SCALES:
        raise InputError(f"preset {plan.preset}: must be {' or '.join(SCALES)}")
    if plan.output is not None and not plan.collect:
        raise InputError(f"--output {plan.output}: goes with --collect; runs write their table into --folder")
    if not (plan.collect or plan.spaces or plan.cells):
        raise InputError("--spaces: without one, say which --cells are retrained")
    if others := used_presets(read_entries(plan.folder)) - {plan.preset, plan.search_preset}:
        raise InputError(f"{plan.folder}: holds runs of preset {', '.join(sorted(others))}, not {plan.preset}")
    output = plan.output or plan.folder
    if plan.collect:
        write_table(plan.folder, output, _remarks(plan))
        _write_searches(read_entries(plan.folder), output)
    else:
        _make_all(plan)
    print((output / "table9.md").read_text(encoding="utf-8"))


def _make_all(plan: Plan) -> None:
    cells = {load_genotype(cell).name: cell for cell in plan.cells}  # a cell that is not there is said now
    for seed in plan.seeds:
        for space in plan.spaces:
            folder = entry_folder(plan.folder, space, seed)
            search, common = folder / SEARCH, [f"seed={seed}", *plan.both]
            _make("search", search, [f"space={space}", f"preset={plan.search_preset}", *common, *plan.search])
            _retrain(plan, folder, str(search / GENOTYPE), seed)
        for name, cell in cells.items():
            _retrain(plan, entry_folder(plan.folder, name, seed), cell, seed)


def _retrain(plan: Plan, folder: Path, cell: str, seed: int) -> None:
    settings = [f"preset={plan.preset}", f"seed={seed}", *plan.both, *plan.retrain]
    _make("retrain", folder / RETRAIN, [f"cell={quote_value(cell)}", *settings])
    write_table(plan.folder, plan.folder, _remarks(plan))


def _make(command: str, folder: Path, overrides: Sequence[str]) -> None:
    """Run ``search`` or ``retrain`` in ``folder`` unless its result is there; it goes on from its checkpoint."""
    if is_finished(folder):
        print(f"{folder}: done before", flush=True)
        return
    print(f"{folder}: {command} {shlex.join(overrides)}", flush=True)
    program = f"from nas.cli.{command} import main; main()"
    words = [sys.executable, "-c", program, *overrides, f"run.dir={quote_value(folder)}", "resume=true"]
    status = subprocess.run(words, stdout=subprocess.DEVNULL).returncode
    if status != 0:
        raise InputError(f"{folder}: {command} left with exit code {status}, its message stands above")
    if not (folder / RESULT).exists():
        raise InputError(f"{folder}: {command} stopped before its end; the same command goes on from there")


def _write_searches(entries: Sequence[Table9Entry], output: Path) -> None:
    """Draw the finished searches' strengths over the epochs, and say what they found."""
    ended = [entry.folder / SEARCH for entry in entries if not entry.given_cell and is_finished(entry.folder / SEARCH)]
    if ended:
        searches = [read_finished_search(run) for run in ended]
        write_file(output / "evolution.svg", plot_alpha_evolution([search.evolution for search in searches]))
        write_file(output / "search.md", describe_searches(searches).encode())


def _remarks(plan: Plan) -> list[str]:
    return [SCALES[plan.preset], f"Written by `python -m nas {shlex.join(sys.argv[1:])}`."]
