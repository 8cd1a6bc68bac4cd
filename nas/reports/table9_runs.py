"""The run folders of a Table 9, read into rows and remarks.

They are ``SPACE-seedN/search`` and ``/retrain`` for DARTS, ``SPACE-METHOD-seedN/…`` for other methods, and
``SPACE-random-seedN/retrain`` with the drawn cell in ``SPACE-random-seedN/genotype.yaml``.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.run_files import CONFIG, GENOTYPE
from nas.graph.operator_style import super_operators
from nas.graph.zoo import load_genotype
from nas.reports.run_folder import (
    epochs_done,
    images_per_second,
    is_finished,
    read_config,
    read_overrides,
    read_result,
    read_sessions,
)
from nas.reports.table9 import PAPER, RANDOM, Table9Row, csv_table, markdown_table
from nas.reports.table9_plot import plot_table9
from nas.storage.atomic_files import write_file

SEARCH, RETRAIN = "search", "retrain"
_STAGES = {SEARCH: "search", RETRAIN: "retraining"}
_RUN_SETTINGS = ("seed", "space", "method", "cell", "run.dir", "resume")  # they differ between the runs of a table
_NOTE = "Errors are those of the last epoch. The paper's figures: CIFAR-10, 36 channels, 20 cells, 600 epochs."


@dataclass(frozen=True)
class Table9Entry:
    """The started runs of one seed of a space, or of a given cell, which has no search."""

    name: str
    seed: int
    folder: Path

    @property
    def searched(self) -> bool:
        """Whether its cell was found by a search."""
        return (self.folder / SEARCH / CONFIG).is_file()

    @property
    def drawn(self) -> bool:
        """Whether its cell is a random one."""
        return self.name.endswith(f"-{RANDOM}") and (self.folder / GENOTYPE).is_file()

    @property
    def given_cell(self) -> bool:
        """Whether its cell was given, neither searched nor drawn."""
        return not (self.searched or self.drawn)

    @cached_property
    def method(self) -> str:
        """The method of the search, or ``random``."""
        return str(read_config(self.folder / SEARCH).get("method", "darts")) if self.searched else RANDOM

    @property
    def space(self) -> str:
        """The space of a found or random cell, or the name of a given one."""
        return self.name if self.given_cell else self.name.removesuffix(f"-{self.method}")

    @property
    def runs(self) -> list[Path]:
        """The folders of its search and its retraining, if started."""
        return [self.folder / stage for stage in _STAGES if (self.folder / stage / CONFIG).is_file()]

    @property
    def finished(self) -> bool:
        """Whether all its runs have finished, retraining included."""
        return all(map(is_finished, self.runs)) and (self.folder / RETRAIN) in self.runs


def entry_folder(folder: Path, name: str, seed: int) -> Path:
    """Return the folder for the runs of a space, or of a given cell, and a seed."""
    component = re.sub(r"[^\w.+-]+", "_", name)  # the name can be a path
    return folder / f"{component}-seed{seed}"


def read_entries(folder: Path) -> list[Table9Entry]:
    """Read all started runs in ``folder``: the paper's spaces first, given cells last, sorted by method and seed."""
    entries = []
    for path in {path.parents[1] for stage in _STAGES for path in folder.glob(f"*-seed*/{stage}/{CONFIG}")}:
        if match := re.fullmatch(r"(.+)-seed(\d+)", path.name):
            entries.append(Table9Entry(match[1], int(match[2]), path))
    return sorted(entries, key=lambda e: _order(e.given_cell, e.space, e.method, e.seed))


def _order(given_cell: bool, space: str, method: str, seed: int) -> tuple[Any, ...]:
    spaces = list(PAPER)
    place = spaces.index(space) if space in spaces else len(spaces)
    return given_cell, place, space, method == RANDOM, method != "darts", method, seed


