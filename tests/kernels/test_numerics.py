"""What single precision, NaN and infinity come to: no worse than in torch."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.build import load_library
from nas.kernels.node_sum import batch_norm, node_sum
from nas.kernels.node_sum_torch import Term, batch_norm_torch
from nas.kernels.pool import pool
from nas.models.execution.fusion_patterns import conv_units

compiled = pytest.mark.skipif(load_library()[0] is None, reason=f"no compiled kernels: {load_library()[1]}")
NAN, INF = math.nan, math.inf
CLAMPS = {"relu": ((0.0, INF), F.relu), "relu6": ((0.0, 6.0), F.relu6)}


def norm(channels):
    return nn.BatchNorm2d(channels, affine=False)


def assert_same_kind(actual, expected):
    """Compare finite values, and whether others are finite: which of NaN and infinity may differ."""
    finite = expected.isfinite()
    assert torch.equal(actual.isfinite(), finite)
    torch.testing.assert_close(actual[finite], expected[finite])


def _without_relu6_of_nan(grad, x, clamp):
    """Leave out what torch's relu6 has two answers to: the gradient at NaN is 0 in its vectors and 1 beside them."""
    return grad[~x.isnan()] if clamp == "relu6" else grad


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("clamp", [None, *CLAMPS])
@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_of_values_that_are_not_finite(value, clamp, train):
    limits, activation = CLAMPS.get(clamp, (None, lambda y: y))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    x[0, 1, 2, 3] = value
    x.requires_grad_()
    layer = norm(3).double().train(train)
    expected_layer, statistics = copy.deepcopy(layer), BatchNormStats()
    y, expected = batch_norm(x, [layer], limits, statistics), activation(expected_layer(x))
    if train:
        statistics.write()
    assert_same_kind(y, expected)
    grads = [torch.autograd.grad(out, x, torch.ones_like(x))[0] for out in (y, expected)]
    assert_same_kind(*(_without_relu6_of_nan(grad, x, clamp) for grad in grads))
    assert_same_kind(layer.running_mean, expected_layer.running_mean)
    assert_same_kind(layer.running_var, expected_layer.running_var)


@compiled
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("clamp", CLAMPS)
def test_a_clamp_hides_no_nan(value, clamp):
    """Before a convolution, without a BatchNorm that would spread it."""
    layers = [{"relu": nn.ReLU, "relu6": nn.ReLU6}[clamp](), nn.Conv2d(3, 3, 3, 1, 1, groups=3, bias=False).double()]
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    x[0, 1, 2, 3] = value
    x.requires_grad_()
    strengths = torch.ones(1, dtype=torch.float64)
    y, expected = node_sum([Term(x, units=conv_units(layers))], strengths, BatchNormStats()), layers[1](layers[0](x))
    assert_same_kind(y, expected)
    wanted = [x, layers[1].weight]
    grads, expected_grads = (torch.autograd.grad(out, wanted, torch.ones_like(y)) for out in (y, expected))
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        pair = (grad, expected_grad)
        assert_same_kind(*(_without_relu6_of_nan(g, x, clamp) if g.shape == x.shape else g for g in pair))


@compiled
@pytest.mark.parametrize("value", [NAN, INF])
def test_statistics_between_units_hide_no_nan(value):
    inner = norm(3).double()
    layers = [nn.Conv2d(3, 3, 1, bias=False).double(), inner, nn.ReLU(), nn.Conv2d(3, 3, 1, bias=False).double()]
    expected_layers, statistics = copy.deepcopy(layers), BatchNormStats()
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    x[0, 1, 2, 3] = value
    y = node_sum([Term(x, units=conv_units(layers))], torch.ones(1, dtype=torch.float64), statistics)
    statistics.write()
    assert_same_kind(y, nn.Sequential(*expected_layers)(x))
    assert_same_kind(inner.running_mean, expected_layers[1].running_mean)
    assert_same_kind(inner.running_var, expected_layers[1].running_var)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("values", [[NAN], [INF], [-INF], [NAN, INF, -INF], [-INF] * 60])
@pytest.mark.parametrize("layer", [nn.MaxPool2d, nn.AvgPool2d])
def test_pools_of_values_that_are_not_finite(layer, values, stride):
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    x[0, 1].view(-1)[: len(values)] = torch.tensor(values, dtype=torch.float64)[:30]
    x.requires_grad_()
    made = layer(3, stride, 1, **({} if layer is nn.MaxPool2d else {"count_include_pad": False}))
    y, expected = pool(made, x), made(x)
    torch.testing.assert_close(y, expected, equal_nan=True)
    grad_output = torch.randn_like(y)
    grads = [torch.autograd.grad(out, x, grad_output)[0] for out in (y, expected)]
    torch.testing.assert_close(*grads)


def errors(run, x, layers, grad_output):
    """Return the largest error of each gradient in single precision, of ``run`` and of torch."""
    gradients = []
    for dtype, function in ((torch.float64, run_torch), (torch.float32, run_torch), (torch.float32, run)):
        own = copy.deepcopy(layers).to(dtype)
        leaf = x.to(dtype).requires_grad_()
        y = function(own, leaf)
        gradients.append(torch.autograd.grad(y, [leaf, *own.parameters()], grad_output.to(dtype)))
    exact, theirs, ours = gradients
    return [
        (float((a - e).abs().max()), float((b - e).abs().max())) for e, a, b in zip(exact, ours, theirs, strict=True)
    ]


