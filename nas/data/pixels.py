"""Whole sets of uint8 images: their statistics, and a change of size."""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas.core.errors import InputError

STATISTICS_CHUNK = 1024  # images at a time, so that no second copy of the set is held

Triple = tuple[float, float, float]


def channel_statistics(images: Tensor) -> tuple[Triple, Triple]:
    """Mean and standard deviation of each channel in units of 0..1, for uint8 (N, 3, H, W) on the CPU.

    Exact: sums of whole numbers, from a count of each value. A constant channel gets the deviation 1, not 0, so that
    normalising never divides by zero.
    """
    counts = torch.zeros(3, 256, dtype=torch.int64)
    for start in range(0, len(images), STATISTICS_CHUNK):
        for channel in range(3):
            counts[channel] += images[start : start + STATISTICS_CHUNK, channel].flatten().bincount(minlength=256)
    (red, red_std), (green, green_std), (blue, blue_std) = (_moments(row) for row in counts.tolist())
    return (red, green, blue), (red_std, green_std, blue_std)


def _moments(counts: list[int]) -> tuple[float, float]:
    number = sum(counts)
    total = sum(value * count for value, count in enumerate(counts))
    squares = sum(value * value * count for value, count in enumerate(counts))
    deviation = math.sqrt(number * squares - total * total) / (255 * number)
    return total / (255 * number), deviation or 1.0


def resize(images: Tensor, size: int | None) -> Tensor:
    """The images as ``size`` x ``size``, bilinear and antialiased; untouched for None or when they are so already.

    Pillow, image by image, as for image files: the same bytes on every processor. Images uint8 on the CPU. Raises
    :class:`InputError` where memory does not hold them.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    result = torch.from_numpy(allocate(len(images), size, size))
    for image, target in zip(images, result, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((size, size), Image.Resampling.BILINEAR)
        target.copy_(torch.from_numpy(np.array(picture)).permute(2, 0, 1))
    return result


def allocate(number: int, height: int, width: int) -> np.ndarray:
    """Memory for uint8 (number, 3, height, width); raises :class:`InputError` where there is not that much."""
    try:
        return np.empty((number, 3, height, width), np.uint8)
    except (MemoryError, ValueError):  # ValueError: more than an address can say
        need = number * 3 * height * width / 1e9
        raise InputError(f"{number} images of {height}x{width} need {need:.0f} GB: give a smaller data.size") from None
