"""The size of the network to be derived, as a part of what the alphas are searched for.

    alpha loss = L_val + params · E[parameters] / 10^6 + macs · E[multiply-adds] / 10^6

The idea is ProxylessNAS' (arXiv 1812.00332, §3.3.1): a cost that is a sum over the network's parts has an
expectation that is differentiable in the probabilities of the choices. Here the choices are those of DARTS'
derivation (:mod:`nas.costs.edge_probabilities`) and the parts are counted from the modules that retraining builds, so

    E[count] = fixed + sum over kinds of cell, edges e, operators o of  P(e, o) · count(e, o)

is the derived network's own count where the alphas leave no doubt. Every node keeps ``edges_per_node`` edges at any
alphas: ``none`` on all of them makes nothing smaller. The weights' loss has no such part, and the gradient does not
depend on the weights: it is the same for both orders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.costs.edge_costs import EdgeCosts, edge_costs
from nas.costs.edge_probabilities import check_derivations, keep_probabilities
from nas.graph.space import Space

UNIT = 1e6  # settings are per million


@dataclass(frozen=True)
class ObjectiveSettings:
    """What the alpha loss holds besides the validation loss: the expected size of the derived network.

    ``params`` and ``macs`` are factors per million; ``channels`` and ``cells`` are that network's sizes.
    """

    params: float = 0.0
    macs: float = 0.0
    channels: int = 36
    cells: int = 20

    def __post_init__(self) -> None:
        for name in ("params", "macs"):
            value = getattr(self, name)
            require(f"objective.{name}", value, value >= 0, "must be 0 or more, and finite")
        for name in ("channels", "cells"):
            value = getattr(self, name)
            require(f"objective.{name}", value, value >= 1, "must be at least 1")

    @property
    def wanted(self) -> bool:
        """Whether the size counts at all."""
        return self.params > 0 or self.macs > 0


@dataclass(frozen=True)
class SizeObjective:
    """The expected size and its gradient, in float64 whatever the alphas are."""

    settings: ObjectiveSettings
    space: Space
    table: EdgeCosts

    def expected(self, alphas: Mapping[str, Tensor]) -> Tensor:
        """(parameters, multiply-adds) that the alphas of both kinds of cell, (edges, operators) each, let expect."""
        size = self.table.fixed
        for kind, alpha in alphas.items():
            size = size + (keep_probabilities(alpha.double(), self.space) * self.table.edges[kind]).sum((1, 2))
        return size

    def penalty(self, alphas: Mapping[str, Tensor]) -> Tensor:
        """What is added to the alpha loss."""
        expected = self.expected(alphas) / UNIT
        return self.settings.params * expected[0] + self.settings.macs * expected[1]

    def add_gradients(self, gradients: Mapping[str, Tensor], alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``gradients`` of the validation loss plus those of the penalty, by kind of cell."""
        leaves = {kind: alpha.detach().requires_grad_() for kind, alpha in alphas.items()}
        found = torch.autograd.grad(self.penalty(leaves), list(leaves.values()))
        return {kind: gradients[kind] + own for kind, own in zip(leaves, found, strict=True)}

    def figures(self, alphas: Mapping[str, Tensor]) -> dict[str, float]:
        """The expected size by the names of the metrics."""
        with torch.no_grad():
            params, macs = self.expected(alphas).tolist()
        return {"expected_params": params, "expected_macs": macs}


def check_objective(settings: ObjectiveSettings, space: Space) -> None:
    """Raise :class:`InputError` where the expected size is wanted and ``space`` has too many ways to derive a cell."""
    if settings.wanted:
        check_derivations(space)


def size_objective(
    settings: ObjectiveSettings, space: Space, num_classes: int, image_shape: Sequence[int], device: torch.device
) -> SizeObjective | None:
    """The objective for a search on images of ``image_shape``; None, and nothing counted, where it is not wanted.

    Raises :class:`InputError` as :func:`check_objective` does.
    """
    if not settings.wanted:
        return None
    check_objective(settings, space)
    table = edge_costs(space, settings.channels, settings.cells, num_classes, image_shape, device)
    return SizeObjective(settings, space, table)
