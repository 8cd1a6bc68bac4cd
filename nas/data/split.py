"""Which images go where: the search's two halves, and samples that keep the proportions of the classes."""

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.seeding import derive_seed


def search_split(n: int, seed: int, fraction: float = 0.5) -> tuple[Tensor, Tensor]:
    """Split ``n`` training images at random: indices, int64, for the weights and for the alphas.

    DARTS (arXiv 1806.09055, section 3) holds out half of the training set for the alphas, without regard to
    classes. ``fraction``, rounded down, is the weights' part. Raises :class:`InputError` if either part is empty.
    """
    if not 0 < fraction < 1:
        raise InputError(f"fraction={fraction!r} of the images for the weights: must lie between 0 and 1")
    count = int(n * fraction)
    if not 0 < count < n:
        raise InputError(f"{n} training images leave nothing for one side of a split at {fraction}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(derive_seed(seed, "search_split")))
    return order[:count], order[count:]


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """A random order of the images, int64 (N,), of which every beginning holds the classes in proportion.

    The r-th image of a class of n comes at the fraction (r + 1/2) / n of the order, so that any beginning, and what it
    leaves, hold each class in its proportion but for rounding. Labels int64 (N,) on the CPU.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive_seed(seed, "stratified")))
    shuffled = labels[order]
    by_class = shuffled.argsort(stable=True)
    counts = shuffled.bincount()
    starts = counts.cumsum(0) - counts
    grouped = shuffled[by_class]
    rank = torch.arange(len(labels)) - starts[grouped]
    place = torch.empty(len(labels), dtype=torch.float64)
    place[by_class] = (rank.double() + 0.5) / counts[grouped]
    return order[place.argsort(stable=True)]  # stable: equal places stay in random order
