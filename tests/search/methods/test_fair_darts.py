"""FairDARTS: the zero-one loss and its gradient, and the derivation by a threshold."""

from types import SimpleNamespace

import pytest
import torch

import nas
from nas.search.method import SearchView
from nas.search.methods import build_method

METHOD = build_method("fair_darts")


def test_the_zero_one_loss():
    """d/dalpha = -(2 weight / N) (s - 0.5) s (1 - s), N the number of all strengths."""
    torch.manual_seed(0)
    alphas = {kind: torch.randn(14, 7, dtype=torch.float64, requires_grad=True) for kind in ("normal", "reduce")}
    value = METHOD.penalties[0](alphas, 0, 50)
    for alpha, found in zip(alphas.values(), torch.autograd.grad(value, alphas.values()), strict=True):
        s = torch.sigmoid(alpha.detach())
        torch.testing.assert_close(found, -20 / 196 * (s - 0.5) * s * (1 - s))


def test_alphas_begin_at_zero_and_operators_do_not_compete():
    net = nas.Supernet("tiny", 2, 3, relaxation=METHOD.relaxation)
    assert net.strengths()["normal"].tolist() == [[0.5] * 5] * 5


def derived(strong, capsys):
    """Return the genotype if the given (kind, edge, column) have strength 0.9, and the lines that were printed."""
    net = nas.Supernet("tiny", 2, 3, relaxation=METHOD.relaxation)
    with torch.no_grad():
        for kind, edge, column in strong:
            net.alphas()[kind][edge, column] = torch.tensor(9.0).log()
    view = SearchView(net, {}, 2, 2, SimpleNamespace(), lambda: None, lambda number: None, None, 0)
    genotype = METHOD.select(view)
    assert nas.Network(genotype, 4, 3).eval()(torch.zeros(1, 3, 8, 8)).shape == (1, 10)
    METHOD.select(view)  # says nothing again
    return genotype, capsys.readouterr().err


def test_nodes_keep_what_reaches_the_threshold(capsys):
    """Edges 0, 1 lead to node 2 and edges 2, 3, 4 to node 3, from 0, 1 and 2."""
    reduce = [("reduce", edge, 3) for edge in (0, 1, 2, 3)]
    genotype, lines = derived([("normal", 0, 3), ("normal", 4, 2), ("normal", 2, 0), *reduce], capsys)
    assert lines == ""
    nodes, concat = genotype.cells[0][1].nodes, genotype.cells[0][1].concat
    assert nodes == ((("sep_conv_3x3", 0),), (("max_pool_3x3", 2),))  # none is no operator to keep
    assert concat == (2, 3)


def test_a_node_without_edges_is_left_out_with_what_leaves_it(capsys):
    genotype, _ = derived([("normal", 4, 3), ("normal", 3, 3), ("reduce", 0, 1)], capsys)
    assert (genotype.cells[0][1].nodes, genotype.cells[0][1].concat) == (((), (("sep_conv_3x3", 1),)), (3,))
    assert (genotype.cells[1][1].nodes, genotype.cells[1][1].concat) == (((("skip_connect", 0),), ()), (2,))


def test_a_cell_that_would_be_empty_keeps_its_strongest_edges(capsys):
    genotype, lines = derived([("normal", 0, 3)], capsys)
    assert [len(edges) for edges in genotype.cells[1][1].nodes] == [2, 2]
    assert lines.count("\n") == 1
    assert "reduce cell: no strength reaches methods.fair_darts.threshold=0.85" in lines


@pytest.mark.parametrize("threshold", [0.85, 0.0])
def test_a_search(run_search, tmp_path, threshold):
    result = run_search(tmp_path, epochs=1, method="fair_darts", methods={"fair_darts": {"threshold": threshold}})
    assert nas.load_genotype(tmp_path / "genotype.yaml") == result.genotype
