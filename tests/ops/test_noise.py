"""The noise operator: its distribution, its independence of the input, the same draws on both sides of order 2."""

import pytest
import torch

import nas
from nas.graph.space import Space
from nas.ops.registry import operators


@pytest.mark.parametrize(("stride", "shape"), [(1, (64, 3, 17, 16)), (2, (64, 3, 9, 8))])
def test_noise_is_standard_normal_and_ignores_the_input(stride, shape):
    module = operators["noise"].build(3, stride, True)
    x = torch.full((64, 3, 17, 16), 1e6)
    torch.manual_seed(0)
    y = module(x)
    assert y.shape == shape
    assert abs(y.mean()) < 5 / y.numel() ** 0.5
    assert y.std().item() == pytest.approx(1, abs=0.02)
    assert not torch.equal(y, module(x))  # drawn anew in every pass, also in evaluation
    torch.manual_seed(0)
    assert torch.equal(y, module(-x))


def test_the_second_order_of_a_supernet_with_noise_sees_one_draw():
    """With lr near 0 both orders agree; other noise on one side would add a difference over 2R, far larger."""
    space = Space("noisy", ("noise", "conv_1x1"), 2, 1, 2)
    torch.manual_seed(0)
    net = nas.Supernet(space, 2, 3, execution="reference").double()
    batches = [(torch.randn(4, 3, 8, 8).double(), torch.arange(4)) for _ in range(2)]
    found = []
    for lr in (1e-6, 2e-6):
        torch.manual_seed(1)
        found.append(nas.architecture_gradients(net, *batches, lr=lr, order=2)["normal"])
    scale = float(found[0].abs().max())
    torch.testing.assert_close(found[0], found[1], atol=1e-3 * scale, rtol=0)


def test_retraining_accepts_noise():
    space = nas.load_space("s4")
    cell = nas.Supernet(space, 2, 3).genotype()
    network = nas.Network(cell, 2, 3, 10)
    assert network.eval()(torch.randn(2, 3, 8, 8)).shape == (2, 10)


def test_the_edges_of_s1_have_two_operators_each():
    space = nas.load_space("s1")
    for kind in space.kinds:
        assert {len(space.operators_on(kind, edge)) for edge in range(14)} == {2}
    assert space.operators_on("normal", space.edges.index((4, 0))) == ("max_pool_3x3", "skip_connect")
    assert space.operators_on("reduce", space.edges.index((4, 1))) == ("max_pool_3x3", "sep_conv_3x3")
    pairs = [nas.load_space(name).operators for name in ("s2", "s3", "s4")]
    assert [set(pair) - {"sep_conv_3x3"} for pair in pairs] == [{"skip_connect"}, {"none", "skip_connect"}, {"noise"}]
