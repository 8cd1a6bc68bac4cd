"""Losses and metrics by name, against scikit-learn and closed forms."""

import numpy as np
import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F

from nas.core.errors import InputError
from nas.data import Dataset, ImageSet
from nas.data.batches import Batches, image_chances
from nas.engine.named_losses import (
    NAMED_METRICS,
    balanced_weights,
    check_data,
    check_names,
    mean_average_precision,
    training_loss_of,
)

CPU = torch.device("cpu")


def dataset(labels: torch.Tensor, classes: int) -> Dataset:
    images = torch.zeros((len(labels), 1, 2, 2), dtype=torch.uint8)
    return Dataset("own", ImageSet(images, labels), None, tuple(map(str, range(classes))), (0.0,), (1.0,))


@pytest.mark.parametrize("levels", [3, 1000])  # few levels: many equal scores
def test_mean_average_precision(levels: int) -> None:
    random = np.random.default_rng(levels)
    logits = random.integers(-levels, levels, (200, 4)) / 7
    labels = (random.random((200, 4)) < [0.5, 0.2, 0.02, 0.9]).astype(np.float32)
    expected = sklearn.metrics.average_precision_score(labels, logits, average="macro")
    assert mean_average_precision(torch.tensor(logits), torch.tensor(labels)) == pytest.approx(expected, abs=1e-12)


def test_a_class_without_images_is_left_out() -> None:
    logits, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert mean_average_precision(logits, labels) == 1
    assert mean_average_precision(logits, 0 * labels) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", sklearn.metrics.mean_absolute_error),
        ("rmse", sklearn.metrics.root_mean_squared_error),
        ("r2", lambda y, x: sklearn.metrics.r2_score(y, x, multioutput="variance_weighted")),
    ],
)
def test_metrics_of_numbers(name: str, expected: object) -> None:
    random = np.random.default_rng(0)
    targets = random.normal(size=(50, 1 if name == "rmse" else 3)).astype(np.float32)  # its mean is over the targets
    values = targets + random.normal(size=targets.shape).astype(np.float32)
    found = NAMED_METRICS[name].compute(torch.tensor(values), torch.tensor(targets))
    assert found == pytest.approx(float(expected(targets, values)), rel=1e-6)


def test_balanced_accuracy() -> None:
    labels, guesses = torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([0, 0, 1, 1, 0, 2])
    expected = sklearn.metrics.balanced_accuracy_score(labels, guesses)
    assert NAMED_METRICS["balanced_accuracy"].compute(F.one_hot(guesses, 4).float(), labels) == pytest.approx(expected)


def test_class_weights_make_classes_count_alike() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2 + [3])
    assert balanced_weights(labels, 4).tolist() == pytest.approx([9 / 24, 9 / 8, 0, 9 / 4])
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    loss = training_loss_of("cross_entropy", "balanced", dataset(labels, 4), CPU)
    by_class = [F.cross_entropy(logits[labels == label], labels[labels == label]) for label in (0, 1, 3)]
    assert float(loss(logits, labels)) == pytest.approx(float(sum(by_class)) / 3, rel=1e-6)


def test_class_weights_of_marks() -> None:
    labels = torch.tensor([[1.0, 0], [0, 0], [0, 1], [0, 1]])
    loss = training_loss_of("bce", "balanced", dataset(labels, 2), CPU)
    # for the first class one image counts as much as the other three, for the second two as two
    expected = (3 + 1 + 1 + 1 + 1 + 1 + 1 + 1) * np.log(2) / 8
    assert float(loss(torch.zeros(4, 2), labels)) == pytest.approx(expected, rel=1e-6)


def test_balanced_sampling_shows_classes_alike_and_is_the_same_again() -> None:
    labels = torch.tensor([0] * 900 + [1] * 100)
    assert image_chances(labels).sum() == pytest.approx(1)
    images = dataset(labels, 2).train
    how = {"mean": (0.0,), "std": (1.0,), "seed": 0, "stream": "train"}
    batches = Batches(images, 100, sampling="balanced", **how)
    seen = torch.cat([batch[1] for batch in batches.epoch(0)])
    assert abs(int(seen.sum()) - 500) < 5 * 16  # five deviations
    assert torch.equal(seen[300:400], next(batches.epoch(0, 3))[1])
    assert torch.cat([batch[1] for batch in Batches(images, 100, **how).epoch(0)]).sum() == 100


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("ce", None, None, "uniform"), "loss='ce': must be cross_entropy, bce, mse, l1, smooth_l1"),
        (("mse", "acc", None, "uniform"), "metric='acc': must be"),
        (("mse", "map", None, "uniform"), "metric=map: is for several classes at once, loss=mse for numbers"),
        (("mse", None, "balanced", "uniform"), "class_weights=balanced: there are no classes with loss=mse"),
        (("bce", None, "even", "uniform"), "class_weights='even': must be balanced"),
        (("bce", None, None, "balanced"), "sampling=balanced: an image must have one class"),
        (("bce", None, None, "even"), "sampling='even': must be uniform or balanced"),
    ],
)
def test_names_that_do_not_fit_are_refused(names: tuple[str, str | None, str | None, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_names(*names)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("labels", "loss", "said"),
    [
        (torch.eye(3), "cross_entropy", "has targets (N, 3), not one class; allowed: loss=bce"),
        (torch.arange(3), "bce", "has one class for an image, not targets; allowed: loss=cross_entropy"),
        (2 * torch.eye(3), "bce", "has targets other than 0 and 1; allowed: mse, l1, smooth_l1"),
        (torch.ones(3, 3), "mse", "all 3 images have the same targets"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: torch.Tensor, loss: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_data(dataset(labels, 3), loss)
    assert said in str(caught.value)
