"""Chains of units run by the compiled kernels against the same layers run by torch, in double precision."""

import copy

import pytest
import torch
from torch import nn

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.build import load_library
from nas.kernels.conv_chain import chain_shapes
from nas.kernels.node_sum import node_sum
from nas.kernels.node_sum_torch import Term
from nas.models.execution.fusion_patterns import conv_units
from nas.ops.skip import FactorizedPointwise

compiled = pytest.mark.skipif(load_library()[0] is None, reason=f"no compiled kernels: {load_library()[1]}")


def norm(channels):
    layer = nn.BatchNorm2d(channels, affine=False)
    nn.init.normal_(layer.running_mean)
    nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return layer


def depthwise(channels, kernel=3, stride=1, dilation=1):
    padding = dilation * (kernel // 2)
    return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, channels, bias=False)


def pointwise(channels, out):
    return nn.Conv2d(channels, out, 1, bias=False)


# At stride 1, from `c` channels to as many.
CHAINS = {
    "depthwise": lambda c: [depthwise(c)],
    "pointwise": lambda c: [pointwise(c, c)],
    "separable": lambda c: [nn.ReLU(), depthwise(c, 5), pointwise(c, c)],
    "dilated": lambda c: [nn.ReLU(), depthwise(c, 5, 1, 2), pointwise(c, c)],
    "wide": lambda c: [nn.ReLU6(), depthwise(c, 7), pointwise(c, c)],
    "twice": lambda c: [
        *(nn.ReLU(), depthwise(c), pointwise(c, c), norm(c)),
        *(nn.ReLU(), depthwise(c), pointwise(c, c)),
    ],
    "no norm between": lambda c: [depthwise(c), depthwise(c), pointwise(c, 3), pointwise(3, c)],
    "sandglass": lambda c: [
        *(depthwise(c), norm(c), nn.ReLU6(), pointwise(c, 2), norm(2), pointwise(2, c), norm(c)),
        *(nn.ReLU6(), depthwise(c)),
    ],
    "inverted": lambda c: [
        *(pointwise(c, 6 * c), norm(6 * c), nn.ReLU6(), depthwise(6 * c), norm(6 * c), nn.ReLU6()),
        pointwise(6 * c, c),
    ],
}
HALVING = {
    "depthwise": lambda c: [depthwise(c, 3, 2)],
    "separable": lambda c: [nn.ReLU(), depthwise(c, 5, 2), pointwise(c, c), norm(c), nn.ReLU(), depthwise(c)],
    "dilated": lambda c: [nn.ReLU(), depthwise(c, 3, 2, 2), pointwise(c, c)],
    "halves": lambda c: [nn.ReLU(), FactorizedPointwise(c, c)],
    "halves after a norm": lambda c: [pointwise(c, 5), norm(5), nn.ReLU6(), FactorizedPointwise(5, c)],
}
SIZES = [(4, 5, (7, 4)), (17, 16, (8, 8)), (3, 24, (3, 9)), (2, 3, (1, 2)), (18, 34, (2, 2))]  # B, C, (H, W)


def build_layers(recipe, channels, train=True):
    return [layer.double().train(train) for layer in recipe(channels)]


def run_torch(layers, last, x):
    for layer in layers:
        x = layer(x)
    return x if last is None else last(x)


