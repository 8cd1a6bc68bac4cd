"""Cells of NAS-Bench-201 as strings (arXiv 2001.00326): ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…~0|…~1|…~2|``.

The nodes after the input are separated by ``+``; a node lists its edges as ``operator~source``, one from every earlier
node, of which 0 is the input.
"""

import re

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import ALL_EDGES, MAX_NODES, Edge
from nas.graph.genotype import Genotype
from nas.storage.atomic_files import MAX_TEXT_BYTES

KIND, SKELETON = "cell", "nb201"
_FORM = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…~0|…~1|…~2|"
_EDGE = re.compile(r"([A-Za-z][A-Za-z0-9_]*)~(\d{1,2})", re.ASCII)


def parse_arch_string(text: str, where: str = "architecture string") -> Genotype:
    """Parse a cell of NAS-Bench-201; raise :class:`InputError`, starting with ``where``, for any other text."""
    text = text.strip()
    if len(text) > MAX_TEXT_BYTES or text.count("+") >= MAX_NODES:
        raise InputError(f"{where}: is too long; expected {_FORM}")
    nodes: list[list[Edge]] = []
    for number, part in enumerate(text.split("+"), start=1):
        if len(part) < 2 or part[0] != "|" or part[-1] != "|":
            raise InputError(f"{where}: node {number} is {format_value(part)}; expected {_FORM}")
        matches = [(edge, _EDGE.fullmatch(edge)) for edge in part[1:-1].split("|")]
        for edge, match in matches:
            if match is None:
                raise InputError(f"{where}: edge {format_value(edge)} of node {number}: expected operator~source")
        edges = [(match[1], int(match[2])) for _, match in matches if match is not None]
        nodes.append(sorted(edges, key=lambda edge: edge[1]))
    try:
        cells = {KIND: (nodes, [len(nodes)])}
        return Genotype(cells=cells, inputs=1, edges_per_node=ALL_EDGES, skeleton=SKELETON)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def format_arch_string(genotype: Genotype) -> str:
    """Return the string of a cell of NAS-Bench-201; the inverse of :func:`parse_arch_string`.

    Raises :class:`InputError` for a genotype that has none.
    """
    shape = (len(genotype.kinds), genotype.inputs, genotype.edges_per_node, genotype.combine)
    (kind, cell), *_ = genotype.cells
    if shape != (1, 1, ALL_EDGES, "sum") or cell.concat != (len(cell.nodes),):
        rule = "one kind of cell with one input, all edges kept, and the last node as output"
        raise InputError(f"genotype {genotype.name}: no architecture string; expected {rule}")
    nodes = [sorted(edges, key=lambda edge: edge[1]) for _, edges in genotype.nodes(kind)]
    return "+".join("|" + "".join(f"{operator}~{source}|" for operator, source in edges) for edges in nodes)
