"""The supernet: published counts, where alphas live, and what a mixed edge computes."""

import copy

import pytest
import torch
from torch import nn

import nas
from nas.core.errors import InputError
from nas.graph.space_file import list_spaces
from nas.models.search_cell import SearchCell

SPACES = [space.name for space in list_spaces()]


@pytest.mark.parametrize(
    ("space", "channels", "cells", "weights"),
    [  # counted by running the released code of DARTS, and from the blocks' definitions
        ("darts", 16, 8, 1_930_618),
        ("darts", 8, 5, 394_210),
        ("darts", 4, 3, 72_854),
        ("darts+sandglass", 16, 8, 2_073_338),
        ("darts+ir", 16, 8, 4_839_034),
    ],
)
def test_weights_are_as_many_as_published(space, channels, cells, weights):
    supernet = nas.Supernet(space, channels, cells)
    assert sum(w.numel() for w in supernet.weights()) == weights == nas.cost(supernet, (3, 8, 8)).params


def test_multiply_adds_are_as_many_as_published():
    assert nas.cost(nas.Supernet("darts", 16, 8), (3, 32, 32)).macs == 300_255_744


@pytest.mark.parametrize("space", SPACES)
def test_every_space_runs_at_odd_sizes_and_reaches_every_parameter(space):
    supernet = nas.Supernet(space, channels=4, cells=4, num_classes=7)
    logits = supernet(torch.randn(3, 3, 9, 6))
    assert logits.shape == (3, 7)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in supernet.parameters())


def test_alphas_and_weights_are_apart_and_both_in_the_state():
    supernet = nas.Supernet("darts", 4, 3)
    alphas, weights = supernet.alphas(), supernet.weights()
    assert {kind: tuple(alpha.shape) for kind, alpha in alphas.items()} == {"normal": (14, 8), "reduce": (14, 8)}
    assert not {id(a) for a in alphas.values()} & {id(w) for w in weights}
    assert len(weights) + 2 == len(list(supernet.parameters()))
    assert {"alpha_normal", "alpha_reduce"} <= set(supernet.state_dict())
    assert set(supernet.named_weights()) <= set(supernet.state_dict())


def test_alphas_start_near_zero():
    torch.manual_seed(0)
    values = torch.cat([alpha.flatten() for alpha in nas.Supernet("darts", 4, 3).alphas().values()])
    assert 0.5e-3 < values.std() < 1.5e-3


def test_reduction_cells_stand_at_the_thirds_and_double_the_width():
    cells = [cell for cell in nas.Supernet("tiny", 4, 8).cells if isinstance(cell, SearchCell)]
    assert [cell.kind for cell in cells] == ["normal"] * 2 + ["reduce"] + ["normal"] * 2 + ["reduce"] + ["normal"] * 2
    widths = [
        next(m for m in cell.preprocess[1].modules() if isinstance(m, nn.BatchNorm2d)).num_features for cell in cells
    ]
    assert widths == [4, 4, 8, 8, 8, 16, 16, 16]


def test_batchnorm_learns_in_the_stem_only():
    affine = {
        name for name, m in nas.Supernet("darts", 4, 3).named_modules() if isinstance(m, nn.BatchNorm2d) and m.affine
    }
    assert affine == {"stem.1"}


def test_a_cell_is_the_sum_that_its_definition_says():
    """Nodes as sums over edges and operators, written out with loops over indices, in float64."""
    torch.manual_seed(1)
    supernet = nas.Supernet("darts", 4, 3).double().eval()
    space, cell = supernet.space, supernet.cells[0]
    x = torch.randn(2, 12, 6, 6, dtype=torch.float64)
    strengths = torch.softmax(torch.randn(14, 8, dtype=torch.float64), 1)
    from nas.models.cell_mix import CellMix
    from nas.models.execution.reference import reference_cell

    found = reference_cell(cell, [x, x], CellMix(strengths))
    nodes = [cell.preprocess[0](x), cell.preprocess[1](x)]
    row = 0
    for target in range(2, 6):
        total = torch.zeros_like(nodes[0])
        for source in range(target):
            for column, name in enumerate(space.operators):
                total += strengths[row, column] * cell.edges[row][name](nodes[source])
            row += 1
        nodes.append(total)
    torch.testing.assert_close(found, torch.cat(nodes[2:], 1), rtol=1e-12, atol=1e-12)


