"""Derivatives that the kernels do not have are errors, not wrong numbers."""

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.build import load_library
from nas.kernels.convolution import convolve
from nas.kernels.node_sum import batch_moments, batch_norm, node_sum
from nas.kernels.node_sum_torch import Term
from nas.kernels.pool import pool

compiled = pytest.mark.skipif(load_library()[0] is None, reason=f"no compiled kernels: {load_library()[1]}")
DEPTHWISE = nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False).double()
POINTWISE = nn.Conv2d(4, 4, 1, bias=False).double()


def norm():
    return nn.BatchNorm2d(4, affine=False).double()


def one():
    return torch.ones(1, dtype=torch.float64)


CALLS = {
    "node sum": lambda x: node_sum([Term(x, norm()), Term(x)], torch.ones(2, dtype=x.dtype), BatchNormStats(False)),
    "batch norm": lambda x: batch_norm(x, [norm()], (0.0, 6.0), BatchNormStats(False)),
    "depthwise": lambda x: convolve(DEPTHWISE, x),
    "pointwise": lambda x: convolve(POINTWISE, x),
    "max pool": lambda x: pool(nn.MaxPool2d(3, 1, 1), x),
    "average pool": lambda x: pool(nn.AvgPool2d(3, 1, 1, count_include_pad=False), x),
}


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 4, 5, 6, dtype=torch.float64).requires_grad_()


@compiled
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("constant", [True, False])
def test_double_backward_raises(call, constant, x):
    """If the incoming gradient is a constant, too: torch's once_differentiable then returns a wrong number."""
    y = CALLS[call](x)
    (grad,) = torch.autograd.grad(y.sum() if constant else y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="first derivatives only; use execution=reference"):
        (grad.square().sum() + x.square().sum()).backward()


@pytest.mark.parametrize("call", CALLS)
def test_create_graph_changes_no_first_derivative(call, x):
    y = CALLS[call](x).square().sum()
    (expected,) = torch.autograd.grad(y, x, retain_graph=True)
    (grad,) = torch.autograd.grad(y, x, create_graph=True)
    assert torch.equal(grad, expected)


@pytest.mark.parametrize("call", CALLS)
def test_gradients_of_torch_func(call, x):
    """Within a transform stock torch computes, whose derivatives are known."""

    def loss(x):
        return CALLS[call](x).square().sum()

    (expected,) = torch.autograd.grad(loss(x), x)
    torch.testing.assert_close(torch.func.grad(loss)(x.detach()), expected)


@pytest.mark.parametrize("call", CALLS)
def test_vmap(call, x):
    batched = torch.stack([x.detach(), 2 * x.detach()])
    try:
        y = torch.func.vmap(CALLS[call])(batched)
    except (RuntimeError, ValueError) as error:
        assert "vmap" in str(error)  # noqa: PT017  (BatchNorm writes its statistics in place, which vmap refuses)
        return
    torch.testing.assert_close(y, torch.stack([CALLS[call](one) for one in batched]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode calls it
@pytest.mark.parametrize("call", CALLS)
def test_forward_mode(call, x):
    tangent = torch.randn_like(x)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.detach(), tangent)
        try:
            y = CALLS[call](dual)
        except (RuntimeError, NotImplementedError) as error:
            assert "jvp" in str(error) or "forward" in str(error)  # noqa: PT017
            return
        got = forward_ad.unpack_dual(y).tangent
    (vjp,) = torch.autograd.grad(CALLS[call](x), x, torch.ones_like(y))
    assert got is not None
    torch.testing.assert_close(got.sum(), (vjp * tangent).sum())


@compiled
def test_moments_within_transforms():
    """They have no derivative of their own: the sum that takes them has."""

    def loss(x):
        layer = norm()
        moments = batch_moments(x, [layer], BatchNormStats(False))
        return node_sum([Term(x, layer, moments=moments)], one(), BatchNormStats(False)).square().sum()

    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    (expected,) = torch.autograd.grad(loss(leaf := x.clone().requires_grad_()), leaf)
    torch.testing.assert_close(torch.func.grad(loss)(x), expected)


@pytest.mark.parametrize("call", CALLS)
def test_anomaly_mode(call, x):
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        CALLS[call](x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("call", CALLS)
def test_backward_twice(call, x):
    y = CALLS[call](x).square().sum()
    (first,) = torch.autograd.grad(y, x, retain_graph=True)
    (second,) = torch.autograd.grad(y, x, retain_graph=True)
    assert torch.equal(first, second)
