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


def test_name_and_origin_do_not_count_in_equality():
    named = make(name="mine", origin=Provenance(seed=3))
    assert named == make()
    assert hash(named) == hash(make())
    assert named != make(normal=list(reversed(EDGES)))
    assert copy.deepcopy(named).origin == named.origin


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().normal = ()


def test_nodes_and_operators():
    genotype = make(reduce=[*EDGES, ("max_pool_3x3", 2), ("skip_connect", 0)], reduce_concat=[2, 3])
    assert genotype.nodes("normal") == [(2, tuple(EDGES))]
    assert genotype.nodes("reduce")[1] == (3, (("max_pool_3x3", 2), ("skip_connect", 0)))
    assert genotype.operators() == {"sep_conv_3x3", "skip_connect", "max_pool_3x3"}
    assert genotype.concat("reduce") == (2, 3)


@pytest.mark.parametrize("method", ["nodes", "edges", "concat"])
def test_there_are_two_cells(refused, method):
    refused("cell 'reduction': normal or reduce is allowed", getattr(make(), method), "reduction")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normal": "ab"}, "normal cell: a list of (operator, source) is expected, got 'ab'"),
        ({"normal": [("a",), ("b", 1)]}, "normal cell: edge ('a',): (operator, source) is expected"),
        ({"normal": [("a", True), ("b", 1)]}, "normal cell: edge ('a', True)"),
        ({"normal": [("a", 0.0), ("b", 1)]}, "normal cell: edge ('a', 0.0)"),
        ({"reduce": [(0, "a"), ("b", 1)]}, "reduce cell: edge (0, 'a')"),
        ({"reduce": [("none", 0), ("b", 1)]}, "reduce cell, node 2: operator 'none' belongs to the search"),
        ({"reduce": [("a", 0), ("b", 2)]}, "reduce cell: cycle 2 → 2"),
        ({"normal_concat": 2}, "normal cell: concat 2: a list of node numbers is expected"),
        ({"normal_concat": ["2"]}, "normal cell: concat ['2']: a list of node numbers is expected"),
        ({"reduce_concat": []}, "reduce cell: concat is empty"),
        ({"inputs": 0}, "inputs: 0: a whole number from 1 to 63 is allowed"),
        ({"edges_per_node": True}, "edges_per_node: True: a whole number"),
        ({"name": "a\nb"}, "name: 'a\\nb': one line"),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"origin": {"seed": 1}}, "an Origin is expected"),
    ],
)
def test_what_is_refused(refused, changes, message):
    refused(message, make, **changes)


def test_the_error_is_a_value_error():
    with pytest.raises(ValueError, match="cycle"):
        make(normal=[("a", 0), ("b", 2)])
    assert issubclass(InputError, ValueError)