def read_row(entry: Table9Entry) -> Table9Row:
    """Return the row of a finished entry; values missing from its results are None."""
    search, retrain = entry.folder / SEARCH, entry.folder / RETRAIN
    searched = read_result(search) if entry.searched else {}
    trained = read_result(retrain)
    cell = load_genotype(retrain / GENOTYPE) if (retrain / GENOTYPE).is_file() else None
    operators = [] if cell is None else [name for kind in cell.kinds for name, _ in cell.edges(kind)]
    try:
        return Table9Row(
            _title(entry),
            entry.seed,
            test_error=100 * (1 - float(trained["test_accuracy"])),
            params=trained.get("params"),
            macs=trained.get("macs"),
            search_seconds=searched.get("seconds"),
            search_images_per_second=images_per_second(search),
            retrain_seconds=trained.get("seconds"),
            retrain_images_per_second=images_per_second(retrain),
            given_cell=entry.given_cell,
            method="" if entry.given_cell else entry.method,
            super_operators=len(super_operators(operators)) if operators else None,
            edges=len(operators) or None,
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{retrain}: not the result of a finished retraining") from problem


def write_table(folder: Path, output: Path, remarks: Sequence[str], others: Sequence[Table9Row] = ()) -> None:
    """Write ``table9.md``, ``.csv`` and ``.svg`` of all finished entries in ``folder`` into ``output``.

    ``others`` are rows of entries that ``folder`` does not hold. Below the table follow ``remarks``, the settings and
    environments of the runs, and the unfinished entries.
    """
    entries = read_entries(folder)
    read = [read_row(entry) for entry in entries if entry.finished]
    known = {(row.title, row.seed) for row in read}
    rows = [*read, *(row for row in others if (row.title, row.seed) not in known)]
    rows.sort(key=lambda row: _order(row.given_cell, row.space, row.method, row.seed))
    if not rows:
        progress = " ".join(unfinished_remarks(entries)) or "No run was started."
        raise InputError(f"{folder}: no entry of the table has finished. {progress}")
    all_remarks = [*remarks, *provenance_remarks(entries), _NOTE, *unfinished_remarks(entries)]
    write_file(output / "table9.csv", csv_table(rows).encode())
    write_file(output / "table9.md", markdown_table(rows, all_remarks).encode())
    write_file(output / "table9.svg", plot_table9(rows))


def provenance_remarks(entries: Iterable[Table9Entry]) -> list[str]:
    """Return remarks on settings, commits and machines of the runs; if runs differ, all values are listed."""
    runs = [run for entry in entries for run in entry.runs]
    remarks = []
    for stage, word in _STAGES.items():
        overrides = [read_overrides(run) for run in runs if run.name == stage]
        lines = {" ".join(f"{k}={v}" for k, v in each.items() if k not in _RUN_SETTINGS) for each in overrides}
        if lines:
            remarks.append(f"Settings of each {word}: {', or '.join(f'`{line}`' for line in sorted(lines))}.")
    sessions = [session for run in runs for session in read_sessions(run)]
    if sessions:
        dates = sorted(str(session.get("date")) for session in sessions)
        versions = f"commit {_values(sessions, 'git_commit')}, torch {_values(sessions, 'torch')}"
        hardware = _values([{"on": session.get("gpu") or session.get("processor")} for session in sessions], "on")
        threads = f"threads: {_values(sessions, 'threads')}"
        remarks.append(f"Started {dates[0]} to {dates[-1]}, {versions}, {hardware}, {threads}.")
    return remarks


def used_presets(entries: Iterable[Table9Entry]) -> set[str]:
    """Return the presets that the runs were started with."""
    overrides = [read_overrides(run) for entry in entries for run in entry.runs]
    return {each["preset"] for each in overrides if "preset" in each}


def unfinished_remarks(entries: Iterable[Table9Entry]) -> list[str]:
    """Return one remark that names the unfinished entries and their progress; an empty list if there are none."""
    names = [f"{entry.name} seed {entry.seed} ({_progress(entry)})" for entry in entries if not entry.finished]
    return [f"Started but not finished, so not in the table: {', '.join(names)}."] if names else []


def _progress(entry: Table9Entry) -> str:
    last = entry.runs[-1]
    if is_finished(last):
        return f"{_STAGES[last.name]} finished, retraining not started"
    return f"{_STAGES[last.name]}, {epochs_done(last)} of {read_config(last).get('epochs')} epochs"


def _title(entry: Table9Entry) -> str:
    if not entry.given_cell:
        return entry.space
    genotype = entry.folder / RETRAIN / GENOTYPE
    published = genotype.is_file() and load_genotype(genotype).origin.published_as
    return f"{entry.name} ({'published' if published else 'given'} cell)"


def _values(sessions: Sequence[dict[str, Any]], key: str) -> str:
    return " and ".join(dict.fromkeys(str(session.get(key)) for session in sessions))
