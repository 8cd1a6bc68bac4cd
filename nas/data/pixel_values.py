"""From the values in an image file to bytes of red, green and blue, and what part of their range is used."""

import numpy as np
from PIL import Image

ValueRange = tuple[float, ...]  # (low, high): what becomes 0 and 255
RAW_MODE = "nas raw mode"  # key of Image.info
_FULL = (0.0, 65535.0)
_SAMPLE_FORMAT, _SAMPLES_PER_PIXEL = 339, 277  # tags of TIFF
_DEEP = ("I", "F")  # modes of one channel with more than 8 bits begin with these


def raw_mode(image: Image.Image) -> str:
    """Return how the pixels of an opened image are stored, such as ``RGB;16B``; empty if its format does not say."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def to_rgb(image: Image.Image, levels: ValueRange | None = None) -> Image.Image:
    """Return an image of any mode as 8-bit RGB; transparency is blended with white.

    Gray of 16 bits is divided by 257. ``levels`` (low, high) become 0 and 255 instead, values outside are clipped: for
    gray of any depth in the file's own numbers, for color in 0..255. Raises :class:`ValueError` if gray values lie
    outside of 0..65535 or are not whole and no ``levels`` are given, and for ``levels`` of color with 16 bits.
    """
    if image.mode.startswith(_DEEP):
        return _deep_gray_to_rgb(image, levels)
    _check_samples(image)
    if levels is not None and ";16" in image.info.get(RAW_MODE, ""):
        raise ValueError("data.range: color with 16 bits is read with 8; allowed: gray, or color with 8 bits")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        rgb = Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    else:
        rgb = image.convert("RGB")
    return rgb if levels is None else Image.fromarray(scaled(np.asarray(rgb), levels))


def _deep_gray_to_rgb(image: Image.Image, levels: ValueRange | None) -> Image.Image:
    values = np.asarray(image)
    transparent = image.info.get("transparency")
    if levels is None:
        _check_sixteen_bits(image.mode, values)
        gray = ((values.astype(np.int64) + 128) // 257).astype(np.uint8)
    else:
        gray = scaled(values, levels)
    if isinstance(transparent, int):
        gray = np.where(values == transparent, np.uint8(255), gray)
    return Image.fromarray(gray).convert("RGB")


def _check_samples(image: Image.Image) -> None:
    """Raise :class:`ValueError` for a TIFF of signed bytes or of five and more channels, which Pillow misreads."""
    tags = getattr(image, "tag_v2", {})
    if 2 in np.atleast_1d(tags.get(_SAMPLE_FORMAT, 1)):
        raise ValueError("signed bytes: save it with 8 or 16 bits without a sign")
    channels = int(tags.get(_SAMPLES_PER_PIXEL, 1))
    if channels > 4:
        raise ValueError(f"{channels} channels: a folder of images has up to 4; data=arrays reads any number")


def _check_sixteen_bits(mode: str, values: np.ndarray) -> None:
    hint = "data.range=[LOW,HIGH] says which values become black and white, or save it with 8 or 16 bits"
    low, high = values.min(), values.max()
    if mode.startswith("F"):
        raise ValueError(f"floating-point pixels {low:g}..{high:g}: {hint}")
    if low < _FULL[0] or high > _FULL[1]:
        raise ValueError(f"values {low}..{high} outside of 0..65535: {hint}")


def scaled(values: np.ndarray, levels: ValueRange) -> np.ndarray:
    """Return ``values`` as uint8: ``levels`` (low, high) become 0 and 255, rounded, what lies outside is clipped.

    Raises :class:`ValueError` for values that are not finite.
    """
    low, high = levels
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("holds NaN or infinity; allowed: finite values")
    return np.rint((numbers - low) * 255 / (high - low)).clip(0, 255).astype(np.uint8)


def stored_range(image: Image.Image) -> tuple[float, float, bool]:
    """Return the least and the largest stored value of an image, and whether it has more than 8 bits."""
    values = np.asarray(image if image.mode.startswith(_DEEP) else image.convert("RGB"))
    low, high = float(values.min()), float(values.max())
    if ";16" in image.info.get(RAW_MODE, "") and not image.mode.startswith(_DEEP):
        return 257 * low, 257 * high, True  # Pillow has reduced them to 8 bits
    return low, high, image.mode.startswith(_DEEP)
