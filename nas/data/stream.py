"""Images that stay on disk: too many for memory, read and cropped by worker processes while the device computes."""

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

Loaded = tuple[Tensor, Tensor] | InputError

CPU = torch.device("cpu")
LOST = "DataLoader worker (pid"  # so torch begins its message on a worker process that died


@dataclass(frozen=True, eq=False)
class StreamedSet:
    """Image files with their labels int64 (N,), to be read as squares of ``size`` pixels by ``workers`` processes.

    ``files``: N paths below ``folder`` as one array of bytes: a list of text would be copied into every worker, piece
    by piece. ``workers``: 0 reads in this process. ``jitter``: see :func:`nas.data.crops.random_crop`. ``device`` is
    where batches go; files and labels stay on the CPU.
    """

    folder: Path
    files: np.ndarray
    labels: Tensor
    size: int
    workers: int = 0
    jitter: float = 0.0
    device: torch.device = CPU

    def __len__(self) -> int:
        return len(self.files)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        return 3, self.size, self.size

    def to(self, device: torch.device | str) -> "StreamedSet":
        """The same images, read for ``device``."""
        return replace(self, device=torch.device(device))

    def subset(self, indices: Tensor) -> "StreamedSet":
        """The images at ``indices``, int64 (M,) on any device, in that order."""
        indices = indices.cpu()
        return replace(self, files=self.files[indices.numpy()], labels=self.labels[indices])

    def read(self, order: Tensor, batch_size: int, crop_seed: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        """The images at ``order``, int64 (M,), in batches on the device: uint8 (B, 3, size, size), labels int64 (B,).

        Image i is cropped at random by (``crop_seed``, i) alone, or in its middle where that is None: the pixels do
        not depend on the number of workers, nor on where the order begins. Raises :class:`InputError` naming a file
        that cannot be read, and where a worker process dies.
        """
        try:
            for batch in self._loaded(order, batch_size, crop_seed):
                if isinstance(batch, InputError):
                    raise batch
                images, labels = batch
                yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        except RuntimeError as error:
            if not str(error).startswith(LOST):
                raise
            hint = "fewer take less memory, and less of the shared memory in /dev/shm"
            raise InputError(f"data.workers={self.workers}: one of these processes died; {hint}") from error

    def _loaded(self, order: Tensor, batch_size: int, crop_seed: int | None) -> Iterator[Loaded]:
        import torchvision.transforms  # noqa: F401 - takes seconds: once here, not in each process

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # more workers than cores are the user's choice: they also wait for disks
            loader = DataLoader[Loaded](
                order.numpy(),  # type: ignore[arg-type]  # any sequence is a dataset
                batch_size,
                num_workers=self.workers,
                collate_fn=partial(self._batch, crop_seed=crop_seed),
                pin_memory=self.device.type == "cuda",
                generator=torch.Generator(),  # else it draws from the global one
            )
            return iter(loader)  # starts the processes

    def _batch(self, indices: Sequence[int], crop_seed: int | None) -> Loaded:
        """Pixels and labels; or the error, which the asking process raises: torch would put a traceback into it."""
        try:
            pixels = np.stack([self._pixels(int(index), crop_seed) for index in indices])  # (B, H, W, 3)
        except InputError as error:
            return error
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), self.labels[torch.tensor(indices)]

    def _pixels(self, index: int, crop_seed: int | None) -> np.ndarray:
        with bounded_decoding():
            picture = Image.fromarray(decode_rgb(self.folder / os.fsdecode(self.files[index])))
        if crop_seed is None:
            return np.asarray(center_crop(picture, self.size))
        return np.asarray(random_crop(picture, self.size, self.jitter, derive_seed(crop_seed, index)))
