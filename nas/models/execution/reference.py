"""The reference execution of a supernet's cell, edge by edge and operator by operator: the definition.

Shapes: B images, C channels of a node, E edges, K operators.
"""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from nas.core.profiler_spans import span
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.cell_mix import CellMix
from nas.models.search_cell import SearchCell


def mixed_edge(operators: Iterable[tuple[str, nn.Module]], x: Tensor, strengths: Iterable[Tensor]) -> Tensor:
    """Return the sum of the operators' outputs, each times its strength (DARTS, eq. 2): (B, C, H, W)."""
    terms: list[Tensor] = []
    for strength, (name, operator) in zip(strengths, operators, strict=True):
        with span(name):
            y = operator(x)
        terms.append(strength * y)
    return sum(terms[1:], start=terms[0])


def reference_cell(
    cell: SearchCell, states: Sequence[Tensor], mix: CellMix, statistics: BatchNormStats | None = None
) -> Tensor:
    """Return the cell's output: each node is the sum (or mean) of its edges, and intermediate nodes are concatenated.

    ``states`` are the outputs of the previous cells, oldest first, (B, C_in, H, W) each; the result is
    (B, len(cell.concat) * C, H', W'). BatchNorms move their running statistics themselves, ``statistics`` is unused.
    """
    with span("preprocessing"):
        nodes = [module(state) for module, state in zip(cell.preprocess, states, strict=True)]
    views = [cell.view(node, x) for node, x in enumerate(nodes)]
    for node in range(cell.inputs, cell.inputs + cell.intermediate_nodes):
        with span("node sums"):
            terms = []
            for edge, source in cell.sources(node):
                columns, strengths = cell.mixed_on(edge, mix), mix.strengths[edge].unbind()
                if columns:
                    terms.append(mixed_edge(columns.values(), views[source].x, [strengths[k] for k in columns]))
            terms = terms or [views[0].x.new_zeros(cell.sum_shape(views[0].x))]
            nodes.append(cell.finish(node, sum(terms[1:], start=terms[0]), views, mix))
            views.append(cell.view(node, nodes[-1]))
    with span("concatenation"):
        return cell.output(nodes)
