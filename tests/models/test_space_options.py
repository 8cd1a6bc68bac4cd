"""What a space can say besides its operators and sizes: supernet, network and genotype follow it."""

import pytest
import torch
from torch import nn

import nas
from nas.graph.space import Space
from nas.models.cell_mix import cell_mix
from nas.models.execution.reference import reference_cell
from tests.helpers.executions import assert_equals_reference, images

NAMES = ("none", "skip_connect", "avg_pool_3x3", "sep_conv_3x3")
LISTS = [["skip_connect", "sep_conv_3x3"], ["avg_pool_3x3"], list(NAMES), ["none", "avg_pool_3x3"], ["sep_conv_3x3"]]
SPACES = {
    "mean": Space("mean", NAMES, intermediate_nodes=2, combine="mean"),
    "last": Space("last", NAMES, intermediate_nodes=2, edges_per_node="all", output="last"),
    "all": Space("all", NAMES, intermediate_nodes=2, edges_per_node="all"),
    "as_retrained": Space("as_retrained", NAMES, intermediate_nodes=2, operators_as_retrained=True),
    "by_edge": Space("by_edge", NAMES, intermediate_nodes=2, edge_operators={"normal": LISTS, "reduce": LISTS[::-1]}),
}


@pytest.fixture(params=SPACES)
def supernet(request):
    torch.manual_seed(0)
    net = nas.Supernet(SPACES[request.param], channels=2, cells=3, execution="reference").double()
    for alpha in net.alphas().values():
        nn.init.normal_(alpha)
    return net


def test_executions_are_equal(supernet, fast_execution):
    assert_equals_reference(supernet, fast_execution)


def test_the_cell_as_its_definition_says(supernet):
    """Nodes as sums over the edges and operators that the space has, written out with loops."""
    supernet.eval()
    space, cell = supernet.space, supernet.cells[0]
    x = torch.randn(2, 6, 6, 5, dtype=torch.float64)
    strengths = supernet.strengths()["normal"].detach()
    nodes = [module(x) for module in cell.preprocess]
    for target in (2, 3):
        terms = []
        for source in range(target):
            row = space.edges.index((target, source))
            own = space.operators_on("normal", row)
            assert strengths[row].sum().item() == pytest.approx(1)
            assert set(cell.edges[row]) == set(own)
            columns = [space.operators.index(name) for name in own]
            terms += [strengths[row, k] * cell.edges[row][n](nodes[source]) for n, k in zip(own, columns, strict=True)]
        nodes.append(sum(terms) / (target if space.combine == "mean" else 1))
    expected = nodes[3] if space.output == "last" else torch.cat(nodes[2:], 1)
    torch.testing.assert_close(reference_cell(cell, [x, x], cell_mix(strengths)), expected, rtol=1e-12, atol=1e-12)


def test_the_network_of_the_derived_cells_runs(supernet):
    genotype = supernet.genotype()
    assert genotype.combine == supernet.space.combine
    assert genotype.normal_concat == supernet.space.concat
    network = nas.Network(genotype, channels=2, cells=3).double()
    assert network(images()[0]).shape == (3, 10)
    assert nas.load_genotype(repr_of(genotype)) == genotype


def repr_of(genotype):
    from nas.graph.tuple_notation import format_tuple_notation

    return format_tuple_notation(genotype)


def test_absent_operators_have_neither_strength_nor_gradient():
    torch.manual_seed(0)
    net = nas.Supernet(SPACES["by_edge"], channels=2, cells=3)
    absent = torch.tensor([[name not in own for name in NAMES] for own in LISTS])
    assert net.strengths()["normal"][absent].tolist() == [0.0] * int(absent.sum())
    net(images()[0].float()).sum().backward()
    assert not net.alphas()["normal"].grad[absent].any()
    assert net.alphas()["normal"].grad[~absent].any()


def test_a_network_takes_the_mean_of_the_edges_of_a_node():
    edges = [("skip_connect", 0), ("skip_connect", 1)]
    cells = {kind: ([edges], [2]) for kind in ("normal", "reduce")}
    network = nas.Network(nas.Genotype(cells=cells, combine="mean"), channels=2, cells=3).double().eval()
    cell, x = network.cells[0], torch.randn(1, 6, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(cell([x, x]), (cell.preprocess[0](x) + cell.preprocess[1](x)) / 2)


def test_a_node_without_edges_is_zero_and_an_edge_may_have_two_operators():
    nodes = [[], [("avg_pool_3x3", 0), ("skip_connect", 0)]]
    cells = {kind: (nodes, [2, 3]) for kind in ("normal", "reduce")}
    network = nas.Network(nas.Genotype(cells=cells, edges_per_node="any"), channels=2, cells=3).eval()
    cell, x = network.cells[1], torch.randn(1, 4, 5, 3)  # a reduction cell
    other = torch.randn(1, 6, 5, 3)
    y = cell([other, x])
    assert y.shape == (1, 8, 3, 2)
    assert not y[:, :4].any()
    first = cell.preprocess[0](other)
    torch.testing.assert_close(y[:, 4:], cell.operators[0](first) + cell.operators[1](first))
