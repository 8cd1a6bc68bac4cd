"""The reference execution of a supernet's cell, edge by edge and operator by operator: the definition.

Shapes: B images, C channels of a node, E edges, K operators.
"""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from nas.core.profiler_spans import span
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.search_cell import SearchCell


def mixed_edge(operators: nn.ModuleDict, x: Tensor, strengths_k: Iterable[Tensor]) -> Tensor:
    """Return the sum of all operators' outputs, each times its strength (DARTS, eq. 2): (B, C, H, W)."""
    terms: list[Tensor] = []
    for strength, (name, operator) in zip(strengths_k, operators.items(), strict=True):
        with span(name):
            y = operator(x)
        terms.append(strength * y)
    return sum(terms[1:], start=terms[0])


def reference_cell(
    cell: SearchCell, states: Sequence[Tensor], strengths_ek: Tensor, statistics: BatchNormStats | None = None
) -> Tensor:
    """Return the cell's output: each node is the sum (or mean) of its edges, and intermediate nodes are concatenated.

    ``states`` are the outputs of the previous cells, oldest first, (B, C_in, H, W) each; the result is
    (B, len(cell.concat) * C, H', W'). BatchNorms move their running statistics themselves, ``statistics`` is unused.
    """
    with span("preprocessing"):
        nodes = [module(state) for module, state in zip(cell.preprocess, states, strict=True)]
    for node in range(cell.inputs, cell.inputs + cell.intermediate_nodes):
        incoming = [(edge, source) for edge, (target, source) in enumerate(cell.edge_list) if target == node]
        with span("node sums"):
            terms = [
                mixed_edge(cell.operators_on(edge), nodes[source], cell.own_strengths(edge, strengths_ek[edge]))
                for edge, source in incoming
            ]
            nodes.append(cell.combined(node, sum(terms[1:], start=terms[0])))
    with span("concatenation"):
        return cell.output(nodes)