def run_torch(layers, x):
    return nn.Sequential(*layers)(x)


def run_units(layers, x):
    """Run the layers as one term of a sum, its last BatchNorm in the sum."""
    term = Term(x, layers[-1], units=conv_units(list(layers[:-1])))
    return node_sum([term], torch.ones(1), BatchNormStats())


def run_batch_norm(layers, x):
    return batch_norm(x, [layers[0]], None, BatchNormStats())


def two_valued(channels, size, mean):
    """Return (2, C, size, size): each channel has two values; gradients through its BatchNorm are almost zero."""
    signs = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)
    return (mean + signs * torch.rand(1, channels, 1, 1).add(0.5)).expand(2, channels, size, size).contiguous()


INPUTS = {
    "constant": lambda mean: torch.full((2, 4, 5, 5), mean) * torch.rand(1, 4, 1, 1),
    "two values": lambda mean: two_valued(4, 1, mean),
    "two values, many pixels": lambda mean: two_valued(4, 5, mean),
    "random": lambda mean: mean + torch.randn(4, 4, 5, 5),
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("mean", [0.0, 1.0, 100.0])
def test_batch_norm_gradients_in_single_precision(kind, mean):
    torch.manual_seed(0)
    x = INPUTS[kind](mean)
    for ours, theirs in errors(run_batch_norm, x, nn.ModuleList([norm(4)]), torch.randn_like(x)):
        assert ours <= 4 * theirs + 1e-5


@compiled
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("mean", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("first", [nn.Identity, nn.ReLU])
def test_chain_gradients_in_single_precision(kind, mean, first):
    torch.manual_seed(0)
    x = INPUTS[kind](mean)
    layers = nn.ModuleList(
        [nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False), nn.Conv2d(4, 4, 1, bias=False), norm(4), nn.ReLU6()]
    )
    layers.extend([nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False), nn.Conv2d(4, 4, 1, bias=False), norm(4)])
    if first is nn.ReLU:
        layers.insert(0, nn.ReLU())
    for ours, theirs in errors(run_units, x, layers, torch.randn_like(x)):
        assert ours <= 4 * theirs + 1e-5


def constant(channels, batch, height, width, dtype=torch.float32):
    torch.manual_seed(channels)
    return torch.randn(1, channels, 1, 1, dtype=dtype).expand(batch, channels, height, width).contiguous()


def spread(x):
    """Return how far the pixels of a channel lie apart."""
    return float((x - x[:1, :, :1, :1]).detach().abs().max())


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("channels", "out"), [(2, 2), (5, 7), (16, 16), (31, 33)])
def test_equal_pixels_stay_equal(channels, out, dtype):
    """Whether one, four or eight of them are computed at once: widths from 1 to 13."""
    layer = nn.Conv2d(channels, out, 1, bias=False).to(dtype)
    for width in range(1, 14):
        x = constant(channels, 2, 3, width, dtype).requires_grad_()
        y = node_sum([Term(x, units=conv_units([layer]))], torch.ones(1, dtype=dtype), BatchNormStats())
        (grad,) = torch.autograd.grad(y, x, constant(out, 2, 3, width, dtype))
        assert spread(y) == 0
        assert spread(grad) == 0


@compiled
@pytest.mark.parametrize("shape", [(7, 3, 5), (64, 16, 16)])
def test_batch_norm_of_constant_maps_is_zero(shape):
    """Neither the values nor the gradient of a constant map may depend on how many pixels were added up."""
    x = constant(5, *shape).add(1).requires_grad_()
    unit = nn.ModuleList([nn.Conv2d(5, 6, 1, bias=False), norm(6), nn.ReLU(), nn.Conv2d(6, 5, 1, bias=False), norm(5)])
    for run, layers in ((run_batch_norm, nn.ModuleList([norm(5)])), (run_units, unit)):
        y = run(layers, x)
        grads = torch.autograd.grad(y, [x, *layers.parameters()], constant(5, *shape))
        assert float(y.detach().abs().max()) == 0
        assert [float(grad.abs().max()) for grad in grads] == [0.0] * len(grads)


@pytest.mark.parametrize("scaled", [False, True])
def test_stock_torch_in_channels_last_sums_no_worse(scaled):
    """As in torch's own layout, where it sums in double: a constant map, and one with a constant gradient."""
    layer, scale = norm(4), torch.rand(4) if scaled else None
    for x, grad_output in (
        (constant(4, 64, 16, 16), torch.randn(64, 4, 16, 16)),
        (torch.randn(64, 4, 16, 16), constant(4, 64, 16, 16)),
    ):
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        exact = x.detach().double().contiguous().requires_grad_()
        expected = F.batch_norm(exact, None, None, None if scale is None else scale.double(), None, True)
        statistics = BatchNormStats()
        y = batch_norm_torch(x, layer, [layer], statistics, scale)
        expected_grad = torch.autograd.grad(expected, exact, grad_output.double())[0]
        grad = torch.autograd.grad(y, x, grad_output.contiguous(memory_format=torch.channels_last))[0]
        torch.testing.assert_close(y.double(), expected, atol=1e-5, rtol=1e-5)
        assert (grad - expected_grad).abs().max() <= 1e-5 * (1 + expected_grad.abs().max())
        layer.reset_running_stats()
        statistics.write()
        torch.testing.assert_close(layer.running_mean, 0.1 * x.mean((0, 2, 3)), atol=1e-6, rtol=1e-6)
