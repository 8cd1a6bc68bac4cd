"""bfloat16 on a CPU: models with gradients that torch computes wrongly are refused; those of others are right."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nas
from nas.core.errors import InputError
from nas.costs.cpu_bf16 import require_bf16_gradients

CPU = torch.device("cpu")


def convolution(dilation: int, groups: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 3, padding=dilation, dilation=dilation, groups=groups))


def require(layer, side=32, device=CPU, precision="bf16", stem="cifar"):
    require_bf16_gradients(layer, device, precision, (3, side, side), stem)


def test_dilated_convolutions_on_large_maps_are_refused():
    with pytest.raises(InputError, match=r"precision=bf16: on a CPU.* on 32 pixels; allowed: precision=fp32"):
        require(convolution(2))
    with pytest.raises(InputError, match="on 29 pixels"):
        require(convolution(3, 1), side=29)
    require(convolution(2), side=28)
    require(convolution(2), side=224, stem="imagenet")
    require(convolution(2), precision="fp32")
    require(convolution(2), device=torch.device("cuda"))
    require(convolution(1))


def test_a_training_and_a_search_are_refused_before_anything_is_written(tmp_path):
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8), torch.arange(8) % 2
    tiny = {"precision": "bf16", "device": "cpu", "channels": 4, "folder": tmp_path / "run", "verbose": False}
    with pytest.raises(InputError, match="precision=bf16: on a CPU"):
        nas.run_training("darts_v2", images, cells=3, **tiny)
    with pytest.raises(InputError, match="precision=bf16: on a CPU"):
        nas.run_search("darts", images, cells=3, **tiny)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("kernel", "dilation", "side"), [(3, 1, 32), (5, 1, 32), (3, 2, 28), (5, 2, 28)])
@pytest.mark.parametrize("groups", [24, 1])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_gradients_of_what_is_allowed_are_right(kernel, dilation, side, groups, layout):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 24, side, side, generator=random).bfloat16().to(memory_format=layout)
    weight = torch.randn(24, 24 // groups, kernel, kernel, generator=random).bfloat16()
    conv = partial(F.conv2d, padding=dilation * (kernel // 2), dilation=dilation, groups=groups)
    output_gradient = torch.randn(2, 24, side, side, generator=random).bfloat16()

    def gradient(dtype):
        leaf = weight.to(dtype).requires_grad_()
        return torch.autograd.grad(conv(x.to(dtype), leaf), leaf, output_gradient.to(dtype))[0].double()

    true = gradient(torch.float64)
    assert float((gradient(torch.bfloat16) - true).abs().max()) < 0.01 * float(true.abs().max())
