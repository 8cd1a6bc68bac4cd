"""A dataset that the file in ``ops`` registers."""

import sys

import pytest
import yaml

from nas.cli import retrain
from nas.cli.registered_data import registered_data
from nas.data import DATASETS
from nas.train.trained_network import load_trained
from tests.helpers.command_lines import ROOT, TINY

CODE = """
import torch
import nas.data

@nas.data.register_dataset("my_data")
def my_data(settings):
    images = torch.randn(48, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return (images[:32], torch.arange(32) % 2), (images[32:], torch.arange(16) % 2)
"""
SIZES = [setting for setting in TINY if not setting.startswith(("data", "space"))]


@pytest.fixture
def my_file(elsewhere, monkeypatch):
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))
    (elsewhere / "my.py").write_text(CODE)
    return elsewhere


def test_search_and_retraining(my_file, run, ended, monkeypatch):
    code, out, complaints = run("ops=my.py", "space=tiny", "data=my_data", "data.pad=1", *SIZES)
    assert (code, complaints) == (0, [])
    assert "searching tiny on my_data" in out
    stored = yaml.safe_load((my_file / "runs/tiny-my_data-seed0/config.yaml").read_text())
    assert (stored["data"]["name"], stored["data"]["pad"], stored["data"]["flip"]) == ("my_data", 1, False)
    cell = "cell=runs/tiny-my_data-seed0/genotype.yaml"
    words = ["retrain.py", "data=my_data", "ops=my.py", cell, *SIZES, "run.dir=trained"]
    monkeypatch.setattr(sys, "argv", [str(ROOT / words[0]), *words[1:]])
    code, out, complaints = ended(retrain.main)
    assert (code, complaints) == (0, [])
    assert "data=my_data ops=my.py" in out  # the command to evaluate it
    assert load_trained(my_file / "trained")[1].image_shape == (1, 6, 6)


def test_an_unknown_name_is_one_line(my_file, run):
    code, _, (line,) = run("ops=my.py", "space=tiny", "data=my_date", *SIZES)
    assert (code, line) == (2, "error: unknown dataset 'my_date': did you mean my_data?")
    code, _, (line,) = run("space=tiny", "data=my_data", *SIZES)
    assert code == 2
    assert line.endswith("; one of your own needs ops=FILE, which registers it")


@pytest.mark.parametrize(
    "given", [["data=digits", "ops=my.py"], ["data=my_data"], ["data=a,b", "ops=my.py", "-m"], ["data=~x", "ops=my.py"]]
)
def test_other_command_lines_stay_as_they_are(given):
    assert registered_data(given) == given


def test_what_the_user_gives_comes_last():
    given = ["data.pad=4", "ops=my.py", "data=my_data"]
    assert registered_data(given) == ["data.pad=0", "data.flip=false", *given[:2], "data=folder", "data.name=my_data"]
