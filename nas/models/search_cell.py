"""The cell of the supernet: which operators stand on which edges. How they are run is said elsewhere."""

from collections.abc import Iterator

from torch import nn

from nas.graph.space import Space
from nas.models.cell_plan import CellPlan
from nas.models.stem import preprocess
from nas.ops.registry import operators


class SearchCell(nn.Module):
    """Preprocessing of the inputs, and on every edge all operators of the space.

    ``edges[e]`` maps operator names to modules, in the order of the space; ``edge_list[e]`` is the edge's
    (target, source), ordered by target, then by source. BatchNorms learn no scale and no shift here (DARTS, §A.1.1).
    """

    def __init__(self, space: Space, plan: CellPlan) -> None:
        super().__init__()
        self.inputs = space.inputs
        self.intermediate_nodes = space.intermediate_nodes
        self.kind = plan.kind
        self.edge_list = space.edges
        self.preprocess = nn.ModuleList(
            preprocess(c_in, plan.channels, halvings, affine=False)
            for c_in, halvings in zip(plan.inputs, plan.halvings, strict=True)
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

    def modules_of_edges(self) -> Iterator[tuple[str, nn.Module]]:
        """The operators of all edges with their names."""
        for edge in range(len(self.edges)):
            yield from self.operators_on(edge).items()

    def operators_on(self, edge: int) -> nn.ModuleDict:
        """The modules on an edge by their names, in the order of the space."""
        operators_by_name = self.edges[edge]
        assert isinstance(operators_by_name, nn.ModuleDict)
        return operators_by_name
