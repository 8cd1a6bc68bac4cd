"""The perturbations of SDARTS against their definitions, row by row, and the ascent on a function that is known."""

import pytest
import torch

from nas.core.errors import InputError
from nas.search.methods import build_method
from nas.search.methods.sdarts import ascend, uniform_noise
from nas.search.methods.simplex import project


def test_projection():
    rows = torch.tensor([[0.5, -0.2, 0.9], [2.0, 0.5, 0.5], [-1.0, -0.5, -3.0], [0.2, 0.7, 0.3]]).double()
    support = torch.tensor([[True] * 3, [True] * 3, [True] * 3, [True, False, True]])
    wanted = [[0.5 / 1.4, 0, 0.9 / 1.4], [0.5, 0.25, 0.25], [0, 1, 0], [0.4, 0, 0.6]]
    torch.testing.assert_close(project(rows, support), torch.tensor(wanted).double())


def test_random_strengths_are_moved_by_the_noise_and_projected():
    perturbation = build_method("sdarts_rs").perturbation
    torch.manual_seed(0)
    p = {"normal": torch.softmax(torch.randn(4, 5).double(), 1)}
    noise = {"normal": uniform_noise((4, 5), torch.Generator().manual_seed(1))}
    assert noise["normal"].abs().max() <= 1
    assert [perturbation.schedule(e, 50) for e in (0, 25)] == pytest.approx([0.03, 0.03 + 0.27 / 2])
    found = perturbation.perturb(p, noise, torch.tensor(0.3, dtype=torch.float64), None)["normal"]
    for row in range(4):
        moved = [min(max(p["normal"][row, k].item() + 0.3 * noise["normal"][row, k].item(), 0), 1) for k in range(5)]
        assert found[row].tolist() == pytest.approx([value / sum(moved) for value in moved])


def ascent(loss, radius=0.1, steps=7):
    torch.manual_seed(0)
    p = {"normal": torch.softmax(torch.randn(3, 4).double(), 1)}

    def gradient(q):
        leaf = q["normal"].detach().requires_grad_()
        value = loss(leaf)
        return value.detach(), {"normal": torch.autograd.grad(value, leaf)[0]}

    return p["normal"], ascend(p, p, torch.tensor(radius).double(), gradient, steps)["normal"]


def test_ascent_of_a_linear_function_ends_at_the_border_of_the_cube():
    """Each step moves by 2 eps / 7 along the sign: seven steps reach eps everywhere, then the row is projected."""
    slope = torch.tensor([[1.0, -1.0, 2.0, -3.0]]).double().expand(3, 4)
    p, q = ascent(lambda leaf: (slope * leaf).sum())
    wanted = (p + 0.1 * slope.sign()).clamp(0, 1)
    torch.testing.assert_close(q, wanted / wanted.sum(1, keepdim=True), atol=0.02, rtol=0)
    assert (slope * q).sum() > (slope * p).sum()


def test_strengths_that_became_worse_are_taken_back():
    """A ridge in the middle: every step leads away from it, downhill."""
    p, q = ascent(lambda leaf: -((leaf - leaf.detach() - 1) ** 2).sum() - 100 * (leaf.detach() - start).abs().sum())
    torch.testing.assert_close(q, p)


torch.manual_seed(0)
start = torch.softmax(torch.randn(3, 4).double(), 1)


def test_settings_and_combinations():
    for bad in ({"sdarts_rs": {"radius": 0.0}}, {"sdarts_adv": {"steps": 0}}):
        with pytest.raises(InputError, match="must be"):
            build_method("+".join(bad), bad)
    with pytest.raises(InputError, match="one-hot strengths cannot be perturbed"):
        build_method("gdas+sdarts_rs")
    with pytest.raises(InputError, match="both define perturbation"):
        build_method("sdarts_rs+sdarts_adv")
    assert build_method("pc_darts+sdarts_rs").edge_rule.weighted
