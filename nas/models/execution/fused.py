"""The fused execution of a supernet's cell, for CPUs: node by node, with the last BatchNorms inside the node sums.

Equal to :mod:`nas.models.execution.reference` up to rounding; tensors are channels_last. What depends on a node alone
(ReLU, pools, the statistics of their BatchNorms) is computed once for all edges that leave it. The last BatchNorm of
every operator and its strength are part of the sum that makes the next node (:mod:`nas.kernels.node_sum`). A module
that is not exactly known (:mod:`nas.models.execution.exact_modules`) is called as it is.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.profiler_spans import span
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.conv_chain import chain_shapes
from nas.kernels.convolution import split_pixels
from nas.kernels.node_sum import batch_moments, batch_norm, node_sum
from nas.kernels.node_sum_torch import Term
from nas.kernels.pool import pool
from nas.models.cell_mix import CellMix
from nas.models.edge_rule import SourceView
from nas.models.execution.exact_modules import is_exactly, layer_settings
from nas.models.execution.fusion_patterns import conv_units
from nas.models.execution.layer_chain import LayerChain, layer_chain
from nas.models.execution.layerwise import LayerwiseRunner, can_share_relu, run_factorized, run_layers
from nas.models.search_cell import SearchCell
from nas.ops.contract import require_output
from nas.ops.skip import FactorizedPointwise, Zero

NODE_SUMS = "shared: node sums, last BatchNorms"


class SourceNode:
    """A node with outgoing edges, and the parameter-free computations on it that its edges share."""

    def __init__(self, x: Tensor, leaving: Mapping[int, Mapping[int, tuple[str, nn.Module]]]) -> None:
        self.x = x
        self.chains = {  # of the operators on each of the edges, by column, with their names
            edge: {column: (name, layer_chain(operator)) for column, (name, operator) in columns.items()}
            for edge, columns in leaving.items()
        }
        self._relu: Tensor | None = None
        self._factorized: tuple[Tensor, Tensor] | None = None
        self._pools: dict[str, Tensor] = {}
        self._pooled: dict[str, Term] = {}

    def relu(self) -> Tensor:
        """Return the node after a ReLU; whoever reads it must not change it."""
        if self._relu is None:
            with span("shared: ReLU"):
                self._relu = F.relu(self.x)
        return self._relu

    def factorized(self) -> tuple[Tensor, Tensor]:
        """Return the two inputs of a :class:`FactorizedPointwise` after a ReLU."""
        if self._factorized is None:
            self._factorized = split_pixels(self.relu())
        return self._factorized

    def pooled(self, layer: nn.Module, norm: nn.BatchNorm2d, statistics: BatchNormStats) -> Term:
        """Return the term of a pool and the BatchNorm after it.

        BatchNorms in training that see the same batch with the same eps compute the same, whatever their running
        statistics and momentum: they share one term. In evaluation each one reads its own running statistics.
        """
        key = repr(layer_settings(layer))
        if key not in self._pools:
            self._pools[key] = pool(layer, self.x)  # type: ignore[arg-type]
        x = self._pools[key]
        if not norm.training:
            return Term(x, norm)
        key_of_norm = f"{key} {norm.eps}"
        if key_of_norm not in self._pooled:
            norms = [other for other in self._norms_after(key) if other.training and other.eps == norm.eps]
            moments = batch_moments(x, norms, statistics)
            self._pooled[key_of_norm] = (
                Term(batch_norm(x, norms, None, statistics)) if moments is None else Term(x, norm, moments=moments)
            )
        return self._pooled[key_of_norm]

    def _norms_after(self, key: str) -> list[nn.BatchNorm2d]:
        """Return the BatchNorms after pools of these settings, on all edges that leave the node."""
        chains = [chain for columns in self.chains.values() for _, chain in columns.values()]
        norms = [(chain.layers[0], chain.last_norm) for chain in chains if chain.is_normalized_pool]
        return [norm for layer, norm in norms if norm is not None and repr(layer_settings(layer)) == key]


def fused_cell(cell: SearchCell, states: Sequence[Tensor], mix: CellMix, statistics: BatchNormStats) -> Tensor:
    """Compute :func:`nas.models.execution.reference.reference_cell`; ``statistics`` collects the moments."""
    views: list[SourceView] = []
    sources: list[SourceNode] = []
    nodes: list[Tensor] = []
    for module, state in zip(cell.preprocess, states, strict=True):
        with span("preprocessing"):
            x = _preprocess(module, state, statistics)
        views.append(cell.view(len(views), x))
        sources.append(_source(cell, views, mix))
    for node in range(cell.inputs, cell.inputs + cell.intermediate_nodes):
        with span(NODE_SUMS):
            mixed = _node(cell, sources, [edge for edge, _ in cell.sources(node)], mix, statistics)
            nodes.append(cell.finish(node, mixed, views, mix))
        views.append(cell.view(node, nodes[-1]))
        sources.append(_source(cell, views, mix))
    with span("concatenation"):
        return cell.output(nodes)


def _preprocess(module: nn.Module, state: Tensor, statistics: BatchNormStats) -> Tensor:
    chain = layer_chain(module)
    norm, body = chain.last_norm, conv_units(chain.layers[:-1])
    shapes = chain_shapes(body, state)
    if norm is None or chain.shortcut != 0 or shapes is None:
        return LayerwiseRunner(statistics)(module, state)
    return node_sum([Term(state, norm, units=body, shapes=shapes, name="preprocessing")], state.new_ones(1), statistics)


def _source(cell: SearchCell, views: Sequence[SourceView], mix: CellMix) -> SourceNode:
    """Return the last of ``views`` as the source of the edges that leave it."""
    node = len(views) - 1
    leaving = [edge for edge, (_, source) in enumerate(cell.edge_list) if source == node]
    return SourceNode(views[-1].x, {edge: cell.mixed_on(edge, mix) for edge in leaving})


def _node(
    cell: SearchCell,
    sources: Sequence[SourceNode],
    incoming: Sequence[int],
    mix: CellMix,
    statistics: BatchNormStats,
) -> Tensor:
    """Return the sum of the operators at the end of the edges ``incoming``: (B, C, H', W')."""
    shape = cell.sum_shape(sources[0].x)
    terms: dict[object, tuple[int, Term]] = {}  # numbered
    by_term: list[tuple[int, int]] = []  # (index of a strength, number of its term)
    strengths = mix.strengths[incoming[0] : incoming[-1] + 1]
    columns, strengths = strengths.shape[1], strengths.flatten()
    for row, edge in enumerate(incoming):
        source = sources[cell.edge_list[edge][1]]
        for column, (name, chain) in source.chains[edge].items():
            with span(name):
                added = _terms(name, chain, source, shape, statistics)
            for term in added:
                # Plain feature maps that are the same tensor merge; a BatchNorm or weights belong to one operator.
                plain = term.norm is None and not term.units
                key = (id(term.x), term.shared) if plain else (len(terms),)
                by_term.append((row * columns + column, terms.setdefault(key, (len(terms), term))[0]))
    if not terms:
        return sources[0].x.new_zeros(shape)
    positions, rows = torch.tensor(by_term, device=strengths.device).unbind(1)
    weights = strengths.new_zeros(len(terms)).index_add(0, rows, strengths[positions])
    return node_sum([term for _, term in terms.values()], weights, statistics)


def _terms(
    name: str, chain: LayerChain, source: SourceNode, shape: tuple[int, ...], statistics: BatchNormStats
) -> list[Term]:
    """Return what the operator adds to the node: its output before the last BatchNorm, and its shortcut if any."""
    if len(chain.layers) == 1 and is_exactly(chain.layers[0], Zero) and chain.shortcut == 0:
        return []
    terms = [_main_term(name, chain, source, statistics)]
    if chain.shortcut != 0:
        terms.append(Term(source.x, shared=chain.shortcut))
    for term in terms:
        if not term.units:
            require_output(term.x, name, shape, source.x)
    return terms


def _main_term(name: str, chain: LayerChain, source: SourceNode, statistics: BatchNormStats) -> Term:
    norm, layers = chain.last_norm, chain.layers
    if norm is not None and chain.is_normalized_pool:
        return source.pooled(layers[0], norm, statistics)
    body = layers if norm is None else layers[:-1]
    units = conv_units(body)
    shapes = chain_shapes(units, source.x)
    if shapes is not None:
        return Term(source.x, norm, units=units, shapes=shapes, name=name)
    if can_share_relu(body):
        if len(body) == 2 and isinstance(body[1], FactorizedPointwise):
            return Term(run_factorized(body[1], source.factorized()), norm)
        return Term(run_layers(body[1:], source.relu(), statistics), norm)
    return Term(run_layers(body, source.x, statistics), norm)
