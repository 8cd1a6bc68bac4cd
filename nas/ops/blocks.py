"""What mobile blocks are made of: a convolution with its BatchNorm, and the residual around them.

"Rethinking Bottleneck Structure for Efficient Mobile Network Design" (arXiv 2007.02269), §3.2, and MobileNetV2
(arXiv 1801.04381). Below, C is the block's width on an edge of a cell: C channels come in and C go out.
"""

from fractions import Fraction

import torch
from torch import Tensor, nn


def depthwise(channels: int, stride: int, affine: bool) -> list[nn.Module]:
    """Depthwise 3x3 convolution and BatchNorm."""
    conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels, affine=affine)]


def pointwise(c_in: int, c_out: int, affine: bool, stride: int = 1) -> list[nn.Module]:
    """Pointwise (1x1) convolution and BatchNorm."""
    return [nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out, affine=affine)]


class Residual(nn.Module):
    """``branch(x)`` plus the first ``share`` of the channels of x: the identity tensor multiplier, eq. 4."""

    def __init__(self, branch: nn.Module, channels: int, share: Fraction = Fraction(1)) -> None:
        super().__init__()
        self.branch = branch
        self.channels = channels
        self.shared = int(share * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.joined(self.branch(x), x)

    def joined(self, y: Tensor, x: Tensor) -> Tensor:
        """What the branch gave, and the input's share added to it."""
        if self.shared == self.channels:
            return y + x
        if self.shared == 0:
            return y
        return torch.cat([y[:, : self.shared] + x[:, : self.shared], y[:, self.shared :]], dim=1)


def residual_at_stride_1(layers: list[nn.Module], channels: int, stride: int) -> nn.Module:
    """The layers, with the identity added where the resolution stays."""
    branch = nn.Sequential(*layers)
    return Residual(branch, channels) if stride == 1 else branch
