"""Cells: edges by node, networkx graphs and validation.

Nodes are numbered: ``0 .. inputs-1`` are the outputs of the previous cells, followed by the intermediate nodes and by
the output, which concatenates some of them.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, TypeAlias

import networkx as nx

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import NAME

CELL_KINDS = ("normal", "reduce")  # of DARTS, the default
GENOTYPE_SIZES = ("inputs", "edges_per_node")
DEFAULT_SIZE = 2  # of both; omitted in files
ALL_EDGES = "all"  # as edges_per_node: a node keeps its edge from every earlier node
ANY_EDGES = "any"  # as a genotype's edges_per_node: each node lists as many as it has, also none
COMBINE_RULES = ("sum", "mean")  # of a node's edges
MAX_NODES = 64  # with inputs and output
MAX_OPERATOR_NAME = 64  # characters
_MAX_EDGES = 256  # of a node that lists as many as it has
_MAX_KINDS = 8
_RESERVED = ("name", "origin", "skeleton", "combine", "epoch", *GENOTYPE_SIZES)  # keys next to kinds in files

Edge: TypeAlias = tuple[str, int]  # operator, source
Node: TypeAlias = tuple[int, tuple[Edge, ...]]  # number, its edges
CellGraph: TypeAlias = "nx.MultiDiGraph[Any]"


class Cell(NamedTuple):
    """The edges (operator, source) of each intermediate node in order, and the nodes that the output concatenates."""

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]


def check_size(name: str, value: object, words: Collection[str] = ()) -> None:
    """Raise :class:`InputError` unless ``value``, called ``name``, is a size of a cell or one of ``words``."""
    if isinstance(value, str) and value in words:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < MAX_NODES:
        rule = " or ".join([f"a whole number in 1..{MAX_NODES - 1}", *words])
        raise InputError(f"{name}={format_value(value)}: must be {rule}")


def check_kinds(kinds: object, where: str) -> tuple[str, ...]:
    """Return ``kinds`` as a tuple; raise :class:`InputError` unless they are different names of kinds of cell."""
    if not isinstance(kinds, list | tuple) or not 1 <= len(kinds) <= _MAX_KINDS:
        raise InputError(f"{where}: kinds={format_value(kinds)}: expected 1 to {_MAX_KINDS} names of kinds of cell")
    for kind in kinds:
        valid = isinstance(kind, str) and NAME.fullmatch(kind) and len(kind) <= MAX_OPERATOR_NAME
        if not valid or kind in _RESERVED or kind.endswith("_concat"):
            rule = f"letters, digits and _, starting with a letter; not {', '.join(_RESERVED)} or …_concat"
            raise InputError(f"{where}: kind of cell {format_value(kind)}: invalid name; allowed: {rule}")
        if kinds.count(kind) > 1:
            raise InputError(f"{where}: kind of cell {format_value(kind)} is listed twice")
    return tuple(kinds)


def cell_title(kind: str) -> str:
    """Return the name of a kind of cell in titles and messages, such as "normal cell"."""
    return kind if kind.endswith("cell") else f"{kind} cell"


def check_choice(name: str, value: object, allowed: Collection[str]) -> None:
    """Raise :class:`InputError` unless ``value`` is one of ``allowed``; ``name`` is for the message."""
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name}={format_value(value)}: must be {' or '.join(allowed)}")


def count_edges(number: int, edges_per_node: int | str) -> int:
    """Return how many edges node ``number`` keeps; ``edges_per_node`` is a number or ``"all"``."""
    return number if isinstance(edges_per_node, str) else min(edges_per_node, number)


def edges_by_node(edges: Sequence[Edge], inputs: int, edges_per_node: int | str, where: str) -> list[Node]:
    """Group a flat edge list: node ``inputs + k`` owns the next ``min(edges_per_node, inputs + k)`` entries.

    With ``edges_per_node="all"``, it owns ``inputs + k``: one from every earlier node.
    """
    nodes: list[Node] = []
    start = 0
    while start < len(edges):
        number = inputs + len(nodes)
        stop = start + count_edges(number, edges_per_node)
        if stop > len(edges):
            raise InputError(f"{where}: node {number} has {len(edges) - start} of its {stop - start} edges")
        nodes.append((number, tuple(edges[start:stop])))
        start = stop
    if not nodes:
        raise InputError(f"{where}: no edges")
    _check_count(inputs + len(nodes) + 1, where)
    return nodes


def check_edge_counts(nodes: Sequence[Node], inputs: int, edges_per_node: int | str, where: str) -> None:
    """Raise :class:`InputError` unless every node has the edges that ``edges_per_node`` says."""
    if not nodes:
        raise InputError(f"{where}: no nodes")
    _check_count(inputs + len(nodes) + 1, where)
    for number, edges in nodes:
        sources = [source for _, source in edges]
        if edges_per_node == ANY_EDGES:
            if len(edges) > _MAX_EDGES:
                raise InputError(f"{where}: node {number} has {len(edges)} edges; allowed: at most {_MAX_EDGES}")
        elif len(edges) != count_edges(number, edges_per_node):
            own = count_edges(number, edges_per_node)
            raise InputError(f"{where}: node {number} has {len(edges)} edges; expected {own}")
        elif edges_per_node == ALL_EDGES and sorted(sources) != list(range(number)):
            rule = f"each of 0..{number - 1} once, since all edges are kept"
            raise InputError(f"{where}: node {number} has the sources {format_value(sources)}; expected {rule}")


def _check_count(nodes: int, where: str) -> None:
    if nodes > MAX_NODES:
        raise InputError(f"{where}: {nodes} nodes with inputs and output; allowed: at most {MAX_NODES}")


def build_cell_graph(nodes: Sequence[Node], concat: Sequence[int], inputs: int) -> CellGraph:
    """Build the graph of a cell; nodes have ``kind`` and ``label``, edges ``operator`` (empty to the output)."""
    graph = empty_cell_graph(inputs, len(nodes))
    for number, edges in nodes:
        for operator, source in edges:
            graph.add_edge(source, number, operator=operator)
    for source in concat:
        graph.add_edge(source, inputs + len(nodes), operator="")
    return graph


def empty_cell_graph(inputs: int, intermediate_nodes: int) -> CellGraph:
    """Build the nodes of a cell without edges, labeled with their numbers, and as in DARTS' figures."""
    graph: CellGraph = nx.MultiDiGraph()
    for number in range(inputs):
        graph.add_node(number, kind="input", label=f"{number}: c_{{k-{inputs - number}}}")
    for number in range(intermediate_nodes):
        graph.add_node(inputs + number, kind="intermediate", label=str(inputs + number))
    graph.add_node(inputs + intermediate_nodes, kind="output", label="c_{k}")
    return graph


