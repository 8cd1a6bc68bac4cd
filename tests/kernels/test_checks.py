"""No kernel reads memory of another shape, dtype, device or layout than it expects."""

import copy
import os

import pytest
import torch
from torch import nn

from nas.kernels import build, native
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.conv_chain import ConvUnit, Moments, chain_shapes
from nas.kernels.convolution import convolve, pointwise_conv
from nas.kernels.node_sum import batch_moments, batch_norm, node_sum
from nas.kernels.node_sum_torch import Term
from nas.kernels.pool import pool

compiled = pytest.mark.skipif(build.load_library()[0] is None, reason=f"no compiled kernels: {build.load_library()[1]}")


def norm(channels):
    return nn.BatchNorm2d(channels, affine=False)


def separable(channels=4, kernel=3, dilation=1):
    depthwise = nn.Conv2d(
        channels, channels, kernel, 1, dilation * (kernel // 2), dilation, groups=channels, bias=False
    )
    return ConvUnit(None, (0.0, float("inf")), depthwise, (nn.Conv2d(channels, channels, 1, bias=False),))


def image(*shape, **options):
    return torch.randn(*(shape or (2, 4, 5, 6)), **options)


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 4, 5, 6), (2, 4, 1, 1)],
        [(1, 4, 5, 6), (2, 4, 5, 6)],
        [(2, 1, 5, 6), (2, 4, 5, 6)],
        [(4, 5, 6), (2, 4, 5, 6)],
    ],
)
def test_terms_that_broadcast(shapes):
    xs = [image(*shape) for shape in shapes]
    strengths = torch.randn(len(xs))
    total = node_sum([Term(x) for x in xs], strengths, BatchNormStats())
    torch.testing.assert_close(total, sum(s * x for s, x in zip(strengths, xs, strict=True)))


@pytest.mark.parametrize("other", [(2, 2, 5, 6), (2, 4, 10, 12), (3, 4, 5, 6), (2, 4, 5, 7)])
@pytest.mark.parametrize("with_norm", [True, False])
def test_terms_that_do_not_broadcast(other, with_norm):
    terms = [Term(image(), norm(4) if with_norm else None), Term(image(*other), norm(other[1]) if with_norm else None)]
    with pytest.raises(RuntimeError, match="size of tensor"):
        node_sum(terms, torch.ones(2), BatchNormStats())


@compiled
@pytest.mark.parametrize("unit_first", [True, False])
def test_units_beside_a_term_of_another_shape(unit_first):
    unit, x, y = separable(), image(), image(2, 4, 1, 1)
    terms = [Term(x, units=(unit,)), Term(y)]
    total = node_sum(terms if unit_first else terms[::-1], torch.ones(2), BatchNormStats())
    torch.testing.assert_close(total, y + unit.pointwise[0](unit.depthwise(x.relu())))


def test_moments_are_recorded_once_if_another_term_does_not_fit():
    layer, x = norm(4), image()
    expected = copy.deepcopy(layer)
    statistics = BatchNormStats()
    moments = batch_moments(x, [layer], statistics)
    total = node_sum([Term(x, layer, moments=moments), Term(image(2, 4, 1, 1).zero_())], torch.ones(2), statistics)
    statistics.write()
    torch.testing.assert_close(total, expected(x))
    torch.testing.assert_close(layer.state_dict(), expected.state_dict())


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), ()])
def test_strengths_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"strengths: given .*wanted \(2,\)"):
        node_sum([Term(image()), Term(image())], torch.ones(shape), BatchNormStats())


def test_no_terms():
    with pytest.raises(ValueError, match="strengths"):
        node_sum([], torch.ones(0), BatchNormStats())


@pytest.mark.parametrize("shared", [-1, 5])
def test_more_shared_channels_than_there_are(shared):
    with pytest.raises(ValueError, match=f"shared={shared}: must lie in 0..4"):
        node_sum([Term(image(), shared=shared)], torch.ones(1), BatchNormStats())


@pytest.mark.parametrize("train", [True, False])
def test_a_batchnorm_of_another_size(train):
    layer = norm(3).train(train)
    with pytest.raises((ValueError, RuntimeError), match=r"given|expect|should contain"):
        node_sum([Term(image(), layer)], torch.ones(1), BatchNormStats())
    with pytest.raises((ValueError, RuntimeError), match=r"given|expect|should contain"):
        batch_norm(image(), [layer], None, BatchNormStats())


@compiled
def test_moments_of_another_size():
    with pytest.raises(ValueError, match="moments: given"):
        node_sum([Term(image(), norm(4), moments=Moments.empty(3))], torch.ones(1), BatchNormStats())


def _wrong_weight(unit):
    unit.pointwise[0].weight = nn.Parameter(torch.randn(4, 3, 1, 1))
    return unit


def _pruned(unit):
    unit.pointwise[0].weight = nn.Parameter(torch.randn(2, 4, 1, 1))
    return unit


def _wrong_depthwise(unit):
    unit.depthwise.weight = nn.Parameter(torch.randn(4, 1, 5, 5))
    return unit


