"""Signs of collapsed alphas."""

import pytest

from nas.graph.space import Space
from nas.search.collapse import CollapseSigns, collapse_signs, describe_collapse

SPACE = Space("s", ("none", "skip_connect", "conv_3x3"), inputs=2, intermediate_nodes=2, edges_per_node=2)
NONE, SKIP, CONV, EVEN = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8), (1 / 3, 1 / 3, 1 / 3)
CELL = (("conv_3x3", 0), ("conv_3x3", 1), ("conv_3x3", 0), ("conv_3x3", 2))


def skips(number: int) -> tuple[tuple[str, int], ...]:
    return tuple(("skip_connect" if k < number else operator, source) for k, (operator, source) in enumerate(CELL))


def test_healthy_ones_are_not_worth_a_line():
    found = collapse_signs([CONV] * 5, SPACE, CELL)
    assert (found.none_nodes, found.skips, found.edges) == ((), 0, 4)
    assert describe_collapse("normal", found, SPACE) == ""


@pytest.mark.parametrize(("row", "entropy"), [(EVEN, 1), ((0, 0, 1), 0), ((0.5, 0.5, 0), 0.6309297535714574)])
def test_entropy(row, entropy):
    assert collapse_signs([row] * 5, SPACE, CELL).entropy == pytest.approx(entropy)


@pytest.mark.parametrize(
    ("strengths", "nodes", "text"),
    [
        ([NONE, NONE, CONV, CONV, CONV], (2,), "none is strongest on every edge to node 2"),
        ([CONV, NONE, NONE, NONE, NONE], (3,), "none is strongest on every edge to node 3"),
        ([NONE] * 5, (2, 3), "none is strongest on every edge"),
        ([NONE, EVEN, NONE, NONE, EVEN], (), ""),
    ],
)
def test_none_everywhere(strengths, nodes, text):
    found = collapse_signs(strengths, SPACE, CELL)
    assert found.none_nodes == nodes
    assert describe_collapse("normal", found, SPACE) == (
        f"normal cell: {text}, entropy {found.entropy:.2f}" if text else ""
    )


@pytest.mark.parametrize(("number", "told"), [(1, False), (2, True), (4, True)])
def test_skip_connect_on_half_of_the_edges(number, told):
    found = collapse_signs([SKIP] * 5, SPACE, skips(number))
    assert found.skips == number
    assert (f"skip_connect on {number} of 4 derived edges" in describe_collapse("reduce", found, SPACE)) == told


def test_a_space_without_none():
    space = Space("s", ("skip_connect", "conv_3x3"), inputs=2, intermediate_nodes=1, edges_per_node=2)
    assert collapse_signs([(0.5, 0.5)] * 2, space, CELL[:2]) == CollapseSigns(pytest.approx(1), (), 0, 2)
