"""A matplotlib figure as SVG: the same figure gives the same bytes, and its text stays text."""

import io

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_svg(figure: Figure) -> bytes:
    """The figure's file."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "nas", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
