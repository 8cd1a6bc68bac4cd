"""Table 9 of the sandglass paper (arXiv 2007.02269): the effect of a super-operator in the DARTS space."""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

from nas.reports.markdown import DASH, markdown_rows

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


@dataclass(frozen=True)
class Table9Row:
    """The results of one seed: a search in a space and retraining of the found cell, or retraining of a given cell.

    Unknown values are None, as are those of the search if the cell was given.
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


def markdown_table(rows: Sequence[Table9Row], remarks: Sequence[str]) -> str:
    """Return Markdown: mean ± standard deviation by space beside the paper's values, every run, and the remarks."""
    averaged, single = [], []
    for space, group in group_by_space(rows).items():
        columns = zip(*(row.figures() for row in group), strict=True)
        cells = [mean_and_deviation(values, digits) for values, digits in zip(columns, _DIGITS, strict=True)]
        paper = PAPER.get(space, (DASH, DASH))
        averaged.append([space, ", ".join(str(row.seed) for row in group), *cells, *map(str, paper)])
    for row in rows:
        cells = [mean_and_deviation([value], digits) for value, digits in zip(row.figures(), _DIGITS, strict=True)]
        single.append([row.space, str(row.seed), *cells])
    means = markdown_rows(["space", "seeds", *_COLUMNS, "paper: error %", "paper: M"], averaged)
    runs = markdown_rows(["space", "seed", *_COLUMNS], single)
    remark_list = "\n".join(f"- {remark}" for remark in remarks)
    return "\n\n".join([means, "Every run:", runs, remark_list]) + "\n"


def mean_and_deviation(values: Iterable[float | None], digits: int) -> str:
    """Return ``mean ± sample standard deviation`` of the known values; one value stands alone, none is a dash."""
    known = [value for value in values if value is not None]
    if not known:
        return DASH
    mean = f"{statistics.mean(known):.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else mean


def group_by_space(rows: Iterable[Table9Row]) -> dict[str, list[Table9Row]]:
    """Group the rows by space, in order of appearance."""
    groups: dict[str, list[Table9Row]] = {}
    for row in rows:
        groups.setdefault(row.space, []).append(row)
    return groups


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
