"""Seconds per search step: the alpha step and the weight step of both orders, on random images of CIFAR's size.

    python benchmarks/bench_search_step.py                           C=16, 8 cells, batch 64, first and second order
    python benchmarks/bench_search_step.py --device cuda --precision fp32 bf16 --cuda-graphs off on \
        --warmup 3 --repeats 20

Prints a table of medians with the fastest and the slowest repeat; ``--save`` writes it to ``benchmarks/results/``,
with date and hardware.
"""

import argparse
import itertools
from typing import Any

import torch
from timing import (
    add_common_options,
    paper_settings,
    peak_memory,
    random_batch,
    save,
    seconds,
    set_threads,
    shown,
    summary,
)

import nas
from nas.engine.device import choose_device
from nas.models.supernet import EXECUTIONS
from nas.runtime.gc import frozen_gc
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step


def main() -> None:
    """Measure the cases of the command line and print a table."""
    options = _parser().parse_args()
    set_threads(options)
    device = choose_device(options.device)
    torch.backends.cudnn.benchmark = True  # as the command does
    cases = itertools.product(options.precision, options.order, options.execution, options.cuda_graphs)
    rows = [measure(options, *case, device) for case in cases]
    print(f"{options.space}, C={options.channels}, {options.cells} cells, batch {options.batch}, {device}")
    header = f"{'order':>5} {'precision':>9} {'execution':>9} {'graphs':>6}"
    print(f"{header} {'alpha step s':>22} {'weight step s':>22} {'both s':>22}")
    for row in rows:
        cells = [shown(row[k]) for k in ("alpha", "weight", "both")]
        print(
            f"{row['order']:>5} {row['precision']:>9} {row['execution']:>9} {row['cuda_graphs']:>6} "
            + " ".join(f"{cell:>22}" for cell in cells)
        )
        if "peak_gib" in row:
            print(f"      peak GPU memory {row['peak_gib']:.2f} GiB")
    if options.save is not None:
        save("search_step", options, rows)


def measure(
    options: argparse.Namespace, precision: str, order: int, execution: str, graphs: str, device: torch.device
) -> dict[str, Any]:
    """Return medians and extremes of the seconds of both steps, after the warm-up."""
    settings = paper_settings(
        batch_size=options.batch,
        channels=options.channels,
        cells=options.cells,
        order=order,
        precision=precision,
        execution=execution,
        cuda_graphs=graphs == "on",
    )
    state = init_search_state(nas.load_space(options.space), settings, 10, device)
    state.supernet.train()
    times: dict[str, list[float]] = {"alpha": [], "weight": []}
    with frozen_gc():  # as a search does
        for repeat in range(-options.warmup, options.repeats):
            train, valid = random_batch(options.batch, device), random_batch(options.batch, device)
            alpha = seconds(lambda t, v: alpha_step(state, settings, t, v, 0.025), train, valid, device=device)
            weight = seconds(lambda t: weight_step(state, settings, t, 0.025), train, device=device)
            if repeat >= 0:
                times["alpha"].append(alpha)
                times["weight"].append(weight)
    times["both"] = [a + w for a, w in zip(times["alpha"], times["weight"], strict=True)]
    figures = {**{k: summary(v) for k, v in times.items()}, **peak_memory(device)}
    return {"order": order, "precision": precision, "execution": execution, "cuda_graphs": graphs, **figures}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="darts")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--order", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    parser.add_argument("--execution", nargs="+", default=list(EXECUTIONS), choices=EXECUTIONS)
    parser.add_argument("--cuda-graphs", nargs="+", default=["off"], choices=["off", "on"])
    add_common_options(parser)
    return parser


if __name__ == "__main__":
    main()
