"""Plot of the strengths of searches over their epochs: each operator's mean over the edges, and the entropy."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nas.graph.cell import cell_title
from nas.graph.operator_style import super_operators
from nas.plots.colors import operator_color
from nas.plots.figure import new_figure, to_svg
from nas.reports.alpha_evolution import AlphaEvolution

Line = Literal["solid", "dashed", "dotted", "dashdot"]
_LINES: tuple[Line, ...] = ("solid", "dashed", "dotted", "dashdot")  # for operators of the same color, in order


def plot_alpha_evolution(searches: Sequence[AlphaEvolution]) -> bytes:
    """Return an SVG: a panel by kind of cell for each search, and below them the entropy of all."""
    kinds = list(dict.fromkeys(kind for search in searches for kind in search.space.kinds))
    figure = new_figure(10, 1 + 2.3 * (len(searches) + 1))
    panels = figure.subplots(len(searches) + 1, len(kinds), squeeze=False, sharex=True, sharey="row")
    styles = _styles([operator for search in searches for operator in search.space.operators])
    for row, search in zip(panels, searches, strict=False):
        for axes, kind in zip(row, kinds, strict=True):
            if kind not in search.space.kinds:
                axes.set_axis_off()
                continue
            _plot_strengths(axes, search, kind, styles)
    for axes, kind in zip(panels[-1], kinds, strict=True):
        for index, search in ((i, s) for i, s in enumerate(searches) if kind in s.space.kinds):
            _plot_entropy(axes, search, kind, f"C{index % 10}")
        axes.set(title=f"{kind} cells: entropy / largest entropy", xlabel="epoch")
        axes.grid(alpha=0.3)
    panels[-1][-1].legend(fontsize=7)
    lines = [Line2D([], [], color=color, linestyle=style) for color, style in styles.values()]
    figure.legend(lines, list(styles), loc="outside upper center", ncols=5, fontsize=8)
    return to_svg(figure)


def _plot_strengths(axes: Axes, search: AlphaEvolution, kind: str, styles: dict[str, tuple[str, Line]]) -> None:
    epochs = list(search.means)
    for column, operator in enumerate(search.space.operators):
        color, style = styles[operator]
        values = [means[kind][column] for means in search.means.values()]
        width = 2.5 if super_operators([operator]) else 1.2
        axes.plot(epochs, values, color=color, linestyle=style, linewidth=width, marker="." * (len(epochs) == 1))
    axes.axhline(1 / len(search.space.operators), color="black", linewidth=0.6, alpha=0.5)  # all operators equal
    axes.set_title(f"{search.title}, seed {search.seed}, {cell_title(kind)}: mean strength", fontsize=9)
    axes.grid(alpha=0.3)


def _plot_entropy(axes: Axes, search: AlphaEvolution, kind: str, color: str) -> None:
    values = [search.entropy(epoch, kind) for epoch in search.strengths]
    axes.plot(list(search.strengths), values, marker=".", color=color, label=f"{search.title}, seed {search.seed}")


def _styles(operators: Sequence[str]) -> dict[str, tuple[str, Line]]:
    """Return the color and line style of each operator: colors as in drawings of cells, lines differ within a color."""
    styles: dict[str, tuple[str, Line]] = {}
    for operator in dict.fromkeys(operators):
        color = operator_color(operator)
        same_color = sum(used == color for used, _ in styles.values())
        styles[operator] = color, _LINES[same_color % len(_LINES)]
    return styles
