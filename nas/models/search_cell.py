"""The cell of the supernet: its operators by edge. :mod:`nas.models.execution` runs it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from nas.graph.space import Space
from nas.models.cell_mix import CellMix
from nas.models.cell_plan import CellPlan
from nas.models.edge_rule import DARTS_EDGE, EdgeRule, SourceView
from nas.models.skeletons import skeleton_of
from nas.ops.registry import operators


class SearchCell(nn.Module):
    """Preprocessing of the inputs, and all operators of the space on every edge.

    ``edges[e]`` maps operator names to modules, in the order of the space, ``columns[e]`` are their columns in the
    alphas; ``edge_list[e]`` is the edge's (target, source), ordered by target, then by source. BatchNorms learn no
    scale and no shift here (DARTS, §A.1.1), unless the space builds operators as for retraining. ``edge_rule`` says
    what an edge does around its operators.
    """

    def __init__(self, space: Space, plan: CellPlan, edge_rule: EdgeRule = DARTS_EDGE) -> None:
        super().__init__()
        self.edge_rule = edge_rule
        self.inputs = space.inputs
        self.intermediate_nodes = space.intermediate_nodes
        self.kind = plan.kind
        self.channels = plan.channels
        self.operator_channels = edge_rule.operator_channels(plan.channels)
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
        self.edge_modules = nn.ModuleDict(self._build_edge_modules(plan))

    def _build_edge_modules(self, plan: CellPlan) -> dict[str, nn.Module]:
        strides = [plan.stride if source < self.inputs else 1 for _, source in self.edge_list]
        built = {str(edge): self.edge_rule.build(plan.channels, stride) for edge, stride in enumerate(strides)}
        return {edge: module for edge, module in built.items() if module is not None}

    def _build_operator(self, name: str, stride: int) -> nn.Module:
        if self.as_retrained:
            return operators[name].build(self.operator_channels, stride, affine=True)
        return operators[name].build_for_search(self.operator_channels, stride)

    def sum_shape(self, x: Tensor) -> tuple[int, int, int, int]:
        """Return the shape of the operators' sum at a node for a preprocessed input ``x`` (B, C, H, W)."""
        batch, _, height, width = x.shape
        return (batch, self.operator_channels, -(-height // self.stride), -(-width // self.stride))

    def view(self, node: int, x: Tensor) -> SourceView:
        """Return what the edges that leave ``node``, an input or an intermediate node, see of its features ``x``."""
        return self.edge_rule.view(x, self.stride if node < self.inputs else 1)

    def sources(self, node: int) -> list[tuple[int, int]]:
        """Return the (edge, source) of all edges to an intermediate node."""
        return [(edge, source) for edge, (target, source) in enumerate(self.edge_list) if target == node]

    def finish(self, node: int, mixed: Tensor, views: Sequence[SourceView], mix: CellMix) -> Tensor:
        """Return an intermediate node from the sum of its operators; ``views`` are those of all earlier nodes."""
        if self.edge_rule is not DARTS_EDGE:
            incoming = self.sources(node)
            weights = None if mix.edge_weights is None else mix.edge_weights[incoming[0][0] : incoming[-1][0] + 1]
            rests = [self._rest(edge, views[source].rest) for edge, source in incoming]
            mixed = self.edge_rule.finish(mixed, rests, weights, mix.edge_value)
        return mixed / node if self.combine == "mean" else mixed  # it has an edge from every earlier node

    def _rest(self, edge: int, rest: Tensor | None) -> Tensor | None:
        name = str(edge)
        return self.edge_modules[name](rest) if name in self.edge_modules else rest

    def output(self, nodes: Sequence[Tensor]) -> Tensor:
        """Return the cell's output; ``nodes`` are all nodes, or all that are not inputs."""
        first = self.inputs + self.intermediate_nodes - len(nodes)
        parts = [nodes[node - first] for node in self.concat]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def mixed_on(self, edge: int, mix: CellMix) -> dict[int, tuple[str, nn.Module]]:
        """Return the (name, module) of the operators that a pass computes on an edge, by their column."""
        named = zip(self.columns[edge], self.operators_on(edge).items(), strict=True)
        return {column: operator for column, operator in named if mix.computes(edge, column)}

    def named_operators(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the operators of all edges with their names."""
        for edge in range(len(self.edges)):
            yield from self.operators_on(edge).items()

    def operators_on(self, edge: int) -> nn.ModuleDict:
        """Return the modules on an edge by operator name, in the order of the space."""
        operators_by_name = self.edges[edge]
        assert isinstance(operators_by_name, nn.ModuleDict)
        return operators_by_name
