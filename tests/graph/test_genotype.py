import copy
import dataclasses

import pytest

from nas.core.errors import InputError
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
