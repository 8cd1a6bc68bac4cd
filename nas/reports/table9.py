"""Table 9 of the sandglass paper (arXiv 2007.02269): the effect of a super-operator in the DARTS space."""

import csv
import io
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.run_names import with_method
from nas.reports.confidence import difference
from nas.reports.markdown import DASH, markdown_rows
from nas.storage.atomic_files import read_text

PAPER = {  # space: test error in percent, parameters in millions, on CIFAR-10
    "darts": (3.11, 3.25),
    "darts+ir": (3.26, 3.29),
    "darts+sandglass": (2.98, 2.45),
}
_COLUMNS = (
    "test error %",
    "parameters M",
    "multiply-adds M",
    "search min",
    "search images/s",
    "retraining min",
    "retraining images/s",
)
_DIGITS = (2, 3, 1, 1, 1, 1, 1)
RANDOM = "random"  # the method of a cell that was drawn, not searched


@dataclass(frozen=True)
class Table9Row:
    """The results of one seed: a search in a space and retraining of the found cell, or retraining of another cell.

    ``method`` is that of the search, or ``random`` for a random cell of the space; a given cell has none. Unknown
    values are None, as are those of the search if there was none.
    """

    space: str
    seed: int
    test_error: float  # percent, of the last epoch
    params: int | None = None
    macs: int | None = None
    search_seconds: float | None = None
    search_images_per_second: float | None = None  # images of weight steps; alpha steps process as many
    retrain_seconds: float | None = None
    retrain_images_per_second: float | None = None
    given_cell: bool = False
    method: str = "darts"
    super_operators: int | None = None  # edges of both cells with a super-operator
    edges: int | None = None

    @property
    def title(self) -> str:
        """The space, or the given cell, with any method but DARTS."""
        return self.space if self.given_cell else with_method(self.space, self.method, ", ")

    def figures(self) -> tuple[float | None, ...]:
        """Return the values of the table's columns, in their units."""
        return (
            self.test_error,
            _scaled(self.params, 1e6),
            _scaled(self.macs, 1e6),
            _scaled(self.search_seconds, 60),
            self.search_images_per_second,
            _scaled(self.retrain_seconds, 60),
            self.retrain_images_per_second,
        )


def csv_table(rows: Iterable[Table9Row]) -> str:
    """Return a CSV table with the row's field names as its header; unknown values are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Table9Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def read_csv_table(path: Path) -> list[Table9Row]:
    """Read the rows of a file that :func:`csv_table` wrote; columns that it lacks have their defaults.

    Raises :class:`InputError` if it is not such a file.
    """
    readers = {field.name: _READERS[field.type] for field in fields(Table9Row)}
    try:
        table = csv.DictReader(read_text(path).splitlines(), strict=True)
        rows = [Table9Row(**{name: readers[name](text) for name, text in row.items()}) for row in table]
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as problem:
        raise InputError(f"{path}: cannot be read as rows of a table9.csv: {problem}") from problem
    if wrong := [row.test_error for row in rows if not 0 <= row.test_error <= 100]:
        raise InputError(f"{path}: test_error={wrong[0]}: must lie in 0..100")
    return rows


def markdown_table(rows: Sequence[Table9Row], remarks: Sequence[str]) -> str:
    """Return Markdown: mean ± standard deviation by space and method beside the paper's values, every run, remarks."""
    averaged, single = [], []
    for title, group in group_by_title(rows).items():
        columns = zip(*(row.figures() for row in group), strict=True)
        cells = [mean_and_deviation(values, digits) for values, digits in zip(columns, _DIGITS, strict=True)]
        paper = PAPER.get(title, (DASH, DASH))
        seeds = ", ".join(str(row.seed) for row in group)
        averaged.append([title, seeds, *cells, _share(group), _better_than_random(group, rows), *map(str, paper)])
    for row in rows:
        cells = [mean_and_deviation([value], digits) for value, digits in zip(row.figures(), _DIGITS, strict=True)]
        single.append([row.title, str(row.seed), *cells, _share([row])])
    last = ["super-operators", "better than random, points", "paper: error %", "paper: M"]
    means = markdown_rows(["space", "seeds", *_COLUMNS, *last], averaged)
    runs = markdown_rows(["space", "seed", *_COLUMNS, "super-operators"], single)
    remark_list = "\n".join(f"- {remark}" for remark in remarks)
    return "\n\n".join([means, "Every run:", runs, remark_list]) + "\n"


def mean_and_deviation(values: Iterable[float | None], digits: int) -> str:
    """Return ``mean ± sample standard deviation`` of the known values; one value stands alone, none is a dash."""
    known = [value for value in values if value is not None]
    if not known:
        return DASH
    mean = f"{statistics.mean(known):.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else mean


def group_by_title(rows: Iterable[Table9Row]) -> dict[str, list[Table9Row]]:
    """Group the rows by space and method, in order of appearance."""
    groups: dict[str, list[Table9Row]] = {}
    for row in rows:
        groups.setdefault(row.title, []).append(row)
    return groups


def _better_than_random(group: Sequence[Table9Row], rows: Sequence[Table9Row]) -> str:
    """Return the error of the random cells of the group's space less that of the group, with its interval."""
    own = [row.test_error for row in group]
    drawn = [row.test_error for row in rows if (row.method, row.space) == (RANDOM, group[0].space)]
    found = not group[0].given_cell and group[0].method != RANDOM
    return difference(drawn, own).signed() if found and drawn else DASH


def _share(group: Sequence[Table9Row]) -> str:
    """Return the number of edges with a super-operator, of all edges of the cells."""
    edges = [row.edges for row in group if row.edges is not None]
    if len(edges) < len(group):
        return DASH
    return f"{sum(row.super_operators or 0 for row in group)} of {sum(edges)}"


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _yes_or_no(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(f"{text!r} is neither True nor False")
    return text == "True"


_READERS: dict[Any, Callable[[str], Any]] = {  # by the types of a row's fields
    str: str,
    int: int,
    float: float,
    bool: _yes_or_no,
    int | None: lambda text: int(text) if text else None,
    float | None: lambda text: float(text) if text else None,
}
