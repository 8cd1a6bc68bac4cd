"""The folder of a Table 9: ``<space>-seed<seed>/search`` and ``/retrain``, what of it is finished, and what is not."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.run_files import CONFIG, GENOTYPE
from nas.graph.zoo import load_genotype
from nas.reports.run_folder import (
    epochs_done,
    images_per_second,
    is_finished,
    read_config,
    read_result,
    read_sessions,
    settings_given,
)
from nas.reports.table9 import PAPER, Table9Row, csv_table, markdown_table
from nas.reports.table9_plot import plot_table9
from nas.storage.atomic_files import write_file

SEARCH, RETRAIN = "search", "retrain"
STAGES = {SEARCH: "search", RETRAIN: "retraining"}
OF_ONE_RUN = ("seed", "space", "cell", "run.dir", "resume")  # settings in which the runs of a table differ
ABOUT = "Errors are those of the last epoch. The paper's figures: CIFAR-10, 36 channels, 20 cells, 600 epochs."


@dataclass(frozen=True)
class Table9Entry:
    """One seed of one space, or of a given cell, which has no search: what was begun of it."""

    name: str
    seed: int
    folder: Path

    @property
    def given_cell(self) -> bool:
        """Whether the cell was given, and is only retrained."""
        return not (self.folder / SEARCH / CONFIG).is_file()

    @property
    def runs(self) -> list[Path]:
        """The folders of its search and its retraining, as far as they were begun."""
        return [self.folder / stage for stage in STAGES if (self.folder / stage / CONFIG).is_file()]

    @property
    def finished(self) -> bool:
        """Whether there is a row to be made of it."""
        return all(map(is_finished, self.runs)) and (self.folder / RETRAIN) in self.runs


def entry_folder(folder: Path, name: str, seed: int) -> Path:
    """Where the runs of a space, or of a given cell, and a seed lie."""
    word = re.sub(r"[^\w.+-]+", "_", name)  # of a path, too, one folder
    return folder / f"{word}-seed{seed}"


def read_entries(folder: Path) -> list[Table9Entry]:
    """All that was begun in ``folder``, whoever began it: the paper's spaces first, given cells last, by seed."""
    found = []
    for path in {path.parents[1] for stage in STAGES for path in folder.glob(f"*-seed*/{stage}/{CONFIG}")}:
        if match := re.fullmatch(r"(.+)-seed(\d+)", path.name):
            found.append(Table9Entry(match[1], int(match[2]), path))
    order = {space: place for place, space in enumerate(PAPER)}
    return sorted(found, key=lambda one: (one.given_cell, order.get(one.name, len(order)), one.name, one.seed))


def read_row(entry: Table9Entry) -> Table9Row:
    """The row that the results of a search and of its cell's retraining make; what they do not tell stays None."""
    search, retrain = entry.folder / SEARCH, entry.folder / RETRAIN
    found = {} if entry.given_cell else read_result(search)
    trained = read_result(retrain)
    try:
        return Table9Row(
            _title(entry),
            entry.seed,
            test_error=100 * (1 - float(trained["test_accuracy"])),
            params=trained.get("params"),
            macs=trained.get("macs"),
            search_seconds=found.get("seconds"),
            search_images_per_second=images_per_second(search),
            retrain_seconds=trained.get("seconds"),
            retrain_images_per_second=images_per_second(retrain),
            given_cell=entry.given_cell,
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{retrain}: not the result of a finished retraining") from problem


def write_table(folder: Path, output: Path, remarks: Sequence[str]) -> None:
    """Write ``table9.md``, ``.csv`` and ``.svg`` of all that is finished in ``folder`` into ``output``.

    ``remarks`` stand below the table, and with them how the runs were made and which are not finished.
    """
    entries = read_entries(folder)
    rows = [read_row(entry) for entry in entries if entry.finished]
    if not rows:
        raise InputError(f"{folder}: nothing is finished there; {' '.join(unfinished(entries)) or 'nothing was begun'}")
    said = [*remarks, *made_with(entries), ABOUT, *unfinished(entries)]
    write_file(output / "table9.csv", csv_table(rows).encode())
    write_file(output / "table9.md", markdown_table(rows, said).encode())
    write_file(output / "table9.svg", plot_table9(rows))


def made_with(entries: Iterable[Table9Entry]) -> list[str]:
    """The settings, commits and machines of the runs; where runs differ in one, all of them are named."""
    runs = [run for entry in entries for run in entry.runs]
    remarks = []
    for stage, word in STAGES.items():
        given = [settings_given(run) for run in runs if run.name == stage]
        lines = {" ".join(f"{k}={v}" for k, v in one.items() if k not in OF_ONE_RUN) for one in given}
        if lines:
            remarks.append(f"Settings of each {word}: {' and of others '.join(f'`{line}`' for line in sorted(lines))}.")
    sessions = [loop for run in runs for loop in read_sessions(run)]
    if sessions:
        dates = sorted(str(session.get("date")) for session in sessions)
        known = [f"{word} {_values(sessions, key)}" for key, word in (("git_commit", "commit"), ("torch", "torch"))]
        hardware = _values([{"on": session.get("gpu") or session.get("processor")} for session in sessions], "on")
        threads = f"threads: {_values(sessions, 'threads')}"
        remarks.append(f"Begun {dates[0]} to {dates[-1]}, {', '.join(known)}, {hardware}, {threads}.")
    return remarks


def presets(entries: Iterable[Table9Entry]) -> set[str]:
    """The presets that the runs were begun with."""
    given = [settings_given(run) for entry in entries for run in entry.runs]
    return {one["preset"] for one in given if "preset" in one}


def unfinished(entries: Iterable[Table9Entry]) -> list[str]:
    """One remark that names what was begun and is in no row, with the epoch it reached; empty where nothing is."""
    names = [f"{entry.name} seed {entry.seed} ({_progress(entry)})" for entry in entries if not entry.finished]
    return [f"Begun, not finished, and in no row: {', '.join(names)}."] if names else []


def _progress(entry: Table9Entry) -> str:
    last = entry.runs[-1]
    if is_finished(last):
        return f"{STAGES[last.name]} finished, retraining not begun"
    return f"{STAGES[last.name]}, {epochs_done(last)} of {read_config(last).get('epochs')} epochs"


def _title(entry: Table9Entry) -> str:
    if not entry.given_cell:
        return entry.name
    genotype = entry.folder / RETRAIN / GENOTYPE
    published = genotype.is_file() and load_genotype(genotype).origin.published_as
    return f"{entry.name} ({'published' if published else 'given'} cell)"


def _values(sessions: Sequence[dict[str, Any]], key: str) -> str:
    return " and ".join(dict.fromkeys(str(session.get(key)) for session in sessions))
