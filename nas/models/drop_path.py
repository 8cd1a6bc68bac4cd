"""Drop-path: zero whole operator outputs per image (FractalNet, arXiv 1605.07648; NASNet, DARTS)."""

import torch
from torch import Tensor


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zero each image's features (B, C, H, W) with ``probability``, else scale them to keep the mean."""
    keep = 1 - probability
    # torch.compile would recompile bernoulli_ for each new probability, that is, in every epoch.
    mask = torch.rand(len(x), 1, 1, 1, device=x.device) < keep
    return x * mask / keep
