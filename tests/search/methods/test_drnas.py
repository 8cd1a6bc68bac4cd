"""DrNAS against Beta distributions, which two operators give, and against torch's divergence."""

import pytest
import torch
from torch.distributions import Dirichlet, kl_divergence

import nas
from nas.search.methods import build_method
from nas.search.methods.drnas import concentration, dirichlet_mean, dirichlet_sample, divergence, seed_noise
from tests.helpers.method_states import BATCHES

NONE = torch.zeros(())


def sample(alpha, seed):
    return dirichlet_sample(alpha, torch.tensor([seed]), NONE)


def test_concentrations_and_means():
    alpha = torch.tensor([[0.5, -1.0, 0.0]]).double()
    c = [1.5, torch.exp(torch.tensor(-1.0)).item(), 1.0]
    assert concentration(alpha)[0].tolist() == pytest.approx(c)
    assert dirichlet_mean(alpha)[0].tolist() == pytest.approx([value / sum(c) for value in c])


def test_the_derivative_of_a_sample_is_that_of_the_beta_quantile():
    """With two operators the first strength is Beta(c1, c2); at a fixed quantile u, dx/dc = -(dF/dc) / density."""
    special = pytest.importorskip("scipy.special")
    for seed in range(5):
        alpha = torch.tensor([[0.7, -0.4]], dtype=torch.float64, requires_grad=True)
        x = sample(alpha, seed)
        (found,) = torch.autograd.grad(x[0, 0], alpha)
        c1, c2 = concentration(alpha.detach())[0].tolist()
        u, h = special.betainc(c1, c2, x[0, 0].item()), 1e-5
        by_c = [(special.betaincinv(c1 + h, c2, u) - special.betaincinv(c1 - h, c2, u)) / (2 * h)]
        by_c.append((special.betaincinv(c1, c2 + h, u) - special.betaincinv(c1, c2 - h, u)) / (2 * h))
        slopes = [1.0, torch.exp(torch.tensor(-0.4)).item()]  # of 1 + elu
        assert found[0].tolist() == pytest.approx([c * s for c, s in zip(by_c, slopes, strict=True)], rel=2e-3)


def test_samples_have_the_mean_and_variance_of_the_distribution():
    alpha = torch.tensor([[0.5, -1.0, 0.0, -torch.inf]]).double()
    many = sample(alpha.expand(20_000, 4), 0)
    assert torch.equal(many[:, 3], torch.zeros(20_000).double())
    torch.testing.assert_close(many.sum(1), torch.ones(20_000).double())
    exact = Dirichlet(concentration(alpha)[0, :3])
    torch.testing.assert_close(many[:, :3].mean(0), exact.mean, atol=0.01, rtol=0)
    torch.testing.assert_close(many[:, :3].var(0), exact.variance, atol=0.01, rtol=0)
    assert torch.equal(sample(alpha, 3), sample(alpha, 3))
    assert not torch.equal(sample(alpha, 3), sample(alpha, 4))


def test_the_divergence_from_the_uniform_distribution():
    torch.manual_seed(0)
    alpha = torch.randn(5, 4).double()
    wanted = kl_divergence(Dirichlet(concentration(alpha)), Dirichlet(torch.ones(5, 4).double())).sum()
    torch.testing.assert_close(divergence(alpha), wanted)
    fewer = torch.cat([alpha[:, :3], torch.full((5, 1), -torch.inf)], dim=1)
    ones = Dirichlet(torch.ones(5, 3).double())
    torch.testing.assert_close(divergence(fewer), kl_divergence(Dirichlet(concentration(alpha[:, :3])), ones).sum())


def test_one_sample_serves_both_passes_of_a_second_order_step():
    relaxation = build_method("drnas").relaxation
    net = nas.Supernet("tiny", 2, 3, execution="reference", relaxation=relaxation).double()
    noise = {kind: seed_noise((5, 5), torch.Generator().manual_seed(1)) for kind in net.space.kinds}
    relax = relaxation.of_step(noise, NONE)
    batches = [(images.double(), labels) for images, labels in BATCHES]
    first, second = (
        nas.architecture_gradients(net, *batches, lr=1e-6, order=order, relax=relax)["normal"] for order in (1, 2)
    )
    torch.testing.assert_close(first, second, atol=1e-3 * float(first.abs().max()), rtol=0)  # other noise: 1/R apart


def test_pruning_keeps_the_best_and_the_alphas_rest_at_first(run_search, tmp_path):
    method = build_method("drnas", {"drnas": {"prune_to": 2}})
    assert [epoch for epoch in range(50) if method.alphas_rest(epoch, 50)] == list(range(10))
    result = run_search(tmp_path, method="drnas", methods={"drnas": {"prune_to": 2}})
    for kind, strengths in result.supernet.strengths().items():
        assert (strengths > 0).sum(1).tolist() == [2] * 5, kind
