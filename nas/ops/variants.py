"""The block variants compared with the sandglass block (arXiv 2007.02269, Figure 4; supplement, Figure S1).

Activations that the text does not specify follow the usual rule: ReLU6 after every convolution except the last one
before the sum. The positions of the strides follow from the published multiply-adds.
"""

from torch import nn

from nas.ops.blocks import depthwise, pointwise, residual_at_stride_1
from nas.ops.registry import register_operator


@register_operator("variant_a_3x3_t6")
def variant_a_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return (a), the classic bottleneck with a depthwise 3x3 in the middle: C -> C/6, depthwise, C/6 -> C."""
    hidden = max(1, channels // 6)
    layers = [
        *pointwise(channels, hidden, affine),
        nn.ReLU6(),
        *depthwise(hidden, stride, affine),
        nn.ReLU6(),
        *pointwise(hidden, channels, affine),
    ]
    return residual_at_stride_1(layers, channels, stride)


@register_operator("variant_b_3x3_t6")
def variant_b_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return (b): (a) with one more depthwise in the bottleneck and the stride in the second pointwise."""
    hidden = max(1, channels // 6)
    layers = [
        *pointwise(channels, hidden, affine),
        nn.ReLU6(),
        *depthwise(hidden, 1, affine),
        nn.ReLU6(),
        *depthwise(hidden, 1, affine),
        nn.ReLU6(),
        *pointwise(hidden, channels, affine, stride),
    ]
    return residual_at_stride_1(layers, channels, stride)


@register_operator("variant_c_3x3_t6")
def variant_c_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return (c), the sandglass block with its pointwise convolutions swapped: depthwise, C -> 6C, 6C -> C, depthwise.

    As there, the narrowing pointwise is linear; it has the stride.
    """
    hidden = 6 * channels
    layers = [
        *depthwise(channels, 1, affine),
        nn.ReLU6(),
        *pointwise(channels, hidden, affine),
        nn.ReLU6(),
        *pointwise(hidden, channels, affine, stride),
        *depthwise(channels, 1, affine),
    ]
    return residual_at_stride_1(layers, channels, stride)