def test_strengths_include_none():
    supernet = nas.Supernet("darts", 4, 3)
    with torch.no_grad():
        supernet.alpha_normal[:, 0] = 50.0  # none takes everything
        assert supernet.strengths()["normal"][:, 0].min() > 0.999


def test_genotype_is_read_off_the_alphas():
    supernet = nas.Supernet("darts", 4, 3)
    with torch.no_grad():
        for alpha in supernet.alphas().values():
            alpha.zero_()
            alpha[:, 4] = torch.arange(1.0, 15.0)  # sep_conv_3x3, later edges stronger
    genotype = supernet.genotype()
    expected = [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert [source for _, source in genotype.normal] == [source for pair in expected for source in pair]
    assert genotype.operators() == {"sep_conv_3x3"}


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"cells": 0}, {"num_classes": -1}])
def test_sizes_below_one_are_refused(wrong):
    with pytest.raises(InputError, match="must be at least 1"):
        nas.Supernet("tiny", **wrong)


def test_other_numbers_of_inputs_work(tmp_path):
    for inputs in (1, 3):
        file = tmp_path / f"inputs{inputs}.yaml"
        sizes = f"{{inputs: {inputs}, intermediate_nodes: 2, edges_per_node: 1}}"
        file.write_text(f"operators: [none, skip_connect, sep_conv_3x3]\ntopology: {sizes}\n")
        supernet = nas.Supernet(nas.load_space(str(file)), 4, 4)
        assert supernet(torch.randn(2, 3, 8, 8)).shape == (2, 10)
        network = nas.Network(supernet.genotype(), 4, 4, auxiliary=False)
        assert network(torch.randn(2, 3, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("execution", ["fused", "batched"])
def test_a_batch_of_no_images_updates_statistics_as_the_reference_does(execution):
    """torch's BatchNorm moves its running mean towards zero then."""
    supernet = nas.Supernet("tiny", 2, 3, execution=execution).train()
    supernet(torch.randn(4, 3, 8, 8))
    reference = copy.deepcopy(supernet)
    reference.execution = "reference"
    for net in (supernet, reference):
        assert net(torch.randn(0, 3, 8, 8)).shape == (0, 10)
    torch.testing.assert_close(dict(supernet.named_buffers()), dict(reference.named_buffers()))


@pytest.mark.parametrize("execution", ["fused", "batched", "reference"])
@pytest.mark.parametrize("in_chans", [1, 4])
def test_images_may_have_any_number_of_channels(execution, in_chans):
    supernet = nas.Supernet("tiny", 2, 3, execution=execution, in_chans=in_chans).train()
    supernet(torch.randn(4, in_chans, 8, 8)).square().sum().backward()
    (gradient,) = [p.grad for p in supernet.stem.parameters() if p.ndim == 4]
    assert gradient.shape == (6, in_chans, 3, 3)
    assert gradient.isfinite().all()


def test_it_prints_on_one_line():
    text = repr(nas.Supernet("darts+sandglass", channels=2, cells=4))
    assert text.isprintable()
    assert len(text) < 200
    for part in ("darts+sandglass", "9 operators on 14 edges", "2 normal, 2 reduce", "10 classes", "execution=fused"):
        assert part in text


@pytest.mark.parametrize("cells", [1, 2])
def test_a_supernet_without_a_kind_of_cell_has_no_genotype(cells):
    with pytest.raises(InputError, match=f"cells={cells}: must be at least 3: two reduction cells and a normal one"):
        nas.Supernet("darts", 2, cells).genotype()
