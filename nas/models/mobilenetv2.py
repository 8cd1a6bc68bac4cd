"""MobileNetV2 (arXiv 1801.04381, Table 2), and two networks on its table from arXiv 2007.02269 (MobileNeXt)."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from nas.core.validation import require
from nas.models.image_network import ImageNetwork, make_divisible
from nas.ops.blocks import add_shortcut_if_same_shape, conv_norm_act, depthwise, inverted_residual_block

_STAGES = (  # t: expansion, c: channels, n: blocks, s: stride of the first one
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
RELU6_AFTER = ("both", "first", "second")

_MakeBlock = Callable[[int, int, int, int], nn.Module]


def mobilenetv2(
    width: float = 1.0,
    in_chans: int = 3,
    **head: Any,
) -> ImageNetwork:
    """Return MobileNetV2: images (B, in_chans, H, W) to logits (B, num_classes); ``width`` multiplies the channels.

    The last convolution keeps 1280 channels below width 1. ``head``: num_classes, drop_rate and global_pool of
    :class:`ImageNetwork`. Raises :class:`InputError` for values out of range.
    """
    return _network(_inverted_residual, width, in_chans, head)


def mobilenetv2_two_depthwise(
    width: float = 1.0,
    relu6_after: str = "both",
    in_chans: int = 3,
    **head: Any,
) -> ImageNetwork:
    """Return MobileNetV2 with a second depthwise convolution, of stride 1, before that of each block (Table 5).

    The paper does not say where ReLU6 follows: after ``both``, the ``first`` or the ``second`` one. Raises
    :class:`InputError` for other values.
    """
    require("relu6_after", relu6_after, relu6_after in RELU6_AFTER, f"must be {', '.join(RELU6_AFTER)}")
    make = partial(_two_depthwise, relu6_after=relu6_after)
    return _network(make, width, in_chans, head)


def mobilenext_variant_c(
    width: float = 1.0,
    in_chans: int = 3,
    **head: Any,
) -> ImageNetwork:
    """Return variant c of Figure 4: wide in the middle, as MobileNetV2, with depthwise convolutions at the thin ends.

    Raises :class:`InputError` for values out of range.
    """
    return _network(_variant_c, width, in_chans, head)


def _network(make: _MakeBlock, width: float, in_chans: int, head: dict[str, Any]) -> ImageNetwork:
    require("width", width, 0 < width <= 10, "must be above 0 and at most 10")
    c_in = first = make_divisible(32 * width)
    stem = nn.Sequential(*conv_norm_act(in_chans, first, 3, 2, activation=nn.ReLU6))
    blocks, strides, channels = [], [], []
    for t, c, n, s in _STAGES:
        c_out = make_divisible(c * width)
        for index in range(n):
            strides.append(s if index == 0 else 1)
            blocks.append(make(c_in, c_out, t, strides[-1]))
            channels.append(c_out)
            c_in = c_out
    last = make_divisible(1280 * max(1.0, width))
    blocks.append(nn.Sequential(*conv_norm_act(c_in, last, activation=nn.ReLU6)))
    return ImageNetwork(stem, first, blocks, [*strides, 1], [*channels, last], **head)


def _inverted_residual(c_in: int, c_out: int, t: int, stride: int) -> nn.Module:
    return inverted_residual_block(c_in, c_out, stride, hidden=t * c_in)


def _two_depthwise(c_in: int, c_out: int, t: int, stride: int, relu6_after: str) -> nn.Module:
    hidden = t * c_in
    first, second = (nn.ReLU6 if relu6_after in ("both", place) else None for place in ("first", "second"))
    layers = conv_norm_act(c_in, hidden, activation=nn.ReLU6) if t > 1 else []
    layers += depthwise(hidden, activation=first) + depthwise(hidden, stride, activation=second)
    return add_shortcut_if_same_shape([*layers, *conv_norm_act(hidden, c_out)], c_in, c_out, stride)


def _variant_c(c_in: int, c_out: int, t: int, stride: int) -> nn.Module:
    if t == 1:
        layers = depthwise(c_in) + depthwise(c_in, stride, activation=nn.ReLU6) + conv_norm_act(c_in, c_out)
        return nn.Sequential(*layers)
    layers = depthwise(c_in, activation=nn.ReLU6) + conv_norm_act(c_in, t * c_in, activation=nn.ReLU6)
    layers += conv_norm_act(t * c_in, c_out, 1, stride) + depthwise(c_out, activation=nn.ReLU6)
    return add_shortcut_if_same_shape(layers, c_in, c_out, stride)
