"""SNAS' strengths against the formula, number by number, and steps that look at the training loss."""

import math

import pytest
import torch

from nas.core.errors import InputError
from nas.search.method import AlphaGradients
from nas.search.methods import build_method
from nas.search.methods.gdas import gumbel_noise
from nas.search.state import search_method
from tests.helpers.search_settings import SETTINGS

TRAIN, VALID = ({"normal": torch.full((2, 2), value)} for value in (1.0, 10.0))
ASKED = AlphaGradients({"normal": torch.zeros(2, 2)}, lambda at: VALID, lambda at: TRAIN, {})


def test_a_sample_is_the_gumbel_softmax():
    relaxation = build_method("snas").relaxation
    torch.manual_seed(0)
    alpha, noise = torch.randn(4, 3).double(), gumbel_noise((4, 3), torch.Generator().manual_seed(1))
    found = relaxation.sample(alpha, noise, torch.tensor(0.5).double())
    for row in range(4):
        z = [math.exp((alpha[row, k].item() + noise[row, k].item()) / 0.5) for k in range(3)]
        assert found[row].tolist() == pytest.approx([value / sum(z) for value in z])
    assert [relaxation.schedule(e, 3) for e in range(3)] == pytest.approx([1.0, 0.515, 0.03])
    torch.testing.assert_close(relaxation.of_inference({"normal": alpha})["normal"], torch.softmax(alpha, 1))


@pytest.mark.parametrize(
    ("method", "own", "wanted"),
    [("snas", {}, 1.0), ("single_level", {}, 1.0), ("mixed_level", {"mixed_level": {"weight": 0.5}}, 6.0)],
)
def test_the_direction_of_an_alpha_step(method, own, wanted):
    built = build_method(method, own)
    torch.testing.assert_close(built.alpha_gradient(ASKED), {"normal": torch.full((2, 2), wanted)})
    assert built.orders == (1,)


def test_bilevel_snas_is_a_choice():
    method = build_method("snas", {"snas": {"bilevel": True}})
    assert (method.alpha_gradient, method.orders) == (None, (1, 2))
    with pytest.raises(InputError, match="order=2: method=snas is defined for order 1"):
        search_method(SETTINGS.__class__(method="snas", order=2))
