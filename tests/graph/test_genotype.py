import copy
import dataclasses

import pytest

from nas.core.errors import InputError
from nas.graph.cell import Cell
from nas.graph.genotype import Genotype
from nas.graph.provenance import Provenance

EDGES = [("sep_conv_3x3", 0), ("skip_connect", 1)]


def make(**changes):
    fields = {"normal": EDGES, "normal_concat": [2], "reduce": EDGES, "reduce_concat": range(2, 3)} | changes
    return Genotype(**fields)


def test_lists_become_tuples():
    genotype = make(normal=[["sep_conv_3x3", 0], ("skip_connect", 1)])
    assert genotype.normal == genotype.reduce == (("sep_conv_3x3", 0), ("skip_connect", 1))
    assert genotype.normal_concat == genotype.reduce_concat == (2,)


def test_name_and_origin_are_ignored_in_comparisons():
    named = make(name="mine", origin=Provenance(seed=3))
    assert named == make()
    assert hash(named) == hash(make())
    assert named != make(normal=list(reversed(EDGES)))
    assert copy.deepcopy(named).origin == named.origin


def test_a_genotype_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().normal = ()


def test_nodes_and_operators():
    genotype = make(reduce=[*EDGES, ("max_pool_3x3", 2), ("skip_connect", 0)], reduce_concat=[2, 3])
    assert genotype.nodes("normal") == [(2, tuple(EDGES))]
    assert genotype.nodes("reduce")[1] == (3, (("max_pool_3x3", 2), ("skip_connect", 0)))
    assert genotype.operators() == {"sep_conv_3x3", "skip_connect", "max_pool_3x3"}
    assert genotype.concat("reduce") == (2, 3)


@pytest.mark.parametrize("method", ["nodes", "edges", "concat"])
def test_unknown_cells_are_refused(refused, method):
    refused("cell='reduction': unknown cell; allowed: normal, reduce", getattr(make(), method), "reduction")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normal": "ab"}, "normal cell: expected a list of (operator, source), got 'ab'"),
        ({"normal": [("a",), ("b", 1)]}, "normal cell: edge ('a',): expected (operator, source)"),
        ({"normal": [("a", True), ("b", 1)]}, "normal cell: edge ('a', True)"),
        ({"normal": [("a", 0.0), ("b", 1)]}, "normal cell: edge ('a', 0.0)"),
        ({"reduce": [(0, "a"), ("b", 1)]}, "reduce cell: edge (0, 'a')"),
        ({"reduce": [("none", 0), ("b", 1)]}, "reduce cell, node 2: operator 'none' exists only in the search"),
        ({"reduce": [("a", 0), ("b", 2)]}, "reduce cell: cycle 2 → 2"),
        ({"normal_concat": 2}, "normal cell: concat 2: expected a list of node numbers"),
        ({"normal_concat": ["2"]}, "normal cell: concat ['2']: expected a list of node numbers"),
        ({"reduce_concat": []}, "reduce cell: concat is empty"),
        ({"inputs": 0}, "inputs=0: must be a whole number in 1..63"),
        ({"edges_per_node": True}, "edges_per_node=True: must be a whole number"),
        ({"name": "a\nb"}, "name='a\\nb': must be one line"),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"origin": {"seed": 1}}, "must be a Provenance"),
    ],
)
def test_invalid_genotypes_are_refused(refused, changes, message):
    refused(message, make, **changes)


def test_errors_are_value_errors():
    with pytest.raises(ValueError, match="cycle"):
        make(normal=[("a", 0), ("b", 2)])
    assert issubclass(InputError, ValueError)


def one_kind(nodes, concat=(3,), **options):
    sizes = {"inputs": 1, "edges_per_node": "all", "skeleton": "nb201"} | options
    return Genotype(cells={"cell": (nodes, concat)}, **sizes)


ALL = [[("a", 0)], [("none", 0), ("b", 1)], [("a", 0), ("none", 1), ("a", 2)]]


def test_cells_of_another_kind():
    genotype = one_kind(ALL)
    assert genotype.kinds == ("cell",)
    assert genotype.cell("cell") == Cell(tuple(map(tuple, ALL)), (3,))
    assert genotype.nodes("cell")[1] == (2, (("none", 0), ("b", 1)))
    assert genotype.operators() == {"a", "b", "none"}
    assert genotype != one_kind(ALL, combine="mean")
    assert genotype == dataclasses.replace(genotype, name="other")


def test_the_four_arguments_of_two_kinds_are_the_cells():
    both = make(reduce=[*EDGES, ("max_pool_3x3", 2), ("skip_connect", 0)], reduce_concat=[2, 3])
    cells = {kind: both.cell(kind) for kind in ("normal", "reduce")}
    assert Genotype(cells=cells) == both
    changed = dataclasses.replace(both, normal=list(reversed(EDGES)))
    assert (changed.normal, changed.reduce) == (tuple(reversed(EDGES)), both.reduce)


def test_nodes_of_any_number_of_edges():
    nodes = [[], [("a", 0), ("b", 0), ("a", 2)]]
    genotype = make(edges_per_node="any", normal=nodes, normal_concat=[2, 3], reduce=nodes, reduce_concat=[3])
    assert [len(edges) for _, edges in genotype.nodes("normal")] == [0, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": [*ALL[:1], [("a", 0)]], "concat": [2]}, "cell: node 2 has 1 edges; expected 2"),
        ({"nodes": [[("a", 0)], [("a", 1), ("b", 1)]], "concat": [2]}, "sources [1, 1]; expected each of 0..1 once"),
        ({"nodes": ALL, "edges_per_node": "any"}, "operator 'none' exists only in the search"),
        (
            {"nodes": ALL, "edges_per_node": "some"},
            "edges_per_node='some': must be a whole number in 1..63 or all or any",
        ),
        ({"nodes": ALL, "combine": "max"}, "combine='max': must be sum or mean"),
        ({"nodes": ALL, "skeleton": "a b"}, "skeleton='a b': must be the name of a skeleton"),
        ({"nodes": [], "concat": []}, "cell: no nodes"),
        ({"nodes": [[("a", 0)] * 257], "edges_per_node": "any"}, "node 1 has 257 edges; allowed: at most 256"),
    ],
)
def test_invalid_cells_of_another_kind_are_refused(refused, changes, message):
    refused(message, one_kind, **changes)


def test_names_of_kinds_are_checked(refused):
    cell = (ALL, [3])
    for kind in ("inputs", "a_concat", "a b", 3):
        refused("invalid name", Genotype, cells={kind: cell}, inputs=1, edges_per_node="all")
    refused("listed twice", Genotype, cells=(("a", cell), ("a", cell)), inputs=1, edges_per_node="all")
    refused("expected normal, normal_concat, reduce and reduce_concat, or cells", Genotype, EDGES, [2])
