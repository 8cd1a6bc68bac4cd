"""Images and labels in arrays of NumPy: an ``.npz`` file, or a folder of ``.npy`` files."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.data.dataset import Dataset, ImageSet
from nas.data.pixels import channel_statistics, resize
from nas.data.registry import register_dataset
from nas.data.samples import read_tensors
from nas.data.settings import DataSettings
from nas.data.split import split_off_test
from nas.storage.atomic_files import check_regular_file, read_text

# For each part the names of images and labels, ours first; then those of Keras' and MedMNIST's files.
_NAMES = {
    "train": (("train_images", "train_labels"), ("x_train", "y_train")),
    "test": (("test_images", "test_labels"), ("x_test", "y_test")),
    "valid": (("valid_images", "valid_labels"), ("val_images", "val_labels"), ("x_val", "y_val")),
}
_FORM = "train_images (N, C, H, W), train_labels (N,) and perhaps test_images, test_labels, valid_images, valid_labels"

_MAX_EXPANSION, _SMALL = 200, 100_000_000  # a compressed file may grow so many times, or to so many bytes


@register_dataset("arrays")
def load_arrays(settings: DataSettings) -> Dataset:
    """Load arrays of images with any number of channels, bytes, 16 bits or floats; the latter are taken as they are.

    Labels are whole numbers (N,), or float (N, K): labels of 0 and 1 for several classes at once, or targets of a
    regression. ``classes`` (an array of text, or ``classes.txt`` with a line for each) names classes or targets.
    Without test images, ``settings.test_fraction`` of the images are taken. Raises :class:`InputError` for missing
    arrays and other forms; pickled arrays are not read.
    """
    if settings.root is None:
        raise InputError(f"data=arrays needs data.root=FILE.npz, or a folder of .npy files: {_FORM}")
    root = Path(settings.root).expanduser()
    arrays = _read_folder(root) if root.is_dir() else _read_npz(root)
    parts = {part: found for part in _NAMES if (found := _part(arrays, part, root, settings.size)) is not None}
    if "train" not in parts:
        raise InputError(f"{root}: holds {format_value(sorted(arrays)) if arrays else 'no arrays'}; needs {_FORM}")
    if "test" in parts and settings.test_fraction is not None:
        raise InputError(f"data.test_fraction={settings.test_fraction}: {root} has test images already; leave it out")
    if settings.test_fraction is not None:
        whole = parts["train"]
        indices = split_off_test(whole.labels, settings.test_fraction)
        parts["train"], parts["test"] = (whole.subset(chosen) for chosen in indices)
    number = max(_number(part.labels) for part in parts.values())
    classes = _class_names(arrays.get("classes"), number, root)
    mean, std = channel_statistics(parts["train"].images)
    return Dataset("arrays", parts["train"], parts.get("test"), classes, mean, std, valid=parts.get("valid"))


def _part(arrays: dict[str, Any], part: str, root: Path, size: int | None) -> ImageSet | None:
    for images_name, labels_name in _NAMES[part]:
        if images_name in arrays:
            if labels_name not in arrays:
                raise InputError(f"{root}: holds {images_name}, but {labels_name} is missing")
            images, labels = arrays[images_name], arrays[labels_name]
            images = images[:, None] if images.ndim == 3 else images  # gray
            labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
            found = read_tensors(images, labels, f"{root}: {part}")
            return ImageSet(resize(found.images, size), found.labels)
    return None


def _number(labels: Tensor) -> int:
    return labels.shape[1] if labels.is_floating_point() else int(labels.max()) + 1


def _class_names(given: Any, number: int, root: Path) -> tuple[str, ...]:
    if given is None:
        return tuple(map(str, range(number)))
    names = tuple(map(str, np.asarray(given).reshape(-1)))
    if len(names) < number:
        raise InputError(f"{root}: classes names {len(names)}, but the labels have {number}")
    return names


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        check_regular_file(path)
        with zipfile.ZipFile(path) as members:
            size = sum(member.file_size for member in members.infolist())
        if size <= max(_MAX_EXPANSION * path.stat().st_size, _SMALL):
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    except Exception as error:  # whatever a damaged archive raises
        raise InputError(f"{path}: cannot be read as .npz ({' '.join(str(error).split())})") from error
    raise InputError(f"{path}: would expand to {size:,} bytes, over 200 times its size; save it with np.savez")


def _read_folder(root: Path) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    wanted = {name for pairs in _NAMES.values() for pair in pairs for name in pair} | {"classes"}
    for path in sorted(root.glob("*.npy")):
        if path.stem in wanted:
            try:
                check_regular_file(path)
                arrays[path.stem] = np.load(path, allow_pickle=False)
            except Exception as error:
                raise InputError(f"{path}: cannot be read as .npy ({' '.join(str(error).split())})") from error
    if (root / "classes.txt").is_file():
        arrays["classes"] = np.array(read_text(root / "classes.txt").splitlines())
    return arrays
