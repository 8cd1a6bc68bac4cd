"""The supernet of DARTS (arXiv 1806.09055, §2–3): all operators on all edges, weighted by the softmax of the alphas."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.profiler_spans import span
from nas.graph.derive import derive
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.absent_operators import mask_absent
from nas.models.execution.activation_checkpoint import RunCell, cell_with_copied_buffers, checkpointed_cell
from nas.models.execution.batched import batched_cell as batched_cell
from nas.models.execution.exact_modules import is_plain_batchnorm, needs_reference
from nas.models.execution.first_order import first_order_only
from nas.models.execution.fused import fused_cell as fused_cell
from nas.models.execution.layer_chain import layer_chain
from nas.models.execution.reference import reference_cell
from nas.models.functional import exclusive
from nas.models.search_cell import SearchCell
from nas.models.skeletons import NetworkSizes, cell_widths, skeleton_of
from nas.ops.contract import check_operator_contract
from nas.ops.registry import load_space, operators

EXECUTIONS: dict[str, RunCell] = {"fused": fused_cell, "batched": batched_cell, "reference": reference_cell}
ALPHA_SCALE = 1e-3  # DARTS, §A.1.1: alphas start near zero, so that all operators start with similar strengths


class Supernet(nn.Module):
    """Maps images (B, in_chans, H, W) to logits (B, num_classes).

    ``space`` is a :class:`Space` or its name (``"darts+sandglass"``). The alphas are one (edges, operators) matrix for
    each kind of cell, shared by all its cells. Edges are ordered by node, then by source (2←0, 2←1, 3←0, …), operators
    as in the space. In the skeleton of NAS-Bench-201, ``cells`` counts the cells of each of its three stages.
    ``execution`` selects how cells are computed: ``"reference"`` is the readable definition; ``"batched"`` is equal up
    to rounding and launches a quarter of the kernels; ``"fused"`` is several times faster on a CPU and falls back to
    ``"batched"`` on other devices and under ``torch.compile``. Weights and checkpoints do not depend on it.
    ``grad_checkpoint`` recomputes every cell in the backward pass: equal results, less memory, more time; under
    ``torch.compile`` the compiler chooses what is recomputed instead. Raises :class:`InputError` for sizes below 1, an
    unknown execution, a skeleton that the space does not fit, and an operator that breaks its contract
    (:mod:`nas.ops.contract`).
    """

    def __init__(
        self,
        space: Space | str,
        channels: int = 16,
        cells: int = 8,
        num_classes: int = 10,
        execution: str = "fused",
        grad_checkpoint: bool = False,
        in_chans: int = 3,
    ) -> None:
        super().__init__()
        if execution not in EXECUTIONS:
            raise InputError(f"execution={execution}: must be {' or '.join(EXECUTIONS)}")
        self.execution = execution
        self.grad_checkpoint = grad_checkpoint
        sizes = {"channels": channels, "cells": cells, "num_classes": num_classes, "in_chans": in_chans}
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f"{name}={value}: must be at least 1")
        self.space = load_space(space) if isinstance(space, str) else space
        layout = skeleton_of(self.space).build(
            NetworkSizes(channels, cells, self.space.inputs, cell_widths(self.space), in_chans=in_chans)
        )
        in_search = not self.space.operators_as_retrained
        for width_and_stride in sorted({(p.channels, stride) for p in layout.plans for stride in (1, p.stride)}):
            for name in self.space.operators:
                check_operator_contract(name, *width_and_stride, in_search=in_search)
        self.stem = layout.stem
        self.cells = nn.ModuleList(SearchCell(self.space, plan) for plan in layout.plans)
        self.final_norm = layout.final_norm
        self.classifier = nn.Linear(layout.outputs[-1].channels, num_classes)
        shape = (len(self.space.edges), len(self.space.operators))
        for kind in self.space.kinds:
            self.register_parameter(f"alpha_{kind}", nn.Parameter(ALPHA_SCALE * torch.randn(shape)))

    def __repr__(self) -> str:
        """Return one line: ``print(list(supernet.children()))`` shows the modules."""
        kinds = Counter(cell.kind for cell in self.cells)
        cells = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        weights = sum(weight.numel() for weight in self.weights())
        return (
            f"Supernet({self.space.name}: {len(self.space.operators)} operators on {len(self.space.edges)} edges; "
            f"cells: {cells}; {self.classifier.out_features} classes; {weights:,} weights; execution={self.execution})"
        )

    def alphas(self) -> dict[str, nn.Parameter]:
        """Return the alphas of each kind of cell, (edges, operators) each; their names are ``alpha_<kind>``."""
        return {kind: getattr(self, f"alpha_{kind}") for kind in self.space.kinds}

    def named_weights(self) -> dict[str, nn.Parameter]:
        """Return every parameter except the alphas, by its name in ``state_dict``."""
        alphas = {id(alpha) for alpha in self.alphas().values()}
        return {name: p for name, p in self.named_parameters() if id(p) not in alphas}

    def weights(self) -> list[nn.Parameter]:
        """Return every parameter except the alphas."""
        return list(self.named_weights().values())

    def strengths(self) -> dict[str, Tensor]:
        """Return the softmax of the alphas over the operators of each edge, ``none`` included; 0 for absent ones."""
        return {kind: torch.softmax(alpha, dim=-1) for kind, alpha in mask_absent(self.alphas(), self.space).items()}

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_chans, H, W) to (B, num_classes)."""
        with exclusive():
            return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        strengths, statistics = self.strengths(), BatchNormStats()
        compiling = torch.compiler.is_compiling()  # a compiler makes kernels of its own, and chooses what to recompute
        fusible = x.device.type == "cpu" and not compiling
        execution = "batched" if self.execution == "fused" and not fusible else self.execution
        run = EXECUTIONS[execution]
        if execution != "reference" and (needs_reference() or not x.numel()):  # torch updates statistics of no images
            execution = "reference"
            run = reference_cell if statistics.enabled else partial(cell_with_copied_buffers, reference_cell)
        if self.grad_checkpoint and not compiling:
            run = partial(checkpointed_cell, run)
        if execution == "fused":
            x = x.contiguous(memory_format=torch.channels_last)
        with span("stem"):
            states = [self.stem(x)] * self.space.inputs
        for cell in self.cells:
            assert isinstance(cell, SearchCell)
            states = [*states[1:], run(cell, states, strengths[cell.kind], statistics)]
        with span("shared: running statistics"):
            statistics.write()
        with span("classifier and loss"):
            logits: Tensor = self.classifier(self.final_norm(states[-1]).mean((2, 3)))
            return first_order_only(logits) if execution == "fused" else logits

    def changing_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the buffers, by name, that a training pass changes even if its statistics are discarded."""
        spared: set[int] = set()
        if self.execution != "reference":
            for cell in self.cells:
                assert isinstance(cell, SearchCell)
                own = [module for name, module in cell.named_operators() if operators[name].batched is None]
                for layer in (layer for module in (*cell.preprocess, *own) for layer in layer_chain(module).layers):
                    spared.update(map(id, layer.buffers()) if is_plain_batchnorm(layer) else ())
        return ((name, buffer) for name, buffer in self.named_buffers() if id(buffer) not in spared)

    def genotype(self) -> Genotype:
        """Return the genotype derived from the current alphas (:mod:`nas.graph.derive`)."""
        strengths = {kind: values.detach().tolist() for kind, values in self.strengths().items()}
        return derive(strengths, self.space)
