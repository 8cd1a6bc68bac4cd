"""One cell: its edges by node, its networkx graph, and what makes it valid.

Nodes are numbered: ``0 .. inputs-1`` are the outputs of the previous cells, then come the intermediate nodes, the
last is the output, which concatenates some of them. Networkx describes the cell; nothing here computes with tensors.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import networkx as nx

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import NAME

CELL_KINDS = ("normal", "reduce")
SIZES = ("inputs", "edges_per_node")  # of a genotype
DEFAULT_SIZE = 2  # of both; a file then leaves them out
MAX_NODES = 64  # with inputs and output
MAX_NAME = 64

Edge: TypeAlias = tuple[str, int]  # operator, source
Node: TypeAlias = tuple[int, tuple[Edge, ...]]  # number, its edges
CellGraph: TypeAlias = "nx.MultiDiGraph[Any]"


def check_size(name: str, value: object) -> None:
    """Raise :class:`InputError` unless ``value`` is a whole number that a cell can have as its ``name``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < MAX_NODES:
        raise InputError(f"{name}: {format_value(value)}: a whole number from 1 to {MAX_NODES - 1} is allowed")


def by_node(edges: Sequence[Edge], inputs: int, edges_per_node: int, where: str) -> list[Node]:
    """Divide a flat edge list: node ``inputs + k`` owns the next ``min(edges_per_node, inputs + k)`` entries."""
    nodes: list[Node] = []
    start = 0
    while start < len(edges):
        number = inputs + len(nodes)
        stop = start + min(edges_per_node, number)
        if stop > len(edges):
            raise InputError(f"{where}: node {number} has {len(edges) - start} of its {stop - start} edges")
        nodes.append((number, tuple(edges[start:stop])))
        start = stop
    if not nodes:
        raise InputError(f"{where}: no edges")
    if inputs + len(nodes) + 1 > MAX_NODES:
        got = f"{inputs + len(nodes) + 1} nodes with inputs and output"
        raise InputError(f"{where}: {got}, at most {MAX_NODES} are allowed")
    return nodes


def cell_graph(nodes: Sequence[Node], concat: Sequence[int], inputs: int) -> CellGraph:
    """The graph of a cell: nodes carry ``kind`` and ``label``, edges ``operator`` (empty on edges to the output)."""
    graph = empty_cell(inputs, len(nodes))
    for number, edges in nodes:
        for operator, source in edges:
            graph.add_edge(source, number, operator=operator)
    for source in concat:
        graph.add_edge(source, inputs + len(nodes), operator="")
    return graph


def empty_cell(inputs: int, intermediate_nodes: int) -> CellGraph:
    """The nodes of a cell without its edges, labelled as in the figures of DARTS (arXiv 1806.09055)."""
    graph: CellGraph = nx.MultiDiGraph()
    for number in range(inputs):
        graph.add_node(number, kind="input", label=f"c_{{k-{inputs - number}}}")
    for number in range(intermediate_nodes):
        graph.add_node(inputs + number, kind="intermediate", label=str(number))
    graph.add_node(inputs + intermediate_nodes, kind="output", label="c_{k}")
    return graph


def check_cell(nodes: Sequence[Node], concat: Sequence[int], inputs: int, where: str) -> None:
    """Raise :class:`InputError` unless the cell is a directed acyclic graph in which every node leads to the output."""
    last = inputs + len(nodes) - 1
    for number, edges in nodes:
        for operator, source in edges:
            check_operator(operator, f"{where}, node {number}")
            if not 0 <= source <= last:
                allowed = f"sources are 0 to {last}"
                raise InputError(f"{where}, node {number}: source {format_value(source)} does not exist ({allowed})")
    _check_concat(concat, inputs, last, where)
    graph = cell_graph(nodes, concat, inputs)
    _check_order(graph, where)
    dead = set(range(inputs, last + 1)) - nx.ancestors(graph, last + 1)
    if dead:
        numbers = ", ".join(map(str, sorted(dead)))
        raise InputError(f"{where}: no way leads from node {numbers} to the output: use it later or in concat")


def check_operator(operator: str, where: str) -> None:
    """Raise :class:`InputError` for what cannot be the operator of an edge: a malformed name, or ``none``."""
    if not NAME.fullmatch(operator) or len(operator) > MAX_NAME:
        rule = f"letters, digits and _, beginning with a letter, at most {MAX_NAME} characters"
        raise InputError(f"{where}: operator {format_value(operator)}: a name is {rule}")
    if operator == "none":
        raise InputError(f"{where}: operator 'none' belongs to the search; a genotype leaves such an edge out")


def _check_concat(concat: Sequence[int], inputs: int, last: int, where: str) -> None:
    if not concat:
        raise InputError(f"{where}: concat is empty")
    if list(concat) != sorted(set(concat)) or concat[0] < inputs or concat[-1] > last:
        rule = f"intermediate nodes ({inputs} to {last}), ascending, each once"
        raise InputError(f"{where}: concat {format_value(list(concat))}: {rule} are allowed")


def _check_order(graph: CellGraph, where: str) -> None:
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [source for source, *_ in nx.find_cycle(graph)]
        first = cycle.index(min(cycle))
        turn = [*cycle[first:], *cycle[:first], cycle[first]]
        raise InputError(f"{where}: cycle {' → '.join(map(str, turn))}")
    for source, target in sorted(graph.edges()):
        if source > target:
            later = f"node {target} takes from node {source}, which comes later"
            raise InputError(f"{where}: {later}: number the nodes in topological order")
