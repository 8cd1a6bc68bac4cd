"""Cells in the DOT language, drawn by the ``dot`` program of Graphviz."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import graphviz

from nas.graph.cell import CellGraph
from nas.plots.colors import FAINT, INK, NODES, operator_color

SECONDS = 60
RESOLUTION = 144  # dots per inch of a PNG
TEXT = {"fontname": "Helvetica", "fontcolor": INK}
SHAPES = {
    "input": {"shape": "box", "style": "filled,rounded", "width": "0.75"},
    "intermediate": {"shape": "circle", "style": "filled", "width": "0.45", "fixedsize": "true"},
    "output": {"shape": "box", "style": "filled,rounded", "width": "0.75"},
}
OPERATOR = {"shape": "box", "style": "filled,rounded", "fillcolor": "white", "fontsize": "11", "penwidth": "1"}


def render_graphviz(dot: str, pictures: Sequence[tuple[str, CellGraph]], ending: str) -> bytes:
    """The picture in the format ``ending``, made by the program ``dot``; the same input gives the same bytes.

    Raises :class:`OSError` or :class:`subprocess.SubprocessError` where the program cannot do it.
    """
    command = [dot, f"-T{ending}", f"-Gdpi={RESOLUTION}"] if ending == "png" else [dot, f"-T{ending}"]
    source = dot_source(pictures).encode()
    picture = subprocess.run(command, input=source, capture_output=True, check=True, timeout=SECONDS).stdout
    return re.sub(rb"(/CreationDate \(D:)\d{14}", rb"\g<1>20000101000000", picture) if ending == "pdf" else picture


def dot_source(pictures: Sequence[tuple[str, CellGraph]]) -> str:
    """One picture in the DOT language: the cells, each (title, graph), below each other, each from left to right."""
    graph = graphviz.Digraph(graph_attr={"rankdir": "LR", "nodesep": "0.18", "ranksep": "0.4", "pad": "0.15"})
    graph.attr("graph", bgcolor="white", fontsize="16", **TEXT)
    graph.attr("node", fontsize="13", penwidth="1.4", height="0.45", **TEXT)
    graph.attr("edge", arrowsize="0.7", penwidth="1.4")
    for index, (title, cell) in reversed(list(enumerate(pictures))):  # dot puts the last one on top
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
            graph.edge(tail, head, color=FAINT)
            continue
        # The operator is a node of its own: among many edges a label could belong to any of them.
        name, color = f"{prefix}operator{index}", operator_color(operator)
        label = graphviz.escape(operator)
        graph.node(name, label, **OPERATOR, color=color, fontcolor=color, height="0.25", margin="0.08,0.03")
        graph.edge(tail, f"{name}:w", color=color, dir="none")
        graph.edge(f"{name}:e", head, color=color)


def _add_node(graph: graphviz.Digraph, name: str, node: Mapping[str, Any]) -> None:
    fill, line = NODES[node["kind"]]
    stem, _, index = node["label"].partition("_")
    label = f'<{stem}<SUB><FONT POINT-SIZE="10">{index.strip("{}")}</FONT></SUB>>' if index else stem
    graph.node(name, label, **SHAPES[node["kind"]], fillcolor=fill, color=line)
