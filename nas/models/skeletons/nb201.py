"""The skeleton of NAS-Bench-201 (arXiv 2001.00326, §2.1): three stages of equal cells, a residual block between two."""

from collections.abc import Mapping

from torch import Tensor, nn

from nas.core.errors import InputError
from nas.models.cell_plan import CellPlan, FeatureMap
from nas.models.skeletons.registry import Layout, NetworkSizes, Skeleton, skeletons
from nas.models.stem import cifar_stem
from nas.ops.conv import relu_conv_bn

STAGES = 3


class ReductionBlock(nn.Module):
    """A residual block that halves the resolution: two 3x3 convolutions beside an average pool and 1x1 convolution.

    Each 3x3 convolution stands between a ReLU and a BatchNorm with scale and shift; the shortcut has neither.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(relu_conv_bn(c_in, c_out, 3, 2, True), relu_conv_bn(c_out, c_out, 3, 1, True))
        pool = nn.AvgPool2d(2, stride=2, ceil_mode=True)  # of an odd row or column as it is, like the branch
        self.shortcut = nn.Sequential(pool, nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, ceil(H/2), ceil(W/2))."""
        y: Tensor = self.branch(x) + self.shortcut(x)
        return y


def build_nb201(sizes: NetworkSizes) -> Layout:
    """Return the stem, the plans of ``sizes.cells`` cells in each stage, and the last BatchNorm and ReLU."""
    if sizes.stem != "cifar":
        raise InputError(f"stem={sizes.stem}: the skeleton nb201 has one stem; allowed: cifar")
    (kind,) = sizes.widths
    state, plans, outputs = FeatureMap(sizes.channels, 0), [], []
    for stage in range(STAGES):
        channels = sizes.channels * 2**stage
        for _ in range(sizes.cells):
            plans.append(CellPlan(kind, channels, (state.channels,), (stage - state.level,), stage))
            state = FeatureMap(channels, stage)
            outputs.append(state)
    final_norm = nn.Sequential(nn.BatchNorm2d(state.channels), nn.ReLU())
    return Layout(cifar_stem(sizes.channels, sizes.in_chans), plans, outputs, final_norm)


def _preprocess(plan: CellPlan, affine: bool) -> list[nn.Module]:
    return [ReductionBlock(plan.inputs[0], plan.channels) if plan.downsampling[0] else nn.Identity()]


def _check(kinds: tuple[str, ...], inputs: int, widths: Mapping[str, int]) -> str:
    if len(kinds) != 1:
        return f"needs one kind of cell, got {', '.join(kinds)}"
    if inputs != 1:
        return f"needs cells with inputs=1, got {inputs}"
    width = widths[kinds[0]]
    return "" if width == 1 else f"needs cells whose output is one node (output=last), got {width}"


skeletons.register("nb201", Skeleton(build_nb201, _preprocess, _check, 16, 5, counted="3 stages of {cells} cells"))
