"""Derivation: edges ranked by their largest strength other than none's, ties to the lower source and column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.graph.derive import derive, derive_cell, derive_nodes
from nas.graph.provenance import Provenance
from nas.graph.space import Space
from nas.graph.space_file import read_space

THREE = Space("three", ("none", "a", "b"), intermediate_nodes=2)  # edges 2←0, 2←1, 3←0, 3←1, 3←2


def test_an_example_by_hand():
    strengths = [
        [0.2, 0.3, 0.5],  # 2←0: b, 0.5
        [0.0, 0.6, 0.4],  # 2←1: a, 0.6: the stronger edge comes first
        [0.1, 0.5, 0.4],  # 3←0: a, 0.5
        [0.8, 0.1, 0.1],  # 3←1: none takes nearly everything: last
        [0.1, 0.2, 0.7],  # 3←2: b, 0.7
    ]
    assert derive_cell(strengths, THREE) == (("a", 1), ("b", 0), ("b", 2), ("a", 0))


def test_ties_go_to_the_lower_source_and_the_lower_column():
    assert derive_cell([[1 / 3] * 3] * 5, THREE) == (("a", 0), ("a", 1), ("a", 0), ("a", 1))
    tied = [[0.0, 0.5, 0.5], [0.0, 0.5, 0.5], [0.4, 0.3, 0.3], [0.0, 0.5, 0.5], [0.0, 0.5, 0.5]]
    assert derive_cell(tied, THREE) == (("a", 0), ("a", 1), ("a", 1), ("a", 2))


def test_none_weakens_an_edge_but_is_never_chosen():
    strengths = [[0.98, 0.01, 0.01]] * 2 + [[0.6, 0.4, 0.0], [0.9, 0.0, 0.1], [0.0, 0.45, 0.55]]
    assert derive_cell(strengths, THREE) == (("a", 0), ("a", 1), ("b", 2), ("a", 0))


def test_none_is_identified_by_name():
    space = Space("last", ("a", "b", "none"), intermediate_nodes=1)
    assert derive_cell([[0.1, 0.2, 0.7], [0.3, 0.2, 0.5]], space) == (("a", 1), ("b", 0))


def test_a_space_without_none_and_of_another_size():
    space = Space("single", ("a",), inputs=3, intermediate_nodes=1, edges_per_node=1)
    assert derive_cell([[0.5], [0.75], [0.75]], space) == (("a", 1),)


def oracle(strengths, space):
    """Derive by a greedy search over all candidates: for each node, repeatedly take the best remaining one."""
    result = []
    for target in range(space.inputs, space.inputs + space.intermediate_nodes):
        candidates = []
        for (edge_target, source), row in zip(space.edges, strengths, strict=True):
            if edge_target == target:
                candidates += [(-s, source, k) for k, s in enumerate(row) if space.operators[k] != "none"]
        chosen = []
        for _, source, column in sorted(candidates):
            if source not in {other for _, other in chosen} and len(chosen) < space.edges_per_node:
                chosen.append((space.operators[column], source))
        result += chosen
    return tuple(result)


@st.composite
def problems(draw):
    inputs = draw(st.integers(1, 3))
    names = draw(st.permutations(["none", "a", "b", "c"]))[: draw(st.integers(2, 4))]
    space = Space("random", tuple(names), inputs, draw(st.integers(1, 4)), draw(st.integers(1, inputs)))
    values = st.sampled_from([0.0, 0.1, 0.2, 0.3]) | st.floats(0, 1)
    row = st.lists(values, min_size=len(names), max_size=len(names))
    return draw(st.lists(row, min_size=len(space.edges), max_size=len(space.edges))), space


@settings(max_examples=300, deadline=None)
@given(problems())
def test_random_strengths_against_the_oracle(problem):
    strengths, space = problem
    assert derive_cell(strengths, space) == oracle(strengths, space)


def test_derive_returns_a_genotype():
    space = read_space("darts+sandglass")
    normal = np.random.default_rng(0).dirichlet(np.ones(9), 14)
    strengths = {"normal": normal.tolist(), "reduce": normal[::-1].tolist()}
    genotype = derive(strengths, space, name="found", origin=Provenance(seed=0))
    assert genotype.normal == derive_cell(normal, space)
    assert genotype.reduce == derive_cell(normal[::-1], space)
    assert genotype.normal_concat == genotype.reduce_concat == (2, 3, 4, 5)
    assert (genotype.name, genotype.origin.seed) == ("found", 0)
    assert derive({"normal": normal, "reduce": normal}, space).origin == Provenance(space="darts+sandglass")


def test_the_genotype_has_the_sizes_of_the_space():
    space = Space("three inputs", ("a", "b"), inputs=3, intermediate_nodes=2, edges_per_node=3)
    genotype = derive(dict.fromkeys(space.kinds, [[0.5, 0.5]] * 7), space)
    assert (genotype.inputs, genotype.edges_per_node) == (3, 3)
    assert [len(edges) for _, edges in genotype.nodes("normal")] == [3, 3]


def test_all_edges_are_kept_with_none_as_any_other_operator():
    space = Space("all", ("none", "a", "b"), inputs=1, intermediate_nodes=2, edges_per_node="all", kinds=("cell",))
    genotype = derive({"cell": [[0.1, 0.5, 0.4], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]}, space)
    assert genotype.nodes("cell") == [(1, (("a", 0),)), (2, (("none", 0), ("b", 1)))]
    assert genotype.edges_per_node == "all"


def test_an_edge_keeps_several_operators():
    space = Space(
        "two", ("none", "a", "b", "c"), inputs=2, intermediate_nodes=1, edges_per_node=1, operators_per_edge=2
    )
    strengths = [[0.7, 0.1, 0.2, 0.0], [0.1, 0.5, 0.0, 0.4]]
    assert derive_nodes(strengths, space) == ((("a", 1), ("c", 1)),)
    assert derive(dict.fromkeys(space.kinds, strengths), space).edges_per_node == "any"


def test_operators_that_an_edge_does_not_have_are_never_chosen():
    lists = {"normal": [["a"], ["b"]], "reduce": [["b"], ["a"]]}
    space = Space("own", ("a", "b"), intermediate_nodes=1, edge_operators=lists)
    genotype = derive({kind: [[0.9, 0.1], [0.8, 0.2]] for kind in space.kinds}, space)
    assert (genotype.normal, genotype.reduce) == ((("a", 0), ("b", 1)), (("a", 1), ("b", 0)))


def test_the_output_is_that_of_the_space():
    space = Space("last", ("a",), inputs=1, intermediate_nodes=2, edges_per_node="all", output="last", combine="mean")
    genotype = derive(dict.fromkeys(space.kinds, [[1.0]] * 3), space)
    assert (genotype.normal_concat, genotype.combine) == ((2,), "mean")


def test_derive_needs_the_strengths_of_every_kind(refused):
    refused("expected the kinds normal, reduce, got ['normal']", derive, {"normal": [[1.0] * 3] * 5}, THREE)


@pytest.mark.parametrize(
    ("strengths", "message"),
    [
        ([], "expected 5 rows of 3 values, got 0 rows of no values"),
        ([[0.1, 0.2, 0.7]] * 4, "got 4 rows of 3 values"),
        ([[0.1, 0.2]] * 5, "got 5 rows of 2 values"),
        ([[0.1, 0.2, 0.7]] * 4 + [[1.0]], "got 5 rows of 1 or 3 values"),
        ([0.1] * 5, "got 5 rows of 1 values"),
        ([[0.1, 0.2, 0.7]] * 4 + [[0.1, float("nan"), 0.7]], "edge 3←2, a: nan is not a finite number"),
        ([[0.1, 0.2, float("inf")]] + [[0.1, 0.2, 0.7]] * 4, "edge 2←0, b: inf is not a finite number"),
        ([["x", 0.2, 0.7]] * 5, "edge 2←0, none: 'x' is not a finite number"),
    ],
)
def test_invalid_strengths_are_refused(refused, strengths, message):
    refused(("strengths of space three", message), derive_cell, strengths, THREE)
