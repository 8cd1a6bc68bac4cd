"""Table 9 of the paper (arXiv 2007.02269): what a super-operator adds to DARTS' space. Averaged, and run by run."""

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
COLUMNS = (
    "test error %",
    "parameters M",
    "multiply-adds M",
    "search min",
    "search images/s",
    "retraining min",
    "retraining images/s",
)
DIGITS = (2, 3, 1, 1, 1, 1, 1)


@dataclass(frozen=True)
class Table9Row:
    """One seed of one space: searched, and the found cell retrained; or of a given cell, which is only retrained.

    What a run does not tell is None; a given cell has no search.
    """

    space: str
    seed: int
    test_error: float  # percent, of the last epoch
    params: int | None = None
    macs: int | None = None
    search_seconds: float | None = None
    search_images_per_second: float | None = None  # of the weights' half; as many of the alphas' go with them
    retrain_seconds: float | None = None
    retrain_images_per_second: float | None = None
    given_cell: bool = False

    def figures(self) -> tuple[float | None, ...]:
        """The values of :data:`COLUMNS`."""
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
    """A line for each row, under the names of its fields; empty where a figure is not known."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Table9Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def markdown_table(rows: Sequence[Table9Row], remarks: Sequence[str]) -> str:
    """Mean ± standard deviation of each space with the paper's figures beside, every run, and the remarks."""
    averaged, single = [], []
    for space, group in by_space(rows).items():
        columns = zip(*(row.figures() for row in group), strict=True)
        cells = [mean_and_deviation(values, digits) for values, digits in zip(columns, DIGITS, strict=True)]
        paper = PAPER.get(space, (DASH, DASH))
        averaged.append([space, ", ".join(str(row.seed) for row in group), *cells, *map(str, paper)])
    for row in rows:
        cells = [mean_and_deviation([value], digits) for value, digits in zip(row.figures(), DIGITS, strict=True)]
        single.append([row.space, str(row.seed), *cells])
    means = markdown_rows(["space", "seeds", *COLUMNS, "paper: error %", "paper: M"], averaged)
    runs = markdown_rows(["space", "seed", *COLUMNS], single)
    listed = "\n".join(f"- {remark}" for remark in remarks)
    return "\n\n".join([means, "Every run:", runs, listed]) + "\n"


def mean_and_deviation(values: Iterable[float | None], digits: int) -> str:
    """``mean ± sd`` of the known values, the sample's standard deviation; a single value alone, none at all a dash."""
    known = [value for value in values if value is not None]
    if not known:
        return DASH
    mean = f"{statistics.mean(known):.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else mean


def by_space(rows: Iterable[Table9Row]) -> dict[str, list[Table9Row]]:
    """The rows of each space, in the order in which the spaces appear."""
    groups: dict[str, list[Table9Row]] = {}
    for row in rows:
        groups.setdefault(row.space, []).append(row)
    return groups


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
