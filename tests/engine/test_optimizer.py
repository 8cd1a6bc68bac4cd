"""The weights' step on the device equals torch's clipping and SGD, and changes nothing if not finite."""

import pytest
import torch

from nas.engine.nonfinite import finite_flag
from nas.engine.optimizer import init_optimizer_state, optimizer_tensors, sgd_step

SHAPES = {"conv": (6, 4, 3, 3), "pointwise": (8, 6, 1, 1), "bias": (5,)}
SETTINGS = {"lr": 0.1, "momentum": 0.9, "weight_decay": 3e-4}


def weights():
    torch.manual_seed(0)
    return {name: torch.nn.Parameter(torch.randn(shape, dtype=torch.float64)) for name, shape in SHAPES.items()}


def gradients(layout):
    found = {name: torch.randn(shape, dtype=torch.float64) for name, shape in SHAPES.items()}
    found["conv"] = found["conv"].contiguous(memory_format=layout)
    return found


def step(optimizer, moved, found, lr, clip_norm):
    norm, finite = finite_flag(torch.tensor(1.0), found, {})
    sgd_step(optimizer, moved, found, torch.tensor(lr, dtype=torch.float64), clip_norm, norm, finite)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("clip_norm", [0.5, 1e3])
def test_it_is_clipping_and_sgd(layout, clip_norm):
    found, wanted = weights(), weights()
    ours = torch.optim.SGD(found.values(), **SETTINGS, fused=True)
    theirs = torch.optim.SGD(wanted.values(), **SETTINGS, foreach=False)
    init_optimizer_state(ours)  # theirs makes its momentum in its first step
    for lr in (0.1, 0.07, 0.02):
        slopes = gradients(layout)
        for name, weight in wanted.items():
            weight.grad = slopes[name].clone()
        torch.nn.utils.clip_grad_norm_(wanted.values(), clip_norm)
        theirs.param_groups[0]["lr"] = lr
        theirs.step()
        step(ours, found, slopes, lr, clip_norm)
        for name, weight in wanted.items():
            torch.testing.assert_close(found[name], weight, rtol=1e-12, atol=1e-12)
            momentum = ours.state[found[name]]["momentum_buffer"]
            torch.testing.assert_close(momentum, theirs.state[weight]["momentum_buffer"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_moves_nothing(bad):
    moved = weights()
    optimizer = torch.optim.SGD(moved.values(), **SETTINGS, fused=True)
    init_optimizer_state(optimizer)
    step(optimizer, moved, gradients(torch.contiguous_format), 0.1, 0.5)
    tensors = [*moved.values(), *optimizer_tensors(optimizer)]
    before = [x.detach().clone() for x in tensors]
    slopes = gradients(torch.contiguous_format)
    slopes["pointwise"][3, 2] = bad
    kept = {name: x.clone() for name, x in slopes.items()}
    step(optimizer, moved, slopes, 0.1, 0.5)
    assert all(torch.equal(x, y) for x, y in zip(tensors, before, strict=True))
    for name, x in slopes.items():  # by which the culprit is found
        torch.testing.assert_close(x, kept[name], rtol=0, atol=0, equal_nan=True)
    assert all(weight.grad is None for weight in moved.values())


def test_adam_with_the_state_of_no_steps_is_adam():
    found, wanted = weights(), weights()
    ours = torch.optim.Adam(found.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3, capturable=True, fused=True)
    theirs = torch.optim.Adam(wanted.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3, foreach=False)
    init_optimizer_state(ours)
    kept = optimizer_tensors(ours)
    for _ in range(3):
        slopes = gradients(torch.contiguous_format)
        for name in SHAPES:
            found[name].grad, wanted[name].grad = slopes[name].clone(), slopes[name].clone()
        ours.step()
        theirs.step()
    for name, weight in wanted.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-12, atol=1e-12)
    assert all(x is y for x, y in zip(kept, optimizer_tensors(ours), strict=True))  # it moved where it lay
    assert float(kept[0]) == 3
