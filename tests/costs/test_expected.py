"""The expected size: exact for one-hot alphas, and the mean over sampled networks otherwise."""

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import nas
from nas.core.errors import InputError
from nas.costs.expected import ObjectiveSettings, SizeObjective, size_objective
from nas.graph.derive import derive
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.graph.space_file import list_spaces
from nas.ops import registry
from nas.runtime.metrics_log import read_metrics
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step
from tests.helpers.search_settings import SETTINGS

SMALL = ObjectiveSettings(params=1.0, macs=0.5, channels=6, cells=5)
SHAPE = (3, 13, 9)  # odd sizes are halved rounding up
CPU = torch.device("cpu")
COMPOSED = [
    file.name for file in list_spaces() if "none" not in file.operators and "edge_operators" not in file.topology
]
WITH_NONE = [*(f"darts+{name}" for name in COMPOSED), "darts+ir+sandglass"]
WITH_NONE += [file.name for file in list_spaces() if "none" in file.operators]
SINGLE = [file.name for file in list_spaces() if len(file.operators) == 1 and "none" not in file.operators]
NO_REST = {"pc_darts": {"warmup_epochs": 0}}
COUNTS = json.loads((Path(__file__).parents[1] / "models/published_counts.json").read_text())


def objective(space: Space, settings: ObjectiveSettings = SMALL, shape: tuple[int, ...] = SHAPE) -> SizeObjective:
    return size_objective(settings, space, 10, shape, CPU)


def counted(genotype: Genotype, settings: ObjectiveSettings = SMALL, shape: tuple[int, ...] = SHAPE) -> list[int]:
    cost = nas.cost(nas.Network(genotype, settings.channels, settings.cells, auxiliary=False), shape)
    return [cost.params, cost.macs]


def one_hot(space: Space, cell: dict[tuple[int, int], str], gap: float = 1e3) -> torch.Tensor:
    """Return one-hot alphas: the operators of ``cell`` on its (target, source), ``none`` on the other edges."""
    names = [cell.get(edge, "none") for edge in space.edges]
    alpha = torch.zeros(len(space.edges), len(space.operators), dtype=torch.float64)
    for row, name in enumerate(names):
        alpha[row, space.operators.index(name)] = gap
    return alpha


def random_cell(space: Space, rng: random.Random) -> dict[tuple[int, int], str]:
    if space.edges_per_node == "all":
        return {edge: rng.choice(space.operators) for edge in space.edges}
    names = [name for name in space.operators if name != "none"]
    targets = range(space.inputs, space.nodes - 1)
    kept = [(target, source) for target in targets for source in rng.sample(range(target), space.edges_per_node)]
    return {edge: rng.choice(names) for edge in kept}


def check_exact(space: Space, samples: int) -> None:
    rng, target = random.Random(0), objective(space)
    supernet = nas.Supernet(space, 1, 3).double()
    for _ in range(samples):
        for alpha in supernet.alphas().values():
            alpha.data = one_hot(space, random_cell(space, rng))
        assert target.expected(supernet.alphas()).tolist() == counted(supernet.genotype())


@pytest.mark.parametrize("spec", WITH_NONE)
def test_one_hot_alphas_give_the_count_of_the_network(spec):
    check_exact(nas.load_space(spec), samples=3)


@pytest.mark.parametrize("sizes", [(1, 4, 1), (3, 2, 3), (3, 3, 2), (2, 1, 2)])
def test_other_topologies(sizes):
    check_exact(Space("other", nas.load_space("darts+ir").operators, *sizes), samples=3)


def test_only_operators_that_an_edge_has_are_counted():
    """With one operator on each edge, all alphas give the count of the only network."""
    names = ("conv_3x3", "sep_conv_3x3", "conv_1x1")
    lists = {"normal": [["conv_1x1"], ["conv_3x3"]], "reduce": [["sep_conv_3x3"], ["conv_1x1"]]}
    space = Space("own", names, intermediate_nodes=1, edge_operators=lists)
    supernet = nas.Supernet(space, 1, 3)
    found = objective(space).expected(supernet.alphas())
    torch.testing.assert_close(found, torch.tensor(counted(supernet.genotype()), dtype=torch.float64))


def test_several_operators_per_edge_are_refused(refused):
    space = Space("two", ("conv_1x1", "conv_3x3"), operators_per_edge=2)
    refused("an edge keeps 2 operators; allowed: spaces that keep one operator per edge", objective, space)


