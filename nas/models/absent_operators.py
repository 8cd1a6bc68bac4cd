"""Operators that a space does not have on an edge of a kind of cell: their alphas count as -inf, so never."""

import functools
from collections.abc import Mapping

import torch
from torch import Tensor

from nas.graph.space import Space


def mask_absent(alphas: Mapping[str, Tensor], space: Space) -> dict[str, Tensor]:
    """Return the alphas (edges, operators) by kind of cell, -inf where the space lacks the operator on the edge.

    A softmax or sigmoid of them is exactly 0 there, and so is the gradient.
    """
    if space.edge_operators is None:
        return dict(alphas)
    return {kind: alpha.masked_fill(_absent(space, kind, alpha.device), -torch.inf) for kind, alpha in alphas.items()}


@functools.cache
def _absent(space: Space, kind: str, device: torch.device) -> Tensor:
    """Return a bool tensor (edges, operators), made on the device once: each copy would make a step wait."""
    rows = [space.operators_on(kind, edge) for edge in range(len(space.edges))]
    with torch.inference_mode(False):
        return torch.tensor([[name not in own for name in space.operators] for own in rows], device=device)
