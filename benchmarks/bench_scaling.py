"""Growth of a search step's time with channels, cells, batch size and number of operators: first order, random images.

    python benchmarks/bench_scaling.py --save                      the default execution, base C=8, 5 cells
    python benchmarks/bench_scaling.py --execution batched --device cuda --save

One size is changed at a time. The exponent p of ``seconds = a * size^p`` is fitted by least squares on the logarithms
of the medians: 1 is linear growth, below 1 is better. ``--save`` writes the figures and a plot to
``benchmarks/results/``.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from timing import add_common_options, paper_settings, random_batch, save, seconds, set_threads, shown, summary

from nas.engine.device import choose_device
from nas.graph.space import Space
from nas.models.supernet import EXECUTIONS
from nas.ops.registry import operators, register_operator
from nas.search.settings import SearchSettings
from nas.search.state import SearchState, init_search_state
from nas.search.steps import alpha_step, weight_step

BASE = {"channels": 8, "cells": 5, "batch": 32, "operators": 4}
SIZES = {"channels": (4, 8, 16, 32), "cells": (3, 5, 8, 12), "batch": (16, 32, 64, 128), "operators": (2, 4, 8, 12)}


def main() -> None:
    """Measure all sizes in rounds and print the exponent of each."""
    options = _parser().parse_args()
    set_threads(options)
    device = choose_device(options.device)
    cases = {(name, size): {**BASE, name: size} for name, sizes in SIZES.items() for size in sizes}
    times: dict[tuple[str, int], list[float]] = {key: [] for key in cases}
    for _ in range(options.rounds):  # interleaved, so that other load on the machine does not affect one size alone
        for key, case in cases.items():
            times[key] += _measure(case, options, device)
    rows: list[dict[str, Any]] = []
    for name, sizes in SIZES.items():
        summaries = [summary(times[name, size]) for size in sizes]
        power = exponent(sizes, [each["median"] for each in summaries])
        rows.append({"size": name, "values": sizes, "seconds": summaries, "exponent": power})
        steps = "  ".join(f"{size}: {shown(each)}" for size, each in zip(sizes, summaries, strict=True))
        print(f"{name:>9}  exponent {power:.2f}  {steps}", flush=True)
    if options.save is not None:
        path = save("scaling", options, rows)
        _plot(rows, path.with_suffix(".svg"))


def exponent(sizes: tuple[int, ...], medians: list[float]) -> float:
    """Return the slope of log(seconds) over log(size)."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in medians]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def _measure(case: dict[str, int], options: argparse.Namespace, device: torch.device) -> list[float]:
    """Return the seconds of pairs of an alpha and a weight step, after a warm-up."""
    state, settings = _state(case, options.execution, options.precision[0], device)
    times = []
    for repeat in range(-options.warmup, options.repeats):
        train, valid = random_batch(case["batch"], device), random_batch(case["batch"], device)

        def both(train: Any = train, valid: Any = valid) -> None:
            alpha_step(state, settings, train, valid, 0.025)
            weight_step(state, settings, train, 0.025)

        spent = seconds(both, device=device)
        times += [spent] if repeat >= 0 else []
    return times


def _state(
    case: dict[str, int], execution: str, precision: str, device: torch.device
) -> tuple[SearchState, SearchSettings]:
    settings = paper_settings(
        batch_size=case["batch"],
        channels=case["channels"],
        cells=case["cells"],
        precision=precision,
        execution=execution,
    )
    names = tuple(f"sep_conv_3x3_copy{index}" for index in range(case["operators"]))
    for name in names:  # all of the same cost, so that only their number grows
        if name not in operators:
            register_operator(name)(operators["sep_conv_3x3"].factory)
    state = init_search_state(Space("copies", names), settings, 10, device)
    state.supernet.train()
    return state, settings


def _plot(rows: list[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, row in zip(figure.subplots(1, len(rows)), rows, strict=True):
        medians = [each["median"] for each in row["seconds"]]
        linear = [medians[0] * size / row["values"][0] for size in row["values"]]
        axes.plot(row["values"], medians, "o-", label=f"measured, exponent {row['exponent']:.2f}")
        axes.plot(row["values"], linear, "--", color="gray", label="linear")
        axes.set(xlabel=row["size"], ylabel="seconds per step", ylim=(0, None))
        axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    figure.savefig(path)
    print(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--execution", default="fused", choices=EXECUTIONS)
    parser.add_argument("--rounds", type=int, default=2, help="passes over all sizes")
    add_common_options(parser)
    return parser


if __name__ == "__main__":
    main()
