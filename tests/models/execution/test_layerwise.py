"""Networks trained by the search's kernels against torch's own, in float64: outputs, gradients, running statistics."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import nas
from nas.graph.genotype_yaml import genotype_from_yaml
from nas.kernels import build
from nas.ops.registry import operators, register_operator

OPERATORS = [name for name in operators if name != "none"]


@pytest.fixture(params=["compiled", "torch"])
def kernels(request, monkeypatch):
    """The kernels in both ways in which they are computed."""
    if request.param == "torch":
        monkeypatch.setattr(build, "load_library", lambda: (None, "off in this test"))
    elif build.load_library()[0] is None:
        pytest.skip(f"no compiled kernels here: {build.load_library()[1]}")


def gradients(network, images, labels):
    torch.manual_seed(7)  # of drop-path
    logits, auxiliary = network(images) if network.auxiliary_head is not None else (network(images), None)
    loss = F.cross_entropy(logits, labels)
    if auxiliary is not None:
        loss = loss + 0.4 * F.cross_entropy(auxiliary, labels)
    loss.backward()
    return {"logits": logits, **{name: p.grad for name, p in network.named_parameters() if p.grad is not None}}


def assert_same(network, height=32, width=32):
    reference = network.double().train()
    fused = copy.deepcopy(reference)
    fused.execution = "fused"
    images, labels = torch.randn(3, 3, height, width, dtype=torch.float64), torch.randint(0, 10, (3,))
    wanted, found = (gradients(one, images, labels) for one in (reference, fused))
    assert found.keys() == wanted.keys()
    for one, other in ((wanted, found), (reference.state_dict(), fused.state_dict())):
        for name, value in one.items():
            text = f"{name}: {{}}".format
            torch.testing.assert_close(other[name], value, rtol=1e-9, atol=1e-10, msg=text)


def genotype_of(name):
    """Both cells with the operator on every edge."""
    cell = f"{{2: [[{name}, 0], [{name}, 1]], 3: [[{name}, 1], [{name}, 2]], concat: [2, 3]}}"
    return genotype_from_yaml(f"normal: {cell}\nreduce: {cell}\n", "here")


@pytest.mark.parametrize("cell", ["darts_v2", "nasnet", "amoebanet", "pdarts"])
def test_a_published_cell(cell, kernels):
    network = nas.create_model(cell, channels=6, cells=4, auxiliary=True)
    network.drop_path = 0.3
    assert_same(network)


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator(name, kernels):
    assert_same(nas.Network(genotype_of(name), 6, 3, auxiliary=False), 9, 7)


def test_the_stem_for_large_images():
    assert_same(nas.Network(nas.load_genotype("darts_v2"), 4, 3, auxiliary=False, stem="imagenet"), 64, 48)


class Sine(nn.Module):
    """Not a chain of torch's own layers."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        """The layers' sine."""
        return self.layers(x).sin()


@pytest.mark.parametrize("wrap", [Sine, lambda layers: nn.Sequential(*layers)], ids=["module", "chain"])
def test_an_operator_of_a_user(wrap, monkeypatch, kernels):
    monkeypatch.setattr(operators, "_entries", dict(operators._entries))

    @register_operator("users_own")
    def users_own(channels, stride, affine):
        conv = nn.Conv2d(channels, channels, 3, stride, 1, bias=True)
        return wrap([conv, nn.BatchNorm2d(channels, affine=False), nn.ReLU6(), nn.MaxPool2d(3, 1, 1)])

    assert_same(nas.Network(genotype_of("users_own"), 5, 3, auxiliary=False), 8, 11)


def test_only_training_is_run_so(monkeypatch):
    network = nas.create_model("darts_v2", channels=4, cells=3)
    network.execution = "fused"
    monkeypatch.setattr("nas.models.network.LayerwiseRunner", None)
    network.eval()(torch.randn(2, 3, 32, 32))
    with pytest.raises(TypeError):
        network.train()(torch.randn(2, 3, 32, 32))
