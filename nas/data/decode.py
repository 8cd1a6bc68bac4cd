"""Image files to one uint8 tensor, in parallel."""

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
from nas.data.pixels import allocate
from nas.runtime.progress import Progress
from nas.storage.atomic_files import check_regular_file

# Known to Pillow, but not pictures of pixels: EPS starts Ghostscript, the others need a handler or are films.
NOT_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
MAX_BYTES = 256_000_000  # of a file: some formats are read whole before their sizes are looked at
CHUNK = 32  # files a thread takes at a time
# Pillow frees the interpreter's lock while it decodes. Processes would need a guarded main module and a second copy
# of the images; more threads only wait for that lock when the images are small.
THREADS = min(8, os.cpu_count() or 1)


@functools.cache
def picture_formats() -> dict[str, str]:
    """File suffixes, lower case with their dot, of the formats that are read, and each one's Pillow format."""
    known = Image.registered_extensions()  # also loads the plugins, which fill Image.OPEN
    return {suffix: form for suffix, form in known.items() if form in Image.OPEN and form not in NOT_PICTURES}


@functools.cache
def _tried(suffix: str) -> list[str]:
    """The formats to try on a file: the one its suffix promises, then all others."""
    forms = picture_formats()
    return sorted(set(forms.values()), key=lambda form: (form != forms.get(suffix), form))


@contextmanager
def bounded_decoding() -> Iterator[None]:
    """Pillow's remarks on odd metadata are not shown in here, its warning for decompression bombs is an error."""
    with warnings.catch_warnings():  # holds for the threads too
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode_rgb(path: Path, size: int | None = None) -> np.ndarray:
    """The picture in a file as uint8 (H, W, 3), upright as its EXIF orientation says; of a film the first frame.

    The content, not the suffix, decides the format. 16 bits become 8; transparent pixels show white behind them.
    ``size``: resized to a square of that side, bilinear and antialiased, whatever its proportions. Raises
    :class:`InputError` naming the file if it cannot be read, or, where :func:`bounded_decoding`, has more pixels than
    ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    try:
        check_regular_file(path)
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")  # noqa: TRY301
        with Image.open(path, formats=_tried(path.suffix.lower())) as image:
            ImageOps.exif_transpose(image, in_place=True)
            picture = _as_rgb(image)
            if size is not None and picture.size != (size, size):
                picture = picture.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(picture)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(f"{path}: too many pixels; at most {Image.MAX_IMAGE_PIXELS} are read") from None
    except Exception as error:  # a broken file raises almost anything, depending on its format
        raise InputError(f"{path}: cannot be read as an image ({_reason(error)})") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floating point: save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits, which Pillow's own conversion would clip at 255
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no known image format"
    return " ".join(str(error).split()) or type(error).__name__


def decode_files(paths: Sequence[Path], size: int | None, like: Path) -> Tensor:
    """All pictures as uint8 (N, 3, H, W), with a progress line; with ``size`` None all must be as large as ``like``.

    Raises :class:`InputError` naming a file that cannot be read or is of another size, and where memory does not hold
    them all.
    """
    with bounded_decoding():
        height, width = (size, size) if size else decode_rgb(like).shape[:2]
        images = allocate(len(paths), height, width)

        def fill(start: int) -> int:
            chunk = paths[start : start + CHUNK]
            for index, path in enumerate(chunk, start):
                pixels = decode_rgb(path, size)
                if pixels.shape[:2] != (height, width):
                    found = f"{path} is {pixels.shape[0]}x{pixels.shape[1]}, {like} {height}x{width}"
                    raise InputError(f"{found}: give data.size=N to bring all images to one size")
                images[index] = pixels.transpose(2, 0, 1)
            return len(chunk)

        _run(fill, len(paths))
    return torch.from_numpy(images)


def _run(fill: Callable[[int], int], total: int) -> None:
    with Progress("reading images", total) as progress, ThreadPoolExecutor(THREADS) as pool:
        for count in pool.map(fill, range(0, total, CHUNK)):  # an error cancels what has not begun
            progress.advance(count)