@pytest.mark.parametrize(
    ("unit", "x"),
    [
        (separable(), image(2, 3, 5, 6)),
        (separable(), image(4, 5, 6)),
        (separable(), image(2, 4, 0, 6)),
        (separable(), image(0, 4, 5, 6)),
        (separable(), image(dtype=torch.float64)),
        (separable(), image(device="meta")),
        (separable(), image().to_sparse()),
        (separable(kernel=9), image()),
        (separable(dilation=10**9), image()),
        (_wrong_weight(separable()), image()),
        (_pruned(separable()), image()),
        (_wrong_depthwise(separable()), image()),
    ],
)
def test_units_that_do_not_fit(unit, x):
    assert chain_shapes([unit], x) is None
    with pytest.raises(ValueError, match="units that the kernels do not support"):
        node_sum([Term(x, units=(unit,))], torch.ones(1, dtype=x.dtype), BatchNormStats())


@compiled
def test_a_running_mean_of_another_size_between_units():
    first, second = separable(), separable()
    second = ConvUnit(norm(3).eval(), None, second.depthwise, second.pointwise)
    with pytest.raises(ValueError, match="BatchNorm between convolutions"):
        node_sum([Term(image(), units=(first, second))], torch.ones(1), BatchNormStats())


def test_a_layer_whose_weight_was_replaced_runs_as_torch_runs_it():
    layer = nn.Conv2d(4, 6, 1, bias=False)
    layer.weight = nn.Parameter(torch.randn(2, 4, 1, 1))
    assert convolve(layer, image()).shape == (2, 2, 5, 6)
    layer = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
    layer.weight = nn.Parameter(torch.randn(8, 1, 3, 3))
    x = image()
    torch.testing.assert_close(convolve(layer, x), layer(x))
    with pytest.raises(RuntimeError):
        pointwise_conv(image(), torch.randn(3, 5, 1, 1))


@pytest.mark.parametrize(
    "layer",
    [nn.MaxPool2d(3, -1, 1), nn.MaxPool2d(-1, 1, -1), nn.AvgPool2d(-1, 1, -1, count_include_pad=False)],
)
def test_pools_of_impossible_sizes(layer):
    with pytest.raises((RuntimeError, ValueError)):
        pool(layer, image())


class Doubled(nn.MaxPool2d):
    """A pool with a forward of its own."""

    def forward(self, x):
        """Return twice the maximum."""
        return 2 * super().forward(x)


def test_a_subclass_of_a_pool_runs_its_own_forward():
    x = image()
    assert torch.equal(pool(Doubled(3, 1, 1), x), 2 * nn.MaxPool2d(3, 1, 1)(x))


@compiled
@pytest.mark.parametrize("change", [lambda x: x[:1], lambda x: x.double(), lambda x: x.to("meta")])
def test_saved_tensors_that_a_hook_changed(change):
    x, unit = image().requires_grad_(), separable()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, change):
        y = node_sum([Term(x, norm(4), units=(unit,)), Term(x)], torch.ones(2), BatchNormStats())
        with pytest.raises(ValueError, match="saved tensor: given"):
            y.sum().backward()
        y = pool(nn.MaxPool2d(3, 1, 1), x)
        if change(torch.ones(2)).shape != (2,) or change(torch.ones(2)).is_meta:
            with pytest.raises(ValueError, match="saved argmax: given"):
                y.sum().backward()


@compiled
def test_saved_tensors_that_a_hook_moved():
    """A hook may return the same values in another memory format."""
    x, unit = image().requires_grad_(), separable()
    strengths = torch.ones(2, requires_grad=True)

    def gradients():
        y = node_sum([Term(x, norm(4), units=(unit,)), Term(x)], strengths, BatchNormStats())
        return torch.autograd.grad((y * y).sum(), [x, strengths, *unit.weights])

    expected = gradients()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.contiguous().clone(), lambda t: t):
        torch.testing.assert_close(gradients(), expected)


@compiled
def test_a_tensor_without_memory_is_refused():
    window = native.WindowSizes(2, 4, 5, 6, 5, 6, 3, 1, 1, 1)
    for x in (torch.empty(2, 4, 5, 6, device="meta"), torch._efficientzerotensor((2, 4, 5, 6))):
        with pytest.raises(ValueError, match="no memory"):
            native.call_kernel("average_pool_forward", torch.float32, x, window, torch.empty(2, 4, 5, 6))


@compiled
@pytest.mark.skipif("fsanitize" in os.environ.get("NAS_KERNELS_FLAGS", ""), reason="a sanitizer ends the process here")
@pytest.mark.parametrize("channels", [2**50, 2**62])
def test_too_little_memory_is_an_error_of_python(channels):
    addresses, sizes = native.pointer_array([None]), native.NodeSumSizes(1, 1, channels, 0, 0.0, 0.0)
    with pytest.raises(MemoryError, match="node_sum_forward"):  # before a single pixel is read
        native.call_kernel("node_sum_forward", torch.float32, sizes, addresses, *[None] * 7)
