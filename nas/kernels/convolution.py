"""Depthwise and pointwise convolutions on a CPU: torch's forward pass, and gradients that are faster than torch's own.

The gradient by the input of a convolution is a convolution itself, with the kernel rotated by 180 degrees; torch runs
that much faster than its own gradient if the kernel is dilated or the channels are many. The gradient by a depthwise
weight is computed by ``depthwise_and_pool.cpp``. Only the gradients that are needed are computed, and only what they
need is saved.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.kernels.first_order import first_derivative_only
from nas.kernels.memory_format import empty_channels_last, to_channels_last
from nas.kernels.native import WindowSizes, call_kernel, check_tensor, is_plain, supported

DEPTHWISE_KERNELS = (3, 5, 7)  # those that csrc has gradients for


def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Return ``layer(x)``, (B, C_in, H, W) -> (B, C_out, H', W')."""
    if type(layer) is nn.Conv2d and layer.bias is None and _has_fast_gradients(x, layer.weight):
        shape = layer.weight.shape
        if is_pointwise(layer) and shape[1:] == (x.shape[1], 1, 1):
            return _Pointwise.apply(x, layer.weight)  # type: ignore[no-any-return]
        if is_depthwise(layer) and shape == (x.shape[1], 1, *layer.kernel_size) and shape[0] == layer.groups:
            return _Depthwise.apply(x, layer.weight, layer.stride[0], layer.dilation[0])  # type: ignore[no-any-return]
    return layer(x)  # type: ignore[no-any-return]


def split_pixels(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return every second pixel from the first one on, and from the second one on in both directions, zero-padded.

    (B, C, H, W) -> twice (B, C, ceil(H/2), ceil(W/2)): what the two 1x1 convolutions of a factorized reduction read.
    """
    height, width = x.shape[2:]
    odd = F.pad(x[:, :, 1::2, 1::2], (0, width % 2, 0, height % 2))
    return to_channels_last(x[:, :, ::2, ::2]), to_channels_last(odd)


def pointwise_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve (B, C_in, H, W) with (C_out, C_in, 1, 1)."""
    if _has_fast_gradients(x, weight) and weight.shape[1:] == (x.shape[1], 1, 1):
        return _Pointwise.apply(x, weight)  # type: ignore[no-any-return]
    return F.conv2d(x, weight)


def factorized_pointwise(halves: tuple[Tensor, Tensor], weights: Iterable[Tensor]) -> Tensor:
    """Convolve each output of :func:`split_pixels` with its weight (C_out, C_in, 1, 1) and concatenate the channels."""
    return torch.cat([pointwise_conv(x, weight) for x, weight in zip(halves, weights, strict=True)], dim=1)


def _has_fast_gradients(x: Tensor, weight: Tensor) -> bool:
    """Return whether the functions below apply: on a CPU, without an autocast that changes a convolution's dtype."""
    if x.ndim != 4 or weight.ndim != 4 or x.dtype is not weight.dtype or not is_plain(x, weight):
        return False
    return not torch.is_autocast_enabled("cpu")


def is_pointwise(layer: nn.Conv2d) -> bool:
    """Return whether the layer is 1x1 over all channels at stride 1."""
    return layer.kernel_size == (1, 1) and layer.groups == 1 and layer.stride == (1, 1) and layer.padding == (0, 0)


def is_depthwise(layer: nn.Conv2d) -> bool:
    """Return whether the layer has one odd, square kernel per channel, padded so that stride 1 keeps the resolution."""
    (kernel, across), (stride, stride_across), (dilation, _) = layer.kernel_size, layer.stride, layer.dilation
    half = dilation * (kernel // 2)
    square = kernel == across and stride == stride_across and layer.dilation == (dilation, dilation)
    same = kernel % 2 == 1 and layer.padding == (half, half) and layer.padding_mode == "zeros"
    return square and same and layer.groups == layer.in_channels == layer.out_channels > 1


def depthwise_conv(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Convolve (B, C, H, W) with (C, 1, k, k), k odd, padded by ``dilation * (k // 2)``."""
    return F.conv2d(x, weight, None, stride, dilation * (weight.shape[2] // 2), dilation, len(weight))


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return F.conv2d(x, weight)

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_output = to_channels_last(grad_output)
        grad_x = F.conv2d(grad_output, weight.transpose(0, 1)) if ctx.needs_input_grad[0] else None
        return grad_x, _grad_weight(x, weight, grad_output, 1, 1, 1) if ctx.needs_input_grad[1] else None


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        ctx.stride, ctx.dilation, ctx.shape = stride, dilation, x.shape
        return depthwise_conv(x, weight, stride, dilation)

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_output = to_channels_last(grad_output)
        grad_weight = grad_x = None
        if ctx.needs_input_grad[1]:
            grad_weight = _grad_depthwise_weight(x, weight, grad_output, ctx.stride, ctx.dilation)
        if ctx.needs_input_grad[0]:
            spread = _spread(grad_output, ctx.shape, ctx.stride)
            grad_x = depthwise_conv(spread, weight.flip(2, 3), 1, ctx.dilation)
        return grad_x, grad_weight, None, None


def _spread(grad_output: Tensor, shape: torch.Size, stride: int) -> Tensor:
    """Return the gradient at the pixels that a strided convolution read, with zeros between them."""
    if stride == 1:
        return grad_output
    spread = empty_channels_last(shape, grad_output).zero_()
    spread[:, :, ::stride, ::stride] = grad_output
    return spread


def _grad_depthwise_weight(x: Tensor, weight: Tensor, grad_output: Tensor, stride: int, dilation: int) -> Tensor:
    channels, _, kernel, _ = weight.shape
    if kernel not in DEPTHWISE_KERNELS or not supported(x, grad_output):
        return _grad_weight(x, weight, grad_output, stride, dilation, channels)
    batch, _, height, width = x.shape
    outer = ((height - 1) // stride + 1, (width - 1) // stride + 1)
    check_tensor("x", x, (batch, channels, height, width), x.dtype)
    check_tensor("grad_output", grad_output, (batch, channels, *outer), x.dtype)
    sizes = (batch, channels, height, width, *outer, kernel, stride, dilation * (kernel // 2), dilation)
    grad_weight = torch.empty(kernel, kernel, channels, dtype=torch.float64)
    arguments = to_channels_last(x), grad_output, WindowSizes(*sizes), grad_weight
    call_kernel("depthwise_weight", x.dtype, *arguments)
    return grad_weight.permute(2, 0, 1).unsqueeze(1).to(weight.dtype, memory_format=torch.contiguous_format)


def _grad_weight(x: Tensor, weight: Tensor, grad_output: Tensor, stride: int, dilation: int, groups: int) -> Tensor:
    padding = dilation * (weight.shape[2] // 2)
    sizes = ([stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], groups)
    _, grad_weight, _ = torch.ops.aten.convolution_backward(grad_output, x, weight, None, *sizes, [False, True, False])
    return grad_weight  # type: ignore[no-any-return]
