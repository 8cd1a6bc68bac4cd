"""The expected size of the derived network as a penalty in the alpha loss.

    alpha loss = L_val + params · E[parameters] / 10^6 + macs · E[multiply-adds] / 10^6

The idea is from ProxylessNAS (arXiv 1812.00332, §3.3.1): a cost that is a sum over the parts of the network has an
expectation that is differentiable in the probabilities of the choices. Here the choices are those of the derivation
of DARTS (:mod:`nas.costs.edge_probabilities`), and the parts are counted from the modules that retraining builds:

    E[count] = fixed + sum over kinds of cell, edges e, operators o of  P(e, o) · count(e, o)

With one-hot alphas this is exactly the count of the derived network. Every node keeps ``edges_per_node`` edges
whatever the alphas are, so strength on ``none`` for all edges of a node does not make the network smaller. The weight
loss has no penalty, and the penalty does not depend on the weights: its gradient is the same for both orders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.costs.edge_costs import EdgeCosts, edge_costs
from nas.costs.edge_probabilities import check_derivations, keep_probabilities
from nas.graph.space import Space
from nas.models.absent_operators import mask_absent
from nas.models.edge_rule import DARTS_EDGE, EdgeRule

_UNIT = 1e6  # settings are per million


@dataclass(frozen=True)
class ObjectiveSettings:
    """The weight of the expected network size in the alpha loss.

    ``params`` and ``macs`` are factors per million; ``channels`` and ``cells`` are the sizes of the network counted.
    """

    params: float = 0.0
    macs: float = 0.0
    channels: int = 36
    cells: int = 20

    def __post_init__(self) -> None:
        for name in ("params", "macs"):
            value = getattr(self, name)
            require(f"objective.{name}", value, value >= 0, "must be finite and at least 0")
        for name in ("channels", "cells"):
            value = getattr(self, name)
            require(f"objective.{name}", value, value >= 1, "must be at least 1")

    @property
    def enabled(self) -> bool:
        """Whether either factor is above 0."""
        return self.params > 0 or self.macs > 0


@dataclass(frozen=True)
class SizeObjective:
    """The expected size and its gradient, computed in float64 for alphas of any dtype.

    ``alphas`` are those of each kind of cell, (edges, operators), with the betas (edges,) of a weighted ``edge_rule``
    as ``beta_<kind>``: what :meth:`nas.models.supernet.Supernet.architecture` returns.
    """

    settings: ObjectiveSettings
    space: Space
    table: EdgeCosts
    edge_rule: EdgeRule = DARTS_EDGE

    def expected(self, alphas: Mapping[str, Tensor]) -> Tensor:
        """Return the expected (parameters, multiply-adds) of the derived network."""
        size = self.table.fixed
        for kind, alpha in mask_absent({kind: alphas[kind] for kind in self.space.kinds}, self.space).items():
            kept = keep_probabilities(alpha.double(), self.space, self._log_edge_weights(alphas, kind))
            size = size + (kept * self.table.edges[kind]).sum((1, 2))
        return size

    def _log_edge_weights(self, alphas: Mapping[str, Tensor], kind: str) -> Tensor | None:
        if not self.edge_rule.weighted:
            return None
        return self.edge_rule.edge_weights(alphas[f"beta_{kind}"].double(), self.space).log()

    def penalty(self, alphas: Mapping[str, Tensor]) -> Tensor:
        """Return the number that is added to the alpha loss."""
        expected = self.expected(alphas) / _UNIT
        return self.settings.params * expected[0] + self.settings.macs * expected[1]

    def add_gradients(self, gradients: Mapping[str, Tensor], alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``gradients`` of the validation loss plus those of the penalty, by kind of cell."""
        leaves = {kind: alpha.detach().requires_grad_() for kind, alpha in alphas.items()}
        added = torch.autograd.grad(self.penalty(leaves), list(leaves.values()), materialize_grads=True)
        return {kind: gradients[kind] + gradient for kind, gradient in zip(leaves, added, strict=True)}

    def figures(self, alphas: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the expected size under the names of the metrics."""
        with torch.no_grad():
            params, macs = self.expected(alphas).tolist()
        return {"expected_params": params, "expected_macs": macs}


def check_objective(settings: ObjectiveSettings, space: Space) -> None:
    """Raise :class:`InputError` if the objective is enabled but ``space`` has too many ways to derive a cell."""
    if settings.enabled:
        check_derivations(space)


def size_objective(
    settings: ObjectiveSettings,
    space: Space,
    num_classes: int,
    image_shape: Sequence[int],
    device: torch.device,
    edge_rule: EdgeRule = DARTS_EDGE,
) -> SizeObjective | None:
    """Return the objective for a search on images of ``image_shape``, or None (nothing is counted) if it is disabled.

    Raises :class:`InputError` as :func:`check_objective` does.
    """
    if not settings.enabled:
        return None
    check_objective(settings, space)
    table = edge_costs(space, settings.channels, settings.cells, num_classes, image_shape, device)
    return SizeObjective(settings, space, table, edge_rule)
