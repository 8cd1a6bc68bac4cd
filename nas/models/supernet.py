"""The supernet of DARTS (arXiv 1806.09055, §2–3): all operators on all edges, weighted by functions of the alphas."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.profiler_spans import span
from nas.graph.derive import derive
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.absent_operators import Remaining, mask_absent
from nas.models.alphas_guard import watch_alphas
from nas.models.cell_mix import CellMix, cell_mix
from nas.models.edge_rule import DARTS_EDGE, EdgeRule
from nas.models.execution import checked_execution
from nas.models.execution.activation_checkpoint import RunCell, cell_with_copied_buffers, checkpointed_cell
from nas.models.execution.batched import batched_cell as batched_cell
from nas.models.execution.exact_modules import is_plain_batchnorm, needs_reference
from nas.models.execution.first_order import first_order_only
from nas.models.execution.fused import fused_cell as fused_cell
from nas.models.execution.layer_chain import layer_chain
from nas.models.execution.reference import reference_cell
from nas.models.functional import exclusive
from nas.models.relaxation import Relax, Relaxation
from nas.models.search_cell import SearchCell
from nas.models.skeletons import NetworkSizes, cell_widths, check_search_cells, skeleton_of
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
    ``torch.compile`` the compiler chooses what is recomputed instead. ``relaxation`` and ``edge_rule`` are those of
    the search method: how alphas become strengths, and what an edge does around its operators. ``parameters()`` holds
    weights and alphas: an optimizer of the weights takes :meth:`weights`, one of the alphas :meth:`architecture`.
    Raises :class:`InputError` for sizes below 1, an unknown execution, a skeleton that the space does not fit, and an
    operator that breaks its contract (:mod:`nas.ops.contract`).
    """

    edge_value: Tensor | None  # the current value of the edge rule's schedule

    def __init__(
        self,
        space: Space | str,
        channels: int = 16,
        cells: int = 8,
        num_classes: int = 10,
        execution: str = "fused",
        grad_checkpoint: bool = False,
        in_chans: int = 3,
        *,
        relaxation: Relaxation | None = None,
        edge_rule: EdgeRule = DARTS_EDGE,
    ) -> None:
        super().__init__()
        self.execution = execution
        self.grad_checkpoint = grad_checkpoint
        self.relaxation = relaxation or Relaxation()
        self.edge_rule = edge_rule
        sizes = {"channels": channels, "cells": cells, "num_classes": num_classes, "in_chans": in_chans}
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f"{name}={value}: must be at least 1")
        self.space = load_space(space) if isinstance(space, str) else space
        layout = skeleton_of(self.space).build(
            NetworkSizes(channels, cells, self.space.inputs, cell_widths(self.space), in_chans=in_chans)
        )
        for width, stride in sorted({(p.channels, stride) for p in layout.plans for stride in (1, p.stride)}):
            self._check_operators(width, stride)
        self.stem = layout.stem
        self.cells = nn.ModuleList(SearchCell(self.space, plan, edge_rule) for plan in layout.plans)
        self.final_norm = layout.final_norm
        self.classifier = nn.Linear(layout.outputs[-1].channels, num_classes)
        self._remaining: Remaining | None = None
        self._add_architecture()

    def _add_architecture(self) -> None:
        """Add the alphas, the betas if edges are weighted, and the first value of the edge rule's schedule."""
        shape = (len(self.space.edges), len(self.space.operators))
        for kind in self.space.kinds:
            self.register_parameter(f"alpha_{kind}", nn.Parameter(ALPHA_SCALE * torch.randn(shape)))
        for kind in self.space.kinds if self.edge_rule.weighted else ():
            self.register_parameter(f"beta_{kind}", nn.Parameter(ALPHA_SCALE * torch.randn(shape[0])))
        initial = self.relaxation.initial
        if initial is not None:
            with torch.no_grad():
                for kind, alpha in mask_absent(self.alphas(), self.space).items():
                    self.alphas()[kind].copy_(initial(alpha))
        schedule = self.edge_rule.schedule
        value = None if schedule is None else torch.tensor(float(schedule(0, 1)))
        self.register_buffer("edge_value", value, persistent=False)
        watch_alphas(self.architecture().values())

    @property
    def execution(self) -> str:
        """How cells are computed; may be set at any time."""
        return self._execution_name

    @execution.setter
    def execution(self, value: str) -> None:
        self._execution_name = checked_execution(value, EXECUTIONS)

    def _check_operators(self, width: int, stride: int) -> None:
        self.edge_rule.check(width)
        in_search = not self.space.operators_as_retrained
        for name in self.space.operators:
            check_operator_contract(name, self.edge_rule.operator_channels(width), stride, in_search=in_search)

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

    def betas(self) -> dict[str, nn.Parameter]:
        """Return the parameters (edges,) of a weighted edge rule by kind of cell; empty for other rules."""
        return {kind: getattr(self, f"beta_{kind}") for kind in self.space.kinds} if self.edge_rule.weighted else {}

    def architecture(self) -> dict[str, nn.Parameter]:
        """Return all parameters that are not weights: the alphas by kind of cell, the betas as ``"beta_<kind>"``."""
        return self.alphas() | {f"beta_{kind}": beta for kind, beta in self.betas().items()}

    def named_weights(self) -> dict[str, nn.Parameter]:
        """Return every parameter except alphas and betas, by its name in ``state_dict``."""
        others = {id(parameter) for parameter in self.architecture().values()}
        return {name: p for name, p in self.named_parameters() if id(p) not in others}

    def weights(self) -> list[nn.Parameter]:
        """Return every parameter except alphas and betas."""
        return list(self.named_weights().values())

    def strengths(self) -> dict[str, Tensor]:
        """Return the probabilities (edges, operators) by kind of cell, ``none`` included; 0 for absent operators."""
        alphas = self.masked(self.alphas())
        strengths = {kind: self.relaxation.probabilities(alpha) for kind, alpha in alphas.items()}
        return strengths if self._remaining is None else self._remaining.mask_strengths(strengths)

    def masked(self, alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return alphas (edges, operators) by kind of cell, -inf for operators that an edge does not have."""
        masked = mask_absent(alphas, self.space)
        return masked if self._remaining is None else self._remaining.mask_alphas(masked)

    def restrict(self, kept: Mapping[str, Tensor] | None) -> None:
        """Leave only some operators on the edges: bool (edges, operators) by kind of cell; None: all of them.

        What is left out has strength 0 and is not computed; its weights stay. Raises :class:`InputError` for another
        shape.
        """
        self._remaining = Remaining(kept, self.space, self.classifier.weight.device) if kept else None

    def scores(self) -> dict[str, Tensor]:
        """Return what the genotype is derived from: the strengths times the weights of their edges, if any."""
        weights = self.edge_weights()
        return {kind: p * weights[kind][:, None] if weights else p for kind, p in self.strengths().items()}

    def edge_weights(self) -> dict[str, Tensor]:
        """Return the weights (edges,) of a weighted edge rule by kind of cell; empty for other rules."""
        return {kind: self.edge_rule.edge_weights(beta, self.space) for kind, beta in self.betas().items()}

    def forward(self, x: Tensor, relax: Relax | None = None) -> Tensor:
        """Map (B, in_chans, H, W) to (B, num_classes).

        ``relax`` maps the alphas to strengths, both (edges, operators) by kind of cell; None: as in evaluation.
        """
        with exclusive():
            return self._forward(x, relax or self.relaxation.of_inference)

    def _forward(self, x: Tensor, relax: Relax) -> Tensor:
        statistics, mixes = BatchNormStats(), self._mixes(relax)
        execution, run = self._execution(x, statistics)
        if execution == "fused":
            x = x.contiguous(memory_format=torch.channels_last)
        with span("stem"):
            states = [self.stem(x)] * self.space.inputs
        for cell in self.cells:
            assert isinstance(cell, SearchCell)
            states = [*states[1:], run(cell, states, mixes[cell.kind], statistics)]
        with span("shared: running statistics"):
            statistics.write()
        with span("classifier and loss"):
            logits: Tensor = self.classifier(self.final_norm(states[-1]).mean((2, 3)))
            return first_order_only(logits) if execution == "fused" else logits

    def _mixes(self, relax: Relax) -> dict[str, CellMix]:
        weights, strengths = self.edge_weights(), relax(self.masked(self.alphas()))
        chosen = {}
        if self._remaining is not None:
            strengths, chosen = self._remaining.mask_strengths(strengths), self._remaining.columns
        sparse, value = self.relaxation.sparse, self.edge_value
        return {kind: cell_mix(p, weights.get(kind), sparse, chosen.get(kind), value) for kind, p in strengths.items()}

    def _execution(self, x: Tensor, statistics: BatchNormStats) -> tuple[str, RunCell]:
        """Return the execution of a pass, and its function."""
        compiling = torch.compiler.is_compiling()  # a compiler makes kernels of its own, and chooses what to recompute
        fusible = x.device.type == "cpu" and not compiling
        execution = "batched" if self.execution == "fused" and not fusible else self.execution
        run = EXECUTIONS[execution]
        some = self.relaxation.sparse or self._remaining is not None
        partly = some and execution == "batched"  # it computes all operators
        none = not x.numel()  # torch updates the statistics of no images
        if execution != "reference" and (partly or none or needs_reference()):
            execution = "reference"
            run = reference_cell if statistics.enabled else partial(cell_with_copied_buffers, reference_cell)
        return execution, partial(checkpointed_cell, run) if self.grad_checkpoint and not compiling else run

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
        """Return the genotype derived from the current scores (:mod:`nas.graph.derive`).

        Raises :class:`InputError` if the supernet has no cell of some kind: alphas that nothing uses say nothing.
        """
        if {cell.kind for cell in self.cells} != set(self.space.kinds):
            check_search_cells(self.space, len(self.cells))
        strengths = {kind: values.detach().tolist() for kind, values in self.scores().items()}
        return derive(strengths, self.space)
