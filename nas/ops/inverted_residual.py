"""The inverted residual block (MobileNetV2, arXiv 1801.04381, §3.3): wide inside, shortcut between narrow ends."""

from torch import nn

from nas.ops.blocks import depthwise, pointwise, residual_at_stride_1
from nas.ops.registry import register_operator, register_operator_family


def inverted_residual(channels: int, stride: int, affine: bool, expansion: int = 6) -> nn.Module:
    """Return C -> tC pointwise, ReLU6; depthwise 3x3, ReLU6; tC -> C pointwise, linear; identity at stride 1.

    At t = 1 the first pointwise convolution is omitted.
    """
    hidden = expansion * channels
    expand = [*pointwise(channels, hidden, affine), nn.ReLU6()] if expansion > 1 else []
    layers = [*expand, *depthwise(hidden, stride, affine), nn.ReLU6(), *pointwise(hidden, channels, affine)]
    return residual_at_stride_1(layers, channels, stride)


@register_operator("ir_3x3_t6")
def ir_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return the inverted residual block of expansion 6."""
    return inverted_residual(channels, stride, affine)


@register_operator_family("ir_3x3_t{t}", r"ir_3x3_t(?P<t>[1-9]\d?)")
def ir_3x3(channels: int, stride: int, affine: bool, t: str) -> nn.Module:
    """Return the inverted residual block of expansion t."""
    return inverted_residual(channels, stride, affine, int(t))
