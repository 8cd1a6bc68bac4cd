"""The skeleton of NAS-Bench-201: its published size, its blocks written out with torch's functions, its limits."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import nas
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.models.skeletons.nb201 import ReductionBlock
from tests.helpers.executions import assert_equals_reference

MIXED = "|nor_conv_1x1~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"


def all_edges(operator):
    return f"|{operator}~0|+|{operator}~0|{operator}~1|+|{operator}~0|{operator}~1|{operator}~2|"


def test_the_largest_network_has_the_published_parameters():
    network = nas.Network(nas.load_genotype(all_edges("nor_conv_3x3")), channels=16, cells=5)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_531_546


def test_a_network_without_operators_is_stem_reductions_and_head():
    network = nas.Network(nas.load_genotype(all_edges("none")), channels=16, cells=5)
    reductions = sum(9 * c * 2 * c + 9 * (2 * c) ** 2 + 2 * 4 * c + 2 * c**2 for c in (16, 32))
    assert nas.cost(network).params == 27 * 16 + 32 + reductions + 128 + 650


def norm(x, module):
    """BatchNorm with the module's tensors, in training."""
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    y = (x - mean) / (variance + 1e-5).sqrt()
    return y * module.weight[:, None, None] + module.bias[:, None, None]


@pytest.mark.parametrize("size", [(6, 4), (5, 7), (1, 1)])
def test_the_reduction_block_as_its_definition_says(size):
    torch.manual_seed(0)
    block, x = ReductionBlock(2, 4).double(), torch.randn(3, 2, *size, dtype=torch.float64)
    convs = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    y = norm(F.conv2d(F.relu(x), convs[0].weight, stride=2, padding=1), norms[0])
    y = norm(F.conv2d(F.relu(y), convs[1].weight, padding=1), norms[1])
    padded = F.pad(x, (0, size[1] % 2, 0, size[0] % 2))
    counts = F.pad(torch.ones_like(x), (0, size[1] % 2, 0, size[0] % 2))
    pooled = F.avg_pool2d(padded, 2) / F.avg_pool2d(counts, 2)
    expected = y + torch.einsum("oi,bihw->bohw", convs[2].weight[:, :, 0, 0], pooled)
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-10)


def test_the_network_as_its_definition_says():
    """Stem, cells node by node, reductions, BatchNorm, ReLU, mean and linear, with the network's own layers."""
    torch.manual_seed(0)
    network = nas.Network(nas.load_genotype(MIXED), channels=2, cells=1, num_classes=3).double().eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    y = network.stem(x)
    for cell in network.cells:
        nodes = [cell.preprocess[0](y)]
        conv_1x1, _, _, _, conv_3x3, _ = cell.operators
        nodes.append(conv_1x1(nodes[0]))
        nodes.append(F.avg_pool2d(nodes[1], 3, 1, 1, count_include_pad=False))
        y = nodes[0] + conv_3x3(nodes[1])
    expected = network.classifier(F.relu(network.final_norm[0](y)).mean((2, 3)))
    torch.testing.assert_close(network(x), expected, rtol=1e-12, atol=1e-12)
    assert [type(cell.preprocess[0]) for cell in network.cells] == [nn.Identity, ReductionBlock, ReductionBlock]


def test_stages_of_a_backbone():
    network = nas.Network(nas.load_genotype(MIXED), channels=4, cells=2)
    features = network.feature_maps(torch.randn(2, 3, 9, 6))
    assert network.stage_channels == (4, 8, 16)
    assert [tuple(y.shape) for y in features] == [(2, 4, 9, 6), (2, 8, 5, 3), (2, 16, 3, 2)]


def test_the_operators_of_the_supernet_are_those_of_the_network():
    supernet = nas.Supernet("nb201", channels=4, cells=1)
    assert [tuple(alpha.shape) for alpha in supernet.alphas().values()] == [(6, 5)]
    edge = supernet.cells[0].edges[0]
    assert type(edge["avg_pool_3x3"]) is nn.AvgPool2d, "no BatchNorm after a pool"
    assert edge["nor_conv_3x3"][2].affine
    with torch.no_grad():
        supernet.alphas()["cell"][:, 0] = 1.0
    assert supernet.genotype() == nas.load_genotype(all_edges("none"))


def test_executions_are_equal(fast_execution):
    torch.manual_seed(0)
    supernet = nas.Supernet("nb201", channels=2, cells=1, execution="reference").double()
    for alpha in supernet.alphas().values():
        nn.init.normal_(alpha)
    assert_equals_reference(supernet, fast_execution)


def test_a_network_trains_equally_with_the_kernels():
    network = nas.Network(nas.load_genotype(MIXED), channels=2, cells=1).double()
    assert_equals_reference(network, "fused")


def test_cells_that_do_not_fit_are_refused(refused):
    genotype = nas.load_genotype(MIXED)
    refused("stem=imagenet: the skeleton nb201 has one stem", nas.Network, genotype, 4, 1, stem="imagenet")
    refused(
        "space s: skeleton=nb201 needs one kind of cell, got normal, reduce",
        nas.Supernet,
        Space("s", ("a",), 1, 4, 1, skeleton="nb201"),
    )
    one = {"edges_per_node": 1, "kinds": ("cell",), "skeleton": "nb201"}
    refused("needs cells with inputs=1, got 2", nas.Supernet, Space("s", ("a",), **one))
    refused("needs cells whose output is one node (output=last), got 4", nas.Supernet, Space("s", ("a",), 1, **one))
    refused("unknown skeleton 'nb20': did you mean nb201", nas.Supernet, Space("s", ("a",), skeleton="nb20"))
    refused("needs the kinds of cell normal and reduce, got cell", nas.Supernet, Space("s", ("a",), kinds=("cell",)))
    cells = {"cell": ([[("conv_1x1", 0)]], [1])}
    refused("genotype: skeleton=darts needs the kinds", nas.Network, Genotype(cells=cells, inputs=1))
