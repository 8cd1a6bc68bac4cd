"""Regular convolutions: ReLU, convolution, BatchNorm."""

from torch import nn

from nas.ops.registry import register_operator


def relu_conv_bn(c_in: int, c_out: int, kernel: int, stride: int, affine: bool) -> nn.Sequential:
    """Return ReLU, kxk convolution and BatchNorm."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(c_out, affine=affine))


@register_operator("nor_conv_1x1")  # its name in NAS-Bench-201 (arXiv 2001.00326)
@register_operator("conv_1x1")
def conv_1x1(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return a regular 1x1 convolution."""
    return relu_conv_bn(channels, channels, 1, stride, affine)


@register_operator("nor_conv_3x3")
@register_operator("conv_3x3")
def conv_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return a regular 3x3 convolution."""
    return relu_conv_bn(channels, channels, 3, stride, affine)


@register_operator("conv_7x1_1x7")
def conv_7x1_1x7(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return a 1x7 and a 7x1 convolution, each strided along its own axis (DARTS, released code)."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False),
        nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )
