import pytest
import torch

from nas.core.errors import InputError
from nas.core.seeding import derive_seed
from nas.data import search_split
from nas.data.split import stratified_order


@pytest.mark.parametrize(("n", "fraction", "count"), [(2, 0.5, 1), (101, 0.5, 50), (50000, 0.5, 25000), (100, 0.9, 90)])
def test_the_halves_are_disjoint_and_complete(n: int, fraction: float, count: int) -> None:
    weights, alphas = search_split(n, 3, fraction)
    assert len(weights) == count
    assert torch.equal(torch.cat([weights, alphas]).sort().values, torch.arange(n))


def test_the_split_depends_on_the_seed() -> None:
    assert torch.equal(search_split(100, 0)[0], search_split(100, 0)[0])
    assert not torch.equal(search_split(100, 0)[0], search_split(100, 1)[0])


@pytest.mark.parametrize(
    ("n", "fraction"), [(0, 0.5), (1, 0.5), (10, 0.05), (10, 0.0), (10, 1.0), (10, -1), (10, float("nan"))]
)
def test_an_empty_half_is_refused(n: int, fraction: float) -> None:
    with pytest.raises(InputError, match=r"too few to split|must lie between"):
        search_split(n, 0, fraction)


def test_every_prefix_is_stratified() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [3] * 10)  # no image has label 2
    order = stratified_order(labels, 0)
    assert torch.equal(order.sort().values, torch.arange(100))
    for k in range(1, 101):
        counts = labels[order[:k]].bincount(minlength=4)
        assert (counts - k * torch.tensor([0.6, 0.3, 0.0, 0.1])).abs().max() <= 1


def test_order_within_a_class_is_random() -> None:
    labels = torch.arange(100) % 2
    one, other = (stratified_order(labels, seed) for seed in (0, 1))
    assert not torch.equal(one, other)
    evens = one[labels[one] == 0]
    assert not torch.equal(evens, evens.sort().values)


def test_derived_seeds_never_change() -> None:
    assert derive_seed(0, "train", "order", 1) == 8413782725444931431
    seeds = {
        derive_seed(*parts) for parts in [(0,), (1,), (0, "a"), (0, "a", "b"), (0, "ab"), (0, 1), (0, "1"), (0, 1, 0)]
    }
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
