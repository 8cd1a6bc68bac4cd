"""Plot of Table 9: error against parameters, next to the paper's values."""

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes

from nas.plots.figure import new_figure, to_svg
from nas.reports.table9 import PAPER, Table9Row, group_by_title


def plot_table9(rows: Sequence[Table9Row]) -> bytes:
    """Return an SVG: on the left every seed of these rows and the means (given cells as stars), on the right the paper.

    Rows without a known number of parameters are left out.
    """
    figure = new_figure(9, 3.8)
    ours, paper = figure.subplots(1, 2)
    spaces = list(dict.fromkeys([*PAPER, *(row.title for row in rows)]))  # same color in both panels
    for space, group in group_by_title(row for row in rows if row.params is not None).items():
        params, errors = [(row.params or 0) / 1e6 for row in group], [row.test_error for row in group]
        color, marker, size = f"C{spaces.index(space)}", "D", 70
        if group[0].given_cell:
            color, marker, size = "black", "*", 130
        ours.scatter(params, errors, s=18, alpha=0.5, color=color)
        mean = statistics.mean(params), statistics.mean(errors)
        ours.scatter(*mean, s=size, marker=marker, color=color, label=space)
    for space, (error, params_millions) in PAPER.items():
        paper.scatter(params_millions, error, s=70, marker="D", color=f"C{spaces.index(space)}", label=space)
    _label(ours, "these runs: seeds and their means")
    _label(paper, "the paper, CIFAR-10, 600 epochs")
    return to_svg(figure)


def _label(axes: Axes, title: str) -> None:
    axes.set(title=title, xlabel="parameters, millions", ylabel="test error, %")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
