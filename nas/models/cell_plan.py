"""Plans of the cells of a network: kind, width, stride and inputs of each. Shared by supernet and network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureMap:
    """A feature map between cells: its channels and its level, the number of stride-2 steps since the first cell."""

    channels: int
    level: int


@dataclass(frozen=True)
class CellPlan:
    """One cell of a network."""

    kind: str  # such as "normal"
    channels: int  # of each node
    inputs: tuple[int, ...]  # channels of each input, oldest first
    downsampling: tuple[int, ...]  # stride-2 steps of the preprocessing of each input
    level: int  # of the preprocessed inputs
    stride: int = 1  # of the edges from the cell's inputs
