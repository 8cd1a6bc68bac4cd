"""``nas select``: a ranking of cells by short trainings, as DARTS chooses among its searches (section 3.1).

The trainings are runs of ``retrain`` in ``FOLDER/CELL/seedN``, so each resumes by itself; ``FOLDER/selection.json``
records what all of them have in common, and a call that differs in it is refused.
"""

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.cli.job_pool import PoolJob, run_jobs
from nas.cli.messages import data_overrides
from nas.cli.program import program_words
from nas.cli.resume_checks import require_repeated, settings_to_repeat
from nas.core.dataclass_config import build
from nas.core.errors import InputError
from nas.core.formatting import format_plural, format_value
from nas.core.json_text import format_json
from nas.core.run_files import GENOTYPE
from nas.core.seeding import derive_seed
from nas.core.shell_quoting import quote_command, quote_value
from nas.core.terminal import print_lines
from nas.data import DataSettings
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.graph.random_cell import random_genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import load_genotype
from nas.ops.registry import load_space, load_user_operators
from nas.reports.run_folder import is_finished, read_config, read_result
from nas.reports.selection import Candidate, describe_ranking, rank_candidates
from nas.storage.atomic_files import make_folders, write_file
from nas.storage.json_file import read_json

_RECORD = "selection.json"
_RANDOM = "random-"
_FIXED = ("cell", "seed", "run.dir", "resume", "eval", "init")


@dataclass(frozen=True)
class Selection:
    """Searches whose cells are trained with each of ``seeds``, ``random`` cells of their space, and how."""

    runs: Sequence[Path]
    random: int = 4
    seeds: Sequence[int] = (0,)
    folder: Path = Path("runs/select")
    jobs: int | None = None
    settings: Sequence[str] = ()
    output: Path | None = None

    def __post_init__(self) -> None:
        if not self.runs:
            raise InputError("RUN: none is given; must be the folders of searches")
        for name, value, least in (("random", self.random, 0), ("jobs", self.jobs, 1)):
            if value is not None and value < least:
                raise InputError(f"--{name} {value}: must be {least} or more")
        for word in self.settings:
            if "=" not in word or word.partition("=")[0] in _FIXED:
                raise InputError(f"--set {format_value(word)}: must be KEY=VALUE, with none of {', '.join(_FIXED)}")
            if word == "data.holdout=null":
                raise InputError(f"--set {word}: would choose on the test images; must be a number, such as 0.2")
        for option, values in (("RUN", [str(run.resolve()) for run in self.runs]), ("--seeds", list(self.seeds))):
            if len(set(values)) < len(values):
                raise InputError(f"{option}: one is given twice: {' '.join(map(str, values))}")


def select_cells(
    runs: Sequence[str | Path],
    *,
    random: int = 4,
    seeds: Sequence[int] = (0,),
    folder: str | Path = "runs/select",
    jobs: int | None = None,
    settings: Sequence[str] = (),
) -> list[Candidate]:
    """Rank the cells of searches by short trainings, ``random`` ones beside them: ``nas select`` from Python.

    ``runs`` are folders of searches, ``seeds`` those of the trainings of each cell, ``settings`` what they have in
    common (``("epochs=100", "channels=36")``), ``jobs`` how many run side by side, in processes of their own (None: one
    for each core). Trainings that have finished in ``folder`` are not repeated. Returns the candidates, the best first,
    with ``name``, ``accuracies`` (0..1, of each seed), ``accuracy`` with its interval, ``params`` and ``macs``. Prints
    what the command prints. Raises :class:`InputError`.
    """
    paths = [Path(run) for run in runs]
    return make_selection(Selection(paths, random, tuple(seeds), Path(folder), jobs, tuple(settings)))


def make_selection(selection: Selection) -> list[Candidate]:
    """Make the missing trainings, print the ranking of the cells, and return it; ``output`` gets it as Markdown."""
    configs = [read_config(run) for run in selection.runs]
    settings = _common_settings(selection, configs)
    cells = _cells(selection, configs[0])
    _record(selection.folder, settings, cells)
    folders = [selection.folder / name for name in cells]
    jobs = [_training(folder, seed, settings) for folder in folders for seed in selection.seeds]
    jobs = [job for job in jobs if not is_finished(selection.folder / job.name)]
    if jobs:
        print_lines(
            f"{format_plural(len(jobs), 'training')} in {selection.folder}: {quote_command(settings)}", flush=True
        )
        side_by_side = min(selection.jobs or os.cpu_count() or 1, len(jobs))
        run_jobs(jobs, side_by_side, lambda job: _held_out_accuracy(selection.folder / job.name))
        if left := [job.name for job in jobs if not is_finished(selection.folder / job.name)]:
            raise InputError(f"{len(left)} of {len(jobs)} trainings are not finished; the same command continues these")
    candidates = [_candidate(folder, selection.seeds) for folder in folders]
    text = describe_ranking(candidates)
    print_lines(*text.rstrip("\n").split("\n"))
    if selection.output is not None:
        write_file(selection.output, text.encode())
    ranked = rank_candidates(candidates)
    best = selection.folder / ranked[0].name / GENOTYPE
    same = [word for word in settings if word.startswith(("data=", "data.root=", "ops="))]
    again = quote_command([*program_words("retrain"), f"cell={quote_value(best)}", *same])
    print_lines("", f"the first of {len(cells)} is flattered by chance; train it anew: {again}")
    return ranked


