"""The multiply-adds of a step against a count by hand: each layer, times the passes that need its gradients."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import nas
from nas.profiling import step_flops
from nas.profiling.step_flops import measure_peak
from nas.search.methods import build_method


def forwards_by_hand(supernet, shape, searched, trained):
    """Return the multiply-adds of a pass and of its gradients by inputs and by weights, from layer sizes."""
    total = {"forward": 0, "by input": 0, "by weight": 0}

    def count(layer, inputs, output):
        pixels = output[0, 0].numel() if output.ndim == 4 else 1
        fan_in = layer.weight.shape[1]  # channels of a group, or features
        macs = pixels * output.shape[1] * fan_in * layer.weight[0, 0].numel()
        total["forward"] += macs
        total["by input"] += macs * inputs[0].requires_grad
        total["by weight"] += macs * trained

    hooks = [m.register_forward_hook(count) for m in supernet.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    alphas = {id(alpha) for alpha in supernet.alphas().values()}
    for p in supernet.parameters():
        p.requires_grad_(searched if id(p) in alphas else trained)
    supernet.execution = "reference"
    supernet.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    for p in supernet.parameters():
        p.requires_grad_(True)
    return total


@pytest.mark.parametrize(("space", "execution"), [("tiny", "fused"), ("darts", "reference")])
def test_a_step_costs_the_sum_of_its_passes(space, execution):
    shape = (3, 12, 12)
    supernet = nas.Supernet(space, 6, 3, execution=execution).train()
    first, second = (step_flops.step_cost(supernet, shape, order) for order in (1, 2))
    assert supernet.execution == execution
    assert all(module.training for module in supernet.modules())
    alphas = sum(forwards_by_hand(supernet, shape, True, False).values())
    weights = sum(forwards_by_hand(supernet, shape, False, True).values())
    both = sum(forwards_by_hand(supernet, shape, True, True).values())
    assert (first.alpha, first.weight) == (alphas, weights)
    assert (second.alpha, second.weight) == (weights + both + 2 * alphas, weights)


def test_the_rule_of_thumb():
    """2 and 3 forward passes, minus unused gradients: the images need none."""
    supernet = nas.Supernet("tiny", 4, 6)
    forward, cost = nas.cost(supernet).macs, step_flops.step_cost(supernet, (3, 32, 32), 1)
    assert cost.weight == 3 * forward - 3 * 12 * 9 * 32 * 32
    assert 1.5 * forward < cost.alpha < 2 * forward


def test_operators_that_a_method_leaves_out_cost_nothing():
    supernet = nas.Supernet("tiny", 4, 3, relaxation=build_method("gdas").relaxation)
    one_hot = {kind: F.one_hot(torch.full((5,), 1), 5).float() for kind in supernet.space.kinds}  # skip connections
    left = nas.Supernet(replace(supernet.space, operators=("skip_connect",)), 4, 3)

    def relax(alphas):
        return {kind: one_hot[kind] + 0 * alpha for kind, alpha in alphas.items()}

    assert step_flops.step_cost(supernet, (3, 12, 12), 1, relax) == step_flops.step_cost(left, (3, 12, 12), 1)


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("trained", [False, True])
def test_gradients_of_convolutions(kind, groups, trained):
    """As torch counts them, in the cases in which it counts groups correctly."""
    layer = kind(8, 4, 3, stride=2, groups=groups, bias=False).requires_grad_(trained)
    x = torch.randn(2, 8, 9, 9, requires_grad=True)
    with step_flops._counter() as counter:
        layer(x).sum().backward()
    layer.zero_grad()
    with FlopCounterMode(display=False) as forward:
        layer(x.detach())
    assert counter.get_total_flops() == (2 + trained) * forward.get_total_flops()
    if groups == 1:
        with FlopCounterMode(display=False) as reference:
            layer(x).sum().backward()
        assert counter.get_total_flops() == reference.get_total_flops()


def test_the_peak_is_plausible(monkeypatch):
    monkeypatch.setitem(step_flops.SIDES, "cpu", 128)
    assert 1e6 < measure_peak(torch.device("cpu"), torch.float32) < 1e15
