"""Signs that the alphas of a search have collapsed, as DARTS' are known to (arXiv 1909.09656, 2009.01027)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from nas.graph.cell import Edge, cell_title
from nas.graph.space import Space


@dataclass(frozen=True)
class CollapseSigns:
    """Statistics of the strengths of one kind of cell.

    ``entropy``: the mean over the edges of the entropy of an edge's strengths, as a fraction of the largest possible:
    1 if all operators are equally strong, 0 if one has all the strength. ``none_nodes``: the nodes on all of whose
    edges ``none`` is stronger than any other operator. ``skips`` of the ``edges`` derived edges are ``skip_connect``.
    """

    entropy: float
    none_nodes: tuple[int, ...]
    skips: int
    edges: int


def collapse_signs(
    strengths: Sequence[Sequence[float]], space: Space, cell: Sequence[Edge], kind: str | None = None
) -> CollapseSigns:
    """Return the signs in ``strengths`` (edges, operators), ordered as ``space.edges``, for the derived ``cell``.

    ``kind`` is that of the cell, by default the space's first.
    """
    counts = [len(space.operators_on(kind or space.kinds[0], edge)) for edge in range(len(space.edges))]
    entropies = [
        -sum(p * log(p) for p in row if p > 0) / log(max(count, 2))
        for row, count in zip(strengths, counts, strict=True)
    ]
    rows: dict[int, list[Sequence[float]]] = {}
    for (target, _), row in zip(space.edges, strengths, strict=True):
        rows.setdefault(target, []).append(row)
    none_nodes: list[int] = []
    if "none" in space.operators:
        none = space.operators.index("none")
        none_nodes = [node for node, edges in rows.items() if all(_leads(row, none) for row in edges)]
    skips = sum(operator == "skip_connect" for operator, _ in cell)
    return CollapseSigns(sum(entropies) / len(entropies), tuple(none_nodes), skips, len(cell))


def describe_collapse(kind: str, found: CollapseSigns, space: Space) -> str:
    """Describe the collapse of a kind of cell; empty if there is none."""
    parts = []
    if len(found.none_nodes) == space.intermediate_nodes:
        parts.append("none is strongest on every edge")
    elif found.none_nodes:
        parts.append(f"none is strongest on every edge to node {', '.join(map(str, found.none_nodes))}")
    if 2 * found.skips >= found.edges:
        parts.append(f"skip_connect on {found.skips} of {found.edges} derived edges")
    return f"{cell_title(kind)}: {', '.join(parts)}, entropy {found.entropy:.2f}" if parts else ""


def _leads(row: Sequence[float], column: int) -> bool:
    return all(row[column] > value for k, value in enumerate(row) if k != column)
