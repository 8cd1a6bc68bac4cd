"""Building blocks of mobile networks: convolutions with their BatchNorm, and the residual around them.

"Rethinking Bottleneck Structure for Efficient Mobile Network Design" (arXiv 2007.02269), §3.2, and MobileNetV2
(arXiv 1801.04381). Below, C is the block's number of input and output channels.
"""

from fractions import Fraction

import torch
from torch import Tensor, nn


def depthwise(channels: int, stride: int, affine: bool) -> list[nn.Module]:
    """Return a depthwise 3x3 convolution and its BatchNorm."""
    conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels, affine=affine)]


def pointwise(c_in: int, c_out: int, affine: bool, stride: int = 1) -> list[nn.Module]:
    """Return a pointwise (1x1) convolution and its BatchNorm."""
    return [nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out, affine=affine)]


class Residual(nn.Module):
    """``branch(x)`` plus the first ``share`` of the channels of ``x``: the identity tensor multiplier, eq. 4."""

    def __init__(self, branch: nn.Module, channels: int, share: Fraction = Fraction(1)) -> None:
        super().__init__()
        self.branch = branch
        self.channels = channels
        self.shared = int(share * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return self.add_shortcut(self.branch(x), x)

    def add_shortcut(self, y: Tensor, x: Tensor) -> Tensor:
        """Add the shared channels of ``x`` to the branch's output ``y``."""
        if self.shared == self.channels:
            return y + x
        if self.shared == 0:
            return y
        return torch.cat([y[:, : self.shared] + x[:, : self.shared], y[:, self.shared :]], dim=1)


def residual_at_stride_1(layers: list[nn.Module], channels: int, stride: int) -> nn.Module:
    """Return the layers as one module, with the identity added at stride 1."""
    branch = nn.Sequential(*layers)
    return Residual(branch, channels) if stride == 1 else branch
