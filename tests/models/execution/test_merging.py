"""What the fast executions compute once for several operators or edges may really be computed once.

Each test holds a case in which two things look alike and differ, or the reason why their difference does not matter.
"""

from fractions import Fraction
from itertools import count

import pytest
import torch
from torch import nn

import nas
from nas.graph.genotype_yaml import genotype_from_yaml
from nas.ops.blocks import Residual
from nas.search.bilevel import architecture_gradients
from tests.helpers.executions import assert_equals_reference, images, small_supernet

SHIPPED = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sandglass_3x3_t6")


def norms(net):
    return [module for cell in net.cells for module in cell.edges.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("train", [True, False])
def test_running_statistics_that_differ_by_edge(train, fast_execution):
    """Pools of a node see one batch, so they share their moments in training; in evaluation each has its own."""
    assert_equals_reference(small_supernet(SHIPPED).train(train), fast_execution)


def set_eps(norm, index):
    norm.eps = 10.0**-index


def set_momentum(norm, index):
    norm.momentum = 1 / (2 + index)


def set_mode(norm, index):
    norm.train(index % 2 == 0)


@pytest.mark.parametrize("change", [set_eps, set_momentum, set_mode])
def test_batchnorms_that_differ_by_edge(change, fast_execution):
    net = small_supernet(SHIPPED)
    for index, norm in enumerate(norms(net)):
        change(norm, index % 5)
    assert_equals_reference(net, fast_execution)


@pytest.mark.parametrize("part", [nn.Conv2d, nn.Sequential, nn.ModuleDict])
def test_frozen_parts(part, fast_execution):
    """In evaluation mode and without gradients: every second module of the class, with all that it holds."""
    net = small_supernet(SHIPPED)
    for module in [module for module in net.cells.modules() if type(module) is part][::2]:
        module.eval().requires_grad_(False)
    assert_equals_reference(net, fast_execution)


def plain_norm(c):
    return nn.BatchNorm2d(c, affine=False)


def same_size(*layers):
    """The layers at stride 1, a skip connection at stride 2."""

    def build(channels, stride, affine):
        if stride == 2:
            return nn.Sequential(nn.Conv2d(channels, channels, 1, 2, bias=False))
        return Residual(nn.Sequential(*(layer(channels) for layer in layers)), channels, build.share)

    build.share = Fraction(1)
    return build


RESIDUALS = {
    "nothing": [],
    "identity": [lambda c: nn.Identity()],
    "a norm": [plain_norm],
    "a pool": [lambda c: nn.MaxPool2d(3, 1, 1)],
    "a pool and its norm": [lambda c: nn.AvgPool2d(3, 1, 1), plain_norm],
    "relu": [lambda c: nn.ReLU()],
    "one pixel, broadcast": [lambda c: nn.AdaptiveAvgPool2d(1), lambda c: nn.Conv2d(c, c, 1)],
    "conv": [lambda c: nn.Conv2d(c, c, 1, bias=False), plain_norm],
}


@pytest.mark.parametrize("share", [Fraction(1), Fraction(1, 2), Fraction(0)])
@pytest.mark.parametrize("kind", RESIDUALS)
def test_a_residual_keeps_its_shortcut(kind, share, register, fast_execution):
    build = same_size(*RESIDUALS[kind])
    build.share = Fraction(1) if "broadcast" in kind else share
    register("residual")(build)
    assert_equals_reference(small_supernet(["residual", "skip_connect"], channels=4), fast_execution)


def norm_alone(channels, stride, affine):
    return nn.Sequential(*([nn.MaxPool2d(2, 2, ceil_mode=True)] if stride == 2 else []), plain_norm(channels))


def norms_of_one_node(channels, stride, affine):
    return nn.Sequential(*([nn.AvgPool2d(1, 2)] if stride == 2 else []), nn.ReLU(), plain_norm(channels))


@pytest.mark.parametrize("build", [norm_alone, norms_of_one_node])
def test_batchnorms_of_the_same_feature_map(build, register, fast_execution):
    """Two operators with the same input and a BatchNorm each: one BatchNorm's term must not stand for both."""
    register("one")(build)
    register("two")(build)
    net = small_supernet(["one", "two", "skip_connect"])
    for index, norm in enumerate(norms(net)):
        norm.eps = 10.0 ** -(index % 3)
    for train in (True, False):
        assert_equals_reference(net.train(train), fast_execution)


@pytest.mark.parametrize("name", ["identity", "first", "pool", "relu", "sources"])
def test_an_operators_name_is_no_key(name, register, fast_execution):
    register(name, batchnorm_in_search=True)(lambda c, stride, affine: nn.AvgPool2d(3, stride, 1))
    assert_equals_reference(small_supernet([name, "skip_connect", "sandglass_3x3_t6_share1of2"]), fast_execution)


def test_operators_built_differently_by_edge(register, fast_execution):
    """A factory may count its calls; representations of average pools and residuals do not show how they differ."""
    calls = count()

    @register("varying")
    def varying(channels, stride, affine):
        call = next(calls)
        pool = nn.AvgPool2d(3, stride, 1, count_include_pad=call % 2 == 0, divisor_override=None if call % 3 else 5)
        if stride == 2:
            return pool
        return Residual(nn.Sequential(pool, plain_norm(channels)), channels, Fraction(call % 3, 2))

    assert_equals_reference(small_supernet(["varying", "skip_connect"], channels=4), fast_execution)


def test_one_module_on_several_edges(register, fast_execution):
    """Shared weights get all gradients, shared statistics move once for each edge."""
    shared = {}

    @register("tied")
    def tied(channels, stride, affine):
        conv = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        return shared.setdefault((channels, stride), nn.Sequential(nn.ReLU(), conv, plain_norm(channels)))

    assert_equals_reference(small_supernet(["tied", "max_pool_3x3"]), fast_execution)


def test_a_layer_twice_in_a_chain(register, fast_execution):
    @register("repeated")
    def repeated(channels, stride, affine):
        relu, conv, norm = nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False), plain_norm(channels)
        return nn.Sequential(nn.AvgPool2d(1, stride), relu, conv, norm, relu, conv, norm)

    assert_equals_reference(small_supernet(["repeated", "skip_connect"]), fast_execution)


