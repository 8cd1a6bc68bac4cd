"""Genotype: the cells of a network, such as DARTS' normal and reduction cell (arXiv 1806.09055, section 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import NAME
from nas.graph.cell import (
    ALL_EDGES,
    ANY_EDGES,
    CELL_KINDS,
    COMBINE_RULES,
    DEFAULT_SIZE,
    Cell,
    Edge,
    Node,
    cell_title,
    check_cell,
    check_choice,
    check_edge_counts,
    check_kinds,
    check_size,
    edges_by_node,
)
from nas.graph.notebook import genotype_svg
from nas.graph.provenance import Provenance

DEFAULT_SKELETON = "darts"
GENOTYPE_OPTIONS = {
    "inputs": DEFAULT_SIZE,
    "edges_per_node": DEFAULT_SIZE,
    "skeleton": DEFAULT_SKELETON,
    "combine": "sum",
}
_MAX_TITLE = 100


@dataclass(frozen=True, init=False)
class Genotype:
    """The cells of a network by kind. DARTS has two, ``normal`` and ``reduce``, given as flat edge lists.

    An edge is (operator, source). Sources ``0 .. inputs-1`` are the outputs of the previous cells (of two, 1 is
    the nearer one); intermediate node k has number ``inputs + k`` and owns the next ``min(edges_per_node, inputs + k)``
    edges. ``*_concat`` are the nodes whose concatenation is the cell's output. Lists are converted to tuples. ``name``
    and ``origin`` are ignored in comparisons.

    Other kinds are given as ``cells``: the name of a kind to a :class:`nas.graph.cell.Cell` or its pair (edges of each
    node, concat). With ``edges_per_node="all"`` a node has one edge from every earlier node, whose operator may be
    ``none``; with ``"any"`` each node lists as many edges as it has, also none or several from one source, and flat
    edge lists are nested: one list for each node. ``combine`` says how a node combines its edges, ``"sum"`` or
    ``"mean"``; ``skeleton`` names the network that is built around the cells (:mod:`nas.models.skeletons`).

    Raises :class:`InputError` for invalid cells: see :func:`nas.graph.cell.check_cell`.
    """

    cells: tuple[tuple[str, Cell], ...]
    inputs: int
    edges_per_node: int | str
    skeleton: str
    combine: str
    name: str = field(compare=False)
    origin: Provenance = field(compare=False)

    def __init__(
        self,
        normal: Any = None,
        normal_concat: Any = None,
        reduce: Any = None,
        reduce_concat: Any = None,
        inputs: int = DEFAULT_SIZE,
        edges_per_node: int | str = DEFAULT_SIZE,
        name: str = "",
        origin: Provenance | None = None,
        *,
        cells: Any = None,
        skeleton: str = DEFAULT_SKELETON,
        combine: str = "sum",
    ) -> None:
        check_size("inputs", inputs)
        check_size("edges_per_node", edges_per_node, (ALL_EDGES, ANY_EDGES))
        check_choice("combine", combine, COMBINE_RULES)
        if not isinstance(skeleton, str) or not NAME.fullmatch(skeleton):
            raise InputError(f"skeleton={format_value(skeleton)}: must be the name of a skeleton, such as darts")
        if not isinstance(name, str) or not name.isprintable() or len(name) > _MAX_TITLE:
            raise InputError(f"name={format_value(name)}: must be one line of at most {_MAX_TITLE} characters")
        if not isinstance(origin, Provenance | None):
            raise InputError(f"origin={format_value(origin)}: must be a Provenance")
        sizes = {"inputs": inputs, "edges_per_node": edges_per_node, "skeleton": skeleton, "combine": combine}
        for key, value in (sizes | {"name": name, "origin": origin or Provenance()}).items():
            object.__setattr__(self, key, value)
        flat = dict(zip(CELL_KINDS, ((normal, normal_concat), (reduce, reduce_concat)), strict=True))
        object.__setattr__(self, "cells", tuple(self._read_cells(cells, flat).items()))

    def _read_cells(self, cells: Any, flat: Mapping[str, tuple[Any, Any]]) -> dict[str, Cell]:
        """Return the checked cells; flat edge lists, where given, replace those of ``cells``."""
        given = {} if cells is None else _as_mapping(cells)
        if cells is None and any(part is None for cell in flat.values() for part in cell):
            raise InputError("Genotype: expected normal, normal_concat, reduce and reduce_concat, or cells")
        changed = {kind for kind, cell in flat.items() if cell != (None, None)}
        found: dict[str, Cell] = {}
        for kind in check_kinds([*given, *(kind for kind in CELL_KINDS if kind in changed - set(given))], "Genotype"):
            where = cell_title(kind)
            nodes, concat = _pair(given[kind], where) if kind in given else (None, None)
            if kind in changed:
                edges, other = flat[kind]
                nodes = nodes if edges is None else nest_edges(edges, self.inputs, self.edges_per_node, where)
                concat = concat if other is None else other
            found[kind] = self._checked(nodes, concat, where)
        return found

    def _checked(self, nodes: object, concat: object, where: str) -> Cell:
        if not isinstance(nodes, list | tuple):
            raise InputError(f"{where}: expected a list of edges for each node, got {format_value(nodes)}")
        cell = Cell(tuple(_edges(edges, where) for edges in nodes), _concat(concat, where))
        numbered = _numbered(cell, self.inputs)
        check_edge_counts(numbered, self.inputs, self.edges_per_node, where)
        none_allowed = self.edges_per_node == ALL_EDGES
        check_cell(numbered, cell.concat, self.inputs, where, none_allowed=none_allowed)
        return cell

    def __repr__(self) -> str:
        """Return the genotype in tuple notation, which :func:`nas.load_genotype` reads, without name and origin."""
        parts = []
        for kind, cell in self.cells:
            edges = [list(own) for own in cell.nodes] if self.edges_per_node == ANY_EDGES else list(self.edges(kind))
            parts.append(f"{kind}={edges}, {kind}_concat={list(cell.concat)}")
        parts += [f"{name}={value!r}" for name, value in self.options().items()]
        return f"Genotype({', '.join(parts)})"

    def _repr_svg_(self) -> str | None:
        return genotype_svg(self)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of cell."""
        return tuple(kind for kind, _ in self.cells)

    @property
    def normal(self) -> tuple[Edge, ...]:
        """All edges of the normal cell, by node."""
        return self.edges("normal")

    @property
    def normal_concat(self) -> tuple[int, ...]:
        """The nodes whose concatenation is the output of the normal cell."""
        return self.concat("normal")

    @property
    def reduce(self) -> tuple[Edge, ...]:
        """All edges of the reduction cell, by node."""
        return self.edges("reduce")

    @property
    def reduce_concat(self) -> tuple[int, ...]:
        """The nodes whose concatenation is the output of the reduction cell."""
        return self.concat("reduce")

    def options(self) -> dict[str, Any]:
        """Return the sizes, skeleton and rule that differ from DARTS', by the names of the arguments."""
        values = {name: getattr(self, name) for name in GENOTYPE_OPTIONS}
        return {name: value for name, value in values.items() if value != GENOTYPE_OPTIONS[name]}

    def cell(self, kind: str) -> Cell:
        """Return the cell of a kind, such as ``"normal"``; raise :class:`InputError` for a kind it does not have."""
        for known, cell in self.cells:
            if known == kind:
                return cell
        raise InputError(f"cell={format_value(kind)}: unknown cell; allowed: {', '.join(self.kinds)}")

    def edges(self, kind: str) -> tuple[Edge, ...]:
        """Return all edges of a cell, by node."""
        return tuple(edge for edges in self.cell(kind).nodes for edge in edges)

    def concat(self, kind: str) -> tuple[int, ...]:
        """Return the nodes whose concatenation is the output of a cell."""
        return self.cell(kind).concat

    def nodes(self, kind: str) -> list[Node]:
        """Return the intermediate nodes of a cell in order: (number, its edges)."""
        return _numbered(self.cell(kind), self.inputs)

    def operators(self) -> set[str]:
        """Return the names of the operators in all cells."""
        return {operator for kind in self.kinds for operator, _ in self.edges(kind)}