def compare(recipes, channels, size, images, train=True, identity=False, last=True):
    """Compare a weighted sum of chains and an identity: outputs, all gradients, running statistics."""
    torch.manual_seed(1)
    x = (2 * torch.randn(images, channels, *size, dtype=torch.float64) + 0.5).requires_grad_()
    layers_list = nn.ModuleList(nn.ModuleList(build_layers(recipe, channels, train)) for recipe in recipes)
    norms = nn.ModuleList(norm(channels).double().train(train) for _ in recipes)
    torch_layers, torch_norms = copy.deepcopy(layers_list), copy.deepcopy(norms)
    strengths = torch.randn(len(recipes) + identity, dtype=torch.float64, requires_grad=True)

    statistics = BatchNormStats()
    terms = [
        Term(x, end if last else None, units=conv_units(list(layers)))
        for layers, end in zip(layers_list, norms, strict=True)
    ]
    assert all(chain_shapes(term.units, x) for term in terms)
    found = node_sum([*terms, *([Term(x)] if identity else [])], strengths, statistics)
    statistics.write()

    outputs = [
        run_torch(layers, end if last else None, x) for layers, end in zip(torch_layers, torch_norms, strict=True)
    ]
    outputs += [x] if identity else []
    wanted = sum(strength * y for strength, y in zip(strengths, outputs, strict=True))
    torch.testing.assert_close(found, wanted)
    grad_output = torch.randn_like(wanted)
    gradients = torch.autograd.grad(found, [x, strengths, *layers_list.parameters()], grad_output)
    expected = torch.autograd.grad(wanted, [x, strengths, *torch_layers.parameters()], grad_output)
    torch.testing.assert_close(gradients, expected)
    torch.testing.assert_close(layers_list.state_dict(), torch_layers.state_dict())
    torch.testing.assert_close(norms.state_dict(), torch_norms.state_dict())


@pytest.mark.parametrize(("images", "channels", "size"), SIZES)
@pytest.mark.parametrize("name", CHAINS)
@compiled
def test_chain(name, images, channels, size):
    compare([CHAINS[name]], channels, size, images)


@pytest.mark.parametrize(("images", "channels", "size"), SIZES)
@pytest.mark.parametrize("name", HALVING)
@compiled
def test_chain_with_stride_2(name, images, channels, size):
    compare([HALVING[name]], channels, size, images)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("train", [True, False])
@compiled
def test_several_chains_from_one_node(train, last):
    compare(list(CHAINS.values()), 6, (5, 6), 3, train, identity=True, last=last)
    compare(list(HALVING.values()), 6, (5, 6), 3, train, last=last)


@compiled
def test_gradient_that_is_a_slice():
    """The nodes of a cell get slices of the gradient of their concatenation."""
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    layers = build_layers(CHAINS["twice"], 4)
    one = torch.ones(1, dtype=torch.float64)
    grad_output = torch.randn(3, 8, 5, 5, dtype=torch.float64).to(memory_format=torch.channels_last)

    def gradient(y):
        return torch.autograd.grad(torch.cat([x, y], dim=1), [x, *nn.ModuleList(layers).parameters()], grad_output)

    wanted = gradient(run_torch(layers, None, x))
    torch.testing.assert_close(gradient(node_sum([Term(x, units=conv_units(layers))], one, BatchNormStats())), wanted)


@compiled
def test_identity_and_shared_channels_beside_a_chain():
    """Three gradients by the same tensor are added up."""
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64, requires_grad=True)
    layers = build_layers(CHAINS["separable"], 6)
    strengths = torch.randn(3, dtype=torch.float64)
    found = node_sum([Term(x), Term(x, units=conv_units(layers)), Term(x, shared=2)], strengths, BatchNormStats())
    a, b, c = strengths
    wanted = a * x + b * run_torch(layers, None, x) + c * torch.cat([x[:, :2], torch.zeros_like(x[:, 2:])], dim=1)
    torch.testing.assert_close(found, wanted)
    grad_output = torch.randn_like(x)
    torch.testing.assert_close(torch.autograd.grad(found, x, grad_output), torch.autograd.grad(wanted, x, grad_output))


@compiled
@pytest.mark.parametrize("trained", ["even", "odd"])
def test_gradient_of_one_weight_of_two(trained):
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    halves = FactorizedPointwise(6, 7).double()
    for name, weight in halves.named_parameters():
        weight.requires_grad_(name.startswith(trained))
    weight = getattr(halves, trained).weight
    one = torch.ones(1, dtype=torch.float64)
    found = node_sum([Term(x, units=conv_units([halves]))], one, BatchNormStats())
    grad_output = torch.randn_like(found)
    wanted = torch.autograd.grad(halves(x), weight, grad_output)
    torch.testing.assert_close(torch.autograd.grad(found, weight, grad_output), wanted)


