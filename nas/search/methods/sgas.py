"""SGAS (Li et al., CVPR 2020, arXiv 1912.00195): edges that are decided one after the other during the search.

With p the strengths of an edge, q those without ``none``, divided by their sum, and n(.) the min-max over all edges of
a kind of cell:

    importance I = 1 - p(none),   certainty S = 1 - H(q) / log(operators),   stability T = mean over the last epochs of
    sum over o of min(q, q_old);        criterion 1: n(I) n(S),        criterion 2: n(I) n(S) n(T)

The undecided edge with the largest value keeps its strongest operator alone. When a node has as many decided edges as
it keeps, its others are removed. The paper decides before epochs 9, 14, … 44 of 50; here the decisions are spread over
the epochs in the same way. The batches do not grow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.graph.cell import count_edges
from nas.graph.space import Space
from nas.models.absent_operators import mask_absent
from nas.search.method import Method, SearchView
from nas.search.methods.registry import register_method
from nas.search.methods.simplex import spread

_MEMORY = "sgas"


@dataclass(frozen=True)
class SgasSettings:
    """``history``: the epochs whose strengths the stability of criterion 2 looks at; ``start``: the part before."""

    criterion: int = 1
    history: int = 4  # released code
    start: float = 0.18  # released code: 9 of 50 epochs

    def __post_init__(self) -> None:
        require("methods.sgas.criterion", self.criterion, self.criterion in (1, 2), "must be 1 or 2")
        require("methods.sgas.history", self.history, self.history >= 1, "must be at least 1")
        require("methods.sgas.start", self.start, 0 <= self.start < 1, "must lie in 0..1, below 1")


def edge_scores(strengths: Tensor, past: Sequence[Tensor], space: Space, criterion: int) -> Tensor:
    """Return the criterion (edges,) of the strengths (edges, operators); ``past`` are those of earlier epochs."""
    q = without_none(strengths, space)
    importance = strengths.new_ones(len(strengths))
    if "none" in space.operators:
        importance = 1 - strengths[:, space.operators.index("none")]
    entropy = -(q * torch.where(q > 0, q, 1.0).log()).sum(1)
    certainty = 1 - entropy / (q > 0).sum(1).clamp_min(2).log()
    score = _min_max(importance) * _min_max(certainty)
    if criterion == 2:
        overlaps = [torch.minimum(q, without_none(old, space)).sum(1) for old in past]
        score = score * _min_max(torch.stack(overlaps).mean(0) if overlaps else torch.zeros_like(score))
    return score


def without_none(strengths: Tensor, space: Space) -> Tensor:
    """Return the strengths (edges, operators) without ``none``, each edge divided by its sum."""
    q = strengths.clone()
    if "none" in space.operators:
        q[:, space.operators.index("none")] = 0
    return q / q.sum(1, keepdim=True)


def _min_max(values: Tensor) -> Tensor:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else torch.ones_like(values)


def decide_edge(kept: Tensor, decided: list[int], scores: Tensor, q: Tensor, space: Space) -> None:
    """Decide the best open edge of a kind of cell, in place: ``kept`` (edges, operators), ``decided`` edges."""
    open_edges = [edge for edge in range(len(space.edges)) if edge not in decided and bool(kept[edge].any())]
    if not open_edges:
        return
    edge = max(open_edges, key=lambda e: float(scores[e]))  # of equal ones, the first
    kept[edge] = False
    kept[edge, int(q[edge].argmax())] = True
    decided.append(edge)
    target = space.edges[edge][0]
    siblings = [e for e, (node, _) in enumerate(space.edges) if node == target]
    if sum(e in decided for e in siblings) == count_edges(target, space.edges_per_node):
        for other in siblings:
            kept[other] &= other in decided


def decisions(space: Space) -> int:
    """Return how many edges of a kind of cell are to be decided."""
    return sum(count_edges(node, space.edges_per_node) for node in range(space.inputs, space.nodes - 1))


@register_method(
    "sgas",
    settings=SgasSettings,
    paper="SGAS, arXiv 1912.00195",
    error="2.66 ± 0.24",
    when="when searched and derived network should agree; it gets faster on the way",
)
def sgas(settings: SgasSettings) -> Method:
    """Return DARTS that decides its edges one after the other."""

    def decide(view: SearchView) -> None:
        space, net = view.supernet.space, view.supernet
        memory = view.memory.setdefault(_MEMORY, {"past": [], "decided": {kind: [] for kind in space.kinds}})
        alphas = mask_absent({kind: alpha.detach().cpu() for kind, alpha in net.alphas().items()}, space)
        strengths = {kind: net.relaxation.probabilities(alpha) for kind, alpha in alphas.items()}
        first = max(1, round(settings.start * view.epochs))
        due = sum(epoch <= view.epoch for epoch in spread(decisions(space), first, view.epochs))
        kept = view.kept
        for kind, p in strengths.items():
            scores = edge_scores(p, [old[kind] for old in memory["past"]], space, settings.criterion)
            while len(memory["decided"][kind]) < due:
                decide_edge(kept[kind], memory["decided"][kind], scores, without_none(p, space), space)
        if due:
            view.restrict(kept)
        memory["past"] = [*memory["past"], strengths][-settings.history :]

    return Method(on_epoch=(decide,))
