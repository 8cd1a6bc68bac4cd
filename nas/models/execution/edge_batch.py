"""Feature maps of several edges, concatenated along the channels.

Shapes: B images, S sources, T targets, N = S * T edges ordered by source, then by target, C channels.
"""

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.ops.contract import is_autocasting


def split_channels(x: Tensor, parts: int) -> Tensor:
    """Return ``x`` (B, parts * C, H, W) as (B, parts, C, H, W)."""
    return torch.unflatten(x, 1, (parts, x.shape[1] // parts))


def _without_autocast(device_type: str) -> AbstractContextManager[Any]:
    return torch.autocast(device_type, enabled=False) if is_autocasting(device_type) else nullcontext()


class EdgeBatch:
    """All edges from some sources to the same targets; what depends on a source alone is computed once."""

    def __init__(self, inputs: Sequence[Tensor], targets: int) -> None:
        self.num_sources = len(inputs)
        self.num_targets = targets
        self.x = torch.cat(list(inputs), dim=1) if len(inputs) > 1 else inputs[0]  # (B, S*C, H, W)
        self._relu: Tensor | None = None
        self._expanded: dict[str, Tensor] = {}

    @property
    def num_edges(self) -> int:
        """The number of edges, N."""
        return self.num_sources * self.num_targets

    def relu(self) -> Tensor:
        """Return the sources after a ReLU, (B, S*C, H, W)."""
        if self._relu is None:
            self._relu = F.relu(self.x)
        return self._relu

    def expand(self, x: Tensor) -> Tensor:
        """Repeat the sources' maps (B, S*C, H, W) for each of their edges: (B, N*C, H, W)."""
        if self.num_targets == 1:
            return x
        key = "sources" if x is self.x else "relu" if x is self._relu else None
        if key is None:
            return self._expand(x)
        if key not in self._expanded:
            self._expanded[key] = self._expand(x)
        return self._expanded[key]

    def _expand(self, x: Tensor) -> Tensor:
        x = split_channels(x, self.num_sources).unsqueeze(2)  # (B, S, 1, C, H, W)
        return x.expand(-1, -1, self.num_targets, -1, -1, -1).flatten(1, 3)


class _ContiguousGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.contiguous()


def contiguous_gradient(x: Tensor) -> Tensor:
    """Return ``x``; its gradient is made contiguous once, instead of by each summand of ``x``."""
    return _ContiguousGradient.apply(x)  # type: ignore[no-any-return]


class ParameterFreeTerms:
    """The terms of the targets without parameters (identities, pools): one matrix product for all of them."""

    def __init__(self, wave: EdgeBatch) -> None:
        self._wave = wave
        self._terms: dict[Hashable, tuple[Tensor, Tensor]] = {}

    def add(self, key: Hashable, maps: Tensor, strengths_n: Tensor) -> None:
        """Add ``maps`` (B, S*C, H, W) times the strength of each edge; equal keys must mean equal maps."""
        if key in self._terms:
            strengths_n = self._terms[key][1] + strengths_n
        self._terms[key] = maps, strengths_n

    def total(self) -> Tensor | None:
        """Return the sum for each target, (B, T*C, H, W); None without terms."""
        if not self._terms:
            return None
        maps, strengths = zip(*self._terms.values(), strict=True)
        targets = self._wave.num_targets
        strengths_ft = torch.cat(strengths).view(-1, targets)  # F: sources of all kinds of maps
        first = maps[0]
        with _without_autocast(first.device.type):
            maps_bfm = torch.cat([split_channels(m, self._wave.num_sources) for m in maps], 1).flatten(2)
            total_btm = torch.matmul(strengths_ft.t(), maps_bfm.to(strengths_ft.dtype))
        channels = first.shape[1] // self._wave.num_sources
        return total_btm.view(len(first), targets * channels, *first.shape[2:])
