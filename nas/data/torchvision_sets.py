"""Classification data sets of torchvision, by its names: ``data=torchvision data.dataset=FashionMNIST``."""

import gzip
import http.client
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas.core.errors import InputError
from nas.core.registry import nearest
from nas.data.dataset import Dataset, ImageSet
from nas.data.pixels import channel_statistics, resize
from nas.data.registry import register_dataset
from nas.data.samples import read_samples
from nas.data.settings import DataSettings

# The arguments of training and test set. Only sets whose files are not pickles, which would run code, are here.
_BY_FLAG = ({"train": True}, {"train": False})
_BY_SPLIT = ({"split": "train"}, {"split": "test"})
_BY_VAL = ({"split": "train"}, {"split": "val"})
_MNIST_LIKE = ("MNIST", "FashionMNIST", "KMNIST")
_SETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **dict.fromkeys((*_MNIST_LIKE, "USPS"), _BY_FLAG),
    **dict.fromkeys(("SVHN", "STL10", "GTSRB", "Flowers102", "Food101", "DTD", "RenderedSST2"), _BY_SPLIT),
    "OxfordIIITPet": ({"split": "trainval"}, {"split": "test"}),
    "FGVCAircraft": ({"split": "trainval"}, {"split": "test"}),
    "Imagenette": _BY_VAL,
}
_IDX_FILES = {"train": "train", "test": "t10k"}  # in the names of MNIST's files
_MAX_IDX_BYTES = 1_000_000_000
_FAILURES = (OSError, RuntimeError, EOFError, KeyError, ValueError, http.client.HTTPException, ImportError)


@register_dataset("torchvision")
def load_torchvision(settings: DataSettings) -> Dataset:
    """Load the set ``settings.dataset`` of torchvision, downloaded to ``root`` (``data``) if it is not there.

    The images keep their channels: those of MNIST have one. ``root`` may also be a folder with the four files of MNIST,
    FashionMNIST or KMNIST themselves, such as Debian's ``/usr/share/dataset-fashion-mnist``. Raises
    :class:`InputError` for a set that is not known or not available.
    """
    name = settings.dataset
    if name is None or name not in _SETS:
        given = "needs data.dataset=NAME" if name is None else f"data.dataset={name}"
        hint = "; it is data=cifar10 or data=cifar100 here" if name in ("CIFAR10", "CIFAR100") else ""
        allowed = f"known are {', '.join(sorted(_SETS))}" if name is None else nearest(name, sorted(_SETS))
        raise InputError(f"data=torchvision: {given}: {allowed}{hint}")
    root = Path(settings.root or "data").expanduser()
    try:
        if name in _MNIST_LIKE and _idx_file(root, "train-images-idx3-ubyte").is_file():
            train, test = (_read_idx_set(root, part) for part in _IDX_FILES.values())
            classes = _classes_of(name)
        else:
            train, test, classes = _read_torchvision(name, root, settings.size)
    except _FAILURES as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"data=torchvision data.dataset={name}: not available in {root} ({reason})") from error
    train, test = (ImageSet(resize(part.images, settings.size), part.labels) for part in (train, test))
    number = 1 + max(int(part.labels.max()) for part in (train, test))
    names = classes if len(classes) >= number else tuple(map(str, range(number)))
    return Dataset(settings.name, train, test, names, *channel_statistics(train.images))


def _read_torchvision(name: str, root: Path, size: int | None) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    import torchvision.datasets  # takes seconds to import

    kind = getattr(torchvision.datasets, name)

    def transform(image: Image.Image) -> Image.Image:
        plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
        return plain if size is None else plain.resize((size, size), Image.Resampling.BILINEAR)

    sets = []
    for arguments in _SETS[name]:
        try:
            sets.append(kind(str(root), transform=transform, **arguments))
        except RuntimeError:
            sets.append(kind(str(root), transform=transform, download=True, **arguments))
    train, test = (read_samples(part, name) for part in sets)
    return train, test, _as_names(getattr(sets[0], "classes", ()))


def _classes_of(name: str) -> tuple[str, ...]:
    import torchvision.datasets

    return _as_names(getattr(torchvision.datasets, name).classes)


def _as_names(classes: Any) -> tuple[str, ...]:
    return tuple(" ".join(value) if isinstance(value, tuple) else str(value) for value in classes)


def _idx_file(root: Path, name: str) -> Path:
    packed = root / f"{name}.gz"
    return packed if packed.is_file() else root / name


def _read_idx_set(root: Path, part: str) -> ImageSet:
    images = _read_idx(_idx_file(root, f"{part}-images-idx3-ubyte"), 3)
    labels = _read_idx(_idx_file(root, f"{part}-labels-idx1-ubyte"), 1)
    return ImageSet(images[:, None], labels.long())


def _read_idx(path: Path, dimensions: int) -> Tensor:
    """Return the bytes of a file in MNIST's format, packed with gzip or not, as a tensor uint8."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        data = file.read(_MAX_IDX_BYTES)
    header = 4 * (1 + dimensions)
    shape = np.frombuffer(data[4:header], ">u4").astype(np.int64)
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) - header != int(shape.prod()):
        raise InputError(f"{path}: is not a file of bytes in the format of MNIST, or is cut off")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).reshape(tuple(shape)).copy())
