"""Evaluation against counting one image at a time."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas.costs.latency import measure_latency
from nas.data import Batches
from nas.engine.evaluate import evaluate_batches
from nas.engine.nonfinite import NotFiniteError
from nas.runtime.deadline import DeadlineReached


class Pair(nn.Module):
    """A linear classifier that returns a pair, as a network with an auxiliary head does."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 8 * 8, classes)

    def forward(self, x):
        return self.linear(x.flatten(1)), None


@pytest.fixture
def batches(digits):
    return Batches(digits.test, 50, mean=digits.mean, std=digits.std, seed=0, stream="test", shuffle=False)


def test_every_figure_is_counted_image_by_image(digits, batches):
    model = Pair(10).train()
    found = evaluate_batches(model, batches, 10, channels_last=True)
    assert not model.training
    losses, top1, top5, correct = [], 0, 0, [0] * 10
    (images, labels), *_ = Batches(
        digits.test, 360, mean=digits.mean, std=digits.std, seed=0, stream="x", shuffle=False
    ).epoch(0)
    for image, label in zip(images, labels.tolist(), strict=True):
        logits = model(image[None])[0][0]
        losses.append(F.cross_entropy(logits, torch.tensor(label)).item())
        ranks = logits.argsort(descending=True).tolist()
        top1, top5 = top1 + (ranks[0] == label), top5 + (label in ranks[:5])
        correct[label] += ranks[0] == label
    assert found.loss == pytest.approx(sum(losses) / 360, rel=1e-5)
    assert (found.top1, found.top5) == (top1 / 360, top5 / 360)
    assert found.correct == tuple(correct)
    assert found.images == tuple(labels.bincount().tolist())


def test_the_deadline_stops_it(batches):
    class Over:
        def reached(self):
            return True

    with pytest.raises(DeadlineReached):
        evaluate_batches(Pair(10), batches, 10, deadline=Over())


def test_latency_lies_between_its_quartiles():
    found = measure_latency(Pair(10), (3, 8, 8), runs=8)
    assert 0 < found.low <= found.median <= found.high
    assert found.runs == 8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_logits_that_are_not_finite_have_no_accuracy(batches, value):
    """Of 1e38, sums over the pixels overflow: some logits are infinite."""
    model = Pair(10)
    model.linear.weight.data[3] = value
    with pytest.raises(NotFiniteError, match="the evaluation"):
        evaluate_batches(model, batches, 10)


def test_a_loss_that_is_not_finite_is_refused(batches):
    with pytest.raises(NotFiniteError, match=r"the evaluation \(mean loss inf\)"):
        evaluate_batches(Pair(10), batches, 10, loss=lambda logits, labels: logits.sum() * 0 + torch.inf)
