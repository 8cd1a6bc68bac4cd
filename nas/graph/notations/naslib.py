"""Cells of NASLib (automl/NASLib): its compact form of DARTS' cells, and the operators' numbers of NAS-Bench-201.

Compact: ``(((0, 3), (1, 3), …), (…))``, of the normal and the reduction cell the (source, operator) of each edge, two
for each node. NAS-Bench-201: ``(2, 1, 0, 3, 2, 4)``, the operator on each of the six edges, ordered by source.
"""

import ast
import re
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.arch_string import KIND, SKELETON, format_arch_string
from nas.graph.cell import ALL_EDGES, CELL_KINDS, Edge
from nas.graph.edge_lists import make_genotype, read_edge_list
from nas.graph.genotype import Genotype
from nas.storage.atomic_files import MAX_TEXT_BYTES

_DARTS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
_NB201 = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_NB201_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))  # (source, node)
_NUMBERS = re.compile(r"[\s\d,()\[\]]+", re.ASCII)
_FORM = "six numbers of operators, or ((source, operator), …) of the normal and the reduction cell"


def is_naslib(text: str) -> bool:
    """Return whether a text consists of numbers in brackets."""
    return text.lstrip()[:1] in ("(", "[") and _NUMBERS.fullmatch(text) is not None


def parse_naslib(text: str, where: str = "NASLib") -> Genotype:
    """Parse a cell of NASLib; raise :class:`InputError`, starting with ``where``, for any other text."""
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(f"{where}: is longer than {MAX_TEXT_BYTES:,} characters")
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise InputError(f"{where}: cannot be parsed; expected {_FORM}") from None
    try:
        if isinstance(value, list | tuple) and len(value) == 6 and all(isinstance(number, int) for number in value):
            return _nb201(value)
        if isinstance(value, list | tuple) and len(value) == 2:
            cells = {kind: _compact(cell, kind) for kind, cell in zip(CELL_KINDS, value, strict=True)}
            return make_genotype({kind: (read_edge_list(edges, kind), None) for kind, edges in cells.items()}, where)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    raise InputError(f"{where}: {format_value(text.strip())}: expected {_FORM}")


def format_naslib(genotype: Genotype) -> str:
    """Return the genotype in NASLib's form; raise :class:`InputError` for one that it cannot hold."""
    if genotype.skeleton == SKELETON:
        format_arch_string(genotype)  # raises for other cells of that skeleton
        edges = {(source, node): name for node, own in genotype.nodes(genotype.kinds[0]) for name, source in own}
        if set(edges) == set(_NB201_EDGES) and set(edges.values()) <= set(_NB201):
            return repr(tuple(_NB201.index(edges[edge]) for edge in _NB201_EDGES))
        raise InputError(f"notation=naslib: holds cells of four nodes with the operators {', '.join(_NB201)}")
    shapes = [[len(own) for _, own in genotype.nodes(kind)] for kind in genotype.kinds]
    known = genotype.operators() <= set(_DARTS) and genotype.kinds == CELL_KINDS and genotype.inputs == 2
    outputs = all(genotype.concat(kind) == (2, 3, 4, 5) for kind in genotype.kinds) if known else False
    if not outputs or shapes != [[2] * 4] * 2:
        raise InputError(
            "notation=naslib: holds normal and reduce cells of four nodes with two edges each, all of them output, "
            f"and the operators {', '.join(_DARTS)}"
        )
    return repr(
        tuple(tuple((source, _DARTS.index(name)) for name, source in genotype.edges(kind)) for kind in CELL_KINDS)
    )


def _nb201(numbers: Any) -> Genotype:
    if not all(0 <= number < len(_NB201) for number in numbers):
        raise InputError(f"operators {format_value(numbers)}: numbers must lie in 0..{len(_NB201) - 1}")
    nodes: list[list[Edge]] = [[] for _ in range(3)]
    for (source, node), number in zip(_NB201_EDGES, numbers, strict=True):
        nodes[node - 1].append((_NB201[number], source))
    return Genotype(cells={KIND: (nodes, [len(nodes)])}, inputs=1, edges_per_node=ALL_EDGES, skeleton=SKELETON)


def _compact(cell: Any, kind: str) -> list[Edge]:
    pairs = cell if isinstance(cell, list | tuple) else [cell]
    edges = []
    for pair in pairs:
        match pair:
            case [int(source), int(number)] if 0 <= number < len(_DARTS):
                edges.append((_DARTS[number], source))
            case _:
                rule = f"(source, operator), the operator in 0..{len(_DARTS) - 1}"
                raise InputError(f"{kind} cell: edge {format_value(pair)}: expected {rule}")
    return edges
