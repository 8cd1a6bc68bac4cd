"""A title and a description in a drawing, for those who cannot see it (SVG 2, §5.8; WAI-ARIA)."""

import re
from collections.abc import Sequence
from html import escape

from nas.graph.cell import CellGraph


def describe_panels(panels: Sequence[tuple[str, CellGraph]]) -> str:
    """Return the cells in words: the edges of each node, and what the output joins."""
    return " ".join(f"{title}: {'; '.join(_nodes(cell))}." for title, cell in panels)


def add_title(svg: bytes, title: str, description: str) -> bytes:
    """Return an SVG file with one title and a description, in place of the titles of its parts."""
    text = re.sub(r"<title>.*?</title>\n?", "", svg.decode(), flags=re.DOTALL)
    named = f"<title>{escape(title)}</title>\n<desc>{escape(description)}</desc>\n"
    return re.sub(r"(<svg\b)([^>]*>\n?)", lambda tag: f'{tag[1]} role="img"{tag[2]}{named}', text, count=1).encode()


def _nodes(cell: CellGraph) -> list[str]:
    texts = []
    for node, data in cell.nodes(data=True):
        kind, edges = data["kind"], [(source, edge["operator"]) for source, _, edge in cell.in_edges(node, data=True)]
        if kind == "output":
            texts.append("the output joins nodes " + ", ".join(str(source) for source, _ in edges))
        elif kind == "intermediate":
            sources = [f"{operator} of node {source}" for source, operator in edges]
            texts.append(f"node {node} adds {' and '.join(sources) or 'nothing'}")
    return texts
