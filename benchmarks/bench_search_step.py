"""Seconds per search step: the alpha step and the weight step of both orders, on random images of CIFAR's size.

    python benchmarks/bench_search_step.py                           C=16, 8 cells, batch 64, first and second order
    python benchmarks/bench_search_step.py --device cuda --precision fp32 bf16 --cuda-graphs off on \
        --warmup 3 --repeats 20

Prints a table of medians with the fastest and the slowest repeat, and of the reference's seconds over those of each
repeat; on a CPU all take their steps by turns. ``--save`` writes it with date and hardware under
``benchmarks/results/``.
"""

import argparse
import itertools
from collections.abc import Generator, Sequence
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
from nas.core.garbage import settled
from nas.engine.device import choose_device
from nas.engine.search_state import start_state
from nas.engine.steps import alpha_step, weight_step
from nas.models.supernet import EXECUTIONS

Run = Generator[None, None, dict[str, Any]]  # stops in front of every step
PLAIN = {"precision": "fp32", "execution": "reference", "cuda_graphs": "off"}  # what the others are compared with


def main() -> None:
    """Measure what the command line asks for, and print it."""
    options = _parser().parse_args()
    set_threads(options)
    device = choose_device(options.device)
    cases = itertools.product(options.order, options.precision, options.execution, options.cuda_graphs)
    runs = [measure(options, *case, device) for case in cases]
    rows = by_turns(runs) if device.type == "cpu" else [row for run in runs for row in by_turns([run])]
    add_ratios(rows)
    print(f"{options.space}, C={options.channels}, {options.cells} cells, batch {options.batch}, {device}")
    how = f"{'order':>5} {'precision':>9} {'execution':>9} {'graphs':>6}"
    print(f"{how} {'alpha step s':>22} {'weight step s':>22} {'both s':>22} {'reference / this':>20}")
    for row in rows:
        cells = [shown(row[k]) for k in ("alpha", "weight", "both")]
        print(
            f"{row['order']:>5} {row['precision']:>9} {row['execution']:>9} {row['cuda_graphs']:>6} "
            + " ".join(f"{cell:>22}" for cell in cells)
            + (f" {shown(row['ratio'], 2):>20}" if "ratio" in row else "")
        )
        if "peak_gib" in row:
            print(f"      peak GPU memory {row['peak_gib']:.2f} GiB")
    if options.save is not None:
        save("search_step", options, rows)


def by_turns(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What the runs give in the end. They take their steps by turns: what else the machine does slows all of them."""
    found: dict[int, dict[str, Any]] = {}
    for run in runs:
        next(run)  # up to its first step
    with settled():  # as a search does
        while len(found) < len(runs):
            for number, run in enumerate(runs):
                try:
                    next(run)
                except StopIteration as end:
                    found.setdefault(number, end.value)
    return [found[number] for number in range(len(runs))]


def add_ratios(rows: list[dict[str, Any]]) -> None:
    """Beside each row the reference's seconds over its own, repeat by repeat: median and extremes."""
    reference = {row["order"]: row["repeats"] for row in rows if PLAIN.items() <= row.items()}
    for row in rows:
        if row["order"] in reference:
            pairs = zip(reference[row["order"]], row["repeats"], strict=True)
            row["ratio"] = summary([theirs / own for theirs, own in pairs])


def measure(
    options: argparse.Namespace, order: int, precision: str, execution: str, graphs: str, device: torch.device
) -> Run:
    """Medians and extremes of the seconds of both steps, after the warm-up of each; stops in front of every repeat."""
    settings = paper_settings(
        batch_size=options.batch,
        channels=options.channels,
        cells=options.cells,
        order=order,
        precision=precision,
        execution=execution,
        cuda_graphs=graphs == "on",
    )
    state = start_state(nas.load_space(options.space), settings, 10, device)
    state.supernet.train()
    times: dict[str, list[float]] = {"alpha": [], "weight": []}
    for repeat in range(-options.warmup, options.repeats):
        yield
        train, valid = random_batch(options.batch, device), random_batch(options.batch, device)
        alpha = seconds(lambda t, v: alpha_step(state, settings, t, v, 0.025), train, valid, device=device)
        weight = seconds(lambda t: weight_step(state, settings, t, 0.025), train, device=device)
        if repeat >= 0:
            times["alpha"].append(alpha)
            times["weight"].append(weight)
    times["both"] = [a + w for a, w in zip(times["alpha"], times["weight"], strict=True)]
    figures = {**{k: summary(v) for k, v in times.items()}, "repeats": times["both"], **peak_memory(device)}
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
