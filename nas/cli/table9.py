"""``python -m nas table9``: searches, retrainings of the cells found, and their comparison with the paper's Table 9."""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.cli.child_processes import ChildProcesses
from nas.cli.job_pool import process_words
from nas.core.errors import InputError
from nas.core.run_files import GENOTYPE
from nas.core.run_names import with_method
from nas.core.seeding import derive_seed
from nas.core.shell_quoting import quote_command, quote_value
from nas.core.terminal import print_lines
from nas.graph.genotype_yaml import save_genotype
from nas.graph.random_cell import random_genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import load_genotype
from nas.ops.registry import load_space
from nas.reports.alpha_evolution_plot import plot_alpha_evolution
from nas.reports.found_cells import describe_searches, read_finished_search
from nas.reports.run_folder import is_finished
from nas.reports.table9 import RANDOM, read_csv_table
from nas.reports.table9_runs import (
    RETRAIN,
    SEARCH,
    Table9Entry,
    entry_folder,
    read_entries,
    used_presets,
    write_table,
)
from nas.storage.atomic_files import make_folders, write_file

_PRESETS = {
    "paper": "The paper's settings.",
    "table9_gpu": "The paper's search, and a tenth of its retraining epochs (preset fast).",
    "table9_cpu": "Under three hours on two CPU cores, by a protocol fixed in advance; far from the paper's settings.",
    "quick": "A small run, far from the paper's settings: it shows that the pipeline works, not which space is best.",
}


@dataclass(frozen=True)
class Table9Plan:
    """Contents of the table: spaces, methods, random and given cells, seeds, a preset, and settings for the commands.

    ``random`` cells are drawn from each space. ``collect`` runs nothing; the table is then written to ``output``, with
    plots and descriptions of the searches, and has the rows of ``add``, a ``table9.csv`` from elsewhere, too.
    """

    folder: Path
    spaces: Sequence[str]
    seeds: Sequence[int]
    preset: str
    both: Sequence[str] = ()
    search: Sequence[str] = ()
    retrain: Sequence[str] = ()
    cells: Sequence[str] = ()
    methods: Sequence[str] = ("darts",)
    random: int = 0
    add: Path | None = None
    collect: bool = False
    output: Path | None = None

    @property
    def search_preset(self) -> str:
        """The search preset that goes with ``preset``."""
        return "cifar10" if self.preset == "paper" else self.preset


def make_table9(plan: Table9Plan) -> None:
    """Make the missing runs of the table, one at a time, and write it; finished runs are not repeated.

    Every run has its own folder and resumes from its checkpoint if it was stopped. The table is rewritten after each
    row with all finished rows in the folder, so that several processes can share it, each with its own seeds.
    """
    if plan.preset not in _PRESETS:
        raise InputError(f"--preset {plan.preset}: must be {' or '.join(_PRESETS)}")
    if plan.output is not None and not plan.collect:
        raise InputError(f"--output {plan.output}: needs --collect; without it the table is written to --folder")
    if plan.add is not None and not plan.collect:
        raise InputError(f"--add {plan.add}: needs --collect")
    if plan.random < 0:
        raise InputError(f"--random {plan.random}: must be 0 or more")
    if RANDOM in plan.methods:
        raise InputError("--methods random: retrain random cells with --random 4 instead")
    if not (plan.collect or plan.spaces or plan.cells):
        raise InputError("--spaces: is empty; name a space, or give the --cells to retrain")
    if others := used_presets(read_entries(plan.folder)) - {plan.preset, plan.search_preset}:
        raise InputError(f"{plan.folder}: holds runs of preset {', '.join(sorted(others))}, not {plan.preset}")
    output = plan.output or plan.folder
    if plan.collect:
        write_table(plan.folder, output, _remarks(plan), read_csv_table(plan.add) if plan.add else ())
        _write_searches(read_entries(plan.folder), output)
    else:
        _make_all(plan)
    print_lines(*(output / "table9.md").read_text(encoding="utf-8").split("\n"))


def _make_all(plan: Table9Plan) -> None:
    cells = {load_genotype(cell).name: cell for cell in plan.cells}  # an unknown cell raises now
    for seed in plan.seeds:
        for space in plan.spaces:
            for method in plan.methods:
                folder = entry_folder(plan.folder, with_method(space, method), seed)
                search, chosen = folder / SEARCH, [] if method == "darts" else [f"method={method}"]
                words = [f"space={space}", *chosen, f"preset={plan.search_preset}", f"seed={seed}"]
                _run_missing("search", search, [*words, *plan.both, *plan.search])
                _retrain(plan, folder, str(search / GENOTYPE), seed)
        for name, cell in cells.items():
            _retrain(plan, entry_folder(plan.folder, name, seed), cell, seed)
    for seed in range(plan.random):
        for space in plan.spaces:
            folder = entry_folder(plan.folder, with_method(space, RANDOM), seed)
            _retrain(plan, folder, str(_drawn_cell(space, seed, folder)), seed)


def _drawn_cell(space: str, seed: int, folder: Path) -> Path:
    """Return the file in ``folder`` of the random cell of ``space`` and ``seed``, always the same one."""
    path = folder / GENOTYPE
    drawn = random_genotype(load_space(space), random.Random(derive_seed(seed, "table9", space)))
    if not path.is_file():
        make_folders(folder)
        save_genotype(drawn, path)
    elif format_tuple_notation(load_genotype(path)) != format_tuple_notation(drawn):
        raise InputError(f"{path}: is not the random cell of seed {seed}; give another --folder")
    return path


def _retrain(plan: Table9Plan, folder: Path, cell: str, seed: int) -> None:
    settings = [f"preset={plan.preset}", f"seed={seed}", *plan.both, *plan.retrain]
    _run_missing("retrain", folder / RETRAIN, [f"cell={quote_value(cell)}", *settings])
    write_table(plan.folder, plan.folder, _remarks(plan))


def _run_missing(command: str, folder: Path, overrides: Sequence[str]) -> None:
    """Run or resume ``search`` or ``retrain`` in ``folder``, unless it has finished."""
    if is_finished(folder):
        print_lines(f"{folder}: already finished", flush=True)
        return
    print_lines(f"{folder}: {command} {quote_command(overrides)}", flush=True)
    words = process_words(command, [*overrides, f"run.dir={quote_value(folder)}", "resume=true"])
    with ChildProcesses() as processes:
        status, _ = processes.run(words)
    if status != 0:
        raise InputError(f"{folder}: {command} failed with exit code {status}; see its message above")
    if not is_finished(folder):
        raise InputError(f"{folder}: {command} stopped early; repeat the same command to resume it")


def _write_searches(entries: Sequence[Table9Entry], output: Path) -> None:
    """Plot the finished searches' strengths over the epochs, and describe the cells found."""
    runs = [entry.folder / SEARCH for entry in entries if entry.searched]
    finished = [run for run in runs if is_finished(run)]
    if finished:
        searches = [read_finished_search(run) for run in finished]
        write_file(output / "evolution.svg", plot_alpha_evolution([search.evolution for search in searches]))
        write_file(output / "search.md", describe_searches(searches).encode())


def _remarks(plan: Table9Plan) -> list[str]:
    return [_PRESETS[plan.preset], f"Written by `python -m nas {quote_command(sys.argv[1:])}`."]
