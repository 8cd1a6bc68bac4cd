"""The compiled kernels are optional, and equal to torch's own operators where those are defined."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas.kernels import build
from nas.kernels.build import load_library
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
    slope = torch.randn_like(y)
    wanted = torch.autograd.grad(y, (x, layer.weight), slope)
    found = torch.autograd.grad(convolve(layer, x), (x, layer.weight), slope)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "size"), [(5, (7, 4)), (16, (8, 8)), (3, (1, 1))])
@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
def test_pools(kind, stride, channels, size):
    layer = kind(3, stride, 1, **({"count_include_pad": False} if kind is nn.AvgPool2d else {}))
    x = torch.randn(2, channels, *size, dtype=torch.float64).mul(3).round().requires_grad_()  # with equal neighbours
    y = layer(x)
    slope = torch.randn_like(y)
    found = pool(layer, x)
    torch.testing.assert_close(found, y)
    torch.testing.assert_close(torch.autograd.grad(found, x, slope), torch.autograd.grad(y, x, slope))


def test_a_max_pool_passes_nan_on():
    x = torch.tensor([1.0, float("nan"), 3.0]).reshape(1, 1, 1, 3)
    assert pool(nn.MaxPool2d(3, 1, 1), x).isnan().all() == F.max_pool2d(x, 3, 1, 1).isnan().all()


@pytest.mark.skipif(load_library()[0] is None, reason="no compiled kernels here")
def test_too_little_memory_is_an_error_of_python():
    spots = build.pointer_array([None])
    with pytest.raises(MemoryError, match="mix_forward"):  # before a single pixel is read
        build.call_kernel("mix_forward", torch.float32, 1, spots, *[None] * 6, 1, 2**50, False, 0.0, 0.0, None)


@pytest.fixture
def _afresh():
    load_library.cache_clear()
    yield
    load_library.cache_clear()


@pytest.mark.usefixtures("_afresh")
@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("NAS_KERNELS", "off", "NAS_KERNELS=off"),
        ("CXX", "no-such-compiler", "no-such-compiler"),
        ("CXX", "false", "fail"),
    ],
)
def test_without_a_compiler_torch_does_it(variable, value, reason, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(variable, value)
    found, why = load_library()
    assert found is None
    assert reason in why
    assert not build.supported(torch.zeros(1, 1, 1, 1))
    layer = nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False)
    convolve(layer, torch.randn(1, 4, 5, 5)).sum().backward()
    assert layer.weight.grad is not None
