"""The sandglass block (MobileNeXt, arXiv 2007.02269, §3.2): narrow inside, wide at the shortcut."""

from fractions import Fraction

from torch import nn

from nas.ops.blocks import batchnorm, sandglass_block
from nas.ops.registry import register_operator, register_operator_family


def sandglass(
    channels: int,
    stride: int,
    affine: bool,
    reduction: int = 6,
    identity_share: Fraction = Fraction(1),
    first_depthwise_at_stride_2: bool = False,
) -> nn.Module:
    """Return depthwise, ReLU6; C -> h pointwise, linear; h -> C pointwise, ReLU6; depthwise, linear; identity.

    ``h = max(1, C // reduction)``; the last depthwise convolution has the stride. Stride 2 omits the identity and,
    unless ``first_depthwise_at_stride_2``, the first depthwise convolution (§3.2, "Block structure").
    ``identity_share`` is the identity tensor multiplier alpha of eq. 4. The block does not start with a ReLU.
    """
    return sandglass_block(
        channels,
        channels,
        stride,
        hidden=max(1, channels // reduction),
        norm=batchnorm(affine),
        first_depthwise=stride == 1 or first_depthwise_at_stride_2,
        share=identity_share,
    )


@register_operator("sandglass_3x3_t6")
def sandglass_3x3_t6(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return the sandglass block of the paper: reduction 6, full identity."""
    return sandglass(channels, stride, affine)


@register_operator_family(
    "sandglass_3x3_t{t}[_share{p}of{q}][_dw2]",
    r"sandglass_3x3_t(?P<t>[1-9]\d?)(?P<share>_share0|_share1of[2-9]|_share2of[3579]|_share3of[4578])?(?P<dw2>_dw2)?",
)
def sandglass_3x3(channels: int, stride: int, affine: bool, t: str, share: str | None, dw2: str | None) -> nn.Module:
    """Return the block of reduction t; ``_share1of2``: half of the identity; ``_dw2``: both depthwise at stride 2."""
    fraction = Fraction(share.removeprefix("_share").replace("of", "/")) if share else Fraction(1)
    return sandglass(channels, stride, affine, int(t), fraction, first_depthwise_at_stride_2=dw2 is not None)
