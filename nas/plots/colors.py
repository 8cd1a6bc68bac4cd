"""The colours of the drawings, the same with and without Graphviz."""

INK = "#1f2933"
FAINT = "#9aa5b1"
NODES = {  # kind: (fill, line)
    "input": ("#d9f0e3", "#2f855a"),
    "intermediate": ("#e3ecfa", "#3b6fb6"),
    "output": ("#fdebc8", "#b7791f"),
}
FAMILIES = {  # beginning of an operator's name: colour
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
    """The colour of an operator's edge and name; operators of no known family are drawn in ink."""
    return next((color for family, color in FAMILIES.items() if operator.startswith(family)), INK)
