"""Color palette of the drawings, the same with and without Graphviz."""

from zlib import crc32

from nas.graph.operator_style import operator_style

TEXT_COLOR = "#1f2933"
OUTPUT_EDGE_COLOR = "#9aa5b1"
NODE_COLORS = {  # kind: (fill, line)
    "input": ("#d9f0e3", "#2f855a"),
    "intermediate": ("#e3ecfa", "#3b6fb6"),
    "output": ("#fdebc8", "#b7791f"),
}
_UNDECLARED_COLORS = ("#7048e8", "#087f5b", "#a61e4d", "#4d7c0f", "#0369a1", "#be4bdb")


def operator_color(operator: str) -> str:
    """Return the color of an operator's edge and label; one without a declared color always has the same of a few."""
    return operator_style(operator).color or _UNDECLARED_COLORS[crc32(operator.encode()) % len(_UNDECLARED_COLORS)]