@pytest.mark.parametrize("second", [lambda: nn.SiLU(inplace=True), lambda: nn.ReLU6(inplace=True)])
def test_a_change_in_place_of_a_shared_relu(second, register, fast_execution):
    """Allowed after the first layer; the ReLU of the node that other operators read must not change with it."""

    @register("second_in_place")
    def second_in_place(channels, stride, affine):
        return nn.Sequential(nn.ReLU(), second(), nn.Conv2d(channels, channels, 3, stride, 1, bias=False))

    net = small_supernet(["second_in_place", "sep_conv_3x3", "skip_connect"])
    edges = "{2: [[second_in_place, 0], [sep_conv_3x3, 0]], concat: [2]}"
    genotype = genotype_from_yaml(f"normal: {edges}\nreduce: {edges}\n", "here")
    network = nas.Network(genotype, 3, 3, auxiliary=False).double()
    for model, execution in ((net, fast_execution), (network, "fused")):
        logits = {}
        for model.execution in ("reference", execution):
            with torch.no_grad():  # torch's own backward pass refuses such a change
                logits[model.execution] = model(images()[0])
        torch.testing.assert_close(logits[execution], logits["reference"], rtol=1e-9, atol=1e-10)


NORMS = {
    "affine": lambda c: nn.BatchNorm2d(c),
    "cumulative": lambda c: nn.BatchNorm2d(c, affine=False, momentum=None),
    "no statistics": lambda c: nn.BatchNorm2d(c, affine=False, track_running_stats=False),
    "instance": lambda c: nn.InstanceNorm2d(c, track_running_stats=True),
    "group": lambda c: nn.GroupNorm(1, c),
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("kind", NORMS)
def test_other_norms(kind, train, register, fast_execution):
    @register("other_norm")
    def other_norm(channels, stride, affine):
        conv = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        return nn.Sequential(nn.ReLU(), conv, NORMS[kind](channels), nn.ReLU(), NORMS[kind](channels))

    net = small_supernet(["other_norm", "max_pool_3x3"]).train(train)
    assert_equals_reference(net, fast_execution)
    net.execution = fast_execution
    before = {name: value.clone() for name, value in net.state_dict().items()}
    architecture_gradients(net, images(), images(), 0.025, order=2)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("hook", [False, True])
def test_a_registered_batched_form_needs_modules_that_are_alike(hook, register):
    def together(modules, x):
        raise AssertionError("the modules differ: this form does not hold for them")

    register("own_form", batched=together)(lambda c, stride, affine: nn.Conv2d(c, c, 3, stride, 1))
    net = small_supernet(["own_form", "skip_connect"])
    for cell in net.cells:
        for edge in cell.edges:
            if hook:
                edge["own_form"].register_forward_hook(lambda module, inputs, y: 2 * y)
    if hook:
        assert_equals_reference(net, "batched")
        return
    net.execution = "batched"
    with pytest.raises(AssertionError, match="the modules differ"):
        net(images()[0])


def test_an_empty_batch(fast_execution):
    net = small_supernet(SHIPPED).eval()
    net.execution = fast_execution
    assert net(images()[0][:0]).shape == (0, 10)
