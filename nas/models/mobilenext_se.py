"""MobileNeXt with squeeze-excitation, Swish, and EfficientNet's kernels and strides (arXiv 2007.02269, Table 6).

The paper gives results only; the rules here are those of the authors' released code. Its networks also hold a BatchNorm
of 1280 channels that never runs (2,560 parameters), which is left out here.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.core.validation import require
from nas.models.image_network import ImageNetwork, make_divisible

_STAGES = (  # t: reduction, k: kernel, c: channels, n: blocks, s: stride of the first one
    (2, 3, 96, 1, 1),
    (6, 3, 144, 1, 2),
    (6, 5, 192, 3, 2),
    (6, 3, 288, 3, 2),
    (6, 5, 384, 4, 1),
    (6, 5, 576, 4, 2),
    (6, 3, 960, 3, 1),
    (6, 3, 1280, 1, 1),
)
DEPTHS = {1.0: 1, 1.1: 2}  # depth coefficient: groups of the pointwise convolutions

_norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's "SAME": with stride 2 on an even size one pixel more below and right."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out_channels, ceil(H/stride), ceil(W/stride))."""
        sides = [self._padding(size, axis) for axis, size in ((1, x.shape[3]), (0, x.shape[2]))]
        return super().forward(F.pad(x, [one for side in sides for one in side]))

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
            kept = torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop_path
            y = y * kept.to(y.dtype) / (1 - self.drop_path)
        return x + y


def mobilenext_se(
    depth: float = 1.0,
    in_chans: int = 3,
    drop_path_rate: float = 0.2,
    **head: Any,
) -> ImageNetwork:
    """Return MobileNeXt with squeeze-excitation: images (B, in_chans, H, W) to logits (B, num_classes).

    ``depth`` 1.0, or 1.1: a tenth more blocks per stage, rounded up, and pointwise convolutions in two groups where a
    block keeps its channels, and in the first stage. ``drop_path_rate`` is reached at the last block, linearly. Raises
    :class:`InputError` for other values.
    """
    require("depth", depth, depth in DEPTHS, f"must be {' or '.join(map(str, DEPTHS))}")
    require("drop_path_rate", drop_path_rate, 0 <= drop_path_rate < 1, "must lie in 0..1, below 1")
    c_in, groups, plan = 32, DEPTHS[depth], []
    for t, k, c, n, s in _STAGES:
        for index in range(ceil(depth * n - 1e-9)):
            plan.append((c_in, c, t, k, s if index == 0 else 1))
            c_in = c
    stem = nn.Sequential(*_conv(in_chans, plan[0][0], 3, 2, swish=True))
    blocks = [_block(*row, groups, drop_path_rate * index / len(plan)) for index, row in enumerate(plan)]
    strides, channels = [row[4] for row in plan], [row[1] for row in plan]
    return ImageNetwork(stem, plan[0][0], blocks, strides, channels, normal_init=False, **head)


def _block(c_in: int, c_out: int, t: int, kernel: int, stride: int, groups: int, drop_path: float) -> nn.Module:
    hidden = make_divisible(c_in // t, 2)
    whole = t == 2 or c_in == c_out
    pointwise = partial(_conv, kernel=1, stride=1, groups=groups if whole else 1)
    layers = _conv(c_in, c_in, kernel, 1, groups=c_in, swish=True) if whole else []
    layers += pointwise(c_in, hidden) + pointwise(hidden, c_out, swish=True)
    if whole or stride > 1:
        layers += _conv(c_out, c_out, kernel, stride, groups=c_out)
    attention = SqueezeExcitation(c_out, max(1, int(c_out / t * 0.25)))
    return SqueezedBlock(layers, attention, t != 2 and c_in == c_out and stride == 1, drop_path)


def _conv(c_in: int, c_out: int, kernel: int, stride: int, *, groups: int = 1, swish: bool = False) -> list[nn.Module]:
    make: Callable[..., nn.Module] = SameConv2d if stride > 1 else partial(nn.Conv2d, padding=kernel // 2)
    layers = [make(c_in, c_out, kernel, stride=stride, groups=groups, bias=False), _norm(c_out)]
    return [*layers, nn.SiLU()] if swish else layers
