"""A table of image files: a CSV with the path and the class of each."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.data.dataset import Dataset
from nas.data.file_sets import FileListing, load_files
from nas.data.halves import warn_missing_classes
from nas.data.image_files import FileState, file_state
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.data.split import split_off_test
from nas.storage.atomic_files import read_bytes

_PARTS = ("train", "test", "valid")
_MAX_BYTES = 1_000_000_000
_HEADER = ["path", "label"]
_FORM = "a CSV of the columns path and label, and perhaps part (train, test or valid)"

Row = tuple[str, str, str]  # path, label, part


@register_dataset("csv")
def load_csv(settings: DataSettings) -> Dataset:
    """Load the images that a CSV lists: ``path,label`` in the first line, or no such line; paths are relative to it.

    A column ``part`` says which images are for training, for the test and for the alphas of a search. Without it,
    ``settings.test_fraction`` of each class are test images. ``settings.valid`` is another CSV, for the alphas. Raises
    :class:`InputError` naming the line that is not as described.
    """
    if settings.root is None:
        raise InputError(f"data=csv needs data.root=FILE.csv, {_FORM}")
    path = Path(settings.root).expanduser().resolve()
    rows = read_rows(path)
    parts = {part: [row for row in rows if row[2] == part] for part in _PARTS if any(row[2] == part for row in rows)}
    if settings.valid is not None:
        parts["valid"] = [(*row[:2], "valid") for row in read_rows(_valid_file(path, settings.valid), "valid")]
    classes = _class_names(row[1] for part in parts.values() for row in part)
    listings = {part: _listing(path.parent, part_rows, classes) for part, part_rows in parts.items()}
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


def read_rows(path: Path, part: str = "train") -> list[Row]:
    """Return (path, label, part) of each line of a CSV; ``part`` is that of a file without such a column."""
    try:
        text = read_bytes(path, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; must be {_FORM}") from None
    lines = csv.reader(text.splitlines())
    try:
        numbered = [(lines.line_num, line) for line in lines if line]
    except csv.Error as error:
        raise InputError(f"{path}: line {lines.line_num}: {error}; must be {_FORM}") from error
    header = [name.strip().lower() for name in numbered[0][1]] if numbered else []
    names = header if "path" in header else _HEADER
    if not numbered or set(names) - {"part"} != set(_HEADER) or len(names) != len(set(names)):
        raise InputError(f"{path}: columns {format_value(header)}; must be {_FORM}")
    rows = [_row(path, number, line, names, part) for number, line in numbered[names is header :]]
    if not rows:
        raise InputError(f"{path}: lists no images; must be {_FORM}")
    parts: dict[str, str] = {}
    for image, _, part in rows:
        if parts.setdefault(image, part) != part:
            raise InputError(f"{path}: {image} is listed in {parts[image]} and in {part}; allowed: one part")
    return rows


def _row(path: Path, number: int, line: Sequence[str], names: Sequence[str], part: str) -> Row:
    if len(line) != len(names):
        raise InputError(f"{path}: line {number}: {len(line)} columns; must have {len(names)}: {', '.join(names)}")
    values = dict(zip(names, (value.strip() for value in line), strict=True))
    if not values["path"] or not values["label"]:
        raise InputError(f"{path}: line {number}: path or label is empty")
    found = values.get("part", part).lower()
    found = "valid" if found in ("val", "validation") else found
    if found not in _PARTS:
        raise InputError(f"{path}: line {number}: part {format_value(found)}; must be {', '.join(_PARTS)}")
    return values["path"], values["label"], found


def _class_names(labels: Iterator[str]) -> tuple[str, ...]:
    """Return the different labels, whole numbers by value, others by name."""
    names = set(labels)
    if len(names) == 1:
        raise InputError(f"data=csv: one class only, {format_value(next(iter(names)))}; two or more can be learned")
    return tuple(sorted(names, key=int if all(name.isdecimal() for name in names) else str))


def _listing(folder: Path, rows: Sequence[Row], classes: tuple[str, ...]) -> FileListing:
    numbers = {name: label for label, name in enumerate(classes)}
    files: list[FileState] = [file_state(folder, row[0]) for row in rows]
    return FileListing(folder, files, torch.tensor([numbers[row[1]] for row in rows]))
