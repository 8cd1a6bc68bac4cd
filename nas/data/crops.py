"""Random and center crops of photographs, as DARTS trains on ImageNet (torchvision's transforms)."""

import torch
from PIL import Image


def random_crop(image: Image.Image, size: int, jitter: float, seed: int) -> Image.Image:
    """Return a random resized crop of ``size`` x ``size``; all randomness comes from ``seed``.

    The crop covers 8 to 100 % of the area with an aspect ratio of 3/4 to 4/3 (Szegedy et al., "Going Deeper with
    Convolutions", arXiv 1409.4842, section 6). ``jitter``: brightness, contrast and saturation are scaled by factors
    in 1 ± jitter, the hue is shifted by up to jitter / 2; DARTS' released code (cnn/train_imagenet.py) uses 0.4.
    """
    from torchvision.transforms import ColorJitter, RandomResizedCrop  # takes seconds to import

    with torch.random.fork_rng(devices=()):  # torchvision samples from the CPU's global generator
        torch.default_generator.manual_seed(seed)
        crop: Image.Image = RandomResizedCrop(size)(image)
        return ColorJitter(jitter, jitter, jitter, jitter / 2)(crop) if jitter else crop


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """Return the center ``size`` x ``size`` after resizing the shorter side to 8/7 ``size`` (224 of 256)."""
    from torchvision.transforms import CenterCrop, Resize

    crop: Image.Image = CenterCrop(size)(Resize(round(size * 256 / 224))(image))
    return crop
