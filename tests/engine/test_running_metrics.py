"""Running means of loss and accuracy."""

import pytest
import torch
import torch.nn.functional as F

from nas.engine.running_metrics import RunningMetrics

CPU = torch.device("cpu")


def test_the_mean_is_over_images_not_batches():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(17, 5, generator=generator)
    labels = torch.randint(5, (17,), generator=generator)
    metrics = RunningMetrics(CPU)
    for part in (slice(0, 8), slice(8, 16), slice(16, 17)):
        metrics.add(F.cross_entropy(logits[part], labels[part]), logits[part], labels[part])
    loss, accuracy = metrics.read()
    assert loss == pytest.approx(F.cross_entropy(logits.double(), labels).item(), rel=1e-6)
    assert accuracy == (logits.argmax(1) == labels).double().mean().item()


def test_metrics_continue_from_stored_sums():
    logits, labels = torch.eye(3), torch.tensor([0, 1, 0])
    metrics = RunningMetrics(CPU)
    metrics.add(torch.tensor(0.5), logits, labels)
    second = RunningMetrics(CPU, metrics.sums.tolist())
    for each in (metrics, second):
        each.add(torch.tensor(1.5), logits, labels)
    assert second.read() == metrics.read() == (1.0, 2 / 3)


def test_without_images_the_means_are_nan():
    assert all(value != value for value in RunningMetrics(CPU).read())


def test_bfloat16_logits_that_require_grad():
    logits = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True)
    metrics = RunningMetrics(CPU)
    metrics.add(F.cross_entropy(logits.float(), torch.zeros(4, dtype=torch.int64)).detach(), logits, torch.zeros(4))
    assert not metrics.sums.requires_grad
