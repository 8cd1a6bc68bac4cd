import networkx as nx
import pytest

from nas.graph.cell_graph import genotype_cell_graph, search_cell_graph, topological_order
from nas.graph.space import Space
from nas.graph.space_file import list_spaces, read_space
from nas.graph.zoo import list_cells, load_genotype


def kinds(graph):
    return [kind for _, kind in sorted(graph.nodes(data="kind"))]


@pytest.mark.parametrize("name", [file.name for file in list_spaces()])
def test_search_cell_of_every_space(name):
    space = read_space(name)
    graph = search_cell_graph(space)
    output = space.nodes - 1
    assert [(target, source) for target, source in space.edges] == sorted(
        (target, source) for source, target in graph.edges() if target != output
    )
    own = {edge: space.operators_on(space.kinds[0], row) for row, edge in enumerate(space.edges)}
    assert all(
        operators == own[target, source]
        for source, target, operators in graph.edges(data="operators")
        if target != output
    )
    assert nx.is_directed_acyclic_graph(graph)
    assert topological_order(graph) == list(range(space.nodes))


def test_a_search_cell_of_another_size():
    graph = search_cell_graph(Space("mine", ("a", "b"), inputs=3, intermediate_nodes=2, edges_per_node=1))
    assert kinds(graph) == ["input"] * 3 + ["intermediate"] * 2 + ["output"]
    labels = [label for _, label in graph.nodes(data="label")]
    assert labels == ["0: c_{k-3}", "1: c_{k-2}", "2: c_{k-1}", "3", "4", "c_{k}"]
    assert graph.number_of_edges() == 3 + 4 + 2


@pytest.mark.parametrize("cell", ["normal", "reduce"])
@pytest.mark.parametrize("name", list_cells())
def test_graph_of_every_shipped_cell(name, cell):
    genotype = load_genotype(name)
    graph = genotype_cell_graph(genotype, cell)
    output = genotype.inputs + len(genotype.nodes(cell))
    assert topological_order(graph) == list(range(output + 1))
    assert kinds(graph) == ["input"] * 2 + ["intermediate"] * (output - 2) + ["output"]
    for number, edges in genotype.nodes(cell):
        assert [(operator, source) for source, _, operator in graph.in_edges(number, data="operator")] == list(edges)
    assert tuple(graph.predecessors(output)) == genotype.concat(cell)
    assert {operator for *_, operator in graph.in_edges(output, data="operator")} == {""}


def test_parallel_edges_are_kept():
    assert genotype_cell_graph(load_genotype("nasnet"), "normal").number_of_edges(0, 5) == 2


def test_the_default_cell_has_seven_nodes():
    assert len(search_cell_graph(read_space("darts"))) == 7


def test_unknown_cells_are_refused(refused):
    refused("cell='both': unknown cell; allowed: normal, reduce", genotype_cell_graph, load_genotype("nasnet"), "both")
