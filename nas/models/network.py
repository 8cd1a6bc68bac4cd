"""The network of a genotype, built for retraining (DARTS, arXiv 1806.09055, §3.1 and §A.2)."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.graph.genotype import Genotype
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.memory_format import to_channels_last
from nas.models.auxiliary_head import AuxiliaryHead
from nas.models.execution import NETWORK_EXECUTIONS, checked_execution
from nas.models.execution.exact_modules import needs_reference
from nas.models.execution.first_order import first_order_only
from nas.models.execution.layerwise import LayerwiseRunner
from nas.models.genotype_cell import CallModule, GenotypeCell, call_module
from nas.models.skeletons import NetworkSizes, cell_widths, skeleton_of
from nas.ops.contract import check_operator_contract

AUXILIARY_HEADS = {"cifar": (3, True), "imagenet": (2, False)}  # by stem: the pool's stride, last_norm


class Network(nn.Module):
    """A stack of the genotype's cells between a stem and a linear classifier, in the genotype's skeleton.

    In that of NAS-Bench-201, ``cells`` counts the cells of each of its three stages. ``stem="cifar"`` keeps the
    resolution, ``"imagenet"`` divides it by 8 in two steps and passes both feature maps to the first cell. With
    ``auxiliary``, a second classifier follows the cell at two thirds of the depth (DARTS, §A.2.1) and returns its
    logits in training mode. With ``num_classes=0`` there is no classifier, and the network returns features
    (B, num_features). Two attributes are set for training: ``drop_path`` is the probability of dropping an operator's
    output, and ``execution="fused"`` trains on a CPU with the kernels of the search, equal up to rounding
    (not under ``torch.compile``, which makes kernels of its own).
    Raises :class:`InputError` for sizes below 1, for a skeleton that the genotype does not fit, and for an operator
    that breaks its contract (:mod:`nas.ops.contract`).
    """

    def __init__(
        self,
        genotype: Genotype,
        channels: int = 36,
        cells: int = 20,
        num_classes: int = 10,
        auxiliary: bool = False,
        stem: str = "cifar",
        in_chans: int = 3,
    ) -> None:
        super().__init__()
        sizes = {"channels": channels, "cells": cells, "num_classes": num_classes, "in_chans": in_chans}
        for name, value in sizes.items():
            least = 0 if name == "num_classes" else 1
            if value < least:
                raise InputError(f"{name}={value}: must be at least {least}")
        self.genotype = genotype
        self.drop_path = 0.0
        self.execution = "reference"
        self.num_classes = num_classes
        self.sizes = NetworkSizes(channels, cells, genotype.inputs, cell_widths(genotype), stem, in_chans)
        layout = skeleton_of(genotype).build(self.sizes)
        self.stem, self.plans, outputs = layout.stem, layout.plans, layout.outputs
        for plan in self.plans:
            for name, source in genotype.edges(plan.kind):
                stride = plan.stride if source < genotype.inputs else 1
                check_operator_contract(name, plan.channels, stride, in_search=False)
        self.cells = nn.ModuleList(GenotypeCell(genotype, plan) for plan in self.plans)
        self.auxiliary_after = 2 * len(self.plans) // 3
        self.auxiliary_head = None
        if auxiliary and num_classes > 0:
            stride, last_norm = AUXILIARY_HEADS[stem]
            self.auxiliary_head = AuxiliaryHead(outputs[self.auxiliary_after].channels, num_classes, stride, last_norm)
        self.stage_ends = tuple(i for i, y in enumerate(outputs) if y is outputs[-1] or y.level < outputs[i + 1].level)
        self.stage_channels = tuple(outputs[index].channels for index in self.stage_ends)
        self.num_features = outputs[-1].channels
        self.final_norm = layout.final_norm
        self.classifier: nn.Module = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    @property
    def execution(self) -> str:
        """``"reference"``, or ``"fused"`` for training on a CPU; may be set at any time."""
        return self._execution

    @execution.setter
    def execution(self, value: str) -> None:
        self._execution = checked_execution(value, NETWORK_EXECUTIONS)

    @property
    def drop_path(self) -> float:
        """The probability (0 to below 1) of dropping an operator's output; may be set at any time."""
        return self._drop_path

    @drop_path.setter
    def drop_path(self, value: float) -> None:
        if not 0 <= value < 1:
            raise InputError(f"drop_path={value}: must be at least 0 and below 1")
        self._drop_path = value

    @property
    def drop_path_prob(self) -> float:
        """The name of :attr:`drop_path` in DARTS' released code."""
        return self.drop_path

    @drop_path_prob.setter
    def drop_path_prob(self, value: float) -> None:
        self.drop_path = value

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map (B, in_chans, H, W) to logits (B, num_classes).

        In training mode, a network with an auxiliary head returns (logits, auxiliary logits), (B, num_classes) both.
        """
        auxiliary = None
        for index, y in enumerate(self._outputs(x)):
            if index == self.auxiliary_after and self.auxiliary_head is not None and self.training:
                auxiliary = self.auxiliary_head(y)
        logits: Tensor = self.classifier(self.final_norm(y).mean((2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map (B, in_chans, H, W) to the last cell's features (B, num_features, H', W')."""
        return self.feature_maps(x)[-1]

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Map (B, in_chans, H, W) to the features at the end of each stage; the resolution halves between stages."""
        return [y for index, y in enumerate(self._outputs(x)) if index in self.stage_ends]

    def reset_classifier(self, num_classes: int) -> None:
        """Replace both classifiers by newly initialized ones for ``num_classes``.

        With 0, as in timm, there are none: the network then maps images to features (B, num_features).
        """
        if num_classes < 0:
            raise InputError(f"num_classes={num_classes}: must be at least 0")
        place = next(self.parameters())
        linear = partial(nn.Linear, out_features=num_classes, device=place.device, dtype=place.dtype)
        self.num_classes = num_classes
        self.classifier = linear(self.num_features) if num_classes else nn.Identity()
        if num_classes == 0:
            self.auxiliary_head = None
        elif self.auxiliary_head is not None:
            self.auxiliary_head.classifier = linear(self.auxiliary_head.classifier.in_features)

    def _outputs(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the output of each cell in turn."""
        statistics = None
        call: CallModule = call_module
        fused = self.execution == "fused" and self.training and x.device.type == "cpu" and x.numel() > 0
        if fused and not (torch.compiler.is_compiling() or needs_reference()):
            statistics = BatchNormStats()
            x, call = to_channels_last(x), LayerwiseRunner(statistics)
        stem = self.stem(x)
        states = list(stem) if isinstance(stem, tuple) else [stem] * self.genotype.inputs
        for cell in self.cells:
            states = [*states[1:], cell(states, self.drop_path, call)]
            yield states[-1] if statistics is None else first_order_only(states[-1])
        if statistics is not None:
            statistics.write()
