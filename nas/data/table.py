"""A table of image files: a CSV with the path and the class of each."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.data.dataset import Dataset
from nas.data.file_sets import FileListing, load_files
from nas.data.halves import warn_missing_classes
from nas.data.image_files import file_state
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.data.split import split_off_test
from nas.storage.atomic_files import read_bytes

_PARTS = ("train", "test", "valid")
_MAX_BYTES = 1_000_000_000
_HEADER = ["path", "label"]
_FORM = (
    "a CSV of the columns path and label (or labels, joined with ;, or columns of numbers), "
    "and perhaps part (train, test or valid)"
)


class Row(NamedTuple):
    """A line: a path, the texts in the columns of labels, and the part."""

    path: str
    values: tuple[str, ...]
    part: str


class Table(NamedTuple):
    """The names of the columns of labels, and the lines."""

    columns: tuple[str, ...]
    rows: list[Row]


@register_dataset("csv")
def load_csv(settings: DataSettings) -> Dataset:
    """Load the images that a CSV lists: ``path,label`` in the first line, or no such line; paths are relative to it.

    A column ``labels`` instead holds several, ``cat;dog``; other columns are numbers, the targets of a regression. A
    column ``part`` says which images are for training, for the test and for the alphas of a search. Without it,
    ``settings.test_fraction`` of each class are test images. ``settings.valid`` is another CSV, for the alphas. Raises
    :class:`InputError` naming the line that is not as described.
    """
    if settings.root is None:
        raise InputError(f"data=csv needs data.root=FILE.csv, {_FORM}")
    path = Path(settings.root).expanduser().resolve()
    columns, rows = read_table(path)
    if settings.valid is not None:
        file = _valid_file(path, settings.valid)
        others = read_table(file, "valid")
        if others.columns != columns:
            raise InputError(f"{file}: has other columns than {path}: {format_value(others.columns)}")
        rows = [*rows, *others.rows]
    classes, labels = _labels(path, columns, rows)
    states = [file_state(path.parent, row.path) for row in rows]
    listings = {}
    for part in _PARTS:
        chosen = [index for index, row in enumerate(rows) if row.part == part]
        if chosen:
            listings[part] = FileListing(path.parent, [states[index] for index in chosen], labels[chosen])
    if "test" in listings and settings.test_fraction is not None:
        raise InputError(f"data.test_fraction={settings.test_fraction}: {path} has test images already; leave it out")
    if "test" not in listings:
        listings |= _split(path, listings, settings.test_fraction)
    for part, listing in listings.items():
        warn_missing_classes(listing.labels, classes, f"data.root={path}: part {part}")
    return load_files(path, classes, listings, settings)


def _split(path: Path, listings: dict[str, FileListing], fraction: float | None) -> dict[str, FileListing]:
    if "train" not in listings or fraction is None:
        hint = "a column part with train and test, or data.test_fraction=0.2"
        raise InputError(f"{path}: has no {'test' if 'train' in listings else 'training'} images; give {hint}")
    both = split_off_test(listings["train"].labels, fraction)
    return {part: listings["train"].subset(indices) for part, indices in zip(("train", "test"), both, strict=True)}


def _valid_file(path: Path, valid: str) -> Path:
    file = Path(valid).expanduser()
    if file.parent == Path() and (path.parent / file).is_file():
        return path.parent / file
    if file.resolve().parent != path.parent:
        raise InputError(f"data.valid={valid}: must lie beside {path}, since paths in it begin there")
    return file.resolve()


def read_table(path: Path, part: str = "train") -> Table:
    """Return the lines of a CSV; ``part`` is that of a file without such a column."""
    try:
        text = read_bytes(path, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; must be {_FORM}") from None
    lines = csv.reader(text.splitlines())
    try:
        numbered = [(lines.line_num, line) for line in lines if line]
    except csv.Error as error:
        raise InputError(f"{path}: line {lines.line_num}: {error}; must be {_FORM}") from error
    header = [name.strip() for name in numbered[0][1]] if numbered else []
    names = header if "path" in header else _HEADER
    columns = tuple(name for name in names if name not in ("path", "part"))
    mixed = len(columns) > 1 and not {"label", "labels"}.isdisjoint(columns)
    if not numbered or not columns or mixed or len(names) != len(set(names)) or "" in names:
        raise InputError(f"{path}: columns {format_value(header)}; must be {_FORM}")
    rows = [_row(path, number, line, names, part) for number, line in numbered[names is header :]]
    if not rows:
        raise InputError(f"{path}: lists no images; must be {_FORM}")
    _check_parts(path, rows)
    return Table(columns, rows)


def _check_parts(path: Path, rows: Sequence[Row]) -> None:
    parts: dict[str, str] = {}
    for row in rows:
        if parts.setdefault(row.path, row.part) != row.part:
            raise InputError(f"{path}: {row.path} is listed in {parts[row.path]} and in {row.part}; allowed: one part")


def _row(path: Path, number: int, line: Sequence[str], names: Sequence[str], part: str) -> Row:
    if len(line) != len(names):
        raise InputError(f"{path}: line {number}: {len(line)} columns; must have {len(names)}: {', '.join(names)}")
    values = dict(zip(names, (value.strip() for value in line), strict=True))
    found = values.pop("part", part).lower()
    found = "valid" if found in ("val", "validation") else found
    if found not in _PARTS:
        raise InputError(f"{path}: line {number}: part {format_value(found)}; must be {', '.join(_PARTS)}")
    file = values.pop("path")
    if not file or values.get("label") == "":
        raise InputError(f"{path}: line {number}: path or label is empty")
    if not {"label", "labels"} & values.keys() and not all(map(_is_finite, values.values())):
        raise InputError(f"{path}: line {number}: {format_value(list(values.values()))}; must be finite numbers")
    return Row(file, tuple(values.values()), found)


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _labels(path: Path, columns: tuple[str, ...], rows: Sequence[Row]) -> tuple[tuple[str, ...], Tensor]:
    """Return the names of classes or targets, and the labels: int64 (N,), or float32 (N, K)."""
    if columns not in (("label",), ("labels",)):
        return columns, torch.tensor([[float(value) for value in row.values] for row in rows], dtype=torch.float32)
    several = columns == ("labels",)
    marked = [
        [name.strip() for name in row.values[0].split(";") if name.strip()] if several else row.values for row in rows
    ]
    names = {name for line in marked for name in line}
    if len(names) < 2 - several:
        raise InputError(f"{path}: one class only, {format_value(sorted(names))}; two or more can be learned")
    classes = tuple(sorted(names, key=int if all(name.isdecimal() for name in names) else str))
    numbers = {name: label for label, name in enumerate(classes)}
    if not several:
        return classes, torch.tensor([numbers[line[0]] for line in marked])
    labels = torch.zeros((len(rows), len(classes)))
    for index, line in enumerate(marked):
        labels[index, [numbers[name] for name in line]] = 1
    return classes, labels