def _common_settings(selection: Selection, configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the settings of every training: the preset, the data of the searches, and what was given."""
    given = {word.partition("=")[0] for word in selection.settings}
    for run, config in zip(selection.runs, configs, strict=True):
        require_repeated(run, settings_to_repeat(config), selection.settings)
        spaces = [word for word in selection.settings if word.startswith("space=")]
        if spaces and spaces[-1] != f"space={quote_value(config['space'])}":
            raise InputError(f"--set {spaces[-1]}: {run} searched space={config['space']}")
        for key in ("space", "data"):
            if config.get(key) != configs[0].get(key):
                raise InputError(f"{run}: its {key} is not that of {selection.runs[0]}; select among equal ones")
    data = [] if "data" in given else data_overrides(build(DataSettings, dict(configs[0]["data"]), "data."))
    kept = [word for word in data if word.partition("=")[0] not in given]
    kept += (
        [] if any(word.startswith("data.holdout=") for word in (*kept, *selection.settings)) else ["data.holdout=0.2"]
    )
    own = [word for word in selection.settings if not word.startswith("space=")]  # retrain has no such setting
    return [*([] if "preset" in given else ["preset=short"]), *kept, *own]


def _cells(selection: Selection, config: Mapping[str, Any]) -> dict[str, Genotype]:
    """Return the cells by the names of their folders: those of the runs, then the random ones."""
    for word in selection.settings:
        if word.startswith("ops="):
            load_user_operators(word.partition("=")[2])
    cells: dict[str, Genotype] = {}
    for run in selection.runs:
        name = run.resolve().name
        if name in cells or name.startswith(_RANDOM):
            raise InputError(f"{run}: another cell is called {name}, too; rename the run folder")
        cells[name] = load_genotype(run / GENOTYPE)
    if selection.random:
        space = load_space(config["space"])
        for number in range(selection.random):
            cells[f"{_RANDOM}{number}"] = random_genotype(space, random.Random(derive_seed(0, "select", number)))
    return cells


def _record(folder: Path, settings: Sequence[str], cells: Mapping[str, Genotype]) -> None:
    """Record settings and cells in ``folder``; raise :class:`InputError` if it holds trainings of others."""
    path = folder / _RECORD
    known = read_json(path) if path.is_file() else {"settings": list(settings), "cells": {}}
    notations = {name: format_tuple_notation(genotype) for name, genotype in cells.items()}
    if not isinstance(known, dict) or not isinstance(known.get("cells"), dict) or "settings" not in known:
        raise InputError(f"{path}: is not a record of nas select; give another --folder")
    if known["settings"] != list(settings):
        raise InputError(f"{folder}: its trainings have {format_value(known['settings'])}; give another --folder")
    for name, notation in notations.items():
        if known["cells"].get(name, notation) != notation:
            raise InputError(f"{folder}: {name} is another cell there; give another --folder")
    make_folders(folder)
    write_file(path, format_json({"settings": list(settings), "cells": {**known["cells"], **notations}}).encode())
    for name, genotype in cells.items():
        make_folders(folder / name)
        save_genotype(genotype, folder / name / GENOTYPE)


def _training(cell: Path, seed: int, settings: Sequence[str]) -> PoolJob:
    folder = cell / f"seed{seed}"
    own = [f"cell={quote_value(cell / GENOTYPE)}", f"seed={seed}", f"run.dir={quote_value(folder)}", "resume=true"]
    return PoolJob(f"{cell.name}/{folder.name}", "retrain", (*settings, *own))


def _held_out_accuracy(folder: Path) -> str:
    return f"held-out accuracy {read_result(folder)['test_accuracy']:.2%}" if is_finished(folder) else "stopped early"


def _candidate(cell: Path, seeds: Sequence[int]) -> Candidate:
    results = [read_result(cell / f"seed{seed}") for seed in seeds]
    known = [result.get("test_accuracy") for result in results]
    accuracies = tuple(float(accuracy) for accuracy in known if accuracy is not None)
    if len(accuracies) < len(known):
        raise InputError(f"{cell}: its trainings have no accuracy; nas select ranks classifiers with held-out images")
    first = results[0]
    drawn = cell.name.startswith(_RANDOM)
    return Candidate(cell.name, accuracies, first["test_images"], drawn, first["params"], first["macs"])
