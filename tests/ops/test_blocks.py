"""The blocks: layer by layer as the papers define them, and the search's operators built of them."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from nas.models.execution.layer_chain import layer_chain
from nas.ops import operators
from nas.ops.blocks import (
    Residual,
    conv_norm_act,
    inverted_residual_block,
    sandglass_block,
)

CHANNELS, THIN, WIDE = 12, 2, 72


def conv(c_in: int, c_out: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out, affine=False)]


def deep(channels: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels, affine=False),
    ]


def act() -> list[nn.Module]:
    return [nn.ReLU6()]


def by_hand(name: str, stride: int) -> list[nn.Module]:
    """Return the layers of an operator at 12 channels, written out; the parameters are drawn in the layers' order."""
    c = CHANNELS
    match name:
        case "sandglass_3x3_t6":
            first = [*deep(c), *act()] if stride == 1 else []
            return [*first, *conv(c, THIN), *conv(THIN, c), *act(), *deep(c, stride)]
        case "ir_3x3_t6":
            return [*conv(c, WIDE), *act(), *deep(WIDE, stride), *act(), *conv(WIDE, c)]
        case "ir_3x3_t1":
            return [*deep(c, stride), *act(), *conv(c, c)]
        case "variant_a_3x3_t6":
            return [*conv(c, THIN), *act(), *deep(THIN, stride), *act(), *conv(THIN, c)]
        case "variant_b_3x3_t6":
            return [*conv(c, THIN), *act(), *deep(THIN), *act(), *deep(THIN), *act(), *conv(THIN, c, stride)]
    return [*deep(c), *act(), *conv(c, WIDE), *act(), *conv(WIDE, c, stride), *deep(c)]  # variant_c


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "name",
    ["sandglass_3x3_t6", "ir_3x3_t6", "ir_3x3_t1", "variant_a_3x3_t6", "variant_b_3x3_t6", "variant_c_3x3_t6"],
)
def test_operators_keep_their_names_weights_and_layers(name, stride):
    """Checkpoints name the layers by position; seeds and fast executions depend on their order and types."""
    torch.manual_seed(0)
    layers = by_hand(name, stride)
    torch.manual_seed(0)
    module = operators[name].build(CHANNELS, stride, False)
    prefix = "branch." if stride == 1 else ""
    expected = {f"{prefix}{key}": value for key, value in nn.Sequential(*layers).state_dict().items()}
    found = module.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert type(module) is (Residual if stride == 1 else nn.Sequential)
    chain = layer_chain(module)
    assert [repr(layer) for layer in chain.layers] == [repr(layer) for layer in layers]
    assert chain.shortcut == (None if stride == 1 else 0)
    x = torch.randn(2, CHANNELS, 5, 7)
    y = nn.Sequential(*layers)(x)
    assert torch.equal(module(x), y + x if stride == 1 else y)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# torchvision's MobileNetV2, blocks 2, 3 and 4 (t = 6, kernel 3): parameters of features.2, features.3 and features.4.
@pytest.mark.parametrize(
    ("c_in", "c_out", "stride", "expected"), [(16, 24, 2, 5136), (24, 24, 1, 8832), (24, 32, 2, 10000)]
)
def test_inverted_residuals_of_mobilenetv2(c_in, c_out, stride, expected):
    block = inverted_residual_block(c_in, c_out, stride, hidden=6 * c_in)
    assert count(block) == expected
    assert isinstance(block, Residual) is (stride == 1 and c_in == c_out)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("c_in", "c_out"), [(6, 6), (6, 8), (8, 6)])
@pytest.mark.parametrize("build", [inverted_residual_block, sandglass_block])
def test_any_channels_stride_and_kernel(build, c_in, c_out, stride):
    block = build(c_in, c_out, stride, 5, hidden=4, norm=lambda c: nn.GroupNorm(1, c), activation=nn.SiLU)
    assert block(torch.randn(2, c_in, 5, 7)).shape == (2, c_out, -(-5 // stride), -(-7 // stride))
    kinds = [type(layer) for layer in block.modules()]
    assert nn.GroupNorm in kinds
    assert nn.SiLU in kinds
    assert not {nn.BatchNorm2d, nn.ReLU6} & set(kinds)
    assert {layer.kernel_size for layer in block.modules() if isinstance(layer, nn.Conv2d)} == {(1, 1), (5, 5)}
    assert isinstance(block, Residual) is (stride == 1 and c_in == c_out)


def test_attention_comes_before_the_sum_or_within_the_inverted_residual():
    class Halve(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.channels = channels

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.shape[1] == self.channels
            return x / 2

    torch.manual_seed(0)
    plain = sandglass_block(6, 6, hidden=2)
    torch.manual_seed(0)
    block = sandglass_block(6, 6, hidden=2, attention=Halve)
    x = torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(block(x) - x, (plain(x) - x) / 2)
    layers = list(inverted_residual_block(6, 8, 2, hidden=12, attention=Halve))
    assert isinstance(layers[6], Halve)
    assert layers[6].channels == 12


def test_parts_of_a_sandglass_can_be_left_out():
    kinds = [
        "".join("d" if layer.groups > 1 else "p" for layer in block.modules() if isinstance(layer, nn.Conv2d))
        for block in (
            sandglass_block(6, 8, hidden=2, last_depthwise=False, first_depthwise=False),
            sandglass_block(6, 8, 2, hidden=2, first_depthwise=False),
            sandglass_block(6, 6, hidden=2, shortcut=False),
        )
    ]
    assert kinds == ["pp", "ppd", "dppd"]
    assert isinstance(sandglass_block(6, 6, hidden=2, shortcut=False), nn.Sequential)
    assert sandglass_block(6, 6, hidden=2, share=Fraction(1, 3)).shared == 2


def test_what_cannot_be_built_is_refused(refused):
    refused("kernel=4: must be odd", conv_norm_act, 4, 4, 4)
    refused("groups=3: must divide c_in=4 and c_out=6", conv_norm_act, 4, 6, groups=3)
    refused("share=2: must lie in 0..1", Residual, nn.Identity(), 4, Fraction(2))
    refused("stride=2: needs last_depthwise=True", sandglass_block, 4, 4, 2, hidden=2, last_depthwise=False)
