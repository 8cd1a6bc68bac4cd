"""Batched random crop, horizontal flip and cutout on the device that holds the images.

Each image has its own random parameters. :func:`draw_augmentation` samples them, :func:`augment` is a pure function
of them. Neither loops over images nor synchronizes with the device.

Shapes: B images, C channels, H x W pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nas.core.errors import InputError


@dataclass(frozen=True)
class AugmentSettings:
    """Augmentation of the training images.

    ``pad``: padding in pixels before a random crop back to the original size (0: no crop).
    ``flip``: flip horizontally with probability 1/2.
    ``cutout``: side of the erased square in pixels (0: none).
    """

    pad: int = 4
    flip: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        for name, value in (("pad", self.pad), ("cutout", self.cutout)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InputError(f"data.{name}={value!r}: must be a whole number of pixels, 0 or more")
        if not isinstance(self.flip, bool):
            raise InputError(f"data.flip={self.flip!r}: must be true or false")

    def check_fits(self, height: int, width: int) -> None:
        """Raise :class:`InputError` if a crop could lie entirely in the padding or the cutout exceeds the image."""
        side = min(height, width)
        if self.pad >= side:
            raise InputError(f"data.pad={self.pad}: must be less than the side of the {height}x{width} images, or 0")
        if self.cutout > side:
            raise InputError(f"data.cutout={self.cutout}: must be at most the side of the {height}x{width} images")


@dataclass(frozen=True, eq=False)
class Draws:
    """The random parameters of a batch, each of shape (B,)."""

    top: Tensor  # first row of the crop in the padded image, int64 in 0..2*pad
    left: Tensor  # first column of the crop in the padded image, int64 in 0..2*pad
    flipped: Tensor  # bool
    center_y: Tensor  # row of the cutout's center, int64 in 0..H-1
    center_x: Tensor  # column of the cutout's center, int64 in 0..W-1


def draw_augmentation(
    batch: int, height: int, width: int, settings: AugmentSettings, generator: torch.Generator
) -> Draws:
    """Sample the parameters for ``batch`` images of ``height`` x ``width`` on the generator's device.

    All five are sampled whatever the settings, so that enabling the cutout does not change the crops.
    """

    def uniform(end: int) -> Tensor:
        return torch.randint(end, (batch,), generator=generator, device=generator.device)

    top, left = uniform(2 * settings.pad + 1), uniform(2 * settings.pad + 1)
    flipped = uniform(2).bool() & settings.flip
    return Draws(top, left, flipped, uniform(height), uniform(width))


def augment(images: Tensor, draws: Draws, settings: AugmentSettings, mean: Tensor, std: Tensor) -> Tensor:
    """Crop, flip, normalize and cut out with the given parameters.

    ``images`` uint8 or float32 (B, C, H, W), ``mean`` and ``std`` float32 (C, 1, 1) -> float32 (B, C, H, W),
    contiguous. For uint8 the order is that of DARTS: padding is black (0 before normalization), the cutout is the mean
    (0 after it). The range of float images is not known, so their padding is the mean, too.
    """
    if images.dtype == torch.uint8:
        values = normalize(crop(images, draws, settings.pad), mean, std)
    else:
        values = crop(normalize(images, mean, std), draws, settings.pad)
    return cut_out(values, draws, settings.cutout) if settings.cutout else values


def crop(images: Tensor, draws: Draws, pad: int) -> Tensor:
    """Pad each image with ``pad`` zeros, crop it back to its size at its sampled offset, then flip it if sampled so."""
    height, width = images.shape[-2:]
    row = torch.arange(height, device=images.device)
    column = torch.arange(width, device=images.device)
    rows = draws.top[:, None] + row  # (B, H), in the padded image
    columns = draws.left[:, None] + torch.where(draws.flipped[:, None], width - 1 - column, column)  # (B, W)
    pixels = rows[:, :, None] * (width + 2 * pad) + columns[:, None, :]  # (B, H, W)
    padded = F.pad(images, (pad, pad, pad, pad)).flatten(2)
    return padded.gather(2, pixels.flatten(1)[:, None].expand(-1, images.shape[1], -1)).view(images.shape)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return ``(x - mean) / std`` in float32 for (B, C, H, W); uint8 is first divided by 255, float is not.

    ``mean`` and ``std`` are float32 (C, 1, 1).
    """
    if images.dtype == torch.uint8:
        return images.to(torch.float32).div_(255).sub_(mean).div_(std)
    return (images - mean).div_(std)


def cut_out(values: Tensor, draws: Draws, side: int) -> Tensor:
    """Zero a ``side`` x ``side`` square of each image, centered on any pixel and clipped at the border.

    DeVries & Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout" (arXiv 1708.04552).
    """

    def covered(center: Tensor, length: int) -> Tensor:
        offset = torch.arange(length, device=values.device) - (center[:, None] - side // 2)
        return (offset >= 0) & (offset < side)  # (B, length)

    rows, columns = covered(draws.center_y, values.shape[2]), covered(draws.center_x, values.shape[3])
    return values.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0)
