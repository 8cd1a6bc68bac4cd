"""Random search (Li and Talwalkar, arXiv 1902.07638): random cells, each trained for some epochs; the best is kept."""

import random
from dataclasses import dataclass

from nas.core.seeding import derive_seed
from nas.graph.genotype import Genotype
from nas.graph.random_cell import random_genotype
from nas.search.method import JudgedCell, Method, SearchView
from nas.search.methods.one_by_one import train_one_by_one
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class RandomSettings:
    """``epochs_per_cell``: a search of 50 epochs trains 10 cells for 5 epochs each."""

    epochs_per_cell: int = 5


def random_proposal(view: SearchView, judged: list[JudgedCell]) -> Genotype:
    """Return a cell that depends on the search's seed and the number of cells before it alone."""
    return random_genotype(view.supernet.space, random.Random(derive_seed(view.seed, "cells", len(judged))))


@register_method(
    "random",
    settings=RandomSettings,
    paper="random search, arXiv 1902.07638",
    when="beside every search: one that does not beat it has found nothing",
)
def random_search(settings: RandomSettings) -> Method:
    """Return the training of cells drawn uniformly from what the derivation can produce."""
    return train_one_by_one("random", settings.epochs_per_cell, random_proposal)
