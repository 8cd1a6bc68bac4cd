"""One genotype within a supernet: the operators that :meth:`nas.models.supernet.Supernet.restrict` leaves for it."""

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.graph.genotype import Genotype
from nas.graph.space import Space


def kept_operators(genotype: Genotype, space: Space) -> dict[str, Tensor]:
    """Return the operators of ``genotype`` on the edges of ``space``, bool (edges, operators) by kind of cell.

    Raises :class:`InputError` if the space does not have one of them on its edge.
    """
    rows = {edge: row for row, edge in enumerate(space.edges)}
    kept = {}
    for kind in space.kinds:
        kept[kind] = torch.zeros(len(space.edges), len(space.operators), dtype=torch.bool)
        for node, edges in genotype.nodes(kind):
            for operator, source in edges:
                row = rows.get((node, source))
                if row is None or operator not in space.operators_on(kind, row):
                    raise InputError(f"{operator} on edge {node}←{source}: space {space.name} does not have it there")
                kept[kind][row, space.operators.index(operator)] = True
    return kept
