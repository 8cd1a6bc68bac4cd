"""MobileNeXt (arXiv 2007.02269, §3.3 and Table 2), with its identity tensor multiplier and variants (Figure 4).

The paper leaves open which depthwise convolutions a block has where its channels or the resolution change; the rules
here are those of the authors' released code, which give the published numbers of parameters and multiply-adds.
"""

from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Any

from torch import nn

from nas.core.errors import InputError
from nas.core.validation import require
from nas.models.image_network import ImageNetwork, make_divisible
from nas.ops.blocks import add_shortcut_if_same_shape, conv_norm_act, depthwise, sandglass_block

_STAGES = (  # t: reduction, c: channels, n: blocks, s: stride of the first one (Table 2; b = 3 in its last row)
    (2, 96, 1, 2),
    (6, 144, 1, 1),
    (6, 192, 3, 2),
    (6, 288, 3, 2),
    (6, 384, 4, 1),
    (6, 576, 4, 2),
    (6, 960, 3, 1),
    (6, 1280, 1, 1),
)
IDENTITIES = (Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))  # Table 7

_MakeBlock = Callable[[int, int, int, int, bool, Fraction], nn.Module]


def mobilenext(
    width: float = 1.0,
    identity: int | str | Fraction = 1,
    variant: str = "d",
    in_chans: int = 3,
    **head: Any,
) -> ImageNetwork:
    """Return MobileNeXt: images (B, in_chans, H, W) to logits (B, num_classes).

    ``width`` multiplies the channels. ``identity`` is the part of the channels that a shortcut carries (eq. 4): 1,
    ``"1/2"``, ``"1/3"`` or ``"1/6"``; it changes neither parameters nor multiply-adds. ``variant`` is the block of
    Figure 4: d, the sandglass block; b, two depthwise convolutions in its bottleneck; a, one. ``head``: num_classes,
    drop_rate and global_pool of :class:`ImageNetwork`. Raises :class:`InputError` for other values.
    """
    require("width", width, 0 < width <= 10, "must be above 0 and at most 10")
    require("variant", variant, variant in _BLOCKS, f"must be {', '.join(_BLOCKS)}")
    share, make = read_identity(identity), _BLOCKS[variant]
    divisor = 4 if width == 0.1 else 8
    c_in = first = make_divisible(32 * width, divisor)
    stem = nn.Sequential(*conv_norm_act(in_chans, first, 3, 2, activation=nn.ReLU6))
    blocks, strides, channels = [], [], []
    for t, c, n, s in _STAGES:
        c_out = make_divisible(c * width, divisor)
        if c == _STAGES[-1][1] and width < 1:
            c_out = c
        for index in range(n):
            stride = s if index == 0 else 1
            blocks.append(make(c_in, c_out, t, stride, n == 1, share))
            strides.append(stride)
            channels.append(c_out)
            c_in = c_out
    return ImageNetwork(stem, first, blocks, strides, channels, **head)


def read_identity(identity: int | str | Fraction) -> Fraction:
    """Return the identity tensor multiplier; raise :class:`InputError` unless it is one of Table 7's."""
    try:
        share = Fraction(identity)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        share = Fraction(0)
    if share not in IDENTITIES:
        raise InputError(f"identity={identity!r}: must be {', '.join(map(str, IDENTITIES))}")
    return share


def hidden_channels(c_in: int, c_out: int, t: int) -> int:
    """Return the channels of the bottleneck: c_in / t, but not below a sixth of ``c_out`` (rounded to 16)."""
    hidden = c_in // t
    return make_divisible(ceil(c_out / 6), 16) if hidden < c_out / 6 else hidden


def _sandglass(c_in: int, c_out: int, t: int, stride: int, alone: bool, share: Fraction) -> nn.Module:
    """Return the block of MobileNeXt; ``alone``: it is the only one of its stage.

    Where the channels change it has no first depthwise convolution, and at stride 1 none at all, except for blocks that
    are alone at stride 1 and the first block (t = 2).
    """
    whole = t == 2 or (alone and stride == 1) or c_in == c_out
    return sandglass_block(
        c_in,
        c_out,
        stride,
        hidden=hidden_channels(c_in, c_out, t),
        first_depthwise=whole,
        last_depthwise=whole or stride > 1,
        shortcut=not (alone and stride == 1) and t != 2,
        share=share,
    )


def _inner(c_in: int, c_out: int, t: int, stride: int, alone: bool, share: Fraction, two: bool) -> nn.Module:
    """Return the block with its depthwise convolutions in the bottleneck; the last pointwise one has the stride."""
    hidden = hidden_channels(c_in, c_out, t)
    whole = t == 2 or (alone and stride == 1) or c_in == c_out
    layers = conv_norm_act(c_in, hidden)
    if whole and two:
        layers += depthwise(hidden)
    if whole or stride > 1:
        layers += depthwise(hidden, activation=nn.ReLU6)
    layers += conv_norm_act(hidden, c_out, 1, stride, activation=nn.ReLU6)
    if t == 2 or (alone and stride == 1):
        return nn.Sequential(*layers)
    return add_shortcut_if_same_shape(layers, c_in, c_out, stride, share)


def _variant_a(c_in: int, c_out: int, t: int, stride: int, alone: bool, share: Fraction) -> nn.Module:
    return _inner(c_in, c_out, t, stride, alone, share, two=False)


def _variant_b(c_in: int, c_out: int, t: int, stride: int, alone: bool, share: Fraction) -> nn.Module:
    return _inner(c_in, c_out, t, stride, alone, share, two=True)


_BLOCKS: dict[str, _MakeBlock] = {"a": _variant_a, "b": _variant_b, "d": _sandglass}
