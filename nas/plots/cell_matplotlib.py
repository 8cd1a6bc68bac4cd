"""Cells drawn with matplotlib, for machines without Graphviz: the nodes in a row, an arc for every edge.

The height of an arc grows with its span, so that labels do not overlap: labels above each other belong to arcs of
different spans or to parallel edges, of which the published cells have at most two.
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
from nas.plots.colors import NODE_COLORS, OUTPUT_EDGE_COLOR, TEXT_COLOR, operator_color

# All lengths are in inches.
_STEP = 1.6  # between two nodes
_LEVEL = 0.5  # between arcs of consecutive spans; half of it between parallel ones
_DEPTH = 0.2  # the same below the nodes, for the edges to the output
_MARGIN = 0.7
_TITLE_GAP = 0.35  # above the highest arc
_RADIUS = 0.22
_DPI = 144  # of a PNG
_MAX_PIXELS = 8000  # of a side
_UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}

Point = tuple[float, float]
Arc = tuple[int, int, str, float, float]  # source, target, operator, width, height


def render_matplotlib(panels: Sequence[tuple[str, CellGraph]], file_format: str, transparent: bool = False) -> bytes:
    """Draw the cells, each (title, graph), stacked and each from left to right; return the bytes of the file.

    The same input yields the same bytes; pyplot's global state is not used.
    """
    width = 2 * _MARGIN + _STEP * (max(len(cell) for _, cell in panels) - 1)
    tops = [max(height for *_, height in _arcs(cell)) + _TITLE_GAP for _, cell in panels]
    bottoms = [min(height for *_, height in _arcs(cell)) for _, cell in panels]
    total = sum(tops) - sum(bottoms) + _MARGIN * len(panels)
    figure = Figure(figsize=(width, total))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, total))
    axes.set_axis_off()
    y = total + _MARGIN / 2
    for (title, cell), top, bottom in zip(panels, tops, bottoms, strict=True):
        y -= _MARGIN + top
        _draw_cell(axes, cell, y)
        axes.text(width / 2, y + top, title, ha="center", color=TEXT_COLOR, fontsize=13, parse_math=False)
        y += bottom
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "cell", "svg.fonttype": "none"}):
        dpi = min(_DPI, _MAX_PIXELS / max(width, total))
        figure.savefig(buffer, format=file_format, dpi=dpi, metadata=_UNDATED[file_format], transparent=transparent)
    return buffer.getvalue()


def _arcs(cell: CellGraph) -> list[Arc]:
    """Return the edges with their heights: above the nodes if they have an operator, else below."""
    arcs: list[Arc] = []
    parallel: Counter[tuple[int, int]] = Counter()
    operator: str
    height: float
    for source, target, data in cell.edges(data=True):
        operator = data["operator"]
        height = (
            _LEVEL * (target - source + parallel[source, target] / 2) if operator else _DEPTH * (source - target - 1)
        )
        parallel[source, target] += 1
        arcs.append((source, target, operator, data.get("width", 1.0), height))
    return arcs


def _draw_cell(axes: Axes, cell: CellGraph, y: float) -> None:
    """Draw one cell with its nodes at height ``y``."""
    for source, target, operator, width, height in _arcs(cell):
        color = operator_color(operator) if operator else OUTPUT_EDGE_COLOR
        left, right = _MARGIN + _STEP * source, _MARGIN + _STEP * target
        _draw_arc(axes, (left, y), (right, y), height, color, 1.2 * width)
        if operator:
            box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": color, "linewidth": 0.8}
            text = axes.text((left + right) / 2, y + height, operator, color=color, bbox=box, parse_math=False)
            text.set(ha="center", va="center", fontsize=8.5, zorder=3)
    for number, node in cell.nodes(data=True):
        _draw_node(axes, _MARGIN + _STEP * number, y, node["kind"], node["label"])


def _draw_arc(axes: Axes, start: Point, end: Point, height: float, color: str, width: float) -> None:
    """Draw an arrow between two nodes whose middle is ``height`` above them."""
    lean = 0.2 * (end[0] - start[0])
    control = start[1] + height * 4 / 3  # a cubic curve reaches 3/4 of the height of its control points
    first, second = (start[0] + lean, control), (end[0] - lean, control)
    gap = _RADIUS if height > 0 else 1.3 * _RADIUS  # the output box is larger than a circle
    points = [_towards(start, first, _RADIUS), first, second, _towards(end, second, gap)]
    curve = Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
    axes.add_patch(FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=10, color=color, linewidth=width))


def _towards(center: Point, point: Point, distance: float) -> Point:
    """Return the point at ``distance`` from a node's center in the direction of ``point``."""
    share = distance / math.dist(center, point)
    return center[0] + share * (point[0] - center[0]), center[1] + share * (point[1] - center[1])


def _draw_node(axes: Axes, x: float, y: float, kind: str, label: str) -> None:
    fill, line = NODE_COLORS[kind]
    if kind == "intermediate":
        shape: Patch = Circle((x, y), _RADIUS)
    else:
        corner = (x - 1.3 * _RADIUS, y - 0.7 * _RADIUS)
        shape = FancyBboxPatch(corner, 2.6 * _RADIUS, 1.4 * _RADIUS, boxstyle="round,pad=0.06")
    shape.set(facecolor=fill, edgecolor=line, linewidth=1.2, zorder=4)
    axes.add_patch(shape)
    axes.text(x, y, f"${label}$", ha="center", va="center", color=TEXT_COLOR, fontsize=11, zorder=5)
