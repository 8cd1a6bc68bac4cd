"""How the strengths of a search came about: after each epoch, as far as its run folder tells."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.graph.cell import CELL_KINDS
from nas.graph.space import Space, read_space
from nas.reports.run_folder import epochs_done, read_config
from nas.runtime.metrics_log import read_scalars
from nas.search.alpha_log import Alphas, read_alphas
from nas.storage.checkpoint import load_checkpoint

Array = NDArray[np.float64]


@dataclass(frozen=True)
class AlphaEvolution:
    """Strengths = softmax(alpha) after 1, 2, … epochs.

    ``strengths`` hold every edge, {epoch: {kind: (edges, operators)}}; ``means`` over the edges, {epoch: {kind:
    (operators,)}}, may be known of more epochs: older runs left only these, in their TensorBoard events.
    """

    title: str
    seed: int
    space: Space
    strengths: dict[int, dict[str, Array]]
    means: dict[int, dict[str, Array]]

    @property
    def last(self) -> dict[str, Array]:
        """The strengths at the end."""
        return self.strengths[max(self.strengths)]


def read_alpha_evolution(folder: Path) -> AlphaEvolution:
    """What the folder of a search tells; raises :class:`InputError` where it is none, or no epoch has ended."""
    config = read_config(folder)
    if "space" not in config:
        raise InputError(f"{folder}: is not the folder of a search")
    space = read_space(config["space"])
    alphas = _alphas(folder)
    shape = (len(space.edges), len(space.operators))
    for epoch, kinds in alphas.items():
        if any(values.shape != shape for values in kinds.values()):
            raise InputError(
                f"{folder}: the alphas of epoch {epoch} do not fit space {space.name}: {shape} is expected"
            )
    strengths = {epoch: {kind: softmax(a) for kind, a in kinds.items()} for epoch, kinds in alphas.items()}
    means = {epoch: {kind: s.mean(axis=0) for kind, s in kinds.items()} for epoch, kinds in strengths.items()}
    known = means if len(means) == epochs_done(folder) else _means_of_events(folder, space) | means
    if not strengths:
        raise InputError(f"{folder}: no epoch of this search has ended")
    return AlphaEvolution(space.name, int(config.get("seed", 0)), space, strengths, dict(sorted(known.items())))


def softmax(alphas: Array) -> Array:
    """The strengths of the alphas, over the operators of each edge."""
    exponents = np.exp(alphas - alphas.max(axis=-1, keepdims=True))
    result: Array = exponents / exponents.sum(axis=-1, keepdims=True)
    return result


def normalized_entropy(strengths: Array) -> float:
    """The edges' mean entropy as a share of the largest, the logarithm of the operators' number.

    1 where all operators are even, 0 where one has all the strength; so spaces of different size can be compared.
    """
    operators = strengths.shape[-1]
    if operators == 1:
        return 0.0
    logarithms = np.log(strengths, out=np.zeros_like(strengths), where=strengths > 0)
    return float(-(strengths * logarithms).sum(axis=-1).mean() / np.log(operators))


def _alphas(folder: Path) -> dict[int, Alphas]:
    """The alphas that were kept, and the last ones from the checkpoint of a run that kept none."""
    kept = read_alphas(folder)
    done = epochs_done(folder)
    if done in kept or not (folder / CHECKPOINT).is_file():
        return kept
    saved = load_checkpoint(folder / CHECKPOINT)
    try:
        model, epoch, step = saved["model"], int(saved["epoch"]), int(saved["step"])
        found = {kind: model[f"alpha_{kind}"].double().numpy() for kind in CELL_KINDS}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / CHECKPOINT}: is not the checkpoint of a search") from error
    return kept | {epoch: found} if step == 0 and epoch > 0 else kept  # in the middle of an epoch, it is no epoch's


def _means_of_events(folder: Path, space: Space) -> dict[int, dict[str, Array]]:
    curves = read_scalars(folder, "strength/")
    means: dict[int, dict[str, Array]] = {}
    for epoch in sorted({epoch for curve in curves.values() for epoch in curve}):
        rows = {
            kind: [curves.get(f"strength/{kind}/{operator}", {}).get(epoch) for operator in space.operators]
            for kind in CELL_KINDS
        }
        if all(value is not None for row in rows.values() for value in row):
            means[epoch] = {kind: np.array(row, float) for kind, row in rows.items()}
    return means
