"""The operators without computation: ``none``, ``skip_connect`` and ``noise``."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.ops.registry import register_operator


class Zero(nn.Module):
    """``none``: zeros of the output's shape, equivalent to no edge."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to zeros (B, C, ceil(H/s), ceil(W/s))."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class GaussianNoise(nn.Module):
    """``noise``: standard normal numbers of the output's shape, drawn anew in every pass; the input does not count."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to noise (B, C, ceil(H/s), ceil(W/s))."""
        like = x[:, :, :: self.stride, :: self.stride]
        return torch.randn(like.shape, dtype=x.dtype, device=x.device)  # the same numbers in each memory layout


class FactorizedPointwise(nn.Module):
    """Two 1x1 convolutions at stride 2, the second on the input shifted by one pixel; each outputs half the channels.

    An odd height or width is padded with one row or column of zeros, so that both outputs have the size
    ceil(H/2) x ceil(W/2).
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(c_in, c_out - c_out // 2, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, ceil(H/2), ceil(W/2))."""
        return torch.cat([self.even(x), self.odd(self.shift(x))], dim=1)

    @staticmethod
    def shift(x: Tensor) -> Tensor:
        """Return ``x`` without its first row and column, padded with zeros if its height or width is odd."""
        height, width = x.shape[2:]
        return F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]


class FactorizedReduce(nn.Sequential):
    """ReLU, :class:`FactorizedPointwise`, BatchNorm: halves the resolution (DARTS, arXiv 1806.09055, released code)."""

    def __init__(self, c_in: int, c_out: int, affine: bool) -> None:
        super().__init__(nn.ReLU(), FactorizedPointwise(c_in, c_out), nn.BatchNorm2d(c_out, affine=affine))


@register_operator("none")
def none(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return the operator that removes its edge."""
    return Zero(stride)


@register_operator("skip_connect")
def skip_connect(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return the identity at stride 1, a factorized reduction at stride 2."""
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


@register_operator("noise")
def noise(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return the harmful operator of the spaces S4 of R-DARTS (arXiv 1909.09656, section 4)."""
    return GaussianNoise(stride)
