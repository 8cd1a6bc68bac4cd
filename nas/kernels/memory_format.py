"""Images in memory with their channels innermost (channels_last): what the CPU kernels want."""

import torch
from torch import Tensor


def to_channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) with its channels innermost and nothing between the pixels; a copy only where it is not so."""
    return x.contiguous(memory_format=torch.channels_last)


def empty_channels_last(shape: tuple[int, ...] | torch.Size, like: Tensor) -> Tensor:
    """An uninitialised (B, C, H, W) of that layout."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def with_pixel_stride(x: Tensor) -> tuple[Tensor, int]:
    """``x`` and the step from one pixel to the next in it: a slice of channels stays where it is."""
    _, channels, height, width = x.shape
    step = x.stride(3) if width > 1 else x.stride(2) if height > 1 else x.stride(0)
    wanted = (height * width * step, 1, width * step, step)
    regular = all(size == 1 or found == want for size, found, want in zip(x.shape, x.stride(), wanted, strict=True))
    return (x, step) if regular and step >= channels else (to_channels_last(x), channels)