@pytest.mark.parametrize("spec", SINGLE)
def test_a_space_without_none(spec):
    """All edges are equally strong: exact if a node keeps them all, else the mean over the sets that it can keep."""
    space = nas.load_space(spec)
    check_exact(replace(space, intermediate_nodes=1), samples=1)
    space = replace(space, intermediate_nodes=2)
    (name,) = space.operators
    cells = [((name, 0), (name, 1), (name, a), (name, b)) for a, b in itertools.combinations(range(3), 2)]
    sizes = [counted(Genotype(n, (2, 3), r, (2, 3))) for n, r in itertools.product(cells, cells)]
    expected = torch.tensor(sizes, dtype=torch.float64).mean(0)
    found = objective(space).expected(dict.fromkeys(("normal", "reduce"), torch.ones(5, 1)))
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("cell", ["darts_v1", "darts_v2"])
def test_published_cells_give_their_published_counts(cell):
    genotype, space = nas.load_genotype(cell), nas.load_space("darts")
    alphas = {}
    for kind in ("normal", "reduce"):
        edges = {(target, source): name for target, kept in genotype.nodes(kind) for name, source in kept}
        alphas[kind] = one_hot(space, edges)
    found = objective(space, ObjectiveSettings(params=1.0), (3, 32, 32)).figures(alphas)
    published = COUNTS[cell]["cifar10_C36_L20"]
    assert found == {"expected_params": published["params"], "expected_macs": published["macs"]}


def test_expected_size_is_the_mean_over_sampled_networks():
    """Build and count genotypes derived from strengths with Gumbel noise; the mean lies within 4 standard errors."""
    space, settings = nas.load_space("tiny"), replace(SMALL, channels=4, cells=3)
    torch.manual_seed(0)
    alphas = {kind: 1.5 * torch.randn(5, 5, dtype=torch.float64) for kind in ("normal", "reduce")}
    sizes = []
    for _ in range(100):
        uniform = {kind: torch.rand(alpha.shape, dtype=torch.float64) for kind, alpha in alphas.items()}
        noisy = {kind: (alphas[kind].log_softmax(1) - (-u.log()).log()).tolist() for kind, u in uniform.items()}
        sizes.append(counted(derive(noisy, space), settings, (3, 8, 8)))
    drawn = torch.tensor(sizes, dtype=torch.float64)
    errors = drawn.std(0) / len(sizes) ** 0.5
    found = objective(space, settings, (3, 8, 8)).expected(alphas)
    assert ((drawn.mean(0) - found).abs() < 4 * errors).all()
    assert (errors < 0.06 * found).all()


