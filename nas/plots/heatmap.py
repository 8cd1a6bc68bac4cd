"""The strengths of a cell as a picture: a row for each edge, a column for each operator."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nas.graph.space import Space


def heatmap(strengths: NDArray[np.floating], space: Space, title: str) -> NDArray[np.uint8]:
    """Draw ``strengths`` (edges, operators) = softmax(alpha); the picture is uint8 (H, W, 3).

    White is 1 / operators, where all operators are even; red is above, blue below.
    """
    rows, columns = strengths.shape
    figure = Figure(figsize=(2 + 0.55 * columns, 2 + 0.3 * rows), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    even = 1 / columns
    reach = max(float(np.abs(strengths - even).max()), 1e-3 * even)
    image = axes.imshow(strengths, aspect="auto", cmap="RdBu_r", vmin=even - reach, vmax=even + reach)
    axes.set_xticks(range(columns), space.operators, rotation=45, ha="right")
    axes.set_yticks(range(rows), [f"{target}←{source}" for target, source in space.edges])
    axes.set_title(f"{title}: softmax of the alphas")
    figure.colorbar(image, ax=axes)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
