"""Accuracies of cells within a supernet, with the weights that they inherit from it."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import torch

from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.data.batches import Batches
from nas.data.dataset import Dataset
from nas.data.halves import search_halves
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.models.one_path import kept_operators
from nas.search.method import KEPT
from nas.search.settings import SearchSettings
from nas.search.state import SearchState, init_search_state
from nas.search.validation import AlphaHalf
from nas.storage.checkpoint import load_checkpoint
from nas.storage.checkpoint_retention import newest_valid_checkpoint


def load_search_state(folder: Path, space: Space, settings: SearchSettings, dataset: Dataset) -> SearchState:
    """Return the search in ``folder`` as its newest valid checkpoint has it, on the dataset's device; read only.

    Raises :class:`InputError` if there is none, or if it does not fit the settings.
    """
    newest = newest_valid_checkpoint(folder / CHECKPOINT)
    if newest is None:
        raise InputError(f"{folder}: has no checkpoint")
    device = dataset.train.device
    state = init_search_state(space, settings, dataset.num_classes, device, dataset.image_shape[0])
    state.load_dict(load_checkpoint(newest), str(newest))
    return state


def inherited_accuracies(
    state: SearchState,
    settings: SearchSettings,
    dataset: Dataset,
    cells: Iterable[Genotype],
    images: int | None = None,
) -> Iterator[float]:
    """Yield the accuracy (0..1) of each cell on the alphas' half, all other operators left out of the supernet.

    BatchNorms use the statistics of each batch of twice the search's size, since the running ones are of the mix of all
    operators. ``images``: how many of the half are used, None: all.
    """
    _, half = search_halves(dataset, settings.seed, settings.train_fraction)  # in random order
    own = half.subset(torch.arange(len(half))[:images])
    in_order = partial(Batches, own, 2 * settings.batch_size, stream="valid", shuffle=False)
    batches = in_order(mean=dataset.mean, std=dataset.std, seed=settings.seed)
    judge = AlphaHalf(state.supernet, state.parts, batches, _no_batch, settings.precision)
    try:
        for cell in cells:
            state.supernet.restrict(kept_operators(cell, state.supernet.space))
            yield judge.accuracy()[0]
    finally:
        state.supernet.restrict(state.memory.get(KEPT))


def _no_batch() -> tuple[torch.Tensor, torch.Tensor]:
    raise InputError("the last batch of an alpha step: no step was taken")
