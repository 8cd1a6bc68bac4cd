"""Cells in the DOT language, drawn by Graphviz's ``dot`` program."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import graphviz

from nas.graph.cell import CellGraph
from nas.plots.colors import NODE_COLORS, OUTPUT_EDGE_COLOR, TEXT_COLOR, operator_color

_TIMEOUT = 60  # seconds
_DPI = 144  # of a PNG
_TEXT = {"fontname": "Helvetica", "fontcolor": TEXT_COLOR}
_NODE_SHAPES = {
    "input": {"shape": "box", "style": "filled,rounded", "width": "0.75"},
    "intermediate": {"shape": "circle", "style": "filled", "width": "0.45", "fixedsize": "true"},
    "output": {"shape": "box", "style": "filled,rounded", "width": "0.75"},
}
_OPERATOR_STYLE = {"shape": "box", "style": "filled,rounded", "fillcolor": "white", "fontsize": "11", "penwidth": "1"}


def render_graphviz(dot: str, panels: Sequence[tuple[str, CellGraph]], file_format: str) -> bytes:
    """Draw the cells, each (title, graph), with the program ``dot``; the same input yields the same bytes.

    Raises :class:`OSError` or :class:`subprocess.SubprocessError` if the program fails.
    """
    command = [dot, f"-T{file_format}", *([f"-Gdpi={_DPI}"] if file_format == "png" else [])]
    source = dot_source(panels).encode()
    image = subprocess.run(command, input=source, capture_output=True, check=True, timeout=_TIMEOUT).stdout
    return re.sub(rb"(/CreationDate \(D:)\d{14}", rb"\g<1>20000101000000", image) if file_format == "pdf" else image


def dot_source(panels: Sequence[tuple[str, CellGraph]]) -> str:
    """Return the cells, each (title, graph), in the DOT language: stacked, each from left to right."""
    graph = graphviz.Digraph(graph_attr={"rankdir": "LR", "nodesep": "0.18", "ranksep": "0.4", "pad": "0.15"})
    graph.attr("graph", bgcolor="white", fontsize="16", **_TEXT)
    graph.attr("node", fontsize="13", penwidth="1.4", height="0.45", **_TEXT)
    graph.attr("edge", arrowsize="0.7", penwidth="1.4")
    for index, (title, cell) in reversed(list(enumerate(panels))):  # dot puts the last one on top
        with graph.subgraph(name=f"cluster_{index}") as cluster:
            cluster.attr(label=graphviz.escape(title), color="white")
            _add_cell(cluster, cell, f"{index}.")
    return str(graph.source)


def _add_cell(graph: graphviz.Digraph, cell: CellGraph, prefix: str) -> None:
    with graph.subgraph(graph_attr={"rank": "same"}) as column:
        for number, node in cell.nodes(data=True):
            _add_node(column if node["kind"] == "input" else graph, f"{prefix}{number}", node)
    operator: str
    for index, (source, target, operator) in enumerate(cell.edges(data="operator")):
        tail, head = f"{prefix}{source}", f"{prefix}{target}"
        if not operator:
            graph.edge(tail, head, color=OUTPUT_EDGE_COLOR)
            continue
        # The operator is a node: among many edges, an edge label would be ambiguous.
        name, color = f"{prefix}operator{index}", operator_color(operator)
        label = graphviz.escape(operator)
        graph.node(name, label, **_OPERATOR_STYLE, color=color, fontcolor=color, height="0.25", margin="0.08,0.03")
        graph.edge(tail, f"{name}:w", color=color, dir="none")
        graph.edge(f"{name}:e", head, color=color)


def _add_node(graph: graphviz.Digraph, name: str, node: Mapping[str, Any]) -> None:
    fill, line = NODE_COLORS[node["kind"]]
    stem, _, index = node["label"].partition("_")
    label = f'<{stem}<SUB><FONT POINT-SIZE="10">{index.strip("{}")}</FONT></SUB>>' if index else stem
    graph.node(name, label, **_NODE_SHAPES[node["kind"]], fillcolor=fill, color=line)
