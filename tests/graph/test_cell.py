import networkx as nx
import pytest

from nas.graph.cell import by_node, check_cell, check_size


def edges(*sources):
    return tuple(("op", source) for source in sources)


def check(flat, concat, inputs=2, edges_per_node=2):
    check_cell(by_node(flat, inputs, edges_per_node, "normal cell"), concat, inputs, "normal cell")


def test_edges_by_node():
    nodes = by_node(edges(0, 1, 0, 2), 2, 2, "cell")
    assert nodes == [(2, (("op", 0), ("op", 1))), (3, (("op", 0), ("op", 2)))]


def test_the_first_nodes_own_no_more_edges_than_there_are_nodes_before_them():
    assert [(node, len(own)) for node, own in by_node(edges(0, 0, 1, 0, 1, 2), 1, 3, "cell")] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]


def test_good_cells():
    check(edges(0, 1), [2])
    check(edges(0, 0), [2])  # parallel edges, an input that is not used
    check(edges(0, 1, 2, 2), [3])
    check(edges(0, 1, 0, 1), [2, 3])


@pytest.mark.parametrize(
    ("sources", "concat", "message"),
    [
        ((), [2], "no edges"),
        ((0, 1, 0), [2], "node 3 has 1 of its 2 edges"),
        ((0, 4, 0, 1), [2, 3], "node 2: source 4 does not exist (sources are 0 to 3)"),
        ((0, -1), [2], "node 2: source -1 does not exist"),
        ((0, 2), [2], "cycle 2 → 2"),
        ((0, 1, 0, 4, 0, 3), [2, 3, 4], "cycle 3 → 4 → 3"),
        ((4, 0, 0, 2, 3, 1), [2, 3, 4], "cycle 2 → 3 → 4 → 2"),
        ((0, 3, 0, 1), [2, 3], "node 2 takes from node 3, which comes later: number the nodes in topological order"),
        ((0, 1, 0, 1), [3], "no way leads from node 2 to the output"),
        ((0, 1, 2, 1, 0, 1), [4], "no way leads from node 2, 3 to the output"),
        ((0, 1), [], "concat is empty"),
        ((0, 1), [0, 2], "concat [0, 2]: intermediate nodes (2 to 2), ascending, each once are allowed"),
        ((0, 1), [3], "concat [3]: intermediate nodes"),
        ((0, 1), [2, 2], "concat [2, 2]"),
        ((0, 1, 0, 1), [3, 2], "concat [3, 2]"),
        ((0, 1) * 62, [2], "65 nodes with inputs and output, at most 64 are allowed"),
    ],
)
def test_bad_cells(refused, sources, concat, message):
    refused(("normal cell", message), check, edges(*sources), concat)


@pytest.mark.parametrize("name", ["", "3x3", "a b", "a;b", "é", "none", "a" * 65, "a\n"])
def test_operators_that_no_edge_can_have(refused, name):
    refused("normal cell, node 2: operator ", check, ((name, 0), ("op", 1)), [2])


@pytest.mark.parametrize("value", [0, -1, 64, True, 2.0, "2", None])
def test_sizes(refused, value):
    refused("inputs: ", check_size, "inputs", value)


def test_cycles_are_judged_as_networkx_judges_them(refused):
    """All graphs of three intermediate nodes with one edge each: refused for a cycle just when networkx finds one."""
    for sources in [(a, b, c) for a in range(4) for b in range(4) for c in range(4)]:
        graph = nx.DiGraph((source, target) for target, source in enumerate(sources, start=1))
        message = None if nx.is_directed_acyclic_graph(graph) else "cycle"
        if message is None and any(source >= target for target, source in enumerate(sources, start=1)):
            message = "topological order"
        if message:
            refused(message, check, edges(*sources), [1, 2, 3], 1, 1)
        else:
            check(edges(*sources), [1, 2, 3], 1, 1)
