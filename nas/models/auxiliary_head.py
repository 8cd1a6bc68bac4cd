"""Auxiliary head: a second classifier on a middle layer, used in training only (GoogLeNet, arXiv 1409.4842; DARTS)."""

import torch.nn.functional as F
from torch import Tensor, nn

_POOL_KERNEL = 5


class AuxiliaryHead(nn.Module):
    """ReLU, 5x5 average pool, 1x1 convolution to 128, 2x2 convolution to 768, linear (DARTS, released code).

    ``stride`` is that of the pool: 3 for the 8x8 features of CIFAR and 2 for the 7x7 features of ImageNet both leave
    2x2. Smaller features are pooled to 2x2; a larger output of the convolutions is averaged. DARTS' head for ImageNet
    has no BatchNorm after the second convolution (``last_norm=False``).
    """

    def __init__(self, c_in: int, num_classes: int, stride: int = 3, last_norm: bool = True) -> None:
        super().__init__()
        self.stride = stride
        norm = [nn.BatchNorm2d(768)] if last_norm else []
        self.features = nn.Sequential(
            nn.Conv2d(c_in, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *norm,
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, num_classes)."""
        x = F.relu(x)
        if min(x.shape[2:]) >= _POOL_KERNEL + self.stride:
            x = F.avg_pool2d(x, _POOL_KERNEL, self.stride)
        else:
            x = F.adaptive_avg_pool2d(x, 2)
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits
