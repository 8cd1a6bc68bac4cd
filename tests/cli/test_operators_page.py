"""The examples of ``docs/operators.md`` run as they are."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from nas.graph.zoo import load_genotype
from nas.ops.registry import load_user_operators, operators
from tests.helpers.command_lines import TINY

PAGE = (Path(__file__).resolve().parents[2] / "docs/operators.md").read_text()


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return text


@pytest.fixture
def page(elsewhere):
    (elsewhere / "my_ops.py").write_text(block("python"))
    (elsewhere / "my_space.yaml").write_text(block("yaml"))
    return elsewhere


def test_the_search(page, run):
    arguments = shlex.split(block("sh"))[2:]
    sizes = [size for size in TINY if not size.startswith("space=")]
    code, out, complaints = run(*arguments, *sizes)
    assert (code, complaints) == (0, [])
    assert "searching darts+my_space on digits" in out
    found = load_genotype(page / "runs/darts+my_space-digits-seed0/genotype.yaml")
    assert found.origin.space == "darts+my_space"


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("affine", [True, False])
def test_the_operator(channels, stride, affine, page):
    load_user_operators("my_ops.py")
    module = operators["ghost_3x3"].build(channels, stride, affine)
    for height, width in ((1, 1), (5, 8)):
        y = module(torch.randn(2, channels, height, width))
        assert y.shape == (2, channels, -(-height // stride), -(-width // stride))
    norms = [part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.affine is affine for norm in norms)
