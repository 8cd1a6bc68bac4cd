"""Random crop, flip and cutout of a whole batch at once, on the device that holds it.

Every image gets its own draws. Drawing is apart from applying: ``draw`` asks the generator, ``augment`` is a pure
function. Nothing here loops over images or waits for the device.

Shapes: B images, H x W pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nas.core.errors import InputError


@dataclass(frozen=True)
class AugmentSettings:
    """What a training image goes through.

    ``pad``: zero pixels put around the image before a random crop of its own size (0: no crop).
    ``flip``: mirror left and right with probability 1/2.
    ``cutout``: side of the square that is blanked, in pixels (0: none).
    """

    pad: int = 4
    flip: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        for name, value in (("pad", self.pad), ("cutout", self.cutout)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InputError(f"data.{name}={value!r}: a whole number of pixels, 0 or more")
        if not isinstance(self.flip, bool):
            raise InputError(f"data.flip={self.flip!r}: true or false")

    def check_fits(self, height: int, width: int) -> None:
        """Raise :class:`InputError` where a crop could miss the picture, or the cutout is larger than it."""
        side = min(height, width)
        if self.pad >= side:
            raise InputError(f"data.pad={self.pad}: less than the side of the {height}x{width} images, or 0")
        if self.cutout > side:
            raise InputError(f"data.cutout={self.cutout}: at most the side of the {height}x{width} images")


@dataclass(frozen=True, eq=False)
class Draws:
    """The random choices for a batch, each of shape (B,)."""

    top: Tensor  # first row of the crop in the padded image, int64 in 0..2*pad
    left: Tensor  # first column of the crop in the padded image, int64 in 0..2*pad
    mirrored: Tensor  # bool
    center_y: Tensor  # row of the cutout's centre, int64 in 0..H-1
    center_x: Tensor  # column of the cutout's centre, int64 in 0..W-1


def draw_augmentation(
    batch: int, height: int, width: int, settings: AugmentSettings, generator: torch.Generator
) -> Draws:
    """Draw for ``batch`` images of ``height`` x ``width``, on the generator's device.

    All five are drawn whatever the settings, so that switching the cutout on leaves the crops as they were.
    """

    def below(end: int) -> Tensor:
        return torch.randint(end, (batch,), generator=generator, device=generator.device)

    top, left = below(2 * settings.pad + 1), below(2 * settings.pad + 1)
    mirrored = below(2).bool() & settings.flip
    return Draws(top, left, mirrored, below(height), below(width))


def augment(images: Tensor, draws: Draws, settings: AugmentSettings, mean: Tensor, std: Tensor) -> Tensor:
    """Crop, mirror, normalise and cut out, as the draws say.

    ``images`` uint8 (B, 3, H, W), ``mean`` and ``std`` float32 (3, 1, 1) -> float32 (B, 3, H, W), contiguous.
    The order is that of DARTS: the border is black (0 before normalising), the cutout is the mean (0 after it).
    """
    crops = crop(images, draws, settings.pad)
    values = normalize(crops, mean, std)
    return cut_out(values, draws, settings.cutout) if settings.cutout else values


def crop(images: Tensor, draws: Draws, pad: int) -> Tensor:
    """Crop each image, padded with ``pad`` zeros, to its own size at its own place, then mirror it if drawn so."""
    height, width = images.shape[-2:]
    row = torch.arange(height, device=images.device)
    column = torch.arange(width, device=images.device)
    rows = draws.top[:, None] + row  # (B, H), in the padded image
    columns = draws.left[:, None] + torch.where(draws.mirrored[:, None], width - 1 - column, column)  # (B, W)
    pixels = rows[:, :, None] * (width + 2 * pad) + columns[:, None, :]  # (B, H, W)
    padded = F.pad(images, (pad, pad, pad, pad)).flatten(2)
    return padded.gather(2, pixels.flatten(1)[:, None].expand(-1, images.shape[1], -1)).view(images.shape)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``(x / 255 - mean) / std`` in float32; ``mean`` and ``std`` float32 (3, 1, 1), in units of 0..1."""
    return images.to(torch.float32).div_(255).sub_(mean).div_(std)


def cut_out(values: Tensor, draws: Draws, side: int) -> Tensor:
    """Zero a ``side`` x ``side`` square of each image; centred on any pixel, the border clips it.

    DeVries & Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout" (arXiv 1708.04552).
    """

    def covered(centre: Tensor, length: int) -> Tensor:
        offset = torch.arange(length, device=values.device) - (centre[:, None] - side // 2)
        return (offset >= 0) & (offset < side)  # (B, length)

    rows, columns = covered(draws.center_y, values.shape[2]), covered(draws.center_x, values.shape[3])
    return values.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0)
