"""The cell of the supernet: its operators by edge. :mod:`nas.models.execution` runs it."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from nas.graph.space import Space
from nas.models.cell_plan import CellPlan
from nas.models.skeletons import skeleton_of
from nas.ops.registry import operators


class SearchCell(nn.Module):
    """Preprocessing of the inputs, and all operators of the space on every edge.

    ``edges[e]`` maps operator names to modules, in the order of the space, ``columns[e]`` are their columns in the
    alphas; ``edge_list[e]`` is the edge's (target, source), ordered by target, then by source. BatchNorms learn no
    scale and no shift here (DARTS, §A.1.1), unless the space builds operators as for retraining.
    """

    def __init__(self, space: Space, plan: CellPlan) -> None:
        super().__init__()
        self.inputs = space.inputs
        self.intermediate_nodes = space.intermediate_nodes
        self.kind = plan.kind
        self.channels = plan.channels
        self.stride = plan.stride
        self.edge_list = space.edges
        self.concat = space.concat
        self.combine = space.combine
        self.operator_names = space.operators
        own = [space.operators_on(plan.kind, edge) for edge in range(len(space.edges))]
        self.columns = [[column for column, name in enumerate(space.operators) if name in names] for names in own]
        self.same_operators = space.edge_operators is None
        self.as_retrained = space.operators_as_retrained
        self.preprocess = nn.ModuleList(skeleton_of(space).preprocess(plan, self.as_retrained))
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {name: self._build_operator(name, plan.stride if source < space.inputs else 1) for name in names}
            )
            for names, (_, source) in zip(own, space.edges, strict=True)
        )

    def _build_operator(self, name: str, stride: int) -> nn.Module:
        if self.as_retrained:
            return operators[name].build(self.channels, stride, affine=True)
        return operators[name].build_for_search(self.channels, stride)

    def node_shape(self, x: Tensor) -> tuple[int, int, int, int]:
        """Return the shape of the intermediate nodes for a preprocessed input ``x`` (B, C, H, W)."""
        batch, _, height, width = x.shape
        return (batch, self.channels, -(-height // self.stride), -(-width // self.stride))

    def combined(self, node: int, total: Tensor) -> Tensor:
        """Return an intermediate node from the sum of its edges, of which it has one from every earlier node."""
        return total / node if self.combine == "mean" else total

    def output(self, nodes: Sequence[Tensor]) -> Tensor:
        """Return the cell's output; ``nodes`` are all nodes, or all that are not inputs."""
        first = self.inputs + self.intermediate_nodes - len(nodes)
        parts = [nodes[node - first] for node in self.concat]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def own_strengths(self, edge: int, strengths_k: Tensor) -> Iterable[Tensor]:
        """Return the strengths of the operators on an edge out of those of all operators of the space."""
        return strengths_k if self.same_operators else [strengths_k[column] for column in self.columns[edge]]

    def named_operators(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the operators of all edges with their names."""
        for edge in range(len(self.edges)):
            yield from self.operators_on(edge).items()

    def operators_on(self, edge: int) -> nn.ModuleDict:
        """Return the modules on an edge by operator name, in the order of the space."""
        operators_by_name = self.edges[edge]
        assert isinstance(operators_by_name, nn.ModuleDict)
        return operators_by_name
