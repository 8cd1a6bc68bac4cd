"""Image folders: ``root/train/<class>/…`` and ``root/test/<class>/…``."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nas.core.errors import InputError
from nas.data.cache import Arrays, read_cache, write_cache
from nas.data.dataset import Dataset, ImageSet
from nas.data.decode import decode_files
from nas.data.image_files import FileState, ImageFinder
from nas.data.pixels import ByChannel, channel_statistics
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.data.stream import StreamedSet
from nas.data.value_range_check import warn_if_squeezed

_CACHE_VERSION = 2  # increase it when decoding changes: every cache is then rebuilt
_SPLITS = ("train", "test")
# Of ImageNet's training images, as in torchvision (references/classification/presets.py).
IMAGENET_MEAN: ByChannel = (0.485, 0.456, 0.406)
IMAGENET_STD: ByChannel = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class FileListing:
    """The image files of a split, sorted within each class; ``labels[i]`` is the class of ``files[i]``."""

    files: list[FileState]
    labels: list[int]


@register_dataset("folder")
def load_folder(settings: DataSettings) -> Dataset:
    """Load images in any format that Pillow reads, one folder per class, decoded once and then cached.

    Class folders are searched recursively; see :class:`nas.data.image_files.ImageFinder` for what counts as an image.
    The cache is one file per root, size and range, and is rebuilt if the name, size, inode, modification or change time
    of any image changes. With ``settings.stream`` the images stay on disk, nothing is cached, and ImageNet's statistics
    normalize them. Raises :class:`InputError` if the folders are not as described, hold one class only, or an image
    cannot be read.
    """
    if settings.root is None:
        raise InputError(
            "data=folder needs data.root=PATH, a folder with train/ and test/, each with one folder per class"
        )
    root = Path(settings.root).expanduser().resolve()
    classes = _classes(root)
    finder = ImageFinder()
    listings = {split: _list_images(root / split, classes, finder) for split in _SPLITS}
    finder.warn(root)
    if settings.stream:
        dataset = _streamed(root, classes, listings, settings)
    else:
        dataset = _decoded(root, classes, listings, settings)
    if settings.range is None:
        decoded = dataset.train.images if isinstance(dataset.train, ImageSet) else None
        warn_if_squeezed([root / "train" / file[0] for file in listings["train"].files], root, decoded)
    return dataset


def _decoded(root: Path, classes: tuple[str, ...], listings: dict[str, FileListing], settings: DataSettings) -> Dataset:
    form = (settings.size, settings.range)
    fingerprint = _digest(_CACHE_VERSION, form, classes, [listings[split].files for split in _SPLITS])
    cache = Path(settings.cache).expanduser() / f"folder-{_digest(str(root), form)[:16]}.npz"
    images = read_cache(cache, fingerprint)
    if images is None:
        images = _decode(root, listings, settings)
        write_cache(cache, fingerprint, images)
    train, test = (ImageSet(torch.from_numpy(images[split]), torch.tensor(listings[split].labels)) for split in _SPLITS)
    return Dataset("folder", train, test, classes, *channel_statistics(train.images))


def _classes(root: Path) -> tuple[str, ...]:
    """Return the sorted names of the class folders, which must be the same in train/ and test/."""
    train, test = (_folder_names(root, split) for split in _SPLITS)
    if train != test:
        only = [
            f"{split} only: {', '.join(sorted(names))}"
            for split, names in zip(_SPLITS, (train - test, test - train), strict=True)
            if names
        ]
        raise InputError(f"data.root={root}: train/ and test/ must have the same class folders ({'; '.join(only)})")
    if len(train) == 1:
        raise InputError(f"{root / 'train'}: one class only, {next(iter(train))!r}; a class needs a folder of its own")
    return tuple(sorted(train))


def _folder_names(root: Path, split: str) -> set[str]:
    try:
        with os.scandir(root / split) as entries:
            names = {entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")}
    except OSError as error:
        raise InputError(
            f"{root / split}: {error.strerror}; data.root needs train/ and test/, each with one folder per class"
        ) from None
    if not names:
        raise InputError(f"{root / split}: no class folders; each class needs a folder of images")
    return names


def _list_images(folder: Path, classes: tuple[str, ...], finder: ImageFinder) -> FileListing:
    files: list[FileState] = []
    labels: list[int] = []
    finder.count_loose_images(folder)
    for label, name in enumerate(classes):
        class_files = finder.find(folder, name)
        if not class_files:
            finder.warn(folder)
            raise InputError(f"{folder / name}: no images; a class needs at least one in train/ and one in test/")
        files += class_files
        labels += [label] * len(class_files)
    return FileListing(files, labels)


def _streamed(
    root: Path, classes: tuple[str, ...], listings: dict[str, FileListing], settings: DataSettings
) -> Dataset:
    size, workers, jitter = settings.size, settings.workers, settings.jitter
    assert size is not None  # checked by DataSettings

    def stream(split: str) -> StreamedSet:
        files = np.array([os.fsencode(file[0]) for file in listings[split].files])
        labels = torch.tensor(listings[split].labels)
        return StreamedSet(root / split, files, labels, size, workers, jitter, levels=settings.range)

    return Dataset("folder", stream("train"), stream("test"), classes, IMAGENET_MEAN, IMAGENET_STD)


def _decode(root: Path, listings: dict[str, FileListing], settings: DataSettings) -> Arrays:
    paths = {split: [root / split / file[0] for file in listings[split].files] for split in _SPLITS}
    reference = paths["train"][0]  # without a size, the images of both splits must be as large as this one
    how = (settings.size, reference, settings.range)
    return {split: decode_files(paths[split], *how).numpy() for split in _SPLITS}


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
