"""Edges as published code lists them: flat, by node, with strengths, or with the number of the node."""

from collections.abc import Mapping, Sequence
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_plural, format_value
from nas.core.terminal import print_warning
from nas.graph.cell import ANY_EDGES, DEFAULT_SIZE, MAX_NODES, Edge, cell_title, count_edges, edges_by_node
from nas.graph.genotype import Genotype

Nodes = list[list[Edge]]


def read_edge_list(edges: object, where: str, inputs: int = DEFAULT_SIZE) -> Nodes:
    """Return the edges (operator, source) of each intermediate node.

    ``edges`` are (operator, source), two for each node; or (operator, source, strength), whose strength is left out; or
    (operator, node, source), any number for each node (FairDARTS' released code); or a list of the first two forms for
    each node (khanrc/pt.darts). Edges with the operator ``none`` add zeros: they are left out. Raises
    :class:`InputError` for anything else.
    """
    if not isinstance(edges, list | tuple):
        raise InputError(f"{where}: expected a list of (operator, source), got {format_value(edges)}")
    if edges and all(isinstance(own, list | tuple) and (not own or isinstance(own[0], list | tuple)) for own in edges):
        nodes = [[_edge(edge, where) for edge in own] for own in edges]
    elif edges and all(_names_its_node(edge) for edge in edges):
        nodes = _by_named_node(edges, where, inputs)
    else:
        flat = [_edge(edge, where) for edge in edges]
        nodes = [list(own) for _, own in edges_by_node(flat, inputs, DEFAULT_SIZE, where)]
    return [[edge for edge in own if edge[0] != "none"] for own in nodes]


def make_genotype(
    cells: Mapping[str, tuple[Nodes, Sequence[int] | None]],
    where: str,
    inputs: int = DEFAULT_SIZE,
    name: str = "",
    **options: Any,
) -> Genotype:
    """Return a genotype of (edges of each node, concat) by kind of cell; without a concat, all nodes are the output.

    A node without inputs has nothing to add: it is left out of the output, and so are its own edges, with one line.
    """
    found = {kind: _without_empty_nodes(*cell, kind, where, inputs) for kind, cell in cells.items()}
    twice = all(
        len(own) == count_edges(number, DEFAULT_SIZE)
        for nodes, _ in found.values()
        for number, own in enumerate(nodes, start=inputs)
    )
    edges_per_node: int | str = DEFAULT_SIZE if twice else ANY_EDGES
    return Genotype(cells=found, inputs=inputs, edges_per_node=edges_per_node, name=name, **options)


def _without_empty_nodes(
    nodes: Nodes, concat: Sequence[int] | None, kind: str, where: str, inputs: int
) -> tuple[Nodes, list[int]]:
    output = list(range(inputs, inputs + len(nodes))) if concat is None else list(concat)
    kept, empty = [list(own) for own in nodes], set[int]()
    for number, own in enumerate(kept, start=inputs):  # in order: an empty node may leave later ones empty
        own[:] = [edge for edge in own if edge[1] not in empty]
        if not own:
            empty.add(number)
    used = sorted(empty & set(output))
    if used:
        numbers = ", ".join(map(str, used))
        print_warning(
            f"{where}: {format_plural(len(used), 'node')} of the {cell_title(kind)} without inputs ({numbers}): "
            "left out of the output"
        )
    return kept, [number for number in output if number not in empty]


def _names_its_node(edge: object) -> bool:
    return isinstance(edge, list | tuple) and len(edge) == 3 and all(isinstance(number, int) for number in edge[1:])


def _by_named_node(edges: Sequence[Any], where: str, inputs: int) -> Nodes:
    highest = max(node for _, node, _ in edges)
    if min(node for _, node, _ in edges) < inputs or highest >= MAX_NODES:
        raise InputError(f"{where}: edges (operator, node, source): nodes must lie in {inputs}..{MAX_NODES - 1}")
    return [
        [_edge((operator, source), where) for operator, own, source in edges if own == node]
        for node in range(inputs, highest + 1)
    ]


def _edge(edge: object, where: str) -> Edge:
    match edge:
        case [str(operator), int(source)] | [str(operator), int(source), float()]:
            return operator, source
    raise InputError(
        f"{where}: edge {format_value(edge)}: expected (operator, source), such as ('sep_conv_3x3', 0), also with a "
        "strength, or (operator, node, source)"
    )
