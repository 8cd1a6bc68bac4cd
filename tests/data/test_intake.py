"""Datasets from what a user has."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset, TensorDataset

from nas.core.errors import InputError
from nas.data import DATASETS, Dataset, DataSettings, as_dataset, list_datasets, load_dataset, register_dataset
from tests.helpers.refused import Refused

GRAY = torch.arange(6 * 4 * 5, dtype=torch.float32).view(6, 1, 4, 5) - 7
BYTES = torch.arange(6 * 3 * 4 * 4).view(6, 3, 4, 4).to(torch.uint8)
LABELS = torch.tensor([0, 2, 1, 0, 1, 2])


class Samples(torch.utils.data.Dataset):
    """A list of (image, label), with names of classes if given."""

    def __init__(self, samples: list[Any], classes: Any = None) -> None:
        self.samples = samples
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


def pairs(images: Any = GRAY, labels: Any = LABELS) -> list[Any]:
    return list(zip(images, labels, strict=True))


def test_a_pair_of_tensors_has_no_test_part() -> None:
    dataset = as_dataset((GRAY, LABELS))
    assert dataset.test is None
    assert dataset.classes == ("0", "1", "2")
    assert dataset.image_shape == (1, 4, 5)
    assert torch.equal(dataset.train.images, GRAY)
    assert dataset.mean == pytest.approx((GRAY.mean().item(),))
    assert dataset.std == pytest.approx((GRAY.std(correction=0).item(),))


@pytest.mark.parametrize(
    "labels",
    [LABELS.tolist(), LABELS, LABELS.to(torch.uint8), LABELS.numpy(), [np.array(label) for label in LABELS.tolist()]],
)
def test_all_ways_to_give_the_same_images_agree(labels: Any) -> None:
    expected = as_dataset((GRAY, LABELS))
    arrays = [torch.tensor([int(label) for label in labels]), np.array([int(label) for label in labels])]
    for data in (
        Samples(pairs(labels=labels)),
        Samples(pairs(GRAY.double(), labels)),
        Samples(pairs(GRAY.numpy(), labels)),
        *((GRAY, array) for array in arrays),
        (GRAY.numpy(), arrays[1]),
        TensorDataset(GRAY, arrays[0]),
        Subset(Samples(pairs(labels=labels)), range(6)),
        ConcatDataset([Samples(pairs(GRAY[:2], labels[:2])), Samples(pairs(GRAY[2:], labels[2:]))]),
    ):
        dataset = as_dataset(data, verbose=False)
        assert dataset.train.dtype == torch.float32
        assert torch.equal(dataset.train.images, expected.train.images)
        assert torch.equal(dataset.train.labels, LABELS)
        assert (dataset.mean, dataset.std, dataset.classes) == (expected.mean, expected.std, expected.classes)


def test_pillow_images_become_bytes() -> None:
    colored = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in BYTES]
    assert torch.equal(as_dataset(Samples(pairs(colored))).train.images, BYTES)
    gray = as_dataset(Samples(pairs([Image.fromarray(image[0].numpy()) for image in BYTES])))
    assert torch.equal(gray.train.images, BYTES[:, :1])


def test_train_and_test_may_be_of_any_kind() -> None:
    """Statistics are those of the training part; classes are counted over both."""
    more = (GRAY + 100, LABELS + 1)
    for test in (more, Samples(pairs(*more)), as_dataset(more), as_dataset(((GRAY, LABELS), more))):
        dataset = as_dataset((Samples(pairs()), test))
        assert dataset.num_classes == 4
        assert dataset.test is not None
        assert torch.equal(dataset.test.images, GRAY + 100)
        assert torch.equal(dataset.train.images, GRAY)
        assert dataset.mean == pytest.approx((GRAY.mean().item(),))


def test_names_of_classes_come_from_the_dataset_if_they_fit() -> None:
    names = ["cat", "dog", "fox", "owl"]
    assert as_dataset(Samples(pairs(), names)).classes == tuple(names)
    assert as_dataset(Subset(Samples(pairs(), names), [0, 1])).classes == tuple(names)
    assert as_dataset((Samples(pairs(), names), (GRAY, LABELS))).classes == tuple(names)
    for unfit in (names[:2], [], [1, 2, 3], "abc", 3):
        assert as_dataset(Samples(pairs(), unfit)).classes == ("0", "1", "2")
    assert as_dataset((GRAY, LABELS), classes=tuple(names)).classes == tuple(names)


def test_a_dataset_and_a_name_are_taken_as_they_are() -> None:
    digits = load_dataset("digits", limit=50)
    assert as_dataset(digits) is digits
    named = as_dataset("digits")
    assert (len(named.train), named.mean) == (1437, digits.mean)
    assert as_dataset(("digits", digits)).test is digits.test


def test_a_registered_function_returns_what_a_user_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))

    @register_dataset("mine")
    def mine(settings: DataSettings) -> Any:
        return Samples(pairs()), (GRAY, LABELS)

    dataset = load_dataset("mine", limit=3)
    assert (dataset.name, len(dataset.train), "mine" in list_datasets()) == ("mine", 3, True)


NAN, INFINITE, BIG = GRAY.clone(), GRAY.clone(), GRAY.double()
NAN[3, 0, 1, 1], INFINITE[3, 0, 1, 1], BIG[3, 0, 1, 1] = torch.nan, -torch.inf, 1e60
REFUSED = {
    "NaN": ((NAN, LABELS), "data: images: image 3 holds NaN or infinity"),
    "infinity": ((INFINITE, LABELS), "image 3 holds NaN or infinity"),
    "too large for float32": (Samples(pairs(BIG)), "image 3 holds NaN or infinity"),
    "negative label": ((GRAY, LABELS - 1), "data: label -1 of image 0; allowed: whole numbers from 0 on"),
    "negative label of a sample": (Samples(pairs(labels=(LABELS - 1).tolist())), "label -1 of image 0"),
    "huge label": ((GRAY, LABELS * 10**9), "label 2000000000; at most 100,000 classes"),
    "label beyond 64 bits": (Samples([(GRAY[0], 2**70)]), "allowed: whole numbers from 0 on"),
    "bool labels": ((GRAY, LABELS > 0), "labels: bool (6,)"),
    "bool label": (Samples(pairs(labels=[True] * 6)), "label: True (bool); must be an int"),
    "one-hot label": (Samples(pairs(labels=torch.eye(3).long()[LABELS])), "label.argmax() if it is one-hot"),
    "column of labels": ((GRAY, LABELS[:, None]), "labels.squeeze(1)"),
    "label as text": (Samples(pairs(labels=["cat"] * 6)), "label: 'cat' (str)"),
    "too few labels": ((GRAY, LABELS[:5]), "labels: int64 (5,); must be integers (6,)"),
    "swapped": ((LABELS, GRAY), "data: images: int64 (6,); must be (N, C, H, W)"),
    "two tensors of images": ((GRAY, GRAY), "labels: float32 (6, 1, 4, 5); must be integers (6,)"),
    "no channel": ((GRAY[:, 0], LABELS), "images[:, None] adds a channel"),
    "channels last": ((torch.rand(6, 8, 8, 3), LABELS), "these look like (H, W, C)"),
    "channels last in a sample": (Samples(pairs(torch.rand(6, 8, 8, 1))), "these look like (H, W, C)"),
    "bool images": ((GRAY > 0, LABELS), "images: bool (6, 1, 4, 5); allowed: uint8, int16, uint16, or float"),
    "64 bits": (Samples(pairs(GRAY.long())), "int64 (1, 1, 4, 5); allowed: uint8, int16"),
    "objects": ((np.array([None] * 6), LABELS), "images: array of object"),
    "sparse": ((GRAY.to_sparse(), LABELS), "not dense"),
    "shapes": (Samples([(GRAY[0], 0), (GRAY[0, :, 1:], 1)]), "data[1]: image: float32 (1, 3, 5), data[0] has"),
    "dtypes": (Samples([(GRAY[0], 0), (GRAY[0].byte(), 1)]), "data[1]: image: uint8 (1, 4, 5)"),
    "palette": (Samples([(Image.new("P", (4, 4)), 0)]), "in mode P; allowed: L and RGB"),
    "no image": (Samples([("photo.png", 0)]), "data[0]: image: str; must be a tensor"),
    "three parts": (Samples([(GRAY[0], 0, 1)]), "data[0]: 3 parts; must be (image, label)"),
    "one part": (Samples([GRAY[0]]), "data[0]: Tensor; must be (image, label)"),
    "empty": (Samples([]), "data: Samples has no images"),
    "empty tensors": ((GRAY[:0], LABELS[:0]), "holds no images"),
    "no pixels": ((GRAY[:, :, :0], LABELS), "must be (N, C, H, W)"),
    "too wide": ((torch.zeros(1, 1, 1, 5000, dtype=torch.uint8), LABELS[:1]), "a side must be at most 4096"),
    "empty test set": ((Samples(pairs()), Samples([])), "test: Samples has no images"),
    "test of another size": (((GRAY, LABELS), (GRAY[..., 1:], LABELS)), "must have one size"),
    "test of another dtype": (((GRAY, LABELS), (GRAY.byte(), LABELS)), "training images are float32, test uint8"),
    "other classes": (
        (Samples(pairs(), ["a", "b", "c"]), Samples(pairs(), ["a", "c", "b"])),
        "must be ('a', 'b', 'c')",
    ),
    "nothing": (None, "data: NoneType; allowed: a name, nas.Dataset, torch Dataset"),
    "unknown name": ("digit", "unknown dataset 'digit': did you mean digits?"),
    "a list": (pairs(), "data: list; allowed"),
    "a single tensor": (GRAY, "data: Tensor; allowed"),
    "four": ((GRAY, LABELS, GRAY, LABELS), "data: a tuple of 4; allowed"),
    "tensor and dataset": ((GRAY, Samples(pairs())), "data: a pair of Tensor and Samples; allowed"),
    "labels as a list": ((GRAY, LABELS.tolist()), "data: a pair of Tensor and list; allowed"),
    "nested": (((Samples(pairs()), Samples(pairs())), Samples(pairs())), "train: a (train, test) pair within another"),
    "a loader": (DataLoader(TensorDataset(GRAY, LABELS)), "data: a DataLoader; give its dataset"),
    "two loaders": ((DataLoader(TensorDataset(GRAY, LABELS)),) * 2, "train: a DataLoader; give its dataset"),
}


class Endless(IterableDataset):
    def __iter__(self) -> Any:
        return iter(pairs())


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_belong_is_one_line(case: str, refused: Refused) -> None:
    data, message = REFUSED[case]
    refused(message, as_dataset, data, verbose=False)


def test_a_dataset_without_a_length_is_refused(refused: Refused) -> None:
    refused("data: Endless has no length; allowed: a map-style Dataset", as_dataset, Endless())


def test_labels_beyond_the_given_classes_are_refused(refused: Refused) -> None:
    refused("data: label 2; allowed: 0..1, the classes ('a', 'b')", as_dataset, (GRAY, LABELS), classes=("a", "b"))
    named = replace(as_dataset((GRAY, LABELS)), classes=("a", "b", "c"))
    refused("must be ('b', 'a', 'c')", as_dataset, named, classes=("b", "a", "c"))
    refused("data: label 3", as_dataset, (named, (GRAY, LABELS + 1)))


def test_unknown_settings_of_a_dataset_are_refused(refused: Refused) -> None:
    refused(("unknown setting 'siez'", "did you mean size?"), load_dataset, "digits", siez=3)
    refused("unknown setting 'pad'", load_dataset, "digits", pad=4)


def test_reading_says_nothing_if_it_is_to_be_silent(capsys: pytest.CaptureFixture[str]) -> None:
    as_dataset(Samples(pairs()), verbose=False)
    assert capsys.readouterr() == ("", "")
    as_dataset(Samples(pairs()))
    assert "reading data: 6/6 images" in capsys.readouterr().err


def test_a_constant_set_can_be_normalized() -> None:
    dataset: Dataset = as_dataset((torch.full((4, 2, 3, 3), 0.1), torch.tensor([0, 1, 0, 1])))
    assert dataset.std == (1.0, 1.0)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_sixteen_bits_are_taken_as_they_are(dtype: type) -> None:
    values = GRAY.numpy().astype(dtype) * 100
    found = as_dataset((values, LABELS))
    assert found.train.dtype == torch.float32
    assert torch.equal(found.train.images, torch.tensor(values.astype(np.float32)))


TARGETS = torch.tensor([[0.5, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]])


@pytest.mark.parametrize(
    "data",
    [
        (GRAY, TARGETS),
        (GRAY, TARGETS.double().numpy()),
        torch.utils.data.TensorDataset(GRAY, TARGETS),
        Samples(list(zip(GRAY, TARGETS, strict=True))),
        Samples(list(zip(GRAY, TARGETS.numpy(), strict=True))),
    ],
)
def test_float_labels_are_targets(data: object) -> None:
    found = as_dataset(data)
    assert found.has_targets
    assert torch.equal(found.train.labels, TARGETS)
    assert found.classes == ("0", "1")


@pytest.mark.parametrize(
    "data", [(GRAY, TARGETS[:, 0]), Samples([(image, float(t)) for image, t in zip(GRAY, TARGETS[:, 0], strict=True)])]
)
def test_one_float_an_image_is_one_target(data: object) -> None:
    assert torch.equal(as_dataset(data).train.labels, TARGETS[:, :1])


def test_targets_that_are_not_finite_or_mixed_are_refused() -> None:
    bad = TARGETS.clone()
    bad[2, 1] = float("nan")
    with pytest.raises(InputError, match="image 2 has NaN or infinity"):
        as_dataset((GRAY, bad))
    with pytest.raises(InputError, match=r"data\[1\]: label: int64 \(\), data\[0\] has float32 \(2,\)"):
        as_dataset(Samples([(GRAY[0], TARGETS[0]), (GRAY[1], 1)]))
    with pytest.raises(InputError, match="some parts have classes, others targets"):
        as_dataset(((GRAY, TARGETS), (GRAY, LABELS)))
