"""The stop of R-DARTS: its eigenvalue against the whole Hessian of a known loss, and its rule on known values."""

from types import SimpleNamespace

import pytest
import torch

import nas
from nas.search.method import SearchView
from nas.search.methods import build_method
from nas.search.methods.hessian_stop import largest_eigenvalue, sharp_since


def view_of(loss, epoch=50, memory=None):
    net = nas.Supernet("tiny", 2, 3).double()
    return SearchView(
        net,
        {} if memory is None else memory,
        epoch,
        50,
        SimpleNamespace(loss=loss),
        lambda: None,
        lambda number: None,
        None,
        0,
    )


def test_the_largest_eigenvalue_not_the_largest_absolute_one():
    torch.manual_seed(0)
    half = torch.randn(50, 50).double()
    hessian = half + half.T - 30 * torch.eye(50).double()

    def loss(alphas):
        a = torch.cat([alpha.flatten() for alpha in alphas.values()])
        return a @ hessian @ a / 2 + a.sum()

    values = torch.linalg.eigvalsh(hessian)
    assert values[0].abs() > values[-1]
    assert largest_eigenvalue(view_of(loss)) == pytest.approx(values[-1].item(), rel=1e-3)


def test_the_rule():
    flat = [1.0] * 9
    assert not sharp_since(flat, 1.3)
    assert not sharp_since(flat[:8], 0.5)  # too few values
    assert sharp_since([1.0] * 5 + [1.4] * 4, 1.3) == (5.6 + 1 > 1.3 * 5)
    assert sharp_since([1.0] * 5 + [1.5] * 4, 1.3)
    assert not sharp_since([1.0] * 5 + [9.0] * 4, 0)


@pytest.mark.parametrize(("rising", "stopped", "chosen"), [(21, 30, 22), (5, 26, None)])
def test_the_search_ends_with_the_genotype_from_before(rising, stopped, chosen):
    """Values every second epoch, ten times as large after ``rising`` epochs; never one of the first ten epochs."""
    method, memory = build_method("hessian_stop"), {}
    epochs = []
    for epoch in range(1, 51):
        scale = 10.0 if epoch > rising else 1.0
        view = view_of(lambda alphas: scale / 2 * sum((a**2).sum() for a in alphas.values()), epoch, memory)  # noqa: B023
        if method.stop(view):
            epochs.append(epoch)
            break
    assert memory["hessian_stop"]["values"][0] == pytest.approx(1.001)
    if chosen is None:
        assert not epochs
        return
    middle = memory["hessian_stop"]["epochs"].index(epochs[0] - 12)
    assert memory["hessian_stop"]["chosen"] == memory["hessian_stop"]["genotypes"][middle]
    assert method.select(view) == nas.load_genotype(memory["hessian_stop"]["chosen"])
    assert epochs[0] > rising


def test_a_search_records_the_values(run_search, tmp_path):
    result = run_search(tmp_path, method="hessian_stop")
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["memory"]["hessian_stop"]
    assert saved["epochs"] == [1, 2]
    assert all(value > -1 for value in saved["values"])
    assert result.genotype == result.supernet.genotype()
