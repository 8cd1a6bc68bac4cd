"""Widths of a drawing's edges: the strengths of the picked operators at the end of a search."""

from collections.abc import Mapping, Sequence

from nas.graph.genotype import Genotype
from nas.graph.space import Space

EdgeWidths = Mapping[tuple[str, int, int, str], float]  # by kind, node, source, operator; 1: usual

NARROWEST, WIDEST = 0.4, 4.0


def edge_widths(genotype: Genotype, strengths: Mapping[str, Sequence[Sequence[float]]], space: Space) -> EdgeWidths:
    """Return the width of each edge of ``genotype``: its strength, as a multiple of that of equally strong operators.

    ``strengths`` are (edges, operators) by kind of cell. Edges that are not in the space have the usual width.
    """
    rows = {edge: row for row, edge in enumerate(space.edges)}
    columns = {operator: column for column, operator in enumerate(space.operators)}
    return {
        (kind, node, source, operator): min(
            max(strengths[kind][rows[node, source]][columns[operator]] * len(columns), NARROWEST), WIDEST
        )
        for kind in genotype.kinds
        if kind in strengths
        for node, edges in genotype.nodes(kind)
        for operator, source in edges
        if (node, source) in rows and operator in columns
    }
