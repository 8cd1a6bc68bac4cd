"""The penalty of beta-DARTS against its formula and its gradient lambda * p / edges."""

import pytest
import torch

from nas.core.errors import InputError
from nas.search.methods import build_method


def test_the_penalty_is_the_mean_logarithm_of_the_sums_times_a_growing_weight():
    (penalty,) = build_method("beta_darts").penalties
    torch.manual_seed(0)
    alphas = {kind: torch.randn(14, 8, dtype=torch.float64, requires_grad=True) for kind in ("normal", "reduce")}
    value = penalty(alphas, 10, 50)  # lambda = e / 2
    by_hand = sum(alpha.exp().sum(1).log().mean() for alpha in alphas.values())
    assert value.item() == pytest.approx(5 * by_hand.item())
    for alpha, found in zip(alphas.values(), torch.autograd.grad(value, alphas.values()), strict=True):
        torch.testing.assert_close(found, 5 * torch.softmax(alpha.detach(), 1) / 14)
    assert penalty(alphas, 0, 50).item() == 0


def test_it_needs_a_softmax():
    with pytest.raises(InputError, match=r"method=gaea\+beta_darts: beta_darts is defined for .* a softmax"):
        build_method("gaea+beta_darts")
