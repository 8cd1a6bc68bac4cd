"""The inverted residual block (MobileNetV2, arXiv 1801.04381, §3.3): wide inside, shortcut between narrow ends."""

from torch import nn

from nas.ops.blocks import batchnorm, inverted_residual_block
from nas.ops.registry import register_operator, register_operator_family


def inverted_residual(channels: int, stride: int, affine: bool, expansion: int = 6) -> nn.Module:
    """Return C -> tC pointwise, ReLU6; depthwise 3x3, ReLU6; tC -> C pointwise, linear; identity at stride 1.

    At t = 1 the first pointwise convolution is omitted.
    """
    return inverted_residual_block(channels, channels, stride, hidden=expansion * channels, norm=batchnorm(affine))


@register_operator("ir_3x3_t6")
def ir_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return the inverted residual block of expansion 6."""
    return inverted_residual(channels, stride, affine)


@register_operator_family("ir_3x3_t{t}", r"ir_3x3_t(?P<t>[1-9]\d?)")
def ir_3x3(channels: int, stride: int, affine: bool, t: str) -> nn.Module:
    """Return the inverted residual block of expansion t."""
    return inverted_residual(channels, stride, affine, int(t))
