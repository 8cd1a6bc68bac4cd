"""Derivation of a genotype from the strengths of a search (DARTS, arXiv 1806.09055, section 2.4)."""

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import ALL_EDGES, ANY_EDGES, Cell, Edge, count_edges
from nas.graph.genotype import Genotype
from nas.graph.provenance import Provenance
from nas.graph.space import Space

Strengths = Sequence[Sequence[float]]  # (edges, operators)


def derive_cell(strengths: Strengths, space: Space, kind: str | None = None) -> tuple[Edge, ...]:
    """Return the flat edge list of the strongest edges and operators of one cell: see :func:`derive_nodes`."""
    return tuple(edge for edges in derive_nodes(strengths, space, kind) for edge in edges)


def derive_nodes(strengths: Strengths, space: Space, kind: str | None = None) -> tuple[tuple[Edge, ...], ...]:
    """Return the strongest edges and operators of each node of a cell of ``kind``, by default the space's first.

    ``strengths`` are (edges, operators), in DARTS softmax(alpha), rows in the order of ``space.edges``, columns in that
    of ``space.operators``. Edges are ranked by their largest strength, ignoring ``none`` (which still takes its share
    of the softmax); each node keeps its ``edges_per_node`` best edges, best first, each with its ``operators_per_edge``
    strongest operators. If all edges are kept, they come in the order of their sources, and with one operator each
    ``none`` counts as any other. Ties go to the lower source and to the lower column. Operators that the space does
    not have on an edge are never chosen. Raises :class:`InputError` for another shape and for non-finite values.
    """
    _check_strengths(strengths, space)
    kind = space.kinds[0] if kind is None else kind
    nodes: list[tuple[Edge, ...]] = []
    row = 0
    for target in range(space.inputs, space.nodes - 1):
        chosen = [_strongest(strengths[row + source], space, kind, row + source) for source in range(target)]
        sources = list(range(target))
        if space.edges_per_node != ALL_EDGES:
            sources.sort(key=lambda source: -strengths[row + source][chosen[source][0]])
            sources = sources[: count_edges(target, space.edges_per_node)]
        nodes.append(tuple((space.operators[column], source) for source in sources for column in chosen[source]))
        row += target
    return tuple(nodes)


def _strongest(strengths: Sequence[float], space: Space, kind: str, edge: int) -> list[int]:
    """Return the columns of the strongest operators on an edge, best first."""
    own = space.operators_on(kind, edge)
    columns = [
        column
        for column, operator in enumerate(space.operators)
        if operator in own and (operator != "none" or space.keeps_none)
    ]
    return sorted(columns, key=lambda column: -strengths[column])[: space.operators_per_edge]


def derive(
    strengths: Mapping[str, Strengths], space: Space, *, name: str = "", origin: Provenance | None = None
) -> Genotype:
    """Return the genotype of the strengths of every kind of cell of ``space``.

    Raises :class:`InputError` unless ``strengths`` has the kinds of the space.
    """
    if set(strengths) != set(space.kinds):
        kinds = ", ".join(space.kinds)
        raise InputError(
            f"strengths of space {space.name}: expected the kinds {kinds}, got {format_value(sorted(strengths))}"
        )
    return Genotype(
        cells={kind: Cell(derive_nodes(strengths[kind], space, kind), space.concat) for kind in space.kinds},
        inputs=space.inputs,
        edges_per_node=space.edges_per_node if space.operators_per_edge == 1 else ANY_EDGES,
        skeleton=space.skeleton,
        combine=space.combine,
        name=name,
        origin=origin or Provenance(space=space.name),
    )


def _check_strengths(strengths: Strengths, space: Space) -> None:
    rows, columns = len(space.edges), len(space.operators)
    widths = {len(row) if hasattr(row, "__len__") else 1 for row in strengths}
    if len(strengths) != rows or widths != {columns}:
        got = f"{len(strengths)} rows of {' or '.join(map(str, sorted(widths))) or 'no'} values"
        raise InputError(f"strengths of space {space.name}: expected {rows} rows of {columns} values, got {got}")
    for edge, row in zip(space.edges, strengths, strict=True):
        for operator, value in zip(space.operators, row, strict=True):
            if not isinstance(value, Real) or not isfinite(value):
                where = f"edge {edge[0]}←{edge[1]}, {operator}"
                raise InputError(
                    f"strengths of space {space.name}, {where}: {format_value(value)} is not a finite number"
                )
