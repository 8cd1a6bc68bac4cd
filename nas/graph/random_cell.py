"""Random genotypes of a space, uniform over what a derivation can produce, and their mutations."""

import itertools
import math
import random
from collections.abc import Mapping, Sequence

from nas.graph.cell import ANY_EDGES, Cell, count_edges
from nas.graph.genotype import Genotype
from nas.graph.space import Space

NodePicks = dict[int, tuple[str, ...]]  # of one node: the operators of each kept edge, by source


def random_genotype(space: Space, random_numbers: random.Random) -> Genotype:
    """Return a genotype, each that :func:`nas.graph.derive.derive` can produce with the same probability."""
    picks = {
        kind: [_random_node(space, kind, target, random_numbers) for target in range(space.inputs, space.nodes - 1)]
        for kind in space.kinds
    }
    return _genotype(picks, space)


def mutated_genotype(genotype: Genotype, space: Space, random_numbers: random.Random) -> Genotype:
    """Return a genotype with one pick changed: another operator on its edge, or its edge moved to another source.

    The pick is drawn uniformly, then the kind of change, then its result (arXiv 1802.01548, section 3.2, without the
    identity). An edge keeps its operators on its new source as far as that has them. A genotype that has no neighbor in
    the space is returned as it is.
    """
    picks = {kind: [_node_picks(edges) for _, edges in genotype.nodes(kind)] for kind in space.kinds}
    places = [(k, i, s, p) for k in picks for i, node in enumerate(picks[k]) for s in node for p in range(len(node[s]))]
    random_numbers.shuffle(places)
    for kind, index, source, position in places:
        node, target = picks[kind][index], space.inputs + index
        names = [name for name in _operators(space, kind, target, source) if name not in node[source]]
        sources = [other for other in range(target) if other not in node]
        if not names and not sources:
            continue
        if not sources or (names and random_numbers.random() < 0.5):
            node[source] = (*node[source][:position], random_numbers.choice(names), *node[source][position + 1 :])
        else:
            move = (source, random_numbers.choice(sources))
            picks[kind][index] = _moved(space, kind, target, node, move, random_numbers)
        break
    return _genotype(picks, space)


def _random_node(space: Space, kind: str, target: int, random_numbers: random.Random) -> NodePicks:
    """Return uniform picks: the sets of sources weighted by the number of choices of operators that they have."""
    count = count_edges(target, space.edges_per_node)
    choices = [
        math.comb(len(own), _kept(space, own))
        for own in (_operators(space, kind, target, source) for source in range(target))
    ]
    if len(set(choices)) == 1:
        sources: Sequence[int] = random_numbers.sample(range(target), count)
    else:
        sets = list(itertools.combinations(range(target), count))
        weights = [math.prod(choices[source] for source in chosen) for chosen in sets]
        (sources,) = random_numbers.choices(sets, weights)
    return {source: _random_operators(space, kind, target, source, random_numbers) for source in sorted(sources)}


def _random_operators(
    space: Space, kind: str, target: int, source: int, random_numbers: random.Random
) -> tuple[str, ...]:
    own = _operators(space, kind, target, source)
    return tuple(random_numbers.sample(own, _kept(space, own)))


def _operators(space: Space, kind: str, target: int, source: int) -> list[str]:
    """Return the operators that a derivation can choose on an edge."""
    own = space.operators_on(kind, space.edges.index((target, source)))
    return [name for name in own if name != "none" or space.keeps_none]


def _kept(space: Space, own: Sequence[str]) -> int:
    return min(space.operators_per_edge, len(own))


def _moved(
    space: Space, kind: str, target: int, node: NodePicks, move: tuple[int, int], random_numbers: random.Random
) -> NodePicks:
    old, new = move
    own = _operators(space, kind, target, new)
    names = node[old]
    if not set(names) <= set(own) or len(names) != _kept(space, own):
        names = _random_operators(space, kind, target, new, random_numbers)
    return dict(sorted([(source, picks) for source, picks in node.items() if source != old] + [(new, names)]))


def _node_picks(edges: Sequence[tuple[str, int]]) -> NodePicks:
    node: NodePicks = {}
    for operator, source in edges:
        node[source] = (*node.get(source, ()), operator)
    return node


def _genotype(picks: Mapping[str, Sequence[NodePicks]], space: Space) -> Genotype:
    cells = {
        kind: Cell(
            tuple(tuple((name, source) for source, names in node.items() for name in names) for node in nodes),
            space.concat,
        )
        for kind, nodes in picks.items()
    }
    return Genotype(
        cells=cells,
        inputs=space.inputs,
        edges_per_node=space.edges_per_node if space.operators_per_edge == 1 else ANY_EDGES,
        skeleton=space.skeleton,
        combine=space.combine,
    )
