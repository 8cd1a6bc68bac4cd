"""The size of the found network against the weight λ of the size penalty: a table and a plot."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from nas.core.errors import InputError
from nas.plots.figure import new_figure, to_svg
from nas.reports.markdown import DASH, markdown_rows
from nas.reports.run_folder import read_config, read_result

_COUNTS = {"params": "parameters", "macs": "multiply-adds"}


@dataclass(frozen=True)
class SizedSearch:
    """A finished search: the penalty weights λ of its objective, and the sizes of the network built for retraining."""

    space: str
    seed: int
    penalties: dict[str, float]  # λ of parameters and of multiply-adds; 0: not penalized
    sizes: dict[str, int]
    valid_accuracy: float | None


def read_sized_search(folder: Path) -> SizedSearch:
    """Read the finished search in ``folder``; without ``objective`` in its configuration both penalties are 0."""
    config, network = read_config(folder), read_result(folder).get("network")
    objective = config.get("objective") or {}
    try:
        penalties = {name: float(objective.get(name) or 0) for name in _COUNTS}
        sizes = {name: int(network[name]) for name in _COUNTS}  # type: ignore[index]
        accuracy = read_result(folder).get("valid_accuracy")
        return SizedSearch(str(config["space"]), int(config["seed"]), penalties, sizes, accuracy)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}: not the folder of a finished search") from error


def sizes_table(searches: Sequence[SizedSearch]) -> str:
    """Return a Markdown table with a row for each search, sorted by space, penalties and seed."""
    header = ["space", "λ of parameters", "λ of multiply-adds", "seed", "parameters M", "multiply-adds M"]
    rows = []
    for search in sorted(searches, key=lambda search: (search.space, *search.penalties.values(), search.seed)):
        penalties = [f"{search.penalties[name]:g}" for name in _COUNTS]
        sizes = [f"{search.sizes[name] / 1e6:.3f}" for name in _COUNTS]
        accuracy = DASH if search.valid_accuracy is None else f"{100 * search.valid_accuracy:.1f}"
        rows.append([search.space, *penalties, str(search.seed), *sizes, accuracy])
    return markdown_rows([*header, "validation accuracy %"], rows) + "\n"


def plot_sizes(searches: Sequence[SizedSearch]) -> bytes:
    """Return an SVG with a panel for each penalty in use: the penalized count against λ, and its mean over seeds.

    A panel holds the searches in which the other penalty is 0.
    """
    used = [name for name in _COUNTS if any(search.penalties[name] > 0 for search in searches)] or ["params"]
    figure = new_figure(5.5 * len(used), 4)
    for axes, name in zip(figure.subplots(1, len(used), squeeze=False)[0], used, strict=True):
        others = [other for other in _COUNTS if other != name]
        _plot_panel(axes, [s for s in searches if all(s.penalties[other] == 0 for other in others)], name)
    return to_svg(figure)


def _plot_panel(axes: Axes, searches: Sequence[SizedSearch], name: str) -> None:
    for index, space in enumerate(sorted({search.space for search in searches})):
        points = sorted((s.penalties[name], s.sizes[name] / 1e6) for s in searches if s.space == space)
        penalties = sorted({penalty for penalty, _ in points})
        means = [statistics.mean(size for penalty, size in points if penalty == value) for value in penalties]
        axes.scatter([p for p, _ in points], [size for _, size in points], s=18, alpha=0.5, color=f"C{index}")
        axes.plot(penalties, means, marker="D", color=f"C{index}", label=space)
    positive = [search.penalties[name] for search in searches if search.penalties[name] > 0]
    if positive:
        axes.set_xscale("symlog", linthresh=min(positive))  # linear below, so that λ = 0 can be shown
    axes.set(xlabel=f"λ of {_COUNTS[name]}", ylabel=f"{_COUNTS[name]} of the found network, millions")
    axes.set_ylim(bottom=0)
    if searches:
        axes.legend()
    axes.grid(alpha=0.3)
