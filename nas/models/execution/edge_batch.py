"""The feature maps that a wave of edges starts from, one behind the other along the channels.

Shapes: B images, S sources, T targets, N = S * T edges ordered by source, then by target, C channels.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class EdgeBatch:
    """All edges from some sources to the same targets; what is computed of the sources is computed once."""

    def __init__(self, inputs: Sequence[Tensor], targets: int) -> None:
        self.sources = len(inputs)
        self.targets = targets
        self.together = torch.cat(list(inputs), dim=1) if len(inputs) > 1 else inputs[0]  # (B, S*C, H, W)
        self._kept: dict[str, Tensor] = {}

    @property
    def edges(self) -> int:
        """N."""
        return self.sources * self.targets

    def rectified(self) -> Tensor:
        """The sources behind a ReLU, (B, S*C, H, W)."""
        if "relu" not in self._kept:
            self._kept["relu"] = F.relu(self.together)
        return self._kept["relu"]

    def spread(self, x: Tensor) -> Tensor:
        """(B, S*C, H, W) -> (B, N*C, H, W): each source once for each of its edges."""
        if self.targets == 1:
            return x
        key = "" if x is self.together else "spread relu" if x is self._kept.get("relu") else None
        if key is None:
            return self._spread(x)
        if key not in self._kept:
            self._kept[key] = self._spread(x)
        return self._kept[key]

    def _spread(self, x: Tensor) -> Tensor:
        x = torch.unflatten(x, 1, (self.sources, 1, -1))  # (B, S, 1, C, H, W)
        return x.expand(-1, -1, self.targets, -1, -1, -1).flatten(1, 3)


class _DenseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous()


def dense_gradient(x: Tensor) -> Tensor:
    """``x``; its gradient is laid out once here, and not by everyone who computed a part of ``x``."""
    return _DenseGradient.apply(x)  # type: ignore[no-any-return]


class WeightlessTerms:
    """What reaches the targets without a weight on its way (the sources, their pools): one product for all."""

    def __init__(self, wave: EdgeBatch) -> None:
        self._wave = wave
        self._found: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, key: str, maps: Tensor, strengths_n: Tensor) -> None:
        """``maps`` (B, S*C, H, W), the same for the same key, times the strength of each edge."""
        if key in self._found:
            strengths_n = self._found[key][1] + strengths_n
        self._found[key] = maps, strengths_n

    def total(self) -> Tensor | None:
        """The sum for each target, (B, T*C, H, W); None where there is nothing."""
        if not self._found:
            return None
        maps, strengths = zip(*self._found.values(), strict=True)
        strengths_ft = torch.cat(strengths).view(-1, self._wave.targets)  # F: sources of all kinds of maps
        first = maps[0]
        with torch.autocast(first.device.type, enabled=False):
            maps_bfm = torch.cat([torch.unflatten(m, 1, (self._wave.sources, -1)) for m in maps], 1).flatten(2)
            total_btm = torch.matmul(strengths_ft.t(), maps_bfm.to(strengths_ft.dtype))
        return total_btm.view(len(first), -1, *first.shape[2:])
