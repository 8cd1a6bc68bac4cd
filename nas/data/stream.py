"""Image sets streamed from disk, read and cropped by worker processes while the device computes."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from nas.core.errors import InputError
from nas.core.seeding import derive_seed
from nas.data.crops import center_crop, random_crop
from nas.data.decode import bounded_decoding, decode_rgb
from nas.data.pixel_values import ValueRange

_Loaded = tuple[Tensor, Tensor] | InputError

_CPU = torch.device("cpu")
_WORKER_DIED = "DataLoader worker (pid"  # the start of torch's message


@dataclass(frozen=True, eq=False)
class StreamedSet:
    """Image files with labels int64 (N,), read as ``size`` x ``size`` crops by ``workers`` processes.

    ``files``: N paths below ``folder`` as one array of bytes; a list of strings would gradually be copied into every
    worker. ``workers``: 0 reads in the calling process. ``jitter``: see :func:`nas.data.crops.random_crop`.
    ``device``: the device of the batches; files and labels stay on the CPU. ``levels``: the values that become 0 and
    255, see :func:`nas.data.pixel_values.to_rgb`.
    """

    folder: Path
    files: np.ndarray
    labels: Tensor
    size: int
    workers: int = 0
    jitter: float = 0.0
    device: torch.device = _CPU
    levels: ValueRange | None = None

    def __len__(self) -> int:
        return len(self.files)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (3, H, W) of an image."""
        return 3, self.size, self.size

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the pixels."""
        return torch.uint8

    def to(self, device: torch.device | str) -> "StreamedSet":
        """Return the same images with batches on ``device``."""
        return replace(self, device=torch.device(device))

    def subset(self, indices: Tensor) -> "StreamedSet":
        """Return the images at ``indices``, int64 (M,) on any device, in that order."""
        indices = indices.cpu()
        return replace(self, files=self.files[indices.numpy()], labels=self.labels[indices])

    def read(self, order: Tensor, batch_size: int, crop_seed: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images at ``order``, int64 (M,), in batches: uint8 (B, 3, size, size), labels int64 (B,).

        The random crop of image i depends on (``crop_seed``, i) alone; without ``crop_seed`` it is the center crop.
        So the pixels depend neither on the number of workers nor on the first index. Raises :class:`InputError`
        naming a file that cannot be read, and if a worker process dies.
        """
        try:
            for batch in self._loaded(order, batch_size, crop_seed):
                if isinstance(batch, InputError):
                    raise batch
                images, labels = batch
                yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        except RuntimeError as error:
            if not str(error).startswith(_WORKER_DIED):
                raise
            hint = "fewer workers need less memory and less shared memory (/dev/shm)"
            raise InputError(f"data.workers={self.workers}: a worker process died; {hint}") from error

    def _loaded(self, order: Tensor, batch_size: int, crop_seed: int | None) -> Iterator[_Loaded]:
        import torchvision.transforms  # noqa: F401 - takes seconds: once here, not in each worker

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # more workers than cores may be intended: they also wait for disks
            loader = DataLoader[_Loaded](
                order.numpy(),  # type: ignore[arg-type]  # any sequence works as a dataset
                batch_size,
                num_workers=self.workers,
                collate_fn=partial(self._batch, crop_seed=crop_seed),
                pin_memory=self.device.type == "cuda",
                generator=torch.Generator(),  # otherwise the global generator is used
            )
            return iter(loader)  # starts the worker processes

    def _batch(self, indices: Sequence[int], crop_seed: int | None) -> _Loaded:
        """Return pixels and labels, or the error for the parent to raise: torch would add a traceback to it."""
        try:
            pixels = np.stack([self._pixels(int(index), crop_seed) for index in indices])  # (B, H, W, 3)
        except InputError as error:
            return error
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), self.labels[torch.tensor(indices)]

    def _pixels(self, index: int, crop_seed: int | None) -> np.ndarray:
        with bounded_decoding():
            image = Image.fromarray(decode_rgb(self.folder / os.fsdecode(self.files[index]), None, self.levels))
        if crop_seed is None:
            return np.asarray(center_crop(image, self.size))
        return np.asarray(random_crop(image, self.size, self.jitter, derive_seed(crop_seed, index)))
