"""Trained networks in files are self-contained; other files are refused in one line."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch

from nas.core.errors import InputError
from nas.graph.zoo import load_genotype
from nas.storage.checkpoint import save_checkpoint
from nas.storage.checkpoint_retention import save_with_retention
from nas.train.network_spec import make_network_spec, network_spec_from_dict
from nas.train.state import init_train_state
from nas.train.trained_network import load_trained, save_weights
from tests.helpers.runs import same
from tests.helpers.train_settings import SMALL


@pytest.fixture
def started(digits):
    spec = make_network_spec(load_genotype("darts_v2"), digits, SMALL, "my_ops.py")
    return init_train_state(spec, SMALL, torch.device("cpu"))


@pytest.fixture(params=["whole.pt", "best.pt", "weights.safetensors"])
def file(started, tmp_path, request):
    path = tmp_path / request.param
    if path.suffix == ".pt":
        save_checkpoint(path, started.to_dict() if path.stem == "whole" else started.trained_dict())
    else:
        save_weights(path, started.eval_model, started.spec)
    return path


def test_a_file_stands_alone(started, file):
    network, spec = load_trained(file)
    assert spec == started.spec
    assert (spec.genotype.name, spec.ops, len(spec.classes)) == ("darts_v2", "my_ops.py", 10)
    assert same(network.state_dict(), started.eval_model.state_dict())
    assert not network.training


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 100])
def test_a_damaged_file_is_one_line(file, damage):
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=r"cannot be read as safetensors|not a checkpoint, or cut off or altered"):
        load_trained(file)


def test_a_missing_file_is_one_line(tmp_path):
    for name in ("none.pt", "none.safetensors"):
        with pytest.raises(InputError, match=name):
            load_trained(tmp_path / name)


def test_an_operator_that_is_not_registered_names_the_file_it_came_from(started, tmp_path):
    data = started.trained_dict()
    data["network"]["genotype"] = data["network"]["genotype"].replace("sep_conv_3x3", "my_operator")
    save_checkpoint(tmp_path / "a.pt", data)
    with pytest.raises(InputError, match=r"a\.pt: unknown operator 'my_operator'.*ops=my_ops\.py"):
        load_trained(tmp_path / "a.pt")


def test_weights_of_another_network_are_refused(started, tmp_path):
    data = started.trained_dict()
    data["network"]["channels"] = 4
    save_checkpoint(tmp_path / "a.pt", data)
    with pytest.raises(InputError, match="weights do not fit"):
        load_trained(tmp_path / "a.pt")


ABSURD = {
    "channels": [10**9, 0, -1, 1.5, True, None, "36"],
    "cells": [10**9, 400, 0, 3.0],
    "classes": [(), ("a",) * 100_001, (1, 2), "abc", None, ("x" * 5000,)],
    "image_shape": [(3, 10**6, 10**6), (0, 8, 8), (10**6, 8, 8), (1, 8, 8), (3, 8), (3, 0, 8), "3x8", None],
    "mean": [(float("nan"),) * 3, (1, 2), None],
    "image_dtype": ["float64", None, 3],
    "std": [(0.0,) * 3, (float("inf"),) * 3, (-1.0,) * 3],
    "stem": [None, "big", 3],
    "auxiliary": [2, None],
    "dataset": [None, "a\x1b[2J"],
    "ops": [3, "x" * 5000],
    "genotype": [None, 3, "x", "a: " + "[" * 10_000],
}


@pytest.mark.parametrize("key", ABSURD)
def test_absurd_sizes_are_refused_before_anything_is_built(key, started, tmp_path):
    for value in ABSURD[key]:
        data = started.trained_dict()
        data["network"][key] = value
        save_checkpoint(tmp_path / "a.pt", data)
        with pytest.raises(InputError, match=r"a\.pt[:,] ") as caught:
            load_trained(tmp_path / "a.pt")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 700


def test_the_blueprint_of_another_network_takes_no_memory(started, tmp_path):
    """Valid sizes that do not match the weights: 100 GB."""
    data = started.trained_dict()
    data["network"]["channels"] = 50_000
    save_checkpoint(tmp_path / "a.pt", data)
    with pytest.raises(InputError, match="weights do not fit its network, see "):
        load_trained(tmp_path / "a.pt")


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "null", "x" * 2_000_000])
def test_metadata_of_another_form(text, started, tmp_path):
    safetensors.torch.save_file(started.eval_model.state_dict(), tmp_path / "a.safetensors", {"network": text})
    with pytest.raises(InputError, match=r"a\.safetensors: "):
        load_trained(tmp_path / "a.safetensors")


@pytest.mark.parametrize("data", [None, {}, {"genotype": "x"}, [1]])
def test_other_data_is_no_blueprint(data):
    with pytest.raises(InputError, match=r"a\.pt: not a trained network"):
        network_spec_from_dict(data, "a.pt")


def test_blueprints_tell_what_differs(started):
    mine = started.spec
    mine.check_same(replace(mine, ops=None), "a.pt")
    with pytest.raises(InputError, match=r"a\.pt: .*its cells is another \(5, not 3\)"):
        mine.check_same(replace(mine, cells=5), "a.pt")


def test_of_a_run_folder_the_newest_whole_checkpoint_is_read(started, tmp_path, capsys):
    for _ in range(2):
        save_with_retention(tmp_path / "checkpoint.pt", started.to_dict(), keep=2)
    load_trained(tmp_path)
    assert capsys.readouterr().err == ""
    (tmp_path / "checkpoint.pt").write_bytes(b"torn")
    network, _ = load_trained(tmp_path)
    assert same(network.state_dict(), started.eval_model.state_dict())
    assert "checkpoint-1.pt is used instead" in capsys.readouterr().err
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"torn"  # reading changes nothing
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(InputError, match=r"nowhere/checkpoint\.pt: no such checkpoint"):
        load_trained(tmp_path / "nowhere")
