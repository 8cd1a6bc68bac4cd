import networkx as nx
import pytest

from nas.graph.cell import check_cell, check_size, edges_by_node


def edges(*sources):
    return tuple(("op", source) for source in sources)


def check(flat, concat, inputs=2, edges_per_node=2):
    check_cell(edges_by_node(flat, inputs, edges_per_node, "normal cell"), concat, inputs, "normal cell")


def test_edges_are_grouped_by_node():
    nodes = edges_by_node(edges(0, 1, 0, 2), 2, 2, "cell")
    assert nodes == [(2, (("op", 0), ("op", 1))), (3, (("op", 0), ("op", 2)))]


def test_the_first_nodes_have_at_most_one_edge_per_earlier_node():
    assert [(node, len(own)) for node, own in edges_by_node(edges(0, 0, 1, 0, 1, 2), 1, 3, "cell")] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]


def test_valid_cells():
    check(edges(0, 1), [2])
    check(edges(0, 0), [2])  # parallel edges, an unused input
    check(edges(0, 1, 2, 2), [3])
    check(edges(0, 1, 0, 1), [2, 3])


@pytest.mark.parametrize(
    ("sources", "concat", "message"),
    [
        ((), [2], "no edges"),
        ((0, 1, 0), [2], "node 3 has 1 of its 2 edges"),
        ((0, 4, 0, 1), [2, 3], "node 2: source 4; allowed: 0..3"),
        ((0, -1), [2], "node 2: source -1; allowed: 0..2"),
        ((0, 2), [2], "cycle 2 → 2"),
        ((0, 1, 0, 4, 0, 3), [2, 3, 4], "cycle 3 → 4 → 3"),
        ((4, 0, 0, 2, 3, 1), [2, 3, 4], "cycle 2 → 3 → 4 → 2"),
        ((0, 3, 0, 1), [2, 3], "node 2 has the later node 3 as a source: number the nodes in topological order"),
        ((0, 1, 0, 1), [3], "no path from node 2 to the output"),
        ((0, 1, 2, 1, 0, 1), [4], "no path from node 2, 3 to the output"),
        ((0, 1), [], "concat is empty"),
        ((0, 1), [0, 2], "concat [0, 2]; allowed: intermediate nodes 2..2, ascending, each once"),
        ((0, 1), [3], "concat [3]; allowed: intermediate nodes"),
        ((0, 1), [2, 2], "concat [2, 2]"),
        ((0, 1, 0, 1), [3, 2], "concat [3, 2]"),
        ((0, 1) * 62, [2], "65 nodes with inputs and output; allowed: at most 64"),
    ],
)
def test_invalid_cells_are_refused(refused, sources, concat, message):
    refused(("normal cell", message), check, edges(*sources), concat)


@pytest.mark.parametrize("name", ["", "3x3", "a b", "a;b", "é", "none", "a" * 65, "a\n"])
def test_invalid_operator_names_are_refused(refused, name):
    refused("normal cell, node 2: operator ", check, ((name, 0), ("op", 1)), [2])


@pytest.mark.parametrize("value", [0, -1, 64, True, 2.0, "2", None])
def test_invalid_sizes_are_refused(refused, value):
    refused(f"inputs={value!r}: must be a whole number in 1..63", check_size, "inputs", value)


def test_cycles_are_found_exactly_if_networkx_finds_them(refused):
    """Check all graphs of three intermediate nodes with one edge each."""
    for sources in [(a, b, c) for a in range(4) for b in range(4) for c in range(4)]:
        graph = nx.DiGraph((source, target) for target, source in enumerate(sources, start=1))
        message = None if nx.is_directed_acyclic_graph(graph) else "cycle"
        if message is None and any(source >= target for target, source in enumerate(sources, start=1)):
            message = "topological order"
        if message:
            refused(message, check, edges(*sources), [1, 2, 3], 1, 1)
        else:
            check(edges(*sources), [1, 2, 3], 1, 1)