def test_the_gradient_of_the_penalty():
    space = nas.load_space("tiny")
    size = objective(space)
    size = replace(size, table=replace(size.table, edges={k: 100 * v for k, v in size.table.edges.items()}))
    torch.manual_seed(0)
    alphas = [torch.randn(5, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda n, r: size.penalty({"normal": n, "reduce": r}), alphas)
    penalty = size.penalty(dict(zip(("normal", "reduce"), alphas, strict=True)))
    expected = size.expected(dict(zip(("normal", "reduce"), alphas, strict=True)))
    assert penalty.item() == pytest.approx(1.0 * expected[0].item() / 1e6 + 0.5 * expected[1].item() / 1e6)


def test_betas_decide_which_edges_are_counted():
    """With betas far apart the size is that of the cell that PC-DARTS derives."""
    space = nas.load_space("tiny")
    state = init_search_state(space, replace(SETTINGS, channels=4, method="pc_darts", methods=NO_REST), 10, CPU)
    size = size_objective(SMALL, space, 10, SHAPE, CPU, state.method.edge_rule)
    leaves = {name: values.detach().double().requires_grad_() for name, values in state.supernet.architecture().items()}
    assert torch.autograd.gradcheck(
        lambda *values: size.penalty(dict(zip(leaves, values, strict=True))), [*leaves.values()]
    )
    added = size.add_gradients({name: torch.zeros_like(values) for name, values in leaves.items()}, leaves)
    assert added["beta_normal"].abs().max() > 1e-6
    state.supernet.double()
    torch.manual_seed(1)
    with torch.no_grad():
        for kind in space.kinds:
            state.supernet.alphas()[kind].copy_(1e3 * torch.eye(5)[torch.randint(1, 5, (5,))])
            state.supernet.betas()[kind].copy_(30.0 * torch.randperm(5))
    assert size.expected(state.supernet.architecture()).tolist() == pytest.approx(counted(state.supernet.genotype()))


def batch(seed: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 3, 8, 8, generator=generator).to(dtype), torch.randint(0, 10, (6,), generator=generator)


def alphas_after(settings: ObjectiveSettings, order: int, steps: int = 1, plain: bool = False):
    """Return the alphas of a small search before and after; ``plain``: each step subtracts the gradient."""
    whole = replace(SETTINGS, order=order, objective=settings, alphas=replace(SETTINGS.alphas, lr=0.02))
    state = init_search_state(nas.load_space("tiny"), whole, 10, CPU)
    state.objective = size_objective(settings, state.supernet.space, 10, (3, 8, 8), CPU)
    if plain:
        state.supernet.double()
        state.alpha_optimizer = torch.optim.SGD(state.supernet.alphas().values(), lr=1.0)  # type: ignore[assignment]
    before = {kind: alpha.detach().clone() for kind, alpha in state.supernet.alphas().items()}
    for step in range(steps):
        train, valid = batch(step, before["normal"].dtype), batch(step + 99, before["normal"].dtype)
        alpha_step(state, whole, train, valid, 0.025)
        if not plain:
            weight_step(state, whole, train, 0.025)
    return before, {kind: alpha.detach() for kind, alpha in state.supernet.alphas().items()}


@pytest.mark.parametrize("order", [1, 2])
def test_the_penalty_gradient_is_added_once(order):
    settings = replace(SMALL, params=20.0, macs=3.0)
    start, without = alphas_after(replace(SMALL, params=0.0, macs=0.0), order, plain=True)
    _, with_size = alphas_after(settings, order, plain=True)
    leaves = {kind: alpha.requires_grad_() for kind, alpha in start.items()}
    objective(nas.load_space("tiny"), settings, (3, 8, 8)).penalty(leaves).backward()
    for kind, alpha in leaves.items():
        assert alpha.grad.abs().max() > 1e-3
        torch.testing.assert_close(without[kind] - with_size[kind], alpha.grad, rtol=1e-9, atol=1e-12)


def test_a_larger_penalty_gives_a_smaller_network():
    measure = objective(nas.load_space("tiny"), SMALL, (3, 8, 8))
    runs = [alphas_after(replace(SMALL, params=weight, macs=0.0), order=1, steps=4)[1] for weight in (0.0, 3.0, 1000.0)]
    sizes = [measure.figures(alphas)["expected_params"] for alphas in runs]
    assert sizes[0] > sizes[1] > sizes[2]


def test_an_unused_objective_counts_nothing_and_random_states_stay():
    space = nas.load_space("tiny")
    assert size_objective(ObjectiveSettings(), space, 10, SHAPE, CPU) is None
    before = torch.get_rng_state()
    objective(space)
    assert torch.equal(torch.get_rng_state(), before)  # the search draws the same numbers with it


def test_metrics_hold_the_expected_size_if_it_is_penalized(run_search, tmp_path):
    run_search(tmp_path / "with", epochs=1, objective=replace(SMALL, channels=4, cells=3))
    run_search(tmp_path / "without", epochs=1)
    rows = read_metrics(tmp_path / "with/metrics.jsonl")
    assert all(1_000 < row["expected_params"] < row["expected_macs"] for row in rows)
    assert not any("expected_params" in row for row in read_metrics(tmp_path / "without/metrics.jsonl"))


@pytest.fixture
def own_operators(monkeypatch):
    monkeypatch.setattr(registry.operators, "_entries", dict(registry.operators._entries))

    @registry.register_operator("silu_pool")
    def silu_pool(channels, stride, affine):
        return nn.Sequential(nn.AvgPool2d(3, stride, 1), nn.SiLU())

    @registry.register_operator("biased_conv")
    def biased_conv(channels, stride, affine):
        return nn.Conv2d(channels, channels, 2 * stride - 1, stride, stride - 1)  # with a bias


@pytest.mark.usefixtures("own_operators")
def test_user_operators_some_without_parameters():
    for names in (("silu_pool", "none"), ("none", "silu_pool", "biased_conv", "conv_7x1_1x7")):
        check_exact(Space("own", names), samples=3)


@pytest.mark.parametrize("name", ["params", "macs"])
@pytest.mark.parametrize("value", [-1e-9, float("inf"), float("nan")])
def test_negative_and_non_finite_factors_are_rejected(name, value):
    with pytest.raises(InputError, match=f"objective.{name}={value}: must be finite and at least 0"):
        ObjectiveSettings(**{name: value})
