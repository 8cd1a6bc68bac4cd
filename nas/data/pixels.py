"""Channel statistics and resizing of image sets."""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas.core.errors import InputError

_STATISTICS_CHUNK = 1024  # images at a time, to avoid a second copy of the set
_BYTE = np.dtype(np.uint8)

ByChannel = tuple[float, ...]  # a number for each channel of an image


def channel_statistics(images: Tensor) -> tuple[ByChannel, ByChannel]:
    """Return mean and standard deviation of each channel, for uint8 or float32 (N, C, H, W) on the CPU.

    For uint8 they are in units of 0..1 and exact, from a histogram of each channel; for float32 they are in the units
    of the images. A constant channel has the standard deviation 1 instead of 0, so that normalization never divides by
    zero.
    """
    if images.dtype == torch.uint8:
        moments = [_byte_moments(images[:, channel]) for channel in range(images.shape[1])]
    else:
        moments = [_float_moments(images[:, channel]) for channel in range(images.shape[1])]
    return tuple(mean for mean, _ in moments), tuple(std for _, std in moments)


def _byte_moments(channel: Tensor) -> tuple[float, float]:
    parts = torch.split(channel, _STATISTICS_CHUNK)
    counts = torch.stack([part.flatten().bincount(minlength=256) for part in parts]).sum(0).tolist()
    number = sum(counts)
    total = sum(value * count for value, count in enumerate(counts))
    squares = sum(value * value * count for value, count in enumerate(counts))
    deviation = math.sqrt(number * squares - total * total) / (255 * number)
    return total / (255 * number), deviation or 1.0


def _float_moments(channel: Tensor) -> tuple[float, float]:
    """Return both in float64, from the distances to the first pixel, which are exactly 0 in a constant channel."""
    first, number = channel.flatten()[0].double(), channel.numel()
    parts = torch.split(channel, _STATISTICS_CHUNK)
    offset = torch.stack([(part.double() - first).sum() for part in parts]).sum() / number
    squares = torch.stack([(part.double() - first - offset).square().sum() for part in parts]).sum()
    return (first + offset).item(), math.sqrt(squares.item() / number) or 1.0


def resize(images: Tensor, size: int | None) -> Tensor:
    """Resize images (N, C, H, W), uint8 or float32, on the CPU to ``size`` x ``size``, bilinear and antialiased.

    None keeps their size.

    Uses Pillow image by image, as for image files: the bytes are the same on every CPU. Raises :class:`InputError` if
    memory does not hold the result.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    channels = images.shape[1]
    result = torch.from_numpy(allocate_images(len(images), size, size, channels, images.numpy().dtype))
    for image, target in zip(images, result, strict=True):
        for plane, resized in zip(image, target, strict=True):
            small = Image.fromarray(plane.numpy()).resize((size, size), Image.Resampling.BILINEAR)
            resized.copy_(torch.from_numpy(np.array(small)))
    return result


def allocate_images(number: int, height: int, width: int, channels: int = 3, dtype: np.dtype = _BYTE) -> np.ndarray:
    """Allocate ``dtype`` (number, channels, height, width); raise :class:`InputError` if memory does not suffice."""
    try:
        return np.empty((number, channels, height, width), dtype)
    except (MemoryError, ValueError):  # ValueError: more than the address space
        need = number * channels * height * width * dtype.itemsize / 1e9
        raise InputError(f"{number} images of {height}x{width} need {need:.0f} GB: set a smaller data.size=N") from None
