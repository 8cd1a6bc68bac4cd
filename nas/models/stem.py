"""Stems, and the preprocessing of the inputs of a cell."""

from torch import Tensor, nn

from nas.ops.conv import relu_conv_bn
from nas.ops.skip import FactorizedReduce


def preprocess(c_in: int, c_out: int, downsampling: int, affine: bool) -> nn.Module:
    """Return the module that brings a cell's input to the cell's width and the resolution of its newest input."""
    if downsampling == 0:
        return relu_conv_bn(c_in, c_out, 1, 1, affine)
    first = FactorizedReduce(c_in, c_out, affine)
    if downsampling == 1:
        return first
    return nn.Sequential(first, *(FactorizedReduce(c_out, c_out, affine) for _ in range(downsampling - 1)))


def cifar_stem(channels: int, in_chans: int = 3) -> nn.Sequential:
    """Return a 3x3 convolution to ``channels`` and a BatchNorm; no ReLU, since cells start with one."""
    return nn.Sequential(nn.Conv2d(in_chans, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))


class ImageNetStem(nn.Module):
    """Three 3x3 convolutions at stride 2 (DARTS, released code), the first from ``in_chans`` channels.

    Returns the features after the second and the third: (B, C, H/4, W/4) and (B, C, H/8, W/8).
    """

    def __init__(self, channels: int, in_chans: int = 3) -> None:
        super().__init__()
        self.first = nn.Sequential(
            *_strided(in_chans, channels // 2),
            nn.ReLU(),
            *_strided(channels // 2, channels),
        )
        self.second = nn.Sequential(nn.ReLU(), *_strided(channels, channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, in_chans, H, W) to the features of both stages, the earlier first."""
        first = self.first(x)
        return first, self.second(first)


def _strided(c_in: int, c_out: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(c_out)
