"""Modules that are not exactly known are called as they are, by every execution: the reference is the judge.

Each altered module changes its output, so that an execution which skips the alteration differs in the logits.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm

import nas
from nas.models.execution.exact_modules import is_exactly, is_plain_batchnorm, is_sequential, layer_settings
from nas.ops.skip import FactorizedReduce
from tests.helpers.executions import assert_equals_reference, images, small_supernet, step

NAMES = ("sep_conv_3x3", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sandglass_3x3_t6", "conv_3x3")


class DoublePool(nn.MaxPool2d):
    def forward(self, x):
        return 2 * super().forward(x)


class HalfReLU(nn.ReLU):
    def forward(self, x):
        return 0.5 * super().forward(x)


class ShiftedNorm(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x) + 1


class Backwards(nn.Sequential):
    def forward(self, x):
        for layer in reversed(list(self)):
            x = layer(x)
        return x


class Twice(nn.Sequential):
    def __call__(self, x):
        return 2 * super().__call__(x)


class NegatedConv(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return -super()._conv_forward(x, weight, bias)


SUBCLASSES = {
    "pool": lambda c, stride, affine: DoublePool(3, stride, 1),
    "pool, norm": lambda c, stride, affine: nn.Sequential(DoublePool(3, stride, 1), nn.BatchNorm2d(c, affine=False)),
    "relu": lambda c, stride, affine: nn.Sequential(HalfReLU(), nn.Conv2d(c, c, 1, stride, bias=False)),
    "norm": lambda c, stride, affine: nn.Sequential(nn.Conv2d(c, c, 1, stride), ShiftedNorm(c, affine=False)),
    "sequential": lambda c, stride, affine: Backwards(nn.Conv2d(c, c, 1, stride), nn.ReLU()),
    "call": lambda c, stride, affine: Twice(nn.ReLU(), nn.Conv2d(c, c, 3, stride, 1, bias=False)),
    "conv": lambda c, stride, affine: nn.Sequential(nn.ReLU(), NegatedConv(c, c, 1, stride, bias=False)),
}


@pytest.mark.parametrize("kind", SUBCLASSES)
def test_a_subclass_runs_its_own_forward(kind, register, fast_execution):
    register("subclass")(SUBCLASSES[kind])
    assert_equals_reference(small_supernet(["subclass", "skip_connect"]), fast_execution)


def first(net, kind):
    """The first layer of the class in an operator."""
    return next(module for cell in net.cells for module in cell.edges.modules() if type(module) is kind)


def doubled(module, inputs, output):
    return 2 * output


def halved(module, inputs):
    return (inputs[0] / 2,)


def scaled_gradients(module, grad_input, grad_output):
    return tuple(None if grad is None else 3 * grad for grad in grad_input)


def patch_forward(module):
    forward = module.forward
    module.forward = lambda *inputs: 2 * forward(*inputs)


ALTERATIONS = {
    "forward hook": lambda module: module.register_forward_hook(doubled),
    "pre-forward hook": lambda module: module.register_forward_pre_hook(halved),
    "backward hook": lambda module: module.register_full_backward_hook(scaled_gradients),
    "backward pre-hook": lambda module: module.register_full_backward_pre_hook(lambda m, grads: (2 * grads[0],)),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
@pytest.mark.parametrize("kind", [nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.Sequential, nn.Identity])
def test_hooks_are_called(kind, alteration, fast_execution):
    net = small_supernet(NAMES, cells=1)
    plain = step(net, images())
    ALTERATIONS[alteration](first(net, kind))
    altered = assert_equals_reference(net, fast_execution)
    assert any(not torch.allclose(altered[name], plain[name]) for name in plain)


@pytest.mark.parametrize("kind", [nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.Sequential])
def test_a_forward_of_the_instance_is_called(kind, fast_execution):
    logits = {}
    for execution in ("reference", fast_execution):
        net = small_supernet(NAMES, nodes=1, cells=1)
        net.execution = execution
        patch_forward(first(net, kind))
        logits[execution] = net(images()[0])
    torch.testing.assert_close(logits[fast_execution], logits["reference"], rtol=1e-9, atol=1e-10)


REPARAMETRIZED = {
    "spectral norm": parametrizations.spectral_norm,
    "weight norm": parametrizations.weight_norm,
    "old spectral norm": old_spectral_norm,
    "old weight norm": old_weight_norm,
    "pruning": lambda conv: prune.l1_unstructured(conv, "weight", 0.5),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("kind", REPARAMETRIZED)
def test_reparametrized_weights(kind, register, fast_execution):
    @register("normed")
    def normed(channels, stride, affine):
        convs = [nn.Conv2d(channels, channels, 3, s, 1, groups=g, bias=False) for s, g in ((stride, channels), (1, 1))]
        return nn.Sequential(nn.ReLU(), *map(REPARAMETRIZED[kind], convs), nn.BatchNorm2d(channels, affine=affine))

    logits = {}
    for execution in ("reference", fast_execution):  # old-style ones cannot be copied after a pass
        net = small_supernet(["normed", "skip_connect"])
        net.execution = execution
        for _ in range(2):
            logits[execution] = step(net, images())
    for name, value in logits["reference"].items():
        torch.testing.assert_close(logits[fast_execution][name], value, rtol=1e-8, atol=1e-10)


def test_a_preprocessing_with_a_hook(fast_execution):
    net = small_supernet(NAMES, nodes=1, cells=2)
    net.cells[1].preprocess[0][0].register_forward_pre_hook(halved)
    assert_equals_reference(net, fast_execution)


def test_global_hooks_see_every_module(fast_execution):
    net = small_supernet(NAMES, nodes=1, cells=1)
    net.execution = fast_execution
    called = set()
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: called.add(module))
    try:
        net(images()[0])
        assert_equals_reference(net, fast_execution)
    finally:
        handle.remove()
    leaves = {module for module in net.modules() if type(module) in (nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d)}
    assert leaves <= called


def test_hooks_registered_between_passes_count(fast_execution):
    net = small_supernet(NAMES, nodes=1, cells=1)
    net.execution = fast_execution
    plain = net(images()[0])
    first(net, nn.Conv2d).register_forward_hook(doubled)
    assert not torch.allclose(net(images()[0]), plain)


@pytest.mark.parametrize("alteration", ["forward hook", "backward hook"])
@pytest.mark.parametrize("kind", [nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.AvgPool2d, nn.Sequential])
def test_a_network_calls_hooks(kind, alteration):
    edges = "[('sep_conv_3x3', 0), ('avg_pool_3x3', 1)]"
    net = nas.Network(nas.load_genotype(f"Genotype(normal={edges}, reduce={edges})"), 3, 3, auxiliary=False).double()
    plain = step(net, images())
    module = next(m for cell in net.cells for m in cell.operators.modules() if type(m) is kind)
    ALTERATIONS[alteration](module)
    altered = assert_equals_reference(net, "fused")
    assert any(not torch.allclose(altered[name], plain[name]) for name in plain)


def test_what_is_exactly_known():
    relu, norm = nn.ReLU(), nn.BatchNorm2d(2, affine=False)
    assert is_exactly(relu, nn.ReLU)
    assert not is_exactly(HalfReLU(), nn.ReLU)
    relu.forward = F.relu
    assert not is_exactly(relu, nn.ReLU)
    assert is_plain_batchnorm(norm)
    for other in (
        nn.BatchNorm2d(2),
        nn.BatchNorm2d(2, affine=False, momentum=None),
        nn.BatchNorm2d(2, affine=False, track_running_stats=False),
        ShiftedNorm(2, affine=False),
        None,
    ):
        assert not is_plain_batchnorm(other)
    assert is_sequential(FactorizedReduce(2, 2, False))
    assert not is_sequential(Backwards())
    assert not is_sequential(Twice())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
        (nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1, ceil_mode=True)),
        (nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1, divisor_override=2)),
        (nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(3, 1, 1, ceil_mode=True)),
        (nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3, bias=False)),
        (nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3, padding="same")),
        (nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3, dilation=2)),
        (nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3, groups=2)),
        (nn.BatchNorm2d(2, affine=False), nn.BatchNorm2d(2, affine=False, eps=1e-3)),
        (nn.BatchNorm2d(2, affine=False), nn.BatchNorm2d(2, affine=False).eval()),
        (nn.ReLU(), nn.ReLU6()),
    ],
)
def test_settings_tell_layers_apart(one, other):
    """Two layers may run as one only if their settings are equal."""
    assert None is not layer_settings(one) != layer_settings(other) is not None
    assert layer_settings(one) == layer_settings(one)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(3, return_indices=True),
        nn.GELU(),
        nn.BatchNorm2d(2),
    ],
)
def test_layers_without_settings_are_not_known(layer):
    assert layer_settings(layer) is None
