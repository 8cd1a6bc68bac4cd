"""Edge probabilities against brute force, and against the derivation of strengths with Gumbel noise."""

from itertools import permutations
from math import prod, sqrt

import pytest
import torch

from nas.core.errors import InputError
from nas.costs.edge_probabilities import check_derivations, inclusion_probabilities, keep_probabilities
from nas.graph.derive import derive_cell
from nas.graph.space import Space

OPERATORS = ("conv_1x1", "none", "skip_connect", "max_pool_3x3")
SPACES = [
    Space("two_of_up_to_five", OPERATORS),
    Space("one_of_three", OPERATORS, inputs=3, intermediate_nodes=1, edges_per_node=1),
    Space("three_of_five", OPERATORS, inputs=3, intermediate_nodes=3, edges_per_node=3),
    Space("without_none", OPERATORS[2:], intermediate_nodes=2),
    Space("one_operator", OPERATORS[:1], intermediate_nodes=2),
]


def random_alpha(space: Space, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(len(space.edges), len(space.operators), generator=generator, dtype=torch.float64)


def by_all_orders(weights: list[float], draws: int) -> torch.Tensor:
    kept = torch.zeros(len(weights), dtype=torch.float64)
    for order in permutations(range(len(weights)), draws):
        left = [sum(weights) - sum(weights[e] for e in order[:k]) for k in range(draws)]
        kept[list(order)] += prod(weights[e] / rest for e, rest in zip(order, left, strict=True))
    return kept


@pytest.mark.parametrize(("n", "draws"), [(n, k) for n in range(1, 7) for k in range(1, min(n, 4) + 1)])
def test_inclusion_probability_is_the_sum_over_all_orders(n, draws):
    weights = torch.rand(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64) + 0.01
    kept = inclusion_probabilities(weights.log(), draws)
    torch.testing.assert_close(kept, by_all_orders(weights.tolist(), draws), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(inclusion_probabilities(weights.log() - 700, draws), kept)  # only ratios count


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_node_with_at_most_edges_per_node_edges_keeps_them_all(n):
    log_weights = torch.linspace(-900, 0, n, dtype=torch.float64, requires_grad=True)
    kept = inclusion_probabilities(log_weights, n)
    assert torch.equal(kept, torch.ones_like(kept))
    (gradient,) = torch.autograd.grad(kept.sum(), log_weights)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_each_node_keeps_as_many_edges_as_the_derivation(space):
    for scale in (0.0, 1.0, 1e3):
        probabilities = keep_probabilities(random_alpha(space, scale), space)
        nodes = probabilities.sum(1).split(list(range(space.inputs, space.nodes - 1)))
        for node in nodes:
            assert node.sum().item() == pytest.approx(space.edges_per_node, rel=1e-12)
        if "none" in space.operators:
            assert (probabilities[:, space.operators.index("none")] == 0).all()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_frequencies_of_the_derivation_with_gumbel_noise(space):
    """Apply the derivation to 2,000 noisy strengths: each frequency lies within 4.5 standard errors."""
    alpha, samples = random_alpha(space, 1.5), 2000
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(samples, *alpha.shape, generator=generator, dtype=torch.float64)
    counts = torch.zeros_like(alpha)
    for noisy in (alpha.log_softmax(1) - (-uniform.log()).log()).tolist():
        kept = iter(derive_cell(noisy, space))
        for target in range(space.inputs, space.nodes - 1):
            for _ in range(space.edges_per_node):
                operator, source = next(kept)
                counts[space.edges.index((target, source)), space.operators.index(operator)] += 1
    p = keep_probabilities(alpha, space)
    errors = (p * (1 - p)).clamp_min(0).sqrt() / sqrt(samples)
    assert ((counts / samples - p).abs() <= 4.5 * errors + 1e-9).all()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_gradients(space):
    alpha = random_alpha(space).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: keep_probabilities(a, space), alpha)


@pytest.mark.parametrize("scale", [0.0, 1e3, 1e6, 1e30])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_nothing_overflows(space, scale, dtype):
    alphas = [random_alpha(space, scale), scale * torch.ones(len(space.edges), len(space.operators))]
    for column in range(len(space.operators)):  # the same operator (or none) on all edges
        alphas.append(torch.zeros_like(alphas[0]))
        alphas[-1][:, column] = scale
    for alpha in alphas:
        alpha = alpha.to(dtype).requires_grad_()
        probabilities = keep_probabilities(alpha, space)
        (gradient,) = torch.autograd.grad((probabilities * torch.rand_like(probabilities)).sum(), alpha)
        assert probabilities.isfinite().all()
        assert gradient.isfinite().all()


def test_equally_strong_edges_are_kept_equally_often():
    space = Space("darts_like", OPERATORS)
    alpha = torch.zeros(len(space.edges), 4, dtype=torch.float64)
    alpha[:, 0] = 1e3
    for node in keep_probabilities(alpha, space)[:, 0].split([2, 3, 4, 5]):
        torch.testing.assert_close(node, torch.full_like(node, 2 / len(node)), rtol=1e-12, atol=0)


def test_if_none_dominates_the_second_strongest_operator_decides():
    """``none`` has nearly all strength on every edge; the derivation still keeps two edges per node."""
    space = Space("darts_like", OPERATORS)
    alpha = torch.full((len(space.edges), 4), -1e3, dtype=torch.float64)
    alpha[:, 1] = 1e3
    for row in [space.edges.index((target, source)) for target in range(2, 6) for source in (0, target - 1)]:
        alpha[row, 2] = -100
    kept = keep_probabilities(alpha, space)
    chosen = derive_cell(alpha.tolist(), space)  # from alphas, since their softmax is 0 except for none
    rows = [space.edges.index((2 + k // 2, source)) for k, (_, source) in enumerate(chosen)]
    assert {operator for operator, _ in chosen} == {"skip_connect"}
    assert kept[rows, 2].tolist() == [1.0] * 8
    assert kept.sum().item() == 8


def test_topologies_with_too_many_derivations_are_rejected():
    check_derivations(Space("wide", OPERATORS, inputs=2, intermediate_nodes=60))
    with pytest.raises(InputError, match="keeps 8 of 20 edges in 125,970 ways; allowed: at most 20,000"):
        check_derivations(Space("wide", OPERATORS, inputs=8, intermediate_nodes=13, edges_per_node=8))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_weights_of_edges_multiply_those_of_their_operators(space):
    """By the definition: the weights w(e) of all orders, with operators and edge weights as plain numbers."""
    alpha, edge_weights = random_alpha(space), torch.rand(len(space.edges), dtype=torch.float64) + 0.1
    strengths = alpha.softmax(1)
    if "none" in space.operators:
        strengths[:, space.operators.index("none")] = 0
    own = edge_weights * strengths.sum(1)
    counts = list(range(space.inputs, space.nodes - 1))
    kept = torch.cat([by_all_orders(node.tolist(), space.edges_per_node) for node in own.split(counts)])
    expected = kept[:, None] * strengths / strengths.sum(1, keepdim=True)
    torch.testing.assert_close(keep_probabilities(alpha, space, edge_weights.log()), expected, rtol=1e-12, atol=1e-14)