def nest_edges(edges: object, inputs: int, edges_per_node: int | str, where: str) -> Any:
    """Return a flat edge list as one list for each node; with ``edges_per_node="any"`` it is nested already."""
    if edges_per_node == ANY_EDGES:
        return edges
    return [own for _, own in edges_by_node(_edges(edges, where), inputs, edges_per_node, where)]


def _as_mapping(cells: object) -> dict[Any, object]:
    if isinstance(cells, Mapping):
        return dict(cells)
    if not isinstance(cells, list | tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in cells):
        raise InputError(f"cells={format_value(cells)}: expected a mapping of kinds of cell to cells")
    check_kinds([kind for kind, _ in cells], "Genotype")
    return dict(cells)


def _pair(cell: object, where: str) -> tuple[Any, Any]:
    if not isinstance(cell, list | tuple) or len(cell) != 2:
        raise InputError(f"{where}: expected (edges of each node, concat), got {format_value(cell)}")
    return cell[0], cell[1]


def cell_lines(genotype: Genotype, kind: str) -> list[str]:
    """Return a line for each node of a cell: ``  2 = sep_conv_3x3(0) + skip_connect(1)``."""
    nodes = genotype.nodes(kind)
    return [
        f"  {node} = " + (" + ".join(f"{operator}({source})" for operator, source in edges) or "0")
        for node, edges in nodes
    ]


def _numbered(cell: Cell, inputs: int) -> list[Node]:
    return list(enumerate(cell.nodes, start=inputs))


def _edges(edges: object, where: str) -> tuple[Edge, ...]:
    if not isinstance(edges, list | tuple):
        raise InputError(f"{where}: expected a list of (operator, source), got {format_value(edges)}")
    return tuple(_edge(edge, where) for edge in edges)


def _edge(edge: object, where: str) -> Edge:
    match edge:
        case (str(operator), int(source)) if _is_int(source):
            return operator, source
    raise InputError(f"{where}: edge {format_value(edge)}: expected (operator, source), such as ('sep_conv_3x3', 0)")


def _concat(concat: object, where: str) -> tuple[int, ...]:
    if not isinstance(concat, list | tuple | range) or not all(map(_is_int, concat)):
        raise InputError(f"{where}: concat {format_value(concat)}: expected a list of node numbers")
    return tuple(concat)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
