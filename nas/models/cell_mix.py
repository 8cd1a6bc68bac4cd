"""What one forward pass mixes in the cells of one kind."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CellMix:
    """Strengths (E edges, K operators), times the weights of their edges; ``edge_weights`` (E,), None if all are 1.

    ``chosen[e]`` are the columns of the operators that are computed on edge e; None: all of them. ``edge_value`` () is
    that of the edge rule's schedule, if it has one.
    """

    strengths: Tensor
    edge_weights: Tensor | None = None
    chosen: tuple[frozenset[int], ...] | None = None
    edge_value: Tensor | None = None

    def computes(self, edge: int, column: int) -> bool:
        """Return whether the operator in ``column`` is computed on ``edge``."""
        return self.chosen is None or column in self.chosen[edge]


def cell_mix(
    strengths: Tensor,
    edge_weights: Tensor | None = None,
    sparse: bool = False,
    chosen: tuple[frozenset[int], ...] | None = None,
    edge_value: Tensor | None = None,
) -> CellMix:
    """Return the mix of ``strengths`` (E, K) and ``edge_weights`` (E,); ``sparse`` leaves out strengths of 0.

    Leaving them out reads the strengths, and waits for the device. ``chosen``: what is computed in any case.
    """
    if sparse:
        rows = torch.ne(strengths.detach(), 0).tolist()
        chosen = tuple(frozenset(column for column, used in enumerate(row) if used) for row in rows)
    weighted = strengths if edge_weights is None else strengths * edge_weights[:, None]
    return CellMix(weighted, edge_weights, chosen, edge_value)
