"""Regularized evolution (Real et al., AAAI 2019, arXiv 1802.01548): the oldest cells die, the best of a sample breed.

The first ``population`` cells are random. Each further one is a mutation of the best of ``sample`` draws, with
replacement, from the ``population`` youngest cells. The best of all cells is the genotype.
"""

import random
from dataclasses import dataclass

from nas.core.seeding import derive_seed
from nas.core.validation import require
from nas.graph.genotype import Genotype
from nas.graph.random_cell import mutated_genotype
from nas.search.method import JudgedCell, Method, SearchView
from nas.search.methods.one_by_one import train_one_by_one
from nas.search.methods.random_search import random_proposal
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class EvolutionSettings:
    """``population`` and ``sample`` are NAS-Bench-201's; with 100 and 25, the paper's, 20,000 cells were trained."""

    epochs_per_cell: int = 1
    population: int = 10
    sample: int = 3

    def __post_init__(self) -> None:
        require("methods.evolution.population", self.population, self.population >= 1, "must be at least 1")
        require("methods.evolution.sample", self.sample, self.sample >= 1, "must be at least 1")


@register_method(
    "evolution",
    settings=EvolutionSettings,
    paper="regularized evolution, arXiv 1802.01548",
    when="as a baseline without a supernet, when you can train many cells",
)
def evolution(settings: EvolutionSettings) -> Method:
    """Return the training of a population that ages."""

    def propose(view: SearchView, judged: list[JudgedCell]) -> Genotype:
        if len(judged) < settings.population:
            return random_proposal(view, judged)
        numbers = random.Random(derive_seed(view.seed, "mutation", len(judged)))
        drawn = [numbers.choice(judged[-settings.population :]) for _ in range(settings.sample)]
        parent = max(drawn, key=lambda cell: cell.valid_accuracy)
        return mutated_genotype(parent.genotype, view.supernet.space, numbers)

    return train_one_by_one("evolution", settings.epochs_per_cell, propose)
