"""The exponentiated gradient of GAEA against its formula, with and without weights of the edges."""

import pytest
import torch

import nas
from nas.graph.space import Space
from nas.search.method import AlphaMove
from nas.search.methods import build_method

METHOD = build_method("gaea")


def test_an_update():
    torch.manual_seed(0)
    p, g = torch.softmax(torch.randn(3, 4).double(), 1), torch.randn(3, 4).double()
    p[1] = torch.tensor([0.0, 0.5, 0.5, 0.0])  # an edge that has two of the operators
    g[2, 0] = 200.0  # falls to the least strength
    alpha = p.clone()
    METHOD.alpha_update(AlphaMove({"normal": alpha}, {"normal": g}, {}, 0.1))
    for row in range(3):
        moved = [max(p[row, k] * torch.exp(-0.1 * g[row, k]), 1e-5) if p[row, k] else 0.0 for k in range(4)]
        assert alpha[row].tolist() == pytest.approx([float(value / sum(moved)) for value in moved])


def test_edge_weights_move_by_the_gradient_of_the_weight_itself():
    """w <- w exp(-lr dL/dw) / sum, written out with the derivative of L by w instead of beta."""
    space = Space("two", ("skip_connect",), intermediate_nodes=1)
    rule = build_method("pc_darts").edge_rule
    beta = torch.tensor([0.3, -0.5], dtype=torch.float64, requires_grad=True)
    w = rule.edge_weights(beta, space)
    loss = (w[0] ** 3 + 2 * w[1]).sum()
    (by_beta,) = torch.autograd.grad(loss, beta)
    by_weight = torch.stack([3 * w[0].detach() ** 2, torch.tensor(2.0).double()])
    wanted = w.detach() * torch.exp(-0.1 * by_weight)
    moved = beta.detach().clone()
    METHOD.alpha_update(AlphaMove({"beta_normal": moved}, {"beta_normal": by_beta}, {"normal": w.detach()}, 0.1))
    torch.testing.assert_close(rule.edge_weights(moved, space), wanted / wanted.sum())


def test_strengths_begin_uniform_over_what_an_edge_has():
    whole, two = ("none", "skip_connect", "sep_conv_3x3"), ("skip_connect", "sep_conv_3x3")
    names = dict.fromkeys(("normal", "reduce"), (two, whole))
    space = Space("own", whole, intermediate_nodes=1, edge_operators=names)
    net = nas.Supernet(space, 2, 3, relaxation=METHOD.relaxation)
    torch.testing.assert_close(net.strengths()["normal"].detach(), torch.tensor([[0, 1 / 2, 1 / 2], [1 / 3] * 3]))
