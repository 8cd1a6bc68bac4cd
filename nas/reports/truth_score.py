"""Scores of searches against a table of true accuracies: each epoch's cell, and all runs of a method together.

The runs of a method are those whose folders' names differ in ``seedN`` alone. Their improvement over random is the
mean accuracy of their last cells less that of all cells of the table, which is what one random cell is worth; its
interval is Student's, over the runs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.run_files import GENOTYPES, METRICS
from nas.graph.zoo import load_genotype
from nas.reports.truth_table import TruthTable
from nas.runtime.metrics_log import read_metrics

_EPOCH_FILE = re.compile(r"epoch-(\d{3,9})\.yaml")


@dataclass(frozen=True)
class ScoredCell:
    """The cell of a search after an epoch: true accuracy in %, rank (1: best), percentile, skips, minutes so far."""

    epoch: int
    accuracy: float
    rank: int
    percentile: float
    skips: int
    edges: int
    minutes: float | None


@dataclass(frozen=True)
class ScoredRun:
    """A search: its cells by epoch, and Kendall's tau between its supernet's ranking of cells and the true one."""

    folder: Path
    curve: tuple[ScoredCell, ...]
    tau: float | None = None

    @property
    def last(self) -> ScoredCell:
        """The cell after the last epoch."""
        return self.curve[-1]

    @property
    def method(self) -> str:
        """The folder's name without ``seedN``."""
        return re.sub(r"[-_]?seed\d+", "", self.folder.resolve().name) or self.folder.name


def score_run(folder: Path, table: TruthTable) -> ScoredRun:
    """Return the scores of the search in ``folder``; raise :class:`InputError` if it has no cells, or unknown ones."""
    epochs = {int(match[1]): path for path in _listed(folder) if (match := _EPOCH_FILE.fullmatch(path.name))}
    if not epochs:
        raise InputError(f"{format_value(folder)}: not the folder of a search of which an epoch has ended")
    rows = {row["epoch"]: row.get("seconds") for row in read_metrics(folder / METRICS)}
    return ScoredRun(folder, tuple(_score(epochs[e], e, table, rows.get(e)) for e in sorted(epochs)))


def group_runs(runs: Sequence[ScoredRun]) -> dict[str, list[ScoredRun]]:
    """Return the runs by method, in order of appearance."""
    groups: dict[str, list[ScoredRun]] = {}
    for run in runs:
        groups.setdefault(run.method, []).append(run)
    return groups


def _listed(folder: Path) -> list[Path]:
    return sorted((folder / GENOTYPES).iterdir()) if (folder / GENOTYPES).is_dir() else []


def _score(path: Path, epoch: int, table: TruthTable, seconds: object) -> ScoredCell:
    cell = load_genotype(path)
    try:
        accuracy = table.accuracy(cell)
    except InputError as error:
        raise InputError(f"{format_value(path)}: {error}") from error
    operators = [operator for kind in cell.kinds for operator, _ in cell.edges(kind)]
    minutes = seconds / 60 if isinstance(seconds, int | float) else None
    counts = operators.count("skip_connect"), len(operators)
    return ScoredCell(epoch, accuracy, table.rank(accuracy), table.percentile(accuracy), *counts, minutes)
