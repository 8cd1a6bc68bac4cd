"""CIFAR-10 and CIFAR-100: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

torchvision knows the archives and their checksums, unpacks and reads them; it only reads files whose md5 is right.
"""

import http.client
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.core.errors import InputError
from nas.data.dataset import Dataset, ImageSet
from nas.data.download import download
from nas.data.pixels import Triple, resized
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings

# As in DARTS' released code (quark0/darts, cnn/utils.py): of the 50,000 training images.
CIFAR10_MEAN: Triple = (0.49139968, 0.48215827, 0.44653124)
CIFAR10_STD: Triple = (0.24703233, 0.24348505, 0.26158768)
# The same of CIFAR-100's training images, to four places.
CIFAR100_MEAN: Triple = (0.5071, 0.4865, 0.4409)
CIFAR100_STD: Triple = (0.2673, 0.2564, 0.2762)

FAILURES = (OSError, RuntimeError, EOFError, http.client.HTTPException, tarfile.TarError)


@register_dataset("cifar10")
def load_cifar10(settings: DataSettings) -> Dataset:
    """50,000 training and 10,000 test images of 32 x 32 in 10 classes, downloaded into ``root`` when not there."""
    from torchvision.datasets import CIFAR10  # seconds to import: only who asks for it waits

    return _load(CIFAR10, settings, CIFAR10_MEAN, CIFAR10_STD)


@register_dataset("cifar100")
def load_cifar100(settings: DataSettings) -> Dataset:
    """50,000 training and 10,000 test images of 32 x 32 in 100 classes, downloaded into ``root`` when not there."""
    from torchvision.datasets import CIFAR100

    return _load(CIFAR100, settings, CIFAR100_MEAN, CIFAR100_STD)


def _load(source: Any, settings: DataSettings, mean: Triple, std: Triple) -> Dataset:
    root = Path(settings.root or "data").expanduser()
    try:
        with warnings.catch_warnings():  # on the old pickle format of the archives, and on how torchvision unpacks them
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            warnings.filterwarnings("ignore", "Python 3.14 will", DeprecationWarning)
            train, test = _open(source, root)
    except FAILURES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        file = f"{source.filename} (from {source.url}, md5 {source.tgz_md5})"
        raise InputError(
            f"data={settings.name} is not there: {reason}. "
            f"Put {file} into {root}/, or choose data=digits or data=folder data.root=PATH"
        ) from error
    images, others = _image_set(train, settings.size), _image_set(test, settings.size)
    return Dataset(settings.name, images, others, tuple(train.classes), mean, std)


def _open(source: Any, root: Path) -> tuple[Any, Any]:
    """torchvision's training and test set: from the unpacked files, else from the archive, else from the net."""
    try:
        return source(root, train=True), source(root, train=False)
    except RuntimeError:  # torchvision's word for: not there, or not whole
        _provide_archive(source, root / source.filename)
        return source(root, train=True, download=True), source(root, train=False)  # only unpacks


def _provide_archive(source: Any, archive: Path) -> None:
    """Fetch the archive if it is not there, whole; torchvision would, but without a timeout and a plain progress."""
    from torchvision.datasets.utils import check_integrity

    if check_integrity(archive, source.tgz_md5):
        return
    damaged = f"{archive} is damaged (its md5 is not the one below)" if archive.exists() else ""
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)  # now, not after the download, should it be impossible
        download(source.url, archive)
    except FAILURES as error:
        raise RuntimeError(f"{damaged}, {error}" if damaged else str(error)) from error
    if not check_integrity(archive, source.tgz_md5):
        raise RuntimeError(f"{archive} arrived with a wrong md5")


def _image_set(part: Any, size: int | None) -> ImageSet:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()  # (N, H, W, 3) -> (N, 3, H, W)
    return ImageSet(resized(images, size), torch.tensor(part.targets, dtype=torch.int64))
