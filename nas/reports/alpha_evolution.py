"""The strengths of a search after each epoch, read from its run folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.core.run_names import with_method
from nas.graph.space import Space
from nas.graph.space_file import read_space
from nas.reports.run_folder import epochs_done, read_config
from nas.runtime.metrics_log import read_scalars
from nas.search.alpha_log import Alphas, read_alphas, read_strengths
from nas.storage.checkpoint import load_checkpoint

Array = NDArray[np.float64]


@dataclass(frozen=True)
class AlphaEvolution:
    """Strengths after 1, 2, … epochs: what the search's method makes of the alphas; in DARTS, their softmax.

    ``title`` is the space, with any method but DARTS. ``strengths`` of every edge: {epoch: {kind: (edges, operators)}}.
    ``means`` over the edges: {epoch: {kind: (operators,)}}, possibly of more epochs, since older runs stored only
    these, in their TensorBoard events.
    """

    title: str
    seed: int
    space: Space
    strengths: dict[int, dict[str, Array]]
    means: dict[int, dict[str, Array]]

    @property
    def last(self) -> dict[str, Array]:
        """The strengths after the last epoch."""
        return self.strengths[max(self.strengths)]

    def entropy(self, epoch: int, kind: str) -> float:
        """Return the normalized entropy of a kind of cell after ``epoch`` epochs: see :func:`normalized_entropy`."""
        counts = [len(self.space.operators_on(kind, edge)) for edge in range(len(self.space.edges))]
        return normalized_entropy(self.strengths[epoch][kind], counts)


def read_alpha_evolution(folder: Path) -> AlphaEvolution:
    """Read the strengths of the search in ``folder``.

    Raises :class:`InputError` if it is not the folder of a search, or no epoch has ended.
    """
    config = read_config(folder)
    if "space" not in config:
        raise InputError(f"{folder}: not the folder of a search: its configuration has no space")
    space = read_space(config["space"])
    strengths = _strengths(folder, space)
    means = {epoch: {kind: s.mean(axis=0) for kind, s in kinds.items()} for epoch, kinds in strengths.items()}
    known = means if len(means) == epochs_done(folder) else _means_of_events(folder, space) | means
    if not strengths:
        raise InputError(f"{folder}: no epoch of this search has ended yet")
    title = with_method(space.name, str(config.get("method", "darts")), ", ")
    return AlphaEvolution(title, int(config.get("seed", 0)), space, strengths, dict(sorted(known.items())))


def _strengths(folder: Path, space: Space) -> dict[int, dict[str, Array]]:
    """Return the strengths by epoch: as they were written, or as DARTS' for runs from before they were."""
    alphas, written = _alphas(folder, space), read_strengths(folder, space.kinds)
    shape = (len(space.edges), len(space.operators))
    for epoch, kinds in [*alphas.items(), *written.items()]:
        if any(values.shape != shape for values in kinds.values()):
            raise InputError(f"{folder}: the alphas of epoch {epoch} do not fit space={space.name}; expected: {shape}")
    computed = {
        epoch: {kind: softmax(masked(a, space, kind)) for kind, a in kinds.items()} for epoch, kinds in alphas.items()
    }
    return computed | written


def masked(alphas: Array, space: Space, kind: str) -> Array:
    """Return the alphas (edges, operators) with -inf where the space does not have the operator on the edge."""
    present = [[name in space.operators_on(kind, edge) for name in space.operators] for edge in range(len(alphas))]
    result: Array = np.where(np.array(present), alphas, -np.inf)
    return result


def softmax(alphas: Array) -> Array:
    """Return the strengths: the softmax of the alphas over the operators (the last axis)."""
    exponents = np.exp(alphas - alphas.max(axis=-1, keepdims=True))
    result: Array = exponents / exponents.sum(axis=-1, keepdims=True)
    return result


def normalized_entropy(strengths: Array, counts: Sequence[int] | None = None) -> float:
    """Return the mean over the edges of the entropy divided by its maximum, the logarithm of the number of operators.

    ``counts`` are the numbers of operators of each edge, by default the number of columns. The result is 1 if all
    operators are equally strong and 0 if one has all the strength, so it is comparable across spaces.
    """
    numbers = np.array(counts) if counts is not None else np.full(strengths.shape[:-1], strengths.shape[-1])
    logarithms = np.log(strengths, out=np.zeros_like(strengths), where=strengths > 0)
    return float((-(strengths * logarithms).sum(axis=-1) / np.log(np.maximum(numbers, 2))).mean())


def _alphas(folder: Path, space: Space) -> dict[int, Alphas]:
    """Return the alphas by epoch from the alphas file, with those of the checkpoint if the last epoch is missing."""
    logged = read_alphas(folder, space.kinds)
    if epochs_done(folder) in logged or not (folder / CHECKPOINT).is_file():
        return logged
    saved = load_checkpoint(folder / CHECKPOINT)
    try:
        model, epoch, step = saved["model"], int(saved["epoch"]), int(saved["step"])
        alphas = {kind: model[f"alpha_{kind}"].double().numpy() for kind in space.kinds}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / CHECKPOINT}: not the checkpoint of a search") from error
    at_epoch_end = step == 0 and epoch > 0
    return logged | {epoch: alphas} if at_epoch_end else logged


def _means_of_events(folder: Path, space: Space) -> dict[int, dict[str, Array]]:
    curves = read_scalars(folder, "strength/")
    means: dict[int, dict[str, Array]] = {}
    for epoch in sorted({epoch for curve in curves.values() for epoch in curve}):
        rows = {
            kind: [curves.get(f"strength/{kind}/{operator}", {}).get(epoch) for operator in space.operators]
            for kind in space.kinds
        }
        if all(value is not None for row in rows.values() for value in row):
            means[epoch] = {kind: np.array(row, float) for kind, row in rows.items()}
    return means
