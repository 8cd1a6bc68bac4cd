"""Spaces and genotypes as notebooks show them.

Drawings belong to a package above this one (:mod:`nas.plots`): ``nas`` says how to make them when it is imported.
"""

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from nas.graph.operator_style import operator_style

if TYPE_CHECKING:
    from nas.graph.genotype import Genotype
    from nas.graph.space import Space

DrawSvg = Callable[["Genotype"], str]
_draw_svg: DrawSvg | None = None


def set_svg_drawing(draw: DrawSvg) -> None:
    """Make ``draw`` return the SVG that notebooks show for a genotype."""
    global _draw_svg
    _draw_svg = draw


def genotype_svg(genotype: "Genotype") -> str | None:
    """Return the drawing of all cells as an SVG; None if nothing draws it."""
    return None if _draw_svg is None else _draw_svg(genotype)


def space_html(space: "Space") -> str:
    """Return a table of the space's operators, in the colors of drawings, and of the sizes of its cells."""
    operators = ", ".join(map(_colored, space.operators))
    differ = ", not all of them on every edge" if space.edge_operators is not None else ""
    rows = {
        "operators": f"{len(space.operators)}{differ}: {operators}",
        "kinds of cell": escape(", ".join(space.kinds)),
        "edges of a cell": f"{len(space.edges)}, from {space.inputs} inputs and {space.intermediate_nodes} nodes",
        "kept in a genotype": f"{space.edges_per_node} edges of a node, operators on each: {space.operators_per_edge}",
        "output, skeleton": escape(f"{space.output}, {space.skeleton}"),
    }
    body = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items())
    return f"<table><caption>space {escape(space.name)}</caption>{body}</table>"


def _colored(operator: str) -> str:
    style = operator_style(operator)
    name = f"<b>{escape(operator)}</b>" if style.super_operator else escape(operator)
    return name if style.color is None else f'<span style="color:{style.color}">{name}</span>'
