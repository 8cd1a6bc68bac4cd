"""Datasets by name. A new one is one file: a function from the settings to a :class:`Dataset`, registered."""

from collections.abc import Callable
from dataclasses import replace

from nas.core.errors import InputError
from nas.core.registry import Registry
from nas.data.dataset import Dataset
from nas.data.settings import DataSettings
from nas.data.split import stratified_order

Factory = Callable[[DataSettings], Dataset]

DATASETS: Registry[Factory] = Registry("dataset")
LIMIT_SEED = 0  # fixed: data.limit=N means the same N images in every run, whatever its seed


def register_dataset(name: str) -> Callable[[Factory], Factory]:
    """Decorate a factory ``(settings) -> Dataset`` to make it known as ``name``.

    The factory answers for ``root``, ``cache`` and ``size``; ``limit`` is applied by :func:`load_dataset`.
    """

    def register(factory: Factory) -> Factory:
        DATASETS.register(name, factory)
        return factory

    return register


def load_dataset(settings: DataSettings, *, streams: bool = False) -> Dataset:
    """The dataset that the settings name, on the CPU; streamed only for a caller that ``streams``.

    ``limit`` keeps at most that many training images, each class in its proportion but for rounding; a smaller limit
    keeps a part of what a larger one keeps. The test set stays whole, ``mean`` and ``std`` are still those of the
    whole training set. Raises :class:`InputError` for an unknown name, missing or broken data, and settings that do
    not fit.
    """
    if settings.stream and not streams:
        raise InputError("data.stream=true: the search holds its images in memory; only a retraining streams them")
    dataset = DATASETS[settings.name](settings)
    settings.augment.check_fits(*dataset.image_shape[1:])
    if settings.limit is None or settings.limit >= len(dataset.train):
        return dataset
    kept, _ = stratified_order(dataset.train.labels, LIMIT_SEED)[: settings.limit].sort()
    return replace(dataset, train=dataset.train.subset(kept))
