"""Registry of datasets. A dataset is one file with a registered function from settings to a :class:`Dataset`."""

from collections.abc import Callable
from dataclasses import replace

from nas.core.errors import InputError
from nas.core.registry import Registry
from nas.data.dataset import Dataset
from nas.data.settings import DataSettings
from nas.data.split import stratified_order

DatasetFactory = Callable[[DataSettings], Dataset]

DATASETS: Registry[DatasetFactory] = Registry("dataset")
_LIMIT_SEED = 0  # fixed: data.limit=N selects the same N images in every run, whatever its seed


def register_dataset(name: str) -> Callable[[DatasetFactory], DatasetFactory]:
    """Register the decorated factory ``(settings) -> Dataset`` as ``name``.

    The factory handles ``root``, ``cache`` and ``size``; :func:`load_dataset` applies ``limit``.
    """

    def register(factory: DatasetFactory) -> DatasetFactory:
        DATASETS.register(name, factory)
        return factory

    return register


def load_dataset(settings: DataSettings, *, streams: bool = False) -> Dataset:
    """Load the dataset that ``settings`` name, on the CPU; ``streams`` permits streamed images.

    ``limit`` keeps at most that many training images, stratified by class; a smaller limit keeps a subset of what a
    larger one keeps. The test set is not limited, and ``mean`` and ``std`` stay those of the whole training set.
    Raises :class:`InputError` for an unknown name, missing or damaged data, and settings that do not fit the images.
    """
    if settings.stream and not streams:
        raise InputError("data.stream=true: a search holds its images in memory; allowed in retrain.py only")
    dataset = DATASETS[settings.name](settings)
    settings.augment.check_fits(*dataset.image_shape[1:])
    if settings.limit is None or settings.limit >= len(dataset.train):
        return dataset
    indices, _ = stratified_order(dataset.train.labels, _LIMIT_SEED)[: settings.limit].sort()
    return replace(dataset, train=dataset.train.subset(indices))
