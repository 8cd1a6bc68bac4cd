"""Skeletons: what is built around the cells of a supernet or a network, by name.

A skeleton chooses the stem, how many cells of which kind and width follow each other, how the inputs of a cell are
preprocessed, and what comes between the last cell and the classifier. Each is one file of this package.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from nas.core.errors import InputError
from nas.core.registry import Registry
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.models.cell_plan import CellPlan, FeatureMap


@dataclass(frozen=True)
class NetworkSizes:
    """What a skeleton needs to know: ``widths`` are the nodes that each kind of cell concatenates into its output."""

    channels: int
    cells: int
    inputs: int  # of a cell
    widths: Mapping[str, int]
    stem: str = "cifar"
    in_chans: int = 3


@dataclass(frozen=True)
class Layout:
    """What a skeleton builds for given sizes.

    ``stem`` maps images to the features that all inputs of the first cell get, or to a tuple with those of each;
    ``outputs`` are the feature maps after each cell; ``final_norm`` is applied before the global mean.
    """

    stem: nn.Module
    plans: list[CellPlan]
    outputs: list[FeatureMap]
    final_norm: nn.Module


@dataclass(frozen=True)
class Skeleton:
    """A skeleton: ``build`` is called for the sizes of a network, ``preprocess(plan, affine)`` for each cell.

    ``check(kinds, inputs, widths)`` returns what is wrong with cells that do not fit, or "". A search needs at least
    ``fewest_cells``, which contain ``fewest_are``. ``channels`` and ``cells`` are the sizes that are usually retrained;
    ``counted`` says in words what ``cells`` counts.
    """

    build: Callable[[NetworkSizes], Layout]
    preprocess: Callable[[CellPlan, bool], list[nn.Module]]
    check: Callable[[tuple[str, ...], int, Mapping[str, int]], str]
    channels: int
    cells: int
    fewest_cells: int = 1
    fewest_are: str = ""
    counted: str = "{cells} cells"


skeletons: Registry[Skeleton] = Registry("skeleton")


def skeleton_of(cells: Space | Genotype) -> Skeleton:
    """Return the skeleton of a space or genotype; raise :class:`InputError` if it is unknown or does not fit."""
    skeleton = skeletons[cells.skeleton]
    problem = skeleton.check(cells.kinds, cells.inputs, cell_widths(cells))
    if problem:
        kind = "space" if isinstance(cells, Space) else "genotype"
        raise InputError(f"{kind} {cells.name}: skeleton={cells.skeleton} {problem}".replace(" :", ":"))
    return skeleton


def cell_widths(cells: Space | Genotype) -> dict[str, int]:
    """Return the number of nodes that each kind of cell concatenates into its output."""
    if isinstance(cells, Genotype):
        return {kind: len(cells.concat(kind)) for kind in cells.kinds}
    return dict.fromkeys(cells.kinds, len(cells.concat))


def check_search_cells(space: Space, cells: int) -> None:
    """Raise :class:`InputError` if a supernet of ``cells`` cells is too small for a search of ``space``."""
    skeleton = skeleton_of(space)
    if cells < skeleton.fewest_cells:
        raise InputError(f"cells={cells}: must be at least {skeleton.fewest_cells}: {skeleton.fewest_are}")