@compiled
def test_weights_in_any_layout():
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    deep, point = layers = build_layers(lambda c: [depthwise(c), pointwise(c, 4)], 6)
    deep.weight = nn.Parameter(deep.weight.data.transpose(2, 3).contiguous().transpose(2, 3))
    point.weight = nn.Parameter(point.weight.data.transpose(0, 1).contiguous().transpose(0, 1))
    assert not deep.weight.is_contiguous()
    assert not point.weight.is_contiguous()
    found = node_sum([Term(x, units=conv_units(layers))], torch.ones(1, dtype=torch.float64), BatchNormStats())
    wanted = run_torch(layers, None, x)
    torch.testing.assert_close(found, wanted)
    grad_output, weights = torch.randn_like(wanted), [deep.weight, point.weight]
    expected = torch.autograd.grad(wanted, weights, grad_output)
    torch.testing.assert_close(torch.autograd.grad(found, weights, grad_output), expected)


@compiled
def test_large_means_do_not_cancel():
    """The moments of a unit's output in single precision, far from zero."""
    torch.manual_seed(0)
    x = 1000 + torch.randn(8, 4, 9, 9)
    layer, end = pointwise(4, 4), nn.BatchNorm2d(4, affine=False, momentum=1.0)
    nn.init.eye_(layer.weight.data[:, :, 0, 0])
    statistics = BatchNormStats()
    with torch.no_grad():
        node_sum([Term(x, end, units=conv_units([layer]))], torch.ones(1), statistics)
    statistics.write()
    torch.testing.assert_close(end.running_var.double(), x.double().var((0, 2, 3)), rtol=1e-4, atol=0)
    torch.testing.assert_close(end.running_mean.double(), x.double().mean((0, 2, 3)), rtol=1e-6, atol=0)


@compiled
@pytest.mark.parametrize("name", ["twice", "sandglass"])
def test_results_do_not_depend_on_the_number_of_threads(name):
    def result(threads):
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        layers = [layer.float() for layer in build_layers(CHAINS[name], 16)]
        x = torch.randn(19, 16, 9, 9, requires_grad=True)
        y = node_sum([Term(x, norm(16), units=conv_units(layers))], torch.ones(1), BatchNormStats())
        return [y, *torch.autograd.grad(y.square().sum(), [x, *nn.ModuleList(layers).parameters()])]

    before = torch.get_num_threads()
    try:
        one, three = result(1), result(3)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))


@compiled
def test_a_single_pixel_is_refused():
    layers = build_layers(CHAINS["twice"], 4)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        node_sum(
            [Term(torch.randn(1, 4, 1, 1).double(), units=conv_units(layers))], torch.ones(1).double(), BatchNormStats()
        )


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [nn.ReLU()],
        [norm(4), pointwise(4, 4)],  # no unit has computed its moments
        [pointwise(4, 4), norm(4)],  # a last norm belongs to the sum
        [pointwise(4, 4), nn.ReLU(), norm(4), pointwise(4, 4)],
        [nn.Conv2d(4, 4, 1)],  # a bias
        [nn.Conv2d(4, 4, 3, padding=1, bias=False)],
        [nn.ReLU(), nn.ReLU6(), pointwise(4, 4)],
        [depthwise(4, 9)],
        [pointwise(4, 4), nn.BatchNorm2d(4), pointwise(4, 4)],  # with scale and shift
        [nn.GELU(), pointwise(4, 4)],
    ],
)
def test_layers_that_are_no_chain_of_units(layers):
    assert conv_units(layers) == ()


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_reduction_to_one_channel_is_no_unit():
    """It has no output channel for the even pixels."""
    assert conv_units([FactorizedPointwise(4, 1)]) == ()
