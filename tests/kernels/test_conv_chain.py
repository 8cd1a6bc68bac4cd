"""Links, run by the compiled kernels where those are, against the same layers run by torch in double precision."""

import copy

import pytest
import torch
from torch import nn

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.build import load_library
from nas.kernels.conv_chain import chain_supported, run_chain_torch
from nas.kernels.node_sum import Term, node_sum
from nas.models.execution.fusion_patterns import conv_units
from nas.ops.skip import FactorizedPointwise

COMPILED = load_library()[0] is not None  # without them stock torch runs the links


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


# Of `channels` at stride 1, always to `channels` again.
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
    "halves behind a norm": lambda c: [pointwise(c, 5), norm(5), nn.ReLU6(), FactorizedPointwise(5, c)],
}
SIZES = [(4, 5, (7, 4)), (17, 16, (8, 8)), (3, 24, (3, 9)), (2, 3, (1, 2)), (18, 34, (2, 2))]  # B, C, (H, W)


def built(recipe, channels, train=True):
    return [layer.double().train(train) for layer in recipe(channels)]


def by_torch(layers, last, x):
    for layer in layers:
        x = layer(x)
    return x if last is None else last(x)


def compare(recipes, channels, size, images, train=True, identity=False, last=True):
    """A weighted sum of chains from one node, and of the node itself: outputs, all gradients, running statistics."""
    torch.manual_seed(1)
    x = (2 * torch.randn(images, channels, *size, dtype=torch.float64) + 0.5).requires_grad_()
    ours = nn.ModuleList(nn.ModuleList(built(recipe, channels, train)) for recipe in recipes)
    norms = nn.ModuleList(norm(channels).double().train(train) for _ in recipes)
    theirs, their_norms = copy.deepcopy(ours), copy.deepcopy(norms)
    strengths = torch.randn(len(recipes) + identity, dtype=torch.float64, requires_grad=True)

    statistics = BatchNormStats()
    terms = [
        Term(x, end if last else None, units=conv_units(list(layers))) for layers, end in zip(ours, norms, strict=True)
    ]
    assert all(term.units and chain_supported(term.units, x) == COMPILED for term in terms)
    found = node_sum([*terms, *([Term(x)] if identity else [])], strengths, statistics)
    statistics.write()

    outputs = [by_torch(layers, end if last else None, x) for layers, end in zip(theirs, their_norms, strict=True)]
    outputs += [x] if identity else []
    wanted = sum(strength * y for strength, y in zip(strengths, outputs, strict=True))
    torch.testing.assert_close(found, wanted)
    slope = torch.randn_like(wanted)
    gradients = torch.autograd.grad(found, [x, strengths, *ours.parameters()], slope)
    expected = torch.autograd.grad(wanted, [x, strengths, *theirs.parameters()], slope)
    torch.testing.assert_close(gradients, expected)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    torch.testing.assert_close(norms.state_dict(), their_norms.state_dict())


@pytest.mark.parametrize(("images", "channels", "size"), SIZES)
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain(name, images, channels, size):
    compare([CHAINS[name]], channels, size, images)


@pytest.mark.parametrize(("images", "channels", "size"), SIZES)
@pytest.mark.parametrize("name", HALVING)
def test_a_chain_that_halves(name, images, channels, size):
    compare([HALVING[name]], channels, size, images)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("train", [True, False])
def test_several_from_one_node(train, last):
    compare(list(CHAINS.values()), 6, (5, 6), 3, train, identity=True, last=last)
    compare(list(HALVING.values()), 6, (5, 6), 3, train, last=last)


def test_a_slice_of_a_gradient():
    """Nodes of a cell get slices of the gradient by their concatenation."""
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    layers = built(CHAINS["twice"], 4)
    one = torch.ones(1, dtype=torch.float64)
    slope = torch.randn(3, 8, 5, 5, dtype=torch.float64).to(memory_format=torch.channels_last)

    def gradient(y):
        return torch.autograd.grad(torch.cat([x, y], dim=1), [x, *nn.ModuleList(layers).parameters()], slope)

    wanted = gradient(by_torch(layers, None, x))
    torch.testing.assert_close(gradient(node_sum([Term(x, units=conv_units(layers))], one, BatchNormStats())), wanted)


