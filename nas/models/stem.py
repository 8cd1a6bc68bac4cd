"""What stands around the cells: the preprocessing of their inputs, and the network's stem."""

from torch import Tensor, nn

from nas.ops.conv import relu_conv_bn
from nas.ops.skip import FactorizedReduce


def preprocess(c_in: int, c_out: int, halvings: int, affine: bool) -> nn.Module:
    """Bring an input of a cell to the cell's width and, where it is larger, to the resolution of the newest input."""
    if halvings == 0:
        return relu_conv_bn(c_in, c_out, 1, 1, affine)
    first = FactorizedReduce(c_in, c_out, affine)
    if halvings == 1:
        return first
    return nn.Sequential(first, *(FactorizedReduce(c_out, c_out, affine) for _ in range(halvings - 1)))


def cifar_stem(channels: int) -> nn.Sequential:
    """3x3 convolution to ``channels`` and BatchNorm, no ReLU (the cells begin with one)."""
    return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))


class ImageNetStem(nn.Module):
    """Three 3x3 convolutions at stride 2; gives the features behind the second and the third, (B, C, H/4, W/4) and
    (B, C, H/8, W/8) (DARTS, released code).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            *_strided(3, channels // 2),
            nn.ReLU(),
            *_strided(channels // 2, channels),
        )
        self.second = nn.Sequential(nn.ReLU(), *_strided(channels, channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) -> both stages' features, the older first."""
        first = self.first(x)
        return first, self.second(first)


def _strided(c_in: int, c_out: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(c_out)
