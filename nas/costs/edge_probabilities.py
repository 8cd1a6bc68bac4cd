"""The derivation with chance in it: how probable it is that an edge is kept, and with which operator.

:func:`nas.graph.derive.derive_cell` keeps, at each node, the edge that holds the largest strength p(e, o) other than
that of ``none``, with its operator o, then the same among the edges that are left, until ``edges_per_node`` are kept.
Here each of these choices is drawn instead, in proportion to the strengths: the derivation of strengths with Gumbel
noise on their logarithms (Plackett–Luce). With w(e) = 1 - p(e, none), the strength of an edge's operators together:

    an edge is kept with  pi(e)    = sum over the orders e1, e2, … that hold e of  w(e1)/W · w(e2)/(W - w(e1)) · …
    with the operator     p(o | e) = p(e, o) / w(e),  the softmax over the operators other than none
    hence                 P(e, o)  = pi(e) · p(o | e),  and a node keeps sum of pi(e) = edges_per_node edges.

Where one operator has all the strength on the edges that a node keeps, and ``none`` has it on the others, P is 1 for
what the derivation chooses and 0 for the rest. Edges that are equally strong are kept equally often, where the
derivation takes those of the lower sources: so it is with one-hot alphas on more edges than a node keeps, and always
in a space without ``none``, whose w are all 1. A node with no more edges than it keeps, keeps them all.

Everything is computed on logarithms: finite alphas give finite values and gradients, however far apart they lie.
"""

import functools
from itertools import combinations
from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.errors import InputError
from nas.graph.space import Space

MAX_SETS = 20_000  # of kept edges at one node; DARTS' last node has 10


def check_derivations(space: Space) -> None:
    """Raise :class:`InputError` where a node can keep its edges in more ways than can be summed over."""
    most, kept = space.nodes - 2, space.edges_per_node  # edges that the last node has, and keeps
    if comb(most, kept) > MAX_SETS:
        ways = f"keeps {kept} of {most} edges in {comb(most, kept)} ways, at most {MAX_SETS} can be summed over"
        raise InputError(f"space {space.name}: the last node {ways}: its expected size cannot be computed")


def keep_probabilities(alpha: Tensor, space: Space) -> Tensor:
    """P(e, o), shaped as the alphas of one kind of cell: (edges, operators), differentiable; 0 for ``none``.

    ``space`` is one that :func:`check_derivations` lets pass.
    """
    among_operators = alpha.clone()
    log_weights = alpha.new_zeros(len(alpha))
    if "none" in space.operators:
        none = space.operators.index("none")
        among_operators[:, none].fill_(-torch.inf)
        log_weights = F.logsigmoid(among_operators.logsumexp(1) - alpha[:, none])
    counts = list(range(space.inputs, space.nodes - 1))  # a node has an edge from every earlier one
    kept = torch.cat([inclusion(node, space.edges_per_node) for node in torch.split(log_weights, counts)])
    return kept[:, None] * among_operators.softmax(1)


def inclusion(log_weights: Tensor, draws: int) -> Tensor:
    """How probable each of n things is to be among the ``draws`` drawn without putting back, in proportion to weights.

    ``log_weights`` (n,) -> (n,), which sums to ``draws``. The sum over all orders is taken set by set: the probability
    of having drawn a set is that of all but one of it, times that one's share in the weights that were left.
    """
    n = len(log_weights)
    drawn = torch.zeros(1, n, dtype=torch.bool, device=log_weights.device)  # (sets, n), here the empty one
    probability = log_weights.new_ones(1)
    for before, after in _growth(n, draws, log_weights.device):
        shares = log_weights.masked_fill(drawn, -torch.inf).softmax(1)
        probability = (probability[:, None] * shares).flatten()[before].sum(1)
        drawn = after
    return (probability / probability.sum()) @ drawn.to(probability.dtype)  # they sum to 1, but for the rounding


@functools.cache
def _growth(n: int, draws: int, device: torch.device) -> tuple[tuple[Tensor, Tensor], ...]:
    """For the sets of 1, 2, … ``draws`` of n things: where they come from, and their members.

    (sets, size) holds the numbers ``index of the set before * n + member added``; (sets, n) is True for members.
    """
    steps = []
    places: dict[tuple[int, ...], int] = {(): 0}
    for size in range(1, draws + 1):
        sets = list(combinations(range(n), size))
        before = [[places[tuple(m for m in one if m != last)] * n + last for last in one] for one in sets]
        members = [[m in one for m in range(n)] for one in sets]
        steps.append((torch.tensor(before, device=device), torch.tensor(members, device=device)))
        places = {one: index for index, one in enumerate(sets)}
    return tuple(steps)
