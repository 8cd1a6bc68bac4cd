"""Fingerprint of a dataset: stable for the same data, and each change is seen in its own part."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from nas.data import AugmentSettings, Dataset, DataSettings, ImageSet, StreamedSet, dataset_fingerprint, load_dataset

Make = Callable[..., Path]
Settings = Callable[..., DataSettings]
DIGITS = DataSettings("digits", pad=1, flip=False)


@pytest.fixture
def digits() -> Dataset:
    return load_dataset(DIGITS)


def changed(one: Dataset, other: Dataset) -> set[str]:
    before, after = dataset_fingerprint(one), dataset_fingerprint(other)
    return {name.removeprefix("data.") for name in before | after if before.get(name) != after.get(name)}


def test_digests_are_sha256_of_the_tensors(digits: Dataset) -> None:
    fingerprint = dataset_fingerprint(digits)
    images = hashlib.sha256(b"torch.uint8 (1437, 3, 8, 8)\n" + bytes(digits.train.images.flatten().tolist()))
    assert fingerprint["data.train.images"] == images.hexdigest()
    labels = b"".join(label.to_bytes(8, "little") for label in digits.test.labels.tolist())
    assert fingerprint["data.test.labels"] == hashlib.sha256(b"torch.int64 (360,)\n" + labels).hexdigest()


def test_fingerprints_never_change(digits: Dataset) -> None:
    """Stored runs are compared with them."""
    fingerprint = dataset_fingerprint(digits, AugmentSettings(1, False, 2))
    assert {name: value for name, value in fingerprint.items() if len(value) != 64} == {
        "data.name": "digits",
        "data.normalization": f"mean {' '.join(map(repr, digits.mean))}, std {' '.join(map(repr, digits.std))}",
        "data.preparation": "train decoded 3x8x8, test decoded 3x8x8",
        "data.augmentation": "pad 1, flip False, cutout 2",
    }
    assert {name: value[:8] for name, value in fingerprint.items() if len(value) == 64} == {
        "data.classes": "14a21a63",
        "data.train.labels": "e918e544",
        "data.train.images": "e8742bed",
        "data.test.labels": "6c5a3de4",
        "data.test.images": "3d0759f2",
    }


def test_another_process_has_the_same_fingerprint(digits: Dataset) -> None:
    code = (
        "import json; from nas.data import *; "
        "print(json.dumps(dataset_fingerprint(load_dataset(DataSettings('digits', pad=1, flip=False)))))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(process.stdout) == dataset_fingerprint(digits) == dataset_fingerprint(load_dataset(DIGITS))


def change_pixel(images: ImageSet) -> ImageSet:
    pixels = images.images.clone()
    pixels[-1, -1, -1, -1] ^= 1
    return ImageSet(pixels, images.labels)


def change_label(images: ImageSet) -> ImageSet:
    labels = images.labels.clone()
    labels[0] = (labels[0] + 1) % 10
    return ImageSet(images.images, labels)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("change", "part"), [(change_pixel, "images"), (change_label, "labels")], ids=["pixel", "label"]
)
def test_one_pixel_and_one_label(
    digits: Dataset, split: str, change: Callable[[ImageSet], ImageSet], part: str
) -> None:
    assert changed(digits, replace(digits, **{split: change(getattr(digits, split))})) == {f"{split}.{part}"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "numbers"}, {"name"}),
        ({"mean": (0.3, 0.3, 0.30000000000000004)}, {"normalization"}),
        ({"std": (0.4, 0.4, 0.5)}, {"normalization"}),
        ({"classes": tuple("1023456789")}, {"classes"}),
        ({"classes": (*"012345678", "\udcff")}, {"classes"}),  # a file name that is not UTF-8
    ],
    ids=["name", "mean", "std", "order of the classes", "class"],
)
def test_names_and_normalization(digits: Dataset, changes: dict, expected: set[str]) -> None:
    base = replace(digits, mean=(0.3, 0.3, 0.3), std=(0.4, 0.4, 0.4))
    assert changed(base, replace(base, **changes)) == expected


def test_classes_are_not_concatenated(digits: Dataset) -> None:
    one, other = (replace(digits, classes=(*"01234567", *names)) for names in (("8a", "9"), ("8", "a9")))
    assert changed(one, other) == {"classes"}


def test_limit_and_size(digits: Dataset) -> None:
    assert changed(digits, load_dataset(replace(DIGITS, limit=1436))) == {"train.images", "train.labels"}
    expected = {"train.images", "test.images", "preparation", "normalization"}
    assert changed(digits, load_dataset(replace(DIGITS, size=9))) == expected


def test_order_and_memory_layout(digits: Dataset) -> None:
    reverse = torch.arange(len(digits.train)).flip(0)
    assert changed(digits, replace(digits, train=digits.train.subset(reverse))) == {"train.images", "train.labels"}
    strided = ImageSet(digits.train.images.to(memory_format=torch.channels_last), digits.train.labels)
    assert not strided.images.is_contiguous()
    assert changed(digits, replace(digits, train=strided)) == set()


def test_equal_bytes_of_another_shape() -> None:
    pixels = torch.arange(48, dtype=torch.uint8)
    one, other = (ImageSet(pixels.view(2, 3, *side), torch.zeros(2, dtype=torch.int64)) for side in ((2, 4), (4, 2)))
    sets = [Dataset("x", images, images, ("a",), (0.5,) * 3, (0.5,) * 3) for images in (one, other)]
    assert changed(*sets) == {"train.images", "test.images", "preparation"}


@pytest.mark.parametrize("changes", [{"pad": 2}, {"flip": True}, {"cutout": 1}])
def test_augmentation(digits: Dataset, changes: dict) -> None:
    one, other = (dataset_fingerprint(digits, replace(DIGITS, **keys).augment) for keys in ({}, changes))
    assert {name for name in one if one[name] != other[name]} == {"data.augmentation"}
    assert "data.augmentation" not in dataset_fingerprint(digits)


@pytest.fixture
def root(make_folder: Make) -> Path:
    return make_folder(number=3)


@pytest.fixture
def stream(root: Path, folder_settings: Settings) -> Callable[..., Dataset]:
    """Return a function that loads the folder, streamed as 4 x 4."""

    def load(folder: Path = root, **changes: object) -> Dataset:
        settings = {"stream": True, "size": 4, "workers": 0} | changes
        return load_dataset(folder_settings(folder, **settings))

    return load


def touch(root: Path) -> None:
    os.utime(root / "train" / "cat" / "1.png", ns=(1, 1))


def replace_file(root: Path) -> None:
    path = root / "train" / "cat" / "1.png"
    before = path.stat()
    Image.new("RGB", (30, 30)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rename(root: Path) -> None:
    (root / "train" / "cat" / "1.png").rename(root / "train" / "cat" / "9.png")


def add(root: Path) -> None:
    Image.new("RGB", (5, 7)).save(root / "train" / "cat" / "9.png")


def move_to_other_class(root: Path) -> None:
    (root / "train" / "cat" / "1.png").rename(root / "train" / "dog" / "9.png")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (touch, {"train.images"}),
        (replace_file, {"train.images"}),
        (rename, {"train.images"}),
        (add, {"train.images", "train.labels"}),
        (move_to_other_class, {"train.images", "train.labels"}),
    ],
)
def test_changed_files_of_a_stream(
    root: Path, stream: Callable[..., Dataset], change: Callable[[Path], None], expected: set[str]
) -> None:
    before = dataset_fingerprint(stream())
    assert dataset_fingerprint(stream()) == before
    change(root)
    after = dataset_fingerprint(stream())
    assert {name.removeprefix("data.") for name in before if before[name] != after[name]} == expected


def test_the_path_of_a_stream_does_not_matter(root: Path, stream: Callable[..., Dataset], tmp_path: Path) -> None:
    before = dataset_fingerprint(stream())
    assert dataset_fingerprint(stream(root.rename(tmp_path / "moved"))) == before


def test_settings_of_a_stream(stream: Callable[..., Dataset]) -> None:
    assert changed(stream(), stream(workers=2)) == set()
    assert changed(stream(), stream(jitter=0.4)) == {"preparation"}
    assert changed(stream(), stream(size=5)) == {"preparation"}
    assert changed(stream(), stream(limit=4)) == {"train.images", "train.labels"}
    expected = {"train.images", "test.images", "preparation", "normalization", "decoder"}
    assert changed(stream(), stream(stream=False)) == expected


def test_the_digest_of_streamed_files(root: Path, stream: Callable[..., Dataset]) -> None:
    lines = []
    for path in sorted((root / "train").glob("*/*.png")):
        status = path.stat()
        lines.append(f"{path.parent.name}/{path.name}\0{status.st_size} {status.st_mtime_ns}\n")
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert dataset_fingerprint(stream())["data.train.images"] == expected


def test_a_missing_streamed_file_is_named(root: Path, stream: Callable[..., Dataset], refused: Callable) -> None:
    dataset = stream()
    assert isinstance(dataset.test, StreamedSet)
    (root / "test" / "dog" / "2.png").unlink()
    refused(("test/dog/2.png", "cannot be read (No such file"), dataset_fingerprint, dataset)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_does_not_matter(digits: Dataset) -> None:
    assert changed(digits, digits.to("cuda")) == set()
