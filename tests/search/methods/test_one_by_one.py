"""Random search and evolution: turns, learning rates, the best of all cells, a cell's own network, resume."""

import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import nas
from nas.core.errors import InputError
from nas.core.seeding import derive_seed
from nas.graph.random_cell import random_genotype
from nas.models.one_path import kept_operators
from nas.runtime.metrics_log import read_metrics
from nas.search.method import JudgedCell
from nas.search.methods import build_method
from nas.search.methods.one_by_one import cell_turns
from nas.search.state import init_search_state
from tests.helpers.runs import StopAfter, metrics, same, search_state
from tests.helpers.search_settings import SETTINGS

TWO_EACH = {"random": {"epochs_per_cell": 2}}


def read_cells(folder):
    return [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]


def test_a_search_is_divided_into_equal_turns():
    assert [tuple(cell_turns(epochs, 5)) for epochs in (50, 53, 9, 3)] == [
        (10, 5),
        (10, 5),
        (1, 9),
        (1, 3),
    ]
    rate = build_method("random", TWO_EACH).weights_lr
    weights = SETTINGS.weights
    assert [rate(weights, epoch, 4) for epoch in range(4)] == pytest.approx([0.025, 0.013] * 2)


def test_the_best_cell_is_kept_and_all_are_listed(run_search, tmp_path):
    result = run_search(tmp_path, method="random", methods=TWO_EACH, epochs=5)
    cells = read_cells(tmp_path)
    assert (result.epoch, len(cells), [cell["epoch"] for cell in cells]) == (4, 2, [2, 4])
    rows = {row["epoch"]: row["valid_accuracy"] for row in read_metrics(tmp_path / "metrics.jsonl")}
    assert [cell["valid_accuracy"] for cell in cells] == [rows[epoch] for epoch in (2, 4)]
    best = max(cells, key=lambda cell: cell["valid_accuracy"])
    assert result.genotype == nas.load_genotype(best["genotype"])
    assert result.settledness.lead is None  # no alphas lead
    space = nas.load_space("tiny")
    for number, cell in enumerate(cells):
        drawn = random_genotype(space, random.Random(derive_seed(SETTINGS.seed, "cells", number)))
        assert nas.load_genotype(cell["genotype"]) == drawn


def test_each_cell_starts_from_weights_of_its_own_seed(digits):
    state = init_search_state(nas.load_space("tiny"), replace(SETTINGS, method="random"), 10, torch.device("cpu"), 1)
    before = {name: value.clone() for name, value in state.supernet.state_dict().items()}
    draws = torch.get_rng_state()
    for tensor in [*state.supernet.weights(), *state.momentum_buffers().values()]:
        tensor.data.fill_(7.0)
    state.redraw_weights(1)
    first = {name: value.clone() for name, value in state.supernet.state_dict().items()}
    state.redraw_weights(2)
    second = state.supernet.state_dict()
    weights = state.supernet.named_weights()
    drawn = [name for name, weight in weights.items() if weight.ndim > 1]
    assert not any(torch.equal(first[name], second[name]) for name in drawn)
    state.redraw_weights(1)
    assert all(torch.equal(first[name], value) for name, value in state.supernet.state_dict().items())
    assert all(torch.equal(before[name], second[name]) for name in before.keys() - weights.keys())
    assert not any(buffer.any() for buffer in state.momentum_buffers().values())
    assert torch.equal(draws, torch.get_rng_state())


def test_a_path_is_the_network_of_its_cell():
    """With the weights of the supernet: a space whose operators are built as for retraining."""
    torch.manual_seed(0)
    space = nas.load_space("nb201")
    cell = random_genotype(space, random.Random(1))
    supernet, network = nas.Supernet(space, 4, 1).eval(), nas.Network(cell, 4, 1, 10).eval()
    for own, other in zip(network.cells, supernet.cells, strict=True):
        own.preprocess.load_state_dict(other.preprocess.state_dict())
        for row, (operator, _) in enumerate(cell.edges("cell")):
            own.operators[row].load_state_dict(other.operators_on(row)[operator].state_dict())
    for part in ("stem", "final_norm", "classifier"):
        getattr(network, part).load_state_dict(getattr(supernet, part).state_dict())
    supernet.restrict(kept_operators(cell, space))
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(supernet(x), network(x))


def test_evolution_breeds_the_best_of_its_sample_and_forgets_the_oldest():
    space = nas.load_space("nb201")
    cells = [random_genotype(space, random.Random(seed)) for seed in range(4)]
    judged = [JudgedCell(cell, accuracy, 1) for cell, accuracy in zip(cells, (0.9, 0.3, 0.2, 0.1), strict=True)]
    settings = {"evolution": {"population": 3, "sample": 60, "epochs_per_cell": 1}}
    method, children = build_method("evolution", settings), []
    for seed in range(20):
        memory = {"cells": [{"genotype": repr(j.genotype), "valid_accuracy": j.valid_accuracy} for j in judged]}
        view = SimpleNamespace(
            memory=memory, epoch=4, epochs=9, seed=seed, valid_accuracy=None, supernet=SimpleNamespace(space=space)
        )
        view.restrict, view.redraw_weights = lambda kept: None, lambda number: None
        method.on_epoch[0](view)
        children.append(nas.load_genotype(view.memory["cells"][-1]["genotype"]))
    parent = set(enumerate(cells[1].edges("cell")))  # 0.9 is too old
    assert all(len(parent & set(enumerate(child.edges("cell")))) == 5 for child in children)
    assert len(set(children)) > 5


def test_an_interrupted_evolution_ends_as_a_whole_one(run_search, tmp_path):
    own = {"evolution": {"population": 1, "sample": 1, "epochs_per_cell": 1}}
    changes = {"method": "evolution", "methods": own, "epochs": 3}
    run_search(tmp_path / "whole", **changes)
    assert not run_search(tmp_path / "parts", StopAfter(4), **changes).finished
    assert not run_search(tmp_path / "parts", StopAfter(2), resume=True, **changes).finished
    run_search(tmp_path / "parts", resume=True, **changes)
    assert same(search_state(tmp_path / "whole"), search_state(tmp_path / "parts"))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    assert read_cells(tmp_path / "whole") == read_cells(tmp_path / "parts")


@pytest.mark.parametrize("other", ["gdas", "beta_darts", "a2m", "random+evolution"])
def test_methods_about_alphas_do_not_compose_with_it(other):
    spec = other if "random" in other else f"random+{other}"
    with pytest.raises(InputError, match=r"about alphas|both define"):
        build_method(spec)


def test_settings_out_of_range_are_refused():
    for name, key in (("random", "epochs_per_cell"), ("evolution", "population"), ("evolution", "sample")):
        with pytest.raises(InputError, match=f"methods.{name}.{key}=0: must be at least 1"):
            build_method(name, {name: {key: 0}})
