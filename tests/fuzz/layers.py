"""Layers by short words, and chains of them: the vocabulary of the fuzzer's random operators.

A recipe is a tuple of words and of combinations: ``("residual", share, recipe)``, ``("cat", recipe, recipe)`` and
``("sum", recipe, recipe)``. C_in and C_out below are a layer's channels.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.ops.blocks import Residual
from nas.ops.skip import FactorizedPointwise

Recipe: TypeAlias = tuple["str | tuple", ...]
Build = Callable[[int, int], nn.Module]  # (channels, stride)


class Function(nn.Module):
    """A function of the feature map as a module; ``name`` is shown in its representation."""

    def __init__(self, name: str, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.name = name
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.name


class Scale(nn.Module):
    """One learned factor for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.rand(channels, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Combination(nn.Module):
    """Branches of one input, concatenated (``"cat"``) or added (``"sum"``)."""

    def __init__(self, how: str, branches: list[nn.Module]) -> None:
        super().__init__()
        self.how = how
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [branch(x) for branch in self.branches]
        return torch.cat(outputs, dim=1) if self.how == "cat" else sum(outputs[1:], start=outputs[0])


def _conv(kernel: int, dilation: int = 1, groups: Callable[[int], int] = lambda c: 1, **options: object) -> Build:
    padding = dilation * (kernel // 2)

    def build(channels: int, stride: int) -> nn.Module:
        given = {"bias": False, "padding": padding, **options}
        return nn.Conv2d(channels, channels, kernel, stride, dilation=dilation, groups=groups(channels), **given)

    return build


def _depthwise(kernel: int, dilation: int = 1, **options: object) -> Build:
    return _conv(kernel, dilation, groups=lambda c: c, **options)


def _asymmetric(channels: int, stride: int, groups: int = 1) -> nn.Module:
    rows = nn.Conv2d(channels, channels, (1, 5), (1, stride), (0, 2), groups=groups, bias=False)
    return nn.Sequential(rows, nn.Conv2d(channels, channels, (3, 1), (stride, 1), (1, 0), groups=groups, bias=False))


def _norm(**options: object) -> Build:
    return lambda channels, stride: nn.BatchNorm2d(channels, **options)


def _simple(make: Callable[[], nn.Module]) -> Build:
    return lambda channels, stride: make()


def _pool(kind: type[nn.Module], kernel: int = 3, **options: object) -> Build:
    return lambda channels, stride: kind(kernel, stride, kernel // 2, **options)


def _ceil(kind: type[nn.Module]) -> Build:
    return lambda channels, stride: kind(stride, stride, 0, ceil_mode=True)


STRIDING: dict[str, Build] = {  # layers that can stride
    "pw": _conv(1),
    "pw_bias": _conv(1, bias=True),
    "dw3": _depthwise(3),
    "dw5": _depthwise(5),
    "dw7": _depthwise(7),
    "dw9": _depthwise(9),
    "dw3_d2": _depthwise(3, 2),
    "dw5_d2": _depthwise(5, 2),
    "dw3_bias": _depthwise(3, bias=True),
    "dw3_circular": _depthwise(3, padding_mode="circular"),
    "dw_asymmetric": lambda channels, stride: _asymmetric(channels, stride, channels),
    "conv3": _conv(3),
    "conv3_bias": _conv(3, bias=True),
    "conv5_d2": _conv(5, 2),
    "conv3_reflect": _conv(3, padding_mode="reflect"),
    "conv3_halved": _conv(3, groups=lambda c: 2 - c % 2),
    "pw_halved": _conv(1, groups=lambda c: 2 - c % 2),
    "conv_asymmetric": _asymmetric,
    "max3": _pool(nn.MaxPool2d),
    "max5": _pool(nn.MaxPool2d, 5),
    "max_ceil": _ceil(nn.MaxPool2d),
    "avg3": _pool(nn.AvgPool2d, count_include_pad=False),
    "avg3_padding": _pool(nn.AvgPool2d),
    "avg5": _pool(nn.AvgPool2d, 5, count_include_pad=False),
    "avg3_divided": _pool(nn.AvgPool2d, divisor_override=4),
    "avg_ceil": _ceil(nn.AvgPool2d),
    "max3_pair": lambda channels, stride: nn.MaxPool2d((3, 3), (stride, stride), (1, 1)),
    "halves": lambda channels, stride: (
        FactorizedPointwise(channels, channels) if stride == 2 else _conv(1)(channels, 1)
    ),
}
STAYING: dict[str, Build] = {  # layers that keep the resolution
    "relu": _simple(nn.ReLU),
    "relu_": _simple(lambda: nn.ReLU(inplace=True)),
    "relu6": _simple(nn.ReLU6),
    "relu6_": _simple(lambda: nn.ReLU6(inplace=True)),
    "hardtanh": _simple(lambda: nn.Hardtanh(0.0, 6.0)),
    "leaky": _simple(lambda: nn.LeakyReLU(0.1)),
    "leaky_": _simple(lambda: nn.LeakyReLU(0.1, inplace=True)),
    "hardswish": _simple(nn.Hardswish),
    "hardswish_": _simple(lambda: nn.Hardswish(inplace=True)),
    "silu": _simple(nn.SiLU),
    "silu_": _simple(lambda: nn.SiLU(inplace=True)),
    "sin": _simple(lambda: Function("sin", torch.sin)),
    "gate": _simple(lambda: Function("gate", lambda x: x * x.mean((2, 3), keepdim=True).sigmoid())),
    "identity": _simple(nn.Identity),
    "scale": lambda channels, stride: Scale(channels),
    "bn": _norm(affine=False),
    "bn_affine": _norm(),
    "bn_eps": _norm(affine=False, eps=1e-2),
    "bn_fast": _norm(affine=False, momentum=1.0),
    "bn_still": _norm(affine=False, momentum=0.0),
    "bn_cumulative": _norm(affine=False, momentum=None),
    "bn_untracked": _norm(affine=False, track_running_stats=False),
    "groupnorm": lambda channels, stride: nn.GroupNorm(1, channels),
    "dw3_same": lambda channels, stride: nn.Conv2d(channels, channels, 3, padding="same", groups=channels, bias=False),
    "conv3_same": lambda channels, stride: nn.Conv2d(channels, channels, 3, padding="same", bias=False),
    "transposed": lambda channels, stride: nn.ConvTranspose2d(channels, channels, 3, 1, 1, bias=False),
}
WIDENING: dict[str, Callable[[int], int]] = {"pw_x2": lambda c: 2 * c, "pw_x6": lambda c: 6 * c, "pw_to_2": lambda c: 2}
BROKEN: dict[str, Build] = {  # what no operator may return; the contract check refuses it
    "half_channels": _simple(lambda: Function("half_channels", lambda x: x[:, : (x.shape[1] + 1) // 2])),
    "one_image": _simple(lambda: Function("one_image", lambda x: x[:1])),
    "one_pixel": _simple(lambda: Function("one_pixel", lambda x: x.mean((2, 3), keepdim=True))),
    "twice_the_pixels": _simple(lambda: Function("twice_the_pixels", lambda x: F.interpolate(x, scale_factor=2))),
    "another_dtype": _simple(lambda: Function("another_dtype", lambda x: x.half())),
    "flat": _simple(lambda: Function("flat", lambda x: x.flatten(2))),
    "nothing": _simple(lambda: Function("nothing", lambda x: None)),
    "a_list": _simple(lambda: Function("a_list", lambda x: [x])),
}
WORDS = [*STRIDING, *STAYING, *WIDENING]


def build_recipe(recipe: Recipe, c_in: int, c_out: int, stride: int) -> nn.Module:
    """Return the recipe's module: (B, C_in, H, W) to (B, C_out, ceil(H/stride), ceil(W/stride)).

    The first layer that can stride does so; a pointwise convolution comes last if the width must change.
    """
    layers: list[nn.Module] = []
    if stride > 1 and not any(isinstance(word, tuple) or word in STRIDING for word in recipe):
        recipe = ("dw3", *recipe)
    channels = c_in
    for word in recipe:
        if isinstance(word, tuple):
            layers.append(_combined(word, channels, stride))
            stride = 1
        elif word in WIDENING:
            layers.append(nn.Conv2d(channels, WIDENING[word](channels), 1, bias=False))
            channels = layers[-1].out_channels
        elif word in STRIDING:
            layers.append(STRIDING[word](channels, stride))
            stride = 1
        else:
            layers.append((STAYING | BROKEN)[word](channels, 1))
    if channels != c_out:
        layers.append(nn.Conv2d(channels, c_out, 1, bias=False))
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


def _combined(word: tuple, channels: int, stride: int) -> nn.Module:
    kind, first, second = word
    if kind == "residual":
        branch = build_recipe(second, channels, channels, stride)
        return Residual(branch, channels, Fraction(first)) if stride == 1 else branch
    widths = (channels, channels) if kind == "sum" or channels < 2 else (channels - channels // 2, channels // 2)
    branches = [build_recipe(part, channels, c, stride) for part, c in zip((first, second), widths, strict=True)]
    return Combination("sum" if channels < 2 else kind, branches)
