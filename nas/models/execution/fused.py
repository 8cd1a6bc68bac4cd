"""The fast execution, made for CPUs: node by node, work without weights once per source, BatchNorms in the sums.

The same mathematics as :mod:`nas.models.execution.reference`, in channels_last. What leaves a node and meets no weight
(ReLU, pools, what their BatchNorms see) is computed once for all edges; the last BatchNorm and the strength of every
operator are part of the sum that makes the next node (:mod:`nas.kernels.node_sum`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.profiler_spans import span
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.conv_chain import chain_supported
from nas.kernels.convolution import split_pixels
from nas.kernels.node_sum import batch_moments, batch_norm, node_sum
from nas.kernels.node_sum_torch import Term
from nas.kernels.pool import pool
from nas.models.execution.fusion_patterns import conv_units
from nas.models.execution.layer_chain import layer_chain
from nas.models.execution.layerwise import run_halves, run_layers
from nas.models.search_cell import SearchCell
from nas.ops.skip import FactorizedPointwise, Zero

NODE_SUMS = "shared: node sums, last BatchNorms"
POOLS = (nn.MaxPool2d, nn.AvgPool2d)


class Source:
    """A node that edges leave, and what has been computed of it without weights."""

    def __init__(self, x: Tensor, leaving: Sequence[nn.ModuleDict]) -> None:
        self.x = x
        self.leaving = leaving  # the operators on each of the edges
        self._relu: Tensor | None = None
        self._pooled: dict[str, Term] = {}
        self._halves: tuple[Tensor, Tensor] | None = None

    def relu(self) -> Tensor:
        """The node behind a ReLU."""
        if self._relu is None:
            with span("shared: ReLU"):
                self._relu = F.relu(self.x)
        return self._relu

    def halved(self) -> tuple[Tensor, Tensor]:
        """The node behind a ReLU, taken apart as :class:`FactorizedPointwise` looks at it."""
        if self._halves is None:
            self._halves = split_pixels(self.relu())
        return self._halves

    def pooled(self, name: str, statistics: BatchNormStats) -> Term:
        """The node behind the pool ``name``, in front of its BatchNorm, which sees the same on all edges."""
        if name not in self._pooled:
            layer, _ = layer_chain(self.leaving[0][name]).layers
            norms = [norm for operators in self.leaving if (norm := layer_chain(operators[name]).last_norm) is not None]
            x = pool(layer, self.x)  # type: ignore[arg-type]
            moments = batch_moments(x, norms, statistics)
            known = (
                Term(batch_norm(x, norms, None, statistics)) if moments is None else Term(x, norms[0], moments=moments)
            )
            self._pooled[name] = known
        return self._pooled[name]


def fused_cell(cell: SearchCell, states: Sequence[Tensor], strengths_ek: Tensor, statistics: BatchNormStats) -> Tensor:
    """As :func:`nas.models.execution.reference.reference_cell`; BatchNorms' running statistics go to ``statistics``."""
    sources: list[Source] = []
    for module, state in zip(cell.preprocess, states, strict=True):
        with span("preprocessing"):
            x = _preprocessed(module, state, statistics)
        sources.append(_source(cell, x, len(sources)))
    for node in range(cell.inputs, cell.inputs + cell.intermediate_nodes):
        incoming = [edge for edge, (target, _) in enumerate(cell.edge_list) if target == node]
        with span(NODE_SUMS):
            x = _sum(cell, sources, incoming, strengths_ek, statistics)
        sources.append(_source(cell, x, node))
    with span("concatenation"):
        return torch.cat([source.x for source in sources[cell.inputs :]], dim=1)


def _preprocessed(module: nn.Module, state: Tensor, statistics: BatchNormStats) -> Tensor:
    chain = layer_chain(module)
    norm, body = chain.last_norm, conv_units(chain.layers[:-1])
    if norm is None or not body or not chain_supported(body, state):
        return run_layers(chain.layers, state, statistics)
    return node_sum([Term(state, norm, units=body, name="preprocessing")], state.new_ones(1), statistics)


def _source(cell: SearchCell, x: Tensor, node: int) -> Source:
    return Source(x, [cell.edges[edge] for edge, (_, source) in enumerate(cell.edge_list) if source == node])  # type: ignore[misc]


def _sum(
    cell: SearchCell,
    sources: Sequence[Source],
    incoming: Sequence[int],
    strengths_ek: Tensor,
    statistics: BatchNormStats,
) -> Tensor:
    """The node at the end of the edges ``incoming``."""
    terms: dict[object, tuple[int, Term]] = {}  # numbered
    by_term: list[tuple[int, int]] = []  # which strength, of which term
    strengths = strengths_ek[incoming[0] : incoming[-1] + 1].flatten()
    position = 0
    for edge in incoming:
        source = sources[cell.edge_list[edge][1]]
        for name, operator in cell.operators_on(edge).items():
            with span(name):
                added = _terms(name, operator, source, statistics)
            for term in added:
                key = (id(term.x), term.shared, term.units)
                by_term.append((position, terms.setdefault(key, (len(terms), term))[0]))
            position += 1
    positions, rows = torch.tensor(by_term, device=strengths.device).unbind(1)
    weights = strengths.new_zeros(len(terms)).index_add(0, rows, strengths[positions])
    return node_sum([term for _, term in terms.values()], weights, statistics)


def _terms(name: str, operator: nn.Module, source: Source, statistics: BatchNormStats) -> list[Term]:
    """What the operator adds to the sum: its output in front of its last BatchNorm, an identity where it has one."""
    if isinstance(operator, Zero):
        return []
    chain = layer_chain(operator)
    all_shared = chain.shared == source.x.shape[1]
    identity = [Term(source.x, shared=None if all_shared else chain.shared)] if chain.shared else []
    norm, layers = chain.last_norm, chain.layers
    if not layers:
        return [Term(source.x)]
    if norm is not None and len(layers) == 2 and type(layers[0]) in POOLS:
        return [source.pooled(name, statistics)]
    body = layers if norm is None else layers[:-1]
    made = conv_units(body)
    if made and chain_supported(made, source.x):
        return [Term(source.x, norm, units=made, name=name), *identity]
    if norm is not None and len(body) == 2 and type(body[0]) is nn.ReLU and isinstance(body[1], FactorizedPointwise):
        return [Term(run_halves(body[1], source.halved()), norm)]
    if type(body[0]) is nn.ReLU:
        return [Term(run_layers(body[1:], source.relu(), statistics), norm), *identity]
    return [Term(run_layers(body, source.x, statistics), norm), *identity]
