"""The batched execution of a supernet's cell, for GPUs: edges whose sources are ready at the same time run as one.

Equal to :mod:`nas.models.execution.reference` up to rounding, with a quarter of the kernel launches. A wave is all
edges that leave some sources: the cell's inputs first, then each intermediate node.

Shapes: B images, S sources, T targets, N = S * T edges ordered by source, then by target, C channels, K operators.
"""

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._guards import detect_fake_mode

from nas.core.profiler_spans import span
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.cell_mix import CellMix
from nas.models.execution.edge_batch import EdgeBatch, ParameterFreeTerms, contiguous_gradient, split_channels
from nas.models.execution.exact_modules import POOLS, is_exactly, is_sequential
from nas.models.execution.grouped_ops import (
    are_equal_norms,
    call_alone,
    group_columns,
    grouped_batch_norm,
    have_same_structure,
    run_group,
)
from nas.models.execution.layer_chain import layer_chain
from nas.models.search_cell import SearchCell
from nas.ops.contract import require_output
from nas.ops.registry import BatchedForward, operators
from nas.ops.skip import Zero

WAVES = "shared: node sums, batched edges"


def batched_cell(cell: SearchCell, states: Sequence[Tensor], mix: CellMix, statistics: BatchNormStats) -> Tensor:
    """Compute :func:`nas.models.execution.reference.reference_cell`; ``statistics`` collects the moments.

    The mix must compute all operators.
    """
    with span("preprocessing"):
        inputs = [_preprocess(module, x, statistics) for module, x in zip(cell.preprocess, states, strict=True)]
    views = [cell.view(node, x) for node, x in enumerate(inputs)]
    channels = cell.operator_channels
    with span(WAVES):
        rest = _Wave(cell, range(cell.inputs), [view.x for view in views], mix, statistics).total()  # (B, T*C, H', W')
        nodes: list[Tensor] = []
        for node in range(cell.inputs, cell.inputs + cell.intermediate_nodes):
            mixed, rest = torch.split_with_sizes(rest, [channels, rest.shape[1] - channels], dim=1)
            nodes.append(cell.finish(node, mixed.contiguous(), views, mix))
            if rest.shape[1]:
                views.append(cell.view(node, nodes[-1]))
                rest = rest + _Wave(cell, [node], [views[-1].x], mix, statistics).total()
    with span("concatenation"):
        return cell.output(nodes)


def _preprocess(module: nn.Module, x: Tensor, statistics: BatchNormStats) -> Tensor:
    chain = layer_chain(module)
    columns = group_columns([chain]) if chain.shortcut == 0 else None
    if columns is None:
        y: Tensor = call_alone(module, x, statistics)  # type: ignore[assignment]
        return y
    return run_group(columns, EdgeBatch([x], 1), None, statistics)


def _edge_index(edges: tuple[int, ...], device: torch.device) -> Tensor:
    """Return ``edges`` as a tensor on the device, copied there once: each copy makes a step wait."""
    if torch.compiler.is_compiling() or detect_fake_mode() is not None:  # a tensor made there is a fake one
        return torch.tensor(edges, device=device)
    return _cached_index(edges, device)


