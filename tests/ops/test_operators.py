"""Every registered operator: shapes, counts, and what makes each of them itself."""

import pytest
import torch
from torch import nn

from nas.ops import operators
from nas.ops.skip import FactorizedReduce

NAMES = [
    *operators,
    "sandglass_3x3_t3",
    "sandglass_3x3_t6_share1of2_dw2",
    "sandglass_3x3_t2_share0",
    "ir_3x3_t3",
    "ir_3x3_t1",
]


def parameters(name: str, channels: int, stride: int, affine: bool) -> int:
    return sum(p.numel() for p in operators[name].build(channels, stride, affine).parameters())


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (5, 7), (8, 8)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_any_size_keeps_its_channels_and_is_divided_by_the_stride(name, stride, size):
    x = torch.randn(3, 6, *size)
    expected = (3, 6, -(-size[0] // stride), -(-size[1] // stride))
    assert operators[name].build(6, stride, True)(x).shape == expected
    assert operators[name].build_for_search(6, stride)(x).shape == expected


@pytest.mark.parametrize("name", NAMES)
def test_affine_decides_whether_batchnorms_learn(name):
    for affine in (True, False):
        norms = [m for m in operators[name].build(8, 2, affine).modules() if isinstance(m, nn.BatchNorm2d)]
        assert all(norm.affine is affine for norm in norms)
    assert all(m.bias is None for m in operators[name].build(8, 1, True).modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize("name", ["max_pool_3x3", "avg_pool_3x3"])
def test_only_the_search_puts_a_batchnorm_behind_a_pool(name):
    def norms(module: nn.Module) -> int:
        return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())

    assert norms(operators[name].build(8, 1, True)) == 0
    assert norms(operators[name].build_for_search(8, 1)) == 1


# Closed forms with C channels, from the papers' tables of the blocks: affine, without affine.
FORMULAS = {
    "sep_conv_3x3": (lambda c: 2 * c * c + 22 * c, lambda c: 2 * c * c + 18 * c),
    "sep_conv_5x5": (lambda c: 2 * c * c + 54 * c, lambda c: 2 * c * c + 50 * c),
    "dil_conv_3x3": (lambda c: c * c + 11 * c, lambda c: c * c + 9 * c),
    "ir_3x3_t6": (lambda c: 12 * c * c + 13 * 6 * c + 2 * c, lambda c: 12 * c * c + 54 * c),
    "ir_3x3_t3": (lambda c: 6 * c * c + 13 * 3 * c + 2 * c, lambda c: 6 * c * c + 27 * c),
}


@pytest.mark.parametrize("channels", [16, 36, 72])
@pytest.mark.parametrize("name", FORMULAS)
def test_parameters_follow_the_closed_form(name, channels):
    affine, plain = FORMULAS[name]
    for stride in (1, 2):
        assert parameters(name, channels, stride, True) == affine(channels)
        assert parameters(name, channels, stride, False) == plain(channels)


@pytest.mark.parametrize("channels", [16, 36, 72, 144])
def test_sandglass_parameters_follow_the_closed_form(channels):
    c, h = channels, channels // 6
    assert parameters("sandglass_3x3_t6", c, 1, True) == 2 * c * h + 24 * c + 2 * h
    assert parameters("sandglass_3x3_t6", c, 1, False) == 2 * c * h + 18 * c
    assert parameters("sandglass_3x3_t6", c, 2, True) == 2 * c * h + 13 * c + 2 * h
    assert parameters("sandglass_3x3_t6", c, 2, False) == 2 * c * h + 9 * c
    assert parameters("sandglass_3x3_t6_dw2", c, 2, True) == 2 * c * h + 24 * c + 2 * h


@pytest.mark.parametrize(
    ("name", "counts"),
    [  # at C = 36, 72, 144, stride 1, affine: counted from the papers' definitions
        ("sandglass_3x3_t6", (1308, 3480, 10416)),
        ("ir_3x3_t6", (18432, 67968, 260352)),
        ("ir_3x3_t3", (9252, 34056, 130320)),
        ("ir_3x3_t1", (1764, 6120, 22608)),
    ],
)
def test_parameters_of_the_retrained_widths(name, counts):
    assert tuple(parameters(name, c, 1, True) for c in (36, 72, 144)) == counts


def test_a_narrow_sandglass_keeps_one_channel():
    assert operators["sandglass_3x3_t6"].build(4, 1, True)(torch.randn(2, 4, 3, 3)).shape == (2, 4, 3, 3)


@pytest.mark.parametrize(("name", "shared"), [("", 12), ("_share1of2", 6), ("_share1of6", 2), ("_share0", 0)])
def test_sandglass_adds_its_share_of_the_identity(name, shared):
    block = operators[f"sandglass_3x3_t6{name}"].build(12, 1, True).eval()
    x = torch.randn(2, 12, 5, 5)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()  # the branch gives zeros; what is left is the identity
        y = block(x)
    assert torch.equal(y[:, :shared], x[:, :shared])
    assert not y[:, shared:].any()


def test_sandglass_is_the_composition_that_the_paper_tabulates():
    """Table 1 of arXiv 2007.02269: dw ReLU6 | pw linear | pw ReLU6 | dw linear | + x, written out by hand."""
    block = operators["sandglass_3x3_t6"].build(12, 1, False).double().eval()
    x = torch.randn(2, 12, 6, 5, dtype=torch.float64) * 4
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    scale = (1 + 1e-5) ** -0.5  # of a fresh BatchNorm in evaluation
    y = torch.conv2d(x, convs[0].weight, padding=1, groups=12).mul(scale).clamp(0, 6)
    y = torch.conv2d(y, convs[1].weight).mul(scale)
    y = torch.conv2d(y, convs[2].weight).mul(scale).clamp(0, 6)
    y = torch.conv2d(y, convs[3].weight, padding=1, groups=12).mul(scale)
    torch.testing.assert_close(block(x), x + y, rtol=1e-12, atol=1e-12)


def test_average_pool_does_not_count_the_padding():
    ones = torch.ones(1, 1, 3, 3)
    assert torch.equal(operators["avg_pool_3x3"].build(1, 1, True)(ones), ones)


@pytest.mark.parametrize("stride", [1, 2])
def test_none_is_zero_and_blocks_the_gradient(stride):
    x = torch.randn(1, 2, 5, 4)
    x[0, 0, 0, 0] = float("nan")
    assert not operators["none"].build(2, stride, True)(x).any()


def test_skip_connect_is_the_identity_or_halves():
    assert isinstance(operators["skip_connect"].build(4, 1, True), nn.Identity)
    assert isinstance(operators["skip_connect"].build(4, 2, True), FactorizedReduce)


def test_factorized_reduce_looks_at_even_and_at_odd_pixels():
    reduce = FactorizedReduce(1, 2, affine=False).eval()
    with torch.no_grad():
        reduce[1].even.weight.fill_(1)
        reduce[1].odd.weight.fill_(1)
    x = torch.arange(25.0).view(1, 1, 5, 5)
    even, odd = (reduce(x) * (1 + 1e-5) ** 0.5).round()[0]
    assert torch.equal(even, x[0, 0, ::2, ::2])
    assert torch.equal(odd[:2, :2], x[0, 0, 1::2, 1::2])
    assert not odd[2].any()
    assert not odd[:, 2].any()


def test_conv_7x1_1x7_strides_along_both_axes():
    convs = [m for m in operators["conv_7x1_1x7"].build(4, 2, True) if isinstance(m, nn.Conv2d)]
    assert [(conv.kernel_size, conv.stride) for conv in convs] == [((1, 7), (1, 2)), ((7, 1), (2, 1))]


# Parameters of each variant's convolutions at C = 12, t = 6, without affine: products of the sizes in Figure S1.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("variant_a_3x3_t6", 12 * 2 + 9 * 2 + 2 * 12),
        ("variant_b_3x3_t6", 12 * 2 + 2 * 9 * 2 + 2 * 12),
        ("variant_c_3x3_t6", 9 * 12 + 12 * 72 + 72 * 12 + 9 * 12),
    ],
)
def test_variants_have_the_layers_of_the_figure(name, expected):
    assert parameters(name, 12, 1, False) == parameters(name, 12, 2, False) == expected
