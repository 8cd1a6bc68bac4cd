"""Tables of the true accuracies of all cells of a space, such as NAS-Bench-201's (arXiv 2001.00326).

A table is a CSV file, plain or compressed (.gz, .xz): a header ``cell,COLUMN,…`` and a row for each cell, its string
and an accuracy in percent for each column. Cells are looked up by their string, exactly: those that compute the same
function with other strings, such as cells that differ on an edge behind ``none``, have accuracies of their own.
"""

import bisect
import csv
import gzip
import io
import lzma
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import nearest
from nas.graph.arch_string import format_arch_string, parse_arch_string
from nas.graph.genotype import Genotype
from nas.storage.atomic_files import read_bytes

CELL = "cell"
_MAX_BYTES = 100_000_000  # unpacked; NAS-Bench-201 with six columns has 2.5 MB
_UNPACK = {".gz": gzip.GzipFile, ".xz": lzma.LZMAFile}


@dataclass(frozen=True)
class TruthTable:
    """The accuracies of cells, in percent, by their strings in normal form; ``name`` is that of the file and column."""

    name: str
    accuracies: Mapping[str, float]
    ascending: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.accuracies:
            raise InputError(f"{self.name}: has no cells")
        object.__setattr__(self, "ascending", tuple(sorted(self.accuracies.values())))

    def accuracy(self, cell: Genotype) -> float:
        """Return the accuracy of a cell; raise :class:`InputError` if the table lacks its string, or it has none."""
        text = format_arch_string(cell)
        if text not in self.accuracies:
            raise InputError(f"{self.name}: has no cell {text}; expected: a table of all cells of the space")
        return self.accuracies[text]

    def rank(self, accuracy: float) -> int:
        """Return 1 + the number of cells with a higher accuracy."""
        return 1 + len(self.ascending) - bisect.bisect_right(self.ascending, accuracy)

    def percentile(self, accuracy: float) -> float:
        """Return the percentage of cells with a lower accuracy, counting equal ones half."""
        lower = bisect.bisect_left(self.ascending, accuracy)
        equal = bisect.bisect_right(self.ascending, accuracy) - lower
        return 100 * (lower + equal / 2) / len(self.ascending)

    def expected_best(self, number: int) -> float:
        """Return the expected highest accuracy of ``number`` cells drawn uniformly with replacement."""
        size = len(self.ascending)
        chances = [(rank / size) ** number for rank in range(size + 1)]
        return sum(a * (chances[i + 1] - chances[i]) for i, a in enumerate(self.ascending))

    def sample(self, number: int, seed: int = 0) -> list[str]:
        """Return the strings of ``number`` different cells, drawn uniformly; all, if there are fewer."""
        cells = sorted(self.accuracies)
        return random.Random(seed).sample(cells, min(number, len(cells)))


def read_truth_table(path: Path, column: str | None = None) -> TruthTable:
    """Read ``column`` of a table, by default its only one.

    Raises :class:`InputError` for a file that is not such a table, an unknown column, a malformed or repeated cell, and
    accuracies outside 0..100.
    """
    header, *rows = list(csv.reader(io.StringIO(_read_text(path)))) or [[]]
    if len(header) < 2 or header[0] != CELL:
        raise InputError(f"{path}: the header is {format_value(','.join(header))}; expected: {CELL},COLUMN,…")
    index = _column(path, header, column)
    return TruthTable(f"{path.name}, column {header[index]}", dict(_read_rows(path, rows, index)))


def _column(path: Path, header: list[str], column: str | None) -> int:
    if column is None and len(header) > 2:
        raise InputError(f"{path}: has several columns; choose a column: {', '.join(header[1:])}")
    if column is not None and column not in header[1:]:
        raise InputError(f"column {format_value(column)}: {path} has no such column; {nearest(column, header[1:])}")
    return 1 if column is None else header.index(column, 1)


def _read_rows(path: Path, rows: Iterable[list[str]], index: int) -> Iterable[tuple[str, float]]:
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        where = f"{path}, line {line}"
        if len(row) <= index:
            raise InputError(f"{where}: has {len(row)} fields; expected: more than {index}")
        cell = format_arch_string(parse_arch_string(row[0], where))
        if cell in seen:
            raise InputError(f"{where}: the cell {cell} is listed twice")
        seen.add(cell)
        yield cell, _percent(row[index], where)


def _percent(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise InputError(f"{where}: accuracy {format_value(text)}: must be a number in 0..100")
    return value


def _read_text(path: Path) -> str:
    data = read_bytes(path, _MAX_BYTES)
    try:
        if path.suffix in _UNPACK:
            with _UNPACK[path.suffix](io.BytesIO(data)) as file:
                data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise InputError(f"{path}: is larger than {_MAX_BYTES:,} bytes")
        return data.decode("utf-8-sig")
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a table") from error
