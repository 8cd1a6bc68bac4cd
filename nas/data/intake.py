"""Datasets from what a user has: a name, tensors, a torch Dataset of (image, label), or (train, test) of these."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch.utils.data
from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import nearest
from nas.data.dataset import Dataset, ImageSet
from nas.data.pixels import ByChannel, channel_statistics
from nas.data.preparation import dataset_preparation
from nas.data.registry import DATASETS
from nas.data.samples import read_samples, read_tensors
from nas.data.settings import DataSettings
from nas.data.split import stratified_order
from nas.data.stream import StreamedSet

_ALLOWED = "a name, nas.Dataset, torch Dataset of (image, label), (images, labels) tensors, or (train, test) of these"
_LOADER = "a DataLoader; give its dataset (two loaders, for weights and alphas, are for nas.run_search)"

_SETTINGS = (
    "root",
    "cache",
    "size",
    "limit",
    "stream",
    "workers",
    "jitter",
    "range",
    "test_fraction",
    "valid",
    "dataset",
    "holdout",
)
SHIPPED = ("cifar10", "cifar100", "digits", "folder", "csv", "torchvision")
_LIMIT_SEED = 0  # fixed: data.limit=N selects the same N images in every run, whatever its seed


def load_dataset(name: str | DataSettings, **settings: Any) -> Dataset:
    """Load a registered dataset, on the CPU: ``nas.load_dataset("cifar10", root="data", limit=1000)``.

    ``settings`` are ``root``, ``cache``, ``size``, ``limit``, ``stream``, ``workers``, ``jitter``, ``range``,
    ``test_fraction``, ``valid``, ``dataset`` and ``holdout``, as in :class:`nas.data.DataSettings`, which may also be
    given instead.
    ``limit`` keeps at most that many training images, stratified by class; a smaller limit keeps a subset of what a
    larger one keeps. The test set is not limited, and ``mean`` and ``std`` stay those of the whole training set. Raises
    :class:`InputError` for an unknown name or setting, missing or damaged data, and settings that do not fit the data.
    """
    for key in settings:
        if key not in _SETTINGS or isinstance(name, DataSettings):
            raise InputError(f"load_dataset: unknown setting {key!r}: {nearest(key, _SETTINGS)}")
    if not isinstance(name, DataSettings):
        name = DataSettings(name, pad=0, flip=False, **settings)
    dataset = as_dataset(DATASETS[name.name](name), name=name.name)
    if name.name in SHIPPED:
        dataset = replace(dataset, preparation=dataset_preparation(name))
    name.augment.check_fits(*dataset.image_shape[1:])
    return _selected(dataset, name.limit, name.holdout)


def _selected(dataset: Dataset, limit: int | None, holdout: float | None) -> Dataset:
    """Return the dataset with ``holdout`` of its training images as test images, and at most ``limit`` of the others.

    What is held out does not depend on the limit.
    """
    total = len(dataset.train)
    held_out = 0 if holdout is None else round(total * holdout)
    kept = total - held_out
    if holdout is not None and not (held_out and kept):
        raise InputError(f"data.holdout={holdout}: {total} training images are too few to split")
    count = kept if limit is None else min(limit, kept)
    if count == total:
        return dataset
    order = stratified_order(dataset.train.labels, _LIMIT_SEED)
    train = dataset.train.subset(order[:count].sort().values)
    if holdout is None:
        return replace(dataset, train=train)
    test = dataset.train.subset(order[kept:].sort().values)
    return replace(dataset, train=train, test=test)


@dataclass(frozen=True)
class _Part:
    """A set of images, and what is known of its dataset."""

    images: ImageSet | StreamedSet
    name: str
    classes: tuple[str, ...] | None  # None: not named
    known: Dataset | None = None  # a dataset whose classes and statistics hold


def as_dataset(
    data: object, *, name: str | None = None, classes: tuple[str, ...] | None = None, verbose: bool = True
) -> Dataset:
    """Return ``data`` as a :class:`Dataset`, with images and labels in memory.

    ``data`` is the name of a registered dataset, a :class:`Dataset`, a torch ``Dataset`` of (image, label), a pair
    (images, labels) of tensors or arrays, or (train, test) with each part any of these. See
    :func:`nas.data.samples.read_samples` and :func:`nas.data.samples.read_tensors` for the form of images and labels.
    Without a test part, ``test`` is None. As the test part, a dataset with test images stands for these.

    The classes are those of ``classes``, else a torch dataset's own (``.classes``) if there are enough, else "0", "1",
    … up to the largest label. Mean and standard deviation are measured on the training images; those of a named
    dataset or a :class:`Dataset` are kept. Raises :class:`InputError`, one line, for anything else.
    """
    if _is_split(data):
        train, test = (_part(value, where, verbose) for value, where in zip(data, ("train", "test"), strict=True))  # type: ignore[call-overload]
        if test.known is not None and test.known.test is not None:
            test = _Part(test.known.test, test.name, test.classes, test.known)
    else:
        train, test = _part(data, "data", verbose), None
        if train.known is not None and classes in (None, train.known.classes) and name in (None, train.known.name):
            return train.known
        if train.known is not None and train.known.test is not None:
            test = _Part(train.known.test, train.name, train.classes, train.known)
    mean, std = _statistics(train)
    return Dataset(
        name or train.name,
        train.images,
        None if test is None else test.images,
        _class_names([train] if test is None else [train, test], classes),
        mean,
        std,
        valid=None if train.known is None else train.known.valid,
    )


def _is_split(data: object) -> bool:
    """Return whether ``data`` is (train, test), not (images, labels); raise :class:`InputError` for other tuples."""
    if not isinstance(data, tuple):
        return False
    if len(data) != 2:
        raise InputError(f"data: a tuple of {len(data)}; allowed: {_ALLOWED}")
    arrays = [isinstance(part, Tensor | np.ndarray) for part in data]
    if any(arrays) and not all(arrays):
        given = " and ".join(type(part).__name__ for part in data)
        raise InputError(f"data: a pair of {given}; allowed: {_ALLOWED}")
    return not all(arrays)


def _part(value: Any, where: str, verbose: bool) -> _Part:
    known = load_dataset(value) if isinstance(value, str | DataSettings) else value
    if isinstance(known, Dataset):
        return _Part(known.train, known.name, known.classes, known)
    if isinstance(value, tuple) and not _is_split(value):
        images, labels = value
        return _Part(read_tensors(images, labels, where), "tensors", None)
    if isinstance(value, torch.utils.data.TensorDataset) and len(value.tensors) == 2:
        return _Part(read_tensors(*value.tensors, where), "tensors", None)
    if isinstance(value, torch.utils.data.DataLoader):
        raise InputError(f"{where}: {_LOADER}")
    if isinstance(value, torch.utils.data.Dataset):
        return _Part(read_samples(value, where, verbose), *name_and_classes(value))
    given = "a (train, test) pair within another" if isinstance(value, tuple) else type(value).__name__
    raise InputError(f"{where}: {given}; allowed: {_ALLOWED}")


def name_and_classes(dataset: Any) -> tuple[str, tuple[str, ...] | None]:
    """Return the type's name and the names of the classes, if it has any; for a ``Subset`` those of the whole."""
    while isinstance(dataset, torch.utils.data.Subset):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    fits = isinstance(names, list | tuple) and bool(names) and all(isinstance(name, str) for name in names)
    return type(dataset).__name__, tuple(names) if fits else None  # type: ignore[arg-type]


def _class_names(parts: list[_Part], given: tuple[str, ...] | None) -> tuple[str, ...]:
    named = [part.classes for part in parts if part.classes is not None]
    number = max(_label_number(part.images.labels) for part in parts)
    for classes in named:
        expected = named[0] if given is None else given
        if classes != expected:
            raise InputError(f"data: classes {format_value(classes)}; must be {format_value(expected)}")
    if given is None and not any(part.known for part in parts) and named and len(named[0]) < number:
        named = []  # they do not fit
    names = given or (named[0] if named else tuple(map(str, range(number))))
    if len(names) < number:
        raise InputError(f"data: label {number - 1}; allowed: 0..{len(names) - 1}, the classes {format_value(names)}")
    return names


def _label_number(labels: Tensor) -> int:
    return labels.shape[1] if labels.is_floating_point() else 1 + int(labels.max())


def _statistics(train: _Part) -> tuple[ByChannel, ByChannel]:
    if train.known is not None:
        return train.known.mean, train.known.std
    assert isinstance(train.images, ImageSet)  # only a known dataset is streamed
    return channel_statistics(train.images.images)
