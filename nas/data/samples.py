"""Images and labels as tensors, from tensors, arrays, or a torch Dataset of (image, label)."""

import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.limits import MAX_CLASSES, MAX_SIDE
from nas.data.dataset import ImageSet, format_tensor
from nas.runtime.progress import Progress

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_WIDE = (torch.int16, torch.uint16)  # exact in float32
_DTYPES = "allowed: uint8, int16, uint16, or float in any range: image.to(torch.uint8) or image.float()"
_MARKS = "labels.float() if an image has several classes"
_LABELS = "allowed: whole numbers from 0 on, one for each image"


def read_tensors(images: object, labels: object, where: str) -> ImageSet:
    """Return images (N, C, H, W), uint8 or float, and labels (N,), tensors or arrays, as a set on the CPU.

    Floats and numbers of 16 bits become float32. Float labels (N,) or (N, K) are targets. Raises :class:`InputError`
    naming ``where`` for any other form, values that are not finite, and negative labels.
    """
    found = _checked_images(_as_tensor(images, f"{where}: images"), f"{where}: images")
    numbers = _as_tensor(labels, f"{where}: labels")
    if numbers.dtype in _FLOATS and numbers.ndim in (1, 2) and len(numbers) == len(found):
        return ImageSet(found, _checked_targets(numbers.reshape(len(found), -1), where))
    if numbers.ndim == 2 and len(numbers) == len(found):
        form = "labels.squeeze(1)" if numbers.shape[1] == 1 else f"labels.argmax(1) if they are one-hot; {_MARKS}"
        raise InputError(f"{where}: labels: {format_tensor(numbers)}; must be integers ({len(found)},): {form}")
    if numbers.dtype not in _INTEGERS or numbers.shape != found.shape[:1]:
        raise InputError(f"{where}: labels: {format_tensor(numbers)}; must be integers ({len(found)},); {_LABELS}")
    return _image_set(found, numbers.long(), where)


def _checked_targets(targets: Tensor, where: str) -> Tensor:
    """Return targets (N, K) as float32; raise :class:`InputError` if one is not finite, or K is 0."""
    targets = targets.to(torch.float32)
    bad = ~targets.isfinite().all(1)
    if bool(bad.any()):
        raise InputError(f"{where}: labels: image {int(bad.nonzero()[0])} has NaN or infinity; allowed: finite values")
    if not targets.shape[1] or targets.shape[1] > MAX_CLASSES:
        raise InputError(f"{where}: labels: {format_tensor(targets)}; allowed: 1 to {MAX_CLASSES:,} targets")
    return targets


def read_samples(dataset: Any, where: str, verbose: bool = True) -> ImageSet:
    """Read a torch Dataset of (image, label) into a set on the CPU, with a progress line if ``verbose``.

    An image is a tensor or array (C, H, W), uint8 or float, or a Pillow image in mode L or RGB; a label is an int, or a
    0-d integer tensor or array, or float: a number, or a tensor or array (K,), the targets. Raises :class:`InputError`
    naming the sample for any other form, and if the samples differ in shape or dtype.
    """
    try:
        number = len(dataset)
    except TypeError:
        raise InputError(f"{where}: {type(dataset).__name__} has no length; allowed: a map-style Dataset") from None
    if not number:
        raise InputError(f"{where}: {type(dataset).__name__} has no images")
    first, target = _sample(dataset[0], f"{where}[0]")
    _checked_images(first[None], f"{where}[0]: image")
    images = _allocate(number, first, where)
    labels = torch.empty((number, *target.shape), dtype=target.dtype)
    with Progress(f"reading {where}", number, quiet=not verbose) as progress:
        for index in range(number):
            image, label = _sample(dataset[index], f"{where}[{index}]")
            if label.shape != target.shape or label.dtype != target.dtype:
                forms = f"{format_tensor(label)}, {where}[0] has {format_tensor(target)}"
                raise InputError(f"{where}[{index}]: label: {forms}; all must have one form")
            labels[index] = label
            if image.shape != first.shape or image.dtype != first.dtype:
                forms = f"{format_tensor(image)}, {where}[0] has {format_tensor(first)}"
                raise InputError(f"{where}[{index}]: image: {forms}; all must have one shape and dtype")
            images[index] = image
            progress.advance(1)
    if labels.is_floating_point():
        return ImageSet(_checked_images(images, f"{where}: images"), _checked_targets(labels, where))
    return _image_set(_checked_images(images, f"{where}: images"), labels, where)


