"""The cell of the supernet: its operators by edge. :mod:`nas.models.execution` runs it."""

from collections.abc import Iterator

from torch import Tensor, nn

from nas.graph.space import Space
from nas.models.cell_plan import CellPlan
from nas.models.stem import preprocess
from nas.ops.registry import operators


class SearchCell(nn.Module):
    """Preprocessing of the inputs, and all operators of the space on every edge.

    ``edges[e]`` maps operator names to modules, in the order of the space; ``edge_list[e]`` is the edge's
    (target, source), ordered by target, then by source. BatchNorms learn no scale and no shift here (DARTS, §A.1.1).
    """

    def __init__(self, space: Space, plan: CellPlan) -> None:
        super().__init__()
        self.inputs = space.inputs
        self.intermediate_nodes = space.intermediate_nodes
        self.kind = plan.kind
        self.channels = plan.channels
        self.stride = plan.stride
        self.edge_list = space.edges
        self.preprocess = nn.ModuleList(
            preprocess(c_in, plan.channels, downsampling, affine=False)
            for c_in, downsampling in zip(plan.inputs, plan.downsampling, strict=True)
        )
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: operators[name].build_for_search(plan.channels, plan.stride if source < space.inputs else 1)
                    for name in space.operators
                }
            )
            for _, source in space.edges
        )

    def node_shape(self, x: Tensor) -> tuple[int, int, int, int]:
        """Return the shape of the intermediate nodes for a preprocessed input ``x`` (B, C, H, W)."""
        batch, _, height, width = x.shape
        return (batch, self.channels, -(-height // self.stride), -(-width // self.stride))

    def named_operators(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the operators of all edges with their names."""
        for edge in range(len(self.edges)):
            yield from self.operators_on(edge).items()

    def operators_on(self, edge: int) -> nn.ModuleDict:
        """Return the modules on an edge by operator name, in the order of the space."""
        operators_by_name = self.edges[edge]
        assert isinstance(operators_by_name, nn.ModuleDict)
        return operators_by_name
