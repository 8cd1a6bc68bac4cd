"""DARTS- against the sums that it is defined by, and its auxiliary skips at their end."""

import pytest
import torch

import nas
from nas.models.execution.reference import reference_cell
from nas.search.methods import build_method

RULE = build_method("darts_minus").edge_rule


def test_beta_falls_from_one():
    assert [RULE.schedule(epoch, 50) for epoch in (0, 25, 49)] == pytest.approx([1.0, 0.5, 0.02])


@pytest.mark.parametrize("execution", ["reference", "fused", "batched"])
def test_without_beta_it_is_darts(execution):
    torch.manual_seed(0)
    net = nas.Supernet("tiny", 2, 3, execution=execution, edge_rule=RULE).double()
    plain = nas.Supernet("tiny", 2, 3, execution=execution).double()
    plain.load_state_dict({n: v for n, v in net.state_dict().items() if "edge_modules" not in n})
    x = torch.randn(3, 3, 8, 8).double()
    net.edge_value.fill_(0.0)
    torch.testing.assert_close(net(x), plain(x), rtol=0, atol=0)
    net.edge_value.fill_(0.5)
    assert (net(x) - plain(x)).abs().max() > 1e-3


def test_a_cell_as_its_definition_says():
    torch.manual_seed(0)
    net = nas.Supernet("tiny", 2, 3, edge_rule=RULE, execution="reference").double().eval()
    net.edge_value.fill_(0.25)
    cell = net.cells[1]  # reduces: edges from its inputs have stride 2
    states = [torch.randn(2, 8, 8, 8).double(), torch.randn(2, 8, 8, 8).double()]
    states = [torch.randn(2, m[1].in_channels, 8, 8).double() for m in cell.preprocess]
    mix = net._mixes(net.relaxation.of_inference)[cell.kind]
    nodes = [module(state) for module, state in zip(cell.preprocess, states, strict=True)]
    p = net.strengths()[cell.kind]
    for target in range(2, 4):
        terms = []
        for edge, (node, source) in enumerate(cell.edge_list):
            if node == target:
                x = nodes[source]
                terms += [p[edge, k] * op(x) for k, op in enumerate(cell.edges[edge].values())]
                aux = cell.edge_modules[str(edge)](x) if source < 2 else x
                terms.append(0.25 * aux)
        nodes.append(sum(terms))
    torch.testing.assert_close(reference_cell(cell, states, mix), torch.cat(nodes[2:], 1))


def test_the_auxiliary_reductions_are_weights_and_no_part_of_the_result():
    net = nas.Supernet("darts", 4, 3, edge_rule=RULE)
    assert any("edge_modules" in name for name in net.named_weights())
    assert nas.Network(net.genotype(), 4, 3)
