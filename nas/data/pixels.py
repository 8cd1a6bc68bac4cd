"""Channel statistics and resizing of uint8 image sets."""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas.core.errors import InputError

_STATISTICS_CHUNK = 1024  # images at a time, to avoid a second copy of the set

Triple = tuple[float, float, float]


def channel_statistics(images: Tensor) -> tuple[Triple, Triple]:
    """Return mean and standard deviation of each channel in units of 0..1, for uint8 (N, 3, H, W) on the CPU.

    The sums are exact integers, from a histogram of each channel. A constant channel has the standard deviation 1
    instead of 0, so that normalization never divides by zero.
    """
    counts = torch.zeros(3, 256, dtype=torch.int64)
    for start in range(0, len(images), _STATISTICS_CHUNK):
        for channel in range(3):
            counts[channel] += images[start : start + _STATISTICS_CHUNK, channel].flatten().bincount(minlength=256)
    (red, red_std), (green, green_std), (blue, blue_std) = (_moments(row) for row in counts.tolist())
    return (red, green, blue), (red_std, green_std, blue_std)


def _moments(counts: list[int]) -> tuple[float, float]:
    number = sum(counts)
    total = sum(value * count for value, count in enumerate(counts))
    squares = sum(value * value * count for value, count in enumerate(counts))
    deviation = math.sqrt(number * squares - total * total) / (255 * number)
    return total / (255 * number), deviation or 1.0


def resize(images: Tensor, size: int | None) -> Tensor:
    """Resize uint8 images on the CPU to ``size`` x ``size``, bilinear and antialiased; None keeps their size.

    Uses Pillow image by image, as for image files: the bytes are the same on every CPU. Raises :class:`InputError` if
    memory does not hold the result.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    result = torch.from_numpy(allocate_images(len(images), size, size))
    for image, target in zip(images, result, strict=True):
        resized = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((size, size), Image.Resampling.BILINEAR)
        target.copy_(torch.from_numpy(np.array(resized)).permute(2, 0, 1))
    return result


def allocate_images(number: int, height: int, width: int) -> np.ndarray:
    """Allocate uint8 (number, 3, height, width); raise :class:`InputError` if memory does not suffice."""
    try:
        return np.empty((number, 3, height, width), np.uint8)
    except (MemoryError, ValueError):  # ValueError: more than the address space
        need = number * 3 * height * width / 1e9
        raise InputError(f"{number} images of {height}x{width} need {need:.0f} GB: set a smaller data.size=N") from None
