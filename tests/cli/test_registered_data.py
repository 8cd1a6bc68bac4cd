"""A dataset that the file in ``ops`` registers."""

import re
import sys

import pytest
import yaml

from nas.cli import retrain
from nas.cli.registered_data import registered_data
from nas.core.errors import InputError
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
    assert line.endswith("; one of your own is data=FILE.py, or needs ops=FILE, which registers it")


@pytest.mark.parametrize(
    "given", [["data=digits", "ops=my.py"], ["data=my_data"], ["data=a,b", "ops=my.py", "-m"], ["data=~x", "ops=my.py"]]
)
def test_other_command_lines_stay_as_they_are(given):
    assert registered_data(given) == given


def test_what_the_user_gives_comes_last():
    given = ["data.pad=4", "ops=my.py", "data=my_data"]
    assert registered_data(given) == ["data.pad=0", "data.flip=false", *given[:2], "data=folder", "data.name=my_data"]


def test_a_file_stands_for_its_dataset(my_file):
    assert registered_data(["data=my.py"]) == ["data.pad=0", "data.flip=false", "ops=my.py", *NAMED]
    assert registered_data(["data=my.py:my_data", "ops=my.py"])[-3:] == [*NAMED, "ops=my.py"]
    (my_file / "with a space.py").write_text(CODE)
    assert 'ops="with a space.py"' in registered_data(["data=with a space.py"])


NAMED = ["data=folder", "data.name=my_data"]


def test_a_file_is_not_run_while_settings_are_read(my_file):
    (my_file / "my.py").write_text("raise SystemExit\n" + CODE)
    assert registered_data(["data=my.py"])[-2:] == NAMED


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["data=my.py"], "", "data=my.py: registers no dataset: @nas.register_dataset"),
        (
            ["data=my.py"],
            "register_dataset('a')\nregister_dataset('b')",
            "registers a, b: choose one with data=my.py:a",
        ),
        (["data=my.py:c"], "register_dataset('abc')", "data=my.py:c: known are abc"),
        (["data=my.py", "ops=other.py"], CODE, "data=my.py: ops=other.py is another file"),
        (["data=my.py"], "def", "data=my.py: invalid syntax"),
        (["data=none.py"], CODE, "none.py"),
    ],
)
def test_a_file_without_the_dataset_is_refused(my_file, given, code, said):
    (my_file / "my.py").write_text(code)
    with pytest.raises(InputError) as caught:
        registered_data(given)
    assert said in str(caught.value)


def test_a_search_on_the_data_of_a_file_and_its_resumption(my_file, run):
    code, _, complaints = run("space=tiny", "data=my.py", *SIZES, "run.dir=found")
    assert (code, complaints) == (0, [])
    assert yaml.safe_load((my_file / "found/config.yaml").read_text())["ops"] == "my.py"
    code, _, (line,) = run("resume=found")
    assert code == 2
    assert line.endswith("resume=found ops=my.py")
    code, _, complaints = run("resume=found", "data=my.py")
    assert (code, complaints) == (0, [])


def test_the_example_of_the_page(my_file, run):
    page = (ROOT / "docs/data.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (my_file / "my_data.py").write_text(code)
    code, out, complaints = run("space=tiny", "data=my_data.py", *SIZES)
    assert (code, complaints) == (0, [])
    assert "searching tiny on my_data" in out
