"""The network of a genotype: equal to the integer for every published cell."""

import json
from pathlib import Path

import pytest
import torch
import torch._dynamo.testing
from torch import nn

import nas
from nas.core.errors import InputError
from nas.models.drop_path import drop_path

COUNTS = json.loads((Path(__file__).parent / "published_counts.json").read_text())
SETTINGS = {
    "cifar10_C36_L20": (36, 20, 10, "cifar", (3, 32, 32)),
    "cifar100_C36_L20": (36, 20, 100, "cifar", (3, 32, 32)),
    "imagenet_C48_L14": (48, 14, 1000, "imagenet", (3, 224, 224)),
}


@pytest.mark.parametrize(
    ("cell", "setting"), [(cell, setting) for cell, counts in COUNTS.items() for setting in counts]
)
def test_counts_equal_the_published_ones(cell, setting):
    channels, cells, classes, stem, shape = SETTINGS[setting]
    network = nas.Network(nas.load_genotype(cell), channels, cells, classes, auxiliary=True, stem=stem)
    expected = COUNTS[cell][setting]
    if "macs" not in expected:
        shape = (3, 8, 8)  # the multiply-adds are not asked for: any size will do
    found = nas.cost(network, shape)
    assert (found.params, found.auxiliary_params) == (expected["params"], expected["aux_params"])
    if "macs" in expected:
        assert found.macs == expected["macs"]


def test_the_cost_of_darts_as_text():
    """The published counts are 3,349,342 and 528,359,040."""
    network = nas.Network(nas.load_genotype("darts_v2"))
    assert str(nas.cost(network)) == "3.35 M params, 528 M MACs"


def test_the_gradient_reaches_every_weight():
    network = nas.Network(nas.load_genotype("darts_v2"), 4, 5, auxiliary=True).train()
    logits, auxiliary = network(torch.randn(2, 3, 32, 32))
    assert logits.isfinite().all()
    (logits.square().sum() + auxiliary.square().sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_what_the_forward_returns():
    image = torch.randn(2, 3, 16, 16)
    with_head = nas.Network(nas.load_genotype("nasnet"), 4, 3, num_classes=5, auxiliary=True)
    assert [y.shape for y in with_head.train()(image)] == [(2, 5), (2, 5)]
    assert with_head.eval()(image).shape == (2, 5)
    without = nas.Network(nas.load_genotype("nasnet"), 4, 3)
    assert without.train()(image).shape == without.eval()(image).shape == (2, 10)


def test_cost_leaves_the_model_as_it_was():
    network = nas.Network(nas.load_genotype("darts_v1"), 4, 3).train()
    network.cells[0].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    nas.cost(network, (3, 8, 8))
    assert network.training
    assert not network.cells[0].training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_no_batchnorm_stands_behind_a_pool():
    cells = nas.Network(nas.load_genotype("darts_v2"), 4, 3).cells
    pools = [op for cell in cells for op in cell.operators if isinstance(op, nn.MaxPool2d)]
    assert pools  # bare, not in a Sequential with a BatchNorm


def test_drop_path_keeps_the_mean_and_drops_whole_images():
    torch.manual_seed(0)
    y = drop_path(torch.ones(20_000, 1, 2, 1), 0.2)
    assert set(y.unique().tolist()) == {0.0, 1.25}
    assert torch.equal(y[:, 0, 0], y[:, 0, 1])
    assert abs(y.mean().item() - 1) < 0.02


def test_drop_path_spares_the_plain_identity_and_evaluation(monkeypatch):
    dropped = []
    monkeypatch.setattr("nas.models.genotype_cell.drop_path", lambda x, p: dropped.append(x.shape) or x)
    skips = (
        "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], reduce=[('skip_connect', 0), ('skip_connect', 1)])"
    )
    network = nas.Network(nas.load_genotype(skips), 4, 3, auxiliary=False)
    network.drop_path = 0.5
    network.eval()(torch.randn(2, 3, 8, 8))
    assert dropped == []
    network.train()(torch.randn(2, 3, 8, 8))
    assert len(dropped) == 4  # the strided skips of the two reduction cells, no plain identity


@pytest.mark.parametrize(
    "wrong", [{"channels": 0}, {"cells": -1}, {"num_classes": -1}, {"in_chans": 0}, {"stem": "mnist"}]
)
def test_bad_settings_are_refused(wrong):
    with pytest.raises(InputError):
        nas.Network(nas.load_genotype("darts_v1"), **wrong)


def test_a_rising_drop_path_is_not_compiled_again_each_epoch():
    """torch.compile gives up after eight recompilations; the schedule has hundreds of probabilities."""
    counter = torch._dynamo.testing.CompileCounter()
    network = nas.Network(nas.load_genotype("darts_v1"), 2, 3, auxiliary=False).train()
    compiled = torch.compile(network, backend=counter)
    torch._dynamo.reset()
    for epoch in range(1, 12):
        network.drop_path = 0.2 * epoch / 12
        compiled(torch.randn(2, 3, 8, 8))
    assert counter.frame_count <= 3


@pytest.mark.parametrize(("stem", "side"), [("cifar", 8), ("imagenet", 32)])
@pytest.mark.parametrize("in_chans", [1, 5])
def test_images_may_have_any_number_of_channels(stem, side, in_chans):
    network, colored = (
        nas.Network(nas.load_genotype("darts_v1"), 4, 3, auxiliary=False, stem=stem, in_chans=n) for n in (in_chans, 3)
    )
    assert network.eval()(torch.randn(2, in_chans, side, side)).shape == (2, 10)
    first = 12 if stem == "cifar" else 2  # channels of the stem's first convolution, 3x3
    difference = nas.cost(network, (in_chans, side, side)).params - nas.cost(colored, (3, side, side)).params
    assert difference == 9 * first * (in_chans - 3)


def test_both_classifiers_are_reset():
    images = torch.randn(4, 3, 16, 16)
    network = nas.create_model("darts_v2", channels=4, cells=3, auxiliary=True)
    for classes in (20, 3):
        network.reset_classifier(classes)
        assert [tuple(y.shape) for y in network(images)] == [(4, classes)] * 2
        assert network.num_classes == classes
    network.reset_classifier(0)
    assert network(images).shape == (4, network.num_features)
    network.eval()
    assert torch.equal(network(images), network.forward_features(images).mean((2, 3)))
    network.reset_classifier(5)
    assert network(images).shape == (4, 5)
    assert nas.create_model("darts_v2", num_classes=0, channels=4, cells=3)(images).shape == (4, network.num_features)
    with pytest.raises(InputError, match="num_classes=-1: must be at least 0"):
        network.reset_classifier(-1)


def test_attributes_that_are_set_are_used_or_refused():
    images = torch.randn(4, 3, 8, 8)
    network = nas.create_model("darts_v2", channels=4, cells=3)
    network.drop_path_prob = 0.5  # its name in DARTS' released code
    assert network.drop_path == 0.5
    assert not torch.equal(network(images), network(images))
    network.drop_path = 0
    assert torch.equal(network(images), network(images))
    for name, value in {"drop_path": 1.0, "drop_path_prob": -0.1, "execution": "fusd"}.items():
        with pytest.raises(InputError, match=rf"{name.removesuffix('_prob')}={value}: must be"):
            setattr(network, name, value)
    with pytest.raises(InputError, match="execution=fast: must be fused or batched or reference"):
        nas.Supernet("tiny", 2, 3).execution = "fast"
