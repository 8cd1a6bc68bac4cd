"""Parameters and multiply-adds of a model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.core.formatting import format_count
from nas.graph.genotype import Genotype
from nas.models.network import Network
from nas.models.skeletons import skeleton_of

_AUXILIARY_HEAD = "auxiliary_head"


@dataclass(frozen=True)
class Cost:
    """Parameters (without alphas and auxiliary head), the auxiliary head's parameters, and multiply-adds per image."""

    params: int
    auxiliary_params: int
    macs: int

    def __str__(self) -> str:
        """Return parameters and multiply-adds to three digits, such as "3.35 M params, 528 M MACs"."""
        return f"{format_count(self.params)} params, {format_count(self.macs)} MACs"


def cost(model: nn.Module, image_shape: Sequence[int] = (3, 32, 32)) -> Cost:
    """Count the parameters and multiply-adds of ``model`` for one image of ``image_shape`` (channels, height, width).

    Multiply-adds are those of convolutions and linear layers, as in the papers; BatchNorm, pooling and the auxiliary
    head (unused in evaluation) are not counted, nor are the parameters in ``model.architecture()``, if it has that
    method: the alphas. The model runs once in evaluation mode; its modes are restored afterwards.
    """
    searched: dict[str, nn.Parameter] = model.architecture() if hasattr(model, "architecture") else {}  # type: ignore[operator]
    alphas = {id(alpha) for alpha in searched.values()}
    auxiliary = sum(p.numel() for name, p in model.named_parameters() if name.startswith(f"{_AUXILIARY_HEAD}."))
    total = sum(p.numel() for p in model.parameters() if id(p) not in alphas)
    return Cost(total - auxiliary, auxiliary, _multiply_adds(model, image_shape))


def network_cost(genotype: Genotype, num_classes: int, image_shape: tuple[int, int, int]) -> Cost:
    """Return the cost of the network that is usually retrained from ``genotype``: see :func:`retrained_sizes`."""
    sizes = retrained_sizes(genotype)
    return cost(Network(genotype, *sizes, num_classes, auxiliary=True, in_chans=image_shape[0]), image_shape)


def retrained_sizes(genotype: Genotype) -> tuple[int, int]:
    """Return the (channels, cells) that are usually retrained: 36 and 20 in DARTS (arXiv 1806.09055, §A.2)."""
    skeleton = skeleton_of(genotype)
    return skeleton.channels, skeleton.cells


def describe_network(genotype: Genotype) -> str:
    """Return the sizes that are usually retrained in words: "network of 20 cells with 36 channels"."""
    skeleton = skeleton_of(genotype)
    return f"network of {skeleton.counted.format(cells=skeleton.cells)} with {skeleton.channels} channels"


def _multiply_adds(model: nn.Module, image_shape: Sequence[int]) -> int:
    example = next(model.parameters(), torch.empty(0))  # some operators have none
    image = torch.zeros(1, *image_shape, device=example.device, dtype=example.dtype)
    with reference_execution(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    return int(counter.get_total_flops()) // 2  # a multiply-add is two operations


@contextmanager
def reference_execution(model: nn.Module) -> Iterator[None]:
    """Put ``model`` into evaluation mode, and a supernet into its reference execution; restore both on exit."""
    modes = {module: module.training for module in model.modules()}
    execution = getattr(model, "execution", None)
    model.eval()
    try:
        if execution is not None:
            model.execution = "reference"  # type: ignore[assignment]  # other executions use other kernels
        yield
    finally:
        if execution is not None:
            model.execution = execution
        for module, training in modes.items():
            module.training = training
