"""Convolutions and pools against torch's own operators, in double precision."""

import pytest
import torch
from torch import nn

from nas.kernels.convolution import convolve
from nas.kernels.pool import pool


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize(("channels", "size"), [(5, (7, 4)), (16, (8, 8)), (24, (3, 9)), (2, (1, 1))])
def test_depthwise_gradients(kernel, stride, dilation, channels, size):
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, channels, bias=False).double()
    x = torch.randn(3, channels, *size, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    grad_output = torch.randn_like(y)
    wanted = torch.autograd.grad(y, (x, layer.weight), grad_output)
    found = torch.autograd.grad(convolve(layer, x), (x, layer.weight), grad_output)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "size"), [(5, (7, 4)), (16, (8, 8)), (3, (1, 1))])
@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
def test_pools(kind, stride, channels, size):
    layer = kind(3, stride, 1, **({"count_include_pad": False} if kind is nn.AvgPool2d else {}))
    x = torch.randn(2, channels, *size, dtype=torch.float64).mul(3).round().requires_grad_()  # with equal neighbours
    y = layer(x)
    grad_output = torch.randn_like(y)
    found = pool(layer, x)
    torch.testing.assert_close(found, y)
    torch.testing.assert_close(torch.autograd.grad(found, x, grad_output), torch.autograd.grad(y, x, grad_output))
