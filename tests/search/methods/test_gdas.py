"""GDAS against its formulas, and against the supernet that computes all operators."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import nas
from nas.core.errors import InputError
from nas.search.methods import build_method
from nas.search.methods.gdas import gumbel_noise, one_hot_sample
from nas.search.state import search_method
from tests.helpers.search_settings import SETTINGS


def noise_of(seed, *shape):
    return gumbel_noise(shape, torch.Generator().manual_seed(seed))


def test_a_pass_without_noise_has_no_gradient_and_says_so():
    supernet = nas.Supernet("tiny", 2, 2, relaxation=build_method("gdas").relaxation)
    batch = (torch.randn(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(InputError, match="relax: the model's own strengths have no gradient"):
        nas.architecture_gradients(supernet, batch, batch, 0.1)


def test_a_sample_is_one_hot_and_has_the_gradient_of_the_gumbel_softmax():
    torch.manual_seed(0)
    alpha = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    noise, tau, c = noise_of(1, 5, 4), torch.tensor(0.7, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    found = one_hot_sample(alpha, noise, tau)
    for row in range(5):  # the softmax and its derivative, number by number
        z = [(alpha[row, k].item() + noise[row, k].item()) / 0.7 for k in range(4)]
        y = [math.exp(value) / sum(math.exp(other) for other in z) for value in z]
        assert found[row].tolist() == [1.0 if k == y.index(max(y)) else 0.0 for k in range(4)]
        mean = sum(y[k] * c[row, k].item() for k in range(4))
        wanted = torch.tensor([y[k] * (c[row, k].item() - mean) / 0.7 for k in range(4)], dtype=torch.float64)
        got = torch.autograd.grad((found[row] * c[row]).sum(), alpha, retain_graph=True)[0][row]
        torch.testing.assert_close(got, wanted)


def test_gumbel_noise_has_the_distributions_mean_and_variance():
    noise = noise_of(0, 100_000)
    assert noise.mean().item() == pytest.approx(0.5772156649, abs=0.02)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.05)


def test_the_temperature_falls_from_10_to_a_tenth():
    schedule = build_method("gdas").relaxation.schedule
    assert [schedule(epoch, 4) for epoch in range(4)] == pytest.approx([10 - 9.9 * epoch / 3 for epoch in range(4)])
    assert build_method("gdas", {"gdas": {"tau_max": 5, "tau_min": 1.0}}).relaxation.schedule(0, 4) == 5


@pytest.mark.parametrize("execution", ["reference", "fused", "batched"])
def test_only_the_chosen_operators_are_computed_and_give_the_gradient(execution):
    method = build_method("gdas")
    torch.manual_seed(2)
    dense = nas.Supernet("tiny", 2, 3, execution="reference").double()
    sparse = nas.Supernet("tiny", 2, 3, execution=execution, relaxation=method.relaxation).double()
    sparse.load_state_dict(dense.state_dict())
    images, labels = torch.randn(3, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2])
    noise = {kind: noise_of(seed, *alpha.shape) for seed, (kind, alpha) in enumerate(sparse.alphas().items())}
    relax = method.relaxation.of_step(noise, torch.tensor(2.0, dtype=torch.float64))

    one_hot = {kind: p.detach().requires_grad_() for kind, p in relax(dense.alphas()).items()}
    loss = F.cross_entropy(dense(images, lambda alphas: one_hot), labels)
    by_strengths = torch.autograd.grad(loss, list(one_hot.values()))
    alphas = list(sparse.alphas().values())
    found_loss = F.cross_entropy(sparse(images, relax), labels)
    found = torch.autograd.grad(found_loss, alphas)
    torch.testing.assert_close(found_loss, loss)
    # the other entries of the gradient by the one-hot are dropped, then it passes through the Gumbel softmax
    kept = [g * h.detach() for g, h in zip(by_strengths, one_hot.values(), strict=True)]
    wanted = torch.autograd.grad(list(relax(sparse.alphas()).values()), alphas, kept)
    torch.testing.assert_close(found, wanted)

    counters = {name for name, buffer in sparse.named_buffers() if name.endswith("num_batches_tracked")}
    moved = {name for name in counters if ".edges." in name and sparse.get_buffer(name) > 0}
    assert moved
    for cell_index, cell in enumerate(sparse.cells):
        for edge in range(len(cell.edge_list)):
            chosen = one_hot[cell.kind][edge].argmax().item()
            for column, name in enumerate(sparse.space.operators):
                prefix = f"cells.{cell_index}.edges.{edge}.{name}."
                assert not any(key.startswith(prefix) for key in moved) or column == chosen


@pytest.mark.parametrize("execution", ["reference", "fused"])
def test_the_gradient_of_a_sample_without_operators_is_zero(execution):
    relaxation = build_method("gdas").relaxation
    supernet = nas.Supernet("nb201", 2, 1, execution=execution, relaxation=relaxation)
    batch = (torch.randn(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))
    noise = torch.zeros(6, 5)
    noise[:, supernet.space.operators.index("none")] = 100.0
    relax = relaxation.of_step({"cell": noise}, torch.tensor(1.0))
    assert nas.architecture_gradients(supernet, batch, batch, 0.1, relax=relax)["cell"].count_nonzero() == 0


def test_second_order_is_refused():
    with pytest.raises(InputError, match="order=2: method=gdas is defined for order 1"):
        search_method(replace(SETTINGS, method="gdas", order=2))
