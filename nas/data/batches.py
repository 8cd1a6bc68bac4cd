"""Stateless batch loader: any step of any epoch can be read directly, without replaying the steps before it."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.seeding import derive_seed
from nas.data.augment import AugmentSettings, augment, draw_augmentation, normalize
from nas.data.dataset import ImageSet
from nas.data.pixels import ByChannel
from nas.data.stream import StreamedSet

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W), labels (B,)


class BatchSource(Protocol):
    """Batches by epoch, as a search or an evaluation reads them."""

    @property
    def device(self) -> torch.device:
        """The device of the batches."""

    @property
    def images_per_step(self) -> int:
        """The number of images in a full batch."""

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Iterate over ``epoch`` (from 0) from ``start_step`` on: images float32 (B, C, H, W), labels int64 (B,)."""


class Batches:
    """Normalized batches of an :class:`ImageSet` or a :class:`StreamedSet` on its device.

    With ``shuffle`` (training), each epoch has its own random order and an incomplete last batch is dropped: fixed
    shapes keep compiled and captured steps valid, and BatchNorm never sees a handful of images. A set smaller than
    one batch still yields that one smaller batch. Without ``shuffle`` (evaluation), all images come in order.

    The order of epoch e is seeded by (seed, stream, e), the augmentation of its step s by (seed, stream, e, s), and
    the crop of a streamed image i by (seed, stream, e, i). A run resumed at (e, s) therefore sees the same batches
    without any saved state. Order and crops are the same on every device; augmentation is sampled on the device, so
    it is reproducible on each type of device.

    With ``sampling`` "balanced" the images of a training epoch are drawn with replacement such that each class is
    equally likely. Raises :class:`InputError` for an empty set or a batch size below 1.
    """

    def __init__(
        self,
        images: ImageSet | StreamedSet,
        batch_size: int,
        *,
        mean: ByChannel,
        std: ByChannel,
        seed: int,
        stream: str,
        augment: AugmentSettings | None = None,
        shuffle: bool = True,
        sampling: str = "uniform",
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f"batch_size={batch_size!r}: must be a whole number, 1 or more")
        if not len(images):
            raise InputError(f"{stream!r}: the set has no images to batch")
        self.images, self.batch_size = images, batch_size
        self.seed, self.stream = seed, stream
        self.settings, self.shuffle = augment, shuffle
        self.chances = image_chances(images.labels.cpu()) if shuffle and sampling == "balanced" else None
        self.mean = torch.tensor(mean, dtype=torch.float32, device=images.device).view(-1, 1, 1)
        self.std = torch.tensor(std, dtype=torch.float32, device=images.device).view(-1, 1, 1)
        self.generator = torch.Generator(images.device)

    @property
    def device(self) -> torch.device:
        """The device of the batches."""
        return self.images.device

    @property
    def images_per_step(self) -> int:
        """The number of images in a full batch."""
        return min(self.batch_size, len(self.images))

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        full, rest = divmod(len(self.images), self.batch_size)
        return full if self.shuffle and full else full + (rest > 0)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over ``epoch`` (from 0) from ``start_step`` on: images float32 (B, C, H, W), labels int64 (B,)."""
        if epoch < 0:
            raise InputError(f"epoch={epoch}: must be 0 or more")
        if not 0 <= start_step <= len(self):
            raise InputError(f"start_step={start_step}: must lie in 0..{len(self)}, the steps of {self.stream!r}")
        return self._steps(epoch, start_step)

    def _steps(self, epoch: int, start_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order(epoch)[start_step * self.batch_size : len(self) * self.batch_size]
        crop_seed = None if self.settings is None else derive_seed(self.seed, self.stream, "crop", epoch)
        for step, (images, labels) in enumerate(self.images.read(order, self.batch_size, crop_seed), start_step):
            yield self._augment(images, epoch, step), labels

    def _order(self, epoch: int) -> Tensor:
        if not self.shuffle:
            return torch.arange(len(self.images))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.stream, "order", epoch))
        if self.chances is not None:
            return torch.multinomial(self.chances, len(self.images), replacement=True, generator=generator)
        return torch.randperm(len(self.images), generator=generator)  # on the CPU: the same on every device

    def _augment(self, images: Tensor, epoch: int, step: int) -> Tensor:
        if self.settings is None:
            return normalize(images, self.mean, self.std)
        self.generator.manual_seed(derive_seed(self.seed, self.stream, "augment", epoch, step))
        height, width = images.shape[-2:]
        draws = draw_augmentation(len(images), height, width, self.settings, self.generator)
        return augment(images, draws, self.settings, self.mean, self.std)


def image_chances(labels: Tensor) -> Tensor:
    """Return the chance of each image, float64 (N,), such that all classes of ``labels``, int64 (N,), are as likely."""
    counts = labels.bincount()
    return 1 / (counts[labels].double() * int((counts > 0).sum()))
