"""MobileNeXt with squeeze-excitation, Swish, and EfficientNet's kernels and strides (arXiv 2007.02269, Table 6).

The paper gives results only; the rules here are those of the authors' released code. Its networks also hold a BatchNorm
of 1280 channels that never runs (2,560 parameters), which is left out here.
"""

from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from nas.core.validation import require
from nas.models.drop_path import drop_path
from nas.models.image_network import BlockPlan, ImageNetwork, Stage, make_divisible, plan_blocks
from nas.ops.blocks import conv_norm_act

_STAGES = (
    Stage(t=2, c=96, n=1, s=1, k=3),
    Stage(t=6, c=144, n=1, s=2, k=3),
    Stage(t=6, c=192, n=3, s=2, k=5),
    Stage(t=6, c=288, n=3, s=2, k=3),
    Stage(t=6, c=384, n=4, s=1, k=5),
    Stage(t=6, c=576, n=4, s=2, k=5),
    Stage(t=6, c=960, n=3, s=1, k=3),
    Stage(t=6, c=1280, n=1, s=1, k=3),
)
_STEM = 32  # channels
_NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
DEPTHS = {1.0: 1, 1.1: 2}  # depth coefficient: groups of the pointwise convolutions


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's "SAME", whatever its ``padding``.

    With stride 2 on an even size that is one pixel more below and right.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out_channels, ceil(H/stride), ceil(W/stride))."""
        sides = [self._padding(size, axis) for axis, size in ((1, x.shape[3]), (0, x.shape[2]))]
        padded = F.pad(x, [one for side in sides for one in side])
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _padding(self, size: int, axis: int) -> tuple[int, int]:
        stride = self.stride[axis]
        total = max((ceil(size / stride) - 1) * stride + self.kernel_size[axis] - size, 0)
        return total // 2, total - total // 2


class SqueezeExcitation(nn.Module):
    """Scales each channel by a number in 0..1 that depends on the means of all channels (arXiv 1709.01507)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        scale: Tensor = self.expand(F.silu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * scale.sigmoid()


class SqueezedBlock(nn.Module):
    """``layers`` and squeeze-excitation; with ``shortcut``, plus the input, and dropped for a part of the samples.

    ``drop_path`` is the probability in training that a sample passes by (arXiv 1603.09382).
    """

    def __init__(self, layers: Sequence[nn.Module], attention: nn.Module, shortcut: bool, drop_path: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.attention = attention
        self.shortcut = shortcut
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C_out, ceil(H/stride), ceil(W/stride))."""
        y: Tensor = self.attention(self.layers(x))
        if not self.shortcut:
            return y
        if self.training and self.drop_path:
            y = drop_path(y, self.drop_path)
        return x + y


def mobilenext_se(depth: float = 1.0, in_chans: int = 3, drop_path_rate: float = 0.2, **head: Any) -> ImageNetwork:
    """Return MobileNeXt with squeeze-excitation: images (B, in_chans, H, W) to logits (B, num_classes).

    ``depth`` 1.0, or 1.1: a tenth more blocks per stage, rounded up, and pointwise convolutions in two groups where a
    block keeps its channels, and in the first stage. ``drop_path_rate`` is reached at the last block, linearly. Raises
    :class:`InputError` for other values.
    """
    require("depth", depth, depth in DEPTHS, f"must be {' or '.join(map(str, DEPTHS))}")
    require("drop_path_rate", drop_path_rate, 0 <= drop_path_rate < 1, "must lie in 0..1, below 1")
    stem = nn.Sequential(*_convolution(in_chans, _STEM, 3, 2, activation=nn.SiLU))
    plans = plan_blocks([stage._replace(n=ceil(depth * stage.n - 1e-9)) for stage in _STAGES], _STEM)
    rates = [drop_path_rate * index / len(plans) for index in range(len(plans))]
    blocks = [_block(plan, DEPTHS[depth], rate) for plan, rate in zip(plans, rates, strict=True)]
    return ImageNetwork(stem, plans, blocks, normal_init=False, **head)


def _block(plan: BlockPlan, groups: int, drop_path_rate: float) -> nn.Module:
    c_in, c_out, t, kernel, stride = plan.c_in, plan.c_out, plan.t, plan.kernel, plan.stride
    hidden = make_divisible(c_in // t, 2)
    whole = t == 2 or c_in == c_out
    pointwise_groups = groups if whole else 1
    layers = _convolution(c_in, c_in, kernel, 1, groups=c_in, activation=nn.SiLU) if whole else []
    layers += _convolution(c_in, hidden, 1, 1, groups=pointwise_groups)
    layers += _convolution(hidden, c_out, 1, 1, groups=pointwise_groups, activation=nn.SiLU)
    if whole or stride > 1:
        layers += _convolution(c_out, c_out, kernel, stride, groups=c_out)
    attention = SqueezeExcitation(c_out, max(1, int(c_out / t * 0.25)))
    return SqueezedBlock(layers, attention, t != 2 and c_in == c_out and stride == 1, drop_path_rate)


def _convolution(c_in: int, c_out: int, kernel: int, stride: int, **options: Any) -> list[nn.Module]:
    convolution = SameConv2d if stride > 1 else nn.Conv2d
    return conv_norm_act(c_in, c_out, kernel, stride, norm=_NORM, convolution=convolution, **options)
