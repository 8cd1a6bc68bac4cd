"""Heat map of the strengths of a cell: a row for each edge, a column for each operator."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nas.graph.space import Space


def heatmap(strengths: NDArray[np.floating], space: Space, title: str) -> NDArray[np.uint8]:
    """Draw ``strengths`` (edges, operators) as an image, uint8 (H, W, 3).

    White is the uniform strength 1 / operators, red is above it, blue below.
    """
    rows, columns = strengths.shape
    figure = Figure(figsize=(2 + 0.55 * columns, 2 + 0.3 * rows), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    uniform = 1 / columns
    limit = max(float(np.abs(strengths - uniform).max()), 1e-3 * uniform)
    image = axes.imshow(strengths, aspect="auto", cmap="RdBu_r", vmin=uniform - limit, vmax=uniform + limit)
    axes.set_xticks(range(columns), space.operators, rotation=45, ha="right")
    axes.set_yticks(range(rows), [f"{target}←{source}" for target, source in space.edges])
    axes.set_title(f"{title}: strengths")
    figure.colorbar(image, ax=axes)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
