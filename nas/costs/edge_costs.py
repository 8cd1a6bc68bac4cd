"""Parameters and multiply-adds that each operator on each edge adds to the network built for retraining."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.costs.count import cost
from nas.graph.derive import derive
from nas.graph.space import Space
from nas.models.network import Network
from nas.ops.registry import operators


@dataclass(frozen=True)
class EdgeCosts:
    """Counts (parameters, multiply-adds) as float64, which represents integers up to 2**53 exactly.

    ``fixed`` (2,): stem, preprocessing and classifier, the same for every genotype. ``edges[kind]`` (2, edges,
    operators): an operator on an edge, summed over all cells of that kind; 0 for ``none`` and for operators that the
    space does not have on the edge.
    """

    fixed: Tensor
    edges: dict[str, Tensor]


def edge_costs(
    space: Space, channels: int, cells: int, num_classes: int, image_shape: Sequence[int], device: torch.device
) -> EdgeCosts:
    """Count the parts of the networks of ``cells`` cells and ``channels`` channels that genotypes of ``space`` build.

    All counts come from :func:`nas.costs.count.cost`, applied to the modules that retraining builds. ``fixed`` is the
    cost of one whole network minus that of its operators. Operators are assumed to share no weights.
    """
    with torch.random.fork_rng(devices=[]):  # initial weights must not advance the search's random state
        even = [[1.0] * len(space.operators)] * len(space.edges)
        genotype = derive(dict.fromkeys(space.kinds, even), space)
        network = Network(genotype, channels, cells, num_classes, auxiliary=False, in_chans=image_shape[0])
        whole = cost(network, image_shape)
        edges = _edge_costs(space, network, image_shape)
    fixed = torch.tensor([whole.params, whole.macs], dtype=torch.float64)
    for kind in space.kinds:
        for target, chosen in genotype.nodes(kind):
            for operator, source in chosen:
                fixed -= edges[kind][:, space.edges.index((target, source)), space.operators.index(operator)]
    return EdgeCosts(fixed.to(device), {kind: counts.to(device) for kind, counts in edges.items()})


def _edge_costs(space: Space, network: Network, image_shape: Sequence[int]) -> dict[str, Tensor]:
    """Return ``EdgeCosts.edges`` for the cells of ``network``."""
    shape = (2, len(space.edges), len(space.operators))
    edges = {kind: torch.zeros(shape, dtype=torch.float64) for kind in space.kinds}
    known: dict[tuple[object, ...], Tensor] = {}
    for plan in network.plans:
        steps = 2**plan.level
        height, width = (-(-side // steps) for side in image_shape[1:])  # of the preprocessed inputs
        halved = (-(-height // plan.stride), -(-width // plan.stride))
        for row, (_, source) in enumerate(space.edges):
            size, stride = ((height, width), plan.stride) if source < space.inputs else (halved, 1)
            for column, name in enumerate(space.operators):
                if name == "none" or name not in space.operators_on(plan.kind, row):
                    continue
                key = (name, plan.channels, stride, size)
                if key not in known:
                    known[key] = _operator_cost(*key)
                edges[plan.kind][:, row, column] += known[key]
    return edges


def _operator_cost(name: str, channels: int, stride: int, size: tuple[int, int]) -> Tensor:
    """Return (parameters, multiply-adds) of an operator on feature maps of ``size`` (height, width)."""
    counted = cost(operators[name].build(channels, stride, affine=True), (channels, *size))
    return torch.tensor([counted.params, counted.macs], dtype=torch.float64)
