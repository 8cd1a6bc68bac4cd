"""DARTS-PT (Wang et al., ICLR 2021, arXiv 2108.04392): operators chosen by what the supernet loses without them.

First the supernet is trained as in DARTS, or without any alpha step (``alphas=false``). Then, in the last part of the
epochs, one edge of each kind of cell after the other is decided: each of its operators is left out in turn, the others
keeping their strengths, and the one whose absence lowers the accuracy most (of the alphas' half, with the statistics of
each batch) remains alone. Between decisions weights and the other alphas train on. At last the nodes lose the incoming
edges whose absence costs least. The weights' learning rate begins anew, at a tenth of the settings'.

The paper has 50 epochs of DARTS and 81 of projection, 5 for each decision: the same parts of the epochs are taken here.
What is not decided in time, in a very short search, is decided at its end.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.engine.optimizer import WeightSettings
from nas.engine.schedules import cosine
from nas.graph.cell import count_edges
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.search.method import Method, SearchView
from nas.search.methods.registry import register_method

_MEMORY = "darts_pt"


@dataclass(frozen=True)
class DartsPtSettings:
    """``projection``: the last part of the epochs, with the decisions; ``criterion``: acc or loss."""

    alphas: bool = True
    projection: float = 81 / 131
    criterion: str = "acc"

    def __post_init__(self) -> None:
        require("methods.darts_pt.projection", self.projection, 0 < self.projection <= 1, "must lie in 0..1, above 0")
        require("methods.darts_pt.criterion", self.criterion, self.criterion in ("acc", "loss"), "must be acc or loss")

    def first(self, epochs: int) -> int:
        """Return the first epoch of the projection."""
        return max(1, epochs - round(self.projection * epochs))


def due_decisions(epoch: int, epochs: int, first: int, count: int) -> int:
    """Return how many of ``count`` decisions are due before ``epoch``: evenly from ``first`` to the last epoch."""
    span = epochs - 1 - first
    return sum(first + round(k * span / max(count - 1, 1)) <= epoch for k in range(count)) if span >= 0 else 0


def nodes_to_cut(space: Space) -> list[int]:
    """Return the nodes that have more edges than they keep."""
    nodes = range(space.inputs, space.nodes - 1)
    return [node for node in nodes if count_edges(node, space.edges_per_node) < node]


def decide_operator(view: SearchView, kept: dict[str, Tensor], kind: str, edge: int, criterion: str) -> None:
    """Leave on the edge the operator whose absence costs most, in place."""
    operators = view.supernet.space.operators
    losses = {}
    for column in torch.nonzero(kept[kind][edge]).flatten().tolist():
        if operators[column] != "none" and operators[column] in view.supernet.space.operators_on(kind, edge):
            losses[column] = _without(view, kind, (edge, column), criterion)
    kept[kind][edge] = False
    kept[kind][edge, max(losses, key=lambda column: losses[column])] = True


def cut_node(view: SearchView, kept: dict[str, Tensor], kind: str, node: int, criterion: str) -> None:
    """Leave at the node those edges whose absence costs most, in place."""
    space = view.supernet.space
    incoming = [edge for edge, (target, _) in enumerate(space.edges) if target == node]
    losses = {edge: _without(view, kind, (edge, slice(None)), criterion) for edge in incoming}
    best = sorted(incoming, key=lambda edge: -losses[edge])[: count_edges(node, space.edges_per_node)]
    for edge in set(incoming) - set(best):
        kept[kind][edge] = False


def _without(view: SearchView, kind: str, left_out: tuple[int, int | slice], criterion: str) -> float:
    """Return what the supernet loses if these strengths are 0: the larger, the worse."""
    strengths = {kind: p.detach().clone() for kind, p in view.supernet.strengths().items()}
    strengths[kind][left_out] = 0.0
    accuracy, loss = view.validation.accuracy(lambda alphas: strengths)
    return -accuracy if criterion == "acc" else loss


def take_decisions(view: SearchView, count: int, criterion: str) -> None:
    """Take decisions until ``count`` are taken: first one edge of each kind of cell, then one node."""
    space = view.supernet.space
    memory = view.memory.setdefault(_MEMORY, {"decided": 0})
    while memory["decided"] < count:
        number, kept = memory["decided"], view.kept
        for kind in space.kinds:
            if number < len(space.edges):
                order = list(range(len(space.edges)))
                random.Random(f"{view.seed} {kind}").shuffle(order)
                decide_operator(view, kept, kind, order[number], criterion)
            else:
                cut_node(view, kept, kind, nodes_to_cut(space)[number - len(space.edges)], criterion)
        view.restrict(kept)
        memory["decided"] += 1


def _decisions(space: Space) -> int:
    return len(space.edges) + len(nodes_to_cut(space))


@register_method(
    "darts_pt",
    settings=DartsPtSettings,
    paper="DARTS-PT, arXiv 2108.04392",
    error="2.61 ± 0.08",
    when="to derive from what the supernet does, not from the alphas; a longer search",
)
def darts_pt(settings: DartsPtSettings) -> Method:
    """Return DARTS whose operators are chosen by leaving them out of the trained supernet."""

    def event(view: SearchView) -> None:
        first, count = settings.first(view.epochs), _decisions(view.supernet.space)
        if view.epoch == first:
            view.restart_weights()
        take_decisions(view, due_decisions(view.epoch, view.epochs, first, count), settings.criterion)

    def select(view: SearchView) -> Genotype:
        if view.epoch == view.epochs:
            take_decisions(view, _decisions(view.supernet.space), settings.criterion)
        return view.supernet.genotype()

    def rate(weights: WeightSettings, epoch: int, epochs: int) -> float:
        first = settings.first(epochs)
        if epoch < first:
            return cosine(weights.lr, weights.lr_min, epoch / first)
        return cosine(weights.lr / 10, min(weights.lr_min, weights.lr / 10), (epoch - first) / (epochs - first))

    rests: tuple[Callable[[int, int], bool], ...] = () if settings.alphas else (lambda epoch, epochs: True,)
    return Method(on_epoch=(event,), select=select, weights_lr=rate, rests=rests)
