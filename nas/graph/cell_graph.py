"""Networkx graphs of the cell of a search space and of the cells of a genotype."""

import networkx as nx

from nas.graph.cell import CellGraph, build_cell_graph, empty_cell_graph
from nas.graph.genotype import Genotype
from nas.graph.space import Space


def search_cell_graph(space: Space, kind: str | None = None) -> CellGraph:
    """Return the searched cell of a kind, by default the first: its edges have the attribute ``operators``.

    Nodes have ``kind`` (input, intermediate or output) and ``label``, as in :func:`genotype_cell_graph`.
    """
    graph = empty_cell_graph(space.inputs, space.intermediate_nodes)
    output = space.nodes - 1
    for edge, (target, source) in enumerate(space.edges):
        graph.add_edge(source, target, operators=space.operators_on(kind or space.kinds[0], edge))
    graph.add_edges_from((source, output, {"operators": ()}) for source in space.concat)
    return graph


def genotype_cell_graph(genotype: Genotype, cell: str) -> CellGraph:
    """Return the cell of a kind, such as ``"normal"``; each edge has the attribute ``operator`` (empty to the output).

    Nodes have ``kind`` (input, intermediate or output) and ``label``.
    """
    return build_cell_graph(genotype.nodes(cell), genotype.concat(cell), genotype.inputs)


def topological_order(graph: CellGraph) -> list[int]:
    """Return the nodes in topological order; ties are ordered by number."""
    return list(nx.lexicographical_topological_sort(graph))
