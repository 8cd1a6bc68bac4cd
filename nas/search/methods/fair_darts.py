"""FairDARTS (Chu et al., ECCV 2020, arXiv 1911.12126): operators that do not compete, and are driven to 0 or 1.

    strengths s = sigmoid(alpha);    alpha loss = L_val - weight * mean over all strengths of (s - 0.5)^2

The alphas begin at 0. Every node has the two edges with the largest strengths, each with its strongest operator, if
they are at least the threshold: a node may end with two edges, one or none. A node without edges is left out, with the
edges that leave it. If that leaves nothing of a cell, every node keeps its two strongest edges, and a line says so.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.terminal import print_warning
from nas.core.validation import require
from nas.graph.cell import ANY_EDGES, Cell, Edge
from nas.graph.derive import derive_nodes
from nas.graph.genotype import Genotype
from nas.models.relaxation import Relaxation
from nas.search.method import Method, NamedTensors, SearchView
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class FairDartsSettings:
    """``weight``: of the zero-one loss; ``threshold``: the least strength of an operator in the genotype."""

    weight: float = 10.0  # released code
    threshold: float = 0.85

    def __post_init__(self) -> None:
        require("methods.fair_darts.weight", self.weight, self.weight >= 0, "must be at least 0")
        require("methods.fair_darts.threshold", self.threshold, 0 <= self.threshold < 1, "must lie in 0..1, below 1")


def derive_above(strengths: list[list[float]], view: SearchView, kind: str, threshold: float) -> Cell | None:
    """Return the cell of the edges and operators whose strength is at least ``threshold``; None if none is left."""
    space = view.supernet.space
    rows = {edge: row for row, edge in enumerate(space.edges)}
    nodes: list[tuple[Edge, ...]] = []
    for number, edges in enumerate(derive_nodes(strengths, space, kind)):
        node = space.inputs + number
        kept = [
            (operator, source)
            for operator, source in edges
            if strengths[rows[node, source]][space.operators.index(operator)] >= threshold
            and (source < space.inputs or nodes[source - space.inputs])
        ]
        nodes.append(tuple(kept))
    concat = tuple(node for node in space.concat if node < space.inputs or nodes[node - space.inputs])
    return Cell(tuple(nodes), concat) if concat else None


@register_method(
    "fair_darts",
    settings=FairDartsSettings,
    changes={"batch_size": 128, "weights.lr": 0.005, "alphas.lr": 3e-3, "alphas.beta1": 0.9},
    paper="FairDARTS, arXiv 1911.12126",
    when="where operators of an edge should not compete; its cells may have fewer edges",
)
def fair_darts(settings: FairDartsSettings) -> Method:
    """Return sigmoid strengths, the zero-one loss, and the derivation by a threshold."""

    def zero_one(alphas: NamedTensors, epoch: int, epochs: int) -> Tensor:
        present = torch.cat([alpha[alpha != -torch.inf] for alpha in alphas.values()])
        return -settings.weight * ((torch.sigmoid(present) - 0.5) ** 2).mean()

    def select(view: SearchView) -> Genotype:
        cells = {}
        for kind, scores in view.supernet.scores().items():
            strengths = scores.detach().tolist()
            cell = derive_above(strengths, view, kind, settings.threshold)
            if cell is None:
                cell = derive_above(strengths, view, kind, 0.0)
                if view.epoch == view.epochs and view.memory.setdefault("fair_darts", {}).setdefault(kind, True):
                    view.memory["fair_darts"][kind] = False
                    print_warning(
                        f"{kind} cell: no strength reaches methods.fair_darts.threshold={settings.threshold}; "
                        "every node keeps its strongest edges"
                    )
            cells[kind] = cell
        space = view.supernet.space
        return Genotype(
            cells=cells,
            inputs=space.inputs,
            edges_per_node=ANY_EDGES,
            skeleton=space.skeleton,
            combine=space.combine,
        )

    relaxation = Relaxation(torch.sigmoid, initial=torch.zeros_like)
    return Method(relaxation=relaxation, penalties=(zero_one,), select=select)
