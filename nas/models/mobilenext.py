"""MobileNeXt (arXiv 2007.02269, §3.3 and Table 2), with its identity tensor multiplier and variants (Figure 4).

The paper leaves open which depthwise convolutions a block has where its channels or the resolution change; the rules
here are those of the authors' released code, which give the published numbers of parameters and multiply-adds.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any

from torch import nn

from nas.core.errors import InputError
from nas.core.validation import require
from nas.models.image_network import BlockPlan, ImageNetwork, Stage, make_divisible, plan_blocks
from nas.ops.blocks import add_shortcut_if_same_shape, conv_norm_act, depthwise, sandglass_block

_STAGES = (  # Table 2; b = 3 in its last row
    Stage(t=2, c=96, n=1, s=2),
    Stage(t=6, c=144, n=1, s=1),
    Stage(t=6, c=192, n=3, s=2),
    Stage(t=6, c=288, n=3, s=2),
    Stage(t=6, c=384, n=4, s=1),
    Stage(t=6, c=576, n=4, s=2),
    Stage(t=6, c=960, n=3, s=1),
    Stage(t=6, c=1280, n=1, s=1),
)
IDENTITIES = (Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))  # Table 7


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
    stages = [stage._replace(c=make_divisible(stage.c * width, divisor)) for stage in _STAGES]
    if width < 1:
        stages[-1] = _STAGES[-1]
    first = make_divisible(32 * width, divisor)
    stem = nn.Sequential(*conv_norm_act(in_chans, first, 3, 2, activation=nn.ReLU6))
    plans = plan_blocks(stages, first)
    return ImageNetwork(stem, plans, [make(plan, share) for plan in plans], **head)


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


def _has_all_convolutions(plan: BlockPlan) -> bool:
    """Return whether the block has both depthwise convolutions.

    Where the channels change it has no first one, and at stride 1 none at all, except for blocks that are alone at
    stride 1 and the first block (t = 2).
    """
    return _stands_alone(plan) or plan.c_in == plan.c_out


def _stands_alone(plan: BlockPlan) -> bool:
    """Return whether it is the first block, or the only one of its stage, at stride 1: these have no shortcut."""
    return plan.t == 2 or (plan.alone and plan.stride == 1)


def _sandglass(plan: BlockPlan, share: Fraction) -> nn.Module:
    """Return the block of MobileNeXt."""
    whole = _has_all_convolutions(plan)
    return sandglass_block(
        plan.c_in,
        plan.c_out,
        plan.stride,
        hidden=hidden_channels(plan.c_in, plan.c_out, plan.t),
        first_depthwise=whole,
        last_depthwise=whole or plan.stride > 1,
        shortcut=not _stands_alone(plan),
        share=share,
    )


def _inner(plan: BlockPlan, share: Fraction, depthwise_convolutions: int) -> nn.Module:
    """Return the block with its depthwise convolutions in the bottleneck; the last pointwise one has the stride."""
    hidden = hidden_channels(plan.c_in, plan.c_out, plan.t)
    whole = _has_all_convolutions(plan)
    layers = conv_norm_act(plan.c_in, hidden)
    if whole and depthwise_convolutions == 2:
        layers += depthwise(hidden)
    if whole or plan.stride > 1:
        layers += depthwise(hidden, activation=nn.ReLU6)
    layers += conv_norm_act(hidden, plan.c_out, 1, plan.stride, activation=nn.ReLU6)
    if _stands_alone(plan):
        return nn.Sequential(*layers)
    return add_shortcut_if_same_shape(layers, plan.c_in, plan.c_out, plan.stride, share)


_BLOCKS: dict[str, Callable[[BlockPlan, Fraction], nn.Module]] = {
    "a": partial(_inner, depthwise_convolutions=1),
    "b": partial(_inner, depthwise_convolutions=2),
    "d": _sandglass,
}
