"""Images in memory with their channels innermost (channels_last), as the CPU kernels read them."""

import torch
from torch import Tensor


def to_channels_last(x: Tensor) -> Tensor:
    """Return (B, C, H, W) in channels_last without gaps; a copy only if it is not so already."""
    if x.is_neg() or x._is_zerotensor():
        x = x.clone()  # its values are not in its memory
    return x.contiguous(memory_format=torch.channels_last)


def empty_channels_last(shape: tuple[int, ...] | torch.Size, like: Tensor) -> Tensor:
    """Return an uninitialized (B, C, H, W) in channels_last."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def with_pixel_stride(x: Tensor) -> tuple[Tensor, int]:
    """Return ``x`` in channels_last and the stride between its pixels; a slice of channels is not copied."""
    _, channels, height, width = x.shape
    step = x.stride(3) if width > 1 else x.stride(2) if height > 1 else x.stride(0)
    wanted = (height * width * step, 1, width * step, step)
    regular = all(size == 1 or stride == want for size, stride, want in zip(x.shape, x.stride(), wanted, strict=True))
    if regular and step >= channels and not x.is_neg():
        return x, step
    return to_channels_last(x), channels
