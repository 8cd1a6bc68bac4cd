"""The cell of a genotype: one operator on every kept edge."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nas.graph.genotype import Genotype
from nas.models.cell_plan import CellPlan
from nas.models.drop_path import drop_path
from nas.models.skeletons import skeleton_of
from nas.ops.registry import operators

CallModule = Callable[[nn.Module, Tensor], Tensor]


def call_module(module: nn.Module, x: Tensor) -> Tensor:
    """Return ``module(x)``."""
    return module(x)  # type: ignore[no-any-return]


class GenotypeCell(nn.Module):
    """Maps the outputs of the previous cells, oldest first, to the cell's output; BatchNorms are affine."""

    def __init__(self, genotype: Genotype, plan: CellPlan) -> None:
        super().__init__()
        self.inputs = genotype.inputs
        self.concat = genotype.concat(plan.kind)
        self.combine = genotype.combine
        self.stride = plan.stride
        self.edges = [[source for _, source in edges] for _, edges in genotype.nodes(plan.kind)]  # sources by node
        self.preprocess = nn.ModuleList(skeleton_of(genotype).preprocess(plan, True))
        self.operators = nn.ModuleList(
            operators[name].build(plan.channels, plan.stride if source < genotype.inputs else 1, affine=True)
            for name, source in genotype.edges(plan.kind)
        )

    def forward(
        self, states: Sequence[Tensor], drop_probability: float = 0.0, call: CallModule = call_module
    ) -> Tensor:
        """Map the inputs (B, C_in, H, W) to (B, len(concat) * C, H', W'); ``call(module, x)`` applies a module."""
        nodes = [call(module, state) for module, state in zip(self.preprocess, states, strict=True)]
        remaining = iter(self.operators)
        for sources in self.edges:
            terms = []
            for source in sources:
                operator = next(remaining)
                y = call(operator, nodes[source])
                if self.training and drop_probability > 0 and type(operator) is not nn.Identity:
                    y = drop_path(y, drop_probability)
                terms.append(y)
            nodes.append(self._combined(terms) if terms else self._zeros(nodes[0]))
        parts = [nodes[node] for node in self.concat]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _combined(self, terms: Sequence[Tensor]) -> Tensor:
        total: Tensor = sum(terms[1:], start=terms[0])
        return total / len(terms) if self.combine == "mean" else total

    def _zeros(self, x: Tensor) -> Tensor:
        """Return a node without edges, for the first preprocessed input (B, C, H, W)."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])
