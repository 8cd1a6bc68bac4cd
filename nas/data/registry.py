"""Registry of datasets. A dataset is one file with a registered function from settings to images and labels."""

from collections.abc import Callable
from typing import Any

from nas.core.registry import Registry
from nas.data.settings import DataSettings

DatasetFactory = Callable[[DataSettings], Any]

DATASETS: Registry[DatasetFactory] = Registry("dataset")


def register_dataset(name: str) -> Callable[[DatasetFactory], DatasetFactory]:
    """Register the decorated function ``(settings) -> images and labels`` as ``name``.

    It returns a ``nas.Dataset`` or anything else that :func:`nas.data.intake.as_dataset` takes, such as (train, test),
    two torch Datasets of (image, label). ``settings`` is a :class:`nas.data.DataSettings`: the function handles
    ``root``, ``cache`` and ``size``; :func:`nas.load_dataset` applies ``limit``. Raises :class:`InputError` for a name
    that is taken or is not letters, digits and _.
    """

    def register(factory: DatasetFactory) -> DatasetFactory:
        DATASETS.register(name, factory)
        return factory

    return register


def list_datasets() -> list[str]:
    """Return the names of all registered datasets, in order of registration."""
    return list(DATASETS)
