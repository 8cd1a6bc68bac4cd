"""Two DataLoaders of the user's own as the data of a search: their batches are taken as they come."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nas.core.errors import InputError
from nas.data.batches import Batch
from nas.data.dataset import Dataset, format_tensor
from nas.data.intake import as_dataset, name_and_classes

_CPU = torch.device("cpu")
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_FORM = "a batch must be (images, labels): float tensors (B, C, H, W), normalized, and integers (B,)"


@dataclass(frozen=True, eq=False)
class LoaderPair:
    """The loaders for the weights and for the alphas, with the shape of an image (C, H, W) and the classes."""

    name: str
    weights: "LoaderBatches"
    alphas: "LoaderBatches"
    classes: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        return self.weights.image_shape

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> "LoaderPair":
        """Return the same loaders with batches on ``device``."""
        device = torch.device(device)
        return replace(self, weights=replace(self.weights, device=device), alphas=replace(self.alphas, device=device))


@dataclass(frozen=True, eq=False)
class LoaderBatches:
    """The batches of a DataLoader, checked and moved to ``device``; ``name`` appears in messages.

    An epoch begins a new pass over the loader, whatever its number. So does a resumed run within an epoch: it sees
    other batches than an uninterrupted one would have seen.
    """

    loader: DataLoader[Any]
    name: str
    image_shape: tuple[int, int, int]
    images_per_step: int
    num_classes: int
    device: torch.device = _CPU

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Yield batches of a new pass, as many as are left of an epoch from ``start_step`` on.

        Raises :class:`InputError` for a batch of another form, and if the loader ends early.
        """
        left = len(self) - start_step
        for batch in self.loader:
            if left == 0:
                return
            images, labels = check_batch(batch, self.name, self.image_shape)
            if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_classes:
                raise InputError(f"{self.name}: labels {int(labels.min())}..{int(labels.max())}: {self._range()}")
            left -= 1
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        if left:
            raise InputError(f"{self.name}: ended {left} batches before its length, {len(self)} batches")

    def _range(self) -> str:
        return f"must lie in 0..{self.num_classes - 1}; num_classes=N sets the number of classes"


def search_source(data: object, num_classes: int | None = None, verbose: bool = True) -> Dataset | LoaderPair:
    """Return the data of a search: two DataLoaders for weights and alphas as they are, else :func:`as_dataset`.

    ``num_classes`` is for loaders whose number of classes is not known: their dataset has neither names of classes
    (``.classes``) nor is it a ``TensorDataset``. Raises :class:`InputError`.
    """
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(part, DataLoader) for part in data):
        return _loader_pair(*data, num_classes)
    dataset = as_dataset(data, verbose=verbose)
    if num_classes is not None:
        raise InputError(f"num_classes={num_classes}: only for two DataLoaders, whose labels are not counted")
    return dataset


def _loader_pair(weights: DataLoader[Any], alphas: DataLoader[Any], num_classes: int | None) -> LoaderPair:
    name, _ = name_and_classes(weights.dataset)
    classes = _classes((weights, alphas), num_classes)
    shape: tuple[int, int, int] | None = None
    found: dict[str, LoaderBatches] = {}
    for loader, part in ((weights, "weights"), (alphas, "alphas")):
        try:
            steps = len(loader)
        except TypeError:
            raise InputError(f"{part}: the loader has no length; allowed: one of a map-style Dataset") from None
        batch = next(iter(loader), None) if steps else None
        if batch is None:
            raise InputError(f"{part}: the loader has no batches")
        images, _ = check_batch(batch, part, shape)
        shape = (images.shape[1], images.shape[2], images.shape[3])
        found[part] = LoaderBatches(loader, part, shape, len(images), len(classes))
    return LoaderPair(name, found["weights"], found["alphas"], classes)


def _classes(loaders: tuple[DataLoader[Any], DataLoader[Any]], num_classes: int | None) -> tuple[str, ...]:
    datasets = [loader.dataset for loader in loaders]
    names = [classes for _, classes in map(name_and_classes, datasets) if classes is not None]
    if any(other != names[0] for other in names):
        raise InputError("data: the datasets of the two loaders have other classes")
    if num_classes is not None:
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
            raise InputError(f"num_classes={num_classes!r}: must be a whole number, 1 or more")
        return names[0] if names and len(names[0]) == num_classes else tuple(map(str, range(num_classes)))
    if names:
        return names[0]
    if all(isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2 for dataset in datasets):
        highest = max(int(dataset.tensors[1].max()) for dataset in datasets if isinstance(dataset, TensorDataset))
        return tuple(map(str, range(highest + 1)))
    raise InputError("num_classes: the loaders do not tell the number of classes; give num_classes=N")


def check_batch(batch: object, where: str, shape: tuple[int, int, int] | None) -> Batch:
    """Return a loader's batch as float32 and int64; raise :class:`InputError` for another form than ``shape``'s."""
    if not isinstance(batch, tuple | list) or len(batch) != 2 or not all(isinstance(x, Tensor) for x in batch):
        raise InputError(f"{where}: the loader yields a {type(batch).__name__}; {_FORM}")
    images, labels = batch
    if not images.is_floating_point() or images.ndim != 4 or (shape and tuple(images.shape[1:]) != shape):
        wanted = f", each image {shape}" if shape else ""
        raise InputError(f"{where}: the loader yields images {format_tensor(images)}; {_FORM}{wanted}")
    if labels.dtype not in _INTEGERS or labels.shape != images.shape[:1]:
        raise InputError(f"{where}: the loader yields labels {format_tensor(labels)}; {_FORM}")
    return images.float(), labels.long()
