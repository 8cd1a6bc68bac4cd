"""What a price on size does to a search: the found network's parameters and multiply-adds against its price."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from nas.core.errors import InputError
from nas.plots.figure import new_figure, to_svg
from nas.reports.markdown import DASH, markdown_rows
from nas.reports.run_folder import read_config, read_result

PRICES = {"params": "parameters", "macs": "multiply-adds"}


@dataclass(frozen=True)
class SizedSearch:
    """A finished search: the prices λ of its objective, and the network of 20 cells that its genotype builds."""

    space: str
    seed: int
    prices: dict[str, float]  # of parameters and of multiply-adds; 0 where size is free
    sizes: dict[str, int]
    valid_accuracy: float | None


def read_sized_search(folder: Path) -> SizedSearch:
    """The finished search in ``folder``; a configuration without ``objective`` prices nothing."""
    config, network = read_config(folder), read_result(folder).get("network")
    objective = config.get("objective") or {}
    try:
        prices = {name: float(objective.get(name) or 0) for name in PRICES}
        sizes = {name: int(network[name]) for name in PRICES}  # type: ignore[index]
        accuracy = read_result(folder).get("valid_accuracy")
        return SizedSearch(str(config["space"]), int(config["seed"]), prices, sizes, accuracy)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}: is not the folder of a finished search") from error


def sizes_table(searches: Sequence[SizedSearch]) -> str:
    """Markdown: a line for each search, by space, price and seed."""
    head = ["space", "λ of parameters", "λ of multiply-adds", "seed", "parameters M", "multiply-adds M"]
    lines = []
    for one in _in_order(searches):
        accuracy = DASH if one.valid_accuracy is None else f"{100 * one.valid_accuracy:.1f}"
        prices = [f"{one.prices[name]:g}" for name in PRICES]
        lines.append([one.space, *prices, str(one.seed), *(f"{one.sizes[n] / 1e6:.3f}" for n in PRICES), accuracy])
    return markdown_rows([*head, "validation accuracy %"], lines) + "\n"


def plot_sizes(searches: Sequence[SizedSearch]) -> bytes:
    """SVG: a panel for each of the two prices that is asked: what is priced against λ, and its mean over the seeds.

    A panel holds the searches in which the other price is 0.
    """
    asked = [name for name in PRICES if any(one.prices[name] > 0 for one in searches)] or ["params"]
    figure = new_figure(5.5 * len(asked), 4)
    for axes, name in zip(figure.subplots(1, len(asked), squeeze=False)[0], asked, strict=True):
        alone = [one for one in searches if all(one.prices[other] == 0 for other in PRICES if other != name)]
        _panel(axes, alone, name)
    return to_svg(figure)


def _panel(axes: Axes, searches: Sequence[SizedSearch], name: str) -> None:
    for index, space in enumerate(sorted({one.space for one in searches})):
        points = sorted((one.prices[name], one.sizes[name] / 1e6) for one in searches if one.space == space)
        prices = sorted({price for price, _ in points})
        means = [statistics.mean(size for price, size in points if price == wanted) for wanted in prices]
        axes.scatter([price for price, _ in points], [size for _, size in points], s=18, alpha=0.5, color=f"C{index}")
        axes.plot(prices, means, marker="D", color=f"C{index}", label=space)
    above = [one.prices[name] for one in searches if one.prices[name] > 0]
    if above:
        axes.set_xscale("symlog", linthresh=min(above))  # λ = 0 has its place, beside the smallest
    axes.set(xlabel=f"λ of {PRICES[name]}", ylabel=f"{PRICES[name]} of the found network, millions")
    axes.set_ylim(bottom=0)
    if searches:
        axes.legend()
    axes.grid(alpha=0.3)


def _in_order(searches: Sequence[SizedSearch]) -> list[SizedSearch]:
    return sorted(searches, key=lambda one: (one.space, *one.prices.values(), one.seed))
