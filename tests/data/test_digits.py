import hashlib

import numpy as np
import pytest
import torch
from sklearn import datasets

from nas.data import Dataset, DataSettings, load_dataset


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DataSettings("digits", pad=1, flip=False))


def test_the_two_sets_hold_every_digit_once(digits: Dataset) -> None:
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.image_shape == (3, 8, 8)
    assert digits.classes == tuple("0123456789")
    images = torch.cat([digits.train.images, digits.test.images])
    labels = torch.cat([digits.train.labels, digits.test.labels])
    assert torch.equal(images[:, 0], images[:, 1])
    assert torch.equal(images[:, 0], images[:, 2])
    bunch = datasets.load_digits()
    expected = np.rint(bunch.images / 16 * 255 + 1e-9).astype(np.uint8)
    ours = sorted(zip(labels.tolist(), images[:, 0].flatten(1).tolist(), strict=True))
    assert ours == sorted(zip(bunch.target.tolist(), expected.reshape(-1, 64).tolist(), strict=True))
    assert images.max() == 255


def test_both_sets_are_stratified_by_class(digits: Dataset) -> None:
    train, test = digits.train.labels.bincount(), digits.test.labels.bincount()
    assert ((train + test) * 0.2 - test).abs().max() <= 1


def test_the_split_never_changes(digits: Dataset) -> None:
    assert hashlib.sha256(digits.test.images.numpy().tobytes()).hexdigest()[:16] == "9569bf17ad3ce819"


def test_mean_and_std_are_those_of_the_training_images(digits: Dataset) -> None:
    values = digits.train.images[:, 0].numpy() / 255
    assert digits.mean == pytest.approx([values.mean()] * 3)
    assert digits.std == pytest.approx([values.std()] * 3)


def test_resizing(digits: Dataset) -> None:
    larger = load_dataset(DataSettings("digits", size=16))
    assert larger.image_shape == (3, 16, 16)
    assert torch.equal(larger.train.labels, digits.train.labels)
    mean = larger.test.images.float().mean()
    assert abs(mean - digits.test.images.float().mean()) < 2
