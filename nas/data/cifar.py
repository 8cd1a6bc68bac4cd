"""CIFAR-10 and CIFAR-100: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

URLs, file names and md5 sums are torchvision's. Only files with the right md5 are read, and their pickles are parsed as
plain data: torchvision's own loader would execute code in them.
"""

import hashlib
import http.client
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.core.errors import InputError
from nas.data.dataset import Dataset, ImageSet
from nas.data.download import download
from nas.data.pixels import ByChannel, resize
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.storage.atomic_files import write_file
from nas.storage.plain_pickle import read_pickle

# Of the 50,000 training images, from DARTS' released code (quark0/darts, cnn/utils.py).
CIFAR10_MEAN: ByChannel = (0.49139968, 0.48215827, 0.44653124)
CIFAR10_STD: ByChannel = (0.24703233, 0.24348505, 0.26158768)
# Of CIFAR-100's training images, to four decimals.
CIFAR100_MEAN: ByChannel = (0.5071, 0.4865, 0.4409)
CIFAR100_STD: ByChannel = (0.2673, 0.2564, 0.2762)

_MAX_BYTES = 200_000_000  # of one file: CIFAR-100's archive has 169 MB, its training images 155 MB
_FAILURES = (OSError, RuntimeError, EOFError, KeyError, ValueError, http.client.HTTPException, tarfile.TarError)


@register_dataset("cifar10")
def load_cifar10(settings: DataSettings) -> Dataset:
    """Load 50,000 training and 10,000 test images of 32 x 32 in 10 classes, downloaded to ``root`` if needed."""
    from torchvision.datasets import CIFAR10  # takes seconds to import

    return _load(CIFAR10, settings, CIFAR10_MEAN, CIFAR10_STD)


@register_dataset("cifar100")
def load_cifar100(settings: DataSettings) -> Dataset:
    """Load 50,000 training and 10,000 test images of 32 x 32 in 100 classes, downloaded to ``root`` if needed."""
    from torchvision.datasets import CIFAR100

    return _load(CIFAR100, settings, CIFAR100_MEAN, CIFAR100_STD)


def _load(source: Any, settings: DataSettings, mean: ByChannel, std: ByChannel) -> Dataset:
    root = Path(settings.root or "data").expanduser()
    meta = source.meta["filename"], source.meta["md5"]
    try:
        files = _files(source, root, [*source.train_list, *source.test_list, meta])
    except _FAILURES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        file = f"{source.filename} (from {source.url}, md5 {source.tgz_md5})"
        raise InputError(
            f"data={settings.name}: not available ({reason}). "
            f"Put {file} into {root}/, or use data=digits or data=folder data.root=PATH"
        ) from error
    classes = files[meta[0]][source.meta["key"]]
    train, test = (
        _image_set([files[name] for name, _ in part], settings.size) for part in (source.train_list, source.test_list)
    )
    return Dataset(settings.name, train, test, tuple(classes), mean, std)


def _files(source: Any, root: Path, names: list[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Read the named files (name, md5), after unpacking and downloading the archive as far as needed."""
    folder = root / source.base_folder
    contents = {name: _read(folder / name, md5) for name, md5 in names}
    if None in contents.values():
        archive = root / source.filename
        _ensure_archive(source, archive)
        _unpack(archive, source.base_folder, list(contents), root)
        contents = {name: _read(folder / name, md5) for name, md5 in names}
    parsed = {}
    for name, data in contents.items():
        if data is None:
            raise RuntimeError(f"{folder / name} is damaged (wrong md5)")
        parsed[name] = read_pickle(data, str(folder / name))
    return parsed


def _read(path: Path, md5: str) -> bytes | None:
    """Return the bytes of a regular file with that checksum, else None."""
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        return None
    data = path.read_bytes()
    return data if hashlib.md5(data, usedforsecurity=False).hexdigest() == md5 else None


def _ensure_archive(source: Any, archive: Path) -> None:
    """Download the archive unless an intact one is there."""
    if _read(archive, source.tgz_md5) is not None:
        return
    damaged = f"{archive} is damaged (wrong md5)" if archive.exists() else ""
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)  # fail before the download rather than after it
        download(source.url, archive)
    except _FAILURES as error:
        raise RuntimeError(f"{damaged}, {error}" if damaged else str(error)) from error
    if _read(archive, source.tgz_md5) is None:
        raise RuntimeError(f"{archive}: the download has a wrong md5")


def _unpack(archive: Path, folder: str, names: list[str], root: Path) -> None:
    """Extract the named files of the archive's ``folder`` to ``root/folder``, ignoring every other member."""
    with tarfile.open(archive, "r:gz") as tar:
        for name in names:
            member = tar.getmember(f"{folder}/{name}")
            file = tar.extractfile(member) if member.isreg() and member.size <= _MAX_BYTES else None
            if file is None:
                raise RuntimeError(f"{archive}: {member.name} is not a file of at most {_MAX_BYTES:,} bytes")
            write_file(root / folder / name, file.read())


def _image_set(parts: list[dict[str, Any]], size: int | None) -> ImageSet:
    images = torch.from_numpy(np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32))
    labels = [label for part in parts for label in part["labels" if "labels" in part else "fine_labels"]]
    return ImageSet(resize(images, size), torch.tensor(labels, dtype=torch.int64))
