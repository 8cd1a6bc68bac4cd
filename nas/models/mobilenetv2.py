"""MobileNetV2 (arXiv 1801.04381, Table 2), and two networks on its table from arXiv 2007.02269 (MobileNeXt)."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from nas.core.validation import require
from nas.models.image_network import BlockPlan, ImageNetwork, Stage, make_divisible, plan_blocks
from nas.ops.blocks import add_shortcut_if_same_shape, conv_norm_act, depthwise, inverted_residual_block

_STAGES = (
    Stage(t=1, c=16, n=1, s=1),
    Stage(t=6, c=24, n=2, s=2),
    Stage(t=6, c=32, n=3, s=2),
    Stage(t=6, c=64, n=4, s=2),
    Stage(t=6, c=96, n=3, s=1),
    Stage(t=6, c=160, n=3, s=2),
    Stage(t=6, c=320, n=1, s=1),
)
RELU6_AFTER = ("both", "first", "second")

_MakeBlock = Callable[[BlockPlan], nn.Module]


def mobilenetv2(width: float = 1.0, in_chans: int = 3, **head: Any) -> ImageNetwork:
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


def mobilenext_variant_c(width: float = 1.0, in_chans: int = 3, **head: Any) -> ImageNetwork:
    """Return variant c of Figure 4: wide in the middle, as MobileNetV2, with depthwise convolutions at the thin ends.

    Raises :class:`InputError` for values out of range.
    """
    return _network(_variant_c, width, in_chans, head)


def _network(make: _MakeBlock, width: float, in_chans: int, head: dict[str, Any]) -> ImageNetwork:
    require("width", width, 0 < width <= 10, "must be above 0 and at most 10")
    first, last = make_divisible(32 * width), make_divisible(1280 * max(1.0, width))
    plans = plan_blocks([stage._replace(c=make_divisible(stage.c * width)) for stage in _STAGES], first)
    stem = nn.Sequential(*conv_norm_act(in_chans, first, 3, 2, activation=nn.ReLU6))
    end = BlockPlan(plans[-1].c_out, last)
    blocks = [*map(make, plans), nn.Sequential(*conv_norm_act(end.c_in, last, activation=nn.ReLU6))]
    return ImageNetwork(stem, [*plans, end], blocks, **head)


def _inverted_residual(plan: BlockPlan) -> nn.Module:
    return inverted_residual_block(plan.c_in, plan.c_out, plan.stride, hidden=plan.t * plan.c_in)


def _two_depthwise(plan: BlockPlan, relu6_after: str) -> nn.Module:
    hidden = plan.t * plan.c_in
    first, second = (nn.ReLU6 if relu6_after in ("both", place) else None for place in ("first", "second"))
    layers = conv_norm_act(plan.c_in, hidden, activation=nn.ReLU6) if plan.t > 1 else []
    layers += depthwise(hidden, activation=first) + depthwise(hidden, plan.stride, activation=second)
    layers += conv_norm_act(hidden, plan.c_out)
    return add_shortcut_if_same_shape(layers, plan.c_in, plan.c_out, plan.stride)


def _variant_c(plan: BlockPlan) -> nn.Module:
    c_in, c_out, hidden = plan.c_in, plan.c_out, plan.t * plan.c_in
    if plan.t == 1:
        layers = depthwise(c_in) + depthwise(c_in, plan.stride, activation=nn.ReLU6) + conv_norm_act(c_in, c_out)
        return nn.Sequential(*layers)
    layers = depthwise(c_in, activation=nn.ReLU6) + conv_norm_act(c_in, hidden, activation=nn.ReLU6)
    layers += conv_norm_act(hidden, c_out, 1, plan.stride) + depthwise(c_out, activation=nn.ReLU6)
    return add_shortcut_if_same_shape(layers, c_in, c_out, plan.stride)
