"""The skeleton of DARTS (arXiv 1806.09055, §3.1): a stack of normal cells with two reduction cells."""

from collections.abc import Mapping

from torch import nn

from nas.core.errors import InputError
from nas.models.cell_plan import CellPlan, FeatureMap
from nas.models.skeletons.registry import Layout, NetworkSizes, Skeleton, skeletons
from nas.models.stem import ImageNetStem, cifar_stem, preprocess

STEM_MULTIPLIER = 3  # DARTS' released code: the stem is three times as wide as the first cells' nodes
STEMS = ("cifar", "imagenet")
KINDS = ("normal", "reduce")


def build_darts(sizes: NetworkSizes) -> Layout:
    """Return the stem and the plans of ``sizes.cells`` cells."""
    stem, states = _build_stem(sizes)
    plans, outputs = plan_cells(sizes.channels, sizes.cells, states, sizes.widths)
    return Layout(stem, plans, outputs, nn.Identity())


def plan_cells(
    channels: int, cells: int, stem: list[FeatureMap], widths: Mapping[str, int]
) -> tuple[list[CellPlan], list[FeatureMap]]:
    """Return the plans of ``cells`` cells and the feature map that each of them outputs.

    The cells at ``cells // 3`` and ``2 * cells // 3`` are reduction cells and double the channels (DARTS, §3.1).
    ``stem`` lists the inputs of the first cell, oldest first; ``widths`` is the number of nodes that each kind of cell
    concatenates into its output.
    """
    states, plans = list(stem), []
    for index in range(cells):
        kind, stride = ("reduce", 2) if index in (cells // 3, 2 * cells // 3) else ("normal", 1)
        channels *= stride
        inputs, level = states[index:], states[-1].level
        downsampling = tuple(level - s.level for s in inputs)
        plans.append(CellPlan(kind, channels, tuple(s.channels for s in inputs), downsampling, level, stride))
        states.append(FeatureMap(widths[kind] * channels, level + stride - 1))
    return plans, states[len(stem) :]


def _build_stem(sizes: NetworkSizes) -> tuple[nn.Module, list[FeatureMap]]:
    """Return the stem and the feature maps that it passes to the first cell."""
    if sizes.stem == "cifar":
        width = STEM_MULTIPLIER * sizes.channels
        return cifar_stem(width, sizes.in_chans), [FeatureMap(width, 0)] * sizes.inputs
    if sizes.stem != "imagenet":
        raise InputError(f"stem={sizes.stem}: must be {' or '.join(STEMS)}")
    if sizes.inputs != 2:
        raise InputError(f"stem=imagenet: needs cells with two inputs; this genotype's cells have {sizes.inputs}")
    return ImageNetStem(sizes.channels, sizes.in_chans), [FeatureMap(sizes.channels, -1), FeatureMap(sizes.channels, 0)]


def _preprocess(plan: CellPlan, affine: bool) -> list[nn.Module]:
    return [
        preprocess(c_in, plan.channels, downsampling, affine)
        for c_in, downsampling in zip(plan.inputs, plan.downsampling, strict=True)
    ]


def _check(kinds: tuple[str, ...], inputs: int, widths: Mapping[str, int]) -> str:
    return "" if set(kinds) == set(KINDS) else f"needs the kinds of cell normal and reduce, got {', '.join(kinds)}"


skeletons.register(
    "darts", Skeleton(build_darts, _preprocess, _check, 36, 20, 3, "two reduction cells and a normal one")
)
