"""A dataset of lists of image files: decoded once and then cached, or streamed."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas.data.cache import Arrays, read_cache, write_cache
from nas.data.dataset import Dataset, ImageSet
from nas.data.decode import decode_files
from nas.data.image_files import FileState
from nas.data.pixels import ByChannel, channel_statistics
from nas.data.settings import DataSettings
from nas.data.stream import StreamedSet
from nas.data.value_range_check import warn_if_squeezed

_CACHE_VERSION = 3  # increase it when decoding changes: every cache is then rebuilt
# Of ImageNet's training images, as in torchvision (references/classification/presets.py).
IMAGENET_MEAN: ByChannel = (0.485, 0.456, 0.406)
IMAGENET_STD: ByChannel = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class FileListing:
    """The image files of a part, paths below ``folder``; ``labels[i]`` belongs to ``files[i]``."""

    folder: Path
    files: Sequence[FileState]
    labels: Tensor

    @property
    def paths(self) -> list[Path]:
        """The paths of the files."""
        return [self.folder / file[0] for file in self.files]

    def subset(self, indices: Tensor) -> "FileListing":
        """Return the files at ``indices``, int64 (M,), in that order."""
        return FileListing(self.folder, [self.files[index] for index in indices.tolist()], self.labels[indices])


def load_files(
    root: Path, classes: tuple[str, ...], parts: Mapping[str, FileListing], settings: DataSettings
) -> Dataset:
    """Return the images of ``parts``, ``train``, ``test`` and perhaps ``valid``, as a dataset.

    The cache is one file per root and preparation; it is rebuilt if the name, size, inode, modification or change time
    of any image changes. With ``settings.stream`` the images stay on disk, nothing is cached, and ImageNet's statistics
    normalize them. Raises :class:`InputError` for an image that cannot be read.
    """
    if settings.stream:
        images = {part: _stream(listing, settings) for part, listing in parts.items()}
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        decoded = None
    else:
        pixels = _cached_pixels(root, classes, parts, settings)
        images = {part: ImageSet(pixels[part], listing.labels) for part, listing in parts.items()}
        decoded = pixels["train"]
        mean, std = channel_statistics(decoded)
    if settings.range is None:
        warn_if_squeezed(parts["train"].paths, root, decoded)
    return Dataset(settings.name, images["train"], images["test"], classes, mean, std, valid=images.get("valid"))


def _stream(listing: FileListing, settings: DataSettings) -> StreamedSet | ImageSet:
    assert settings.size is not None  # checked by DataSettings
    files = np.array([os.fsencode(file[0]) for file in listing.files])
    form = (settings.size, settings.workers, settings.jitter)
    return StreamedSet(listing.folder, files, listing.labels, *form, levels=settings.range)


def _cached_pixels(
    root: Path, classes: tuple[str, ...], parts: Mapping[str, FileListing], settings: DataSettings
) -> dict[str, Tensor]:
    form = (settings.size, settings.range, settings.test_fraction, settings.valid)
    files = {part: [str(listing.folder), *listing.files] for part, listing in parts.items()}
    fingerprint = _digest(_CACHE_VERSION, form, classes, files)
    cache = Path(settings.cache).expanduser() / f"{settings.name}-{_digest(str(root), form)[:16]}.npz"
    arrays = read_cache(cache, fingerprint)
    if arrays is None:
        arrays = _decode(parts, settings)
        write_cache(cache, fingerprint, arrays)
    return {part: torch.from_numpy(array) for part, array in arrays.items()}


def _decode(parts: Mapping[str, FileListing], settings: DataSettings) -> Arrays:
    reference = parts["train"].paths[0]  # without a size, all images must be as large as this one
    how = (settings.size, reference, settings.range)
    return {part: decode_files(listing.paths, *how).numpy() for part, listing in parts.items()}


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