def test_the_node_itself_twice():
    """As the identity, and as a share of its channels, beside a chain: three gradients that meet in one."""
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64, requires_grad=True)
    layers = built(CHAINS["separable"], 6)
    strengths = torch.randn(3, dtype=torch.float64)
    found = node_sum([Term(x), Term(x, units=conv_units(layers)), Term(x, shared=2)], strengths, BatchNormStats())
    a, b, c = strengths
    wanted = a * x + b * by_torch(layers, None, x) + c * torch.cat([x[:, :2], torch.zeros_like(x[:, 2:])], dim=1)
    torch.testing.assert_close(found, wanted)
    slope = torch.randn_like(x)
    torch.testing.assert_close(torch.autograd.grad(found, x, slope), torch.autograd.grad(wanted, x, slope))


@pytest.mark.parametrize("asked", ["even", "odd"])
def test_one_weight_of_two(asked):
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    halves = FactorizedPointwise(6, 7).double()
    for name, weight in halves.named_parameters():
        weight.requires_grad_(name.startswith(asked))
    weight = getattr(halves, asked).weight
    one = torch.ones(1, dtype=torch.float64)
    found = node_sum([Term(x, units=conv_units([halves]))], one, BatchNormStats())
    slope = torch.randn_like(found)
    wanted = torch.autograd.grad(halves(x), weight, slope)
    torch.testing.assert_close(torch.autograd.grad(found, weight, slope), wanted)


def test_weights_in_any_layout():
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    deep, point = layers = built(lambda c: [depthwise(c), pointwise(c, 4)], 6)
    deep.weight = nn.Parameter(deep.weight.data.transpose(2, 3).contiguous().transpose(2, 3))
    point.weight = nn.Parameter(point.weight.data.transpose(0, 1).contiguous().transpose(0, 1))
    assert not deep.weight.is_contiguous()
    assert not point.weight.is_contiguous()
    found = node_sum([Term(x, units=conv_units(layers))], torch.ones(1, dtype=torch.float64), BatchNormStats())
    wanted = by_torch(layers, None, x)
    torch.testing.assert_close(found, wanted)
    slope, weights = torch.randn_like(wanted), [deep.weight, point.weight]
    expected = torch.autograd.grad(wanted, weights, slope)
    torch.testing.assert_close(torch.autograd.grad(found, weights, slope), expected)


def test_large_means_do_not_cancel():
    """The moments that a BatchNorm behind a link sees, in single precision, far from zero."""
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


@pytest.mark.skipif(not COMPILED, reason="no compiled kernels here")
@pytest.mark.parametrize("name", ["twice", "sandglass"])
def test_any_number_of_threads_gives_the_same(name):
    def result(threads):
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        layers = [layer.float() for layer in built(CHAINS[name], 16)]
        x = torch.randn(19, 16, 9, 9, requires_grad=True)
        y = node_sum([Term(x, norm(16), units=conv_units(layers))], torch.ones(1), BatchNormStats())
        return [y, *torch.autograd.grad(y.square().sum(), [x, *nn.ModuleList(layers).parameters()])]

    before = torch.get_num_threads()
    try:
        one, three = result(1), result(3)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))


@pytest.mark.parametrize("name", [*CHAINS, "halves"])
def test_torch_runs_links_where_the_kernels_cannot(name):
    layers = built(CHAINS.get(name) or HALVING[name], 6)
    x = torch.randn(3, 6, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(run_chain_torch(conv_units(layers), x, BatchNormStats()), by_torch(layers, None, x))


def test_a_single_pixel_is_refused():
    layers = built(CHAINS["twice"], 4)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        node_sum(
            [Term(torch.randn(1, 4, 1, 1).double(), units=conv_units(layers))], torch.ones(1).double(), BatchNormStats()
        )


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [nn.ReLU()],
        [norm(4), pointwise(4, 4)],  # whose mean nothing has taken
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
def test_what_is_no_chain_of_links(layers):
    assert conv_units(layers) == ()


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_reduction_to_one_channel_is_no_link():
    """Nothing is made of the even pixels there."""
    assert conv_units([FactorizedPointwise(4, 1)]) == ()
