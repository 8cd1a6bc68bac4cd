"""Cells in the DOT language, drawn by Graphviz's ``dot`` program."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import graphviz

from nas.graph.cell import CellGraph
from nas.plots.colors import NODE_COLORS, OUTPUT_EDGE_COLOR, TEXT_COLOR, operator_color
from nas.plots.drawing_style import PLAIN_STYLE, DrawingStyle
from nas.plots.stacked_images import stack_pngs, stack_svgs

_TIMEOUT = 60  # seconds
_DPI = 144  # of a PNG
_WIDTH = 1.4  # of a line, in points
_TEXT = {"fontname": "Helvetica", "fontcolor": TEXT_COLOR}
_NODE_SHAPES = {
    "input": {"shape": "box", "style": "filled,rounded", "width": "0.75"},
    "intermediate": {"shape": "circle", "style": "filled", "width": "0.45", "fixedsize": "true"},
    "output": {"shape": "box", "style": "filled,rounded", "width": "0.75"},
}
_OPERATOR_STYLE = {"shape": "box", "style": "filled,rounded", "fillcolor": "white", "fontsize": "11", "penwidth": "1"}


def render_graphviz(
    dot: str, panels: Sequence[tuple[str, CellGraph]], file_format: str, style: DrawingStyle = PLAIN_STYLE
) -> bytes:
    """Draw the cells, each (title, graph), with the program ``dot``; the same input yields the same bytes.

    The cells of an SVG or a PNG are drawn one by one: in a drawing of several, ``dot`` ignores the order of nodes.
    Raises :class:`OSError` or :class:`subprocess.SubprocessError` if the program fails.
    """
    background = "transparent" if style.transparent else "white"
    if file_format == "pdf" or len(panels) == 1:
        return _run_dot(dot, dot_source(panels, style), file_format)
    stack = stack_svgs if file_format == "svg" else stack_pngs
    images = [_run_dot(dot, dot_source([panel], style), file_format) for panel in panels]
    return stack(images, style.layout == "tb", background)


def _run_dot(dot: str, source: str, file_format: str) -> bytes:
    command = [dot, f"-T{file_format}", *([f"-Gdpi={_DPI}"] if file_format == "png" else [])]
    done = subprocess.run(command, input=source.encode(), capture_output=True, check=True, timeout=_TIMEOUT)
    date = rb"(/CreationDate \(D:)\d{14}"
    return re.sub(date, rb"\g<1>20000101000000", done.stdout) if file_format == "pdf" else done.stdout


def dot_source(panels: Sequence[tuple[str, CellGraph]], style: DrawingStyle = PLAIN_STYLE) -> str:
    """Return the cells, each (title, graph), in the DOT language, each from left to right or from top to bottom."""
    layout, background = style.layout.upper(), "transparent" if style.transparent else "white"
    graph = graphviz.Digraph(graph_attr={"rankdir": layout, "nodesep": "0.18", "ranksep": "0.4", "pad": "0.15"})
    graph.attr("graph", bgcolor=background, fontsize="16", labelloc="t", **_TEXT)
    graph.attr("node", fontsize="13", penwidth=str(_WIDTH), height="0.45", **_TEXT)
    graph.attr("edge", arrowsize="0.7", penwidth=str(_WIDTH))
    sides = ("w", "e") if style.layout == "lr" else ("n", "s")
    if len(panels) == 1:
        graph.attr(label=graphviz.escape(panels[0][0]))
        _add_cell(graph, panels[0][1], "0.", sides)
        return str(graph.source)
    numbered = list(enumerate(panels))
    for index, (title, cell) in numbered[::-1] if style.layout == "lr" else numbered:  # the last one is put on top
        with graph.subgraph(name=f"cluster_{index}") as cluster:
            cluster.attr(label=graphviz.escape(title), color=background)
            _add_cell(cluster, cell, f"{index}.", sides)
    return str(graph.source)


def _add_cell(graph: graphviz.Digraph, cell: CellGraph, prefix: str, sides: tuple[str, str]) -> None:
    _add_nodes(graph, cell, prefix)
    operator: str
    for index, (source, target, data) in enumerate(cell.edges(data=True)):
        operator, tail, head = data["operator"], f"{prefix}{source}", f"{prefix}{target}"
        if not operator:
            graph.edge(tail, head, color=OUTPUT_EDGE_COLOR)
            continue
        # The operator is a node: among many edges, an edge label would be ambiguous.
        name, color = f"{prefix}operator{index}", operator_color(operator)
        width = f"{_WIDTH * data.get('width', 1):.2f}"
        label = graphviz.escape(operator)
        graph.node(name, label, **_OPERATOR_STYLE, color=color, fontcolor=color, height="0.25", margin="0.08,0.03")
        graph.edge(tail, f"{name}:{sides[0]}", color=color, dir="none", penwidth=width)
        graph.edge(f"{name}:{sides[1]}", head, color=color, penwidth=width)


def _add_nodes(graph: graphviz.Digraph, cell: CellGraph, prefix: str) -> None:
    """Add the nodes; those that lie beside each other are in the order of their numbers."""
    columns: dict[int, list[int]] = {}
    depths: dict[int, int] = {}
    for number, node in cell.nodes(data=True):  # sources come before their targets
        is_input = node["kind"] == "input"
        depths[number] = 0 if is_input else 1 + max((depths[source] for source in cell.predecessors(number)), default=0)
        columns.setdefault(depths[number], []).append(number)
    for numbers in columns.values():
        with graph.subgraph(graph_attr={"rank": "same"}) as column:
            for number in numbers:
                _add_node(column, f"{prefix}{number}", cell.nodes[number])
            for above, below in pairwise(numbers):
                column.edge(f"{prefix}{above}", f"{prefix}{below}", style="invis")


def _add_node(graph: graphviz.Digraph, name: str, node: Mapping[str, Any]) -> None:
    fill, line = NODE_COLORS[node["kind"]]
    stem, _, index = node["label"].partition("_")
    label = f'<{stem}<SUB><FONT POINT-SIZE="10">{index.strip("{}")}</FONT></SUB>>' if index else stem
    graph.node(name, label, **_NODE_SHAPES[node["kind"]], fillcolor=fill, color=line)
