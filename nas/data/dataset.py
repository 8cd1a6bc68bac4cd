"""Datasets, and image sets held in memory as one tensor."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.data.pixels import ByChannel
from nas.data.preparation import Preparation
from nas.data.stream import StreamedSet

_FLOAT32 = torch.finfo(torch.float32)
_PART_NAMES = {"train": "training", "test": "test", "valid": "validation"}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images uint8 or float32 (N, C, H, W) with C >= 1 channels, and labels int64 (N,), both on one device.

    Labels float32 (N, K) are K targets of each image: 0 or 1 for several classes at once, or those of a regression.
    uint8 images are divided by 255 before normalization; float images are taken as they are, in any range. Raises
    :class:`InputError` for any other shape or dtype.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype not in (torch.uint8, torch.float32) or images.ndim != 4 or images.shape[1] < 1:
            raise InputError(
                f"images: {format_tensor(images)}; must be uint8 or float32 (N, C, H, W) with C >= 1 channels"
            )
        targets = labels.dtype == torch.float32 and labels.ndim == 2 and labels.shape[1] > 0
        if not ((labels.dtype == torch.int64 and labels.ndim == 1) or targets) or len(labels) != len(images):
            number = len(images)
            form = f"must be int64 ({number},), one for each image, or float32 ({number}, K), K targets of each"
            raise InputError(f"labels: {format_tensor(labels)}; {form}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """The device of the images."""
        return self.images.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the pixels."""
        return self.images.dtype

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
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
        """Yield the images at ``order``, int64 (M,), in batches: (B, C, H, W) of the set's dtype, labels int64 (B,).

        ``crop_seed`` is ignored; it exists for :class:`StreamedSet`.
        """
        order = order.to(self.device)
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            yield self.images[indices], self.labels[indices]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test set with the same classes, each held in memory or streamed from disk.

    ``test`` may be None: a search needs none, and a training is then not evaluated. ``valid`` are images for the alphas
    of a search, which then trains the weights on all of ``train``; None: it takes a part of these. ``classes[label]``
    is the name of a label. ``mean`` and ``std`` hold the training images' statistics, one number for each channel: in
    units of 0..1 for uint8 images (ImageNet's if they are streamed), in the images' own for float. ``preparation`` says
    how image files become these images; None: they come from elsewhere. Raises
    :class:`InputError` if the sets differ in image size or dtype, one of them is empty, a label has no name, or a
    statistic is not usable.
    """

    name: str
    train: ImageSet | StreamedSet
    test: ImageSet | StreamedSet | None
    classes: tuple[str, ...]
    mean: ByChannel
    std: ByChannel
    valid: ImageSet | StreamedSet | None = None
    preparation: Preparation | None = None

    def __post_init__(self) -> None:
        where = f"dataset {self.name!r}"
        if len({images.labels.is_floating_point() for images in self.parts.values()}) > 1:
            raise InputError(f"{where}: some parts have classes, others targets (N, K)")
        for part, images in self.parts.items():
            if images.image_shape != self.image_shape:
                forms = f"{self.image_shape} and {images.image_shape}"
                raise InputError(f"{where}: training and {_PART_NAMES[part]} images must have one size, got {forms}")
            if images.dtype != self.train.dtype:
                raise InputError(
                    f"{where}: training images are {_name(self.train.dtype)}, {part} {_name(images.dtype)}"
                )
            if not len(images):
                raise InputError(f"{where}: the {_PART_NAMES[part]} set has no images")
            if self.has_targets:
                if images.labels.shape[1] != self.num_classes:
                    given = f"{_PART_NAMES[part]} images have {images.labels.shape[1]} targets"
                    raise InputError(f"{where}: {given}, but {self.num_classes} names")
                continue
            low, high = (int(value) for value in images.labels.aminmax())
            if low < 0 or high >= self.num_classes:
                raise InputError(f"{where}: {_PART_NAMES[part]} labels {low}..{high}, but {self.num_classes} classes")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.image_shape[0] or not all(abs(value) <= _FLOAT32.max for value in values):
                given = f"{name}={format_value(values)}"
                raise InputError(
                    f"{where}: {given}: must be {self.image_shape[0]} finite numbers, one for each channel"
                )
        if min(self.std) < _FLOAT32.tiny:
            raise InputError(f"{where}: std={format_value(self.std)}: must be above 0")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        return self.train.image_shape

    @property
    def parts(self) -> dict[str, ImageSet | StreamedSet]:
        """The sets by name: ``train`` and, if there are any, ``test`` and ``valid``."""
        sets = {"train": self.train, "test": self.test, "valid": self.valid}
        return {name: images for name, images in sets.items() if images is not None}

    @property
    def num_classes(self) -> int:
        """The number of classes, or of targets."""
        return len(self.classes)

    @property
    def has_targets(self) -> bool:
        """Whether an image has targets, float32 (K,), instead of one class."""
        return self.train.labels.is_floating_point()

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the same dataset with its images on ``device``."""
        return replace(self, **{name: images.to(device) for name, images in self.parts.items()})  # type: ignore[arg-type]


def format_tensor(tensor: Tensor) -> str:
    """Return dtype and shape of a tensor, for messages."""
    return f"{_name(tensor.dtype)} {tuple(tensor.shape)}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
