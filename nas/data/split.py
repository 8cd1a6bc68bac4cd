"""Random splits: the two halves of a search, and stratified subsets."""

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.seeding import derive_seed

_TEST_SEED = 0


def search_split(n: int, seed: int, fraction: float = 0.5) -> tuple[Tensor, Tensor]:
    """Split ``n`` training images at random into int64 indices for the weights and for the alphas.

    DARTS (arXiv 1806.09055, section 3) holds out half of the training set for the alphas, regardless of classes.
    ``fraction`` of the images, rounded down, goes to the weights. Raises :class:`InputError` if either part is empty.
    """
    if not 0 < fraction < 1:
        raise InputError(f"fraction={fraction!r}: the share of images for the weights must lie between 0 and 1")
    count = int(n * fraction)
    if not 0 < count < n:
        raise InputError(f"{n} training images are too few to split at fraction={fraction}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(derive_seed(seed, "search_split")))
    return order[:count], order[count:]


def split_off_test(labels: Tensor, fraction: float) -> tuple[Tensor, Tensor]:
    """Return the indices, int64 and increasing, of training and test images: ``fraction`` of each class, rounded.

    The split is the same in every run, whatever its seed. Raises :class:`InputError` if either part is empty.
    """
    count = round(len(labels) * fraction)
    if not 0 < count < len(labels):
        raise InputError(f"data.test_fraction={fraction}: {len(labels)} images are too few to split")
    order = stratified_order(labels, _TEST_SEED)
    return order[count:].sort().values, order[:count].sort().values


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """Return a random order of the images, int64 (N,), every prefix of which is stratified by class.

    The r-th image of a class of n is placed at the fraction (r + 1/2) / n of the order, so that any prefix and its
    complement hold each class in proportion, up to rounding. Labels int64 (N,) on the CPU; with targets, float (N, K),
    the order is random.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive_seed(seed, "stratified")))
    if labels.is_floating_point():
        return order
    shuffled = labels[order]
    by_class = shuffled.argsort(stable=True)
    counts = shuffled.bincount()
    starts = counts.cumsum(0) - counts
    grouped = shuffled[by_class]
    rank = torch.arange(len(labels)) - starts[grouped]
    position = torch.empty(len(labels), dtype=torch.float64)
    position[by_class] = (rank.double() + 0.5) / counts[grouped]
    return order[position.argsort(stable=True)]  # stable: ties stay in random order
