"""Derivation of a genotype from the strengths of a search (DARTS, arXiv 1806.09055, section 2.4)."""

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import Edge
from nas.graph.genotype import Genotype
from nas.graph.provenance import Provenance
from nas.graph.space import Space

Strengths = Sequence[Sequence[float]]  # (edges, operators)


def derive_cell(strengths: Strengths, space: Space) -> tuple[Edge, ...]:
    """Return the flat edge list of the strongest edges and operators of one cell.

    ``strengths`` (edges, operators) = softmax(alpha), rows in the order of ``space.edges``, columns in that of
    ``space.operators``. Edges are ranked by their largest strength, ignoring ``none`` (which still takes its share of
    the softmax); each node keeps its ``edges_per_node`` best edges, best first, with that operator. Ties go to the
    lower source and to the lower column. Raises :class:`InputError` for another shape and for non-finite values.
    """
    _check_strengths(strengths, space)
    columns = [column for column, operator in enumerate(space.operators) if operator != "none"]
    rows = dict(zip(space.edges, strengths, strict=True))
    kept: list[Edge] = []
    for target in range(space.inputs, space.nodes - 1):
        best = {source: max(columns, key=rows[target, source].__getitem__) for source in range(target)}
        ranked = sorted(best, key=lambda source: -rows[target, source][best[source]])
        kept += [(space.operators[best[source]], source) for source in ranked[: space.edges_per_node]]
    return tuple(kept)


def derive(
    strengths: Mapping[str, Strengths], space: Space, *, name: str = "", origin: Provenance | None = None
) -> Genotype:
    """Return the genotype of the strengths of every kind of cell; the output concatenates all intermediate nodes.

    Raises :class:`InputError` unless ``strengths`` has the kinds of the space.
    """
    if set(strengths) != set(space.kinds):
        kinds = ", ".join(space.kinds)
        raise InputError(
            f"strengths of space {space.name}: expected the kinds {kinds}, got {format_value(sorted(strengths))}"
        )
    concat = tuple(range(space.inputs, space.nodes - 1))
    cells = {kind: derive_cell(strengths[kind], space) for kind in space.kinds}
    normal, reduce = cells.values()
    sizes = (space.inputs, space.edges_per_node)
    return Genotype(normal, concat, reduce, concat, *sizes, name, origin or Provenance(space=space.name))


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
