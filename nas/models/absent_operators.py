"""Operators that an edge does not have, in its space or any more: their alphas count as -inf, so never."""

import functools
from collections.abc import Mapping

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.graph.space import Space


def mask_absent(alphas: Mapping[str, Tensor], space: Space) -> dict[str, Tensor]:
    """Return the alphas (edges, operators) by kind of cell, -inf where the space lacks the operator on the edge.

    A softmax or sigmoid of them is exactly 0 there, and so is the gradient.
    """
    if space.edge_operators is None:
        return dict(alphas)
    return {kind: alpha.masked_fill(_absent(space, kind, alpha.device), -torch.inf) for kind, alpha in alphas.items()}


class Remaining:
    """The operators that a search has left on the edges of each kind of cell: bool (edges, operators).

    An edge with one operator left has it at the strength that its relaxation gives to a single one, in DARTS 1. An edge
    with none left adds nothing. What is not left is not computed.
    """

    def __init__(self, kept: Mapping[str, Tensor], space: Space, device: torch.device) -> None:
        shape = (len(space.edges), len(space.operators))
        for kind, mask in kept.items():
            if kind not in space.kinds or mask.shape != shape or mask.dtype != torch.bool:
                raise InputError(f"remaining operators of {kind}: {tuple(mask.shape)}; expected: bool {shape}")
        self.kept = {kind: mask.to(device) for kind, mask in kept.items()}
        self.columns = {
            kind: tuple(frozenset(column for column, used in enumerate(row) if used) for row in mask.tolist())
            for kind, mask in kept.items()
        }

    def mask_alphas(self, alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the alphas, -inf for operators that are not left on an edge that has others."""
        masked = dict(alphas)
        for kind, kept in self.kept.items():
            masked[kind] = alphas[kind].masked_fill(~kept & kept.any(1, keepdim=True), -torch.inf)
        return masked

    def mask_strengths(self, strengths: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the strengths, 0 for what is not left."""
        masked = dict(strengths)
        for kind, kept in self.kept.items():
            masked[kind] = strengths[kind].masked_fill(~kept, 0.0)
        return masked


@functools.cache
def _absent(space: Space, kind: str, device: torch.device) -> Tensor:
    """Return a bool tensor (edges, operators), made on the device once: each copy would make a step wait."""
    rows = [space.operators_on(kind, edge) for edge in range(len(space.edges))]
    with torch.inference_mode(False):
        return torch.tensor([[name not in own for name in space.operators] for own in rows], device=device)
