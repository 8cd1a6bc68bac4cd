"""Searches that train cells one after the other, each from the start: what random search and evolution share.

A cell is trained as the only path of the supernet, with the weights drawn anew and a learning rate that falls from the
settings' ``weights.lr`` to ``weights.lr_min``; its accuracy on the alphas' half is its score. No alphas move.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from nas.core.validation import require
from nas.engine.optimizer import WeightSettings
from nas.engine.schedules import cosine
from nas.graph.genotype import Genotype
from nas.graph.zoo import load_genotype
from nas.models.one_path import kept_operators
from nas.search.method import JudgedCell, Method, SearchView

Propose = Callable[[SearchView, list[JudgedCell]], Genotype]  # the cells judged so far, oldest first -> the next

_MEMORY = "cells"
_NOT_WITH = ("penalties", "alpha_gradient", "alpha_update", "perturbation")


class CellTurns(NamedTuple):
    """The epochs of a search by cell: ``cells`` cells with ``length`` epochs each; the rest is not used."""

    cells: int
    length: int


def cell_turns(epochs: int, epochs_per_cell: int) -> CellTurns:
    """Return the turns of a search of ``epochs``; a search shorter than one turn trains one cell."""
    count = max(1, epochs // epochs_per_cell)
    return CellTurns(count, epochs // count if count == 1 else epochs_per_cell)


def judged_cells(view: SearchView, epochs_per_cell: int) -> list[JudgedCell]:
    """Return the cells whose training has ended, in order."""
    length, found = cell_turns(view.epochs, epochs_per_cell).length, []
    for number, entry in enumerate(view.memory.get(_MEMORY, [])):
        end = (number + 1) * length
        accuracy = view.valid_accuracy if entry["valid_accuracy"] is None else entry["valid_accuracy"]
        if view.epoch >= end and accuracy is not None:
            found.append(JudgedCell(load_genotype(entry["genotype"]), accuracy, end))
    return found


def train_one_by_one(name: str, epochs_per_cell: int, propose: Propose) -> Method:
    """Return the method ``name``, which trains the cells that ``propose`` returns; the best is the genotype."""
    require(f"methods.{name}.epochs_per_cell", epochs_per_cell, epochs_per_cell >= 1, "must be at least 1")

    def begin(view: SearchView) -> None:
        cells, length = cell_turns(view.epochs, epochs_per_cell)
        number, begun = divmod(view.epoch, length)
        if begun or number >= cells:
            return
        judged = judged_cells(view, epochs_per_cell)
        cell = propose(view, judged)
        known = [*(entry[:2] for entry in judged), (cell, None)]
        view.memory[_MEMORY] = [{"genotype": repr(cell), "valid_accuracy": accuracy} for cell, accuracy in known]
        view.restrict(kept_operators(cell, view.supernet.space))
        view.redraw_weights(number)

    def best(view: SearchView) -> Genotype:
        if judged := judged_cells(view, epochs_per_cell):
            return max(judged, key=lambda cell: cell.valid_accuracy).genotype  # of equal ones, the first
        training = view.memory.get(_MEMORY)
        return load_genotype(training[-1]["genotype"]) if training else view.supernet.genotype()

    def rate(weights: WeightSettings, epoch: int, epochs: int) -> float:
        length = cell_turns(epochs, epochs_per_cell).length
        return cosine(weights.lr, weights.lr_min, epoch % length / length)

    def ended(view: SearchView) -> bool:
        return math.prod(cell_turns(view.epochs, epochs_per_cell)) <= view.epoch < view.epochs

    return Method(
        weights_lr=rate,
        rests=(lambda epoch, epochs: True,),
        on_epoch=(begin,),
        stop=ended,
        select=best,
        judged=lambda view: judged_cells(view, epochs_per_cell),
        checks=(_without_alphas(name),),
        orders=(1,),
        capturable=False,
    )


def _without_alphas(name: str) -> Callable[[Method], str | None]:
    def check(whole: Method) -> str | None:
        moved = any(getattr(whole, place) for place in _NOT_WITH) or whole.relaxation != Method().relaxation
        return f"{name} trains one cell after the other, and the other method is about alphas" if moved else None

    return check
