"""Batches of images, normalised, on the device. No state: any step of any epoch can be asked for directly."""

from collections.abc import Iterator

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.seeding import derive_seed
from nas.data.augment import AugmentSettings, augment, draw_augmentation, normalize
from nas.data.dataset import ImageSet
from nas.data.stream import StreamedSet

Batch = tuple[Tensor, Tensor]  # images (B, 3, H, W), labels (B,)


class Batches:
    """Batches of an :class:`ImageSet` or a :class:`StreamedSet`, normalised, on its device.

    In training (``shuffle``) each epoch has its own random order, and a last batch that is not full is dropped: fixed
    shapes keep compiled and captured steps valid, and BatchNorm never sees a handful of images. Only a set smaller
    than a batch gives its one smaller batch. In evaluation (``shuffle=False``) order and images are complete.

    The order of epoch e is seeded by (seed, stream, e), the augmentation of its step s by (seed, stream, e, s), the
    crop of a streamed image i by (seed, stream, e, i). A run continued at (e, s) therefore sees what it would have
    seen, with nothing saved. Order and crops are the same on every device; augmentation draws on the device, so it is
    reproducible on each kind of device.

    Raises :class:`InputError` for an empty set or a batch size below 1.
    """

    def __init__(
        self,
        images: ImageSet | StreamedSet,
        batch_size: int,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        seed: int,
        stream: str,
        augment: AugmentSettings | None = None,
        shuffle: bool = True,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f"batch_size={batch_size!r}: a whole number, 1 or more")
        if not len(images):
            raise InputError(f"no images for the batches of {stream!r}")
        self.images, self.batch_size = images, batch_size
        self.seed, self.stream = seed, stream
        self.settings, self.shuffle = augment, shuffle
        self.mean = torch.tensor(mean, dtype=torch.float32, device=images.device).view(3, 1, 1)
        self.std = torch.tensor(std, dtype=torch.float32, device=images.device).view(3, 1, 1)
        self.generator = torch.Generator(images.device)

    def __len__(self) -> int:
        """Steps in an epoch."""
        full, rest = divmod(len(self.images), self.batch_size)
        return full if self.shuffle and full else full + (rest > 0)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of ``epoch`` (from 0) from ``start_step`` on: float32 (B, 3, H, W) and labels int64 (B,)."""
        if epoch < 0:
            raise InputError(f"epoch={epoch}: 0 or more")
        if not 0 <= start_step <= len(self):
            raise InputError(f"start_step={start_step}: an epoch of {self.stream!r} has {len(self)} steps")
        return self._steps(epoch, start_step)

    def _steps(self, epoch: int, start_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order(epoch)[start_step * self.batch_size : len(self) * self.batch_size]
        crop_seed = None if self.settings is None else derive_seed(self.seed, self.stream, "crop", epoch)
        for step, (images, labels) in enumerate(self.images.read(order, self.batch_size, crop_seed), start_step):
            yield self._prepared(images, epoch, step), labels

    def _order(self, epoch: int) -> Tensor:
        if not self.shuffle:
            return torch.arange(len(self.images))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.stream, "order", epoch))
        return torch.randperm(len(self.images), generator=generator)  # on the CPU: the same on every device

    def _prepared(self, images: Tensor, epoch: int, step: int) -> Tensor:
        if self.settings is None:
            return normalize(images, self.mean, self.std)
        self.generator.manual_seed(derive_seed(self.seed, self.stream, "augment", epoch, step))
        height, width = images.shape[-2:]
        draws = draw_augmentation(len(images), height, width, self.settings, self.generator)
        return augment(images, draws, self.settings, self.mean, self.std)
