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
from nas.data.pixel_values import RAW_MODE, ValueRange, raw_mode, to_rgb
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


def decode_rgb(path: Path, size: int | None = None, levels: ValueRange | None = None) -> np.ndarray:
    """Decode an image file to uint8 (H, W, 3), rotated by its EXIF orientation; of an animation the first frame.

    The content decides the format, not the suffix. 16 bits are reduced to 8; transparency is blended with white.
    ``levels``: see :func:`nas.data.pixel_values.to_rgb`. With ``size`` the image is resized to that square, bilinear
    and antialiased, ignoring its aspect ratio. Raises :class:`InputError` naming the file if it cannot be read, if its
    values do not fit into 16 bits, or, within :func:`bounded_decoding`, if it has more pixels than
    ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    with opened_image(path) as image:
        rgb = to_rgb(image, levels)
        if size is not None and rgb.size != (size, size):
            rgb = rgb.resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(rgb)


@contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file, rotated by its EXIF orientation; any failure within becomes :class:`InputError` naming it."""
    try:
        check_regular_file(path)
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise ValueError(f"more than {MAX_IMAGE_BYTES:,} bytes")  # noqa: TRY301
        with Image.open(path, formats=_formats_to_try(path.suffix.lower())) as image:
            depth = raw_mode(image)  # before the pixels are loaded
            ImageOps.exif_transpose(image, in_place=True)
            image.info[RAW_MODE] = depth
            yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(f"{path}: too many pixels; allowed: at most {Image.MAX_IMAGE_PIXELS}") from None
    except Exception as error:  # a damaged file may raise anything, depending on its format
        raise InputError(f"{path}: cannot be read as an image ({_reason(error)})") from error


def is_image(path: Path) -> bool:
    """Return whether the content of a file begins as that of an image does; its pixels are not decoded."""
    try:
        check_regular_file(path)
        if path.stat().st_size > MAX_IMAGE_BYTES:
            return False
        with bounded_decoding(), Image.open(path, formats=_formats_to_try("")):
            return True
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return True  # refused when it is decoded
    except Exception:  # whatever a plugin raises
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "unknown image format"
    return " ".join(str(error).split()) or type(error).__name__


def decode_files(paths: Sequence[Path], size: int | None, reference: Path, levels: ValueRange | None = None) -> Tensor:
    """Decode all files to uint8 (N, 3, H, W), showing a progress line; see :func:`decode_rgb`.

    Without ``size``, all images must be as large as ``reference``. Raises :class:`InputError` naming a file that cannot
    be read or has another size, and if memory does not hold all images.
    """
    with bounded_decoding():
        height, width = (size, size) if size else decode_rgb(reference, None, levels).shape[:2]
        images = allocate_images(len(paths), height, width)

        def fill(start: int) -> int:
            chunk = paths[start : start + _CHUNK]
            for index, path in enumerate(chunk, start):
                pixels = decode_rgb(path, size, levels)
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
