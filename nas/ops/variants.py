"""The block variants compared with the sandglass block (arXiv 2007.02269, Figure 4; supplement, Figure S1).

Activations that the text does not specify follow the usual rule: ReLU6 after every convolution except the last one
before the sum. The positions of the strides follow from the published multiply-adds.
"""

from torch import nn

from nas.ops.blocks import add_shortcut_if_same_shape, batchnorm, conv_norm_act, depthwise
from nas.ops.registry import register_operator


@register_operator("variant_a_3x3_t6")
def variant_a_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return (a), the classic bottleneck with a depthwise 3x3 in the middle: C -> C/6, depthwise, C/6 -> C."""
    hidden, norm = max(1, channels // 6), batchnorm(affine)
    layers = [
        *conv_norm_act(channels, hidden, norm=norm, activation=nn.ReLU6),
        *depthwise(hidden, stride, norm=norm, activation=nn.ReLU6),
        *conv_norm_act(hidden, channels, norm=norm),
    ]
    return add_shortcut_if_same_shape(layers, channels, channels, stride)


@register_operator("variant_b_3x3_t6")
def variant_b_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return (b): (a) with one more depthwise in the bottleneck and the stride in the second pointwise."""
    hidden, norm = max(1, channels // 6), batchnorm(affine)
    layers = [
        *conv_norm_act(channels, hidden, norm=norm, activation=nn.ReLU6),
        *depthwise(hidden, norm=norm, activation=nn.ReLU6),
        *depthwise(hidden, norm=norm, activation=nn.ReLU6),
        *conv_norm_act(hidden, channels, stride=stride, norm=norm),
    ]
    return add_shortcut_if_same_shape(layers, channels, channels, stride)


@register_operator("variant_c_3x3_t6")
def variant_c_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return (c), the sandglass block with its pointwise convolutions swapped: depthwise, C -> 6C, 6C -> C, depthwise.

    As there, the narrowing pointwise is linear; it has the stride.
    """
    hidden, norm = 6 * channels, batchnorm(affine)
    layers = [
        *depthwise(channels, norm=norm, activation=nn.ReLU6),
        *conv_norm_act(channels, hidden, norm=norm, activation=nn.ReLU6),
        *conv_norm_act(hidden, channels, stride=stride, norm=norm),
        *depthwise(channels, norm=norm),
    ]
    return add_shortcut_if_same_shape(layers, channels, channels, stride)
