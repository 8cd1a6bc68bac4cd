"""Cells drawn with matplotlib alone, for machines without Graphviz: the nodes in a row, an arc for every edge.

The height of an arc is its span, so names do not meet: those of one place belong to arcs of different spans (or to
parallel edges, of which the published cells have two at most).
"""

import io
import math
from collections import Counter
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Curve

from nas.graph.cell import CellGraph
from nas.plots.colors import FAINT, INK, NODES, operator_color

# All lengths are inches.
STEP = 1.6  # between two nodes
LEVEL = 0.5  # between the arcs of two spans; half of it between parallel ones
DEPTH = 0.2  # the same below the nodes, where the edges to the output run
MARGIN = 0.7
TITLE = 0.35  # above the highest arc
RADIUS = 0.22
RESOLUTION = 144  # dots per inch of a PNG
MAX_PIXELS = 8000  # of a side
UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}

Point = tuple[float, float]
Arc = tuple[int, int, str, float]  # source, target, operator, height


def render_matplotlib(pictures: Sequence[tuple[str, CellGraph]], ending: str) -> bytes:
    """The picture in the format ``ending``: the cells, each (title, graph), below each other, each from left to right.

    The same input gives the same bytes; the global state of pyplot is left alone.
    """
    width = 2 * MARGIN + STEP * (max(len(cell) for _, cell in pictures) - 1)
    tops = [max(height for *_, height in _arcs(cell)) + TITLE for _, cell in pictures]
    bottoms = [min(height for *_, height in _arcs(cell)) for _, cell in pictures]
    total = sum(tops) - sum(bottoms) + MARGIN * len(pictures)
    figure = Figure(figsize=(width, total))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, total))
    axes.set_axis_off()
    y = total + MARGIN / 2
    for (title, cell), top, bottom in zip(pictures, tops, bottoms, strict=True):
        y -= MARGIN + top
        _draw_cell(axes, cell, y)
        axes.text(width / 2, y + top, title, ha="center", color=INK, fontsize=13, parse_math=False)
        y += bottom
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "cell", "svg.fonttype": "none"}):
        resolution = min(RESOLUTION, MAX_PIXELS / max(width, total))
        figure.savefig(buffer, format=ending, dpi=resolution, metadata=UNDATED[ending])
    return buffer.getvalue()


def _arcs(cell: CellGraph) -> list[Arc]:
    """The edges with their heights: above the nodes with an operator, below them to the output."""
    arcs: list[Arc] = []
    parallel: Counter[tuple[int, int]] = Counter()
    operator: str
    height: float
    for source, target, operator in cell.edges(data="operator"):
        height = LEVEL * (target - source + parallel[source, target] / 2) if operator else DEPTH * (source - target - 1)
        parallel[source, target] += 1
        arcs.append((source, target, operator, height))
    return arcs


def _draw_cell(axes: Axes, cell: CellGraph, y: float) -> None:
    """Draw one cell with its nodes at height ``y``."""
    for source, target, operator, height in _arcs(cell):
        color = operator_color(operator) if operator else FAINT
        left, right = MARGIN + STEP * source, MARGIN + STEP * target
        _draw_arc(axes, (left, y), (right, y), height, color)
        if operator:
            box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": color, "linewidth": 0.8}
            text = axes.text((left + right) / 2, y + height, operator, color=color, bbox=box, parse_math=False)
            text.set(ha="center", va="center", fontsize=8.5, zorder=3)
    for number, node in cell.nodes(data=True):
        _draw_node(axes, MARGIN + STEP * number, y, node["kind"], node["label"])


def _draw_arc(axes: Axes, start: Point, end: Point, height: float, color: str) -> None:
    """An arrow from node to node whose middle is ``height`` above them."""
    lean = 0.2 * (end[0] - start[0])
    control = start[1] + height * 4 / 3  # a cubic curve reaches 3/4 of the height of its control points
    first, second = (start[0] + lean, control), (end[0] - lean, control)
    gap = RADIUS if height > 0 else 1.3 * RADIUS  # the box of the output is larger than a circle
    points = [_towards(start, first, RADIUS), first, second, _towards(end, second, gap)]
    curve = Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
    axes.add_patch(FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=10, color=color, linewidth=1.2))


def _towards(centre: Point, point: Point, distance: float) -> Point:
    """The point at ``distance`` from a node's centre, in the direction of ``point``."""
    share = distance / math.dist(centre, point)
    return centre[0] + share * (point[0] - centre[0]), centre[1] + share * (point[1] - centre[1])


def _draw_node(axes: Axes, x: float, y: float, kind: str, label: str) -> None:
    fill, line = NODES[kind]
    if kind == "intermediate":
        shape: Patch = Circle((x, y), RADIUS)
    else:
        corner = (x - 1.3 * RADIUS, y - 0.7 * RADIUS)
        shape = FancyBboxPatch(corner, 2.6 * RADIUS, 1.4 * RADIUS, boxstyle="round,pad=0.06")
    shape.set(facecolor=fill, edgecolor=line, linewidth=1.2, zorder=4)
    axes.add_patch(shape)
    axes.text(x, y, f"${label}$", ha="center", va="center", color=INK, fontsize=11, zorder=5)
