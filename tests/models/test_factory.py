"""Networks by name, with weights from files, as backbones."""

import pytest
import torch
from safetensors.torch import save_file

import nas
from nas.core.errors import InputError
from nas.storage.checkpoint import save_checkpoint

SMALL = {"channels": 4, "cells": 3}
IMAGES = torch.randn(2, 3, 16, 16)


def test_a_name_is_enough():
    model = nas.create_model("darts_v2", num_classes=7, **SMALL).eval()
    assert model(IMAGES).shape == (2, 7)
    assert nas.cost(nas.create_model("darts_v2"), (3, 8, 8)).params == 3_349_342


def test_the_interface_is_that_of_timm():
    model = nas.create_model("darts_v1", **SMALL).eval()
    features = model.forward_features(IMAGES)
    assert features.shape == (2, model.num_features, 4, 4)
    assert torch.equal(model.classifier(features.mean((2, 3))), model(IMAGES))
    model.reset_classifier(5)
    assert model(IMAGES).shape == (2, 5)


@pytest.mark.parametrize(("stem", "sizes"), [("cifar", [16, 8, 4]), ("imagenet", [2, 1, 1])])
def test_a_backbone_returns_the_features_of_each_stage(stem, sizes):
    backbone = nas.create_model("pdarts", channels=4, cells=6, stem=stem, features_only=True).eval()
    maps = backbone(IMAGES)
    assert [tuple(y.shape) for y in maps] == [(2, c, n, n) for c, n in zip(backbone.channels, sizes, strict=True)]
    assert backbone.channels == (16, 32, 64)
    assert not any("classifier" in name for name, _ in backbone.named_parameters())


@pytest.fixture(params=["checkpoint", "safetensors"])
def weights(request, tmp_path):
    """A file of the weights of a small network, and that network."""
    network = nas.create_model("darts_v1", auxiliary=True, **SMALL).eval()
    if request.param == "checkpoint":
        save_checkpoint(tmp_path / "best.pt", {"model": network.state_dict()})
        return tmp_path / "best.pt", network
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors", network


def test_pretrained_weights_are_loaded(weights):
    path, network = weights
    assert torch.equal(nas.create_model("darts_v1", pretrained=path, **SMALL).eval()(IMAGES), network(IMAGES))
    both = nas.create_model("darts_v1", pretrained=path, auxiliary=True, **SMALL)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in both.state_dict().items())


def test_weights_for_other_image_channels_are_refused(weights):
    with pytest.raises(InputError, match="in_chans must agree"):
        nas.create_model("darts_v1", in_chans=1, pretrained=weights[0], **SMALL)


def test_a_classifier_of_other_classes_is_initialized_anew(weights):
    path, network = weights
    model = nas.create_model("darts_v1", num_classes=3, pretrained=path, **SMALL).eval()
    assert model(IMAGES).shape == (2, 3)
    assert torch.equal(model.forward_features(IMAGES), network.forward_features(IMAGES))


@pytest.mark.parametrize("wrong", [{"channels": 8, "cells": 3}, {"channels": 4, "cells": 4}])
def test_weights_of_another_network_are_refused(weights, wrong):
    with pytest.raises(InputError, match="weights of another network"):
        nas.create_model("darts_v1", pretrained=weights[0], **wrong)


@pytest.mark.parametrize("name", ["missing.safetensors", "cut.safetensors", "cut.pt"])
def test_unreadable_weights_are_one_line(tmp_path, name):
    if name.startswith("cut"):
        (tmp_path / name).write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(InputError, match=name):
        nas.create_model("darts_v1", pretrained=tmp_path / name, **SMALL)
