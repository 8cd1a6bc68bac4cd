"""Which cell stands where: width, stride and inputs of every cell in a stack. Shared by supernet and network."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureMap:
    """A feature map between cells: its channels, and its level, the number of halvings since the first cell."""

    channels: int
    level: int


@dataclass(frozen=True)
class CellPlan:
    """One cell of the stack."""

    kind: str  # "normal" or "reduce"
    channels: int  # of each node
    inputs: tuple[int, ...]  # channels of each input, oldest first
    halvings: tuple[int, ...]  # how often each input must be halved to meet the newest one

    @property
    def stride(self) -> int:
        """The stride of the edges that leave the cell's inputs."""
        return 2 if self.kind == "reduce" else 1


def plan_cells(
    channels: int, cells: int, stem: Sequence[FeatureMap], width: dict[str, int]
) -> tuple[list[CellPlan], list[FeatureMap]]:
    """The plans of ``cells`` cells, and the state that each of them leaves.

    Reduction cells stand at ``cells // 3`` and ``2 * cells // 3`` and double the channels (DARTS, §3.1). ``stem``
    gives the states that the first cell takes in, oldest first; ``width`` how many nodes each kind of cell
    concatenates to its output.
    """
    states, plans = list(stem), []
    for index in range(cells):
        kind = "reduce" if index in (cells // 3, 2 * cells // 3) else "normal"
        if kind == "reduce":
            channels *= 2
        inputs, level = states[index:], states[-1].level
        plan = CellPlan(kind, channels, tuple(s.channels for s in inputs), tuple(level - s.level for s in inputs))
        plans.append(plan)
        states.append(FeatureMap(width[kind] * channels, level + plan.stride - 1))
    return plans, states[len(stem) :]
