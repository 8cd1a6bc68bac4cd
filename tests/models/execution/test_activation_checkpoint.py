"""Cells computed once more in the backward pass, against cells that are kept: the same in float64."""

import copy

import pytest
import torch
from torch import nn

import nas
from nas.kernels import build
from nas.ops.registry import operators, register_operator
from nas.search.bilevel import architecture_gradients, weight_gradients


@pytest.fixture(params=["fused", "fused without kernels", "batched", "reference"])
def execution(request, monkeypatch):
    if request.param == "fused without kernels":
        monkeypatch.setattr(build, "load_library", lambda: (None, "off in this test"))
    return request.param.split()[0]


def pair(space, execution, train=True):
    torch.manual_seed(0)
    kept = nas.Supernet(space, 6, 3, execution=execution).double().train(train)
    for alpha in kept.alphas().values():
        nn.init.normal_(alpha)
    again = copy.deepcopy(kept)
    again.grad_checkpoint = True
    return kept, again


def batch(kind=torch.float64):
    return torch.randn(4, 3, 9, 7, dtype=kind), torch.randint(0, 10, (4,))


def assert_equal(found, wanted, tolerance=1e-10):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance)


def assert_same_steps(kept, again, order, kind=torch.float64, autocast=None):
    """The alphas' gradients, then a training pass."""
    one, other = batch(kind), batch(kind)
    found = [architecture_gradients(net, one, other, 0.025, order=order, autocast=autocast) for net in (kept, again)]
    assert_equal(found[1], found[0])
    assert_equal(again.state_dict(), kept.state_dict())
    found = []
    for net in (kept, again):
        _, logits, gradients = weight_gradients(net, one, autocast=autocast)
        found.append({"logits": logits, **gradients})
    assert_equal(found[1], found[0])
    assert_equal(again.state_dict(), kept.state_dict())


@pytest.mark.parametrize(("train", "order"), [(True, 2), (False, 1)], ids=["train", "eval"])
def test_the_same_to_rounding(execution, train, order):
    assert_same_steps(*pair("darts+sandglass", execution, train), order)


def test_running_statistics_move_once(execution):
    _, again = pair("tiny", execution)
    weight_gradients(again, batch())
    counts = {int(value) for name, value in again.state_dict().items() if name.endswith("num_batches_tracked")}
    assert counts == {1}


def test_bf16(execution):
    kept, again = pair("darts", execution)
    assert_same_steps(kept.float(), again.float(), 1, torch.float32, torch.bfloat16)


class Gate(nn.Module):
    """No chain of layers; chance, a scale, and statistics of its own that it computes with while they move."""

    def __init__(self, channels, stride):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(0.3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        self.calls += 1
        return self.drop(self.norm(self.conv(x.sin()))) * self.calls


def test_a_users_operator(execution, tmp_path):
    if "gate_3x3" not in operators:
        register_operator("gate_3x3")(lambda channels, stride, affine: Gate(channels, stride))
    file = tmp_path / "gate.yaml"
    file.write_text("description: gates\noperators: [none, gate_3x3, skip_connect]\n")
    kept, again = pair(str(file), execution)
    one, found = batch(), []
    for net in (kept, again):
        torch.manual_seed(1)
        found.append(architecture_gradients(net, one, one, 0.025) | weight_gradients(net, one)[2])
    assert_equal(found[1], found[0])
    assert_equal(again.state_dict(), kept.state_dict())


def test_no_gradient_nothing_twice(execution):
    kept, again = pair("tiny", execution)
    images, _ = batch()
    with torch.no_grad():
        torch.testing.assert_close(again(images), kept(images), rtol=1e-10, atol=1e-10)
    assert_equal(again.state_dict(), kept.state_dict())


def test_less_is_kept(execution):
    """Bytes that the graph holds behind the forward pass."""
    sizes = []
    for net in pair("darts", execution):
        held = {}

        def keep(tensor, held=held):
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            net(batch()[0])
        sizes.append(sum(held.values()))
    assert sizes[1] < sizes[0] / 2
