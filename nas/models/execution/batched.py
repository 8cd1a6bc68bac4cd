"""The batched execution, made for GPUs: edges whose sources are ready at the same time run as one.

The same mathematics as :mod:`nas.models.execution.reference` with a quarter of the kernels. A wave is all edges that
leave some sources: the cell's inputs first, then each intermediate node.

Shapes: B images, S sources, T targets, N = S * T edges ordered by source, then by target, C channels.
"""

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nas.core.profiler_spans import span
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.execution.edge_batch import EdgeBatch, WeightlessTerms, dense_gradient
from nas.models.execution.grouped_ops import grouped_batch_norm, is_known, run_group
from nas.models.execution.layer_chain import layer_chain
from nas.models.search_cell import SearchCell
from nas.ops.registry import operators
from nas.ops.skip import Zero

WAVES = "shared: node sums, edges put together"
POOLS = (nn.MaxPool2d, nn.AvgPool2d)


def batched_cell(
    cell: SearchCell, states: Sequence[Tensor], strengths_ek: Tensor, statistics: BatchNormStats
) -> Tensor:
    """As :func:`nas.models.execution.reference.reference_cell`; BatchNorms' running statistics go to ``statistics``."""
    with span("preprocessing"):
        inputs = [
            run_group([module], EdgeBatch([state], 1), None, statistics) if is_known([module]) else module(state)
            for module, state in zip(cell.preprocess, states, strict=True)
        ]
    channels = inputs[0].shape[1]
    with span(WAVES):
        rest = _Run(cell, range(cell.inputs), inputs, strengths_ek, statistics).total()  # (B, T*C, H', W')
        nodes: list[Tensor] = []
        for node in range(cell.inputs, cell.inputs + cell.intermediate_nodes):
            node_x, rest = torch.split_with_sizes(rest, [channels, rest.shape[1] - channels], dim=1)
            nodes.append(node_x.contiguous())
            if rest.shape[1]:
                rest = rest + _Run(cell, [node], nodes[-1:], strengths_ek, statistics).total()
    with span("concatenation"):
        return torch.cat(nodes, dim=1)


@functools.cache
def _index(edges: tuple[int, ...], device: torch.device) -> Tensor:
    """``edges`` on the device: sent there once, since a step waits for every such copy."""
    with torch.inference_mode(False):  # evaluation may be the first to ask
        return torch.tensor(edges, device=device)


class _Run:
    """One wave: all edges from ``sources``, whose feature maps are ``inputs``, to the nodes behind them."""

    def __init__(
        self,
        cell: SearchCell,
        sources: Sequence[int],
        inputs: Sequence[Tensor],
        strengths_ek: Tensor,
        statistics: BatchNormStats,
    ) -> None:
        found = [(source, target, edge) for edge, (target, source) in enumerate(cell.edge_list) if source in sources]
        edges = [edge for _, _, edge in sorted(found)]
        self.edges: list[nn.ModuleDict] = [cell.edges[edge] for edge in edges]  # type: ignore[misc]
        self.wave = EdgeBatch(inputs, len(edges) // len(sources))
        self.strengths_kn = strengths_ek.index_select(0, _index(tuple(edges), strengths_ek.device)).t()
        self.scales = self.strengths_kn.repeat_interleave(inputs[0].shape[1], dim=1)  # (K, N*C)
        self.statistics = statistics
        self.weightless = WeightlessTerms(self.wave)

    def total(self) -> Tensor:
        """The sum for each target: (B, T*C, H', W')."""
        parts = []  # (B, N*C, H', W')
        for name, strengths_n, scale in zip(self.edges[0], self.strengths_kn, self.scales, strict=True):
            with span(name):
                found = self._operator(name, strengths_n, scale)
            parts += [] if found is None else [found]
        total = self.weightless.total()
        if parts:
            y = dense_gradient(sum(parts[1:], start=parts[0]))
            y = torch.unflatten(y, 1, (self.wave.sources, -1)).sum(1) if self.wave.sources > 1 else y
            total = y if total is None else total + y
        assert total is not None  # a space has an operator besides none
        return total

    def _operator(self, name: str, strengths_n: Tensor, scale: Tensor) -> Tensor | None:
        """What the operator ``name`` adds on all edges: (B, N*C, H', W'); None where it is added to the weightless."""
        modules = [edge[name] for edge in self.edges]
        if isinstance(modules[0], Zero):
            return None
        if operators[name].batched is not None:
            return self._as_registered(name, modules, scale)
        if not is_known(modules):
            return self._one_by_one(modules, strengths_n)
        chain, x = layer_chain(modules[0]), self.wave.together
        if not chain.layers:
            self.weightless.add("identity", x, strengths_n)
            return None
        if chain.last_norm is not None and len(chain.layers) == 2 and type(chain.layers[0]) in POOLS:
            norms = [layer_chain(module).layers[1] for module in modules]
            pooled = grouped_batch_norm(norms, chain.layers[0](x), None, self.statistics, times=self.wave.targets)
            self.weightless.add(name, pooled, strengths_n)
            return None
        if chain.shared:
            self._share(chain.shared, strengths_n)
        return run_group(modules, self.wave, scale, self.statistics)

    def _share(self, channels: int, strengths_n: Tensor) -> None:
        """Add the first ``channels`` of every source, as a residual does."""
        x = self.wave.together
        width = x.shape[1] // self.wave.sources
        if channels == width:
            self.weightless.add("identity", x, strengths_n)
            return
        parts = torch.unflatten(x, 1, (self.wave.sources, width))[:, :, :channels]
        shared = F.pad(parts, (0, 0, 0, 0, 0, width - channels)).flatten(1, 2)
        self.weightless.add(f"first {channels}", shared, strengths_n)

    def _as_registered(self, name: str, modules: Sequence[nn.Module], scale: Tensor) -> Tensor:
        operator = operators[name]
        assert operator.batched is not None
        x = self.wave.spread(self.wave.together)
        if operator.batchnorm_in_search:
            bodies, norms = zip(*modules, strict=True)  # Sequentials of two
            return grouped_batch_norm(norms, operator.batched(bodies, x), scale, self.statistics)
        return operator.batched(modules, x) * scale[:, None, None]

    def _one_by_one(self, modules: Sequence[nn.Module], strengths_n: Tensor) -> Tensor:
        xs = torch.unflatten(self.wave.together, 1, (self.wave.sources, -1)).unbind(1)
        places = (index // self.wave.targets for index in range(len(modules)))
        ys = [self._alone(module, xs[place]) for module, place in zip(modules, places, strict=True)]
        return torch.cat([w * y for w, y in zip(strengths_n, ys, strict=True)], dim=1)

    def _alone(self, module: nn.Module, x: Tensor) -> Tensor:
        """``module(x)``; where no statistics are kept, its buffers stay as they are."""
        copies = {} if self.statistics.enabled else {name: buffer.clone() for name, buffer in module.named_buffers()}
        y: Tensor = functional_call(module, copies, (x,)) if copies else module(x)
        return y