@functools.cache
def _cached_index(edges: tuple[int, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # the first caller may be an evaluation
        return torch.tensor(edges, device=device)


class _Wave:
    """All edges from ``sources``, whose feature maps are ``inputs``, to the later nodes."""

    def __init__(
        self,
        cell: SearchCell,
        sources: Sequence[int],
        inputs: Sequence[Tensor],
        mix: CellMix,
        statistics: BatchNormStats,
    ) -> None:
        leaving = [(source, target, edge) for edge, (target, source) in enumerate(cell.edge_list) if source in sources]
        edges = [edge for _, _, edge in sorted(leaving)]
        self.names = cell.operator_names
        self.as_retrained = cell.as_retrained
        self.edges = [cell.operators_on(edge) for edge in edges]
        self.wave = EdgeBatch(inputs, len(edges) // len(sources))
        from_inputs = sources[0] < cell.inputs
        self.node_shape = cell.sum_shape(inputs[0]) if from_inputs else tuple(inputs[0].shape)
        strengths_ek = mix.strengths
        self.strengths_kn = strengths_ek.index_select(0, _edge_index(tuple(edges), strengths_ek.device)).t()
        self.scales = self.strengths_kn.repeat_interleave(inputs[0].shape[1], dim=1)  # (K, N*C)
        self.statistics = statistics
        self.parameter_free = ParameterFreeTerms(self.wave)

    def total(self) -> Tensor:
        """Return the sum for each target: (B, T*C, H', W')."""
        parts = []  # (B, N*C, H', W')
        for name, strengths_n, scale in zip(self.names, self.strengths_kn, self.scales, strict=True):
            with span(name):
                y = self._operator(name, strengths_n, scale)
            parts += [] if y is None else [self._checked(name, y, self.wave.num_edges)]
        total = self.parameter_free.total()
        if parts:
            y = contiguous_gradient(sum(parts[1:], start=parts[0]))
            y = split_channels(y, self.wave.num_sources).sum(1) if self.wave.num_sources > 1 else y
            total = y if total is None else total + y
        if total is None:  # there is no operator besides none
            batch, channels, height, width = self.node_shape
            total = self.wave.x.new_zeros(batch, self.wave.num_targets * channels, height, width)
        return total

    def _checked(self, name: str, y: object, parts: int) -> Tensor:
        batch, channels, height, width = self.node_shape
        return require_output(y, name, (batch, parts * channels, height, width), self.wave.x)

    def _operator(self, name: str, strengths_n: Tensor, scale: Tensor) -> Tensor | None:
        """Return the operator's outputs on all edges, (B, N*C, H', W'); None if they are in ``parameter_free``."""
        modules = [edge[name] for edge in self.edges if name in edge]
        if all(is_exactly(module, Zero) for module in modules):
            return None
        if len(modules) < len(self.edges):
            return self._one_by_one(name, [edge._modules.get(name) for edge in self.edges], strengths_n)
        batched = operators[name].batched
        if batched is not None:
            return self._as_registered(name, batched, modules, strengths_n, scale)
        chains = [layer_chain(module) for module in modules]
        columns = group_columns(chains)
        if columns is None:
            return self._one_by_one(name, modules, strengths_n)
        if chains[0].shortcut != 0:
            self._add_shortcut(name, chains[0].shortcut, strengths_n)
        if not columns:
            self._add_maps(name, ("identity",), self.wave.x, strengths_n)
            return None
        pool, *norm = (column[0] for column in columns)
        if type(pool) in POOLS and len(norm) == 1 and type(norm[0]) is nn.BatchNorm2d and norm[0].training:
            x = grouped_batch_norm(columns[1], pool(self.wave.x), None, self.statistics, times=self.wave.num_targets)
            self._add_maps(name, ("pool", name), x, strengths_n)
            return None
        return run_group(columns, self.wave, scale, self.statistics)

    def _add_shortcut(self, name: str, channels: int | None, strengths_n: Tensor) -> None:
        """Add the first ``channels`` of every source, as a residual does; all of them for None."""
        parts = split_channels(self.wave.x, self.wave.num_sources)
        width = parts.shape[2]
        if channels is None or channels == width:
            self._add_maps(name, ("identity",), self.wave.x, strengths_n)
            return
        padded = F.pad(parts[:, :, :channels], (0, 0, 0, 0, 0, width - channels)).flatten(1, 2)
        self._add_maps(name, ("first channels", channels), padded, strengths_n)

    def _add_maps(self, name: str, key: tuple[object, ...], maps: Tensor, strengths_n: Tensor) -> None:
        self.parameter_free.add(key, self._checked(name, maps, self.wave.num_sources), strengths_n)

    def _as_registered(
        self, name: str, batched: BatchedForward, modules: Sequence[nn.Module], strengths_n: Tensor, scale: Tensor
    ) -> Tensor:
        """Run the operator's own batched form, if the modules are still alike and without hooks."""
        if not have_same_structure(modules):
            return self._one_by_one(name, modules, strengths_n)
        x = self.wave.expand(self.wave.x)
        if self.as_retrained or not operators[name].batchnorm_in_search:
            return self._checked(name, batched(modules, x), self.wave.num_edges) * scale[:, None, None]
        pairs = [list(module.children()) for module in modules]
        if not all(is_sequential(module) and len(pair) == 2 for module, pair in zip(modules, pairs, strict=True)):
            return self._one_by_one(name, modules, strengths_n)
        bodies, norms = zip(*pairs, strict=True)
        if not are_equal_norms(norms):
            return self._one_by_one(name, modules, strengths_n)
        y = self._checked(name, batched(bodies, x), self.wave.num_edges)
        return grouped_batch_norm(norms, y, scale, self.statistics)

    def _one_by_one(self, name: str, modules: Sequence[nn.Module | None], strengths_n: Tensor) -> Tensor:
        """Run the modules of the edges, None where an edge does not have the operator."""
        xs = split_channels(self.wave.x, self.wave.num_sources).unbind(1)
        ys = []  # (B, C, H', W') for each edge
        for index, (module, strength) in enumerate(zip(modules, strengths_n, strict=True)):
            x = xs[index // self.wave.num_targets]
            if module is None:
                ys.append(x.new_zeros(self.node_shape))
            else:
                y = require_output(call_alone(module, x, self.statistics), name, self.node_shape, x)
                ys.append(strength * y)
        return torch.cat(ys, dim=1)
