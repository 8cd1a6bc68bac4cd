"""``alphas.jsonl`` of a search: the alphas after each epoch, and the strengths that its method makes of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nas.core.errors import InputError
from nas.core.run_files import ALPHAS
from nas.runtime.metrics_log import read_metrics, row_line
from nas.runtime.run_format import first_epoch
from nas.storage.atomic_files import write_file

Alphas = dict[str, NDArray[np.float64]]  # kind of cell: (edges, operators)


def append_alphas(
    folder: Path, epochs: int, alphas: Mapping[str, Tensor], strengths: Mapping[str, Tensor] | None = None
) -> None:
    """Append the alphas after ``epochs`` epochs, replacing rows of this epoch and later ones.

    ``alphas`` are (edges, operators) by kind of cell, with the (edges,) of edge weights as ``beta_<kind>``.
    """
    values: dict[str, Any] = _plain(alphas)
    if strengths is not None:
        values["strengths"] = _plain(strengths)
    first = first_epoch(folder)
    rows = [row for row in read_metrics(folder / ALPHAS) if row["epoch"] < epochs]
    lines = [row_line(row, first) for row in [*rows, {"epoch": epochs, **values}]]
    write_file(folder / ALPHAS, "".join(lines).encode())


def read_strengths(folder: Path, kinds: Sequence[str]) -> dict[int, Alphas]:
    """Return the strengths of the kinds of cell after 1, 2, … epochs, of those rows that have them: old ones do not."""
    path, found = folder / ALPHAS, {}
    for row in read_metrics(path):
        if "strengths" in row:
            found[row["epoch"]] = _arrays(row["strengths"], kinds, path, row["epoch"])
    return dict(sorted(found.items()))


def read_alphas(folder: Path, kinds: Sequence[str]) -> dict[int, Alphas]:
    """Return the alphas of the kinds of cell after 1, 2, … epochs; empty if none were kept."""
    path = folder / ALPHAS
    found = {row["epoch"]: _arrays(row, kinds, path, row["epoch"]) for row in read_metrics(path)}
    return dict(sorted(found.items()))


def _plain(values: Mapping[str, Tensor]) -> dict[str, list[Any]]:
    return {kind: tensor.detach().float().cpu().tolist() for kind, tensor in values.items()}


def _arrays(row: Mapping[str, Any], kinds: Sequence[str], path: Path, epoch: int) -> Alphas:
    try:
        return {kind: np.array(row[kind], float) for kind in kinds}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: the row of epoch {epoch} holds no alphas") from error
