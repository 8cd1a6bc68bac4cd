"""Non-finite numbers are detected and named."""

import math

import pytest
import torch

from nas.engine.nonfinite import NotFiniteError, check_state_finite, checked_grad_norm, finite_flag, raise_if_nonfinite

BAD = [math.nan, math.inf, -math.inf]


def gradients() -> dict[str, torch.Tensor]:
    return {"stem.weight": torch.randn(3, 4), "classifier.bias": torch.randn(5)}


def test_it_gives_the_norm_that_clipping_takes():
    found = gradients()
    norm = checked_grad_norm(torch.tensor(1.0), found)
    torch.testing.assert_close(norm, torch.cat([g.flatten() for g in found.values()]).norm())
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in found.values()]
    for parameter, gradient in zip(parameters, found.values(), strict=True):
        parameter.grad = gradient.clone()
    assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(parameters, 1.0))


def looked_at(loss, found, alphas):
    raise_if_nonfinite(finite_flag(loss, found, alphas)[1], loss, found, alphas)


@pytest.mark.parametrize("bad", BAD)
def test_the_first_cause_is_named(bad):
    found, alphas = gradients(), {"normal": torch.zeros(2, 2), "reduce": torch.zeros(2, 2)}
    looked_at(torch.tensor(1.0), found, alphas)
    found["classifier.bias"][2] = bad
    with pytest.raises(NotFiniteError, match=r"^the gradient of classifier\.bias$"):
        looked_at(torch.tensor(1.0), found, alphas)
    with pytest.raises(NotFiniteError, match=rf"^the loss \({bad}\)$"):
        looked_at(torch.tensor(bad), found, alphas)
    alphas["reduce"][1, 1] = bad
    with pytest.raises(NotFiniteError, match=r"^an alpha of the reduce cells$"):
        looked_at(torch.tensor(bad), found, alphas)


def test_gradients_too_large_for_their_norm():
    with pytest.raises(NotFiniteError, match="norm of all gradients"):
        checked_grad_norm(torch.tensor(1.0), {"w": torch.full((4,), 3e38)})


@pytest.mark.parametrize("bad", BAD)
def test_a_nested_state(bad):
    state = {
        "model": {"w": torch.ones(3), "steps": torch.tensor(3)},
        "sgd": {"state": {0: {"m": torch.ones(2)}}},
        "n": 1,
    }
    check_state_finite(state)
    state["sgd"]["state"][0]["m"][1] = bad
    with pytest.raises(NotFiniteError, match=r"^sgd\.state\.0\.m, before that step,$"):
        check_state_finite(state)
