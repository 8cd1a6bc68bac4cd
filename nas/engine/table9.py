"""Table 9 of the paper (arXiv 2007.02269): what a super-operator adds to DARTS' space. Collected, averaged, drawn."""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.core.errors import InputError
from nas.core.files import write_file
from nas.core.jsonfile import read_json

PAPER = {  # space: test error in percent, parameters in millions, on CIFAR-10
    "darts": (3.11, 3.25),
    "darts+ir": (3.26, 3.29),
    "darts+sandglass": (2.98, 2.45),
}


@dataclass(frozen=True)
class Row:
    """One seed of one space: searched, and the found cell retrained."""

    space: str
    seed: int
    test_error: float  # percent, of the last epoch
    params: int
    search_seconds: float
    retrain_seconds: float


def read_row(space: str, seed: int, search: Path, retrain: Path) -> Row:
    """The row that the ``result.json`` of a search and of its cell's retraining make."""
    found, trained = _read_json(search), _read_json(retrain)
    try:
        error = 100 * (1 - float(trained["test_accuracy"]))
        return Row(space, seed, error, int(trained["params"]), float(found["seconds"]), float(trained["seconds"]))
    except (KeyError, TypeError, ValueError, OverflowError) as problem:
        raise InputError(f"{search} and {retrain}: not the results of a finished search and retraining") from problem


def write_table(rows: Sequence[Row], remarks: Sequence[str], folder: Path) -> None:
    """Write ``table9.md``, ``.csv`` and ``.svg`` into ``folder``; ``remarks`` say how the rows were made."""
    write_file(folder / "table9.csv", csv_table(rows).encode())
    write_file(folder / "table9.md", markdown_table(rows, remarks).encode())
    write_file(folder / "table9.svg", plot(rows))


def csv_table(rows: Iterable[Row]) -> str:
    """A line for each row, under the names of its fields."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def markdown_table(rows: Sequence[Row], remarks: Sequence[str]) -> str:
    """A line for each space: mean ± standard deviation over its seeds, the paper's figures beside."""
    head = [
        "| space | seeds | test error % | parameters M | search min | retraining min | paper: error % | paper: M |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines = []
    for space, group in by_space(rows).items():
        error, params = PAPER.get(space, ("–", "–"))
        figures = [
            mean_and_deviation([row.test_error for row in group], 2),
            mean_and_deviation([row.params / 1e6 for row in group], 3),
            mean_and_deviation([row.search_seconds / 60 for row in group], 1),
            mean_and_deviation([row.retrain_seconds / 60 for row in group], 1),
        ]
        seeds = ", ".join(str(row.seed) for row in group)
        lines.append(f"| {space} | {seeds} | {' | '.join(figures)} | {error} | {params} |")
    return "\n".join([*head, *lines, "", *(f"- {remark}" for remark in remarks), ""])


def mean_and_deviation(values: Sequence[float], digits: int) -> str:
    """``mean ± sd``, the sample's standard deviation; a single value stands alone."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def by_space(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each space, in the order in which the spaces appear."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.space, []).append(row)
    return groups


def plot(rows: Sequence[Row]) -> bytes:
    """Error against parameters as SVG: every seed and the means of these rows, and the paper's points beside them."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    ours, paper = figure.subplots(1, 2)
    for index, (space, group) in enumerate(by_space(rows).items()):
        params, errors = [row.params / 1e6 for row in group], [row.test_error for row in group]
        ours.scatter(params, errors, s=18, alpha=0.5, color=f"C{index}")
        ours.scatter(statistics.mean(params), statistics.mean(errors), s=70, marker="D", color=f"C{index}", label=space)
    for index, (space, (error, size)) in enumerate(PAPER.items()):
        paper.scatter(size, error, s=70, marker="D", color=f"C{index}", label=space)
    _label(ours, "this run: seeds and their means")
    _label(paper, "the paper, CIFAR-10, 600 epochs")
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "table9", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _label(axes: Axes, title: str) -> None:
    axes.set(title=title, xlabel="parameters, millions", ylabel="test error, %")
    axes.legend()
    axes.grid(alpha=0.3)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = read_json(path)
    except InputError as error:
        raise InputError(f"{path}: cannot be read as a result") from error
    return data if isinstance(data, dict) else {}
