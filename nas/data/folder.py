"""Images in folders: ``root/train/<class>/…`` and ``root/test/<class>/…``."""

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
from nas.data.decode import decode_files, picture_formats
from nas.data.pixels import Triple, channel_statistics
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.data.stream import StreamedSet

CACHE_VERSION = 1  # raise it when decoding changes, and every cache is made again
PARTS = ("train", "test")
# Of ImageNet's training images, as torchvision's ImageNet weights take them (references/classification/presets.py).
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)

FileState = tuple[str, int, int]  # path below the part's folder, bytes, time of change in ns


@dataclass(frozen=True)
class Listing:
    """The image files of a part, class by class and sorted; ``labels[i]`` is the class of ``files[i]``."""

    files: list[FileState]
    labels: list[int]


@register_dataset("folder")
def load_folder(settings: DataSettings) -> Dataset:
    """Images in any format that Pillow reads, one folder a class, decoded once and then read from the cache.

    Images in folders within a class folder count too; hidden files and other files do not. The cache is one file per
    root and size, and is made again when any image's name, length or time of change differs. With
    ``settings.stream`` the images stay on disk instead, nothing is cached, and they are normalised as ImageNet's are.
    Raises :class:`InputError` if the folders are not as described or an image cannot be read.
    """
    if settings.root is None:
        raise InputError(
            "data=folder needs data.root=PATH, a folder with train/ and test/ in it, one folder a class in each"
        )
    root = Path(settings.root).expanduser().resolve()
    classes = _classes(root)
    listings = {part: _list_part(root / part, classes) for part in PARTS}
    if settings.stream:
        return _streamed(root, classes, listings, settings)
    fingerprint = _digest(CACHE_VERSION, settings.size, classes, [listings[part].files for part in PARTS])
    cache = Path(settings.cache).expanduser() / f"folder-{_digest(str(root), settings.size)[:16]}.npz"
    images = read_cache(cache, fingerprint)
    if images is None:
        images = _decode(root, listings, settings.size)
        write_cache(cache, fingerprint, images)
    train, test = (ImageSet(torch.from_numpy(images[part]), torch.tensor(listings[part].labels)) for part in PARTS)
    return Dataset("folder", train, test, classes, *channel_statistics(train.images))


def _classes(root: Path) -> tuple[str, ...]:
    """The names of the class folders, sorted, which must be the same in both parts."""
    train, test = (_folders(root, part) for part in PARTS)
    if train != test:
        only = [
            f"{part} only: {', '.join(sorted(names))}"
            for part, names in zip(PARTS, (train - test, test - train), strict=True)
            if names
        ]
        raise InputError(f"{root}: train/ and test/ must have the same class folders ({'; '.join(only)})")
    return tuple(sorted(train))


def _folders(root: Path, part: str) -> set[str]:
    try:
        with os.scandir(root / part) as entries:
            names = {entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")}
    except OSError as error:
        raise InputError(
            f"{root / part}: {error.strerror}; data.root needs train/ and test/, one folder a class"
        ) from None
    if not names:
        raise InputError(f"{root / part}: no class folders in it; each class needs a folder of images")
    return names


def _list_part(folder: Path, classes: tuple[str, ...]) -> Listing:
    files: list[FileState] = []
    labels: list[int] = []
    suffixes = frozenset(picture_formats())
    for label, name in enumerate(classes):
        found = sorted(_images(folder, name, suffixes))
        if not found:
            raise InputError(f"{folder / name}: no images in it; a class needs at least one in train/ and in test/")
        files += found
        labels += [label] * len(found)
    return Listing(files, labels)


def _images(folder: Path, below: str, suffixes: frozenset[str]) -> list[FileState]:
    found: list[FileState] = []
    try:
        with os.scandir(folder / below) as entries:
            for entry in entries:
                name = f"{below}/{entry.name}"
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    found += _images(folder, name, suffixes)
                elif Path(entry.name).suffix.lower() in suffixes and entry.is_file():
                    state = entry.stat()
                    found.append((name, state.st_size, state.st_mtime_ns))
    except OSError as error:
        raise InputError(f"{folder / below}: {error.strerror}") from None
    return found


def _streamed(root: Path, classes: tuple[str, ...], listings: dict[str, Listing], settings: DataSettings) -> Dataset:
    size, workers, jitter = settings.size, settings.workers, settings.jitter
    assert size is not None  # the settings see to it

    def part(name: str) -> StreamedSet:
        files = np.array([os.fsencode(file) for file, _, _ in listings[name].files])
        return StreamedSet(root / name, files, torch.tensor(listings[name].labels), size, workers, jitter)

    return Dataset("folder", part("train"), part("test"), classes, IMAGENET_MEAN, IMAGENET_STD)


def _decode(root: Path, listings: dict[str, Listing], size: int | None) -> Arrays:
    paths = {part: [root / part / name for name, _, _ in listings[part].files] for part in PARTS}
    like = paths["train"][0]  # without a size, both parts must be as large as this one
    return {part: decode_files(paths[part], size, like).numpy() for part in PARTS}


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
