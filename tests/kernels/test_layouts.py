"""Tensors of any layout, type and mode, as inputs and as gradients of what the kernels compute."""

import pytest
import torch
from torch import nn

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.convolution import convolve
from nas.kernels.node_sum import batch_norm, node_sum
from nas.kernels.node_sum_torch import Term
from nas.kernels.pool import pool


def norm(channels):
    return nn.BatchNorm2d(channels, affine=False)


def image(*shape, **options):
    return torch.randn(*(shape or (2, 4, 5, 6)), **options)


# Everything that can be called, on one tensor.
CALLS = {
    "node sum": lambda x: node_sum([Term(x, norm(4).to(x.device, x.dtype)), Term(x)], x.new_ones(2), BatchNormStats()),
    "batch norm": lambda x: batch_norm(x, [norm(4).to(x.device, x.dtype)], (0.0, 6.0), BatchNormStats()),
    "depthwise": lambda x: convolve(nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False).to(x.device, x.dtype), x),
    "pointwise": lambda x: convolve(nn.Conv2d(4, 3, 1, bias=False).to(x.device, x.dtype), x),
    "max pool": lambda x: pool(nn.MaxPool2d(3, 2, 1), x),
    "average pool": lambda x: pool(nn.AvgPool2d(3, 1, 1, count_include_pad=False), x),
}


class Subclass(torch.Tensor):
    """A tensor type of a user."""


def negative(x):
    return torch.complex(torch.zeros_like(x), -x).conj().imag  # the same values, behind a negative bit


INPUTS = {
    "plain": image,
    "expanded": lambda: image(2, 1, 5, 1).expand(2, 4, 5, 6),
    "sliced": lambda: image(2, 8, 5, 12)[:, 1:5, :, ::2],
    "transposed": lambda: image(6, 5, 4, 2).permute(3, 2, 1, 0),
    "negative bit": lambda: negative(image()),
    "zero tensor": lambda: torch._efficientzerotensor((2, 4, 5, 6)),
    "parameter": lambda: nn.Parameter(image()),
    "subclass": lambda: image().as_subclass(Subclass),
    "one pixel": lambda: image(2, 4, 1, 1),
    "float64": lambda: image(dtype=torch.float64),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", INPUTS)
def test_inputs_of_any_kind(call, kind):
    x = INPUTS[kind]()
    plain = torch.empty(x.shape, dtype=x.dtype).copy_(x.detach()).double().requires_grad_()
    torch.manual_seed(0)
    y = CALLS[call](x)
    torch.manual_seed(0)
    expected = CALLS[call](plain.float() if x.dtype is torch.float32 else plain)
    torch.testing.assert_close(y.as_subclass(torch.Tensor), expected.to(y.dtype))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: image(device="meta"),
        lambda: image(0, 4, 5, 6),
        lambda: image(2, 4, 0, 6),
        lambda: image(2, 0, 5, 6),
        lambda: image(4, 5, 6),
        lambda: image().half(),
        lambda: image().to_sparse(),
        lambda: torch.zeros(2, 4, 5, 6, dtype=torch.int32),
        lambda: torch.zeros(1).expand(2**20, 4, 2**20, 2**20),
    ],
)
def test_inputs_that_no_kernel_takes(call, make):
    """The result is stock torch's, an error included; the process survives."""
    try:
        y = CALLS[call](make())
    except (RuntimeError, ValueError, NotImplementedError, TypeError, IndexError, MemoryError):
        return
    assert isinstance(y, torch.Tensor)


@pytest.mark.parametrize("call", CALLS)
def test_inference_mode(call):
    x = image()
    torch.manual_seed(0)
    expected = CALLS[call](x)
    torch.manual_seed(0)
    with torch.inference_mode():
        torch.testing.assert_close(CALLS[call](x), expected)
        CALLS[call](image())


GRADIENTS = {
    "expanded": lambda y: torch.ones(1).expand(y.shape),
    "negative bit": lambda y: negative(torch.ones_like(y)),
    "zero tensor": lambda y: torch._efficientzerotensor(y.shape),
    "transposed": lambda y: torch.ones(y.shape[::-1]).permute(3, 2, 1, 0),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", GRADIENTS)
def test_gradients_of_any_layout(call, kind):
    x = image().requires_grad_()
    y = CALLS[call](x)
    grad_output = GRADIENTS[kind](y)
    values = torch.zeros(y.shape) if kind == "zero tensor" else torch.ones(y.shape)
    (expected,) = torch.autograd.grad(y, x, values, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(y, x, grad_output)[0], expected)
