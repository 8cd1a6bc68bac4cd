"""The stack of cells: kind, width, stride and inputs of each. Shared by supernet and network."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureMap:
    """A feature map between cells: its channels and its level, the number of stride-2 steps since the first cell."""

    channels: int
    level: int


@dataclass(frozen=True)
class CellPlan:
    """One cell of the stack."""

    kind: str  # "normal" or "reduce"
    channels: int  # of each node
    inputs: tuple[int, ...]  # channels of each input, oldest first
    downsampling: tuple[int, ...]  # stride-2 steps that bring each input to the resolution of the newest

    @property
    def stride(self) -> int:
        """The stride of the edges from the cell's inputs."""
        return 2 if self.kind == "reduce" else 1


def plan_cells(
    channels: int, cells: int, stem: Sequence[FeatureMap], width: dict[str, int]
) -> tuple[list[CellPlan], list[FeatureMap]]:
    """Return the plans of ``cells`` cells and the feature map that each of them outputs.

    The cells at ``cells // 3`` and ``2 * cells // 3`` are reduction cells and double the channels (DARTS, §3.1).
    ``stem`` lists the inputs of the first cell, oldest first; ``width`` is the number of nodes that each kind of cell
    concatenates into its output.
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
