"""How an image file becomes the pixels that a network sees, before they are normalized."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.data.crops import center_crop
from nas.data.decode import bounded_decoding, decode_rgb
from nas.data.pixel_values import ValueRange
from nas.data.settings import DataSettings

WHOLE, SQUARE, CENTER = "whole", "square", "center"
_WORDS = {WHOLE: "taken as they are", SQUARE: "resized to squares (data.size)", CENTER: "cropped (data.stream=true)"}


@dataclass(frozen=True)
class Preparation:
    """What was done with the image files of a dataset.

    ``crop``: ``"whole"`` images are taken as they are, ``"square"`` ones resized whatever their aspect ratio, and of
    ``"center"`` ones, which are streamed, the center is cut out. ``levels``: see
    :func:`nas.data.pixel_values.to_rgb`.
    """

    crop: str = WHOLE
    levels: ValueRange | None = None

    def __str__(self) -> str:
        """Return how images are prepared, for messages."""
        levels = "" if self.levels is None else f", with data.range={format_value(list(self.levels))}"
        return _WORDS[self.crop] + levels

    def read(self, path: Path, image_shape: tuple[int, int, int]) -> Tensor:
        """Return an image file as uint8 (C, H, W), prepared for a network of ``image_shape`` as its training's were.

        Raises :class:`InputError` naming a file that cannot be read, or that has another size where none was changed.
        """
        channels, height, width = image_shape
        if channels not in (1, 3):
            raise InputError(f"{path}: images of {channels} channels do not come from image files; allowed: arrays")
        square = height if self.crop == SQUARE else None
        with bounded_decoding():
            pixels = decode_rgb(path, square, self.levels)
            if self.crop == CENTER:
                pixels = np.asarray(center_crop(Image.fromarray(pixels), height))
        if pixels.shape[:2] != (height, width):
            given = f"{pixels.shape[0]}x{pixels.shape[1]}"
            raise InputError(f"{path}: {given}; the network was trained on {height}x{width}, images {self}")
        if channels == 1:
            pixels = np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1)

    def to_dict(self) -> dict[str, object]:
        """Return plain data."""
        return {"crop": self.crop, "levels": None if self.levels is None else list(self.levels)}


def dataset_preparation(settings: DataSettings) -> Preparation:
    """Return how the images of a dataset that is included are prepared by ``settings``."""
    crop = CENTER if settings.stream else WHOLE if settings.size is None else SQUARE
    return Preparation(crop, settings.range)


def preparation_from_dict(data: object) -> Preparation:
    """Return what :meth:`Preparation.to_dict` wrote; raise :class:`InputError` for anything else."""
    levels = data.get("levels") if isinstance(data, Mapping) else 0
    numbers = isinstance(levels, list | tuple) and len(levels) == 2 and all(isinstance(x, float | int) for x in levels)
    known = isinstance(data, Mapping) and set(data) == {"crop", "levels"} and data["crop"] in _WORDS
    if not known or not (levels is None or numbers):
        raise InputError(f"preparation={format_value(data)}: invalid in the description of a network")
    return Preparation(data["crop"], None if levels is None else tuple(map(float, levels)))  # type: ignore[index, arg-type]
