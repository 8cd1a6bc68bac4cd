"""Genotype: the two cells that a search found or a paper published (DARTS, arXiv 1806.09055, section 2)."""

from dataclasses import dataclass, field

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import CELL_KINDS, DEFAULT_SIZE, SIZES, Edge, Node, by_node, check_cell, check_size
from nas.graph.provenance import Provenance

MAX_TITLE = 100


@dataclass(frozen=True)
class Genotype:
    """A normal and a reduction cell as flat edge lists, in the form of the published tuple notation.

    An edge is (operator, source). Sources ``0 .. inputs-1`` are the outputs of the previous cells (with two of them,
    1 is the nearer one), then come the intermediate nodes; intermediate node k has number ``inputs + k`` and owns the
    next ``min(edges_per_node, inputs + k)`` edges. ``*_concat`` are the nodes whose concatenation is the cell's
    output. Lists are taken as tuples. ``name`` and ``origin`` do not take part in equality.

    Raises :class:`InputError` for cells that cannot be built: see :func:`nas.graph.cell.check_cell`.
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
        for size in SIZES:
            check_size(size, getattr(self, size))
        if not isinstance(self.name, str) or not self.name.isprintable() or len(self.name) > MAX_TITLE:
            raise InputError(f"name: {format_value(self.name)}: one line of at most {MAX_TITLE} characters is allowed")
        if not isinstance(self.origin, Provenance):
            raise InputError(f"origin: {format_value(self.origin)}: an Origin is expected")
        for cell in CELL_KINDS:
            where = f"{cell} cell"
            object.__setattr__(self, cell, _edges(getattr(self, cell), where))
            object.__setattr__(self, f"{cell}_concat", _concat(getattr(self, f"{cell}_concat"), where))
            check_cell(self.nodes(cell), self.concat(cell), self.inputs, where)

    def edges(self, cell: str) -> tuple[Edge, ...]:
        """All edges of the ``"normal"`` or ``"reduce"`` cell, by node."""
        if cell not in CELL_KINDS:
            raise InputError(f"cell {format_value(cell)}: {' or '.join(CELL_KINDS)} is allowed")
        return self.normal if cell == "normal" else self.reduce

    def concat(self, cell: str) -> tuple[int, ...]:
        """The nodes whose concatenation is the output of the ``"normal"`` or ``"reduce"`` cell."""
        self.edges(cell)
        return self.normal_concat if cell == "normal" else self.reduce_concat

    def nodes(self, cell: str) -> list[Node]:
        """The intermediate nodes of a cell in order: (number, its edges)."""
        return by_node(self.edges(cell), self.inputs, self.edges_per_node, f"{cell} cell")

    def operators(self) -> set[str]:
        """The names of the operators that the two cells use."""
        return {operator for cell in CELL_KINDS for operator, _ in self.edges(cell)}


def _edges(edges: object, where: str) -> tuple[Edge, ...]:
    if not isinstance(edges, list | tuple):
        raise InputError(f"{where}: a list of (operator, source) is expected, got {format_value(edges)}")
    return tuple(_edge(edge, where) for edge in edges)


def _edge(edge: object, where: str) -> Edge:
    match edge:
        case (str(operator), int(source)) if _is_int(source):
            return operator, source
    raise InputError(f"{where}: edge {format_value(edge)}: (operator, source) is expected, such as ('sep_conv_3x3', 0)")


def _concat(concat: object, where: str) -> tuple[int, ...]:
    if not isinstance(concat, list | tuple | range) or not all(map(_is_int, concat)):
        raise InputError(f"{where}: concat {format_value(concat)}: a list of node numbers is expected")
    return tuple(concat)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
