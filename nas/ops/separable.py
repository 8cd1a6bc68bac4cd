"""Depthwise separable convolutions, dilated or applied twice (DARTS, arXiv 1806.09055, §3.1)."""

from torch import nn

from nas.ops.registry import register_operator


def _separable(channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    """Return ReLU, depthwise kxk, pointwise, BatchNorm."""
    padding = dilation * (kernel // 2)
    depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation=dilation, groups=channels, bias=False)
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    return [nn.ReLU(), depthwise, pointwise, nn.BatchNorm2d(channels, affine=affine)]


def _sep_conv(channels: int, kernel: int, stride: int, affine: bool) -> nn.Module:
    """Return two separable convolutions; the first has the stride."""
    first = _separable(channels, kernel, stride, 1, affine)
    return nn.Sequential(*first, *_separable(channels, kernel, 1, 1, affine))


@register_operator("sep_conv_3x3")
def sep_conv_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return two separable 3x3 convolutions."""
    return _sep_conv(channels, 3, stride, affine)


@register_operator("sep_conv_5x5")
def sep_conv_5x5(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return two separable 5x5 convolutions."""
    return _sep_conv(channels, 5, stride, affine)


@register_operator("sep_conv_7x7")
def sep_conv_7x7(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return two separable 7x7 convolutions."""
    return _sep_conv(channels, 7, stride, affine)


@register_operator("dil_conv_3x3")
def dil_conv_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return a separable 3x3 convolution of dilation 2."""
    return nn.Sequential(*_separable(channels, 3, stride, 2, affine))


@register_operator("dil_conv_5x5")
def dil_conv_5x5(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return a separable 5x5 convolution of dilation 2."""
    return nn.Sequential(*_separable(channels, 5, stride, 2, affine))
