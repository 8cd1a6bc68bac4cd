"""Random genotypes against the enumeration of all derivable ones; mutations change one pick."""

import itertools
import random
from collections import Counter

import pytest

import nas
from nas.graph.derive import derive
from nas.graph.random_cell import mutated_genotype, random_genotype
from nas.graph.space import Space

LISTS = [["none", "a"], ["a", "b"], ["a"], ["a", "b"], ["none", "a", "b"]]
UNEVEN = Space(
    "uneven", ("none", "a", "b"), 2, 2, 1, kinds=("normal",), edge_operators={"normal": LISTS}
)  # 2 nodes with 1 of 2 and 1 of 3 edges
PAIRS = Space("pairs", ("none", "a", "b", "c"), 2, 1, 1, kinds=("normal",), operators_per_edge=2)
ALL = Space("all", ("none", "a"), 1, 2, "all", kinds=("normal",), output="last")


def key(genotype):
    return frozenset((node, *edge) for node, edges in genotype.nodes("normal") for edge in edges)


def derivable(space):
    """The genotypes of all orders of the strengths of each node: its edges' and operators' ranks."""
    found = set()
    rows, columns = len(space.edges), len(space.operators)
    random_numbers = random.Random(0)
    for _ in range(3000):
        strengths = [[random_numbers.random() for _ in range(columns)] for _ in range(rows)]
        found.add(key(derive({"normal": strengths}, space)))
    return found


@pytest.mark.parametrize("space", [UNEVEN, PAIRS, ALL], ids=lambda space: space.name)
def test_genotypes_are_uniform_over_what_can_be_derived(space):
    random_numbers, cells, draws = random.Random(1), derivable(space), 3000
    counts = Counter(key(random_genotype(space, random_numbers)) for _ in range(draws))
    assert set(counts) == cells
    expected = draws / len(cells)
    chi2 = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi2 < len(cells) - 1 + 5 * (2 * (len(cells) - 1)) ** 0.5  # 5 standard deviations


@pytest.mark.parametrize("space", [UNEVEN, PAIRS, ALL], ids=lambda space: space.name)
def test_a_mutation_changes_one_edge_and_reaches_every_neighbor(space):
    random_numbers, cells = random.Random(2), derivable(space)
    start = random_genotype(space, random_numbers)
    reached = {key(mutated_genotype(start, space, random_numbers)) for _ in range(300)}
    assert reached <= cells - {key(start)}
    for cell in reached:
        gone = {(node, source) for node, _, source in key(start) - cell}
        come = {(node, source) for node, _, source in cell - key(start)}
        assert len(gone) == len(come) == 1
        assert {node for node, _ in gone} == {node for node, _ in come}
    if space is ALL:
        assert reached == {cell for cell in cells if len(cell - key(start)) == 1}


def test_cells_depend_on_the_random_numbers_alone_and_can_be_built():
    for spec in ("darts", "s1", "nb201"):
        space = nas.load_space(spec)
        first, second = (random_genotype(space, random.Random(3)) for _ in range(2))
        assert first == second != random_genotype(space, random.Random(4))
        assert nas.Network(mutated_genotype(first, space, random.Random(5)), 4, 3, 10)


def test_a_cell_without_neighbors_stays():
    space = Space("one", ("a",), 1, 1, 1, kinds=("normal",))
    cell = random_genotype(space, random.Random(0))
    assert mutated_genotype(cell, space, random.Random(0)) == cell
    assert list(itertools.chain(*cell.cell("normal").nodes)) == [("a", 0)]
