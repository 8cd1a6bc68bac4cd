"""PC-DARTS against its formulas, written out edge by edge, and against published counts."""

from dataclasses import replace

import pytest
import torch

import nas
from nas.core.errors import InputError
from nas.models.search_cell import SearchCell
from nas.search.methods import build_method
from nas.search.state import init_search_state, search_method
from tests.helpers.runs import StopAfter, search_state
from tests.helpers.search_settings import SETTINGS

RULE = build_method("pc_darts").edge_rule


def shuffled(x, groups):
    """Output channel ``groups * j + i`` is input channel ``i * (C / groups) + j``."""
    out, width = torch.empty_like(x), x.shape[1] // groups
    for i in range(groups):
        for j in range(width):
            out[:, groups * j + i] = x[:, i * width + j]
    return out


def passed_by(x, stride):
    """The largest of each 2x2 window, which the border cuts."""
    if stride == 1:
        return x
    starts = [range(0, side, 2) for side in x.shape[2:]]
    windows = [[x[:, :, row : row + 2, column : column + 2].amax((2, 3)) for column in starts[1]] for row in starts[0]]
    return torch.stack([torch.stack(row, dim=-1) for row in windows], dim=-2)


def written_out(cell: SearchCell, states, p, b):
    """The cell's output, with each edge shuffled and weighed by itself."""
    nodes = [module(state) for module, state in zip(cell.preprocess, states, strict=True)]
    for node in range(2, 2 + cell.intermediate_nodes):
        total = 0
        for edge, (target, source) in enumerate(cell.edge_list):
            if target != node:
                continue
            width = cell.channels // 4
            first, rest = nodes[source][:, :width], nodes[source][:, width:]
            mixed = sum(p[edge, k] * module(first) for k, module in enumerate(cell.operators_on(edge).values()))
            bypass = passed_by(rest, cell.stride if source < 2 else 1)
            total = total + b[edge] * shuffled(torch.cat([mixed, bypass], dim=1), 4)
        nodes.append(total)
    return torch.cat(nodes[2:], dim=1)


@pytest.mark.parametrize("execution", ["reference", "fused", "batched"])
def test_every_execution_computes_the_edges_of_the_paper(execution):
    torch.manual_seed(0)
    supernet = nas.Supernet("tiny", 8, 3, execution=execution, edge_rule=RULE).double()
    with torch.no_grad():
        for parameter in supernet.architecture().values():
            parameter.copy_(torch.randn_like(parameter))
    images = torch.randn(2, 3, 7, 9, dtype=torch.float64)  # odd sides

    def logits():
        states = [supernet.stem(images)] * 2
        for cell in supernet.cells:
            p, beta = torch.softmax(supernet.alphas()[cell.kind], 1), supernet.betas()[cell.kind]
            b = torch.cat([torch.softmax(beta[:2], 0), torch.softmax(beta[2:5], 0)])  # nodes with 2 and 3 edges
            states = [states[1], written_out(cell, states, p, b)]
        return supernet.classifier(states[-1].mean((2, 3)))

    parameters = list(supernet.parameters())
    outputs = [supernet(images), logits()]
    torch.testing.assert_close(*outputs)
    weights = torch.randn_like(outputs[0])
    found, wanted = (torch.autograd.grad((y * weights).sum(), parameters, materialize_grads=True) for y in outputs)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)


def test_the_supernet_has_the_published_number_of_weights():
    with torch.device("meta"):
        supernet = nas.Supernet("darts", 16, 8, edge_rule=RULE)
    assert sum(weight.numel() for weight in supernet.weights()) == 299_578
    assert [tuple(beta.shape) for beta in supernet.betas().values()] == [(14,), (14,)]


def test_the_genotype_is_derived_by_probability_times_edge_weight():
    supernet = nas.Supernet("tiny", 8, 3, edge_rule=RULE)
    with torch.no_grad():
        supernet.alpha_normal.zero_()
        supernet.alpha_normal[:, 2] = torch.tensor([0.0, 0.0, 0.9, 0.5, 0.1])  # max_pool_3x3
        supernet.beta_normal.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0, 3.0]))
    edges = supernet.genotype().edges("normal")
    assert [edge for edge in edges if edge[0] == "max_pool_3x3"][-2:] == [("max_pool_3x3", 2), ("max_pool_3x3", 0)]


def test_alphas_and_betas_rest_in_the_first_epochs_and_move_afterwards(run_search, tmp_path):
    own = {"pc_darts": {"warmup_epochs": 1}}
    changes = {"method": "pc_darts", "methods": own, "channels": 4}
    settings = replace(SETTINGS, **changes)
    started = init_search_state(nas.load_space("tiny"), settings, 10, torch.device("cpu")).supernet.state_dict()
    for resting in (True, False):
        run_search(tmp_path, *([StopAfter(2)] if resting else []), resume=not resting, **changes)
        model = search_state(tmp_path)
        for name in ("alpha_normal", "alpha_reduce", "beta_normal", "beta_reduce"):
            assert torch.equal(model[name], started[name]) == resting


def test_channels_that_cannot_be_divided_are_refused():
    with pytest.raises(InputError, match=r"channels=6: pc_darts needs a multiple of methods.pc_darts.part=4"):
        nas.Supernet("tiny", 6, 3, edge_rule=RULE)
    assert search_method(replace(SETTINGS, epochs=50, method="pc_darts", order=2)).orders == (1, 2)
