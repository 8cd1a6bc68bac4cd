"""Parallel decoding of image files into one uint8 tensor."""

import functools
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from nas.core.errors import InputError
from nas.data.pixels import allocate_images
from nas.runtime.progress import Progress
from nas.storage.atomic_files import check_regular_file

# Formats that Pillow knows but that are not read: EPS runs Ghostscript, the others need a handler or are videos.
_UNSUPPORTED_FORMATS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
MAX_IMAGE_BYTES = 256_000_000  # of a file: Pillow reads some formats whole before it checks their size
_CHUNK = 32  # files per task of a thread
# Pillow releases the GIL while decoding. Processes would need a guarded main module and a second copy of the images;
# with small images, more threads only wait for the GIL.
_THREADS = min(8, os.cpu_count() or 1)


@functools.cache
def image_formats() -> dict[str, str]:
    """Return the readable file suffixes, lower case with their dot, and the Pillow format of each."""
    known = Image.registered_extensions()  # also loads the plugins, which fill Image.OPEN
    return {suffix: form for suffix, form in known.items() if form in Image.OPEN and form not in _UNSUPPORTED_FORMATS}


@functools.cache
def _formats_to_try(suffix: str) -> list[str]:
    """Return all readable formats, the one of the suffix first."""
    forms = image_formats()
    return sorted(set(forms.values()), key=lambda form: (form != forms.get(suffix), form))


@contextmanager
def bounded_decoding() -> Iterator[None]:
    """Turn Pillow's warning about decompression bombs into an error and silence its other warnings."""
    with warnings.catch_warnings():  # applies to the threads too
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode_rgb(path: Path, size: int | None = None) -> np.ndarray:
    """Decode an image file to uint8 (H, W, 3), rotated by its EXIF orientation; of an animation the first frame.

    The content decides the format, not the suffix. 16 bits are reduced to 8; transparency is blended with white.
    With ``size`` the image is resized to that square, bilinear and antialiased, ignoring its aspect ratio. Raises
    :class:`InputError` naming the file if it cannot be read or, within :func:`bounded_decoding`, has more pixels than
    ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    try:
        check_regular_file(path)
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise ValueError(f"more than {MAX_IMAGE_BYTES:,} bytes")  # noqa: TRY301
        with Image.open(path, formats=_formats_to_try(path.suffix.lower())) as image:
            ImageOps.exif_transpose(image, in_place=True)
            rgb = _to_rgb(image)
            if size is not None and rgb.size != (size, size):
                rgb = rgb.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(rgb)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(f"{path}: too many pixels; allowed: at most {Image.MAX_IMAGE_PIXELS}") from None
    except Exception as error:  # a damaged file may raise anything, depending on its format
        raise InputError(f"{path}: cannot be read as an image ({_reason(error)})") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels: save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "unknown image format"
    return " ".join(str(error).split()) or type(error).__name__


def decode_files(paths: Sequence[Path], size: int | None, reference: Path) -> Tensor:
    """Decode all files to uint8 (N, 3, H, W), showing a progress line.

    Without ``size``, all images must be as large as ``reference``. Raises :class:`InputError` naming a file that cannot
    be read or has another size, and if memory does not hold all images.
    """
    with bounded_decoding():
        height, width = (size, size) if size else decode_rgb(reference).shape[:2]
        images = allocate_images(len(paths), height, width)

        def fill(start: int) -> int:
            chunk = paths[start : start + _CHUNK]
            for index, path in enumerate(chunk, start):
                pixels = decode_rgb(path, size)
                if pixels.shape[:2] != (height, width):
                    sizes = f"{path} is {pixels.shape[0]}x{pixels.shape[1]}, {reference} is {height}x{width}"
                    raise InputError(f"{sizes}: set data.size=N to resize all images")
                images[index] = pixels.transpose(2, 0, 1)
            return len(chunk)

        _fill_in_threads(fill, len(paths))
    return torch.from_numpy(images)


def _fill_in_threads(fill: Callable[[int], int], total: int) -> None:
    with Progress("reading images", total) as progress, ThreadPoolExecutor(_THREADS) as pool:
        for count in pool.map(fill, range(0, total, _CHUNK)):  # an error cancels pending tasks
            progress.advance(count)
