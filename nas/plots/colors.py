"""Color palette of the drawings, the same with and without Graphviz."""

TEXT_COLOR = "#1f2933"
OUTPUT_EDGE_COLOR = "#9aa5b1"
NODE_COLORS = {  # kind: (fill, line)
    "input": ("#d9f0e3", "#2f855a"),
    "intermediate": ("#e3ecfa", "#3b6fb6"),
    "output": ("#fdebc8", "#b7791f"),
}
_OPERATOR_COLORS = {  # prefix of an operator's name: color
    "sep_": "#1d5fa8",
    "dil_": "#6b46a3",
    "conv_": "#0f7b8a",
    "max_pool": "#2f7d4f",
    "avg_pool": "#2f7d4f",
    "skip": "#6b7785",
    "sandglass": "#c2410c",
    "ir_": "#b4235a",
    "variant_": "#9a6b00",
}


def operator_color(operator: str) -> str:
    """Return the color of an operator's edge and label; unknown operators have the color of text."""
    return next((color for prefix, color in _OPERATOR_COLORS.items() if operator.startswith(prefix)), TEXT_COLOR)
