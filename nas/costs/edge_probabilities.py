"""Probabilities that a sampled derivation keeps an edge, and with which operator.

:func:`nas.graph.derive.derive_cell` keeps, at each node, the edge with the largest strength p(e, o) other than that
of ``none``, and its operator o, then repeats this among the remaining edges until ``edges_per_node`` are kept. Here
each choice is sampled in proportion to the strengths instead, which is the derivation applied to strengths with
Gumbel noise on their logarithms (Plackett–Luce). With the weight of an edge w(e) = 1 - p(e, none), and W the sum of
the weights at the node:

    an edge is kept with  pi(e)    = sum over the orders e1, e2, … containing e of  w(e1)/W · w(e2)/(W - w(e1)) · …
    with the operator     p(o | e) = p(e, o) / w(e),  the softmax over the operators other than none
    hence                 P(e, o)  = pi(e) · p(o | e),  and sum of pi(e) at a node = edges_per_node.

A search whose edges have weights of their own (PC-DARTS) is derived by the product of both: w(e) is then multiplied
by that weight.

If one operator has all the strength on the edges that a node keeps, and ``none`` has it on the others, P is 1 for
what the derivation chooses and 0 elsewhere. Edges of equal strength are kept equally often, whereas the derivation
takes those with the lower sources; this applies to one-hot alphas on more edges than a node keeps, and always in a
space without ``none``, in which all w are 1. A node with at most ``edges_per_node`` edges keeps them all. A space
that keeps all edges derives ``none`` as any other operator: there P(e, o) = p(e, o).

Everything is computed in the logarithmic domain: finite alphas give finite values and gradients at any scale.
"""

import functools
from itertools import combinations
from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.errors import InputError
from nas.graph.space import Space

_MAX_SETS = 20_000  # of kept edges at one node; DARTS' last node has 10


def check_derivations(space: Space) -> None:
    """Raise :class:`InputError` if a node can keep its edges in too many ways to sum over."""
    if space.operators_per_edge > 1:
        rule = "allowed: spaces that keep one operator per edge"
        raise InputError(
            f"space={space.name}: the expected size cannot be computed, since an edge keeps "
            f"{space.operators_per_edge} operators; {rule}"
        )
    if isinstance(space.edges_per_node, str):
        return
    edges, kept = space.nodes - 2, space.edges_per_node  # at the last node
    ways = comb(edges, kept)
    if ways > _MAX_SETS:
        raise InputError(
            f"space={space.name}: the expected size cannot be computed, since the last node keeps {kept} of {edges} "
            f"edges in {ways:,} ways; allowed: at most {_MAX_SETS:,}"
        )


def keep_probabilities(alpha: Tensor, space: Space, log_edge_weights: Tensor | None = None) -> Tensor:
    """Return P(e, o), of shape (edges, operators) like the alphas of one kind of cell; differentiable.

    ``log_edge_weights`` (edges,) are logarithms of the weights that edges have besides their operators; None: all 1.

    It is 0 for ``none`` unless all edges are kept, and for operators whose alpha is -inf, which the edge does not have.
    ``space`` must pass :func:`check_derivations`.
    """
    if isinstance(space.edges_per_node, str):
        return alpha.softmax(1)
    among_operators = alpha.clone()
    log_weights = alpha.new_zeros(len(alpha))
    if "none" in space.operators:
        none = space.operators.index("none")
        among_operators[:, none].fill_(-torch.inf)
        log_weights = F.logsigmoid(among_operators.logsumexp(1) - alpha[:, none])
    if log_edge_weights is not None:
        log_weights = log_weights + log_edge_weights
    counts = list(range(space.inputs, space.nodes - 1))  # a node has an edge from every earlier one
    nodes = torch.split(log_weights, counts)
    kept = torch.cat([inclusion_probabilities(node, space.edges_per_node) for node in nodes])
    return kept[:, None] * among_operators.softmax(1)


def inclusion_probabilities(log_weights: Tensor, draws: int) -> Tensor:
    """Return the probability of each of n items to be among ``draws`` sampled by weight without replacement.

    ``log_weights`` (n,) -> (n,), which sums to ``draws``. The sum over all orders is computed set by set: a set is
    reached from each of its subsets with one member fewer, with that member's share of the remaining weight.
    """
    n = len(log_weights)
    drawn = torch.zeros(1, n, dtype=torch.bool, device=log_weights.device)  # (sets, n), at first the empty set
    probability = log_weights.new_ones(1)
    for sources, members in _set_transitions(n, draws, log_weights.device):
        shares = log_weights.masked_fill(drawn, -torch.inf).softmax(1)
        probability = (probability[:, None] * shares).flatten()[sources].sum(1)
        drawn = members
    return (probability / probability.sum()) @ drawn.to(probability.dtype)  # the sum is 1 up to rounding


@functools.cache
def _set_transitions(n: int, draws: int, device: torch.device) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return, for set sizes 1, 2, … ``draws``, the transitions that lead to each set of n items, and its members.

    Transitions (sets, size) are numbered ``index of the smaller set * n + member added``; members (sets, n) is True
    for the items in the set.
    """
    steps = []
    index_of: dict[tuple[int, ...], int] = {(): 0}
    for size in range(1, draws + 1):
        sets = list(combinations(range(n), size))
        sources = [[index_of[tuple(m for m in items if m != last)] * n + last for last in items] for items in sets]
        members = [[m in items for m in range(n)] for items in sets]
        steps.append((torch.tensor(sources, device=device), torch.tensor(members, device=device)))
        index_of = {items: index for index, items in enumerate(sets)}
    return tuple(steps)
