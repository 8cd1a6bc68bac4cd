"""Arrays of NumPy in .npz files and folders."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nas.core.errors import InputError
from nas.data import Dataset, load_dataset

RANDOM = np.random.default_rng(0)
SEVEN = RANDOM.normal(size=(20, 7, 6, 5)).astype(np.float32)
LABELS = np.arange(20) % 2


def load(root: Path, **settings: object) -> Dataset:
    return load_dataset("arrays", root=str(root), **settings)


def test_seven_channels_of_floats(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train_images=SEVEN, train_labels=LABELS, test_images=SEVEN[:4], test_labels=LABELS[:4])
    dataset = load(tmp_path / "a.npz")
    assert dataset.image_shape == (7, 6, 5)
    assert torch.equal(dataset.train.images, torch.tensor(SEVEN))
    assert dataset.mean == pytest.approx(SEVEN.astype(np.float64).mean((0, 2, 3)).tolist())
    assert dataset.std == pytest.approx(SEVEN.astype(np.float64).std((0, 2, 3)).tolist())
    assert (len(dataset.test), dataset.classes) == (4, ("0", "1"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_gray_of_any_depth(tmp_path: Path, dtype: type) -> None:
    values = (RANDOM.random((20, 6, 5)) * np.iinfo(np.uint8).max).astype(dtype)
    np.savez_compressed(tmp_path / "a.npz", x_train=values, y_train=LABELS[:, None])
    dataset = load(tmp_path / "a.npz", test_fraction=0.2)
    assert (dataset.image_shape, len(dataset.train), len(dataset.test)) == ((1, 6, 5), 16, 4)
    assert dataset.train.dtype == (torch.uint8 if dtype == np.uint8 else torch.float32)
    found = torch.cat([dataset.train.images, dataset.test.images]).double().sum()
    assert found == pytest.approx(float(values.astype(np.float64).sum()), rel=1e-6)


def test_a_folder_with_targets_and_names(tmp_path: Path) -> None:
    targets = RANDOM.normal(size=(20, 2))
    for part in ("train", "test", "valid"):
        np.save(tmp_path / f"{part}_images.npy", SEVEN)
        np.save(tmp_path / f"{part}_labels.npy", targets)
    (tmp_path / "classes.txt").write_text("width\nheight\n")
    dataset = load(tmp_path)
    assert (dataset.classes, dataset.has_targets) == (("width", "height"), True)
    assert torch.equal(dataset.valid.labels, torch.tensor(targets.astype(np.float32)))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resizing_keeps_the_mean(tmp_path: Path, dtype: type) -> None:
    values = (RANDOM.random((20, 2, 8, 8)) * 200).astype(dtype)
    np.savez(tmp_path / "a.npz", train_images=values, train_labels=LABELS)
    small = load(tmp_path / "a.npz", size=4).train.images
    assert small.shape == (20, 2, 4, 4)
    assert float(small.double().mean()) == pytest.approx(float(values.mean()), rel=0.02)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": SEVEN}, "holds ['images']; needs train_images (N, C, H, W)"),
        ({"train_images": SEVEN}, "holds train_images, but train_labels is missing"),
        ({"train_images": SEVEN.transpose(0, 2, 3, 1)[..., :3].repeat(2, 1), "train_labels": LABELS}, "(H, W, C)"),
        ({"train_images": SEVEN, "train_labels": LABELS, "classes": np.array(["a"])}, "classes names 1, but"),
        ({"train_images": np.array([None] * 20), "train_labels": LABELS}, "cannot be read as .npz"),
        ({"train_images": SEVEN * np.nan, "train_labels": LABELS}, "image 0 holds NaN or infinity"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError) as caught:
        load(tmp_path / "a.npz")
    assert said in str(caught.value)


def test_a_file_that_expands_without_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.data.arrays._SMALL", 1000)
    np.savez_compressed(tmp_path / "a.npz", train_images=np.zeros((10, 1, 300, 300)), train_labels=LABELS[:10])
    with pytest.raises(InputError, match="over 200 times its size"):
        load(tmp_path / "a.npz")


def test_a_missing_or_damaged_file_is_one_line(tmp_path: Path) -> None:
    for content in (None, b"junk"):
        if content:
            (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.npz: cannot be read as \.npz"):
            load(tmp_path / "a.npz")