def image_tensor(image: object, where: str) -> Tensor:
    """Return a tensor or array as a tensor of its own shape, a Pillow image in mode L or RGB as uint8 (C, H, W).

    Raises :class:`InputError` naming ``where`` for anything else.
    """
    if isinstance(image, Image.Image):
        if image.mode not in ("L", "RGB"):
            raise InputError(f"{where}: Pillow image in mode {image.mode}; allowed: L and RGB: image.convert('RGB')")
        pixels = torch.from_numpy(np.array(image))
        return pixels[None] if image.mode == "L" else pixels.permute(2, 0, 1)
    return _as_tensor(image, where)


def _sample(sample: object, where: str) -> tuple[Tensor, Tensor]:
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        given = f"{len(sample)} parts" if isinstance(sample, tuple | list) else type(sample).__name__
        raise InputError(f"{where}: {given}; must be (image, label)")
    return image_tensor(sample[0], f"{where}: image"), _label(sample[1], where)


def _label(label: object, where: str) -> Tensor:
    """Return a label as int64 (), or the targets of an image as float32 (K,)."""
    if isinstance(label, np.ndarray | np.integer | np.floating):
        label = torch.as_tensor(label)
    if isinstance(label, float):
        label = torch.tensor(label)
    if isinstance(label, Tensor) and label.ndim == 0 and label.dtype in _INTEGERS:
        return label.long()
    if isinstance(label, Tensor) and label.ndim in (0, 1) and label.dtype in _FLOATS and label.numel():
        return label.detach().cpu().float().reshape(-1)
    if isinstance(label, int) and not isinstance(label, bool):
        if not -(2**63) <= label < 2**63:
            raise InputError(f"{where}: label: {format_value(label)}; {_LABELS}")
        return torch.tensor(label)
    given = format_tensor(label) if isinstance(label, Tensor) else f"{format_value(label)} ({type(label).__name__})"
    hint = (
        "; label.argmax() if it is one-hot, label.float() if it has several classes"
        if isinstance(label, Tensor) and label.ndim == 1
        else ""
    )
    raise InputError(f"{where}: label: {given}; must be an int or a 0-d integer tensor{hint}")


def _as_tensor(value: object, where: str) -> Tensor:
    if isinstance(value, np.ndarray):
        try:
            value = torch.from_numpy(np.ascontiguousarray(value).astype(value.dtype.newbyteorder("="), copy=False))
        except TypeError:
            raise InputError(f"{where}: array of {value.dtype}; {_DTYPES}") from None
    if not isinstance(value, Tensor):
        raise InputError(f"{where}: {type(value).__name__}; must be a tensor")
    if value.layout is not torch.strided or value.is_quantized:
        raise InputError(f"{where}: a tensor that is not dense; allowed: a dense one: .to_dense()")
    return value.detach().cpu()


def _checked_images(images: Tensor, where: str) -> Tensor:
    """Return images (N, C, H, W) as uint8 or float32; raise :class:`InputError` for any other form."""
    if images.ndim == 3:
        raise InputError(f"{where}: {format_tensor(images)}; must be (N, C, H, W): images[:, None] adds a channel")
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise InputError(f"{where}: {format_tensor(images)}; must be (N, C, H, W), each image (C, H, W)")
    if not len(images):
        raise InputError(f"{where}: {format_tensor(images)} holds no images")
    channels, height, width = images.shape[1:]
    if width in (1, 3, 4) and channels > 4 and height > 4:
        order = "must be (C, H, W), these look like (H, W, C): permute the channels to the front"
        raise InputError(f"{where}: {format_tensor(images)}; {order}")
    if max(height, width) > MAX_SIDE:
        raise InputError(f"{where}: {format_tensor(images)}; a side must be at most {MAX_SIDE}")
    if images.dtype == torch.uint8:
        return images
    if images.dtype not in (*_FLOATS, *_WIDE):
        raise InputError(f"{where}: {format_tensor(images)}; {_DTYPES}")
    images = images.to(torch.float32)
    for index, image in enumerate(images):
        if not image.isfinite().all():
            raise InputError(f"{where}: image {index} holds NaN or infinity; allowed: finite values in float32")
    return images


def _image_set(images: Tensor, labels: Tensor, where: str) -> ImageSet:
    low, high = (int(value) for value in labels.aminmax())
    if low < 0:
        raise InputError(f"{where}: label {low} of image {int(labels.argmin())}; {_LABELS}")
    if high >= MAX_CLASSES:
        raise InputError(f"{where}: label {high}; at most {MAX_CLASSES:,} classes, numbered from 0 on")
    return ImageSet(images, labels)


def _allocate(number: int, image: Tensor, where: str) -> Tensor:
    dtype = torch.float32 if image.dtype in (*_FLOATS, *_WIDE) else image.dtype
    try:
        return torch.empty((number, *image.shape), dtype=dtype)
    except RuntimeError:
        size = number * math.prod(image.shape) * dtype.itemsize / 1e9
        raise InputError(f"{where}: {number} images of {tuple(image.shape)} need {size:.0f} GB of memory") from None
