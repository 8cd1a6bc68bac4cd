"""3x3 and other square pools on a CPU, several times faster there than torch's in channels_last."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas.kernels import memory_format
from nas.kernels.build import Window, call_kernel, supported


def pool(layer: nn.MaxPool2d | nn.AvgPool2d, x: Tensor) -> Tensor:
    """``layer(x)``, (B, C, H, W) -> (B, C, H', W')."""
    sizes = _sizes(layer)
    if sizes is not None and supported(x):
        function = _MaxPool if isinstance(layer, nn.MaxPool2d) else _AveragePool
        return function.apply(x, *sizes)  # type: ignore[no-any-return]
    return layer(x)  # type: ignore[no-any-return]


def _sizes(layer: nn.MaxPool2d | nn.AvgPool2d) -> tuple[int, int, int] | None:
    """Kernel, stride and padding of a pool of the usual kind: square, odd, padded by half of its kernel."""
    kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    if not (isinstance(kernel, int) and isinstance(stride, int) and padding == kernel // 2 and kernel % 2):
        return None
    if layer.ceil_mode:
        return None
    if isinstance(layer, nn.MaxPool2d):
        return (kernel, stride, padding) if layer.dilation == 1 and not layer.return_indices and kernel < 16 else None
    return (kernel, stride, padding) if not layer.count_include_pad and layer.divisor_override is None else None


def _begin(ctx: Any, x: Tensor, kernel: int, stride: int, padding: int) -> tuple[Tensor, Tensor]:
    """``x`` as the kernels want it, and room for the pool's output; ``ctx`` gets the sizes that the gradient needs."""
    batch, channels, height, width = x.shape
    outer = [(size + 2 * padding - kernel) // stride + 1 for size in (height, width)]
    ctx.window, ctx.shape = Window(batch, channels, height, width, *outer, kernel, stride, padding, 1), x.shape
    return memory_format.to_channels_last(x), memory_format.empty_channels_last((batch, channels, *outer), x)


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
        x, out = _begin(ctx, x, kernel, stride, padding)
        place = torch.empty(out.numel(), dtype=torch.uint8)
        call_kernel("max_pool_forward", x.dtype, x, ctx.window, out, place)
        ctx.save_for_backward(place)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (place,) = ctx.saved_tensors
        gradient = memory_format.to_channels_last(gradient)
        by_x = memory_format.empty_channels_last(ctx.shape, gradient)
        call_kernel("max_pool_backward", gradient.dtype, gradient, place, ctx.window, by_x)
        return by_x, None, None, None


class _AveragePool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
        x, out = _begin(ctx, x, kernel, stride, padding)
        call_kernel("average_pool_forward", x.dtype, x, ctx.window, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        gradient = memory_format.to_channels_last(gradient)
        by_x = memory_format.empty_channels_last(ctx.shape, gradient)
        call_kernel("average_pool_backward", gradient.dtype, gradient, ctx.window, torch.empty_like(gradient), by_x)
        return by_x, None, None, None
