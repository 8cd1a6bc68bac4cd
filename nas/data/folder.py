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
from nas.data.decode import decode_files, image_formats
from nas.data.pixels import ByChannel, channel_statistics
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.data.stream import StreamedSet

_CACHE_VERSION = 1  # increase it when decoding changes: every cache is then rebuilt
_SPLITS = ("train", "test")
# Of ImageNet's training images, as in torchvision (references/classification/presets.py).
IMAGENET_MEAN: ByChannel = (0.485, 0.456, 0.406)
IMAGENET_STD: ByChannel = (0.229, 0.224, 0.225)

FileState = tuple[str, int, int]  # path below the folder of its split, bytes, mtime in ns


@dataclass(frozen=True)
class FileListing:
    """The image files of a split, sorted within each class; ``labels[i]`` is the class of ``files[i]``."""

    files: list[FileState]
    labels: list[int]


@register_dataset("folder")
def load_folder(settings: DataSettings) -> Dataset:
    """Load images in any format that Pillow reads, one folder per class, decoded once and then cached.

    Class folders are searched recursively; hidden files and files of other types are ignored. The cache is one file
    per root and size and is rebuilt if the name, size or modification time of any image changes. With
    ``settings.stream`` the images stay on disk, nothing is cached, and ImageNet's statistics normalize them. Raises
    :class:`InputError` if the folders are not as described or an image cannot be read.
    """
    if settings.root is None:
        raise InputError(
            "data=folder needs data.root=PATH, a folder with train/ and test/, each with one folder per class"
        )
    root = Path(settings.root).expanduser().resolve()
    classes = _classes(root)
    listings = {split: _list_images(root / split, classes) for split in _SPLITS}
    if settings.stream:
        return _streamed(root, classes, listings, settings)
    fingerprint = _digest(_CACHE_VERSION, settings.size, classes, [listings[split].files for split in _SPLITS])
    cache = Path(settings.cache).expanduser() / f"folder-{_digest(str(root), settings.size)[:16]}.npz"
    images = read_cache(cache, fingerprint)
    if images is None:
        images = _decode(root, listings, settings.size)
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


def _list_images(folder: Path, classes: tuple[str, ...]) -> FileListing:
    files: list[FileState] = []
    labels: list[int] = []
    suffixes = frozenset(image_formats())
    for label, name in enumerate(classes):
        class_files = sorted(_find_images(folder, name, suffixes))
        if not class_files:
            raise InputError(f"{folder / name}: no images; a class needs at least one in train/ and one in test/")
        files += class_files
        labels += [label] * len(class_files)
    return FileListing(files, labels)


def _find_images(folder: Path, below: str, suffixes: frozenset[str]) -> list[FileState]:
    files: list[FileState] = []
    try:
        with os.scandir(folder / below) as entries:
            for entry in entries:
                name = f"{below}/{entry.name}"
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    files += _find_images(folder, name, suffixes)
                elif Path(entry.name).suffix.lower() in suffixes and entry.is_file():
                    status = entry.stat()
                    files.append((name, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise InputError(f"{folder / below}: {error.strerror}") from None
    return files


def _streamed(
    root: Path, classes: tuple[str, ...], listings: dict[str, FileListing], settings: DataSettings
) -> Dataset:
    size, workers, jitter = settings.size, settings.workers, settings.jitter
    assert size is not None  # checked by DataSettings

    def stream(split: str) -> StreamedSet:
        files = np.array([os.fsencode(file) for file, _, _ in listings[split].files])
        return StreamedSet(root / split, files, torch.tensor(listings[split].labels), size, workers, jitter)

    return Dataset("folder", stream("train"), stream("test"), classes, IMAGENET_MEAN, IMAGENET_STD)


def _decode(root: Path, listings: dict[str, FileListing], size: int | None) -> Arrays:
    paths = {split: [root / split / name for name, _, _ in listings[split].files] for split in _SPLITS}
    reference = paths["train"][0]  # without a size, the images of both splits must be as large as this one
    return {split: decode_files(paths[split], size, reference).numpy() for split in _SPLITS}


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
