"""Genotype: the normal and the reduction cell of a network (DARTS, arXiv 1806.09055, section 2)."""

from dataclasses import dataclass, field

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import CELL_KINDS, DEFAULT_SIZE, GENOTYPE_SIZES, Edge, Node, check_cell, check_size, edges_by_node
from nas.graph.provenance import Provenance

_MAX_TITLE = 100


@dataclass(frozen=True)
class Genotype:
    """A normal and a reduction cell as flat edge lists, as in the published tuple notation.

    An edge is (operator, source). Sources ``0 .. inputs-1`` are the outputs of the previous cells (of two, 1 is
    the nearer one); intermediate node k has number ``inputs + k`` and owns the next ``min(edges_per_node, inputs + k)``
    edges. ``*_concat`` are the nodes whose concatenation is the cell's output. Lists are converted to tuples. ``name``
    and ``origin`` are ignored in comparisons.

    Raises :class:`InputError` for invalid cells: see :func:`nas.graph.cell.check_cell`.
    """

    normal: tuple[Edge, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[Edge, ...]
    reduce_concat: tuple[int, ...]
    inputs: int = DEFAULT_SIZE
    edges_per_node: int = DEFAULT_SIZE
    name: str = field(default="", compare=False)
    origin: Provenance = field(default_factory=Provenance, compare=False)

    def __post_init__(self) -> None:
        for size in GENOTYPE_SIZES:
            check_size(size, getattr(self, size))
        if not isinstance(self.name, str) or not self.name.isprintable() or len(self.name) > _MAX_TITLE:
            raise InputError(f"name={format_value(self.name)}: must be one line of at most {_MAX_TITLE} characters")
        if not isinstance(self.origin, Provenance):
            raise InputError(f"origin={format_value(self.origin)}: must be a Provenance")
        for cell in CELL_KINDS:
            where = f"{cell} cell"
            object.__setattr__(self, cell, _edges(getattr(self, cell), where))
            object.__setattr__(self, f"{cell}_concat", _concat(getattr(self, f"{cell}_concat"), where))
            check_cell(self.nodes(cell), self.concat(cell), self.inputs, where)

    def edges(self, cell: str) -> tuple[Edge, ...]:
        """Return all edges of the ``"normal"`` or ``"reduce"`` cell, by node."""
        if cell not in CELL_KINDS:
            raise InputError(f"cell={format_value(cell)}: unknown cell; allowed: {', '.join(CELL_KINDS)}")
        return self.normal if cell == "normal" else self.reduce

    def concat(self, cell: str) -> tuple[int, ...]:
        """Return the nodes whose concatenation is the output of the ``"normal"`` or ``"reduce"`` cell."""
        self.edges(cell)
        return self.normal_concat if cell == "normal" else self.reduce_concat

    def nodes(self, cell: str) -> list[Node]:
        """Return the intermediate nodes of a cell in order: (number, its edges)."""
        return edges_by_node(self.edges(cell), self.inputs, self.edges_per_node, f"{cell} cell")

    def operators(self) -> set[str]:
        """Return the names of the operators in the two cells."""
        return {operator for cell in CELL_KINDS for operator, _ in self.edges(cell)}


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
