"""Learning rate and drop-path follow the papers' schedules, as functions of epoch and step alone."""

from dataclasses import replace

import pytest
import torch

from nas.train.schedule import drop_path_probability, learning_rate
from tests.helpers.train_settings import SMALL

PAPER = replace(
    SMALL, epochs=600, batch_size=96, warmup_epochs=0, drop_path=0.2, weights=replace(SMALL.weights, lr=0.025)
)


def test_the_learning_rate_is_torchs_cosine_annealing():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.025)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600, 0.0)
    for epoch in range(600):
        expected = pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-7, abs=1e-12)
        assert learning_rate(PAPER, epoch, 0, 520) == learning_rate(PAPER, epoch, 519, 520) == expected
        optimizer.step()
        schedule.step()


def test_a_warm_up_rises_step_by_step_and_the_cosine_takes_what_is_left():
    settings = replace(PAPER, epochs=10, warmup_epochs=2)
    rising = [learning_rate(settings, epoch, step, 5) for epoch in range(2) for step in range(5)]
    assert rising == pytest.approx([0.025 * (k + 1) / 10 for k in range(10)])
    assert learning_rate(settings, 2, 0, 5) == 0.025
    assert learning_rate(settings, 6, 0, 5) == pytest.approx(0.0125)


@pytest.mark.parametrize(("batch_size", "factor"), [(96, 1), (192, 2), (48, 0.5)])
def test_scaling_with_the_batch_is_linear(batch_size, factor):
    settings = replace(PAPER, batch_size=batch_size, lr_scaling=True, warmup_epochs=5)
    for epoch in (0, 4, 5, 300):
        assert learning_rate(settings, epoch, 1, 9) == pytest.approx(
            factor * learning_rate(replace(PAPER, warmup_epochs=5), epoch, 1, 9)
        )


def test_drop_path_grows_linearly_from_zero():
    assert [drop_path_probability(PAPER, epoch) for epoch in (0, 150, 300, 599)] == pytest.approx(
        [0, 0.05, 0.1, 0.2 * 599 / 600]
    )
