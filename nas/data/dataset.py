"""Datasets, and image sets held in memory as one uint8 tensor."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.data.stream import StreamedSet


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images uint8 (N, 3, H, W) and labels int64 (N,), both on one device.

    Raises :class:`InputError` for any other shape or dtype.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise InputError(f"images: {_form(images)}; must be uint8 (N, 3, H, W)")
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise InputError(f"labels: {_form(labels)}; must be int64 ({len(images)},), one for each image")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """The device of the images."""
        return self.images.device

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (3, H, W) of an image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> "ImageSet":
        """Return the same images on ``device``."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def subset(self, indices: Tensor) -> "ImageSet":
        """Return a copy of the images at ``indices``, int64 (M,) on any device, in that order."""
        indices = indices.to(self.device)
        return ImageSet(self.images[indices], self.labels[indices])

    def read(self, order: Tensor, batch_size: int, crop_seed: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images at ``order``, int64 (M,), in batches: uint8 (B, 3, H, W) and labels int64 (B,).

        ``crop_seed`` is ignored; it exists for :class:`StreamedSet`.
        """
        order = order.to(self.device)
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            yield self.images[indices], self.labels[indices]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test set with the same classes, each held in memory or streamed from disk.

    ``mean`` and ``std`` are the training images' statistics by channel, in units of 0..1 (ImageNet's for streamed
    images). ``classes[label]`` is the name of a label. Raises :class:`InputError` if the two sets differ in image
    size, one of them is empty, or a label has no name.
    """

    name: str
    train: ImageSet | StreamedSet
    test: ImageSet | StreamedSet
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.train.image_shape != self.test.image_shape:
            forms = f"{self.train.image_shape} and {self.test.image_shape}"
            raise InputError(f"dataset {self.name!r}: training and test images must have one size, got {forms}")
        for part, images in (("training", self.train), ("test", self.test)):
            if not len(images):
                raise InputError(f"dataset {self.name!r}: the {part} set has no images")
            low, high = (int(value) for value in images.labels.aminmax())
            if low < 0 or high >= self.num_classes:
                raise InputError(f"dataset {self.name!r}: {part} labels {low}..{high}, but {self.num_classes} classes")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (3, H, W) of an image."""
        return self.train.image_shape

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the same dataset with its images on ``device``."""
        return replace(self, train=self.train.to(device), test=self.test.to(device))


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
