"""Depthwise and pointwise convolutions on a CPU: torch's forward pass, and gradients that are faster than torch's own.

The gradient by the input of a convolution is a convolution itself, with the kernel turned round; torch runs that much
faster than its own gradient where the kernel is dilated or the channels are many. The gradient by a depthwise weight
is computed by ``depthwise_and_pool.cpp``. Only the gradients that are asked for are computed, and only what they need
is kept.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas.kernels import memory_format
from nas.kernels.build import Window, call_kernel, supported

DEPTHWISE_KERNELS = (3, 5, 7)  # of the depthwise weight gradients in *.cpp


def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """``layer(x)``, (B, C_in, H, W) -> (B, C_out, H', W')."""
    if layer.bias is None and _is_ours(x, layer.weight):
        if is_pointwise(layer):
            return _Pointwise.apply(x, layer.weight)  # type: ignore[no-any-return]
        if is_depthwise(layer):
            return _Depthwise.apply(x, layer.weight, layer.stride[0], layer.dilation[0])  # type: ignore[no-any-return]
    return layer(x)  # type: ignore[no-any-return]


def split_pixels(x: Tensor) -> tuple[Tensor, Tensor]:
    """Every second pixel from the first one on, and from the second one on in both directions, zeros at the end.

    (B, C, H, W) -> twice (B, C, ceil(H/2), ceil(W/2)): what 1x1 convolutions at stride 2 look at.
    """
    height, width = x.shape[2:]
    odd = F.pad(x[:, :, 1::2, 1::2], (0, width % 2, 0, height % 2))
    return memory_format.to_channels_last(x[:, :, ::2, ::2]), memory_format.to_channels_last(odd)


def pointwise_conv(x: Tensor, weight: Tensor) -> Tensor:
    """(B, C_in, H, W) by (C_out, C_in, 1, 1)."""
    if _is_ours(x, weight):
        return _Pointwise.apply(x, weight)  # type: ignore[no-any-return]
    return F.conv2d(x, weight)


def factorized_pointwise(halves: tuple[Tensor, Tensor], weights: Iterable[Tensor]) -> Tensor:
    """The two that :func:`split_pixels` gives, each by its weight (C_out, C_in, 1, 1), concatenated by channels."""
    return torch.cat([pointwise_conv(x, weight) for x, weight in zip(halves, weights, strict=True)], dim=1)


def _is_ours(x: Tensor, weight: Tensor) -> bool:
    """Whether the gradients are ours: on a CPU, where autocast does not change a convolution's number format."""
    return x.device.type == "cpu" and x.dtype is weight.dtype and not torch.is_autocast_enabled("cpu")


def is_pointwise(layer: nn.Conv2d) -> bool:
    """Whether the layer is 1x1 over all channels at stride 1."""
    return layer.kernel_size == (1, 1) and layer.groups == 1 and layer.stride == (1, 1) and layer.padding == (0, 0)


def is_depthwise(layer: nn.Conv2d) -> bool:
    """Whether the layer has one odd, square kernel per channel, padded so that stride 1 keeps the resolution."""
    (kernel, across), (stride, stride_across), (dilation, _) = layer.kernel_size, layer.stride, layer.dilation
    half = dilation * (kernel // 2)
    square = kernel == across and stride == stride_across and layer.dilation == (dilation, dilation)
    same = kernel % 2 == 1 and layer.padding == (half, half) and layer.padding_mode == "zeros"
    return square and same and layer.groups == layer.in_channels == layer.out_channels > 1


def depthwise_conv(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """(B, C, H, W) by (C, 1, k, k), k odd, padded by ``dilation * (k // 2)``."""
    return F.conv2d(x, weight, None, stride, dilation * (weight.shape[2] // 2), dilation, len(weight))


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return F.conv2d(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        gradient = memory_format.to_channels_last(gradient)
        by_x = F.conv2d(gradient, weight.transpose(0, 1)) if ctx.needs_input_grad[0] else None
        by_weight = _by_weight(x, weight, gradient, 1, 1, 1) if ctx.needs_input_grad[1] else None
        return by_x, by_weight


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        ctx.stride, ctx.dilation, ctx.shape = stride, dilation, x.shape
        return depthwise_conv(x, weight, stride, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = memory_format.to_channels_last(gradient)
        by_weight = by_x = None
        if ctx.needs_input_grad[1]:
            by_weight = _by_depthwise_weight(x, weight, gradient, ctx.stride, ctx.dilation)
        if ctx.needs_input_grad[0]:
            by_x = depthwise_conv(_spread(gradient, ctx.shape, ctx.stride), weight.flip(2, 3), 1, ctx.dilation)
        return by_x, by_weight, None, None


def _spread(gradient: Tensor, shape: torch.Size, stride: int) -> Tensor:
    """The gradient at the pixels that a strided convolution looked at, zeros between them."""
    if stride == 1:
        return gradient
    spread = memory_format.empty_channels_last(shape, gradient).zero_()
    spread[:, :, ::stride, ::stride] = gradient
    return spread


def _by_depthwise_weight(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int) -> Tensor:
    channels, _, kernel, _ = weight.shape
    if kernel not in DEPTHWISE_KERNELS or not supported(x, gradient):
        return _by_weight(x, weight, gradient, stride, dilation, channels)
    x = memory_format.to_channels_last(x)
    batch, _, height, width = x.shape
    sizes = (batch, channels, height, width, *gradient.shape[2:], kernel, stride, dilation * (kernel // 2), dilation)
    found = torch.empty(kernel, kernel, channels, dtype=torch.float64)
    call_kernel("depthwise_weight", x.dtype, x, gradient, Window(*sizes), found)
    return found.permute(2, 0, 1).unsqueeze(1).to(weight.dtype, memory_format=torch.contiguous_format)


def _by_weight(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int, groups: int) -> Tensor:
    padding = dilation * (weight.shape[2] // 2)
    sizes = ([stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], groups)
    _, found, _ = torch.ops.aten.convolution_backward(gradient, x, weight, None, *sizes, [False, True, False])
    return found  # type: ignore[no-any-return]
