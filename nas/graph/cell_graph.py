"""The cell as a networkx graph: of a search space with every edge, of a genotype with the edges it keeps."""

import networkx as nx

from nas.graph.cell import CellGraph, cell_graph, empty_cell
from nas.graph.genotype import Genotype
from nas.graph.space import Space


def search_cell_graph(space: Space) -> CellGraph:
    """The cell that is searched: all edges of ``space.edges``, each with the attribute ``operators``.

    Nodes carry ``kind`` (input, intermediate or output) and ``label``, as in :func:`genotype_cell_graph`.
    """
    graph = empty_cell(space.inputs, space.intermediate_nodes)
    output = space.nodes - 1
    graph.add_edges_from((source, target, {"operators": space.operators}) for target, source in space.edges)
    graph.add_edges_from((source, output, {"operators": ()}) for source in range(space.inputs, output))
    return graph


def genotype_cell_graph(genotype: Genotype, cell: str) -> CellGraph:
    """The ``"normal"`` or ``"reduce"`` cell that is built: each edge has the attribute ``operator`` (empty at the end).

    Nodes carry ``kind`` (input, intermediate or output) and ``label``.
    """
    return cell_graph(genotype.nodes(cell), genotype.concat(cell), genotype.inputs)


def topological_order(graph: CellGraph) -> list[int]:
    """The nodes in an order in which each comes after its sources; of several such orders, by number."""
    return list(nx.lexicographical_topological_sort(graph))
