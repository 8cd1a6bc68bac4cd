"""Networks by name, with weights from files, as backbones."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

import nas
from nas.core.errors import InputError
from nas.graph.genotype_yaml import genotype_from_yaml
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


def edited(genotype: nas.Genotype) -> nas.Genotype:
    """The same operators and shapes: node 2 takes its inputs the other way round."""
    first, second, *others = genotype.normal
    edges = ((first[0], second[1]), (second[0], first[1]), *others)
    return nas.Genotype(edges, genotype.normal_concat, genotype.reduce, genotype.reduce_concat)


@pytest.fixture(params=["checkpoint.pt", "best.pt", "weights.safetensors", "."])
def trained(request, tmp_path):
    """A run folder, or a file in it, of a retraining of DARTS_V2."""
    images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    data = ((images, torch.arange(8) % 2), (images, torch.arange(8) % 2))
    nas.run_training("darts_v2", data, folder=tmp_path / "run", epochs=1, batch_size=4, **SMALL)
    return tmp_path / "run" / request.param


def test_what_a_file_says_about_its_network_is_checked(trained):
    sizes = {"num_classes": 2, **SMALL}
    for cell in ("darts_v2", nas.load_genotype("darts_v2")):
        network = nas.create_model(cell, pretrained=trained, **sizes).eval()
        assert torch.equal(network(IMAGES[:, :, :8, :8]), nas.load_model(trained)(IMAGES[:, :, :8, :8]))
    with pytest.raises(InputError, match=r"weights of another genotype \('darts_v2'\); nas\.load_model"):
        nas.create_model(edited(nas.load_genotype("darts_v2")), pretrained=trained, **sizes)
    for key, value in {"stem": "imagenet", "channels": 8, "cells": 4, "in_chans": 1}.items():
        with pytest.raises(InputError, match=f"of another network, with {key}="):
            nas.create_model("darts_v2", pretrained=trained, **{**sizes, key: value})


def darts_name(name: str) -> str:
    """A name of ours in DARTS' released code, written out by hand."""
    auxiliary = {"0": "2", "1": "3", "3": "5", "4": "6"}
    parts = name.split(".")
    if parts[0] == "auxiliary_head" and parts[1] == "features":
        return ".".join([*parts[:2], auxiliary[parts[2]], *parts[3:]])
    if parts[0] != "cells":
        return name
    cell, kind, index, *rest = parts[1:]
    reduces = "even" in rest or "odd" in rest or (kind, cell, index, rest[0]) == ("preprocess", "2", "0", "2")
    reduces = reduces or (kind == "operators" and rest[0] == "2" and len(rest) == 2 and f"{kind}.{index}" in SKIPS)
    inner = {"1.even": "conv_1", "1.odd": "conv_2", "2": "bn"}
    rest = [inner[".".join(rest[:-1])], rest[-1]] if reduces else ["op", *rest]
    return ".".join(["cells", cell, f"preprocess{index}" if kind == "preprocess" else f"_ops.{index}", *rest])


SKIPS = ("operators.0",)


def foreign_files(network: nas.Network) -> dict[str, dict[str, object]]:
    """What other programs save."""
    state = network.state_dict()
    other = {name: torch.zeros_like(value) for name, value in state.items()}
    return {
        "plain": dict(state),
        "state_dict": {"epoch": 3, "state_dict": state},
        "model": {"model": state, "args": {"lr": 0.1}},
        "ema": {"state_dict": other, "state_dict_ema": state},
        "parallel": {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        "compiled": {f"_orig_mod.{name}": value for name, value in state.items()},
        "darts": {darts_name(n): value for n, value in state.items() if not n.endswith("num_batches_tracked")},
    }


@pytest.mark.parametrize("form", ["plain", "state_dict", "model", "ema", "parallel", "compiled", "darts"])
def test_state_dicts_of_other_programs_are_loaded_with_a_line(form, tmp_path, capsys):
    skips = "{2: [[skip_connect, 0], [sep_conv_3x3, 1]], concat: [2]}"
    genotype = genotype_from_yaml(f"normal: {skips}\nreduce: {skips}\n", "here")
    network = nas.create_model(genotype, auxiliary=True, **SMALL).eval()
    for p in network.state_dict().values():
        p.copy_(torch.rand(p.shape) + 0.5)
    content = foreign_files(network)[form]
    assert form != "darts" or {"cells.1._ops.0.conv_1.weight", "cells.2.preprocess0.bn.weight"} <= content.keys()
    torch.save(content, tmp_path / "theirs.pt")
    found = nas.create_model(genotype, auxiliary=True, pretrained=tmp_path / "theirs.pt", **SMALL).eval()
    assert torch.equal(found(IMAGES), network(IMAGES))
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "the file does not say of which cell they are" in line
    save_file(dict(network.state_dict()), tmp_path / "theirs.safetensors")
    nas.create_model(genotype, pretrained=tmp_path / "theirs.safetensors", **SMALL)
    assert "does not say" in capsys.readouterr().err


def test_files_that_cannot_be_read_say_how(tmp_path):
    state = nas.create_model("darts_v2", **SMALL).state_dict()
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, tmp_path / "args.pt")
    with pytest.raises(InputError, match=r"old\.pt: .* of torch before 1\.6; write it anew: torch\.save"):
        nas.create_model("darts_v2", pretrained=tmp_path / "old.pt", **SMALL)
    with pytest.raises(InputError, match=r"args\.pt: .* it holds an object \('argparse\.Namespace'\); only tensors"):
        nas.create_model("darts_v2", pretrained=tmp_path / "args.pt", **SMALL)