def check_cell(
    nodes: Sequence[Node], concat: Sequence[int], inputs: int, where: str, *, none_allowed: bool = False
) -> None:
    """Raise :class:`InputError` unless the cell is a directed acyclic graph and every node has a path to the output.

    A node without edges need not be used.
    """
    last = inputs + len(nodes) - 1
    for number, edges in nodes:
        for operator, source in edges:
            if operator != "none" or not none_allowed:
                check_operator(operator, f"{where}, node {number}")
            if not 0 <= source <= last:
                raise InputError(f"{where}, node {number}: source {format_value(source)}; allowed: 0..{last}")
    _check_concat(concat, inputs, last, where)
    graph = build_cell_graph(nodes, concat, inputs)
    _check_order(graph, where)
    dead = {number for number, edges in nodes if edges} - nx.ancestors(graph, last + 1)
    if dead:
        numbers = ", ".join(map(str, sorted(dead)))
        raise InputError(f"{where}: no path from node {numbers} to the output: use it in a later node or in concat")


def check_operator(operator: str, where: str) -> None:
    """Raise :class:`InputError` if ``operator`` is a malformed name or ``none``."""
    if not NAME.fullmatch(operator) or len(operator) > MAX_OPERATOR_NAME:
        rule = f"letters, digits and _, starting with a letter, at most {MAX_OPERATOR_NAME} characters"
        raise InputError(f"{where}: operator {format_value(operator)}: invalid name; allowed: {rule}")
    if operator == "none":
        raise InputError(f"{where}: operator 'none' exists only in the search: omit such an edge")


def _check_concat(concat: Sequence[int], inputs: int, last: int, where: str) -> None:
    if not concat:
        raise InputError(f"{where}: concat is empty")
    if list(concat) != sorted(set(concat)) or concat[0] < inputs or concat[-1] > last:
        rule = f"intermediate nodes {inputs}..{last}, ascending, each once"
        raise InputError(f"{where}: concat {format_value(list(concat))}; allowed: {rule}")


def _check_order(graph: CellGraph, where: str) -> None:
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [source for source, *_ in nx.find_cycle(graph)]
        first = cycle.index(min(cycle))
        loop = [*cycle[first:], *cycle[:first], cycle[first]]
        raise InputError(f"{where}: cycle {' → '.join(map(str, loop))}")
    for source, target in sorted(graph.edges()):
        if source > target:
            later = f"node {target} has the later node {source} as a source"
            raise InputError(f"{where}: {later}: number the nodes in topological order")
