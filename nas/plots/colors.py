"""Color palette of the drawings, the same with and without Graphviz."""

from nas.graph.operator_style import operator_style

TEXT_COLOR = "#1f2933"
OUTPUT_EDGE_COLOR = "#9aa5b1"
NODE_COLORS = {  # kind: (fill, line)
    "input": ("#d9f0e3", "#2f855a"),
    "intermediate": ("#e3ecfa", "#3b6fb6"),
    "output": ("#fdebc8", "#b7791f"),
}


def operator_color(operator: str) -> str:
    """Return the color of an operator's edge and label; operators without a declared one have the color of text."""
    return operator_style(operator).color or TEXT_COLOR
