"""Drop-path: whole operator outputs are left out, image by image (FractalNet, arXiv 1605.07648; NASNet, DARTS)."""

import torch
from torch import Tensor


def drop_path(x: Tensor, probability: float) -> Tensor:
    """(B, C, H, W): each image's features zero with ``probability``, else scaled up so that the mean stays."""
    keep = 1 - probability
    # Not bernoulli_, for which torch.compile would begin anew at each probability, that is each epoch.
    mask = torch.rand(len(x), 1, 1, 1, device=x.device) < keep
    return x * mask / keep
