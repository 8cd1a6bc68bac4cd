"""How large photographs become squares of one size: torchvision's transforms, as DARTS trains on ImageNet."""

import torch
from PIL import Image


def random_crop(picture: Image.Image, size: int, jitter: float, seed: int) -> Image.Image:
    """A random part of the picture as ``size`` x ``size``, all of it drawn from ``seed``.

    The part has 8 to 100 % of the area and the proportions 3/4 to 4/3 (Szegedy et al., "Going Deeper with
    Convolutions", arXiv 1409.4842, section 6). ``jitter``: brightness, contrast and saturation change by factors in
    1 ± jitter, the hue by up to jitter / 2 of the circle; DARTS' released code (cnn/train_imagenet.py) has 0.4.
    """
    from torchvision.transforms import ColorJitter, RandomResizedCrop  # seconds to import: only who crops waits

    with torch.random.fork_rng(devices=()):  # torchvision draws from the CPU's global generator
        torch.default_generator.manual_seed(seed)
        square: Image.Image = RandomResizedCrop(size)(picture)
        return ColorJitter(jitter, jitter, jitter, jitter / 2)(square) if jitter else square


def center_crop(picture: Image.Image, size: int) -> Image.Image:
    """The middle of the picture as ``size`` x ``size``: 7/8 of its shorter side, 224 of 256 pixels on ImageNet."""
    from torchvision.transforms import CenterCrop, Resize

    square: Image.Image = CenterCrop(size)(Resize(round(size * 256 / 224))(picture))
    return square
