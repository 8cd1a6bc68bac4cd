"""Layers of an operator that a user replaced after the supernet was built: followed exactly, or refused by all."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import nas

C = 4
EXECUTIONS = ("reference", "fused", "batched")


def conv(c_in=C, c_out=C, kernel=3, groups=C, **options):
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False, **options)


def point(c_in, c_out, **options):
    return nn.Conv2d(c_in, c_out, 1, **options)


FOLLOWED = {  # position in ReLU, dw, pw, BN, ReLU, dw, pw, BN -> the new layer
    "another kernel": lambda: {1: conv(kernel=5)},
    "groups": lambda: {1: conv(groups=2)},
    "a bias": lambda: {2: point(C, C)},
    "wider within": lambda: {
        2: point(C, 2 * C, bias=False), 3: nn.BatchNorm2d(2 * C), 5: conv(2 * C, 2 * C, groups=2 * C),
        6: point(2 * C, C, bias=False),
    },
    "another activation": lambda: {4: nn.SiLU()},
}  # fmt: skip
REFUSED = {
    "a wider convolution": lambda: {2: point(C, 2 * C, bias=False)},
    "a wider last convolution": lambda: {6: point(C, 2 * C, bias=False), 7: nn.BatchNorm2d(2 * C)},
    "a BatchNorm of another width": lambda: {7: nn.BatchNorm2d(2 * C)},
    "a narrower BatchNorm within": lambda: {3: nn.BatchNorm2d(2)},
    "a BatchNorm of one channel": lambda: {7: nn.BatchNorm2d(1)},
    "another stride": lambda: {1: conv(stride=2)},
    "another dtype": lambda: {1: conv(dtype=torch.float32)},
    "no padding": lambda: {1: nn.Conv2d(C, C, 3, groups=C, bias=False)},
}


def gradients(execution, layers, train):
    torch.manual_seed(0)
    net = nas.Supernet("tiny", C, 3, execution=execution).double().train(train)
    operator = net.cells[0].edges[0]["sep_conv_3x3"]
    for position, layer in copy.deepcopy(layers).items():
        operator[position] = layer
    logits = net(torch.randn(3, 3, 8, 8).double())
    by = [*net.alphas().values(), *net.weights()]
    return logits, torch.autograd.grad(F.cross_entropy(logits, torch.arange(3)), by)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", FOLLOWED)
def test_followed(name, train):
    layers = {position: layer.double() for position, layer in FOLLOWED[name]().items()}
    first, *others = (gradients(execution, layers, train) for execution in EXECUTIONS)
    for other in others:
        torch.testing.assert_close(other, first, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, execution, train):
    layers = {k: layer if "dtype" in name else layer.double() for k, layer in REFUSED[name]().items()}
    with pytest.raises((RuntimeError, ValueError, TypeError, nas.InputError)):
        gradients(execution, layers, train)


@pytest.mark.parametrize("shape", [(2 * C, C, 1, 1), (C, 2 * C, 1, 1)])
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_weights_of_another_shape(execution, shape):
    net = nas.Supernet("tiny", C, 3, execution=execution)
    net.cells[0].edges[0]["sep_conv_3x3"][2].weight.data = torch.randn(shape)
    with pytest.raises((RuntimeError, ValueError)):
        net(torch.randn(3, 3, 8, 8))
