"""Sets of torchvision by name, from small files of their formats."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.core.errors import InputError
from nas.data import load_dataset


def write_idx(folder: Path, packed: bool = True) -> dict[str, np.ndarray]:
    """Write 20 training and 10 test images of 28x28 in the format of MNIST; return their pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    random, pixels = np.random.default_rng(0), {}
    for part, number in (("train", 20), ("t10k", 10)):
        pixels[part] = random.integers(0, 256, (number, 28, 28), np.uint8)
        labels = (np.arange(number) % 10).astype(np.uint8)
        for name, values in ((f"{part}-images-idx3-ubyte", pixels[part]), (f"{part}-labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            data = header + values.tobytes()
            (folder / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(data) if packed else data)
    return pixels


@pytest.mark.parametrize("place", [".", "FashionMNIST/raw"])
def test_gray_images_keep_one_channel(tmp_path: Path, place: str) -> None:
    pixels = write_idx(tmp_path / place, packed=place == ".")
    dataset = load_dataset("torchvision", root=str(tmp_path), dataset="FashionMNIST")
    assert dataset.image_shape == (1, 28, 28)
    assert torch.equal(dataset.train.images[:, 0], torch.tensor(pixels["train"]))
    assert torch.equal(dataset.test.images[:, 0], torch.tensor(pixels["t10k"]))
    assert dataset.test.labels.tolist() == list(range(10))
    assert (dataset.classes[0], dataset.classes[9]) == ("T-shirt/top", "Ankle boot")
    assert dataset.mean[0] == pytest.approx(pixels["train"].mean() / 255)


def test_images_are_resized(tmp_path: Path) -> None:
    write_idx(tmp_path)
    small = load_dataset("torchvision", root=str(tmp_path), dataset="MNIST", size=8)
    assert small.image_shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "needs data.dataset=NAME: known are"),
        ("FashionMnist", "did you mean FashionMNIST"),
        ("CIFAR10", "it is data=cifar10 or data=cifar100 here"),
    ],
)
def test_an_unknown_set_is_refused(tmp_path: Path, name: str | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_dataset("torchvision", root=str(tmp_path), dataset=name)
    assert said in str(caught.value)


@pytest.mark.usefixtures("no_network")
def test_a_missing_set_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"data.dataset=MNIST: not available in {tmp_path}"):
        load_dataset("torchvision", root=str(tmp_path), dataset="MNIST")


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path, packed=False)
    file = tmp_path / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=f"{file}: is not a file of bytes in the format of MNIST"):
        load_dataset("torchvision", root=str(tmp_path), dataset="MNIST")


def test_a_name_without_torchvision_is_refused() -> None:
    with pytest.raises(InputError, match=r"data\.dataset=MNIST: not for data=digits"):
        load_dataset("digits", dataset="MNIST")
