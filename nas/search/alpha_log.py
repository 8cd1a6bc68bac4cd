"""``alphas.jsonl`` of a search: the alphas after each epoch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nas.core.errors import InputError
from nas.core.run_files import ALPHAS
from nas.runtime.metrics_log import read_metrics
from nas.storage.atomic_files import write_file

Alphas = dict[str, NDArray[np.float64]]  # kind of cell: (edges, operators)


def append_alphas(folder: Path, epochs: int, alphas: Mapping[str, Tensor]) -> None:
    """Append the alphas after ``epochs`` epochs, replacing rows of this epoch and later ones."""
    values = {kind: alpha.detach().float().cpu().tolist() for kind, alpha in alphas.items()}
    epoch = epochs - 1  # counted from 0, as in metrics.jsonl
    rows = [row for row in read_metrics(folder / ALPHAS) if row["epoch"] < epoch]
    lines = [json.dumps(row) + "\n" for row in [*rows, {"epoch": epoch, **values}]]
    write_file(folder / ALPHAS, "".join(lines).encode())


def read_alphas(folder: Path, kinds: Sequence[str]) -> dict[int, Alphas]:
    """Return the alphas of the kinds of cell after 1, 2, … epochs; empty if none were kept."""
    path = folder / ALPHAS
    found: dict[int, Alphas] = {}
    for row in read_metrics(path):
        try:
            found[row["epoch"] + 1] = {kind: np.array(row[kind], float) for kind in kinds}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: the row of epoch {row['epoch']} holds no alphas") from error
    return dict(sorted(found.items()))
